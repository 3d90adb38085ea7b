//! Records of time tags in files.

mod channels;
mod reader;

pub use channels::Channels;
pub use reader::{TagFormat, TagReadError, TagReader};

use super::{FileError, failed};
use bellwether_protocol::qkd::tags::Clicks;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// So many clicks are read at a time.
const PIECE: usize = 1 << 14;

/// A record of time tags in a file.
pub struct TagRecord {
    path: PathBuf,
    bytes: u64,
    reader: TagReader<File>,
    /// What was read ahead.
    next: Option<(Clicks, bool)>,
}

impl TagRecord {
    /// Opens a record: in a format that is given, or that which its first bytes show.
    ///
    /// # Errors
    /// If the file cannot be read, or is of no known format.
    pub fn open(path: &Path, format: Option<TagFormat>, channels: Channels) -> Result<Self, FileError> {
        let file = File::open(path).map_err(failed("open", path))?;
        let bytes = file.metadata().map_err(failed("read", path))?.len();
        let reader = TagReader::new(file, format, channels).map_err(|error| told(path, error))?;
        Ok(Self { path: path.to_owned(), bytes, reader, next: None })
    }

    /// Whether a file's first bytes show a record of time tags.
    pub fn is_one(path: &Path) -> bool {
        let mut first = Vec::new();
        // Whoever opens it for its content tells why it cannot be read.
        let read = File::open(path).and_then(|file| file.take(16).read_to_end(&mut first));
        read.is_ok() && reader::shown(&first).is_some()
    }

    /// Which file it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What its channels stand for, and their delays.
    pub(super) fn channels(&self) -> String {
        self.reader.channels().told_with_delays()
    }

    /// How many bytes the file has.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many of them were read.
    pub fn bytes_read(&self) -> u64 {
        self.reader.bytes()
    }

    /// Passes over clicks before this time, in picoseconds, and reads the first after it: what is wrong at the beginning
    /// shows before the other end waits, and so does how long it takes.
    pub(super) fn begin_at(&mut self, time: u64) -> Result<(), FileError> {
        self.reader.begin_at(time);
        self.next = Some(self.read()?);
        Ok(())
    }

    /// The next clicks, and whether the record ends with them.
    pub(super) fn read(&mut self) -> Result<(Clicks, bool), FileError> {
        match self.next.take() {
            Some(next) => Ok(next),
            None => self.reader.read(PIECE).map_err(|error| told(&self.path, error)),
        }
    }
}

fn told(path: &Path, error: TagReadError) -> FileError {
    match error {
        TagReadError::Io(source) => failed("read", path)(source),
        TagReadError::Content(problem) => FileError::Content { path: path.to_owned(), problem },
    }
}
