//! Physical quantities: one type a kind, one table of units a type.
//!
//! The table feeds the parser, the printer, the messages and the schema of the network file, so that they
//! cannot disagree about which units exist.

use core::fmt;
use core::ops::Mul;

/// A unit by which a quantity may be written, and what one of it is in the quantity's base unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnitName {
    /// As it stands in a file: `"km"`.
    pub name: &'static str,
    /// How many base units one of these is.
    pub factor: f64,
}

/// A physical quantity that is written as a number and a unit.
pub trait Quantity: Sized {
    /// What it is, with its article, for messages: `"a length"`.
    const KIND: &'static str;
    /// A value that parses.
    const EXAMPLE: &'static str;
    /// The units it may be written in; the first is the base.
    const UNITS: &'static [UnitName];
    /// Reads `"50 km"`: a number, optional space, a unit of [`Self::UNITS`].
    fn parse(text: &str) -> Result<Self, QuantityError>;
}

/// Why a text is not the quantity that was wanted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum QuantityError {
    /// There is a number and no unit.
    #[error("`{text}` has no unit: write {kind} like `{example}` (units: {units})")]
    MissingUnit {
        /// What was written.
        text: String,
        /// What was wanted.
        kind: &'static str,
        /// A text that would do.
        example: &'static str,
        /// The units allowed.
        units: String,
    },
    /// The unit is not one of this kind of quantity.
    #[error("`{unit}` is no unit of {kind}: write it like `{example}` (units: {units})")]
    UnknownUnit {
        /// The unit that was written.
        unit: String,
        /// What was wanted.
        kind: &'static str,
        /// A text that would do.
        example: &'static str,
        /// The units allowed.
        units: String,
    },
    /// What stands before the unit is not a number.
    #[error("`{text}` does not begin with a number: write {kind} like `{example}`")]
    NotANumber {
        /// What was written.
        text: String,
        /// What was wanted.
        kind: &'static str,
        /// A text that would do.
        example: &'static str,
    },
    /// The value is outside what the quantity can be.
    #[error("`{text}` is outside the range of {kind} ({range})")]
    OutOfRange {
        /// What was written.
        text: String,
        /// What was wanted.
        kind: &'static str,
        /// What would be right.
        range: &'static str,
    },
}

/// The number in `text` in the base unit of `Q`, finite.
pub(crate) fn parse_scaled<Q: Quantity>(text: &str) -> Result<f64, QuantityError> {
    let trimmed = text.trim();
    let split = number_prefix(trimmed);
    let (number, unit) = (&trimmed[..split], trimmed[split..].trim());
    let units = || Q::UNITS.iter().map(|u| u.name).collect::<Vec<_>>().join(", ");
    let value: f64 = number.parse().ok().filter(|v: &f64| v.is_finite()).ok_or_else(|| {
        QuantityError::NotANumber { text: text.to_owned(), kind: Q::KIND, example: Q::EXAMPLE }
    })?;
    if unit.is_empty() {
        return Err(QuantityError::MissingUnit {
            text: text.to_owned(),
            kind: Q::KIND,
            example: Q::EXAMPLE,
            units: units(),
        });
    }
    let known = Q::UNITS.iter().find(|u| u.name == unit).ok_or_else(|| QuantityError::UnknownUnit {
        unit: unit.to_owned(),
        kind: Q::KIND,
        example: Q::EXAMPLE,
        units: units(),
    })?;
    match whole_inverse(known.factor) {
        Some(inverse) => Ok(value / inverse),
        None => Ok(value * known.factor),
    }
}

/// The inverse of a factor below one if it is a whole number. Dividing by it keeps decimal fractions exact:
/// 50 ns is 50 / 1e9, not 50 * 1e-9.
fn whole_inverse(factor: f64) -> Option<f64> {
    let inverse = libm::round(1.0 / factor);
    (factor < 1.0 && libm::fabs(inverse * factor - 1.0) < 1e-12).then_some(inverse)
}

