//! Reconciliation, both ends in one thread. Goal: 25 Mbit/s (40 ns a bit) at 2 % in blocks of 10^6 bits, and
//! towards 300 Mbit/s. Efficiency and round trips are printed beside the times.

use bellwether_bits::{BitString, SecretBits};
use bellwether_protocol::qkd::reconcile::{CascadeSettings, CascadeVariant, Corrector, ParityServer, Step};
use bellwether_units::{EntityId, Purpose, Stream};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const BITS: usize = 1_000_000;

struct Block {
    settings: CascadeSettings,
    reference: BitString,
    noisy: BitString,
    errors: usize,
}

fn block(variant: CascadeVariant, rate: f64) -> Block {
    let mut stream = Stream::new(1, EntityId(0), Purpose::named("bench"));
    let reference = BitString::random(BITS, &mut stream);
    let mut noisy = reference.clone();
    let mut errors = 0;
    for bit in 0..BITS {
        if stream.chance(rate) {
            noisy.flip(bit);
            errors += 1;
        }
    }
    Block { settings: CascadeSettings::new(variant, rate, 1), reference, noisy, errors }
}

fn reconcile(
    settings: &CascadeSettings,
    reference: SecretBits,
    noisy: SecretBits,
) -> (Corrector, ParityServer) {
    let mut server = ParityServer::new(settings, reference).expect("settings are valid");
    let mut corrector = Corrector::new(settings, noisy).expect("settings are valid");
    let mut step = corrector.start();
    while let Step::Ask(request) = step {
        let reply = server.answer(&request).expect("an honest request");
        step = corrector.reply(&reply).expect("an honest reply");
    }
    (corrector, server)
}

fn entropy(p: f64) -> f64 {
    -p * p.log2() - (1.0 - p) * (1.0 - p).log2()
}

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("reconcile");
    group.sample_size(10).throughput(Throughput::Elements(BITS as u64));
    for variant in CascadeVariant::ALL {
        for rate in [0.01, 0.02, 0.05] {
            let Block { settings, reference, noisy, errors } = block(variant, rate);
            let secret = |bits: &BitString| SecretBits::new(bits.clone());
            let (corrector, server) = reconcile(&settings, secret(&reference), secret(&noisy));
            let limit = BITS as f64 * entropy(errors as f64 / BITS as f64);
            println!(
                "{variant:?} at {rate}: f = {:.4}, {} round trips, equal: {}",
                server.disclosed() as f64 / limit,
                server.round_trips(),
                corrector.corrected().expose() == &reference
            );
            group.bench_function(format!("{variant:?} at {} %", 100.0 * rate), |bencher| {
                bencher.iter_batched(
                    || (secret(&reference), secret(&noisy)),
                    |(reference, noisy)| reconcile(&settings, reference, noisy),
                    BatchSize::LargeInput,
                );
            });
        }
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
