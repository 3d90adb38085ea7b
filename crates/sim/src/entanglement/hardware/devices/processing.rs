//! What a node's processor does for its program: an operation acts at its end.

use super::{Device, DeviceHappening, Devices, Surroundings};
use crate::entanglement::hardware::{Processor, Spot};
use bellwether_protocol::application::{
    Operation, OperationError, ProcessorCommand, QubitPlace, TwoQubitGate,
};
use bellwether_quantum::store::{Detail, QubitId};
use bellwether_units::{Duration, NodeId, Stream, Time};
use std::collections::BTreeMap;

/// A processor, and what its own memories hold.
pub(super) struct Processing {
    processor: Processor,
    locals: BTreeMap<u16, QubitId>,
}

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

impl Devices {
    /// Programs may use processors from now on, and joint states of qubits are followed as told.
    pub(crate) fn allow_programs(&mut self, detail: Detail, stream: Stream) {
        self.holdings.allow_gates(detail, stream);
    }
    /// What a node's processor does, instead of what its model says.
    pub(crate) fn set_processor(&mut self, node: NodeId, processor: Processor) {
        self.processing(node).processor = processor;
    }
    /// What a node's processor does.
    pub(crate) fn processor(&mut self, node: NodeId) -> &Processor {
        &self.processing(node).processor
    }
    fn processing(&mut self, node: NodeId) -> &mut Processing {
        let station = &mut self.stations[node.index()];
        let model = &station.model;
        station.processing.get_or_insert_with(|| {
            Box::new(Processing { processor: Processor::of(model), locals: BTreeMap::new() })
        })
    }

    /// Carries out what the seat of a node's program wants.
    pub(crate) fn process(
        &mut self,
        now: Time,
        node: NodeId,
        command: &ProcessorCommand,
        around: &mut impl Surroundings,
    ) {
        match *command {
            ProcessorCommand::Zero { local } => {
                self.discard(node, local);
                let memory = self.processor(node).memory;
                if let Spot::Local(qubit) = self.holdings.add_local(memory, now) {
                    self.processing(node).locals.insert(local, qubit);
                }
            }
            ProcessorCommand::Discard { local } => self.discard(node, local),
            ProcessorCommand::Operate { request, operation } => {
                let at = now.saturating_add(span(self.processor(node), &operation));
                let life = self.stations[node.index()].life;
                let processed = DeviceHappening::Processed { node, request, operation, life };
                around.later(Device::Node(node), at, processed);
            }
        }
    }
    fn discard(&mut self, node: NodeId, local: u16) {
        if let Some(qubit) = self.processing(node).locals.remove(&local) {
            self.holdings.discard(qubit);
        }
    }
    pub(super) fn empty_processor(&mut self, node: NodeId) {
        if let Some(processing) = &mut self.stations[node.index()].processing {
            for qubit in core::mem::take(&mut processing.locals).into_values() {
                self.holdings.discard(qubit);
            }
        }
    }

    /// Where a qubit of a program is among all.
    pub(crate) fn spot(&self, node: NodeId, place: QubitPlace) -> Result<Spot, OperationError> {
        match place {
            QubitPlace::Memory(memory) => Ok(Spot::Cell(self.cell(node, memory))),
            QubitPlace::Local(local) => {
                let processing = self.stations[node.index()].processing.as_ref();
                let qubit = processing.and_then(|processing| processing.locals.get(&local)).copied();
                qubit.map(Spot::Local).ok_or(OperationError::Lost)
            }
        }
    }
    pub(super) fn processed(
        &mut self,
        now: Time,
        node: NodeId,
        operation: &Operation<QubitPlace>,
    ) -> Result<Vec<bool>, OperationError> {
        let spots = operation.renamed(|place| self.spot(node, place))?;
        let processor = self.processor(node).clone();
        let Self { holdings, stations, .. } = self;
        let outcomes = match spots {
            Operation::One(gate, spot) => {
                holdings.gate(spot, gate, processor.gate_mixing, now)?;
                Vec::new()
            }
            Operation::Two(gate, spots) => {
                holdings.gate_on_two(spots, gate, processor.pair_gate_mixing, now)?;
                Vec::new()
            }
            Operation::Measure(spot, basis) => {
                let stream = &mut stations[node.index()].stream;
                vec![holdings.measure_spot(spot, basis.axis(), processor.readout, now, stream)?]
            }
            Operation::Bell(spots) => {
                let found = holdings.bell_measure(spots, &processor.bell_measurement, now)?;
                vec![found.bit(), found.phase()]
            }
        };
        // What was measured is used up.
        for used in operation.used_up() {
            if let QubitPlace::Local(local) = used {
                self.processing(node).locals.remove(&local);
            }
        }
        Ok(outcomes)
    }
}
