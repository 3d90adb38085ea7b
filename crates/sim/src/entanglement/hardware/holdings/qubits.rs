//! Qubits on which programs do gates.
//!
//! A pair stays what it is while it is stored, turned by Pauli operators and measured. The first other gate moves both its
//! halves into a store of joint states, where they stay until they are measured or dropped.

use super::{Cell, Content, Holdings, LoneQubit, Whereabouts};
use bellwether_protocol::application::{Gate, OperationError, TwoQubitGate};
use bellwether_quantum::bell::{BellIndex, PauliChannel};
use bellwether_quantum::density::{Axis, DensityMatrix, Readout};
use bellwether_quantum::pair::BellMeasurement;
use bellwether_quantum::store::{Detail, QubitId, Store};
use bellwether_quantum::tableau::Clifford;
use bellwether_quantum::{Half, MemoryNoise, StateError};
use bellwether_units::{Stream, Time};

/// Where a qubit of a program is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Spot {
    /// In a memory that a link made a pair in.
    Cell(Cell),
    /// In a memory of the processor.
    Local(QubitId),
}

/// Joint states, and what their outcomes are drawn from.
pub(super) struct Qubits {
    store: Store,
    stream: Stream,
}

const NOT_ALLOWED: &str = "gates were allowed before programs began";

fn refusal(error: &StateError) -> OperationError {
    match error {
        StateError::TooManyQubits(qubits) => OperationError::TooManyEntangled(*qubits),
        _ => OperationError::Lost,
    }
}

/// The operator of a frame that a gate is, up to a phase.
const fn frame(gate: Gate) -> Option<BellIndex> {
    match gate {
        Gate::X => Some(BellIndex::PSI_PLUS),
        Gate::Y => Some(BellIndex::PSI_MINUS),
        Gate::Z => Some(BellIndex::PHI_MINUS),
        _ => None,
    }
}
const fn clifford(gate: Gate) -> Option<Clifford> {
    match gate {
        Gate::X => Some(Clifford::X),
        Gate::Y => Some(Clifford::Y),
        Gate::Z => Some(Clifford::Z),
        Gate::H => Some(Clifford::H),
        Gate::S => Some(Clifford::S),
        Gate::SInverse => Some(Clifford::SInverse),
        Gate::T | Gate::TInverse | Gate::Rx(_) | Gate::Ry(_) | Gate::Rz(_) => None,
    }
}

impl Qubits {
    fn noise(&mut self, qubit: QubitId, mixing: f64, now: Time) -> Result<(), StateError> {
        if mixing > 0.0 {
            let channel = PauliChannel::depolarising(mixing)?;
            self.store.pauli_noise(qubit, &channel, now, &mut self.stream)?;
        }
        Ok(())
    }
    fn gate(&mut self, qubit: QubitId, gate: Gate, mixing: f64, now: Time) -> Result<(), StateError> {
        match clifford(gate) {
            Some(gate) => self.store.clifford(qubit, gate, now, &mut self.stream)?,
            None => self.store.gate(qubit, &gate.matrix(), now, &mut self.stream)?,
        }
        self.noise(qubit, mixing, now)
    }
    fn gate_on_two(
        &mut self,
        gate: TwoQubitGate,
        [a, b]: [QubitId; 2],
        mixing: f64,
        now: Time,
    ) -> Result<(), StateError> {
        let Self { store, stream } = self;
        match gate {
            TwoQubitGate::Cnot => store.cnot(a, b, mixing, now, stream),
            TwoQubitGate::Cz => store.cz(a, b, mixing, now, stream),
            TwoQubitGate::Swap => {
                store.cnot(a, b, mixing, now, stream)?;
                store.cnot(b, a, mixing, now, stream)?;
                store.cnot(a, b, mixing, now, stream)
            }
        }
    }
    /// Measures along an axis, by a turn without error and a readout in Z.
    fn measure(
        &mut self,
        qubit: QubitId,
        axis: Axis,
        readout: Readout,
        now: Time,
    ) -> Result<bool, StateError> {
        let Self { store, stream } = self;
        if axis == Axis::X {
            store.clifford(qubit, Clifford::H, now, stream)?;
        } else if axis == Axis::Y {
            store.clifford(qubit, Clifford::SInverse, now, stream)?;
            store.clifford(qubit, Clifford::H, now, stream)?;
        } else if axis != Axis::Z {
            store.gate(qubit, &axis.onto_z(), now, stream)?;
        }
        store.measure(qubit, &readout, now, stream)
    }
    /// Puts a state into memories in which it has been for a while.
    fn add(
        &mut self,
        state: DensityMatrix,
        memories: &[MemoryNoise],
        since: &[Time],
        now: Time,
    ) -> Option<Vec<QubitId>> {
        let ids = self.store.add_state(state, memories, now).ok()?;
        for (id, since) in ids.iter().zip(since) {
            self.store.kept_since(*id, *since).ok()?;
        }
        Some(ids)
    }
}

