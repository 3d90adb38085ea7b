//! One block, or one window of pulses, against the baseline.

use super::{Alarm, AlarmKind, Baseline, Reading, Thresholds};
use crate::hardware::Basis;
use crate::qkd::security::BlockStatistics;
use bellwether_units::{
    BlockId, Current, Time, binomial_tail_above, binomial_tail_below, poisson_tail_below,
};
use libm::{exp, log, log1p};

/// What a finished block showed.
#[derive(Clone, Copy, Debug)]
pub struct BlockObservation<'a> {
    /// Which block.
    pub block: BlockId,
    /// When it was assessed.
    pub at: Time,
    /// Sifted bits and errors. Errors of the key basis are 0 if reconciliation failed and they are not known.
    pub statistics: &'a BlockStatistics,
    /// Pulses that the block's detections came from.
    pub pulses: u64,
    /// Clicks in those pulses, over all bases.
    pub clicks: u64,
    /// Clicks in which both detectors of the basis fired.
    pub double_clicks: u64,
    /// The greatest bias current seen.
    pub bias_current: Option<Current>,
}

/// Every way in which a block differs from `baseline` beyond what `thresholds` allow.
///
/// The counts that a link can choose freely are taken as they come: shares and error rates are compared with
/// what the baseline would show at the detection rate that was seen (more loss means relatively more
/// background), and the detection rate has its own test.
pub fn assess_block(baseline: &Baseline, thresholds: &Thresholds, seen: &BlockObservation<'_>) -> Vec<Alarm> {
    let level = level_of_a_test(baseline, thresholds);
    let block = Some(seen.block);
    let mut alarms = Vec::new();

    alarms.extend(counts(baseline, thresholds, level, block, seen.at, seen.pulses, seen.clicks));
    let strength = strength(baseline, seen);
    for basis in [Basis::Key, Basis::Check] {
        let (error_rate, shares) = baseline.expected(basis, strength);
        alarms.extend(errors(basis, error_rate, thresholds, level, seen));
        alarms.extend(shares_off(basis, &shares, thresholds, level, seen));
    }
    alarms.extend(assess_monitors(baseline, thresholds, seen));
    alarms
}

/// What the monitors of side channels found in a block, by the same tests as in [`assess_block`]: signs that the
/// detectors were blinded ([`AlarmKind::DoubleClicksMissing`], [`AlarmKind::BiasCurrent`]).
///
/// Under blinding the error rates tell nothing of the eavesdropper, and no key is to be made of the block. Errors
/// do not enter, so the answer is fixed once the block has its bits.
pub fn assess_monitors(
    baseline: &Baseline,
    thresholds: &Thresholds,
    seen: &BlockObservation<'_>,
) -> Vec<Alarm> {
    let block = Some(seen.block);
    let mut alarms = Vec::new();
    if let Some(fraction) = baseline.double_clicks_per_click {
        // Twice the light makes twice as many double clicks a click.
        let expected = fraction * strength(baseline, seen).min(1.0) * seen.clicks as f64;
        let least = expected * (1.0 - thresholds.double_clicks_tolerance);
        let p = if (seen.double_clicks as f64) < least {
            poisson_tail_below(least, seen.double_clicks)
        } else {
            1.0
        };
        if p < level_of_a_test(baseline, thresholds) {
            alarms.push(Alarm {
                kind: AlarmKind::DoubleClicksMissing,
                block,
                at: seen.at,
                seen: Reading::Count(seen.double_clicks as f64),
                expected: Reading::Count(expected),
                p_value: Some(p),
            });
        }
    }
    if let (Some(limit), Some(current)) = (baseline.bias_current_limit, seen.bias_current)
        && current > limit
    {
        let expected = Reading::Text(format!("at most {limit}"));
        alarms.push(Alarm::new(AlarmKind::BiasCurrent, block, seen.at, Reading::Current(current), expected));
    }
    alarms
}

/// Each test's part of the probability that an honest block raises an alarm.
fn level_of_a_test(baseline: &Baseline, thresholds: &Thresholds) -> f64 {
    let shares = if baseline.source.len() > 1 { 2 * 2 * baseline.source.len() } else { 0 };
    // Two error rates, every share from both sides, clicks from both sides, double clicks.
    let tests = 2 + shares + 2 + usize::from(baseline.double_clicks_per_click.is_some());
    thresholds.false_alarm / tests as f64
}

/// How strong the signal of a block was, relative to calibration.
fn strength(baseline: &Baseline, seen: &BlockObservation<'_>) -> f64 {
    if seen.pulses > 0 { baseline.signal_strength(seen.clicks as f64 / seen.pulses as f64) } else { 1.0 }
}

/// Whether a window of `pulses` showed too few or too many `clicks`: for use between blocks, since no block
/// ever fills on a dark fibre. The whole false-alarm probability goes to this one question.
pub fn assess_counts(
    baseline: &Baseline,
    thresholds: &Thresholds,
    at: Time,
    pulses: u64,
    clicks: u64,
) -> Option<Alarm> {
    counts(baseline, thresholds, thresholds.false_alarm / 2.0, None, at, pulses, clicks)
}

