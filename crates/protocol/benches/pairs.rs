//! Pairs of a link through the machines of both ends and of the heralding station.
//!
//! Goal on one core: 150 ns a pair, all work of all three included (two replies, two pairs handed over, two memories given
//! back and armed again), with one request or with eight that share the link.

use bellwether_protocol::entanglement::link::{
    Arrival, AttemptTag, FidelityLevel, FidelityTable, LinkEffect, LinkEnd, LinkPlace, LinkRequest,
    LinkSettings, LinkUser, Midpoint, RequestId,
};
use bellwether_protocol::entanglement::{CircuitId, MemoryId};
use bellwether_quantum::bell::BellIndex;
use bellwether_units::{Duration, LinkId, Time};
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;

const LINK: LinkId = LinkId(0);

/// A link whose attempts succeed one slot after the other.
struct Link {
    ends: [LinkEnd; 2],
    midpoint: Midpoint,
    tags: [Vec<Option<AttemptTag>>; 2],
    held: [Option<MemoryId>; 2],
    cycle: u64,
    out: Vec<LinkEffect>,
}

impl Link {
    fn new(slots: u16, requests: u64) -> Self {
        let level = FidelityLevel { brightness: 0.1, fidelity: 0.9, success: 1e-3 };
        let table = FidelityTable::new(vec![level]).expect("a sound level");
        let settings =
            LinkSettings::new(table, Duration::from_microseconds(1), Duration::from_microseconds(50));
        let settings = Arc::new(settings);
        let end = |numbers| {
            let memories = (0..slots).map(MemoryId).collect();
            LinkEnd::new(LinkPlace { link: LINK, numbers, life: 1, memories }, Arc::clone(&settings))
        };
        let mut link = Self {
            ends: [end(true), end(false)],
            midpoint: Midpoint::new(LINK, 1),
            tags: [vec![None; usize::from(slots)], vec![None; usize::from(slots)]],
            held: [None; 2],
            cycle: 0,
            out: Vec::new(),
        };
        for side in 0..2 {
            link.with(side, LinkEnd::start);
            for memory in (0..slots).map(MemoryId) {
                link.with(side, |end, now, out| end.memory_free(now, memory, out));
            }
        }
        for n in 0..requests {
            let request = LinkRequest::standing(RequestId(n), LinkUser::Circuit(CircuitId(n)), 0.8, 1);
            link.with(n as usize % 2, |end, now, out| end.create(now, request, out));
        }
        link.cycle += 1000;
        (0..2).for_each(|side| link.with(side, LinkEnd::timeout));
        link
    }

    fn now(&self) -> Time {
        Time::from_picoseconds(self.cycle * 1_000_000)
    }

    fn with(&mut self, side: usize, mut act: impl FnMut(&mut LinkEnd, Time, &mut Vec<LinkEffect>)) {
        self.act(side, &mut act);
    }

    fn act(&mut self, side: usize, act: &mut dyn FnMut(&mut LinkEnd, Time, &mut Vec<LinkEffect>)) {
        let (now, mut out) = (self.now(), core::mem::take(&mut self.out));
        act(&mut self.ends[side], now, &mut out);
        for effect in out.drain(..) {
            match effect {
                LinkEffect::Send(message) => {
                    self.act(1 - side, &mut |end, now, out| end.hear(now, &message, out))
                }
                LinkEffect::Arm { memory, tag, .. } => self.tags[side][usize::from(memory.0)] = Some(tag),
                LinkEffect::Disarm { memory } => self.tags[side][usize::from(memory.0)] = None,
                LinkEffect::Pair(pair) => self.held[side] = Some(pair.memory),
                _ => {}
            }
        }
        self.out = out;
    }

    fn pair(&mut self) {
        self.cycle += 3;
        let slot = self.cycle as usize % self.tags[0].len();
        let cycle = self.cycle;
        let arrival =
            |tag: Option<AttemptTag>| tag.map_or(Arrival::Nothing, |tag| Arrival::Announced { tag, cycle });
        let arrivals = [arrival(self.tags[0][slot]), arrival(self.tags[1][slot])];
        let replies = self.midpoint.attempt(arrivals, Some(BellIndex::PSI_PLUS));
        for (side, reply) in replies.into_iter().enumerate() {
            let Some(reply) = reply else { continue };
            self.with(side, |end, now, out| end.heard_midpoint(now, &reply, out));
        }
        for side in 0..2 {
            if self.ends[side].deadline().is_some_and(|at| at <= self.now()) {
                self.with(side, LinkEnd::timeout);
            }
            if let Some(memory) = self.held[side].take() {
                self.with(side, |end, now, out| end.memory_free(now, memory, out));
            }
        }
    }
}

fn pairs(c: &mut Criterion) {
    let mut group = c.benchmark_group("pairs of a link");
    for (slots, requests) in [(1, 1), (16, 1), (1, 8), (1000, 1)] {
        let mut link = Link::new(slots, requests);
        (0..100).for_each(|_| link.pair());
        assert_eq!(link.midpoint.heralded(), 100, "the ends agree");
        group.bench_function(format!("{slots} memories, {requests} requests"), |b| {
            b.iter(|| black_box(&mut link).pair());
        });
    }
    group.finish();
}

criterion_group!(benches, pairs);
criterion_main!(benches);
