//! Parts of a network that have nothing to do with each other, each a world of its own.
//!
//! Circuits that share no node do not touch, however they lie: their parts run apart, on as many threads as there are, and
//! no result depends on it. Nodes and links that no circuit passes have nothing to do.

use super::setup::{FaultKind, Setup, SetupError};
use super::world::{World, WorldOptions};
use bellwether_protocol::entanglement::signalling::CircuitRefusal;
use bellwether_units::{LinkId, NodeId, Time};
use std::sync::Mutex;

/// A network as its parts.
pub struct Parts {
    parts: Vec<Part>,
}

/// One part, and what its nodes, links and demands are called in the whole.
pub struct Part {
    /// The part itself.
    pub world: World,
    /// By place in the part: the node of the whole.
    pub nodes: Vec<NodeId>,
    /// By place in the part: the link of the whole.
    pub links: Vec<LinkId>,
    /// By place in the part: the demand of the whole.
    pub demands: Vec<usize>,
}

impl Part {
    /// Why a circuit was refused, by the names of the whole.
    pub(super) fn named(&self, mut why: CircuitRefusal) -> CircuitRefusal {
        match &mut why {
            CircuitRefusal::Fidelity { node, link, .. }
            | CircuitRefusal::Rate { node, link, .. }
            | CircuitRefusal::Memories { node, link, .. }
            | CircuitRefusal::NoLink { node, link } => {
                (*node, *link) = (self.nodes[node.index()], self.links[link.index()]);
            }
            CircuitRefusal::Full { node } => *node = self.nodes[node.index()],
            CircuitRefusal::Silent => {}
        }
        why
    }
}

impl Parts {
    /// The parts of a setup, at time zero.
    ///
    /// # Errors
    /// As [`World::new`].
    pub fn new(setup: &Setup, options: WorldOptions) -> Result<Self, SetupError> {
        let groups = groups(setup)?;
        let count = groups.count;
        let mut pieces: Vec<Piece> = (0..count).map(|_| Piece::default()).collect();
        // Where nodes, links and circuits are in their part.
        let mut node_at = vec![0u32; setup.nodes.len()];
        let mut link_at = vec![u32::MAX; setup.links.len()];
        let mut circuit_at = vec![0usize; setup.circuits.len()];
        for (node, group) in groups.of_node.iter().enumerate() {
            if let Some(piece) = group.and_then(|group| pieces.get_mut(group as usize)) {
                node_at[node] = piece.nodes.len() as u32;
                piece.nodes.push(NodeId(node as u32));
                piece.setup.nodes.push(setup.nodes[node].clone());
            }
        }
        for (place, circuit) in setup.circuits.iter().enumerate() {
            let group = circuit.nodes.first().and_then(|node| groups.of_node[node.index()]);
            let Some(piece) = group.and_then(|group| pieces.get_mut(group as usize)) else { continue };
            let mut local = circuit.clone();
            local.nodes.iter_mut().for_each(|node| *node = NodeId(node_at[node.index()]));
            for link in &mut local.links {
                let whole = *link;
                if link_at[whole.index()] == u32::MAX {
                    link_at[whole.index()] = piece.links.len() as u32;
                    piece.links.push(whole);
                    let mut setup = setup.links[whole.index()].clone();
                    setup.ends = setup.ends.map(|end| NodeId(node_at[end.index()]));
                    piece.setup.links.push(setup);
                }
                *link = LinkId(link_at[whole.index()]);
            }
            circuit_at[place] = piece.setup.circuits.len();
            piece.setup.circuits.push(local);
        }
        for (place, demand) in setup.demands.iter().enumerate() {
            let circuit = setup.circuits.get(demand.circuit).ok_or(SetupError::NoPath(demand.circuit))?;
            let group = groups.of_node[circuit.nodes[0].index()];
            let Some(piece) = group.and_then(|group| pieces.get_mut(group as usize)) else { continue };
            let mut local = demand.clone();
            local.circuit = circuit_at[demand.circuit];
            piece.demands.push(place);
            piece.setup.demands.push(local);
        }
        for fault in &setup.faults {
            let (group, kind) = match fault.kind {
                FaultKind::Crash(node) | FaultKind::Restart(node) => {
                    let local = NodeId(node_at[node.index()]);
                    let kind = match fault.kind {
                        FaultKind::Crash(_) => FaultKind::Crash(local),
                        _ => FaultKind::Restart(local),
                    };
                    (groups.of_node[node.index()], kind)
                }
                FaultKind::Cut(link) | FaultKind::Mended(link) | FaultKind::MessageLoss(link, _) => {
                    if link_at[link.index()] == u32::MAX {
                        continue;
                    }
                    let local = LinkId(link_at[link.index()]);
                    let kind = match fault.kind {
                        FaultKind::Cut(_) => FaultKind::Cut(local),
                        FaultKind::MessageLoss(_, probability) => FaultKind::MessageLoss(local, probability),
                        _ => FaultKind::Mended(local),
                    };
                    (groups.of_node[setup.links[link.index()].ends[0].index()], kind)
                }
            };
            if let Some(piece) = group.and_then(|group| pieces.get_mut(group as usize)) {
                piece.setup.faults.push(super::setup::Fault { kind, ..*fault });
            }
        }
        let part = |Piece { setup, nodes, links, demands }| {
            Ok(Part { world: World::new(setup, options)?, nodes, links, demands })
        };
        Ok(Self { parts: pieces.into_iter().map(part).collect::<Result<_, _>>()? })
    }

