//! What a node's processor does: one operation after the other.

use super::seat::{Half, Held, Job};
use super::{Due, Programs};
use crate::entanglement::hardware::{Processor, Spot};
use bellwether_protocol::application::{Operation, OperationError, QubitName, TwoQubitGate};
use bellwether_units::{Duration, NodeId};

/// How long an operation takes.
fn span(processor: &Processor, operation: &Operation) -> Duration {
    match operation {
        Operation::One(..) => processor.gate_time,
        Operation::Two(TwoQubitGate::Swap, _) => processor.pair_gate_time.saturating_mul(3),
        Operation::Two(..) => processor.pair_gate_time,
        Operation::Measure(..) => processor.readout_time,
        Operation::Bell(_) => processor.bell_time,
    }
}

impl Programs {
    /// Begins the next operation, if none is under way.
    pub(super) fn work(&mut self, node: NodeId) {
        let now = self.world.now();
        let Some(seat) = self.seats.get_mut(&node) else { return };
        if seat.working {
            return;
        }
        let Some(operation) = seat.jobs.front().and_then(|job| job.operations.front()) else { return };
        seat.working = true;
        let at = now.saturating_add(span(&seat.processor, operation));
        self.at(node, at, Due::Operation);
    }
    /// An operation is done: that is when it acts.
    pub(super) fn worked(&mut self, node: NodeId) {
        let Some(seat) = self.seats.get_mut(&node) else { return };
        seat.working = false;
        let Some(mut job) = seat.jobs.pop_front() else { return };
        if let Some(operation) = job.operations.pop_front() {
            match self.operate(node, &operation, &mut job) {
                Ok(()) if job.operations.is_empty() => job.answer.fulfil(Ok(job.outcomes)),
                Ok(()) => {
                    if let Some(seat) = self.seats.get_mut(&node) {
                        seat.jobs.push_front(job);
                    }
                }
                Err(error) => {
                    self.abandon(node, job.operations);
                    job.answer.fulfil(Err(error));
                }
            }
        }
        self.work(node);
    }
    /// What was to be measured after an error is nobody's: its memory is freed.
    fn abandon(&mut self, node: NodeId, operations: impl IntoIterator<Item = Operation>) {
        for operation in operations {
            let names = match operation {
                Operation::Measure(name, _) => vec![name],
                Operation::Bell(names) => names.to_vec(),
                Operation::One(..) | Operation::Two(..) => Vec::new(),
            };
            for name in names {
                if let Some(held) = self.seats.get_mut(&node).and_then(|seat| seat.qubits.remove(&name)) {
                    self.free(node, held);
                }
            }
        }
    }

    fn held(&self, node: NodeId, name: QubitName) -> Result<Held, OperationError> {
        let seat = self.seats.get(&node).ok_or(OperationError::Lost)?;
        seat.qubits.get(&name).copied().ok_or(OperationError::Lost)
    }
    fn spots(&self, node: NodeId, names: &[QubitName; 2]) -> Result<[Spot; 2], OperationError> {
        Ok([self.held(node, names[0])?.spot, self.held(node, names[1])?.spot])
    }
    /// A qubit was measured: its memory is free.
    fn used_up(&mut self, node: NodeId, name: QubitName) {
        let held = self.seats.get_mut(&node).and_then(|seat| seat.qubits.remove(&name));
        match held.map(|held| held.half) {
            Some(Some(Half { circuit, pair, memory })) => {
                self.world.release_for_program(node, circuit, pair, memory);
            }
            Some(None) => self.vacate(node),
            None => {}
        }
    }

    fn operate(&mut self, node: NodeId, operation: &Operation, job: &mut Job) -> Result<(), OperationError> {
        let now = self.world.now();
        let processor = self.seats.get(&node).ok_or(OperationError::Lost)?.processor.clone();
        match operation {
            Operation::One(gate, name) => {
                let spot = self.held(node, *name)?.spot;
                self.world.holdings().gate(spot, *gate, processor.gate_mixing, now)
            }
            Operation::Two(gate, names) => {
                let spots = self.spots(node, names)?;
                self.world.holdings().gate_on_two(spots, *gate, processor.pair_gate_mixing, now)
            }
            Operation::Measure(name, basis) => {
                let spot = self.held(node, *name)?.spot;
                let outcome = self.world.measure_for_program(node, spot, basis.axis(), processor.readout);
                match outcome {
                    Ok(outcome) => {
                        job.outcomes.push(outcome);
                        self.used_up(node, *name);
                        Ok(())
                    }
                    Err(error) => {
                        self.abandon(node, [*operation]);
                        Err(error)
                    }
                }
            }
            Operation::Bell(names) => {
                let found = self.spots(node, names).and_then(|spots| {
                    self.world.holdings().bell_measure(spots, &processor.bell_measurement, now)
                });
                match found {
                    Ok(found) => {
                        job.outcomes.extend([found.bit(), found.phase()]);
                        names.iter().for_each(|name| self.used_up(node, *name));
                        Ok(())
                    }
                    Err(error) => {
                        self.abandon(node, [*operation]);
                        Err(error)
                    }
                }
            }
        }
    }
}
