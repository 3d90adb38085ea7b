//! The client of key managers keeps its connection, and does without it when it is gone.

use crate::tunnel::network;
use crate::up::free_ports;
use bellwether_live::application::client::Client;
use bellwether_live::identity::Role;
use bellwether_live::interface::etsi014::Compatibility;
use bellwether_live::state::State;
use bellwether_live::up::Up;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_keeps_its_connection_and_makes_another_when_that_is_gone() {
    let network = Arc::new(network(free_ports()));
    let folder = tempfile::tempdir().unwrap();
    let state = State::at(folder.path());
    let up = Up::start(Arc::clone(&network), state.clone(), Compatibility::default()).await.unwrap();

    // Between the two, something that counts connections and ends all that there are.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, onward) = (listener.local_addr().unwrap(), up.nodes[0].key_manager());
    let connections = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&connections);
    let (end, ended) = watch::channel(());
    tokio::spawn(async move {
        while let Ok((mut here, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            let mut ended = ended.clone();
            ended.mark_unchanged();
            tokio::spawn(async move {
                let mut there = TcpStream::connect(onward).await.unwrap();
                tokio::select! {
                    _ = copy_bidirectional(&mut here, &mut there) => {}
                    _ = ended.changed() => {}
                }
            });
        }
    });

    let layout = state.identities();
    let identity = layout.load(Role::Application, "bank-a").unwrap();
    let roots = layout.roots(Role::KeyManager).unwrap();
    let client = Client::new(&format!("https://{address}"), &identity, roots, None).unwrap();
    for _ in 0..3 {
        client.status("bank-b").await.unwrap();
        assert!(client.status("nobody").await.is_err(), "a refusal is an answer as well");
    }
    assert_eq!(connections.load(Ordering::Relaxed), 1);
    end.send(()).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    client.status("bank-b").await.unwrap();
    assert_eq!(connections.load(Ordering::Relaxed), 2);
    // Two questions at once do not wait for each other.
    let (one, other) = tokio::join!(client.status("bank-b"), client.status("bank-b"));
    assert!(one.is_ok() && other.is_ok());
    assert_eq!(connections.load(Ordering::Relaxed), 3);
    up.stop().await;
}