impl Holdings {
    /// Gates may be done from now on.
    pub(crate) fn allow_gates(&mut self, detail: Detail, stream: Stream) {
        self.qubits = Some(Box::new(Qubits { store: Store::new(detail), stream }));
    }
    fn qubits(&mut self) -> &mut Qubits {
        self.qubits.as_mut().expect(NOT_ALLOWED)
    }
    /// A new qubit in |0⟩, in a memory with this noise.
    pub(crate) fn add_local(&mut self, memory: MemoryNoise, now: Time) -> Spot {
        Spot::Local(self.qubits().store.add_zero(memory, now))
    }
    /// Drops a qubit that is in no cell.
    pub(crate) fn discard(&mut self, qubit: QubitId) {
        let Qubits { store, stream } = self.qubits();
        // What its memory did to it meanwhile nobody will see; it may have been measured already.
        _ = store.discard(qubit, Time::ZERO, stream);
    }

    /// The qubit of a store that is at a spot; what is in a cell is moved into the store first.
    fn stored(&mut self, spot: Spot, now: Time) -> Result<QubitId, OperationError> {
        let cell = match spot {
            Spot::Local(qubit) => return Ok(qubit),
            Spot::Cell(cell) => cell,
        };
        match core::mem::take(&mut self.contents[cell as usize]) {
            Content::Nothing => Err(OperationError::Lost),
            Content::Stored(qubit) => {
                self.contents[cell as usize] = Content::Stored(qubit);
                Ok(qubit)
            }
            Content::Qubit(mut lone) => {
                let noise = self.noise_of(cell);
                lone.age(&noise, now);
                let LoneQubit { state, since, .. } = *lone;
                let ids = self.qubits().add(state, &[noise], &[since], now).ok_or(OperationError::Lost)?;
                self.contents[cell as usize] = Content::Stored(ids[0]);
                Ok(ids[0])
            }
            Content::Half(number, half) => self.promote(cell, number, half, now),
        }
    }
    /// Moves a pair into the store: the half in `cell`, and the other if it is still somewhere.
    fn promote(&mut self, cell: Cell, number: u32, half: Half, now: Time) -> Result<QubitId, OperationError> {
        self.break_off(number);
        let budgeted = self.budgeted;
        let pair = &mut self.pairs[number as usize];
        pair.age(now, budgeted);
        let (state, halves) = (pair.state.clone(), pair.halves);
        self.unused.push(number);
        let [own, other] = [half, half.other()].map(|half| halves[half.index()]);
        let far = match other.whereabouts {
            Whereabouts::Stored(far) | Whereabouts::Claimed(far, _) => far,
            Whereabouts::Used(_) | Whereabouts::Compared | Whereabouts::Gone => {
                let lone = state.density().reduced(&[half.index()]);
                let ids = self.qubits().add(lone, &[own.noise], &[own.since], now);
                let id = ids.ok_or(OperationError::Lost)?[0];
                self.contents[cell as usize] = Content::Stored(id);
                return Ok(id);
            }
        };
        let noises = halves.map(|half| half.noise);
        let qubits = self.qubits();
        let ids = qubits.store.add_pair(state, noises, now);
        for (id, held) in ids.into_iter().zip(halves) {
            qubits.store.kept_since(id, held.since).map_err(|error| refusal(&error))?;
        }
        self.contents[cell as usize] = Content::Stored(ids[half.index()]);
        self.contents[far as usize] = Content::Stored(ids[half.other().index()]);
        Ok(ids[half.index()])
    }

