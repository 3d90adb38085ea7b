//! A node whose callers misbehave: each meets the limit and the answer that the book names, and others notice little.

#![expect(
    clippy::disallowed_methods,
    reason = "a node runs by the wall clock, and so does what is measured of it"
)]

use crate::crowd::{IDLERS, World};
use crate::https::{Answer, Connection, application, request};
use bellwether_live::identity::Role;
use bellwether_live::state::State;
use rustls::ClientConfig;
use socket2::{Domain, Socket, Type};
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What the book says.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const BODY_TIMEOUT: Duration = Duration::from_secs(5);
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
const HANDSHAKES: usize = 512;
const CONNECTIONS_OF_ONE: usize = 256;
const REQUESTS_OF_ONE: usize = 128;
/// What the network below gives the flooder, in keys per second.
const FLOODER_RATE: usize = 200;

/// How long a server puts up with a connection on which `said` was all.
fn put_up_with(address: SocketAddr, said: &[u8]) -> (Duration, TcpStream) {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    stream.write_all(said).expect("it can be sent");
    let mut part = [0; 64];
    let read = stream.read(&mut part);
    assert!(!matches!(&read, Ok(1..)), "{part:?}");
    assert!(!matches!(&read, Err(error) if error.kind() == io::ErrorKind::WouldBlock), "it was not closed");
    (begun.elapsed(), stream)
}

fn about(what: &str, took: Duration, limit: Duration) {
    // What the machine does besides may make it longer, nothing may make it shorter.
    let within = limit - Duration::from_millis(50)..limit + Duration::from_secs(5);
    assert!(within.contains(&took), "{what}: closed after {took:?}, not {limit:?}");
}

fn wrong_certificates(world: &World) {
    let refused = |config: ClientConfig, what: &str| {
        let config = Arc::new(config);
        let answer = Connection::open(&config, world.address)
            .and_then(|mut connection| connection.ask("GET", "/api/v1/keys/vault/status", ""));
        let error = answer.expect_err(what);
        assert!(error.to_string().contains("received fatal alert"), "{what}: {error}");
    };
    let layout = world.state.identities();
    let roots = layout.roots(Role::KeyManager).expect("an authority");
    refused(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth(), "no certificate");
    // The right name, from an authority of one's own.
    let other = tempfile::tempdir().expect("a folder");
    let own = State::at(other.path());
    let text = fs::read_to_string(world.place.path().join("network.toml")).expect("a network");
    let network = bellwether_network::Network::parse(&text, "network.toml", &[]).expect("a network");
    own.provision(&network, ["teller"]).expect("identities");
    fs::copy(layout.authority(Role::KeyManager), own.identities().authority(Role::KeyManager))
        .expect("a copy");
    refused(Arc::unwrap_or_clone(application(&own, "teller")), "another authority");
    // A node's certificate is no application's.
    let node = layout.load(Role::Node, "B").expect("an identity");
    let roots = layout.roots(Role::KeyManager).expect("an authority");
    let config = bellwether_live::identity::tls::application_client(&node, roots, None);
    refused(config.expect("a configuration"), "a node's certificate");
    world.place.until("an entry of the refusals", || {
        world
            .audit()
            .iter()
            .any(|entry| entry["event"] == "refused" && entry.to_string().contains("handshake"))
    });
    // Nobody of this name is in the network file, though the authority signed it.
    world.state.provision(&network, ["nobody"]).expect("an identity");
    let answer = world.ask("nobody", "POST", "/api/v1/keys/vault/enc_keys", "{}");
    assert_eq!((answer.status, &*answer.message()), (401, "the SAE is not authorised for this pair or key"));
}

