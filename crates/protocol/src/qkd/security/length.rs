//! The key length of a block, or the reason why there is none.

use super::asymptotic::shor_preskill_rate;
use super::bound::{Evaluation, Margins};
use super::{
    BlockStatistics, Bound, Certificate, ExpectedStatistics, NoKey, SecurityParameters, SourceClass,
};
use crate::hardware::Basis;
use bellwether_units::binary_entropy;

/// The length of the secret key that a block yields, with everything that led to it.
///
/// `leak_bits` are the bits about the sifted key that were disclosed: every parity of every attempt at
/// reconciliation, failed ones included, and what verification disclosed beyond
/// [`SecurityParameters::verification_allowance`] (a tag of up to that many bits is paid for by the penalty
/// `log2(2/correctness)`).
///
/// # Errors
///
/// [`NoKey`] when the length is below one bit, with the cause and the figures seen; or when the counts, the
/// source or the parameters cannot be.
pub fn key_length(
    bound: Bound,
    source: &[SourceClass],
    statistics: &BlockStatistics,
    leak_bits: u64,
    parameters: &SecurityParameters,
) -> Result<Certificate, NoKey> {
    let certificate = certify(bound, source, statistics.into(), leak_bits as f64, parameters)?;
    if certificate.length < 1.0 {
        return Err(explain(&certificate));
    }
    Ok(certificate)
}

/// Whether a block can yield key at all, before reconciliation: errors of the key basis are not known yet and
/// those in `statistics` are ignored.
///
/// # Errors
///
/// [`NoKey`] when not even a key basis without errors, of which nothing is disclosed, would leave a bit. The cause
/// is that of a key basis with the error rate of the check basis, as after an attack that treats both alike.
pub fn may_yield_key(
    bound: Bound,
    source: &[SourceClass],
    statistics: &BlockStatistics,
    parameters: &SecurityParameters,
) -> Result<(), NoKey> {
    let with_errors_at = |rate: f64| {
        let mut assumed = statistics.clone();
        for class in &mut assumed.key {
            class.errors = (class.sifted as f64 * rate) as u64;
        }
        let leak = assumed.total(Basis::Key).sifted as f64 * binary_entropy(rate);
        key_length(bound, source, &assumed, leak as u64, parameters)
    };
    let Err(best) = with_errors_at(0.0) else { return Ok(()) };
    let Some(check) = statistics.error_rate(Basis::Check) else { return Err(best) };
    Err(match with_errors_at(check.min(0.5)) {
        Err(NoKey::ErrorRate { check, phase_error, .. }) => {
            NoKey::ErrorRate { key: None, check, phase_error }
        }
        Err(NoKey::Leak { .. }) | Ok(_) => best,
        Err(likely) => likely,
    })
}

/// The certificate of expected counts, whatever its length: negative lengths guide the optimiser.
pub(super) fn certify(
    bound: Bound,
    source: &[SourceClass],
    statistics: ExpectedStatistics,
    leak: f64,
    parameters: &SecurityParameters,
) -> Result<Certificate, NoKey> {
    parameters.validate()?;
    bound.validate(source)?;
    statistics.validate(source.len())?;
    let Evaluation { vacuum, single_photons, check_single_photons, check_single_photon_errors, phase_error } =
        bound.evaluate(source, &statistics, &bound.margins(parameters.secrecy));
    let penalties = bound.penalties(parameters);
    let secret = vacuum + single_photons * (1.0 - binary_entropy(phase_error));
    let length = secret - leak - penalties.iter().map(|p| p.bits).sum::<f64>();
    Ok(Certificate {
        bound,
        source: source.to_vec(),
        statistics,
        vacuum,
        single_photons,
        check_single_photons,
        check_single_photon_errors,
        phase_error,
        leak,
        penalties,
        length,
        // A float that is negative or not a number becomes 0.
        key_bits: length as u64,
        epsilons: bound.epsilons(parameters),
    })
}

/// Why `certificate`, whose length is below one bit, has no key: what would still forbid one if the same
/// rates had been seen in an infinitely long block, or else the block's size.
pub(super) fn explain(certificate: &Certificate) -> NoKey {
    let statistics = &certificate.statistics;
    let totals = [Basis::Key, Basis::Check].map(|basis| (basis, statistics.total(basis)));
    for (basis, total) in totals {
        if total.sifted < 1.0 {
            return NoKey::Empty { basis };
        }
    }
    let [(_, key), (_, check)] = totals;
    let (key_rate, check_rate) = (key.errors / key.sifted, check.errors / check.sifted);
    let limit = certificate.bound.evaluate(&certificate.source, statistics, &Margins::NONE);
    let too_many_errors =
        NoKey::ErrorRate { key: Some(key_rate), check: check_rate, phase_error: certificate.phase_error };
    // Empty detections that err half the time also spoil the decoy statistics: name the cause first.
    if shor_preskill_rate(key_rate.min(0.5), check_rate.min(0.5), 1.0) <= 0.0 {
        return too_many_errors;
    }
    for (basis, photons, list, total) in [
        (Basis::Key, limit.single_photons, &statistics.key, key.sifted),
        (Basis::Check, limit.check_single_photons, &statistics.check, check.sifted),
    ] {
        if photons <= 0.0 {
            let seen = list.iter().map(|c| c.sifted / total).collect();
            return NoKey::DecoyStatistics { basis, sifted: total, seen };
        }
    }
    let secret = limit.secret_bits();
    if secret > certificate.leak {
        return NoKey::BlockTooSmall { key: key.sifted, check: check.sifted, length: certificate.length };
    }
    // The leak that no reconciliation can go below.
    let least_leak = key.sifted * binary_entropy(key_rate.min(0.5));
    if secret > least_leak { NoKey::Leak { leak: certificate.leak, secret } } else { too_many_errors }
}
