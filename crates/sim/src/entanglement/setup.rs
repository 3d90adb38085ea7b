//! What is simulated: nodes, links, circuits and demands, each with its physics.

use super::hardware::{LinkModel, NodeModel, QubitRole};
use bellwether_protocol::entanglement::link::LinkSettings;
use bellwether_protocol::entanglement::network::{NodeQuality, PairChoice};
use bellwether_protocol::entanglement::purification::Recurrence;
use bellwether_units::{Duration, EntityId, LinkId, NodeId, Time};
use std::sync::Arc;

/// An entanglement network, ready to run. A [`NodeId`] or [`LinkId`] is a place in its list.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// The nodes.
    pub nodes: Vec<NodeSetup>,
    /// The links.
    pub links: Vec<LinkSetup>,
    /// The circuits.
    pub circuits: Vec<CircuitSetup>,
    /// Who wants pairs.
    pub demands: Vec<DemandSetup>,
    /// What happens to links and nodes, in the order of time.
    pub faults: Vec<Fault>,
}

/// A node.
#[derive(Clone, Debug)]
pub struct NodeSetup {
    /// What its random streams are keyed by.
    pub entity: EntityId,
    /// What its hardware does.
    pub model: Arc<NodeModel>,
    /// What it believes of its hardware.
    pub claimed: NodeQuality,
}

/// A link that entangles memories of two nodes.
#[derive(Clone, Debug)]
pub struct LinkSetup {
    /// What its random streams are keyed by.
    pub entity: EntityId,
    /// The nodes at its ends; the first numbers the requests of both.
    pub ends: [NodeId; 2],
    /// How many qubits each end gives to it.
    pub memories: [u16; 2],
    /// Which qubits these are.
    pub roles: [QubitRole; 2],
    /// What its hardware does.
    pub model: Arc<LinkModel>,
    /// What its protocol is told.
    pub settings: Arc<LinkSettings>,
    /// The probability that a message over it gets lost, herald replies included.
    pub message_loss: f64,
}

/// A virtual circuit.
#[derive(Clone, Debug)]
pub struct CircuitSetup {
    /// Its nodes, the head first.
    pub nodes: Vec<NodeId>,
    /// Its links, one fewer.
    pub links: Vec<LinkId>,
    /// The least fidelity that each of its links is to promise.
    pub link_fidelities: Vec<f64>,
    /// How old a half may become at a repeater.
    pub cutoff: Option<Duration>,
    /// Its share of links.
    pub weight: u16,
    /// Which of several pairs is swapped first.
    pub choice: PairChoice,
    /// How the pairs of each link are purified before they are swapped or handed out.
    pub purification: Recurrence,
    /// Whether its head opens it by signalling; otherwise it is installed at all its nodes when these start.
    pub signalled: bool,
    /// If it is signalled: how many pairs a second each of its links is to promise.
    pub rate: f64,
}

/// Somebody wants pairs between the ends of a circuit.
#[derive(Clone, Debug)]
pub struct DemandSetup {
    /// What its random streams are keyed by.
    pub entity: EntityId,
    /// Of which circuit, by its place.
    pub circuit: usize,
    /// When the first request is made.
    pub start: Time,
    /// When the last may be made.
    pub stop: Option<Time>,
    /// How often a request is made; once if `None`.
    pub every: Option<Duration>,
    /// How many requests are made at most, where there are several.
    pub requests: Option<u64>,
    /// How many pairs a request asks for; without end if `None`.
    pub pairs: Option<u64>,
    /// How long a request may take.
    pub within: Option<Duration>,
    /// What the application does with a pair.
    pub use_of_pairs: PairUse,
    /// How long it keeps the memory of a pair.
    pub hold: Duration,
    /// Whether the tail turns its half so that the pair is |Φ⁺⟩.
    pub correct: bool,
}

/// What an application does with a pair when it is told of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PairUse {
    /// It takes it.
    #[default]
    Keep,
    /// Each end measures its half in a basis that it draws, X, Y or Z.
    Measure,
    /// The head takes its half before the tail has confirmed it.
    Early,
}

/// Something happens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    /// When.
    pub at: Time,
    /// What.
    pub kind: FaultKind,
}

/// What happens to a link or a node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FaultKind {
    /// No light and no message passes a link any more.
    Cut(LinkId),
    /// Both pass again.
    Mended(LinkId),
    /// Messages over a link get lost with this probability from now on.
    MessageLoss(LinkId, f64),
    /// A node stops and loses what its memories hold.
    Crash(NodeId),
    /// It starts again.
    Restart(NodeId),
}

/// Why a setup cannot be run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SetupError {
    /// More nodes and links than the kernel tells apart.
    #[error("there are {0} nodes and links; a run has at most 2^24")]
    TooMany(usize),
    /// More memories at a node than can be named.
    #[error("node {node} gives {memories} memories to its links; at most 65535 can be named")]
    Memories {
        /// Which node.
        node: usize,
        /// How many memories.
        memories: usize,
    },
    /// A circuit's nodes and links do not make a path.
    #[error("circuit {0} is no path: each of its links must join two nodes that follow one another")]
    NoPath(usize),
}
