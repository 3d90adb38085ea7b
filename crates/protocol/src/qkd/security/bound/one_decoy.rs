//! Two intensities: Rusca et al. 2018, appendix A.

use super::margins::{Margins, Scaled, photon_probability, scaled, total, within};
use super::{Evaluation, ExpectedStatistics, SourceClass};
use crate::qkd::security::ExpectedCounts;
use libm::exp;

/// The bounds (A16) to (A23). `vacuum_credit` counts the bits of empty pulses (A19) as secret.
pub(super) fn evaluate(
    source: &[SourceClass],
    statistics: &ExpectedStatistics,
    margins: &Margins,
    vacuum_credit: bool,
) -> Evaluation {
    let key_total = total(&statistics.key).sifted;
    let vacuum = if vacuum_credit { vacuum_lower(source, &statistics.key, margins) } else { 0.0 };
    let single = single_lower(source, &statistics.key, margins).min(key_total - vacuum);
    let check_single = single_lower(source, &statistics.check, margins);

    let [bright, dim] = [source[0].mean_photons, source[1].mean_photons];
    let check = total(&statistics.check);
    let errors = |i: usize| scaled(&source[i], statistics.check[i].errors, check.errors, margins);
    // (A22)
    let single_errors = photon_probability(source, 1) / (bright - dim) * (errors(0).upper - errors(1).lower);
    let single_errors = margins.single_photon_errors(single_errors, check.errors);
    Evaluation {
        vacuum,
        single_photons: single,
        check_single_photons: check_single,
        check_single_photon_errors: single_errors,
        phase_error: margins.unseen_error_rate(single_errors, check_single, single),
    }
}

fn pair(source: &[SourceClass], counts: &[ExpectedCounts], margins: &Margins) -> [Scaled; 2] {
    let n = total(counts).sifted;
    [0, 1].map(|i| scaled(&source[i], counts[i].sifted, n, margins))
}

/// (A19): bits from empty pulses, at least.
fn vacuum_lower(source: &[SourceClass], counts: &[ExpectedCounts], margins: &Margins) -> f64 {
    let [bright, dim] = [source[0].mean_photons, source[1].mean_photons];
    let [n_bright, n_dim] = pair(source, counts, margins);
    let bound =
        photon_probability(source, 0) / (bright - dim) * (bright * n_dim.lower - dim * n_bright.upper);
    within(bound, total(counts).sifted, 0.0)
}

/// (A16): bits from empty pulses, at most. Half of them err, so errors bound them.
fn vacuum_upper(source: &[SourceClass], counts: &[ExpectedCounts], margins: &Margins) -> f64 {
    let all = total(counts);
    let empty = photon_probability(source, 0);
    let least = source
        .iter()
        .zip(counts)
        .map(|(class, c)| {
            let errors =
                exp(class.mean_photons) / class.probability * (c.errors + margins.hoeffding(all.errors));
            2.0 * (empty * errors + margins.hoeffding(all.sifted))
        })
        .fold(f64::INFINITY, f64::min);
    within(least, all.sifted, all.sifted)
}

/// (A17): bits from single photons, at least.
fn single_lower(source: &[SourceClass], counts: &[ExpectedCounts], margins: &Margins) -> f64 {
    let [bright, dim] = [source[0].mean_photons, source[1].mean_photons];
    let [n_bright, n_dim] = pair(source, counts, margins);
    let ratio = (dim / bright) * (dim / bright);
    let empty = vacuum_upper(source, counts, margins) / photon_probability(source, 0);
    let bound = photon_probability(source, 1) * bright / (dim * (bright - dim))
        * (n_dim.lower - ratio * n_bright.upper - (1.0 - ratio) * empty);
    within(bound, total(counts).sifted, 0.0)
}