fn counts(
    baseline: &Baseline,
    thresholds: &Thresholds,
    level: f64,
    block: Option<BlockId>,
    at: Time,
    pulses: u64,
    clicks: u64,
) -> Option<Alarm> {
    let expected = baseline.clicks_per_pulse;
    let few = tail_below(pulses, expected * (1.0 - thresholds.clicks_tolerance), clicks);
    let many = tail_above(pulses, (expected * (1.0 + thresholds.clicks_tolerance)).min(1.0), clicks);
    let (kind, p) = if few <= many { (AlarmKind::CountsLow, few) } else { (AlarmKind::CountsHigh, many) };
    (p < level).then(|| Alarm {
        kind,
        block,
        at,
        seen: Reading::PerPulse(clicks as f64 / pulses as f64),
        expected: Reading::PerPulse(expected),
        p_value: Some(p),
    })
}

fn errors(
    basis: Basis,
    expected: f64,
    thresholds: &Thresholds,
    level: f64,
    seen: &BlockObservation<'_>,
) -> Option<Alarm> {
    let total = seen.statistics.total(basis);
    let tolerated = (expected * (1.0 + thresholds.error_rate_tolerance)).min(0.5);
    let p = tail_above(total.sifted, tolerated, total.errors);
    (p < level).then(|| Alarm {
        kind: AlarmKind::QberHigh(basis),
        block: Some(seen.block),
        at: seen.at,
        seen: Reading::Ratio(total.error_rate().unwrap_or(0.0)),
        expected: Reading::Ratio(expected),
        p_value: Some(p),
    })
}

/// The share that is furthest off, if any is.
fn shares_off(
    basis: Basis,
    shares: &[f64],
    thresholds: &Thresholds,
    level: f64,
    seen: &BlockObservation<'_>,
) -> Option<Alarm> {
    let classes = seen.statistics.classes(basis);
    let total = seen.statistics.total(basis).sifted;
    if shares.len() < 2 || total == 0 {
        return None;
    }
    let tolerance = thresholds.share_tolerance;
    let (intensity, p) = shares
        .iter()
        .zip(classes)
        .map(|(&share, class)| {
            let few = tail_below(total, share * (1.0 - tolerance), class.sifted);
            let many = tail_above(total, (share * (1.0 + tolerance)).min(1.0), class.sifted);
            few.min(many)
        })
        .enumerate()
        .min_by(|(_, a), (_, b)| a.total_cmp(b))?;
    (p < level).then(|| Alarm {
        kind: AlarmKind::DecoyStatistics { basis, intensity: u8::try_from(intensity).unwrap_or(u8::MAX) },
        block: Some(seen.block),
        at: seen.at,
        seen: Reading::Ratio(classes[intensity].sifted as f64 / total as f64),
        expected: Reading::Ratio(shares[intensity]),
        p_value: Some(p),
    })
}

/// Beyond this many trials the exact tail is slow to sum; Chernoff's bound is above it and errs towards
/// silence.
const EXACT_TRIALS: u64 = 10_000_000;

/// P(at least `k` of `n` trials with chance `p`), or 1 where `k` is not above the mean.
fn tail_above(n: u64, p: f64, k: u64) -> f64 {
    let mean = n as f64 * p;
    if mean.is_nan() || k as f64 <= mean {
        return 1.0;
    }
    if n <= EXACT_TRIALS { binomial_tail_above(n, p, k) } else { chernoff(n as f64, p, k.min(n) as f64) }
}

/// P(at most `k` of `n` trials with chance `p`), or 1 where `k` is not below the mean.
fn tail_below(n: u64, p: f64, k: u64) -> f64 {
    let mean = n as f64 * p;
    if mean.is_nan() || k as f64 >= mean {
        return 1.0;
    }
    if n <= EXACT_TRIALS { binomial_tail_below(n, p, k) } else { chernoff(n as f64, p, k as f64) }
}

/// exp(-n D(k/n || p)), above either tail.
fn chernoff(n: f64, p: f64, k: f64) -> f64 {
    let hit = if k > 0.0 { k * log(k / (n * p)) } else { 0.0 };
    let miss = if k < n { (n - k) * log1p((n * p - k) / (n * (1.0 - p))) } else { 0.0 };
    exp(-(hit + miss).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chernoff_is_above_both_exact_tails_and_near_them() {
        for (n, p, k) in [(1000u64, 0.1, 160u64), (1000, 0.1, 50), (1_000_000, 0.012, 13_000)] {
            let bound = chernoff(n as f64, p, k as f64);
            let exact = if k as f64 > n as f64 * p {
                binomial_tail_above(n, p, k)
            } else {
                binomial_tail_below(n, p, k)
            };
            assert!(exact <= bound && log(bound) / log(exact) > 0.8, "{exact} against {bound}");
        }
        assert_eq!(tail_above(u64::MAX, 1.0, u64::MAX), 1.0);
        assert_eq!(tail_below(u64::MAX, 0.5, 0), 0.0);
        assert_eq!(tail_above(0, 0.5, 0), 1.0);
    }
}
