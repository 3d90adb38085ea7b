//! A mesh that is cut, eavesdropped and jammed while an application asks for keys.

#![expect(
    clippy::disallowed_methods,
    reason = "processes run by the wall clock, and so does what is waited for them"
)]

use crate::https::{Connection, application};
use crate::place::{Place, Running, network};
use bellwether_live::state::State;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// How soon both ends know that no light passes, after `inject` was started.
const NOTICED: Duration = Duration::from_secs(1);
/// How soon keys come by another way, after `inject` was started.
const REROUTED: Duration = Duration::from_secs(1);
/// A machine that does other work delays all: so often a cut is tried before that is taken for slow rerouting.
const CUTS: usize = 3;
/// More than anything else here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The two nodes A and B and a third one, each joined to both others; A and B tell alarms to `webhook`.
fn triangle(first_port: u16, webhook: u16) -> String {
    let text = network(first_port)
        .replace("slave = \"bank-b\"", "slave = \"bank-b\"\nrequirement = \"post-quantum-while-down\"");
    let (head, link) = text.split_once("[link.A-B]").expect("a link");
    let other = |name: &str, ends: &str| {
        format!("[link.A-B]{link}")
            .replace("link.A-B", &format!("link.{name}"))
            .replace("[\"A\", \"B\"]", ends)
    };
    let (ac, cb) = (other("A-C", "[\"A\", \"C\"]"), other("C-B", "[\"C\", \"B\"]"));
    format!(
        "{head}[node.C]\n[live.webhook.pager]\nurl = \"http://127.0.0.1:{webhook}/\"\nevents = [\"alarm\"]\n\
         [link.A-B]{link}{ac}{cb}"
    )
}

/// Takes what is posted: the bodies.
fn receiver() -> (u16, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("a port").port();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let tell = tell.clone();
            std::thread::spawn(move || {
                let mut seen = Vec::new();
                let mut part = [0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut part) {
                    seen.extend_from_slice(&part[..length]);
                    // A connection may be kept for more than one post.
                    while let Some((value, rest)) = posted(&seen) {
                        seen = rest;
                        let answered = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
                        if answered.is_err() || tell.send(value).is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    (port, told)
}

/// The body of the first whole request, and what came after it.
fn posted(seen: &[u8]) -> Option<(Value, Vec<u8>)> {
    let end = seen.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&seen[..end]).to_lowercase();
    let length: usize = head.split("content-length:").nth(1)?.lines().next()?.trim().parse().ok()?;
    let body = seen.get(end..end + length)?;
    Some((serde_json::from_slice(body).expect("JSON"), seen[end + length..].to_vec()))
}

/// Hears the alarms of the node whose operators' interface is at a port, as its event stream tells them.
fn hear_alarms(port: u16, tell: Sender<Value>) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("operations");
    let ask = b"GET /api/v1/events?events=alarm HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(ask).expect("a request");
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            // Between them stand the lengths of HTTP's chunks.
            let event = line.strip_prefix("data:").and_then(|data| serde_json::from_str(data).ok());
            if event.is_some_and(|event| tell.send(event).is_err()) {
                return;
            }
        }
    });
}

/// Waits until both ends of the link A-C have told that its error rate is too high.
fn both_alarm(how: &str, told: &Receiver<Value>) {
    let mut alarms = Vec::new();
    let has_told = |alarms: &[Value], end: &str| {
        alarms
            .iter()
            .any(|alarm| alarm["node"] == end && alarm["link"] == "A-C" && alarm["kind"] == "qber-high")
    };
    while !["A", "C"].iter().all(|end| has_told(&alarms, end)) {
        let alarm = told.recv_timeout(PATIENCE);
        alarms.push(alarm.unwrap_or_else(|_| panic!("not both ends told {how}: {alarms:?}")));
    }
}

/// Ends something that goes on when this is gone, whatever went wrong.
struct Until<'a>(&'a AtomicBool);

impl Drop for Until<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

struct Mesh<'a> {
    place: &'a Place,
    options: String,
}

