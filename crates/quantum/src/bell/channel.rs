//! Pauli channels on one qubit: what noise does to a Bell-diagonal pair exactly.

use super::{BellDiagonal, BellIndex, convolve};
use crate::StateError;
use crate::error::{distribution, probability};

/// Noise that applies one of the Pauli operators at random: the probabilities of 1, Z, X and Y, in the order of
/// [`BellIndex`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PauliChannel([f64; 4]);

impl PauliChannel {
    /// No noise.
    pub const IDENTITY: Self = Self([1.0, 0.0, 0.0, 0.0]);

    /// The channel with these probabilities of 1, Z, X and Y. Fails unless they are probabilities and sum to 1.
    pub fn new(probabilities: [f64; 4]) -> Result<Self, StateError> {
        distribution("the probabilities of the Pauli operators", probabilities).map(Self)
    }
    /// A phase flip (Z) with probability `p`.
    pub fn phase_flip(p: f64) -> Result<Self, StateError> {
        probability("the probability of a phase flip", p)?;
        Ok(Self([1.0 - p, p, 0.0, 0.0]))
    }
    /// A bit flip (X) with probability `p`.
    pub fn bit_flip(p: f64) -> Result<Self, StateError> {
        probability("the probability of a bit flip", p)?;
        Ok(Self([1.0 - p, 0.0, p, 0.0]))
    }
    /// Dephasing after which coherences are `coherence` (0 to 1) of what they were.
    pub fn dephasing(coherence: f64) -> Result<Self, StateError> {
        probability("the coherence that is left", coherence)?;
        let p = 0.5 * (1.0 - coherence);
        Ok(Self([1.0 - p, p, 0.0, 0.0]))
    }
    /// Depolarisation: with probability `mixing` the qubit becomes random.
    pub fn depolarising(mixing: f64) -> Result<Self, StateError> {
        probability("the probability that a qubit becomes random", mixing)?;
        let error = 0.25 * mixing;
        Ok(Self([1.0 - 3.0 * error, error, error, error]))
    }
    /// The Pauli twirl of relaxation with probability `gamma` towards |0⟩ together with dephasing such that
    /// coherences are `coherence` of what they were. An approximation: relaxation itself is no Pauli channel.
    ///
    /// Fails when relaxation alone takes more coherence than that: `coherence`² must not exceed 1 - `gamma`.
    pub fn twirled_relaxation(gamma: f64, coherence: f64) -> Result<Self, StateError> {
        probability("the probability of relaxation", gamma)?;
        let most = libm::sqrt(1.0 - gamma);
        // The rounding of two exponentials may put T2 = 2 T1 a little above.
        if !(0.0..=most + 1e-12).contains(&coherence) {
            return Err(StateError::OutOfRange {
                what: "the coherence left after relaxation",
                value: coherence,
                low: 0.0,
                high: most,
            });
        }
        let flip = 0.25 * gamma;
        let phase = f64::max(0.0, 0.5 * (1.0 - coherence) - flip);
        Ok(Self([1.0 - 2.0 * flip - phase, phase, flip, flip]))
    }

    /// The probabilities of 1, Z, X and Y.
    pub const fn probabilities(&self) -> [f64; 4] {
        self.0
    }
    /// The channel that multiplies the X, Y and Z of a Bloch vector by `factors`, which are such that it is one.
    pub(crate) fn from_bloch_factors(factors: [f64; 3]) -> Self {
        Self(BellDiagonal::PERFECT.shrunk(factors).probabilities())
    }
    /// The operator that a uniform random number from [0, 1) chooses.
    #[inline]
    pub fn sample(&self, draw: f64) -> BellIndex {
        let [identity, z, x, _] = self.0;
        let index =
            u8::from(draw >= identity) + u8::from(draw >= identity + z) + u8::from(draw >= identity + z + x);
        BellIndex::from_bits(index)
    }
    /// What the channel makes of the X, Y and Z of a Bloch vector, as factors between -1 and 1.
    pub fn bloch_factors(&self) -> [f64; 3] {
        let [_, z, x, y] = self.0;
        [1.0 - 2.0 * (y + z), 1.0 - 2.0 * (x + z), 1.0 - 2.0 * (x + y)]
    }
    /// This channel and then `next`, as one. Pauli channels commute, and those of the two halves of a pair add alike.
    #[inline]
    pub fn then(&self, next: &Self) -> Self {
        Self(convolve(&self.0, &next.0))
    }
}

impl From<BellDiagonal> for PauliChannel {
    /// The channel that makes this pair of Φ⁺.
    fn from(pair: BellDiagonal) -> Self {
        Self(pair.probabilities())
    }
}
