//! Two sites on hosts of their own, each a network namespace with an address, and the weather between them.
//!
//! It needs root, iproute2, python3, faketime and `/dev/net/tun`; where one is missing it says so and does nothing.

#![expect(
    clippy::disallowed_methods,
    reason = "processes run by the wall clock, and so does what is waited for them"
)]

use crate::place::{Place, Running, network};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The hosts, in the order of their addresses.
const HOSTS: [&str; 3] = ["light", "a", "b"];
/// The places of the two sites in this order, counted from one.
const SITES: [u8; 2] = [2, 3];
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
/// How long the weather is bad.
const STORM: Duration = Duration::from_secs(20);
/// More than anything here takes.
const PATIENCE: Duration = Duration::from_secs(90);

/// What is missing here, if anything.
fn missing() -> Option<&'static str> {
    let works = |program: &str, arguments: &[&str]| {
        Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
    };
    let root = fs::read_to_string("/proc/self/status").is_ok_and(|status| status.contains("Uid:\t0\t0\t"));
    if !root {
        return Some("root");
    }
    if !Path::new("/dev/net/tun").exists() {
        return Some("/dev/net/tun");
    }
    if !works("python3", &["--version"]) {
        return Some("python3");
    }
    if !Path::new(FAKETIME).exists() {
        return Some("faketime");
    }
    let probe = format!("bw-probe-{}", std::process::id());
    if !works("ip", &["netns", "add", &probe]) {
        return Some("network namespaces (iproute2 and the right to make them)");
    }
    works("ip", &["netns", "delete", &probe]);
    None
}

/// The network of the other tests with slower light, each part at the address of its host.
fn at_hosts(_: u16) -> String {
    let text = network(4430).replace("first_port = 4430\n", "physical_layer = \"10.77.0.1:4440\"\n");
    // No more light than a bad line carries words about.
    let text = text.replace("clock = \"10 MHz\"", "clock = \"2 MHz\"").replace("\"10 km\"", "\"40 km\"");
    let text = text.replace("150 kbit", "200 kbit");
    let sites = [("A", SITES[0]), ("B", SITES[1])].map(|(node, host)| {
        format!(
            "[live.node.{node}]\nnode_to_node = \"10.77.0.{host}:4430\"\nkey_manager = \"10.77.0.{host}:4431\"\n\
             operations = \"127.0.0.1:44{host}2\"\nkey_streams = \"10.77.0.{host}:4433\"\n"
        )
    });
    text.replace("[node.A]\n", &format!("{}[node.A]\n", sites.concat()))
}

struct Hosts {
    place: Place,
    prefix: String,
    weather: Child,
    told: ChildStdin,
    ready: BufReader<ChildStdout>,
}

