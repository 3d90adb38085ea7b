//! The key manager of one node.

use super::api::{Command, Event};
use super::record::Record;
use super::settings::Settings;
use super::statistics::{PoolAccount, RequestStatistics};
use super::topology::Topology;
use crate::machine::{Input, Output, Protocol};
use bellwether_units::{DemandId, LinkId, NodeId, Time};
use core::convert::Infallible;
use rand_core::Rng;
use std::sync::Arc;

/// The key manager of one node. See the [module](super).
#[derive(Debug)]
pub struct KeyNode {
    node: NodeId,
    topology: Arc<Topology>,
    settings: Settings,
}

impl KeyNode {
    /// A node that starts for the first time.
    pub fn new(node: NodeId, topology: Arc<Topology>, settings: Settings) -> Self {
        Self { node, topology, settings }
    }
    /// A node that starts again after a stop or a crash, from every record that had become durable, in the
    /// order of their numbers.
    pub fn restore(
        node: NodeId,
        topology: Arc<Topology>,
        settings: Settings,
        _records: impl IntoIterator<Item = Record>,
    ) -> Self {
        Self::new(node, topology, settings)
    }
    /// Which node this is.
    pub fn id(&self) -> NodeId {
        self.node
    }
    /// Where the key of a link's pool went; `None` if the link does not end here.
    pub fn pool(&self, _link: LinkId) -> Option<PoolAccount> {
        None
    }
    /// What became of a demand's requests.
    pub fn demand_statistics(&self, _demand: DemandId) -> Option<RequestStatistics> {
        None
    }
    /// What became of all requests made at this node.
    pub fn statistics(&self) -> RequestStatistics {
        RequestStatistics::default()
    }
}

impl Protocol for KeyNode {
    type Peer = NodeId;
    type Command = Command;
    type Event = Event;
    type Record = Record;
    type Job = Infallible;
    type JobResult = Infallible;

    fn handle(
        &mut self,
        _now: Time,
        _rng: &mut dyn Rng,
        _input: Input<'_, NodeId, Command, Infallible>,
        _out: &mut Vec<Output<NodeId, Event, Record, Infallible>>,
    ) {
    }

    fn deadline(&self) -> Option<Time> {
        None
    }
}
