//! Alarms: what was seen on a link that calibration did not expect.
//!
//! An alarm is diagnosis. It never adds security: the length of a key already follows from the block's own
//! counts, whatever the [`Baseline`] says, and a key is no safer because no alarm was raised. An alarm tells
//! an operator which link, when, what was seen and what was expected.
//!
//! The monitors of side channels are the exception ([`assess_monitors`]): what they see breaks an assumption
//! under which the counts bound the eavesdropper, so a block in which one of them raises an alarm is discarded.
//!
//! [`assess_block`] compares a finished block with the baseline, [`assess_counts`] any window of pulses (a
//! block never finishes on a fibre that is cut), and [`Drift`] adds up small deviations over blocks; [`Watch`] is
//! all of them over the life of a link. They see nothing but counts; [`Thresholds`] says how they decide.

mod assess;
mod baseline;
mod drift;
mod trust;
mod watch;

pub use assess::{BlockObservation, assess_block, assess_counts, assess_monitors};
pub use baseline::{Baseline, Thresholds};
pub use drift::Drift;
pub use trust::Trust;
pub use watch::Watch;

use super::security::NoKey;
use crate::hardware::Basis;
use bellwether_units::{BlockId, Current, Duration, Time};
use core::fmt;

/// What kind of thing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlarmKind {
    /// More errors in this basis than the calibrated rate allows: intercept and resend, misalignment, noise.
    QberHigh(Basis),
    /// Errors of this basis have been creeping up over blocks, each too little for
    /// [`QberHigh`](Self::QberHigh).
    QberDrift(Basis),
    /// The detections of this basis are not divided among the intensities as calibrated: photon-number
    /// splitting, or a change at the source.
    DecoyStatistics {
        /// The basis.
        basis: Basis,
        /// The intensity whose share is furthest off.
        intensity: u8,
    },
    /// Too few detections: the fibre is cut, bent or attacked.
    CountsLow,
    /// Too many detections: jamming light, or less loss than there can be.
    CountsHigh,
    /// Both detectors fire together too rarely: the sign of blinded detectors.
    DoubleClicksMissing,
    /// The detectors' bias current is above its limit: strong light, as when blinding.
    BiasCurrent,
    /// The ends' keys differed after reconciliation.
    VerificationFailed,
    /// A message carried a wrong tag: tampering.
    AuthenticationFailed,
    /// The store of authentication keys has fallen to its reserve.
    AuthenticationKeysLow,
    /// No authentication keys are left: the link stands still until it is given new ones.
    AuthenticationKeysExhausted,
    /// A block gave no key.
    NoKey,
    /// The other end does not answer.
    PeerSilent,
    /// A message could not be understood.
    MalformedMessage,
}

impl AlarmKind {
    /// A name for traces and reports that stays the same between versions.
    pub const fn name(self) -> &'static str {
        match self {
            Self::QberHigh(_) => "qber-high",
            Self::QberDrift(_) => "qber-drift",
            Self::DecoyStatistics { .. } => "decoy-statistics",
            Self::CountsLow => "counts-low",
            Self::CountsHigh => "counts-high",
            Self::DoubleClicksMissing => "double-clicks-missing",
            Self::BiasCurrent => "bias-current",
            Self::VerificationFailed => "verification-failed",
            Self::AuthenticationFailed => "authentication-failed",
            Self::AuthenticationKeysLow => "authentication-keys-low",
            Self::AuthenticationKeysExhausted => "authentication-keys-exhausted",
            Self::NoKey => "no-key",
            Self::PeerSilent => "peer-silent",
            Self::MalformedMessage => "malformed-message",
        }
    }
}

