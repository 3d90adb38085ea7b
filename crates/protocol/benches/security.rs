//! Security accounting of one block. Goals: a key length in 20 microseconds, the alarms of an honest block in
//! 2 microseconds, so that a day of a network's blocks is accounted for in well under a second.

use bellwether_protocol::qkd::alarm::{Baseline, BlockObservation, Thresholds, assess_block};
use bellwether_protocol::qkd::security::{
    BlockStatistics, Bound, ClassCounts, ExpectedClass, ExpectedLink, SecurityParameters, SourceClass,
    key_length,
};
use bellwether_units::{BlockId, Frequency, Time};
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;

fn block() -> BlockStatistics {
    let class = |sifted, errors| ClassCounts { sifted, errors };
    BlockStatistics {
        key: vec![class(8_178_000, 82_000), class(1_822_000, 18_300)],
        check: vec![class(100_960, 1_010), class(22_490, 226)],
        pulses: 0,
    }
}

fn security(c: &mut Criterion) {
    let source = [SourceClass::new(0.45, 0.6), SourceClass::new(0.15, 0.4)];
    let parameters = SecurityParameters::default();
    let statistics = block();
    for bound in [Bound::OneDecoyRusca, Bound::OneDecoyTight] {
        c.bench_function(&format!("key_length/{bound:?}"), |b| {
            b.iter(|| key_length(bound, &source, black_box(&statistics), 940_000, &parameters));
        });
    }
    let class = |gain| ExpectedClass { gain, error_rate: 0.01 };
    let link = ExpectedLink {
        source: source.to_vec(),
        key: vec![class(4.5e-3), class(1.5e-3)],
        check: vec![class(4.5e-3), class(1.5e-3)],
        key_sifting: 0.81,
        check_sifting: 0.01,
        clock: Frequency::from_hertz(1e9),
        saturation: 1.0,
    };
    let baseline = Baseline::planned(&link, 1e-8);
    let seen = BlockObservation {
        block: BlockId(1),
        at: Time::ZERO,
        statistics: &statistics,
        pulses: 3_741_000_000,
        clicks: 12_345_000,
        double_clicks: 0,
        bias_current: None,
    };
    c.bench_function("assess_block", |b| {
        b.iter(|| assess_block(&baseline, &Thresholds::default(), black_box(&seen)));
    });
}

criterion_group!(benches, security);
criterion_main!(benches);
