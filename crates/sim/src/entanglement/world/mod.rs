//! The nodes of an entanglement network, the links between them and what their memories hold, in virtual time.

mod carry_out;
mod circuits;
mod for_programs;
mod nodes;
mod parcels;
mod start;

pub(super) use for_programs::ProgramEvent;
pub use start::WorldOptions;

use super::account::{DemandTally, LinkTally, Work};
use super::hardware::{Cell, Devices};
use super::setup::{FaultKind, Setup};
use bellwether_protocol::entanglement::network::{PairRequest, RequestId};
use bellwether_protocol::entanglement::{CircuitId, MemoryId, NodeMessage, PairId};
use bellwether_units::{LinkId, NodeId, Time};
use nodes::Nodes;
use parcels::Parcel;
use std::collections::BTreeMap;

/// What happens. Small, since the kernel moves it about; what is large waits in a parcel.
#[derive(Clone, Copy, Debug)]
enum Happening {
    /// A message or a reply arrives, or a device has done something.
    Parcel(u32),
    /// A node wanted to be woken.
    Timeout(u32),
    /// An attempt of a link is heralded, if nothing came between.
    Attempt { link: u32, slot: u16, generation: u32 },
    /// A demand makes a request.
    Request(u32),
    /// Something happens to a link or node.
    Fault(u32),
    /// Memories are counted.
    Sample,
}

const _: () = assert!(size_of::<Happening>() <= 16);

/// A network in virtual time.
pub struct World {
    devices: Devices,
    nodes: Nodes,
    /// What there is; demands and faults have their own places.
    setup: Setup,
    /// By circuit.
    lines: Vec<circuits::Line>,
    faults: Vec<FaultKind>,
    /// Whether messages travel as bytes.
    as_bytes: bool,
    sampling: Option<Sampling>,
    /// Which pairs applications keep for a while: by memory.
    kept: BTreeMap<Cell, PairId>,
    /// What keys the streams.
    seed: u64,
}

/// How often memories are counted, and what was counted: by node, how many of its memories held something.
struct Sampling {
    every: bellwether_units::Duration,
    samples: Vec<(Time, u64)>,
    by_node: Vec<u64>,
}

