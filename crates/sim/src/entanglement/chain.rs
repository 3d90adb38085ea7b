//! Chains of repeaters: the network that is compared most often.

use super::hardware::{Brightness, LinkModel, NodeModel, QubitRole};
use super::setup::{CircuitSetup, DemandSetup, LinkSetup, NodeSetup, PairUse, Setup};
use bellwether_protocol::entanglement::link::{
    FidelityLevel, FidelityTable, FidelityTableError, LinkSettings,
};
use bellwether_protocol::entanglement::network::{NodeQuality, PairChoice};
use bellwether_protocol::entanglement::purification::Recurrence;
use bellwether_quantum::bell::{PurificationQuality, SwapQuality};
use bellwether_units::{Duration, EntityId, LinkId, NodeId, Time};
use std::sync::Arc;

/// A chain of equal nodes and equal links with one circuit from end to end and one demand without end.
#[derive(Clone, Debug)]
pub struct Chain {
    /// How many nodes, the ends included: at least 2.
    pub nodes: u32,
    /// How many memories each node has on each side.
    pub memories: u16,
    /// What a link does.
    pub link: LinkModel,
    /// What a node does.
    pub node: NodeModel,
    /// How long a message takes from one node to the next.
    pub delay: Duration,
    /// How old a half may become at a repeater.
    pub cutoff: Option<Duration>,
}

impl Chain {
    /// A chain of links that are stated outright, by the shortest herald that its cycle allows: half of it.
    pub fn new(nodes: u32, memories: u16, level: Brightness, cycle: Duration, delay: Duration) -> Self {
        let link = LinkModel {
            levels: Arc::from([level]),
            cycle,
            herald: [cycle; 2],
            charge_check: None,
            calibration: None,
        };
        Self { nodes, memories, link, node: NodeModel::PERFECT, delay, cutoff: None }
    }

    /// The chain as a setup. What protocols claim of nodes and links is what these do.
    ///
    /// # Errors
    /// A level of the link has no use as a promise, such as one that never succeeds.
    pub fn setup(&self) -> Result<Setup, FidelityTableError> {
        let levels = self.link.levels.iter().map(|level| FidelityLevel {
            brightness: level.brightness,
            fidelity: level.fidelity(),
            success: level.success(),
        });
        let table = FidelityTable::new(levels.collect())?;
        let settings = Arc::new(LinkSettings::new(table, self.link.cycle, self.delay));
        let claimed = claimed(&self.node);
        let (node, link) = (Arc::new(self.node.clone()), Arc::new(self.link.clone()));
        let path: Vec<_> = (0..self.nodes).map(NodeId).collect();
        let links = 0..self.nodes.saturating_sub(1);
        Ok(Setup {
            nodes: path
                .iter()
                .map(|id| NodeSetup { entity: EntityId(id.0), model: Arc::clone(&node), claimed })
                .collect(),
            links: links
                .clone()
                .map(|n| LinkSetup {
                    entity: EntityId(n),
                    ends: [NodeId(n), NodeId(n + 1)],
                    memories: [self.memories; 2],
                    roles: [QubitRole::Own; 2],
                    model: Arc::clone(&link),
                    settings: Arc::clone(&settings),
                    message_loss: 0.0,
                })
                .collect(),
            circuits: vec![CircuitSetup {
                nodes: path,
                link_fidelities: links.clone().map(|_| 0.0).collect(),
                links: links.map(LinkId).collect(),
                cutoff: self.cutoff,
                weight: 1,
                choice: PairChoice::Oldest,
                purification: Recurrence::default(),
                signalled: false,
                rate: 0.0,
            }],
            demands: vec![DemandSetup {
                entity: EntityId(0),
                circuit: 0,
                start: Time::ZERO,
                stop: None,
                every: None,
                requests: None,
                pairs: None,
                within: None,
                use_of_pairs: PairUse::Keep,
                hold: Duration::ZERO,
                correct: false,
            }],
            faults: Vec::new(),
        })
    }
}

/// What a node can know of hardware that does this: a swap as a Bell-diagonal rule, and its memory.
pub(super) fn claimed(node: &NodeModel) -> NodeQuality {
    let device = &node.bell_measurement;
    let swap = device.swap_quality().unwrap_or_else(|| {
        // Unequal readout errors count as their mean.
        let right = device.readouts().map(|readout| 1.0 - 0.5 * (readout.flips()[0] + readout.flips()[1]));
        SwapQuality::with_readouts(1.0 - device.mixing(), right[0], right[1], 1.0)
            .unwrap_or(SwapQuality::PERFECT)
    });
    NodeQuality { swap, memory: node.communication.twirled() }
}

/// What the ends of a link can know of how well they compare pairs.
pub(super) fn comparing(ends: [&NodeModel; 2]) -> PurificationQuality {
    let gates = ends.map(|node| 1.0 - node.bell_measurement.mixing());
    // Unequal readout errors count as their mean.
    let readouts = ends.map(|node| 1.0 - 0.5 * (node.readout.flips()[0] + node.readout.flips()[1]));
    PurificationQuality::unequal(gates, readouts).unwrap_or(PurificationQuality::PERFECT)
}
