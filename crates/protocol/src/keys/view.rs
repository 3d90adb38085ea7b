//! The changing part of a network: which links are usable and how much key their pools hold, as one node or a
//! controller believes.

use super::api::LinkCondition;
use super::topology::Topology;
use bellwether_units::{LinkId, NodeId};

/// What one end of a link says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkReport {
    /// Its condition.
    pub condition: LinkCondition,
    /// How many bits this end may take from the pool; `None` where nothing is known.
    pub level: Option<u64>,
}

impl LinkReport {
    /// What is assumed of a link of which nothing was heard: it is up.
    pub const UNKNOWN: Self = Self { condition: LinkCondition::Up, level: None };
}

/// What is believed of every link, one report an end.
#[derive(Clone, Debug)]
pub struct LinkView {
    reports: Vec<[LinkReport; 2]>,
}

impl LinkView {
    /// Nothing is known of any link of this network.
    pub fn unknown(topology: &Topology) -> Self {
        Self { reports: vec![[LinkReport::UNKNOWN; 2]; topology.link_count()] }
    }
    /// What the end `node` of `link` says. `false` if there is no such end.
    pub fn report(&mut self, topology: &Topology, link: LinkId, node: NodeId, report: LinkReport) -> bool {
        let Some(side) = topology.side(link, node) else { return false };
        match self.reports.get_mut(link.index()) {
            Some(reports) => reports[side] = report,
            None => return false,
        }
        true
    }
    /// The reports of both ends, in the order of [`Topology::ends`].
    pub fn get(&self, link: LinkId) -> [LinkReport; 2] {
        self.reports.get(link.index()).copied().unwrap_or([LinkReport::UNKNOWN; 2])
    }
}
