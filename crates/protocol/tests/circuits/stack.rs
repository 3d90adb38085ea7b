//! Link layer and network layer together: from heralds to pairs from end to end.

use crate::light::Light;
use crate::world::World;
use bellwether_protocol::entanglement::link::{
    Arrival, AttemptTag, FidelityLevel, FidelityTable, LinkEffect, LinkPlace, LinkSettings, Midpoint,
    MidpointReply,
};
use bellwether_protocol::entanglement::network::{
    Circuit, Delivered, End, Hop, NetworkEvent, PairChoice, PairRequest, RequestId,
};
use bellwether_protocol::entanglement::{
    CircuitId, EndToEndId, EntanglementNode, MemoryId, NodeEffect, NodeLink, NodeMessage,
};
use bellwether_quantum::bell::BellIndex;
use bellwether_units::{Duration, EntityId, LinkId, NodeId, Purpose, Stream, Time};
use std::collections::BTreeMap;
use std::sync::Arc;

const MEMORIES: u16 = 3;
const CYCLE: Duration = Duration::from_microseconds(10);
const DELAY: Duration = Duration::from_microseconds(50);
const SUCCESS: f64 = 0.05;

enum Happening {
    Message { from: usize, to: usize, link: LinkId, bytes: Vec<u8> },
    Attempt { link: usize, slot: usize, tags: [AttemptTag; 2] },
    Reply { node: usize, reply: MidpointReply },
    Swapped { node: usize, token: u64, left: MemoryId, right: MemoryId },
    Timeout(usize),
    Unanswered { node: usize, memory: MemoryId },
    Release { node: usize, delivered: Delivered },
}

/// A chain with a circuit from end to end.
struct Chain {
    nodes: Vec<EntanglementNode>,
    midpoints: Vec<Midpoint>,
    /// By link and end: what each slot is armed with.
    armed: Vec<[Vec<Option<AttemptTag>>; 2]>,
    light: Light,
    loss: f64,
    fate: Stream,
    now: Time,
    queue: BTreeMap<(Time, u64), Happening>,
    counter: u64,
    delivered: BTreeMap<(EndToEndId, End), Delivered>,
    over: Vec<u64>,
}

/// The memories of node `n` towards lower numbers, and towards higher ones.
fn memories(side: usize) -> Vec<MemoryId> {
    let first = side as u16 * MEMORIES;
    (first..first + MEMORIES).map(MemoryId).collect()
}

const CIRCUIT: CircuitId = CircuitId(7);

impl Chain {
    fn new(count: usize, loss: f64, seed: u64) -> Self {
        let level = FidelityLevel { brightness: 0.1, fidelity: 0.95, success: SUCCESS };
        let table = FidelityTable::new(vec![level]).unwrap();
        let settings = Arc::new(LinkSettings::new(table, CYCLE, DELAY));
        let node = |n: usize| {
            let link = |link: usize, side: usize, peer: usize| NodeLink {
                place: LinkPlace {
                    link: LinkId(link as u32),
                    numbers: side == 1,
                    life: 1,
                    memories: memories(side),
                },
                peer: NodeId(peer as u32),
                settings: Arc::clone(&settings),
            };
            let mut links = Vec::new();
            if n > 0 {
                links.push(link(n - 1, 0, n - 1));
            }
            if n + 1 < count {
                links.push(link(n, 1, n + 1));
            }
            EntanglementNode::new(World::quality(), links)
        };
        let mut chain = Self {
            nodes: (0..count).map(node).collect(),
            midpoints: (0..count - 1).map(|link| Midpoint::new(LinkId(link as u32), 1)).collect(),
            armed: vec![[vec![None; MEMORIES.into()], vec![None; MEMORIES.into()]]; count - 1],
            light: Light::default(),
            loss,
            fate: Stream::new(seed, EntityId(0), Purpose::named("chain")),
            now: Time::ZERO,
            queue: BTreeMap::new(),
            counter: 0,
            delivered: BTreeMap::new(),
            over: Vec::new(),
        };
        for n in 0..count {
            let hop = |link: usize, peer: usize| Hop { link: LinkId(link as u32), peer: NodeId(peer as u32) };
            let circuit = Circuit {
                id: CIRCUIT,
                towards_head: (n > 0).then(|| hop(n - 1, n - 1)),
                towards_tail: (n + 1 < count).then(|| hop(n, n + 1)),
                link_fidelity: 0.9,
                far_memory: World::quality().memory,
                weight: 1,
                cutoff: Some(Duration::from_milliseconds(20)),
                choice: PairChoice::Oldest,
                round_trip: DELAY * 2 * count as u64,
            };
            chain.nodes[n].install(circuit).unwrap();
            chain.on(n, |node, now, out| node.start(now, out));
        }
        chain
    }

