//! From a setup to a world that can run.

use super::nodes::{Asked, Node, Nodes, Sources, Wanted};
use super::parcels::Parcels;
use super::{Happening, Sampling, World};
use crate::entanglement::account::{DemandTally, Work};
use crate::entanglement::hardware::{DeviceOptions, Devices};
use crate::entanglement::setup::{CircuitSetup, LinkSetup, Setup, SetupError};
use crate::kernel::Schedule;
use bellwether_protocol::entanglement::link::LinkPlace;
use bellwether_protocol::entanglement::network::{Circuit, Hop};
use bellwether_protocol::entanglement::{CircuitId, EntanglementNode, MemoryId, NodeLink};
use bellwether_quantum::density::Readout;
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
        let device_options = DeviceOptions {
            seed: options.seed,
            epoch: 1,
            as_bytes: options.as_bytes,
            budgets: options.budgets,
        };
        let devices = Devices::new(&nodes, &links, device_options)?;
        let purpose = Purpose::named("pair-demand");
        let asked = demands.into_iter().map(|setup| {
            let fate = Stream::new(options.seed, setup.entity, purpose);
            let circuit = circuits.get(setup.circuit).ok_or(SetupError::NoPath(setup.circuit))?;
            let ends = [circuit.nodes.first(), circuit.nodes.last()];
            let readouts =
                ends.map(|node| node.map_or(Readout::PERFECT, |node| devices.model(*node).readout));
            let tally = DemandTally::default();
            Ok(Asked { setup, tally, open: BTreeMap::new(), made: 0, fate, readouts })
        });
        let demands = asked.collect::<Result<Vec<_>, SetupError>>()?;
        let sampling = options.sampling.map(|every| Sampling {
            every,
            samples: Vec::new(),
            by_node: vec![0; nodes.len()],
        });
        let stacks = Nodes {
            schedule,
            sources,
            nodes: nodes.iter().map(|_| Node::stopped()).collect(),
            parcels: Parcels::default(),
            wanted: Wanted::default(),
            demands,
            work: Work::default(),
            programs: None,
        };
        let mut world = Self {
            devices,
            nodes: stacks,
            setups: nodes,
            links,
            circuits,
            faults: faults.iter().map(|fault| fault.kind).collect(),
            as_bytes: options.as_bytes,
            doing: Wanted::default(),
            sampling,
            kept: BTreeMap::new(),
            seed: options.seed,
        };
        world.check_circuits()?;
        world.attach();
        let Nodes { sources: Sources { outside, .. }, .. } = world.nodes;
        for (number, fault) in faults.iter().enumerate() {
            world.nodes.at(outside, fault.at, Happening::Fault(number as u32));
        }
        for demand in 0..world.nodes.demands.len() {
            let setup = &world.nodes.demands[demand].setup;
            let (head, start) = (world.circuits[setup.circuit].nodes[0], setup.start);
            let source = world.nodes.sources.nodes[head.index()];
            world.nodes.at(source, start, Happening::Request(demand as u32));
        }
        if let Some(every) = options.sampling {
            world.nodes.at(outside, Time::ZERO.saturating_add(every), Happening::Sample);
        }
        Ok(world)
    }

    fn check_circuits(&self) -> Result<(), SetupError> {
        for (place, circuit) in self.circuits.iter().enumerate() {
            let joined = |n: usize, link: &LinkId| {
                let Some(setup) = self.links.get(link.index()) else { return false };
                let pair = [circuit.nodes[n], circuit.nodes[n + 1]];
                setup.ends == pair || setup.ends == [pair[1], pair[0]]
            };
            let long = circuit.nodes.len() > 1 && circuit.links.len() + 1 == circuit.nodes.len();
            if !long || !circuit.links.iter().enumerate().all(|(n, link)| joined(n, link)) {
                return Err(SetupError::NoPath(place));
            }
        }
        Ok(())
    }

    /// All nodes start.
    fn attach(&mut self) {
        let mut links: Vec<Vec<(u32, usize)>> = vec![Vec::new(); self.setups.len()];
        for (place, setup) in self.links.iter().enumerate() {
            for end in 0..2 {
                links[setup.ends[end].index()].push((place as u32, end));
            }
        }
        let mut circuits: Vec<Vec<(u32, u32)>> = vec![Vec::new(); self.setups.len()];
        for (place, circuit) in self.circuits.iter().enumerate() {
            for (n, node) in circuit.nodes.iter().enumerate() {
                circuits[node.index()].push((place as u32, n as u32));
            }
        }
        for node in 0..self.setups.len() {
            self.begin(Time::ZERO, node, &links[node], &circuits[node]);
        }
        self.settle(Time::ZERO);
    }

    fn begin(&mut self, now: Time, node: usize, links: &[(u32, usize)], circuits: &[(u32, u32)]) {
        self.nodes.nodes[node].life += 1;
        let life = self.nodes.nodes[node].life;
        let place = |&(link, end): &(u32, usize)| {
            let setup = &self.links[link as usize];
            let first = self.devices.first_memory(LinkId(link), end).0;
            let memories = first..first + setup.memories[end];
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
        self.nodes.nodes[node].machine = Some(machine);
        self.nodes.on(node as u32, now, |machine, out| machine.start(now, out));
    }

    fn circuit_at(&self, number: u32, circuit: &CircuitSetup, place: usize) -> Circuit {
        let hop = |link: usize, peer: usize| Hop { link: circuit.links[link], peer: circuit.nodes[peer] };
        let delays = circuit.links.iter().map(|link| self.links[link.index()].settings.delay);
        let swaps = circuit.nodes.iter().map(|node| self.devices.model(*node).swap_time);
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
        let end = |setup: &LinkSetup| setup.ends.iter().position(|end| *end == node);
        let links = self.links.iter().enumerate();
        let links: Vec<_> = links.filter_map(|(place, setup)| Some((place as u32, end(setup)?))).collect();
        let on = |circuit: &CircuitSetup| circuit.nodes.iter().position(|other| *other == node);
        let circuits = self.circuits.iter().enumerate();
        let circuits: Vec<_> =
            circuits.filter_map(|(place, circuit)| Some((place as u32, on(circuit)? as u32))).collect();
        self.begin(now, node.index(), &links, &circuits);
    }
}
