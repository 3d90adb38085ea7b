//! Single photons: Tomamichel et al. 2012, with bits of several photons tagged.

use super::margins::{Margins, total};
use super::{Evaluation, ExpectedStatistics};
use crate::qkd::security::SourceClass;
use libm::sqrt;

/// Of the bits, so many may have come from pulses of several photons and are taken to be known; the others came
/// from one photon or none. Equation (2) bounds the phase error rate of these `n` key bits by the error rate of
/// their `k` check bits plus `sqrt((n+k)/(nk) (k+1)/k ln(4/secrecy))`. All errors are charged to the latter.
pub(super) fn evaluate(
    source: &[SourceClass],
    statistics: &ExpectedStatistics,
    margins: &Margins,
) -> Evaluation {
    let [tagged_key, tagged_check] = source
        .first()
        .map_or([0.0; 2], |class| class.several_photons)
        .map(|probability| at_most(statistics.pulses * probability, margins.confidence()));
    let check = total(&statistics.check);
    let n = (total(&statistics.key).sifted - tagged_key).max(0.0);
    let k = (check.sifted - tagged_check).max(0.0);
    let phase_error = if n > 0.0 && k > 0.0 {
        let margin = sqrt((n + k) / (n * k) * (k + 1.0) / k * margins.confidence());
        (check.errors / k + margin).min(0.5)
    } else {
        0.5
    };
    Evaluation {
        vacuum: 0.0,
        single_photons: n,
        check_single_photons: k,
        check_single_photon_errors: check.errors,
        phase_error,
    }
}

/// What a count of expectation `mean` exceeds with a probability of at most exp(-`confidence`): the Chernoff
/// bound of Yin et al., Sci. Rep. 10, 14312 (2020).
fn at_most(mean: f64, confidence: f64) -> f64 {
    if mean > 0.0 {
        mean + confidence / 2.0 + sqrt(2.0 * confidence * mean + confidence * confidence / 4.0)
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chernoff_bound_is_above_the_exact_tail() {
        // A Poisson count stands for any sum of rare independent events.
        for mean in [0.5, 3.0, 40.0, 900.0] {
            for confidence in [2.0, 10.0, 23.0] {
                let most = libm::floor(at_most(mean, confidence)) as u64;
                let beyond = 1.0 - bellwether_units::poisson_tail_below(mean, most);
                assert!(beyond <= libm::exp(-confidence) + 1e-13, "{mean} {confidence}: {beyond}");
            }
        }
        assert_eq!(at_most(0.0, 23.0), 0.0);
    }
}
