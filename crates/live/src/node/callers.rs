//! Who may call a node, and how it knows them.

use super::daemon::NodeError;
use crate::identity::{
    Identity, Layout, NameRule, NameSource, OlderTls, Role, SpkiDigest, name_in_role, tls,
};
use crate::interface::listener::{Identify, Security};
use crate::state::OPERATOR;
use bellwether_network::{CertificateName, Network};
use bellwether_protocol::keys::delivery::SaeName;
use rustls::RootCertStore;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

/// How applications are named by their certificates, as the network file that holds says.
pub(super) struct Names(RwLock<NameRule>);

impl Names {
    pub(super) fn of(network: &Network) -> Arc<Self> {
        Arc::new(Self(RwLock::new(rule(network))))
    }

    /// From now on as this network says; who is connected stays who it is.
    pub(super) fn set(&self, network: &Network) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = rule(network);
    }

    fn name(&self, certificate: &[u8]) -> Option<SaeName> {
        let rule = self.0.read().unwrap_or_else(PoisonError::into_inner);
        SaeName::new(&rule.name(certificate).ok()?).ok()
    }
}

fn rule(network: &Network) -> NameRule {
    let sources = network.live.certificate_names.iter().map(|field| match field {
        CertificateName::Uri => NameSource::Uri,
        CertificateName::Dns => NameSource::Dns,
        CertificateName::CommonName => NameSource::CommonName,
    });
    let rule = NameRule::applications().looking_in(&sources.collect::<Vec<_>>());
    let pins = network.saes.iter().flat_map(|sae| sae.public_keys.iter().map(|key| (*key, &sae.name)));
    pins.fold(rule, |rule, (key, name)| rule.pin(SpkiDigest(key), name.as_str()))
}

/// Applications, by certificate.
pub(super) fn applications(
    layout: &Layout,
    node: &str,
    older: OlderTls,
    names: Arc<Names>,
) -> Result<Security, NodeError> {
    let server = layout.load(Role::KeyManager, node)?;
    let server = tls::key_manager_server(&server, layout.roots(Role::Application)?, older)?;
    Ok(Security::Tls {
        config: Arc::new(server),
        identify: Arc::new(move |certificate| names.name(certificate)),
    })
}

/// On this machine, everybody who reaches the socket; elsewhere the operator, by certificate.
pub(super) fn operators(
    address: SocketAddr,
    identity: &Identity,
    nodes: RootCertStore,
) -> Result<Security, NodeError> {
    let operator = SaeName::new(OPERATOR).expect("the operator's name has characters that a URI holds");
    if address.ip().is_loopback() {
        return Ok(Security::Plain(operator));
    }
    let config = Arc::new(tls::operations_server(identity, nodes)?);
    let identify: Arc<Identify> = Arc::new(move |certificate| {
        let name = name_in_role(Role::Node, certificate).ok()?;
        (name == operator.as_str()).then(|| operator.clone())
    });
    Ok(Security::Tls { config, identify })
}
