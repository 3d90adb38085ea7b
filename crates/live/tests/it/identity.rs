//! Identities on disk and TLS handshakes between them, over memory instead of sockets.

use bellwether_live::identity::authority::loopback_hosts;
use bellwether_live::identity::{Authority, Identity, Layout, NameRule, OlderTls, Role, SignatureKind, tls};
use rustls::{
    ClientConfig, ClientConnection, Connection, NamedGroup, ProtocolVersion, ServerConfig, ServerConnection,
};
use std::sync::Arc;
use tempfile::TempDir;

struct World {
    _folder: TempDir,
    layout: Layout,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::under(folder.path());
        Self { _folder: folder, layout }
    }

    fn issue(&self, role: Role, kind: SignatureKind, name: &str) -> Identity {
        let authority = Authority::open_or_create(&self.layout, role, kind).unwrap();
        let hosts = if role == Role::KeyManager { loopback_hosts() } else { Vec::new() };
        authority.issue(&self.layout, name, &hosts).unwrap();
        self.layout.load(role, name).unwrap()
    }
}

/// Carries bytes both ways until neither end has more to say.
fn shake_hands(
    client: ClientConfig,
    server: ServerConfig,
) -> Result<(ClientConnection, ServerConnection), rustls::Error> {
    let name = "localhost".try_into().unwrap();
    let client = ClientConnection::new(Arc::new(client), name).unwrap();
    let server = ServerConnection::new(Arc::new(server)).unwrap();
    let mut ends = [Connection::from(client), Connection::from(server)];
    for _ in 0..20 {
        for from in 0..2 {
            let mut bytes = Vec::new();
            while ends[from].wants_write() {
                ends[from].write_tls(&mut bytes).unwrap();
            }
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                ends[1 - from].read_tls(&mut rest).unwrap();
                ends[1 - from].process_new_packets()?;
            }
        }
    }
    let [Connection::Client(client), Connection::Server(server)] = ends else {
        unreachable!("as made above")
    };
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok((client, server))
}

#[test]
fn nodes_agree_on_the_hybrid_group_with_post_quantum_certificates() {
    let world = World::new();
    let kind = SignatureKind::of_role(Role::Node);
    assert_eq!(kind, SignatureKind::MlDsa65);
    let (alice, bob) = (world.issue(Role::Node, kind, "alice"), world.issue(Role::Node, kind, "bob"));
    let roots = world.layout.roots(Role::Node).unwrap();
    let client = tls::node_client(&alice, roots.clone(), "bob").unwrap();
    let server = tls::node_server(&bob, roots).unwrap();
    let (client, server) = shake_hands(client, server).unwrap();
    for group in [client.negotiated_key_exchange_group(), server.negotiated_key_exchange_group()] {
        assert_eq!(group.unwrap().name(), NamedGroup::X25519MLKEM768);
    }
    assert_eq!(client.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(client.alpn_protocol(), Some(tls::NODE_PROTOCOL));
    assert_eq!(tls::peer_node(server.peer_certificates()).unwrap(), "alice");
    assert_eq!(tls::peer_node(client.peer_certificates()).unwrap(), "bob");
    // id-ml-dsa-65, 2.16.840.1.101.3.4.3.18, is what both certificates are signed with.
    let ml_dsa_65 = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x12];
    for identity in [&alice, &bob] {
        assert!(identity.chain[0].windows(9).any(|bytes| bytes == ml_dsa_65));
    }
}

#[test]
fn a_node_talks_to_nobody_but_the_node_it_dialled() {
    let world = World::new();
    let kind = SignatureKind::EcdsaP256;
    let node = |name| world.issue(Role::Node, kind, name);
    let (alice, bob, carol) = (node("alice"), node("bob"), node("carol"));
    let roots = || world.layout.roots(Role::Node).unwrap();
    let dial = || tls::node_client(&alice, roots(), "bob").unwrap();
    assert!(shake_hands(dial(), tls::node_server(&bob, roots()).unwrap()).is_ok());
    let error = shake_hands(dial(), tls::node_server(&carol, roots()).unwrap()).unwrap_err();
    assert!(format!("{error:?}").contains("carol"), "{error:?}");

    // Another network's authority, another role's, and a certificate that is only an application's.
    let other = World::new();
    let stranger = other.issue(Role::Node, kind, "bob");
    let theirs = other.layout.roots(Role::Node).unwrap();
    assert!(shake_hands(dial(), tls::node_server(&stranger, theirs).unwrap()).is_err());
    let application = world.issue(Role::Application, kind, "alice");
    let as_node = tls::node_client(&application, roots(), "bob").unwrap();
    assert!(shake_hands(as_node, tls::node_server(&bob, roots()).unwrap()).is_err());
    let manager = world.issue(Role::KeyManager, kind, "bob");
    assert!(shake_hands(dial(), tls::node_server(&manager, roots()).unwrap()).is_err());
}