impl World {
    /// How much it did.
    pub fn work(&self) -> Work {
        Work { until: self.nodes.schedule.now(), ..self.nodes.work }
    }
    /// What each demand got.
    pub fn demands(&self) -> impl Iterator<Item = &DemandTally> {
        self.nodes.demands.iter().map(|asked| &asked.tally)
    }
    /// What each link did.
    pub fn links(&self) -> impl Iterator<Item = LinkTally> + '_ {
        (0..self.setup.links.len() as u32).map(|link| {
            let (pairs, attempts) = self.devices.made_by(LinkId(link));
            LinkTally { pairs, attempts }
        })
    }
    /// How many memories each node has, and how many of them held something on average; if they were counted.
    pub fn occupancy(&self) -> Vec<(u16, Option<f64>)> {
        let mean = |node: usize| {
            let sampling = self.sampling.as_ref()?;
            let count = sampling.samples.len();
            (count > 0).then(|| sampling.by_node[node] as f64 / count as f64)
        };
        let memories = |node: usize| self.devices.memories(NodeId(node as u32));
        (0..self.setup.nodes.len()).map(|node| (memories(node), mean(node))).collect()
    }
    /// How many memories of all held something, whenever they were counted.
    pub fn samples(&self) -> &[(Time, u64)] {
        self.sampling.as_ref().map_or(&[], |sampling| &sampling.samples)
    }
    /// How many pairs there are now, in memories.
    pub fn live_pairs(&self) -> usize {
        self.devices.holdings().pairs()
    }

    /// Runs up to and with `end`, or until nothing is left to happen.
    pub fn run_until(&mut self, end: Time) {
        while self.step(end) {}
    }
    /// Runs until so many pairs were used by all demands together, at most until `end`; whether there were so many.
    pub fn run_for_pairs(&mut self, pairs: u64, end: Time) -> bool {
        let used = |world: &Self| world.nodes.demands.iter().map(|asked| asked.tally.pairs).sum::<u64>();
        while used(self) < pairs {
            if !self.step(end) {
                return false;
            }
        }
        true
    }

    fn step(&mut self, end: Time) -> bool {
        let Some(event) = self.nodes.schedule.next_until(end) else { return false };
        self.nodes.work.events += 1;
        let now = event.time;
        match event.event {
            Happening::Parcel(number) => {
                let parcel = self.nodes.parcels.take(number);
                self.arrive(now, parcel);
            }
            Happening::Timeout(node) => self.nodes.timeout(node, now),
            Happening::Attempt { link, slot, generation } => {
                self.devices.attempt(now, link, slot, generation, &mut self.nodes);
            }
            Happening::Request(demand) => self.request(now, demand),
            Happening::Fault(number) => self.fault(now, self.faults[number as usize]),
            Happening::Sample => self.sample(now),
        }
        self.settle(now);
        true
    }

    fn arrive(&mut self, now: Time, parcel: Parcel) {
        match parcel {
            Parcel::Message { from, to, link, message } => {
                if !self.devices.is_cut(link) {
                    self.nodes.on(to.0, now, |machine, out| machine.hear(now, from, link, &message, out));
                }
            }
            Parcel::Bytes { from, to, link, bytes } => {
                if !self.devices.is_cut(link)
                    && let Ok(message) = NodeMessage::decode(&bytes)
                {
                    self.nodes.on(to.0, now, |machine, out| machine.hear(now, from, link, &message, out));
                }
            }
            Parcel::Device(happening) => self.devices.happen(now, happening, &mut self.nodes),
            Parcel::Open(circuit) => self.open_again(now, circuit),
            Parcel::ForPrograms(token) => self.tell_programs(ProgramEvent::Due(token)),
            Parcel::Released { node, circuit, pair, memory, life } => {
                // A pair that was revoked meanwhile has been given back.
                let cell = self.cell(node, memory);
                if self.nodes.nodes[node.index()].life == life && self.kept.get(&cell) == Some(&pair) {
                    self.release(now, node.0, circuit, pair, memory);
                }
            }
        }
    }

    fn release(&mut self, now: Time, node: u32, circuit: CircuitId, pair: PairId, memory: MemoryId) {
        let cell = self.cell(NodeId(node), memory);
        if !self.kept.is_empty() {
            self.kept.remove(&cell);
        }
        self.devices.reset(now, cell, &mut self.nodes);
        self.nodes.on(node, now, |machine, out| machine.released(now, circuit, pair, memory, out));
    }

    /// Does what nodes want until nobody wants anything. What they want meanwhile comes after.
    fn settle(&mut self, now: Time) {
        let (mut turn, mut effect) = (0, 0);
        while let Some(&(node, count)) = self.nodes.wanted.turns.get(turn) {
            turn += 1;
            for _ in 0..count {
                self.carry_out(now, node, effect);
                effect += 1;
            }
        }
        self.nodes.wanted.turns.clear();
        self.nodes.wanted.out.effects.clear();
    }

    fn sample(&mut self, now: Time) {
        let Some(sampling) = &mut self.sampling else { return };
        let mut all = 0;
        for (node, total) in sampling.by_node.iter_mut().enumerate() {
            let held = self.devices.held(NodeId(node as u32));
            *total += held;
            all += held;
        }
        sampling.samples.push((now, all));
        let next = now.saturating_add(sampling.every);
        self.nodes.at(self.nodes.sources.outside, next, Happening::Sample);
    }

    fn request(&mut self, now: Time, demand: u32) {
        let asked = &mut self.nodes.demands[demand as usize];
        let setup = &asked.setup;
        let enough = setup.requests.is_some_and(|most| asked.made >= most);
        if enough || setup.stop.is_some_and(|stop| now > stop) {
            return;
        }
        let request = asked.made;
        asked.made += 1;
        asked.tally.requests += 1;
        asked.open.insert(request, now);
        let head = self.setup.circuits[setup.circuit].nodes[0];
        let place = setup.circuit;
        let wanted = PairRequest {
            id: RequestId(u64::from(demand) << 40 | request),
            pairs: setup.pairs,
            until: setup.within.map(|within| now.saturating_add(within)),
            correct: setup.correct,
            early: setup.use_of_pairs == super::setup::PairUse::Early,
        };
        if let Some(every) = setup.every {
            let source = self.nodes.sources.nodes[head.index()];
            self.nodes.at(source, now.saturating_add(every), Happening::Request(demand));
        }
        self.ask(now, place, wanted);
    }
}

impl World {
    /// Where a node's memory is among all.
    pub(in crate::entanglement) fn cell(&self, node: NodeId, memory: MemoryId) -> Cell {
        self.devices.cell(node, memory)
    }
}

/// Which demand a request belongs to, and which of its requests it is.
const fn whose(request: RequestId) -> (u32, u64) {
    ((request.0 >> 40) as u32, request.0 & ((1 << 40) - 1))
}
