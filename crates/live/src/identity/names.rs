//! Reading a name from a certificate whose chain was verified.
//!
//! ETSI GS QKD 014 V1.1.1 says that an SAE's identifier is derived from its certificate, not from which field of
//! it; products differ. A [`NameRule`] therefore looks in an order that the operator chooses: a certificate pinned
//! by the digest of its public key first, then the URI, the DNS name and the common name. The first field that
//! holds anything decides. Two different values in that field are refused: a caller who could be either of two
//! is nobody.

use super::Role;
use crate::hex;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// Names are at most this long unless a rule says otherwise: the limit of ETSI GS QKD 020 V1.1.1.
pub const NAME_LIMIT: usize = 64;

/// Why no name could be read from a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The peer showed no certificate at all.
    #[error("the peer showed no certificate")]
    NoCertificate,
    /// The certificate is not DER that can be read.
    #[error("the certificate cannot be read: {0}")]
    Unreadable(String),
    /// No field that the rule looks at holds a name.
    #[error("the certificate carries no name of the kind `{role}` (looked in: {looked_in})")]
    Missing {
        /// The role that a name was wanted for.
        role: Role,
        /// The fields that were looked at, in order.
        looked_in: String,
    },
    /// One field holds two names.
    #[error("the certificate is ambiguous: its {field} holds both `{first}` and `{second}`")]
    Ambiguous {
        /// The field.
        field: NameSource,
        /// One name.
        first: String,
        /// Another.
        second: String,
    },
    /// The certificate was made for another role.
    #[error("the certificate is one of a {found} (`{uri}`), not of a {wanted}")]
    WrongRole {
        /// The role it carries.
        found: Role,
        /// The role that was asked for.
        wanted: Role,
        /// The URI that says so.
        uri: String,
    },
    /// The name is empty, too long or has characters that no URI has.
    #[error("`{name}` is no valid name: 1 to {limit} characters of a URI are allowed")]
    Invalid {
        /// What stands in the certificate, cut at 200 characters.
        name: String,
        /// The longest name allowed.
        limit: usize,
    },
}

/// A field of a certificate in which a name may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NameSource {
    /// A URI among the subject's alternative names: `urn:bellwether:…:NAME`; for applications, without such a
    /// one, any other URI as a whole.
    Uri,
    /// A DNS name among the subject's alternative names.
    Dns,
    /// The subject's common name.
    CommonName,
}

impl fmt::Display for NameSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uri => "URI",
            Self::Dns => "DNS name",
            Self::CommonName => "common name",
        })
    }
}

/// SHA-256 of a certificate's SubjectPublicKeyInfo (DER), as in RFC 7469 section 2.4 before Base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpkiDigest(pub [u8; 32]);

impl SpkiDigest {
    /// The digest of this certificate's public key.
    ///
    /// # Errors
    /// [`NameError::Unreadable`].
    pub fn of(certificate: &[u8]) -> Result<Self, NameError> {
        Ok(Self::of_parsed(&parse(certificate)?))
    }

    /// Reads 64 hexadecimal digits, with or without colons between bytes.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
        let mut digest = [0; 32];
        hex::decode_into(&digits, &mut digest)?;
        Some(Self(digest))
    }

    fn of_parsed(certificate: &X509Certificate<'_>) -> Self {
        Self(Sha256::digest(certificate.public_key().raw).into())
    }
}

/// Where names of one listener's callers stand.
#[derive(Clone, Debug)]
pub struct NameRule {
    role: Role,
    sources: Vec<NameSource>,
    pinned: BTreeMap<SpkiDigest, String>,
    limit: usize,
}

impl NameRule {
    /// The rule for names that this program's own authorities give: the role's URI and nothing else.
    pub fn strict(role: Role) -> Self {
        Self { role, sources: vec![NameSource::Uri], pinned: BTreeMap::new(), limit: NAME_LIMIT }
    }

    /// The rule for applications: URI, then DNS name, then common name.
    pub fn applications() -> Self {
        Self::strict(Role::Application).looking_in(&[
            NameSource::Uri,
            NameSource::Dns,
            NameSource::CommonName,
        ])
    }

    /// Looks in these fields, in this order.
    pub fn looking_in(mut self, sources: &[NameSource]) -> Self {
        self.sources = sources.to_vec();
        self
    }

    /// Gives certificates with this public key this name, whatever stands in them. Their chain is verified all
    /// the same.
    pub fn pin(mut self, key: SpkiDigest, name: impl Into<String>) -> Self {
        self.pinned.insert(key, name.into());
        self
    }

