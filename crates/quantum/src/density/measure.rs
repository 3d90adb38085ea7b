//! Measurements of density matrices: every outcome with its probability and the state it leaves.

use super::gate::{Gate, Operator, preserve_trace};
use super::{DensityMatrix, ONE, ZERO};
use crate::StateError;
use crate::error::probability;

/// One outcome of a measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct Branch {
    /// How likely it is.
    pub probability: f64,
    /// The state after it; the state before where the outcome is impossible.
    pub state: DensityMatrix,
}

/// A readout that errs: the probability that |0⟩ is told as 1, and that |1⟩ is told as 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Readout {
    flips: [f64; 2],
}

impl Readout {
    /// A readout that is always right.
    pub const PERFECT: Self = Self { flips: [0.0, 0.0] };

    /// A readout that tells 1 for |0⟩ with probability `zero_as_one` and 0 for |1⟩ with probability `one_as_zero`.
    pub fn new(zero_as_one: f64, one_as_zero: f64) -> Result<Self, StateError> {
        probability("the readout error of |0⟩", zero_as_one)?;
        probability("the readout error of |1⟩", one_as_zero)?;
        Ok(Self { flips: [zero_as_one, one_as_zero] })
    }
    /// A readout that is right with probability `quality`, whatever there is to read.
    pub fn symmetric(quality: f64) -> Result<Self, StateError> {
        Self::new(1.0 - quality, 1.0 - quality)
    }
    /// Whether it errs alike on |0⟩ and |1⟩, as Bell-diagonal rules want.
    pub fn is_symmetric(&self) -> bool {
        self.flips[0] == self.flips[1]
    }
    /// The probabilities that |0⟩ is told as 1 and |1⟩ as 0.
    pub const fn flips(&self) -> [f64; 2] {
        self.flips
    }
    /// What is told of the basis state `truth`, by a uniform random number from [0, 1).
    pub fn tell(&self, truth: bool, draw: f64) -> bool {
        truth ^ (draw < self.flips[usize::from(truth)])
    }
    /// The probability that `told` is told of the basis state `truth`.
    pub fn likelihood(&self, told: bool, truth: bool) -> f64 {
        let flip = self.flips[usize::from(truth)];
        if told == truth { 1.0 - flip } else { flip }
    }
}

/// A general measurement: for each outcome the Kraus operators that lead to it. Its POVM has the effects Σ K†K.
#[derive(Clone, Debug, PartialEq)]
pub struct Instrument(Vec<Vec<Operator>>);

impl Instrument {
    /// The measurement whose outcome i has the Kraus operators `outcomes[i]`. Fails unless all together preserve the
    /// trace.
    pub fn new(outcomes: Vec<Vec<Operator>>) -> Result<Self, StateError> {
        preserve_trace(&outcomes.concat())?;
        Ok(Self(outcomes))
    }
    /// The Kraus operators of each outcome.
    pub fn outcomes(&self) -> &[Vec<Operator>] {
        &self.0
    }
}

