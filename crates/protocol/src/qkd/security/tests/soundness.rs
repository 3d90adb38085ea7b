//! Photons are counted by number, as no laboratory can: the bounds must hold on the truth.

use super::super::bound::Margins;
use super::super::*;
use super::binomial;
use bellwether_units::{EntityId, Purpose, Stream};

/// Yield and error rate of pulses with 0, 1, 2 and more photons, as the eavesdropper pleases.
struct Channel {
    yields: [f64; 4],
    error_rates: [f64; 4],
}

/// What truly happened in one basis.
struct Truth {
    classes: Vec<ExpectedCounts>,
    empty: f64,
    single: f64,
    single_errors: f64,
}

impl Channel {
    /// `detections` pulses that were detected, by photon number and intensity.
    fn sample(&self, source: &[SourceClass], detections: u64, rng: &mut Stream) -> Truth {
        // Weights of (photons, class) among detections.
        let weight = |n: usize, class: &SourceClass| {
            let mu = class.mean_photons;
            let few = [1.0, mu, mu * mu / 2.0].map(|w| w * (-mu).exp());
            let photons = if n < 3 { few[n] } else { 1.0 - few.iter().sum::<f64>() };
            class.probability * photons * self.yields[n]
        };
        let cells: Vec<(usize, usize, f64)> = (0..4)
            .flat_map(|n| source.iter().enumerate().map(move |(k, class)| (n, k, weight(n, class))))
            .collect();
        let mut left = detections;
        let mut mass: f64 = cells.iter().map(|cell| cell.2).sum();
        let mut truth = Truth {
            classes: vec![ExpectedCounts::default(); source.len()],
            empty: 0.0,
            single: 0.0,
            single_errors: 0.0,
        };
        for (i, &(n, k, weight)) in cells.iter().enumerate() {
            let last = i + 1 == cells.len();
            let count = if last { left } else { binomial(left, (weight / mass).clamp(0.0, 1.0), rng) };
            left -= count;
            mass -= weight;
            let errors = binomial(count, self.error_rates[n], rng);
            truth.classes[k].sifted += count as f64;
            truth.classes[k].errors += errors as f64;
            match n {
                0 => truth.empty += count as f64,
                1 => {
                    truth.single += count as f64;
                    truth.single_errors += errors as f64;
                }
                _ => {}
            }
        }
        truth
    }
}

/// Of 10^4 blocks: in how many did a bound fail, and in how many would it have failed without margins?
fn failures(bound: Bound, source: &[SourceClass], channel: &Channel, secrecy: f64, name: &str) -> [u64; 2] {
    let mut rng = Stream::new(1, EntityId(0), Purpose::named(name));
    let mut failed = [0, 0];
    for _ in 0..10_000 {
        let key = channel.sample(source, 1_000_000, &mut rng);
        let check = channel.sample(source, 100_000, &mut rng);
        let statistics =
            ExpectedStatistics { key: key.classes.clone(), check: check.classes.clone(), pulses: 0.0 };
        // In the key basis the errors of single photons stand for those that the check basis would have seen.
        let phase_error = key.single_errors / key.single;
        for (failed, margins) in failed.iter_mut().zip([bound.margins(secrecy), Margins::NONE]) {
            let e = bound.evaluate(source, &statistics, &margins);
            let holds = e.vacuum <= key.empty
                && e.single_photons <= key.single
                && e.check_single_photons <= check.single
                && e.check_single_photon_errors >= check.single_errors
                && e.phase_error >= phase_error.min(0.5);
            *failed += u64::from(!holds);
        }
    }
    failed
}

/// A bound may fail in one block of ten here, so as to be tried hard. The proofs are generous, so that it
/// does not fail in one of a hundred.
fn assert_sound(bound: Bound, source: &[SourceClass]) {
    let channels = [
        ("honest", Channel { yields: [2e-4, 0.01, 0.02, 0.03], error_rates: [0.5, 0.02, 0.02, 0.02] }),
        // Only single photons arrive: the estimate from the dim intensity is at its tightest.
        ("singles", Channel { yields: [0.0, 0.01, 0.0, 0.0], error_rates: [0.5, 0.05, 0.0, 0.0] }),
        // As many empty and single, no others.
        ("empty", Channel { yields: [0.01, 0.01, 0.0, 0.0], error_rates: [0.5, 0.03, 0.0, 0.0] }),
        // Photon-number splitting of a part, errors put where they hurt.
        ("split", Channel { yields: [1e-5, 0.004, 0.03, 0.3], error_rates: [0.5, 0.06, 0.0, 0.0] }),
        ("pairs", Channel { yields: [1e-4, 0.01, 1.0, 0.0], error_rates: [0.5, 0.03, 0.01, 0.0] }),
    ];
    for (name, channel) in &channels {
        let [failed, without_margins] = failures(bound, source, channel, 0.1, name);
        assert!(failed <= 100, "{bound}, {name}: {failed} of 10^4 blocks");
        if matches!(*name, "singles" | "empty") {
            assert!(without_margins > 2000, "{bound}, {name}: {without_margins} of 10^4 blocks");
        }
    }
}

#[test]
fn one_decoy_bounds_hold_on_the_truth() {
    let source = [SourceClass::new(0.5, 0.7), SourceClass::new(0.15, 0.3)];
    for bound in [Bound::OneDecoyRusca, Bound::OneDecoyTight] {
        assert_sound(bound, &source);
    }
}

#[test]
fn two_decoy_bounds_hold_on_the_truth() {
    let source = [SourceClass::new(0.5, 0.5), SourceClass::new(0.2, 0.35), SourceClass::new(2e-4, 0.15)];
    for bound in [Bound::TwoDecoyLim, Bound::TwoDecoyTight] {
        assert_sound(bound, &source);
    }
}
