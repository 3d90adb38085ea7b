//! The clock of one end in terms of the other's, found from nothing but the times of what both saw.
//!
//! Light that reaches both ends, be it a pair or a photon whose emission was tagged, makes times that belong together,
//! among many more that do not. The number of pairs of times by their difference has a peak where the difference is the
//! offset of the clocks. It is looked for in three steps, after Ho, Lamas-Linares & Kurtsiefer, New J. Phys. 11, 045011
//! (2009), with the drift searched for as well:
//!
//! 1. *Coarse*: a piece of one record is correlated with the other record, by Fourier transforms of the counts in bins of
//!    a microsecond or so, once for each drift that would move the peak by a bin over the piece. The peak counts if chance
//!    would make one like it anywhere once in [`CHANCE`] times.
//! 2. *Fine*: around the peak differences are kept one by one, and offset and drift are searched for on a grid that gets
//!    finer as the piece gets longer, until the peak is as narrow as the detectors' jitter.
//! 3. *Tracking*: from there on, forwards and backwards, the peak of each stretch of some hundred coincidences corrects
//!    offset and drift for the next.

mod coarse;
mod fine;
mod follow;

use coarse::coarse;
use fine::refine;
pub(super) use follow::Follower;
use follow::track;

/// With which probability a recovery may rest on a peak that is chance.
pub const CHANCE: f64 = 1e-6;
/// Coincidences wanted in a stretch of tracking.
const STRETCH: f64 = 300.0;

/// Where to look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// The greatest offset, either way, in picoseconds.
    pub offset: f64,
    /// The greatest drift, either way: 10⁻⁵ is 10 ppm.
    pub drift: f64,
}

impl Default for Search {
    /// Offsets to 2 s, drifts to 20 ppm.
    fn default() -> Self {
        Self { offset: 2e12, drift: 2e-5 }
    }
}

/// Why the clocks could not be related.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum ClockError {
    /// A record has next to nothing in it.
    #[error("too few times: {here} and {there}, and some hundreds are needed")]
    TooFew {
        /// Times in the reference record.
        here: usize,
        /// Times in the other.
        there: usize,
    },
    /// No peak stands out.
    #[error(
        "no offset stands out: the best of {tried} has {best} coincidences where chance makes {expected:.1}; are these \
         records of one run, and is the offset within the search?"
    )]
    NoPeak {
        /// Offsets and drifts that were compared.
        tried: u64,
        /// Coincidences of the best.
        best: u64,
        /// Coincidences that are expected of any by chance.
        expected: f64,
    },
    /// Several offsets are as good.
    #[error(
        "the offset is not unique: another, {apart:.3e} ps away, has {second} coincidences and the best {best}; times of \
         a regular train of pulses do not tell which pulse is which"
    )]
    Ambiguous {
        /// Coincidences of the best.
        best: u64,
        /// Coincidences of the other.
        second: u64,
        /// How far apart they are.
        apart: f64,
    },
}

/// A relation of two clocks: piecewise linear, from knot to knot.
#[derive(Clone, Debug, PartialEq)]
pub struct Clock {
    /// Times of the other clock, rising, and the offsets to add there.
    knots: Vec<(f64, f64)>,
    /// The drift before the first knot and after the last.
    drift: [f64; 2],
    /// The standard deviation of differences in the peak, in picoseconds.
    pub jitter: f64,
    /// Coincidences that the tracking saw beyond chance.
    pub coincidences: u64,
    /// Which share of the other record's times has a partner in the reference, in the middle of it.
    pub share: f64,
}

impl Clock {
    /// The reference clock's time when the other shows `time`, both in picoseconds.
    pub fn reference(&self, time: u64) -> f64 {
        time as f64 + self.offset(time)
    }

    /// What to add to the other clock's time.
    pub fn offset(&self, time: u64) -> f64 {
        let time = time as f64;
        let at = self.knots.partition_point(|knot| knot.0 <= time);
        let (first, last) = (self.knots[0], self.knots[self.knots.len() - 1]);
        match at {
            0 => first.1 + (time - first.0) * self.drift[0],
            _ if at == self.knots.len() => last.1 + (time - last.0) * self.drift[1],
            _ => {
                let ((from, a), (to, b)) = (self.knots[at - 1], self.knots[at]);
                a + (b - a) * (time - from) / (to - from)
            }
        }
    }

    /// The drift at the first knot.
    pub(super) fn first_drift(&self) -> f64 {
        self.drift[0]
    }

    /// The mean drift from the first knot to the last.
    pub fn mean_drift(&self) -> f64 {
        let (first, last) = (self.knots[0], self.knots[self.knots.len() - 1]);
        if last.0 > first.0 { (last.1 - first.1) / (last.0 - first.0) } else { self.drift[0] }
    }
}

/// A hypothesis: the offset at a time of the other clock, and its drift.
#[derive(Clone, Copy, Debug)]
struct Line {
    at: f64,
    offset: f64,
    drift: f64,
}

