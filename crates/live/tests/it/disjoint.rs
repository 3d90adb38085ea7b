//! Keys in two shares over routes with no relay in common, between nodes that run.

use crate::two_ends::link;
use crate::up::free_ports;
use bellwether_live::application::client::{Client, ClientError, Key};
use bellwether_live::audit::FILE;
use bellwether_live::identity::Role;
use bellwether_live::interface::etsi014::Compatibility;
use bellwether_live::state::State;
use bellwether_live::up::Up;
use bellwether_network::Network;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Enough for a light that is emulated on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A and B, with the relays C and D between them and no link of their own.
fn network(first_port: u16) -> Arc<Network> {
    let links = [["A", "C"], ["C", "B"], ["A", "D"], ["D", "B"]].map(|ends| link(ends, "10 km"));
    let text = format!(
        "format = 1\nnetwork.name = \"two routes\"\nrun = {{ duration = \"10 s\", window = \"10 ms\" }}\n\
         [live]\nfirst_port = {first_port}\nhead_start = \"20 s\"\npaths = 2\n\
         [node.A]\n[node.B]\n[node.C]\n[node.D]\n\
         [sae.bank-a]\nnode = \"A\"\n[sae.bank-b]\nnode = \"B\"\n\
         [[pair]]\nmaster = \"bank-a\"\nslave = \"bank-b\"\n{}",
        links.concat()
    );
    Arc::new(Network::parse(&text, "routes.toml", &[]).unwrap_or_else(|errors| panic!("{errors}")))
}

/// What a node's audit log tells under a kind of event.
fn audited(state: &State, node: &str, event: &str) -> Vec<Value> {
    let text = fs::read_to_string(state.node(node).unwrap().join(FILE)).unwrap();
    let entries = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    entries.filter(|entry| entry["event"] == event).collect()
}

fn bytes(keys: &[Key]) -> Vec<(String, Vec<u8>)> {
    keys.iter().map(|key| (key.id.to_string(), key.key.expose().to_bytes())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_a_pair_come_in_shares_over_routes_with_no_relay_in_common() {
    let network = network(free_ports());
    let folder = tempfile::tempdir().unwrap();
    let state = State::at(folder.path());
    let up = Up::start(Arc::clone(&network), state.clone(), Compatibility::of(&network)).await.unwrap();
    let layout = state.identities();
    let client = |name: &str, node: usize| {
        let identity = layout.load(Role::Application, name).unwrap();
        let url = format!("https://{}", up.nodes[node].key_manager());
        Client::new(&url, &identity, layout.roots(Role::KeyManager).unwrap(), None).unwrap()
    };
    let (a, b) = (client("bank-a", 0), client("bank-b", 1));
    let begun = Instant::now();
    let issued = loop {
        match a.get("bank-b", 4, Some(256)).await {
            Ok(keys) => break keys,
            Err(ClientError::Refused { status, .. }) if status.as_u16() == 503 => {
                assert!(begun.elapsed() < PATIENCE, "no key over two routes");
                sleep(Duration::from_millis(100)).await;
            }
            Err(error) => panic!("{error}"),
        }
    };
    let names: Vec<String> = issued.iter().map(|key| key.id.to_string()).collect();
    let collected = b.get_by_id("bank-a", &names).await.unwrap();
    assert_eq!(bytes(&issued), bytes(&collected));
    up.stop().await;

    // Both ends wrote down the same two routes for each quantum key, and that all four nodes saw it or a share.
    let quantum = |node| -> BTreeMap<String, Value> {
        let keys = audited(&state, node, "quantum-key").into_iter();
        keys.map(|entry| (entry["key"].as_str().unwrap().to_owned(), entry["routes"].clone())).collect()
    };
    let (at_a, at_b) = (quantum("A"), quantum("B"));
    let both: Vec<_> = at_a.iter().filter(|(key, _)| at_b.contains_key(*key)).collect();
    assert!(!both.is_empty());
    for (key, routes) in both {
        let routes: BTreeSet<String> = routes.as_array().unwrap().iter().map(Value::to_string).collect();
        let there = [json!(["A-C", "C-B"]), json!(["A-D", "D-B"])].map(|route| route.to_string());
        let back = [json!(["C-B", "A-C"]), json!(["D-B", "A-D"])].map(|route| route.to_string());
        let routes: Vec<&str> = routes.iter().map(String::as_str).collect();
        assert!(routes == there || routes == back, "{key}: {routes:?}");
        assert_eq!(at_a[key], at_b[key]);
    }
    let seen = |entry: &Value| -> BTreeSet<String> {
        entry["nodes"].as_array().unwrap().iter().map(|node| node.as_str().unwrap().to_owned()).collect()
    };
    let issued = audited(&state, "A", "issued");
    assert!(
        issued.iter().all(|entry| seen(entry) == BTreeSet::from(["A", "B", "C", "D"].map(str::to_owned)))
    );
    // Each relay passed a share of each, and neither both.
    let relayed = |node| audited(&state, node, "relayed").len();
    assert!(relayed("C") > 0 && relayed("D") > 0);
}
