//! Sealing of records: AES-256-GCM under a key that the master key unlocks.
//!
//! A store has a random identifier and a random data key. The data key stands in the store's header, wrapped by
//! the master key (AES-256-GCM, random nonce, the identifier as associated data); the master key stays outside,
//! in a file of mode 0600, an environment variable or a token ([`TokenKey`]).
//!
//! A record is `version (1) | run (16) | counter (8, big endian) | ciphertext | tag (16)`. Each run of the program
//! draws a random `run` and derives a key of its own by HKDF-SHA-256(salt = store identifier, ikm = data key,
//! info = label | run); the nonce is the counter. So no nonce repeats under a key, however many records are
//! sealed and even if an old copy of the store is put back (random 96-bit nonces under one key would have to stop at 2^32
//! records, NIST SP 800-38D section 8.3). Associated data are the store's identifier, the space and the record's
//! key: a record that is changed, moved under another key or taken from another store does not open. What the
//! seal cannot tell is an *older* value of the same record put back alone; the store's witness tells an older
//! whole.

use super::token::TokenKey;
use super::{Space, StoreError};
use crate::hex;
use aes_gcm::aead::{Aead, AeadInOut, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use hkdf::Hkdf;
use sha2::Sha256;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

const VERSION: u8 = 2;
const RUN_LABEL: &[u8] = b"bellwether store run 1";
const ROW_LABEL: &[u8] = b"bellwether store row 1";
const WITNESS_LABEL: &[u8] = b"bellwether store witness 1";
const WRAP_LABEL: &[u8] = b"bellwether store header 1";
const HEAD: usize = 1 + 16 + 8;
const TAG: usize = 16;

/// The key that unlocks a store: 256 bits, kept outside it.
pub struct MasterKey(Held);

enum Held {
    Here(Zeroizing<[u8; 32]>),
    InToken(TokenKey),
}

impl MasterKey {
    /// A key from the operating system's generator.
    ///
    /// # Errors
    /// [`StoreError::MasterKey`] if the system gives no randomness.
    pub fn random() -> Result<Self, StoreError> {
        let mut key = Zeroizing::new([0; 32]);
        random(&mut *key)?;
        Ok(Self(Held::Here(key)))
    }

    /// The key in a token, which must be there.
    ///
    /// # Errors
    /// [`StoreError::MasterKey`].
    pub fn in_token(key: TokenKey) -> Result<Self, StoreError> {
        key.check()?;
        Ok(Self(Held::InToken(key)))
    }

    /// Reads 64 hexadecimal digits, as [`MasterKey::create_file`] writes them, or 32 bytes as they are.
    ///
    /// # Errors
    /// [`StoreError::MasterKey`]; also if others may read the file.
    pub fn from_file(path: &Path) -> Result<Self, StoreError> {
        let content = crate::identity::files::read_private(path)
            .map_err(|error| StoreError::MasterKey(error.to_string()))?;
        Self::from_text(&content).ok_or_else(|| {
            let problem = format!("{} holds neither 64 hexadecimal digits nor 32 bytes", path.display());
            StoreError::MasterKey(problem)
        })
    }

    /// Makes a random key and writes it, mode 0600, unless the file is there: then reads it.
    ///
    /// # Errors
    /// [`StoreError::MasterKey`].
    pub fn create_file(path: &Path) -> Result<Self, StoreError> {
        if path.exists() {
            return Self::from_file(path);
        }
        let mut key = Zeroizing::new([0; 32]);
        random(&mut *key)?;
        let mut text = Zeroizing::new(String::with_capacity(65));
        for byte in key.iter() {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
            }
        }
        text.push('\n');
        crate::identity::files::write_private(path, text.as_bytes())
            .map_err(|error| StoreError::MasterKey(error.to_string()))?;
        Ok(Self(Held::Here(key)))
    }

    /// Reads 64 hexadecimal digits from an environment variable.
    ///
    /// # Errors
    /// [`StoreError::MasterKey`].
    pub fn from_environment(variable: &str) -> Result<Self, StoreError> {
        let text = std::env::var_os(variable)
            .ok_or_else(|| StoreError::MasterKey(format!("the environment has no {variable}")))?;
        let text = Zeroizing::new(text.into_encoded_bytes());
        Self::from_text(&text)
            .ok_or_else(|| StoreError::MasterKey(format!("{variable} does not hold 64 hexadecimal digits")))
    }

    fn from_text(content: &[u8]) -> Option<Self> {
        let mut key = Zeroizing::new([0; 32]);
        if content.len() == 32 {
            key.copy_from_slice(content);
            return Some(Self(Held::Here(key)));
        }
        hex::decode_into(content.trim_ascii(), &mut *key)?;
        Some(Self(Held::Here(key)))
    }

    fn wrap(&self, nonce: &[u8; 12], context: &[u8], key: &[u8; 32]) -> Result<Vec<u8>, StoreError> {
        match &self.0 {
            Held::Here(master) => Ok(Aes256Gcm::new((&**master).into())
                .encrypt(nonce.into(), Payload { msg: key, aad: context })
                .expect("32 bytes are far below the cipher's limit")),
            Held::InToken(token) => token.wrap(nonce, context, key),
        }
    }

    /// Nothing if this key did not wrap it.
    fn unwrap(
        &self,
        nonce: &[u8; 12],
        context: &[u8],
        wrapped: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        match &self.0 {
            Held::Here(master) => {
                let payload = Payload { msg: wrapped, aad: context };
                Ok(Aes256Gcm::new((&**master).into()).decrypt(nonce.into(), payload).ok().map(Zeroizing::new))
            }
            Held::InToken(token) => token.unwrap(nonce, context, wrapped),
        }
    }
}

