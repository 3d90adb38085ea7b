//! What is delivered through losses, cuts and crashes is what is claimed, whatever the schedule.

use bellwether_quantum::MemoryNoise;
use bellwether_quantum::bell::{BellDiagonal, SwapQuality};
use bellwether_sim::entanglement::account::DemandTally;
use bellwether_sim::entanglement::{
    Brightness, Chain, Fault, FaultKind, PairUse, Setup, World, WorldOptions,
};
use bellwether_units::{Duration, EntityId, LinkId, NodeId, Purpose, Stream, Time};

const FIDELITY: f64 = 0.95;

/// A chain of 2 to 6 nodes with 1 to 4 memories, a tenth of all messages lost at most, cuts, crashes, and cutoffs.
fn schedule(seed: u64, decaying: bool) -> (u32, Setup) {
    let mut fate = Stream::new(seed, EntityId(0), Purpose::named("schedules of faults"));
    let nodes = 2 + fate.below(5) as u32;
    let pair = BellDiagonal::werner(FIDELITY).expect("a fidelity");
    let level = Brightness::stated(0.02 + 0.2 * fate.uniform(), pair.into()).expect("a probability");
    let cycle = Duration::from_microseconds(10 + fate.below(40));
    let delay = Duration::from_microseconds(1 + fate.below(200));
    let mut chain = Chain::new(nodes, 1 + fate.below(4) as u16, level, cycle, delay);
    if decaying {
        chain.node.communication =
            MemoryNoise::depolarising(Duration::from_milliseconds(60)).expect("a time");
    }
    if fate.chance(0.3) {
        chain.node.swap_success = 0.7;
    }
    if fate.chance(0.5) {
        chain.cutoff = Some(Duration::from_microseconds(500 + fate.below(5000)));
    }
    let mut setup = chain.setup().expect("a level");
    let loss = if fate.chance(0.7) { 0.1 * fate.uniform() } else { 0.0 };
    setup.links.iter_mut().for_each(|link| link.message_loss = loss);
    setup.demands[0].use_of_pairs = [PairUse::Keep, PairUse::Measure, PairUse::Early][fate.below(3) as usize];
    setup.demands[0].correct = fate.chance(0.5);
    if fate.chance(0.3) {
        setup.demands[0].hold = Duration::from_microseconds(fate.below(2000));
    }
    let instant = |fate: &mut Stream| Time::ZERO + Duration::from_microseconds(fate.below(150_000));
    for _ in 0..fate.below(4) {
        let at = instant(&mut fate);
        let until = at + Duration::from_microseconds(1 + fate.below(20_000));
        let kinds = if fate.chance(0.5) {
            let link = LinkId(fate.below(u64::from(nodes) - 1) as u32);
            [FaultKind::Cut(link), FaultKind::Mended(link)]
        } else {
            // The head has no memory of what it was asked for.
            let node = NodeId(1 + fate.below(u64::from(nodes) - 1) as u32);
            [FaultKind::Crash(node), FaultKind::Restart(node)]
        };
        setup.faults.extend([at, until].into_iter().zip(kinds).map(|(at, kind)| Fault { at, kind }));
    }
    setup.faults.sort_by_key(|fault| fault.at);
    (nodes, setup)
}

fn played(seed: u64, decaying: bool) -> (u32, DemandTally) {
    let (nodes, setup) = schedule(seed, decaying);
    let mut world = World::new(setup, WorldOptions { seed, ..WorldOptions::default() }).expect("a chain");
    world.run_until(Time::ZERO + Duration::from_milliseconds(200));
    let tally = world.demands().next().expect("one demand").clone();
    (nodes, tally)
}

/// Without decay every pair has exactly the fidelity of its links, swapped: no label is ever wrong, no half of another.
fn labels_are_right(seed: u64) -> u64 {
    let (nodes, tally) = played(seed, false);
    let link = BellDiagonal::werner(FIDELITY).expect("a fidelity");
    let expected =
        (1..nodes - 1).fold(link, |pair, _| pair.swap(&link, &SwapQuality::PERFECT)).probabilities()[0];
    assert_eq!(tally.disagreements, 0, "seed {seed}: the ends disagree");
    if let Some(mean) = tally.fidelity.mean() {
        let spread = tally.fidelity.deviation().unwrap_or(0.0);
        assert!(
            (mean - expected).abs() < 1e-9 && spread < 1e-7,
            "seed {seed}: {mean} +- {spread} of {expected}; {} pairs, {} revoked, {:?}",
            tally.pairs,
            tally.revoked,
            schedule(seed, false).1.faults
        );
    }
    tally.pairs
}

#[test]
fn labels_are_right_through_losses_cuts_and_crashes() {
    let schedules = std::env::var("SCHEDULES").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
    let pairs: Vec<u64> = (0..schedules).map(labels_are_right).collect();
    let served = pairs.iter().filter(|pairs| **pairs > 0).count();
    assert!(served * 10 > pairs.len() * 8, "only {served} of {} schedules delivered anything", pairs.len());
}

/// Over all schedules, what is claimed in each bin of fidelity is what is true on average.
#[test]
fn claims_are_calibrated_through_losses_cuts_and_crashes() {
    let mut bins = [(0u64, 0.0, 0.0); bellwether_sim::entanglement::account::CALIBRATION_BINS];
    for seed in 0..200 {
        let (_, tally) = played(10_000 + seed, true);
        for (all, one) in bins.iter_mut().zip(tally.calibration) {
            *all = (all.0 + one.0, all.1 + one.1, all.2 + one.2);
        }
    }
    let mut seen = 0;
    for (pairs, claimed, truth) in bins {
        if pairs > 300 {
            let (claimed, truth) = (claimed / pairs as f64, truth / pairs as f64);
            assert!((claimed - truth).abs() < 0.01, "{pairs} pairs: {claimed} is claimed, {truth} true");
            seen += 1;
        }
    }
    assert!(seen >= 5, "{seen} bins");
}
