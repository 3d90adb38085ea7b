//! Purified circuits: what links give up in pairs they gain in fidelity, by the closed forms.

use bellwether_network::Network;
use bellwether_protocol::entanglement::purification::Recurrence;
use bellwether_quantum::bell::{BellDiagonal, Purification, PurificationQuality, Purified, SwapQuality};
use bellwether_quantum::density::Readout;
use bellwether_quantum::pair::{BellMeasurement, Comparison, PairState};
use bellwether_quantum::{Dephasing, MemoryNoise};
use bellwether_sim::entanglement::{
    Brightness, Chain, EntanglementRun, Fault, FaultKind, Setup, Source, World, WorldOptions,
};
use bellwether_units::{Duration, LinkId, NodeId, Time};

const CYCLE: Duration = Duration::from_microseconds(10);
const DELAY: Duration = Duration::from_microseconds(5);
const LONG: Time = Time::from_picoseconds(u64::MAX / 4);

fn chain(nodes: u32, memories: u16, fidelity: f64) -> Chain {
    let pair = BellDiagonal::werner(fidelity).expect("a fidelity");
    let level = Brightness::stated(0.1, pair.into()).expect("a probability");
    Chain::new(nodes, memories, level, CYCLE, DELAY)
}
fn purified(chain: &Chain, rounds: &[Purification]) -> Setup {
    let mut setup = chain.setup().expect("a level");
    setup.circuits[0].purification = Recurrence::of(rounds).expect("few rounds");
    setup
}
fn world(setup: Setup) -> World {
    World::new(setup, WorldOptions::default()).expect("a chain")
}

/// One round of DEJMPS on each link of a chain of two, gates and readouts not perfect: the fidelity of what comes is that of
/// the closed form, and so is the number of link pairs that it takes.
#[test]
fn two_links_purify_as_the_closed_form_says() {
    for (gate, readout) in [(1.0, 1.0), (0.99, 0.995)] {
        let mut chain = chain(3, 3, 0.85);
        chain.node.readout = Readout::symmetric(readout).unwrap();
        chain.node.bell_measurement = BellMeasurement::new(1.0 - gate, [chain.node.readout; 2]).unwrap();
        chain.node.swap_time = Duration::from_microseconds(3);
        let mut world = world(purified(&chain, &[Purification::Dejmps]));
        assert!(world.run_for_pairs(4000, LONG));
        let tally = world.demands().next().unwrap();
        assert_eq!((tally.disagreements, tally.revoked), (0, 0));

        let link = BellDiagonal::werner(0.85).unwrap();
        let quality = PurificationQuality::new(gate, readout).unwrap();
        let Purified { success, kept } = link.purify(&link, Purification::Dejmps, &quality);
        let swap = SwapQuality::new(gate, readout, 1.0).unwrap();
        let expected = kept.swap(&kept, &swap).fidelity();
        assert!(expected > link.swap(&link, &swap).fidelity() + 0.005, "purification is worth it here");
        let mean = tally.fidelity.mean().unwrap();
        // Nothing of it is drawn: all pairs are alike.
        assert!((mean - expected).abs() < 1e-9, "{mean} instead of {expected}");
        let claimed = tally.claimed.mean().unwrap();
        assert!((claimed - expected).abs() < 0.01, "{claimed} is claimed of {expected}");
        assert!(tally.losses[Source::Purification as usize] < 0.0, "purification wins fidelity");

        // Each purified pair takes so many rounds of two pairs, of which some have not ended yet.
        let pairs = tally.pairs as f64;
        for link in world.links() {
            let rounds = link.pairs as f64 / 2.0;
            let error = (rounds * success * (1.0 - success)).sqrt();
            let open = 4.0;
            let off = (pairs - rounds * success).abs();
            assert!(off < 4.0 * error + open, "{pairs} of {rounds} rounds that succeed with {success}");
        }
    }
}