fn wrong_requests(world: &World) {
    let enc = "/api/v1/keys/vault/enc_keys";
    let says = |answer: Answer, status: u16, part: &str| {
        assert!(answer.status == status && answer.message().contains(part), "{status} {part}: {answer:?}");
    };
    says(world.ask("teller", "POST", "/api/v1/keys/bank-b/enc_keys", "{}"), 401, "not authorised");
    says(world.ask("teller", "POST", "/api/v1/keys/nobody/enc_keys", "{}"), 401, "not authorised");
    says(world.ask("teller", "POST", enc, &"x".repeat((64 << 10) + 1)), 413, "longer than 65536 bytes");
    let deep = "[".repeat(60_000);
    for body in ["{", "[]", "\"\"", "{\"number\":-1}", "{\"number\":1e99}", "\u{0}", &deep] {
        says(world.ask("teller", "POST", enc, body), 400, "");
    }
    says(world.ask("teller", "POST", enc, "{\"number\":1000000}"), 400, "");
    says(world.ask("teller", "POST", enc, "{\"size\":1000000000}"), 400, "");
    says(world.ask("teller", "DELETE", enc, ""), 405, "");
    says(world.ask("teller", "GET", "/api/v2/keys", ""), 404, "");
    // Bodies whose length nobody knows before they end are bounded as well.
    let mut teller = world.connect("teller");
    let head = format!("POST {enc} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    teller.send(head.as_bytes()).expect("it can be sent");
    let chunk = format!("{:x}\r\n{}\r\n", 8 << 10, " ".repeat(8 << 10));
    let answered =
        (0..64).find_map(|_| teller.send(chunk.as_bytes()).err()).map_or_else(|| teller.answer(), Err);
    // It may answer and close before all is sent.
    if let Ok(answer) = answered {
        says(answer, 413, "longer than 65536 bytes");
    }
    // What is no HTTP is answered by HTTP's own words, without a body.
    let head = |more: &str| format!("GET {enc} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n");
    let fields: String = (0..65).map(|number| format!("x-{number}: 1\r\n")).collect();
    for (said, status) in [
        (head(&format!("x: {}\r\n", "y".repeat(17 << 10))), 431),
        (head(&fields), 431),
        (head("no field\r\n"), 400),
        ("\u{1}\u{2}\u{3}\r\n\r\n".to_owned(), 400),
        (head("Content-Length: 1\r\nContent-Length: 2\r\n"), 400),
    ] {
        let mut teller = world.connect("teller");
        teller.send(said.as_bytes()).expect("it can be sent");
        let answer = teller.answer().expect("an answer");
        assert_eq!(answer.status, status, "{said:.60}");
        // The rest of a connection that went wrong is not looked at.
        let _ = teller.until_closed();
    }
    // After all this the same caller is served.
    says(world.ask("teller", "POST", enc, "{}"), 200, "");
}

/// Connections that say little, each as slowly as it can; others are watched meanwhile.
fn slow_callers(world: &World) {
    let config = application(&world.state, "stranger");
    let until_closed = |mut connection: Connection| {
        let begun = Instant::now();
        let (_, said) = connection.until_closed();
        (begun.elapsed(), String::from_utf8_lossy(&said).into_owned())
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (took, _stream) = put_up_with(world.address, b"");
            about("no handshake", took, HANDSHAKE_TIMEOUT);
        });
        scope.spawn(|| {
            let (took, _stream) = put_up_with(world.address, &[22, 3, 1, 2, 0, 1]);
            about("half a handshake", took, HANDSHAKE_TIMEOUT);
        });
        scope.spawn(|| {
            let (took, said) = until_closed(Connection::open(&config, world.address).expect("a connection"));
            about("no head", took, HEAD_TIMEOUT);
            assert_eq!(said, "");
        });
        scope.spawn(|| {
            // A head that goes on and on is no faster for it.
            let mut connection = Connection::open(&config, world.address).expect("a connection");
            let begun = Instant::now();
            let head = request("GET", "/api/v1/keys/vault/status", "");
            let drip = head.bytes().cycle().find_map(|byte| {
                sleep(Duration::from_millis(100));
                let gone = begun.elapsed() > HEAD_TIMEOUT + Duration::from_secs(4);
                (gone || connection.send(&[byte.max(b'a')]).is_err()).then_some(begun.elapsed())
            });
            about("a head by drops", drip.expect("it ends"), HEAD_TIMEOUT);
        });
        scope.spawn(|| {
            let mut connection = Connection::open(&config, world.address).expect("a connection");
            let head =
                "POST /api/v1/keys/vault/enc_keys HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{";
            connection.send(head.as_bytes()).expect("it can be sent");
            let begun = Instant::now();
            let answer = connection.answer().expect("an answer");
            about("half a body", begun.elapsed(), BODY_TIMEOUT);
            assert_eq!((answer.status, &*answer.message()), (408, "the body did not arrive in time"));
        });
        // As many as one caller may have, with heads that do not end; the next one is closed.
        world.others_during("slow-loris", false, |stage| {
            let mut held = Vec::new();
            for _ in 0..CONNECTIONS_OF_ONE - 8 {
                if stage.is_over() {
                    return;
                }
                if let Ok(mut connection) = Connection::open(&config, world.address) {
                    let _ = connection.send(b"GET / HTTP/1.1\r\n");
                    held.push(connection);
                }
            }
            stage.is_whole();
            while !stage.is_over() {
                for connection in &mut held {
                    let _ = connection.send(b"x: y\r\n");
                }
                sleep(Duration::from_millis(100));
            }
        });
    });
}

