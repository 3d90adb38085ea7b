//! From a setup to a world that can run.

use super::parcels::Parcels;
use super::{Asked, Happening, Place, Sampling, Sources, Station, Wire, World};
use crate::entanglement::account::{DemandTally, Work};
use crate::entanglement::hardware::{CommunicationQubit, Holdings, LinkHardware, QubitRole};
use crate::entanglement::setup::{CircuitSetup, LinkSetup, NodeSetup, Setup};
use crate::kernel::Schedule;
use bellwether_protocol::entanglement::link::{LinkPlace, Midpoint};
use bellwether_protocol::entanglement::network::{Circuit, Hop};
use bellwether_protocol::entanglement::{CircuitId, EntanglementNode, MemoryId, NodeLink};
use bellwether_quantum::MemoryNoise;
use bellwether_units::{Duration, LinkId, NodeId, Purpose, Stream, Time};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long a message over a circuit and back is taken to need at least. Over the metres of a laboratory it takes nanoseconds,
/// but links wait for each other much longer, and nobody asks so often.
const LEAST_ROUND_TRIP: Duration = Duration::from_microseconds(100);

/// How a world is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorldOptions {
    /// What every random stream is keyed by.
    pub seed: u64,
    /// Whether messages travel as bytes; what happens must not depend on it.
    pub as_bytes: bool,
    /// Whether losses of fidelity are told by source.
    pub budgets: bool,
    /// How often memories are counted.
    pub sampling: Option<Duration>,
}

impl Default for WorldOptions {
    fn default() -> Self {
        Self { seed: 1, as_bytes: false, budgets: true, sampling: None }
    }
}

/// Why a world cannot be made.
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

impl World {
    /// The world of a setup at time zero: all nodes have started, and circuits are installed.
    ///
    /// # Errors
    /// If the setup has more of something than can be numbered, or a circuit that is no path.
    pub fn new(setup: Setup, options: WorldOptions) -> Result<Self, SetupError> {
        let Setup { nodes, links, circuits, demands, faults } = setup;
        let mut schedule = Schedule::new();
        let too_many = SetupError::TooMany(nodes.len() + links.len());
        let mut source = || schedule.add_source().map_err(|_| too_many.clone());
        let sources = Sources {
            nodes: nodes.iter().map(|_| source()).collect::<Result<_, _>>()?,
            links: links.iter().map(|_| source()).collect::<Result<_, _>>()?,
            outside: source()?,
        };
        let stream = |entity, purpose| Stream::new(options.seed, entity, Purpose::named(purpose));
        let memories = number_memories(&nodes, &links)?;
        let stations = nodes.iter().enumerate().map(|(place, node)| Station {
            machine: None,
            model: Arc::clone(&node.model),
            first: memories.of_node[place].0,
            memories: memories.of_node[place].1,
            life: 0,
            woken: Time::MAX,
            communication: memories.shares[place].then(CommunicationQubit::new),
            stream: stream(node.entity, "entanglement-node"),
        });
        let stations: Vec<_> = stations.collect();
        let wires =
            links.into_iter().zip(&memories.of_link).enumerate().map(|(place, (setup, first))| Wire {
                hardware: LinkHardware::new(
                    Arc::clone(&setup.model),
                    Midpoint::new(LinkId(place as u32), 1),
                    stream(setup.entity, "heralds"),
                    setup.memories[0].min(setup.memories[1]),
                ),
                first: *first,
                cut: false,
                stream: stream(setup.entity, "link-messages"),
                attempts: 0,
                setup,
            });
        let wires: Vec<_> = wires.collect();
        let asked = demands.into_iter().map(|setup| {
            let fate = stream(setup.entity, "pair-demand");
            Asked { setup, tally: DemandTally::default(), open: BTreeMap::new(), made: 0, fate }
        });
        let demands: Vec<_> = asked.collect();
        let sampling = options.sampling.map(|every| Sampling {
            every,
            samples: Vec::new(),
            by_node: vec![0; stations.len()],
        });
        let mut world = Self {
            holdings: Holdings::new(memories.noise, memories.noises, options.budgets),
            places: memories.places,
            schedule,
            sources,
            nodes: stations,
            setups: nodes,
            wires,
            circuits,
            demands,
            faults: faults.iter().map(|fault| fault.kind).collect(),
            parcels: Parcels::default(),
            as_bytes: options.as_bytes,
            wanted: super::Wanted::default(),
            doing: super::Wanted::default(),
            work: Work::default(),
            sampling,
            kept: BTreeMap::new(),
            seed: options.seed,
            programs: None,
        };
        world.check_circuits()?;
        world.attach();
        for (number, fault) in faults.iter().enumerate() {
            world.at(world.sources.outside, fault.at, Happening::Fault(number as u32));
        }
        for demand in 0..world.demands.len() {
            let setup = &world.demands[demand].setup;
            let head = world.circuits[setup.circuit].nodes[0];
            world.at(world.sources.nodes[head.index()], setup.start, Happening::Request(demand as u32));
        }
        if let Some(every) = options.sampling {
            world.at(world.sources.outside, Time::ZERO.saturating_add(every), Happening::Sample);
        }
        Ok(world)
    }

