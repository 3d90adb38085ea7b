//! Key managers in virtual time over a double of the quantum network, with every fault that a driver can make, and
//! the checks that hold whatever happens.

use crate::streams::Streams;
use bellwether_bits::SecretBits;
use bellwether_protocol::keys::delivery::{
    Alarm, ApplicationKey, BurnedCause, Change, Command, DecKeys, DeliveryError, Directory, EncKeys, Event,
    KeyManager, LostCause, Memory, PairPolicy, Protection, Record, Requirement, SaeName, Settings, Ticket,
};
use bellwether_protocol::keys::{DeliveredKey, KeyEnd, KeyId, Refusal, Request};
use bellwether_protocol::machine::{Input, Output, Protocol};
use bellwether_units::{Duration, EntityId, LinkId, NodeId, Purpose, Stream, Time};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use zeroize::Zeroizing;

/// How the network treats frames and records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    pub(crate) loss: f64,
    pub(crate) duplication: f64,
    /// Frames take from a millisecond to this long, so that they overtake one another.
    pub(crate) longest_delay_ms: u64,
    /// A record takes from nothing to this long to become durable.
    pub(crate) longest_write_ms: u64,
    /// One end of a quantum key does not get it.
    pub(crate) halves: f64,
}

impl Weather {
    pub(crate) const FAIR: Self =
        Self { loss: 0.0, duplication: 0.0, longest_delay_ms: 1, longest_write_ms: 1, halves: 0.0 };
}

pub(crate) type Store = BTreeMap<Vec<u8>, Vec<u8>>;

pub(crate) enum Happening {
    Frame {
        from: NodeId,
        to: NodeId,
        bytes: Vec<u8>,
    },
    Durable {
        node: usize,
        life: u32,
    },
    Timeout(usize),
    Do(usize, Command),
    Quantum(NodeId, Request),
    Ask {
        master: SaeName,
        slaves: Vec<SaeName>,
        number: u32,
        bits: u32,
    },
    Collect {
        slave: SaeName,
        master: SaeName,
        ids: Vec<KeyId>,
    },
    Crash(usize),
    /// Starts again; if there are so many older states of the store, from that one.
    Restart(usize, usize),
    Partition(usize, usize, bool),
    /// The quantum network refuses everything, for this reason, or nothing.
    Quantumless(Option<Refusal>),
    Snapshot(usize),
    /// An application calls its key manager about a stream.
    Stream(crate::streams::Asked),
}

/// A key as its master got it.
pub(crate) struct Issued {
    pub(crate) key: SecretBits,
    pub(crate) master: SaeName,
    pub(crate) slaves: Vec<SaeName>,
    pub(crate) protection: Protection,
    pub(crate) at: Time,
}

enum Question {
    Enc(SaeName, Vec<SaeName>, u32, u32),
    Dec(SaeName, SaeName, Vec<KeyId>),
}

pub(crate) struct World {
    pub(crate) directory: Arc<Directory>,
    pub(crate) settings: Settings,
    pub(crate) weather: Weather,
    pub(crate) managers: Vec<Option<KeyManager>>,
    lives: Vec<u32>,
    pub(crate) stores: Vec<Store>,
    snapshots: Vec<Vec<Store>>,
    writing: Vec<VecDeque<(u64, Record)>>,
    asked: Vec<Option<Time>>,
    started: Vec<Time>,
    rngs: Vec<Stream>,
    pub(crate) fate: Stream,
    pub(crate) now: Time,
    queue: BTreeMap<(Time, u64), Happening>,
    pub(crate) counter: u64,
    parted: BTreeSet<(usize, usize)>,
    quantumless: Option<Refusal>,
    pub(crate) stuck_disk: bool,
    /// A slave collects as soon as it hears of its keys.
    pub(crate) collects: bool,
    /// How often a slave asks for the same keys again later.
    pub(crate) again: f64,
    /// The two ends get different bits.
    pub(crate) spoiled: bool,

