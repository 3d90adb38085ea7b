//! Programs on a running network whose nodes share entangled pairs: the same text as in virtual time.

use crate::up::free_ports;
use bellwether_live::hardware::wire::read_frame;
use bellwether_live::interface::etsi014::Compatibility;
use bellwether_live::memories::server::MemoryLayer;
use bellwether_live::memories::wire::{Ask, Tell};
use bellwether_live::memories::{self, client};
use bellwether_live::programs::run;
use bellwether_live::state::State;
use bellwether_live::up::Up;
use bellwether_network::Network;
use bellwether_protocol::application::ProgramError;
use bellwether_protocol::entanglement::MemoryId;
use bellwether_protocol::entanglement::hardware::{HardwareCommand, HardwareEvent};
use bellwether_protocol::entanglement::link::BasisChoice;
use bellwether_sim::entanglement::programs::Programs;
use bellwether_sim::entanglement::{World, WorldOptions, build};
use bellwether_units::{NodeId, Time};
use std::sync::Arc;
use tokio::io::DuplexStream;

#[path = "../../../../examples/teleport/program.rs"]
#[allow(unreachable_pub, reason = "the text is for readers, not for this file")]
mod teleport;

/// Alice, Bob and a repeater between them; two links that make some hundred pairs a second of a stated fidelity.
fn network(first_port: u16) -> Network {
    let text = format!(
        r#"
format = 1
[network]
name = "a repeater"
[run]
duration = "10 s"
[live]
first_port = {first_port}
[defaults.platform]
profile = "calcium-cavity"
communication = {{ t1 = "100 s", t2 = "20 s" }}
[node.Alice]
[node.Repeater]
role = "repeater"
[node.Bob]
[entangling.A-R]
ends = ["Alice", "Repeater"]
scheme = {{ kind = "stated", success = 0.01, fidelity = 0.97 }}
fibre = {{ length = "1 km", total_loss = "0 dB" }}
cycle = "50 us"
memories = 2
[entangling.R-B]
ends = ["Repeater", "Bob"]
scheme = {{ kind = "stated", success = 0.01, fidelity = 0.97 }}
fibre = {{ length = "1 km", total_loss = "0 dB" }}
cycle = "50 us"
memories = 2
[pair_demand.pairs]
from = "Alice"
to = "Bob"
fidelity = 0.6
"#
    );
    Network::parse(&text, "repeater.toml", &[]).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The same program in virtual time: how many states arrived.
fn simulated(network: &Network, states: u32) -> u32 {
    let mut setup = build(network).unwrap().setup;
    setup.demands.clear();
    let mut programs = Programs::new(World::new(setup, WorldOptions::default()).unwrap());
    let [a, b] = [NodeId(0), NodeId(2)];
    let alice = programs.spawn(a, |node| teleport::alice(node, b, states));
    let bob = programs.spawn(b, |node| teleport::bob(node, a, states));
    programs.run(Time::MAX).unwrap();
    alice.take().unwrap().unwrap();
    bob.take().unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_does_live_what_it_does_in_virtual_time() {
    const STATES: u32 = 60;
    let network = Arc::new(network(free_ports()));
    let folder = tempfile::tempdir().unwrap();
    let state = State::at(folder.path());
    let up = Up::start(Arc::clone(&network), state.clone(), Compatibility::default()).await.unwrap();
    let other = |name: &'static str, names: &bellwether_live::programs::client::Names| {
        names.find(name).ok_or_else(|| ProgramError::Other(format!("there is no {name}")))
    };
    // Bob comes first and waits for Alice.
    let (alice, bob) = tokio::join!(
        async {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            run(&network, &state, "Alice", async |node, names| {
                teleport::alice(node, other("Bob", &names)?, STATES).await
            })
            .await
        },
        run(&network, &state, "Bob", async |node, names| {
            teleport::bob(node, other("Alice", &names)?, STATES).await
        }),
    );
    alice.unwrap().unwrap();
    let right = bob.unwrap().unwrap();
    up.stop().await;
    // Within four standard errors of what the network gives in virtual time, and far from what chance would.
    let expected = f64::from(simulated(&network, 4000)) / 4000.0;
    let (found, states) = (f64::from(right) / f64::from(STATES), f64::from(STATES));
    let error = (expected * (1.0 - expected) * (1.0 / states + 1.0 / 4000.0)).sqrt();
    assert!((found - expected).abs() < 4.0 * error + 0.5 / states, "{found} found, {expected} expected");
}

/// A stream to the devices that serves whoever is called so.
fn stream(layer: &MemoryLayer, peer: &'static str) -> DuplexStream {
    let (near, far) = tokio::io::duplex(1 << 16);
    let layer = layer.clone();
    tokio::spawn(async move {
        // The greeting is read by the physical layer, which then hands the stream on.
        let mut far = far;
        read_frame(&mut far, 1024).await.unwrap();
        layer.serve(far, peer).await
    });
    near
}

#[tokio::test]
async fn a_node_has_its_own_memories_and_no_others() {
    let network = network(10_000);
    let setup = memories::setup(&network).unwrap();
    let layer = MemoryLayer::start(&network, &setup, 7).unwrap();
    let refused = client::attach(stream(&layer, "Carol")).await.map(drop).unwrap_err().to_string();
    assert!(refused.contains("`Carol` has no memories"), "{refused}");

    let mut first = client::attach(stream(&layer, "Alice")).await.unwrap();
    let mut second = client::attach(stream(&layer, "Alice")).await.unwrap();
    assert!(second.life > first.life, "a stack that begins anew has a greater life");
    assert_eq!(first.tells.recv().await, None, "devices follow the connection that came last");

    // Alice has two memories and the repeater four; what is measured where nothing is, is random.
    let measure = |memory| {
        let basis = BasisChoice::default();
        Ask::Stack(HardwareCommand::Measure { memory: MemoryId(memory), basis })
    };
    second.asks.send(measure(1)).unwrap();
    let told = second.tells.recv().await;
    assert!(
        matches!(told, Some(Tell::Stack(HardwareEvent::Measured { memory: MemoryId(1), .. }))),
        "{told:?}"
    );
    second.asks.send(measure(2)).unwrap();
    assert_eq!(second.tells.recv().await, None, "whoever asks for another's memory is hung up on");
    let mut repeater = client::attach(stream(&layer, "Repeater")).await.unwrap();
    repeater.asks.send(measure(2)).unwrap();
    assert!(repeater.tells.recv().await.is_some());
}
