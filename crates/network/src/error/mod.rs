//! What can be wrong with a network file, and how it is told.

mod render;

use bellwether_units::QuantityError;
use core::fmt;
use core::ops::Range;

/// All that is wrong with a network file, in the order of the file.
///
/// Its [`Display`](fmt::Display) is a report for a terminal without colours: for each [`Mistake`] the file,
/// the line, the text at fault marked, and the remedy. At most [`Errors::SHOWN`] are shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Errors {
    /// The file as it was named.
    pub file: String,
    /// The mistakes, in the order of the file; at most [`Errors::KEPT`].
    pub mistakes: Vec<Mistake>,
    /// How many there were in all.
    pub count: usize,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Mistake {
    /// What is wrong.
    pub problem: Problem,
    /// Where, unless it is with the file as a whole.
    pub place: Option<Place>,
}

/// A place in a network file, an override or a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, or `--set` for an override.
    pub file: String,
    /// The first and the last byte of the text at fault, the last not included.
    pub span: Range<usize>,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What the text at fault is: `length of link A-B, fibre`.
    pub what: String,
    /// The lines around it, as they stand in the file; long ones are cut.
    excerpt: String,
    /// Where the text at fault stands within the excerpt.
    mark: Range<usize>,
    /// Whether the excerpt begins and ends with whole lines, so that columns within it are true.
    whole_lines: bool,
}