/// Several rounds of several kinds, one after the other.
#[test]
fn rounds_follow_one_another_in_the_order_of_the_file() {
    use Purification::{Bbpssw, Dejmps, Phase};
    for rounds in [&[Dejmps, Dejmps][..], &[Bbpssw, Phase], &[Phase, Dejmps, Bbpssw]] {
        let chain = chain(2, rounds.len() as u16 + 2, 0.8);
        let mut world = world(purified(&chain, rounds));
        assert!(world.run_for_pairs(300, LONG));
        let tally = world.demands().next().unwrap();
        let link = BellDiagonal::werner(0.8).unwrap();
        let step = |pair: BellDiagonal, how: &Purification| {
            pair.purify(&pair, *how, &PurificationQuality::PERFECT).kept
        };
        let expected = rounds.iter().fold(link, step).fidelity();
        let mean = tally.fidelity.mean().unwrap();
        assert_eq!(tally.disagreements, 0);
        assert!((mean - expected).abs() < 1e-9, "{rounds:?}: {mean} instead of {expected}");
    }
}

/// A readout that errs more on 1 than on 0 is no rule for mixtures: the ends draw outcomes of four qubits, one after the other,
/// and what is kept is on average what it would be if they did so at once.
#[test]
fn ends_that_compare_one_after_the_other_do_what_they_would_at_once() {
    let mut chain = chain(2, 2, 0.85);
    chain.node.readout = Readout::new(0.02, 0.15).unwrap();
    chain.node.bell_measurement = BellMeasurement::new(0.03, [chain.node.readout; 2]).unwrap();
    let mut world = world(purified(&chain, &[Purification::Dejmps]));
    assert!(world.run_for_pairs(1500, LONG));
    let tally = world.demands().next().unwrap();
    let pair = PairState::from(BellDiagonal::werner(0.85).unwrap());
    let device = Comparison::new([0.03; 2], [chain.node.readout; 2]).unwrap();
    let outcomes = pair.compare_outcomes(&pair, Purification::Dejmps, &device);
    let kept: Vec<_> = outcomes.iter().filter(|outcome| outcome.told[0] == outcome.told[1]).collect();
    let success: f64 = kept.iter().map(|outcome| outcome.probability).sum();
    let fidelity = |outcome: &&bellwether_quantum::pair::Compared| {
        outcome.kept.fidelity(bellwether_quantum::bell::BellIndex::PHI_PLUS)
    };
    let expected: f64 =
        kept.iter().map(|outcome| outcome.probability * fidelity(outcome)).sum::<f64>() / success;
    let spread: f64 = kept
        .iter()
        .map(|outcome| outcome.probability / success * (fidelity(outcome) - expected).powi(2))
        .sum();
    let (mean, pairs) = (tally.fidelity.mean().unwrap(), tally.pairs as f64);
    assert!(spread > 1e-8, "the outcomes leave different pairs");
    assert!((mean - expected).abs() < 4.0 * (spread / pairs).sqrt(), "{mean} instead of {expected}");
    let rounds = world.links().next().unwrap().pairs as f64 / 2.0;
    let error = (rounds * success * (1.0 - success)).sqrt();
    assert!((pairs - rounds * success).abs() < 4.0 * error + 4.0, "{pairs} of {rounds} at {success}");
}

/// Halves fade while they wait for their rounds and for the other end; claims follow.
#[test]
fn claims_of_purified_pairs_are_calibrated() {
    let mut chain = chain(4, 3, 0.9);
    chain.node.communication =
        MemoryNoise::new(None, Dephasing::Exponential(Duration::from_milliseconds(20))).unwrap();
    chain.node.swap_time = Duration::from_microseconds(50);
    let mut world = world(purified(&chain, &[Purification::Dejmps]));
    assert!(world.run_for_pairs(3000, LONG));
    let tally = world.demands().next().unwrap();
    let (mean, claimed) = (tally.fidelity.mean().unwrap(), tally.claimed.mean().unwrap());
    assert_eq!(tally.disagreements, 0);
    assert!((mean - claimed).abs() < 0.015, "{claimed} is claimed and {mean} true");
    let lost: f64 = tally.losses.iter().sum::<f64>() / tally.pairs as f64;
    assert!(lost > 0.0 && tally.losses[Source::Memory as usize] > 0.0);
}

