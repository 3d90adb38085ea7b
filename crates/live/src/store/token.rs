//! A master key that never leaves a PKCS#11 token: the token wraps and unwraps a store's data key by AES-256-GCM.
//!
//! `pkcs11:MODULE?token=LABEL&object=LABEL[&pin-source=file:PATH|env:NAME]` names it: the module's shared library, the
//! labels of the token and of the key in it (`%` and two hexadecimal digits stand for any byte), and where the user's PIN
//! is; without that, in the variable `BELLWETHER_PKCS11_PIN`. The key must be one of 256 bits that may encrypt and
//! decrypt (`CKM_AES_GCM` of PKCS#11 2.40 with a nonce of the caller's); what the token gives is what the key itself would
//! give in software, so a store's header looks the same.

mod login;

use super::StoreError;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use cryptoki::slot::Slot;
use login::PinPlace;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use zeroize::Zeroizing;

/// Where the PIN is if nobody says.
const PIN_VARIABLE: &str = "BELLWETHER_PKCS11_PIN";
/// How often a token is looked for in a module that is loaded, and the pause between two looks.
const LOOKS: u32 = 20;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// Where a key in a token is. No PIN is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenKey {
    module: PathBuf,
    token: String,
    object: String,
    pin: PinPlace,
}

impl TokenKey {
    /// Reads what follows `pkcs11:`.
    ///
    /// # Errors
    /// [`StoreError::MasterKey`].
    pub(super) fn parse(text: &str) -> Result<Self, StoreError> {
        let wanted = "write pkcs11:MODULE?token=LABEL&object=LABEL, and &pin-source=file:PATH or env:NAME";
        let (module, options) = text.split_once('?').ok_or_else(|| refused(wanted))?;
        let (mut token, mut object, mut pin) = (None, None, None);
        for option in options.split('&') {
            let (name, value) = option.split_once('=').ok_or_else(|| refused(wanted))?;
            let value = decoded(value).ok_or_else(|| refused(wanted))?;
            match name {
                "token" => token = Some(value),
                "object" => object = Some(value),
                "pin-source" => {
                    pin = Some(match value.split_once(':') {
                        Some(("file", path)) => PinPlace::File(path.into()),
                        Some(("env", variable)) => PinPlace::Environment(variable.to_owned()),
                        _ => return Err(refused(wanted)),
                    });
                }
                "pin-value" => {
                    return Err(refused("a PIN stands in it, where others can see it: use pin-source"));
                }
                _ => return Err(refused(wanted)),
            }
        }
        match (token, object) {
            (Some(token), Some(object)) if !module.is_empty() => Ok(Self {
                module: module.into(),
                token,
                object,
                pin: pin.unwrap_or_else(|| PinPlace::Environment(PIN_VARIABLE.to_owned())),
            }),
            _ => Err(refused(wanted)),
        }
    }

