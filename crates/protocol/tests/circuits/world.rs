//! Chains of nodes in virtual time, with every fault that a driver can make, and the checks that hold whatever happens.

use crate::light::{Light, Place};
use bellwether_protocol::entanglement::link::{LinkPair, LinkUser};
use bellwether_protocol::entanglement::network::{
    Circuit, Delivered, End, Hop, Network, NetworkEffect, NetworkEvent, NetworkMessage, NodeQuality,
    PairChoice, PairRequest, RequestEnd, RequestId,
};
use bellwether_protocol::entanglement::{CircuitId, EndToEndId, MemoryId, PairId};
use bellwether_quantum::MemoryNoise;
use bellwether_quantum::bell::{BellIndex, SwapQuality};
use bellwether_units::{Duration, EntityId, LinkId, NodeId, Purpose, Stream, Time};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    pub(crate) loss: f64,
    pub(crate) duplication: f64,
    pub(crate) longest_delay_us: u64,
    /// One end does not hear of a herald; the link takes the pair back at the other end later.
    pub(crate) lost_heralds: f64,
    /// The link takes back a pair of which both ends heard.
    pub(crate) revocations: f64,
    pub(crate) failed_swaps: f64,
    /// Gates and readouts err without anybody's knowing.
    pub(crate) errors: f64,
}

impl Weather {
    pub(crate) const FAIR: Self = Self {
        loss: 0.0,
        duplication: 0.0,
        longest_delay_us: 100,
        lost_heralds: 0.0,
        revocations: 0.0,
        failed_swaps: 0.0,
        errors: 0.0,
    };
}

pub(crate) enum Happening {
    Message { from: usize, to: usize, link: LinkId, bytes: Vec<u8>, life: u32 },
    Herald { node: usize, pair: LinkPair, life: u32 },
    Revoked { node: usize, pair: PairId },
    Swapped { node: usize, token: u64, places: [Place; 2], life: u32 },
    Timeout(usize),
    Attempt(usize),
    Release { node: usize, circuit: CircuitId, pair: PairId, memory: MemoryId, life: u32 },
    Request { circuit: usize, request: PairRequest },
    Withdraw { circuit: usize, request: RequestId },
    Remove(usize),
    Crash(usize),
    Restart(usize),
}

/// A circuit from one node of the chain to a later one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) id: CircuitId,
    pub(crate) head: usize,
    pub(crate) tail: usize,
    pub(crate) installed: bool,
}

pub(crate) struct World {
    pub(crate) weather: Weather,
    nodes: Vec<Option<Network>>,
    lives: Vec<u32>,
    /// How many memories a node has on each side.
    memories: u16,
    /// By node and side (0 towards lower numbers): which memories are free.
    free: Vec<[BTreeSet<u16>; 2]>,
    pub(crate) light: Light,
    pub(crate) ways: Vec<Way>,
    /// By link: for which circuits it makes pairs.
    wanted: Vec<BTreeSet<CircuitId>>,
    sequences: Vec<u64>,
    fate: Stream,
    pub(crate) now: Time,
    queue: BTreeMap<(Time, u64), Happening>,
    counter: u64,
    asked: Vec<Option<Time>>,
    attempt: Duration,
    pub(crate) cutoff: Option<Duration>,
    pub(crate) choice: PairChoice,
    /// What applications hold, by node and this end's link pair.
    pub(crate) delivered: BTreeMap<(EndToEndId, End), Delivered>,
    pub(crate) revoked: BTreeSet<(PairId, End)>,
    pub(crate) early: BTreeSet<PairId>,
    pub(crate) over: Vec<(CircuitId, RequestId, u64, RequestEnd)>,
    pub(crate) messages: usize,
}

pub(crate) fn us(n: u64) -> Duration {
    Duration::from_microseconds(n)
}

impl World {
    pub(crate) fn new(nodes: usize, memories: u16, weather: Weather, seed: u64) -> Self {
        let free = |_| [(0..memories).collect(), (memories..2 * memories).collect()];
        let mut world = Self {
            weather,
            nodes: (0..nodes).map(|_| Some(Network::new(Self::quality()))).collect(),
            lives: vec![0; nodes],
            memories,
            free: (0..nodes).map(free).collect(),
            light: Light::default(),
            ways: Vec::new(),
            wanted: vec![BTreeSet::new(); nodes - 1],
            sequences: vec![0; nodes - 1],
            fate: Stream::new(seed, EntityId(0), Purpose::named("fate")),
            now: Time::ZERO,
            queue: BTreeMap::new(),
            counter: 0,
            asked: vec![None; nodes],
            attempt: us(200),
            cutoff: None,
            choice: PairChoice::Oldest,
            delivered: BTreeMap::new(),
            revoked: BTreeSet::new(),
            early: BTreeSet::new(),
            over: Vec::new(),
            messages: 0,
        };
        for link in 0..nodes - 1 {
            world.at(world.now, Happening::Attempt(link));
        }
        world
    }

