//! How long large networks take to read.
//!
//! Goals, on one core: 10^5 nodes and 10^5 links written out in under 2 s; 10^5 generated nodes in under 2 s.

use bellwether_network::Network;
use criterion::{Criterion, criterion_group, criterion_main};
use std::fmt::Write;
use std::hint::black_box;

const NODES: usize = 100_000;

/// A ring of `NODES` nodes, with every table written out.
fn ring() -> String {
    let mut text = String::from("format = 1\nnetwork.name = \"ring\"\n");
    for node in 0..NODES {
        let (latitude, longitude) = (node % 120, node / 120 % 300);
        let _ = writeln!(
            text,
            "[node.n{node}]\nposition = [\"{}.25 deg\", \"{}.5 deg\"]\nrole = \"trusted-node\"",
            latitude as i32 - 60,
            longitude as i32 - 150
        );
    }
    for node in 0..NODES {
        let next = (node + 1) % NODES;
        let _ = writeln!(
            text,
            "[link.n{node}-n{next}]\nends = [\"n{node}\", \"n{next}\"]\ntransmitter = \"generic-decoy-1ghz\"\n\
             receiver = \"generic-snspd\"\n[link.n{node}-n{next}.fibre]\nlength = \"{} km\"\n\
             loss_per_length = \"0.2 dB/km\"\nmisalignment = 0.01",
            20 + node % 60
        );
    }
    text
}

fn parse(c: &mut Criterion) {
    let mut group = c.benchmark_group("read");
    group.sample_size(10);
    let text = ring();
    group.bench_function("1e5 nodes and 1e5 links, written out (goal 2 s)", |b| {
        b.iter(|| Network::parse(black_box(&text), "ring.toml", &[]).map(|network| network.links.len()));
    });
    for kind in ["line", "waxman", "scale-free"] {
        let text = format!(
            "format = 1\nnetwork.name = \"g\"\n[defaults]\ntransmitter = \"generic-decoy-1ghz\"\n\
             receiver = \"generic-snspd\"\nfibre.loss_per_length = \"0.2 dB/km\"\n[generate]\nkind = \"{kind}\"\n\
             nodes = {NODES}\nspacing = \"30 km\"\n"
        );
        group.bench_function(format!("1e5 nodes, generated as {kind} (goal 2 s)"), |b| {
            b.iter(|| Network::parse(black_box(&text), "g.toml", &[]).map(|network| network.links.len()));
        });
    }
    let text = format!(
        "format = 1\nnetwork.name = \"g\"\n[generate]\nkind = \"waxman\"\nnodes = {NODES}\nspacing = \"20 km\"\n\
         platform = \"calcium-cavity\"\nentangling.scheme = {{ kind = \"double-click\" }}\n\
         entangling.fibre.loss_per_length = \"0.2 dB/km\"\npair_demand = {{ count = 10_000, reach = 4 }}\n"
    );
    group.bench_function("1e5 nodes that entangle, generated as waxman (goal 2 s)", |b| {
        b.iter(|| Network::parse(black_box(&text), "g.toml", &[]).map(|network| network.pair_demands.len()));
    });
    group.finish();
}

criterion_group!(benches, parse);
criterion_main!(benches);