    fn at(&mut self, time: Time, happening: Happening) {
        self.queue.insert((time, self.counter), happening);
        self.counter += 1;
    }

    fn on(&mut self, n: usize, act: impl FnOnce(&mut EntanglementNode, Time, &mut Vec<NodeEffect>)) {
        let mut out = Vec::new();
        act(&mut self.nodes[n], self.now, &mut out);
        if let Some(at) = self.nodes[n].deadline() {
            self.at(at.max(self.now), Happening::Timeout(n));
        }
        out.into_iter().for_each(|effect| self.carry_out(n, effect));
    }

    fn carry_out(&mut self, n: usize, effect: NodeEffect) {
        match effect {
            NodeEffect::Send { to, link, message } => {
                if !self.fate.chance(self.loss) {
                    let (to, bytes) = (to.index(), message.encode());
                    self.at(self.now + DELAY, Happening::Message { from: n, to, link, bytes });
                }
            }
            NodeEffect::Link(link, LinkEffect::Arm { memory, tag, .. }) => {
                self.light.lose((n, memory.0));
                self.arm(n, link.index(), memory, Some(tag));
            }
            NodeEffect::Link(link, LinkEffect::Disarm { memory }) => self.arm(n, link.index(), memory, None),
            NodeEffect::Link(_, LinkEffect::Free { memory }) => self.light.lose((n, memory.0)),
            NodeEffect::Swap { token, left, right } => {
                self.at(self.now + CYCLE, Happening::Swapped { node: n, token, left, right });
            }
            NodeEffect::Correct { memory, pauli } => self.light.correct((n, memory.0), pauli),
            NodeEffect::Event(NetworkEvent::Delivered(delivered)) => {
                let end = delivered.end;
                if let Some((other, bell)) = self.light.truth((n, delivered.memory.0)) {
                    assert_eq!(other.0, if n == 0 { self.nodes.len() - 1 } else { 0 });
                    assert_eq!(bell, delivered.bell);
                }
                if let Some(other) = self.delivered.get(&(delivered.id, end.other())) {
                    assert_eq!((other.bell, other.request), (delivered.bell, delivered.request));
                }
                assert!(self.delivered.insert((delivered.id, end), delivered).is_none());
                self.at(self.now + CYCLE * 100, Happening::Release { node: n, delivered });
            }
            NodeEffect::Event(NetworkEvent::RequestOver { delivered, .. }) => self.over.push(delivered),
            // The other end's answers were lost; the link is asked again.
            NodeEffect::CircuitStarved { .. } => assert!(self.loss > 0.0),
            NodeEffect::Event(_) | NodeEffect::Link(..) => {}
        }
    }

