//! Test certificate authorities, one a role.
//!
//! Made on first use so that a network starts without preparation. A deployment brings certificates of its own
//! authority instead, with the names of [`super::names`]; nothing else in the program signs anything.

use super::files::{self, Identity, IdentityFileError, Layout};
use super::{Role, names};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SignatureAlgorithm, SigningKey,
};
use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::io;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;
use zeroize::Zeroizing;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// An authority's certificate lives this long.
pub const AUTHORITY_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// Any other certificate lives this long.
pub const CERTIFICATE_LIFETIME: Duration = Duration::from_secs(398 * 24 * 60 * 60);

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] IdentityFileError),
    /// The name cannot stand in a certificate.
    #[error("`{0}` cannot be a name: 1 to 64 characters of a URI are allowed")]
    Name(String),
    /// A host that is neither an address nor a DNS name.
    #[error("`{0}` is neither an address nor a host name")]
    Host(String),
    /// The certificate could not be made.
    #[error("cannot make the certificate of `{name}`: {source}")]
    Certificate {
        /// Whose.
        name: String,
        /// Why.
        source: rcgen::Error,
    },
}

/// The signatures that an authority and its certificates are made with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignatureKind {
    /// ECDSA on P-256: every client of ETSI GS QKD 014 understands it.
    #[default]
    EcdsaP256,
    /// ML-DSA-65 (FIPS 204, RFC 9881): needs TLS 1.3 and a peer that knows it, as every node does.
    MlDsa65,
}

impl SignatureKind {
    /// What a role's test authority signs with: nodes speak only to nodes, so they are post-quantum throughout.
    pub const fn of_role(role: Role) -> Self {
        match role {
            Role::Node => Self::MlDsa65,
            Role::KeyManager | Role::Application => Self::EcdsaP256,
        }
    }

    fn algorithm(self) -> &'static SignatureAlgorithm {
        match self {
            Self::EcdsaP256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Self::MlDsa65 => &rcgen::PKCS_ML_DSA_65,
        }
    }
}

/// A test authority that signs names of one role.
pub struct Authority {
    role: Role,
    kind: SignatureKind,
    issuer: Issuer<'static, Signer>,
    certificate: String,
}

impl Authority {
    /// Opens this role's authority in `layout`, or makes it there on first use.
    ///
    /// # Errors
    /// Its files cannot be read or written, or are not an authority's.
    pub fn open_or_create(layout: &Layout, role: Role, kind: SignatureKind) -> Result<Self, AuthorityError> {
        let path = layout.authority(role);
        match std::fs::read_to_string(&path) {
            Ok(certificate) => Self::open(layout, role, certificate),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::create(layout, role, kind),
            Err(source) => Err(IdentityFileError::Io { doing: "read", path, source }.into()),
        }
    }

    /// Makes a certificate and private key for `name` and writes both to `layout`.
    ///
    /// `hosts` are DNS names and addresses under which a server can be reached; names of nodes and applications
    /// need none.
    ///
    /// # Errors
    /// See [`AuthorityError`].
    pub fn issue(&self, layout: &Layout, name: &str, hosts: &[String]) -> Result<(), AuthorityError> {
        let (certificate, key) = (layout.certificate(self.role, name)?, layout.key(self.role, name)?);
        let (chain, pair) = self.sign(name, hosts)?;
        // The key first: a certificate never stands there without it.
        files::write_private(&key, Zeroizing::new(pair.serialize_pem()).as_bytes())?;
        files::write_public(&certificate, chain.pem().as_bytes())?;
        Ok(())
    }