impl Mesh<'_> {
    /// A key that bank-a must get at once, and bank-b the same.
    fn key(&self) {
        let options = &self.options;
        let issued = self.place.done(&format!("key get {options} --as bank-a --slave bank-b"));
        let id = issued.split(' ').next().expect("a name");
        let collected = self.place.done(&format!("key get {options} --as bank-b --master bank-a --id {id}"));
        assert_eq!(issued, collected);
    }

    /// The entries of a node's audit log.
    fn audit(&self, node: &str) -> Vec<Value> {
        let file = self.place.path().join("state/nodes").join(node).join("audit.jsonl");
        let text = fs::read_to_string(file).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// What a node tells of its link with another.
    fn link(&self, node: &str, link: &str) -> Value {
        let told = self.place.done(&format!("status {} --json", self.options));
        let told: Value = serde_json::from_str(&told).expect("JSON");
        let links = told["nodes"][node]["links"].as_array().cloned().unwrap_or_default();
        links.into_iter().find(|told| told["link"] == link).unwrap_or_default()
    }

    fn inject(&self, what: &str) {
        self.place.done(&format!("inject {} {what}", self.options));
    }

    /// Asks for keys until something holds; every request must be served.
    fn serve_until(&self, what: &str, holds: impl Fn() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < PATIENCE, "never {what}");
            self.key();
        }
    }

    /// Takes keys until `over`, so many that quantum key is always wanted; not one request may be refused.
    fn take_keys(&self, over: &AtomicBool) -> usize {
        let state = State::at(self.place.path().join("state"));
        let address = SocketAddr::from(([127, 0, 0, 1], self.place.first_port() + 1));
        let mut bank = Connection::open(&application(&state, "bank-a"), address).expect("a connection");
        let mut served = 0;
        while !over.load(Ordering::SeqCst) {
            let asked = "{\"number\":16}";
            let answer = bank.ask("POST", "/api/v1/keys/bank-b/enc_keys", asked).expect("an answer");
            assert_eq!(answer.status, 200, "request {served}: {}", answer.message());
            served += 1;
            std::thread::sleep(Duration::from_millis(10));
        }
        served
    }

    /// Cuts A-B while keys are taken. When both ends knew, when the first key came by C, and how many requests were
    /// served meanwhile; all were.
    fn cut(&self) -> (Duration, Duration, usize) {
        let entries = self.audit("A").len();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let taking = scope.spawn(|| self.take_keys(&over));
            let until = Until(&over);
            std::thread::sleep(Duration::from_millis(300));
            let cut = Instant::now();
            self.inject("cut A-B");
            self.place.until("the cut", || ["A", "B"].iter().all(|end| self.condition(end, "A-B", "cut")));
            let noticed = cut.elapsed();
            self.place.until("a detour", || {
                let log = self.audit("A");
                let after_cut = log[entries..].iter().skip_while(|entry| entry["condition"] != "cut");
                let keys: Vec<&Value> = after_cut.filter(|entry| entry["event"] == "quantum-key").collect();
                // One may have been on its way.
                let direct = |key: &&Value| key["routes"].to_string().contains("A-B");
                assert!(!keys.iter().skip(1).any(direct), "{keys:?}");
                keys.iter().any(|key| !direct(key))
            });
            let rerouted = cut.elapsed();
            // What was in stock is used up meanwhile.
            std::thread::sleep(Duration::from_millis(500));
            drop(until);
            (noticed, rerouted, taking.join().expect("every request is served"))
        })
    }

    /// Whether the last keys that A issued rest on post-quantum cryptography alone.
    fn marked(&self) -> bool {
        let told = self.audit("A");
        let issued = told.iter().rfind(|entry| entry["event"] == "issued");
        issued.is_some_and(|issued| issued["protection"] == "post-quantum-only")
    }

    fn condition(&self, node: &str, link: &str, condition: &str) -> bool {
        let is = |entry: &Value| entry["event"] == "condition" && entry["link"] == link;
        self.audit(node).iter().rfind(|entry| is(entry)).is_some_and(|entry| entry["condition"] == condition)
    }
}

