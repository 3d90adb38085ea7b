//! Nodes killed with -9 again and again while applications ask and collect: what the applications see of it.

#![expect(
    clippy::disallowed_methods,
    reason = "processes run by the wall clock, and so does what is waited for them"
)]

use crate::database::{Server, server};
use crate::place::{Place, Running};
use bellwether_live::application::client::{Client, ClientError, Key};
use bellwether_live::directory::{applications, node_addresses};
use bellwether_live::identity::Role;
use bellwether_live::process::runtime::block_on;
use bellwether_live::state::State;
use bellwether_network::Network;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Both ways: who asks, and who collects.
const PAIRS: [[&str; 2]; 2] = [["bank-a", "bank-b"], ["bank-b", "bank-a"]];
/// Keys of a request.
const TOGETHER: u32 = 2;
/// Within this time after a kill, keys must get through in both directions.
const PATIENCE: Duration = Duration::from_secs(90);

/// What was handed to applications, by the keys' names.
#[derive(Default)]
struct Ledger {
    /// What masters got: the direction and the key.
    issued: BTreeMap<String, (usize, Vec<u8>)>,
    /// Every key that a master got.
    values: BTreeSet<Vec<u8>>,
    /// What slaves got.
    collected: BTreeSet<String>,
    /// What masters got and slaves have still to try, for each direction.
    waiting: [VecDeque<Vec<String>>; 2],
    /// What slaves were refused, or whose answer broke off.
    doubtful: Vec<(usize, String)>,
    /// How many keys slaves got, for each direction.
    through: [u64; 2],
    /// Questions whose answer broke off: of masters, of slaves.
    broken: [u64; 2],
}

struct World<'a> {
    place: &'a Place,
    state: State,
    network: Network,
    ledger: Mutex<Ledger>,
    over: AtomicBool,
    /// How nodes are told where their records are.
    keeping: String,
}

