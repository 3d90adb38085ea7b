//! Entanglement swapping of two Bell-diagonal pairs, with imperfect gate, readout and correction.

use super::{BellDiagonal, BellIndex, convolve};
use crate::StateError;
use crate::error::probability;

/// How well a node swaps: (Briegel, Dür, Cirac & Zoller, Phys. Rev. Lett. 81, 5932 (1998)).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SwapQuality {
    /// `g p1`: the probability that nothing becomes random.
    works: f64,
    /// The distribution of the error of the reported outcome, phase and bit.
    flips: [f64; 4],
}

impl SwapQuality {
    /// A swap without errors.
    pub const PERFECT: Self = Self { works: 1.0, flips: [1.0, 0.0, 0.0, 0.0] };

    /// A swap whose two-qubit gate works with probability `gate` (else both its qubits become random), whose
    /// two readouts are each right with probability `readout`, and whose correction at an end works with probability
    /// `correction` (else that qubit becomes random; 1 where only the frame is moved).
    pub fn new(gate: f64, readout: f64, correction: f64) -> Result<Self, StateError> {
        Self::with_readouts(gate, readout, readout, correction)
    }
    /// As [`new`](Self::new), with the readouts of the two qubits apart: `phase` is that of the first pair's qubit, which
    /// is read in X and tells the phase; `bit` that of the second pair's, which is read in Z.
    pub fn with_readouts(gate: f64, phase: f64, bit: f64, correction: f64) -> Result<Self, StateError> {
        let gate = probability("the quality of a swap's gate", gate)?;
        let phase = probability("the quality of a swap's readout", phase)?;
        let bit = probability("the quality of a swap's readout", bit)?;
        let correction = probability("the quality of a correction", correction)?;
        Ok(Self {
            works: gate * correction,
            flips: [bit * phase, bit * (1.0 - phase), (1.0 - bit) * phase, (1.0 - bit) * (1.0 - phase)],
        })
    }
}

impl BellDiagonal {
    /// The pair between the outer qubits after the inner qubits of `self` and `other` were measured in the Bell basis.
    ///
    /// The outcome is uniform over the four Bell states whatever the errors; the caller draws it. What is told here is
    /// relative to the frame that follows, which is the frame of `self` XOR the frame of `other` XOR the reported
    /// outcome, and is the same for each outcome.
    #[inline]
    pub fn swap(&self, other: &Self, quality: &SwapQuality) -> Self {
        let mixed = 0.25 * (1.0 - quality.works);
        let errors = convolve(&convolve(&self.0, &other.0), &quality.flips);
        Self(errors.map(|p| quality.works * p + mixed))
    }

    /// The probability of each reported outcome of a swap, and the pair it leaves when nothing is corrected and no
    /// frame is moved: the outcome's own frame is in it.
    pub fn swap_outcomes(&self, other: &Self, quality: &SwapQuality) -> [(f64, Self); 4] {
        let after = self.swap(other, quality);
        BellIndex::ALL.map(|outcome| (0.25, after.reframed(outcome)))
    }
}
