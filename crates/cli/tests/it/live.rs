//! A network that runs live, as a person starts it: processes, signals, keys, exit codes.

use crate::place::{Place, Running, network, signal};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// What operators see of a network in which a key was just collected, and a policy that changes meanwhile.
fn operators_see(place: &Place, options: &str, state: &Path) {
    let told: Value = serde_json::from_str(&place.done(&format!("status {options} --json"))).expect("JSON");
    for node in ["A", "B"] {
        let status = &told["nodes"][node];
        assert_eq!(
            (&status["node"], &status["links"][0]["condition"]),
            (&node.into(), &"up".into()),
            "{told}"
        );
    }
    assert_eq!(told["nodes"]["A"]["requests"]["issued"]["hybrid"], 1, "{told}");
    let table = place.done(&format!("status {options}"));
    assert!(table.contains("A-B") && table.contains("ready"), "{table}");
    let at = place.done(&format!("status --at 127.0.0.1:{} --once", place.first_port() + 2));
    assert!(at.contains("A-B"), "{at}");

    // A node that is told so takes its policy anew; what else differs is refused.
    let copy = state.join("network.toml");
    let text = fs::read_to_string(&copy).expect("a copy");
    let node = place.processes().into_iter().find(|(_, arguments)| arguments.contains("--name=A"));
    let pid = node.expect("node A has a process").0;
    let log = state.join("nodes/A/log");
    let logged = |what: &str| fs::read_to_string(&log).is_ok_and(|log| log.contains(what));
    fs::write(&copy, text.replace("[sae.stranger]", "[sae.guest]")).expect("it can be written");
    signal(pid, "HUP");
    place.until("another policy", || logged("sae guest is new"));
    fs::write(&copy, text.replace("\"10 km\"", "\"20 km\"")).expect("it can be written");
    signal(pid, "HUP");
    place.until("a refusal", || logged("[link] of the network file cannot change"));
    fs::write(&copy, text).expect("it can be written");

    let audit = state.join("nodes/A/audit.jsonl").display().to_string();
    let told = place.done(&format!("audit verify {audit}"));
    let head = told.trim_end().rsplit(' ').next().expect("a hash").to_owned();
    assert!(place.done(&format!("audit verify {audit} --head {head}")).contains("the chain holds"));
    let (code, told) = place.refused(&format!("audit verify {audit} --head {}", "0".repeat(64)));
    assert!(code == Some(1) && told.contains("not there"), "{told}");
    let both = format!("{audit} {}", state.join("nodes/B/audit.jsonl").display());
    let told = place.done(&format!("audit verify {both}"));
    assert!(told.contains("node A in ") && told.matches("the chain holds").count() == 2, "{told}");
    let found = place.done(&format!("audit search {audit} --node B --from 2020-01-01"));
    assert!(found.contains("\"event\":\"issued\"") && found.contains("bank-b"), "{found}");
    let (code, told) = place.refused(&format!("audit search {audit} --from yesterday"));
    assert!(code == Some(2) && told.contains("2026-11-21"), "{told}");
}

/// The network file changes, and whoever looks after the nodes is told.
fn all_take_a_new_policy(place: &Place, running: &Running, state: &Path) {
    let file = place.path().join("network.toml");
    let text = fs::read_to_string(&file).expect("a network");
    fs::write(&file, text.replace("\"10 km\"", "\"20 km\"")).expect("it can be written");
    signal(running.id(), "HUP");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(fs::read_to_string(state.join("network.toml")).expect("a copy"), text);
    let added =
        "[sae.newcomer]\nnode = \"B\"\n[[pair]]\nmaster = \"newcomer\"\nslave = \"bank-a\"\n[link.A-B]\n";
    fs::write(&file, text.replacen("[link.A-B]\n", added, 1)).expect("it can be written");
    signal(running.id(), "HUP");
    for node in ["A", "B"] {
        let log = state.join("nodes").join(node).join("log");
        let taken = || fs::read_to_string(&log).is_ok_and(|log| log.contains("sae newcomer is new"));
        place.until("a newcomer", taken);
    }
    let options = format!("--network network.toml --state {}", state.display());
    place.done(&format!("key get {options} --as newcomer --slave bank-a --wait 60s"));
    fs::write(&file, &text).expect("it can be written");
    signal(running.id(), "HUP");
    place.until("the old policy", || {
        fs::read_to_string(state.join("network.toml")).is_ok_and(|copy| copy == text)
    });
}

