//! The seat of one program at its node: takes its wishes, says what its driver has to do for them, and answers.
//!
//! A driver polls the program, takes [wishes](Wish) out of the [port](Seat::port) and hands them to [`Seat::wish`]; it tells
//! the seat what the network layer, the hardware and other nodes say, and carries out every [`SeatEffect`]. It polls the
//! program again when an answer has woken it, calls [`Seat::timeout`] at [`Seat::deadline`], and [`Seat::over`] once the
//! program has returned. The simulator and the daemon drive the same seat.

mod calls;
mod effect;
mod waits;
mod work;

#[cfg(test)]
mod tests;

pub use effect::SeatEffect;
pub use waits::Awaited;

use super::{
    Booth, CallId, EprError, MessageError, OperationError, PairDesk, Port, ProcessorCommand, Promise,
    QubitName, Wish,
};
use crate::entanglement::network::{Delivered, End};
use crate::entanglement::{CircuitId, MemoryId, PairId};
use bellwether_units::{NodeId, Time};
use calls::{Answer, Call, Reading};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use work::{Job, UnderWay};

/// A half that the network layer has lent out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Half {
    circuit: CircuitId,
    pair: PairId,
    memory: MemoryId,
}

impl Half {
    const fn release(self) -> SeatEffect {
        SeatEffect::Release { circuit: self.circuit, pair: self.pair, memory: self.memory }
    }
}

/// A qubit of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Half(Half),
    Local(u16),
}

type Receiving = VecDeque<Promise<Result<Vec<u8>, MessageError>>>;

/// One program of one node: what it waits for, and what it has.
pub struct Seat {
    port: Port,
    desk: PairDesk,
    calls: BTreeMap<CallId, Call>,
    /// Calls that failed here: no pair comes for the other end's.
    failed: BTreeSet<CallId>,
    qubits: BTreeMap<QubitName, Held>,
    next_qubit: u64,
    /// How many memories the processor has for qubits of the program, and which are in use.
    local_qubits: u16,
    locals: BTreeSet<u16>,
    /// The first is at work.
    jobs: VecDeque<Job>,
    under_way: Option<UnderWay>,
    /// Pairs that are being measured as they came, by the request.
    reading: BTreeMap<u64, Reading>,
    /// How many operations were asked for.
    requests: u64,
    /// By when they are to be woken, and in which order they came.
    sleepers: BTreeMap<(Time, u64), Promise<()>>,
    slept: u64,
    inbox: BTreeMap<NodeId, VecDeque<Vec<u8>>>,
    receiving: BTreeMap<NodeId, Receiving>,
    /// Nodes whose programs have ended, as far as this one has heard.
    gone: BTreeSet<NodeId>,
}

impl Seat {
    /// A seat for the program that has the other side of `port`, at a node with these ends of circuits and so many memories
    /// for local qubits.
    pub fn new(port: Port, booths: impl IntoIterator<Item = Booth>, local_qubits: u16) -> Self {
        Self {
            port,
            desk: PairDesk::new(booths),
            calls: BTreeMap::new(),
            failed: BTreeSet::new(),
            qubits: BTreeMap::new(),
            next_qubit: 0,
            local_qubits,
            locals: BTreeSet::new(),
            jobs: VecDeque::new(),
            under_way: None,
            reading: BTreeMap::new(),
            requests: 0,
            sleepers: BTreeMap::new(),
            slept: 0,
            inbox: BTreeMap::new(),
            receiving: BTreeMap::new(),
            gone: BTreeSet::new(),
        }
    }
    /// Changes how many memories there are for local qubits; those in use stay.
    pub const fn set_local_qubits(&mut self, local_qubits: u16) {
        self.local_qubits = local_qubits;
    }
    /// Where the program leaves its wishes.
    pub const fn port(&self) -> &Port {
        &self.port
    }
    /// A program is attached to `peer`. Calls with it are made in sessions: `own` where this is the head of the circuit, and
    /// `theirs` where it is the tail. Before this is said both are 0.
    pub fn meet(&mut self, peer: NodeId, own: u32, theirs: u32) {
        self.desk.set_session(peer, End::Head, own);
        self.desk.set_session(peer, End::Tail, theirs);
    }
    /// The program's calls for pairs.
    pub const fn desk(&self) -> &PairDesk {
        &self.desk
    }

    /// The program wishes something. `barred` says why this node cannot serve a call for pairs with a node at present; none
    /// if it can.
    pub fn wish(
        &mut self,
        now: Time,
        wish: Wish,
        barred: impl FnOnce(NodeId) -> Option<EprError>,
        out: &mut Vec<SeatEffect>,
    ) {
        self.port.set_now(now);
        match wish {
            Wish::Pair { peer, terms, answer } => {
                self.call(now, peer, terms, Answer::Pair(answer), barred(peer), out);
            }
            Wish::MeasuredPairs { peer, terms, bases, answer } => {
                self.call(now, peer, terms, Answer::measured(bases, terms.pairs, answer), barred(peer), out);
            }
            Wish::Zero { answer } => {
                match (0..self.local_qubits).find(|local| !self.locals.contains(local)) {
                    Some(local) => {
                        self.locals.insert(local);
                        out.push(SeatEffect::Processor(ProcessorCommand::Zero { local }));
                        let name = self.hold(Held::Local(local));
                        answer.fulfil(Ok(self.port.qubit(name, None)));
                    }
                    None => answer.fulfil(Err(OperationError::NoMemory(self.local_qubits))),
                }
            }
            Wish::Operate { operations, answer } => self.hand_in(operations, answer, out),
            Wish::Free(name) => self.drop_qubit(name, out),
            Wish::Send { to, answer, .. } if self.gone.contains(&to) => {
                answer.fulfil(Err(MessageError::PeerGone(to)));
            }
            Wish::Send { to, bytes, answer } => out.push(SeatEffect::Send { to, bytes, answer }),
            Wish::Receive { from, answer } => {
                if let Some(bytes) = self.inbox.get_mut(&from).and_then(VecDeque::pop_front) {
                    answer.fulfil(Ok(bytes));
                } else if self.gone.contains(&from) {
                    answer.fulfil(Err(MessageError::PeerGone(from)));
                } else {
                    self.receiving.entry(from).or_default().push_back(answer);
                }
            }
            Wish::Sleep { span, answer } => {
                self.sleepers.insert((now.saturating_add(span), self.slept), answer);
                self.slept += 1;
            }
            Wish::Special(wish) => out.push(SeatEffect::Special(wish)),
        }
    }
    /// A name for a qubit that the program will own.
    fn hold(&mut self, held: Held) -> QubitName {
        let name = QubitName(self.next_qubit);
        self.next_qubit += 1;
        self.qubits.insert(name, held);
        name
    }