impl World<'_> {
    fn client(&self, name: &str) -> Client {
        let node =
            applications(&self.network).expect("applications").directory.node_of(name).expect("a node");
        let layout = self.state.identities();
        let identity = layout.load(Role::Application, name).expect("an identity");
        let roots = layout.roots(Role::KeyManager).expect("an authority");
        let address = node_addresses(&self.network, node).expect("an address").reached_key_manager();
        let expected = Some(self.network.node(node).name.as_str());
        Client::new(&format!("https://{address}"), &identity, roots, expected).expect("a client")
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // A thread that found a fault while it held it has failed the test already.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    fn node(&self, name: &str) -> Running {
        let state = self.place.path().join("state").display().to_string();
        let keeping = &self.keeping;
        let line =
            format!("node --name {name} --network network.toml --state {state} --log-level warn {keeping}");
        let mut running = Running::start(self.place.command(&line));
        running.until("ready: ");
        running
    }

    /// Asks for keys in one direction until all is over.
    fn ask(&self, direction: usize) {
        let [master, slave] = PAIRS[direction];
        let client = self.client(master);
        let asking = async {
            while !self.over() {
                let pause = match client.get(slave, TOGETHER, Some(256)).await {
                    Ok(keys) => {
                        self.issued(direction, &keys);
                        10
                    }
                    Err(error) => {
                        if breaks_off(&error) {
                            self.ledger().broken[0] += 1;
                        } else {
                            assert_eq!(refusal(&error), 503, "{error}");
                        }
                        50
                    }
                };
                std::thread::sleep(Duration::from_millis(pause));
            }
        };
        block_on(asking).expect("a runtime");
    }

    fn issued(&self, direction: usize, keys: &[Key]) {
        let mut ledger = self.ledger();
        for key in keys {
            let (id, value) = (key.id.to_string(), key.key.expose().to_bytes());
            assert_eq!(value.len(), 32);
            assert!(ledger.values.insert(value.clone()), "the key {id} was handed out under another name");
            assert!(
                ledger.issued.insert(id.clone(), (direction, value)).is_none(),
                "two keys are named {id}"
            );
        }
        ledger.waiting[direction].push_back(keys.iter().map(|key| key.id.to_string()).collect());
    }

    /// Collects what was issued in one direction until all is over.
    fn collect(&self, direction: usize) {
        let [master, slave] = PAIRS[direction];
        let (client, stranger) = (self.client(slave), self.client("stranger"));
        let collecting = async {
            let mut batches = 0_u64;
            while !self.over() {
                let next = self.ledger().waiting[direction].pop_front();
                let Some(ids) = next else {
                    std::thread::sleep(Duration::from_millis(5));
                    continue;
                };
                batches += 1;
                // Nobody but the slave gets it, and nobody twice.
                let probed = batches.is_multiple_of(16);
                if probed {
                    self.must_fail(&stranger.get_by_id(master, &ids).await, 401);
                }
                match client.get_by_id(master, &ids).await {
                    Ok(keys) => {
                        self.collected(direction, &keys);
                        if probed {
                            self.must_fail(&client.get_by_id(master, &ids).await, 400);
                        }
                    }
                    Err(ClientError::Connect { .. }) => {
                        self.ledger().waiting[direction].push_front(ids);
                        std::thread::sleep(Duration::from_millis(20));
                    }
                    Err(error) => {
                        let mut ledger = self.ledger();
                        if breaks_off(&error) {
                            ledger.broken[1] += 1;
                        } else {
                            assert!([400, 503].contains(&refusal(&error)), "{error}");
                        }
                        ledger.doubtful.extend(ids.into_iter().map(|id| (direction, id)));
                    }
                }
            }
        };
        block_on(collecting).expect("a runtime");
    }

    fn must_fail(&self, answer: &Result<Vec<Key>, ClientError>, status: u16) {
        match answer {
            Ok(_) => panic!("keys were given that had to be refused by {status}"),
            // Whoever is being killed, or has just come back, may answer otherwise or not at all.
            Err(error) => {
                assert!(breaks_off(error) || [status, 503].contains(&refusal(error)), "{error}");
            }
        }
    }

    fn collected(&self, direction: usize, keys: &[Key]) {
        let mut ledger = self.ledger();
        for key in keys {
            let id = key.id.to_string();
            let (of, value) = &ledger.issued[&id];
            assert!(*of == direction && *value == key.key.expose().to_bytes(), "the key {id} differs");
            assert!(ledger.collected.insert(id.clone()), "the slave got {id} twice");
        }
        ledger.through[direction] += keys.len() as u64;
    }

    /// Waits until keys that were not through before get through in both directions.
    fn until_keys_pass(&self) {
        let (begun, before) = (Instant::now(), self.ledger().through);
        while (0..2).any(|direction| self.ledger().through[direction] < before[direction] + 4) {
            assert!(begun.elapsed() < PATIENCE, "no keys pass any more: {:?}", self.ledger().through);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What slaves were refused is tried once more, now that nobody is killed: what they do not get now is lost.
    fn try_again(&self) -> Vec<String> {
        let mut rest = std::mem::take(&mut self.ledger().doubtful);
        let mut waiting = std::mem::take(&mut self.ledger().waiting);
        for (direction, batches) in waiting.iter_mut().enumerate() {
            rest.extend(batches.drain(..).flatten().map(|id| (direction, id)));
        }
        let (rest, lost) = (Mutex::new(rest), Mutex::new(Vec::new()));
        // Each is waited for at the key manager: many at a time.
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let clients = PAIRS.map(|[_, slave]| self.client(slave));
                    let next = || rest.lock().expect("no thread has failed").pop();
                    while let Some((direction, id)) = next() {
                        let ids = [id];
                        let asked = clients[direction].get_by_id(PAIRS[direction][0], &ids);
                        match block_on(asked).expect("a runtime") {
                            Ok(keys) => self.collected(direction, &keys),
                            Err(error) => {
                                assert_eq!(refusal(&error), 400, "{error}");
                                lost.lock().expect("no thread has failed").extend(ids);
                            }
                        }
                    }
                });
            }
        });
        lost.into_inner().expect("no thread has failed")
    }

    /// The names of all keys that either node's audit log says are lost, and why.
    fn reported(&self) -> BTreeMap<String, String> {
        let mut reported = BTreeMap::new();
        for node in ["A", "B"] {
            let folder = self.place.path().join("state/nodes").join(node);
            let files: Vec<PathBuf> =
                fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path()).collect();
            for file in files {
                let name = file.file_name().expect("a name").to_string_lossy().into_owned();
                assert!(!name.starts_with("audit.broken"), "the audit log of {node} is broken");
                if !name.starts_with("audit") {
                    continue;
                }
                for line in fs::read_to_string(file).expect("a log").lines() {
                    let entry: Value = serde_json::from_str(line).unwrap_or_default();
                    if entry["event"] != "lost" {
                        continue;
                    }
                    for key in entry["keys"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                        reported.insert(key.to_owned(), entry["cause"].to_string());
                    }
                }
            }
        }
        reported
    }
}

