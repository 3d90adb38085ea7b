//! Time as integer picoseconds: an instant ([`Time`]) and a span ([`Duration`]).
//!
//! A `u64` of picoseconds spans 213 days. Integers keep the order of events exact on every machine.

use crate::quantity::{Quantity, QuantityError, UnitName, format_scaled, parse_scaled};
use core::fmt;
use core::ops::{Add, AddAssign, Div, Mul, Rem, Sub};

/// An instant: picoseconds since the start of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

/// A span of time in picoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(u64);

/// Why a time cannot be represented.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TimeError {
    /// The span is negative, not a number, or beyond 2^64 picoseconds (213 days).
    #[error("{0} s is not between 0 and 213 days, the span of the clock in picoseconds")]
    OutOfRange(f64),
}

const PS_PER_S: f64 = 1e12;

impl Time {
    /// The start of a run.
    pub const ZERO: Self = Self(0);
    /// The last instant that can be told.
    pub const MAX: Self = Self(u64::MAX);

    /// The instant `picoseconds` after the start.
    pub const fn from_picoseconds(picoseconds: u64) -> Self {
        Self(picoseconds)
    }
    /// Picoseconds since the start.
    pub const fn picoseconds(self) -> u64 {
        self.0
    }
    /// Seconds since the start, rounded to a double.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / PS_PER_S
    }
    /// The span from `earlier` to this instant; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }
    /// This instant moved later by `span`, held at [`Time::MAX`].
    pub const fn saturating_add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// The longest span.
    pub const MAX: Self = Self(u64::MAX);

    /// A span of `n` picoseconds.
    pub const fn from_picoseconds(n: u64) -> Self {
        Self(n)
    }
    /// A span of `n` nanoseconds.
    pub const fn from_nanoseconds(n: u64) -> Self {
        Self(n * 1_000)
    }
    /// A span of `n` microseconds.
    pub const fn from_microseconds(n: u64) -> Self {
        Self(n * 1_000_000)
    }
    /// A span of `n` milliseconds.
    pub const fn from_milliseconds(n: u64) -> Self {
        Self(n * 1_000_000_000)
    }
    /// A span of `n` whole seconds.
    pub const fn from_whole_seconds(n: u64) -> Self {
        Self(n * 1_000_000_000_000)
    }
    /// A span of `seconds`, rounded to the nearest picosecond.
    pub fn from_seconds(seconds: f64) -> Result<Self, TimeError> {
        let picoseconds = seconds * PS_PER_S;
        if picoseconds >= 0.0 && picoseconds < u64::MAX as f64 {
            Ok(Self(libm::round(picoseconds) as u64))
        } else {
            Err(TimeError::OutOfRange(seconds))
        }
    }
    /// The span in picoseconds.
    pub const fn picoseconds(self) -> u64 {
        self.0
    }
    /// The span in seconds, rounded to a double.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / PS_PER_S
    }
    /// This span less `other`, or zero.
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
    /// This span times `n`, held at [`Duration::MAX`].
    pub const fn saturating_mul(self, n: u64) -> Self {
        Self(self.0.saturating_mul(n))
    }
    /// Whether the span is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl Add<Duration> for Time {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0 + span.0)
    }
}
impl AddAssign<Duration> for Time {
    fn add_assign(&mut self, span: Duration) {
        self.0 += span.0;
    }
}
impl Sub<Duration> for Time {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        Self(self.0 - span.0)
    }
}
impl Add for Duration {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}
impl AddAssign for Duration {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}
impl Mul<u64> for Duration {
    type Output = Self;
    fn mul(self, n: u64) -> Self {
        Self(self.0 * n)
    }
}
impl Div<u64> for Duration {
    type Output = Self;
    fn div(self, n: u64) -> Self {
        Self(self.0 / n)
    }
}
impl Div for Duration {
    type Output = u64;
    /// How many whole times `other` fits.
    fn div(self, other: Self) -> u64 {
        self.0 / other.0
    }
}
impl Rem for Duration {
    type Output = Self;
    fn rem(self, other: Self) -> Self {
        Self(self.0 % other.0)
    }
}

const UNITS: &[UnitName] = &[
    UnitName { name: "s", factor: 1.0 },
    UnitName { name: "ms", factor: 1e-3 },
    UnitName { name: "us", factor: 1e-6 },
    UnitName { name: "µs", factor: 1e-6 },
    UnitName { name: "ns", factor: 1e-9 },
    UnitName { name: "ps", factor: 1e-12 },
    UnitName { name: "min", factor: 60.0 },
    UnitName { name: "h", factor: 3600.0 },
    UnitName { name: "d", factor: 86400.0 },
];

impl Quantity for Duration {
    const KIND: &'static str = "a duration";
    const EXAMPLE: &'static str = "50 ns";
    const UNITS: &'static [UnitName] = UNITS;
    fn parse(text: &str) -> Result<Self, QuantityError> {
        let seconds = parse_scaled::<Self>(text)?;
        Self::from_seconds(seconds).map_err(|_| QuantityError::OutOfRange {
            text: text.to_owned(),
            kind: Self::KIND,
            range: "0 s to 213 d",
        })
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = self.seconds();
        let unit = match s {
            0.0 => "s",
            s if s >= 2.0 * 86400.0 => "d",
            s if s >= 2.0 * 3600.0 => "h",
            s if s >= 120.0 => "min",
            s if s >= 1.0 => "s",
            s if s >= 1e-3 => "ms",
            s if s >= 1e-6 => "us",
            s if s >= 1e-9 => "ns",
            _ => "ps",
        };
        format_scaled(f, s, unit, UNITS)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Duration(self.0).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_exact_to_the_picosecond() {
        assert_eq!(Duration::parse("50 ns").unwrap().picoseconds(), 50_000);
        assert_eq!(Duration::parse("24 h").unwrap(), Duration::from_whole_seconds(86_400));
        assert_eq!(Duration::parse("1.5 us").unwrap().picoseconds(), 1_500_000);
        assert_eq!(Duration::from_whole_seconds(3).to_string(), "3 s");
        assert_eq!(Duration::from_nanoseconds(100).to_string(), "100 ns");
    }

    #[test]
    fn a_span_beyond_the_clock_is_refused() {
        assert!(matches!(Duration::parse("214 d"), Err(QuantityError::OutOfRange { .. })));
        assert!(Duration::from_seconds(f64::NAN).is_err());
        assert!(Duration::from_seconds(-1.0).is_err());
    }
}
