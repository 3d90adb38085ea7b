//! A whole link at detail `bits` on one core: light, clicks, sifting, reconciliation, amplification, both ends.
//!
//! Goals for the link of `networks/single-link.toml` (1 GHz): faster than real time at 50 km, that is more than
//! 10^9 pulses a second, and 20 times faster than real time at 100 km. Reports pulses, clicks, sifted bits and secret
//! bits (net of authentication) for each second of computing, the median of five runs.
//!
//! One run gives all four rates, so this is a table and not a group of criterion, which knows one rate a measurement.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use bellwether_network::{Network, Override};
use bellwether_sim::run::{Options, Unobserved, simulate};
use bellwether_sim::summary::Totals;
use bellwether_units::Duration;
use std::path::Path;
use std::time::Instant;

const RUNS: usize = 5;

/// What the link made in so much network time at this length, and the median of the seconds that it took.
fn run(length: &str, seconds: u64) -> (Totals, f64) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../networks/single-link.toml");
    let set = Override::parse(&format!("link.A-B.fibre.length={length}")).expect("an override");
    let network = Network::read(file, &[set]).unwrap_or_else(|errors| panic!("{errors}"));
    let options =
        Options { duration: Some(Duration::from_whole_seconds(seconds)), threads: 1, ..Options::default() };
    let mut totals = Totals::default();
    let mut took = [0.0; RUNS];
    for took in &mut took {
        let start = Instant::now();
        totals = simulate(&network, &options, &mut Unobserved).expect("devices that fit").summary.totals;
        *took = start.elapsed().as_secs_f64();
    }
    assert!(totals.secret_bits > 0, "no key was made at {length}");
    took.sort_by(f64::total_cmp);
    (totals, took[RUNS / 2])
}

fn main() {
    println!("a second of computing makes, on one core, millions of");
    println!("  length   network time  real time     pulses   clicks  sifted bits  secret bits");
    for (length, seconds) in [("50 km", 5), ("100 km", 60)] {
        let (totals, took) = run(length, seconds);
        let rate = |count: u64| count as f64 / took / 1e6;
        println!(
            "  {length:>6}  {seconds:>11} s  {:>8.2}x  {:>9.0}  {:>7.2}  {:>11.2}  {:>11.3}",
            seconds as f64 / took,
            rate(totals.pulses),
            rate(totals.clicks),
            rate(totals.sifted_bits),
            rate(totals.secret_bits),
        );
    }
}
