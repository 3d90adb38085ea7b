//! Where a master key is, as a person names it.

use super::{MasterKey, StoreError, TokenKey};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where a master key is. It is read from `file:PATH`, `env:NAME` or `pkcs11:…`
/// ([`TokenKey`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MasterKeyPlace {
    /// A file of mode 0600 with 64 hexadecimal digits or 32 bytes.
    File(PathBuf),
    /// An environment variable with 64 hexadecimal digits.
    Environment(String),
    /// A key in a PKCS#11 token, which it never leaves.
    Token(TokenKey),
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
            Self::Token(key) => MasterKey::in_token(key.clone()),
        }
    }
}

impl FromStr for MasterKeyPlace {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("env", name)) if !name.is_empty() => Ok(Self::Environment(name.to_owned())),
            Some(("pkcs11", rest)) => TokenKey::parse(rest).map(Self::Token),
            // What was typed is not told: it may be the key itself.
            _ => Err(StoreError::MasterKey(
                "name its place: file:PATH, env:NAME or pkcs11:MODULE?token=LABEL&object=LABEL".to_owned(),
            )),
        }
    }
}

impl fmt::Display for MasterKeyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Environment(name) => write!(f, "env:{name}"),
            Self::Token(key) => write!(f, "pkcs11:{key}"),
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
        let token = "pkcs11:/usr/lib/m.so?token=a%20site&object=k%26k&pin-source=env:PIN";
        for text in ["file:/a/b", "env:KEY", token] {
            assert_eq!(text.parse::<MasterKeyPlace>().unwrap().to_string(), text);
        }
        let key = "0123456789abcdef".repeat(4);
        for wrong in [key.as_str(), "file:", "env:", "", "vault:x"] {
            let error = wrong.parse::<MasterKeyPlace>().unwrap_err().to_string();
            assert!(error.contains("file:PATH") && !error.contains("0123"), "{error}");
        }
    }

    #[test]
    fn a_pin_never_stands_in_a_place() {
        let error = "pkcs11:/m.so?token=t&object=o&pin-value=1234".parse::<MasterKeyPlace>().unwrap_err();
        let told = error.to_string();
        assert!(told.contains("pin-source") && !told.contains("1234"), "{told}");
        for wrong in [
            "pkcs11:/m.so",
            "pkcs11:?token=t&object=o",
            "pkcs11:/m.so?token=t",
            "pkcs11:/m.so?token=%zz&object=o",
        ] {
            assert!(wrong.parse::<MasterKeyPlace>().is_err(), "{wrong}");
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