    /// The parts.
    pub fn iter(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter()
    }
    /// How many there are.
    pub const fn len(&self) -> usize {
        self.parts.len()
    }
    /// Whether nothing is to be done.
    pub const fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Runs all parts up to `end` on so many threads.
    pub fn run_until(&mut self, end: Time, threads: usize) {
        let threads = threads.clamp(1, self.parts.len().max(1));
        if threads == 1 {
            return self.parts.iter_mut().for_each(|part| part.world.run_until(end));
        }
        let left = Mutex::new(self.parts.iter_mut());
        let work = || {
            loop {
                // Whoever is done takes the next few.
                let mut few = Vec::with_capacity(16);
                if let Ok(mut left) = left.lock() {
                    few.extend(left.by_ref().take(16));
                }
                if few.is_empty() {
                    break;
                }
                few.into_iter().for_each(|part: &mut Part| part.world.run_until(end));
            }
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            for worker in workers {
                if let Err(panic) = worker.join() {
                    std::panic::resume_unwind(panic);
                }
            }
        });
    }
}

#[derive(Default)]
struct Piece {
    setup: Setup,
    nodes: Vec<NodeId>,
    links: Vec<LinkId>,
    demands: Vec<usize>,
}

struct Groups {
    count: usize,
    /// By node: its part, if a circuit passes it. Parts are numbered by their first node.
    of_node: Vec<Option<u32>>,
}

/// Which nodes circuits join, directly or through others.
fn groups(setup: &Setup) -> Result<Groups, SetupError> {
    let mut parent: Vec<u32> = (0..setup.nodes.len() as u32).collect();
    fn root(parent: &mut [u32], mut node: u32) -> u32 {
        while parent[node as usize] != node {
            parent[node as usize] = parent[parent[node as usize] as usize];
            node = parent[node as usize];
        }
        node
    }
    let mut passed = vec![false; setup.nodes.len()];
    for (place, circuit) in setup.circuits.iter().enumerate() {
        let known = |node: &NodeId| node.index() < setup.nodes.len();
        if circuit.nodes.is_empty() || !circuit.nodes.iter().all(known) {
            return Err(SetupError::NoPath(place));
        }
        if circuit.links.iter().any(|link| link.index() >= setup.links.len()) {
            return Err(SetupError::NoPath(place));
        }
        let first = root(&mut parent, circuit.nodes[0].0);
        for node in &circuit.nodes {
            passed[node.index()] = true;
            let other = root(&mut parent, node.0);
            parent[other as usize] = first;
        }
    }
    let mut of_root = vec![None; setup.nodes.len()];
    let mut of_node = vec![None; setup.nodes.len()];
    let mut count = 0;
    for node in 0..setup.nodes.len() {
        if passed[node] {
            let root = root(&mut parent, node as u32) as usize;
            let group = *of_root[root].get_or_insert_with(|| {
                count += 1;
                count - 1
            });
            of_node[node] = Some(group);
        }
    }
    Ok(Groups { count: count as usize, of_node })
}