    pub(crate) fn quality() -> NodeQuality {
        let memory = MemoryNoise::depolarising(Duration::from_milliseconds(100)).unwrap();
        NodeQuality { swap: SwapQuality::new(0.99, 0.99, 1.0).unwrap(), memory }
    }

    pub(crate) fn at(&mut self, time: Time, happening: Happening) {
        self.queue.insert((time, self.counter), happening);
        self.counter += 1;
    }
    pub(crate) fn at_us(&mut self, time: u64, happening: Happening) {
        self.at(Time::ZERO + us(time), happening);
    }

    /// A circuit, installed at all its nodes at once.
    pub(crate) fn way(&mut self, head: usize, tail: usize) -> usize {
        let id = CircuitId(100 + self.ways.len() as u64);
        self.ways.push(Way { id, head, tail, installed: true });
        let way = self.ways.len() - 1;
        for node in head..=tail {
            self.install(way, node);
        }
        way
    }

    fn install(&mut self, way: usize, node: usize) {
        let Way { id, head, tail, .. } = self.ways[way];
        let hop = |link: usize, peer: usize| Hop { link: LinkId(link as u32), peer: NodeId(peer as u32) };
        let circuit = Circuit {
            id,
            towards_head: (node > head).then(|| hop(node - 1, node - 1)),
            towards_tail: (node < tail).then(|| hop(node, node + 1)),
            link_fidelity: 0.9,
            far_memory: Self::quality().memory,
            weight: 1,
            cutoff: self.cutoff,
            choice: self.choice,
            round_trip: us(2 * 1000 * (tail - head) as u64),
        };
        if let Some(network) = &mut self.nodes[node] {
            network.install(circuit).unwrap();
        }
    }

    pub(crate) fn ask(&mut self, way: usize, request: u64, pairs: Option<u64>) -> RequestId {
        let id = RequestId(request);
        let request =
            PairRequest { id, pairs, until: None, correct: request % 2 == 1, early: request % 3 == 2 };
        self.at(self.now, Happening::Request { circuit: way, request });
        id
    }