    /// A gate on one qubit, after which it is random with probability `mixing`.
    pub(crate) fn gate(
        &mut self,
        spot: Spot,
        gate: Gate,
        mixing: f64,
        now: Time,
    ) -> Result<(), OperationError> {
        if let (Spot::Cell(cell), Some(frame)) = (spot, frame(gate)) {
            if !self.holds(cell) {
                return Err(OperationError::Lost);
            }
            self.correct(cell, frame, mixing, now);
            return Ok(());
        }
        let qubit = self.stored(spot, now)?;
        self.qubits().gate(qubit, gate, mixing, now).map_err(|error| refusal(&error))
    }
    /// A gate on two qubits, after which both are random with probability `mixing`.
    pub(crate) fn gate_on_two(
        &mut self,
        spots: [Spot; 2],
        gate: TwoQubitGate,
        mixing: f64,
        now: Time,
    ) -> Result<(), OperationError> {
        if spots[0] == spots[1] {
            return Err(OperationError::SameQubit);
        }
        let qubits = [self.stored(spots[0], now)?, self.stored(spots[1], now)?];
        self.qubits().gate_on_two(gate, qubits, mixing, now).map_err(|error| refusal(&error))
    }
    /// Measures a qubit, which is gone after it.
    pub(crate) fn measure_spot(
        &mut self,
        spot: Spot,
        axis: Axis,
        readout: Readout,
        now: Time,
        stream: &mut Stream,
    ) -> Result<bool, OperationError> {
        match spot {
            Spot::Cell(cell) if self.holds(cell) => Ok(self.measure(cell, axis, readout, now, stream)),
            Spot::Cell(_) => Err(OperationError::Lost),
            Spot::Local(qubit) => {
                self.qubits().measure(qubit, axis, readout, now).map_err(|error| refusal(&error))
            }
        }
    }
    /// Measures two qubits in the Bell basis, which are gone after it.
    pub(crate) fn bell_measure(
        &mut self,
        spots: [Spot; 2],
        device: &BellMeasurement,
        now: Time,
    ) -> Result<BellIndex, OperationError> {
        if spots[0] == spots[1] {
            return Err(OperationError::SameQubit);
        }
        let [a, b] = [self.stored(spots[0], now)?, self.stored(spots[1], now)?];
        let Qubits { store, stream } = self.qubits();
        let found = store.bell_measure(a, b, device, now, stream).map_err(|error| refusal(&error))?;
        for spot in spots {
            if let Spot::Cell(cell) = spot {
                self.contents[cell as usize] = Content::Nothing;
            }
        }
        Ok(found)
    }
    /// The true state of qubits, in their order.
    pub(crate) fn look(&mut self, spots: &[Spot], now: Time) -> Result<DensityMatrix, OperationError> {
        let ids: Result<Vec<_>, _> = spots.iter().map(|spot| self.stored(*spot, now)).collect();
        let ids = ids?;
        let Qubits { store, stream } = self.qubits();
        store.look(&ids, now, stream).map_err(|error| refusal(&error))
    }

    /// As [`measure`](Self::measure), of what is in the store.
    pub(super) fn measure_stored(
        &mut self,
        qubit: QubitId,
        axis: Axis,
        readout: Readout,
        now: Time,
    ) -> Option<bool> {
        self.qubits().measure(qubit, axis, readout, now).ok()
    }
    /// As [`correct`](Self::correct), of what is no half of a lone pair.
    pub(super) fn correct_single(&mut self, cell: Cell, pauli: BellIndex, mixing: f64, now: Time) {
        let noise = self.noise_of(cell);
        match &mut self.contents[cell as usize] {
            Content::Qubit(lone) => {
                lone.age(&noise, now);
                lone.state.pauli(0, pauli);
                if mixing > 0.0 {
                    lone.state.depolarise(&[0], mixing);
                }
            }
            Content::Stored(qubit) => {
                let qubit = *qubit;
                let qubits = self.qubits();
                let Qubits { store, stream } = qubits;
                let corrected = store.correct(qubit, pauli, now, stream);
                let noisy = corrected.and_then(|()| qubits.noise(qubit, mixing, now));
                debug_assert!(noisy.is_ok(), "{noisy:?}");
            }
            Content::Nothing | Content::Half(..) => {}
        }
    }
    /// As [`dephase`](Self::dephase), of what is no half of a lone pair.
    pub(super) fn disturb_single(&mut self, cell: Cell, channel: &PauliChannel, now: Time) {
        let noise = self.noise_of(cell);
        match &mut self.contents[cell as usize] {
            Content::Qubit(lone) => {
                lone.age(&noise, now);
                lone.state.pauli_noise(0, channel);
            }
            Content::Stored(qubit) => {
                let qubit = *qubit;
                let Qubits { store, stream } = self.qubits();
                let disturbed = store.pauli_noise(qubit, channel, now, stream);
                debug_assert!(disturbed.is_ok(), "{disturbed:?}");
            }
            Content::Nothing | Content::Half(..) => {}
        }
    }
}
