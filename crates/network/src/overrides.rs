//! Values given on the command line in a file's stead.

use crate::sink::Sink;
use crate::text::{LONGEST_SNIPPET, clip, moved_value, override_base};
use crate::{Problem, nearest};
use core::fmt;
use core::ops::Range;
use core::str::FromStr;
use std::borrow::Cow;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value that takes the place of one in a network file, or is added to it.
///
/// Written `path=value`: the path names the key from the top of the file, with `*` for every node, link,
/// demand or event; the value is TOML, or a plain word or quantity without quotes.
///
/// ```
/// use bellwether_network::Override;
///
/// let length = Override::parse("link.A-B.fibre.length=80 km")?;
/// assert_eq!(length.path(), "link.A-B.fibre.length");
/// let seed = Override::parse("run.seed=7")?;
/// let all = Override::parse(r#"link.*.detail="blocks""#)?;
/// assert!(Override::parse("run.seed").is_err());
/// # Ok::<(), bellwether_network::OverrideError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// As it was written.
    text: String,
    /// Where the equals sign stands in it.
    equals: usize,
}

/// Why a text is no override.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverrideError {
    /// There is no equals sign, or nothing on one side of it.
    #[error("`{0}` is no override: write it like link.A-B.fibre.length=\"80 km\"")]
    NoValue(String),
    /// The text is longer than any value of a network file.
    #[error("an override of {0} bytes is too long")]
    TooLong(usize),
}

impl Override {
    /// Reads `path=value`.
    pub fn parse(text: &str) -> Result<Self, OverrideError> {
        if text.len() >= LONGEST_SNIPPET {
            return Err(OverrideError::TooLong(text.len()));
        }
        match text.find('=') {
            Some(equals) if !text[..equals].trim().is_empty() && !text[equals + 1..].trim().is_empty() => {
                Ok(Self { text: text.to_owned(), equals })
            }
            _ => Err(OverrideError::NoValue(clip(text))),
        }
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Which value it gives.
    pub fn path(&self) -> &str {
        self.text[..self.equals].trim()
    }
}

impl fmt::Display for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Override {
    type Err = OverrideError;
    fn from_str(text: &str) -> Result<Self, OverrideError> {
        Self::parse(text)
    }
}

/// The most overrides that are applied: as many as have places of their own.
pub(crate) const MOST: usize = 1 << 14;

/// Keys of which a file has only one: giving one takes the other away.
const INSTEAD: [(&str, &str); 8] = [
    ("loss_per_length", "total_loss"),
    ("total_loss", "loss_per_length"),
    ("at", "arms"),
    ("arms", "at"),
    ("fidelity", "bell_diagonal"),
    ("bell_diagonal", "fidelity"),
    ("path", "links"),
    ("links", "path"),
];

/// Applies the overrides to a file's table, in their order.
pub(crate) fn apply<'i>(file: &mut DeTable<'i>, overrides: &'i [Override], sink: &mut Sink<'_>) {
    for (index, one) in overrides.iter().enumerate() {
        let base = override_base(index);
        let mut at = 0;
        let segments: Vec<(&str, Range<usize>)> = one.text[..one.equals]
            .split('.')
            .map(|segment| {
                let start = at + (segment.len() - segment.trim_start().len());
                at += segment.len() + 1;
                let name = segment.trim().trim_matches('"');
                (name, base + start..base + start + segment.trim().len())
            })
            .collect();
        let value = match value(&one.text[one.equals + 1..], base + one.equals + 1) {
            Ok(value) => value,
            Err((span, message)) => {
                sink.tell(span, || "this value".to_owned(), Problem::NotToml { message });
                continue;
            }
        };
        if let Err((span, reason)) = set_from_top(file, &segments, &value) {
            sink.tell(span, || "this name".to_owned(), Problem::Override { reason });
        }
    }
}

type Segment<'i> = (&'i str, Range<usize>);
type Misled = (Range<usize>, String);

/// The value of an override: TOML, or the text itself.
fn value(text: &str, base: usize) -> Result<Spanned<DeValue<'_>>, Misled> {
    let start = text.len() - text.trim_start().len();
    let trimmed = text.trim();
    match DeValue::parse(trimmed) {
        Ok(value) => Ok(moved_value(value, base + start)),
        Err(error) if trimmed.starts_with(['[', '{', '"', '\'']) => {
            let span = error.span().unwrap_or(0..trimmed.len());
            Err((span.start + base + start..span.end + base + start, error.message().to_owned()))
        }
        Err(_) => {
            let span = base + start..base + start + trimmed.len();
            Ok(Spanned::new(span, DeValue::String(Cow::Borrowed(trimmed))))
        }
    }
}

