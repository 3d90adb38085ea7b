//! Into a token by its user's PIN, without using up the tries that it grants.
//!
//! A token counts wrong PINs and locks itself after a few; a service that is restarted with a wrong one would use them
//! up. So the last try is left to people, and a PIN that was refused is not tried again by the same process.

use super::{StoreError, refused};
use cryptoki::context::Pkcs11;
use cryptoki::error::{Error, RvError};
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;
use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Where the PIN of a token's user is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PinPlace {
    File(PathBuf),
    Environment(String),
}

impl PinPlace {
    fn read(&self) -> Result<AuthPin, StoreError> {
        let text = match self {
            Self::File(path) => {
                let content = crate::identity::files::read_private(path)
                    .map_err(|error| refused(&error.to_string()))?;
                let text = std::str::from_utf8(content.trim_ascii());
                text.map(str::to_owned).map_err(|_| refused(&format!("{} is not UTF-8", path.display())))?
            }
            Self::Environment(name) => std::env::var(name).map_err(|_| {
                refused(&format!("the environment has no PIN in {name}: set it, or name a pin-source"))
            })?,
        };
        // From here on it is zeroized when it is dropped.
        Ok(AuthPin::new(text.into_boxed_str()))
    }
}

impl fmt::Display for PinPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Environment(name) => write!(f, "env:{name}"),
        }
    }
}

/// Lets the user in, in this session and all others of this process.
///
/// # Errors
/// [`StoreError::MasterKey`], which says what to do. A PIN that may be the last one is not tried.
pub(super) fn login(
    module: &Pkcs11,
    slot: Slot,
    session: &Session,
    token: &str,
    place: &PinPlace,
) -> Result<(), StoreError> {
    /// Tokens that have refused their PIN, by their serial numbers. Held while one is tried: no two are at once.
    static REFUSED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let failed = |error: &Error| refused(&format!("the token `{token}` lets nobody in: {error}"));
    let mut refusals = REFUSED.lock().unwrap_or_else(PoisonError::into_inner);
    let state = session.get_session_info().map_err(|error| failed(&error))?.session_state();
    if matches!(state, SessionState::RoUser | SessionState::RwUser) {
        return Ok(());
    }
    let pin = place.read()?;
    let info = module.get_token_info(slot).map_err(|error| failed(&error))?;
    let serial = info.serial_number().to_owned();
    let tries = if refusals.contains(&serial) { Tries::Refused } else { Tries::of(&info) };
    if let Some(why) = tries.why_not(token, place) {
        return Err(refused(&why));
    }
    match session.login(UserType::User, Some(&pin)) {
        // Another part of this process, one that does not go through here, has logged in.
        Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
        Err(Error::Pkcs11(RvError::PinIncorrect | RvError::PinLenRange | RvError::PinInvalid, _)) => {
            refusals.insert(serial);
            // What is left is told, for whoever would try again.
            let left = module.get_token_info(slot).map_or(Tries::Enough, |info| Tries::of(&info));
            let more = left.why_not(token, place).map(|why| format!("; {why}")).unwrap_or_default();
            Err(refused(&format!("the token `{token}` refuses the PIN from {place}{more}")))
        }
        Err(Error::Pkcs11(RvError::PinLocked, _)) => {
            refusals.insert(serial);
            Err(refused(&Tries::Locked.why_not(token, place).expect("a locked PIN is not tried")))
        }
        Err(error) => Err(failed(&error)),
    }
}

/// How many wrong PINs a token would still bear, as far as it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tries {
    /// More than one, or it does not say.
    Enough,
    /// One wrong PIN more locks it (`CKF_USER_PIN_FINAL_TRY`).
    Last,
    /// It takes no PIN any more (`CKF_USER_PIN_LOCKED`).
    Locked,
    /// This process had a wrong one.
    Refused,
}

impl Tries {
    fn of(info: &TokenInfo) -> Self {
        Self::of_flags(info.user_pin_final_try(), info.user_pin_locked())
    }

    // `CKF_USER_PIN_COUNT_LOW` is no reason: it stands from the first wrong PIN on, and a right one has to be tried.
    fn of_flags(last: bool, locked: bool) -> Self {
        match (last, locked) {
            (_, true) => Self::Locked,
            (true, false) => Self::Last,
            (false, false) => Self::Enough,
        }
    }

    /// Why no PIN is tried, and what to do.
    fn why_not(self, token: &str, place: &PinPlace) -> Option<String> {
        match self {
            Self::Enough => None,
            Self::Last => Some(format!(
                "one wrong PIN more would lock the token `{token}`, so none is tried: make sure that the PIN from \
                 {place} is right and log in with it once by hand (`pkcs11-tool --login --list-objects`), which gives \
                 the tries back"
            )),
            Self::Locked => Some(format!(
                "the token `{token}` has locked its PIN after wrong ones: its security officer can set a new one \
                 (`pkcs11-tool --login --login-type so --init-pin`)"
            )),
            Self::Refused => Some(format!(
                "the token `{token}` has refused the PIN before, and it is not tried again: put the right one into \
                 {place} and start anew"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_try_is_left_to_people() {
        let place = PinPlace::Environment("PIN".to_owned());
        let why = |last, locked| Tries::of_flags(last, locked).why_not("a site", &place);
        assert_eq!(why(false, false), None);
        let last = why(true, false).unwrap();
        assert!(last.contains("`a site`") && last.contains("env:PIN") && last.contains("by hand"), "{last}");
        for last in [false, true] {
            let locked = why(last, true).unwrap();
            assert!(locked.contains("locked its PIN") && locked.contains("security officer"), "{locked}");
        }
    }
}