    /// The same, kept in memory.
    ///
    /// # Errors
    /// See [`AuthorityError`].
    pub fn issue_in_memory(&self, name: &str, hosts: &[String]) -> Result<Identity, AuthorityError> {
        let (certificate, pair) = self.sign(name, hosts)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pair.serialize_der()));
        Ok(Identity::new(vec![certificate.der().clone()], key))
    }

    /// The authority's own certificate, PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    fn open(layout: &Layout, role: Role, certificate: String) -> Result<Self, AuthorityError> {
        let path = layout.authority_key(role);
        let malformed = |problem: String| IdentityFileError::Malformed { path: path.clone(), problem };
        let pem = files::read_private(&path)?;
        let key = PrivateKeyDer::from_pem_slice(&pem)
            .map_err(|error| malformed(format!("no private key in PEM ({error})")))?;
        let signer = Signer::new(key)
            .ok_or_else(|| malformed("a private key that is neither ECDSA P-256 nor ML-DSA-65".to_owned()))?;
        let kind = signer.kind;
        let issuer = Issuer::from_ca_cert_pem(&certificate, signer)
            .map_err(|error| malformed(format!("the key of a certificate that cannot be read ({error})")))?;
        Ok(Self { role, kind, issuer, certificate })
    }

    fn create(layout: &Layout, role: Role, kind: SignatureKind) -> Result<Self, AuthorityError> {
        let name = format!("Bellwether test authority for {}", role.folder());
        let failed = |source| AuthorityError::Certificate { name: name.clone(), source };
        let pair = Zeroizing::new(KeyPair::generate_for(kind.algorithm()).map_err(failed)?);
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pair.serialize_der()));
        let signer = Signer::new(key).ok_or(failed(rcgen::Error::KeyGenerationUnavailable))?;
        let mut params = parameters(&name, AUTHORITY_LIFETIME);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&signer).map_err(failed)?.pem();
        files::write_private(&layout.authority_key(role), Zeroizing::new(pair.serialize_pem()).as_bytes())?;
        files::write_public(&layout.authority(role), certificate.as_bytes())?;
        Ok(Self { role, kind, issuer: Issuer::new(params, signer), certificate })
    }

    fn sign(
        &self,
        name: &str,
        hosts: &[String],
    ) -> Result<(rcgen::Certificate, Zeroizing<KeyPair>), AuthorityError> {
        if !names::is_valid(name, names::NAME_LIMIT) {
            return Err(AuthorityError::Name(name.to_owned()));
        }
        let failed = |source| AuthorityError::Certificate { name: name.to_owned(), source };
        let uri = format!("{}{name}", self.role.uri_prefix());
        let mut params = parameters(name, CERTIFICATE_LIFETIME);
        params.subject_alt_names.push(SanType::URI(uri.try_into().map_err(failed)?));
        for host in hosts {
            params.subject_alt_names.push(alternative_name(host)?);
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = match self.role {
            Role::Node => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
            Role::KeyManager => vec![ExtendedKeyUsagePurpose::ServerAuth],
            Role::Application => vec![ExtendedKeyUsagePurpose::ClientAuth],
        };
        params.use_authority_key_identifier_extension = true;
        let pair = Zeroizing::new(KeyPair::generate_for(self.kind.algorithm()).map_err(failed)?);
        let certificate = params.signed_by(&*pair, &self.issuer).map_err(failed)?;
        Ok((certificate, pair))
    }
}

/// Signs certificates with rustls' keys: rcgen makes ML-DSA keys but does not read them again.
struct Signer {
    kind: SignatureKind,
    signer: Box<dyn rustls::sign::Signer>,
    public: Vec<u8>,
}

impl Signer {
    /// Nothing if the key is of no kind that is known here.
    fn new(key: PrivateKeyDer<'static>) -> Option<Self> {
        let key = any_supported_type(&Zeroizing::new(key)).ok()?;
        let kinds = [
            (SignatureKind::EcdsaP256, SignatureScheme::ECDSA_NISTP256_SHA256),
            (SignatureKind::MlDsa65, SignatureScheme::ML_DSA_65),
        ];
        let known = |(kind, scheme)| key.choose_scheme(&[scheme]).map(|signer| (kind, signer));
        let (kind, signer) = kinds.into_iter().find_map(known)?;
        let info = key.public_key()?;
        let (_, info) = SubjectPublicKeyInfo::from_der(info.as_ref()).ok()?;
        Some(Self { kind, signer, public: info.subject_public_key.data.to_vec() })
    }
}

impl PublicKeyData for Signer {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.kind.algorithm()
    }
}

impl SigningKey for Signer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.signer.sign(message).map_err(|error| rcgen::Error::X509(error.to_string()))
    }
}

/// The hosts of a key manager that runs on this machine.
pub fn loopback_hosts() -> Vec<String> {
    ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec()
}

fn alternative_name(host: &str) -> Result<SanType, AuthorityError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let malformed = || AuthorityError::Host(host.to_owned());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if host.is_empty() || !host.bytes().all(plain) {
        return Err(malformed());
    }
    host.try_into().map(SanType::DnsName).map_err(|_| malformed())
}

fn parameters(common_name: &str, lifetime: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    #[allow(clippy::disallowed_methods, reason = "a certificate's validity is told in the world's time")]
    let now = SystemTime::now();
    // A day of grace for a peer whose clock is behind.
    let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().saturating_sub(DAY);
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + since_epoch;
    params.not_after = params.not_before + DAY + lifetime;
    params
}
