//! A network of key nodes in virtual time, with every fault that a driver can make, and the checks that hold
//! whatever happens.

use crate::wire::{Sent, sent};
use bellwether_bits::SecretBits;
use bellwether_protocol::keys::{
    Command, DeliveredKey, Demand, Event, KeyEnd, KeyId, KeyMaterial, KeyNode, LinkCondition, Record,
    Refusal, Request, RequestId, Settings, Topology,
};
use bellwether_protocol::machine::{Input, Output, Protocol};
use bellwether_units::{BlockId, DemandId, Duration, EntityId, LinkId, NodeId, Purpose, Stream, Time};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// How the network treats frames and records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    pub(crate) loss: f64,
    pub(crate) duplication: f64,
    /// Some bits of a frame are changed, or another frame's tail is put on it.
    pub(crate) tampering: f64,
    /// Frames take from a millisecond to this long, so that they overtake one another.
    pub(crate) longest_delay_ms: u64,
    /// A record takes from nothing to this long to become durable.
    pub(crate) longest_write_ms: u64,
}

impl Weather {
    pub(crate) const FAIR: Self =
        Self { loss: 0.0, duplication: 0.0, tampering: 0.0, longest_delay_ms: 1, longest_write_ms: 1 };
}

pub(crate) enum Happening {
    Frame { from: NodeId, to: NodeId, bytes: Vec<u8> },
    Durable { node: NodeId, life: u32 },
    Timeout(NodeId),
    Do(NodeId, Command),
    Store(LinkId),
    Condition(LinkId, LinkCondition),
    Crash(NodeId),
    Restart(NodeId),
}

pub(crate) struct World {
    pub(crate) topology: Arc<Topology>,
    settings: Settings,
    pub(crate) weather: Weather,
    pub(crate) nodes: Vec<Option<KeyNode>>,
    lives: Vec<u32>,
    pub(crate) journals: Vec<Vec<Record>>,
    /// What is not durable yet, in order; a snapshot has no number.
    writing: Vec<VecDeque<(Option<u64>, Record)>>,
    /// How probably a node's journal is replaced by a snapshot after an input, and the chance of that.
    pub(crate) compaction: f64,
    compacting: Stream,
    asked: Vec<Option<Time>>,
    rngs: Vec<Stream>,
    fate: Stream,
    pub(crate) now: Time,
    pub(crate) queue: BTreeMap<(Time, u64), Happening>,
    counter: u64,
    next_block: Vec<u64>,
    pub(crate) block_bits: u32,
    /// No node remembers the key of a block as bits, but as a seed.
    pub(crate) emulated: bool,
    pub(crate) conditions: Vec<LinkCondition>,
    demands: BTreeMap<NodeId, Vec<Demand>>,
    /// Nothing that is asked to be made durable ever is.
    pub(crate) stuck_disk: bool,

    pub(crate) delivered: BTreeMap<(KeyId, bool), DeliveredKey>,
    pub(crate) refused: Vec<(NodeId, Refusal)>,
    pub(crate) rerouted: usize,
    pub(crate) lost: BTreeSet<(NodeId, KeyId)>,
    pub(crate) forged: usize,
    pub(crate) relayed: BTreeSet<(NodeId, KeyId)>,
    pub(crate) transfers_sent: usize,
    /// Every bit that a frame has named as pad, by link and block, and the frame.
    used: BTreeMap<(LinkId, BlockId), Vec<(u32, u32)>>,
    frames: BTreeMap<Vec<u8>, Vec<u8>>,
}

pub(crate) fn ms(n: u64) -> Duration {
    Duration::from_milliseconds(n)
}