/// Whatever is lost, cut or stopped between the two halves of a comparison, both ends mean the same pairs.
#[test]
fn what_is_purified_through_losses_cuts_and_crashes_is_what_is_claimed() {
    let mut all = 0;
    for seed in 0..20 {
        let mut setup = purified(&chain(3, 3, 0.9), &[Purification::Dejmps, Purification::Dejmps]);
        let at = |milliseconds: u64| Time::ZERO + Duration::from_milliseconds(milliseconds);
        let fault = |milliseconds, kind| Fault { at: at(milliseconds), kind };
        setup.faults = vec![
            fault(0, FaultKind::MessageLoss(LinkId(0), 0.1)),
            fault(0, FaultKind::MessageLoss(LinkId(1), 0.2)),
            fault(20, FaultKind::Cut(LinkId(1))),
            fault(23, FaultKind::Mended(LinkId(1))),
            fault(40, FaultKind::Crash(NodeId(1))),
            fault(45, FaultKind::Restart(NodeId(1))),
            fault(60, FaultKind::Crash(NodeId(2))),
            fault(61, FaultKind::Restart(NodeId(2))),
        ];
        let mut world = World::new(setup, WorldOptions { seed, ..WorldOptions::default() }).unwrap();
        world.run_until(at(150));
        let tally = world.demands().next().unwrap();
        all += tally.pairs;
        assert_eq!(tally.disagreements, 0, "seed {seed}");
        // Both rounds of two equal links, swapped, without memory noise: all pairs are alike.
        let link = BellDiagonal::werner(0.9).unwrap();
        let round =
            |pair: BellDiagonal| pair.purify(&pair, Purification::Dejmps, &PurificationQuality::PERFECT).kept;
        let kept = round(round(link));
        let expected = kept.swap(&kept, &SwapQuality::PERFECT).fidelity();
        if let Some(mean) = tally.fidelity.mean() {
            assert!((mean - expected).abs() < 1e-9, "{mean} instead of {expected} with seed {seed}");
        }
    }
    assert!(all > 100, "{all} pairs");
}

const FILE: &str = r#"
format = 1
network.name = "purified"
[defaults.entangling]
scheme = { kind = "stated", success = 0.05, fidelity = 0.9 }
fibre = { length = "2 km", loss_per_length = "0.2 dB/km" }
cycle = "100 us"
memories = 2
[node.A]
[node.R]
[node.B]
[entangling.A-R]
ends = ["A", "R"]
[entangling.R-B]
ends = ["R", "B"]
[circuit.c]
from = "A"
to = "B"
path = ["A", "R", "B"]
purification = ["dejmps"]
[pair_demand.pairs]
from = "A"
to = "B"
circuit = "c"
fidelity = 0.85
"#;

/// A network file that asks for purification gets it: planned and delivered as the closed form says, and refused without.
#[test]
fn a_file_that_asks_for_purification_gets_it() {
    let run = |text: &str| {
        let network = Network::parse(text, "purified", &[]).expect("a sound file");
        let second = Duration::from_whole_seconds(1);
        let mut run = EntanglementRun::new(&network, 3, second).expect("sound hardware").expect("links");
        let end = Time::ZERO + second.saturating_mul(10);
        run.run_until(end, 1);
        run.summary(&network, end)
    };
    let found = run(FILE);
    let link = BellDiagonal::werner(0.9).unwrap();
    let kept = link.purify(&link, Purification::Dejmps, &PurificationQuality::PERFECT).kept;
    let expected = kept.swap(&kept, &SwapQuality::PERFECT).fidelity();
    let demand = &found.demands[0];
    assert!(demand.pairs > 500 && demand.disagreements == 0, "{} pairs", demand.pairs);
    let mean = demand.fidelity.as_ref().unwrap().mean;
    assert!((mean - expected).abs() < 1e-9, "{mean} instead of {expected}");
    let planned = demand.planned.as_ref().unwrap().fidelity;
    assert!((planned - expected).abs() < 1e-9, "{planned} was planned");
    assert!(demand.losses.iter().any(|share| share.source == "purification" && share.loss_per_pair < 0.0));
    assert!(found.assumptions.iter().all(|what| !what.contains("purif")));

    let refused = run(&FILE.replace("[\"dejmps\"]", "[]")).demands[0].refused.clone().unwrap();
    assert!(refused.contains("a fidelity of 0.85 cannot be had: the best is 0.8133"), "{refused}");
    let refused =
        run(&FILE.replace("[\"dejmps\"]", "[\"dejmps\", \"dejmps\"]")).demands[0].refused.clone().unwrap();
    assert!(refused.contains("`A` has too few memories free for `A-R`"), "{refused}");
}
