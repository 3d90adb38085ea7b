//! Amounts of key: a whole number of bits.

use bellwether_units::{Quantity, QuantityError, UnitName};
use core::fmt;

/// An amount of key or of memory for key, in whole bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

impl Size {
    /// An amount of `bits`.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
    /// The number of bits.
    pub const fn bits(self) -> u64 {
        self.0
    }
}

impl Quantity for Size {
    const KIND: &'static str = "a size";
    const EXAMPLE: &'static str = "256 bit";
    const UNITS: &'static [UnitName] = &[
        UnitName { name: "bit", factor: 1.0 },
        UnitName { name: "kbit", factor: 1e3 },
        UnitName { name: "Mbit", factor: 1e6 },
        UnitName { name: "Gbit", factor: 1e9 },
        UnitName { name: "byte", factor: 8.0 },
        UnitName { name: "kB", factor: 8e3 },
        UnitName { name: "MB", factor: 8e6 },
        UnitName { name: "GB", factor: 8e9 },
    ];
    fn parse(text: &str) -> Result<Self, QuantityError> {
        let trimmed = text.trim();
        let unit_at = trimmed
            .char_indices()
            .find(|&(at, c)| {
                c.is_ascii_alphabetic()
                    && !(matches!(c, 'e' | 'E')
                        && trimmed[at + 1..]
                            .starts_with(|next: char| next.is_ascii_digit() || matches!(next, '+' | '-')))
            })
            .map_or(trimmed.len(), |(at, _)| at);
        let (number, unit) = (trimmed[..unit_at].trim(), &trimmed[unit_at..]);
        let units = || Self::UNITS.iter().map(|u| u.name).collect::<Vec<_>>().join(", ");
        let (kind, example) = (Self::KIND, Self::EXAMPLE);
        let value: f64 = number
            .parse()
            .ok()
            .filter(|v: &f64| v.is_finite())
            .ok_or_else(|| QuantityError::NotANumber { text: text.to_owned(), kind, example })?;
        if unit.is_empty() {
            return Err(QuantityError::MissingUnit { text: text.to_owned(), kind, example, units: units() });
        }
        let known = Self::UNITS.iter().find(|u| u.name == unit).ok_or_else(|| {
            QuantityError::UnknownUnit { unit: unit.to_owned(), kind, example, units: units() }
        })?;
        let bits = libm::round(value * known.factor);
        if (0.0..=1e18).contains(&bits) && libm::fabs(bits - value * known.factor) <= 1e-12 * bits + 1e-9 {
            Ok(Self(bits as u64))
        } else {
            Err(QuantityError::OutOfRange {
                text: text.to_owned(),
                kind,
                range: "a whole number of bits, to 1e9 Gbit",
            })
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, scale) = match self.0 {
            0..1_000 => ("bit", 1.0),
            1_000..1_000_000 => ("kbit", 1e3),
            1_000_000..1_000_000_000 => ("Mbit", 1e6),
            _ => ("Gbit", 1e9),
        };
        write!(f, "{} {unit}", self.0 as f64 / scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_whole_numbers_of_bits() {
        assert_eq!(Size::parse("256 bit").unwrap().bits(), 256);
        assert_eq!(Size::parse("1.5kbit").unwrap().bits(), 1_500);
        assert_eq!(Size::parse("1e6 bit").unwrap().bits(), 1_000_000);
        assert_eq!(Size::parse("32 byte").unwrap().bits(), 256);
        assert_eq!(Size::parse("10 Mbit").unwrap().to_string(), "10 Mbit");
        assert!(matches!(Size::parse("0.5 bit"), Err(QuantityError::OutOfRange { .. })));
        assert!(matches!(Size::parse("-1 bit"), Err(QuantityError::OutOfRange { .. })));
        assert!(matches!(Size::parse("256"), Err(QuantityError::MissingUnit { .. })));
        assert!(matches!(Size::parse("256 nibble"), Err(QuantityError::UnknownUnit { .. })));
        assert!(matches!(Size::parse("many bit"), Err(QuantityError::NotANumber { .. })));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*") {
            let _ = Size::parse(&text);
        }

        #[test]
        fn what_is_printed_parses_to_the_same_size(bits in 0u64..1_000_000_000_000) {
            prop_assert_eq!(Size::parse(&Size::from_bits(bits).to_string()).unwrap().bits(), bits);
        }
    }
}