    questions: BTreeMap<Ticket, Question>,
    pub(crate) issued: BTreeMap<KeyId, Issued>,
    pub(crate) collected: BTreeSet<(KeyId, SaeName)>,
    /// Eight bytes at every place of every key that is quantum key as it is.
    pub(crate) windows: BTreeSet<[u8; 8]>,
    pub(crate) errors: Vec<DeliveryError>,
    pub(crate) lost: BTreeMap<KeyId, LostCause>,
    pub(crate) burned: Vec<(usize, BurnedCause)>,
    pub(crate) alarms: Vec<(usize, Alarm)>,
    pub(crate) downgrades: Vec<(usize, Option<Refusal>)>,
    /// A node's store is old, and does not say so yet.
    doubtful: Vec<bool>,
    /// When a node's store was last rolled back.
    pub(crate) rolled: Vec<Option<Time>>,
    pub(crate) frames: usize,
    pub(crate) streams: Streams,
}

pub(crate) fn ms(n: u64) -> Duration {
    Duration::from_milliseconds(n)
}

pub(crate) fn name(text: &str) -> SaeName {
    text.parse().unwrap()
}

/// Every node has two applications, and all may share keys; how, depends on the slave's: `q-N` wants quantum key
/// as it is, `a-N` both, or while there is no quantum key the post-quantum secret, if `downgrade`.
pub(crate) fn everybody(nodes: u32, downgrade: bool) -> Directory {
    let mut directory = Directory::default();
    let mut all = Vec::new();
    for node in 0..nodes {
        for kind in ["a", "q"] {
            let sae = name(&format!("{kind}-{node}"));
            directory.add_application(sae.clone(), NodeId(node), None).unwrap();
            all.push(sae);
        }
    }
    for master in &all {
        for slave in &all {
            let requirement = match (slave.as_str().starts_with('q'), downgrade) {
                (true, _) => Requirement::QuantumOnly,
                (false, true) => Requirement::PostQuantumWhileDown,
                (false, false) => Requirement::Both,
            };
            directory.allow(master, slave, PairPolicy { requirement, ..PairPolicy::default() }).unwrap();
        }
    }
    directory
}

impl World {
    pub(crate) fn new(nodes: u32, directory: Directory, settings: Settings, seed: u64) -> Self {
        let directory = Arc::new(directory);
        let count = nodes as usize;
        let mut rngs: Vec<_> =
            (0..nodes).map(|i| Stream::new(seed, EntityId(i), Purpose::named("manager"))).collect();
        let managers = (0..count)
            .map(|i| {
                let (d, s) = (Arc::clone(&directory), settings.clone());
                Some(KeyManager::new(NodeId(i as u32), d, s, &mut rngs[i]))
            })
            .collect();
        let mut world = Self {
            directory,
            settings,
            weather: Weather::FAIR,
            managers,
            lives: vec![0; count],
            stores: vec![Store::new(); count],
            snapshots: vec![Vec::new(); count],
            writing: (0..count).map(|_| VecDeque::new()).collect(),
            asked: vec![None; count],
            started: vec![Time::ZERO; count],
            rngs,
            fate: Stream::new(seed, EntityId(0), Purpose::named("fate")),
            now: Time::ZERO,
            queue: BTreeMap::new(),
            counter: 0,
            parted: BTreeSet::new(),
            quantumless: None,
            stuck_disk: false,
            collects: true,
            again: 0.0,
            spoiled: false,
            questions: BTreeMap::new(),
            issued: BTreeMap::new(),
            collected: BTreeSet::new(),
            windows: BTreeSet::new(),
            errors: Vec::new(),
            lost: BTreeMap::new(),
            burned: Vec::new(),
            alarms: Vec::new(),
            downgrades: Vec::new(),
            doubtful: vec![false; count],
            rolled: vec![None; count],
            frames: 0,
            streams: Streams::default(),
        };
        for i in 0..count {
            world.at(Time::ZERO, Happening::Timeout(i));
            world.asked[i] = Some(Time::ZERO);
        }
        world
    }

    pub(crate) fn at(&mut self, time: Time, happening: Happening) {
        self.queue.insert((time, self.counter), happening);
        self.counter += 1;
    }
    pub(crate) fn at_ms(&mut self, time: u64, happening: Happening) {
        self.at(Time::ZERO + ms(time), happening);
    }
    pub(crate) fn ask(&mut self, master: &str, slaves: &[&str], number: u32, bits: u32) {
        let slaves = slaves.iter().map(|s| name(s)).collect();
        self.at(self.now, Happening::Ask { master: name(master), slaves, number, bits });
    }
    pub(crate) fn collect(&mut self, slave: &str, master: &str, ids: &[KeyId]) {
        let ids = ids.to_vec();
        self.at(self.now, Happening::Collect { slave: name(slave), master: name(master), ids });
    }

