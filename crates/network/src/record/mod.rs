//! One record for each key that a network file may have.
//!
//! The reader's unknown-key check and defaults, the JSON Schema and the reference of the book all come from
//! these records, so that they cannot disagree.

pub(crate) mod circuit;
pub(crate) mod devices;
pub(crate) mod entangling;
pub(crate) mod events;
pub(crate) mod generate;
pub(crate) mod link;
pub(crate) mod live;
pub(crate) mod network;
pub(crate) mod platform;

use bellwether_units::{Quantity, UnitName};

/// A table of a network file: what it is and which keys it may have.
#[derive(Debug)]
pub(crate) struct Record {
    /// What one such table is called in messages: `link`.
    pub(crate) name: &'static str,
    /// What the table is for.
    pub(crate) doc: &'static str,
    /// Whether a profile, the defaults or a template may give what the table itself leaves out.
    pub(crate) layered: bool,
    /// The keys it may have, in the order in which they are best written.
    pub(crate) fields: &'static [Field],
}

/// A key of a table.
#[derive(Debug)]
pub(crate) struct Field {
    /// As it is written.
    pub(crate) key: &'static str,
    /// What its value is.
    pub(crate) kind: Kind,
    /// Whether it must be there.
    pub(crate) presence: Presence,
    /// What it means.
    pub(crate) doc: &'static str,
    /// The choices that must have been made in the same table for the key to have a meaning; all of them.
    pub(crate) only: &'static [Only],
}

/// A choice that another key depends on: the key it is made by, and the values with which the other key has
/// a meaning.
#[derive(Debug)]
pub(crate) struct Only {
    pub(crate) key: &'static str,
    pub(crate) values: &'static [&'static str],
}

/// Whether a key must be there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Presence {
    /// It must.
    Required,
    /// It may be left out, which then means this value, as it would be written without quotes.
    Default(&'static str),
    /// It may be left out, with a meaning that its documentation tells.
    Optional,
}