/// The length of the leading decimal number: sign, digits, point, exponent.
fn number_prefix(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut end = 0;
    while end < bytes.len() {
        let exponent = matches!(bytes[end], b'e' | b'E')
            && end > 0
            && bytes.get(end + 1).is_some_and(|b| {
                b.is_ascii_digit()
                    || (matches!(b, b'+' | b'-') && bytes.get(end + 2).is_some_and(u8::is_ascii_digit))
            });
        if exponent {
            end += 2;
        } else if bytes[end].is_ascii_digit() || matches!(bytes[end], b'.' | b'+' | b'-') {
            end += 1;
        } else {
            break;
        }
    }
    end
}

/// Writes a value given in base units in the unit called `unit`, with at most 12 significant digits.
pub(crate) fn format_scaled(
    f: &mut fmt::Formatter<'_>,
    base: f64,
    unit: &str,
    units: &[UnitName],
) -> fmt::Result {
    let factor = units.iter().find(|u| u.name == unit).map_or(1.0, |u| u.factor);
    let value = whole_inverse(factor).map_or(base / factor, |inverse| base * inverse);
    if let Some(precision) = f.precision() {
        return write!(f, "{value:.precision$} {unit}");
    }
    let rounded: f64 = format!("{value:.11e}").parse().unwrap_or(value);
    write!(f, "{rounded} {unit}")
}