    pub(crate) fn run_ms(&mut self, span: u64) {
        let end = self.now + ms(span);
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

    pub(crate) fn node_of(&self, sae: &SaeName) -> usize {
        self.directory.node_of(sae.as_str()).unwrap().index()
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Frame { from, to, bytes } => {
                self.input(to.index(), Input::Frame { from, bytes: &bytes });
            }
            Happening::Durable { node, life } => {
                if self.lives[node] == life
                    && let Some((number, record)) = self.writing[node].pop_front()
                {
                    self.write(node, record);
                    self.doubtful[node] = false;
                    self.input(node, Input::Persisted(number));
                }
            }
            Happening::Timeout(node) => {
                if self.asked[node].is_some_and(|at| at <= self.now) {
                    self.asked[node] = None;
                    self.input(node, Input::Timeout);
                }
            }
            Happening::Do(node, command) => self.input(node, Input::Command(command)),
            Happening::Quantum(from, request) => self.quantum(from, request),
            Happening::Ask { master, slaves, number, bits } => {
                let ticket = Ticket(self.counter);
                self.counter += 1;
                let question = Question::Enc(master.clone(), slaves.clone(), number, bits);
                self.questions.insert(ticket, question);
                let node = self.node_of(&master);
                let (slave, additional) = (slaves[0].clone(), slaves[1..].to_vec());
                let ask = EncKeys { ticket, caller: master, slave, additional, number, bits };
                self.input(node, Input::Command(Command::EncKeys(ask)));
            }
            Happening::Collect { slave, master, ids } => {
                let ticket = Ticket(self.counter);
                self.counter += 1;
                self.questions.insert(ticket, Question::Dec(slave.clone(), master.clone(), ids.clone()));
                let node = self.node_of(&slave);
                let ask = DecKeys { ticket, caller: slave, master, ids };
                self.input(node, Input::Command(Command::DecKeys(ask)));
            }
            Happening::Stream(asked) => {
                let (node, command) = self.stream_command(asked);
                self.input(node, Input::Command(command));
            }
            Happening::Crash(node) => {
                self.managers[node] = None;
                self.lives[node] += 1;
                // A prefix of what was being written survives.
                let writing = core::mem::take(&mut self.writing[node]);
                let survives = self.fate.below(writing.len() as u64 + 1) as usize;
                for (_, record) in writing.into_iter().take(survives) {
                    self.doubtful[node] = false;
                    self.write(node, record);
                }
                self.asked[node] = None;
            }
            Happening::Restart(node, age) => self.restart(node, age),
            Happening::Partition(a, b, parted) => {
                if parted {
                    self.parted.insert((a, b));
                } else {
                    self.parted.remove(&(a, b));
                }
            }
            Happening::Quantumless(reason) => self.quantumless = reason,
            Happening::Snapshot(node) => {
                let store = self.stores[node].clone();
                self.snapshots[node].push(store);
            }
        }
    }

    fn write(&mut self, node: usize, record: Record) {
        for change in record.changes {
            match change {
                Change::Put { key, value } => drop(self.stores[node].insert(key, value.to_vec())),
                Change::Delete { key } => drop(self.stores[node].remove(&key)),
            }
        }
    }

    fn restart(&mut self, node: usize, age: usize) {
        if self.managers[node].is_some() {
            return;
        }
        let mut memory = Memory::Current;
        if age > 0 && age <= self.snapshots[node].len() {
            let kept = self.snapshots[node].len() - age;
            self.stores[node] = self.snapshots[node][kept].clone();
            self.snapshots[node].truncate(kept + 1);
            self.doubtful[node] = true;
        }
        if self.doubtful[node] {
            // Until the machine has made durable that it is, whoever starts it must say that its store is old.
            self.rolled[node] = Some(self.now);
            memory = Memory::Doubtful;
        }
        self.restore(node, memory);
    }