    fn check_circuits(&self) -> Result<(), SetupError> {
        for (place, circuit) in self.circuits.iter().enumerate() {
            let joined = |n: usize, link: &LinkId| {
                let Some(wire) = self.wires.get(link.index()) else { return false };
                let pair = [circuit.nodes[n], circuit.nodes[n + 1]];
                wire.setup.ends == pair || wire.setup.ends == [pair[1], pair[0]]
            };
            let long = circuit.nodes.len() > 1 && circuit.links.len() + 1 == circuit.nodes.len();
            if !long || !circuit.links.iter().enumerate().all(|(n, link)| joined(n, link)) {
                return Err(SetupError::NoPath(place));
            }
        }
        match self.demands.iter().find(|asked| asked.setup.circuit >= self.circuits.len()) {
            Some(asked) => Err(SetupError::NoPath(asked.setup.circuit)),
            None => Ok(()),
        }
    }

    /// All nodes start.
    fn attach(&mut self) {
        let mut links: Vec<Vec<(u32, usize)>> = vec![Vec::new(); self.nodes.len()];
        for (place, wire) in self.wires.iter().enumerate() {
            for end in 0..2 {
                links[wire.setup.ends[end].index()].push((place as u32, end));
            }
        }
        let mut circuits: Vec<Vec<(u32, u32)>> = vec![Vec::new(); self.nodes.len()];
        for (place, circuit) in self.circuits.iter().enumerate() {
            for (n, node) in circuit.nodes.iter().enumerate() {
                circuits[node.index()].push((place as u32, n as u32));
            }
        }
        for node in 0..self.nodes.len() {
            self.begin(Time::ZERO, node, &links[node], &circuits[node]);
        }
        self.settle(Time::ZERO);
    }

    fn begin(&mut self, now: Time, node: usize, links: &[(u32, usize)], circuits: &[(u32, u32)]) {
        self.nodes[node].life += 1;
        let life = self.nodes[node].life;
        let place = |&(link, end): &(u32, usize)| {
            let Wire { setup, first, .. } = &self.wires[link as usize];
            let memories = first[end].0..first[end].0 + setup.memories[end];
            NodeLink {
                place: LinkPlace {
                    link: LinkId(link),
                    numbers: end == 0,
                    life,
                    memories: memories.map(MemoryId).collect(),
                },
                peer: setup.ends[1 - end],
                settings: Arc::clone(&setup.settings),
            }
        };
        let mut machine = EntanglementNode::new(self.setups[node].claimed, links.iter().map(place).collect());
        for &(number, place) in circuits {
            let circuit = &self.circuits[number as usize];
            let installed = self.circuit_at(number, circuit, place as usize);
            // It was checked that the circuit is a path, and its number is given once.
            let result = machine.install(installed);
            debug_assert!(result.is_ok(), "{result:?}");
        }
        self.nodes[node].machine = Some(machine);
        self.on(node as u32, now, |machine, out| machine.start(now, out));
    }

