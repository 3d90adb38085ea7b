//! Wishes of programs, fulfilled: pairs, messages and sleep.

use super::seat::{Answer, Call, Half, Held, Job};
use super::{Due, Programs, lab};
use crate::entanglement::hardware::Spot;
use crate::entanglement::world::World;
use bellwether_protocol::application::{
    Basis, CallId, DeskEffect, EprError, MeasuredPair, MessageError, OperationError, PairFacts, PairTerms,
    Wish,
};
use bellwether_protocol::entanglement::CircuitId;
use bellwether_protocol::entanglement::network::Delivered;
use bellwether_units::{NodeId, Time};

/// What a desk takes of the network layer's news.
fn facts(pair: &Delivered) -> PairFacts {
    let fidelity = pair.estimate.probabilities()[0];
    PairFacts { id: pair.id, bell: pair.bell, fidelity, born: pair.made }
}

impl Programs {
    pub(super) fn serve(&mut self, node: NodeId, wish: Wish) {
        let now = self.world.now();
        let Some(seat) = self.seats.get_mut(&node) else { return };
        match wish {
            Wish::Pair { peer, terms, answer } => {
                self.call(node, peer, terms, Answer::Pair(answer));
            }
            Wish::MeasuredPairs { peer, terms, bases, answer } => {
                let bases = if bases.is_empty() { vec![Basis::Z] } else { bases };
                let answer = Answer::Measured { bases, got: Vec::new(), wanted: terms.pairs.max(1), answer };
                self.call(node, peer, terms, answer);
            }
            Wish::Zero { answer } => {
                let limit = seat.processor.local_qubits;
                if seat.local >= limit {
                    return answer.fulfil(Err(OperationError::NoMemory(limit)));
                }
                seat.local += 1;
                let spot = self.world.holdings().add_local(seat.processor.memory, now);
                let name = seat.hold(Held { spot, half: None });
                answer.fulfil(Ok(seat.port.qubit(name, None)));
            }
            Wish::Operate { operations, answer } => {
                if operations.is_empty() {
                    return answer.fulfil(Ok(Vec::new()));
                }
                seat.jobs.push_back(Job { operations: operations.into(), outcomes: Vec::new(), answer });
                self.work(node);
            }
            Wish::Free(name) => {
                if let Some(held) = seat.qubits.remove(&name) {
                    self.free(node, held);
                }
            }
            Wish::Send { to, bytes, answer } => {
                if seat.gone.contains(&to) {
                    return answer.fulfil(Err(MessageError::PeerGone(to)));
                }
                match self.arrival(node, to) {
                    Some(at) => {
                        self.at(to, at, Due::Message { from: node, bytes });
                        answer.fulfil(Ok(()));
                    }
                    None => answer.fulfil(Err(MessageError::Unreachable(to))),
                }
            }
            Wish::Receive { from, answer } => {
                if let Some(bytes) = seat.inbox.get_mut(&from).and_then(|inbox| inbox.pop_front()) {
                    answer.fulfil(Ok(bytes));
                } else if seat.gone.contains(&from) {
                    answer.fulfil(Err(MessageError::PeerGone(from)));
                } else {
                    seat.receiving.entry(from).or_default().push_back(answer);
                }
            }
            Wish::Sleep { span, answer } => {
                seat.sleeping += 1;
                self.at(node, now.saturating_add(span), Due::Awake(answer));
            }
            Wish::Special(wish) => {
                if let Ok(look) = wish.downcast::<lab::Look>() {
                    self.show(node, *look);
                }
            }
        }
    }

    /// When a message that is sent now arrives: after those that were sent before.
    fn arrival(&mut self, from: NodeId, to: NodeId) -> Option<Time> {
        if to.index() >= self.world.node_count() {
            return None;
        }
        let delay = self.world.message_delay(from, to)?;
        let (last, under_way) = self.ways.entry((from, to)).or_insert((Time::ZERO, 0));
        *last = self.world.now().saturating_add(delay).max(*last);
        *under_way += 1;
        Some(*last)
    }
    fn arrived(&mut self, from: NodeId, to: NodeId) {
        if let Some((_, under_way)) = self.ways.get_mut(&(from, to)) {
            *under_way -= 1;
        }
    }