/// What stands in the open at the beginning of a store: version, identifier, wrapped data key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header(pub(super) Vec<u8>);

const HEADER_LEN: usize = 1 + 16 + 12 + 32 + TAG;

/// Seals and opens the records of one store.
pub(super) struct Seal {
    store: [u8; 16],
    data_key: Zeroizing<[u8; 32]>,
    run: [u8; 16],
    cipher: Aes256Gcm,
    sealed: AtomicU64,
    earlier: Mutex<BTreeMap<[u8; 16], Arc<Aes256Gcm>>>,
}

impl Seal {
    /// The seal of a new store, and the header that opens it again.
    pub(super) fn create(master: &MasterKey) -> Result<(Self, Header), StoreError> {
        let (mut store, mut nonce, mut data_key) = ([0; 16], [0; 12], Zeroizing::new([0; 32]));
        random(&mut store)?;
        random(&mut nonce)?;
        random(&mut *data_key)?;
        let wrapped = master.wrap(&nonce, &header_context(&store), &data_key)?;
        if wrapped.len() != 32 + TAG {
            return Err(StoreError::MasterKey(format!("the token wraps 32 bytes in {}", wrapped.len())));
        }
        let header = [&[VERSION][..], &store, &nonce, &wrapped].concat();
        Ok((Self::new(store, data_key)?, Header(header)))
    }

    /// The seal of the store with this header.
    pub(super) fn open(master: &MasterKey, header: &Header, path: &Path) -> Result<Self, StoreError> {
        let bytes = header.0.as_slice();
        let wrong = || StoreError::WrongMasterKey { path: path.to_owned() };
        match bytes.first() {
            Some(&VERSION) if bytes.len() == HEADER_LEN => {}
            version => {
                let version = version.map_or_else(|| "none".to_owned(), u8::to_string);
                let problem = format!(
                    "its header has version {version} where this program writes {VERSION}: open it with the program \
                     that made it, or move it and its witness away to begin anew without its keys"
                );
                return Err(StoreError::Failed { path: path.to_owned(), problem });
            }
        }
        let store: [u8; 16] = bytes[1..17].try_into().expect("17 - 1 = 16");
        let nonce: [u8; 12] = bytes[17..29].try_into().expect("29 - 17 = 12");
        let opened = master.unwrap(&nonce, &header_context(&store), &bytes[29..])?.ok_or_else(wrong)?;
        let mut data_key = Zeroizing::new([0; 32]);
        if opened.len() != data_key.len() {
            return Err(wrong());
        }
        data_key.copy_from_slice(&opened);
        Self::new(store, data_key)
    }

