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
//! Whatever fails on the way burns what was taken and is tried again elsewhere with fresh key. On every hop a key
//! costs its bits, two tokens of 64 bits and a tag of 64 bits.
//!
//! What is promised, whatever is lost, doubled, reordered, forged or crashes: no bit of a pool is used twice; a
//! key is handed out at each end at most once, with equal bits; and one that may stand at one end alone is
//! reported there by [`Event::Lost`]. A frame without a tag or a token can at worst make key be burned.
//!
//! The driver's side of the bargain: records become durable in the order of their numbers (after a crash, a
//! prefix of them is there); a restored node is given all of them, or the last [snapshot](KeyNode::snapshot) in their
//! order and what came after it; `rng` is cryptographically strong; the two
//! ends of a link store the same bits under the same block number, as distillation has verified.
//!
//! Two neighbours, one block, one key:
//!
//! ```
//! use bellwether_bits::SecretBits;
//! use bellwether_protocol::keys::{
//!     Command, Event, KeyMaterial, KeyNode, Request, RequestId, Settings, Topology,
//! };
//! use bellwether_protocol::machine::{Input, Output, Protocol};
//! use bellwether_units::{BlockId, Duration, EntityId, LinkId, NodeId, Purpose, Stream, Time};
//! use std::sync::Arc;
//!
//! let topology = Arc::new(Topology::new(2, &[(NodeId(0), NodeId(1))])?);
//! let node = |id| KeyNode::new(NodeId(id), Arc::clone(&topology), Settings::default());
//! let mut nodes = [node(0), node(1)];
//! // For the example alone: streams of a simulation are no source of secrets.
//! let mut rng = Stream::new(1, EntityId(0), Purpose::named("example"));
//!
//! let block = SecretBits::random(4096, &mut rng);
//! let store = |key| Command::Store { link: LinkId(0), block: BlockId(0), key: KeyMaterial::Bits(key) };
//! let (to, patience) = (NodeId(1), Duration::from_whole_seconds(1));
//! let (bits, least_bits) = (256, 256);
//! let request = Request { id: RequestId(0), to, bits, least_bits, priority: 0, patience, paths: 1 };
//! let commands = vec![(0, store(block.duplicate())), (1, store(block)), (0, Command::Request(request))];
//!
//! let mut keys = Vec::new();
//! for (id, command) in commands {
//!     let mut out = Vec::new();
//!     nodes[id].handle(Time::ZERO, &mut rng, Input::Command(command), &mut out);
//!     // A perfect driver: frames arrive and records are durable at once.
//!     let mut todo: Vec<_> = out.into_iter().map(|output| (id, output)).collect();
//!     while !todo.is_empty() {
//!         let (id, output) = todo.remove(0);
//!         let (mut out, mut next) = (Vec::new(), id);
//!         match output {
//!             Output::Send { to, bytes } => {
//!                 next = to.index();
//!                 let from = NodeId(id as u32);
//!                 nodes[next].handle(Time::ZERO, &mut rng, Input::Frame { from, bytes: &bytes }, &mut out);
//!             }
//!             Output::Persist(number, _) => {
//!                 nodes[id].handle(Time::ZERO, &mut rng, Input::Persisted(number), &mut out);
//!             }
//!             Output::Event(Event::Delivered(key)) => keys.push(key),
//!             Output::Event(_) | Output::Compute(_) => {}
//!         }
//!         todo.extend(out.into_iter().map(|output| (next, output)));
//!     }
//! }
//! assert_eq!(keys.len(), 2);
//! assert_eq!(keys[0].id, keys[1].id);
//! assert!(keys[0].key == keys[1].key);
//! # Ok::<(), bellwether_protocol::keys::TopologyError>(())
//! ```

mod api;
mod compaction;
mod control;
pub mod delivery;
mod destination;
mod disjoint;
mod flood;
mod journal;
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
mod topology;
mod view;
mod wire;

/// What keys are made of.
pub use bellwether_bits::SecretBits;

pub use api::{
    BurnCause, Command, DeliveredKey, Demand, Event, Failure, KeyEnd, KeyId, LinkCondition, LossCause,
    PoolLevel, Refusal, Request, RequestId,
};
pub use compaction::Compaction;
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
