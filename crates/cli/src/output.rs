//! Standard output and files.

use crate::Failure;
use serde::Serialize;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

/// Prints `text` to standard output; a reader that has gone away is [`Failure::BrokenPipe`], no panic.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

/// Prints words as one line, without a copy of them all: some may be secret.
pub(crate) fn print_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    for word in words {
        out.write_all(word.as_bytes())?;
    }
    Ok(out.write_all(b"\n").and_then(|()| out.flush())?)
}

/// Prints `text` as it is, at once, without a line's end.
pub(crate) fn print_part(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Prints `value` as indented JSON.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    print(&json(value)?)
}

/// `value` as indented JSON with a line's end.
pub(crate) fn json(value: &impl Serialize) -> Result<String, Failure> {
    let mut text = serde_json::to_string_pretty(value).map_err(|error| Failure::Print(error.into()))?;
    text.push('\n');
    Ok(text)
}

/// Writes a file, whole or not at all: it gets its name when it is complete.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".part");
    let unfinished = Path::new(&unfinished);
    fs::write(unfinished, bytes).map_err(Failure::write(path))?;
    fs::rename(unfinished, path).map_err(Failure::write(path))
}

/// Tells `line` on standard error. If nobody is left to hear it, so be it.
pub(crate) fn tell(line: &str) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Whether standard output shows bold and colours.
pub(crate) fn is_styled() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
