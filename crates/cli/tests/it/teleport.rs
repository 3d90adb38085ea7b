//! Two programs, a process each, that teleport states over a running network: the same text as in virtual time.

use crate::place::{Place, Running, signal};
use bellwether_live::process::runtime;
use bellwether_live::programs::run;
use bellwether_live::state::State;
use bellwether_network::Network;
use bellwether_protocol::application::ProgramError;
use bellwether_sim::entanglement::programs::Programs;
use bellwether_sim::entanglement::{World, WorldOptions, build};
use bellwether_units::{NodeId, Time};
use std::path::Path;
use std::process::{Child, Command, Stdio};

#[path = "../../../../examples/teleport/program.rs"]
#[allow(unreachable_pub, reason = "the text is for readers, not for this file")]
mod program;

const STATES: u32 = 1000;

/// Two nodes whose memories hold a pair for long against what sockets take, and a link that makes 200 pairs a second.
fn network(first_port: u16) -> String {
    format!(
        r#"
format = 1
network.name = "Teleport"
run.duration = "10 s"
live.first_port = {first_port}
[defaults.platform]
profile = "calcium-cavity"
communication = {{ t1 = "100 s", t2 = "20 s" }}
[node.Alice]
[node.Bob]
[entangling.Alice-Bob]
ends = ["Alice", "Bob"]
scheme = {{ kind = "stated", success = 0.01, fidelity = 0.9 }}
fibre = {{ length = "1 km", total_loss = "0 dB" }}
cycle = "50 us"
memories = 2
[pair_demand.pairs]
from = "Alice"
to = "Bob"
fidelity = 0.8
"#
    )
}

/// One of the two programs, in a process of its own: which and where its environment says.
#[test]
#[ignore = "a part of the tests of this file, which start it"]
fn a_program_of_its_own() {
    let told = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is told"));
    let network = Network::read(told("TELEPORT_NETWORK"), &[]).unwrap_or_else(|errors| panic!("{errors}"));
    let (state, node) = (State::at(Path::new(&told("TELEPORT_STATE"))), told("TELEPORT_NODE"));
    let states: u32 = told("TELEPORT_STATES").parse().expect("a number");
    let peer = if node == "Alice" { "Bob" } else { "Alice" };
    let right = runtime::block_on(run(&network, &state, &node, async |handle, names| {
        let peer = names.find(peer).ok_or_else(|| ProgramError::Other(format!("there is no {peer}")))?;
        if node == "Alice" {
            program::alice(handle, peer, states).await.map(|()| states)
        } else {
            program::bob(handle, peer, states).await
        }
    }));
    match right.expect("a runtime").expect("a node that takes the program") {
        Ok(right) => println!("right: {right}"),
        Err(error) => println!("error: {error}"),
    }
}

/// A network that runs, and programs of its two nodes.
struct Lab {
    place: Place,
    up: Running,
}

impl Lab {
    fn new() -> Self {
        let place = Place::with(network);
        let state = place.path().join("state");
        let mut up = Running::start(place.command(&format!("up network.toml --state {}", state.display())));
        up.until("Ctrl-C stops it");
        Self { place, up }
    }
    fn start(&self, node: &str, states: u32) -> Child {
        Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "teleport::a_program_of_its_own", "--ignored", "--nocapture"])
            .env("TELEPORT_NETWORK", self.place.path().join("network.toml"))
            .env("TELEPORT_STATE", self.place.path().join("state"))
            .env("TELEPORT_NODE", node)
            .env("TELEPORT_STATES", states.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("this test can be started")
    }
    /// How many of so many states arrived, or what else came of it, at Bob's.
    fn teleport(&self, states: u32) -> Result<u32, String> {
        let programs = ["Alice", "Bob"].map(|node| self.start(node, states));
        let [_, bob] = programs.map(result);
        bob
    }
}

/// What a program returned.
fn result(program: Child) -> Result<u32, String> {
    let output = program.wait_with_output().expect("it ends");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    let after = |mark: &str| told.lines().find_map(|line| Some(line.split(mark).nth(1)?.trim().to_owned()));
    match after("right: ") {
        Some(right) => Ok(right.parse().expect("a number")),
        None => Err(after("error: ").expect("what came of it")),
    }
}

/// How many of so many states arrive in virtual time.
fn simulated(network: &Network, states: u32) -> u32 {
    let mut setup = build(network).expect("a network that can be built").setup;
    setup.demands.clear();
    let mut programs = Programs::new(World::new(setup, WorldOptions::default()).expect("a world"));
    let [a, b] = [NodeId(0), NodeId(1)];
    let alice = programs.spawn(a, |node| program::alice(node, b, states));
    let bob = programs.spawn(b, |node| program::bob(node, a, states));
    programs.run(Time::MAX).expect("both end");
    alice.take().expect("Alice has ended").expect("without errors");
    bob.take().expect("Bob has ended").expect("without errors")
}

#[test]
fn a_thousand_states_cross_two_processes_as_well_as_the_link_predicts() {
    let lab = Lab::new();
    let right = lab.teleport(STATES).expect("a program without errors");
    let Lab { place, up } = lab;
    assert_eq!(up.stop("INT"), Some(0));

    // What the link predicts is what its pairs are worth in virtual time: the closed form (2F + 1)/3 of a Werner state, less
    // what gates and readout cost.
    const MANY: u32 = 20_000;
    let network =
        Network::read(place.path().join("network.toml"), &[]).unwrap_or_else(|errors| panic!("{errors}"));
    let fraction = |right: u32, of: u32| f64::from(right) / f64::from(of);
    let (found, predicted) = (fraction(right, STATES), fraction(simulated(&network, MANY), MANY));
    let error = (predicted * (1.0 - predicted) * (1.0 / f64::from(STATES) + 1.0 / f64::from(MANY))).sqrt();
    println!("teleported with fidelity {found:.3}, predicted {predicted:.3} +- {error:.3}");
    assert!(
        (found - predicted).abs() < 4.0 * error,
        "{found} found, {predicted} predicted, {error} expected"
    );
    let best = (2.0 * 0.9 + 1.0) / 3.0;
    assert!(predicted < best && predicted > 0.75, "{predicted} predicted, {best} without errors of gates");
}

#[test]
fn programs_are_told_when_devices_are_lost_and_can_be_run_again() {
    let lab = Lab::new();
    // Far more states than there is time for.
    let programs = ["Alice", "Bob"].map(|node| lab.start(node, 1_000_000));
    std::thread::sleep(std::time::Duration::from_secs(2));
    let layer = lab.place.processes().into_iter().find(|(_, arguments)| arguments.contains("physical-layer"));
    signal(layer.expect("the devices have a process").0, "KILL");
    for program in programs {
        let told = result(program).expect_err("the devices were lost");
        let expected = ["the node is down", "the qubit is lost", "has ended"];
        assert!(expected.iter().any(|reason| told.contains(reason)), "{told}");
    }
    // Devices are started again, and nodes find them: at first a program may be told that they are away.
    let mut tries = 0;
    let right = loop {
        match lab.teleport(50) {
            Ok(right) => break right,
            Err(told) => {
                tries += 1;
                assert!(tries < 20, "{told}");
                std::thread::sleep(std::time::Duration::from_millis(500));
            }
        }
    };
    assert!(right > 30, "{right} of 50 states arrived");
    assert_eq!(lab.up.stop("INT"), Some(0));
}