#[test]
fn a_network_serves_equal_keys_through_a_killed_node_and_stops_in_order() {
    let place = Place::new();
    let state = place.path().join("state");
    let up = format!("up network.toml --state {}", state.display());
    let options = format!("--network network.toml --state {}", state.display());
    let mut running = Running::start(place.command(&up));
    let told = running.until("--master bank-a");
    for part in
        ["9 test certificates made", "https://127.0.0.1:", "curl --cacert", "/api/v1/keys/bank-b/enc_keys"]
    {
        assert!(told.contains(part), "{part} in\n{told}");
    }
    place.a_key_at_both_ends(&options);
    assert_eq!(place.processes().len(), 4, "two nodes, the light, and what looks after them");

    let status = place.done(&format!("key status {options} --as bank-a --slave bank-b --json"));
    let status: Value = serde_json::from_str(&status).expect("JSON");
    assert_eq!((&status["source_KME_ID"], &status["target_KME_ID"]), (&"A".into(), &"B".into()));
    let (code, told) = place.refused(&format!("key get {options} --as stranger --slave bank-a"));
    assert!(code == Some(1) && told.contains("401") && told.contains("[[pair]]"), "{told}");

    // Nobody takes the files from under a network that runs.
    let kept = fs::read_to_string(state.join("network.toml")).expect("a copy");
    let other = kept.replace("\"10 km\"", "\"30 km\"");
    fs::write(place.path().join("other.toml"), other).expect("the folder can be written");
    for again in ["", " --in-process"] {
        let (code, told) = place.refused(&format!("up other.toml --state {}{again}", state.display()));
        let process = format!("(process {})", running.id());
        assert!(code == Some(1) && told.contains("runs already") && told.contains(&process), "{told}");
    }
    assert_eq!(fs::read_to_string(state.join("network.toml")).expect("a copy"), kept);

    // Whoever asks for another network hears which one it is that answers.
    let other = kept.replace("Two Nodes", "Two Others");
    fs::write(place.path().join("other.toml"), other).expect("the folder can be written");
    let (code, told) = place.refused("status --network other.toml");
    assert!(code == Some(1) && told.contains("node `A` of the network `Two Nodes`"), "{told}");

    operators_see(&place, &options, &state);
    all_take_a_new_policy(&place, &running, &state);

    let node = place.processes().into_iter().find(|(_, arguments)| arguments.contains("--name=B"));
    signal(node.expect("node B has a process").0, "KILL");
    running.until("node B died: signal 9");
    running.until("node B runs again");
    place.a_key_at_both_ends(&options);

    place.done(&format!("inject {options} cut A-B"));
    let log = state.join("nodes/B/log");
    place.until("darkness", || fs::read_to_string(&log).is_ok_and(|log| log.contains("no light")));
    let much = format!("key get {options} --as bank-a --slave bank-b --number 32 --size 65536");
    let (code, told) = place.refused(&much);
    assert!(code == Some(3) && told.contains("every way there has a cut link"), "{told}");
    let table = place.done(&format!("status {options}"));
    assert!(table.contains("no new quantum key at A for B: every way there has a cut link"), "{table}");
    assert!(place.done(&format!("inject {options} honest A-B")).contains("A-B"));
    let (code, told) = place.refused(&format!("inject {options} cut B-C"));
    assert!(code == Some(2) && told.contains("its links are A-B"), "{told}");

    assert_eq!(running.stop("INT"), Some(0));
    assert_eq!(place.processes(), []);

    let mut again = Running::start(place.command(&up));
    let told = again.until("--master bank-a");
    assert!(!told.contains("made"), "{told}");
    place.a_key_at_both_ends(&options);
    assert_eq!(again.stop("KILL"), None);
    place.until("the children's end", || place.processes().is_empty());

    // A store without its witness is opened by the very command that is told.
    fs::remove_file(state.join("nodes/A/witness")).expect("it is there");
    let (code, told) = place.refused(&up);
    assert!(code == Some(1) && told.contains("missing: whether the store is current"), "{told}");
    let line = told.lines().find(|line| line.ends_with(" --accept-rollback")).expect("a command");
    let mut command = Command::new("sh");
    command.args(["-c", &format!("exec {}", line.trim())]).current_dir(place.path());
    let mut alone = Running::start(command);
    alone.until("ready: node A");
    assert_eq!(alone.stop("TERM"), Some(0));
    assert!(state.join("nodes/A/witness").exists());
}

