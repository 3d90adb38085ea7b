//! Keys in the network: pools, relay over trusted nodes, routing, demands.
//!
//! A [`KeyNode`] is one node's key manager as a state machine without I/O. Distilled key enters it block by
//! block ([`Command::Store`]) into one pool a link, which both ends of the link fill alike. Out of it come keys
//! for pairs of nodes ([`Event::Delivered`]), for direct neighbours and across trusted relays, at both ends
//! with the same identifier and the same bits. Life of one key:
//!
//! 1. The source takes a stretch of its own half of the first link's pool: that *is* the key. The taking is
//!    made durable, then the first hop is told which stretch.
//! 2. Every relay marks the stretch used, takes a one-time pad from its own half of the next link's pool,
//!    makes both durable, and sends key XOR pad with a Wegman-Carter tag.
//! 3. The destination makes the key durable, and acknowledges with a token that only a receiver can know.
//! 4. The source makes its decision durable, hands the key out and says so; the destination makes that
//!    durable and hands the key out too.
//!
//! Whatever fails on the way burns what was taken and is tried again elsewhere with fresh key.

mod api;
mod control;
mod destination;
mod disjoint;
mod flood;
mod link_end;
mod material;
mod node;
mod pool;
mod queue;
mod record;
mod relay;
mod routing;
mod settings;
mod source;
mod statistics;
mod tag;
mod timers;
mod topology;
mod view;
mod wire;

/// What keys are made of.
pub use bellwether_bits::SecretBits;

pub use api::{
    BurnCause, Command, DeliveredKey, Demand, Event, Failure, KeyEnd, KeyId, LinkCondition, LossCause,
    PoolLevel, Refusal, Request, RequestId,
};
pub use disjoint::disjoint_routes;
pub use material::KeyMaterial;
pub use node::KeyNode;
pub use record::Record;
pub use routing::{HOP_COST, Route, cheapest_route, link_cost};
pub use settings::Settings;
pub use statistics::{PoolAccount, RequestStatistics};
pub use topology::{Topology, TopologyError};
pub use view::{LinkReport, LinkView};
pub use wire::{FrameError, check_frame};