impl World {
    pub(crate) fn new(topology: Topology, settings: Settings, weather: Weather, seed: u64) -> Self {
        let topology = Arc::new(topology);
        let count = topology.node_count();
        let rng = |i: usize| Stream::new(seed, EntityId(i as u32), Purpose::named("node"));
        let node = |i: usize| Some(KeyNode::new(NodeId(i as u32), Arc::clone(&topology), settings.clone()));
        Self {
            nodes: (0..count).map(node).collect(),
            lives: vec![0; count],
            journals: (0..count).map(|_| Vec::new()).collect(),
            writing: (0..count).map(|_| VecDeque::new()).collect(),
            compaction: 0.0,
            compacting: Stream::new(seed, EntityId(0), Purpose::named("compaction")),
            asked: vec![None; count],
            rngs: (0..count).map(rng).collect(),
            fate: Stream::new(seed, EntityId(0), Purpose::named("fate")),
            now: Time::ZERO,
            queue: BTreeMap::new(),
            counter: 0,
            next_block: vec![0; topology.link_count()],
            block_bits: 8192,
            emulated: false,
            conditions: vec![LinkCondition::Up; topology.link_count()],
            demands: BTreeMap::new(),
            stuck_disk: false,
            delivered: BTreeMap::new(),
            refused: Vec::new(),
            rerouted: 0,
            lost: BTreeSet::new(),
            forged: 0,
            relayed: BTreeSet::new(),
            transfers_sent: 0,
            used: BTreeMap::new(),
            frames: BTreeMap::new(),
            topology,
            settings,
            weather,
        }
    }

    pub(crate) fn at(&mut self, time: Time, happening: Happening) {
        self.queue.insert((time, self.counter), happening);
        self.counter += 1;
    }
    pub(crate) fn at_ms(&mut self, time: u64, happening: Happening) {
        self.at(Time::ZERO + ms(time), happening);
    }

    pub(crate) fn demand(&mut self, from: u32, to: u32, bits: u32, interval_ms: u64, paths: u8) {
        let id = DemandId(self.demands.values().map(Vec::len).sum::<usize>() as u32);
        let demand = Demand {
            id,
            to: NodeId(to),
            bits,
            interval: ms(interval_ms),
            priority: 0,
            patience: Duration::from_whole_seconds(5),
            paths,
            total: None,
        };
        self.demands.entry(NodeId(from)).or_default().push(demand);
        self.at(self.now, Happening::Do(NodeId(from), Command::Demand(demand)));
    }
    pub(crate) fn end_demands(&mut self) {
        for (node, demands) in core::mem::take(&mut self.demands) {
            for demand in demands {
                self.at(self.now, Happening::Do(node, Command::EndDemand(demand.id)));
            }
        }
    }
    pub(crate) fn request(&mut self, from: u32, to: u32, bits: u32, patience_ms: u64) {
        let request = Request {
            id: RequestId(0),
            to: NodeId(to),
            bits,
            least_bits: bits,
            priority: 0,
            patience: ms(patience_ms),
            paths: 1,
        };
        self.at(self.now, Happening::Do(NodeId(from), Command::Request(request)));
    }
    /// Fills every pool with blocks now.
    pub(crate) fn fill(&mut self, blocks: u32) {
        for _ in 0..blocks {
            for link in 0..self.topology.link_count() as u32 {
                self.at(self.now, Happening::Store(LinkId(link)));
            }
        }
    }

    /// Runs until `end`, and leaves later happenings to later.
    pub(crate) fn run_until(&mut self, end: Time) {
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
    /// Runs for so long, while all frames are held back until its end: what was begun becomes durable.
    pub(crate) fn run_without_frames_ms(&mut self, span: u64) {
        let end = self.now + ms(span);
        let mut held = Vec::new();
        while let Some((&(time, _), _)) = self.queue.first_key_value() {
            if time > end {
                break;
            }
            let Some((_, happening)) = self.queue.pop_first() else { break };
            self.now = time;
            match happening {
                Happening::Frame { .. } => held.push(happening),
                other => self.happen(other),
            }
        }
        self.now = end;
        held.into_iter().for_each(|frame| self.at(end, frame));
    }
    pub(crate) fn run_ms(&mut self, span: u64) {
        self.run_until(self.now + ms(span));
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Frame { from, to, bytes } => self.input(to, Input::Frame { from, bytes: &bytes }),
            Happening::Durable { node, life } => {
                if self.lives[node.index()] == life
                    && let Some((number, record)) = self.writing[node.index()].pop_front()
                {
                    self.write(node, number, record);
                    if let Some(number) = number {
                        self.input(node, Input::Persisted(number));
                    }
                }
            }
            Happening::Timeout(node) => {
                if self.asked[node.index()].is_some_and(|at| at <= self.now) {
                    self.asked[node.index()] = None;
                    self.input(node, Input::Timeout);
                }
            }
            Happening::Do(node, command) => self.input(node, Input::Command(command)),
            Happening::Store(link) => self.store(link),
            Happening::Condition(link, condition) => {
                self.conditions[link.index()] = condition;
                for node in self.topology.ends(link).unwrap() {
                    self.input(node, Input::Command(Command::LinkState { link, condition }));
                }
            }
            Happening::Crash(node) => {
                self.nodes[node.index()] = None;
                self.lives[node.index()] += 1;
                // A prefix of what was being written survives.
                let writing = core::mem::take(&mut self.writing[node.index()]);
                let survives = self.fate.below(writing.len() as u64 + 1) as usize;
                for (number, record) in writing.into_iter().take(survives) {
                    self.write(node, number, record);
                }
                self.asked[node.index()] = None;
            }
            Happening::Restart(node) => self.restart(node),
        }
    }