macro_rules! quantity {
    ($(#[$meta:meta])* $name:ident, $kind:literal, $example:literal, $range:literal, $valid:expr,
     base $base:literal $from:ident $to:ident, display [$(($least:expr, $unit:literal)),+],
     units [$(($uname:literal, $factor:expr)),+ $(,)?]) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
        pub struct $name(f64);

        impl $name {
            #[doc = concat!("From a number of ", $base, ".")]
            pub const fn $from(value: f64) -> Self {
                Self(value)
            }
            #[doc = concat!("The number of ", $base, ".")]
            pub const fn $to(self) -> f64 {
                self.0
            }
        }

        impl Quantity for $name {
            const KIND: &'static str = $kind;
            const EXAMPLE: &'static str = $example;
            const UNITS: &'static [UnitName] = &[$(UnitName { name: $uname, factor: $factor }),+];
            fn parse(text: &str) -> Result<Self, QuantityError> {
                let value = parse_scaled::<Self>(text)?;
                let valid: fn(f64) -> bool = $valid;
                if valid(value) {
                    Ok(Self(value))
                } else {
                    Err(QuantityError::OutOfRange { text: text.to_owned(), kind: Self::KIND, range: $range })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let size = libm::fabs(self.0);
                let unit = [$(($least, $unit)),+]
                    .into_iter()
                    .find(|(least, _)| size >= *least)
                    .map_or(<Self as Quantity>::UNITS[0].name, |(_, unit)| unit);
                format_scaled(f, self.0, unit, <Self as Quantity>::UNITS)
            }
        }
    };
}

quantity! {
    /// A length.
    Length, "a length", "50 km", "0 m to 1e9 m", |v| (0.0..=1e9).contains(&v),
    base "metres" from_metres metres, display [(1000.0, "km"), (0.0, "m")],
    units [("m", 1.0), ("km", 1e3), ("cm", 1e-2), ("mm", 1e-3)]
}

quantity! {
    /// A loss of power. Losses in a row add.
    Loss, "a loss", "3 dB", "0 dB to 1000 dB", |v| (0.0..=1000.0).contains(&v),
    base "decibels" from_decibels decibels, display [(0.0, "dB")],
    units [("dB", 1.0)]
}

quantity! {
    /// The loss of a medium by its length.
    LossPerLength, "a loss per length", "0.2 dB/km", "0 dB/km to 1000 dB/km", |v| (0.0..=1000.0).contains(&v),
    base "decibels per kilometre" from_decibels_per_kilometre decibels_per_kilometre,
    display [(0.0, "dB/km")],
    units [("dB/km", 1.0), ("dB/m", 1e3)]
}

quantity! {
    /// How often something periodic happens: the clock of a source.
    Frequency, "a frequency", "1 GHz", "above 0 Hz, to 1 THz", |v| v > 0.0 && v <= 1e12,
    base "hertz" from_hertz hertz,
    display [(1e9, "GHz"), (1e6, "MHz"), (1e3, "kHz"), (0.0, "Hz")],
    units [("Hz", 1.0), ("kHz", 1e3), ("MHz", 1e6), ("GHz", 1e9), ("THz", 1e12)]
}

quantity! {
    /// How often something random happens, or how many bits pass, in a second.
    Rate, "a rate", "100 /s", "0 /s to 1e15 /s", |v| (0.0..=1e15).contains(&v),
    base "events (or bits) per second" from_per_second per_second,
    display [(0.0, "/s")],
    units [("/s", 1.0), ("/min", 1.0 / 60.0), ("/h", 1.0 / 3600.0), ("bit/s", 1.0), ("kbit/s", 1e3),
           ("Mbit/s", 1e6), ("Gbit/s", 1e9)]
}

quantity! {
    /// A wavelength of light, or a width in wavelength.
    Wavelength, "a wavelength", "1550 nm", "above 0 nm, to 1 mm", |v| v > 0.0 && v <= 1e6,
    base "nanometres" from_nanometres nanometres, display [(0.0, "nm")],
    units [("nm", 1.0), ("um", 1e3), ("pm", 1e-3)]
}

quantity! {
    /// A plane angle. Light misaligned by an angle `a` between two orthogonal states errs with sin²(a).
    Angle, "an angle", "5 deg", "-360 deg to 360 deg", |v| libm::fabs(v) <= core::f64::consts::TAU + 1e-9,
    base "radians" from_radians radians, display [(0.0, "rad")],
    units [("rad", 1.0), ("mrad", 1e-3), ("deg", core::f64::consts::PI / 180.0)]
}

quantity! {
    /// An electric current: what a detector's bias monitor shows.
    Current, "a current", "0.1 mA", "0 A to 1 A", |v| (0.0..=1.0).contains(&v),
    base "amperes" from_amperes amperes,
    display [(1e-3, "mA"), (1e-6, "uA"), (0.0, "nA")],
    units [("A", 1.0), ("mA", 1e-3), ("uA", 1e-6), ("nA", 1e-9)]
}

quantity! {
    /// The strength of spontaneous Raman scattering: a fraction of the pump's power per length and bandwidth
    /// (the rho of Eraerds et al., New J. Phys. 12, 063027 (2010)).
    RamanCoefficient, "a Raman coefficient", "2.6e-9 /km/nm", "0 to 1e-3 /km/nm", |v| (0.0..=1e-3).contains(&v),
    base "per kilometre and nanometre" from_per_kilometre_nanometre per_kilometre_nanometre,
    display [(0.0, "/km/nm")],
    units [("/km/nm", 1.0)]
}

/// An optical power. Written in watts or, as a level, in dBm.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Power(f64);

impl Power {
    /// From a number of watts.
    pub const fn from_watts(watts: f64) -> Self {
        Self(watts)
    }
    /// From a level in decibels over a milliwatt.
    pub fn from_dbm(level: f64) -> Self {
        Self(1e-3 * libm::pow(10.0, level / 10.0))
    }
    /// The number of watts.
    pub const fn watts(self) -> f64 {
        self.0
    }
    /// The level in decibels over a milliwatt.
    pub fn dbm(self) -> f64 {
        10.0 * libm::log10(self.0 / 1e-3)
    }
}

impl Quantity for Power {
    const KIND: &'static str = "an optical power";
    const EXAMPLE: &'static str = "-34 dBm";
    const UNITS: &'static [UnitName] = &[
        UnitName { name: "W", factor: 1.0 },
        UnitName { name: "mW", factor: 1e-3 },
        UnitName { name: "uW", factor: 1e-6 },
        UnitName { name: "nW", factor: 1e-9 },
        UnitName { name: "dBm", factor: 1.0 },
    ];
    fn parse(text: &str) -> Result<Self, QuantityError> {
        let value = parse_scaled::<Self>(text)?;
        let power = if text.trim_end().ends_with("dBm") { Self::from_dbm(value) } else { Self(value) };
        if (0.0..=10.0).contains(&power.0) {
            Ok(power)
        } else {
            Err(QuantityError::OutOfRange {
                text: text.to_owned(),
                kind: Self::KIND,
                range: "0 W to 10 W, or up to 40 dBm",
            })
        }
    }
}

