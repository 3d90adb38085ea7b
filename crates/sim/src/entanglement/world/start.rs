//! From a setup to a world that can run.

use super::circuits::Line;
use super::nodes::{Asked, Node, Nodes, Sources, Wanted};
use super::parcels::Parcels;
use super::{Happening, Sampling, World};
use crate::entanglement::account::{DemandTally, Work};
use crate::entanglement::hardware::{DeviceOptions, Devices};
use crate::entanglement::setup::{Setup, SetupError};
use crate::entanglement::stack;
use crate::kernel::Schedule;
use bellwether_quantum::density::Readout;
use bellwether_units::{Duration, LinkId, NodeId, Purpose, Stream, Time};
use std::collections::BTreeMap;

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
        let lines = circuits.iter().map(|_| Line::default()).collect();
        let mut world = Self {
            devices,
            nodes: stacks,
            setup: Setup { nodes, links, circuits, ..Setup::default() },
            lines,
            faults: faults.iter().map(|fault| fault.kind).collect(),
            as_bytes: options.as_bytes,
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
            let (head, start) = (world.setup.circuits[setup.circuit].nodes[0], setup.start);
            let source = world.nodes.sources.nodes[head.index()];
            world.nodes.at(source, start, Happening::Request(demand as u32));
        }
        if let Some(every) = options.sampling {
            world.nodes.at(outside, Time::ZERO.saturating_add(every), Happening::Sample);
        }
        Ok(world)
    }

    fn check_circuits(&self) -> Result<(), SetupError> {
        for (place, circuit) in self.setup.circuits.iter().enumerate() {
            let joined = |n: usize, link: &LinkId| {
                let Some(setup) = self.setup.links.get(link.index()) else { return false };
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
        let mut links: Vec<Vec<(u32, usize)>> = vec![Vec::new(); self.setup.nodes.len()];
        for (place, setup) in self.setup.links.iter().enumerate() {
            for end in 0..2 {
                links[setup.ends[end].index()].push((place as u32, end));
            }
        }
        let mut circuits: Vec<Vec<(u32, u32)>> = vec![Vec::new(); self.setup.nodes.len()];
        for (place, circuit) in self.setup.circuits.iter().enumerate() {
            for (n, node) in circuit.nodes.iter().enumerate() {
                circuits[node.index()].push((place as u32, n as u32));
            }
        }
        for node in 0..self.setup.nodes.len() {
            self.begin(Time::ZERO, node, &links[node], &circuits[node]);
        }
        self.open_all(Time::ZERO);
        self.settle(Time::ZERO);
    }

    fn begin(&mut self, now: Time, node: usize, links: &[(u32, usize)], circuits: &[(u32, u32)]) {
        self.nodes.nodes[node].life += 1;
        let life = self.nodes.nodes[node].life;
        let first = |link, end| self.devices.first_memory(link, end);
        // By hand, but for circuits that are signalled.
        let by_hand = |(circuit, _): &&(u32, u32)| !self.setup.circuits[*circuit as usize].signalled;
        let by_hand: Vec<_> = circuits.iter().filter(by_hand).copied().collect();
        let id = NodeId(node as u32);
        let mut machine = stack::machine(&self.setup, id, life, links, &by_hand, first);
        if by_hand.len() < circuits.len() {
            machine.signal(stack::signalling(&self.setup, id, links));
        }
        self.nodes.nodes[node].machine = Some(machine);
        self.nodes.on(node as u32, now, |machine, out| machine.start(now, out));
    }

    /// A node that had stopped starts again; what it was told of circuits by hand is told it again, and the circuits that it
    /// opened are opened again.
    pub(super) fn restart(&mut self, now: Time, node: NodeId) {
        let (links, circuits) = stack::concerning(&self.setup, node);
        self.begin(now, node.index(), &links, &circuits);
        self.open_from(now, node);
    }
}
