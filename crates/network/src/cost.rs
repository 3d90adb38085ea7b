//! How much memory a file's table takes, told from its tokens before the table is made.
//!
//! The parser keeps every token, and gives every table a node of a B-tree of eleven places however few keys
//! it has; a file of a few bytes a token or a table would take a hundred times its own size. The weights are
//! those of the `toml` crate, version 1, on a machine of 64 bits, rounded up; what they say is an upper bound.

use toml_parser::Source;
use toml_parser::lexer::{Token, TokenKind};

/// The most memory that reading a file may take, in bytes.
pub(crate) const LIMIT: u64 = 1 << 30;

/// A token and the event made of it.
const TOKEN: u64 = 48;
/// The node that a table's first key makes.
const NODE: u64 = 1_000;
/// The keys that fit into a table's first node.
const NODE_KEYS: u32 = 11;
/// The key that does not fit.
const FIRST_TOO_MANY: u32 = NODE_KEYS + 1;
/// What that key makes: a second node, and one above both.
const SPLIT: u64 = 2_100;
/// A key in a table of many nodes, which are at least half full.
const KEY: u64 = 230;
/// The least room of an array.
const ARRAY: u64 = 208;
/// An item of an array, which has room for up to twice as many as it holds.
const ITEM: u64 = 96;
/// The least room of a text that is not as it stands in the file.
const OWNED: u64 = 32;
/// How often the file itself is held: by its reader, and by what tells of its mistakes.
const COPIES: u64 = 2;

/// What stands in a file that takes too much memory, as far as it was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dense {
    /// The line at which the limit is passed, from 1.
    pub(crate) line: usize,
    /// The tables to there.
    pub(crate) tables: u64,
    /// The keys to there.
    pub(crate) keys: u64,
    /// The items of arrays to there.
    pub(crate) items: u64,
}

/// What is in a file that would take more than `limit` bytes to parse; `None` if it takes no more.
pub(crate) fn dense(text: &str, limit: u64) -> Option<Dense> {
    let mut count = Count::new(text);
    Source::new(text).lex().find_map(|token| {
        count.add(token);
        (count.bytes > limit).then_some(count.found)
    })
}

/// What a bracket has opened.
enum Open {
    Array,
    /// An inline table with so many keys.
    Table(u32),
}

/// Whether a dot belongs to a number.
#[derive(Clone, Copy, PartialEq)]
enum Value {
    /// No value is expected.
    No,
    /// An equals sign stands before, and perhaps blanks.
    Expected,
    /// A value without quotes has begun.
    Begun,
}

struct Count<'t> {
    text: &'t str,
    bytes: u64,
    found: Dense,
    open: Vec<Open>,
    value: Value,
    /// Whether nothing but blanks stands before on the line.
    line_begins: bool,
    /// How many brackets of a header are open.
    header: usize,
    /// Where the header or key that is being read begins, outside of brackets.
    path: usize,
    /// The header before, and the key before of the same table.
    last_header: &'t str,
    last_key: &'t str,
    /// The keys of the table that the last header has opened.
    keys: u32,
}

