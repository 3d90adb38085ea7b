//! A whole network in one process: emulated light, distillation, relay, and keys over ETSI GS QKD 014.

use crate::two_ends::link;
use bellwether_live::application::client::{Client, ClientError};
use bellwether_live::directory;
use bellwether_live::identity::Role;
use bellwether_live::interface::etsi014::Compatibility;
use bellwether_live::state::State;
use bellwether_live::up::Up;
use bellwether_network::Network;
use bellwether_units::NodeId;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// A and C, with B between them: two links of 10 MHz that have made key for 20 s before the start.
fn network(first_port: u16) -> Network {
    let text = format!(
        r#"
format = 1
[network]
name = "three nodes"
[run]
duration = "10 s"
window = "10 ms"
[live]
first_port = {first_port}
head_start = "20 s"
[node.A]
[node.B]
[node.C]
[sae.bank-a]
node = "A"
[sae.bank-c]
node = "C"
[sae.stranger]
node = "C"
[[pair]]
master = "bank-a"
slave = "bank-c"
{}{}"#,
        link(["A", "B"], "10 km"),
        link(["B", "C"], "10 km")
    );
    Network::parse(&text, "three.toml", &[]).unwrap_or_else(|errors| panic!("{errors}"))
}

/// A port from which on seventeen are free, as far as one can tell; no two calls in one process give the same. What
/// connects outward takes none below 32768.
pub(crate) fn free_ports() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    loop {
        let step = GIVEN.fetch_add(1, Ordering::Relaxed) + (std::process::id() % 3000) as u16;
        let port = 10_000 + step % 1300 * 17;
        if (0..17).all(|i| TcpListener::bind(("127.0.0.1", port + i)).is_ok()) {
            return port;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_failed_leaves_nothing_behind_and_can_be_repeated_at_once() {
    let network = Arc::new(network(free_ports()));
    let folder = tempfile::tempdir().unwrap();
    let state = State::at(folder.path());
    let start = || Up::start(Arc::clone(&network), state.clone(), Compatibility::default());
    let last = NodeId(network.nodes.len() as u32 - 1);
    let taken = directory::node_addresses(&network, last).unwrap().key_streams;
    for _ in 0..5 {
        let holder = TcpListener::bind(taken).unwrap();
        let told = start().await.map(drop).expect_err("a port is taken").to_string();
        assert!(told.contains(&taken.to_string()), "{told}");
        drop(holder);
    }
    start().await.unwrap().stop().await;
    start().await.unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_applications_get_the_same_key_over_a_relay_and_nobody_else_gets_it() {
    let network = Arc::new(network(free_ports()));
    let folder = tempfile::tempdir().unwrap();
    let state = State::at(folder.path());
    let begun = Instant::now();
    let up = Up::start(Arc::clone(&network), state.clone(), Compatibility::default()).await.unwrap();
    let layout = state.identities();
    let client = |sae: &str, node: usize| {
        let identity = layout.load(Role::Application, sae).unwrap();
        let url = format!("https://{}", up.nodes[node].key_manager());
        let expected = Some(network.nodes[node].name.as_str());
        Client::new(&url, &identity, layout.roots(Role::KeyManager).unwrap(), expected).unwrap()
    };
    let (a, c, stranger) = (client("bank-a", 0), client("bank-c", 2), client("stranger", 2));
    let issued = loop {
        match a.get("bank-c", 3, Some(256)).await {
            Ok(keys) => break keys,
            Err(ClientError::Refused { status, .. }) if status.as_u16() == 503 => {
                assert!(begun.elapsed() < Duration::from_secs(120), "no key within two minutes");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Err(error) => panic!("{error}"),
        }
    };
    println!("first key after {:.1} s", begun.elapsed().as_secs_f64());
    let ids: Vec<String> = issued.iter().map(|key| key.id.to_string()).collect();
    let code = |answer: Result<Vec<_>, ClientError>| match answer {
        Err(ClientError::Refused { status, .. }) => status.as_u16(),
        other => panic!("not refused: {other:?}"),
    };
    assert_eq!(code(stranger.get_by_id("bank-a", &ids).await), 401);
    let collected = c.get_by_id("bank-a", &ids).await.unwrap();
    assert_eq!(issued.len(), 3);
    for (here, there) in issued.iter().zip(&collected) {
        assert_eq!(here.id, there.id);
        assert!(here.key == there.key && here.key.len() == 256);
    }
    assert!(issued[0].key != issued[1].key);
    assert_eq!(code(c.get_by_id("bank-a", &ids).await), 400);
    assert_eq!(code(c.get("bank-b", 1, None).await), 401);
    let status = a.status("bank-c").await.unwrap();
    assert_eq!((&status["source_KME_ID"], &status["target_KME_ID"]), (&"A".into(), &"C".into()));
    up.stop().await;
}
