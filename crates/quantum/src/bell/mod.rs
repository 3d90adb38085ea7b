//! Bell-diagonal pairs: mixtures of the four Bell states, with exact rules.
//!
//! The Bell states are numbered by two bits: state `2a + b` is (X^a Z^b ⊗ 1)|Φ⁺⟩, so `a` is a bit error, `b` a phase
//! error, and composing Pauli errors is the exclusive or of indices. Everything here stays exact as long as gates
//! are Clifford, noise is Pauli, and readout errs alike on 0 and 1; what is not so belongs into a
//! [`DensityMatrix`](crate::density::DensityMatrix).
//!
//! A [`BellDiagonal`] is told relative to whatever Bell state the caller's frame says. Heralds and swaps move the
//! frame, a [`BellIndex`], by exclusive or; errors stay small in index 0 whatever the frame.

mod channel;
mod depolarising;
mod purify;
mod swap;

pub use channel::PauliChannel;
pub use depolarising::DepolarisingParameter;
pub use purify::{DoubleSelection, Purification, PurificationQuality, Purified};
pub use swap::SwapQuality;

use crate::StateError;
use crate::error::{distribution, probability};
use core::ops::{BitXor, BitXorAssign};

/// One of the four Bell states, or the Pauli operator (X^a Z^b on the first qubit) that makes it of |Φ⁺⟩.
///
/// Also the frame of a pair and the outcome of a swap: frames compose by exclusive or.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BellIndex(u8);

impl BellIndex {
    /// |Φ⁺⟩ = (|00⟩ + |11⟩)/√2; as an operator, the identity.
    pub const PHI_PLUS: Self = Self(0);
    /// |Φ⁻⟩ = (|00⟩ - |11⟩)/√2; as an operator, Z.
    pub const PHI_MINUS: Self = Self(1);
    /// |Ψ⁺⟩ = (|01⟩ + |10⟩)/√2; as an operator, X.
    pub const PSI_PLUS: Self = Self(2);
    /// |Ψ⁻⟩ = (|01⟩ - |10⟩)/√2; as an operator, XZ, which is Y up to a phase.
    pub const PSI_MINUS: Self = Self(3);
    /// All four, by number.
    pub const ALL: [Self; 4] = [Self::PHI_PLUS, Self::PHI_MINUS, Self::PSI_PLUS, Self::PSI_MINUS];

    /// The index with bit error `bit` and phase error `phase`.
    pub const fn new(bit: bool, phase: bool) -> Self {
        Self((bit as u8) << 1 | phase as u8)
    }
    /// The index `2a + b` made of the two low bits of `bits`, as it stands in messages.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 3)
    }
    /// `2a + b`.
    pub const fn bits(self) -> u8 {
        self.0
    }
    /// `2a + b`, to index arrays with.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
    /// Whether X is part of it: outcomes in Z differ from those of |Φ⁺⟩.
    pub const fn bit(self) -> bool {
        self.0 & 2 != 0
    }
    /// Whether Z is part of it: outcomes in X differ from those of |Φ⁺⟩.
    pub const fn phase(self) -> bool {
        self.0 & 1 != 0
    }
}

impl BitXor for BellIndex {
    type Output = Self;
    fn bitxor(self, other: Self) -> Self {
        Self(self.0 ^ other.0)
    }
}
impl BitXorAssign for BellIndex {
    fn bitxor_assign(&mut self, other: Self) {
        self.0 ^= other.0;
    }
}

impl core::fmt::Display for BellIndex {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(["Φ⁺", "Φ⁻", "Ψ⁺", "Ψ⁻"][self.index()])
    }
}

/// A pair that is a mixture of the four Bell states: their probabilities in the order of [`BellIndex::ALL`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BellDiagonal([f64; 4]);

impl BellDiagonal {
    /// The pair without errors.
    pub const PERFECT: Self = Self([1.0, 0.0, 0.0, 0.0]);
    /// The pair of which nothing is left: both qubits random.
    pub const MIXED: Self = Self([0.25; 4]);

    /// The mixture with these probabilities of Φ⁺, Φ⁻, Ψ⁺, Ψ⁻. Fails unless they are probabilities and sum to 1.
    pub fn new(probabilities: [f64; 4]) -> Result<Self, StateError> {
        distribution("the probabilities of the four Bell states", probabilities).map(Self)
    }
    /// The same, with every number kept bit for bit: for what was told over a wire.
    pub fn as_told(probabilities: [f64; 4]) -> Result<Self, StateError> {
        distribution("the probabilities of the four Bell states", probabilities)?;
        Ok(Self(probabilities))
    }
    /// Without a check; `p` is a distribution up to rounding.
    pub(crate) const fn from_array(p: [f64; 4]) -> Self {
        Self(p)
    }
    /// The mixture of fidelity `fidelity` whose three errors are equally likely (Werner, Phys. Rev. A 40, 4277 (1989)).
    pub fn werner(fidelity: f64) -> Result<Self, StateError> {
        probability("the fidelity of a Werner pair", fidelity)?;
        let error = (1.0 - fidelity) / 3.0;
        Ok(Self([fidelity, error, error, error]))
    }

