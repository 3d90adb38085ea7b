//! Purification of Bell-diagonal pairs: two or three pairs are measured against each other, one is kept.
//!
//! Recurrence: bilateral controlled-NOTs from the kept pair to the sacrificed one, whose qubits are read in Z; equal
//! outcomes keep. A rotation of both pairs beforehand chooses which errors show: none (Bennett et al., Phys. Rev. Lett. 76,
//! 722 (1996), which twirls besides), that of Deutsch et al. (Phys. Rev. Lett. 77, 2818 (1996)), or Hadamards.

use super::BellDiagonal;
use crate::StateError;
use crate::error::probability;

/// What is done to both pairs before they are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purification {
    /// Nothing: bit errors show, phase errors add. The step of BBPSSW without its twirl.
    Bbpssw,
    /// Rotations about X by ±90° (DEJMPS): the kept pair's phase errors become bit errors, which the next round finds.
    Dejmps,
    /// Hadamards before and after: phase errors show, bit errors add.
    Phase,
}

/// How well two ends purify: the probability that each end's two-qubit gate works, and that each end's readout is right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PurificationQuality {
    gates: f64,
    /// The probability that both readouts, or neither, are wrong: the parity is told right.
    parity: f64,
}

impl PurificationQuality {
    /// Gates and readouts without errors.
    pub const PERFECT: Self = Self { gates: 1.0, parity: 1.0 };

    /// Both ends alike: gates that work with probability `gate` (else both qubits become random), readouts that are
    /// right with probability `readout`.
    pub fn new(gate: f64, readout: f64) -> Result<Self, StateError> {
        Self::unequal([gate; 2], [readout; 2])
    }
    /// Ends with gates and readouts of their own.
    pub fn unequal(gates: [f64; 2], readouts: [f64; 2]) -> Result<Self, StateError> {
        for gate in gates {
            probability("the quality of a purification's gate", gate)?;
        }
        for readout in readouts {
            probability("the quality of a purification's readout", readout)?;
        }
        let [a, b] = readouts;
        Ok(Self { gates: gates[0] * gates[1], parity: a * b + (1.0 - a) * (1.0 - b) })
    }
}

impl PurificationQuality {
    /// What keeps the pairs whose parity was told odd instead of even.
    pub(crate) fn odd(self) -> Self {
        Self { parity: 1.0 - self.parity, ..self }
    }
}

/// What a round of purification gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Purified {
    /// The probability that the pair is kept.
    pub success: f64,
    /// The kept pair; the mixed pair where success is impossible.
    pub kept: BellDiagonal,
}

impl Purified {
    /// From the unnormalised kept pair.
    fn from_weights(weights: [f64; 4]) -> Self {
        let success = weights[0] + weights[1] + (weights[2] + weights[3]);
        let kept =
            if success > 0.0 { BellDiagonal(weights.map(|w| w / success)) } else { BellDiagonal::MIXED };
        Self { success, kept }
    }
}

/// The four errors after the rotation of DEJMPS: a ^= b, which exchanges Φ⁻ and Ψ⁻.
const fn rotated(p: &[f64; 4]) -> [f64; 4] {
    [p[0], p[3], p[2], p[1]]
}

impl BellDiagonal {
    /// One round in which `sacrificed` is measured to purify this pair. Unequal pairs are allowed (pumping).
    #[inline]
    pub fn purify(&self, sacrificed: &Self, how: Purification, quality: &PurificationQuality) -> Purified {
        match how {
            Purification::Bbpssw => Purified::from_weights(compared(&self.0, &sacrificed.0, quality)),
            Purification::Dejmps => {
                Purified::from_weights(compared(&rotated(&self.0), &rotated(&sacrificed.0), quality))
            }
            Purification::Phase => {
                let weights = compared(&self.hadamards().0, &sacrificed.hadamards().0, quality);
                let Purified { success, kept } = Purified::from_weights(weights);
                Purified { success, kept: kept.hadamards() }
            }
        }
    }

    /// One round of double selection (Fujii & Yamamoto, Phys. Rev. A 80, 042308 (2009)): `first` is compared with this
    /// pair in Z, and `second` with `first` in X, so that the errors of the comparison itself show.
    pub fn double_selection(&self, first: &Self, second: &Self, quality: &DoubleSelection) -> Purified {
        let DoubleSelection { inner, outer } = quality;
        // By parity: what is kept when bit parity (index bit 1) and phase parity (bit 0) are told even or odd.
        let mut weights = [[0.0; 4]; 4];
        for (k1, p1) in self.0.iter().enumerate() {
            for (k2, p2) in first.0.iter().enumerate() {
                for (k3, p3) in second.0.iter().enumerate() {
                    // The kept pair takes over the phase error of the first sacrificed one.
                    let kept = k1 ^ (k2 & 1);
                    let parity = ((k1 ^ k2 ^ k3) & 2) | ((k2 ^ k3) & 1);
                    weights[parity][kept] += p1 * p2 * p3;
                }
            }
        }
        let bit = [inner.parity, 1.0 - inner.parity];
        let phase = [outer.parity, 1.0 - outer.parity];
        let mut out = [0.0; 4];
        for (kept, out) in out.iter_mut().enumerate() {
            let mut right = 0.0;
            let mut any = 0.0;
            for (parity, weights) in weights.iter().enumerate() {
                right += bit[parity >> 1] * phase[parity & 1] * weights[kept];
                any += weights[kept];
            }
            // Where the second pair of gates failed, both checks are coin tosses; where the first did, so is what is kept.
            *out = inner.gates * (outer.gates * right + (1.0 - outer.gates) * 0.25 * any)
                + (1.0 - inner.gates) * 0.0625;
        }
        Purified::from_weights(out)
    }
}

/// How well two ends do double selection: the gates of the first comparison with the readout in Z, and those of the
/// second with the readout in X.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DoubleSelection {
    /// The gates from the kept pair to the first sacrificed one, and the latter's readout.
    pub inner: PurificationQuality,
    /// The gates from the second sacrificed pair to the first, and the readout of the second.
    pub outer: PurificationQuality,
}

impl DoubleSelection {
    /// All gates and readouts alike.
    pub const fn uniform(quality: PurificationQuality) -> Self {
        Self { inner: quality, outer: quality }
    }
}

/// The unnormalised kept pair when the bit parity of both was told even.
#[inline]
fn compared(kept: &[f64; 4], sacrificed: &[f64; 4], quality: &PurificationQuality) -> [f64; 4] {
    let even = quality.gates * quality.parity;
    let odd = quality.gates * (1.0 - quality.parity);
    let mixed = 0.125 * (1.0 - quality.gates);
    let (p, q) = (kept, sacrificed);
    // a must agree (even) or differ (odd); phase errors add.
    let with = |x: [f64; 2], y: [f64; 2]| [x[0] * y[0] + x[1] * y[1], x[0] * y[1] + x[1] * y[0]];
    let same = [with([p[0], p[1]], [q[0], q[1]]), with([p[2], p[3]], [q[2], q[3]])];
    let other = [with([p[0], p[1]], [q[2], q[3]]), with([p[2], p[3]], [q[0], q[1]])];
    [
        even * same[0][0] + odd * other[0][0] + mixed,
        even * same[0][1] + odd * other[0][1] + mixed,
        even * same[1][0] + odd * other[1][0] + mixed,
        even * same[1][1] + odd * other[1][1] + mixed,
    ]
}
