//! How mistakes in single values are told: what is wanted, what is there, what could be written.

use crate::record::{Field, Kind, Presence, Range};
use crate::text::clip;
use crate::{Problem, nearest};
use toml::de::DeValue;

/// A number out of its range.
pub(crate) fn out_of_range(value: &DeValue<'_>, range: &Range) -> Problem {
    Problem::OutOfRange {
        value: written(value),
        what: range.what,
        range: range.words(),
        example: range.example.to_owned(),
    }
}

/// A whole number out of its range.
pub(crate) fn integer_out_of_range(value: &DeValue<'_>, least: u64, most: u64) -> Problem {
    let range = if most == u64::MAX { format!("{least} to 2^64 - 1") } else { format!("{least} to {most}") };
    let example = least.max(1).to_string();
    Problem::OutOfRange { value: written(value), what: "a number allowed here", range, example }
}

fn written(value: &DeValue<'_>) -> String {
    match value {
        DeValue::Float(float) => clip(float.as_str()),
        DeValue::Integer(integer) => clip(integer.as_str()),
        other => other.type_str().to_owned(),
    }
}

/// A word that is not one of those known.
pub(crate) fn unknown_word(what: &'static str, word: &str, known: Vec<&'static str>) -> Problem {
    let nearest = nearest(word, known.iter().copied()).and_then(|near| known.iter().find(|w| **w == near));
    Problem::UnknownWord { value: clip(word), what, nearest: nearest.copied(), known }
}

/// What a value of a kind is, in words.
fn expected(kind: &Kind) -> String {
    match kind {
        Kind::Text | Kind::Name | Kind::SaeName => "a text".to_owned(),
        Kind::Address => "an IP address and a port, as one text".to_owned(),
        Kind::Texts => "a list of texts".to_owned(),
        Kind::TwoNodes => "a list of two nodes' names".to_owned(),
        Kind::Position => "a latitude and a longitude, each a text with its unit".to_owned(),
        Kind::Flag => "true or false".to_owned(),
        Kind::Integer { .. } => "a whole number".to_owned(),
        Kind::Number(range) => range.what.to_owned(),
        Kind::Quantity(kind) => format!("{}, written as a text with its unit", kind.kind),
        Kind::QuantityOr(kind, word) => {
            format!("{}, written as a text with its unit, or \"{}\"", kind.kind, word.word)
        }
        Kind::Several { item, .. } => format!("a list, each value of which is {}", expected(item)),
        Kind::PerEnd(item) => format!("{}, or a list of one for each end", expected(item)),
        Kind::Choice(_) => "a word in quotes".to_owned(),
        Kind::Choices(_) => "a list of words in quotes".to_owned(),
        Kind::Table(_) => "a table".to_owned(),
        Kind::TableOrProfile(_) => "a table or the name of a profile".to_owned(),
        Kind::Named(_) | Kind::NamedSaes(_) => "a table of tables by name".to_owned(),
        Kind::List(_) => "a list of tables".to_owned(),
    }
}

/// A value of the wrong type.
pub(crate) fn wrong_type(field: &Field, found: &DeValue<'_>) -> Problem {
    let expected = expected(&field.kind);
    let example = match (&field.kind, found) {
        // Fifty without a unit is probably fifty of the unit of the example.
        (Kind::Quantity(kind), DeValue::Integer(_) | DeValue::Float(_)) => {
            let unit = kind.example.split_once(' ').map_or(kind.units[0].name, |(_, unit)| unit);
            format!("{} = \"{} {unit}\", if that is the unit", field.key, written(found))
        }
        _ => example(field),
    };
    let found = match found {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    Problem::WrongType { what: format!("`{}`", field.key), expected, found, example }
}

/// How a key could be written.
pub(crate) fn example(field: &Field) -> String {
    example_of(field.key, &field.kind)
}

fn example_of(key: &str, kind: &Kind) -> String {
    // A value without its key.
    let alone = |kind| {
        let written = example_of("", kind);
        written.trim_start_matches(" = ").to_owned()
    };
    match kind {
        Kind::QuantityOr(kind, word) => format!("{key} = \"{}\" or \"{}\"", kind.example, word.word),
        Kind::Several { item: Kind::Choice(words), .. } => {
            let words: Vec<_> = words.iter().map(|w| format!("\"{}\"", w.word)).collect();
            format!("{key} = [{}]", words.join(", "))
        }
        Kind::Several { item, least, .. } => {
            let items = vec![alone(item); (*least).max(1)];
            format!("{key} = [{}]", items.join(", "))
        }
        Kind::PerEnd(item) => format!("{key} = {}", alone(item)),
        Kind::Text => format!("{key} = \"..\""),
        Kind::Name | Kind::SaeName => format!("{key} = \"NAME\""),
        Kind::Address => format!("{key} = \"127.0.0.1:4430\""),
        Kind::Texts => format!("{key} = [\"..\"]"),
        Kind::TwoNodes => format!("{key} = [\"A\", \"B\"]"),
        Kind::Position => format!("{key} = [\"48.27 deg\", \"16.42 deg\"]"),
        Kind::Flag => format!("{key} = true"),
        Kind::Integer { least, .. } => format!("{key} = {}", least.max(&1)),
        Kind::Number(range) => format!("{key} = {}", range.example),
        Kind::Quantity(kind) => format!("{key} = \"{}\"", kind.example),
        Kind::Choice(words) => {
            let words: Vec<_> = words.iter().map(|w| format!("\"{}\"", w.word)).collect();
            format!("{key} = {}", words.join(" or "))
        }
        Kind::Choices(words) => {
            let words: Vec<_> = words.iter().map(|w| format!("\"{}\"", w.word)).collect();
            format!("{key} = [{}]", words.join(", "))
        }
        Kind::Table(inner) => match inner.fields.iter().find(|f| f.presence == Presence::Required) {
            Some(field) => format!("{key} = {{ {}, .. }}", example(field)),
            None => format!("{key} = {{ .. }}"),
        },
        Kind::TableOrProfile(_) => format!("{key} = \"PROFILE\" or {key} = {{ .. }}"),
        Kind::Named(_) | Kind::NamedSaes(_) => format!("[{key}.NAME]"),
        Kind::List(inner) => match inner.fields.iter().find(|f| f.presence == Presence::Required) {
            Some(field) => format!("{key} = [{{ {}, .. }}]", example(field)),
            None => format!("[[{key}]]"),
        },
    }
}

/// That a list has too few values, or too many.
pub(crate) fn wrong_count(key: &str, least: usize, most: usize, found: usize) -> Problem {
    let wanted = if least == most { least.to_string() } else { format!("{least} to {most}") };
    Problem::Condition {
        what: format!("`{key}`"),
        condition: format!("must have {wanted} values, and this has {found}"),
    }
}