impl DensityMatrix {
    /// The probability that `qubit` is 1 in the Z basis.
    pub fn probability_of_one(&self, qubit: usize) -> f64 {
        self.check(&[qubit]);
        let mask = self.mask(qubit);
        (0..self.dimension()).filter(|i| i & mask != 0).map(|i| self.entry(i, i).re).sum()
    }
    /// What `readout` tells of `qubit` in the Z basis: the branches for 0 and 1, each with the qubit still in the state.
    /// After a rotation, this is a measurement in any basis.
    pub fn measured(&self, qubit: usize, readout: &Readout) -> [Branch; 2] {
        self.check(&[qubit]);
        [false, true].map(|told| {
            let mut state = self.clone();
            state.weigh(qubit, told, readout);
            self.branch(state)
        })
    }
    /// Measures `qubit` in the Z basis and keeps it in the state. `draw` is a uniform random number from [0, 1), which
    /// chooses the outcome: 1 when it is below the probability of being told 1.
    pub fn measure(&mut self, qubit: usize, readout: &Readout, draw: f64) -> bool {
        let one = self.probability_of_one(qubit);
        let told_one = one * readout.likelihood(true, true) + (1.0 - one) * readout.likelihood(true, false);
        let told = draw < told_one;
        self.weigh(qubit, told, readout);
        self.normalise();
        told
    }
    /// Measures `qubit` in the Z basis and takes it out of the state. Otherwise as [`measure`](Self::measure).
    pub fn measure_out(&mut self, qubit: usize, readout: &Readout, draw: f64) -> bool {
        let told = self.measure(qubit, readout, draw);
        self.discard(qubit);
        told
    }
    /// Puts `qubit` into |0⟩, whatever it was.
    pub fn reset(&mut self, qubit: usize) {
        self.relax(qubit, 1.0, 0.0);
    }
    /// The branches of a general measurement of `qubits`.
    pub fn instrument(&self, qubits: &[usize], instrument: &Instrument) -> Vec<Branch> {
        self.check(qubits);
        let outcome = |operators: &Vec<Operator>| {
            let mut sum = Self::empty(self.qubits).expect("as many qubits as there are");
            for operator in operators {
                let mut term = self.clone();
                term.conjugate(qubits, operator);
                sum.mix(1.0, &term, 1.0);
            }
            self.branch(sum)
        };
        instrument.0.iter().map(outcome).collect()
    }
    /// The branches of a measurement of two qubits in the Bell basis by a controlled NOT from `first` to `second`, a
    /// Hadamard on `first` and readouts in Z, the outcomes in the order of [`BellIndex::ALL`](crate::bell::BellIndex::ALL).
    /// With probability `mixing` the two-qubit gate makes both random. The readouts are those of `first` (which tells the
    /// phase) and `second` (the bit). Both qubits stay in the state.
    pub fn bell_measured(
        &self,
        first: usize,
        second: usize,
        mixing: f64,
        readouts: [Readout; 2],
    ) -> [Branch; 4] {
        let mut rotated = self.clone();
        rotated.cnot(first, second);
        rotated.depolarise(&[first, second], mixing);
        rotated.apply(first, &Gate::H);
        crate::bell::BellIndex::ALL.map(|outcome| {
            let mut state = rotated.clone();
            state.weigh(first, outcome.phase(), &readouts[0]);
            state.weigh(second, outcome.bit(), &readouts[1]);
            self.branch(state)
        })
    }

    /// Multiplies by the likelihood of what is told, and takes away coherence between |0⟩ and |1⟩.
    fn weigh(&mut self, qubit: usize, told: bool, readout: &Readout) {
        let zero = readout.likelihood(told, false);
        let one = readout.likelihood(told, true);
        let (mask, side) = (self.mask(qubit), self.dimension());
        for (row, entries) in self.entries.chunks_exact_mut(side).enumerate() {
            for (column, entry) in entries.iter_mut().enumerate() {
                *entry *= match (row & mask != 0, column & mask != 0) {
                    (false, false) => zero,
                    (true, true) => one,
                    _ => 0.0,
                };
            }
        }
    }
    /// The outcome that leaves `state` unnormalised of this one.
    fn branch(&self, mut state: Self) -> Branch {
        let probability = f64::max(0.0, state.trace());
        if probability > 0.0 {
            state.normalise();
        } else {
            state = self.clone();
        }
        Branch { probability, state }
    }
}

impl Instrument {
    /// The ideal measurement of one qubit along the axis that `rotation` turns onto Z.
    pub fn projective(rotation: &Gate) -> Self {
        let [row0, row1] = rotation.matrix();
        let projector = |row: &[num_complex::Complex64; 2]| {
            let [a, b] = *row;
            Operator::new(&[a.conj() * a, a.conj() * b, b.conj() * a, b.conj() * b])
                .expect("four entries are an operator on one qubit")
        };
        Self(vec![vec![projector(row0)], vec![projector(row1)]])
    }
    /// The measurement that tells nothing and does nothing.
    pub fn nothing() -> Self {
        Self(vec![vec![Operator::new(&[ONE, ZERO, ZERO, ONE]).expect("four entries")]])
    }
}
