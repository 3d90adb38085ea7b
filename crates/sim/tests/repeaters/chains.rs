//! Chains of repeaters: what they deliver is what their links herald and their nodes do to it.

use bellwether_quantum::MemoryNoise;
use bellwether_quantum::bell::{BellDiagonal, SwapQuality};
use bellwether_sim::entanglement::account::CALIBRATION_BINS;
use bellwether_sim::entanglement::{Brightness, Chain, PairUse, Source, World, WorldOptions};
use bellwether_units::{Duration, Time};

const CYCLE: Duration = Duration::from_microseconds(10);
const DELAY: Duration = Duration::from_microseconds(5);
const LONG: Time = Time::from_picoseconds(u64::MAX / 4);

fn stated(success: f64, fidelity: f64) -> Brightness {
    Brightness::stated(success, BellDiagonal::werner(fidelity).expect("a fidelity").into())
        .expect("a probability")
}

#[test]
fn a_link_delivers_what_it_heralds() {
    let chain = Chain::new(2, 1, stated(0.1, 0.9), CYCLE, DELAY);
    let mut world = World::new(chain.setup().unwrap(), WorldOptions::default()).unwrap();
    assert!(world.run_for_pairs(2000, LONG));
    let tally = world.demands().next().unwrap();
    assert_eq!((tally.pairs, tally.disagreements, tally.revoked), (2000, 0, 0));
    assert!((tally.fidelity.mean().unwrap() - 0.9).abs() < 1e-12);
    assert!((tally.claimed.mean().unwrap() - 0.9).abs() < 1e-12);
    let link = world.links().next().unwrap();
    // Each attempt is heralded with probability 0.1: 4 standard errors of the mean of 2000.
    let success = link.pairs as f64 / link.attempts as f64;
    assert!((success - 0.1).abs() < 4.0 * 0.1 * (0.9f64 / 2000.0).sqrt(), "{success}");
}

#[test]
fn a_chain_swaps_as_the_rule_says() {
    for nodes in [3, 5, 9] {
        let chain = Chain::new(nodes, 5, stated(0.1, 0.95), CYCLE, DELAY);
        let mut world = World::new(chain.setup().unwrap(), WorldOptions::default()).unwrap();
        assert!(world.run_for_pairs(500, LONG));
        let tally = world.demands().next().unwrap();
        let link = BellDiagonal::werner(0.95).unwrap();
        let expected = (1..nodes - 1).fold(link, |pair, _| pair.swap(&link, &SwapQuality::PERFECT));
        assert_eq!(tally.disagreements, 0);
        assert!((tally.fidelity.mean().unwrap() - expected.probabilities()[0]).abs() < 1e-12, "{nodes}");
    }
}

/// What a node claims of a pair is what it truly is on average, and the losses of a budget add up.
#[test]
fn claims_are_calibrated_and_losses_add_up() {
    let mut chain = Chain::new(4, 2, stated(0.05, 0.97), CYCLE, DELAY);
    chain.node.communication = MemoryNoise::depolarising(Duration::from_milliseconds(20)).unwrap();
    let mut world = World::new(chain.setup().unwrap(), WorldOptions::default()).unwrap();
    assert!(world.run_for_pairs(5000, LONG));
    let tally = world.demands().next().unwrap();
    let mut seen = 0;
    for (pairs, claimed, fidelity) in tally.calibration {
        if pairs >= 100 {
            let (claimed, fidelity) = (claimed / pairs as f64, fidelity / pairs as f64);
            assert!((claimed - fidelity).abs() < 0.002, "{claimed} is claimed and {fidelity} true");
            seen += pairs;
        }
    }
    assert!(seen > 4500 && tally.calibration.len() == CALIBRATION_BINS);
    let shares = tally.shares();
    let link = 3.0 * -libm::log((4.0 * 0.97 - 1.0) / 3.0);
    let told = tally.losses[Source::Link as usize] / tally.pairs as f64;
    assert!((told - link).abs() < 1e-9, "three links lose {link}, {told} is told");
    assert!(shares[Source::Memory as usize] > 0.1);
    let others: f64 = shares.iter().sum::<f64>() - shares[0] - shares[1];
    assert!(others.abs() < 1e-9, "Werner states, perfect swaps: only links and memories lose");
}

/// Measured in bases that the ends draw, pairs show the fidelity that they truly have.
#[test]
fn measured_pairs_show_their_fidelity() {
    let chain = Chain::new(3, 4, stated(0.2, 0.9), CYCLE, DELAY);
    let mut setup = chain.setup().unwrap();
    setup.demands[0].use_of_pairs = PairUse::Measure;
    let mut world = World::new(setup, WorldOptions::default()).unwrap();
    assert!(world.run_for_pairs(9000, LONG));
    let tally = world.demands().next().unwrap();
    let (measured, error) = tally.measured_fidelity().unwrap();
    let truth = tally.fidelity.mean().unwrap();
    assert!((measured - truth).abs() < 4.0 * error && error < 0.02, "{measured} +- {error} of {truth}");
    let compared: u64 = tally.measured.iter().sum();
    assert!((2500..3500).contains(&compared), "a third is measured in one basis: {compared}");
}

/// The head may take its half at once; what it is told later is no less true.
#[test]
fn early_halves_are_confirmed() {
    let chain = Chain::new(3, 2, stated(0.2, 0.9), CYCLE, DELAY);
    let mut setup = chain.setup().unwrap();
    setup.demands[0].use_of_pairs = PairUse::Early;
    let mut world = World::new(setup, WorldOptions::default()).unwrap();
    assert!(world.run_for_pairs(500, LONG));
    let tally = world.demands().next().unwrap();
    let link = BellDiagonal::werner(0.9).unwrap();
    let expected = link.swap(&link, &SwapQuality::PERFECT).probabilities()[0];
    assert!((tally.fidelity.mean().unwrap() - expected).abs() < 1e-12);
    assert_eq!(tally.disagreements, 0);
}

/// Messages as values and as bytes give the same run.
#[test]
fn bytes_and_values_are_one() {
    let mut chain = Chain::new(5, 3, stated(0.05, 0.97), CYCLE, DELAY);
    chain.node.communication = MemoryNoise::depolarising(Duration::from_milliseconds(20)).unwrap();
    let run = |as_bytes| {
        let options = WorldOptions { as_bytes, ..WorldOptions::default() };
        let mut world = World::new(chain.setup().unwrap(), options).unwrap();
        world.run_until(Time::ZERO + Duration::from_milliseconds(200));
        (world.demands().cloned().collect::<Vec<_>>(), world.work())
    };
    let (values, bytes) = (run(false), run(true));
    assert!(values.0[0].pairs > 100);
    assert_eq!(values, bytes);
}
