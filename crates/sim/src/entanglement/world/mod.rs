//! The nodes of an entanglement network, the links between them and what their memories hold, in virtual time.

mod carry_out;
mod for_programs;
mod parcels;
mod start;

pub(super) use for_programs::ProgramEvent;
pub use start::{SetupError, WorldOptions};

use super::account::{DemandTally, LinkTally, Work};
use super::hardware::{Cell, CommunicationQubit, Holdings, LinkHardware, NodeModel, Pending, UsedPair};
use super::setup::{CircuitSetup, DemandSetup, FaultKind, LinkSetup, NodeSetup};
use crate::kernel::Schedule;
use bellwether_protocol::entanglement::network::{Delivered, PairRequest, RequestId};
use bellwether_protocol::entanglement::{
    CircuitId, EntanglementNode, MemoryId, NodeEffect, NodeMessage, PairId,
};
use bellwether_units::{EntityId, NodeId, Stream, Time};
use parcels::{Parcel, Parcels};
use std::collections::BTreeMap;
use std::sync::Arc;

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

/// A node: its machine while it runs, and its devices.
struct Station {
    machine: Option<EntanglementNode>,
    model: Arc<NodeModel>,
    /// Its first memory among those of the world.
    first: Cell,
    memories: u16,
    life: u32,
    /// When it will be woken; the end of time if not at all.
    woken: Time,
    communication: Option<CommunicationQubit>,
    stream: Stream,
}

struct Wire {
    setup: LinkSetup,
    hardware: LinkHardware,
    /// The first memory that each end gives to it.
    first: [MemoryId; 2],
    cut: bool,
    stream: Stream,
    attempts: u64,
}

/// To which slot of which link a memory belongs.
#[derive(Clone, Copy, Debug)]
struct Place {
    link: u32,
    end: u8,
    slot: u16,
}

struct Asked {
    setup: DemandSetup,
    tally: DemandTally,
    /// Since when a pair has been waited for: by request.
    open: BTreeMap<u64, Time>,
    made: u64,
    /// Draws bases, and outcomes of measured pairs.
    fate: Stream,
}

/// A network in virtual time.
pub struct World {
    schedule: Schedule<Happening>,
    sources: Sources,
    nodes: Vec<Station>,
    setups: Vec<NodeSetup>,
    wires: Vec<Wire>,
    circuits: Vec<CircuitSetup>,
    places: Vec<Place>,
    holdings: Holdings,
    demands: Vec<Asked>,
    faults: Vec<FaultKind>,
    parcels: Parcels,
    /// Whether messages travel as bytes.
    as_bytes: bool,
    wanted: Wanted,
    /// Its room, while what is wanted is being done.
    doing: Wanted,
    work: Work,
    sampling: Option<Sampling>,
    /// Which pairs applications keep for a while: by memory.
    kept: BTreeMap<Cell, PairId>,
    /// What keys the streams.
    seed: u64,
    /// What has happened to programs, if any run.
    programs: Option<for_programs::Told>,
}

/// What nodes want done, in order, and how much of it each in turn.
#[derive(Default)]
struct Wanted {
    effects: Vec<NodeEffect>,
    turns: Vec<(u32, usize)>,
}

/// How often memories are counted, and what was counted: by node, how many of its memories held something.
struct Sampling {
    every: bellwether_units::Duration,
    samples: Vec<(Time, u64)>,
    by_node: Vec<u64>,
}

struct Sources {
    nodes: Vec<EntityId>,
    links: Vec<EntityId>,
    outside: EntityId,
}