    pub(crate) fn restore(&mut self, node: usize, memory: Memory) {
        let entries = self.stores[node].iter().map(|(k, v)| (k.clone(), Zeroizing::new(v.clone())));
        let (d, s) = (Arc::clone(&self.directory), self.settings.clone());
        let machine =
            KeyManager::restore(NodeId(node as u32), d, s, entries, memory, &mut self.rngs[node]).unwrap();
        // What the old life was asked will never be answered.
        self.managers[node] = Some(machine);
        // A process' clock begins anew when it starts.
        self.started[node] = self.now;
        self.input(node, Input::Timeout);
    }

    fn local(&self, node: usize, time: Time) -> Time {
        Time::ZERO + time.since(self.started[node])
    }

    fn input(&mut self, node: usize, input: Input<'_, NodeId, Command, core::convert::Infallible>) {
        let now = self.local(node, self.now);
        let Some(machine) = self.managers[node].as_mut() else { return };
        let mut out = Vec::new();
        machine.handle(now, &mut self.rngs[node], input, &mut out);
        if let Some(at) = machine.deadline() {
            assert!(at > now, "a machine that wants to be woken at once spins");
            let at = self.now + at.since(now);
            if self.asked[node].is_none_or(|old| at < old) {
                self.asked[node] = Some(at);
                self.at(at, Happening::Timeout(node));
            }
        }
        for output in out {
            match output {
                Output::Event(event) => self.event(node, event),
                Output::Send { to, bytes } => self.carry(NodeId(node as u32), to, bytes),
                Output::Persist(number, record) => {
                    self.writing[node].push_back((number, record));
                    let time = self.now + ms(self.fate.below(self.weather.longest_write_ms + 1));
                    if !self.stuck_disk {
                        self.at(time, Happening::Durable { node, life: self.lives[node] });
                    }
                }
                Output::Compute(job) => match job {},
            }
        }
    }

    fn carry(&mut self, from: NodeId, to: NodeId, bytes: Vec<u8>) {
        assert!(bytes.len() <= 1 << 20, "a frame of {} bytes", bytes.len());
        self.frames += 1;
        let (a, b) = (from.index().min(to.index()), from.index().max(to.index()));
        if self.parted.contains(&(a, b)) || self.fate.chance(self.weather.loss) {
            return;
        }
        for _ in 0..1 + u32::from(self.fate.chance(self.weather.duplication)) {
            let delay = ms(1 + self.fate.below(self.weather.longest_delay_ms));
            self.at(self.now + delay, Happening::Frame { from, to, bytes: bytes.clone() });
        }
    }

    /// What the key nodes do with a request.
    fn quantum(&mut self, from: NodeId, request: Request) {
        if let Some(reason) = self.quantumless {
            let refused = Command::QuantumRefused { request: request.id, reason };
            self.input(from.index(), Input::Command(refused));
            return;
        }
        let id = KeyId::random(&mut self.fate);
        let bits = SecretBits::random(request.bits as usize, &mut self.fate);
        for end in [KeyEnd::Source, KeyEnd::Destination] {
            let node = if end == KeyEnd::Source { from } else { request.to };
            let mut key = bits.duplicate();
            if end == KeyEnd::Destination && self.spoiled {
                key = SecretBits::random(request.bits as usize, &mut self.fate);
            }
            let delivered = DeliveredKey {
                id,
                end,
                from,
                to: request.to,
                key,
                routes: vec![vec![LinkId(from.0 + 10 * request.to.0)]],
                nodes: vec![from, request.to],
                demand: None,
                request: request.id,
                since: self.now,
            };
            let at = self.now + ms(self.fate.below(self.weather.longest_delay_ms + 1));
            let lost = self.fate.chance(self.weather.halves);
            if !lost {
                self.at(at, Happening::Do(node.index(), Command::QuantumKey(Box::new(delivered))));
            } else if end == KeyEnd::Source {
                // A key node answers its own node whatever happens.
                let refused = Command::QuantumRefused { request: request.id, reason: Refusal::Unreachable };
                self.at(at, Happening::Do(node.index(), refused));
            }
        }
    }

