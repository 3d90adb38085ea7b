//! From a network file to an entanglement network that can run: hardware, routes, and what is refused.

mod link;
mod node;
mod plan;

pub use plan::{Admission, PlannedDemand};

use super::chain::claimed;
use super::hardware::{LinkModel, QubitRole};
use super::setup::{Fault, FaultKind, LinkSetup, NodeSetup, Setup};
use crate::platforms::PlatformError;
use bellwether_network::{EventKind, LinkEvent, Network, NodeEvent, Platform, QubitUse};
use bellwether_protocol::entanglement::routing::ViewError;

use bellwether_units::{EntityId, LinkId};
use node::Duties;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Why a network file's entanglement cannot run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BuildError {
    /// A link lacks figures, or has some that cannot be.
    #[error("entangling link `{link}`: {error}")]
    Link {
        /// Which.
        link: String,
        /// What is wrong.
        error: PlatformError,
    },
    /// A link can promise nothing.
    #[error("entangling link `{link}`: {why}")]
    Promise {
        /// Which.
        link: String,
        /// What is wrong.
        why: String,
    },
    /// A node lacks figures, or has some that cannot be.
    #[error("node `{node}`: {error}")]
    Node {
        /// Which.
        node: String,
        /// What is wrong.
        error: PlatformError,
    },
    /// It cannot be routed in.
    #[error(transparent)]
    View(#[from] ViewError),
}

/// What had to be assumed since no figure was told: each once.
#[derive(Clone, Debug, Default)]
pub(super) struct Assumed(BTreeSet<&'static str>);

impl Assumed {
    pub(super) fn note(&mut self, what: &'static str) {
        self.0.insert(what);
    }
}

/// The entanglement of a network file, ready to run.
#[derive(Clone, Debug)]
pub struct Built {
    /// What runs: the demands that were admitted, and circuits for them.
    pub setup: Setup,
    /// What became of each demand, in the order of the file.
    pub demands: Vec<PlannedDemand>,
    /// What had to be assumed, for want of figures.
    pub assumptions: Vec<&'static str>,
}

/// The entanglement of a network file: its hardware by the models, circuits as the file says or as they are routed, and
/// demands as far as they can be met.
///
/// # Errors
/// A platform does not tell what a model needs, or tells what cannot be.
pub fn build(network: &Network) -> Result<Built, BuildError> {
    let mut assumed = Assumed::default();
    let mut setup =
        Setup { nodes: nodes(network, &mut assumed)?, links: links(network)?, ..Setup::default() };
    let demands = plan::plan(network, &mut setup)?;
    setup.faults = faults(network);
    Ok(Built { setup, demands, assumptions: assumed.0.into_iter().collect() })
}

/// Nodes of one platform and equal duties share a model.
fn nodes(network: &Network, assumed: &mut Assumed) -> Result<Vec<NodeSetup>, BuildError> {
    let mut duties = vec![(Duties::default(), 0u32); network.nodes.len()];
    for link in &network.entangling_links {
        for (end, qubits) in link.ends.iter().zip(link.qubits) {
            let (duties, links) = &mut duties[end.index()];
            *links += 1;
            duties.keeps |= qubits != QubitUse::Storage;
            duties.stores |= qubits == QubitUse::Storage;
            duties.swaps = *links > 1;
        }
    }
    for circuit in network.circuits.iter().filter(|circuit| !circuit.purification.is_empty()) {
        match &circuit.path {
            Some(path) => {
                let ends = path.iter().flat_map(|link| network.entangling_link(*link).ends);
                ends.for_each(|end| duties[end.index()].0.compares = true);
            }
            // It may go anywhere.
            None => duties.iter_mut().for_each(|(duties, links)| duties.compares |= *links > 0),
        }
    }
    let mut known: BTreeMap<(usize, [bool; 4]), NodeSetup> = BTreeMap::new();
    let setup = |(place, node): (usize, &bellwether_network::Node)| {
        let (duties, _) = duties[place];
        let platform: Option<&Platform> = node.platform.as_deref();
        // Equal platforms of different allocations are made twice, which costs memory and nothing else.
        let key = platform.map_or(0, |platform| core::ptr::from_ref(platform).addr());
        let key = (key, [duties.keeps, duties.stores, duties.swaps, duties.compares]);
        let entity = EntityId(place as u32);
        if let Some(known) = known.get(&key) {
            return Ok(NodeSetup { entity, ..known.clone() });
        }
        let model = node::model(&node.name, platform, duties, assumed)?;
        let made = NodeSetup { entity, claimed: claimed(&model), model: Arc::new(model) };
        known.insert(key, made.clone());
        Ok(made)
    };
    network.nodes.iter().enumerate().map(setup).collect()
}

/// What the hardware of an entangling link does, by the models.
///
/// # Errors
/// A platform does not tell what the link's scheme needs, or tells what cannot be.
pub fn link_model(network: &Network, link: LinkId) -> Result<LinkModel, BuildError> {
    let link = network.entangling_link(link);
    let platforms = link.ends.map(|end| network.node(end).platform.as_deref());
    Ok(link::link(link, platforms, &mut link::Stated::new())?.0)
}

fn links(network: &Network) -> Result<Vec<LinkSetup>, BuildError> {
    let mut stated = link::Stated::new();
    let setup = |(place, link): (usize, &bellwether_network::EntanglingLink)| {
        let platforms = link.ends.map(|end| network.node(end).platform.as_deref());
        let (model, settings) = link::link(link, platforms, &mut stated)?;
        Ok(LinkSetup {
            entity: EntityId(place as u32),
            ends: link.ends,
            memories: link.memories,
            roles: link.qubits.map(|qubits| match qubits {
                QubitUse::Own => QubitRole::Own,
                QubitUse::Communication => QubitRole::Communication,
                QubitUse::Storage => QubitRole::Storage,
            }),
            model: Arc::new(model),
            settings: Arc::new(settings),
            message_loss: 0.0,
        })
    };
    network.entangling_links.iter().enumerate().map(setup).collect()
}

/// Cuts, crashes, and their ends.
fn faults(network: &Network) -> Vec<Fault> {
    let mut faults = Vec::new();
    for event in &network.events {
        let (kind, undone) = match &event.kind {
            EventKind::EntanglingLink(link, LinkEvent::Cut) => {
                (FaultKind::Cut(*link), FaultKind::Mended(*link))
            }
            EventKind::EntanglingLink(link, LinkEvent::Repair) => {
                (FaultKind::Mended(*link), FaultKind::Mended(*link))
            }
            EventKind::EntanglingLink(link, LinkEvent::MessageLoss { probability }) => {
                (FaultKind::MessageLoss(*link, *probability), FaultKind::MessageLoss(*link, 0.0))
            }
            EventKind::Node(node, NodeEvent::Crash) => (FaultKind::Crash(*node), FaultKind::Restart(*node)),
            EventKind::Node(node, NodeEvent::Restart) => {
                (FaultKind::Restart(*node), FaultKind::Restart(*node))
            }
            _ => continue,
        };
        faults.push(Fault { at: event.at, kind });
        faults.extend(event.until.map(|at| Fault { at, kind: undone }));
    }
    faults.sort_by_key(|fault| fault.at);
    faults
}