impl<'t> Count<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            bytes: COPIES * text.len() as u64,
            found: Dense { line: 1, ..Dense::default() },
            open: Vec::new(),
            value: Value::No,
            line_begins: true,
            header: 0,
            path: 0,
            last_header: "",
            last_key: "",
            keys: 0,
        }
    }

    fn add(&mut self, token: Token) {
        let (start, end) = (token.span().start(), token.span().end());
        self.bytes += TOKEN;
        let value = core::mem::replace(&mut self.value, Value::No);
        let line_begins = core::mem::take(&mut self.line_begins);
        if line_begins && self.open.is_empty() {
            self.path = start;
        }
        match token.kind() {
            TokenKind::Whitespace => {
                self.line_begins = line_begins;
                self.value = if value == Value::Begun { Value::No } else { value };
            }
            TokenKind::Newline => {
                self.found.line += 1;
                self.line_begins = true;
                self.header = 0;
            }
            TokenKind::Equals => self.equals(start),
            TokenKind::Dot if value != Value::No => self.value = Value::Begun,
            TokenKind::Dot => self.dot(start),
            TokenKind::LeftSquareBracket if line_begins && self.open.is_empty() => self.header = 1,
            TokenKind::LeftSquareBracket if self.header == 1 && self.path + 1 == start => {
                self.header = 2;
                self.bytes += ARRAY + ITEM;
            }
            TokenKind::LeftSquareBracket => {
                self.bytes += ARRAY + ITEM;
                self.found.items += 1;
                self.open.push(Open::Array);
            }
            TokenKind::RightSquareBracket if self.header > 0 => self.end_of_header(start),
            TokenKind::LeftCurlyBracket => {
                self.found.tables += 1;
                self.open.push(Open::Table(0));
            }
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => {
                self.open.pop();
            }
            TokenKind::Comma => match self.open.last() {
                Some(Open::Table(_)) => {}
                _ => {
                    self.bytes += ITEM;
                    self.found.items += 1;
                }
            },
            TokenKind::Comment | TokenKind::Eof => {}
            TokenKind::LiteralString | TokenKind::MlLiteralString => {}
            TokenKind::BasicString | TokenKind::MlBasicString | TokenKind::Atom => {
                if value != Value::No && token.kind() == TokenKind::Atom {
                    self.value = Value::Begun;
                }
                // An escape or a separator of digits makes a text of its own.
                if self.text.as_bytes()[start..end].iter().any(|byte| matches!(byte, b'\\' | b'_' | b'\r')) {
                    self.bytes += OWNED + 2 * (end - start) as u64;
                }
            }
        }
    }

    /// A key was read.
    fn equals(&mut self, at: usize) {
        self.value = Value::Expected;
        self.found.keys += 1;
        let keys = match self.open.last_mut() {
            Some(Open::Table(keys)) => keys,
            _ => &mut self.keys,
        };
        *keys += 1;
        self.bytes += match *keys {
            1 => NODE,
            2..=NODE_KEYS => 0,
            FIRST_TOO_MANY => SPLIT,
            _ => KEY,
        };
        if self.open.is_empty() {
            self.last_key = self.text[self.path.min(at)..at].trim_end();
        }
    }

    /// A key of a table that may have to be made.
    fn dot(&mut self, at: usize) {
        let known = if !self.open.is_empty() {
            false
        } else if self.header > 0 {
            self.text[..=at].get(self.path + self.header..).is_some_and(|path| {
                // The last header's table has a node if it has a key.
                path.strip_suffix('.') == Some(self.last_header) && self.keys > 0
                    || self.last_header.starts_with(path)
            })
        } else {
            self.text[..=at].get(self.path..).is_some_and(|path| self.last_key.starts_with(path))
        };
        if !known {
            self.found.tables += 1;
            // Its own node and its place in that of the table above.
            self.bytes += NODE + KEY;
        }
    }

    /// A header was read; its table takes a node when it gets a key.
    fn end_of_header(&mut self, at: usize) {
        let start = (self.path + self.header).min(at);
        self.last_header = self.text[start..at].trim_end();
        self.last_key = "";
        self.keys = 0;
        self.header = 0;
        self.found.tables += 1;
        self.bytes += KEY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `text` costs beside itself and its tokens.
    fn cost(text: &str) -> u64 {
        let mut count = Count::new("");
        count.text = text;
        for token in Source::new(text).lex() {
            count.add(token);
            count.bytes -= TOKEN;
        }
        count.bytes
    }

    #[test]
    fn what_makes_a_table_costs_a_node() {
        assert_eq!(cost("# [a] = {b.c}\n"), 0);
        assert_eq!(cost("a = 1\nb = 0.25\nc = \"x.y = [{\"\n"), NODE);
        assert_eq!(cost("a = 1.b.c"), NODE, "an odd number is no table");
        assert_eq!(cost("[a]\n[b]\n"), 2 * KEY);
        assert_eq!(cost("[a]\nx = 1\n"), KEY + NODE);
        assert_eq!(cost("a = { b = 1 }\n"), 2 * NODE);
        assert_eq!(cost("a.b = 1\n"), 2 * NODE + KEY);
        assert_eq!(cost("[a]\nx = [1, 2]\n"), KEY + NODE + ARRAY + 2 * ITEM);
        assert_eq!(cost("a = { b.c = 0.5, d.e = 0.5 }"), 2 * NODE + 2 * (NODE + KEY));
        assert_eq!(cost("[[a]]\n"), KEY + ARRAY + ITEM);
        assert_eq!(cost("a = \"\\u0041\""), NODE + OWNED + 16);
    }

    #[test]
    fn a_table_that_is_there_costs_nothing_again() {
        let (header, made) = (KEY, NODE + KEY);
        assert_eq!(cost("[a.b]\n[a.c]\n[a.d]\n"), 3 * header + made);
        assert_eq!(cost("[a.b]\n[aa.b]\n"), 2 * (header + made));
        assert_eq!(cost("[a]\n[a.b]\n"), 2 * header + made);
        assert_eq!(cost("[a]\nx = 1\n[a.b]\n"), 2 * header + NODE);
        assert_eq!(cost("a.x = 1\na.y = 2\nb.x = 3\n"), NODE + 2 * made);
        assert_eq!(cost("[[a]]\n[a.b]\n[[a]]\n[a.b]\n"), 4 * header + 2 * (made + ARRAY + ITEM));
    }

    #[test]
    fn many_keys_cost_more_nodes() {
        let keys = |count: usize| cost(&(0..count).map(|key| format!("k{key} = 1\n")).collect::<String>());
        assert_eq!(keys(11), NODE);
        assert_eq!(keys(12), NODE + SPLIT);
        assert_eq!(keys(20), NODE + SPLIT + 8 * KEY);
    }

    #[test]
    fn what_passes_the_limit_is_told_with_its_line() {
        let text = "a = { b = 1 }\n".repeat(1000);
        let dense = dense(&text, 500_000).unwrap();
        assert!((100..1000).contains(&dense.line), "{dense:?}");
        assert!(dense.line as u64 - dense.tables <= 1, "{dense:?}");
        assert_eq!(super::dense(&text, 10_000_000), None);
    }
}
