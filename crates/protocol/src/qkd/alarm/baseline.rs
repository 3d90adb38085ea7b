//! What calibration expects of an honest link, and how far it may be off.

use crate::hardware::Basis;
use crate::qkd::security::{ExpectedClass, ExpectedLink, SourceClass};
use bellwether_units::Current;

/// What calibration expects of an honest link.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    /// The intensities.
    pub source: Vec<SourceClass>,
    /// Gain and error rate by intensity when both ends use the key basis.
    pub key: Vec<ExpectedClass>,
    /// The same for the check basis.
    pub check: Vec<ExpectedClass>,
    /// Probability that an empty pulse is detected (dark counts and background light). With it, expected
    /// shares and error rates follow the loss of the link, which may drift honestly.
    pub background_per_pulse: f64,
    /// Expected clicks a pulse, over all bases and intensities, dead time included.
    pub clicks_per_pulse: f64,
    /// Expected fraction of clicks in which both detectors of the basis fired; `None` if not known.
    pub double_clicks_per_click: Option<f64>,
    /// The greatest bias current of an honest link; `None` without a monitor.
    pub bias_current_limit: Option<Current>,
}

impl Baseline {
    /// The baseline of a link as planned. Double clicks and bias current are left unknown.
    ///
    /// `background_per_pulse` is the probability that an empty pulse is detected.
    pub fn planned(link: &ExpectedLink, background_per_pulse: f64) -> Self {
        // Basis choices do not change how many pulses click; a link's gains differ little between bases.
        let gain: f64 = link.source.iter().zip(&link.key).map(|(s, c)| s.probability * c.gain).sum();
        Self {
            source: link.source.clone(),
            key: link.key.clone(),
            check: link.check.clone(),
            background_per_pulse,
            clicks_per_pulse: link.saturation * gain,
            double_clicks_per_click: None,
            bias_current_limit: None,
        }
    }

    /// The signal's strength relative to calibration when `clicks_per_pulse` were seen: 1 as calibrated, 0
    /// when only background is left.
    pub(super) fn signal_strength(&self, clicks_per_pulse: f64) -> f64 {
        let level = clicks_per_pulse / self.clicks_per_pulse;
        let gain: f64 = self.weighted(Basis::Key).map(|(p, class)| p * class.gain).sum();
        let strength = (level * gain - self.background_per_pulse) / (gain - self.background_per_pulse);
        if strength.is_finite() { strength.max(0.0) } else { 1.0 }
    }

    /// What `basis` is expected to show at a signal of `strength`: the error rate over all intensities and
    /// each intensity's share of the detections.
    pub(super) fn expected(&self, basis: Basis, strength: f64) -> (f64, Vec<f64>) {
        let empty = self.background_per_pulse;
        let (mut gains, mut errors) = (Vec::new(), 0.0);
        for (p, class) in self.weighted(basis) {
            let signal = strength * (class.gain - empty).max(0.0);
            let wrong = strength * (class.gain * class.error_rate - empty / 2.0).max(0.0);
            gains.push(p * (empty + signal));
            errors += p * (empty / 2.0 + wrong);
        }
        let total: f64 = gains.iter().sum();
        if total.is_nan() || total <= 0.0 {
            return (0.5, vec![0.0; gains.len()]);
        }
        (errors / total, gains.into_iter().map(|gain| gain / total).collect())
    }

    fn weighted(&self, basis: Basis) -> impl Iterator<Item = (f64, &ExpectedClass)> {
        let classes = match basis {
            Basis::Key => &self.key,
            Basis::Check => &self.check,
        };
        self.source.iter().map(|class| class.probability).zip(classes)
    }
}

/// How the tests decide. A test asks how improbable its count is on a link that has drifted, honestly, to the
/// edge of the tolerance; so slow drift within it raises nothing, however long the block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// The probability that an honest block raises any alarm, divided equally among its tests (Bonferroni).
    pub false_alarm: f64,
    /// An error rate may be this fraction above the calibrated one.
    pub error_rate_tolerance: f64,
    /// A share of detections may be off by this fraction of itself.
    pub share_tolerance: f64,
    /// Clicks a pulse may be off by this fraction.
    pub clicks_tolerance: f64,
    /// Double clicks may be fewer by this fraction.
    pub double_clicks_tolerance: f64,
}

impl Default for Thresholds {
    /// 1e-9 a block; error rates to 25 %, shares to 5 %, clicks to 25 % (1.2 dB), double clicks to 50 %.
    fn default() -> Self {
        Self {
            false_alarm: 1e-9,
            error_rate_tolerance: 0.25,
            share_tolerance: 0.05,
            clicks_tolerance: 0.25,
            double_clicks_tolerance: 0.5,
        }
    }
}