    /// The probabilities of Φ⁺, Φ⁻, Ψ⁺, Ψ⁻.
    pub const fn probabilities(&self) -> [f64; 4] {
        self.0
    }
    /// The probability of `state`.
    pub const fn probability(&self, state: BellIndex) -> f64 {
        self.0[state.index()]
    }
    /// The fidelity to Φ⁺: the probability of no error.
    pub const fn fidelity(&self) -> f64 {
        self.0[0]
    }
    /// The Werner parameter w of the pair's twirl, from the fidelity F = (1 + 3w)/4.
    pub fn werner_parameter(&self) -> f64 {
        (4.0 * self.0[0] - 1.0) / 3.0
    }
    /// The probability that outcomes in the Z basis show an error.
    pub fn bit_error(&self) -> f64 {
        self.0[2] + self.0[3]
    }
    /// The probability that outcomes in the X basis show an error.
    pub fn phase_error(&self) -> f64 {
        self.0[1] + self.0[3]
    }
    /// The pair made a Werner pair of equal fidelity, as random bilateral rotations would. This loses what is known
    /// about the kinds of error.
    pub fn twirled(&self) -> Self {
        let error = (1.0 - self.0[0]) / 3.0;
        Self([self.0[0], error, error, error])
    }
    /// The pair told in a frame that differs by `by`: what was the probability of `k` becomes that of `k ^ by`.
    pub fn reframed(&self, by: BellIndex) -> Self {
        let mut p = [0.0; 4];
        for (k, out) in p.iter_mut().enumerate() {
            *out = self.0[k ^ by.index()];
        }
        Self(p)
    }
    /// The pair after Hadamard gates on both qubits: bit and phase errors change places.
    pub const fn hadamards(&self) -> Self {
        let [phi_plus, phi_minus, psi_plus, psi_minus] = self.0;
        Self([phi_plus, psi_plus, phi_minus, psi_minus])
    }
    /// The pair after `channel` on either half. For a Bell-diagonal pair it is the same whichever.
    #[inline]
    pub fn after(&self, channel: &PauliChannel) -> Self {
        Self(convolve(&self.0, &channel.probabilities()))
    }
    /// The pair after depolarisation of one half: with probability `mixing` that half becomes random.
    #[inline]
    pub fn depolarised(&self, mixing: f64) -> Self {
        Self(self.0.map(|p| (1.0 - mixing) * p + 0.25 * mixing))
    }
    /// The pair after its correlations XX, YY and ZZ were multiplied by `factors`, as unital noise on the Bloch vectors of
    /// both halves does. `factors` is the product of the halves' factors.
    #[inline]
    pub fn shrunk(&self, factors: [f64; 3]) -> Self {
        let [phi_plus, phi_minus, psi_plus, psi_minus] = self.0;
        // Correlations, the sign of YY turned so that all are 1 for Φ⁺.
        let xx = factors[0] * ((phi_plus + psi_plus) - (phi_minus + psi_minus));
        let yy = factors[1] * ((phi_plus + psi_minus) - (phi_minus + psi_plus));
        let zz = factors[2] * ((phi_plus + phi_minus) - (psi_plus + psi_minus));
        let one = (phi_plus + phi_minus) + (psi_plus + psi_minus);
        // Rounding must not leave a probability below zero.
        let quarter = |x: f64| f64::max(0.0, 0.25 * x);
        Self([
            quarter((one + zz) + (xx + yy)),
            quarter((one + zz) - (xx + yy)),
            quarter((one - zz) + (xx - yy)),
            quarter((one - zz) - (xx - yy)),
        ])
    }
    /// The von Neumann entropy in bits.
    pub fn entropy(&self) -> f64 {
        self.0.iter().filter(|p| **p > 0.0).map(|p| -p * libm::log2(*p)).sum()
    }
    /// The concurrence (Wootters, Phys. Rev. Lett. 80, 2245 (1998)): 2 max p - 1, or 0.
    pub fn concurrence(&self) -> f64 {
        let most = self.0.into_iter().fold(0.0, f64::max);
        f64::max(0.0, 2.0 * most - 1.0)
    }
}

/// The distribution of the exclusive or of two independent indices.
#[inline]
pub(crate) fn convolve(a: &[f64; 4], b: &[f64; 4]) -> [f64; 4] {
    [
        a[0] * b[0] + a[1] * b[1] + (a[2] * b[2] + a[3] * b[3]),
        a[0] * b[1] + a[1] * b[0] + (a[2] * b[3] + a[3] * b[2]),
        a[0] * b[2] + a[1] * b[3] + (a[2] * b[0] + a[3] * b[1]),
        a[0] * b[3] + a[1] * b[2] + (a[2] * b[1] + a[3] * b[0]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_distribution_is_refused() {
        assert!(matches!(
            BellDiagonal::new([0.5, 0.6, 0.0, -0.1]),
            Err(StateError::NotAProbability { value, .. }) if value == -0.1
        ));
        assert!(matches!(BellDiagonal::new([0.5, 0.1, 0.1, 0.1]), Err(StateError::NotNormalised { .. })));
        assert!(BellDiagonal::new([f64::NAN, 0.0, 0.0, 1.0]).is_err());
        assert!(BellDiagonal::werner(1.5).is_err());
    }

    #[test]
    fn a_frame_moves_the_probabilities_and_back() {
        let pair = BellDiagonal::new([0.7, 0.1, 0.15, 0.05]).unwrap();
        let moved = pair.reframed(BellIndex::PSI_PLUS);
        assert_eq!(moved.probability(BellIndex::PSI_PLUS), 0.7);
        assert_eq!(moved.reframed(BellIndex::PSI_PLUS), pair);
        assert_eq!(BellIndex::new(true, false) ^ BellIndex::PHI_MINUS, BellIndex::PSI_MINUS);
    }
}