/// A connection from another address than that of all others here.
fn connect_from_elsewhere(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 2], 0)).into())?;
    socket.connect(&address.into())?;
    Ok(socket)
}

/// More connections than the bounds on one caller, on handshakes under way and, of most processes, on open sockets.
fn idle_connections(world: &World, number: usize, strictly: bool) {
    let before = world.turned_away();
    let begun = Instant::now();
    world.others_during(&format!("{number} idle connections"), strictly, |stage| {
        let mut held = Vec::with_capacity(number);
        while held.len() < number && !stage.is_over() {
            match connect_from_elsewhere(world.address) {
                Ok(stream) => held.push(stream),
                Err(_) => sleep(Duration::from_millis(1)),
            }
        }
        println!("{number} connections were made in {:.1?}", begun.elapsed());
        stage.is_whole();
        while !stage.is_over() {
            sleep(Duration::from_millis(10));
        }
    });
    // Beyond the bound, each pushes another out, unless that has had its time already.
    let turned_away = world.turned_away() - before;
    let timed_out =
        HANDSHAKES as f64 * (begun.elapsed().as_secs_f64() / HANDSHAKE_TIMEOUT.as_secs_f64() + 1.0);
    println!("{turned_away} of them were closed to make room");
    assert!(turned_away >= number as f64 - timed_out, "{turned_away} were turned away");
    // One caller with a certificate holds so many and no more.
    let config = application(&world.state, "stranger");
    let mut held: Vec<_> = (0..CONNECTIONS_OF_ONE + 8)
        .map(|_| Connection::open(&config, world.address).expect("a handshake"))
        .collect();
    let answers = held
        .iter_mut()
        .filter_map(|connection| Some(connection.ask("GET", "/api/v1/keys/bank-a/status", "").ok()?.status));
    let answers: Vec<u16> = answers.collect();
    assert_eq!(answers, [401; CONNECTIONS_OF_ONE]);
}

/// How many files a process may open here.
fn open_files() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").expect("Linux");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a limit");
    line.split_whitespace().nth(4).and_then(|hard| hard.parse().ok()).unwrap_or(1 << 20)
}

/// Connections of applications that may call, with a handshake each and nothing after it. The node closes each after
/// [`HEAD_TIMEOUT`], so there are as many as handshakes can be made in most of that time.
fn idle_callers(world: &World, number: usize, strictly: bool) {
    let names = || (0..IDLERS).map(|one| format!("idler-{one}"));
    let configs: Vec<_> = names().map(|name| application(&world.state, &name)).collect();
    // A few less than each may have, since those of the last attempt may not have ended.
    let of_one = CONNECTIONS_OF_ONE - 6;
    assert!(number <= IDLERS * of_one);
    // A node takes as many connections as four tenths of the files that it may open; beyond, it closes new ones.
    let number = number.min(open_files() * 4 / 10 - 256);
    let most_held = AtomicUsize::new(0);
    world.others_during(&format!("{number} idle connections with a handshake"), strictly, |stage| {
        while world.open_connections() > 8.0 && !stage.is_over() {
            sleep(Duration::from_millis(100));
        }
        let (begun, next) = (Instant::now(), AtomicUsize::new(0));
        let in_time = || begun.elapsed() < HEAD_TIMEOUT - Duration::from_secs(4) && !stage.is_over();
        let open = || {
            let mut held = Vec::new();
            while in_time() {
                let place = next.fetch_add(1, Ordering::Relaxed);
                if place >= number {
                    break;
                }
                held.push(Connection::open(&configs[place / of_one], world.address).expect("a handshake"));
            }
            held
        };
        let held = std::thread::scope(|scope| {
            let others = scope.spawn(open);
            let mut held = open();
            held.extend(others.join().expect("handshakes"));
            held
        });
        println!("{} handshakes were made in {:.1?}", held.len(), begun.elapsed());
        // The teller's and the one that was opened last may not be counted yet.
        assert!(world.open_connections() + 2.0 >= held.len() as f64, "they are open");
        most_held.fetch_max(held.len(), Ordering::Relaxed);
        stage.is_whole();
        while !stage.is_over() {
            sleep(Duration::from_millis(10));
        }
    });
    let most_held = most_held.into_inner();
    assert!(most_held >= CONNECTIONS_OF_ONE, "{most_held} were open together");
}