/// What can be wrong with a network file.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file cannot be read.
    #[error("cannot read the file: {reason}")]
    Unreadable {
        /// What the operating system said.
        reason: String,
    },
    /// The file is too large to be a network.
    #[error("the file is larger than {limit} MiB, the most that is read")]
    TooLarge {
        /// The limit in MiB.
        limit: u64,
    },
    /// The file is so dense in tables, keys and items that reading it would take too much memory.
    #[error(
        "reading the file would take more than {limit} MiB of memory, the most that is given to it: by line \
         {line} it has {tables} tables, {keys} keys and {items} items of lists"
    )]
    TooDense {
        /// The limit in MiB.
        limit: u64,
        /// The line at which it is passed, from 1.
        line: usize,
        /// The tables to there.
        tables: u64,
        /// The keys to there.
        keys: u64,
        /// The items of lists to there.
        items: u64,
    },
    /// The file is not text.
    #[error("the file is not UTF-8 text: line {line} has a wrong byte, 0x{byte:02x}, at offset {offset}")]
    NotUtf8 {
        /// The line, from 1.
        line: usize,
        /// The byte.
        byte: u8,
        /// How many bytes stand before it in the file.
        offset: usize,
    },
    /// The file is not TOML.
    #[error("this is not TOML: {message}")]
    NotToml {
        /// What the parser says.
        message: String,
    },
    /// A name or key is given twice.
    #[error("`{name}` is given twice")]
    Duplicate {
        /// The name or key.
        name: String,
    },
    /// The file is of another version of the format.
    #[error("this program reads format 1, and the file says {found}")]
    Format {
        /// What it says.
        found: String,
    },
    /// A key is not known.
    #[error("`{table}` has no key `{key}`")]
    UnknownKey {
        /// The key.
        key: String,
        /// What the table is.
        table: &'static str,
        /// The key that was probably meant.
        nearest: Option<&'static str>,
        /// The keys that the table may have.
        known: Vec<&'static str>,
    },
    /// A key is missing.
    #[error("`{table}` needs `{key}`")]
    Missing {
        /// The key, or two of which one is needed.
        key: &'static str,
        /// What the table is.
        table: &'static str,
        /// How it could be written.
        example: String,
    },
    /// A key has no meaning beside another's value.
    #[error("`{key}` has no meaning with `{by} = \"{value}\"`")]
    OutOfPlace {
        /// The key.
        key: &'static str,
        /// The key that makes it meaningless.
        by: &'static str,
        /// That key's value.
        value: String,
        /// The values with which it would have a meaning.
        with: &'static [&'static str],
    },
    /// A value is of the wrong type.
    #[error("{what} must be {expected}, and this is {found}")]
    WrongType {
        /// The key.
        what: String,
        /// What is wanted.
        expected: String,
        /// What is there.
        found: &'static str,
        /// How it could be written.
        example: String,
    },
    /// A text is not the quantity that is wanted.
    #[error("{0}")]
    Quantity(QuantityError),
    /// A number is out of its range.
    #[error("{value} is not {what}: it must be {range}")]
    OutOfRange {
        /// The number.
        value: String,
        /// What it should be, with its article.
        what: &'static str,
        /// The range in words.
        range: String,
        /// A value that would do.
        example: String,
    },
    /// A word is not one of those that are known.
    #[error("`{value}` is no {what}")]
    UnknownWord {
        /// The word.
        value: String,
        /// The key.
        what: &'static str,
        /// The word that was probably meant.
        nearest: Option<&'static str>,
        /// The words that are known.
        known: Vec<&'static str>,
    },
    /// Something is named that is not there.
    #[error("there is no {what} `{name}`")]
    NoSuch {
        /// Node, link, profile ..
        what: &'static str,
        /// The name.
        name: String,
        /// The name that was probably meant.
        nearest: Option<String>,
    },
    /// A name cannot be one.
    #[error("`{name}` cannot be a name")]
    BadName {
        /// The name.
        name: String,
    },
    /// A name cannot be that of an application.
    #[error("`{name}` cannot be the name of an SAE")]
    BadSaeName {
        /// The name.
        name: String,
    },
    /// A pair of applications is given twice.
    #[error("the pair of master `{master}` and slave `{slave}` is given twice")]
    DuplicatePair {
        /// The application that asks.
        master: String,
        /// The application that collects.
        slave: String,
    },
    /// A text is no address at which something could listen.
    #[error("`{text}` is no address to listen at: {reason}")]
    Address {
        /// The text.
        text: String,
        /// Why not.
        reason: &'static str,
    },
    /// Two listeners would share a port.
    #[error("two listeners share {address}: this one and {other}")]
    SamePort {
        /// The address of this one.
        address: String,
        /// Which is the other.
        other: String,
    },
    /// Two keys exclude each other.
    #[error("`{first}` and `{second}` exclude each other")]
    Both {
        /// One.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// Something begins and ends at the same node.
    #[error("a {what} needs two different nodes, and both ends are `{node}`")]
    SameEnds {
        /// Link or demand.
        what: &'static str,
        /// The node.
        node: String,
    },
    /// A demand that no route can serve.
    #[error("no route over trusted nodes leads from `{from}` to `{to}`")]
    Unreachable {
        /// The node that asks.
        from: String,
        /// The node it asks for.
        to: String,
    },
    /// Pairs that no path can give.
    #[error("no path over entangling links leads from `{from}` to `{to}`")]
    NoEntanglingPath {
        /// The node that asks.
        from: String,
        /// The node it asks for.
        to: String,
    },
    /// Probabilities do not sum to one.
    #[error("the probabilities of the intensities sum to {sum}, not to 1")]
    ProbabilitySum {
        /// Their sum.
        sum: f64,
    },
    /// Intensities break a condition of the security bound.
    #[error("the intensities break a condition of the bound `{bound}`: {condition}")]
    Intensities {
        /// The bound.
        bound: &'static str,
        /// The condition.
        condition: &'static str,
    },
    /// A security bound does not fit the source.
    #[error("the bound `{bound}` is for {wanted}, and the source is {found}")]
    BoundMismatch {
        /// The bound.
        bound: &'static str,
        /// What it is for.
        wanted: &'static str,
        /// What the source is.
        found: String,
        /// The bound that would fit, if there is one.
        fitting: Option<&'static str>,
    },
    /// Something must be longer, shorter or later.
    #[error("{what} {condition}")]
    Condition {
        /// What it is about.
        what: String,
        /// What must hold and does not.
        condition: String,
    },
    /// An override leads nowhere.
    #[error("the override leads nowhere: {reason}")]
    Override {
        /// Why.
        reason: String,
    },
}