fn set_from_top<'i>(
    file: &mut DeTable<'i>,
    segments: &[Segment<'i>],
    value: &Spanned<DeValue<'i>>,
) -> Result<(), Misled> {
    let [(first, first_span), rest @ ..] = segments else { return Ok(()) };
    // Names are looked up, for an override changes what is there; it adds keys, not nodes or links.
    let named = matches!(
        *first,
        "node"
            | "link"
            | "entangling"
            | "circuit"
            | "demand"
            | "pair_demand"
            | "sae"
            | "transmitter"
            | "receiver"
            | "platform"
    );
    let [(name, name_span), within @ ..] = rest else {
        return set(file, segments, value);
    };
    if !named {
        return set(file, segments, value);
    }
    if within.is_empty() {
        return Err((name_span.clone(), format!("name a value of the {first}, as in `{first}.{name}.key`")));
    }
    let mut found = false;
    if *name == "*" && matches!(*first, "link" | "entangling") && file.contains_key("generate") {
        let generate = table_at(file, "generate", first_span.clone())?;
        // What is generated is of one kind: entangling links if the file says so.
        if generate.contains_key("entangling") == (*first == "entangling") {
            let template = table_at(generate, first, first_span.clone())?;
            set(template, within, value)?;
            found = true;
        }
    }
    if let Some(DeValue::Table(things)) = file.get_mut(*first).map(Spanned::get_mut) {
        if *name == "*" {
            for (_, thing) in things.iter_mut() {
                if let DeValue::Table(thing) = thing.get_mut() {
                    set(thing, within, value)?;
                    found = true;
                }
            }
        } else if things.contains_key(*name) {
            return set(table_at(things, name, name_span.clone())?, within, value);
        } else {
            let near = nearest(name, things.keys().map(|key| key.get_ref().as_ref()));
            let hint = near.map_or_else(String::new, |near| format!("; the nearest is `{near}`"));
            return Err((name_span.clone(), format!("the file has no {first} `{}`{hint}", clip(name))));
        }
    }
    if found { Ok(()) } else { Err((name_span.clone(), format!("the file has no {first} `{}`", clip(name)))) }
}

/// Sets the value at a path below a table, making tables on the way.
fn set<'i>(
    table: &mut DeTable<'i>,
    segments: &[Segment<'i>],
    value: &Spanned<DeValue<'i>>,
) -> Result<(), Misled> {
    match segments {
        [] => Ok(()),
        [(key, span)] => {
            if let Some((_, other)) = INSTEAD.iter().find(|(given, _)| given == key) {
                table.remove(*other);
            }
            table.remove(*key);
            table.insert(Spanned::new(span.clone(), Cow::Borrowed(*key)), value.clone());
            Ok(())
        }
        [(key, _), (place, place_span), rest @ ..]
            if matches!(table.get(*key).map(Spanned::get_ref), Some(DeValue::Array(_))) =>
        {
            let Some(DeValue::Array(items)) = table.get_mut(*key).map(Spanned::get_mut) else {
                return Ok(());
            };
            let count = items.len();
            let picked = match *place {
                "*" => 0..count,
                place => match place.parse::<usize>().ok().filter(|&place| place < count) {
                    Some(place) => place..place + 1,
                    None => {
                        let reason = format!("`{key}` has the items 0 to {}", count.saturating_sub(1));
                        return Err((place_span.clone(), reason));
                    }
                },
            };
            for item in items.iter_mut().skip(picked.start).take(picked.len()) {
                match item.get_mut() {
                    DeValue::Table(table) if !rest.is_empty() => set(table, rest, value)?,
                    _ if rest.is_empty() => *item = value.clone(),
                    _ => return Err((place_span.clone(), "this item is no table".to_owned())),
                }
            }
            Ok(())
        }
        [(key, span), rest @ ..] => set(table_at(table, key, span.clone())?, rest, value),
    }
}

/// The table at a key, made if it is not there; the name of a profile becomes a table that names it.
fn table_at<'t, 'i>(
    table: &'t mut DeTable<'i>,
    key: &'i str,
    span: Range<usize>,
) -> Result<&'t mut DeTable<'i>, Misled> {
    if let Some(DeValue::String(_)) = table.get(key).map(Spanned::get_ref)
        && matches!(key, "transmitter" | "receiver" | "platform")
        && let Some(profile) = table.remove(key)
    {
        let mut named = DeTable::new();
        let profile_span = profile.span();
        named.insert(Spanned::new(profile_span.clone(), Cow::Borrowed("profile")), profile);
        table.insert(
            Spanned::new(span.clone(), Cow::Borrowed(key)),
            Spanned::new(profile_span, DeValue::Table(named)),
        );
    }
    let entry = table
        .entry(Spanned::new(span.clone(), Cow::Borrowed(key)))
        .or_insert_with(|| Spanned::new(span.clone(), DeValue::Table(DeTable::new())));
    match entry.get_mut() {
        DeValue::Table(inner) => Ok(inner),
        _ => Err((span, format!("`{key}` is no table"))),
    }
}