    fn arm(&mut self, n: usize, link: usize, memory: MemoryId, tag: Option<AttemptTag>) {
        let end = usize::from(n != link);
        let slot = usize::from(memory.0 % MEMORIES);
        self.armed[link][end][slot] = tag;
        let [Some(a), Some(b)] = [0, 1].map(|end| self.armed[link][end][slot]) else { return };
        if a.item == b.item {
            let mut cycles = 1;
            while !self.fate.chance(SUCCESS) {
                cycles += 1;
            }
            self.at(self.now + CYCLE * cycles, Happening::Attempt { link, slot, tags: [a, b] });
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Message { from, to, link, bytes } => {
                let message = NodeMessage::decode(&bytes).unwrap();
                self.on(to, |node, now, out| node.hear(now, NodeId(from as u32), link, &message, out));
            }
            Happening::Attempt { link, slot, tags } => {
                if [0, 1].map(|end| self.armed[link][end][slot]) != tags.map(Some) {
                    return;
                }
                let cycle = self.now.picoseconds() / CYCLE.picoseconds();
                let bell = BellIndex::new(true, self.fate.chance(0.5));
                let arrivals = tags.map(|tag| Arrival::Announced { tag, cycle });
                let replies = self.midpoints[link].attempt(arrivals, Some(bell));
                let places = [(link, MEMORIES + slot as u16), (link + 1, slot as u16)];
                places.iter().for_each(|place| self.light.lose(*place));
                self.light.make(places, bell, BellIndex::PHI_PLUS);
                for (end, reply) in replies.into_iter().enumerate() {
                    self.armed[link][end][slot] = None;
                    let node = link + end;
                    if self.fate.chance(self.loss) {
                        let memory = MemoryId(places[end].1);
                        self.at(self.now + DELAY * 4, Happening::Unanswered { node, memory });
                    } else if let Some(reply) = reply {
                        self.at(self.now + DELAY, Happening::Reply { node, reply });
                    }
                }
            }
            Happening::Reply { node, reply } => {
                self.on(node, |node, now, out| node.heard_midpoint(now, &reply, out));
            }
            Happening::Swapped { node, token, left, right } => {
                let outcome = BellIndex::from_bits(self.fate.below(4) as u8);
                self.light.swap((node, left.0), (node, right.0), outcome, BellIndex::PHI_PLUS);
                self.on(node, |node, now, out| node.swapped(now, token, Some(outcome), out));
            }
            Happening::Timeout(node) => {
                if self.nodes[node].deadline().is_some_and(|at| at <= self.now) {
                    self.on(node, |node, now, out| node.timeout(now, out));
                }
            }
            Happening::Unanswered { node, memory } => {
                self.on(node, |node, now, out| node.unanswered(now, memory, out));
            }
            Happening::Release { node, delivered: Delivered { circuit, end, id, memory, .. } } => {
                let pair = if end == End::Head { id.head } else { id.tail };
                self.light.lose((node, memory.0));
                self.on(node, |node, now, out| node.released(now, circuit, pair, memory, out));
            }
        }
    }

    fn ask(&mut self, pairs: u64) {
        let id = RequestId(1);
        let request = PairRequest { id, pairs: Some(pairs), until: None, correct: false, early: false };
        self.on(0, |node, now, out| node.request(now, CIRCUIT, request, out).unwrap());
    }

    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some((&(time, _), _)) = self.queue.first_key_value()
            && time <= end
            && let Some((_, happening)) = self.queue.pop_first()
        {
            self.now = time;
            self.happen(happening);
        }
        self.now = end;
    }

    fn at_both_ends(&self) -> u64 {
        let head = |(id, end): &&(EndToEndId, End)| {
            *end == End::Head && self.delivered.contains_key(&(*id, End::Tail))
        };
        self.delivered.keys().filter(head).count() as u64
    }
}

#[test]
fn a_chain_of_repeaters_delivers_what_is_asked_for() {
    for count in [2, 3, 6] {
        let mut chain = Chain::new(count, 0.0, count as u64);
        chain.ask(200);
        chain.run(Duration::from_whole_seconds(2));
        assert_eq!((chain.over.as_slice(), chain.at_both_ends()), ([200].as_slice(), 200), "{count} nodes");
        for node in &mut chain.nodes {
            assert_eq!(node.held().0, 0);
        }
    }
}

#[test]
fn a_chain_that_loses_messages_and_heralds_delivers_nearly_everything() {
    for seed in 0..20 {
        let mut chain = Chain::new(4, 0.1, seed);
        chain.ask(100);
        chain.run(Duration::from_whole_seconds(5));
        assert_eq!(chain.over.as_slice(), [100], "seed {seed}");
        assert!(chain.at_both_ends() >= 97, "seed {seed}: {}", chain.at_both_ends());
    }
}
