//! Photon-number distributions of one pulse, each with its probability generating function.
//!
//! Threshold detectors see a distribution only through G(z) = Σ P_n z^n: if a detector registers each photon
//! independently with probability η, it stays silent with probability G(1 - η).

/// How many photons a pulse holds.
#[derive(Clone, Debug, PartialEq)]
pub enum PhotonNumbers {
    /// Poisson with this mean: phase-randomised coherent light.
    Poisson(f64),
    /// Parametric down-conversion into equally strong modes, each Bose-Einstein: the negative binomial law
    /// with generating function (1 + m (1 - z) / M)^-M. One mode has P_n = m^n / (1 + m)^(n+1).
    Thermal {
        /// The mean m over all modes.
        mean: f64,
        /// The number M of modes, at least 1.
        modes: u32,
    },
    /// P_0, P_1, ... given one by one; they sum to 1.
    Listed(Vec<f64>),
    /// One arm of a pair source, given what the herald detector in the other arm did: it stays silent at `n`
    /// pairs with probability `(1 - dark) (1 - efficiency)^n`.
    Heralded {
        /// The distribution of pairs.
        pairs: Box<PhotonNumbers>,
        /// The probability with which the herald detector registers a photon.
        efficiency: f64,
        /// The probability with which it clicks by itself.
        dark: f64,
        /// Whether it clicked.
        clicked: bool,
    },
}

impl PhotonNumbers {
    /// The probability of `n` photons.
    pub fn probability(&self, n: u32) -> f64 {
        let power = |z: f64| libm::pow(z, f64::from(n));
        match self {
            Self::Poisson(mean) if *mean == 0.0 => f64::from(n == 0),
            Self::Poisson(mean) => {
                let log = f64::from(n) * libm::log(*mean) - mean - libm::lgamma(f64::from(n) + 1.0);
                libm::exp(log)
            }
            Self::Thermal { mean, modes: 1 } => power(mean / (1.0 + mean)) / (1.0 + mean),
            Self::Thermal { mean, modes } => {
                let (m, n) = (f64::from(*modes), f64::from(n));
                let ways = libm::lgamma(n + m) - libm::lgamma(n + 1.0) - libm::lgamma(m);
                let ratio = mean / m;
                libm::exp(ways - m * libm::log1p(ratio)) * power(ratio / (1.0 + ratio))
            }
            Self::Listed(list) => list.get(n as usize).copied().unwrap_or(0.0),
            Self::Heralded { pairs, efficiency, dark, clicked } => {
                let silent = (1.0 - dark) * power(1.0 - efficiency);
                let given = if *clicked { 1.0 - silent } else { silent };
                let herald = herald_probability(pairs, *efficiency, *dark, *clicked);
                if herald == 0.0 { f64::from(n == 0) } else { pairs.probability(n) * given / herald }
            }
        }
    }

    /// The probability generating function Σ P_n z^n, for z from 0 to 1.
    pub fn generating_function(&self, z: f64) -> f64 {
        match self {
            Self::Poisson(mean) => libm::exp(-mean * (1.0 - z)),
            Self::Thermal { mean, modes } => {
                let m = f64::from(*modes);
                libm::exp(-m * libm::log1p(mean / m * (1.0 - z)))
            }
            Self::Listed(list) => list.iter().rev().fold(0.0, |sum, p| sum * z + p),
            Self::Heralded { pairs, efficiency, dark, clicked } => {
                let herald = herald_probability(pairs, *efficiency, *dark, *clicked);
                if herald == 0.0 {
                    return 1.0;
                }
                let silent = (1.0 - dark) * pairs.generating_function(z * (1.0 - efficiency));
                if *clicked { (pairs.generating_function(z) - silent) / herald } else { silent / herald }
            }
        }
    }

    /// 1 - G(1 - `efficiency`): the probability that a detector which registers each photon with probability
    /// `efficiency` sees the pulse, without the cancellation that 1 - G suffers at small values.
    pub fn seen(&self, efficiency: f64) -> f64 {
        self.fall(1.0, efficiency)
    }

