//! The event kernel beside the standard heap.
//!
//! Goals on one core: at most 50 ns a pop and push at 10^6 pending (`hold`); at least 15 million events a second at
//! 10^5 pending, dispatch to a state machine included (`ring`). Read the elements per second.

use bellwether_sim::kernel::{Key, Queue, Schedule};
use bellwether_units::{Duration, EntityId, Purpose, Stream, Time};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;

const OPERATIONS: u64 = 200_000;

/// Exponential delays, drawn beforehand; their mean grows with the pending events, so that these are as dense.
fn delays(pending: u64) -> Vec<u64> {
    let mut stream = Stream::new(1, EntityId(0), Purpose::named("delays"));
    let mean = 1000.0 * pending as f64;
    (0..1 << 16).map(|_| 1 + (-mean * (1.0 - stream.uniform()).ln()) as u64).collect()
}

fn key(time: u64, event: u64) -> Key {
    Key::new(Time::from_picoseconds(time), EntityId(event as u32 & 0xff_ffff), event)
        .expect("the benchmark sends fewer than 2^40 events")
}

/// Pop the least, push one later: the queue alone.
fn hold(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hold");
    group.throughput(Throughput::Elements(OPERATIONS)).sample_size(10);
    for pending in [1_000, 10_000, 100_000, 1_000_000u64] {
        let delays = delays(pending);
        let delay = |event: u64| delays[event as usize & 0xffff];
        let mut count = pending;
        let mut queue = Queue::new();
        for event in 0..pending {
            queue.push(key(delay(event), event), event).expect("time is zero");
        }
        group.bench_function(BenchmarkId::new("bucket queue", pending), |bencher| {
            bencher.iter(|| {
                for _ in 0..OPERATIONS {
                    let (least, event) = queue.pop().expect("every pop is followed by a push");
                    count += 1;
                    let time = least.time().picoseconds() + delay(count);
                    queue.push(key(time, count & 0xff_ffff_ffff), event).expect("delays are positive");
                }
            });
        });
        let mut heap = BinaryHeap::new();
        for event in 0..pending {
            heap.push(Reverse((key(delay(event), event), event)));
        }
        group.bench_function(BenchmarkId::new("standard heap", pending), |bencher| {
            bencher.iter(|| {
                for _ in 0..OPERATIONS {
                    let Reverse((least, event)) = heap.pop().expect("every pop is followed by a push");
                    count += 1;
                    let time = least.time().picoseconds() + delay(count);
                    heap.push(Reverse((key(time, count & 0xff_ffff_ffff), event)));
                }
            });
        });
    }
    group.finish();
}

/// A node that passes its token on after a random while: 64 bytes of state, an input and an output.
struct Node {
    random: u64,
    seen: u64,
    sum: u64,
    next: EntityId,
    mean: u64,
    state: [u64; 3],
}

struct Token(u64);

impl Node {
    #[inline]
    fn handle(&mut self, now: Time, token: Token, out: &mut Vec<(EntityId, Duration, Token)>) {
        self.random = self.random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        self.seen += 1;
        self.sum = self.sum.wrapping_add(token.0 ^ now.picoseconds());
        self.state[self.seen as usize % 3] ^= self.sum;
        let delay = 1 + ((u128::from(self.random) * u128::from(2 * self.mean)) >> 64) as u64;
        out.push((self.next, Duration::from_picoseconds(delay), Token(token.0 + 1)));
    }
}

/// A ring of state machines with a token each: the queue, the counters and the dispatch.
fn ring(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ring");
    group.throughput(Throughput::Elements(OPERATIONS)).sample_size(10);
    for nodes in [1_000, 10_000, 100_000, 1_000_000u32] {
        let mean = 1000 * u64::from(nodes);
        let mut schedule = Schedule::new();
        let mut stream = Stream::new(2, EntityId(0), Purpose::named("ring"));
        let mut ring: Vec<Node> = (0..nodes)
            .map(|node| Node {
                random: stream.bits(),
                seen: 0,
                sum: 0,
                next: EntityId((node + 1) % nodes),
                mean,
                state: [0; 3],
            })
            .collect();
        for node in 0..nodes {
            let source = schedule.add_source().expect("fewer than 2^24 nodes");
            let delay = Duration::from_picoseconds(stream.below(2 * mean));
            schedule.after(source, delay, (EntityId(node), Token(0))).expect("the first of its events");
        }
        let mut out = Vec::new();
        group.bench_function(BenchmarkId::new("state machines", nodes), |bencher| {
            bencher.iter(|| {
                for _ in 0..OPERATIONS {
                    let event = schedule.next().expect("there is a token for each node");
                    let (to, token) = event.event;
                    ring[to.index()].handle(event.time, token, &mut out);
                    for (next, delay, token) in out.drain(..) {
                        schedule.after(to, delay, (next, token)).expect("the clock lasts 213 days");
                    }
                }
            });
        });
        black_box(ring.iter().fold(0, |sum, node| sum ^ node.state[0]));
    }
    group.finish();
}

/// 10^6 events pushed in random order, then popped.
fn batch(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("batch");
    let events = 1_000_000;
    group.throughput(Throughput::Elements(events)).sample_size(10);
    let mut stream = Stream::new(3, EntityId(0), Purpose::named("batch"));
    let times: Vec<u64> = (0..events).map(|_| stream.below(1 << 40)).collect();
    group.bench_function("bucket queue", |bencher| {
        bencher.iter_batched(
            Queue::new,
            |mut queue| {
                for (event, &time) in (0..).zip(&times) {
                    queue.push(key(time, event), event).expect("nothing was popped yet");
                }
                while queue.pop().is_some() {}
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, hold, ring, batch);
criterion_main!(benches);