    /// Whether the key is there and may be used.
    ///
    /// # Errors
    /// [`StoreError::MasterKey`], which says what is missing.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.key().map(drop)
    }

    /// Encrypts 32 bytes; the tag follows them.
    pub(super) fn wrap(&self, nonce: &[u8; 12], aad: &[u8], key: &[u8; 32]) -> Result<Vec<u8>, StoreError> {
        let (session, handle) = self.key()?;
        let mut iv = *nonce;
        let mechanism = gcm(&mut iv, aad).map_err(|error| self.failed("wraps no key", &error))?;
        session.encrypt(&mechanism, handle, key).map_err(|error| self.failed("wraps no key", &error))
    }

    /// Decrypts what was wrapped; nothing if it is not what this key wrapped.
    pub(super) fn unwrap(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        wrapped: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let (session, handle) = self.key()?;
        let mut iv = *nonce;
        let mechanism = gcm(&mut iv, aad).map_err(|error| self.failed("unwraps no key", &error))?;
        match session.decrypt(&mechanism, handle, wrapped) {
            Ok(opened) => Ok(Some(Zeroizing::new(opened))),
            Err(Error::Pkcs11(RvError::EncryptedDataInvalid | RvError::EncryptedDataLenRange, _)) => Ok(None),
            // Some tokens say this of a tag that does not fit, and all say it when they fail.
            Err(error @ Error::Pkcs11(RvError::GeneralError, _)) => match opens_its_own(&session, handle) {
                Ok(()) => Ok(None),
                Err(_) => Err(self.failed("unwraps no key, nor what it has just wrapped", &error)),
            },
            Err(error) => Err(self.failed("unwraps no key", &error)),
        }
    }

    /// A session of the user's, and the key in it.
    fn key(&self) -> Result<(Session, ObjectHandle), StoreError> {
        let module = module(&self.module, &self.token)?;
        let slot = self.slot(&module)?;
        let session =
            module.open_ro_session(slot).map_err(|error| self.failed("opens no session", &error))?;
        login::login(&module, slot, &session, &self.token, &self.pin)?;
        let template =
            [Attribute::Class(ObjectClass::SECRET_KEY), Attribute::Label(self.object.as_bytes().to_vec())];
        let found = session.find_objects(&template).map_err(|error| self.failed("finds no key", &error))?;
        let [key] = found[..] else {
            let count =
                if found.is_empty() { "no secret key".to_owned() } else { format!("{} keys", found.len()) };
            return Err(refused(&format!(
                "the token `{}` has {count} labelled `{}`: one is wanted",
                self.token, self.object
            )));
        };
        self.check_use(&session, key)?;
        Ok((session, key))
    }

    fn check_use(&self, session: &Session, key: ObjectHandle) -> Result<(), StoreError> {
        let asked =
            [AttributeType::KeyType, AttributeType::ValueLen, AttributeType::Encrypt, AttributeType::Decrypt];
        let told = session
            .get_attributes(key, &asked)
            .map_err(|error| self.failed("tells nothing of the key", &error))?;
        for attribute in told {
            let wrong = match attribute {
                Attribute::KeyType(kind) if kind != KeyType::AES => "is no AES key",
                Attribute::ValueLen(length) if *length != 32 => "has not 256 bits",
                Attribute::Encrypt(false) => "may not encrypt (CKA_ENCRYPT)",
                Attribute::Decrypt(false) => "may not decrypt (CKA_DECRYPT)",
                _ => continue,
            };
            return Err(refused(&format!("the key `{}` of the token `{}` {wrong}", self.object, self.token)));
        }
        Ok(())
    }

    fn slot(&self, module: &Pkcs11) -> Result<Slot, StoreError> {
        let slots = module.get_slots_with_token().map_err(|error| self.failed("is not there", &error))?;
        let mut labels = Vec::new();
        for slot in slots {
            if let Ok(info) = module.get_token_info(slot) {
                if info.label() == self.token {
                    return Ok(slot);
                }
                labels.push(format!("`{}`", info.label()));
            }
        }
        let there = if labels.is_empty() { "none".to_owned() } else { labels.join(", ") };
        Err(refused(&format!(
            "{} has no token labelled `{}`; there is {there}",
            self.module.display(),
            self.token
        )))
    }

    fn failed(&self, what: &str, error: &Error) -> StoreError {
        refused(&format!("the token `{}` {what}: {error}", self.token))
    }
}

impl fmt::Display for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { module, token, object, pin } = self;
        let module = module.display();
        write!(f, "{module}?token={}&object={}&pin-source={pin}", encoded(token), encoded(object))
    }
}

/// Whether the token does what is asked of it: what the key wraps, it opens.
fn opens_its_own(session: &Session, key: ObjectHandle) -> Result<(), Error> {
    let mut nonce = [0; 12];
    crate::random::fill(&mut nonce);
    let [mut first, mut second] = [nonce, nonce];
    // Nothing is secret in what is tried.
    let wrapped = session.encrypt(&gcm(&mut first, b"trial")?, key, &[0; 32])?;
    session.decrypt(&gcm(&mut second, b"trial")?, key, &wrapped).map(drop)
}

fn gcm<'a>(nonce: &'a mut [u8; 12], aad: &'a [u8]) -> Result<Mechanism<'a>, Error> {
    GcmParams::new(nonce, aad, 128.into()).map(Mechanism::AesGcm)
}

/// A module, loaded once and for as long as the process lives: it may be initialised once only.
///
/// What tokens there are is told when it is initialised, and some modules do not see one that another process writes to
/// just then. So a module in which the token is missing is initialised anew a few times, before anybody has it.
fn module(path: &Path, token: &str) -> Result<Pkcs11, StoreError> {
    static LOADED: Mutex<BTreeMap<PathBuf, Pkcs11>> = Mutex::new(BTreeMap::new());
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(module) = loaded.get(path) {
        return Ok(module.clone());
    }
    let failed =
        |error: &Error| refused(&format!("the PKCS#11 module {} cannot be used: {error}", path.display()));
    let mut more = LOOKS;
    loop {
        let module = Pkcs11::new(path).map_err(|error| failed(&error))?;
        match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(failed(&error)),
        }
        more -= 1;
        if more == 0 || has(&module, token) {
            loaded.insert(path.to_owned(), module.clone());
            return Ok(module);
        }
        module.finalize().map_err(|error| failed(&error))?;
        std::thread::sleep(BETWEEN_LOOKS);
    }
}

fn has(module: &Pkcs11, token: &str) -> bool {
    let labelled = |slot| module.get_token_info(slot).is_ok_and(|info| info.label() == token);
    module.get_slots_with_token().is_ok_and(|slots| slots.into_iter().any(labelled))
}

fn refused(why: &str) -> StoreError {
    StoreError::MasterKey(why.to_owned())
}

fn decoded(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'&' | b'%' | b'?' | b'=' | 0..=32 | 127.. => format!("%{byte:02x}"),
            byte => char::from(byte).to_string(),
        })
        .collect()
}