    /// G(z) - G(z (1 - e)), to full precision at small `e`.
    fn fall(&self, z: f64, e: f64) -> f64 {
        match self {
            Self::Poisson(mean) => -self.generating_function(z) * libm::expm1(-mean * z * e),
            Self::Thermal { mean, modes } => {
                let m = f64::from(*modes);
                let light = mean / m;
                let rise = libm::log1p(light * z * e / (1.0 + light * (1.0 - z)));
                -self.generating_function(z) * libm::expm1(-m * rise)
            }
            // Σ P_n z^n (1 - (1-e)^n), with 1 - (1-e)^n = e Σ_{i<n} (1-e)^i.
            Self::Listed(list) => {
                let (mut sum, mut lost, mut kept, mut power) = (0.0, 0.0, 1.0, 1.0);
                for p in list {
                    sum += p * power * lost;
                    lost += e * kept;
                    kept *= 1.0 - e;
                    power *= z;
                }
                sum
            }
            Self::Heralded { pairs, efficiency, dark, clicked } => {
                let herald = herald_probability(pairs, *efficiency, *dark, *clicked);
                if herald == 0.0 {
                    return 0.0;
                }
                let silent = (1.0 - dark) * pairs.fall(z * (1.0 - efficiency), e);
                if *clicked { (pairs.fall(z, e) - silent) / herald } else { silent / herald }
            }
        }
    }

    /// The mean number of photons.
    pub fn mean(&self) -> f64 {
        match self {
            Self::Poisson(mean) | Self::Thermal { mean, .. } => *mean,
            Self::Listed(list) => list.iter().enumerate().map(|(n, p)| n as f64 * p).sum(),
            Self::Heralded { pairs, efficiency, dark, clicked } => {
                let total = herald_probability(pairs, *efficiency, *dark, *clicked);
                if total == 0.0 {
                    return 0.0;
                }
                // The mean of n weighted by (1-h)^n is z G'(z) at z = 1-h.
                let silent = (1.0 - dark) * weighted_mean(pairs, 1.0 - efficiency);
                if *clicked { (pairs.mean() - silent) / total } else { silent / total }
            }
        }
    }
}

/// The probability that the herald detector clicks (or does not).
pub(crate) fn herald_probability(pairs: &PhotonNumbers, efficiency: f64, dark: f64, clicked: bool) -> f64 {
    let silent = (1.0 - dark) * (1.0 - pairs.seen(efficiency));
    if clicked { dark + (1.0 - dark) * pairs.seen(efficiency) } else { silent }
}

/// Σ n P_n z^n.
fn weighted_mean(pairs: &PhotonNumbers, z: f64) -> f64 {
    match pairs {
        PhotonNumbers::Poisson(mean) => mean * z * pairs.generating_function(z),
        PhotonNumbers::Thermal { mean, modes } => {
            mean * z * pairs.generating_function(z) / (1.0 + mean / f64::from(*modes) * (1.0 - z))
        }
        _ => (1..200u32).map(|n| f64::from(n) * pairs.probability(n) * libm::pow(z, f64::from(n))).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases() -> Vec<PhotonNumbers> {
        let heralded = |pairs, clicked| PhotonNumbers::Heralded {
            pairs: Box::new(pairs),
            efficiency: 0.6,
            dark: 1e-4,
            clicked,
        };
        vec![
            PhotonNumbers::Poisson(0.48),
            PhotonNumbers::Poisson(0.0),
            PhotonNumbers::Thermal { mean: 0.3, modes: 1 },
            PhotonNumbers::Thermal { mean: 0.3, modes: 7 },
            PhotonNumbers::Listed(vec![0.6, 0.39, 0.01]),
            heralded(PhotonNumbers::Thermal { mean: 0.05, modes: 3 }, true),
            heralded(PhotonNumbers::Thermal { mean: 0.05, modes: 1 }, false),
            heralded(PhotonNumbers::Poisson(0.1), true),
            heralded(PhotonNumbers::Poisson(0.1), false),
        ]
    }

    /// The second way: the sum over photon numbers.
    #[test]
    fn closed_forms_agree_with_sums_over_photon_numbers() {
        for case in cases() {
            let sum = |f: &dyn Fn(f64) -> f64| -> f64 {
                (0..80u32).map(|n| case.probability(n) * f(f64::from(n))).sum()
            };
            assert!((sum(&|_| 1.0) - 1.0).abs() < 1e-12, "{case:?} is not normalised");
            assert!((sum(&|n| n) - case.mean()).abs() < 1e-12, "mean of {case:?}");
            for z in [0.0f64, 0.3, 0.9, 1.0] {
                let direct = sum(&|n| z.powf(n));
                assert!((direct - case.generating_function(z)).abs() < 1e-12, "G({z}) of {case:?}");
                assert!((1.0 - direct - case.seen(1.0 - z)).abs() < 1e-12, "seen of {case:?}");
            }
        }
    }

    #[test]
    fn seen_keeps_its_digits_at_high_loss() {
        for case in cases() {
            let expected = case.mean() * 1e-15;
            assert!((case.seen(1e-15) - expected).abs() <= 1e-4 * expected, "{case:?}");
        }
    }
}
