//! Samplers against closed forms, and closed forms against published figures. Every test has a fixed seed and states
//! its tolerance.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod afterpulses;
mod attacks;
mod blocks;
mod closed_forms;
mod fock;
mod gains;
mod heralds;
mod intervals;
mod published;
mod robust;
mod waiting;

use bellwether_physics::*;
use bellwether_units::{Duration, EntityId, Frequency, Loss, Purpose, Stream};

/// A stream of its own for each test.
fn stream(test: u64) -> Stream {
    Stream::new(2026, EntityId(0), Purpose::named("test").numbered(test))
}

/// A two-decoy source that is not too dim to test.
fn decoy_source() -> Source {
    Source::weak_coherent(&[
        Intensity { mean_photons: 0.5, probability: 0.5 },
        Intensity { mean_photons: 0.1, probability: 0.3 },
        Intensity { mean_photons: 0.0, probability: 0.2 },
    ])
    .unwrap()
}

/// A 1 GHz link with biased bases, 2 % misalignment and `detector`.
fn link(source: Source, decibels: f64, detector: DetectorParameters) -> LinkModel {
    LinkModel::new(LinkParameters {
        transmitter_key_probability: 0.7,
        receiver_key_probability: 0.6,
        misalignment: Misalignment::from_error(0.02).unwrap(),
        ..LinkParameters::new(
            Frequency::from_hertz(1e9),
            source,
            Loss::from_decibels(decibels),
            Detector::new(detector).unwrap(),
        )
    })
    .unwrap()
}

fn noisy(dark: f64, dead_nanoseconds: u64) -> DetectorParameters {
    DetectorParameters {
        dark_counts: DarkCounts::PerGate(dark),
        dead_time: Duration::from_nanoseconds(dead_nanoseconds),
        ..DetectorParameters::ideal(DetectorKind::InGaAs, 0.8)
    }
}

/// Draws the clicks of `pulses` pulses in uneven pieces.
fn clicks_of(model: &LinkModel, pulses: u64, stream: &mut Stream) -> Clicks {
    let mut sampler = ClickSampler::new(model);
    let mut clicks = Clicks::default();
    let mut at = 0;
    while at < pulses {
        let end = u64::min(at + 1 + stream.below(pulses / 3), pulses);
        sampler.sample(at..end, stream, &mut clicks);
        at = end;
    }
    assert!(clicks.pulse.is_sorted_by(|a, b| a < b));
    clicks
}

/// Fails unless `count` of `trials` is within `sigmas` standard deviations of the binomial law of `p`.
#[track_caller]
fn assert_binomial(what: &str, count: u64, trials: f64, p: f64, sigmas: f64) {
    let (mean, deviation) = (trials * p, (trials * p * (1.0 - p)).sqrt());
    let off = (count as f64 - mean) / deviation.max(1e-300);
    assert!(
        off.abs() <= sigmas || count as f64 == mean,
        "{what}: {count} of {trials}, expected {mean} +- {deviation}: off by {off} standard deviations"
    );
}
