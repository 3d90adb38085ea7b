//! A chain of repeaters, from heralds to pairs at both ends: both layers of every node, without any physics.
//!
//! Five memories on each side, a herald in a thousand attempts, perfect swaps: the chain of the comparison with other
//! simulators. The goal is 1 µs a pair for three nodes, and 11 µs for seventeen, on one core, the queue of this bench
//! included. Each chain also tells its CPU time a pair, which other work on the machine does not distort, its events a
//! pair by kind, and how many bytes a node holds.

use bellwether_protocol::entanglement::hardware::HardwareCommand;
use bellwether_protocol::entanglement::link::{
    Arrival, AttemptTag, FidelityLevel, FidelityTable, LinkPlace, LinkSettings, Midpoint, MidpointReply,
};
use bellwether_protocol::entanglement::network::{
    Circuit, Delivered, End, Hop, NetworkEvent, NetworkMessage, NodeQuality, PairChoice, PairRequest,
    RequestId,
};
use bellwether_protocol::entanglement::{
    CircuitId, EntanglementNode, MemoryId, NodeEffect, NodeLink, NodeMessage, Outbox, PairId,
};
use bellwether_quantum::MemoryNoise;
use bellwether_quantum::bell::{BellIndex, SwapQuality};
use bellwether_units::{Duration, EntityId, LinkId, NodeId, Purpose, Stream, Time};
use core::cmp::Reverse;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::collections::BinaryHeap;
use std::sync::Arc;

const MEMORIES: u16 = 5;
const CYCLE: Duration = Duration::from_microseconds(10);
const DELAY: Duration = Duration::from_microseconds(50);

enum Happening {
    Message { from: usize, to: usize, link: LinkId, message: NodeMessage },
    Attempt { link: usize, slot: usize, tags: [AttemptTag; 2] },
    Reply { node: usize, reply: MidpointReply },
    Swapped { node: usize, token: u64 },
    Timeout(usize),
    Release { node: usize, circuit: CircuitId, pair: PairId, memory: MemoryId },
}

/// What happens, as the histogram has it.
const KINDS: [&str; 9] = [
    "messages of links",
    "tracks",
    "tracks told again",
    "other messages of circuits",
    "attempts",
    "replies",
    "swaps",
    "timeouts",
    "releases",
];

impl Happening {
    fn kind(&self) -> usize {
        match self {
            Self::Message { message: NodeMessage::Link(_), .. } => 0,
            Self::Message { message: NodeMessage::Network(NetworkMessage::Track(track)), .. } => {
                1 + usize::from(track.again)
            }
            // Circuits are installed by hand here, and none purifies.
            Self::Message { .. } => 3,
            Self::Attempt { .. } => 4,
            Self::Reply { .. } => 5,
            Self::Swapped { .. } => 6,
            Self::Timeout(_) => 7,
            Self::Release { .. } => 8,
        }
    }
}

/// Chains of equal length side by side, each with a circuit from end to end.
struct Chains {
    nodes: Vec<EntanglementNode>,
    asked: Vec<Option<Time>>,
    midpoints: Vec<Midpoint>,
    armed: Vec<[[Option<AttemptTag>; MEMORIES as usize]; 2]>,
    fate: Stream,
    now: Time,
    /// Times, and behind them counts and places: one number is compared quicker than three.
    queue: BinaryHeap<Reverse<u128>>,
    happenings: Vec<Option<Happening>>,
    unused: Vec<u32>,
    counter: u32,
    delivered: u64,
    /// By kind of happening.
    events: [u64; KINDS.len()],
    out: Outbox,
}

