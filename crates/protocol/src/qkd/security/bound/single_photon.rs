//! True single photons: Tomamichel et al. 2012.

use super::margins::{Margins, total};
use super::{Evaluation, ExpectedStatistics};
use libm::sqrt;

/// Every bit came from a single photon; equation (2) bounds the phase error rate of `n` key bits by the error
/// rate of `k` check bits plus `sqrt((n+k)/(nk) (k+1)/k ln(4/secrecy))`.
pub(super) fn evaluate(statistics: &ExpectedStatistics, margins: &Margins) -> Evaluation {
    let (n, check) = (total(&statistics.key).sifted, total(&statistics.check));
    let k = check.sifted;
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
