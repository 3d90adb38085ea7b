//! What a network file says of callers: where their names stand, whose keys are pinned, and which TLS they speak.

use crate::streams::open_alone;
use crate::two_ends::link;
use crate::up::free_ports;
use bellwether_live::identity::{Identity, Role, SpkiDigest, tls};
use bellwether_live::interface::etsi014::Compatibility;
use bellwether_live::state::State;
use bellwether_live::up::Up;
use bellwether_network::Network;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ProtocolVersion};
use std::fmt::Write as _;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A and B with banks; `switches` stand in `[live]` and `of_bank_a` in the first one's table.
fn network(first_port: u16, switches: &str, of_bank_a: &str) -> Arc<Network> {
    let text = format!(
        "format = 1\nnetwork.name = \"callers\"\nrun = {{ duration = \"10 s\", window = \"10 ms\" }}\n\
         [live]\nfirst_port = {first_port}\nhead_start = \"20 s\"\n{switches}\n[node.A]\n[node.B]\n\
         [sae.bank-a]\nnode = \"A\"\n{of_bank_a}\n[sae.bank-b]\nnode = \"B\"\n\
         [[pair]]\nmaster = \"bank-a\"\nslave = \"bank-b\"\n{}",
        link(["A", "B"], "10 km")
    );
    Arc::new(Network::parse(&text, "callers.toml", &[]).unwrap_or_else(|errors| panic!("{errors}")))
}

/// A key as it stands in a network file, in the form that people's tools print.
fn pinned(identity: &Identity) -> String {
    let SpkiDigest(digest) = SpkiDigest::of(&identity.chain[0]).unwrap();
    let mut text = String::new();
    for (place, byte) in digest.iter().enumerate() {
        let colon = if place > 0 { ":" } else { "" };
        write!(text, "{colon}{byte:02X}").unwrap();
    }
    format!("public_keys = [\"{text}\"]")
}

/// The status of an answer about keys for bank-b at A, and the version of TLS; nothing if the caller is turned away.
async fn asked(up: &Up, config: ClientConfig) -> Option<(u16, ProtocolVersion)> {
    let stream = TcpStream::connect(up.nodes[0].key_manager()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
    let version = stream.get_ref().1.protocol_version()?;
    let request = "GET /api/v1/keys/bank-b/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    // Without a closing alert the end is an error, and all is there.
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).ok()?;
    Some((answer.split(' ').nth(1)?.parse().ok()?, version))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_are_known_and_served_as_the_network_file_says() {
    let port = free_ports();
    let folder = tempfile::tempdir().unwrap();
    let state = State::at(folder.path());
    state.provision(&network(port, "", ""), ["vendor-7", "bank-a", "bank-b"]).unwrap();
    let layout = state.identities();
    let identity = |name: &str| layout.load(Role::Application, name).unwrap();
    let roots = || layout.roots(Role::KeyManager).unwrap();
    let new = |name: &str| tls::application_client(&identity(name), roots(), None).unwrap();
    let old = |name: &str| {
        let key = std::fs::read(layout.key(Role::Application, name).unwrap()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(&key).unwrap();
        ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS12])
            .with_root_certificates(roots())
            .with_client_auth_cert(identity(name).chain, key)
            .unwrap()
    };
    let start = async |network: &Arc<Network>| {
        Up::start(Arc::clone(network), state.clone(), Compatibility::of(network)).await.unwrap()
    };

    // By default a certificate's URI says who calls, in TLS 1.3, and nobody has a stream alone.
    let usual = network(port, "", "");
    let up = start(&usual).await;
    assert_eq!(asked(&up, new("bank-a")).await, Some((200, ProtocolVersion::TLSv1_3)));
    assert_eq!(asked(&up, new("vendor-7")).await.map(|(status, _)| status), Some(401));
    assert_eq!(asked(&up, old("bank-a")).await, None);
    assert_eq!(open_alone(&state, &up, "bank-a", "bank-b").await, 1);

    // A pin may come while the node runs, a switch may not.
    let pin = pinned(&identity("vendor-7"));
    let node = &up.nodes[0];
    assert_eq!(node.reload(network(port, "", &pin)).await.unwrap(), ["sae bank-a differs"]);
    assert_eq!(asked(&up, new("vendor-7")).await, Some((200, ProtocolVersion::TLSv1_3)));
    let error = node.reload(network(port, "tls_1_2 = true", &pin)).await.unwrap_err();
    assert!(error.to_string().starts_with("`live.tls_1_2` of the network file"), "{error}");
    node.reload(usual).await.unwrap();
    assert_eq!(asked(&up, new("vendor-7")).await.map(|(status, _)| status), Some(401));
    up.stop().await;

    // Test certificates have no DNS name: whoever is not pinned is nobody here.
    let switches = "certificate_names = [\"dns\"]\ntls_1_2 = true\nabsent_peer_is_success = true";
    let up = start(&network(port, switches, &pin)).await;
    assert_eq!(asked(&up, new("bank-a")).await, None);
    assert_eq!(asked(&up, new("vendor-7")).await, Some((200, ProtocolVersion::TLSv1_3)));
    assert_eq!(asked(&up, old("vendor-7")).await, Some((200, ProtocolVersion::TLSv1_2)));
    assert_eq!(open_alone(&state, &up, "vendor-7", "bank-b").await, 0);
    up.stop().await;
}