    pub(super) fn fall_due(&mut self, node: NodeId, due: Due) {
        match due {
            Due::Operation => self.worked(node),
            Due::Message { from, bytes } => {
                self.arrived(from, node);
                let Some(seat) = self.seats.get_mut(&node) else { return };
                let waiting = seat.receiving.entry(from).or_default();
                while let Some(answer) = waiting.pop_front() {
                    if answer.is_awaited() {
                        return answer.fulfil(Ok(bytes));
                    }
                }
                seat.inbox.entry(from).or_default().push_back(bytes);
            }
            Due::Ended { from, calls } => {
                self.arrived(from, node);
                self.ended(node, from, &calls);
            }
            Due::Awake(answer) => {
                if let Some(seat) = self.seats.get_mut(&node) {
                    seat.sleeping -= 1;
                }
                answer.fulfil(());
            }
            Due::Desk => {
                let now = self.world.now();
                let Some(seat) = self.seats.get_mut(&node) else { return };
                if seat.desk_due <= now {
                    seat.desk_due = Time::MAX;
                }
                let mut out = Vec::new();
                seat.desk.timeout(now, &mut out);
                self.follow(node, out);
            }
            Due::Read(half) => self.world.release_for_program(node, half.circuit, half.pair, half.memory),
        }
    }

    fn call(&mut self, node: NodeId, peer: NodeId, terms: PairTerms, answer: Answer) {
        let now = self.world.now();
        let barred = if !self.world.is_up(node) {
            Some(EprError::NodeDown)
        } else if self.world.own_link_is_cut(node, peer) {
            Some(EprError::LinkDown(peer))
        } else {
            None
        };
        let Some(seat) = self.seats.get_mut(&node) else { return };
        let mut out = Vec::new();
        match seat.desk.call(now, peer, terms, barred, &mut out) {
            Ok(call) => _ = seat.calls.insert(call, Call { peer, answer }),
            Err(error) => {
                let calls = seat.desk.calls();
                let circuit = seat.desk.circuit_to(peer);
                if let Some((circuit, calls)) = calls.into_iter().find(|(known, _)| Some(*known) == circuit) {
                    // It bore the last number.
                    seat.failed.extend(calls.checked_sub(1).map(|number| CallId { circuit, number }));
                }
                match answer {
                    Answer::Pair(answer) => answer.fulfil(Err(error)),
                    Answer::Measured { answer, .. } => answer.fulfil(Err(error)),
                }
            }
        }
        self.follow(node, out);
    }
    pub(super) fn delivered(&mut self, node: NodeId, pair: &Delivered) {
        let mut out = Vec::new();
        let Some(seat) = self.seats.get_mut(&node) else {
            let own = World::own_pair(pair);
            return self.world.release_for_program(node, pair.circuit, own, pair.memory);
        };
        seat.desk.delivered(pair, &mut out);
        self.follow(node, out);
    }
    pub(super) fn revoked(&mut self, node: NodeId, half: Half) {
        let Some(seat) = self.seats.get_mut(&node) else {
            return self.world.release_for_program(node, half.circuit, half.pair, half.memory);
        };
        let held = seat.qubits.iter().find(|(_, held)| held.half == Some(half)).map(|(name, _)| *name);
        if let Some(held) = held.and_then(|name| seat.qubits.remove(&name)) {
            return self.free(node, held);
        }
        let mut out = Vec::new();
        seat.desk.revoked(half.circuit, half.memory, &mut out);
        self.follow(node, out);
    }
    pub(super) fn crashed(&mut self, node: NodeId) {
        let Some(seat) = self.seats.get_mut(&node) else { return };
        let mut out = Vec::new();
        seat.desk.crashed(&mut out);
        for held in core::mem::take(&mut seat.qubits).into_values() {
            self.free(node, held);
        }
        self.follow(node, out);
    }
    /// A node hears that the program of another has ended.
    pub(super) fn ended(&mut self, node: NodeId, other: NodeId, calls: &[(CircuitId, u64)]) {
        let Some(seat) = self.seats.get_mut(&node) else { return };
        seat.gone.insert(other);
        for answer in seat.receiving.remove(&other).into_iter().flatten() {
            answer.fulfil(Err(MessageError::PeerGone(other)));
        }
        let mut out = Vec::new();
        seat.desk.peer_over(other, calls, &mut out);
        self.follow(node, out);
    }
    /// The program of a node has ended: the others will hear of it.
    pub(super) fn end(&mut self, node: NodeId) {
        let Some(seat) = self.seats.get_mut(&node) else { return };
        let calls = seat.desk.calls();
        let mut out = Vec::new();
        seat.desk.over(&mut out);
        self.follow(node, out);
        let others: Vec<_> = self.seats.keys().copied().filter(|other| *other != node).collect();
        for other in others {
            if let Some(at) = self.arrival(node, other) {
                self.at(other, at, Due::Ended { from: node, calls: calls.clone() });
            }
        }
    }

