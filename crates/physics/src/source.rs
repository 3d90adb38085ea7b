//! Sources of pulses.

use crate::photons::{PhotonNumbers, herald_probability};
use crate::probability::{is_probability, sums_to_one};

/// An intensity of a decoy-state transmitter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Intensity {
    /// The mean photon number of its pulses when they leave the transmitter.
    pub mean_photons: f64,
    /// The probability with which a pulse has it.
    pub probability: f64,
}

/// How the number of pairs of a down-conversion source is distributed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairStatistics {
    /// One Schmidt mode: Bose-Einstein.
    Thermal,
    /// So many equally strong modes, at least 1: negative binomial.
    Modes(u32),
    /// Very many modes: Poisson.
    Poisson,
}

/// Why a source cannot be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SourceError {
    /// There is no intensity at all.
    #[error("a source needs at least one intensity")]
    NoIntensity,
    /// There are more intensities than a click can tell apart.
    #[error("{0} intensities are more than the 256 that a source may have")]
    TooManyIntensities(usize),
    /// A mean photon number is negative or not a number.
    #[error("the mean photon number {0} is not between 0 and 1000")]
    MeanPhotons(f64),
    /// A probability is outside 0 to 1.
    #[error("the {what} {value} is not between 0 and 1")]
    NotAProbability {
        /// Which one.
        what: &'static str,
        /// What was given.
        value: f64,
    },
    /// The intensities' probabilities do not sum to 1.
    #[error("the probabilities of the intensities sum to {0}, not to 1")]
    DoNotSumToOne(f64),
    /// No photon-number distribution has this brightness with this g2.
    #[error("a mean of {brightness} photons with g2 = {g2} leaves a negative probability of one photon")]
    ImpossibleG2 {
        /// The mean photon number.
        brightness: f64,
        /// The second-order correlation at zero delay.
        g2: f64,
    },
}

/// What a transmitter emits: classes of pulses, each with its probability and photon-number distribution.
///
/// A decoy-state transmitter has a class for each intensity. A heralded source has two: pulses whose herald
/// clicked, and the others, which serve as passive decoys (Adachi et al., PRL 99, 180503 (2007)).
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    classes: Vec<(f64, PhotonNumbers)>,
}

fn checked(what: &'static str, value: f64) -> Result<f64, SourceError> {
    if is_probability(value) { Ok(value) } else { Err(SourceError::NotAProbability { what, value }) }
}

fn checked_mean(mean: f64) -> Result<f64, SourceError> {
    if (0.0..=1000.0).contains(&mean) { Ok(mean) } else { Err(SourceError::MeanPhotons(mean)) }
}

impl Source {
    /// A phase-randomised weak coherent source: class `k` has the `k`-th intensity.
    pub fn weak_coherent(intensities: &[Intensity]) -> Result<Self, SourceError> {
        if intensities.is_empty() {
            return Err(SourceError::NoIntensity);
        }
        if intensities.len() > 256 {
            return Err(SourceError::TooManyIntensities(intensities.len()));
        }
        for intensity in intensities {
            checked_mean(intensity.mean_photons)?;
            checked("probability of an intensity", intensity.probability)?;
        }
        if !sums_to_one(intensities.iter().map(|i| i.probability)) {
            return Err(SourceError::DoNotSumToOne(intensities.iter().map(|i| i.probability).sum()));
        }
        let classes =
            intensities.iter().map(|i| (i.probability, PhotonNumbers::Poisson(i.mean_photons))).collect();
        Ok(Self { classes })
    }

    /// A single-photon source with `brightness` photons a pulse in the mean and second-order correlation `g2`:
    /// P_2 = g2 brightness² / 2, no more than two photons.
    pub fn single_photon(brightness: f64, g2: f64) -> Result<Self, SourceError> {
        checked("brightness", brightness)?;
        checked("g2", g2)?;
        let two = g2 * brightness * brightness / 2.0;
        let one = brightness - 2.0 * two;
        if one < 0.0 || one + two > 1.0 {
            return Err(SourceError::ImpossibleG2 { brightness, g2 });
        }
        Ok(Self { classes: vec![(1.0, PhotonNumbers::Listed(vec![1.0 - one - two, one, two]))] })
    }

