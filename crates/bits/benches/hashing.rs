//! Universal hashing on one core.
//!
//! Goals: polynomial hash at least 5 GB/s on machines with carry-less multiplication; Toeplitz hash of 10^6 to 10^8
//! bits at ratios 0.1 to 0.5 at least 1 Gbit/s of input on one thread of a machine with GFNI and AVX-512.

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
    for (input_len, ratio, threads) in [
        (10_000, 0.3, 1),
        (100_000, 0.3, 1),
        (1_000_000, 0.2, 1),
        (1_000_000, 0.3, 1),
        (1_000_000, 0.5, 1),
        (10_000_000, 0.3, 1),
        (10_000_000, 0.3, 2),
        (100_000_000, 0.1, 1),
        (100_000_000, 0.3, 1),
        (100_000_000, 0.5, 1),
        (100_000_000, 0.3, 2),
    ] {
        let output_len = (f64::from(input_len) * ratio) as usize;
        let input_len = input_len as usize;
        let seed = BitString::random(toeplitz::seed_len(input_len, output_len), &mut stream());
        let input = BitString::random(input_len, &mut stream());
        group.throughput(Throughput::Elements(input_len as u64));
        let name = format!("{input_len}x{ratio} on {threads}");
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher
                .iter(|| toeplitz::hash_on_threads(black_box(&seed), black_box(&input), output_len, threads));
        });
    }
    group.finish();
}

fn bit_strings(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("bit_strings");
    let bits = BitString::random(1_000_000, &mut stream());
    let mask = BitString::random(1_000_001, &mut stream()).slice(1..1_000_001);
    let selected = bits.select(&mask);
    group.throughput(Throughput::Elements(1_000_000));
    group.bench_function("select", |bencher| bencher.iter(|| black_box(&bits).select(black_box(&mask))));
    group.bench_function("expand", |bencher| bencher.iter(|| black_box(&selected).expand(black_box(&mask))));
    group.bench_function("count_ones", |bencher| bencher.iter(|| black_box(&bits).count_ones()));
    group.bench_function("count_ones_masked", |bencher| {
        bencher.iter(|| black_box(&bits).count_ones_masked(black_box(&mask), 1..999_999));
    });
    for log in [3, 6, 9] {
        group.bench_function(format!("parities of blocks of 2^{log}"), |bencher| {
            bencher.iter(|| black_box(&bits).block_parities(log));
        });
    }
    group.bench_function("prefix_parities", |bencher| bencher.iter(|| black_box(&bits).prefix_parities()));
    group.finish();
}

criterion_group!(benches, polynomial, toeplitz_hash, bit_strings);
criterion_main!(benches);
