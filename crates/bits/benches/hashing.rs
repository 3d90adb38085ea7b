//! Universal hashing on one core.
//!
//! Goals: polynomial hash at least 5 GB/s on machines with carry-less multiplication; Toeplitz hash of 10^6
//! bits at ratios 0.2 to 0.5 at least 100 Mbit/s of input, and as much at 10^7 bits.

use bellwether_bits::gf128::PolynomialHasher;
use bellwether_bits::{BitString, toeplitz};
use bellwether_units::{EntityId, Purpose, Stream};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

fn stream() -> Stream {
    Stream::new(1, EntityId(0), Purpose::named("bench"))
}

fn polynomial(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("polynomial_hash");
    for bytes in [64, 1500, 125_000, 1 << 20] {
        let message = BitString::random(bytes * 8, &mut stream()).to_bytes();
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(BenchmarkId::from_parameter(bytes), |bencher| {
            let fresh = PolynomialHasher::new(0x0123_4567_89ab_cdef);
            bencher.iter(|| {
                let mut hasher = fresh.clone();
                hasher.update(black_box(&message));
                hasher.finish()
            });
        });
    }
    group.finish();
}

fn toeplitz_hash(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("toeplitz_hash");
    group.sample_size(10);
    for (input_len, ratio) in [
        (10_000, 0.3),
        (100_000, 0.3),
        (1_000_000, 0.2),
        (1_000_000, 0.3),
        (1_000_000, 0.5),
        (10_000_000, 0.3),
    ] {
        let output_len = (f64::from(input_len) * ratio) as usize;
        let input_len = input_len as usize;
        let seed = BitString::random(toeplitz::seed_len(input_len, output_len), &mut stream());
        let input = BitString::random(input_len, &mut stream());
        group.throughput(Throughput::Elements(input_len as u64));
        group.bench_function(BenchmarkId::from_parameter(format!("{input_len}x{ratio}")), |bencher| {
            bencher.iter(|| toeplitz::hash(black_box(&seed), black_box(&input), output_len));
        });
    }
    group.finish();
}

fn select(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("select");
    let bits = BitString::random(1_000_000, &mut stream());
    let mask = BitString::random(1_000_001, &mut stream()).slice(1..1_000_001);
    group.throughput(Throughput::Elements(1_000_000));
    group.bench_function("1000000", |bencher| bencher.iter(|| black_box(&bits).select(black_box(&mask))));
    group.finish();
}

criterion_group!(benches, polynomial, toeplitz_hash, select);
criterion_main!(benches);