    /// A heralded pair source. Class 0 holds the pulses whose herald clicked, class 1 the others.
    ///
    /// `mean_pairs` is the mean number of pairs a pulse, `herald_efficiency` the probability that the herald
    /// detector registers a photon of a pair, `herald_dark` that it clicks by itself in a pulse.
    pub fn heralded(
        statistics: PairStatistics,
        mean_pairs: f64,
        herald_efficiency: f64,
        herald_dark: f64,
    ) -> Result<Self, SourceError> {
        checked_mean(mean_pairs)?;
        checked("herald efficiency", herald_efficiency)?;
        checked("herald dark count probability", herald_dark)?;
        let pairs = match statistics {
            PairStatistics::Thermal => PhotonNumbers::Thermal { mean: mean_pairs, modes: 1 },
            PairStatistics::Modes(modes) => PhotonNumbers::Thermal { mean: mean_pairs, modes: modes.max(1) },
            PairStatistics::Poisson => PhotonNumbers::Poisson(mean_pairs),
        };
        let class = |clicked| {
            (
                herald_probability(&pairs, herald_efficiency, herald_dark, clicked),
                PhotonNumbers::Heralded {
                    pairs: Box::new(pairs.clone()),
                    efficiency: herald_efficiency,
                    dark: herald_dark,
                    clicked,
                },
            )
        };
        Ok(Self { classes: vec![class(true), class(false)] })
    }

    /// How many classes of pulses there are: intensities, or 1, or 2 for a heralded source.
    pub fn intensities(&self) -> usize {
        self.classes.len()
    }
    /// The probability of class `k`, which must be below [`intensities`](Self::intensities).
    pub fn probability(&self, k: usize) -> f64 {
        self.classes[k].0
    }
    /// The photon-number distribution of class `k`.
    pub fn photons(&self, k: usize) -> &PhotonNumbers {
        &self.classes[k].1
    }
    /// The class with the most photons in the mean: the signal.
    pub fn brightest(&self) -> usize {
        let mut best = 0;
        for k in 1..self.classes.len() {
            if self.classes[k].1.mean() > self.classes[best].1.mean() {
                best = k;
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_sources_are_refused() {
        let one =
            |mean_photons, probability| Source::weak_coherent(&[Intensity { mean_photons, probability }]);
        assert_eq!(Source::weak_coherent(&[]), Err(SourceError::NoIntensity));
        assert_eq!(one(-0.1, 1.0), Err(SourceError::MeanPhotons(-0.1)));
        assert!(matches!(one(f64::NAN, 1.0), Err(SourceError::MeanPhotons(_))));
        assert!(matches!(one(0.1, 1.5), Err(SourceError::NotAProbability { .. })));
        assert_eq!(one(0.1, 0.5), Err(SourceError::DoNotSumToOne(0.5)));
        assert!(matches!(Source::single_photon(1.0, 0.9), Ok(_) | Err(SourceError::ImpossibleG2 { .. })));
        assert!(matches!(Source::single_photon(0.5, 1.1), Err(SourceError::NotAProbability { .. })));
    }

    #[test]
    fn a_single_photon_source_has_its_brightness_and_g2() {
        let source = Source::single_photon(0.4, 0.02).unwrap();
        let photons = source.photons(0);
        assert!((photons.mean() - 0.4).abs() < 1e-15);
        let g2 = 2.0 * photons.probability(2) / (0.4 * 0.4);
        assert!((g2 - 0.02).abs() < 1e-15);
    }

    /// For a bucket herald of unit efficiency without dark counts, P(n | herald) = P_n / (1 - P_0): thermal pairs give
    /// the geometric law of mean 1 + m.
    #[test]
    fn heralding_removes_the_vacuum() {
        let source = Source::heralded(PairStatistics::Thermal, 0.05, 1.0, 0.0).unwrap();
        assert!((source.probability(0) - 0.05 / 1.05).abs() < 1e-15);
        assert_eq!(source.photons(0).probability(0), 0.0);
        assert!((source.photons(0).mean() - 1.05).abs() < 1e-12);
        assert!((source.probability(0) + source.probability(1) - 1.0).abs() < 1e-15);
        assert!((source.photons(1).probability(0) - 1.0).abs() < 1e-12);
    }
}
