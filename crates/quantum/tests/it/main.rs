//! Tiers against each other, against published and independently computed values, and against what quantum mechanics
//! forbids. Seeds are fixed; tolerances stand beside what they are for.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod circuits;
mod ensemble;
mod laws;
mod memory;
mod pairs;
mod reference;
mod rules;
mod stores;
mod tableaux;

use bellwether_quantum::bell::{BellDiagonal, PauliChannel};
use bellwether_units::{EntityId, Purpose, Stream};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// A stream of its own for each test or circuit.
fn stream(number: u64) -> Stream {
    Stream::new(2026, EntityId(0), Purpose::named("test").numbered(number))
}

/// So many cases from a seed of the test's own.
fn cases(cases: u32, seed: u64) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Any four probabilities, zeros among them.
fn four() -> impl Strategy<Value = [f64; 4]> {
    prop::array::uniform4(prop_oneof![4 => 0.0..1.0f64, 1 => Just(0.0)]).prop_map(|weights| {
        let sum: f64 = weights.iter().sum();
        if sum > 0.0 { weights.map(|w| w / sum) } else { [1.0, 0.0, 0.0, 0.0] }
    })
}

fn pair() -> impl Strategy<Value = BellDiagonal> {
    four().prop_map(|p| BellDiagonal::new(p).unwrap())
}

fn pauli() -> impl Strategy<Value = PauliChannel> {
    four().prop_map(|p| PauliChannel::new(p).unwrap())
}

#[track_caller]
fn assert_near(what: &str, found: f64, wanted: f64, tolerance: f64) {
    assert!((found - wanted).abs() <= tolerance, "{what}: {found}, expected {wanted} within {tolerance}");
}