impl Hosts {
    fn new() -> Self {
        let place = Place::with(at_hosts);
        let prefix = format!("bw{}-", std::process::id());
        let names = HOSTS.map(|host| format!("{prefix}{host}"));
        for name in &names {
            let made = Command::new("ip").args(["netns", "add", name]).status();
            assert!(made.is_ok_and(|status| status.success()), "no namespace {name}");
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/weather.py");
        let mut weather = Command::new("python3")
            .arg(script)
            .args(&names)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 can be started");
        let told = weather.stdin.take().expect("a pipe");
        let ready = BufReader::new(weather.stdout.take().expect("a pipe"));
        let mut hosts = Self { place, prefix, weather, told, ready };
        hosts.until_ready();
        hosts
    }

    fn until_ready(&mut self) {
        let mut line = String::new();
        self.ready.read_line(&mut line).expect("the weather goes on");
        assert_eq!(line, "ready\n");
    }

    /// From now on so between the two sites.
    fn weather(&mut self, loss: f64, delay: Duration) {
        let told = json!({ "between": SITES, "loss": loss, "delay": delay.as_secs_f64() });
        writeln!(self.told, "{told}").expect("the weather goes on");
        self.until_ready();
    }

    /// A command on a host.
    fn on(&self, host: &str, line: &str) -> Command {
        let mut command = Command::new("ip");
        command.current_dir(self.place.path()).args(["netns", "exec", &format!("{}{host}", self.prefix)]);
        command.arg(env!("CARGO_BIN_EXE_bellwether")).args(line.split_whitespace());
        command
    }

    /// What a command on a host prints, if it does what it is told to.
    fn done(&self, host: &str, line: &str) -> Result<String, String> {
        let output = self.on(host, line).output().expect("the command can be started");
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    fn client(&self, host: &str) -> String {
        let bank = format!("bank-{host}");
        let site = SITES[usize::from(host == "b")];
        let pki = self.place.path().join("state/pki");
        format!(
            "--kme https://10.77.0.{site}:4431 --cert {0}/applications/{bank}.pem --key {0}/applications/{bank}.key.pem \
             --ca {0}/key-managers/ca.pem",
            pki.display()
        )
    }

    /// A key at bank-a; its name and what was printed.
    fn issue(&self) -> Result<(String, String), String> {
        let told = self.done("a", &format!("key get {} --slave bank-b --wait 60s", self.client("a")))?;
        let id = told.split(' ').next().expect("a name").to_owned();
        Ok((id, told))
    }

    /// The same at bank-b. News of a key may be long under way: it is asked for again.
    fn collect(&self, (id, issued): &(String, String)) {
        let begun = Instant::now();
        loop {
            let line = format!("key get {} --master bank-a --id {id} --wait 30s", self.client("b"));
            match self.done("b", &line) {
                Ok(collected) => return assert_eq!(*issued, collected),
                Err(told) => assert!(begun.elapsed() < PATIENCE, "{told}"),
            }
        }
    }

    /// Keys for so long and at least two, each at both banks; how long the slowest took.
    fn keys(&self, what: &str, lasting: Duration) {
        let (first, mut number, mut slowest) = (Instant::now(), 0, Duration::ZERO);
        while number < 2 || first.elapsed() < lasting {
            number += 1;
            let begun = Instant::now();
            let key = self.issue().unwrap_or_else(|told| panic!("{what}: {told}"));
            self.collect(&key);
            slowest = slowest.max(begun.elapsed());
        }
        println!("{what}: {number} keys at both sites, each within {:.1} s", slowest.as_secs_f64());
    }

    fn status(&self, host: &str) -> Value {
        let port = 4402 + 10 * u16::from(SITES[usize::from(host == "b")]);
        let told = self.done(host, &format!("status --at 127.0.0.1:{port} --json")).expect("a status");
        let told: Value = serde_json::from_str(&told).expect("JSON");
        let nodes = told["nodes"].as_object().expect("nodes");
        nodes.values().next().expect("one node").clone()
    }

    /// The entries of B's audit log.
    fn audit_of_b(&self) -> Vec<Value> {
        let file = self.place.path().join("state/nodes/B/audit.jsonl");
        let text = fs::read_to_string(file).expect("an audit log");
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    fn blocks(&self, host: &str) -> u64 {
        self.status(host)["links"][0]["blocks"]["distilled"].as_u64().unwrap_or_default()
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        let _ = self.weather.kill();
        let _ = self.weather.wait();
        for host in HOSTS {
            let name = format!("{}{host}", self.prefix);
            let _ = Command::new("ip").args(["netns", "delete", &name]).status();
        }
    }
}

#[test]
fn two_sites_survive_loss_delay_a_partition_and_a_clock_that_steps() {
    if let Some(what) = missing() {
        eprintln!("SKIPPED: two sites on hosts of their own were NOT tested, which needs {what}");
        return;
    }
    let mut hosts = Hosts::new();
    let clock = hosts.place.path().join("clock");
    fs::write(&clock, "+0").expect("it can be written");
    hosts.place.done("pki network.toml --state state");
    let start = |host: &str, line: &str| {
        let mut command = hosts.on(host, &format!("{line} --network network.toml --state state"));
        if host == "b" {
            // This site's time of day follows the file; its other clocks run as they are.
            command.env("LD_PRELOAD", FAKETIME).env("FAKETIME_TIMESTAMP_FILE", &clock);
            command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("FAKETIME_NO_CACHE", "1");
        }
        let mut running = Running::start(command);
        running.until("ready: ");
        running
    };
    let parts = [start("light", "physical-layer"), start("a", "node --name A"), start("b", "node --name B")];
    hosts.keys("fair weather", Duration::ZERO);

    hosts.weather(0.2, Duration::from_millis(200));
    let before = hosts.blocks("b");
    hosts.keys("20 % of packets lost, others 200 ms late", STORM);
    println!("{} blocks were distilled meanwhile", hosts.blocks("b") - before);

    // Parted for longer than any connection lasts. What the master gets meanwhile is collected afterwards.
    hosts.weather(1.0, Duration::ZERO);
    let parted = Instant::now();
    let meanwhile = hosts.issue();
    sleep(Duration::from_secs(12).saturating_sub(parted.elapsed()));
    hosts.weather(0.0, Duration::ZERO);
    let healed = Instant::now();
    if let Ok(key) = &meanwhile {
        hosts.collect(key);
    }
    hosts.keys("after a partition", Duration::ZERO);
    println!(
        "parted for {:.0} s, in which a key was {}; keys again {:.1} s after",
        healed.duration_since(parted).as_secs_f64(),
        if meanwhile.is_ok() { "issued" } else { "refused" },
        healed.elapsed().as_secs_f64()
    );
    let before = hosts.blocks("b");
    hosts.place.until("blocks again", || hosts.blocks("b") > before);

    let alarms = || hosts.audit_of_b().iter().filter(|entry| entry["event"] == "alarm").count();
    let before = alarms();
    for (step, seconds) in [("an hour forward", "+3600"), ("an hour back", "+0")] {
        fs::write(&clock, seconds).expect("it can be written");
        hosts.keys(&format!("the clock of B steps {step}"), Duration::ZERO);
        let before = hosts.blocks("b");
        hosts.place.until("blocks under another clock", || hosts.blocks("b") > before);
    }
    // The clock was another indeed, and nobody took it for a fault.
    let entries = hosts.audit_of_b();
    let times: Vec<&str> = entries.iter().filter_map(|entry| entry["time"].as_str()).collect();
    assert!(times.windows(2).any(|two| two[0] > two[1]), "the clock of B was never put back");
    assert_eq!(alarms(), before, "{entries:?}");
    hosts.place.done("audit verify state/nodes/B/audit.jsonl");
    for part in parts.into_iter().rev() {
        assert_eq!(part.stop("TERM"), Some(0));
    }
}
