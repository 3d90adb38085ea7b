//! Two replicas of a node over one database: one leads, the other stands by and takes over.

#![expect(clippy::disallowed_methods, reason = "a takeover is measured by the wall clock")]

use crate::database::server;
use crate::place::{Place, Running};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// More than a takeover needs on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The status line, the `Retry-After` and the body of what a port of operators answers.
fn asked(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer.to_lowercase())
}

fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what} does not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_replica_stands_by_takes_over_and_gives_the_keys_that_the_other_had_promised() {
    let Some(server) = server() else { return };
    let place = Place::new();
    let state = place.path().join("state");
    let state = state.display();
    place.done(&format!("pki network.toml --state {state}"));
    place.done(&format!("pki network.toml --state {state} --export A --to second"));
    let store = format!("--store {}", server.address(&server.new_database()));
    let start = |state: &str, name: &str, options: &str| {
        let line = format!("node --network network.toml --state {state} --name {name} {store} {options}");
        Running::start(place.command(&line))
    };
    let mut light =
        Running::start(place.command(&format!("physical-layer --network network.toml --state {state}")));
    light.until("ready: ");
    let mut first = start(&state.to_string(), "A", "");
    first.until("ready: ");
    let mut other = start(&state.to_string(), "B", "");
    other.until("ready: ");

    // The second replica listens elsewhere on this machine; other nodes reach whoever leads at one address.
    let [operations, key_manager] = [0, 1].map(|more| place.first_port() + 11 + more);
    let elsewhere = format!(
        "--set live.node.A.operations=\"127.0.0.1:{operations}\" \
         --set live.node.A.key_manager=\"127.0.0.1:{key_manager}\""
    );
    // It cannot open what is there without the first one's key.
    let refused =
        place.run(&format!("node --network network.toml --state second --name A {store} {elsewhere}"));
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && told.contains("--master-key"), "{told}");
    let key = format!("--master-key file:{state}/nodes/A/master.key");
    let mut second = start("second", "A", &format!("{elsewhere} {key}"));
    second.until("stands by");
    let ready = until("an answer", || asked(operations, "/ready"));
    assert!(
        ready.starts_with("http/1.1 503") && ready.contains("retry-after") && ready.contains("stands by"),
        "{ready}"
    );
    let health = until("an answer", || asked(operations, "/health"));
    assert!(health.starts_with("http/1.1 200"), "{health}");

    // A key that the first replica gives, of which the other node hears only from the second.
    let options = format!("--network network.toml --state {state}");
    let given = |options: &str, rest: &str| place.done(&format!("key get {options} {rest} --wait 60s"));
    let issued = given(&options, "--as bank-b --slave bank-a");
    let at_second = format!("{options} {elsewhere}");
    let refused = place.run(&format!("key get {at_second} --as bank-a --slave bank-b"));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("503"), "{refused:?}");

    let begun = Instant::now();
    assert_eq!(first.stop("KILL"), None);
    second.until("ready: ");
    println!("another replica led {:.2?} after the leader was killed", begun.elapsed());
    let id = issued.split_once(' ').expect("a name and a key").0;
    assert_eq!(issued, given(&at_second, &format!("--as bank-a --master bank-b --id {id}")));
    let mine = given(&at_second, "--as bank-a --slave bank-b");
    let id = mine.split_once(' ').expect("a name and a key").0;
    assert_eq!(mine, given(&options, &format!("--as bank-b --master bank-a --id {id}")));
    println!("and keys passed {:.2?} after it", begun.elapsed());
    until("readiness", || asked(operations, "/ready").filter(|answer| answer.starts_with("http/1.1 200")));

    // The first comes back, and stands by.
    let mut first = start(&state.to_string(), "A", "");
    first.until("stands by");
    for running in [first, second, other, light] {
        assert_eq!(running.stop("TERM"), Some(0));
    }
    let folder = fs::read_dir(place.path().join("second/nodes/A")).expect("a folder");
    let names: Vec<_> = folder.map(|entry| entry.expect("a file").file_name()).collect();
    assert!(!names.iter().any(|name| name == "store.redb" || name == "master.key"), "{names:?}");
}

#[test]
fn what_was_typed_of_a_store_is_checked_and_no_secret_in_it_is_told() {
    let place = Place::new();
    place.done("pki network.toml --state state");
    let told = |options: &str| {
        let output = place.run(&format!("node --network network.toml --state state --name A {options}"));
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let password = told("--store postgres://u:hunter2@localhost/d");
    assert!(password.contains("PGPASSFILE") && !password.contains("hunter2"), "{password}");
    assert!(told("--store mysql://u@localhost/d").contains("postgres://"));
    let key = told("--master-key 0123456789abcdef");
    assert!(key.contains("file:PATH") && !key.contains("0123456789"), "{key}");
}