impl Errors {
    /// How many mistakes are shown.
    pub const SHOWN: usize = 20;
    /// How many mistakes are kept; more are only counted.
    pub const KEPT: usize = 200;

    pub(crate) fn of_file(file: &str, problem: Problem) -> Self {
        Self { file: file.to_owned(), mistakes: vec![Mistake { problem, place: None }], count: 1 }
    }

    /// The report, with colours for a terminal if `coloured`.
    pub fn render(&self, coloured: bool) -> String {
        render::render(self, coloured)
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl core::error::Error for Errors {}

impl Problem {
    /// What to do about it, where the message does not already say so.
    pub fn remedy(&self) -> Option<String> {
        let list = |words: &[&str]| words.join(", ");
        Some(match self {
            Self::UnknownKey { nearest, known, .. } => match nearest {
                Some(nearest) => format!("write `{nearest}`; the keys known here are {}", list(known)),
                None => format!("the keys known here are {}", list(known)),
            },
            Self::UnknownWord { nearest, known, .. } => match nearest {
                Some(nearest) => format!("write \"{nearest}\"; the words known here are {}", list(known)),
                None => format!("the words known here are {}", list(known)),
            },
            Self::NoSuch { what, nearest, .. } => match nearest {
                Some(nearest) => format!("the nearest {what} is `{nearest}`"),
                None => format!("there is no {what} at all"),
            },
            Self::Missing { example, .. } | Self::WrongType { example, .. } => format!("write {example}"),
            Self::OutOfRange { example, .. } => format!("a value that would do: {example}"),
            Self::OutOfPlace { by, with, .. } => {
                format!("leave it out; it belongs to `{by}` = {}", list(with))
            }
            Self::Duplicate { .. } => "leave one of them out or give it another name".to_owned(),
            Self::BadName { .. } => "a name has 1 to 64 letters, digits, `-` and `_`".to_owned(),
            Self::BadSaeName { .. } => {
                "the name of an SAE has 1 to 64 of the characters that a URI may hold: letters and digits of ASCII \
                 and -._~:/?#[]@!$&'()*+,;=%"
                    .to_owned()
            }
            Self::DuplicatePair { .. } => {
                "leave one of them out; if the two ways of a pair are to differ, write both_ways = false in each"
                    .to_owned()
            }
            Self::Address { .. } => {
                "write an IP address and a port, no name: \"127.0.0.1:4430\" or \"[2001:db8::7]:4430\"".to_owned()
            }
            Self::SamePort { .. } => {
                "give one of them another port; without an address, nodes listen at ports from \
                 `first_port` on, in their order"
                    .to_owned()
            }
            Self::Both { .. } => "leave one of them out".to_owned(),
            Self::SameEnds { .. } => "name another node at one end".to_owned(),
            Self::Unreachable { .. } => {
                "add a link, or let a node on the way be of role \"trusted-node\"".to_owned()
            }
            Self::NoEntanglingPath { .. } => {
                "add an entangling link, or let a node on the way be of role \"repeater\"".to_owned()
            }
            Self::ProbabilitySum { .. } => "change one of them so that they sum to 1".to_owned(),
            Self::BoundMismatch { fitting: Some(fitting), .. } => {
                format!("write bound = \"{fitting}\", or leave `bound` out")
            }
            Self::BoundMismatch { fitting: None, .. } => {
                "give the source two intensities (one decoy) or three (two decoys)".to_owned()
            }
            Self::Format { .. } => "write format = 1".to_owned(),
            Self::TooLarge { .. } => "describe a regular network by `[generate]`".to_owned(),
            Self::TooDense { .. } => "write what links have in common once, in `[defaults]` or a profile; \
                                      describe a regular network by `[generate]`"
                .to_owned(),
            Self::NotUtf8 { .. } => "save it as UTF-8".to_owned(),
            Self::NotToml { .. }
            | Self::Unreadable { .. }
            | Self::Quantity(_)
            | Self::Intensities { .. }
            | Self::Condition { .. }
            | Self::Override { .. } => return None,
        })
    }
}
