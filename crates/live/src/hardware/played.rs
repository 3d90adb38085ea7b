//! How far a recording was used, in a file beside it: what was given once is never given again.

use bellwether_protocol::hardware::PulseNumber;
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// How many windows ahead progress is made durable, so that not every window waits for the disk.
pub(crate) const AHEAD: u64 = 16;

/// How far a recording was handed out.
pub(crate) struct Played {
    file: File,
    run: u64,
    /// The first pulse that may be handed out.
    until: PulseNumber,
}

impl Played {
    const LENGTH: usize = 24;

    /// Where the record of a recording is: the file's name with `.progress` at the end.
    pub(crate) fn beside(recording: &Path) -> PathBuf {
        let mut beside = recording.as_os_str().to_owned();
        beside.push(".progress");
        PathBuf::from(beside)
    }

    /// The first pulse that may be handed out.
    pub(crate) fn until(&self) -> PulseNumber {
        self.until
    }

    /// The record at `path`, of the recording `run`. A new one says that nothing was handed out.
    pub(crate) fn open(path: &Path, run: u64) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::new(io::ErrorKind::WouldBlock, "another process plays it"),
            TryLockError::Error(error) => error,
        })?;
        let mut bytes = Vec::new();
        Read::by_ref(&mut file).take(Self::LENGTH as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            // A file that is not in its folder after a power loss would let the recording be played from its start again.
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
            return Ok(Self { file, run, until: 0 });
        }
        let kept: Option<[u64; 2]> = <[u8; Self::LENGTH]>::try_from(&bytes[..]).ok().and_then(|bytes| {
            let word =
                |at: usize| bytes[at..at + 8].iter().rev().fold(0, |word, b| word << 8 | u64::from(*b));
            (bytes[16..] == Sha256::digest(&bytes[..16])[..8]).then(|| [word(0), word(8)])
        });
        let [kept_run, until] = kept.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "it does not say how far the recording was played")
        })?;
        // Another recording took the file's name: nothing of it was handed out.
        Ok(Self { file, run, until: if kept_run == run { until } else { 0 } })
    }

    /// Makes durable that nothing before `until` will be handed out again.
    pub(crate) fn keep(&mut self, until: PulseNumber) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(Self::LENGTH);
        bytes.extend_from_slice(&self.run.to_le_bytes());
        bytes.extend_from_slice(&until.to_le_bytes());
        let sum = Sha256::digest(&bytes);
        bytes.extend_from_slice(&sum[..8]);
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&bytes)?;
        self.file.sync_data()?;
        self.until = until;
        Ok(())
    }
}