#[test]
fn applications_and_key_managers_verify_each_other_by_name() {
    let world = World::new();
    let kind = SignatureKind::default();
    let manager = world.issue(Role::KeyManager, kind, "kme-vienna");
    let bank = world.issue(Role::Application, kind, "bank-a");
    let (managers, applications) =
        (world.layout.roots(Role::KeyManager).unwrap(), world.layout.roots(Role::Application).unwrap());
    let listen = |older| tls::key_manager_server(&manager, applications.clone(), older).unwrap();
    let call = |expected| tls::application_client(&bank, managers.clone(), expected).unwrap();

    let (client, server) = shake_hands(call(Some("kme-vienna")), listen(OlderTls::Refuse)).unwrap();
    assert_eq!(client.negotiated_key_exchange_group().unwrap().name(), NamedGroup::X25519MLKEM768);
    let rule = NameRule::applications();
    assert_eq!(tls::peer_name(&rule, server.peer_certificates()).unwrap(), "bank-a");
    assert!(shake_hands(call(Some("kme-graz")), listen(OlderTls::Refuse)).is_err());
    assert!(shake_hands(call(None), listen(OlderTls::Refuse)).is_ok());

    // Without a certificate nobody comes in, and a node's is none of an application.
    let anonymous = ClientConfig::builder().with_root_certificates(managers.clone()).with_no_client_auth();
    assert!(shake_hands(anonymous, listen(OlderTls::Allow)).is_err());
    let node = world.issue(Role::Node, kind, "bank-a");
    let as_application = tls::application_client(&node, managers.clone(), None).unwrap();
    assert!(shake_hands(as_application, listen(OlderTls::Refuse)).is_err());
}

#[test]
fn tls_1_2_is_spoken_only_where_the_operator_allows_it() {
    let world = World::new();
    let manager = world.issue(Role::KeyManager, SignatureKind::default(), "kme");
    let bank = world.issue(Role::Application, SignatureKind::default(), "bank");
    let applications = world.layout.roots(Role::Application).unwrap();
    let old_client = || {
        let roots = world.layout.roots(Role::KeyManager).unwrap();
        let key = std::fs::read(world.layout.key(Role::Application, "bank").unwrap()).unwrap();
        let key = rustls::pki_types::pem::PemObject::from_pem_slice(&key).unwrap();
        ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS12])
            .with_root_certificates(roots)
            .with_client_auth_cert(bank.chain.clone(), key)
            .unwrap()
    };
    let listen = |older| tls::key_manager_server(&manager, applications.clone(), older).unwrap();
    let (client, server) = shake_hands(old_client(), listen(OlderTls::Allow)).unwrap();
    assert_eq!(client.protocol_version(), Some(ProtocolVersion::TLSv1_2));
    assert_eq!(tls::peer_name(&NameRule::applications(), server.peer_certificates()).unwrap(), "bank");
    assert!(shake_hands(old_client(), listen(OlderTls::Refuse)).is_err());
}

#[test]
fn an_authority_is_made_once_and_signs_for_ever_after() {
    let world = World::new();
    for kind in [SignatureKind::EcdsaP256, SignatureKind::MlDsa65] {
        for role in Role::ALL {
            let world = World::new();
            let first = Authority::open_or_create(&world.layout, role, kind).unwrap();
            let again = Authority::open_or_create(&world.layout, role, SignatureKind::EcdsaP256).unwrap();
            assert_eq!(first.certificate(), again.certificate());
            again.issue(&world.layout, "x", &[]).unwrap();
            world.layout.load(role, "x").unwrap();
        }
    }
    let authority = Authority::open_or_create(&world.layout, Role::Node, SignatureKind::EcdsaP256).unwrap();
    for name in ["", "two words", &"x".repeat(65)] {
        assert!(authority.issue_in_memory(name, &[]).is_err(), "{name}");
    }
    assert!(authority.issue_in_memory("x", &["not a host".to_owned()]).is_err());
}