    fn new(store: [u8; 16], data_key: Zeroizing<[u8; 32]>) -> Result<Self, StoreError> {
        let mut run = [0; 16];
        random(&mut run)?;
        let cipher = run_cipher(&store, &data_key, &run);
        let earlier = Mutex::new(BTreeMap::new());
        Ok(Self { store, data_key, run, cipher, sealed: AtomicU64::new(0), earlier })
    }

    /// Seals a value for its place.
    pub(super) fn seal(&self, space: Space, key: &[u8], value: &[u8]) -> Vec<u8> {
        let counter = self.sealed.fetch_add(1, Ordering::Relaxed);
        let mut record = Vec::with_capacity(HEAD + value.len() + TAG);
        record.push(VERSION);
        record.extend_from_slice(&self.run);
        record.extend_from_slice(&counter.to_be_bytes());
        record.extend_from_slice(value);
        let tag = self
            .cipher
            .encrypt_inout_detached(&nonce(counter), &self.context(space, key), (&mut record[HEAD..]).into())
            .expect("values are limited to far below the cipher's 64 GiB");
        record.extend_from_slice(&tag);
        record
    }

    /// Opens what was sealed for this place.
    pub(super) fn open_record(
        &self,
        space: Space,
        key: &[u8],
        record: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let tampered = || StoreError::Tampered { space, key: hex::encode(key) };
        if record.len() < HEAD + TAG || record[0] != VERSION {
            return Err(tampered());
        }
        let (head, rest) = record.split_at(HEAD);
        let (ciphertext, tag) = rest.split_at(rest.len() - TAG);
        let run: [u8; 16] = head[1..17].try_into().expect("17 - 1 = 16");
        let counter = u64::from_be_bytes(head[17..].try_into().expect("25 - 17 = 8"));
        let tag: [u8; TAG] = tag.try_into().expect("split so");
        let mut value = Zeroizing::new(ciphertext.to_vec());
        self.cipher_of(run)
            .decrypt_inout_detached(
                &nonce(counter),
                &self.context(space, key),
                value.as_mut_slice().into(),
                &Tag::from(tag),
            )
            .map_err(|_| tampered())?;
        Ok(value)
    }

    /// The store's identifier, which is no secret.
    pub(super) fn store(&self) -> &[u8; 16] {
        &self.store
    }

    /// What proves the number of a commit in the witness: nobody without the master key can make one.
    pub(super) fn witness_proof(&self, commits: u64) -> [u8; 32] {
        self.prove(&[WITNESS_LABEL, &commits.to_be_bytes()])
    }

    /// What proves a row of the store: its number, what it tells of the store, and its changes.
    pub(super) fn row_proof(&self, number: u64, told: &[u8], changes: &[u8]) -> [u8; 32] {
        let length = (told.len() as u64).to_be_bytes();
        self.prove(&[ROW_LABEL, &number.to_be_bytes(), &length, told, changes])
    }

    fn prove(&self, what: &[&[u8]]) -> [u8; 32] {
        let mut tag = [0; 32];
        Hkdf::<Sha256>::new(Some(&self.store), &*self.data_key)
            .expand_multi_info(what, &mut tag)
            .expect("32 bytes are one block of HKDF-SHA-256");
        tag
    }

    fn cipher_of(&self, run: [u8; 16]) -> Arc<Aes256Gcm> {
        let mut earlier = self.earlier.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cipher) = earlier.get(&run) {
            return Arc::clone(cipher);
        }
        let cipher = Arc::new(run_cipher(&self.store, &self.data_key, &run));
        // A changed record may carry any number for its run: what is remembered stays bounded.
        if earlier.len() >= 4096 {
            earlier.clear();
        }
        earlier.insert(run, Arc::clone(&cipher));
        cipher
    }

    fn context(&self, space: Space, key: &[u8]) -> Vec<u8> {
        let mut context = Vec::with_capacity(16 + 5 + key.len());
        context.extend_from_slice(&self.store);
        context.extend_from_slice(&space.prefix());
        context.extend_from_slice(key);
        context
    }
}

fn nonce(counter: u64) -> Nonce<aes_gcm::aead::consts::U12> {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_be_bytes());
    nonce.into()
}

fn header_context(store: &[u8; 16]) -> Vec<u8> {
    [WRAP_LABEL, &[VERSION], store].concat()
}

