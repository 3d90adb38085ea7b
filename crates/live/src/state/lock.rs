//! One network at a time in a state directory.
//!
//! Whoever runs a whole network holds the file `lock` locked (`flock`), from before anything else in the directory is
//! touched. The system frees it however the process ends, so that a lock is never left over; the number of the process
//! stands in it for people.

use super::{State, StateError};
use crate::identity::IdentityFileError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// That nobody else runs the network of a state directory, until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl State {
    /// Takes the directory for a network that this process runs; it is made if it is not there.
    ///
    /// # Errors
    /// [`StateError::Running`] if another process runs it; if the folder or the file cannot be used.
    pub fn lock(&self) -> Result<Lock, StateError> {
        let path = self.folder(&[])?.join("lock");
        let mut options = OpenOptions::new();
        let opened = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = opened.map_err(|source| failed("open", &path, source))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut told = String::new();
                // Whoever has just taken it may not have written yet, which changes nothing.
                let process = file.read_to_string(&mut told).ok().and_then(|_| told.trim().parse().ok());
                return Err(StateError::Running { root: self.root().to_owned(), process });
            }
            Err(TryLockError::Error(source)) => return Err(failed("lock", &path, source)),
        }
        let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(|source| failed("write", &path, source))?;
        Ok(Lock { _file: file })
    }
}

fn failed(doing: &'static str, path: &std::path::Path, source: io::Error) -> StateError {
    IdentityFileError::Io { doing, path: PathBuf::from(path), source }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_of_one_who_runs_it() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::at(folder.path().join("state"));
        let held = state.lock().unwrap();
        let error = state.lock().unwrap_err();
        let own = std::process::id();
        assert!(matches!(error, StateError::Running { process: Some(other), .. } if other == own), "{error}");
        assert!(error.to_string().contains(&format!("(process {own})")), "{error}");
        drop(held);
        state.lock().unwrap();
    }
}
