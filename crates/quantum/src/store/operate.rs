//! What can be done to qubits of a store.

use super::{Joint, QubitId, Store};
use crate::bell::{BellIndex, PauliChannel};
use crate::density::{Gate, Readout};
use crate::pair::{BellMeasurement, PairState};
use crate::tableau::Clifford;
use crate::{Half, MemoryNoise, StateError};
use bellwether_units::{Stream, Time};

/// A gate on two qubits that all forms of state know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Controlled {
    Not,
    Z,
}

impl Store {
    /// Applies the Pauli operator of a frame to a qubit, without error.
    pub fn correct(
        &mut self,
        qubit: QubitId,
        frame: BellIndex,
        now: Time,
        stream: &mut Stream,
    ) -> Result<(), StateError> {
        let group = self.refresh(qubit, now, stream)?;
        let (state, places) = self.at(group, &[qubit]);
        match state {
            Joint::Pair(pair) => pair.correct(half(places[0]), frame),
            Joint::Dense(state) => state.pauli(places[0], frame),
            Joint::Tableau(tableau) => tableau.pauli(places[0], frame),
        }
        Ok(())
    }
    /// Applies Pauli noise to a qubit.
    pub fn pauli_noise(
        &mut self,
        qubit: QubitId,
        channel: &PauliChannel,
        now: Time,
        stream: &mut Stream,
    ) -> Result<(), StateError> {
        let group = self.refresh(qubit, now, stream)?;
        let (state, places) = self.at(group, &[qubit]);
        match state {
            Joint::Pair(pair) => pair.pauli_noise(half(places[0]), channel),
            Joint::Dense(state) => state.pauli_noise(places[0], channel),
            Joint::Tableau(tableau) => {
                tableau.pauli_noise(places[0], channel, stream);
            }
        }
        Ok(())
    }
    /// Applies a Clifford gate to a qubit.
    pub fn clifford(
        &mut self,
        qubit: QubitId,
        gate: Clifford,
        now: Time,
        stream: &mut Stream,
    ) -> Result<(), StateError> {
        let frame = match gate {
            Clifford::X => BellIndex::PSI_PLUS,
            Clifford::Y => BellIndex::PSI_MINUS,
            Clifford::Z => BellIndex::PHI_MINUS,
            _ => {
                let group = self.cluster(&[qubit], true, now, stream)?;
                let (state, places) = self.at(group, &[qubit]);
                match state {
                    Joint::Tableau(tableau) => tableau.apply(places[0], gate),
                    Joint::Dense(state) => state.apply(places[0], &gate.into()),
                    Joint::Pair(_) => unreachable!("a cluster is no lone pair"),
                }
                return Ok(());
            }
        };
        self.correct(qubit, frame, now, stream)
    }
    /// Applies any gate to a qubit. A tableau becomes a density matrix by it; fails when that cannot hold its qubits.
    pub fn gate(
        &mut self,
        qubit: QubitId,
        gate: &Gate,
        now: Time,
        stream: &mut Stream,
    ) -> Result<(), StateError> {
        let group = self.cluster(&[qubit], false, now, stream)?;
        if let (Joint::Dense(state), places) = self.at(group, &[qubit]) {
            state.apply(places[0], gate);
        }
        Ok(())
    }
    /// Applies a controlled NOT after which both qubits become random with probability `mixing`. Joins their states; fails,
    /// with no gate applied, when those do not fit together.
    ///
    /// Panics when told one qubit twice.
    pub fn cnot(
        &mut self,
        control: QubitId,
        target: QubitId,
        mixing: f64,
        now: Time,
        stream: &mut Stream,
    ) -> Result<(), StateError> {
        self.controlled(Controlled::Not, [control, target], mixing, now, stream)
    }
    /// Applies a controlled Z. Otherwise as [`cnot`](Self::cnot).
    pub fn cz(
        &mut self,
        first: QubitId,
        second: QubitId,
        mixing: f64,
        now: Time,
        stream: &mut Stream,
    ) -> Result<(), StateError> {
        self.controlled(Controlled::Z, [first, second], mixing, now, stream)
    }
    fn controlled(
        &mut self,
        gate: Controlled,
        qubits: [QubitId; 2],
        mixing: f64,
        now: Time,
        stream: &mut Stream,
    ) -> Result<(), StateError> {
        crate::error::probability("the mixing of a gate on two qubits", mixing)?;
        let group = self.cluster(&qubits, true, now, stream)?;
        let (state, places) = self.at(group, &qubits);
        let [a, b] = [places[0], places[1]];
        match state {
            Joint::Tableau(tableau) => {
                match gate {
                    Controlled::Not => tableau.cnot(a, b),
                    Controlled::Z => tableau.cz(a, b),
                }
                tableau.depolarise(&[a, b], mixing, stream);
            }
            Joint::Dense(state) => {
                match gate {
                    Controlled::Not => state.cnot(a, b),
                    Controlled::Z => state.cz(a, b),
                }
                if mixing > 0.0 {
                    state.depolarise(&[a, b], mixing);
                }
            }
            Joint::Pair(_) => unreachable!("a cluster is no lone pair"),
        }
        Ok(())
    }

