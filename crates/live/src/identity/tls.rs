//! TLS between nodes, and between key managers and applications.
//!
//! Between nodes: TLS 1.3 only, X25519MLKEM768 only (draft-ietf-tls-ecdhe-mlkem), both certificates verified
//! against the authority for nodes, and the peer is who was dialled, decided inside the handshake, before a byte
//! of ours leaves. Towards applications: TLS 1.3, X25519MLKEM768 preferred and the elliptic curves accepted
//! (most applications know nothing newer), TLS 1.2 with ECDHE and AEAD only if the operator says so. ML-DSA
//! signatures are understood everywhere under TLS 1.3.

use super::files::Identity;
use super::names::{NameRule, name_in_role};
use super::{NameError, Role};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, ServerConfig,
};
use rustls::{SignatureScheme, SupportedProtocolVersion};
use std::sync::Arc;

/// What nodes speak inside TLS, agreed by ALPN; a new version of the frames is a new name.
pub const NODE_PROTOCOL: &[u8] = b"bellwether-node/1";
/// What programs that use entangled pairs speak with their node inside TLS; a new version of the frames is a new name.
pub const PROGRAM_PROTOCOL: &[u8] = b"bellwether-program/1";
/// What the ends of a distillation of recorded material speak inside TLS; a new version of the frames is a new name.
pub const DISTILLATION_PROTOCOL: &[u8] = b"bellwether-distill/1";
/// As PostgreSQL names its protocol in ALPN.
const DATABASE_PROTOCOL: &[u8] = b"postgresql";
/// What applications speak inside TLS.
pub const HTTP_PROTOCOL: &[u8] = b"http/1.1";

/// Whether applications may come with TLS 1.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OlderTls {
    /// TLS 1.3 only.
    #[default]
    Refuse,
    /// TLS 1.2 as well, with ECDHE and AEAD suites: for encryptors that know nothing newer. Nothing of that is
    /// post-quantum: what was recorded can be opened once elliptic curves fall.
    Allow,
}

/// Why no configuration could be built.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// rustls refused certificate, key or versions.
    #[error("these certificates cannot be used for TLS: {0}")]
    Rustls(#[from] rustls::Error),
    /// The authorities' certificates cannot verify anybody.
    #[error("these authorities cannot verify anybody: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

const TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
const TLS13_AND_12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// For a node that is dialled. Whoever completes the handshake holds *some* certificate of the authority for
/// nodes: ask [`peer_node`] which.
///
/// # Errors
/// See [`TlsError`].
pub fn node_server(identity: &Identity, nodes: RootCertStore) -> Result<ServerConfig, TlsError> {
    let provider = node_provider();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(nodes), Arc::clone(&provider)).build()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(TLS13)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())?;
    config.alpn_protocols = vec![NODE_PROTOCOL.to_vec()];
    // Every connection shows its certificate again, so that one taken away ends with the connection.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

/// For a node that dials the node `expected` and no other.
///
/// # Errors
/// See [`TlsError`].
pub fn node_client(
    identity: &Identity,
    nodes: RootCertStore,
    expected: &str,
) -> Result<ClientConfig, TlsError> {
    let provider = node_provider();
    let verifier = NamedServer {
        chain: Chain::Anywhere(nodes),
        role: Role::Node,
        expected: Some(expected.to_owned()),
        algorithms: provider.signature_verification_algorithms,
    };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(TLS13)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())?;
    config.alpn_protocols = vec![NODE_PROTOCOL.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    Ok(config)
}

/// For an end of a distillation of recorded material that is dialled: as [`node_server`], but for what is spoken inside.
pub fn distillation_server(mut node: ServerConfig) -> ServerConfig {
    node.alpn_protocols = vec![DISTILLATION_PROTOCOL.to_vec()];
    node
}

/// For an end of a distillation of recorded material that dials: as [`node_client`], but for what is spoken inside.
pub fn distillation_client(mut node: ClientConfig) -> ClientConfig {
    node.alpn_protocols = vec![DISTILLATION_PROTOCOL.to_vec()];
    node
}

/// For a node's operations interface: as [`node_server`], but HTTP inside. Whoever completes the handshake holds
/// *some* certificate of the authority for nodes.
///
/// # Errors
/// See [`TlsError`].
pub fn operations_server(identity: &Identity, nodes: RootCertStore) -> Result<ServerConfig, TlsError> {
    let mut config = node_server(identity, nodes)?;
    config.alpn_protocols = vec![HTTP_PROTOCOL.to_vec()];
    Ok(config)
}

/// For an operator who asks the node `expected` and no other.
///
/// # Errors
/// See [`TlsError`].
pub fn operations_client(
    identity: &Identity,
    nodes: RootCertStore,
    expected: &str,
) -> Result<ClientConfig, TlsError> {
    let mut config = node_client(identity, nodes, expected)?;
    config.alpn_protocols = vec![HTTP_PROTOCOL.to_vec()];
    Ok(config)
}

/// For a key manager's listener towards applications. Whose certificate it is, a [`NameRule`] reads.
///
/// # Errors
/// See [`TlsError`].
pub fn key_manager_server(
    identity: &Identity,
    applications: RootCertStore,
    older: OlderTls,
) -> Result<ServerConfig, TlsError> {
    let provider = application_provider();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(applications), Arc::clone(&provider)).build()?;
    let versions = if older == OlderTls::Allow { TLS13_AND_12 } else { TLS13 };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())?;
    config.alpn_protocols = vec![HTTP_PROTOCOL.to_vec()];
    Ok(config)
}