    fn circuit_at(&self, number: u32, circuit: &CircuitSetup, place: usize) -> Circuit {
        let hop = |link: usize, peer: usize| Hop { link: circuit.links[link], peer: circuit.nodes[peer] };
        let delays = circuit.links.iter().map(|link| self.wires[link.index()].setup.settings.delay);
        let swaps = circuit.nodes.iter().map(|node| self.nodes[node.index()].model.swap_time);
        let one_way = delays.chain(swaps).fold(Duration::ZERO, |sum, span| sum + span);
        let far = circuit.nodes[if place == 0 { circuit.nodes.len() - 1 } else { 0 }];
        Circuit {
            id: CircuitId(number.into()),
            towards_head: (place > 0).then(|| hop(place - 1, place - 1)),
            towards_tail: (place + 1 < circuit.nodes.len()).then(|| hop(place, place + 1)),
            link_fidelity: circuit.link_fidelities[place.min(circuit.links.len() - 1)],
            far_memory: self.setups[far.index()].claimed.memory,
            weight: circuit.weight,
            cutoff: circuit.cutoff,
            choice: circuit.choice,
            round_trip: one_way.saturating_mul(2).max(LEAST_ROUND_TRIP),
        }
    }

    /// A node that had stopped starts again; what it was told of circuits is told it again.
    pub(super) fn restart(&mut self, now: Time, node: NodeId) {
        let ends = |wire: &Wire| wire.setup.ends.iter().position(|end| *end == node);
        let links = self.wires.iter().enumerate();
        let links: Vec<_> = links.filter_map(|(place, wire)| Some((place as u32, ends(wire)?))).collect();
        let on = |circuit: &CircuitSetup| circuit.nodes.iter().position(|other| *other == node);
        let circuits = self.circuits.iter().enumerate();
        let circuits: Vec<_> =
            circuits.filter_map(|(place, circuit)| Some((place as u32, on(circuit)? as u32))).collect();
        self.begin(now, node.index(), &links, &circuits);
    }
}

struct Memories {
    noise: Vec<u16>,
    noises: Vec<MemoryNoise>,
    places: Vec<Place>,
    /// The first memory of each node and how many it has.
    of_node: Vec<(u32, u16)>,
    of_link: Vec<[MemoryId; 2]>,
    /// Whether links of the node share a communication qubit.
    shares: Vec<bool>,
}

/// Numbers memories: by node, and within a node by link.
fn number_memories(nodes: &[NodeSetup], links: &[LinkSetup]) -> Result<Memories, SetupError> {
    let mut counts = vec![0usize; nodes.len()];
    let mut of_link = Vec::with_capacity(links.len());
    let mut shares = vec![false; nodes.len()];
    for link in links {
        let mut first = [MemoryId(0); 2];
        for (end, first) in first.iter_mut().enumerate() {
            let node = link.ends[end].index();
            *first = MemoryId(u16::try_from(counts[node]).unwrap_or(u16::MAX));
            counts[node] += usize::from(link.memories[end]);
            if counts[node] > usize::from(u16::MAX) {
                return Err(SetupError::Memories { node, memories: counts[node] });
            }
            shares[node] |= link.roles[end] != QubitRole::Own;
        }
        of_link.push(first);
    }
    let mut total = 0;
    let of_node: Vec<_> = counts
        .iter()
        .map(|count| {
            let first = total;
            total += *count as u32;
            (first, *count as u16)
        })
        .collect();
    let mut noises: Vec<MemoryNoise> = Vec::new();
    let mut noise = vec![0; total as usize];
    let mut places = vec![Place { link: 0, end: 0, slot: 0 }; total as usize];
    for (number, (link, first)) in links.iter().zip(&of_link).enumerate() {
        for (end, first) in first.iter().enumerate() {
            let node = link.ends[end].index();
            let model = &nodes[node].model;
            let kept = match link.roles[end] {
                QubitRole::Storage => model.storage,
                QubitRole::Own | QubitRole::Communication => model.communication,
            };
            // Few kinds of qubits serve many nodes.
            let kind = noises.iter().position(|known| *known == kept).unwrap_or_else(|| {
                noises.push(kept);
                noises.len() - 1
            });
            for slot in 0..link.memories[end] {
                let cell = (of_node[node].0 + u32::from(first.0) + u32::from(slot)) as usize;
                noise[cell] = kind as u16;
                places[cell] = Place { link: number as u32, end: end as u8, slot };
            }
        }
    }
    Ok(Memories { noise, noises, places, of_node, of_link, shares })
}
