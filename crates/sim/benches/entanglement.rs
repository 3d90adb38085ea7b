//! Chains of repeaters with their physics: lossy links, heralds, swaps, and what memories truly hold.
//!
//! Five memories on each side, a herald in a thousand attempts, perfect swaps: the chain of the comparison with other
//! simulators. The goals are 2 µs a delivered pair for three nodes (500,000 a second) and 22 µs for seventeen
//! (45,000 a second), on one core.

use bellwether_quantum::bell::BellDiagonal;
use bellwether_sim::entanglement::{
    Brightness, Chain, CircuitSetup, DemandSetup, LinkSetup, NodeSetup, Parts, Setup, World, WorldOptions,
};
use bellwether_units::{Duration, EntityId, LinkId, NodeId, Time};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn setup(nodes: u32) -> Setup {
    let pair = BellDiagonal::werner(0.95).expect("a fidelity");
    let level = Brightness::stated(1e-3, pair.into()).expect("a probability");
    let cycle = Duration::from_microseconds(10);
    let chain = Chain::new(nodes, 5, level, cycle, Duration::from_microseconds(50));
    chain.setup().expect("a level")
}

fn world(nodes: u32) -> World {
    let options = WorldOptions { budgets: false, ..WorldOptions::default() };
    World::new(setup(nodes), options).expect("a chain")
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

/// So many chains of so many nodes, side by side.
fn side_by_side(chains: u32, nodes: u32) -> Setup {
    let mut all = Setup::default();
    for chain in 0..chains {
        let Setup { nodes: own, links, circuits, demands, .. } = setup(nodes);
        let (first_node, first_link) = (all.nodes.len() as u32, all.links.len() as u32);
        let node = |node: NodeId| NodeId(first_node + node.0);
        let entity = |entity: EntityId| EntityId(chain * 2 * nodes + entity.0);
        all.nodes.extend(own.into_iter().map(|it| NodeSetup { entity: entity(it.entity), ..it }));
        let moved = |it: LinkSetup| LinkSetup { ends: it.ends.map(node), entity: entity(it.entity), ..it };
        all.links.extend(links.into_iter().map(moved));
        all.circuits.extend(circuits.into_iter().map(|it| CircuitSetup {
            nodes: it.nodes.iter().copied().map(node).collect(),
            links: it.links.iter().map(|link| LinkId(first_link + link.0)).collect(),
            ..it
        }));
        let circuit = chain as usize;
        all.demands.extend(demands.into_iter().map(|it| DemandSetup {
            circuit,
            entity: entity(it.entity),
            ..it
        }));
    }
    all
}

/// A thousand nodes on one thread, as the simulator runs them: circuits that share no node are parts of their own, one after
/// the other. Beside it the same in one world, where each event is somewhere else.
fn thousand_nodes(_: &mut Criterion) {
    let options = WorldOptions { budgets: false, ..WorldOptions::default() };
    for (chains, nodes) in [(333, 3), (111, 9), (59, 17)] {
        let setup = side_by_side(chains, nodes);
        let told = |how: &str, spent: Option<f64>, inputs: u64, events: u64| {
            let Some(spent) = spent else { return };
            println!(
                "{chains} chains of {nodes} {how}: {:.1} million inputs of machines and {:.1} million events a second",
                inputs as f64 / spent * 1e-6,
                events as f64 / spent * 1e-6
            );
        };
        let warm = Time::ZERO + Duration::from_milliseconds(100);
        let end = warm + Duration::from_milliseconds(400);
        let mut parts = Parts::new(&setup, options).expect("chains");
        parts.run_until(warm, 1);
        let work = |parts: &Parts| {
            parts
                .iter()
                .map(|part| part.world.work())
                .fold((0, 0), |(i, e), work| (i + work.inputs, e + work.events))
        };
        let (before, started) = (work(&parts), processor_time());
        parts.run_until(end, 1);
        let (after, ended) = (work(&parts), processor_time());
        let spent = started.zip(ended).map(|(started, ended)| ended - started);
        told("in parts", spent, after.0 - before.0, after.1 - before.1);

        let mut world = World::new(setup, options).expect("chains");
        world.run_until(warm);
        let (before, started) = (world.work(), processor_time());
        world.run_until(end);
        let (after, ended) = (world.work(), processor_time());
        let spent = started.zip(ended).map(|(started, ended)| ended - started);
        told("in one world", spent, after.inputs - before.inputs, after.events - before.events);
    }
}

criterion_group!(benches, chains, thousand_nodes);
criterion_main!(benches);
