//! Density matrices: any state of up to ten qubits.
//!
//! Qubit 0 is the leftmost factor of the tensor product: of two qubits, the basis states are |00⟩, |01⟩, |10⟩, |11⟩ with
//! qubit 0 written first. The matrix is dense, 16 bytes an entry and 4^n entries: eight qubits take 1 MiB.
//!
//! Functions panic when told a qubit that is not there or the same qubit twice, as slices do.

mod channel;
mod correlation;
mod entanglement;
mod gate;
mod measure;
mod spectrum;

pub use channel::Channel;
pub use correlation::{Axis, Correlations};
pub use gate::{Gate, Operator, TwoQubitGate};
pub use measure::{Branch, Instrument, Readout};

use crate::StateError;
use crate::bell::{BellDiagonal, BellIndex};
use crate::error::is_one;
use core::f64::consts::FRAC_1_SQRT_2;
use num_complex::Complex64;

/// The most qubits a density matrix holds: ten take 16 MiB.
pub const MAX_QUBITS: usize = 10;

/// How far a matrix from outside may miss what a state must be.
const TOLERANCE: f64 = 1e-9;

const ZERO: Complex64 = Complex64::new(0.0, 0.0);
const ONE: Complex64 = Complex64::new(1.0, 0.0);

/// A state of some qubits, pure or mixed.
#[derive(Clone, Debug, PartialEq)]
pub struct DensityMatrix {
    qubits: usize,
    /// Row by row.
    entries: Vec<Complex64>,
}

impl DensityMatrix {
    /// `qubits` qubits, all in |0⟩. Fails above [`MAX_QUBITS`].
    pub fn zeros(qubits: usize) -> Result<Self, StateError> {
        let mut state = Self::empty(qubits)?;
        state.entries[0] = ONE;
        Ok(state)
    }
    /// The matrix of zeros, which is no state yet.
    fn empty(qubits: usize) -> Result<Self, StateError> {
        if qubits > MAX_QUBITS {
            return Err(StateError::TooManyQubits(qubits));
        }
        Ok(Self { qubits, entries: vec![ZERO; 1 << (2 * qubits)] })
    }
    /// The pure state with these amplitudes. Fails unless there are 2^n of them with squares that sum to 1.
    pub fn pure(amplitudes: &[Complex64]) -> Result<Self, StateError> {
        let qubits = qubits_of(amplitudes.len())?;
        let sum: f64 = amplitudes.iter().map(Complex64::norm_sqr).sum();
        if !is_one(sum) {
            return Err(StateError::NotNormalised { what: "the squares of the amplitudes", sum });
        }
        let mut state = Self::empty(qubits)?;
        let size = amplitudes.len();
        for (row, a) in amplitudes.iter().enumerate() {
            for (column, b) in amplitudes.iter().enumerate() {
                state.entries[row * size + column] = a * b.conj() / sum;
            }
        }
        Ok(state)
    }
    /// The state with these matrix entries, row by row. Fails unless they are 4^n, Hermitian, positive and of trace 1.
    pub fn from_entries(entries: &[Complex64]) -> Result<Self, StateError> {
        let side = (0..=MAX_QUBITS).map(|n| 1usize << n).find(|side| side * side >= entries.len());
        let side = side.ok_or(StateError::TooManyQubits(entries.len().ilog2() as usize / 2))?;
        if side * side != entries.len() {
            return Err(StateError::WrongSize { found: entries.len(), wanted: side * side });
        }
        let state = Self { qubits: qubits_of(side)?, entries: entries.to_vec() };
        let hermitian = (0..side).all(|row| {
            (0..=row).all(|column| {
                (state.entry(row, column) - state.entry(column, row).conj()).norm_sqr()
                    < TOLERANCE * TOLERANCE
            })
        });
        if !hermitian {
            return Err(StateError::NotAState("it is not Hermitian"));
        }
        if !is_one(state.trace()) {
            return Err(StateError::NotAState("its trace is not 1"));
        }
        if state.eigenvalues().iter().any(|value| *value < -TOLERANCE) {
            return Err(StateError::NotAState("it has a negative eigenvalue"));
        }
        Ok(state)
    }
    /// Two qubits in the state with these entries, which are those of a state.
    pub(crate) fn two_qubits(entries: [Complex64; 16]) -> Self {
        Self { qubits: 2, entries: entries.to_vec() }
    }
    /// Two qubits in a Bell state.
    pub fn bell(index: BellIndex) -> Self {
        let mut amplitudes = [ZERO; 4];
        let sign = if index.phase() { -FRAC_1_SQRT_2 } else { FRAC_1_SQRT_2 };
        let first = usize::from(index.bit());
        amplitudes[first] = Complex64::new(FRAC_1_SQRT_2, 0.0);
        amplitudes[3 - first] = Complex64::new(sign, 0.0);
        Self::pure(&amplitudes).expect("a Bell state is normalised")
    }

