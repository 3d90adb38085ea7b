//! Small deviations added up over blocks.

use super::{Alarm, AlarmKind, Baseline, BlockObservation, Reading, Thresholds};
use crate::hardware::Basis;
use libm::sqrt;

/// A cumulative sum (Page, Biometrika 41, 100 (1954)) of each basis's error rate over blocks: finds a rate
/// that creeps up by less than one block can show.
///
/// Each block adds its excess over half of the tolerated rise, in standard deviations, less 1/2; the sum is
/// held above 0. An honest link that stays within half the tolerance passes the limit of 25 with a
/// probability of about e^-25 = 1.4e-11 a block.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Drift {
    sums: [f64; 2],
}

const ALLOWANCE: f64 = 0.5;
const LIMIT: f64 = 25.0;
/// No single block may fill the sum: that is [`AlarmKind::QberHigh`]'s business.
const GREATEST_STEP: f64 = 8.0;

impl Drift {
    /// Adds a block. A sum that passes its limit raises an alarm and starts again from 0.
    pub fn enter(
        &mut self,
        baseline: &Baseline,
        thresholds: &Thresholds,
        seen: &BlockObservation<'_>,
    ) -> Vec<Alarm> {
        if seen.pulses == 0 {
            return Vec::new();
        }
        let strength = baseline.signal_strength(seen.clicks as f64 / seen.pulses as f64);
        let mut alarms = Vec::new();
        for (basis, sum) in [Basis::Key, Basis::Check].into_iter().zip(&mut self.sums) {
            let (expected, _) = baseline.expected(basis, strength);
            let rate = (expected * (1.0 + thresholds.error_rate_tolerance / 2.0)).min(0.5);
            let total = seen.statistics.total(basis);
            let n = total.sifted as f64;
            let deviation = sqrt(n * rate * (1.0 - rate));
            // Without a dozen expected errors a count is not near normal, and its skew would fill the sum.
            if n * rate < 12.0 {
                continue;
            }
            let excess = (total.errors as f64 - n * rate) / deviation;
            *sum = (*sum + excess.min(GREATEST_STEP) - ALLOWANCE).max(0.0);
            if *sum > LIMIT {
                *sum = 0.0;
                alarms.push(Alarm::new(
                    AlarmKind::QberDrift(basis),
                    Some(seen.block),
                    seen.at,
                    Reading::Ratio(total.errors as f64 / n),
                    Reading::Ratio(expected),
                ));
            }
        }
        alarms
    }
}
