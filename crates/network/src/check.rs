//! Checks of a table's keys against its record, and of tables that are perhaps never read.

use crate::reader::{Integer, Layer, Layers, Path, Reader, integer, number};
use crate::record::{Field, Kind, Presence, Record, is_name};
use crate::sink::Sink;
use crate::text::clip;
use crate::wording::{integer_out_of_range, out_of_range, unknown_word, wrong_count, wrong_type};
use crate::{Problem, nearest};
use std::borrow::Cow;
use toml::Spanned;
use toml::de::DeValue;

/// Checks the keys of a table against its record: none unknown, none out of place.
pub(crate) fn check_keys(
    layer: Layer<'_, '_>,
    layers: &Layers<'_, '_>,
    record: &'static Record,
    path: &Path<'_>,
    sink: &mut Sink<'_>,
) {
    for (key, _) in layer.table {
        let name: &str = key.get_ref();
        match record.field(name) {
            None => {
                let known: Vec<_> = record.fields.iter().map(|field| field.key).collect();
                let near = nearest(name, known.iter().copied())
                    .and_then(|near| known.iter().copied().find(|k| *k == near));
                let problem =
                    Problem::UnknownKey { key: clip(name), table: record.name, nearest: near, known };
                sink.tell(key.span(), || path.here(), problem);
            }
            Some(field) => {
                if let Some((by, value, with)) = out_of_place(field, record, layers) {
                    let problem = Problem::OutOfPlace { key: field.key, by, value, with };
                    sink.tell(key.span(), || path.here(), problem);
                }
            }
        }
    }
}

/// The choice that makes a key meaningless, if one does: its key, its value, and the values that would do.
fn out_of_place(
    field: &Field,
    record: &'static Record,
    layers: &Layers<'_, '_>,
) -> Option<(&'static str, String, &'static [&'static str])> {
    for only in field.only {
        let decider = record.field(only.key)?;
        if out_of_place(decider, record, layers).is_some() {
            continue;
        }
        let word: Cow<'_, str> = match layers.get(only.key).map(Spanned::get_ref) {
            Some(DeValue::String(word)) => Cow::Borrowed(word.as_ref()),
            Some(_) => continue,
            None => match decider.presence {
                Presence::Default(word) => Cow::Borrowed(word),
                _ => continue,
            },
        };
        let Kind::Choice(words) = decider.kind else { continue };
        let known = words.iter().any(|w| w.word == word);
        if known && !only.values.contains(&word.as_ref()) {
            return Some((only.key, clip(&word), only.values));
        }
    }
    None
}

/// Checks a table that is perhaps never read, such as a profile that no link names: its keys and the type and
/// range of each value. What is missing is not told, for another layer may give it.
pub(crate) fn check_alone(
    layer: Layer<'_, '_>,
    record: &'static Record,
    path: &Path<'_>,
    sink: &mut Sink<'_>,
) {
    let layers = Layers::one(Some(layer));
    check_keys(layer, &layers, record, path, sink);
    let reader = Reader::new(layers, record, *path, layer.start..layer.end);
    for (key, value) in layer.table {
        let Some(field) = record.field(key.get_ref()) else { continue };
        let wrong = match (&field.kind, value.get_ref()) {
            (Kind::Several { item, least, most }, DeValue::Array(items)) => {
                if !(*least..=*most).contains(&items.len()) {
                    let problem = wrong_count(field.key, *least, *most, items.len());
                    reader.tell(sink, value.span(), field.key, problem);
                }
                tell_items(&reader, field, item, items, sink);
                None
            }
            (Kind::PerEnd(item), DeValue::Array(items)) if items.len() == 2 => {
                tell_items(&reader, field, item, items, sink);
                None
            }
            (Kind::PerEnd(_), found @ DeValue::Array(_)) => Some(wrong_type(field, found)),
            (Kind::PerEnd(item), found) => wrong_plain(field, item, found),
            (Kind::QuantityOr(_, word), DeValue::String(text)) if text == word.word => None,
            (Kind::QuantityOr(kind, _), DeValue::String(text)) => {
                (kind.check)(&clip(text)).err().map(Problem::Quantity)
            }
            (Kind::Table(inner) | Kind::TableOrProfile(inner), DeValue::Table(_)) => {
                if let Some(below) = Layer::of(value) {
                    check_alone(below, inner, &path.below(field.key), sink);
                }
                None
            }
            (Kind::TableOrProfile(_), DeValue::String(_)) => None,
            (Kind::List(inner), DeValue::Array(items)) => {
                for item in items.iter() {
                    match Layer::of(item) {
                        Some(below) => {
                            check_alone(below, inner, &path.below(field.key), sink);
                        }
                        None => reader.tell(sink, item.span(), field.key, wrong_type(field, item.get_ref())),
                    }
                }
                None
            }
            (kind, found) => wrong_plain(field, kind, found),
        };
        if let Some(problem) = wrong {
            reader.tell(sink, value.span(), field.key, problem);
        }
    }
}

/// Tells what is wrong with each value of a list.
fn tell_items(
    reader: &Reader<'_, '_, '_>,
    field: &'static Field,
    kind: &Kind,
    items: &[Spanned<DeValue<'_>>],
    sink: &mut Sink<'_>,
) {
    for item in items {
        if let Some(problem) = wrong_plain(field, kind, item.get_ref()) {
            reader.tell(sink, item.span(), field.key, problem);
        }
    }
}

/// What is wrong with a value that is no table and no list.
fn wrong_plain(field: &'static Field, kind: &Kind, found: &DeValue<'_>) -> Option<Problem> {
    match (kind, found) {
        (Kind::Text, DeValue::String(_)) | (Kind::Flag, DeValue::Boolean(_)) => None,
        (Kind::Name, DeValue::String(name)) => {
            (!is_name(name)).then(|| Problem::BadName { name: clip(name) })
        }
        (Kind::Quantity(kind), DeValue::String(text)) => {
            (kind.check)(&clip(text)).err().map(Problem::Quantity)
        }
        (Kind::Choice(words), DeValue::String(word)) => (!words.iter().any(|w| w.word == word))
            .then(|| unknown_word(field.key, word, words.iter().map(|w| w.word).collect())),
        (Kind::Number(range), found) => match number(found) {
            Some(number) => (!range.contains(number)).then(|| out_of_range(found, range)),
            None => Some(wrong_type(field, found)),
        },
        (Kind::Integer { least, most }, found) => match integer(found) {
            Integer::Within(number) if (*least..=*most).contains(&number) => None,
            Integer::Not => Some(wrong_type(field, found)),
            _ => Some(integer_out_of_range(found, *least, *most)),
        },
        (_, found) => Some(wrong_type(field, found)),
    }
}
