//! What a node's processor does: it begins what its seat asks for, and acts at the end of it.

use super::{Due, Programs};
use crate::entanglement::hardware::{Processor, Spot};
use bellwether_protocol::application::{Operation, OperationError, QubitPlace, TwoQubitGate};
use bellwether_units::{Duration, NodeId};

/// How long an operation takes.
fn span(processor: &Processor, operation: &Operation<QubitPlace>) -> Duration {
    match operation {
        Operation::One(..) => processor.gate_time,
        Operation::Two(TwoQubitGate::Swap, _) => processor.pair_gate_time.saturating_mul(3),
        Operation::Two(..) => processor.pair_gate_time,
        Operation::Measure(..) => processor.readout_time,
        Operation::Bell(_) => processor.bell_time,
    }
}

impl Programs {
    /// Begins an operation.
    pub(super) fn begin_work(&mut self, node: NodeId, request: u64, operation: Operation<QubitPlace>) {
        let Some(place) = self.places.get_mut(&node) else { return };
        place.working.insert(request, operation);
        let at = self.world.now().saturating_add(span(&place.processor, &operation));
        self.at(node, at, Due::Operation(request));
    }
    /// An operation is done: that is when it acts.
    pub(super) fn end_work(&mut self, node: NodeId, request: u64) {
        // None if the node has crashed since.
        let operation = self.places.get_mut(&node).and_then(|place| place.working.remove(&request));
        let Some(operation) = operation else { return };
        let result = self.operate(node, &operation);
        self.tell(node, |seat, now, out| seat.operated(now, request, result, out));
    }
    /// The node was down: nothing is under way any more.
    pub(super) fn stop_work(&mut self, node: NodeId) {
        if let Some(place) = self.places.get_mut(&node) {
            place.working.clear();
        }
    }

    /// Puts a memory of the processor into |0⟩.
    pub(super) fn zero(&mut self, node: NodeId, local: u16) {
        let now = self.world.now();
        let Some(place) = self.places.get_mut(&node) else { return };
        let Spot::Local(qubit) = self.world.holdings().add_local(place.processor.memory, now) else { return };
        place.locals.insert(local, qubit);
    }
    /// Empties a memory of the processor.
    pub(super) fn discard(&mut self, node: NodeId, local: u16) {
        if let Some(qubit) = self.places.get_mut(&node).and_then(|place| place.locals.remove(&local)) {
            self.world.holdings().discard(qubit);
        }
    }

    /// Where the world has a qubit.
    pub(super) fn spot(&self, node: NodeId, place: QubitPlace) -> Result<Spot, OperationError> {
        match place {
            QubitPlace::Memory(memory) => Ok(Spot::Cell(self.world.cell(node, memory))),
            QubitPlace::Local(local) => {
                let locals = self.places.get(&node).map(|place| &place.locals);
                let qubit = locals.and_then(|locals| locals.get(&local)).copied();
                qubit.map(Spot::Local).ok_or(OperationError::Lost)
            }
        }
    }
    fn operate(
        &mut self,
        node: NodeId,
        operation: &Operation<QubitPlace>,
    ) -> Result<Vec<bool>, OperationError> {
        let now = self.world.now();
        let processor = self.places.get(&node).ok_or(OperationError::Lost)?.processor.clone();
        let outcomes = match operation.renamed(|place| self.spot(node, place))? {
            Operation::One(gate, spot) => {
                self.world.holdings().gate(spot, gate, processor.gate_mixing, now)?;
                Vec::new()
            }
            Operation::Two(gate, spots) => {
                self.world.holdings().gate_on_two(spots, gate, processor.pair_gate_mixing, now)?;
                Vec::new()
            }
            Operation::Measure(spot, basis) => {
                vec![self.world.measure_for_program(node, spot, basis.axis(), processor.readout)?]
            }
            Operation::Bell(spots) => {
                let found = self.world.holdings().bell_measure(spots, &processor.bell_measurement, now)?;
                vec![found.bit(), found.phase()]
            }
        };
        // What was measured is used up.
        for used in operation.used_up() {
            if let (QubitPlace::Local(local), Some(place)) = (used, self.places.get_mut(&node)) {
                place.locals.remove(&local);
            }
        }
        Ok(outcomes)
    }
}
