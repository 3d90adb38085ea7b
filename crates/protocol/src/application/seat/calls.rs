//! The program's calls for pairs: halves that are handed over, and halves that are measured as they come.

use super::work::checked;
use super::{Half, Held, Seat, SeatEffect};
use crate::application::{
    Basis, CallId, DeskEffect, EprError, MeasuredPair, Operation, OperationError, PairFacts, PairTerms,
    ProcessorCommand, Promise, Qubit, QubitPlace,
};
use crate::entanglement::network::Delivered;
use bellwether_units::{NodeId, Time};

/// A call for pairs.
pub(super) struct Call {
    pub(super) peer: NodeId,
    pub(super) answer: Answer,
}

pub(super) enum Answer {
    Pair(Promise<Result<Qubit, EprError>>),
    Measured(Measured),
}

/// Pairs that are measured as they come.
pub(super) struct Measured {
    bases: Vec<Basis>,
    pub(super) got: Vec<MeasuredPair>,
    pub(super) wanted: u64,
    /// How many are being measured.
    pub(super) reading: u64,
    /// No more will come.
    complete: bool,
    pub(super) answer: Promise<Result<Vec<MeasuredPair>, EprError>>,
}

/// A half that is being measured.
pub(super) struct Reading {
    call: CallId,
    pub(super) half: Half,
    facts: PairFacts,
    basis: Basis,
    /// It came to nothing meanwhile.
    pub(super) revoked: bool,
}

impl Answer {
    pub(super) fn measured(
        bases: Vec<Basis>,
        pairs: u64,
        answer: Promise<Result<Vec<MeasuredPair>, EprError>>,
    ) -> Self {
        let bases = if bases.is_empty() { vec![Basis::Z] } else { bases };
        let wanted = pairs.max(1);
        Self::Measured(Measured { bases, got: Vec::new(), wanted, reading: 0, complete: false, answer })
    }
    fn refuse(self, why: EprError) {
        match self {
            Self::Pair(answer) => answer.fulfil(Err(why)),
            Self::Measured(Measured { answer, .. }) => answer.fulfil(Err(why)),
        }
    }
}

/// What a program is told of a pair.
fn facts(pair: &Delivered) -> PairFacts {
    let fidelity = pair.estimate.probabilities()[0];
    PairFacts { id: pair.id, bell: pair.bell, fidelity, born: pair.made }
}

impl Seat {
    pub(super) fn call(
        &mut self,
        now: Time,
        peer: NodeId,
        terms: PairTerms,
        answer: Answer,
        barred: Option<EprError>,
        out: &mut Vec<SeatEffect>,
    ) {
        let mut effects = Vec::new();
        match self.desk.call(now, peer, terms, barred, &mut effects) {
            Ok(call) => _ = self.calls.insert(call, Call { peer, answer }),
            Err(why) => {
                self.failed.extend(self.desk.last_call(peer));
                answer.refuse(why);
            }
        }
        self.follow(effects, out);
    }

    /// Does what the desk wants.
    pub(super) fn follow(&mut self, effects: Vec<DeskEffect>, out: &mut Vec<SeatEffect>) {
        for effect in effects {
            match effect {
                DeskEffect::Request(circuit, request) => out.push(SeatEffect::Request(circuit, request)),
                DeskEffect::Withdraw(circuit, request) => out.push(SeatEffect::Withdraw(circuit, request)),
                DeskEffect::Release { circuit, pair, memory } => {
                    out.push(SeatEffect::Release { circuit, pair, memory });
                }
                DeskEffect::Pair { call, pair, last } => self.hand_over(call, &pair, last, out),
                DeskEffect::Failed { call, why } => {
                    self.failed.insert(call);
                    match self.calls.get_mut(&call).map(|call| &mut call.answer) {
                        Some(Answer::Measured(measured)) if matches!(why, EprError::TimedOut { .. }) => {
                            measured.complete = true;
                            self.settle(call);
                        }
                        Some(_) => {
                            if let Some(Call { answer, .. }) = self.calls.remove(&call) {
                                answer.refuse(why);
                            }
                        }
                        None => {}
                    }
                }
            }
        }
    }

    fn hand_over(&mut self, call: CallId, pair: &Delivered, last: bool, out: &mut Vec<SeatEffect>) {
        let half = Half { circuit: pair.circuit, pair: pair.own_pair(), memory: pair.memory };
        let facts = facts(pair);
        let request = self.next_request();
        match self.calls.get_mut(&call).map(|call| &mut call.answer) {
            Some(Answer::Measured(measured)) => {
                let basis = measured.bases[self.port.below(measured.bases.len())];
                measured.reading += 1;
                measured.complete |= last;
                let operation = Operation::Measure(QubitPlace::Memory(half.memory), basis);
                self.reading.insert(request, Reading { call, half, facts, basis, revoked: false });
                out.push(SeatEffect::Processor(ProcessorCommand::Operate { request, operation }));
            }
            Some(Answer::Pair(_)) => {
                if let Some(Call { answer: Answer::Pair(answer), .. }) = self.calls.remove(&call) {
                    let name = self.hold(Held::Half(half));
                    // If nobody waits any more, the qubit is dropped, and freed when the port is next looked at.
                    answer.fulfil(Ok(self.port.qubit(name, Some(facts))));
                }
            }
            None => out.push(half.release()),
        }
    }
    /// A half was measured, or could not be.
    pub(super) fn read(
        &mut self,
        reading: &Reading,
        result: Result<Vec<bool>, OperationError>,
        out: &mut Vec<SeatEffect>,
    ) {
        let Reading { call, half, facts, basis, revoked } = *reading;
        out.push(half.release());
        let Some(Call { answer: Answer::Measured(measured), .. }) = self.calls.get_mut(&call) else { return };
        measured.reading -= 1;
        let read = checked(&Operation::Measure((), basis), result);
        if let Ok([outcome]) = read.as_deref()
            && !revoked
        {
            measured.got.push(MeasuredPair { facts, basis, outcome: *outcome });
        }
        self.settle(call);
    }
    /// Answers a call for measured pairs if none will come and none is being measured.
    fn settle(&mut self, call: CallId) {
        let done = |call: &Call| matches!(&call.answer, Answer::Measured(measured) if measured.complete && measured.reading == 0);
        if self.calls.get(&call).is_some_and(done)
            && let Some(Call { answer: Answer::Measured(measured), .. }) = self.calls.remove(&call)
        {
            let Measured { mut got, answer, .. } = measured;
            // In the order of names, which is that of both ends.
            got.sort_by_key(|pair| pair.facts.id);
            answer.fulfil(Ok(got));
        }
    }
}