#[test]
fn a_mesh_serves_through_a_cut_an_eavesdropper_and_jamming() {
    let (webhook, posts) = receiver();
    let place = Place::with(|first_port| triangle(first_port, webhook));
    let state = place.path().join("state");
    let mut running = Running::start(place.command(&format!("up network.toml --state {}", state.display())));
    running.until("--master bank-a");
    let mesh = Mesh { place: &place, options: format!("--network network.toml --state {}", state.display()) };
    place.done(&format!("key get {} --as bank-a --slave bank-b --wait 60s", mesh.options));
    for link in ["A-B", "A-C", "C-B"] {
        for end in link.split('-') {
            place.until("three links", || mesh.link(end, link)["blocks"]["distilled"].as_u64() > Some(2));
        }
    }

    // A cut link: both ends know within a second, keys come by C within a second, and no request is refused.
    let quick = (0..CUTS).any(|_| {
        let (noticed, rerouted, served) = mesh.cut();
        println!(
            "both ends knew of the cut after {:.0} ms, a key came by another way after {:.0} ms; all of {served} requests \
             were served",
            noticed.as_secs_f64() * 1e3,
            rerouted.as_secs_f64() * 1e3
        );
        mesh.inject("repair A-B");
        place.until("light", || ["A", "B"].iter().all(|end| mesh.condition(end, "A-B", "up")));
        noticed < NOTICED && rerouted < REROUTED
    });
    assert!(quick, "of {CUTS} cuts none was noticed and gone round within a second");

    // An eavesdropper: the block is discarded, both ends alarm, the pool grows no more.
    let (tell, alarms) = channel();
    for operations in [2, 8] {
        hear_alarms(place.first_port() + operations, tell.clone());
    }
    mesh.inject("intercept-resend A-C");
    let alarmed = |end: &str| mesh.condition(end, "A-C", "alarmed");
    mesh.serve_until("an alarm", || alarmed("A") && alarmed("C"));
    both_alarm("the webhook", &posts);
    both_alarm("the event stream", &alarms);
    let discarded = |end: &str| {
        let told = mesh.link(end, "A-C")["blocks"]["discarded"].clone();
        told.as_object().map_or(0, |reasons| reasons.values().filter_map(Value::as_u64).sum::<u64>())
    };
    let stored = |end: &str| mesh.link(end, "A-C")["pool"]["stored"].as_u64().expect("a count");
    // Blocks of the light before were still being distilled when the alarm came; then the pool rests.
    let rests = (0..4).any(|_| {
        let (before, since) = (["A", "C"].map(stored), ["A", "C"].map(discarded));
        mesh.serve_until("discarded blocks", || {
            discarded("A") > since[0] + 2 && discarded("C") > since[1] + 2
        });
        ["A", "C"].map(stored) == before
    });
    assert!(rests, "an eavesdropped link goes on making key");

    // Nothing leads to B any more: keys by policy, and marked.
    mesh.inject("cut A-B C-B");
    let emptied = Instant::now();
    while !mesh.marked() {
        assert!(emptied.elapsed() < PATIENCE, "never a marked key");
        // Much at once, so that what is in stock is soon used up.
        let told = place
            .run(&format!("key get {} --as bank-a --slave bank-b --number 128 --wait 20s", mesh.options));
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    }
    assert!(mesh.audit("A").iter().any(|entry| entry["event"] == "downgraded" && entry["peer"] == "B"));
    assert_eq!(running.stop("INT"), Some(0));
}

/// Light that is weakened until no key can be made raises no alarm that would close a link: the pools run dry.
#[test]
fn a_node_jammed_by_loss_serves_by_policy_once_its_pools_are_empty() {
    let (webhook, posts) = receiver();
    let place = Place::with(|first_port| {
        triangle(first_port, webhook).replace("[live]", "[live]\nstarved_after = \"3 s\"")
    });
    let state = place.path().join("state");
    let mut running = Running::start(place.command(&format!("up network.toml --state {}", state.display())));
    running.until("--master bank-a");
    let mesh = Mesh { place: &place, options: format!("--network network.toml --state {}", state.display()) };
    place.done(&format!("key get {} --as bank-a --slave bank-b --wait 60s", mesh.options));
    mesh.inject("loss A-B 40dB");
    mesh.inject("loss A-C 40dB");
    let jammed = Instant::now();
    while !mesh.marked() {
        assert!(jammed.elapsed() < PATIENCE, "never a marked key");
        // Much at once; between the last key of the pools and the policy, requests are refused.
        place.run(&format!("key get {} --as bank-a --slave bank-b --number 128", mesh.options));
    }
    let mut alarms = Vec::new();
    while !alarms.iter().any(|alarm: &Value| alarm["node"] == "A" && alarm["kind"] == "downgraded") {
        let told = posts.recv_timeout(PATIENCE);
        alarms.push(told.unwrap_or_else(|_| panic!("the webhook hears of no downgrade: {alarms:?}")));
    }
    assert_eq!(running.stop("INT"), Some(0));
}
