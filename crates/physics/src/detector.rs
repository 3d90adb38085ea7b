//! Threshold detectors: they tell whether light came, not how much.

use crate::probability::is_probability;
use bellwether_units::{Duration, Rate};

/// The two technologies, which differ in what they do outside their window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DetectorKind {
    /// An InGaAs avalanche diode, gated: outside its gate it is blind.
    InGaAs,
    /// A superconducting nanowire, free-running: what it sees outside the window is not recorded but makes it
    /// dead all the same.
    Snspd,
}

/// How often a detector clicks without light.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DarkCounts {
    /// At this rate while it is able to click.
    Rate(Rate),
    /// With this probability in each window.
    PerGate(f64),
}

/// Which detectors of a receiver a click holds off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeadTimeScope {
    /// All of them. Detection stays independent of basis and bit, as security proofs assume.
    #[default]
    Common,
    /// Only the one that clicked.
    Each,
}

/// One kind of trap that a click fills and that triggers another click when it empties.
///
/// `probability` is that of a release after `hold_off`, as data sheets tell it. A detector with another dead time
/// d has `probability` x e^((hold_off - d) / decay); releases during a dead time are lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Afterpulse {
    /// The probability that a click is followed by a release later than `hold_off` after it.
    pub probability: f64,
    /// The time constant of the exponential law of release.
    pub decay: Duration,
    /// The hold-off at which the probability was measured; zero for the total.
    pub hold_off: Duration,
}

/// What a [`Detector`] is made of. All detectors of a receiver are alike.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectorParameters {
    /// Its technology.
    pub kind: DetectorKind,
    /// The probability that an arriving photon triggers it.
    pub efficiency: f64,
    /// Its dark counts.
    pub dark_counts: DarkCounts,
    /// The effective window around each pulse in which a click counts; the whole clock period if not given.
    pub gate: Option<Duration>,
    /// How long it is dead after a click (non-paralysable).
    pub dead_time: Duration,
    /// Which detectors the dead time holds off.
    pub dead_time_scope: DeadTimeScope,
    /// Its traps, empty for none.
    pub afterpulses: Vec<Afterpulse>,
    /// Full width at half maximum of the (Gaussian) timing jitter, all sources together.
    pub jitter: Duration,
}

impl DetectorParameters {
    /// A detector without dark counts, dead time, after-pulses or jitter.
    pub fn ideal(kind: DetectorKind, efficiency: f64) -> Self {
        Self {
            kind,
            efficiency,
            dark_counts: DarkCounts::PerGate(0.0),
            gate: None,
            dead_time: Duration::ZERO,
            dead_time_scope: DeadTimeScope::Common,
            afterpulses: Vec::new(),
            jitter: Duration::ZERO,
        }
    }
}

/// Why a detector cannot be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DetectorError {
    /// A probability is outside 0 to 1.
    #[error("the {what} {value} is not between 0 and 1")]
    NotAProbability {
        /// Which one.
        what: &'static str,
        /// What was given.
        value: f64,
    },
    /// The dark count rate is negative or not a number.
    #[error("the dark count rate {0} is negative or not a number")]
    DarkRate(Rate),
    /// The window has no width.
    #[error("a detection window must be longer than 0 s")]
    NoGate,
    /// A trap has no time constant.
    #[error("an after-pulse with a probability needs a decay time longer than 0 s")]
    NoDecay,
    /// The after-pulse probabilities leave no decaying cascade.
    #[error("after-pulse probabilities at a dead time of {dead_time} sum to {sum}, which must be below 1")]
    Cascade {
        /// The detector's dead time.
        dead_time: Duration,
        /// The sum of the probabilities at that dead time.
        sum: f64,
    },
    /// There are more traps than make sense.
    #[error("{0} after-pulse components are more than 16")]
    TooManyTraps(usize),
}

/// A threshold detector that passed its checks.
#[derive(Clone, Debug, PartialEq)]
pub struct Detector {
    parameters: DetectorParameters,
}

impl Detector {
    /// Checks `parameters`.
    pub fn new(parameters: DetectorParameters) -> Result<Self, DetectorError> {
        let probability = |what, value| {
            if is_probability(value) { Ok(()) } else { Err(DetectorError::NotAProbability { what, value }) }
        };
        probability("efficiency", parameters.efficiency)?;
        match parameters.dark_counts {
            DarkCounts::PerGate(p) => probability("dark count probability", p)?,
            DarkCounts::Rate(rate) if rate.per_second() >= 0.0 && rate.per_second().is_finite() => {}
            DarkCounts::Rate(rate) => return Err(DetectorError::DarkRate(rate)),
        }
        if parameters.gate == Some(Duration::ZERO) {
            return Err(DetectorError::NoGate);
        }
        if parameters.afterpulses.len() > 16 {
            return Err(DetectorError::TooManyTraps(parameters.afterpulses.len()));
        }
        for trap in &parameters.afterpulses {
            probability("after-pulse probability", trap.probability)?;
            if trap.probability > 0.0 && trap.decay.is_zero() {
                return Err(DetectorError::NoDecay);
            }
        }
        let detector = Self { parameters };
        let sum: f64 = detector.releases().map(|(probability, _)| probability).sum();
        if sum < 1.0 {
            Ok(detector)
        } else {
            Err(DetectorError::Cascade { dead_time: detector.parameters.dead_time, sum })
        }
    }

