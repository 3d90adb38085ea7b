//! What was used up, in small files beside what it was used of.

use super::{FileError, failed};
use crate::identity::files::{read_private, write_private};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A record that is replaced as a whole, durably, and belongs to one process at a time.
pub(super) struct Progress {
    path: PathBuf,
    _lock: File,
}

impl Progress {
    /// The record in the file beside `of` whose name ends in `ending`, and what it says.
    pub(super) fn open<T: DeserializeOwned>(of: &Path, ending: &str) -> Result<(Self, Option<T>), FileError> {
        let beside = |ending: &str| {
            let mut name = of.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        };
        let path = beside(ending);
        let lock_path = beside(&format!("{ending}.lock"));
        let mut options = OpenOptions::new();
        let opened = options.write(true).create(true).truncate(false).mode(0o600).open(&lock_path);
        let lock = opened.map_err(failed("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let problem = "another process is using it: wait for its end".to_owned();
                return Err(FileError::Content { path: of.to_owned(), problem });
            }
            Err(TryLockError::Error(source)) => return Err(failed("lock", &lock_path)(source)),
        }
        let told = if path.exists() {
            let text = read_private(&path)?;
            let told = serde_json::from_slice(&text).map_err(|error| FileError::Content {
                path: path.clone(),
                problem: format!(
                    "is no record of what was used ({error}); what it was made for is not used without it"
                ),
            })?;
            Some(told)
        } else {
            None
        };
        Ok((Self { path, _lock: lock }, told))
    }

    /// Replaces the record; durable when this returns.
    pub(super) fn keep(&self, record: &impl Serialize) -> Result<(), FileError> {
        let text = serde_json::to_vec(record).expect("numbers can be written");
        Ok(write_private(&self.path, &text)?)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}