    /// Does what a desk wants.
    pub(super) fn follow(&mut self, node: NodeId, effects: Vec<DeskEffect>) {
        for effect in effects {
            match effect {
                DeskEffect::Request(circuit, request) => {
                    self.world.request_for_program(node, circuit, request);
                }
                DeskEffect::Withdraw(circuit, request) => {
                    self.world.withdraw_for_program(node, circuit, request);
                }
                DeskEffect::Release { circuit, pair, memory } => {
                    self.world.release_for_program(node, circuit, pair, memory);
                }
                DeskEffect::Failed { call, why } => {
                    let Some(seat) = self.seats.get_mut(&node) else { continue };
                    seat.failed.insert(call);
                    match seat.calls.remove(&call).map(|call| call.answer) {
                        Some(Answer::Pair(answer)) => answer.fulfil(Err(why)),
                        Some(Answer::Measured { got, answer, .. }) => {
                            let timed_out = matches!(why, EprError::TimedOut { .. });
                            answer.fulfil(if timed_out { Ok(sorted(got)) } else { Err(why) });
                        }
                        None => {}
                    }
                }
                DeskEffect::Pair { call, pair, last } => {
                    self.hand_over(node, call, &pair, last);
                }
            }
        }
        let Some(seat) = self.seats.get_mut(&node) else { return };
        if let Some(at) = seat.desk.deadline().filter(|at| *at < seat.desk_due) {
            seat.desk_due = at;
            self.at(node, at, Due::Desk);
        }
    }

    fn hand_over(&mut self, node: NodeId, call: CallId, pair: &Delivered, last: bool) {
        let now = self.world.now();
        let spot = Spot::Cell(self.world.cell(node, pair.memory));
        let half = Half { circuit: pair.circuit, pair: World::own_pair(pair), memory: pair.memory };
        let Some(seat) = self.seats.get_mut(&node) else { return };
        let Some(Call { answer, peer }) = seat.calls.remove(&call) else {
            return self.world.release_for_program(node, half.circuit, half.pair, half.memory);
        };
        match answer {
            Answer::Pair(answer) => {
                let name = seat.hold(Held { spot, half: Some(half) });
                // If nobody waits any more, the qubit is dropped, and freed when the port is next looked at.
                answer.fulfil(Ok(seat.port.qubit(name, Some(facts(pair)))));
            }
            Answer::Measured { bases, mut got, wanted, answer } => {
                let basis = bases[seat.stream.below(bases.len() as u64) as usize];
                let readout = seat.processor.readout;
                let read = now.saturating_add(seat.processor.readout_time);
                let outcome = self.world.measure_for_program(node, spot, basis.axis(), readout);
                self.at(node, read, Due::Read(half));
                got.extend(outcome.ok().map(|outcome| MeasuredPair { facts: facts(pair), basis, outcome }));
                if last {
                    answer.fulfil(Ok(sorted(got)));
                } else if let Some(seat) = self.seats.get_mut(&node) {
                    let answer = Answer::Measured { bases, got, wanted, answer };
                    seat.calls.insert(call, Call { peer, answer });
                }
            }
        }
    }

    /// A qubit is not needed any more.
    pub(super) fn free(&mut self, node: NodeId, held: Held) {
        match (held.half, held.spot) {
            (Some(Half { circuit, pair, memory }), _) => {
                self.world.release_for_program(node, circuit, pair, memory);
            }
            (None, Spot::Local(qubit)) => {
                self.world.holdings().discard(qubit);
                self.vacate(node);
            }
            (None, Spot::Cell(_)) => {}
        }
    }
    /// A memory of the processor is free.
    pub(super) fn vacate(&mut self, node: NodeId) {
        if let Some(seat) = self.seats.get_mut(&node) {
            seat.local -= 1;
        }
    }
}

/// In the order of names, which is that of both ends.
fn sorted(mut pairs: Vec<MeasuredPair>) -> Vec<MeasuredPair> {
    pairs.sort_by_key(|pair| pair.facts.id);
    pairs
}