    /// Allows names up to this many characters.
    pub fn limit(mut self, characters: usize) -> Self {
        self.limit = characters;
        self
    }

    /// Whose certificate this is. Verify its chain first: this reads, it does not trust.
    ///
    /// # Errors
    /// See [`NameError`].
    pub fn name(&self, certificate: &[u8]) -> Result<String, NameError> {
        let certificate = parse(certificate)?;
        if let Some(name) = self.pinned.get(&SpkiDigest::of_parsed(&certificate)) {
            return self.valid(name.clone());
        }
        let names = Names::of(&certificate)?;
        self.refuse_other_roles(&names)?;
        for source in &self.sources {
            let found = match source {
                NameSource::Uri => names.uris_in(self.role),
                NameSource::Dns => names.dns.clone(),
                NameSource::CommonName => names.common.clone(),
            };
            let mut found = found.into_iter();
            match (found.next(), found.next()) {
                (None, _) => continue,
                (Some(name), None) => return self.valid(name),
                (Some(first), Some(second)) => {
                    return Err(NameError::Ambiguous { field: *source, first, second });
                }
            }
        }
        let looked_in = self.sources.iter().map(NameSource::to_string).collect::<Vec<_>>().join(", ");
        Err(NameError::Missing { role: self.role, looked_in })
    }

    /// A node's certificate does not name an application by its common name, nor the other way round.
    fn refuse_other_roles(&self, names: &Names) -> Result<(), NameError> {
        for found in Role::ALL.into_iter().filter(|role| *role != self.role) {
            if let Some(uri) = names.uris.iter().find(|uri| uri.starts_with(found.uri_prefix())) {
                return Err(NameError::WrongRole { found, wanted: self.role, uri: uri.clone() });
            }
        }
        Ok(())
    }

    fn valid(&self, name: String) -> Result<String, NameError> {
        if is_valid(&name, self.limit) {
            return Ok(name);
        }
        Err(NameError::Invalid { name: name.chars().take(200).collect(), limit: self.limit })
    }
}

/// The name in the URI of this role; nothing else is looked at.
///
/// # Errors
/// See [`NameError`].
pub fn name_in_role(role: Role, certificate: &[u8]) -> Result<String, NameError> {
    NameRule::strict(role).name(certificate)
}

/// Whether this may be a name: 1 to `limit` characters, all of which may stand in a URI (RFC 3986 section 2).
pub fn is_valid(name: &str, limit: usize) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte);
    !name.is_empty() && name.len() <= limit && name.bytes().all(allowed)
}

fn parse(certificate: &[u8]) -> Result<X509Certificate<'_>, NameError> {
    match X509Certificate::from_der(certificate) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err(NameError::Unreadable("bytes follow it".to_owned())),
        Err(error) => Err(NameError::Unreadable(error.to_string())),
    }
}

/// All names of a certificate, each once, in the order of the alphabet.
struct Names {
    uris: BTreeSet<String>,
    dns: BTreeSet<String>,
    common: BTreeSet<String>,
}

impl Names {
    fn of(certificate: &X509Certificate<'_>) -> Result<Self, NameError> {
        let unreadable = |error: &dyn fmt::Display| NameError::Unreadable(error.to_string());
        let mut names = Self { uris: BTreeSet::new(), dns: BTreeSet::new(), common: BTreeSet::new() };
        let alternative = certificate.subject_alternative_name().map_err(|error| unreadable(&error))?;
        for name in alternative.iter().flat_map(|extension| &extension.value.general_names) {
            match name {
                GeneralName::URI(uri) => names.uris.insert((*uri).to_owned()),
                GeneralName::DNSName(name) => names.dns.insert(name.to_ascii_lowercase()),
                GeneralName::Invalid(..) => {
                    return Err(unreadable(&"an alternative name is no text"));
                }
                _ => false,
            };
        }
        for name in certificate.subject().iter_common_name() {
            names.common.insert(name.as_str().map_err(|error| unreadable(&error))?.to_owned());
        }
        Ok(names)
    }