#[test]
fn parts_run_from_what_was_exported_for_their_hosts() {
    let place = Place::new();
    let at = |host: &str| place.path().join(host).display().to_string();
    for (host, holder) in [
        ("light", "--export _physical-layer"),
        ("host-a", "--export A"),
        ("host-b", "--export B"),
        ("bank-a", "--export-application bank-a"),
        ("bank-b", "--export-application bank-b"),
    ] {
        let told = place.done(&format!("pki network.toml --state {} {holder} --to {}", at("all"), at(host)));
        assert!(told.contains("ca.pem") && !told.contains("ca.key.pem"), "{told}");
    }
    // What was not exported is out of everybody's reach.
    fs::rename(place.path().join("all"), place.path().join("elsewhere")).expect("the folder is there");
    let start = |line: &str, host: &str| {
        let mut running =
            Running::start(place.command(&format!("{line} --network network.toml --state {}", at(host))));
        running.until("ready: ");
        running
    };
    let parts = [
        start("physical-layer", "light"),
        start("node --name A --log-format json", "host-a"),
        start("node --name B", "host-b"),
    ];
    let client = |host: &str, node: u16| {
        let pki = PathBuf::from(at(host)).join("pki");
        let (applications, authority) = (pki.join("applications"), pki.join("key-managers/ca.pem"));
        format!(
            "--kme https://localhost:{} --cert {} --key {} --ca {}",
            place.first_port() + 3 * node + 1,
            applications.join(format!("{host}.pem")).display(),
            applications.join(format!("{host}.key.pem")).display(),
            authority.display()
        )
    };
    let [a, b] = [client("bank-a", 0), client("bank-b", 1)];
    let issued = place.done(&format!("key get {a} --slave bank-b --number 2 --size 128 --json --wait 60s"));
    let keys: Value = serde_json::from_str(&issued).expect("a key container");
    let ids: Vec<_> = (0..2).filter_map(|key| keys["keys"][key]["key_ID"].as_str()).collect();
    let line = format!("key get {b} --master bank-a --id {} --id {} --json --wait 60s", ids[0], ids[1]);
    assert_eq!(issued, place.done(&line));
    let (code, told) = place.refused(&format!("key get {b} --slave bank-a --size 100000000"));
    assert!(code == Some(1) && told.contains("400"), "{told}");
    for part in parts {
        assert_eq!(part.stop("TERM"), Some(0));
    }
}

#[test]
fn everything_in_one_process_serves_as_well() {
    let place = Place::new();
    let mut running = Running::start(place.command("up network.toml --in-process"));
    running.until("--master bank-a");
    assert!(place.path().join("bellwether-state/two-nodes/pki").is_dir(), "the usual place");
    place.a_key_at_both_ends("--network network.toml");
    assert_eq!(running.stop("TERM"), Some(0));
}

#[test]
fn what_cannot_start_is_told() {
    let place = Place::new();
    let (code, told) = place.refused("node --network network.toml --name A");
    assert!(code == Some(2) && told.contains("bellwether pki"), "{told}");
    let (code, told) = place.refused("node --network network.toml --name C");
    assert!(code == Some(2) && told.contains("no node `C`"), "{told}");
    let (code, told) = place.refused("key get --network network.toml --as bank-c --slave bank-b");
    assert!(code == Some(2) && told.contains("no application `bank-c`"), "{told}");
    let (code, told) = place.refused("pki network.toml --export Z --to there");
    assert!(code == Some(2) && told.contains("no node `Z`"), "{told}");
    place.done("pki network.toml --host A=a.example.org");
    let (code, told) = place.refused("pki network.toml --host A=b.example.org");
    assert!(code == Some(1) && told.contains("A.pem"), "{told}");
    let (code, told) = place.refused("key get --network network.toml --as bank-a --slave bank-b");
    assert!(code == Some(1) && told.contains("does the network run"), "{told}");
    let (code, told) = place.refused("inject --network network.toml cut A-B");
    assert!(code == Some(1), "{told}");

    let taken = TcpListener::bind(("127.0.0.1", place.first_port() + 1)).expect("the port is free");
    let (code, told) = place.refused("up network.toml");
    let port = taken.local_addr().expect("it listens").to_string();
    assert!(code == Some(1) && told.contains(&port) && told.contains("node A"), "{told}");
    drop(taken);

    let other = network(place.first_port()).replace("[node.A]\n[node.B]", "[node.B]\n[node.A]");
    fs::write(place.path().join("network.toml"), other).expect("the folder can be written");
    let (code, told) = place.refused("up network.toml");
    assert!(code == Some(1) && told.contains("another network"), "{told}");
}

