//! Circuits that their heads open: up before requests are served, admitted by load, and opened again after faults.

use bellwether_network::{Network, Override};
use bellwether_protocol::application::Node;
use bellwether_protocol::entanglement::purification::Recurrence;
use bellwether_quantum::bell::{BellDiagonal, Purification, PurificationQuality, SwapQuality};
use bellwether_sim::entanglement::programs::Programs;
use bellwether_sim::entanglement::summary::EntanglementSummary;
use bellwether_sim::entanglement::{
    Brightness, Chain, EntanglementRun, Fault, FaultKind, Setup, World, WorldOptions,
};
use bellwether_units::{Duration, LinkId, NodeId, Time};

/// A chain whose links herald ten pairs a second in the mean, by attempts of a millisecond.
fn chain(nodes: u32) -> Setup {
    let pair = BellDiagonal::werner(0.95).expect("a fidelity");
    let level = Brightness::stated(0.01, pair.into()).expect("a probability");
    let milli = Duration::from_milliseconds;
    let mut setup = Chain::new(nodes, 2, level, milli(1), milli(1) / 10).setup().expect("a level");
    setup.circuits[0].signalled = true;
    setup
}
fn world(setup: Setup, as_bytes: bool) -> World {
    World::new(setup, WorldOptions { as_bytes, ..WorldOptions::default() }).expect("a chain")
}
fn second(seconds: u64) -> Time {
    Time::ZERO + Duration::from_whole_seconds(seconds)
}
fn expected(pair: BellDiagonal, links: u32) -> f64 {
    (1..links).fold(pair, |all, _| all.swap(&pair, &SwapQuality::PERFECT)).fidelity()
}

/// It delivers as many pairs as one that was installed by hand, and as good ones; also as bytes, and purified.
#[test]
fn a_signalled_circuit_delivers_as_one_that_was_installed() {
    for rounds in [&[][..], &[Purification::Dejmps]] {
        let mut setup = chain(4);
        setup.circuits[0].purification = Recurrence::of(rounds).unwrap();
        let link = BellDiagonal::werner(0.95).unwrap();
        let kept = rounds
            .iter()
            .fold(link, |pair, how| pair.purify(&pair, *how, &PurificationQuality::PERFECT).kept);
        let played = |signalled: bool, as_bytes| {
            let mut setup = setup.clone();
            setup.circuits[0].signalled = signalled;
            let mut world = world(setup, as_bytes);
            world.run_until(second(300));
            let tally = world.demands().next().unwrap();
            assert_eq!(tally.disagreements, 0);
            let mean = tally.fidelity.mean().unwrap();
            assert!((mean - expected(kept, 3)).abs() < 1e-9, "{mean}");
            tally.pairs
        };
        let [signalled, installed] = [played(true, false), played(false, false)].map(|pairs| pairs as f64);
        assert_eq!(played(true, true) as f64, signalled);
        // At least as steady as counts that are drawn.
        let error = (signalled + installed).sqrt();
        assert!((signalled - installed).abs() < 4.0 * error, "{signalled} and {installed}");
        assert!(signalled > 500.0, "{signalled}");
    }
}

/// A node in the middle, then the tail, forget all: the circuit is opened again, and what is left of a request is served.
#[test]
fn requests_outlive_the_nodes_that_forget_their_circuit() {
    let mut setup = chain(4);
    setup.demands[0].pairs = Some(400);
    let fault = |seconds, kind| Fault { at: second(seconds), kind };
    setup.faults = vec![
        fault(3, FaultKind::Crash(NodeId(1))),
        fault(4, FaultKind::Restart(NodeId(1))),
        fault(12, FaultKind::Crash(NodeId(3))),
        fault(30, FaultKind::Restart(NodeId(3))),
        fault(40, FaultKind::Cut(LinkId(0))),
        fault(50, FaultKind::Mended(LinkId(0))),
    ];
    let mut world = world(setup, false);
    let mut pairs = |until| {
        world.run_until(second(until));
        world.demands().next().unwrap().pairs
    };
    let [before, down, again] = [pairs(16), pairs(29), pairs(39)];
    assert!(before > 20, "{before} pairs");
    assert_eq!(down, before, "the tail is down");
    assert!(again > down + 10, "{down} and {again} pairs");
    assert!(pairs(300) >= 400);
    let tally = world.demands().next().unwrap();
    assert_eq!((tally.completed, tally.disagreements), (1, 0));
    // A pair that one end took for lost was made once more, though both had used it.
    assert!(tally.pairs <= 400 + 2 * 3, "{} pairs", tally.pairs);
    assert!((tally.fidelity.mean().unwrap() - expected(BellDiagonal::werner(0.95).unwrap(), 3)).abs() < 1e-9);
}

