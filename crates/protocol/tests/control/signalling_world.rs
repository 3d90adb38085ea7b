//! Nodes that signal circuits to each other over links that lose, double, delay and reorder messages.

use bellwether_protocol::entanglement::CircuitId;
use bellwether_protocol::entanglement::link::{FidelityLevel, FidelityTable};
use bellwether_protocol::entanglement::network::PairChoice;
use bellwether_protocol::entanglement::purification::Recurrence;
use bellwether_protocol::entanglement::routing::LinkKind;
use bellwether_protocol::entanglement::signalling::{
    CircuitTerms, HopTerms, Signalling, SignallingEffect, SignallingEvent, SignallingLink, SignallingMessage,
    SignallingSettings,
};
use bellwether_quantum::MemoryNoise;
use bellwether_quantum::bell::{Purification, PurificationQuality};
use bellwether_units::{Duration, EntityId, LinkId, NodeId, Purpose, Stream, Time};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    pub(crate) loss: f64,
    pub(crate) duplication: f64,
    pub(crate) longest_delay_us: u64,
}

impl Weather {
    pub(crate) const FAIR: Self = Self { loss: 0.0, duplication: 0.0, longest_delay_us: 1 };
}

pub(crate) enum Happening {
    Message { from: usize, to: usize, link: LinkId, bytes: Vec<u8> },
    Timeout(usize),
    Open(CircuitId, CircuitTerms),
    Close(usize, CircuitId),
    Crash(usize),
    Restart(usize),
}

/// What a head was told of a circuit, and whether it has crashed since it was opened.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) events: Vec<SignallingEvent>,
    pub(crate) forgotten: bool,
}

pub(crate) struct World {
    pub(crate) nodes: Vec<Option<Signalling>>,
    pub(crate) ends: Vec<(usize, usize)>,
    /// By node: which circuits its network layer has.
    pub(crate) installed: Vec<BTreeSet<CircuitId>>,
    pub(crate) draining: BTreeSet<CircuitId>,
    pub(crate) routes: BTreeMap<CircuitId, CircuitTerms>,
    pub(crate) told: BTreeMap<CircuitId, Told>,
    pub(crate) weather: Weather,
    pub(crate) now: Time,
    pub(crate) messages: usize,
    kinds: Vec<(LinkKind, u16)>,
    queue: BTreeMap<(Time, u64), Happening>,
    counter: u64,
    pub(crate) fate: Stream,
}

pub(crate) const DELAY: Duration = Duration::from_microseconds(50);
pub(crate) const REFRESH: Duration = Duration::from_milliseconds(20);

pub(crate) fn us(n: u64) -> Duration {
    Duration::from_microseconds(n)
}

/// A link of which a pair of fidelity 0.9 takes a millisecond with one memory, and one of 0.95 two.
pub(crate) fn kind() -> LinkKind {
    let level = |brightness: f64, fidelity, success| FidelityLevel { brightness, fidelity, success };
    LinkKind {
        table: FidelityTable::new(vec![level(0.2, 0.9, 1e-2), level(0.1, 0.95, 5e-3)]).unwrap(),
        cycle: us(10),
        delay: DELAY,
        purification: PurificationQuality::PERFECT,
        comparison: Duration::ZERO,
        memory: MemoryNoise::NONE,
    }
}

impl World {
    pub(crate) fn new(
        count: usize,
        ends: Vec<(usize, usize)>,
        memories: u16,
        weather: Weather,
        seed: u64,
    ) -> Self {
        let mut world = Self {
            nodes: Vec::new(),
            installed: vec![BTreeSet::new(); count],
            draining: BTreeSet::new(),
            routes: BTreeMap::new(),
            told: BTreeMap::new(),
            weather,
            now: Time::ZERO,
            messages: 0,
            kinds: vec![(kind(), memories); ends.len()],
            queue: BTreeMap::new(),
            counter: 0,
            fate: Stream::new(seed, EntityId(0), Purpose::named("signalling")),
            ends,
        };
        world.nodes = (0..count).map(|node| Some(world.fresh(node))).collect();
        world
    }
    pub(crate) fn chain(count: usize, memories: u16) -> Self {
        Self::new(count, (1..count).map(|n| (n - 1, n)).collect(), memories, Weather::FAIR, 0)
    }

    fn fresh(&self, node: usize) -> Signalling {
        let link = |(place, &(a, b)): (usize, &(usize, usize))| {
            let peer = if a == node {
                b
            } else if b == node {
                a
            } else {
                return None;
            };
            let (kind, memories) = self.kinds[place].clone();
            Some(SignallingLink { link: LinkId(place as u32), peer: NodeId(peer as u32), kind, memories })
        };
        let links = self.ends.iter().enumerate().filter_map(link).collect();
        Signalling::new(NodeId(node as u32), links, SignallingSettings::default())
    }

    /// The terms of a route by its nodes, over the first links that lead there.
    pub(crate) fn terms(&self, nodes: &[usize]) -> CircuitTerms {
        let hop = |ends: &[usize]| {
            let is = |&(a, b): &(usize, usize)| (a, b) == (ends[0], ends[1]) || (b, a) == (ends[0], ends[1]);
            let place = self.ends.iter().position(is).unwrap();
            HopTerms { link: LinkId(place as u32), fidelity: 0.9, rounds: 0 }
        };
        CircuitTerms {
            nodes: nodes.iter().map(|node| NodeId(*node as u32)).collect(),
            hops: nodes.windows(2).map(hop).collect(),
            how: Recurrence::alike(2, Purification::Dejmps).expect("few rounds"),
            rate: 10.0,
            memories: 1,
            weight: 1,
            cutoff: Some(us(5000)),
            choice: PairChoice::Oldest,
            round_trip: DELAY * 2 * (nodes.len() as u64 - 1),
            end_memories: [bellwether_quantum::MemoryNoise::NONE; 2],
            refresh: REFRESH,
        }
    }