fn run_cipher(store: &[u8; 16], data_key: &[u8; 32], run: &[u8; 16]) -> Aes256Gcm {
    let mut key = Zeroizing::new([0; 32]);
    let info = [RUN_LABEL, run].concat();
    Hkdf::<Sha256>::new(Some(store), data_key)
        .expand(&info, &mut *key)
        .expect("32 bytes are one block of HKDF-SHA-256");
    Aes256Gcm::new((&*key).into())
}

fn random(bytes: &mut [u8]) -> Result<(), StoreError> {
    getrandom::fill(bytes)
        .map_err(|error| StoreError::MasterKey(format!("the system gives no randomness ({error})")))
}

/// For errors before a path is known to the caller.
pub(super) fn failed(path: &Path, error: impl std::fmt::Display) -> StoreError {
    StoreError::Failed { path: path.to_owned(), problem: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_units::LinkId;

    #[test]
    fn a_record_opens_only_where_it_was_sealed() {
        let master = MasterKey::random().unwrap();
        let (seal, header) = Seal::create(&master).unwrap();
        let record = seal.seal(Space::Relay, b"key", b"value");
        let again = Seal::open(&master, &header, Path::new("x")).unwrap();
        assert_eq!(again.open_record(Space::Relay, b"key", &record).unwrap().as_slice(), b"value");
        let moved = [
            (Space::Relay, &b"kez"[..]),
            (Space::Delivery, b"key"),
            (Space::Link(LinkId(2)), b"key"),
            (Space::Relay, b""),
        ];
        for (space, key) in moved {
            assert!(matches!(again.open_record(space, key, &record), Err(StoreError::Tampered { .. })));
        }
        for at in 0..record.len() {
            let mut changed = record.clone();
            changed[at] ^= 1;
            assert!(again.open_record(Space::Relay, b"key", &changed).is_err(), "byte {at}");
        }
        for length in 0..record.len() {
            assert!(again.open_record(Space::Relay, b"key", &record[..length]).is_err());
        }
        let (other, _) = Seal::create(&master).unwrap();
        assert!(other.open_record(Space::Relay, b"key", &record).is_err(), "another store's record");
    }

    #[test]
    fn no_two_records_share_key_and_nonce() {
        let master = MasterKey::random().unwrap();
        let (seal, header) = Seal::create(&master).unwrap();
        let again = Seal::open(&master, &header, Path::new("x")).unwrap();
        let mut heads = std::collections::BTreeSet::new();
        for _ in 0..1000 {
            for seal in [&seal, &again] {
                assert!(heads.insert(seal.seal(Space::Meta, b"k", b"v")[..HEAD].to_vec()));
            }
        }
    }

    #[test]
    fn another_master_key_and_a_changed_header_are_told() {
        let (_, header) = Seal::create(&MasterKey::random().unwrap()).unwrap();
        let error = Seal::open(&MasterKey::random().unwrap(), &header, Path::new("a.redb")).err().unwrap();
        assert!(matches!(error, StoreError::WrongMasterKey { .. }) && error.to_string().contains("a.redb"));
        let master = MasterKey::random().unwrap();
        let (_, header) = Seal::create(&master).unwrap();
        for at in 0..header.0.len() {
            let mut changed = header.clone();
            changed.0[at] ^= 1;
            assert!(Seal::open(&master, &changed, Path::new("x")).is_err(), "byte {at}");
        }
    }

    #[test]
    fn master_keys_are_read_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let made = MasterKey::create_file(&path).unwrap();
        let bytes = |key: &MasterKey| match &key.0 {
            Held::Here(bytes) => **bytes,
            Held::InToken(_) => panic!("it is in a file"),
        };
        assert_eq!(bytes(&MasterKey::create_file(&path).unwrap()), bytes(&made));
        assert_eq!(std::fs::read(&path).unwrap().len(), 65);
        std::fs::write(&path, bytes(&made)).unwrap();
        assert_eq!(bytes(&MasterKey::from_file(&path).unwrap()), bytes(&made));
        std::fs::write(&path, "abc").unwrap();
        assert!(MasterKey::from_file(&path).is_err());
        assert!(MasterKey::from_environment("BELLWETHER_NO_SUCH_VARIABLE").is_err());
    }
}
