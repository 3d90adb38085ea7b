//! A network whose link is played from a recording: nodes, key managers and applications, and no emulated light.

use crate::two_ends::link;
use crate::up::free_ports;
use bellwether_live::application::client::{Client, patiently};
use bellwether_live::hardware::record::{RecordError, files, record_link};
use bellwether_live::identity::Role;
use bellwether_live::interface::etsi014::Compatibility;
use bellwether_live::node::links::LinkNews;
use bellwether_live::state::State;
use bellwether_live::up::Up;
use bellwether_network::{Network, Override};
use bellwether_units::{Duration, LinkId};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration as Span;
use tokio::time::timeout;

/// A and B, whose link has recordings in the folder `light` beside the network file, which is in `folder`.
fn network(folder: &Path, overrides: &[&str]) -> Arc<Network> {
    let text = format!(
        r#"
format = 1
[network]
name = "played"
[run]
duration = "10 s"
window = "10 ms"
[live]
first_port = {}
[node.A]
[node.B]
{}
[link.A-B.transmitter.hardware]
replay = "light/A-B.transmitter.bin"
[link.A-B.receiver.hardware]
replay = "light/A-B.receiver.bin"
"#,
        free_ports(),
        link(["A", "B"], "10 km")
    );
    let overrides: Vec<_> = overrides.iter().map(|text| Override::parse(text).unwrap()).collect();
    let file = folder.join("played.toml").display().to_string();
    Arc::new(Network::parse(&text, &file, &overrides).unwrap_or_else(|errors| panic!("{errors}")))
}

fn record(network: &Network, folder: &Path, seed: u64) -> Result<(), RecordError> {
    let recorded =
        record_link(network, LinkId(0), seed, seed, Duration::from_whole_seconds(3), &folder.join("light"))?;
    assert!(recorded.clicks > 100_000, "{recorded:?}");
    Ok(())
}

async fn start(network: &Arc<Network>, folder: &Path) -> Result<Up, String> {
    let state = State::at(folder.join("state"));
    Up::start(Arc::clone(network), state, Compatibility::default()).await.map_err(|error| error.to_string())
}

fn client(network: &Network, up: &Up, folder: &Path, node: usize) -> Client {
    let state = State::at(folder.join("state"));
    let layout = state.identities();
    let name = &network.nodes[node].name;
    let identity = layout.load(Role::Application, &format!("sae-{name}")).unwrap();
    let url = format!("https://{}", up.nodes[node].key_manager());
    Client::new(&url, &identity, layout.roots(Role::KeyManager).unwrap(), Some(name)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_serve_equal_keys_from_recordings_of_both_ends_also_when_these_are_over() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let network = network(folder, &[]);
    record(&network, folder, 21).unwrap();
    assert!(
        matches!(record(&network, folder, 22), Err(RecordError::Exists(_))),
        "none takes another's place"
    );
    let up = start(&network, folder).await.unwrap();
    let mut news = up.nodes[1].subscribe();
    let (a, b) = (client(&network, &up, folder, 0), client(&network, &up, folder, 1));
    let wait = Span::from_secs(60);
    let issued = patiently(wait, || a.get("sae-B", 2, Some(256))).await.unwrap();
    let ids: Vec<String> = issued.iter().map(|key| key.id.to_string()).collect();
    let collected = b.get_by_id("sae-A", &ids).await.unwrap();
    assert!(issued.iter().zip(&collected).all(|(here, there)| here.id == there.id && here.key == there.key));

    let over = async { while !matches!(news.recv().await.unwrap(), (_, LinkNews::Devices(false))) {} };
    timeout(Span::from_secs(60), over).await.expect("three seconds of light are played soon");
    let issued = a.get("sae-B", 1, Some(256)).await.unwrap();
    let collected = b.get_by_id("sae-A", &[issued[0].id.to_string()]).await.unwrap();
    assert!(issued[0].key == collected[0].key, "what is in stock is served when the recording is over");
    up.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_played_is_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let refused = async |overrides: &[&str]| {
        let network = network(folder, overrides);
        start(&network, folder).await.map(drop).expect_err("it cannot be played")
    };
    let told = refused(&[]).await;
    assert!(told.contains("link `A-B`") && told.contains("A-B.transmitter.bin"), "{told}");
    assert!(told.contains("No such file"), "{told}");

    let right = network(folder, &[]);
    record(&right, folder, 23).unwrap();
    let told = refused(&["link.A-B.transmitter.clock=20 MHz"]).await;
    assert!(told.contains("10000000 pulses a second") && told.contains("a link of 20000000"), "{told}");

    let [transmitter, receiver] = files(&folder.join("light"), "A-B");
    let aside = folder.join("aside");
    std::fs::rename(&transmitter, &aside).unwrap();
    std::fs::rename(&receiver, &transmitter).unwrap();
    std::fs::rename(&aside, &receiver).unwrap();
    let told = refused(&[]).await;
    assert!(told.contains("was recorded by a receiver, and a transmitter is to play it"), "{told}");

    std::fs::write(&transmitter, "no recording").unwrap();
    let told = refused(&[]).await;
    assert!(told.contains("no detection file"), "{told}");
}