    fn write(&mut self, node: NodeId, number: Option<u64>, record: Record) {
        let journal = &mut self.journals[node.index()];
        if number.is_none() {
            journal.clear();
        }
        journal.push(record);
    }

    fn put_to_disk(&mut self, node: NodeId, number: Option<u64>, record: Record) {
        let i = node.index();
        self.writing[i].push_back((number, record));
        let time = self.now + ms(self.fate.below(self.weather.longest_write_ms + 1));
        if !self.stuck_disk {
            self.at(time, Happening::Durable { node, life: self.lives[i] });
        }
    }

    fn restart(&mut self, node: NodeId) {
        if self.nodes[node.index()].is_some() {
            return;
        }
        let journal = &self.journals[node.index()];
        // As a driver does, from bytes.
        let read = |record: &Record| Record::decode(&record.encode()).expect("a record is read as written");
        let journal: Vec<_> = journal.iter().map(read).collect();
        let machine = KeyNode::restore(node, Arc::clone(&self.topology), self.settings.clone(), &journal);
        self.nodes[node.index()] = Some(machine);
        self.input(node, Input::Timeout);
        let links: Vec<_> = self.topology.links_of(node).map(|(link, _)| link).collect();
        for link in links {
            let condition = self.conditions[link.index()];
            self.input(node, Input::Command(Command::LinkState { link, condition }));
        }
        for demand in self.demands.get(&node).cloned().unwrap_or_default() {
            self.input(node, Input::Command(Command::Demand(demand)));
        }
    }

    fn store(&mut self, link: LinkId) {
        if self.conditions[link.index()] != LinkCondition::Up {
            return;
        }
        let block = BlockId(self.next_block[link.index()]);
        self.next_block[link.index()] += 1;
        let seed = u64::from(link.0) << 32 | block.0;
        let (bits, emulated) = (self.block_bits, self.emulated);
        let key = || {
            if emulated {
                return KeyMaterial::Emulated { seed, bits };
            }
            let mut stream = Stream::new(seed, EntityId(0), Purpose::named("block"));
            KeyMaterial::Bits(SecretBits::random(bits as usize, &mut stream))
        };
        for node in self.topology.ends(link).unwrap() {
            let key = key();
            // The two ends finish a block at different times.
            let later = self.now + ms(self.fate.below(5));
            self.at(later, Happening::Do(node, Command::Store { link, block, key }));
        }
    }

    fn input(&mut self, node: NodeId, input: Input<'_, NodeId, Command, core::convert::Infallible>) {
        let i = node.index();
        let Some(machine) = self.nodes[i].as_mut() else { return };
        let mut out = Vec::new();
        machine.handle(self.now, &mut self.rngs[i], input, &mut out);
        let deadline = machine.deadline();
        if let Some(at) = deadline {
            assert!(at > self.now, "a machine that wants to be woken at once spins");
            if self.asked[i].is_none_or(|old| at < old) {
                self.asked[i] = Some(at);
                self.at(at, Happening::Timeout(node));
            }
        }
        for output in out {
            match output {
                Output::Event(event) => self.event(node, event),
                Output::Send { to, bytes } => self.carry(node, to, bytes),
                Output::Persist(number, record) => self.put_to_disk(node, Some(number), record),
                Output::Compute(job) => match job {},
            }
        }
        if self.compaction > 0.0 && self.compacting.chance(self.compaction) {
            let snapshot = self.nodes[i].as_ref().map(KeyNode::snapshot);
            snapshot.into_iter().for_each(|snapshot| self.put_to_disk(node, None, snapshot));
        }
    }