/// One application asks as fast as it can over as many connections as it may have.
fn flood(world: &World) {
    let config = application(&world.state, "flooder");
    let ask = request("POST", "/api/v1/keys/vault/enc_keys", "{}");
    let answers = std::sync::Mutex::new((0_usize, 0_usize, Duration::ZERO));
    let floods = AtomicUsize::new(0);
    world.others_during("a flood", false, |stage| {
        floods.fetch_add(1, Ordering::Relaxed);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut connections: Vec<_> = (0..CONNECTIONS_OF_ONE / 4)
                        .map(|_| Connection::open(&config, world.address).expect("a connection"))
                        .collect();
                    stage.is_whole();
                    let (begun, mut served, mut refused) = (Instant::now(), 0, 0);
                    while !stage.is_over() {
                        for connection in &mut connections {
                            connection.send(ask.as_bytes()).expect("it can be sent");
                        }
                        for connection in &mut connections {
                            let answer = connection.answer().expect("an answer");
                            match answer.status {
                                200 => served += 1,
                                503 => {
                                    assert!(answer.head.contains("retry-after: 1\r\n"), "{}", answer.head);
                                    refused += 1;
                                }
                                other => panic!("{other}: {}", answer.message()),
                            }
                        }
                    }
                    let mut answers = answers.lock().expect("no thread has failed");
                    answers.0 += served;
                    answers.1 += refused;
                    answers.2 += begun.elapsed() / 4;
                });
            }
        });
    });
    let (served, refused, took) = answers.into_inner().expect("no thread has failed");
    println!("the flooder was served {served} times and refused {refused} times in {took:.1?}");
    // At the beginning the bucket holds a second's worth, and those under way when it is empty are served.
    let at_once = FLOODER_RATE + REQUESTS_OF_ONE;
    let most = FLOODER_RATE as f64 * took.as_secs_f64() + (at_once * floods.into_inner()) as f64;
    assert!(
        (served as f64) < most && refused > served,
        "{served} of at most {most:.0} served, {refused} refused"
    );
}

fn abuse(idle: usize) {
    let limit = rlimit::increase_nofile_limit(u64::MAX).expect("a limit");
    let idle = idle.min(usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(1000));
    let (world, mut running) = World::start();
    running.until("--master bank-a");
    wrong_certificates(&world);
    wrong_requests(&world);
    flood(&world);
    slow_callers(&world);
    idle_callers(&world, 1000, false);
    idle_connections(&world, idle, false);
    assert_eq!(running.stop("INT"), Some(0));
}

#[test]
fn abuse_meets_its_limits_and_others_are_served() {
    abuse(10_000);
}

#[test]
#[ignore = "takes two idle cores for half a minute: cargo test -p bellwether-cli --test alone -- --ignored --nocapture idle_callers"]
fn thousands_of_idle_callers_leave_others_alone() {
    rlimit::increase_nofile_limit(u64::MAX).expect("a limit");
    let (world, mut running) = World::start();
    running.until("--master bank-a");
    idle_callers(&world, 10_000, true);
    idle_connections(&world, 10_000, true);
    assert_eq!(running.stop("INT"), Some(0));
}