    /// What it is made of.
    pub fn parameters(&self) -> &DetectorParameters {
        &self.parameters
    }

    /// The window in which a click counts, at a clock of `period`.
    pub(crate) fn gate_picoseconds(&self, period: f64) -> f64 {
        self.parameters.gate.map_or(period, |gate| gate.picoseconds() as f64)
    }

    /// The probability of a dark count in a window of `gate` picoseconds.
    pub(crate) fn dark_probability(&self, gate: f64) -> f64 {
        match self.parameters.dark_counts {
            DarkCounts::PerGate(p) => p,
            DarkCounts::Rate(rate) => -libm::expm1(-rate.per_second() * gate * 1e-12),
        }
    }

    /// The probability of a dark count outside the window, where a free-running detector has any.
    pub(crate) fn dark_probability_outside(&self, gate: f64, period: f64) -> f64 {
        if self.parameters.kind == DetectorKind::InGaAs || gate >= period {
            return 0.0;
        }
        match self.parameters.dark_counts {
            DarkCounts::PerGate(p) => -libm::expm1(libm::log1p(-p) * (period / gate - 1.0)),
            DarkCounts::Rate(rate) => -libm::expm1(-rate.per_second() * (period - gate) * 1e-12),
        }
    }

    /// For each trap with any effect: the probability that a click leaves a carrier which outlives the dead
    /// time, and the decay time in picoseconds.
    pub(crate) fn releases(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        let dead = self.parameters.dead_time.picoseconds() as f64;
        self.parameters.afterpulses.iter().filter(|trap| trap.probability > 0.0).map(move |trap| {
            let decay = trap.decay.picoseconds() as f64;
            let kept = libm::exp((trap.hold_off.picoseconds() as f64 - dead) / decay);
            (trap.probability * kept, decay)
        })
    }

    /// Where jitter puts a photon's click, for pulses in the middle of windows of `gate` every `period`
    /// picoseconds: the fraction in its own window and the fraction in any other.
    pub(crate) fn jitter_fractions(&self, gate: f64, period: f64) -> (f64, f64) {
        let fwhm = self.parameters.jitter.picoseconds() as f64;
        if fwhm == 0.0 {
            return (1.0, 0.0);
        }
        // The normal distribution function at t is (1 + erf(scale t)) / 2 with scale = sqrt(4 ln 2) / FWHM.
        let scale = libm::sqrt(4.0 * core::f64::consts::LN_2) / fwhm;
        let own = libm::erf(scale * gate / 2.0);
        let mut elsewhere = 0.0;
        for m in 1..=1000 {
            let centre = f64::from(m) * period;
            let (from, to) = (centre - gate / 2.0, centre + gate / 2.0);
            let share = libm::erfc(scale * from) - libm::erfc(scale * to);
            elsewhere += share;
            if share < 1e-18 {
                break;
            }
        }
        (own, elsewhere)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_detectors_are_refused() {
        let ideal = DetectorParameters::ideal(DetectorKind::InGaAs, 0.1);
        let with = |change: fn(&mut DetectorParameters)| {
            let mut parameters = ideal.clone();
            change(&mut parameters);
            Detector::new(parameters)
        };
        assert!(matches!(with(|d| d.efficiency = 1.2), Err(DetectorError::NotAProbability { .. })));
        assert!(matches!(with(|d| d.gate = Some(Duration::ZERO)), Err(DetectorError::NoGate)));
        assert!(matches!(
            with(|d| d.dark_counts = DarkCounts::Rate(Rate::from_per_second(-1.0))),
            Err(DetectorError::DarkRate(_))
        ));
        let trap = |probability, hold_off| Afterpulse {
            probability,
            decay: Duration::from_microseconds(1),
            hold_off: Duration::from_microseconds(hold_off),
        };
        let trapped = |trap| {
            let mut parameters = ideal.clone();
            parameters.afterpulses = vec![trap];
            Detector::new(parameters)
        };
        assert!(trapped(trap(0.04, 0)).is_ok());
        // 4 % after 10 µs at a decay of 1 µs would be 881 carriers at no dead time.
        assert!(matches!(trapped(trap(0.04, 10)), Err(DetectorError::Cascade { .. })));
        assert!(matches!(
            trapped(Afterpulse { decay: Duration::ZERO, ..trap(0.1, 0) }),
            Err(DetectorError::NoDecay)
        ));
    }

    /// qkd.md: a window w keeps erf(sqrt(ln 2) w / FWHM); windows that touch lose nothing.
    #[test]
    fn jitter_splits_into_own_window_and_others() {
        let mut parameters = DetectorParameters::ideal(DetectorKind::Snspd, 1.0);
        parameters.jitter = Duration::from_picoseconds(400);
        let detector = Detector::new(parameters).unwrap();
        let (own, elsewhere) = detector.jitter_fractions(400.0, 400.0);
        assert!((own - libm::erf(2f64.ln().sqrt())).abs() < 1e-15);
        assert!((own + elsewhere - 1.0).abs() < 1e-12);
        let (own, elsewhere) = detector.jitter_fractions(100.0, 400.0);
        assert!(own + elsewhere < 0.5);
    }
}
