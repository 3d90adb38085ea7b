//! Statistical margins: how far an observed count may be from what it stands for.

use super::{Form, sampling};
use crate::qkd::security::{ExpectedCounts, SourceClass};
use libm::{exp, log, sqrt};

/// The margins for one failure probability, or none at all (the limit of infinitely many bits).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Margins {
    /// ln(1/epsilon).
    confidence: Option<f64>,
    form: Form,
}

impl Margins {
    /// No margins: the limit of infinitely long blocks at the same rates.
    pub(crate) const NONE: Self = Self { confidence: None, form: Form::Clipped };

    /// Each bound may fail with probability `epsilon`.
    pub(crate) fn finite(epsilon: f64, form: Form) -> Self {
        Self { confidence: Some(-log(epsilon)), form }
    }

    /// ln(1/epsilon), or 0 without margins.
    pub(super) fn confidence(&self) -> f64 {
        self.confidence.unwrap_or(0.0)
    }

    /// Hoeffding: the distance of a part of `n` counts from its expectation, `sqrt(n/2 ln(1/epsilon))`.
    pub(super) fn hoeffding(&self, n: f64) -> f64 {
        sqrt(n / 2.0 * self.confidence())
    }

    /// An upper bound, at most 1/2, on the error rate of `key` bits of which none was looked at, when a random
    /// sample of `check` bits beside them showed (at most) `errors`.
    pub(super) fn unseen_error_rate(&self, errors: f64, check: f64, key: f64) -> f64 {
        if !(check > 0.0 && key > 0.0) {
            return 0.5;
        }
        match self.confidence {
            None => (errors / check).min(0.5),
            Some(confidence) => match self.form {
                Form::Printed => sampling::printed(errors, check, key, confidence),
                Form::Clipped => sampling::wider(errors, check, key, confidence),
                Form::Tight => sampling::exact(errors, check, key, confidence),
            },
        }
    }

    /// A bound from above on single photons' errors, when there were `total` errors in all.
    pub(super) fn single_photon_errors(&self, bound: f64, total: f64) -> f64 {
        let most = if self.form == Form::Tight { total } else { f64::MAX };
        within(bound, most, most)
    }
}

/// The probability that a pulse of the source holds exactly `photons` photons, over all intensities.
pub(super) fn photon_probability(source: &[SourceClass], photons: u32) -> f64 {
    source
        .iter()
        .map(|class| {
            let weight = (1..=photons).fold(1.0, |w, n| w * class.mean_photons / f64::from(n));
            class.probability * exp(-class.mean_photons) * weight
        })
        .sum()
}

/// What one class would have counted had every pulse had its intensity: lower and upper bound on
/// `e^k / p_k` times the class's expected count, `n-` and `n+` of Lim et al. 2014 and Rusca et al. 2018.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scaled {
    pub(super) lower: f64,
    pub(super) upper: f64,
}

/// [`Scaled`] for `counts`, of a block with `total` counts. But in the printed form an expectation
/// is held between 0 and the total.
pub(super) fn scaled(class: &SourceClass, counts: f64, total: f64, margins: &Margins) -> Scaled {
    let margin = margins.hoeffding(total);
    let factor = exp(class.mean_photons) / class.probability;
    let (mut lower, mut upper) = (counts - margin, counts + margin);
    if margins.form != Form::Printed {
        (lower, upper) = (lower.max(0.0), upper.min(total));
    }
    Scaled { lower: factor * lower, upper: factor * upper }
}

/// Sifted bits and errors summed over the classes.
pub(super) fn total(classes: &[ExpectedCounts]) -> ExpectedCounts {
    classes.iter().fold(ExpectedCounts::default(), |sum, class| ExpectedCounts {
        sifted: sum.sifted + class.sifted,
        errors: sum.errors + class.errors,
    })
}

/// A bound on a count: between 0 and `most`. What cannot be computed bounds nothing, so it is `otherwise`.
pub(super) fn within(bound: f64, most: f64, otherwise: f64) -> f64 {
    if bound.is_nan() { otherwise } else { bound.clamp(0.0, most) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn photon_numbers_of_all_intensities_sum_to_one() {
        let source = [SourceClass::new(0.5, 0.7), SourceClass::new(0.1, 0.3)];
        let sum: f64 = (0..30).map(|n| photon_probability(&source, n)).sum();
        assert!((sum - 1.0).abs() < 1e-14);
        let two = 0.7 * (-0.5f64).exp() * 0.125 + 0.3 * (-0.1f64).exp() * 0.005;
        assert!((photon_probability(&source, 2) - two).abs() < 1e-16);
    }
}
