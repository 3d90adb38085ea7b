//! The program's operations: one after the other, and none on what was given back meanwhile.

use super::{Held, Seat, SeatEffect};
use crate::application::{Operation, OperationError, ProcessorCommand, Promise, QubitName, QubitPlace};
use std::collections::VecDeque;

/// Operations that were handed over together.
pub(super) struct Job {
    pub(super) operations: VecDeque<Operation>,
    pub(super) outcomes: Vec<bool>,
    pub(super) answer: Promise<Result<Vec<bool>, OperationError>>,
}

/// The operation that the hardware does: the first of the first job was taken out.
pub(super) struct UnderWay {
    request: u64,
    operation: Operation,
    /// What it works on, and is nobody's any more: to be given back when it is done.
    lost: Vec<Held>,
}

impl Held {
    const fn place(&self) -> QubitPlace {
        match self {
            Self::Half(half) => QubitPlace::Memory(half.memory),
            Self::Local(local) => QubitPlace::Local(*local),
        }
    }
}

/// An answer with as many outcomes as the operation has.
pub(super) fn checked<Q: Copy>(
    operation: &Operation<Q>,
    result: Result<Vec<bool>, OperationError>,
) -> Result<Vec<bool>, OperationError> {
    // Hardware that says nothing of a measurement has not done it.
    result.and_then(|outcomes| {
        if outcomes.len() == operation.outcomes() { Ok(outcomes) } else { Err(OperationError::Lost) }
    })
}

impl Seat {
    /// Where a qubit of the program is; none if it is lost.
    pub fn place(&self, name: QubitName) -> Option<QubitPlace> {
        self.qubits.get(&name).map(Held::place)
    }
    pub(super) const fn next_request(&mut self) -> u64 {
        let request = self.requests;
        self.requests += 1;
        request
    }

    /// A qubit is nobody's any more. If an operation works on it, its memory is given back when that is done: nothing else
    /// may be put there before.
    pub(super) fn drop_qubit(&mut self, name: QubitName, out: &mut Vec<SeatEffect>) {
        let Some(held) = self.qubits.remove(&name) else { return };
        match &mut self.under_way {
            Some(work) if work.operation.qubits().any(|worked| worked == name) => work.lost.push(held),
            _ => self.give_back(held, out),
        }
    }
    pub(super) fn give_back(&mut self, held: Held, out: &mut Vec<SeatEffect>) {
        match held {
            Held::Half(half) => out.push(half.release()),
            Held::Local(local) => {
                self.locals.remove(&local);
                out.push(SeatEffect::Processor(ProcessorCommand::Discard { local }));
            }
        }
    }

    pub(super) fn hand_in(
        &mut self,
        operations: Vec<Operation>,
        answer: Promise<Result<Vec<bool>, OperationError>>,
        out: &mut Vec<SeatEffect>,
    ) {
        self.jobs.push_back(Job { operations: operations.into(), outcomes: Vec::new(), answer });
        self.work(out);
    }
    /// Begins the next operation, if none is under way.
    fn work(&mut self, out: &mut Vec<SeatEffect>) {
        while self.under_way.is_none()
            && let Some(job) = self.jobs.front_mut()
        {
            let Some(operation) = job.operations.pop_front() else {
                if let Some(Job { outcomes, answer, .. }) = self.jobs.pop_front() {
                    answer.fulfil(Ok(outcomes));
                }
                continue;
            };
            match operation.renamed(|name| self.place(name).ok_or(OperationError::Lost)) {
                Ok(placed) => {
                    let request = self.next_request();
                    self.under_way = Some(UnderWay { request, operation, lost: Vec::new() });
                    let command = ProcessorCommand::Operate { request, operation: placed };
                    out.push(SeatEffect::Processor(command));
                }
                Err(error) => self.fail(operation, error, out),
            }
        }
    }
    /// The first job has failed with this operation. What it was to measure is nobody's.
    fn fail(&mut self, operation: Operation, error: OperationError, out: &mut Vec<SeatEffect>) {
        let Some(job) = self.jobs.pop_front() else { return };
        for operation in core::iter::once(operation).chain(job.operations) {
            operation.used_up().for_each(|name| self.drop_qubit(name, out));
        }
        job.answer.fulfil(Err(error));
    }
    /// The program's operation is done, if that is which was asked for.
    pub(super) fn worked(
        &mut self,
        request: u64,
        result: Result<Vec<bool>, OperationError>,
        out: &mut Vec<SeatEffect>,
    ) {
        let Some(UnderWay { operation, lost, .. }) = self.under_way.take_if(|work| work.request == request)
        else {
            return;
        };
        let result = if lost.is_empty() { checked(&operation, result) } else { Err(OperationError::Lost) };
        lost.into_iter().for_each(|held| self.give_back(held, out));
        match result {
            Ok(outcomes) => {
                for name in operation.used_up() {
                    match self.qubits.remove(&name) {
                        Some(Held::Half(half)) => out.push(half.release()),
                        Some(Held::Local(local)) => _ = self.locals.remove(&local),
                        None => {}
                    }
                }
                if let Some(job) = self.jobs.front_mut() {
                    job.outcomes.extend(outcomes);
                }
            }
            Err(error) => self.fail(operation, error, out),
        }
        self.work(out);
    }
    /// Everything that operations could work on is gone.
    pub(super) fn stop_work(&mut self) {
        self.under_way = None;
        for job in core::mem::take(&mut self.jobs) {
            job.answer.fulfil(Err(OperationError::Lost));
        }
    }
}
