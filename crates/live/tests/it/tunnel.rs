//! A tunnel between two applications of a network that runs: through changes of keys, and not beyond them.

use crate::two_ends::link;
use crate::up::free_ports;
use bellwether_live::application::client::Client;
use bellwether_live::application::supply::Supply;
use bellwether_live::application::tunnel::run::{Event, Purpose, Site, serve};
use bellwether_live::application::tunnel::{Limits, Role as End};
use bellwether_live::identity::Role;
use bellwether_live::interface::etsi014::Compatibility;
use bellwether_live::state::State;
use bellwether_live::up::Up;
use bellwether_network::Network;
use bellwether_units::Duration as Span;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn network(first_port: u16) -> Network {
    parsed(&text(first_port))
}

fn parsed(text: &str) -> Network {
    Network::parse(text, "two.toml", &[]).unwrap_or_else(|errors| panic!("{errors}"))
}

fn text(first_port: u16) -> String {
    format!(
        r#"
format = 1
network.name = "two nodes"
run = {{ duration = "10 s", window = "10 ms" }}
[live]
first_port = {first_port}
head_start = "30 s"
[node.A]
[node.B]
[sae.bank-a]
node = "A"
[sae.bank-b]
node = "B"
[[pair]]
master = "bank-a"
slave = "bank-b"
{}"#,
        link(["A", "B"], "10 km")
    )
}

/// Keys of an application at a node of a network that runs.
pub(crate) fn supply(state: &State, up: &Up, name: &str, peer: &str, node: usize) -> Supply {
    let layout = state.identities();
    let identity = layout.load(Role::Application, name).unwrap();
    let url = format!("https://{}", up.nodes[node].key_manager());
    let client = Client::new(&url, &identity, layout.roots(Role::KeyManager).unwrap(), None).unwrap();
    Supply { client, peer: peer.to_owned(), post_quantum_only: false, patience: PATIENCE }
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A program that sends back what it is sent.
async fn echo() -> SocketAddr {
    let (listener, address) = listener().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
                let _ = write.shutdown().await;
            });
        }
    });
    address
}

/// Starts an end of a tunnel and gives where it listens, and how often its keys changed.
async fn end(
    role: End,
    names: [&str; 2],
    supply: Supply,
    life: u64,
    onward: SocketAddr,
) -> (SocketAddr, Arc<AtomicU32>) {
    let (listener, address) = listener().await;
    let rotations = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&rotations);
    let tell = move |event: Event<'_>| {
        if matches!(event, Event::Rotated(_)) {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    };
    let site = Site {
        role,
        purpose: Purpose::Connections,
        name: names[0].to_owned(),
        supply,
        limits: Limits::new(Span::from_whole_seconds(life), 1 << 18).unwrap(),
        connections: 8,
        tell: Box::new(tell),
    };
    tokio::spawn(serve(listener, onward.to_string(), Arc::new(site)));
    (address, rotations)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_goes_through_changes_of_keys_and_ends_where_there_are_none() {
    let network = Arc::new(network(free_ports()));
    let folder = tempfile::tempdir().unwrap();
    let state = State::at(folder.path());
    let up = Up::start(Arc::clone(&network), state.clone(), Compatibility::default()).await.unwrap();
    let a = supply(&state, &up, "bank-a", "bank-b", 0);
    let b = supply(&state, &up, "bank-b", "bank-a", 1);
    let life = 6;
    let (there, _) = end(End::Responder, ["bank-b", "bank-a"], b, 60, echo().await).await;
    let (here, rotations) = end(End::Initiator, ["bank-a", "bank-b"], a, life, there).await;

    // A program that says all and then reads to the end, as much as eight keys carry.
    let sent: Vec<u8> = (0..1_u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut program = TcpStream::connect(here).await.unwrap();
    let (mut read, mut write) = program.split();
    let write = async {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let mut received = Vec::new();
    let both = async { tokio::join!(write, read.read_to_end(&mut received)) };
    timeout(PATIENCE, both).await.unwrap().1.unwrap();
    assert!(received == sent, "{} of {} bytes", received.len(), sent.len());
    assert!(rotations.load(Ordering::Relaxed) >= 4, "{rotations:?}");

    // A connection that lasts ends with its key, and not in order, once the key managers are gone.
    let mut program = TcpStream::connect(here).await.unwrap();
    let mut byte = [0];
    program.write_all(b"x").await.unwrap();
    timeout(PATIENCE, program.read_exact(&mut byte)).await.unwrap().unwrap();
    up.stop().await;
    let stopped = Instant::now();
    let ended = timeout(PATIENCE, program.read(&mut byte)).await.unwrap();
    assert!(ended.is_err(), "the program was told of an end in order");
    assert!(stopped.elapsed() <= Duration::from_secs(life + 2), "{:?}", stopped.elapsed());

    // Whoever speaks anything else to the responder is sent away.
    let mut stranger = TcpStream::connect(there).await.unwrap();
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let answer = timeout(PATIENCE, stranger.read(&mut byte)).await.unwrap();
    assert!(!matches!(answer, Ok(1..)), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_without_a_quantum_part_are_refused_by_either_end_unless_both_take_them() {
    // The fibre is cut from the beginning.
    let text = text(free_ports())
        .replace("slave = \"bank-b\"", "slave = \"bank-b\"\nrequirement = \"post-quantum-while-down\"")
        + "[[event]]\nat = \"0 s\"\nkind = \"cut\"\nlink = \"A-B\"\n";
    let network = Arc::new(parsed(&text));
    let folder = tempfile::tempdir().unwrap();
    let state = State::at(folder.path());
    let up = Up::start(Arc::clone(&network), state.clone(), Compatibility::default()).await.unwrap();
    // An initiator tries again for as long as it is patient when the responder closes.
    let taking = |post_quantum_only, patience, name, peer, node| Supply {
        post_quantum_only,
        patience: Duration::from_secs(patience),
        ..supply(&state, &up, name, peer, node)
    };
    let mut said = Vec::new();
    for (of_a, of_b) in [(true, true), (false, true), (true, false)] {
        let b = taking(of_b, 20, "bank-b", "bank-a", 1);
        let a = taking(of_a, if of_b { 20 } else { 2 }, "bank-a", "bank-b", 0);
        let (there, _) = end(End::Responder, ["bank-b", "bank-a"], b, 60, echo().await).await;
        let (here, _) = end(End::Initiator, ["bank-a", "bank-b"], a, 60, there).await;
        let mut program = TcpStream::connect(here).await.unwrap();
        program.write_all(b"x").await.unwrap();
        let mut byte = [0];
        let read = timeout(PATIENCE, program.read(&mut byte)).await.unwrap();
        said.push(matches!(read, Ok(1)));
    }
    assert_eq!(said, [true, false, false], "what an end refuses does not go through");
    up.stop().await;
}
