//! How fast heralds are drawn, and how fast a law of waiting is computed.
//!
//! Goals: at most 15 ns a herald at any probability, so that heralds are a small part of the 2 us that a delivered pair
//! may cost; at most 150 ms for the law of a chain of eight links
//! with short cutoffs.

use bellwether_physics::entangling::*;
use bellwether_physics::waiting::{Level, NestedChain, nested};
use bellwether_units::{EntityId, Purpose, Stream};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

fn heralds(c: &mut Criterion) {
    let mut group = c.benchmark_group("heralds");
    group.throughput(Throughput::Elements(1));
    for efficiency in [0.5, 1e-2, 1e-4, 1e-6] {
        let end = SingleClickEnd { bright: 0.1, efficiency };
        let heralded = SingleClick::new(end, end, Optics::IDEAL).heralded().expect("valid");
        let attempts = Attempts::of(&heralded);
        let mut stream = Stream::new(1, EntityId(0), Purpose::named("heralds"));
        group.bench_function(format!("probability {:.1e}", heralded.probability), |b| {
            b.iter(|| black_box(attempts.first(0..u64::MAX, &mut stream)));
        });
        // Cut four times before a herald comes, on average.
        let quarter = (0.25 / heralded.probability) as u64 + 1;
        group.bench_function(format!("probability {:.1e}, cut", heralded.probability), |b| {
            b.iter(|| {
                let mut at = 0;
                loop {
                    match attempts.first(at..at + quarter, &mut stream) {
                        Some(herald) => break black_box(herald),
                        None => at += quarter,
                    }
                }
            });
        });
    }
    group.finish();
}

fn models(c: &mut Criterion) {
    let end = SingleClickEnd { bright: 0.1, efficiency: 0.01 };
    let optics = Optics { visibility: 0.9, dark: 1e-7, ..Optics::IDEAL };
    c.bench_function("single click from its parameters", |b| {
        b.iter(|| SingleClick::new(black_box(end), end, optics).heralded().expect("valid"));
    });
    let level = Level { swap_success: 0.5, coherence: 400.0, cutoff: Some(40) };
    let chain = NestedChain { link_success: 0.1, link_werner: 0.98, levels: vec![level; 3] };
    c.bench_function("the law of eight links with cutoffs", |b| {
        b.iter(|| nested(black_box(&chain)).expect("valid"));
    });
}

criterion_group!(benches, heralds, models);
criterion_main!(benches);