    /// How many qubits.
    pub const fn qubits(&self) -> usize {
        self.qubits
    }
    /// The number of basis states, 2^n.
    pub const fn dimension(&self) -> usize {
        1 << self.qubits
    }
    /// ⟨row|ρ|column⟩.
    pub fn entry(&self, row: usize, column: usize) -> Complex64 {
        self.entries[row * self.dimension() + column]
    }
    /// All entries, row by row.
    pub fn entries(&self) -> &[Complex64] {
        &self.entries
    }
    /// All entries, to be made those of another state.
    pub(crate) fn entries_mut(&mut self) -> &mut [Complex64] {
        &mut self.entries
    }
    /// The trace: 1 up to rounding.
    pub fn trace(&self) -> f64 {
        (0..self.dimension()).map(|i| self.entry(i, i).re).sum()
    }
    /// The probability of each basis state.
    pub fn populations(&self) -> Vec<f64> {
        (0..self.dimension()).map(|i| self.entry(i, i).re).collect()
    }

    /// This state beside `other`, whose qubits are numbered after these. Fails above [`MAX_QUBITS`].
    pub fn tensor(&self, other: &Self) -> Result<Self, StateError> {
        let mut joint = Self::empty(self.qubits + other.qubits)?;
        let (m, n) = (self.dimension(), other.dimension());
        for i in 0..m {
            for j in 0..m {
                let factor = self.entry(i, j);
                if factor != ZERO {
                    for k in 0..n {
                        let row = &other.entries[k * n..(k + 1) * n];
                        let at = (i * n + k) * m * n + j * n;
                        for (out, entry) in joint.entries[at..at + n].iter_mut().zip(row) {
                            *out = factor * entry;
                        }
                    }
                }
            }
        }
        Ok(joint)
    }
    /// The state of the qubits `keep` alone, in that order; the others are forgotten (the partial trace).
    pub fn reduced(&self, keep: &[usize]) -> Self {
        self.check(keep);
        let mut reduced = Self::empty(keep.len()).expect("no more qubits than there were");
        let others: Vec<usize> = (0..self.qubits).filter(|q| !keep.contains(q)).collect();
        let kept: Vec<usize> = (0..1 << keep.len()).map(|bits| self.spread(bits, keep)).collect();
        let lost: Vec<usize> = (0..1 << others.len()).map(|bits| self.spread(bits, &others)).collect();
        let side = self.dimension();
        let mut out = reduced.entries.iter_mut();
        for row in &kept {
            for column in &kept {
                let sum = lost.iter().map(|rest| self.entries[(row | rest) * side + (column | rest)]).sum();
                *out.next().expect("an entry for each pair of basis states") = sum;
            }
        }
        reduced
    }
    /// Forgets `qubit`; the qubits after it move down by one.
    pub fn discard(&mut self, qubit: usize) {
        self.check(&[qubit]);
        let keep: Vec<usize> = (0..self.qubits).filter(|q| *q != qubit).collect();
        *self = self.reduced(&keep);
    }
    /// The same state with its qubits in another order: new qubit i is old qubit `order[i]`.
    pub fn reordered(&self, order: &[usize]) -> Self {
        assert_eq!(order.len(), self.qubits, "an order names every qubit");
        self.reduced(order)
    }

    /// The bit of a basis state's number that stands for `qubit`.
    const fn mask(&self, qubit: usize) -> usize {
        1 << (self.qubits - 1 - qubit)
    }
    /// The basis state in which `qubits` are the bits of `bits`, the first the highest, and all others 0.
    fn spread(&self, bits: usize, qubits: &[usize]) -> usize {
        let last = qubits.len().wrapping_sub(1);
        (0..qubits.len()).filter(|i| bits >> (last - i) & 1 == 1).map(|i| self.mask(qubits[i])).sum()
    }
    /// Panics unless `qubits` are there and differ.
    #[track_caller]
    fn check(&self, qubits: &[usize]) {
        for (i, qubit) in qubits.iter().enumerate() {
            assert!(*qubit < self.qubits, "qubit {qubit} of {}", self.qubits);
            assert!(!qubits[..i].contains(qubit), "qubit {qubit} named twice");
        }
    }
    /// `self = weight_self self + weight_other other`.
    fn mix(&mut self, weight: f64, other: &Self, weight_other: f64) {
        for (a, b) in self.entries.iter_mut().zip(&other.entries) {
            *a = *a * weight + b * weight_other;
        }
    }
    /// Divides by the trace.
    fn normalise(&mut self) {
        let scale = 1.0 / self.trace();
        for entry in &mut self.entries {
            *entry *= scale;
        }
    }
}

impl From<BellDiagonal> for DensityMatrix {
    fn from(pair: BellDiagonal) -> Self {
        let [phi_plus, phi_minus, psi_plus, psi_minus] = pair.probabilities();
        let mut entries = [ZERO; 16];
        for (i, j, sum, difference) in [
            (0, 3, phi_plus + phi_minus, phi_plus - phi_minus),
            (1, 2, psi_plus + psi_minus, psi_plus - psi_minus),
        ] {
            for (row, column, value) in [(i, i, sum), (j, j, sum), (i, j, difference), (j, i, difference)] {
                entries[4 * row + column].re = 0.5 * value;
            }
        }
        Self::two_qubits(entries)
    }
}

/// The number of qubits that have `states` basis states.
fn qubits_of(states: usize) -> Result<usize, StateError> {
    if states.is_power_of_two() {
        Ok(states.ilog2() as usize)
    } else {
        Err(StateError::WrongSize { found: states, wanted: states.next_power_of_two() })
    }
}
