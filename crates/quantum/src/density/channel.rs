//! Noise on density matrices: channels by Kraus operators, and the common ones by their closed forms.

use super::gate::{Operator, preserve_trace};
use super::{DensityMatrix, ONE, ZERO};
use crate::StateError;
use crate::bell::PauliChannel;
use num_complex::Complex64;

/// A trace-preserving channel: ρ → Σ KρK†.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel(Vec<Operator>);

impl Channel {
    /// The channel with these Kraus operators. Fails unless they preserve the trace.
    pub fn new(kraus: Vec<Operator>) -> Result<Self, StateError> {
        preserve_trace(&kraus)?;
        Ok(Self(kraus))
    }
    /// Amplitude damping: |1⟩ relaxes to |0⟩ with probability `gamma`. Fails unless that is a probability.
    pub fn amplitude_damping(gamma: f64) -> Result<Self, StateError> {
        crate::error::probability("the probability of relaxation", gamma)?;
        let real = |x: f64| Complex64::new(x, 0.0);
        let stays = Operator::new(&[ONE, ZERO, ZERO, real(libm::sqrt(1.0 - gamma))])?;
        let decays = Operator::new(&[ZERO, real(libm::sqrt(gamma)), ZERO, ZERO])?;
        Ok(Self(vec![stays, decays]))
    }
    /// The Kraus operators.
    pub fn kraus(&self) -> &[Operator] {
        &self.0
    }
    /// How many qubits it acts on.
    pub fn qubits(&self) -> usize {
        self.0[0].qubits()
    }
}

impl DensityMatrix {
    /// Applies a channel to as many qubits as it has.
    pub fn apply_channel(&mut self, qubits: &[usize], channel: &Channel) {
        self.check(qubits);
        let before = self.clone();
        let mut sum: Option<Self> = None;
        for operator in &channel.0 {
            let mut term = before.clone();
            term.conjugate(qubits, operator);
            match &mut sum {
                Some(sum) => sum.mix(1.0, &term, 1.0),
                None => sum = Some(term),
            }
        }
        *self = sum.expect("a channel has at least one operator");
    }
    /// Applies Pauli operators at random to `qubit`.
    pub fn pauli_noise(&mut self, qubit: usize, channel: &PauliChannel) {
        self.bloch(qubit, channel.bloch_factors(), 0.0);
    }
    /// Multiplies the Bloch vector of `qubit` by `factors` (of X, Y and Z), and moves its Z by (1 - the factor of Z) towards
    /// `equilibrium`, which is 1 for |0⟩, -1 for |1⟩ and 0 for the mixed state.
    pub fn bloch(&mut self, qubit: usize, factors: [f64; 3], equilibrium: f64) {
        self.check(&[qubit]);
        let [x, y, z] = factors;
        let (mask, side) = (self.mask(qubit), self.dimension());
        let (keeps, turns) = (0.5 * (x + y), 0.5 * (x - y));
        let pull = 0.5 * equilibrium * (1.0 - z);
        let (zeros, ones) = (
            [0.5 * (1.0 + z) + pull, 0.5 * (1.0 - z) + pull],
            [0.5 * (1.0 - z) - pull, 0.5 * (1.0 + z) - pull],
        );
        for row in (0..side).filter(|i| i & mask == 0) {
            for column in (0..side).filter(|i| i & mask == 0) {
                let [a, b] = [row * side + column, (row | mask) * side + (column | mask)];
                let [c, d] = [row * side + (column | mask), (row | mask) * side + column];
                let e = &mut self.entries;
                (e[a], e[b]) = (e[a] * zeros[0] + e[b] * zeros[1], e[a] * ones[0] + e[b] * ones[1]);
                (e[c], e[d]) = (e[c] * keeps + e[d] * turns, e[d] * keeps + e[c] * turns);
            }
        }
    }
    /// Dephases `qubit`: coherences between |0⟩ and |1⟩ are multiplied by `coherence` (0 to 1).
    pub fn dephase(&mut self, qubit: usize, coherence: f64) {
        self.check(&[qubit]);
        let mask = self.mask(qubit);
        self.multiply(|row, column| if (row ^ column) & mask == 0 { 1.0 } else { coherence });
    }
    /// Dephases `qubits` by one and the same random field (ions in one trap): coherences between basis states whose
    /// numbers of ones differ by d are multiplied by `coherence`^(d²), where `coherence` is that of a single qubit. States
    /// with equal numbers of ones, as in Ψ±, do not suffer.
    pub fn dephase_together(&mut self, qubits: &[usize], coherence: f64) {
        self.check(qubits);
        let all: usize = qubits.iter().map(|q| self.mask(*q)).sum();
        self.multiply(|row, column| {
            let d = (row & all).count_ones().abs_diff((column & all).count_ones());
            (0..d * d).fold(1.0, |product, _| product * coherence)
        });
    }
    /// Multiplies every entry by a factor that depends on its place.
    fn multiply(&mut self, factor: impl Fn(usize, usize) -> f64) {
        let side = self.dimension();
        for (row, entries) in self.entries.chunks_exact_mut(side).enumerate() {
            for (column, entry) in entries.iter_mut().enumerate() {
                *entry *= factor(row, column);
            }
        }
    }
    /// Relaxes `qubit` from |1⟩ to |0⟩ with probability `gamma`, and dephases it so that coherences are `coherence` of what
    /// they were in all: exact for T1 and T2 with gamma = 1 - exp(-t/T1), coherence = exp(-t/T2), T2 at most 2 T1.
    pub fn relax(&mut self, qubit: usize, gamma: f64, coherence: f64) {
        self.bloch(qubit, [coherence, coherence, 1.0 - gamma], 1.0);
    }
    /// Makes `qubits` random, jointly, with probability `mixing`: depolarisation as after a gate on them.
    pub fn depolarise(&mut self, qubits: &[usize], mixing: f64) {
        self.check(qubits);
        let all: usize = qubits.iter().map(|q| self.mask(*q)).sum();
        let offsets: Vec<usize> = (0..1 << qubits.len()).map(|bits| self.spread(bits, qubits)).collect();
        let side = self.dimension();
        let share = mixing / offsets.len() as f64;
        for row in (0..side).filter(|i| i & all == 0) {
            for column in (0..side).filter(|i| i & all == 0) {
                let trace: Complex64 =
                    offsets.iter().map(|o| self.entries[(row | o) * side + (column | o)]).sum();
                for a in &offsets {
                    for b in &offsets {
                        let entry = &mut self.entries[(row | a) * side + (column | b)];
                        *entry *= 1.0 - mixing;
                        if a == b {
                            *entry += trace * share;
                        }
                    }
                }
            }
        }
    }
}
