//! Who wants keys from whom.

use crate::Size;
use bellwether_units::{NodeId, Rate, Time};

/// A wish for keys that two nodes share and no other user knows.
#[derive(Clone, Debug, PartialEq)]
pub struct Demand {
    /// The demand's name, unique in the network.
    pub name: String,
    /// The node that asks.
    pub from: NodeId,
    /// The node it wants to share keys with; another than `from`, and reachable over trusted nodes.
    pub to: NodeId,
    /// How long each key is; above zero.
    pub key_size: Size,
    /// How many keys are asked for in a second, at regular times; above zero.
    pub rate: Rate,
    /// Of two demands for the same pool, the one with the greater number is served first.
    pub priority: u8,
    /// When the first key is asked for.
    pub start: Time,
    /// When no more is asked for. `None`: at the end of the run.
    pub stop: Option<Time>,
    /// How many keys are asked for in all. `None`: as many as the time gives.
    pub total: Option<u64>,
    /// Over how many routes with no relay in common each key is sent, as the sum of that many shares, so
    /// that no single relay knows it: 1 is plain relay.
    pub paths: u8,
}
