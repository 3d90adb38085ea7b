//! Where a piece of text stands: in the file, in an override, or in a profile of the library.
//!
//! Spans of all three live in one range of numbers, so that a value can be taken from any of them and a
//! mistake in it still be shown where it was written.

use core::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The largest file that is read.
pub(crate) const LARGEST_FILE: u64 = 64 * 1024 * 1024;
/// The longest override, and the longest profile.
pub(crate) const LONGEST_SNIPPET: usize = 1 << 16;

const OVERRIDES: usize = 1 << 30;
const PROFILES: usize = 1 << 31;

/// Where override `index` begins.
pub(crate) fn override_base(index: usize) -> usize {
    OVERRIDES + index * LONGEST_SNIPPET
}

/// Where profile `index` of the library begins.
pub(crate) fn profile_base(index: usize) -> usize {
    PROFILES + index * LONGEST_SNIPPET
}

/// A text and what it is called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named<'a> {
    pub(crate) name: &'a str,
    pub(crate) text: &'a str,
}

/// All texts that a span may point into.
#[derive(Debug)]
pub(crate) struct Texts<'a> {
    pub(crate) file: Named<'a>,
    pub(crate) overrides: Vec<Named<'a>>,
    pub(crate) profiles: Vec<Named<'a>>,
}

impl<'a> Texts<'a> {
    /// The text that a span points into, and the place there; an empty one at the file's start if it points
    /// nowhere.
    pub(crate) fn find(&self, span: &Range<usize>) -> (Named<'a>, Range<usize>) {
        let (texts, base) = match span.start {
            PROFILES.. => (&self.profiles, PROFILES),
            OVERRIDES.. => (&self.overrides, OVERRIDES),
            _ => return (self.file, clamp(self.file.text, span.clone())),
        };
        let index = (span.start - base) / LONGEST_SNIPPET;
        let start = base + index * LONGEST_SNIPPET;
        match texts.get(index) {
            Some(named) => (*named, clamp(named.text, span.start - start..span.end.saturating_sub(start))),
            None => (self.file, 0..0),
        }
    }
}

/// The span, held within the text and widened to whole characters.
fn clamp(text: &str, span: Range<usize>) -> Range<usize> {
    let mut start = span.start.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let mut end = span.end.clamp(start, text.len());
    while !text.is_char_boundary(end) {
        end += 1;
    }
    start..end
}

/// The line (from 1) and column (from 1, in characters) of a place in a text.
pub(crate) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..at.min(text.len())];
    let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
    let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    // A column counts the bytes that begin a character.
    let column = 1 + before[line_start..].iter().filter(|&&byte| byte & 0xc0 != 0x80).count();
    (line, column)
}

/// The table with all its spans moved by `base`.
pub(crate) fn moved<'i>(table: DeTable<'i>, base: usize) -> DeTable<'i> {
    table
        .into_iter()
        .map(|(key, value)| {
            let span = key.span();
            (Spanned::new(span.start + base..span.end + base, key.into_inner()), moved_value(value, base))
        })
        .collect()
}

/// The value with all its spans moved by `base`.
pub(crate) fn moved_value<'i>(value: Spanned<DeValue<'i>>, base: usize) -> Spanned<DeValue<'i>> {
    let span = value.span();
    let inner = match value.into_inner() {
        DeValue::Table(table) => DeValue::Table(moved(table, base)),
        DeValue::Array(mut array) => {
            for item in array.iter_mut() {
                let taken = core::mem::replace(item, Spanned::new(0..0, DeValue::Boolean(false)));
                *item = moved_value(taken, base);
            }
            DeValue::Array(array)
        }
        other => other,
    };
    Spanned::new(span.start + base..span.end + base, inner)
}

/// The text cut to what a message can carry, without control characters.
pub(crate) fn clip(text: &str) -> String {
    clip_to(text, 60)
}

/// The text cut to `most` characters, without control characters.
pub(crate) fn clip_to(text: &str, most: usize) -> String {
    let mut short: String = text
        .chars()
        .take(most)
        .map(|c| if c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c) { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(most).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_in_each_text() {
        let texts = Texts {
            file: Named { name: "a.toml", text: "x = 1\ny = \"é\" # end\n" },
            overrides: vec![Named { name: "--set", text: "x=2" }, Named { name: "--set", text: "y=3" }],
            profiles: vec![],
        };
        assert_eq!(texts.find(&(6..7)).1, 6..7);
        assert_eq!(texts.find(&(override_base(1) + 2..override_base(1) + 3)).0.text, "y=3");
        assert_eq!(texts.find(&(override_base(1) + 2..override_base(1) + 3)).1, 2..3);
        assert_eq!(texts.find(&(profile_base(3)..profile_base(3) + 1)).1, 0..0);
        assert_eq!(texts.find(&(12..12)).1, 11..13, "a place within a character is the character");
        assert_eq!(line_and_column(texts.file.text, 16), (2, 10));
    }

    #[test]
    fn long_and_odd_texts_are_clipped() {
        assert_eq!(clip("a\u{7}b"), "a\u{fffd}b");
        assert_eq!(clip(&"x".repeat(100)).chars().count(), 61);
    }
}
