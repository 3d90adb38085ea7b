//! What a node does to qubits of programs.

use super::NodeModel;
use bellwether_quantum::MemoryNoise;
use bellwether_quantum::density::Readout;
use bellwether_quantum::pair::BellMeasurement;
use bellwether_units::Duration;

/// Gates, readouts and memories that programs of a node may use. One operation is done at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Processor {
    /// The probability that a gate on one qubit leaves it random.
    pub gate_mixing: f64,
    /// How long such a gate takes.
    pub gate_time: Duration,
    /// The probability that a gate on two qubits leaves both random; exchanging two takes three such gates.
    pub pair_gate_mixing: f64,
    /// How long such a gate takes.
    pub pair_gate_time: Duration,
    /// How a qubit is read, along whatever axis.
    pub readout: Readout,
    /// How long that takes.
    pub readout_time: Duration,
    /// How two qubits are measured in the Bell basis.
    pub bell_measurement: BellMeasurement,
    /// How long that takes.
    pub bell_time: Duration,
    /// How many qubits there are besides those that links use.
    pub local_qubits: u16,
    /// What time does to these.
    pub memory: MemoryNoise,
}

impl Processor {
    /// How many local qubits there are unless it is told.
    pub const LOCAL_QUBITS: u16 = 8;

    /// What a node's model says of it: two-qubit gates are those of its Bell measurement and take what that takes beside
    /// the readout; gates on one qubit take no time; local qubits are as those that store.
    pub fn of(model: &NodeModel) -> Self {
        Self {
            gate_mixing: model.gate_mixing,
            gate_time: Duration::ZERO,
            pair_gate_mixing: model.bell_measurement.mixing(),
            pair_gate_time: model.swap_time.saturating_sub(model.readout_time),
            readout: model.readout,
            readout_time: model.readout_time,
            bell_measurement: model.bell_measurement,
            bell_time: model.swap_time,
            local_qubits: Self::LOCAL_QUBITS,
            memory: model.storage,
        }
    }
}
