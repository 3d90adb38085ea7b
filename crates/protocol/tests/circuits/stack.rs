//! Link layer and network layer together: from heralds to pairs from end to end.

use crate::light::Light;
use crate::world::World;
use bellwether_protocol::entanglement::hardware::HardwareCommand;
use bellwether_protocol::entanglement::link::{
    Arrival, AttemptTag, FidelityLevel, FidelityTable, LinkPlace, LinkSettings, Midpoint, MidpointReply,
};
use bellwether_protocol::entanglement::network::{
    Circuit, Delivered, End, Hop, NetworkEvent, PairChoice, PairRequest, RequestId,
};
use bellwether_protocol::entanglement::purification::Recurrence;
use bellwether_protocol::entanglement::routing::LinkKind;
use bellwether_protocol::entanglement::signalling::{
    CircuitEnd, CircuitRefusal, CircuitTerms, HopTerms, Signalling, SignallingEvent, SignallingLink,
    SignallingSettings,
};
use bellwether_protocol::entanglement::{
    CircuitId, EndToEndId, EntanglementNode, MemoryId, NodeEffect, NodeLink, NodeMessage, Outbox,
};
use bellwether_quantum::bell::{BellDiagonal, BellIndex, Purification, PurificationQuality};
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
    Compared { node: usize, token: u64, outcome: bool },
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
    /// With the life of the node that wanted it.
    queue: BTreeMap<(Time, u64), (Happening, u32)>,
    counter: u64,
    settings: Arc<LinkSettings>,
    lives: Vec<u32>,
    circuit: CircuitId,
    delivered: BTreeMap<(EndToEndId, End), Delivered>,
    over: Vec<u64>,
    /// What new pairs truly are.
    fresh: BellDiagonal,
    /// Of how many pairs, when the later end was handed its half, both halves were there, and how many had no error.
    true_pairs: (u64, u64),
    told: Vec<SignallingEvent>,
}

/// The memories of node `n` towards lower numbers, and towards higher ones.
fn memories(side: usize) -> Vec<MemoryId> {
    let first = side as u16 * MEMORIES;
    (first..first + MEMORIES).map(MemoryId).collect()
}

const CIRCUIT: CircuitId = CircuitId(7);

/// Node `n` of a chain, in one of its lives.
fn fresh(settings: &Arc<LinkSettings>, count: usize, n: usize, life: u32) -> EntanglementNode {
    let kind = LinkKind::new(settings, PurificationQuality::PERFECT, World::quality().memory);
    let (mut links, mut signalled) = (Vec::new(), Vec::new());
    for (side, _) in [n > 0, n + 1 < count].into_iter().enumerate().filter(|(_, exists)| *exists) {
        let link = LinkId((n + side - 1) as u32);
        let peer = NodeId((n + 2 * side - 1) as u32);
        let place = LinkPlace { link, numbers: side == 1, life, memories: memories(side) };
        links.push(NodeLink { place, peer, settings: Arc::clone(settings) });
        signalled.push(SignallingLink { link, peer, kind: kind.clone(), memories: MEMORIES });
    }
    let mut node = EntanglementNode::new(World::quality(), links);
    let signalling = Signalling::new(NodeId(n as u32), signalled, SignallingSettings::default());
    node.signal(signalling);
    node
}

impl Chain {
    /// Nodes and links, and no circuit.
    fn bare(count: usize, loss: f64, seed: u64, fidelity: f64) -> Self {
        let level = FidelityLevel { brightness: 0.1, fidelity, success: SUCCESS };
        let table = FidelityTable::new(vec![level]).unwrap();
        let settings = Arc::new(LinkSettings::new(table, CYCLE, DELAY));
        let mut chain = Self {
            nodes: (0..count).map(|n| fresh(&settings, count, n, 1)).collect(),
            midpoints: (0..count - 1).map(|link| Midpoint::new(LinkId(link as u32), 1)).collect(),
            armed: vec![[vec![None; MEMORIES.into()], vec![None; MEMORIES.into()]]; count - 1],
            light: Light::default(),
            loss,
            fate: Stream::new(seed, EntityId(0), Purpose::named("chain")),
            now: Time::ZERO,
            queue: BTreeMap::new(),
            counter: 0,
            settings,
            lives: vec![1; count],
            circuit: CIRCUIT,
            delivered: BTreeMap::new(),
            over: Vec::new(),
            fresh: BellDiagonal::PERFECT,
            true_pairs: (0, 0),
            told: Vec::new(),
        };
        for n in 0..count {
            chain.on(n, |node, now, out| node.start(now, out));
        }
        chain
    }

