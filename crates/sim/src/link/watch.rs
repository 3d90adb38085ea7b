//! The watch over a link: each block, and each stretch of pulses, against what calibration expects.

use super::LinkSays;
use crate::expect::expected_link;
use crate::optics::Optics;
use crate::run::RunError;
use bellwether_network::Link;
use bellwether_protocol::qkd::alarm::{
    Alarm, AlarmKind, Baseline, BlockObservation, Thresholds, assess_block, assess_counts,
};
use bellwether_protocol::qkd::security::NoKey;
use bellwether_units::{BlockId, Current, Time};

/// How much brighter than calibrated the bias current may be.
const BIAS_MARGIN: f64 = 10.0;
/// Clicks expected of a stretch of pulses before it is judged.
const ENOUGH_CLICKS: f64 = 1_000.0;

/// Compares a link with what was expected of it when it was built.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    baseline: Baseline,
    thresholds: Thresholds,
    pulses: u64,
    clicks: u64,
    /// Whether the detection rate was off when last judged, so that an alarm is raised once.
    off: bool,
}

impl Watch {
    pub(super) fn new(link: &Link, optics: &Optics) -> Result<Self, RunError> {
        let thresholds =
            Thresholds { false_alarm: link.protocol.false_alarm_probability, ..Thresholds::default() };
        let baseline = Self::calibrate(link, optics)?;
        Ok(Self { baseline, thresholds, pulses: 0, clicks: 0, off: false })
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

    pub(super) fn baseline(&self) -> &Baseline {
        &self.baseline
    }

    pub(super) fn thresholds(&self) -> Thresholds {
        self.thresholds
    }

    /// What is off about a block that was distilled or discarded.
    pub(super) fn block(&self, seen: &BlockObservation<'_>) -> Vec<LinkSays> {
        assess_block(&self.baseline, &self.thresholds, seen).iter().map(|alarm| self.says(alarm)).collect()
    }

    /// The alarm for a block that gave no key.
    pub(super) fn no_key(&self, block: BlockId, at: Time, why: &NoKey) -> LinkSays {
        self.says(&Alarm::no_key(block, at, why))
    }

    /// An alarm about a block or the classical channel, in words.
    pub(super) fn in_words(&self, kind: &str, text: &str, suspect: bool) -> LinkSays {
        LinkSays::Alarm { kind: kind.to_owned(), text: text.to_owned(), suspect }
    }

    /// Takes note of a stretch of pulses up to `at`, and judges the detection rate once there is enough.
    pub(super) fn counts(&mut self, at: Time, pulses: u64, clicks: u64) -> Option<LinkSays> {
        self.pulses += pulses;
        self.clicks += clicks;
        if self.pulses as f64 * self.baseline.clicks_per_pulse < ENOUGH_CLICKS {
            return None;
        }
        let (pulses, clicks) = (core::mem::take(&mut self.pulses), core::mem::take(&mut self.clicks));
        let alarm = assess_counts(&self.baseline, &self.thresholds, at, pulses, clicks);
        let was_off = core::mem::replace(&mut self.off, alarm.is_some());
        alarm.filter(|_| !was_off).map(|alarm| self.says(&alarm))
    }

    /// How many pulses are enough to judge the detection rate by.
    pub(super) fn enough_pulses(&self) -> u64 {
        libm::ceil(ENOUGH_CLICKS / self.baseline.clicks_per_pulse.max(1e-15)) as u64
    }

    /// An alarm in the words of the trace.
    pub(super) fn says(&self, alarm: &Alarm) -> LinkSays {
        let suspect = matches!(
            alarm.kind,
            AlarmKind::QberHigh(_)
                | AlarmKind::DecoyStatistics { .. }
                | AlarmKind::DoubleClicksMissing
                | AlarmKind::BiasCurrent
                | AlarmKind::VerificationFailed
                | AlarmKind::AuthenticationFailed
        );
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