/// Whether nobody can say what came of the question.
fn breaks_off(error: &ClientError) -> bool {
    matches!(error, ClientError::Connect { .. } | ClientError::Http(_) | ClientError::Silent)
}

fn refusal(error: &ClientError) -> u16 {
    match error {
        ClientError::Refused { status, .. } => status.as_u16(),
        error => panic!("{error}"),
    }
}

/// Numbers that look random and are the same each time (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

fn survive(kills: u32, database: Option<&Server>) {
    let place = Place::new();
    let state = place.path().join("state");
    place.done(&format!("pki network.toml --state {}", state.display()));
    let text = fs::read_to_string(place.path().join("network.toml")).expect("a network");
    let network = Network::parse(&text, "network.toml", &[]).expect("a network");
    let world = World {
        place: &place,
        state: State::at(&state),
        network,
        ledger: Mutex::default(),
        over: AtomicBool::new(false),
        keeping: database
            .map(|server| format!("--store {}", server.address(&server.new_database())))
            .unwrap_or_default(),
    };
    let line = format!("physical-layer --network network.toml --state {} --log-level warn", state.display());
    let mut light = Running::start(place.command(&line));
    light.until("ready: ");
    let mut nodes = ["A", "B"].map(|name| Some(world.node(name)));
    let mut chance = Chance(1);
    let mut slowest = Duration::ZERO;
    std::thread::scope(|scope| {
        // However the kills end, the others must end as well.
        struct Over<'a>(&'a AtomicBool);
        impl Drop for Over<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let over = Over(&world.over);
        for direction in [0, 1] {
            let world = &world;
            scope.spawn(move || world.ask(direction));
            for _ in 0..2 {
                scope.spawn(move || world.collect(direction));
            }
        }
        world.until_keys_pass();
        let mut done = 0;
        while done < kills {
            // In the midst of the load; each fourth time while it comes back from the last one.
            let (low, width) = if chance.below(4) == 0 { (0, 150) } else { (100, 500) };
            std::thread::sleep(Duration::from_millis(low + chance.below(width)));
            let victims = [&[0][..], &[1], &[0], &[1], &[0, 1]][chance.below(5) as usize];
            for &victim in victims {
                let node = nodes[victim].take().expect("it runs");
                assert_eq!(node.stop("KILL"), None);
                done += 1;
            }
            let begun = Instant::now();
            for &victim in victims {
                nodes[victim] = Some(world.node(["A", "B"][victim]));
            }
            if chance.below(4) > 0 || done >= kills {
                world.until_keys_pass();
                slowest = slowest.max(begun.elapsed());
            }
        }
        drop(over);
    });
    let lost = world.try_again();
    let reported = world.reported();
    let unreported: Vec<&String> = lost.iter().filter(|id| !reported.contains_key(*id)).collect();
    let ledger = world.ledger();
    println!(
        "{kills} kills: {} keys issued, {} collected, {} lost and reported, {} reported though collected; answers \
         broken off: {} of masters, {} of slaves; keys passed again after {:.1} s at most",
        ledger.issued.len(),
        ledger.collected.len(),
        lost.len() - unreported.len(),
        reported.keys().filter(|id| ledger.collected.contains(*id)).count(),
        ledger.broken[0],
        ledger.broken[1],
        slowest.as_secs_f64()
    );
    assert_eq!(ledger.issued.len(), ledger.collected.len() + lost.len());
    assert!(unreported.is_empty(), "lost and not reported: {unreported:?}");
    drop(ledger);
    for node in nodes.into_iter().flatten() {
        assert_eq!(node.stop("TERM"), Some(0));
    }
    assert_eq!(light.stop("TERM"), Some(0));
}

#[test]
fn no_key_is_given_twice_or_lost_without_a_report_through_10_kills() {
    survive(10, None);
}

/// `cargo test --release -p bellwether-cli --test it -- --ignored --nocapture through_200_kills`
#[test]
#[ignore = "takes minutes"]
fn no_key_is_given_twice_or_lost_without_a_report_through_200_kills() {
    survive(200, None);
}

#[test]
fn no_key_is_given_twice_or_lost_without_a_report_through_6_kills_with_postgresql() {
    let Some(server) = server() else { return };
    survive(6, Some(&server));
}

/// `cargo test --release -p bellwether-cli --test it -- --ignored --nocapture through_200_kills_with_postgresql`
#[test]
#[ignore = "takes minutes"]
fn no_key_is_given_twice_or_lost_without_a_report_through_200_kills_with_postgresql() {
    let Some(server) = server() else { return };
    survive(200, Some(&server));
}
