//! Reading a network file.

use crate::cost::{self, Dense, dense};
use crate::error::Errors;
use crate::lower::lower;
use crate::overrides::{self, Override};
use crate::profile::library;
use crate::sink::Sink;
use crate::text::{LARGEST_FILE, Named, Texts};
use crate::{Identity, Network, Problem};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use toml::de::DeTable;

/// Up to this size all faults of a file's grammar are told; of a larger one only the first.
const SMALL: usize = 1 << 20;

impl Network {
    /// Reads a network file of at most 64 MiB, with values overridden. A file so dense in tables and keys that
    /// reading it would take more than 1 GiB of memory is refused as well.
    pub fn read(path: impl AsRef<Path>, overrides: &[Override]) -> Result<Self, Errors> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let refuse = |problem| Err(Errors::of_file(&name, problem));
        let too_large = Problem::TooLarge { limit: LARGEST_FILE >> 20 };
        let unreadable = |error: std::io::Error| Problem::Unreadable { reason: error.to_string() };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) => return refuse(unreadable(error)),
        };
        // The size is only a hint, for a pipe has none; the limit on reading is what holds.
        let size = file.metadata().map_or(0, |metadata| metadata.len());
        if size > LARGEST_FILE {
            return refuse(too_large);
        }
        let mut bytes = Vec::with_capacity(size as usize);
        if let Err(error) = file.take(LARGEST_FILE + 1).read_to_end(&mut bytes) {
            return refuse(unreadable(error));
        }
        Self::parse_bytes(&bytes, &name, overrides)
    }

    /// Reads a network file that is already in memory; `file_name` is what messages call it.
    pub fn parse_bytes(bytes: &[u8], file_name: &str, overrides: &[Override]) -> Result<Self, Errors> {
        if bytes.len() as u64 > LARGEST_FILE {
            let problem = Problem::TooLarge { limit: LARGEST_FILE >> 20 };
            return Err(Errors::of_file(file_name, problem));
        }
        match core::str::from_utf8(bytes) {
            Ok(text) => Self::parse(text, file_name, overrides),
            Err(error) => {
                let offset = error.valid_up_to();
                let line = 1 + bytes[..offset].iter().filter(|&&byte| byte == b'\n').count();
                let problem = Problem::NotUtf8 { line, byte: bytes[offset], offset };
                Err(Errors::of_file(file_name, problem))
            }
        }
    }

    /// Reads the text of a network file; `file_name` is what messages call it.
    ///
    /// ```
    /// use bellwether_network::Network;
    ///
    /// let network = Network::parse(
    ///     r#"
    ///     format = 1
    ///     network.name = "two nodes"
    ///     [node.A]
    ///     [node.B]
    ///     [link.A-B]
    ///     ends = ["A", "B"]
    ///     fibre = { length = "50 km", loss_per_length = "0.2 dB/km" }
    ///     transmitter = "generic-decoy-1ghz"
    ///     receiver = "generic-snspd"
    ///     "#,
    ///     "two-nodes.toml",
    ///     &[],
    /// )?;
    /// assert_eq!(network.links[0].fibre.loss().to_string(), "10 dB");
    /// # Ok::<(), bellwether_network::Errors>(())
    /// ```
    pub fn parse(text: &str, file_name: &str, overrides: &[Override]) -> Result<Self, Errors> {
        if text.len() as u64 > LARGEST_FILE {
            let problem = Problem::TooLarge { limit: LARGEST_FILE >> 20 };
            return Err(Errors::of_file(file_name, problem));
        }
        if let Some(Dense { line, tables, keys, items }) = dense(text, cost::LIMIT) {
            let problem = Problem::TooDense { limit: cost::LIMIT >> 20, line, tables, keys, items };
            return Err(Errors::of_file(file_name, problem));
        }
        let texts = Texts {
            file: Named { name: file_name, text },
            overrides: overrides.iter().map(|o| Named { name: "--set", text: o.text() }).collect(),
            profiles: library().texts().collect(),
        };
        let mut sink = Sink::new(texts);
        let Some(mut table) = grammar(text, &mut sink) else { return Err(sink.into_errors()) };
        if overrides.len() > overrides::MOST {
            let reason = format!("more than {} overrides are given", overrides::MOST);
            sink.tell(0..0, String::new, Problem::Override { reason });
        } else {
            overrides::apply(&mut table, overrides, &mut sink);
        }
        let identity = identity(text, file_name, overrides);
        match lower(&table, identity, &mut sink) {
            Some(network) if sink.is_clean() => Ok(network),
            _ => Err(sink.into_errors()),
        }
    }
}

/// Where a file has a line longer than [`SMALL`], which no network needs and a parser takes badly.
fn long_line(text: &str) -> Option<usize> {
    let mut start = 0;
    text.split_inclusive('\n').find_map(|line| {
        let here = start;
        start += line.len();
        (line.len() > SMALL).then_some(here)
    })
}

/// What is wrong with the grammar of the beginning of a large file: garbage is told without parsing all of it.
fn garbage(text: &str) -> Option<toml::de::Error> {
    // Cut before a header, for a value may go on over several lines; should one be cut all the same, its end
    // is what is missing, and only the whole file can tell whether it is there.
    let mut most = SMALL.min(text.len());
    while !text.is_char_boundary(most) {
        most -= 1;
    }
    let beginning = &text[..text[..most].rfind("\n[")?];
    let error = DeTable::parse(beginning).err()?;
    let cut =
        error.message().contains("unclosed") || error.span().is_none_or(|s| s.end + 4096 > beginning.len());
    (!cut).then_some(error)
}

/// The file's table, or what is wrong with its grammar.
fn grammar<'i>(text: &'i str, sink: &mut Sink<'_>) -> Option<DeTable<'i>> {
    let (table, errors) = if text.len() <= SMALL {
        let (table, errors) = DeTable::parse_recoverable(text);
        (Some(table), errors)
    } else if let Some(start) = long_line(text) {
        let message = "a line is longer than 1 MiB".to_owned();
        sink.tell(start..start + 1, String::new, Problem::NotToml { message });
        return None;
    } else if let Some(error) = garbage(text) {
        (None, vec![error])
    } else {
        match DeTable::parse(text) {
            Ok(table) => (Some(table), Vec::new()),
            Err(error) => (None, vec![error]),
        }
    };
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        if error.message() == "duplicate key" {
            let name = text.get(span.clone()).unwrap_or_default().trim_matches(['"', '\'']);
            let problem = Problem::Duplicate { name: crate::text::clip(name) };
            sink.tell(span, || "given before".to_owned(), problem);
        } else {
            let message = crate::text::clip_to(error.message(), 200);
            sink.tell(span, String::new, Problem::NotToml { message });
        }
    }
    if errors.is_empty() { table.map(toml::Spanned::into_inner) } else { None }
}

fn identity(text: &str, file_name: &str, overrides: &[Override]) -> Identity {
    let mut hash = Sha256::new();
    hash.update(text.as_bytes());
    for one in overrides {
        hash.update([0]);
        hash.update(one.text().as_bytes());
    }
    Identity {
        file: file_name.to_owned(),
        sha256: hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect(),
        overrides: overrides.iter().map(|one| one.text().to_owned()).collect(),
    }
}