/// For an application that calls a key manager. The server's host name is verified as usual; with `expected`,
/// so is the name of the key manager, as ETSI GS QKD 014 V1.1.1 wants of an SAE.
///
/// # Errors
/// See [`TlsError`].
pub fn application_client(
    identity: &Identity,
    key_managers: RootCertStore,
    expected: Option<&str>,
) -> Result<ClientConfig, TlsError> {
    let provider = application_provider();
    let hosts =
        WebPkiServerVerifier::builder_with_provider(Arc::new(key_managers), Arc::clone(&provider)).build()?;
    let verifier = NamedServer {
        chain: Chain::AtItsHost(hosts),
        role: Role::KeyManager,
        expected: expected.map(str::to_owned),
        algorithms: provider.signature_verification_algorithms,
    };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(TLS13_AND_12)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())?;
    config.alpn_protocols = vec![HTTP_PROTOCOL.to_vec()];
    Ok(config)
}

/// For the listener of a node to which programs of its applications attach: as that of its key manager, which this is
/// given, but for what is spoken inside.
pub fn program_server(key_manager: &ServerConfig) -> ServerConfig {
    let mut config = key_manager.clone();
    config.alpn_protocols = vec![PROGRAM_PROTOCOL.to_vec()];
    config
}

/// For a program that attaches to the node `expected` and no other, as one of its applications.
///
/// # Errors
/// See [`TlsError`].
pub fn program_client(
    identity: &Identity,
    key_managers: RootCertStore,
    expected: &str,
) -> Result<ClientConfig, TlsError> {
    let mut config = application_client(identity, key_managers, Some(expected))?;
    config.alpn_protocols = vec![PROGRAM_PROTOCOL.to_vec()];
    Ok(config)
}

/// For a node that calls a web server anywhere, which the system's certificate authorities vouch for (those that
/// `SSL_CERT_FILE` names, if it is set).
///
/// # Errors
/// See [`TlsError`]; also if the system has no authorities.
pub fn web_client() -> Result<ClientConfig, TlsError> {
    let mut config = web_client_by(system_roots())?;
    config.alpn_protocols = vec![HTTP_PROTOCOL.to_vec()];
    Ok(config)
}

fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    // What cannot be read is passed over; with nothing left, the verifier cannot be built.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

fn web_client_by(roots: RootCertStore) -> Result<ClientConfig, TlsError> {
    let provider = application_provider();
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build()?;
    Ok(ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(TLS13_AND_12)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

/// For a node that calls its database: the server's certificate is checked against `roots`, or else against the
/// system's authorities.
///
/// # Errors
/// See [`TlsError`]; also if there are no authorities.
pub fn database_client(roots: Option<RootCertStore>) -> Result<ClientConfig, TlsError> {
    let mut config = web_client_by(roots.unwrap_or_else(system_roots))?;
    config.alpn_protocols = vec![DATABASE_PROTOCOL.to_vec()];
    Ok(config)
}

/// Which node shows these certificates, whose chain the handshake verified.
///
/// # Errors
/// See [`NameError`].
pub fn peer_node(certificates: Option<&[CertificateDer<'_>]>) -> Result<String, NameError> {
    peer_name(&NameRule::strict(Role::Node), certificates)
}

/// Whose certificates these are by `rule`; the handshake verified their chain.
///
/// # Errors
/// See [`NameError`].
pub fn peer_name(rule: &NameRule, certificates: Option<&[CertificateDer<'_>]>) -> Result<String, NameError> {
    let certificate = certificates.and_then(<[_]>::first).ok_or(NameError::NoCertificate)?;
    rule.name(certificate)
}

/// Only the hybrid group: both ends of a link are ours, so there is nothing to fall back to.
fn node_provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519MLKEM768];
    Arc::new(provider)
}

/// The hybrid group first, whatever the order of rustls' defaults.
fn application_provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![
        aws_lc_rs::kx_group::X25519MLKEM768,
        aws_lc_rs::kx_group::SECP256R1MLKEM768,
        aws_lc_rs::kx_group::X25519,
        aws_lc_rs::kx_group::SECP256R1,
        aws_lc_rs::kx_group::SECP384R1,
    ];
    Arc::new(provider)
}

fn refused(error: NameError) -> rustls::Error {
    CertificateError::Other(OtherError(Arc::new(error))).into()
}

/// The name that was expected is another's.
#[derive(Debug, thiserror::Error)]
#[error("the certificate is that of `{found}`, not of `{expected}`")]
struct AnotherName {
    found: String,
    expected: String,
}

fn check_name(role: Role, certificate: &CertificateDer<'_>, expected: &str) -> Result<(), rustls::Error> {
    let found = name_in_role(role, certificate).map_err(refused)?;
    if found == expected {
        return Ok(());
    }
    let error = AnotherName { found, expected: expected.to_owned() };
    Err(CertificateError::Other(OtherError(Arc::new(error))).into())
}

/// Accepts a server whose chain holds and whose certificate names it in a role.
#[derive(Debug)]
struct NamedServer {
    chain: Chain,
    role: Role,
    /// Which name; `None` for any.
    expected: Option<String>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// How a server's chain is verified.
#[derive(Debug)]
enum Chain {
    /// Wherever it is reached: a node's name is the URI, and addresses may change.
    Anywhere(RootCertStore),
    /// With the name of its host, as rustls does.
    AtItsHost(Arc<WebPkiServerVerifier>),
}

impl ServerCertVerifier for NamedServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match &self.chain {
            Chain::Anywhere(roots) => rustls::client::verify_server_cert_signed_by_trust_anchor(
                &ParsedCertificate::try_from(end_entity)?,
                roots,
                intermediates,
                now,
                self.algorithms.all,
            )?,
            Chain::AtItsHost(hosts) => {
                hosts.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
            }
        }
        if let Some(expected) = &self.expected {
            check_name(self.role, end_entity, expected)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
