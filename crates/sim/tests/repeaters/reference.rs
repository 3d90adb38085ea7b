//! Waiting times and fidelities of chains against closed forms: what every analysis of repeaters assumes (attempts in
//! step, no delays), met by cycles that are two hundred times longer than messages take.

use bellwether_physics::waiting;
use bellwether_quantum::bell::BellDiagonal;
use bellwether_quantum::{Dephasing, MemoryNoise};
use bellwether_sim::entanglement::{Brightness, Chain, NodeModel, Setup, World, WorldOptions};
use bellwether_units::{Duration, Time};
use std::sync::Arc;

const CYCLE: Duration = Duration::from_milliseconds(1);
const DELAY: Duration = Duration::from_microseconds(5);
const LONG: Time = Time::from_picoseconds(u64::MAX / 4);

fn chain(links: u32, success: f64) -> Chain {
    let perfect = BellDiagonal::werner(1.0).expect("a fidelity");
    let level = Brightness::stated(success, perfect.into()).expect("a probability");
    let mut chain = Chain::new(links + 1, 1, level, CYCLE, DELAY);
    chain.link.herald = [DELAY; 2];
    chain
}

/// The attempt at which the first pair was complete, and its fidelity.
fn first(setup: Setup, seed: u64) -> (u64, f64) {
    let mut world =
        World::new(setup, WorldOptions { seed, budgets: false, ..WorldOptions::default() }).expect("a chain");
    assert!(world.run_for_pairs(1, LONG));
    let tally = world.demands().next().expect("one demand");
    // Set-up takes less than a cycle, so that the first attempt is at its end.
    (tally.first.expect("a pair").picoseconds() / CYCLE.picoseconds(), tally.fidelity.mean().expect("a pair"))
}

struct Told {
    attempts: Vec<u64>,
    fidelities: Vec<f64>,
}

fn told(setup: &Setup, runs: u64) -> Told {
    let (attempts, fidelities) = (0..runs).map(|seed| first(setup.clone(), 1000 + seed)).unzip();
    Told { attempts, fidelities }
}

/// Mean and standard error.
fn mean(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / count;
    let variance = values.map(|v| (v - mean) * (v - mean)).sum::<f64>() / (count - 1.0);
    (mean, (variance / count).sqrt())
}

fn agrees(what: &str, values: impl Iterator<Item = f64> + Clone, expected: f64) {
    let (mean, error) = mean(values);
    assert!((mean - expected).abs() < 4.0 * error, "{what}: {mean} +- {error}, expected {expected}");
}

/// The slowest of n links: means of the table, within 4 standard errors, and the law itself by chi-square.
#[test]
fn a_chain_waits_for_its_slowest_link() {
    let q: f64 = 0.9;
    for (links, expected) in [(2, 14.736842105), (4, 20.273378192), (8, 26.295784368), (16, 32.587247980)] {
        let runs = if links > 4 { 1000 } else { 3000 };
        let told = told(&chain(links, 0.1).setup().unwrap(), runs);
        agrees("attempts", told.attempts.iter().map(|n| *n as f64), expected);
        let below = |n: i32| (1.0 - q.powi(n)).powi(links as i32);
        let (mut chi2, mut freedom, mut from) = (0.0, -1.0, 0);
        for n in 1..=200 {
            let expected = runs as f64 * (below(n) - below(from));
            let last = n == 200;
            if expected >= 5.0 || last {
                let share = if last { runs as f64 * (1.0 - below(from)) } else { expected };
                let seen = told.attempts.iter().filter(|k| **k > from as u64 && (last || **k <= n as u64));
                if share > 0.0 {
                    chi2 += (seen.count() as f64 - share).powi(2) / share;
                    freedom += 1.0;
                }
                from = n;
            }
        }
        // Wilson and Hilferty's bound of one in a thousand.
        let bound =
            freedom * (1.0 - 2.0 / (9.0 * freedom) + 3.09 * (2.0f64 / (9.0 * freedom)).sqrt()).powi(3);
        assert!(freedom > 20.0 && chi2 < bound, "{links} links: {chi2} for {freedom} degrees of freedom");
    }
}

/// Swaps that fail half the time (row 11 of the table): the segments they joined are made anew.
#[test]
fn failing_swaps_cost_what_the_markov_chain_says() {
    let mut all = chain(3, 0.5);
    agrees(
        "three links, all swaps succeed",
        told(&all.setup().unwrap(), 3000).attempts.iter().map(|n| *n as f64),
        3.142857143,
    );
    all.node.swap_success = 0.5;
    agrees(
        "three links, half the swaps fail",
        told(&all.setup().unwrap(), 3000).attempts.iter().map(|n| *n as f64),
        10.666666667,
    );
}

/// Ends keep perfectly, repeaters dephase: F = (1 + E[x^D])/2 (row 12).
#[test]
fn waiting_halves_dephase() {
    let t2 = CYCLE.saturating_mul(100);
    for (links, expected) in [(2, 0.913483), (4, 0.765990), (8, 0.538682)] {
        let mut chain = chain(links, 0.1);
        chain.node.communication = MemoryNoise::new(None, Dephasing::Exponential(t2)).unwrap();
        let mut setup = chain.setup().unwrap();
        let perfect = Arc::new(NodeModel::PERFECT);
        for end in [0, links as usize] {
            setup.nodes[end].model = Arc::clone(&perfect);
        }
        let told = told(&setup, 3000);
        agrees("coherence", told.fidelities.iter().map(|f| 2.0 * f - 1.0), expected);
    }
}

/// A cutoff trades time for fidelity (row 4): two links, ten attempts for the second.
#[test]
fn a_cutoff_trades_time_for_fidelity() {
    let mut chain = chain(2, 0.1);
    chain.cutoff = Some(CYCLE.saturating_mul(10) + Duration::from_microseconds(500));
    chain.node.communication =
        MemoryNoise::new(None, Dephasing::Exponential(CYCLE.saturating_mul(50))).unwrap();
    let mut setup = chain.setup().unwrap();
    let perfect = Arc::new(NodeModel::PERFECT);
    for end in [0, 2] {
        setup.nodes[end].model = Arc::clone(&perfect);
    }
    let told = told(&setup, 4000);
    agrees("attempts", told.attempts.iter().map(|n| *n as f64), 17.073365215);
    agrees("coherence", told.fidelities.iter().map(|f| 2.0 * f - 1.0), 0.919532829);
}

/// The engine of closed forms says the same as the table that these tests hold the simulation to.
#[test]
fn closed_forms_agree_with_the_table() {
    let slowest = waiting::maximum_of_geometrics(4, 0.1);
    assert!((slowest.unwrap() - 20.273378192).abs() < 1e-8);
}
