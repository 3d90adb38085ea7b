//! A node with many callers, and what others wait while some of them misbehave.

#![expect(clippy::disallowed_methods, reason = "what others wait is measured by the wall clock")]

use crate::https::{Answer, Connection, application};
use crate::place::{Place, Running, network};
use bellwether_live::state::State;
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What others may be kept waiting, of a hundred requests all but one.
const OTHERS_P99: Duration = Duration::from_millis(20);
/// A machine that does other work delays others as well: so often is measured before it is taken for the abuse.
const ATTEMPTS: usize = 4;
/// How long others are watched, without abuse and under it.
const WATCHED: [Duration; 2] = [Duration::from_millis(1000), Duration::from_millis(2000)];
/// Applications at A that connect and ask nothing: `idler-0` and so on.
pub(crate) const IDLERS: usize = 40;

/// A and B, with a teller and a vault at A who have done nothing wrong, and others.
fn crowded(first_port: u16) -> String {
    let idlers: String = (0..IDLERS).map(|number| format!("[sae.idler-{number}]\nnode = \"A\"\n")).collect();
    network(first_port).replace(
        "[sae.stranger]",
        &(idlers + "[sae.teller]\nnode = \"A\"\n[sae.vault]\nnode = \"A\"\n[sae.flooder]\nnode = \"A\"\nkeys_per_second = 200\n\
         [[pair]]\nmaster = \"teller\"\nslave = \"vault\"\n[[pair]]\nmaster = \"flooder\"\nslave = \"vault\"\n\
         [sae.stranger]"),
    )
}

pub(crate) struct World {
    pub(crate) place: Place,
    pub(crate) state: State,
    pub(crate) address: SocketAddr,
    /// Of the node's operators.
    operations: SocketAddr,
}

impl World {
    pub(crate) fn start() -> (Self, Running) {
        let place = Place::with(crowded);
        let folder = place.path().join("state");
        let running = Running::start(place.command(&format!("up network.toml --state {}", folder.display())));
        let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], place.first_port() + port));
        let world = Self { state: State::at(&folder), address: at(1), operations: at(2), place };
        (world, running)
    }

    pub(crate) fn connect(&self, name: &str) -> Connection {
        Connection::open(&application(&self.state, name), self.address).expect("a connection")
    }

    pub(crate) fn ask(&self, name: &str, method: &str, path: &str, body: &str) -> Answer {
        self.connect(name).ask(method, path, body).expect("an answer")
    }

    /// How many connections of applications were closed because of a bound.
    pub(crate) fn turned_away(&self) -> f64 {
        self.metric(&["listener_connections_total", "event=\"turned-away\""])
    }

    /// How many connections of applications are open.
    pub(crate) fn open_connections(&self) -> f64 {
        self.metric(&["listener_open{"])
    }

    /// A number of the key manager's listener, as the node's metrics tell.
    fn metric(&self, marks: &[&str]) -> f64 {
        let mut stream = TcpStream::connect(self.operations).expect("operations");
        let ask = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(ask).expect("a request");
        let mut told = String::new();
        stream.read_to_string(&mut told).expect("metrics");
        let is_it = |line: &&str| {
            line.contains("interface=\"key-manager\"") && marks.iter().all(|mark| line.contains(mark))
        };
        let line = told.lines().find(is_it);
        let value = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
        value.unwrap_or_else(|| panic!("not in {told}"))
    }

    pub(crate) fn audit(&self) -> Vec<Value> {
        let file = self.place.path().join("state/nodes/A/audit.jsonl");
        let text = fs::read_to_string(file).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// What others wait while `abuse` goes on: on a connection that they keep, and on a new one each time. Not one of
    /// their requests may fail. On a machine so busy that they wait long anyway, they may wait twice as long; on new
    /// connections `strictly` if that has to hold there as well.
    pub(crate) fn others_during(&self, what: &str, strictly: bool, abuse: impl Fn(&Stage) + Sync) {
        let mut slowest = Vec::new();
        for _ in 0..ATTEMPTS {
            let [calm, calm_new] = self.watch_both(&Stage::ready());
            let stage = Stage::default();
            let [kept, new] = std::thread::scope(|scope| {
                scope.spawn(|| abuse(&stage));
                // Whatever goes wrong here, the abuse must end.
                let _over = Over(&stage);
                self.watch_both(&stage)
            });
            println!(
                "{what}: others' p99 {:.1?} on a connection kept ({:.1?} before), {:.1?} on a new one each time ({:.1?} \
                 before; {:.1?} while the abuse began)",
                kept.all, calm.all, new.under_it, calm_new.all, new.all
            );
            let within = |waits: Duration, calm: Duration| waits < OTHERS_P99.max(2 * calm);
            if within(kept.all, calm.all) && (!strictly || within(new.under_it, calm_new.all)) {
                return;
            }
            slowest.push((kept, new));
        }
        panic!("{what}: others' p99 was {slowest:.1?}");
    }

    /// On a connection kept, and on new ones.
    fn watch_both(&self, stage: &Stage) -> [Waits; 2] {
        std::thread::scope(|scope| {
            let new = scope.spawn(|| self.watch(true, stage));
            [self.watch(false, stage), new.join().expect("others are served")]
        })
    }

    /// A teller's requests for durable keys, until the abuse has been whole for a while.
    fn watch(&self, new_connections: bool, stage: &Stage) -> Waits {
        let config = application(&self.state, "teller");
        let open = || Connection::open(&config, self.address).expect("a connection");
        let pause = Duration::from_millis(if new_connections { 20 } else { 5 });
        let (mut kept, mut waits, mut whole) = (open(), Vec::new(), None);
        let mut before = 0;
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
            if whole.is_none() {
                before = waits.len();
            }
            if stage.whole.load(Ordering::SeqCst) {
                whole.get_or_insert_with(Instant::now);
            }
            sleep(pause);
        }
        Waits { under_it: p99(&mut waits[before..].to_vec()), all: p99(&mut waits) }
    }
}

/// What 99 of 100 requests waited at most: while the abuse was whole, and from its beginning on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waits {
    under_it: Duration,
    all: Duration,
}

fn p99(waits: &mut [Duration]) -> Duration {
    waits.sort_unstable();
    waits[(waits.len() * 99).div_ceil(100) - 1]
}

/// How far an abuse is.
pub(crate) struct Stage {
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
    pub(crate) fn is_whole(&self) {
        self.whole.store(true, Ordering::SeqCst);
    }
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

struct Over<'a>(&'a Stage);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::SeqCst);
    }
}
