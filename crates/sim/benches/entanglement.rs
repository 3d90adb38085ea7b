//! Chains of repeaters with their physics: lossy links, heralds, swaps, and what memories truly hold.
//!
//! Five memories on each side, a herald in a thousand attempts, perfect swaps: the chain of the comparison with other
//! simulators. The goals are 2 µs a delivered pair for three nodes (500,000 a second) and 22 µs for seventeen
//! (45,000 a second), on one core.

use bellwether_quantum::bell::BellDiagonal;
use bellwether_sim::entanglement::{Brightness, Chain, World, WorldOptions};
use bellwether_units::{Duration, Time};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn world(nodes: u32) -> World {
    let pair = BellDiagonal::werner(0.95).expect("a fidelity");
    let level = Brightness::stated(1e-3, pair.into()).expect("a probability");
    let cycle = Duration::from_microseconds(10);
    let chain = Chain::new(nodes, 5, level, cycle, Duration::from_microseconds(50));
    let options = WorldOptions { budgets: false, ..WorldOptions::default() };
    World::new(chain.setup().expect("a level"), options).expect("a chain")
}

/// Seconds that this thread has had of a processor, where the system tells: other work does not distort them.
fn processor_time() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse::<f64>().ok().map(|nanoseconds| nanoseconds * 1e-9)
}

fn chains(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("chains");
    group.sample_size(10);
    let end = Time::from_picoseconds(u64::MAX / 4);
    for nodes in [3, 5, 9, 17] {
        let mut world = world(nodes);
        let mut goal = 2000;
        world.run_for_pairs(goal, end);
        let (before, started) = (world.work(), processor_time());
        goal += 20_000;
        world.run_for_pairs(goal, end);
        let (after, ended) = (world.work(), processor_time());
        let (inputs, events) = (after.inputs - before.inputs, after.events - before.events);
        println!(
            "{nodes} nodes: {:.1} events and {:.1} inputs a pair",
            events as f64 / 2e4,
            inputs as f64 / 2e4
        );
        if let (Some(started), Some(ended)) = (started, ended) {
            let spent = ended - started;
            println!(
                "{nodes} nodes: {:.3} µs of a processor a pair, {:.1} million events a second",
                spent * 1e6 / 2e4,
                events as f64 / spent * 1e-6
            );
        }
        group.throughput(Throughput::Elements(1000));
        group.bench_with_input(BenchmarkId::from_parameter(nodes), &nodes, |bencher, _| {
            bencher.iter(|| {
                goal += 1000;
                world.run_for_pairs(goal, end)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, chains);
criterion_main!(benches);