impl World {
    /// How much it did.
    pub fn work(&self) -> Work {
        Work { until: self.schedule.now(), ..self.work }
    }
    /// What each demand got.
    pub fn demands(&self) -> impl Iterator<Item = &DemandTally> {
        self.demands.iter().map(|asked| &asked.tally)
    }
    /// What each link did.
    pub fn links(&self) -> impl Iterator<Item = LinkTally> + '_ {
        self.wires.iter().map(|wire| LinkTally { pairs: wire.hardware.heralded(), attempts: wire.attempts })
    }
    /// How many memories each node has, and how many of them held something on average; if they were counted.
    pub fn occupancy(&self) -> Vec<(u16, Option<f64>)> {
        let mean = |node: usize| {
            let sampling = self.sampling.as_ref()?;
            let count = sampling.samples.len();
            (count > 0).then(|| sampling.by_node[node] as f64 / count as f64)
        };
        self.nodes.iter().enumerate().map(|(node, station)| (station.memories, mean(node))).collect()
    }
    /// How many memories of all held something, whenever they were counted.
    pub fn samples(&self) -> &[(Time, u64)] {
        self.sampling.as_ref().map_or(&[], |sampling| &sampling.samples)
    }
    /// How many pairs there are now, in memories.
    pub fn live_pairs(&self) -> usize {
        self.holdings.pairs()
    }

    /// Runs up to and with `end`, or until nothing is left to happen.
    pub fn run_until(&mut self, end: Time) {
        while self.step(end) {}
    }
    /// Runs until so many pairs were used by all demands together, at most until `end`; whether there were so many.
    pub fn run_for_pairs(&mut self, pairs: u64, end: Time) -> bool {
        let used = |world: &Self| world.demands.iter().map(|asked| asked.tally.pairs).sum::<u64>();
        while used(self) < pairs {
            if !self.step(end) {
                return false;
            }
        }
        true
    }

    fn step(&mut self, end: Time) -> bool {
        let Some(event) = self.schedule.next_until(end) else { return false };
        self.work.events += 1;
        let now = event.time;
        match event.event {
            Happening::Parcel(number) => {
                let parcel = self.parcels.take(number);
                self.arrive(now, parcel);
            }
            Happening::Timeout(node) => {
                if self.nodes[node as usize].woken == now {
                    self.nodes[node as usize].woken = Time::MAX;
                    let due = self.nodes[node as usize].machine.as_ref().and_then(EntanglementNode::deadline);
                    if due.is_some_and(|at| at <= now) {
                        self.on(node, now, |machine, out| machine.timeout(now, out));
                    } else {
                        self.wake(node, now);
                    }
                }
            }
            Happening::Attempt { link, slot, generation } => self.attempt(now, link, slot, generation),
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
                if !self.wires[link.index()].cut {
                    self.on(to.0, now, |machine, out| machine.hear(now, from, link, &message, out));
                }
            }
            Parcel::Bytes { from, to, link, bytes } => {
                if !self.wires[link.index()].cut
                    && let Ok(message) = NodeMessage::decode(&bytes)
                {
                    self.on(to.0, now, |machine, out| machine.hear(now, from, link, &message, out));
                }
            }
            Parcel::Reply { node, end, reply } => self.reply(now, node, end, &reply),
            Parcel::Moved { node, place, reply } => self.moved(now, node, place, &reply),
            Parcel::Unanswered { node, memory, life } => {
                if self.nodes[node.index()].life == life {
                    self.on(node.0, now, |machine, out| machine.unanswered(now, memory, out));
                }
            }
            Parcel::Swap { node, token, memories, life } => {
                let station = &mut self.nodes[node.index()];
                if station.life != life {
                    return;
                }
                let cells = memories.map(|memory| station.first + Cell::from(memory.0));
                let Station { model, stream, .. } = station;
                let succeeds = model.swap_success >= 1.0 || stream.chance(model.swap_success);
                let outcome =
                    succeeds.then(|| self.holdings.swap(cells, &model.bell_measurement, now, stream));
                self.work.swaps += 1;
                cells.into_iter().for_each(|cell| self.reset(now, cell));
                self.on(node.0, now, |machine, out| machine.swapped(now, token, outcome, out));
            }
            Parcel::Measured { node, memory, basis, outcome, life } => {
                if self.nodes[node.index()].life == life {
                    self.on(node.0, now, |machine, out| machine.measured(now, memory, basis, outcome, out));
                }
            }
            Parcel::ForPrograms(token) => self.tell_programs(ProgramEvent::Due(token)),
            Parcel::Released { node, circuit, pair, memory, life } => {
                // A pair that was revoked meanwhile has been given back.
                let cell = self.cell(node, memory);
                if self.nodes[node.index()].life == life && self.kept.get(&cell) == Some(&pair) {
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
        self.reset(now, cell);
        self.on(node, now, |machine, out| machine.released(now, circuit, pair, memory, out));
    }

    /// Lets a node do something, and notes what it wants.
    #[inline]
    fn on(&mut self, node: u32, now: Time, act: impl FnOnce(&mut EntanglementNode, &mut Vec<NodeEffect>)) {
        let Some(machine) = &mut self.nodes[node as usize].machine else { return };
        self.work.inputs += 1;
        let before = self.wanted.effects.len();
        act(machine, &mut self.wanted.effects);
        self.wanted.turns.push((node, self.wanted.effects.len() - before));
        self.wake(node, now);
    }
    /// Sees to it that a node is woken when it wants to be. Whoever wants it later is woken too early and says so.
    #[inline]
    fn wake(&mut self, node: u32, now: Time) {
        let station = &mut self.nodes[node as usize];
        let Some(at) = station.machine.as_ref().and_then(EntanglementNode::deadline) else { return };
        let at = at.max(now);
        if at < station.woken {
            station.woken = at;
            self.at(self.sources.nodes[node as usize], at, Happening::Timeout(node));
        }
    }
    /// Does what nodes want until nobody wants anything.
    fn settle(&mut self, now: Time) {
        while !self.wanted.turns.is_empty() {
            core::mem::swap(&mut self.wanted, &mut self.doing);
            let Wanted { mut effects, mut turns } = core::mem::take(&mut self.doing);
            let mut each = effects.drain(..);
            for (node, count) in turns.drain(..) {
                for effect in each.by_ref().take(count) {
                    self.carry_out(now, node, effect);
                }
            }
            drop(each);
            self.doing = Wanted { effects, turns };
        }
    }

    #[inline]
    fn at(&mut self, source: EntityId, at: Time, happening: Happening) {
        // Beyond the clock nothing happens any more.
        _ = self.schedule.at(source, at, happening);
    }
    fn pending(&mut self, link: u32, pending: Option<Pending>) {
        if let Some(Pending { at, slot, generation }) = pending {
            self.at(self.sources.links[link as usize], at, Happening::Attempt { link, slot, generation });
        }
    }

    /// A pair of which both halves were used is told to whom it belongs.
    fn used(&mut self, pair: &UsedPair) {
        let Some((demand, request)) = pair.claims[0].whose else { return };
        let asked = &mut self.demands[demand as usize];
        let readouts = {
            let circuit = &self.circuits[asked.setup.circuit];
            let ends = [circuit.nodes.first(), circuit.nodes.last()];
            ends.map(|node| {
                node.map_or(bellwether_quantum::density::Readout::PERFECT, |node| {
                    self.nodes[node.index()].model.readout
                })
            })
        };
        let at = pair.claims[0].at.max(pair.claims[1].at);
        let since = asked.open.get_mut(&request);
        let asked_at = since.as_ref().map_or(at, |since| **since);
        if let Some(since) = since {
            *since = at;
        }
        asked.tally.note(pair, asked_at.min(at), readouts, &mut asked.fate);
    }

    fn sample(&mut self, now: Time) {
        let Some(sampling) = &mut self.sampling else { return };
        let mut all = 0;
        for (node, station) in self.nodes.iter().enumerate() {
            let cells = station.first..station.first + Cell::from(station.memories);
            let held = cells.filter(|cell| self.holdings.holds(*cell)).count() as u64;
            sampling.by_node[node] += held;
            all += held;
        }
        sampling.samples.push((now, all));
        let next = now.saturating_add(sampling.every);
        self.at(self.sources.outside, next, Happening::Sample);
    }

    fn request(&mut self, now: Time, demand: u32) {
        let asked = &mut self.demands[demand as usize];
        let setup = &asked.setup;
        let enough = setup.requests.is_some_and(|most| asked.made >= most);
        if enough || setup.stop.is_some_and(|stop| now > stop) {
            return;
        }
        let request = asked.made;
        asked.made += 1;
        asked.tally.requests += 1;
        asked.open.insert(request, now);
        let head = self.circuits[setup.circuit].nodes[0];
        let circuit = CircuitId(setup.circuit as u64);
        let wanted = PairRequest {
            id: RequestId(u64::from(demand) << 40 | request),
            pairs: setup.pairs,
            until: setup.within.map(|within| now.saturating_add(within)),
            correct: setup.correct,
            early: setup.use_of_pairs == super::setup::PairUse::Early,
        };
        if let Some(every) = setup.every {
            let source = self.sources.nodes[head.index()];
            self.at(source, now.saturating_add(every), Happening::Request(demand));
        }
        // A node that is down, or knows of no such circuit, serves nobody: the request just waits.
        self.on(head.0, now, |machine, out| _ = machine.request(now, circuit, wanted, out));
    }
}

/// Which demand a request belongs to, and which of its requests it is.
const fn whose(request: RequestId) -> (u32, u64) {
    ((request.0 >> 40) as u32, request.0 & ((1 << 40) - 1))
}

/// This end's link pair of a pair that was delivered.
const fn origin(delivered: &Delivered) -> PairId {
    match delivered.end {
        bellwether_protocol::entanglement::network::End::Head => delivered.id.head,
        bellwether_protocol::entanglement::network::End::Tail => delivered.id.tail,
    }
}
