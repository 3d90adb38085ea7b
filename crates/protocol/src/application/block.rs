//! Several gates and measurements that are handed over at once.

use super::port::Shared;
use super::{Basis, Gate, Operation, OperationError, Qubit, QubitName, TwoQubitGate};
use core::ops::Index;
use std::sync::Arc;

/// Gates and measurements in the order in which they will be done.
pub struct Block {
    shared: Arc<Shared>,
    operations: Vec<Operation>,
    outcomes: usize,
    error: Option<OperationError>,
}

/// By which an outcome of a block is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(usize);

/// The outcomes of a block's measurements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcomes(Vec<bool>);

impl Outcomes {
    pub(super) const fn new(outcomes: Vec<bool>) -> Self {
        Self(outcomes)
    }
}

impl Index<Ticket> for Outcomes {
    type Output = bool;
    fn index(&self, ticket: Ticket) -> &bool {
        &self.0[ticket.0]
    }
}

impl Block {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared, operations: Vec::new(), outcomes: 0, error: None }
    }
    /// What stands before the first error, and the error.
    pub(super) fn finish(self) -> (Vec<Operation>, Option<OperationError>) {
        (self.operations, self.error)
    }
    fn push(&mut self, operation: Operation) {
        if self.error.is_none() {
            self.operations.push(operation);
        }
    }
    fn name(&mut self, qubit: &Qubit) -> QubitName {
        if let Err(error) = qubit.name_at(&self.shared) {
            self.error.get_or_insert(error);
        }
        qubit.name()
    }
    /// A gate on a qubit.
    pub fn gate(&mut self, gate: Gate, qubit: &mut Qubit) {
        let name = self.name(qubit);
        self.push(Operation::One(gate, name));
    }
    /// A gate on two qubits.
    pub fn gate_on_two(&mut self, gate: TwoQubitGate, first: &mut Qubit, second: &mut Qubit) {
        let names = [self.name(first), self.name(second)];
        self.push(Operation::Two(gate, names));
    }
    /// A bit flip.
    pub fn x(&mut self, qubit: &mut Qubit) {
        self.gate(Gate::X, qubit);
    }
    /// A phase flip.
    pub fn z(&mut self, qubit: &mut Qubit) {
        self.gate(Gate::Z, qubit);
    }
    /// A Hadamard gate.
    pub fn h(&mut self, qubit: &mut Qubit) {
        self.gate(Gate::H, qubit);
    }
    /// A controlled NOT.
    pub fn cnot(&mut self, control: &mut Qubit, target: &mut Qubit) {
        self.gate_on_two(TwoQubitGate::Cnot, control, target);
    }
    /// A controlled Z.
    pub fn cz(&mut self, first: &mut Qubit, second: &mut Qubit) {
        self.gate_on_two(TwoQubitGate::Cz, first, second);
    }
    /// A measurement, which uses the qubit up: by the ticket its outcome is found.
    pub fn measure(&mut self, qubit: Qubit, basis: Basis) -> Ticket {
        let ticket = Ticket(self.outcomes);
        self.outcomes += 1;
        self.name(&qubit);
        // What comes after an error is not done: the qubit is dropped, and its memory freed.
        if self.error.is_none() {
            self.operations.push(Operation::Measure(qubit.spend(), basis));
        }
        ticket
    }
}
