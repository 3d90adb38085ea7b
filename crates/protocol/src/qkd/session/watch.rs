//! Alarms on what the light shows, as windows and blocks go by.

use super::LinkSettings;
use super::block::Block;
use crate::qkd::alarm::{Alarm, Drift, assess_block, assess_counts};
use bellwether_units::Time;

/// Clicks that must be expected before their number is judged: with fewer, none at all would prove little.
const EXPECTED_CLICKS: f64 = 200.0;

/// Compares windows and blocks with the baseline, where there is one.
#[derive(Default)]
pub(super) struct Watch {
    drift: Drift,
    pulses: u64,
    clicks: u64,
    /// Whether the last count was off, so that one cut fibre raises one alarm.
    off: bool,
}

impl Watch {
    /// A window went by.
    pub(super) fn window(
        &mut self,
        settings: &LinkSettings,
        now: Time,
        pulses: u64,
        clicks: u64,
    ) -> Option<Alarm> {
        let baseline = settings.baseline.as_ref()?;
        self.pulses = self.pulses.saturating_add(pulses);
        self.clicks = self.clicks.saturating_add(clicks);
        if self.pulses as f64 * baseline.clicks_per_pulse < EXPECTED_CLICKS {
            return None;
        }
        let alarm = assess_counts(baseline, &settings.thresholds, now, self.pulses, self.clicks);
        (self.pulses, self.clicks) = (0, 0);
        let was_off = core::mem::replace(&mut self.off, alarm.is_some());
        alarm.filter(|_| !was_off)
    }

    /// A block is as well known as it will be.
    pub(super) fn block(&mut self, settings: &LinkSettings, now: Time, block: &Block) -> Vec<Alarm> {
        let Some(baseline) = settings.baseline.as_ref() else { return Vec::new() };
        let seen = block.observation(now);
        let mut alarms = assess_block(baseline, &settings.thresholds, &seen);
        alarms.extend(self.drift.enter(baseline, &settings.thresholds, &seen));
        alarms
    }
}
