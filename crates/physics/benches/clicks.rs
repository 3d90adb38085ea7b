//! How fast clicks are drawn.
//!
//! Goal: at most 12 ns a click, dead time included, at click probabilities from 1e-1 to 1e-4, so that a 1 GHz link
//! with 40 million clicks a second leaves half a core for distillation.

use bellwether_physics::*;
use bellwether_units::{Duration, EntityId, Frequency, Loss, Purpose, Rate, Stream};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

/// Clicks wanted in one iteration.
const CLICKS: f64 = 100_000.0;

fn model(decibels: f64, detector: DetectorParameters) -> LinkModel {
    let source = Source::weak_coherent(&[
        Intensity { mean_photons: 0.5, probability: 0.6 },
        Intensity { mean_photons: 0.2, probability: 0.3 },
        Intensity { mean_photons: 2e-4, probability: 0.1 },
    ])
    .expect("valid");
    let detector = Detector::new(detector).expect("valid");
    let clock = Frequency::from_hertz(1e9);
    LinkModel::new(LinkParameters {
        transmitter_key_probability: 0.9,
        receiver_key_probability: 0.9,
        misalignment: Misalignment::from_error(0.01).expect("valid"),
        ..LinkParameters::new(clock, source, Loss::from_decibels(decibels), detector)
    })
    .expect("valid")
}

fn snspd(dead_nanoseconds: u64) -> DetectorParameters {
    DetectorParameters {
        dark_counts: DarkCounts::Rate(Rate::from_per_second(100.0)),
        dead_time: Duration::from_nanoseconds(dead_nanoseconds),
        ..DetectorParameters::ideal(DetectorKind::Snspd, 0.8)
    }
}

fn clicks(c: &mut Criterion) {
    let mut cases = Vec::new();
    for decibels in [5.0, 15.0, 25.0, 35.0] {
        cases.push((format!("{decibels} dB, no dead time"), model(decibels, snspd(0))));
        cases.push((format!("{decibels} dB, dead 30 ns"), model(decibels, snspd(30))));
    }
    let each = DetectorParameters { dead_time_scope: DeadTimeScope::Each, ..snspd(30) };
    cases.push(("15 dB, dead 30 ns each".to_owned(), model(15.0, each)));
    let trap = |probability| Afterpulse {
        probability,
        decay: Duration::from_microseconds(1),
        hold_off: Duration::from_microseconds(10),
    };
    let ingaas = DetectorParameters {
        kind: DetectorKind::InGaAs,
        dead_time: Duration::from_microseconds(10),
        afterpulses: vec![Afterpulse { hold_off: Duration::from_microseconds(10), ..trap(0.02) }],
        ..snspd(0)
    };
    cases.push(("15 dB, InGaAs dead 10 us".to_owned(), model(15.0, ingaas)));

    for (name, model) in &cases {
        let pulses = (CLICKS / model.click_rate().per_second() * 1e9) as u64;
        for (unit, amount) in [("clicks", CLICKS as u64), ("pulses", pulses)] {
            let mut group = c.benchmark_group(unit);
            group.throughput(Throughput::Elements(amount));
            let mut sampler = ClickSampler::new(model);
            let mut stream = Stream::new(1, EntityId(0), Purpose::named("clicks"));
            let mut out = Clicks::default();
            let mut at = 0;
            group.bench_function(name, |b| {
                b.iter(|| {
                    out.clear();
                    sampler.sample(at..at + pulses, &mut stream, &mut out);
                    at += pulses;
                    black_box(&out);
                });
            });
            group.finish();
        }
    }
}

/// A block of a million key clicks drawn in bulk. Goal: at most 50 us, so that a network of a hundred links that fill such
/// a block every second costs a two-hundredth of a core.
fn blocks(c: &mut Criterion) {
    let mut group = c.benchmark_group("blocks of 1e6 key clicks");
    for decibels in [5.0, 25.0] {
        let mut sampler = BlockSampler::new(&model(decibels, snspd(30)));
        let mut stream = Stream::new(1, EntityId(0), Purpose::named("blocks"));
        let mut counts = BlockCounts::default();
        group.bench_function(format!("{decibels} dB, dead 30 ns"), |b| {
            b.iter(|| {
                sampler.sample_until(1_000_000, u64::MAX, &mut stream, &mut counts);
                black_box(&counts);
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(std::time::Duration::from_millis(200))
        .measurement_time(std::time::Duration::from_millis(800));
    targets = clicks, blocks
}
criterion_main!(benches);