    /// The network layer has delivered a half for a request of the program.
    pub fn delivered(&mut self, now: Time, pair: &Delivered, out: &mut Vec<SeatEffect>) {
        self.port.set_now(now);
        let mut effects = Vec::new();
        self.desk.delivered(pair, &mut effects);
        self.follow(effects, out);
    }
    /// A half that was delivered came to nothing: `pair` is this end's link pair.
    pub fn revoked(
        &mut self,
        now: Time,
        circuit: CircuitId,
        pair: PairId,
        memory: MemoryId,
        out: &mut Vec<SeatEffect>,
    ) {
        self.port.set_now(now);
        let half = Half { circuit, pair, memory };
        if let Some(reading) = self.reading.values_mut().find(|reading| reading.half == half) {
            return reading.revoked = true;
        }
        let name = self.qubits.iter().find(|(_, held)| **held == Held::Half(half)).map(|(name, _)| *name);
        if let Some(name) = name {
            return self.drop_qubit(name, out);
        }
        let mut effects = Vec::new();
        self.desk.revoked(circuit, memory, &mut effects);
        self.follow(effects, out);
    }
    /// The hardware has done an operation, with these outcomes, or could not. What was asked for before a crash is not heard.
    pub fn operated(
        &mut self,
        now: Time,
        request: u64,
        result: Result<Vec<bool>, OperationError>,
        out: &mut Vec<SeatEffect>,
    ) {
        self.port.set_now(now);
        match self.reading.remove(&request) {
            Some(reading) => self.read(&reading, result, out),
            None => self.worked(request, result, out),
        }
    }
    /// The program of another node has sent a message.
    pub fn message(&mut self, now: Time, from: NodeId, bytes: Vec<u8>) {
        self.port.set_now(now);
        if let Some(waiting) = self.receiving.get_mut(&from) {
            while let Some(answer) = waiting.pop_front() {
                if answer.is_awaited() {
                    return answer.fulfil(Ok(bytes));
                }
            }
        }
        self.inbox.entry(from).or_default().push_back(bytes);
    }
    /// The program of another node has ended, after so many calls on circuits, or there is none.
    pub fn peer_over(
        &mut self,
        now: Time,
        peer: NodeId,
        calls: &[(CircuitId, u64)],
        out: &mut Vec<SeatEffect>,
    ) {
        self.port.set_now(now);
        self.gone.insert(peer);
        for answer in self.receiving.remove(&peer).into_iter().flatten() {
            answer.fulfil(Err(MessageError::PeerGone(peer)));
        }
        let mut effects = Vec::new();
        self.desk.peer_over(peer, calls, &mut effects);
        self.follow(effects, out);
    }
    /// The program of this seat has returned. Qubits that it gave away stay until they are dropped.
    pub fn over(&mut self, now: Time, out: &mut Vec<SeatEffect>) {
        self.port.set_now(now);
        let calls = self.desk.calls();
        let mut effects = Vec::new();
        self.desk.over(&mut effects);
        self.follow(effects, out);
        self.calls.clear();
        self.inbox.clear();
        self.receiving.clear();
        out.push(SeatEffect::Over { calls });
    }
    /// The node was down and has lost what its memories held, and what was under way: nobody need say that it was
    /// [operated](Self::operated). The program goes on.
    pub fn crashed(&mut self, now: Time, out: &mut Vec<SeatEffect>) {
        self.port.set_now(now);
        self.stop_work();
        self.reading.clear();
        self.qubits.clear();
        // The network layer has forgotten its halves: there is nothing to release.
        let discard = |local| SeatEffect::Processor(ProcessorCommand::Discard { local });
        out.extend(core::mem::take(&mut self.locals).into_iter().map(discard));
        let mut effects = Vec::new();
        self.desk.crashed(&mut effects);
        self.follow(effects, out);
    }

    /// When [`timeout`](Self::timeout) is wanted next.
    pub fn deadline(&self) -> Option<Time> {
        let sleeper = self.sleepers.keys().next().map(|(at, _)| *at);
        sleeper.into_iter().chain(self.desk.deadline()).min()
    }
    /// Wakes who slept long enough, and ends calls whose time is up.
    pub fn timeout(&mut self, now: Time, out: &mut Vec<SeatEffect>) {
        self.port.set_now(now);
        while let Some(first) = self.sleepers.first_entry()
            && first.key().0 <= now
        {
            first.remove().fulfil(());
        }
        let mut effects = Vec::new();
        self.desk.timeout(now, &mut effects);
        self.follow(effects, out);
    }
}
