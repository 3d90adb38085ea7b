//! From a node's platform to what its hardware does.

use super::{Assumed, BuildError};
use crate::entanglement::hardware::NodeModel;
use crate::platforms::{self, PlatformError};
use bellwether_network::{Noise, Platform, Qubit};
use bellwether_quantum::StateError;
use bellwether_quantum::bell::DepolarisingParameter;
use bellwether_quantum::density::Readout;
use bellwether_quantum::pair::BellMeasurement;

/// What a node is needed for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Duties {
    /// It keeps pairs in qubits that entangle with light.
    pub(super) keeps: bool,
    /// It moves pairs into qubits that store.
    pub(super) stores: bool,
    /// It swaps.
    pub(super) swaps: bool,
    /// It compares pairs, to purify them.
    pub(super) compares: bool,
}

/// The hardware of a node of this platform; of none, a node at which nothing errs or decays.
pub(super) fn model(
    name: &str,
    platform: Option<&Platform>,
    duties: Duties,
    assumed: &mut Assumed,
) -> Result<NodeModel, BuildError> {
    let Some(platform) = platform else { return Ok(NodeModel::PERFECT) };
    let error = |error| BuildError::Node { node: name.to_owned(), error };
    let mut model = NodeModel::PERFECT;
    if let Some(qubit) = platform.communication {
        if duties.keeps || duties.swaps || qubit.t2.is_some() {
            model.communication = platforms::memory_noise(&qubit).map_err(error)?;
        }
        model.readout = readout(&qubit, assumed).map_err(error)?;
        model.readout_time = qubit.readout_time.unwrap_or_default();
        model.gate_mixing = mixing(qubit.gate, 1).map_err(|e| error(e.into()))?;
        if qubit.collective {
            assumed.note("qubits that dephase by one field are taken to dephase each by its own");
        }
    } else if duties.keeps {
        return Err(error(PlatformError::Untold("a qubit that entangles with light")));
    }
    if duties.stores {
        let untold = || error(PlatformError::Untold("a qubit that stores"));
        let storage = platform.storage.ok_or_else(untold)?;
        model.storage = platforms::memory_noise(&storage).map_err(error)?;
        model.attempt_dephasing = platforms::attempt_dephasing(&storage).map_err(error)?;
        let initialise = mixing(storage.initialisation, 1).map_err(|e| error(e.into()))?;
        let gate = two_qubits(platform).map_err(|e| error(e.into()))?;
        model.move_mixing = 1.0 - (1.0 - initialise) * (1.0 - gate);
        let initialise = storage.initialisation_time.unwrap_or_default();
        model.move_time = initialise + platform.gate.and_then(|gate| gate.time).unwrap_or_default();
    }
    if duties.swaps || duties.compares {
        let gate = two_qubits(platform).map_err(|e| error(e.into()))?;
        let readouts = [model.readout; 2];
        model.bell_measurement = BellMeasurement::new(gate, readouts).map_err(|e| error(e.into()))?;
        let gates = platform.gate.and_then(|gate| gate.time).unwrap_or_default();
        let single = platform.communication.and_then(|qubit| qubit.gate_time).unwrap_or_default();
        model.swap_time = gates + single + model.readout_time;
        if platform.gate.is_none_or(|gate| gate.noise.is_none()) {
            assumed.note("a gate between two qubits that a platform tells no figure of errs never");
        }
    }
    Ok(model)
}

fn readout(qubit: &Qubit, assumed: &mut Assumed) -> Result<Readout, PlatformError> {
    match platforms::readout(qubit) {
        Err(PlatformError::Untold(_)) => {
            assumed.note("a readout that a platform tells no errors of errs never");
            Ok(Readout::PERFECT)
        }
        told => told,
    }
}

/// The probability that an operation leaves its qubits random.
fn mixing(noise: Option<Noise>, qubits: u32) -> Result<f64, StateError> {
    match noise {
        None => Ok(0.0),
        // Each qubit becomes random by itself: what is left of a pair's correlations is the product.
        Some(Noise::Depolarising(p)) => {
            let kept = 1.0 - DepolarisingParameter::Mixing(p).mixing(1)?;
            Ok(1.0 - (0..qubits).fold(1.0, |product, _| product * kept))
        }
        Some(Noise::Fidelity(f)) => DepolarisingParameter::AverageFidelity(f).mixing(qubits),
    }
}

/// The probability that the gate between two qubits leaves both random.
fn two_qubits(platform: &Platform) -> Result<f64, StateError> {
    mixing(platform.gate.and_then(|gate| gate.noise), 2)
}
