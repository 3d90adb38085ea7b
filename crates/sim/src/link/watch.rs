//! The watch over a link: each block, and each stretch of pulses, against what calibration expects.

use super::LinkSays;
use crate::expect::expected_link;
use crate::optics::Optics;
use crate::run::RunError;
use bellwether_network::Link;
use bellwether_protocol::qkd::alarm::{self, Alarm, Baseline, BlockObservation, Thresholds, assess_monitors};
use bellwether_units::{Current, Time};

/// How much brighter than calibrated the bias current may be.
const BIAS_MARGIN: f64 = 10.0;

/// Compares a link with what was expected of it when it was built.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    baseline: Baseline,
    thresholds: Thresholds,
    alarms: alarm::Watch,
}

impl Watch {
    pub(crate) fn new(link: &Link, optics: &Optics) -> Result<Self, RunError> {
        let thresholds =
            Thresholds { false_alarm: link.protocol.false_alarm_probability, ..Thresholds::default() };
        let baseline = Self::calibrate(link, optics)?;
        Ok(Self { baseline, thresholds, alarms: alarm::Watch::default() })
    }

    /// What calibration expects of the link as it was built.
    fn calibrate(link: &Link, optics: &Optics) -> Result<Baseline, RunError> {
        let honest = optics.honest()?;
        let dark = optics.dark()?;
        let expected = expected_link(link, &honest);
        let mut baseline = Baseline::planned(&expected, dark.click_probability());
        baseline.clicks_per_pulse = honest.click_rate().per_second() / honest.parameters().clock.hertz();
        let double = honest.double_click_probability() / baseline.clicks_per_pulse;
        baseline.double_clicks_per_click = Some(double).filter(|double| *double > 0.0);
        baseline.bias_current_limit = link
            .receiver
            .detector
            .bias_current_monitor
            .then(|| Current::from_amperes(BIAS_MARGIN * honest.bias_current().amperes()));
        Ok(baseline)
    }

    pub(crate) fn baseline(&self) -> &Baseline {
        &self.baseline
    }

    pub(crate) fn thresholds(&self) -> Thresholds {
        self.thresholds
    }

    /// What is off about a block that was distilled or discarded.
    pub(crate) fn block(&mut self, seen: &BlockObservation<'_>) -> Vec<LinkSays> {
        let alarms = self.alarms.block(&self.baseline, &self.thresholds, seen);
        alarms.iter().map(|alarm| self.says(alarm)).collect()
    }

    /// Whether a monitor of side channels raises an alarm in a block, which must then be discarded.
    pub(super) fn monitor_alarmed(&self, seen: &BlockObservation<'_>) -> bool {
        !assess_monitors(&self.baseline, &self.thresholds, seen).is_empty()
    }

    /// Takes note of a stretch of pulses up to `at`, and judges the detection rate once there is enough.
    pub(crate) fn counts(&mut self, at: Time, pulses: u64, clicks: u64) -> Option<LinkSays> {
        let alarm = self.alarms.window(&self.baseline, &self.thresholds, at, pulses, clicks);
        alarm.map(|alarm| self.says(&alarm))
    }

    /// How many dark pulses raise an alarm.
    pub(crate) fn dark_pulses(&self) -> u64 {
        alarm::Watch::dark_pulses(&self.baseline)
    }

    /// An alarm in the words of the trace.
    pub(crate) fn says(&self, alarm: &Alarm) -> LinkSays {
        let suspect = alarm.kind.marks_link();
        // When and on which link stands beside the text wherever it is shown.
        let block = alarm.block.map(|block| format!("{block}: ")).unwrap_or_default();
        let mut text = format!("{block}{}: {} seen, {} expected", alarm.kind, alarm.seen, alarm.expected);
        match alarm.p_value {
            Some(p) if p < 1e-300 => text.push_str(" (p < 1e-300)"),
            Some(p) => text.push_str(&format!(" (p = {p:.1e})")),
            None => {}
        }
        LinkSays::Alarm { kind: alarm.kind.name().to_owned(), text, suspect }
    }
}
