//! Which attempt is heralded next: drawn in one go, however many attempts fail before.

use super::{Heralded, Port};
use crate::exponential::wait_scale;
use crate::parameter::{ParameterError, probability};
use crate::waits::Waits;
use bellwether_units::Stream;
use core::ops::Range;

/// A herald.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Herald {
    /// The attempt that was heralded, in the caller's count.
    pub attempt: u64,
    /// Which herald came.
    pub detector: Port,
}

/// Draws heralded attempts of one probability. Attempts are independent, so that a draw can be cut anywhere: after a change
/// of parameters, one draws anew from there on with new attempts, and the law is that of attempts made one by one.
#[derive(Clone, Debug)]
pub struct Attempts {
    waits: Waits,
    success: f64,
    two_ports: bool,
}

impl Attempts {
    /// Attempts of a link.
    pub fn of(heralded: &Heralded) -> Self {
        Self::make(heralded.probability, heralded.two_ports)
    }

    /// Attempts that succeed with this probability, by one port.
    ///
    /// # Errors
    /// `success` is no probability.
    pub fn with_success(success: f64) -> Result<Self, ParameterError> {
        Ok(Self::make(probability("the success probability of an attempt", success)?, false))
    }

    fn make(success: f64, two_ports: bool) -> Self {
        Self { waits: Waits::new(wait_scale(success)), success, two_ports }
    }

    /// The probability of each attempt.
    pub fn success(&self) -> f64 {
        self.success
    }

    /// The first heralded attempt of `attempts`; `None` if all fail.
    #[inline]
    pub fn first(&self, attempts: Range<u64>, stream: &mut Stream) -> Option<Herald> {
        let (failures, bits) = self.waits.draw(stream);
        let attempt = attempts.start.checked_add(failures).filter(|attempt| *attempt < attempts.end)?;
        // Whatever the wait is, the bits left over are independent of it.
        let second = self.two_ports && bits & 1 == 1;
        Some(Herald { attempt, detector: if second { Port::Second } else { Port::First } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_units::{EntityId, Purpose};

    fn stream(n: u64) -> Stream {
        Stream::new(2026, EntityId(0), Purpose::named("attempts").numbered(n))
    }

    /// Drawn in pieces of uneven length, heralds follow the geometric law: chi-square of the first 200 values of p = 0.02;
    /// 267.5 is the 0.1 % point at 200 degrees of freedom.
    #[test]
    fn cut_draws_keep_the_geometric_law() {
        let attempts = Attempts::with_success(0.02).unwrap();
        let (mut stream, draws) = (stream(1), 100_000);
        let mut counts = [0f64; 201];
        for _ in 0..draws {
            let mut at = 0;
            let herald = loop {
                let end = at + 1 + stream.below(40);
                match attempts.first(at..end, &mut stream) {
                    Some(herald) => break herald,
                    None => at = end,
                }
            };
            counts[usize::min(herald.attempt as usize, 200)] += 1.0;
        }
        let chi2: f64 = (0..=200)
            .map(|g| {
                let p = 0.98f64.powi(g) * if g < 200 { 0.02 } else { 1.0 };
                let expected = p * f64::from(draws);
                (counts[g as usize] - expected).powi(2) / expected
            })
            .sum();
        assert!(chi2 < 267.5, "{chi2}");
    }

    #[test]
    fn ports_are_even_and_rare_heralds_stay_in_range() {
        let end = crate::entangling::SingleClickEnd { bright: 0.1, efficiency: 1e-4 };
        let link = crate::entangling::SingleClick::new(end, end, crate::entangling::Optics::IDEAL);
        let attempts = Attempts::of(&link.heralded().unwrap());
        let mut stream = stream(2);
        let mut second = 0;
        for _ in 0..40_000 {
            let herald = attempts.first(5..u64::MAX, &mut stream).unwrap();
            assert!(herald.attempt >= 5);
            second += u64::from(herald.detector == Port::Second);
        }
        // 4 standard deviations of a fair coin.
        assert!(second.abs_diff(20_000) < 400, "{second}");
        let never = Attempts::with_success(0.0).unwrap();
        assert_eq!(never.first(0..1 << 60, &mut stream), None);
        let always = Attempts::with_success(1.0).unwrap();
        assert_eq!(always.first(7..8, &mut stream).unwrap().attempt, 7);
        assert_eq!(always.first(7..7, &mut stream), None);
        assert!(Attempts::with_success(-0.5).is_err());
    }
}