    pub(crate) fn at(&mut self, time: Time, happening: Happening) {
        self.queue.insert((time, self.counter), happening);
        self.counter += 1;
    }
    pub(crate) fn at_us(&mut self, time: u64, happening: Happening) {
        self.at(Time::ZERO + us(time), happening);
    }
    pub(crate) fn open(&mut self, id: u64, terms: CircuitTerms) -> CircuitId {
        let id = CircuitId(id);
        self.at(self.now, Happening::Open(id, terms));
        id
    }

    pub(crate) fn run_us(&mut self, until: u64) {
        let until = Time::ZERO + us(until);
        while let Some((&(at, _), _)) = self.queue.first_key_value().filter(|((at, _), _)| *at <= until) {
            let Some((_, happening)) = self.queue.pop_first() else { break };
            self.now = at;
            self.happen(happening);
        }
        self.now = until;
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Message { from, to, link, bytes } => {
                let message = SignallingMessage::decode(&bytes).unwrap();
                self.on(to, |node, now, out| node.hear(now, NodeId(from as u32), link, &message, out));
            }
            Happening::Timeout(node) => {
                let due = |s: &Signalling| s.deadline().is_some_and(|at| at <= self.now);
                if self.nodes[node].as_ref().is_some_and(due) {
                    self.on(node, Signalling::timeout);
                }
            }
            Happening::Open(id, terms) => {
                let head = terms.nodes[0].index();
                if self.nodes[head].is_some() {
                    self.routes.insert(id, terms.clone());
                    self.told.insert(id, Told::default());
                    self.on(head, |node, now, out| node.open(now, id, terms, out).unwrap());
                }
            }
            Happening::Close(node, id) => self.on(node, |node, now, out| _ = node.close(now, id, out)),
            Happening::Crash(node) => {
                self.nodes[node] = None;
                self.installed[node].clear();
                for (id, told) in &mut self.told {
                    told.forgotten |= self.routes[id].nodes[0].index() == node;
                }
            }
            Happening::Restart(node) => {
                if self.nodes[node].is_none() {
                    self.nodes[node] = Some(self.fresh(node));
                }
            }
        }
    }

    fn on(&mut self, n: usize, act: impl FnOnce(&mut Signalling, Time, &mut Vec<SignallingEffect>)) {
        let Some(node) = &mut self.nodes[n] else { return };
        let mut out = Vec::new();
        act(node, self.now, &mut out);
        if let Some(at) = node.deadline() {
            self.at(at.max(self.now), Happening::Timeout(n));
        }
        for effect in out {
            match effect {
                SignallingEffect::Send { to, link, message } => self.send(n, to.index(), link, &message),
                SignallingEffect::Install { circuit, .. } => {
                    let ends = (circuit.towards_head.is_none(), circuit.towards_tail.is_none());
                    let route = &self.routes[&circuit.id].nodes;
                    assert_eq!(ends, (route[0].index() == n, route[route.len() - 1].index() == n));
                    assert!(self.installed[n].insert(circuit.id), "{} is installed twice", circuit.id);
                }
                SignallingEffect::Drain(circuit) => {
                    assert!(self.installed[n].contains(&circuit) && self.draining.insert(circuit));
                }
                SignallingEffect::Remove(circuit) => {
                    assert!(self.installed[n].remove(&circuit), "{circuit} is removed twice");
                }
                SignallingEffect::Event(event) => {
                    let (SignallingEvent::Opened { circuit }
                    | SignallingEvent::Refused { circuit, .. }
                    | SignallingEvent::Closed { circuit, .. }) = &event;
                    if self.routes[circuit].nodes[0].index() == n {
                        self.told.get_mut(circuit).unwrap().events.push(event);
                    }
                }
            }
        }
    }

    fn send(&mut self, from: usize, to: usize, link: LinkId, message: &SignallingMessage) {
        self.messages += 1;
        let bytes = message.encode();
        assert_eq!(SignallingMessage::decode(&bytes).as_ref(), Ok(message));
        if self.fate.chance(self.weather.loss) {
            return;
        }
        for _ in 0..1 + u32::from(self.fate.chance(self.weather.duplication)) {
            let late = self.fate.below(self.weather.longest_delay_us);
            let bytes = bytes.clone();
            self.at(self.now + DELAY + us(late), Happening::Message { from, to, link, bytes });
        }
    }

    /// What a head was told of a circuit, in short.
    pub(crate) fn told(&self, id: CircuitId) -> &[SignallingEvent] {
        &self.told[&id].events
    }
    pub(crate) fn has(&self, node: usize, id: CircuitId) -> bool {
        self.installed[node].contains(&id)
    }
    /// What each end of each link has promised.
    pub(crate) fn loads(&self) -> Vec<[(f64, u16); 2]> {
        let load = |node: usize, place: usize| {
            let node = self.nodes[node].as_ref();
            node.and_then(|node| node.load(LinkId(place as u32))).unwrap_or_default()
        };
        self.ends.iter().enumerate().map(|(place, (a, b))| [load(*a, place), load(*b, place)]).collect()
    }
    /// The circuits, unacknowledged messages and circuits that were, of all nodes.
    pub(crate) fn held(&self) -> (usize, usize, usize) {
        let held = self.nodes.iter().flatten().map(Signalling::held);
        held.fold((0, 0, 0), |sum, held| (sum.0 + held.0, sum.1 + held.1, sum.2 + held.2))
    }
}
