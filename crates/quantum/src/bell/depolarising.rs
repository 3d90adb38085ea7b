//! Numbers for depolarisation, each with the convention in which it was published.

use crate::StateError;
use crate::error::probability;

/// How much a gate depolarises, in the convention of its source. Authors mean different things by "error 0.02"; the
/// convention is therefore kept with the number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DepolarisingParameter {
    /// The probability that the qubits become random: ρ → (1-p) ρ + p 1/d. For one qubit this is
    /// (1-3p/4) ρ + p/4 (XρX + YρY + ZρZ), the convention of NetSquid.
    Mixing(f64),
    /// The probability of an error, all non-trivial Pauli operators being equally likely: ρ → (1-p) ρ + p/(d²-1) Σ PρP.
    Error(f64),
    /// The probability that the gate works, ρ → g ρ + (1-g) 1/d (Briegel, Dür, Cirac & Zoller, Phys. Rev. Lett. 81, 5932).
    Quality(f64),
    /// The fidelity averaged over all pure inputs, as randomised benchmarking tells it.
    AverageFidelity(f64),
}

impl DepolarisingParameter {
    /// The probability that `qubits` qubits become random. Fails when the number is none that its convention allows.
    pub fn mixing(self, qubits: u32) -> Result<f64, StateError> {
        let dimension = f64::from(1u32 << qubits);
        let all = dimension * dimension;
        let (what, mixing) = match self {
            Self::Mixing(p) => ("a mixing probability", p),
            Self::Error(p) => ("an error probability as a mixing probability", p * all / (all - 1.0)),
            Self::Quality(g) => ("one less a gate quality", 1.0 - g),
            Self::AverageFidelity(f) => {
                ("an average fidelity as a mixing probability", (1.0 - f) * dimension / (dimension - 1.0))
            }
        };
        probability(what, mixing)
    }
    /// The probability g that a gate on `qubits` qubits works. Fails as [`mixing`](Self::mixing) does.
    pub fn quality(self, qubits: u32) -> Result<f64, StateError> {
        self.mixing(qubits).map(|mixing| 1.0 - mixing)
    }
}

#[cfg(test)]
mod tests {
    use super::DepolarisingParameter::*;

    #[test]
    fn conventions_meet() {
        // One qubit: mixing p leaves a Bell pair with fidelity 1 - 3p/4.
        assert_eq!(Error(0.03).mixing(1).unwrap(), 0.04);
        assert!((Quality(0.96).mixing(1).unwrap() - 0.04).abs() < 1e-15);
        assert!((AverageFidelity(0.98).mixing(1).unwrap() - 0.04).abs() < 1e-15);
        // Two qubits: the average fidelity of a mixing p is 1 - 3p/4, its Pauli error 15p/16.
        assert!((AverageFidelity(0.97).mixing(2).unwrap() - 0.04).abs() < 1e-15);
        assert!((Error(0.0375).mixing(2).unwrap() - 0.04).abs() < 1e-15);
        assert!(Error(0.9).mixing(1).is_err());
        assert!(AverageFidelity(0.4).mixing(1).is_err());
    }
}
