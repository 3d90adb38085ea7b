//! Routes in large networks, and keys through machines.
//!
//! Goals on one core: the cheapest route across a grid of 10^5 nodes in 30 ms, two disjoint ones in 150 ms; a key
//! of 256 bits over one hop in 15 us and over four in 50 us, all work of all nodes included (frames, tags,
//! records), with key that is held as bits.

use bellwether_bits::SecretBits;
use bellwether_protocol::keys::{
    Command, Event, KeyMaterial, KeyNode, Record, Request, RequestId, Settings, Topology, cheapest_route,
    disjoint_routes,
};
use bellwether_protocol::machine::{Input, Output, Protocol};
use bellwether_units::{BlockId, Duration, EntityId, LinkId, NodeId, Purpose, Stream, Time};
use core::convert::Infallible;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use std::collections::VecDeque;
use std::sync::Arc;

/// A square grid, its links with costs between 1000 and 2000.
fn grid(side: u32) -> (Topology, Vec<u32>) {
    let mut links = Vec::new();
    for y in 0..side {
        for x in 0..side {
            let here = NodeId(y * side + x);
            if x + 1 < side {
                links.push((here, NodeId(here.0 + 1)));
            }
            if y + 1 < side {
                links.push((here, NodeId(here.0 + side)));
            }
        }
    }
    let mut stream = Stream::new(1, EntityId(0), Purpose::named("costs"));
    let costs = links.iter().map(|_| 1000 + stream.below(1000) as u32).collect();
    (Topology::new(side * side, &links).expect("a grid is a network"), costs)
}

fn routes(c: &mut Criterion) {
    let side = 316;
    let (topology, costs) = grid(side);
    let (from, to) = (NodeId(0), NodeId(side * side - 1));
    let cost = |link: LinkId, _| Some(costs[link.index()]);
    let mut group = c.benchmark_group("routes in a grid of 10^5 nodes");
    group.sample_size(10);
    group.bench_function("across", |b| b.iter(|| cheapest_route(&topology, from, to, cost)));
    group.bench_function("ten hops", |b| {
        b.iter(|| cheapest_route(&topology, from, NodeId(5 * side + 5), cost));
    });
    group.bench_function("two disjoint across", |b| {
        b.iter(|| disjoint_routes(&topology, from, to, 2, cost));
    });
    group.finish();
}

/// A line of nodes that carry each other's frames and make records durable at once.
struct Line {
    nodes: Vec<KeyNode>,
    rng: Stream,
    delivered: u64,
}

enum Todo {
    Frame(NodeId, NodeId, Vec<u8>),
    Persisted(NodeId, u64),
}

impl Line {
    fn new(hops: u32, blocks: u64) -> Self {
        let links: Vec<_> = (0..hops).map(|i| (NodeId(i), NodeId(i + 1))).collect();
        let topology = Arc::new(Topology::new(hops + 1, &links).expect("a line is a network"));
        let settings = Settings { pool_capacity: 1 << 30, ..Settings::default() };
        let node = |i| KeyNode::new(NodeId(i), Arc::clone(&topology), settings.clone());
        let rng = Stream::new(1, EntityId(0), Purpose::named("bench"));
        let mut line = Self { nodes: (0..=hops).map(node).collect(), rng, delivered: 0 };
        for block in (0..blocks).map(BlockId) {
            for link in (0..hops).map(LinkId) {
                let mut stream = Stream::new(block.0, EntityId(link.0), Purpose::named("block"));
                let bits = SecretBits::random(1 << 20, &mut stream);
                for (node, key) in [(link.0, bits.duplicate()), (link.0 + 1, bits)] {
                    let key = KeyMaterial::Bits(key);
                    line.tell(NodeId(node), Input::Command(Command::Store { link, block, key }));
                }
            }
        }
        line
    }

    fn tell(&mut self, node: NodeId, input: Input<'_, NodeId, Command, Infallible>) {
        let mut out = Vec::new();
        self.nodes[node.index()].handle(Time::ZERO, &mut self.rng, input, &mut out);
        let mut todo = VecDeque::new();
        self.take_note(node, out, &mut todo);
        while let Some(next) = todo.pop_front() {
            let mut out = Vec::new();
            let node = match &next {
                Todo::Frame(_, to, _) => *to,
                Todo::Persisted(node, _) => *node,
            };
            let input = match &next {
                Todo::Frame(from, _, bytes) => Input::Frame { from: *from, bytes },
                Todo::Persisted(_, number) => Input::Persisted(*number),
            };
            self.nodes[node.index()].handle(Time::ZERO, &mut self.rng, input, &mut out);
            self.take_note(node, out, &mut todo);
        }
    }

    fn take_note(
        &mut self,
        node: NodeId,
        out: Vec<Output<NodeId, Event, Record, Infallible>>,
        todo: &mut VecDeque<Todo>,
    ) {
        for output in out {
            match output {
                Output::Send { to, bytes } => todo.push_back(Todo::Frame(node, to, bytes)),
                Output::Persist(number, _) => todo.push_back(Todo::Persisted(node, number)),
                Output::Event(Event::Delivered(_)) => self.delivered += 1,
                Output::Event(_) | Output::Compute(_) => {}
            }
        }
    }
}

fn keys(c: &mut Criterion) {
    let mut group = c.benchmark_group("a thousand keys of 256 bits");
    group.sample_size(10);
    for hops in [1, 4] {
        group.bench_function(format!("over {hops} hops"), |b| {
            b.iter_batched_ref(
                || Line::new(hops, 2),
                |line| {
                    for id in (0..1000).map(RequestId) {
                        let patience = Duration::from_whole_seconds(1);
                        let to = NodeId(hops);
                        let request =
                            Request { id, to, bits: 256, least_bits: 256, priority: 0, patience, paths: 1 };
                        line.tell(NodeId(0), Input::Command(Command::Request(request)));
                    }
                    assert_eq!(line.delivered, 2000);
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, routes, keys);
criterion_main!(benches);
