//! When a node can attempt at all: charge and resonance checks, calibration.

use crate::exponential::wait_scale;
use crate::parameter::{ParameterError, chance};
use crate::variates::negative_binomial;
use crate::waits::Waits;
use bellwether_units::{Duration, Stream, Time};

/// A check before each block of attempts, that an emitter is in the right charge state and on resonance, repeated until it
/// passes.
#[derive(Clone, Debug)]
pub struct ChargeCheck {
    pass: f64,
    duration: Duration,
    waits: Waits,
}

impl ChargeCheck {
    /// A check that takes `duration` and passes with probability `pass`.
    ///
    /// # Errors
    /// `pass` is not above 0 and at most 1.
    pub fn new(pass: f64, duration: Duration) -> Result<Self, ParameterError> {
        let pass = chance("the probability that a check passes", pass)?;
        Ok(Self { pass, duration, waits: Waits::new(wait_scale(pass)) })
    }

    /// How long it takes on average until one passes.
    pub fn mean_delay(&self) -> Duration {
        let mean = self.duration.picoseconds() as f64 / self.pass;
        Duration::from_picoseconds(libm::round(mean) as u64)
    }

    /// How long it takes until one passes.
    pub fn delay(&self, stream: &mut Stream) -> Duration {
        self.duration.saturating_mul(self.waits.draw(stream).0.saturating_add(1))
    }

    /// How long it takes until `blocks` have passed, one for each of so many blocks of attempts.
    pub fn delay_of(&self, blocks: u64, stream: &mut Stream) -> Duration {
        let failures = negative_binomial(blocks, self.pass, stream);
        self.duration.saturating_mul(failures.saturating_add(blocks))
    }

    /// The share of time left for attempts where blocks of them take `block`.
    pub fn share(&self, block: Duration) -> f64 {
        let block = block.seconds();
        block / (block + self.duration.seconds() / self.pass)
    }
}

/// Times at which a node is calibrated and does nothing else: for `length` at the beginning of every `period`, the first at
/// `offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calibration {
    period: Duration,
    length: Duration,
    offset: Duration,
}

impl Calibration {
    /// Calibration of this length in every period, the first after `offset`.
    ///
    /// # Errors
    /// The length is not below the period.
    pub fn new(period: Duration, length: Duration, offset: Duration) -> Result<Self, ParameterError> {
        if length < period {
            Ok(Self { period, length, offset })
        } else {
            let (what, range) = ("the length of a calibration in seconds", "below its period");
            Err(ParameterError { what, value: length.seconds(), range })
        }
    }

    /// The share of time in which the node works, in the long run.
    pub fn share(&self) -> f64 {
        1.0 - self.length.seconds() / self.period.seconds()
    }

    /// When the node works next: `now`, if it does.
    pub fn next_available(&self, now: Time) -> Time {
        let first = Time::ZERO.saturating_add(self.offset);
        if now < first {
            return now;
        }
        let since = now.since(first).picoseconds() % self.period.picoseconds();
        now.saturating_add(self.length.saturating_sub(Duration::from_picoseconds(since)))
    }

    /// When work of the length `work` is done that begins at `now` and rests during calibrations.
    pub fn finish(&self, now: Time, work: Duration) -> Time {
        let first = Time::ZERO.saturating_add(self.offset);
        let mut left = work;
        let mut at = now;
        if at < first {
            let before = first.since(at);
            if left <= before {
                return at.saturating_add(left);
            }
            left = left.saturating_sub(before);
            at = first;
        }
        at = self.next_available(at);
        // From here to the end of this period, then whole periods, then the rest of one.
        let since = at.since(first).picoseconds() % self.period.picoseconds();
        let here = self.period.picoseconds() - since;
        let left = left.picoseconds();
        if left <= here {
            return at.saturating_add(Duration::from_picoseconds(left));
        }
        let each = self.period.picoseconds() - self.length.picoseconds();
        let (rest, periods) = ((left - here - 1) % each + 1, (left - here - 1) / each);
        at.saturating_add(Duration::from_picoseconds(here))
            .saturating_add(self.period.saturating_mul(periods))
            .saturating_add(self.length)
            .saturating_add(Duration::from_picoseconds(rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_units::{EntityId, Purpose};

    /// Means of 20 000 draws within 5 standard errors, one check at a time and many at once.
    #[test]
    fn checks_take_their_mean_time() {
        let check = ChargeCheck::new(0.2, Duration::from_microseconds(50)).unwrap();
        assert_eq!(check.mean_delay(), Duration::from_microseconds(250));
        assert!((check.share(Duration::from_microseconds(750)) - 0.75).abs() < 1e-12);
        let mut stream = Stream::new(5, EntityId(0), Purpose::named("checks"));
        for blocks in [1u64, 7, 400] {
            let draws = 20_000;
            let total: f64 = (0..draws)
                .map(|_| {
                    let one = blocks == 1;
                    let delay =
                        if one { check.delay(&mut stream) } else { check.delay_of(blocks, &mut stream) };
                    delay.seconds() / 50e-6
                })
                .sum();
            let (mean, deviation) = (blocks as f64 / 0.2, (blocks as f64 * 0.8).sqrt() / 0.2);
            let off = (total / f64::from(draws) - mean) / (deviation / f64::from(draws).sqrt());
            assert!(off.abs() < 5.0, "{blocks} blocks: off by {off} standard errors");
        }
        assert!(ChargeCheck::new(0.0, Duration::from_microseconds(50)).is_err());
    }

    /// Work in steps of one picosecond, rested while calibrating, ends when it is told to end.
    #[test]
    fn work_rests_during_calibrations() {
        let ps = Duration::from_picoseconds;
        let calibration = Calibration::new(ps(10), ps(3), ps(4)).unwrap();
        assert!((calibration.share() - 0.7).abs() < 1e-12);
        for start in 0..30u64 {
            for work in 1..40u64 {
                let (mut at, mut left) = (start, work);
                while left > 0 {
                    let calibrating = at >= 4 && (at - 4) % 10 < 3;
                    left -= u64::from(!calibrating);
                    at += 1;
                }
                let told = calibration.finish(Time::from_picoseconds(start), ps(work));
                assert_eq!(told.picoseconds(), at, "from {start} for {work}");
            }
            let next = calibration.next_available(Time::from_picoseconds(start)).picoseconds();
            let slow = (start..).find(|at| *at < 4 || (at - 4) % 10 >= 3).unwrap();
            assert_eq!(next, slow);
        }
        assert!(Calibration::new(ps(10), ps(10), ps(0)).is_err());
    }
}
