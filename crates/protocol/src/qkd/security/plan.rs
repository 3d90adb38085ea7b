//! The rate to expect of a link from its gains and error rates: expected, not sampled.

use super::length::{certify, explain};
use super::{
    Bound, Certificate, ExpectedCounts, ExpectedStatistics, NoKey, SecurityParameters, SourceClass, maximise,
    reconciliation_leak,
};
use crate::hardware::Basis;
use bellwether_units::{Duration, Frequency, Rate};

/// What a pulse of one intensity does, prepared and measured in one basis.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ExpectedClass {
    /// Probability of a detection.
    pub gain: f64,
    /// Error rate of the detections.
    pub error_rate: f64,
}

/// A link as planning sees it. Lists have one entry an intensity, as in [`SourceClass`] lists.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedLink {
    /// The intensities.
    pub source: Vec<SourceClass>,
    /// Gains and error rates when both ends use the key basis.
    pub key: Vec<ExpectedClass>,
    /// The same for the check basis.
    pub check: Vec<ExpectedClass>,
    /// Probability that both ends choose the key basis.
    pub key_sifting: f64,
    /// Probability that both ends choose the check basis.
    pub check_sifting: f64,
    /// Pulses a second.
    pub clock: Frequency,
    /// The fraction of detections that dead time leaves, 1 without dead time; see [`dead_time_factor`].
    pub saturation: f64,
}

/// The fraction of detections that a dead time of `dead_time` after each leaves, where a pulse would be
/// detected with probability `gain`: `1 / (1 + clock gain dead_time)` (Rusca et al. 2018, appendix B).
pub fn dead_time_factor(clock: Frequency, gain: f64, dead_time: Duration) -> f64 {
    1.0 / (1.0 + clock.hertz() * gain * dead_time.seconds())
}

/// The expectation of one block and of its key.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// How the key length comes about; its counts are expectations.
    pub certificate: Certificate,
    /// Pulses that a block takes.
    pub pulses: f64,
    /// Time that a block takes, held at [`Duration::MAX`].
    pub time: Duration,
    /// Sifted bits of the key basis a second.
    pub sifted_rate: Rate,
    /// Secret bits a second.
    pub secret_rate: Rate,
    /// Secret bits a pulse.
    pub secret_bits_per_pulse: f64,
}

/// The rate to expect of `link` when blocks of `block_bits` sifted key bits are reconciled with inefficiency
/// `f` (at least 1; see [`reconciliation_leak`]).
///
/// # Errors
///
/// [`NoKey`] as [`key_length`](super::key_length), and when nothing is ever detected.
pub fn expected_rate(
    bound: Bound,
    link: &ExpectedLink,
    block_bits: f64,
    f: f64,
    parameters: &SecurityParameters,
) -> Result<Plan, NoKey> {
    let plan = draft(bound, link, block_bits, f, parameters)?;
    if plan.certificate.length < 1.0 {
        return Err(explain(&plan.certificate));
    }
    Ok(plan)
}

/// The plan, with a negative rate where there is no key.
fn draft(
    bound: Bound,
    link: &ExpectedLink,
    block_bits: f64,
    f: f64,
    parameters: &SecurityParameters,
) -> Result<Plan, NoKey> {
    let detected = |classes: &[ExpectedClass], sifting: f64| -> Vec<ExpectedCounts> {
        link.source
            .iter()
            .zip(classes)
            .map(|(class, expected)| {
                let sifted = link.saturation * sifting * class.probability * expected.gain;
                ExpectedCounts { sifted, errors: sifted * expected.error_rate }
            })
            .collect()
    };
    let mut statistics = ExpectedStatistics {
        key: detected(&link.key, link.key_sifting),
        check: detected(&link.check, link.check_sifting),
        pulses: 0.0,
    };
    let per_pulse = statistics.total(Basis::Key).sifted;
    // Also takes what is not a number.
    if !(per_pulse > 0.0 && block_bits > 0.0) {
        return Err(NoKey::Empty { basis: Basis::Key });
    }
    let pulses = block_bits / per_pulse;
    statistics.pulses = pulses;
    for counts in statistics.key.iter_mut().chain(&mut statistics.check) {
        counts.sifted *= pulses;
        counts.errors *= pulses;
    }
    let key = statistics.total(Basis::Key);
    let leak = reconciliation_leak(key.sifted, key.errors / key.sifted, f);
    let certificate = certify(bound, &link.source, statistics, leak, parameters)?;
    let seconds = pulses / link.clock.hertz();
    Ok(Plan {
        pulses,
        time: Duration::from_seconds(seconds).unwrap_or(Duration::MAX),
        sifted_rate: Rate::from_per_second(block_bits / seconds),
        secret_rate: Rate::from_per_second(certificate.length / seconds),
        secret_bits_per_pulse: certificate.length / pulses,
        certificate,
    })
}

/// What an operator may choose.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Intensities and their probabilities.
    pub source: Vec<SourceClass>,
    /// The probability with which each end chooses the key basis.
    pub key_probability: f64,
}

/// The settings with the highest secret rate for `model`, which says what link given settings would make.
/// A third intensity is held at `least_photons` (as weak as a modulator can make it); the others, all
/// probabilities and the choice of basis are sought. The search is deterministic.
///
/// # Errors
///
/// Why the best settings found give no key.
pub fn optimise_settings(
    bound: Bound,
    least_photons: f64,
    block_bits: f64,
    f: f64,
    parameters: &SecurityParameters,
    model: impl Fn(&Settings) -> ExpectedLink,
) -> Result<(Settings, Plan), NoKey> {
    let intensities = bound.intensities();
    let settings = |x: &[f64]| {
        let key_probability = x[0];
        let source = match intensities {
            1 => vec![SourceClass::new(1.0, 1.0)],
            2 => vec![SourceClass::new(x[1], x[3]), SourceClass::new(x[1] * x[2], 1.0 - x[3])],
            _ => {
                let rest = 1.0 - x[3];
                let dim = least_photons + x[2] * (x[1] - 2.0 * least_photons).max(1e-9);
                vec![
                    SourceClass::new(x[1], x[3]),
                    SourceClass::new(dim, rest * x[4]),
                    SourceClass::new(least_photons, rest * (1.0 - x[4])),
                ]
            }
        };
        Settings { source, key_probability }
    };
    let all = [(0.05, 0.9995), (0.02, 1.2), (0.01, 0.95), (0.005, 0.995), (0.01, 0.99)];
    let bounds = &all[..[1, 4, 5][intensities - 1]];
    let objective = |x: &[f64]| {
        draft(bound, &model(&settings(x)), block_bits, f, parameters)
            .map_or(f64::NEG_INFINITY, |plan| plan.secret_rate.per_second())
    };
    // Long blocks want mostly bright pulses and the key basis, short ones an even share.
    let starts = [
        [0.9, 0.5, 0.3, 0.6, 0.5],
        [0.7, 0.4, 0.35, 0.25, 0.5],
        [0.97, 0.5, 0.15, 0.9, 0.5],
        [0.5, 0.6, 0.5, 0.15, 0.6],
    ];
    let mut best = maximise(objective, bounds, &starts[0][..bounds.len()]);
    for start in &starts[1..] {
        let found = maximise(objective, bounds, &start[..bounds.len()]);
        if found.value > best.value {
            best = found;
        }
    }
    let chosen = settings(&best.at);
    let plan = expected_rate(bound, &model(&chosen), block_bits, f, parameters)?;
    Ok((chosen, plan))
}
