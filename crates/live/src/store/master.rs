//! Where a master key is, as a person names it.

use super::{MasterKey, StoreError};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where a master key is. It is read from `file:PATH` or `env:NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MasterKeyPlace {
    /// A file of mode 0600 with 64 hexadecimal digits or 32 bytes.
    File(PathBuf),
    /// An environment variable with 64 hexadecimal digits.
    Environment(String),
}

impl MasterKeyPlace {
    /// The key, which must be there.
    ///
    /// # Errors
    /// [`StoreError::MasterKey`].
    pub fn open(&self) -> Result<MasterKey, StoreError> {
        match self {
            Self::File(path) => MasterKey::from_file(path),
            Self::Environment(name) => MasterKey::from_environment(name),
        }
    }
}

impl FromStr for MasterKeyPlace {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("env", name)) if !name.is_empty() => Ok(Self::Environment(name.to_owned())),
            // What was typed is not told: it may be the key itself.
            _ => Err(StoreError::MasterKey("name its place: file:PATH or env:NAME".to_owned())),
        }
    }
}

impl fmt::Display for MasterKeyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Environment(name) => write!(f, "env:{name}"),
        }
    }
}

/// Which master key opens a store.
#[derive(Clone, Debug)]
pub enum MasterKeyChoice {
    /// The one at this place.
    Named(MasterKeyPlace),
    /// The one in this file, which is made together with the store.
    Own(PathBuf),
}

impl MasterKeyChoice {
    /// The key for a store that is there already, or for one that is to be made.
    ///
    /// # Errors
    /// [`StoreError::MasterKey`]; also if the store is there and its own key is not.
    pub fn open(&self, there: bool) -> Result<MasterKey, StoreError> {
        match self {
            Self::Named(place) => place.open(),
            Self::Own(file) if there && !file.exists() => Err(missing(file)),
            Self::Own(file) => MasterKey::create_file(file),
        }
    }
}

fn missing(file: &Path) -> StoreError {
    StoreError::MasterKey(format!(
        "the store is there and {} is not: put it back, or copy it from the replica that made the store, or name the \
         key's place with --master-key",
        file.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back_and_a_key_in_its_place_is_not_told() {
        for text in ["file:/a/b", "env:KEY"] {
            assert_eq!(text.parse::<MasterKeyPlace>().unwrap().to_string(), text);
        }
        let key = "0123456789abcdef".repeat(4);
        for wrong in [key.as_str(), "file:", "env:", "", "vault:x"] {
            let error = wrong.parse::<MasterKeyPlace>().unwrap_err().to_string();
            assert!(error.contains("file:PATH") && !error.contains("0123"), "{error}");
        }
    }

    #[test]
    fn a_key_of_its_own_is_made_with_the_store_and_never_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("master.key");
        let own = MasterKeyChoice::Own(file.clone());
        let error = own.open(true).err().unwrap().to_string();
        assert!(error.contains("--master-key") && !file.exists(), "{error}");
        own.open(false).unwrap();
        own.open(true).unwrap();
    }
}