impl fmt::Display for Power {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 > 0.0 {
            format_scaled(f, self.dbm(), "dBm", Self::UNITS)
        } else {
            format_scaled(f, self.0, "W", Self::UNITS)
        }
    }
}

impl Loss {
    /// No loss.
    pub const NONE: Self = Self(0.0);
    /// The fraction of the light that comes through, 10^(-dB/10).
    pub fn transmittance(self) -> f64 {
        libm::pow(10.0, -self.0 / 10.0)
    }
    /// The loss that lets the fraction `transmittance` (above 0, at most 1) through.
    pub fn from_transmittance(transmittance: f64) -> Self {
        Self(-10.0 * libm::log10(transmittance))
    }
}

impl core::ops::Add for Loss {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl core::iter::Sum for Loss {
    fn sum<I: Iterator<Item = Self>>(losses: I) -> Self {
        losses.fold(Self::NONE, |sum, loss| sum + loss)
    }
}

impl Length {
    /// The number of kilometres.
    pub fn kilometres(self) -> f64 {
        self.0 / 1e3
    }
    /// From a number of kilometres.
    pub const fn from_kilometres(kilometres: f64) -> Self {
        Self(kilometres * 1e3)
    }
}

impl Mul<Length> for LossPerLength {
    type Output = Loss;
    fn mul(self, length: Length) -> Loss {
        Loss::from_decibels(self.0 * length.kilometres())
    }
}

impl Frequency {
    /// The time between two ticks, in picoseconds, exact only if the frequency divides 1 THz.
    pub fn period_picoseconds(self) -> f64 {
        1e12 / self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_and_units_parse_in_the_forms_people_write() {
        assert_eq!(Length::parse("32 km").unwrap().metres(), 32_000.0);
        assert_eq!(Length::parse("32km").unwrap().metres(), 32_000.0);
        assert_eq!(Length::parse("1e3 m").unwrap().kilometres(), 1.0);
        assert_eq!(Loss::parse("0.5 dB").unwrap().decibels(), 0.5);
        assert_eq!(Frequency::parse("2.5 GHz").unwrap().hertz(), 2.5e9);
        assert_eq!(Rate::parse("6 /min").unwrap().per_second(), 0.1);
        assert!((Angle::parse("90 deg").unwrap().radians() - core::f64::consts::FRAC_PI_2).abs() < 1e-15);
        assert!((Power::parse("-30 dBm").unwrap().watts() - 1e-6).abs() < 1e-18);
        assert_eq!(RamanCoefficient::parse("2.6e-9 /km/nm").unwrap().per_kilometre_nanometre(), 2.6e-9);
    }

    #[test]
    fn each_mistake_has_its_own_message() {
        let message = |r: Result<Length, QuantityError>| r.unwrap_err().to_string();
        assert_eq!(
            message(Length::parse("50")),
            "`50` has no unit: write a length like `50 km` (units: m, km, cm, mm)"
        );
        assert_eq!(
            message(Length::parse("50 miles")),
            "`miles` is no unit of a length: write it like `50 km` (units: m, km, cm, mm)"
        );
        assert_eq!(
            message(Length::parse("far")),
            "`far` does not begin with a number: write a length like `50 km`"
        );
        assert_eq!(
            message(Length::parse("-1 km")),
            "`-1 km` is outside the range of a length (0 m to 1e9 m)"
        );
    }

    #[test]
    fn losses_add_and_transmittances_multiply() {
        let total: Loss = [Loss::from_decibels(3.0), Loss::from_decibels(7.0)].into_iter().sum();
        assert!((total.transmittance() - 0.1).abs() < 1e-15);
        assert!((Loss::from_transmittance(0.01).decibels() - 20.0).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_the_same_value(metres in 0.0..1e8f64) {
            let length = Length::from_metres(metres);
            let again = Length::parse(&length.to_string()).unwrap();
            prop_assert!((again.metres() - metres).abs() <= 1e-10 * metres);
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = Length::parse(&text);
            let _ = Power::parse(&text);
        }
    }
}