    fn uris_in(&self, role: Role) -> BTreeSet<String> {
        let ours: BTreeSet<String> = self
            .uris
            .iter()
            .filter_map(|uri| uri.strip_prefix(role.uri_prefix()))
            .map(str::to_owned)
            .collect();
        if ours.is_empty() && role == Role::Application {
            return self.uris.clone();
        }
        ours
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    fn certificate(uris: &[&str], dns: &[&str], common: &[&str]) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for name in common {
            params.distinguished_name.push(DnType::CommonName, *name);
        }
        let uri = |uri: &&str| SanType::URI((*uri).try_into().unwrap());
        let name = |name: &&str| SanType::DnsName((*name).try_into().unwrap());
        params.subject_alt_names = uris.iter().map(uri).chain(dns.iter().map(name)).collect();
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn the_first_field_that_holds_anything_decides() {
        let rule = NameRule::applications();
        let all = certificate(&["urn:bellwether:sae:bank-a"], &["b.example"], &["c"]);
        assert_eq!(rule.name(&all).unwrap(), "bank-a");
        assert_eq!(rule.name(&certificate(&[], &["B.example"], &["c"])).unwrap(), "b.example");
        assert_eq!(rule.name(&certificate(&[], &[], &["c"])).unwrap(), "c");
        let other_order = rule.clone().looking_in(&[NameSource::CommonName, NameSource::Uri]);
        assert_eq!(other_order.name(&all).unwrap(), "c");
        // Products that write a whole URI are served too; a URI of ours beside it wins.
        let foreign = certificate(&["spiffe://bank/a"], &[], &[]);
        assert_eq!(rule.name(&foreign).unwrap(), "spiffe://bank/a");
        let both = certificate(&["spiffe://bank/a", "urn:bellwether:sae:a"], &[], &[]);
        assert_eq!(rule.name(&both).unwrap(), "a");
    }

    #[test]
    fn two_names_in_one_field_are_refused() {
        let two = certificate(&["urn:bellwether:sae:a", "urn:bellwether:sae:b"], &[], &["a"]);
        assert!(matches!(
            NameRule::applications().name(&two),
            Err(NameError::Ambiguous { field: NameSource::Uri, first, second }) if first == "a" && second == "b"
        ));
        let dns = certificate(&[], &["a", "b"], &["a"]);
        assert!(matches!(
            NameRule::applications().name(&dns),
            Err(NameError::Ambiguous { field: NameSource::Dns, .. })
        ));
    }

    #[test]
    fn a_certificate_of_another_role_names_nobody() {
        let node = certificate(&["urn:bellwether:node:A"], &[], &["bank-a"]);
        assert!(matches!(
            NameRule::applications().name(&node),
            Err(NameError::WrongRole { found: Role::Node, wanted: Role::Application, .. })
        ));
        assert_eq!(name_in_role(Role::Node, &node).unwrap(), "A");
        let application = certificate(&["urn:bellwether:sae:A"], &[], &["A"]);
        assert!(matches!(name_in_role(Role::Node, &application), Err(NameError::WrongRole { .. })));
        // Without any URI a node has no name: the common name is not enough to speak as one.
        let bare = certificate(&[], &["A"], &["A"]);
        assert!(matches!(name_in_role(Role::Node, &bare), Err(NameError::Missing { .. })));
    }

    #[test]
    fn names_that_no_uri_could_carry_are_refused() {
        for name in ["", "two words", "ü", &"x".repeat(65)] {
            let bad = certificate(&[], &[], &[name]);
            assert!(
                matches!(
                    NameRule::applications().name(&bad),
                    Err(NameError::Invalid { .. } | NameError::Missing { .. })
                ),
                "{name}"
            );
        }
        let long = certificate(&[], &[], &[&"x".repeat(65)]);
        assert_eq!(NameRule::applications().limit(291).name(&long).unwrap().len(), 65);
        assert!(matches!(NameRule::applications().name(&[]), Err(NameError::Unreadable(_))));
        assert!(matches!(NameRule::applications().name(&[0x30; 40]), Err(NameError::Unreadable(_))));
    }

    #[test]
    fn a_pinned_key_has_the_name_that_the_operator_gave_it() {
        let certificate = certificate(&["urn:bellwether:sae:a", "urn:bellwether:sae:b"], &[], &[]);
        let pin = SpkiDigest::of(&certificate).unwrap();
        let rule = NameRule::applications().pin(pin, "encryptor-7");
        assert_eq!(rule.name(&certificate).unwrap(), "encryptor-7");
        let hex: String = pin.0.iter().map(|byte| format!("{byte:02X}:")).collect();
        assert_eq!(SpkiDigest::from_hex(hex.trim_end_matches(':')), Some(pin));
        assert_eq!(SpkiDigest::from_hex("12"), None);
    }
}