    fn event(&mut self, node: usize, event: Event) {
        match event {
            Event::WantQuantum(request) => {
                let at = self.now + ms(1 + self.fate.below(20));
                self.at(at, Happening::Quantum(NodeId(node as u32), request));
            }
            Event::Answer { ticket, result } => {
                let question = self.questions.remove(&ticket).expect("an answer to a question, and one");
                match (question, result) {
                    (_, Err(error)) => self.errors.push(error),
                    (Question::Enc(master, slaves, number, bits), Ok(keys)) => {
                        assert_eq!(keys.len(), number as usize);
                        self.issue(&master, &slaves, bits, keys);
                    }
                    (Question::Dec(slave, master, ids), Ok(keys)) => {
                        assert_eq!(keys.iter().map(|k| k.id).collect::<Vec<_>>(), ids);
                        self.hand_over(&slave, &master, keys);
                    }
                }
            }
            Event::StreamAnswer { ticket, result } => self.stream_answer(ticket, result),
            Event::Lost { keys, cause } => self.lost.extend(keys.into_iter().map(|k| (k, cause))),
            Event::Burned { cause, .. } => self.burned.push((node, cause)),
            Event::Alarm(alarm) => self.alarms.push((node, alarm)),
            Event::Downgraded { reason, .. } => self.downgrades.push((node, reason)),
            Event::Audit(_) => {}
        }
    }

    fn issue(&mut self, master: &SaeName, slaves: &[SaeName], bits: u32, keys: Vec<ApplicationKey>) {
        let ids: Vec<_> = keys.iter().map(|k| k.id).collect();
        for ApplicationKey { id, key, protection, .. } in keys {
            assert_eq!(key.len(), bits as usize);
            let bytes = key.expose().to_bytes();
            for window in bytes.windows(8) {
                let window = window.try_into().unwrap();
                assert!(self.windows.insert(window), "bits of {id} were in a key before");
            }
            let issued =
                Issued { key, master: master.clone(), slaves: slaves.to_vec(), protection, at: self.now };
            assert!(self.issued.insert(id, issued).is_none(), "{id} is issued twice");
        }
        for slave in slaves {
            if self.collects {
                let (slave, master) = (slave.clone(), master.clone());
                let at = self.now + ms(self.fate.below(40));
                if self.fate.chance(self.again) {
                    // Once more, later: it must not get them again, whatever happened in between.
                    let later = at + ms(self.fate.below(4000));
                    let (slave, master, ids) = (slave.clone(), master.clone(), ids.clone());
                    self.at(later, Happening::Collect { slave, master, ids });
                }
                self.at(at, Happening::Collect { slave, master, ids: ids.clone() });
            }
        }
    }

    fn hand_over(&mut self, slave: &SaeName, master: &SaeName, keys: Vec<ApplicationKey>) {
        for key in keys {
            let issued = self.issued.get(&key.id).expect("only what a master got is asked for");
            assert_eq!(&issued.master, master);
            assert!(issued.slaves.contains(slave), "{} went to {slave}", key.id);
            assert!(issued.key == key.key, "the two copies of {} differ", key.id);
            assert_eq!(issued.protection, key.protection);
            assert!(self.collected.insert((key.id, slave.clone())), "{} went to {slave} twice", key.id);
        }
    }

    /// Asks once more for all that was not collected. What is not there then must have been reported: by name, or,
    /// if a store was rolled back since, by the alarm.
    pub(crate) fn check_agreement(&mut self) {
        let mut missing = Vec::new();
        for (id, issued) in &self.issued {
            for slave in &issued.slaves {
                if !self.collected.contains(&(*id, slave.clone())) {
                    missing.push((*id, slave.clone(), issued.master.clone(), issued.at));
                }
            }
        }
        for (id, slave, master, _) in &missing {
            self.collect(slave.as_str(), master.as_str(), &[*id]);
        }
        self.run_ms(10_000);
        for (id, slave, master, at) in missing {
            let there = self.collected.contains(&(id, slave.clone()));
            let rolled = [&slave, &master].iter().any(|sae| self.rolled[self.node_of(sae)] >= Some(at));
            let lost = self.lost.contains_key(&id);
            assert!(there || lost || rolled, "{id} is at {master}, not at {slave}, and nobody says so");
        }
    }

    pub(crate) fn open_questions(&self) -> usize {
        self.managers.iter().flatten().map(KeyManager::open_questions).sum()
    }
}
