//! Three intensities: Lim et al. 2014.

use super::margins::{Margins, Scaled, photon_probability, scaled, total, within};
use super::{Evaluation, ExpectedStatistics, SourceClass};
use crate::qkd::security::ExpectedCounts;

/// The bounds (2) to (5), with the key in the paper's X basis and the check in its Z basis.
pub(super) fn evaluate(
    source: &[SourceClass],
    statistics: &ExpectedStatistics,
    margins: &Margins,
) -> Evaluation {
    let key_total = total(&statistics.key).sifted;
    let (vacuum, single) = vacuum_and_single(source, &statistics.key, margins);
    let (_, check_single) = vacuum_and_single(source, &statistics.check, margins);
    let check = total(&statistics.check);
    let errors = |i: usize| scaled(&source[i], statistics.check[i].errors, check.errors, margins);
    // (4)
    let single_errors = photon_probability(source, 1) / (source[1].mean_photons - source[2].mean_photons)
        * (errors(1).upper - errors(2).lower);
    let single_errors = margins.single_photon_errors(single_errors, check.errors);
    let single = single.min(key_total - vacuum);
    Evaluation {
        vacuum,
        single_photons: single,
        check_single_photons: check_single,
        check_single_photon_errors: single_errors,
        phase_error: margins.unseen_error_rate(single_errors, check_single, single),
    }
}

/// (2) and (3): bits from empty pulses and from single photons, at least.
fn vacuum_and_single(source: &[SourceClass], counts: &[ExpectedCounts], margins: &Margins) -> (f64, f64) {
    let n = total(counts).sifted;
    let [mu1, mu2, mu3] = [0, 1, 2].map(|i: usize| source[i].mean_photons);
    let [n1, n2, n3]: [Scaled; 3] =
        [0, 1, 2].map(|i: usize| scaled(&source[i], counts[i].sifted, n, margins));
    let (tau0, tau1) = (photon_probability(source, 0), photon_probability(source, 1));
    let vacuum = within(tau0 * (mu2 * n3.lower - mu3 * n2.upper) / (mu2 - mu3), n, 0.0);
    let multi = (mu2 * mu2 - mu3 * mu3) / (mu1 * mu1) * (n1.upper - vacuum / tau0);
    let single = tau1 * mu1 * (n2.lower - n3.upper - multi) / (mu1 * (mu2 - mu3) - mu2 * mu2 + mu3 * mu3);
    (vacuum, within(single, n, 0.0))
}