    fn carry(&mut self, from: NodeId, to: NodeId, bytes: Vec<u8>) {
        self.check_pads(&bytes);
        let links: Vec<_> = self.topology.links_of(from).filter(|&(_, peer)| peer == to).collect();
        assert!(!links.is_empty(), "nodes send to their neighbours alone");
        let cut = links.iter().all(|(link, _)| self.conditions[link.index()] == LinkCondition::Cut);
        if cut || self.fate.chance(self.weather.loss) {
            return;
        }
        let copies = 1 + u32::from(self.fate.chance(self.weather.duplication));
        for _ in 0..copies {
            let delay = ms(1 + self.fate.below(self.weather.longest_delay_ms));
            let bytes =
                if self.fate.chance(self.weather.tampering) { self.tamper(&bytes) } else { bytes.clone() };
            self.at(self.now + delay, Happening::Frame { from, to, bytes });
        }
    }

    fn tamper(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut changed = bytes.to_vec();
        for _ in 0..1 + self.fate.below(2) {
            let at = self.fate.below(changed.len() as u64) as usize;
            // Small changes of small numbers are the likeliest to be understood.
            changed[at] = match self.fate.below(3) {
                0 => changed[at] ^ (1 << self.fate.below(8)),
                1 => changed[at].wrapping_add(1),
                _ => self.fate.below(10) as u8,
            };
        }
        if self.fate.chance(0.1) {
            changed.truncate(self.fate.below(changed.len() as u64 + 1) as usize);
        }
        changed
    }

    /// No bit is pad twice, and a frame that is sent again is the same frame.
    fn check_pads(&mut self, bytes: &[u8]) {
        let Some(Sent { name, link, stretches, transfer }) = sent(bytes) else { return };
        self.transfers_sent += usize::from(transfer);
        let link = link.unwrap_or_else(|(route, hop)| route[hop]);
        if let Some(before) = self.frames.insert(name, bytes.to_vec()) {
            assert!(before == bytes, "a frame was sealed twice");
            return;
        }
        for (block, offset, length) in stretches {
            let used = self.used.entry((link, BlockId(block))).or_default();
            let overlap = used.iter().any(|&(o, l)| o < offset + length && offset < o + l);
            assert!(!overlap, "pad of {link} block {block} at {offset} is used twice");
            used.push((offset, length));
        }
    }

    fn event(&mut self, node: NodeId, event: Event) {
        match event {
            Event::Delivered(key) => {
                let source = key.end == KeyEnd::Source;
                assert_eq!(node, if source { key.from } else { key.to });
                for route in &key.routes {
                    let nodes = self.topology.nodes_on(key.from, route).unwrap();
                    assert_eq!(nodes.last(), Some(&key.to));
                    assert!(nodes[1..nodes.len() - 1].iter().all(|&n| self.topology.may_relay(n)));
                }
                if let Some(other) = self.delivered.get(&(key.id, !source)) {
                    assert!(other.key == key.key, "the two ends of {} differ", key.id);
                    assert_eq!((other.from, other.to, &other.routes), (key.from, key.to, &key.routes));
                    assert_eq!((other.request, other.demand), (key.request, key.demand));
                }
                let id = key.id;
                assert!(self.delivered.insert((id, source), *key).is_none(), "{id} is handed out twice");
            }
            Event::Refused { reason, .. } => self.refused.push((node, reason)),
            Event::Rerouted { .. } => self.rerouted += 1,
            Event::Lost { key, .. } => drop(self.lost.insert((node, key))),
            Event::Forged { .. } => self.forged += 1,
            Event::Relayed { key, .. } => drop(self.relayed.insert((node, key))),
            Event::PoolLevel { .. } | Event::Burned { .. } => {}
        }
    }

    /// What must hold at any time.
    pub(crate) fn check_books(&self) {
        for node in self.nodes.iter().flatten() {
            for (link, _) in self.topology.links_of(node.id()) {
                let account = node.pool(link).unwrap();
                assert!(account.balances(), "{} of {}: {account:?}", link, node.id());
            }
        }
    }

    /// What must hold when all is quiet: each key is handed out at both ends, or reported as lost.
    pub(crate) fn check_agreement(&self) {
        for (id, source) in self.delivered.keys() {
            let both = self.delivered.contains_key(&(*id, !source));
            let reported = self.lost.iter().any(|(_, lost)| lost == id);
            assert!(both || reported, "{id} is at one end alone (the source's: {source}) and nobody says so");
        }
    }

    pub(crate) fn delivered_at_both(&self) -> usize {
        self.delivered
            .keys()
            .filter(|(id, source)| *source && self.delivered.contains_key(&(*id, false)))
            .count()
    }
}
