//! Alarms on what the light shows, as windows and blocks go by.

use super::{Alarm, AlarmKind, Baseline, BlockObservation, Drift, Thresholds, assess_block, assess_counts};
use bellwether_units::Time;

/// Clicks that must be expected before their number is judged: with fewer, none at all would prove little.
const EXPECTED_CLICKS: f64 = 200.0;

/// Compares the windows and blocks of one link with its baseline, and raises each alarm once.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    drift: Drift,
    pulses: u64,
    clicks: u64,
    /// Whether the last count was off, so that one cut fibre raises one alarm.
    off: bool,
    /// Whether a count was off since the last block.
    was_off: bool,
}

impl Watch {
    /// A window of `pulses` with `clicks` went by.
    pub fn window(
        &mut self,
        baseline: &Baseline,
        thresholds: &Thresholds,
        now: Time,
        pulses: u64,
        clicks: u64,
    ) -> Option<Alarm> {
        self.pulses = self.pulses.saturating_add(pulses);
        self.clicks = self.clicks.saturating_add(clicks);
        if self.pulses as f64 * baseline.clicks_per_pulse < EXPECTED_CLICKS {
            return None;
        }
        let alarm = assess_counts(baseline, thresholds, now, self.pulses, self.clicks);
        (self.pulses, self.clicks) = (0, 0);
        let was_off = core::mem::replace(&mut self.off, alarm.is_some());
        self.was_off |= self.off;
        alarm.filter(|_| !was_off)
    }

    /// How many pulses without a click [`window`](Self::window) has to see before it raises an alarm.
    pub fn dark_pulses(baseline: &Baseline) -> u64 {
        libm::ceil(EXPECTED_CLICKS / baseline.clicks_per_pulse.max(1e-15)) as u64
    }

    /// A block is as well known as it will be.
    pub fn block(
        &mut self,
        baseline: &Baseline,
        thresholds: &Thresholds,
        seen: &BlockObservation<'_>,
    ) -> Vec<Alarm> {
        let mut alarms = assess_block(baseline, thresholds, seen);
        if core::mem::replace(&mut self.was_off, self.off) {
            // Its windows have said so, when it was news.
            alarms.retain(|alarm| !matches!(alarm.kind, AlarmKind::CountsLow | AlarmKind::CountsHigh));
        }
        let high = |kind| alarms.iter().any(|alarm| alarm.kind == kind);
        let drifts = self.drift.enter(baseline, thresholds, seen);
        let drifts: Vec<Alarm> = drifts
            .into_iter()
            // What jumps does not creep.
            .filter(|alarm| match alarm.kind {
                AlarmKind::QberDrift(basis) => !high(AlarmKind::QberHigh(basis)),
                _ => true,
            })
            .collect();
        alarms.extend(drifts);
        alarms
    }
}
