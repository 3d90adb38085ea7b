//! What dead time and after-pulses make of the clicks of live detectors, in the mean.

use crate::DeadTimeScope;
use crate::link::{LinkModel, Outcome};

/// Mean effect of dead time and after-pulses on a pulse.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Throughput {
    /// The fraction of pulses at which both detectors are alive.
    pub(crate) both_alive: f64,
    /// The fraction at which only the first is alive, equal to that of only the second.
    pub(crate) one_alive: f64,
    /// After-pulses a pulse and detector.
    pub(crate) afterpulses: f64,
    /// The probability that a click is followed by an after-pulse that is not lost.
    pub(crate) followed: f64,
    /// The probability that a live pulse triggers any detector, recorded or not.
    pub(crate) trigger: f64,
}

impl Throughput {
    /// Of a model whose other fields are complete.
    pub(crate) fn of(model: &LinkModel) -> Self {
        let mean = model.mean_outcome();
        let dead = model.dead_pulses as f64;
        let either = |a: f64, b: f64| a + b - a * b;
        let trigger = either(mean.click(), either(model.unrecorded, model.unrecorded));
        match model.dead_time_scope() {
            DeadTimeScope::Common => {
                let (rate, followed) = rate(model, trigger, dead);
                Self {
                    both_alive: 1.0 - rate * dead,
                    one_alive: 0.0,
                    afterpulses: rate * followed / 2.0,
                    followed,
                    trigger,
                }
            }
            DeadTimeScope::Each => {
                let single = either((mean.right + mean.wrong) / 2.0 + mean.both, model.unrecorded);
                let (rate, followed) = rate(model, single, dead);
                let alive = 1.0 - rate * dead;
                Self {
                    both_alive: alive * alive,
                    one_alive: alive * (1.0 - alive),
                    afterpulses: rate * followed,
                    followed,
                    trigger,
                }
            }
        }
    }

    /// What is recorded of `live`, the outcome with live detectors.
    pub(crate) fn detected(&self, live: Outcome) -> Outcome {
        let mut detected = Outcome::default();
        detected.add(self.both_alive, live);
        detected.right += self.one_alive * (live.right + live.both) + self.afterpulses;
        detected.wrong += self.one_alive * (live.wrong + live.both) + self.afterpulses;
        detected
    }
}

/// Triggers a pulse in the mean, r = (1 - r D) p + r Σ q s, and Σ q s, for a detector that triggers with
/// probability `p` when alive and is then dead for `dead` pulses.
///
/// A carrier that outlives the dead time of its click (probability q) is released into a live detector with
/// probability s: at each live pulse it goes with probability a; or light triggers first, and the carrier must
/// outlive that dead time too.
fn rate(model: &LinkModel, p: f64, dead: f64) -> (f64, f64) {
    let followed: f64 = model
        .traps
        .iter()
        .map(|trap| {
            let a = -libm::expm1(-1.0 / trap.decay);
            let outlives = libm::exp(-dead / trap.decay);
            trap.probability * a / (a + (1.0 - a) * p * (1.0 - outlives))
        })
        .sum();
    (p / (1.0 + p * dead - followed), followed)
}