impl Chains {
    fn new(chains: usize, length: usize) -> Self {
        let count = chains * length;
        let (heads, tails) = (|n: usize| n.is_multiple_of(length), |n: usize| (n + 1).is_multiple_of(length));
        let level = FidelityLevel { brightness: 0.1, fidelity: 0.95, success: 1e-3 };
        let table = FidelityTable::new(vec![level]).expect("a level");
        let settings = Arc::new(LinkSettings::new(table, CYCLE, DELAY));
        let noise = MemoryNoise::depolarising(Duration::from_whole_seconds(1)).expect("a time");
        let quality = NodeQuality { swap: SwapQuality::PERFECT, memory: noise };
        let node = |n: usize| {
            let link = |link: usize, side: u16, peer: usize| NodeLink {
                place: LinkPlace {
                    link: LinkId(link as u32),
                    numbers: side == 1,
                    life: 1,
                    memories: (side * MEMORIES..(side + 1) * MEMORIES).map(MemoryId).collect(),
                },
                peer: NodeId(peer as u32),
                settings: Arc::clone(&settings),
            };
            let before = (!heads(n)).then(|| link(n - 1, 0, n - 1));
            let after = (!tails(n)).then(|| link(n, 1, n + 1));
            EntanglementNode::new(quality, before.into_iter().chain(after).collect())
        };
        let mut chain = Self {
            nodes: (0..count).map(node).collect(),
            asked: vec![None; count],
            midpoints: (0..count).map(|link| Midpoint::new(LinkId(link as u32), 1)).collect(),
            armed: vec![[[None; MEMORIES as usize]; 2]; count],
            fate: Stream::new(1, EntityId(0), Purpose::named("chain")),
            now: Time::ZERO,
            queue: BinaryHeap::new(),
            happenings: Vec::new(),
            unused: Vec::new(),
            counter: 0,
            delivered: 0,
            events: [0; KINDS.len()],
            out: Outbox::default(),
        };
        let circuit = |n: usize| CircuitId((n / length) as u64);
        for n in 0..count {
            let hop = |link: usize, peer: usize| Hop { link: LinkId(link as u32), peer: NodeId(peer as u32) };
            let circuit = Circuit {
                id: circuit(n),
                towards_head: (!heads(n)).then(|| hop(n - 1, n - 1)),
                towards_tail: (!tails(n)).then(|| hop(n, n + 1)),
                link_fidelity: 0.9,
                far_memory: quality.memory,
                weight: 1,
                cutoff: None,
                choice: PairChoice::Oldest,
                round_trip: DELAY * 2 * length as u64,
            };
            chain.nodes[n].install(circuit).expect("it passes here");
            chain.on(n, |node, now, out| node.start(now, out));
        }
        let id = RequestId(1);
        let request = PairRequest { id, pairs: None, until: None, correct: false, early: false };
        for n in (0..count).filter(|n| heads(*n)) {
            chain.on(n, |node, now, out| node.request(now, circuit(n), request, out).expect("the head"));
        }
        chain
    }

    fn at(&mut self, time: Time, happening: Happening) {
        let place = self.unused.pop().unwrap_or(self.happenings.len() as u32);
        match self.happenings.get_mut(place as usize) {
            Some(unused) => *unused = Some(happening),
            None => self.happenings.push(Some(happening)),
        }
        let key = u128::from(time.picoseconds()) << 64 | u128::from(self.counter) << 32 | u128::from(place);
        self.queue.push(Reverse(key));
        self.counter = self.counter.wrapping_add(1);
    }

    fn on(&mut self, n: usize, act: impl FnOnce(&mut EntanglementNode, Time, &mut Outbox)) {
        act(&mut self.nodes[n], self.now, &mut self.out);
        if let Some(at) = self.nodes[n].deadline()
            && self.asked[n].is_none_or(|old| at < old)
        {
            self.asked[n] = Some(at);
            self.at(at.max(self.now), Happening::Timeout(n));
        }
        for which in 0..self.out.effects.len() {
            self.carry_out(n, which);
        }
        self.out.effects.clear();
    }

    fn carry_out(&mut self, n: usize, which: usize) {
        match self.out.effects[which] {
            NodeEffect::Send { to, link, ref message } => {
                let happening =
                    Happening::Message { from: n, to: to.index(), link, message: message.clone() };
                self.at(self.now + DELAY, happening);
            }
            NodeEffect::Hardware(HardwareCommand::Arm { memory, tag, .. }) => self.arm(n, memory, Some(tag)),
            NodeEffect::Hardware(HardwareCommand::Disarm { memory }) => self.arm(n, memory, None),
            NodeEffect::Hardware(HardwareCommand::Swap { token, .. }) => {
                self.at(self.now + CYCLE, Happening::Swapped { node: n, token });
            }
            NodeEffect::Event(NetworkEvent::Delivered(delivered)) => {
                self.delivered += u64::from(delivered.end == End::Tail);
                let Delivered { circuit, end, id, memory, .. } = delivered;
                let pair = if end == End::Head { id.head } else { id.tail };
                self.at(self.now + CYCLE, Happening::Release { node: n, circuit, pair, memory });
            }
            _ => {}
        }
    }

    fn arm(&mut self, n: usize, memory: MemoryId, tag: Option<AttemptTag>) {
        let link = n + usize::from(memory.0 / MEMORIES) - 1;
        let slot = usize::from(memory.0 % MEMORIES);
        self.armed[link][usize::from(n != link)][slot] = tag;
        let [Some(a), Some(b)] = [0, 1].map(|end| self.armed[link][end][slot]) else { return };
        if a.item == b.item {
            let cycles = 1 + (-self.fate.uniform().max(1e-12).ln() * 1e3) as u64;
            self.at(self.now + CYCLE * cycles, Happening::Attempt { link, slot, tags: [a, b] });
        }
    }

