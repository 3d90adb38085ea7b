//! What an entangled pair is worth: for teleportation, for a Bell test, for distillation, for key.
//!
//! Bell-diagonal states are given by their probabilities in the order Phi+, Phi-, Psi+, Psi-.

use crate::parameter::{ParameterError, probability};
use bellwether_units::binary_entropy;
use libm::{fabs, log2, sqrt};

/// The mean fidelity of a qubit teleported by a pair of fidelity `pair`, over all states: `(2F + 1) / 3` (Horodecki,
/// Horodecki & Horodecki, Phys. Rev. A 60, 1888 (1999)). Above 2/3 is more than measuring and telling can do.
pub fn teleportation_fidelity(pair: f64) -> f64 {
    (2.0 * pair + 1.0) / 3.0
}

/// The correlations of a Bell-diagonal pair when both sides measure X, Y or Z.
pub fn correlations(bell_diagonal: [f64; 4]) -> [f64; 3] {
    let [phi_plus, phi_minus, psi_plus, psi_minus] = bell_diagonal;
    [
        phi_plus - phi_minus + psi_plus - psi_minus,
        phi_minus - phi_plus + psi_plus - psi_minus,
        phi_plus + phi_minus - psi_plus - psi_minus,
    ]
}

/// The largest value of the CHSH expression that a Bell-diagonal pair can show: `2 sqrt(t1^2 + t2^2)` with the two
/// largest correlations (Horodecki, Horodecki & Horodecki, Phys. Lett. A 200, 340 (1995)). Above 2 no local model does.
pub fn chsh(bell_diagonal: [f64; 4]) -> f64 {
    let mut squares = correlations(bell_diagonal).map(|t| t * t);
    squares.sort_by(f64::total_cmp);
    2.0 * sqrt(squares[1] + squares[2])
}

/// The ebits that hashing distils from each of many Bell-diagonal pairs: one less the entropy, or none (Bennett,
/// DiVincenzo, Smolin & Wootters, Phys. Rev. A 54, 3824 (1996)).
pub fn hashing_yield(bell_diagonal: [f64; 4]) -> f64 {
    let entropy: f64 = bell_diagonal.iter().filter(|p| **p > 0.0).map(|p| -p * log2(*p)).sum();
    (1.0 - entropy).max(0.0)
}

/// The key that device-independent key distribution gets from a pair at best, one way and with many pairs:
/// `1 - h(Q) - h((1 + sqrt(S^2/4 - 1)) / 2)` for a CHSH value S and an error rate Q (Acín et al., Phys. Rev. Lett. 98,
/// 230501 (2007)). Negative where there is none; without a violation nothing is known and the whole bit is lost.
pub fn device_independent_key(chsh: f64, error: f64) -> f64 {
    let known = fabs(chsh) * fabs(chsh) / 4.0 - 1.0;
    let entropy = if known <= 0.0 { 1.0 } else { binary_entropy((1.0 + sqrt(known.min(1.0))) / 2.0) };
    1.0 - binary_entropy(error) - entropy
}

/// A Bell-diagonal pair that is Phi+ with some probability and else any other Bell state alike.
///
/// # Errors
/// The fidelity is not from 0 to 1.
pub fn werner(fidelity: f64) -> Result<[f64; 4], ParameterError> {
    let rest = (1.0 - probability("the fidelity", fidelity)?) / 3.0;
    Ok([fidelity, rest, rest, rest])
}

/// How key is made from pairs, with one-way processing and without any limit to the number of pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyScheme {
    /// Two bases (BBM92): `1 - 2 h(Q)`.
    TwoBases,
    /// Three bases (six states): `1 - S`.
    ThreeBases,
    /// From a Bell test, with no trust in the devices.
    DeviceIndependent,
}

impl KeyScheme {
    /// Bits of key from each sifted Werner pair; 0 where there is none.
    ///
    /// # Errors
    /// The fidelity is not from 0 to 1.
    pub fn key_per_pair(self, fidelity: f64) -> Result<f64, ParameterError> {
        let pair = werner(fidelity)?;
        let error = error_rate(fidelity);
        let key = match self {
            Self::TwoBases => 1.0 - 2.0 * binary_entropy(error),
            Self::ThreeBases => hashing_yield(pair),
            Self::DeviceIndependent => device_independent_key(chsh(pair), error),
        };
        // Beyond one half, the outcomes agree too rarely as they agree too often before.
        Ok(if error > 0.5 { 0.0 } else { key.max(0.0) })
    }

    /// The fidelity of a Werner pair above which there is key, to 12 digits.
    pub fn least_fidelity(self) -> f64 {
        let (mut none, mut some) = (0.5, 1.0);
        for _ in 0..48 {
            let middle = (none + some) / 2.0;
            if self.key_per_pair(middle).is_ok_and(|key| key > 0.0) {
                some = middle;
            } else {
                none = middle;
            }
        }
        some
    }
}

/// How often measurements of a Werner pair in one of the three bases disagree: `2 (1 - F) / 3`.
pub fn error_rate(fidelity: f64) -> f64 {
    2.0 * (1.0 - fidelity) / 3.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn perfect_pairs_and_noise() {
        assert!((chsh([0.0, 0.0, 1.0, 0.0]) - 8f64.sqrt()).abs() < 1e-12);
        assert_eq!(chsh([0.25; 4]), 0.0);
        assert_eq!(hashing_yield([0.0, 1.0, 0.0, 0.0]), 1.0);
        assert_eq!(hashing_yield([0.25; 4]), 0.0);
        assert_eq!(teleportation_fidelity(0.5), 2.0 / 3.0);
        assert_eq!(correlations([0.0, 0.0, 0.0, 1.0]), [-1.0, -1.0, -1.0]);
        assert!(werner(1.2).is_err());
        for scheme in [KeyScheme::TwoBases, KeyScheme::ThreeBases, KeyScheme::DeviceIndependent] {
            assert_eq!(scheme.key_per_pair(1.0).unwrap(), 1.0);
            assert_eq!(scheme.key_per_pair(0.0).unwrap(), 0.0);
        }
    }
}