/// What a value is.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// The name of something: see [`is_name`].
    Name,
    /// The name of an application: see [`is_sae_name`].
    SaeName,
    /// An IP address and a port.
    Address,
    /// Texts.
    Texts,
    /// The names of two different nodes.
    TwoNodes,
    /// A latitude and a longitude.
    Position,
    /// True or false.
    Flag,
    /// A whole number within the range, ends included.
    Integer { least: u64, most: u64 },
    /// A number.
    Number(Range),
    /// A number and a unit, as one text.
    Quantity(&'static QuantityKind),
    /// A number and a unit, as one text, or a word in its place.
    QuantityOr(&'static QuantityKind, &'static Word),
    /// One of a few words.
    Choice(&'static [Word]),
    /// Several of a few words.
    Choices(&'static [Word]),
    /// So many values of one kind.
    Several { item: &'static Kind, least: usize, most: usize },
    /// One value for both ends of a link, or a list of one for each.
    PerEnd(&'static Kind),
    /// A table.
    Table(&'static Record),
    /// A table, or the name of a profile.
    TableOrProfile(&'static Record),
    /// Tables by name.
    Named(&'static Record),
    /// Tables by the names of applications.
    NamedSaes(&'static Record),
    /// Tables in a row.
    List(&'static Record),
}

/// A range of numbers.
#[derive(Debug)]
pub(crate) struct Range {
    pub(crate) least: f64,
    pub(crate) most: f64,
    /// Whether the least is itself allowed.
    pub(crate) least_allowed: bool,
    /// Whether the most is itself allowed.
    pub(crate) most_allowed: bool,
    /// What the number is, with its article: `a probability`.
    pub(crate) what: &'static str,
    /// A value that would do.
    pub(crate) example: &'static str,
}

/// A kind of quantity, as a value.
#[derive(Debug)]
pub(crate) struct QuantityKind {
    pub(crate) kind: &'static str,
    pub(crate) example: &'static str,
    pub(crate) units: &'static [UnitName],
    /// Whether a text is one.
    pub(crate) check: fn(&str) -> Result<(), bellwether_units::QuantityError>,
}

/// One of the words of a choice.
#[derive(Debug)]
pub(crate) struct Word {
    pub(crate) word: &'static str,
    pub(crate) doc: &'static str,
}

/// A type whose values are words in a network file.
pub(crate) trait Choice: Copy + 'static {
    /// The words, with what they mean.
    const WORDS: &'static [Word];
    /// The values, in the order of the words.
    const VALUES: &'static [Self];
}

/// Gives an enum its words in network files, from which also its public `name` comes.
macro_rules! words {
    ($visibility:vis $type:ty { $($word:literal => $value:ident: $doc:literal),+ $(,)? }) => {
        impl $crate::record::Choice for $type {
            const WORDS: &'static [$crate::record::Word] =
                &[$($crate::record::Word { word: $word, doc: $doc }),+];
            const VALUES: &'static [Self] = &[$(Self::$value),+];
        }

        impl $type {
            /// As it stands in network files and reports.
            $visibility const fn name(self) -> &'static str {
                match self { $(Self::$value => $word),+ }
            }
        }
    };
}
pub(crate) use words;

impl QuantityKind {
    /// The kind of `Q`.
    pub(crate) const fn of<Q: Quantity>() -> Self {
        Self { kind: Q::KIND, example: Q::EXAMPLE, units: Q::UNITS, check: |text| Q::parse(text).map(|_| ()) }
    }
}

/// The kinds of quantity that records use.
pub(crate) mod quantities {
    use super::QuantityKind;
    use crate::Size;
    use bellwether_units as units;

    pub(crate) static ANGLE: QuantityKind = QuantityKind::of::<units::Angle>();
    pub(crate) static CURRENT: QuantityKind = QuantityKind::of::<units::Current>();
    pub(crate) static DURATION: QuantityKind = QuantityKind::of::<units::Duration>();
    pub(crate) static FREQUENCY: QuantityKind = QuantityKind::of::<units::Frequency>();
    pub(crate) static LENGTH: QuantityKind = QuantityKind::of::<units::Length>();
    pub(crate) static LOSS: QuantityKind = QuantityKind::of::<units::Loss>();
    pub(crate) static LOSS_PER_LENGTH: QuantityKind = QuantityKind::of::<units::LossPerLength>();
    pub(crate) static POWER: QuantityKind = QuantityKind::of::<units::Power>();
    pub(crate) static RAMAN: QuantityKind = QuantityKind::of::<units::RamanCoefficient>();
    pub(crate) static RATE: QuantityKind = QuantityKind::of::<units::Rate>();
    pub(crate) static SIZE: QuantityKind = QuantityKind::of::<Size>();
    pub(crate) static WAVELENGTH: QuantityKind = QuantityKind::of::<units::Wavelength>();
}

impl Range {
    /// 0 to 1, ends included.
    pub(crate) const PROBABILITY: Self = Self {
        least: 0.0,
        most: 1.0,
        least_allowed: true,
        most_allowed: true,
        what: "a probability",
        example: "0.1",
    };
    /// Above 0, at most 1.
    pub(crate) const POSITIVE_PROBABILITY: Self = Self { least_allowed: false, ..Self::PROBABILITY };
    /// Above 0, below 1.
    pub(crate) const OPEN_PROBABILITY: Self = Self { most_allowed: false, ..Self::POSITIVE_PROBABILITY };
    /// 0 to 0.5: the probability of an error that carries no information at one half.
    pub(crate) const ERROR: Self = Self { most: 0.5, example: "0.01", ..Self::PROBABILITY };

    /// Whether `value` lies within; a number that is none does not.
    pub(crate) fn contains(&self, value: f64) -> bool {
        (value > self.least || (self.least_allowed && value == self.least))
            && (value < self.most || (self.most_allowed && value == self.most))
    }

    /// The range in words: `above 0, at most 1`.
    pub(crate) fn words(&self) -> String {
        match (self.least_allowed, self.most_allowed) {
            (true, true) => format!("{} to {}", self.least, self.most),
            (true, false) => format!("{} or more, below {}", self.least, self.most),
            (false, true) => format!("above {}, at most {}", self.least, self.most),
            (false, false) => format!("above {}, below {}", self.least, self.most),
        }
    }
}

impl Field {
    /// A key that must be there.
    pub(crate) const fn required(key: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self { key, kind, presence: Presence::Required, doc, only: &[] }
    }
    /// A key that may be left out, with a meaning that `doc` tells.
    pub(crate) const fn optional(key: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self { key, kind, presence: Presence::Optional, doc, only: &[] }
    }
    /// A key that may be left out, which then means `value`.
    pub(crate) const fn default(
        key: &'static str,
        kind: Kind,
        value: &'static str,
        doc: &'static str,
    ) -> Self {
        Self { key, kind, presence: Presence::Default(value), doc, only: &[] }
    }
    /// The key only has a meaning with these choices.
    pub(crate) const fn only(mut self, only: &'static [Only]) -> Self {
        self.only = only;
        self
    }
}

impl Record {
    /// The record of a key.
    pub(crate) fn field(&self, key: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.key == key)
    }
}

/// Whether a text may name a node, link, demand or profile: 1 to 64 letters, digits, `-` and `_`.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.chars().count())
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
}

/// Whether a text may name an application: 1 to 64 characters that RFC 3986 lets stand in a URI (section 2).
///
/// The rule of `SaeName` in the room `protocol`, which this room cannot see.
pub(crate) fn is_sae_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(record: &'static Record, seen: &mut Vec<&'static str>, visit: &mut dyn FnMut(&Record, &Field)) {
        if seen.contains(&record.name) {
            return;
        }
        seen.push(record.name);
        for field in record.fields {
            visit(record, field);
            match field.kind {
                Kind::Table(inner)
                | Kind::TableOrProfile(inner)
                | Kind::Named(inner)
                | Kind::NamedSaes(inner)
                | Kind::List(inner) => walk(inner, seen, visit),
                _ => {}
            }
        }
    }

    #[test]
    fn every_record_is_whole() {
        let mut seen = Vec::new();
        for record in [&network::FILE, &platform::PLATFORM] {
            walk(record, &mut seen, &mut whole);
        }
    }

    fn whole(record: &Record, field: &Field) {
        let place = format!("{}.{}", record.name, field.key);
        assert!(field.doc.ends_with('.') || field.doc.ends_with('`'), "{place} has no sentence");
        assert_eq!(record.fields.iter().filter(|f| f.key == field.key).count(), 1, "{place} twice");
        if let Presence::Default(value) = field.presence {
            let kind = match &field.kind {
                Kind::PerEnd(item) => item,
                kind => kind,
            };
            match kind {
                Kind::Quantity(quantity) => (quantity.check)(value).expect(&place),
                Kind::Choice(words) => assert!(words.iter().any(|w| w.word == value), "{place}"),
                Kind::Number(range) => assert!(range.contains(value.parse().expect(&place)), "{place}"),
                Kind::Integer { least, most } => {
                    assert!((*least..=*most).contains(&value.parse().expect(&place)), "{place}");
                }
                Kind::Flag => assert!(matches!(value, "true" | "false"), "{place}"),
                _ => {}
            }
        }
        for only in field.only {
            let Some(Field { kind: Kind::Choice(words), .. }) = record.field(only.key) else {
                panic!("{place} depends on `{}`, which is no choice", only.key);
            };
            for value in only.values {
                assert!(words.iter().any(|w| w.word == *value), "{place} depends on `{value}`");
            }
        }
    }

    #[test]
    fn applications_have_names_that_a_uri_can_hold() {
        for good in ["a", "bank-a", "urn:example:sae:7", "x%20y", &"n".repeat(64)] {
            assert!(is_sae_name(good), "{good}");
        }
        for bad in ["", "a b", "café", "a\0", "a\"b", "<", &"n".repeat(65)] {
            assert!(!is_sae_name(bad), "{bad}");
        }
    }
}
