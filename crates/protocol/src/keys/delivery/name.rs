//! Names of applications.

use core::borrow::Borrow;
use core::fmt;
use core::str::FromStr;
use std::sync::Arc;

/// The longest name of an application, in characters (ETSI GS QKD 020 V1.1.1 has the same limit).
pub const MAX_SAE_NAME: usize = 64;

/// The name of an application (a secure application entity, SAE): 1 to 64 characters that a URI may hold.
///
/// ETSI GS QKD 014 V1.1.1 leaves the form of an `SAE_ID` open; a certificate and a path of a URL must be able to
/// carry it. Copies share one text.
///
/// ```
/// use bellwether_protocol::keys::delivery::SaeName;
///
/// let name: SaeName = "bank-a".parse()?;
/// assert_eq!(name.as_str(), "bank-a");
/// assert!("".parse::<SaeName>().is_err());
/// assert!("two words".parse::<SaeName>().is_err());
/// # Ok::<(), bellwether_protocol::keys::delivery::NameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SaeName(Arc<str>);

/// Why a text is no name of an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Its length is not within 1 to [`MAX_SAE_NAME`] bytes.
    #[error("the name of an application has 1 to {MAX_SAE_NAME} characters, not {0}")]
    Length(usize),
    /// A character that a URI cannot hold.
    #[error("the name of an application cannot hold {0:?}")]
    Character(char),
}

impl SaeName {
    /// Takes a name.
    ///
    /// # Errors
    /// If it is too long, empty, or has a character that RFC 3986 does not let stand in a URI (section 2: the
    /// unreserved and the reserved characters and `%`).
    pub fn new(name: &str) -> Result<Self, NameError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%".contains(c);
        if let Some(c) = name.chars().find(|&c| !allowed(c)) {
            return Err(NameError::Character(c));
        }
        if name.is_empty() || name.len() > MAX_SAE_NAME {
            return Err(NameError::Length(name.len()));
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SaeName {
    type Err = NameError;
    fn from_str(name: &str) -> Result<Self, NameError> {
        Self::new(name)
    }
}

impl Borrow<str> for SaeName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SaeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SaeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_a_uri_can_hold() {
        for good in ["a", "bank-a", "urn:example:sae:7", "x%20y", &"n".repeat(64)] {
            assert_eq!(SaeName::new(good).unwrap().to_string(), good);
        }
        assert_eq!(SaeName::new(""), Err(NameError::Length(0)));
        assert_eq!(SaeName::new(&"n".repeat(65)), Err(NameError::Length(65)));
        for (bad, c) in [("a b", ' '), ("caf\u{e9}", '\u{e9}'), ("a\0", '\0'), ("a\"b", '"'), ("<", '<')] {
            assert_eq!(SaeName::new(bad), Err(NameError::Character(c)));
        }
    }
}