impl fmt::Display for AlarmKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |basis: &Basis| match basis {
            Basis::Key => "key",
            Basis::Check => "check",
        };
        match self {
            Self::QberHigh(basis) => write!(f, "error rate of the {} basis too high", name(basis)),
            Self::QberDrift(basis) => write!(f, "error rate of the {} basis is creeping up", name(basis)),
            Self::DecoyStatistics { basis, intensity } => {
                write!(f, "share of intensity {intensity} in the {} basis is off", name(basis))
            }
            Self::CountsLow => f.write_str("too few detections"),
            Self::CountsHigh => f.write_str("too many detections"),
            Self::DoubleClicksMissing => f.write_str("double clicks are missing"),
            Self::BiasCurrent => f.write_str("bias current of the detectors too high"),
            Self::VerificationFailed => f.write_str("keys differ after reconciliation"),
            Self::AuthenticationFailed => f.write_str("a message failed authentication"),
            Self::AuthenticationKeysLow => f.write_str("authentication keys are running low"),
            Self::AuthenticationKeysExhausted => f.write_str("authentication keys are used up"),
            Self::NoKey => f.write_str("the block gives no key"),
            Self::PeerSilent => f.write_str("the other end is silent"),
            Self::MalformedMessage => f.write_str("a message could not be understood"),
        }
    }
}

/// A figure of an alarm: what was seen, or what was expected.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// A fraction, shown in percent.
    Ratio(f64),
    /// A number of things, or an expected number.
    Count(f64),
    /// A probability a pulse.
    PerPulse(f64),
    /// A current.
    Current(Current),
    /// A span of time.
    Span(Duration),
    /// Words.
    Text(String),
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ratio(ratio) => write!(f, "{:.3} %", ratio * 100.0),
            Self::Count(count) if *count >= 100.0 || libm::floor(*count) == *count => write!(f, "{count:.0}"),
            Self::Count(count) => write!(f, "{count:.2}"),
            Self::PerPulse(p) if *p == 0.0 => f.write_str("none"),
            Self::PerPulse(p) => write!(f, "{p:.3e} a pulse"),
            Self::Current(current) => current.fmt(f),
            Self::Span(span) => span.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// Something that an operator should know. Which link it is about is known to whoever runs the link.
#[derive(Clone, Debug, PartialEq)]
pub struct Alarm {
    /// What is wrong.
    pub kind: AlarmKind,
    /// In which block, if in one.
    pub block: Option<BlockId>,
    /// When it was found.
    pub at: Time,
    /// What was seen.
    pub seen: Reading,
    /// What was expected.
    pub expected: Reading,
    /// For a statistical test, the probability that an honest link at the edge of the tolerance shows this or
    /// worse.
    pub p_value: Option<f64>,
}

impl Alarm {
    /// An alarm that no statistical test raised.
    pub fn new(kind: AlarmKind, block: Option<BlockId>, at: Time, seen: Reading, expected: Reading) -> Self {
        Self { kind, block, at, seen, expected, p_value: None }
    }
    /// The alarm for a block without key.
    pub fn no_key(block: BlockId, at: Time, reason: &NoKey) -> Self {
        let expected = Reading::Text("a key".to_owned());
        Self::new(AlarmKind::NoKey, Some(block), at, Reading::Text(reason.to_string()), expected)
    }
    /// The alarm for a block that was discarded for `why` and not for statistics that this end knows.
    pub fn spoilt(block: BlockId, at: Time, why: &dyn fmt::Display) -> Self {
        let [seen, expected] = [why.to_string(), "a key".to_owned()].map(Reading::Text);
        Self::new(AlarmKind::NoKey, Some(block), at, seen, expected)
    }
    /// The alarm for a block of which the ends were not told the same, as `why` shows.
    pub fn disagreement(block: BlockId, at: Time, why: &dyn fmt::Display) -> Self {
        let [seen, expected] = [why.to_string(), "ends that find the same".to_owned()].map(Reading::Text);
        Self::new(AlarmKind::AuthenticationFailed, Some(block), at, seen, expected)
    }
    /// The alarm for a block whose bits verification found to differ.
    pub fn keys_differ(block: BlockId, at: Time) -> Self {
        let [seen, expected] =
            ["keys that differ after reconciliation", "equal keys"].map(|text| Reading::Text(text.into()));
        Self::new(AlarmKind::VerificationFailed, Some(block), at, seen, expected)
    }
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.at)?;
        if let Some(block) = self.block {
            write!(f, ", {block}")?;
        }
        write!(f, ": {}: {} seen, {} expected", self.kind, self.seen, self.expected)?;
        match self.p_value {
            Some(p) if p < 1e-300 => f.write_str(" (p < 1e-300)"),
            Some(p) => write!(f, " (p = {p:.1e})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
