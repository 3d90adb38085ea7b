//! Reading an audit log: whether its chain holds, and what it says of a node or a key.

use super::chain::{BrokenChain, Hash, Head};
use crate::wall_clock;
use serde_json::Value;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// The longest first line in which a node's name is looked for, in bytes.
const LONGEST_ENTRY: u64 = 16 << 20;

/// What a log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How many entries.
    pub entries: u64,
    /// The number of the first.
    pub first: u64,
    /// When the first was written.
    pub from: String,
    /// When the last was written.
    pub to: String,
    /// Where the chain ends.
    pub head: Head,
    /// Whether the hash that was looked for is that of one of the entries.
    pub found: bool,
}

/// Why a log is not to be trusted, or cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The system refused.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The chain does not hold.
    #[error("{}, line {line}: {why}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        why: BrokenChain,
    },
    /// There is no entry.
    #[error("{} holds no entry", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A time that cannot be read.
    #[error("`{0}` is no time: write 2026-11-21 or 2026-11-21T09:00:00Z")]
    Time(String),
}

/// The files of one node's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The node, as the first entry of each file has it.
    pub node: String,
    /// The folder of all of them.
    pub folder: PathBuf,
    /// In the order in which they were given.
    pub files: Vec<PathBuf>,
}

/// Parts files into logs, each of a node and in a folder, in the order of their first files. Each has a chain of its own.
///
/// # Errors
/// If a file cannot be read.
pub fn logs(files: &[PathBuf]) -> Result<Vec<Log>, CheckError> {
    let mut logs: Vec<Log> = Vec::new();
    for path in files {
        let read = |source| CheckError::Read { path: path.clone(), source };
        let mut line = Vec::new();
        let first =
            BufReader::new(File::open(path).map_err(read)?).take(LONGEST_ENTRY).read_until(b'\n', &mut line);
        first.map_err(read)?;
        let node = member(&String::from_utf8_lossy(&line), "node");
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        match logs.iter_mut().find(|log| log.node == node && log.folder == folder) {
            Some(log) => log.files.push(path.clone()),
            None => logs.push(Log { node, folder, files: vec![path.clone()] }),
        }
    }
    Ok(logs)
}

/// Checks that the chain of these files of one log, the oldest first, holds, and looks for the hash of an entry in it.
///
/// # Errors
/// The first place at which it does not hold.
pub fn verify(files: &[PathBuf], wanted: Option<Hash>) -> Result<Report, CheckError> {
    let mut report: Option<Report> = None;
    for path in files {
        let mut entries = 0;
        each_line(path, |number, line| {
            let broken = |why| CheckError::Broken { path: path.clone(), line: number, why };
            let begins = if number == 1 { Some(Head::before(line).map_err(broken)?) } else { None };
            if let (Some(begins), Some(report)) = (begins, &report)
                && begins != report.head
            {
                return Err(broken(BrokenChain::Continuation));
            }
            let time = member(line, "time");
            let report = report.get_or_insert_with(|| {
                let head = begins.unwrap_or_default();
                let (first, from) = (head.next, time.clone());
                Report { entries: 0, first, from, to: String::new(), head, found: false }
            });
            report.head.check(line).map_err(broken)?;
            report.found |= wanted == Some(report.head.hash);
            report.entries += 1;
            report.to = time;
            entries += 1;
            Ok(())
        })?;
        if entries == 0 {
            return Err(CheckError::Empty { path: path.clone() });
        }
    }
    report.ok_or_else(|| CheckError::Empty { path: files.first().cloned().unwrap_or_default() })
}

/// What is looked for in a log. All that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// A node that has seen a key or a share of it, that relayed it, or with which something happened.
    pub node: Option<String>,
    /// The name of a key.
    pub key: Option<String>,
    /// Not before this time.
    pub from: Option<String>,
    /// Before this time.
    pub to: Option<String>,
}

/// Gives every entry of these files that answers the search to `each`, as it stands there, and how many there were.
/// The chain is not checked.
///
/// # Errors
/// If a file or a time of the search cannot be read, or as `each` says.
pub fn search<E: From<CheckError>>(
    files: &[PathBuf],
    wanted: &Search,
    mut each: impl FnMut(&str) -> Result<(), E>,
) -> Result<u64, E> {
    let time = |written: &Option<String>| {
        let read = |text: &String| wall_clock::normal(text).ok_or_else(|| CheckError::Time(text.clone()));
        written.as_ref().map(read).transpose()
    };
    let (from, to) = (time(&wanted.from)?, time(&wanted.to)?);
    let mut found = 0;
    for path in files {
        each_line(path, |_, line| {
            let Ok(entry) = serde_json::from_str::<Value>(line) else { return Ok(()) };
            let at = entry["time"].as_str().unwrap_or_default();
            let early = from.as_deref().is_some_and(|from| at < from);
            let late = to.as_deref().is_some_and(|to| at >= to);
            let node = wanted.node.as_deref().is_none_or(|node| names_node(&entry, node));
            let key = wanted.key.as_deref().is_none_or(|key| names_key(&entry, key));
            if early || late || !node || !key {
                return Ok(());
            }
            found += 1;
            each(line)
        })?;
    }
    Ok(found)
}

/// Whether an entry says that a key was at this node, or that something happened with it.
fn names_node(entry: &Value, node: &str) -> bool {
    let is = |value: &Value| value.as_str() == Some(node);
    let listed = entry["nodes"].as_array();
    // A node sees every key that passes it as a relay, and every key that never leaves it.
    let own = entry["event"] == "relayed" || listed.is_some_and(Vec::is_empty);
    listed.is_some_and(|nodes| nodes.iter().any(is))
        || ["peer", "from", "to"].iter().any(|member| is(&entry[*member]))
        || (own && is(&entry["node"]))
}

fn names_key(entry: &Value, key: &str) -> bool {
    let is = |value: &Value| value.as_str().is_some_and(|text| text.eq_ignore_ascii_case(key));
    is(&entry["key"]) || entry["keys"].as_array().is_some_and(|keys| keys.iter().any(is))
}

fn member(line: &str, name: &str) -> String {
    let entry: Value = serde_json::from_str(line).unwrap_or_default();
    entry[name].as_str().unwrap_or_default().to_owned()
}

/// Every line of a file, with its number from 1 on. Bytes that are no text are shown as such, and so found.
fn each_line<E: From<CheckError>>(
    path: &Path,
    mut each: impl FnMut(usize, &str) -> Result<(), E>,
) -> Result<(), E> {
    let read = |source| CheckError::Read { path: path.to_owned(), source };
    let mut file = BufReader::new(File::open(path).map_err(read)?);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if file.read_until(b'\n', &mut line).map_err(read)? == 0 {
            break;
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        each(number, &String::from_utf8_lossy(text))?;
    }
    Ok(())
}
