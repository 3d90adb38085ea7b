//! A node whose callers misbehave: each meets the limit and the answer that the book names, and others notice little.

#![expect(
    clippy::disallowed_methods,
    reason = "a node runs by the wall clock, and so does what is measured of it"
)]

use crate::https::{Answer, Connection, application, request};
use crate::live::{Place, Running, network};
use bellwether_live::identity::Role;
use bellwether_live::state::State;
use rustls::ClientConfig;
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What others may be kept waiting, of a hundred requests all but one.
const OTHERS_P99: Duration = Duration::from_millis(20);
/// A machine that does other work delays others as well: so often is measured before it is taken for the abuse.
const ATTEMPTS: usize = 4;
/// How long others are watched, without abuse and under it.
const WATCHED: [Duration; 2] = [Duration::from_millis(1000), Duration::from_millis(2000)];
/// What the book says.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const BODY_TIMEOUT: Duration = Duration::from_secs(5);
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
const HANDSHAKES: usize = 512;
const CONNECTIONS_OF_ONE: usize = 256;
const REQUESTS_OF_ONE: usize = 128;
/// What the network below gives the flooder, in keys per second.
const FLOODER_RATE: usize = 200;

/// A and B, with a teller and a vault at A who have done nothing wrong, and others.
fn crowded(first_port: u16) -> String {
    network(first_port).replace(
        "[sae.stranger]",
        "[sae.teller]\nnode = \"A\"\n[sae.vault]\nnode = \"A\"\n[sae.flooder]\nnode = \"A\"\nkeys_per_second = 200\n\
         [[pair]]\nmaster = \"teller\"\nslave = \"vault\"\n[[pair]]\nmaster = \"flooder\"\nslave = \"vault\"\n\
         [sae.stranger]",
    )
}

struct World {
    place: Place,
    state: State,
    address: SocketAddr,
    /// Of the node's operators.
    operations: SocketAddr,
}

impl World {
    fn start() -> (Self, Running) {
        let place = Place::with(crowded);
        let folder = place.path().join("state");
        let running = Running::start(place.command(&format!("up network.toml --state {}", folder.display())));
        let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], place.first_port() + port));
        let world = Self { state: State::at(&folder), address: at(1), operations: at(2), place };
        (world, running)
    }

    fn connect(&self, name: &str) -> Connection {
        Connection::open(&application(&self.state, name), self.address).expect("a connection")
    }

    fn ask(&self, name: &str, method: &str, path: &str, body: &str) -> Answer {
        self.connect(name).ask(method, path, body).expect("an answer")
    }

    /// How many connections of applications were closed because of a bound, as the node's metrics tell.
    fn turned_away(&self) -> f64 {
        let mut stream = TcpStream::connect(self.operations).expect("operations");
        let ask = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(ask).expect("a request");
        let mut told = String::new();
        stream.read_to_string(&mut told).expect("metrics");
        let marks = ["listener_connections_total", "interface=\"key-manager\"", "event=\"turned-away\""];
        let line = told.lines().find(|line| marks.iter().all(|mark| line.contains(mark)));
        let value = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
        value.unwrap_or_else(|| panic!("not in {told}"))
    }

    fn audit(&self) -> Vec<Value> {
        let file = self.place.path().join("state/nodes/A/audit.jsonl");
        let text = fs::read_to_string(file).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// What others wait while `abuse` goes on: on a connection that they keep, and on a new one each time. Not one of
    /// their requests may fail. On a machine so busy that they wait long anyway, they may wait twice as long.
    fn others_during(&self, what: &str, abuse: impl Fn(&Stage) + Sync) {
        let mut slowest = Vec::new();
        for _ in 0..ATTEMPTS {
            let calm = self.watch(false, &Stage::ready());
            let stage = Stage::default();
            let (kept, new) = std::thread::scope(|scope| {
                scope.spawn(|| abuse(&stage));
                // Whatever goes wrong here, the abuse must end.
                let _over = Over(&stage);
                let new = scope.spawn(|| self.watch(true, &stage));
                (self.watch(false, &stage), new.join().expect("others are served"))
            });
            println!(
                "{what}: others' p99 {kept:.1?} on a connection kept, {new:.1?} on a new one each time; {calm:.1?} before"
            );
            if kept < OTHERS_P99.max(2 * calm) {
                return;
            }
            slowest.push(kept);
        }
        panic!("{what}: others' p99 was {slowest:.1?}");
    }

    /// The p99 of a teller's requests for durable keys, until the abuse has been whole for a while.
    fn watch(&self, new_connections: bool, stage: &Stage) -> Duration {
        let config = application(&self.state, "teller");
        let open = || Connection::open(&config, self.address).expect("a connection");
        let pause = Duration::from_millis(if new_connections { 20 } else { 5 });
        let (mut kept, mut waits, mut whole) = (open(), Vec::new(), None);
        let begun = Instant::now();
        while whole.is_none_or(|since: Instant| since.elapsed() < stage.watched) {
            assert!(begun.elapsed() < Duration::from_secs(120), "the abuse is never whole");
            let asked = Instant::now();
            if new_connections {
                kept = open();
            }
            let answer = kept.ask("POST", "/api/v1/keys/vault/enc_keys", "{}").expect("an answer");
            waits.push(asked.elapsed());
            assert_eq!(answer.status, 200, "{}", answer.message());
            if stage.whole.load(Ordering::SeqCst) {
                whole.get_or_insert_with(Instant::now);
            }
            sleep(pause);
        }
        waits.sort_unstable();
        waits[(waits.len() * 99).div_ceil(100) - 1]
    }
}

/// How far an abuse is.
struct Stage {
    whole: AtomicBool,
    over: AtomicBool,
    watched: Duration,
}

impl Default for Stage {
    fn default() -> Self {
        Self { whole: AtomicBool::new(false), over: AtomicBool::new(false), watched: WATCHED[1] }
    }
}

impl Stage {
    fn ready() -> Self {
        Self { whole: AtomicBool::new(true), watched: WATCHED[0], ..Self::default() }
    }
    /// All that it does is done now, or goes on.
    fn is_whole(&self) {
        self.whole.store(true, Ordering::SeqCst);
    }
    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

struct Over<'a>(&'a Stage);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::SeqCst);
    }
}

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
        world.others_during("slow-loris", |stage| {
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
fn idle_connections(world: &World, number: usize) {
    let before = world.turned_away();
    let begun = Instant::now();
    world.others_during(&format!("{number} idle connections"), |stage| {
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

/// One application asks as fast as it can over as many connections as it may have.
fn flood(world: &World) {
    let config = application(&world.state, "flooder");
    let ask = request("POST", "/api/v1/keys/vault/enc_keys", "{}");
    let answers = std::sync::Mutex::new((0_usize, 0_usize, Duration::ZERO));
    let floods = AtomicUsize::new(0);
    world.others_during("a flood", |stage| {
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
    idle_connections(&world, idle);
    assert_eq!(running.stop("INT"), Some(0));
}

#[test]
fn abuse_meets_its_limits_and_others_are_served() {
    abuse(10_000);
}