    /// A circuit that somebody has installed everywhere.
    fn new(count: usize, loss: f64, seed: u64) -> Self {
        let mut chain = Self::bare(count, loss, seed, 0.95);
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
        }
        chain
    }

    /// A circuit that the head has opened; its links purify.
    fn signalled(count: usize, loss: f64, seed: u64, rounds: u8) -> Self {
        let fidelity = 0.85;
        let mut chain = Self::bare(count, loss, seed, fidelity);
        chain.fresh = BellDiagonal::werner(fidelity).unwrap();
        chain.open(rounds, 10.0);
        chain.run(Duration::from_milliseconds(50));
        chain
    }
    fn open(&mut self, rounds: u8, rate: f64) {
        let count = self.nodes.len();
        let hop = |link: usize| HopTerms { link: LinkId(link as u32), fidelity: 0.85, rounds };
        let terms = CircuitTerms {
            nodes: (0..count).map(|n| NodeId(n as u32)).collect(),
            hops: (0..count - 1).map(hop).collect(),
            how: Recurrence::alike(rounds, Purification::Dejmps).expect("few rounds"),
            rate,
            memories: 1,
            weight: 1,
            cutoff: Some(Duration::from_milliseconds(20)),
            choice: PairChoice::Oldest,
            round_trip: DELAY * 2 * count as u64,
            end_memories: [World::quality().memory; 2],
            refresh: Duration::from_milliseconds(100),
        };
        let circuit = self.circuit;
        self.on(0, |node, now, out| node.open(now, circuit, terms, out).unwrap());
    }

    fn at(&mut self, time: Time, happening: Happening) {
        let life = whose(&happening).map_or(0, |n| self.lives[n]);
        self.queue.insert((time, self.counter), (happening, life));
        self.counter += 1;
    }

    /// A node forgets everything and starts anew; its memories hold nothing of use.
    fn crash(&mut self, n: usize) {
        self.lives[n] += 1;
        (0..2 * MEMORIES).for_each(|memory| self.light.lose((n, memory)));
        for (link, end) in [(n.wrapping_sub(1), 1), (n, 0)] {
            self.armed.get_mut(link).into_iter().for_each(|armed| armed[end].fill(None));
        }
        self.nodes[n] = fresh(&self.settings, self.nodes.len(), n, self.lives[n]);
        self.on(n, |node, now, out| node.start(now, out));
    }

    fn on(&mut self, n: usize, act: impl FnOnce(&mut EntanglementNode, Time, &mut Outbox)) {
        let mut out = Outbox::default();
        act(&mut self.nodes[n], self.now, &mut out);
        if let Some(at) = self.nodes[n].deadline() {
            self.at(at.max(self.now), Happening::Timeout(n));
        }
        out.effects.into_iter().for_each(|effect| self.carry_out(n, effect));
    }

    fn carry_out(&mut self, n: usize, effect: NodeEffect) {
        match effect {
            NodeEffect::Send { to, link, message } => {
                if !self.fate.chance(self.loss) {
                    let (to, bytes) = (to.index(), message.encode());
                    self.at(self.now + DELAY, Happening::Message { from: n, to, link, bytes });
                }
            }
            NodeEffect::Hardware(command) => self.carry_out_in_hardware(n, command),
            NodeEffect::Circuit(event) => self.told.extend((n == 0).then_some(event)),
            NodeEffect::Event(NetworkEvent::Delivered(delivered)) => {
                let end = delivered.end;
                if let Some((other, bell)) = self.light.truth((n, delivered.memory.0)) {
                    assert_eq!(other.0, if n == 0 { self.nodes.len() - 1 } else { 0 });
                    assert_eq!(bell, delivered.bell);
                }
                if let Some(other) = self.delivered.get(&(delivered.id, end.other())) {
                    assert_eq!((other.bell, other.request), (delivered.bell, delivered.request));
                    if let Some(error) = self.light.error((n, delivered.memory.0)) {
                        self.true_pairs.0 += 1;
                        self.true_pairs.1 += u64::from(error == BellIndex::PHI_PLUS);
                    }
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

    fn carry_out_in_hardware(&mut self, n: usize, command: HardwareCommand) {
        match command {
            HardwareCommand::Arm { memory, tag, .. } => {
                self.light.lose((n, memory.0));
                self.arm(n, memory, Some(tag));
            }
            HardwareCommand::Disarm { memory } => self.arm(n, memory, None),
            HardwareCommand::Free { memory } => self.light.lose((n, memory.0)),
            HardwareCommand::Swap { token, left, right } => {
                self.at(self.now + CYCLE, Happening::Swapped { node: n, token, left, right });
            }
            HardwareCommand::Compare { token, kept, sacrificed, how } => {
                let coin = self.fate.chance(0.5);
                let outcome = self.light.compare([(n, kept.0), (n, sacrificed.0)], how, coin);
                self.at(self.now + CYCLE, Happening::Compared { node: n, token, outcome });
            }
            HardwareCommand::Correct { memory, pauli } => self.light.correct((n, memory.0), pauli),
            HardwareCommand::Measure { .. } => {}
        }
    }

    fn arm(&mut self, n: usize, memory: MemoryId, tag: Option<AttemptTag>) {
        let link = n + usize::from(memory.0 / MEMORIES) - 1;
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
                let mut draw = self.fate.uniform();
                let error = BellIndex::ALL.into_iter().find(|index| {
                    draw -= self.fresh.probability(*index);
                    draw < 0.0
                });
                self.light.make(places, bell, error.unwrap_or_default());
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
            Happening::Compared { node, token, outcome } => {
                self.on(node, |node, now, out| node.compared(now, token, Some(outcome), out));
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
        let circuit = self.circuit;
        self.on(0, |node, now, out| node.request(now, circuit, request, out).unwrap());
    }

    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some((&(time, _), _)) = self.queue.first_key_value()
            && time <= end
            && let Some((_, (happening, life))) = self.queue.pop_first()
        {
            self.now = time;
            // What hardware and applications did for a node that has crashed since is nothing to the new one.
            if whose(&happening).is_none_or(|n| self.lives[n] == life) {
                self.happen(happening);
            }
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

/// Whose hardware or application it is.
fn whose(happening: &Happening) -> Option<usize> {
    match happening {
        Happening::Swapped { node, .. }
        | Happening::Compared { node, .. }
        | Happening::Release { node, .. } => Some(*node),
        _ => None,
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

/// Signalling, links, purification, swaps and tracks together.
#[test]
fn a_circuit_that_was_opened_delivers_purified_pairs() {
    let mut fidelities = Vec::new();
    for rounds in [0, 1, 2] {
        let mut chain = Chain::signalled(4, 0.0, 9, rounds);
        assert_eq!(chain.told, [SignallingEvent::Opened { circuit: CIRCUIT }]);
        chain.ask(1500);
        chain.run(Duration::from_whole_seconds(60));
        assert_eq!(
            (chain.over.as_slice(), chain.at_both_ends()),
            ([1500].as_slice(), 1500),
            "{rounds} rounds"
        );
        let (all, good) = chain.true_pairs;
        let heads = chain.delivered.iter().filter(|((_, end), _)| *end == End::Head);
        let claimed = heads.map(|(_, delivered)| delivered.estimate.fidelity()).sum::<f64>() / 1500.0;
        // What is claimed also counts memories that fade and swaps that fail, which here they do not.
        let found = good as f64 / all as f64;
        assert!(
            all > 1400 && found > claimed && found < claimed + 0.15,
            "{rounds}: {found} {claimed} of {all}"
        );
        fidelities.push((found, claimed));
        chain.on(0, |node, now, out| node.close(now, CIRCUIT, out).unwrap());
        chain.run(Duration::from_milliseconds(100));
        let why = CircuitEnd::Closed;
        assert_eq!(chain.told[1..], [SignallingEvent::Closed { circuit: CIRCUIT, why }]);
        chain.run(Duration::from_whole_seconds(1));
        for node in &mut chain.nodes {
            assert_eq!(node.held().0, 0);
            let signalling = node.signalling().unwrap();
            assert_eq!(signalling.held(), (0, 0, 0));
        }
    }
    // 0.85 of each of three links, and what DEJMPS makes of it once and twice.
    assert!(
        fidelities.windows(2).all(|two| two[0].0 + 0.05 < two[1].0 && two[0].1 + 0.05 < two[1].1),
        "{fidelities:?}"
    );
}

#[test]
fn purified_circuits_come_through_losses() {
    for seed in 0..10 {
        let mut chain = Chain::signalled(3, 0.1, seed, 1);
        assert_eq!(chain.told, [SignallingEvent::Opened { circuit: CIRCUIT }], "seed {seed}");
        chain.ask(100);
        chain.run(Duration::from_whole_seconds(5));
        assert_eq!(chain.over.as_slice(), [100], "seed {seed}");
        assert!(chain.at_both_ends() >= 95, "seed {seed}: {}", chain.at_both_ends());
    }
}

#[test]
fn what_a_chain_cannot_promise_is_refused_before_anything_is_made() {
    let mut chain = Chain::bare(4, 0.0, 1, 0.85);
    chain.open(3, 10.0);
    chain.run(Duration::from_milliseconds(10));
    let [SignallingEvent::Refused { why: CircuitRefusal::Memories { best, .. }, .. }] = chain.told[..] else {
        panic!("{:?}", chain.told)
    };
    assert_eq!(best.memories, 0);
}

#[test]
fn a_circuit_is_torn_down_when_a_node_crashed_and_the_next_one_serves() {
    for crashed in [1, 2, 3] {
        let mut chain = Chain::signalled(4, 0.0, crashed as u64, 1);
        chain.ask(1_000_000);
        chain.run(Duration::from_milliseconds(300));
        chain.crash(crashed);
        chain.run(Duration::from_whole_seconds(1));
        let why = CircuitEnd::TornDown;
        let closed = SignallingEvent::Closed { circuit: CIRCUIT, why };
        assert_eq!(chain.told, [SignallingEvent::Opened { circuit: CIRCUIT }, closed]);
        assert!(chain.over.len() == 1 && chain.at_both_ends() > 0, "{:?}", chain.over);
        (chain.told, chain.over) = (Vec::new(), Vec::new());
        chain.circuit = CircuitId(8);
        chain.open(1, 10.0);
        chain.run(Duration::from_milliseconds(50));
        assert_eq!(chain.told, [SignallingEvent::Opened { circuit: CircuitId(8) }]);
        let before = chain.at_both_ends();
        chain.ask(100);
        chain.run(Duration::from_whole_seconds(10));
        assert_eq!(
            (chain.over.as_slice(), chain.at_both_ends() - before),
            ([100].as_slice(), 100),
            "{crashed}"
        );
        chain.on(0, |node, now, out| node.close(now, CircuitId(8), out).unwrap());
        chain.run(Duration::from_whole_seconds(3));
        for node in &mut chain.nodes {
            assert_eq!((node.held().0, node.signalling().unwrap().held()), (0, (0, 0, 0)));
        }
    }
}