/// Programs know nothing of it: their calls wait until the circuit is there again.
#[test]
fn programs_outlive_the_nodes_that_forget_their_circuit() {
    async fn program(node: Node, peer: NodeId) -> Vec<u64> {
        let mut got = Vec::new();
        for _ in 0..60 {
            if let Ok(half) = node.epr(peer, 0.5, Duration::MAX).await {
                got.extend(half.pair().map(|facts| facts.id.head.sequence));
            }
        }
        got
    }
    let mut setup = chain(3);
    setup.demands.clear();
    setup.faults = vec![
        Fault { at: second(2), kind: FaultKind::Crash(NodeId(1)) },
        Fault { at: second(3), kind: FaultKind::Restart(NodeId(1)) },
    ];
    let mut programs = Programs::new(world(setup, false));
    let (head, tail) = (NodeId(0), NodeId(2));
    let one = programs.spawn(head, |node| program(node, tail));
    let other = programs.spawn(tail, |node| program(node, head));
    programs.run(second(120)).unwrap();
    let (one, other) = (one.take().unwrap(), other.take().unwrap());
    assert_eq!((one.len(), other.len()), (60, 60));
    // A half whose other end was lost on the way may have no partner; nearly all have theirs.
    let common = one.iter().filter(|pair| other.contains(pair)).count();
    assert!(common >= 57, "{common} of 60 pairs are common");
}

const FILE: &str = r#"
format = 1
network.name = "loaded"
[defaults.entangling]
scheme = { kind = "stated", success = 0.01, fidelity = 0.95 }
fibre = { length = "2 km", loss_per_length = "0.2 dB/km" }
cycle = "1 ms"
[node.A]
[node.R]
[node.B]
[node.C]
[entangling.A-R]
ends = ["A", "R"]
[entangling.R-B]
ends = ["R", "B"]
[entangling.C-R]
ends = ["C", "R"]
[pair_demand.first]
from = "A"
to = "B"
rate = "3 /s"
fidelity = 0.5
[pair_demand.second]
from = "C"
to = "B"
rate = "4 /s"
fidelity = 0.5
"#;

fn run(sets: &[&str]) -> EntanglementSummary {
    let sets: Vec<_> = sets.iter().map(|set| Override::parse(set).expect("an override")).collect();
    let network = Network::parse(FILE, "loaded", &sets).expect("a sound file");
    let second = Duration::from_whole_seconds(1);
    let mut run = EntanglementRun::new(&network, 3, second).expect("sound hardware").expect("links");
    let end = Time::ZERO + second.saturating_mul(60);
    run.run_until(end, 1);
    run.summary(&network, end)
}

/// Ten pairs a second are not three and four of two demands and four more: what a link has promised it does not promise again.
#[test]
fn a_link_promises_no_more_than_it_can() {
    let found = run(&[]);
    for demand in &found.demands {
        assert_eq!(demand.refused, None);
        assert!(demand.pairs > 100, "{} pairs of {}", demand.pairs, demand.name);
    }
    // Alone, either could have as much.
    let found = run(&["pair_demand.first.rate=6 /s", "pair_demand.second.rate=6 /s"]);
    let [first, second] = &found.demands[..] else { panic!("two demands") };
    let refused: Vec<_> = [first, second].into_iter().filter(|demand| demand.refused.is_some()).collect();
    assert_eq!(refused.len(), 1);
    let why = refused[0].refused.as_ref().unwrap();
    assert!(why.contains("`R-B` cannot promise the rate"), "{why}");
    assert!(why.contains("all links of the way can promise 4.0"), "{why}");
    assert_eq!(refused[0].pairs, 0);
    assert!(first.pairs + second.pairs > 200);
}