    pub(crate) fn run_us(&mut self, span: u64) {
        let end = self.now + us(span);
        while let Some((&(time, _), _)) = self.queue.first_key_value() {
            if time > end {
                break;
            }
            let Some((_, happening)) = self.queue.pop_first() else { break };
            self.now = time;
            self.happen(happening);
        }
        self.now = end;
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Message { from, to, link, bytes, life } => {
                if self.lives[to] == life {
                    let message = NetworkMessage::decode(&bytes).unwrap();
                    self.on(to, |network, now, out| {
                        network.hear(now, NodeId(from as u32), link, &message, out)
                    });
                }
            }
            Happening::Herald { node, pair, life } => {
                if self.lives[node] == life {
                    self.on(node, |network, now, out| network.pair(now, pair, out));
                }
            }
            Happening::Revoked { node, pair } => {
                self.on(node, |network, now, out| network.revoked(now, pair, out));
            }
            Happening::Swapped { node, token, places, life } => {
                if self.lives[node] == life {
                    let outcome = self.measure(places);
                    self.on(node, |network, now, out| network.swapped(now, token, outcome, out));
                }
            }
            Happening::Timeout(node) => {
                if self.asked[node].is_some_and(|at| at <= self.now) {
                    self.asked[node] = None;
                    self.on(node, |network, now, out| {
                        network.timeout(now, out);
                        let next = network.deadline();
                        assert!(next.is_none_or(|at| at > now), "what wants to be woken at once spins");
                    });
                }
            }
            Happening::Attempt(link) => self.attempt(link),
            Happening::Release { node, circuit, pair, memory, life } => {
                if self.lives[node] == life {
                    self.on(node, |network, _, out| network.released(circuit, pair, memory, out));
                }
            }
            Happening::Request { circuit, request } => {
                let Way { id, head, .. } = self.ways[circuit];
                self.on(head, |network, now, out| {
                    // The head may be back from a crash and not know the circuit yet.
                    let _ = network.request(now, id, request, out);
                });
            }
            Happening::Withdraw { circuit, request } => {
                let Way { id, head, .. } = self.ways[circuit];
                self.on(head, |network, now, out| network.withdraw(now, id, request, out));
            }
            Happening::Remove(way) => {
                self.ways[way].installed = false;
                let Way { id, head, tail, .. } = self.ways[way];
                for node in head..=tail {
                    self.on(node, |network, now, out| network.remove(now, id, out));
                }
            }
            Happening::Crash(node) => self.crash(node),
            Happening::Restart(node) => {
                if self.nodes[node].is_none() {
                    self.nodes[node] = Some(Network::new(Self::quality()));
                    for way in 0..self.ways.len() {
                        let Way { head, tail, installed, .. } = self.ways[way];
                        if installed && (head..=tail).contains(&node) {
                            self.install(way, node);
                        }
                    }
                }
            }
        }
    }

    fn crash(&mut self, node: usize) {
        self.nodes[node] = None;
        self.lives[node] += 1;
        self.asked[node] = None;
        // Nothing survives in its memories, and its links stop.
        for side in 0..2 {
            for memory in 0..self.memories {
                let memory = memory + side as u16 * self.memories;
                self.light.lose((node, memory));
                self.free[node][side].insert(memory);
            }
        }
        if node < self.wanted.len() {
            self.wanted[node].clear();
        }
    }

    /// A Bell measurement; its outcome is uniform, whatever the errors.
    fn measure(&mut self, [left, right]: [Place; 2]) -> Option<BellIndex> {
        let fails = self.fate.chance(self.weather.failed_swaps);
        let outcome = BellIndex::from_bits(self.fate.below(4) as u8);
        let error = self.error();
        if fails {
            self.light.lose(left);
            self.light.lose(right);
            return None;
        }
        self.light.swap(left, right, outcome, error);
        Some(outcome)
    }

    fn error(&mut self) -> BellIndex {
        let errs = self.fate.chance(self.weather.errors);
        BellIndex::from_bits(if errs { 1 + self.fate.below(3) as u8 } else { 0 })
    }

    /// A link tries to make a pair for one of the circuits that want one.
    fn attempt(&mut self, link: usize) {
        let next = self.now + self.attempt + us(self.fate.below(400));
        self.at(next, Happening::Attempt(link));
        let wanted: Vec<_> = self.wanted[link].iter().copied().collect();
        if wanted.is_empty() || self.nodes[link].is_none() || self.nodes[link + 1].is_none() {
            return;
        }
        let circuit = wanted[self.fate.below(wanted.len() as u64) as usize];
        let (Some(&left), Some(&right)) = (self.free[link][1].first(), self.free[link + 1][0].first()) else {
            return;
        };
        let bell = BellIndex::from_bits(self.fate.below(4) as u8);
        let error = self.error();
        let id = PairId { link: LinkId(link as u32), epoch: 0, sequence: self.sequences[link] };
        self.sequences[link] += 1;
        let places = [(link, left), (link + 1, right)];
        self.free[link][1].remove(&left);
        self.free[link + 1][0].remove(&right);
        self.light.make(places, bell, error);
        let lost = self.fate.chance(self.weather.lost_heralds).then(|| self.fate.below(2) as usize);
        let revoked = self.fate.chance(self.weather.revocations);
        for (which, (node, memory)) in places.into_iter().enumerate() {
            if lost == Some(which) {
                self.light.lose((node, memory));
                self.free[node][1 - which].insert(memory);
                continue;
            }
            let pair = LinkPair {
                id,
                memory: MemoryId(memory),
                bell,
                made: self.now,
                goodness: 0.95,
                user: LinkUser::Circuit(circuit),
            };
            let at = self.now + us(1 + self.fate.below(self.weather.longest_delay_us));
            self.at(at, Happening::Herald { node, pair, life: self.lives[node] });
            if lost.is_some() || revoked {
                let late = at + us(self.fate.below(5000));
                self.at(late, Happening::Revoked { node, pair: id });
            }
        }
    }

    fn on(&mut self, node: usize, act: impl FnOnce(&mut Network, Time, &mut Vec<NetworkEffect>)) {
        let Some(network) = self.nodes[node].as_mut() else { return };
        let mut out = Vec::new();
        act(network, self.now, &mut out);
        if let Some(at) = network.deadline()
            && self.asked[node].is_none_or(|old| at < old)
        {
            self.asked[node] = Some(at);
            self.at(at, Happening::Timeout(node));
        }
        for effect in out {
            self.carry_out(node, effect);
        }
    }

    fn carry_out(&mut self, node: usize, effect: NetworkEffect) {
        match effect {
            NetworkEffect::Send { to, link, message } => self.send(node, to.index(), link, &message),
            NetworkEffect::Swap { token, left, right } => {
                let places = [(node, left.0), (node, right.0)];
                for (side, place) in places.iter().enumerate() {
                    assert!(!self.free[node][side].contains(&place.1), "a free memory is swapped");
                }
                let at = self.now + us(self.fate.below(50));
                self.at(at, Happening::Swapped { node, token, places, life: self.lives[node] });
            }
            NetworkEffect::Correct { memory, pauli } => self.light.correct((node, memory.0), pauli),
            NetworkEffect::Free(memory) => {
                let side = usize::from(memory.0 >= self.memories);
                self.light.lose((node, memory.0));
                assert!(self.free[node][side].insert(memory.0), "{memory} of node {node} is freed twice");
            }
            NetworkEffect::Want { link, circuit, wanted } => {
                assert_eq!(link.index(), node, "who is nearer the head asks");
                if wanted {
                    self.wanted[node].insert(circuit);
                } else {
                    self.wanted[node].remove(&circuit);
                }
            }
            NetworkEffect::Event(event) => self.event(node, event),
        }
    }

    fn send(&mut self, from: usize, to: usize, link: LinkId, message: &NetworkMessage) {
        self.messages += 1;
        assert_eq!(from.abs_diff(to), 1);
        if self.fate.chance(self.weather.loss) {
            return;
        }
        let copies = 1 + u32::from(self.fate.chance(self.weather.duplication));
        for _ in 0..copies {
            let at = self.now + us(1 + self.fate.below(self.weather.longest_delay_us));
            let (bytes, life) = (message.encode(), self.lives[to]);
            self.at(at, Happening::Message { from, to, link, bytes, life });
        }
    }

    fn event(&mut self, node: usize, event: NetworkEvent) {
        match event {
            NetworkEvent::Early { origin, .. } => {
                assert!(self.early.insert(origin), "{origin} is handed out early twice");
            }
            NetworkEvent::Delivered(delivered) => {
                let Delivered { circuit, end, id, memory, bell, .. } = delivered;
                let way = self.ways.iter().find(|way| way.id == circuit).copied().unwrap();
                assert_eq!(node, if end == End::Head { way.head } else { way.tail });
                if let Some(other) = self.delivered.get(&(id, end.other())) {
                    assert_eq!((other.bell, other.request), (bell, delivered.request), "{id}");
                }
                self.check_truth(node, &way, &delivered);
                let old = self.delivered.insert((id, end), delivered);
                assert!(old.is_none(), "{id} is handed out twice at its {end:?}");
                let pair = if end == End::Head { id.head } else { id.tail };
                let at = self.now + us(20_000 + self.fate.below(1000));
                self.at(at, Happening::Release { node, circuit, pair, memory, life: self.lives[node] });
            }
            NetworkEvent::Revoked { circuit, end, origin, memory } => {
                assert!(self.revoked.insert((origin, end)), "{origin} is revoked twice");
                let confirmed = self
                    .delivered
                    .keys()
                    .any(|(id, at)| *at == end && origin == if end == End::Head { id.head } else { id.tail });
                assert!(confirmed || self.early.contains(&origin), "{origin} was never handed out");
                if !confirmed {
                    let life = self.lives[node];
                    self.at(self.now, Happening::Release { node, circuit, pair: origin, memory, life });
                }
            }
            NetworkEvent::RequestOver { circuit, request, delivered, end } => {
                self.over.push((circuit, request, delivered, end));
            }
        }
    }

    /// If the other half still is where it should be, the pair is what both ends say.
    fn check_truth(&self, node: usize, way: &Way, delivered: &Delivered) {
        let Some(((other, _), bell)) = self.light.truth((node, delivered.memory.0)) else { return };
        let expected = if node == way.head { way.tail } else { way.head };
        assert_eq!(other, expected, "{} joins other nodes", delivered.id);
        // The head may hear of the pair before the tail has turned its half.
        if delivered.end == End::Tail || !self.corrects(delivered) {
            assert_eq!(bell, delivered.bell, "{}", delivered.id);
        }
    }

    fn corrects(&self, delivered: &Delivered) -> bool {
        delivered.request.0 % 2 == 1
    }

    /// How many halves protocols hold that nobody was handed.
    pub(crate) fn held(&mut self) -> usize {
        self.nodes.iter_mut().flatten().map(|network| network.held().0).sum()
    }
    /// How many memories are not free.
    pub(crate) fn occupied(&self) -> usize {
        let all = self.free.len() * 2 * usize::from(self.memories);
        all - self.free.iter().flatten().map(BTreeSet::len).sum::<usize>()
    }
    pub(crate) fn wanted_links(&self) -> usize {
        self.wanted.iter().map(BTreeSet::len).sum()
    }
    /// Pairs that both ends have, and those that one end has and the other does not, and was not told of.
    pub(crate) fn agreed(&self) -> (usize, usize) {
        let (mut both, mut one) = (0, 0);
        for (id, end) in self.delivered.keys() {
            let origin = if *end == End::Head { id.head } else { id.tail };
            if self.delivered.contains_key(&(*id, end.other())) {
                both += usize::from(*end == End::Head);
            } else if !self.revoked.contains(&(origin, *end)) {
                one += 1;
            }
        }
        (both, one)
    }
}
