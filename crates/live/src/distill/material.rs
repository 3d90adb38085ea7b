//! What keys are made of, and how far it was used.

use super::progress::Progress;
use super::tags::TagRecord;
use super::{FileError, RawKey};
use bellwether_bits::{BitString, SecretBits};
use bellwether_protocol::qkd::tags::{SiftedKey, TagSettings};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::path::Path;

/// What a run makes keys of.
pub enum Material {
    /// A raw key, sifted already.
    RawKey(RawKey),
    /// A record of time tags, and how it is sifted.
    TimeTags(Box<TagRecord>, TagSettings),
}

impl Material {
    /// Which file it is.
    pub fn path(&self) -> &Path {
        match self {
            Self::RawKey(raw_key) => raw_key.path(),
            Self::TimeTags(record, _) => record.path(),
        }
    }
}

/// Where the bits of blocks come from.
pub(super) enum Source {
    RawKey(RawKey),
    /// Sifted bits of a record, and how it was told.
    Sifted(SiftedKey, UsedTime),
}

/// How far a raw key was used.
#[derive(Serialize, Deserialize)]
struct UsedBits {
    /// Bits in the raw key.
    bits: u64,
    /// The first that may still be used.
    next: u64,
}

/// How far a record of time tags was used.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct UsedTime {
    /// Bytes of its file.
    bytes: u64,
    /// The first time whose clicks may still be used, in picoseconds by the record's own clock; none if all is used.
    next_time: Option<u64>,
    /// The settings under which its events were told. Under others they would tell more: two maps of channels together, for
    /// one, which detector clicked.
    told: Option<String>,
}

impl UsedTime {
    /// The first time whose clicks may be used.
    pub(super) fn first(&self) -> u64 {
        self.next_time.unwrap_or(u64::MAX)
    }

    /// The events are about to be told: durable when this returns.
    pub(super) fn telling(&self, progress: &Progress) -> Result<(), FileError> {
        progress.keep(self)
    }
}

impl Source {
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::RawKey(raw_key) => raw_key.len(),
            Self::Sifted(key, _) => key.len(),
        }
    }

    pub(super) fn bits(&self, range: Range<u64>) -> Result<SecretBits, FileError> {
        match self {
            Self::RawKey(raw_key) => raw_key.bits(range),
            Self::Sifted(key, _) => Ok(key.bits(range)),
        }
    }

    /// The bases of bits, where they are known: 1 for X.
    pub(super) fn bases(&self, range: Range<u64>) -> Option<BitString> {
        match self {
            Self::RawKey(_) => None,
            Self::Sifted(key, _) => Some(key.bases(range)),
        }
    }

    /// No bit before `next` may be used again: durable when this returns.
    pub(super) fn used(&self, progress: &Progress, next: u64) -> Result<(), FileError> {
        match self {
            Self::RawKey(raw_key) => progress.keep(&UsedBits { bits: raw_key.len(), next }),
            // Nothing is used yet that was not when it began.
            Self::Sifted(_, used) if next == 0 => progress.keep(used),
            Self::Sifted(key, used) => {
                let next_time = (next < key.len()).then(|| key.used_before(next));
                progress.keep(&UsedTime { next_time, ..used.clone() })
            }
        }
    }
}

/// The record of what was used of a raw key, and the first bit that was not.
pub(super) fn unused_bits(raw_key: &RawKey) -> Result<(Progress, u64), FileError> {
    let (progress, used) = Progress::open::<UsedBits>(raw_key.path(), ".progress")?;
    let content = |problem| Err(FileError::Content { path: raw_key.path().to_owned(), problem });
    let record = progress.path().display();
    let first = match used {
        None => 0,
        Some(used) if used.bits != raw_key.len() => {
            return content(format!(
                "has {} bits, and {record} tells of a raw key of {}: if this is another one, delete that file",
                raw_key.len(),
                used.bits
            ));
        }
        Some(used) if used.next >= used.bits => {
            return content(format!(
                "all of its {} bits were distilled before, {record} says; a raw key gives key once. If this is another \
                 one, delete that file",
                used.bits
            ));
        }
        Some(used) => used.next,
    };
    Ok((progress, first))
}

/// The record of what was used of time tags, and what is left to be told under these settings.
pub(super) fn unused_time(
    tags: &TagRecord,
    settings: &TagSettings,
) -> Result<(Progress, UsedTime), FileError> {
    let telling = format!(
        "{}; rounded to {} ps, together within {} ps",
        tags.channels(),
        settings.rounding,
        settings.together
    );
    let (progress, used) = Progress::open::<UsedTime>(tags.path(), ".progress")?;
    let content = |problem| Err(FileError::Content { path: tags.path().to_owned(), problem });
    let record = progress.path().display();
    let first = match used {
        None => 0,
        Some(used) if used.bytes != tags.bytes() => {
            return content(format!(
                "has {} bytes, and {record} tells of a record of {}: if this is another one, delete that file",
                tags.bytes(),
                used.bytes
            ));
        }
        Some(UsedTime { next_time: None, .. }) => {
            return content(format!(
                "all of its clicks were distilled before, {record} says; a record gives key once. If this is another \
                 one, delete that file"
            ));
        }
        Some(UsedTime { told: Some(told), .. }) if told != telling => {
            return content(format!(
                "was told before, {record} says, with channels, delays, rounding and --together that were other ones: {told}; \
                 now they are {telling}. To tell it again in another way would show a listener which detectors clicked: \
                 use the same, or another record"
            ));
        }
        Some(UsedTime { next_time: Some(time), .. }) => time,
    };
    Ok((progress, UsedTime { bytes: tags.bytes(), next_time: Some(first), told: Some(telling) }))
}