    fn step(&mut self) {
        let Some(Reverse(key)) = self.queue.pop() else { return };
        let place = key as u32;
        self.now = Time::from_picoseconds((key >> 64) as u64);
        self.unused.push(place);
        let Some(happening) = self.happenings[place as usize].take() else { return };
        self.events[happening.kind()] += 1;
        match happening {
            Happening::Message { from, to, link, message } => {
                self.on(to, |node, now, out| node.hear(now, NodeId(from as u32), link, &message, out));
            }
            Happening::Attempt { link, slot, tags } => {
                if [0, 1].map(|end| self.armed[link][end][slot]) != tags.map(Some) {
                    return;
                }
                let cycle = self.now.picoseconds() / CYCLE.picoseconds();
                let bell = BellIndex::new(true, self.fate.bits() & 1 == 1);
                let arrivals = tags.map(|tag| Arrival::Announced { tag, cycle });
                let replies = self.midpoints[link].attempt(arrivals, Some(bell));
                for (end, reply) in replies.into_iter().enumerate() {
                    self.armed[link][end][slot] = None;
                    if let Some(reply) = reply {
                        self.at(self.now + DELAY, Happening::Reply { node: link + end, reply });
                    }
                }
            }
            Happening::Reply { node, reply } => {
                self.on(node, |node, now, out| node.heard_midpoint(now, &reply, out));
            }
            Happening::Swapped { node, token } => {
                let outcome = BellIndex::from_bits(self.fate.bits() as u8 & 3);
                self.on(node, |node, now, out| node.swapped(now, token, Some(outcome), out));
            }
            Happening::Timeout(node) if self.asked[node].is_some_and(|at| at <= self.now) => {
                self.asked[node] = None;
                self.on(node, |node, now, out| node.timeout(now, out));
            }
            Happening::Release { node, circuit, pair, memory } => {
                self.on(node, |node, now, out| node.released(now, circuit, pair, memory, out));
            }
            // An earlier one was asked for since, and has come.
            Happening::Timeout(_) => {}
        }
    }

    fn deliver(&mut self, pairs: u64) {
        let goal = self.delivered + pairs;
        while self.delivered < goal {
            self.step();
        }
    }
}

/// Nanoseconds that this thread has had of a processor, where the system tells.
fn processor_time() -> Option<f64> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok()
}
/// Bytes of memory that this process occupies, where the system tells.
fn occupied() -> Option<f64> {
    let pages: f64 = std::fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096.0)
}

/// What a pair costs, beside the time by the clock on the wall.
fn costs(name: &str, chain: &mut Chains) {
    let (events, delivered, before) = (chain.events, chain.delivered, processor_time());
    chain.deliver(20_000);
    let pairs = (chain.delivered - delivered) as f64;
    let each: Vec<_> =
        chain.events.iter().zip(events).map(|(now, then)| (now - then) as f64 / pairs).collect();
    let all = each.iter().sum::<f64>();
    println!("{name}: {all:.1} events a pair");
    if let (Some(before), Some(after)) = (before, processor_time()) {
        let pair = (after - before) * 1e-3 / pairs;
        println!("{name}: {pair:.3} µs of a processor a pair, {:.1} million events a second", all / pair);
    }
    for (kind, each) in KINDS.iter().zip(each) {
        println!("    {kind}: {each:.2}");
    }
}

/// What a node of a chain holds, before there are any pairs and after some.
fn bytes(_: &mut Criterion) {
    const NODES: usize = 50_000;
    let before = occupied();
    let mut chain = Chains::new(1, NODES);
    let per_node = |name: &str| {
        if let (Some(before), Some(after)) = (before, occupied()) {
            println!("{NODES} nodes in a chain, {name}: {:.0} bytes a node", (after - before) / NODES as f64);
        }
    };
    per_node("with a circuit that waits");
    let horizon = Time::ZERO + Duration::from_milliseconds(20);
    while chain.now < horizon {
        chain.step();
    }
    per_node("after 20 ms");
}

fn many(_: &mut Criterion) {
    let mut chains = Chains::new(333, 3);
    chains.deliver(20_000);
    costs("333 chains of 3 nodes", &mut chains);
    drop(chains);
    for (count, length) in [(333, 3), (111, 9), (59, 17)] {
        one_by_one(count, length);
    }
}

/// A thousand nodes as the simulator runs them on one thread: chains that share no node are driven one after the other, each
/// through the same span of time.
fn one_by_one(count: usize, length: usize) {
    let mut chains: Vec<_> = (0..count).map(|_| Chains::new(1, length)).collect();
    let mut until = |end: Time| {
        for chain in &mut chains {
            while chain.now < end {
                chain.step();
            }
        }
        chains.iter().map(|chain| chain.events.iter().sum::<u64>()).sum::<u64>()
    };
    let warm = Time::ZERO + Duration::from_milliseconds(200);
    let (before, started) = (until(warm), processor_time());
    let (after, ended) = (until(warm + Duration::from_whole_seconds(1)), processor_time());
    if let Some((started, ended)) = started.zip(ended) {
        let rate = (after - before) as f64 / (ended - started) * 1e3;
        println!("{count} chains of {length} nodes, one after the other: {rate:.1} million events a second");
    }
}

fn circuits(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("circuits");
    group.sample_size(10);
    for count in [3, 5, 9, 17] {
        let mut chain = Chains::new(1, count);
        chain.deliver(2000);
        costs(&format!("{count} nodes"), &mut chain);
        group.throughput(Throughput::Elements(1000));
        group.bench_with_input(BenchmarkId::from_parameter(count), &count, |bencher, _| {
            bencher.iter(|| chain.deliver(1000));
        });
    }
    group.finish();
}

criterion_group!(benches, circuits, many, bytes);
criterion_main!(benches);
