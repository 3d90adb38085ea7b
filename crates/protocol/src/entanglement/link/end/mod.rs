//! One end of a link.

mod errands;
mod pairs;
mod peer;
mod queue;
mod rounds;
mod slots;
mod timers;

use super::LinkUser;
use super::effect::{LinkEffect, QueueNumber};
use super::message::{LinkBody, LinkMessage};
use super::schedule::Candidate;
use super::sequence::Heralds;
use super::settings::{LinkPlace, LinkSettings};
use crate::entanglement::MemoryId;
use bellwether_units::Time;
use errands::{Doubt, Errand};
use pairs::Recent;
use queue::Item;
use rounds::Tests;
use slots::Slot;
use std::collections::VecDeque;
use std::sync::Arc;
use timers::{Timer, Timers};

/// The machine of one end of a link. All that it knows is lost with it; the next life of the end agrees anew.
pub struct LinkEnd {
    place: LinkPlace,
    settings: Arc<LinkSettings>,
    slots: Vec<Slot>,
    /// Slots by memory, in the order of memories.
    by_memory: Vec<(MemoryId, u16)>,
    items: Vec<Item>,
    /// Items that may be served now, in the order of their numbers, and the same as the policy sees them.
    active: Vec<u32>,
    candidates: Vec<Candidate>,
    heralds: Heralds,
    /// Pairs by the low bits of their numbers, so that those can still be revoked whose memories serve again; nothing
    /// before the first pair.
    recent: Box<[Recent]>,
    errands: Vec<Errand>,
    doubts: Vec<Doubt>,
    tests: Tests,
    /// Whom this end does not serve.
    refused: Vec<LinkUser>,
    /// Requests that the other end has taken back, by their names, the last ones.
    removed: VecDeque<u32>,
    next_serial: u32,
    next_count: u32,
    /// Which life of the other end; 0 if it was never heard.
    peer: u32,
    peer_has_memory: bool,
    peer_stamp: u32,
    hellos: u32,
    /// How many memories are at the link's disposal and hold nothing.
    available: usize,
    starved_since: Option<Time>,
    told_memory: bool,
    stamp: u32,
    /// When a pair was last heard of, and up to where the other end knows what this end has heard of.
    changed: Time,
    synced: (u32, u64),
    faulty: bool,
    timers: Timers,
}

impl LinkEnd {
    /// The end of a link at its place. No memory is at its disposal yet, and it knows nothing of the other end.
    pub fn new(place: LinkPlace, settings: Arc<LinkSettings>) -> Self {
        let mut by_memory: Vec<_> =
            place.memories.iter().zip(0..).map(|(&memory, slot)| (memory, slot)).collect();
        by_memory.sort_unstable();
        let slots: Vec<_> = place.memories.iter().map(|&memory| Slot::new(memory)).collect();
        Self {
            slots,
            by_memory,
            recent: Box::default(),
            items: Vec::new(),
            active: Vec::new(),
            candidates: Vec::new(),
            heralds: Heralds::default(),
            errands: Vec::new(),
            doubts: Vec::new(),
            tests: Tests::default(),
            refused: Vec::new(),
            removed: VecDeque::new(),
            next_serial: 0,
            next_count: 0,
            peer: 0,
            peer_has_memory: true,
            peer_stamp: 0,
            hellos: 0,
            available: 0,
            starved_since: None,
            told_memory: true,
            stamp: 0,
            changed: Time::ZERO,
            synced: (0, 0),
            faulty: false,
            timers: Timers::default(),
            place,
            settings,
        }
    }

    /// The end lives: it looks for the other end until it has heard it.
    pub fn start(&mut self, now: Time, out: &mut Vec<LinkEffect>) {
        self.say_hello(now, out);
    }

    /// When [`timeout`](Self::timeout) is wanted next, if nothing else happens before.
    pub fn deadline(&self) -> Option<Time> {
        self.timers.next()
    }

    /// Time has passed.
    pub fn timeout(&mut self, now: Time, out: &mut Vec<LinkEffect>) {
        if self.timers.take(Timer::Hello, now) {
            self.say_hello(now, out);
        }
        if self.timers.take(Timer::Errand, now) {
            self.errands_due(now, out);
        }
        if self.timers.take(Timer::Expiry, now) {
            self.requests_due(now, out);
        }
        if self.timers.take(Timer::Doubt, now) {
            self.doubts_due(now, out);
        }
        if self.timers.take(Timer::Settle, now) {
            self.settle(now, out);
        }
        if self.timers.take(Timer::Starved, now) {
            self.starved(now, out);
        }
        if self.timers.take(Timer::Ready, now) {
            self.requeue(now, out);
        }
        if self.timers.take(Timer::Window, now) {
            self.requeue(now, out);
        }
    }

    /// How many requests of both ends are in the queue.
    pub fn queue_length(&self) -> usize {
        self.items.len()
    }
    /// Whether the other end was heard in this life.
    pub fn knows_peer(&self) -> bool {
        self.peer != 0
    }
    /// How many messages wait for an answer of the other end.
    pub fn unanswered_messages(&self) -> usize {
        self.errands.len()
    }

    fn send(&self, body: LinkBody, out: &mut Vec<LinkEffect>) {
        out.push(LinkEffect::Send(LinkMessage { from: self.place.life, to: self.peer, body }));
    }

    /// Sets what need not come at once: links that are run alike then wake their node together.
    fn set_late(&mut self, timer: Timer, at: Time) {
        self.timers.set_late(timer, at, self.settings.settle.min(self.settings.starvation));
    }

    fn index_of(&self, number: QueueNumber) -> Option<usize> {
        self.items.iter().position(|item| item.number == Some(number))
    }
}
