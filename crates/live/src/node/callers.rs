//! Who may call a node, and how it knows them.

use super::daemon::NodeError;
use crate::identity::{Identity, Layout, NameRule, OlderTls, Role, name_in_role, tls};
use crate::interface::listener::{Identify, Security};
use crate::state::OPERATOR;
use bellwether_protocol::keys::delivery::SaeName;
use rustls::RootCertStore;
use std::net::SocketAddr;
use std::sync::Arc;

/// Applications, by certificate.
pub(super) fn applications(layout: &Layout, node: &str, older: OlderTls) -> Result<Security, NodeError> {
    let server = layout.load(Role::KeyManager, node)?;
    let server = tls::key_manager_server(&server, layout.roots(Role::Application)?, older)?;
    let rule = NameRule::applications();
    Ok(Security::Tls {
        config: Arc::new(server),
        identify: Arc::new(move |certificate| SaeName::new(&rule.name(certificate).ok()?).ok()),
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
