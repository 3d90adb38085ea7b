//! The file that keys are written to: its owner's alone, never overwritten, whole keys only.

use super::{FileError, failed};
use bellwether_bits::{BitString, SecretBits};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroize;

/// A new file of mode 0600.
pub(super) fn create(path: &Path) -> Result<File, FileError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(path).map_err(failed("make", path))
}

/// A file that grows by keys, packed one after the other, the first bit lowest. Bits that do not fill a byte wait for
/// the next key; at the end those that are left are dropped.
pub struct KeyFile {
    path: PathBuf,
    file: File,
    rest: BitString,
    bits: u64,
}

impl KeyFile {
    /// A new file, which only its owner may read.
    ///
    /// # Errors
    /// If it is there already, or cannot be made.
    pub fn create(path: &Path) -> Result<Self, FileError> {
        Ok(Self { path: path.to_owned(), file: create(path)?, rest: BitString::default(), bits: 0 })
    }

    /// Appends a key.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn append(&mut self, key: &SecretBits) -> Result<(), FileError> {
        let mut all = BitString::with_capacity(self.rest.len() + key.len());
        all.extend_from(&self.rest);
        all.extend_from(key.expose());
        let whole = all.len() / 8 * 8;
        self.rest.zeroize();
        self.rest = all.slice(whole..all.len());
        let mut bytes = all.to_bytes();
        all.zeroize();
        let written = self.file.write_all(&bytes[..whole / 8]);
        bytes.zeroize();
        written.map_err(failed("write", &self.path))?;
        self.bits += whole as u64;
        Ok(())
    }

    /// How many bits stand in the file.
    pub fn bits(&self) -> u64 {
        self.bits
    }

    /// Which file it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes durable what was written.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn sync(&self) -> Result<(), FileError> {
        self.file.sync_all().map_err(failed("write", &self.path))
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        self.rest.zeroize();
        // Where nothing was written nothing is left behind.
        if self.bits == 0 {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_units::{EntityId, Purpose, Stream};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn keys_of_all_lengths_stand_one_after_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let mut random = Stream::new(3, EntityId(0), Purpose::named("key"));
        let mut file = KeyFile::create(&path).unwrap();
        let mut all = BitString::default();
        for len in [3, 70, 1, 0, 129, 8, 5] {
            let key = SecretBits::random(len, &mut random);
            all.extend_from(key.expose());
            file.append(&key).unwrap();
        }
        file.sync().unwrap();
        assert_eq!(file.bits(), 216);
        assert_eq!(fs::read(&path).unwrap(), all.to_bytes()[..]);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(KeyFile::create(&path).is_err());
        drop(file);
        assert!(path.exists());
        let empty = folder.path().join("empty");
        drop(KeyFile::create(&empty).unwrap());
        assert!(!empty.exists());
    }
}