    /// Measures a qubit in the Z basis, which uses it up. Tells what the readout says.
    pub fn measure(
        &mut self,
        qubit: QubitId,
        readout: &Readout,
        now: Time,
        stream: &mut Stream,
    ) -> Result<bool, StateError> {
        let group = self.cluster(&[qubit], true, now, stream)?;
        let (state, places) = self.at(group, &[qubit]);
        let told = match state {
            Joint::Tableau(tableau) => {
                let outcome = tableau.measure_out(places[0], stream.bits() & 1 == 1).outcome;
                readout.tell(outcome, stream.uniform())
            }
            Joint::Dense(state) => state.measure_out(places[0], readout, stream.uniform()),
            Joint::Pair(_) => unreachable!("a cluster is no lone pair"),
        };
        self.forget(qubit);
        Ok(told)
    }
    /// Drops a qubit: nobody looks at it any more.
    pub fn discard(&mut self, qubit: QubitId, now: Time, stream: &mut Stream) -> Result<(), StateError> {
        let group = self.cluster(&[qubit], true, now, stream)?;
        match self.at(group, &[qubit]) {
            (Joint::Tableau(tableau), places) => {
                tableau.measure_out(places[0], stream.bits() & 1 == 1);
            }
            (Joint::Dense(state), places) => state.discard(places[0]),
            (Joint::Pair(_), _) => unreachable!("a cluster is no lone pair"),
        }
        self.forget(qubit);
        Ok(())
    }
    /// Measures two qubits of one node in the Bell basis, which uses them up: entanglement swapping, or the first half of
    /// teleportation. Tells the reported outcome. Two lone pairs become one without becoming a cluster.
    ///
    /// Panics when told one qubit twice.
    pub fn bell_measure(
        &mut self,
        first: QubitId,
        second: QubitId,
        device: &BellMeasurement,
        now: Time,
        stream: &mut Stream,
    ) -> Result<BellIndex, StateError> {
        let groups = [self.refresh(first, now, stream)?, self.refresh(second, now, stream)?];
        if let Some(outcome) = self.swap(groups, [first, second], device, stream) {
            return Ok(outcome);
        }
        let [phase_readout, bit_readout] = device.readouts();
        self.cnot(first, second, device.mixing(), now, stream)?;
        self.clifford(first, Clifford::H, now, stream)?;
        let phase = self.measure(first, &phase_readout, now, stream)?;
        let bit = self.measure(second, &bit_readout, now, stream)?;
        Ok(BellIndex::new(bit, phase))
    }
    /// Swaps two lone pairs, if that is what these qubits belong to.
    fn swap(
        &mut self,
        groups: [u64; 2],
        qubits: [QubitId; 2],
        device: &BellMeasurement,
        stream: &mut Stream,
    ) -> Option<BellIndex> {
        let [left, right] = groups.map(|group| &self.groups[&group]);
        let (Joint::Pair(a), Joint::Pair(b)) = (&left.state, &right.state) else { return None };
        if groups[0] == groups[1] {
            return None;
        }
        let (inner_left, inner_right) = (left.position(qubits[0]), right.position(qubits[1]));
        let outer = [left.members[1 - inner_left], right.members[1 - inner_right]];
        // The swap is between the second half of the one and the first of the other.
        let turned = |pair: &PairState, turn: bool| if turn { pair.exchanged() } else { pair.clone() };
        let (a, b) = (turned(a, inner_left == 0), turned(b, inner_right == 1));
        let (outcome, state) = a.swap(&b, device, stream.uniform());
        self.forget(qubits[0]);
        self.forget(qubits[1]);
        self.groups.remove(&groups[1]);
        self.qubits.get_mut(&outer[1]).expect("the outer qubit stays").group = groups[0];
        let group = self.groups.get_mut(&groups[0]).expect("one outer qubit kept its group");
        (group.state, group.members) = (Joint::Pair(state), outer.to_vec());
        Some(outcome)
    }
    /// The memory of a qubit.
    pub fn memory(&self, qubit: QubitId) -> Result<MemoryNoise, StateError> {
        self.qubits.get(&qubit).map(|place| place.memory).ok_or(StateError::NoSuchQubit)
    }
}

fn half(position: usize) -> Half {
    Half::BOTH[position]
}
