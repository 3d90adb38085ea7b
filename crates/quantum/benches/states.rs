//! How fast states change.
//!
//! Goals: at most 20 ns for a swap of Bell-diagonal pairs, a round of purification or noise, for half a million delivered
//! pairs a second leave 2 µs for all that happens to one; at most 10 ns for a gate on a tableau of 64 qubits; at most 200 µs
//! for a gate on a density matrix of 8.

use bellwether_quantum::bell::*;
use bellwether_quantum::density::{DensityMatrix, Gate, Readout};
use bellwether_quantum::pair::{BellMeasurement, PairState};
use bellwether_quantum::tableau::{Clifford, Tableau};
use bellwether_quantum::*;
use bellwether_units::{Duration, EntityId, Purpose, Stream, Time};
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;

fn pair() -> BellDiagonal {
    BellDiagonal::new([0.9, 0.05, 0.03, 0.02]).expect("a distribution")
}

fn bell(c: &mut Criterion) {
    let mut group = c.benchmark_group("Bell-diagonal pair");
    let own = pair();
    let other = BellDiagonal::werner(0.93).expect("a fidelity");
    let swap = SwapQuality::new(0.99, 0.995, 1.0).expect("qualities");
    group.bench_function("swap", |b| {
        b.iter(|| black_box(own).swap(black_box(&other), black_box(&swap)));
    });
    let channel = PauliChannel::new([0.9, 0.05, 0.03, 0.02]).expect("a distribution");
    group.bench_function("Pauli noise", |b| b.iter(|| black_box(own).after(black_box(&channel))));
    let quality = PurificationQuality::new(0.99, 0.99).expect("qualities");
    for how in [Purification::Bbpssw, Purification::Dejmps, Purification::Phase] {
        group.bench_function(format!("{how:?}"), |b| {
            b.iter(|| black_box(own).purify(black_box(&other), how, black_box(&quality)));
        });
    }
    let double = DoubleSelection::uniform(quality);
    group.bench_function("double selection", |b| {
        b.iter(|| black_box(own).double_selection(black_box(&other), &other, black_box(&double)));
    });
    let t2 = Dephasing::Exponential(Duration::from_milliseconds(100));
    let noise = MemoryNoise::new(None, t2).expect("a memory");
    let aged = Aged::new(pair(), [noise; 2], Time::ZERO).expect("Pauli noise");
    let now = Time::ZERO + Duration::from_milliseconds(3);
    group.bench_function("two memories on access", |b| {
        b.iter(|| black_box(aged.clone()).taken(black_box(now)))
    });
    group.finish();

    let mut group = c.benchmark_group("pair");
    let device =
        BellMeasurement::new(0.01, [Readout::symmetric(0.99).expect("a quality"); 2]).expect("a device");
    let cheap = PairState::from(pair());
    group.bench_function("swap, Bell-diagonal", |b| {
        b.iter(|| black_box(&cheap).swap(&cheap, &device, black_box(0.3)))
    });
    let dense = PairState::try_from(cheap.density()).expect("two qubits");
    group.bench_function("swap, density matrices", |b| {
        b.iter(|| black_box(&dense).swap(&dense, &device, black_box(0.3)));
    });
    group.finish();
}

fn tableau(c: &mut Criterion) {
    let mut stream = Stream::new(1, EntityId(0), Purpose::named("bench"));
    for qubits in [64, 256] {
        let mut group = c.benchmark_group(format!("tableau of {qubits} qubits"));
        let mut state = Tableau::zeros(qubits);
        for _ in 0..20 * qubits {
            let a = stream.below(qubits as u64) as usize;
            state.apply(a, Clifford::ALL[stream.below(8) as usize]);
            state.cnot(a, (a + 1 + stream.below(qubits as u64 - 1) as usize) % qubits);
        }
        group.bench_function("H", |b| b.iter(|| state.apply(black_box(7), Clifford::H)));
        group.bench_function("controlled NOT", |b| b.iter(|| state.cnot(black_box(7), black_box(40))));
        group.bench_function("measurement, random, with a Hadamard gate", |b| {
            b.iter(|| {
                state.apply(7, Clifford::H);
                state.measure(black_box(7), true)
            });
        });
        state.measure(9, false);
        group.bench_function("measurement, determined", |b| b.iter(|| state.measure(black_box(9), true)));
        group.finish();
    }
}

fn density(c: &mut Criterion) {
    for qubits in [2, 4, 8] {
        let mut group = c.benchmark_group(format!("density matrix of {qubits} qubits"));
        let mut state = DensityMatrix::zeros(qubits).expect("few qubits");
        for qubit in 1..qubits {
            state.apply(qubit - 1, &Gate::H);
            state.cnot(qubit - 1, qubit);
        }
        group.bench_function("gate on one qubit", |b| b.iter(|| state.apply(black_box(1), &Gate::H)));
        group.bench_function("controlled NOT", |b| b.iter(|| state.cnot(black_box(0), black_box(1))));
        group.bench_function("relaxation", |b| b.iter(|| state.relax(black_box(1), 1e-6, 1.0 - 1e-6)));
        group.bench_function("depolarisation of two qubits", |b| {
            b.iter(|| state.depolarise(black_box(&[0, 1]), 1e-6));
        });
        group.bench_function("partial trace", |b| b.iter(|| state.reduced(black_box(&[0, 1]))));
        group.finish();
    }
}

criterion_group!(benches, bell, tableau, density);
criterion_main!(benches);