#[test]
fn a_tunnel_carries_what_two_programs_say() {
    let place = Place::new();
    let free = || TcpListener::bind("127.0.0.1:0").and_then(|any| any.local_addr()).expect("a free port");
    let (at, from) = (free(), free());
    let program = TcpListener::bind("127.0.0.1:0").expect("a port");
    let to = program.local_addr().expect("it listens");
    let mut up = Running::start(place.command("up network.toml --in-process"));
    up.until("--master bank-a");
    let end = |line: &str| {
        let mut running = Running::start(place.command(&format!("tunnel {line} --network network.toml")));
        running.until("the tunnel is open");
        running
    };
    let listen = end(&format!("listen --as bank-b --peer bank-a --at {at} --to {to}"));
    let mut connect = end(&format!("connect --as bank-a --peer bank-b --from {from} --through {at}"));
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = program.accept().expect("the tunnel comes");
        let mut asked = String::new();
        stream.read_to_string(&mut asked).expect("it is told the end");
        stream.write_all(asked.to_uppercase().as_bytes()).expect("it is heard");
    });
    let mut stream = TcpStream::connect(from).expect("the tunnel listens");
    stream.write_all(b"transfer 12 to bob").expect("it is heard");
    stream.shutdown(Shutdown::Write).expect("it can be told");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer and its end");
    assert_eq!(answer, "TRANSFER 12 TO BOB");
    answering.join().expect("the program does not fail");
    connect.until("a connection has ended");
    for end in [listen, connect, up] {
        assert_eq!(end.stop("TERM"), Some(0));
    }
    let (code, told) = place.refused(&format!(
        "tunnel connect --network network.toml --as bank-a --peer bank-b --from {from} --through {at} --key-volume 10"
    ));
    assert!(code == Some(2) && told.contains("64 KiB"), "{told}");
    let (code, told) = place.refused(&format!(
        "tunnel listen --network network.toml --as bank-b --peer bank-q --at {at} --to {to}"
    ));
    assert!(
        code == Some(2) && told.contains("`bank-q`: its applications are bank-a, bank-b, stranger"),
        "{told}"
    );
}

#[test]
fn a_network_ends_with_the_terminal_at_which_it_was_started() {
    let place =
        Place::with(|port| network(port) + "\n[demand.nightly]\nfrom = \"A\"\nto = \"B\"\nrate = \"1 /s\"\n");
    let up = format!(
        "exec {} up network.toml --state {} --set live.head_start=0s",
        env!("CARGO_BIN_EXE_bellwether"),
        place.path().join("state").display()
    );
    // What util-linux starts at a terminal of its own; its sudden end is that of a window that was closed.
    let mut command = Command::new("script");
    command.args(["-q", "-f", "-c", &up, "typescript"]).env("SHELL", "/bin/sh").current_dir(place.path());
    command.stdin(Stdio::piped());
    if Command::new("script").arg("--version").output().is_err() {
        eprintln!("skipped: `script` (util-linux, in Debian's bsdutils) is not there");
        return;
    }
    let mut terminal = Running::start(command);
    let told = terminal.until("--master bank-a");
    assert!(told.contains("Of 1 [demand] in the file nothing happens live"), "{told}");
    let running = || {
        let mut processes = place.processes();
        processes.retain(|(_, arguments)| !arguments.starts_with("script"));
        processes
    };
    assert_eq!(running().len(), 4, "{:?}", running());
    assert_eq!(terminal.stop("KILL"), None);
    place.until("the end of all processes", || running().is_empty());
    let log = fs::read_to_string(place.path().join("state/nodes/A/log")).expect("a log");
    assert!(log.contains("asked to stop") && log.contains("stopped"), "{log}");
}