impl Line {
    fn offset(self, time: f64) -> f64 {
        self.offset + (time - self.at) * self.drift
    }
}

/// Finds how the clock of `other` relates to that of `reference`. Both are times in picoseconds, in rising order.
///
/// # Errors
/// See [`ClockError`].
pub fn recover(reference: &[u64], other: &[u64], search: &Search) -> Result<Clock, ClockError> {
    if reference.len() < 50 || other.len() < 50 {
        return Err(ClockError::TooFew { here: reference.len(), there: other.len() });
    }
    let (line, width, span) = coarse(reference, other, search)?;
    let (line, jitter) = refine(reference, other, line, width, span);
    Ok(track(reference, other, line, jitter))
}

/// The part of `times` from `from` to before `to`.
fn between(times: &[u64], from: f64, to: f64) -> &[u64] {
    let first = times.partition_point(|&time| (time as f64) < from);
    let last = times.partition_point(|&time| (time as f64) < to);
    &times[first..last.max(first)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qkd::tags::emulate::{Emulated, PairSource, Tag};

    fn recovered(source: &PairSource, search: &Search) -> (Emulated, Result<Clock, ClockError>) {
        let emulated = source.run(7);
        let times = |tags: &[Tag]| tags.iter().map(|tag| tag.time).collect::<Vec<u64>>();
        let clock = recover(&times(&emulated.reference), &times(&emulated.other), search);
        (emulated, clock)
    }

    /// Offsets of seconds, drifts of ppm, jitter, loss of 99 % and background, alone and together: the time of the other
    /// clock is told to within a third of the jitter.
    #[test]
    fn known_offsets_and_drifts_are_found() {
        let plain = PairSource { pair_rate: 2e5, seconds: 2.0, ..PairSource::default() };
        let cases = [
            ("no offset", PairSource { offset: 0.0, drift: 0.0, ..plain }),
            ("ahead by 1.7 s, 12 ppm", PairSource { offset: 1.7e12, drift: 12e-6, ..plain }),
            ("behind by 0.9 s, -19 ppm", PairSource { offset: -0.9e12, drift: -19e-6, ..plain }),
            ("loss 99 %", PairSource { pair_rate: 1e6, transmission: [0.3, 0.01], seconds: 4.0, ..plain }),
            ("background", PairSource { background: [2e5, 2e4], ..plain }),
            ("jitter 500 ps", PairSource { jitter: 500.0, ..plain }),
            ("jitter 30 ps", PairSource { jitter: 30.0, ..plain }),
            ("drift that drifts by 5 ppb/s", PairSource { drift_rate: 5e-9, seconds: 4.0, ..plain }),
        ];
        for (name, source) in cases {
            let (emulated, clock) = recovered(&source, &Search::default());
            let clock = clock.unwrap_or_else(|error| panic!("{name}: {error}"));
            let mut worst = 0.0f64;
            for tag in emulated.other.iter().step_by(97) {
                let true_time = source.reference_of(tag.time as f64);
                worst = worst.max((clock.reference(tag.time) - true_time).abs());
            }
            let allowed = (source.jitter * 1.414 / 3.0).max(40.0);
            assert!(worst < allowed, "{name}: off by up to {worst:.0} ps, {clock:?}");
            let jitter = clock.jitter / (source.jitter * core::f64::consts::SQRT_2);
            assert!((0.6..1.8).contains(&jitter), "{name}: jitter {jitter} of what it is");
        }
    }

    #[test]
    fn records_that_do_not_belong_together_are_refused() {
        let source = PairSource { pair_rate: 2e5, seconds: 1.0, ..PairSource::default() };
        let (a, b) = (source.run(1), source.run(2));
        let search = Search { offset: 0.3e12, drift: 4e-6 };
        let times = |tags: &[Tag]| tags.iter().map(|tag| tag.time).collect::<Vec<u64>>();
        let error = recover(&times(&a.reference), &times(&b.other), &search).unwrap_err();
        assert!(matches!(error, ClockError::NoPeak { .. }), "{error}");
        let few = recover(&[1, 2, 3], &times(&b.other), &search).unwrap_err();
        assert!(matches!(few, ClockError::TooFew { here: 3, .. }), "{few}");
    }

    #[test]
    fn a_regular_train_of_pulses_is_refused() {
        // 1 MHz, every pulse tagged, one in ten seen.
        let train: Vec<u64> = (0..1_000_000u64).map(|pulse| 3_000_000_000 + pulse * 1_000_000).collect();
        let seen: Vec<u64> =
            train.iter().copied().filter(|time| (time / 1_000_000 * 7919) % 10 == 3).collect();
        let error = recover(&train, &seen, &Search { offset: 1e9, drift: 1e-6 }).unwrap_err();
        assert!(matches!(error, ClockError::Ambiguous { .. } | ClockError::NoPeak { .. }), "{error}");
    }
}
