//! The truth about qubits, for lessons and tests: no node can know it, and live nodes do not offer it.

use super::Programs;
use bellwether_protocol::application::{Node, OperationError, Promise, Qubit, QubitName};
use bellwether_quantum::Complex64;
use bellwether_quantum::density::DensityMatrix;
use bellwether_units::NodeId;

/// A program wants to see qubits of its node.
pub(super) struct Look {
    qubits: Vec<QubitName>,
    answer: Promise<Result<DensityMatrix, OperationError>>,
}

/// The true state of qubits of a program's node, in their order. Looking changes nothing.
///
/// # Errors
/// If a qubit is lost, or they are entangled with more than can be followed.
pub async fn state(node: &Node, qubits: &[&Qubit]) -> Result<DensityMatrix, OperationError> {
    let (answer, wait) = Promise::new();
    let qubits = qubits.iter().map(|qubit| qubit.name()).collect();
    node.ask_driver(Box::new(Look { qubits, answer }));
    wait.await
}

/// The true fidelity of a qubit to the pure state with these amplitudes of |0⟩ and |1⟩.
///
/// # Errors
/// As those of [`state`].
pub async fn fidelity(node: &Node, qubit: &Qubit, amplitudes: [Complex64; 2]) -> Result<f64, OperationError> {
    Ok(state(node, &[qubit]).await?.pure_fidelity(&amplitudes))
}

impl Programs {
    pub(super) fn show(&mut self, node: NodeId, look: Look) {
        let names: Vec<_> = look.qubits.iter().map(|name| (node, *name)).collect();
        let seen = self.look(&names);
        look.answer.fulfil(seen);
    }
    /// The true state of qubits of any nodes, in their order: those that programs returned, say. Looking changes nothing.
    ///
    /// # Errors
    /// If a qubit is lost, or they are entangled with more than can be followed.
    pub fn state(&mut self, qubits: &[&Qubit]) -> Result<DensityMatrix, OperationError> {
        let names: Vec<_> = qubits.iter().map(|qubit| (qubit.node(), qubit.name())).collect();
        self.look(&names)
    }
    fn look(&mut self, names: &[(NodeId, QubitName)]) -> Result<DensityMatrix, OperationError> {
        let place = |(node, name): &(NodeId, QubitName)| {
            let place = self.places.get(node).and_then(|place| place.seat.place(*name));
            Ok((*node, place.ok_or(OperationError::Lost)?))
        };
        let places: Result<Vec<_>, _> = names.iter().map(place).collect();
        self.world.look(&places?)
    }
}
