//! The last things that happened, bounded: for readers that follow, and for readers that come back.
//!
//! Two rings stand side by side, so that a flood of keys does not push out an alarm: one for what happens with
//! every key, one for all else. A reader has a place in both. A reader that is slower than what happens misses
//! the oldest, and is told how many.

use super::news::{Kind, Kinds, News};
use crate::wall_clock;
use serde::Serialize;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// How many events a ring keeps.
const KEPT: usize = 4096;

/// Something that happened, ready to be sent.
#[derive(Debug)]
pub struct Event {
    /// What kind of thing.
    pub kind: Kind,
    /// Where a reader that has read it stands.
    pub after: Place,
    /// The whole of it as one JSON object without line breaks.
    pub json: String,
    /// In which order it happened, counted over both rings.
    number: u64,
}

/// A reader's place, as `Last-Event-ID` has it: the run of the process, and how far in either ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    run: u64,
    next: [u64; 2],
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}-{}", self.run, self.next[0], self.next[1])
    }
}

impl Place {
    /// Reads what [`Display`](fmt::Display) wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let run = u64::from_str_radix(parts.next()?, 16).ok()?;
        let next = [parts.next()?.parse().ok()?, parts.next()?.parse().ok()?];
        parts.next().is_none().then_some(Self { run, next })
    }
}

/// What a reader gets next.
#[derive(Debug)]
pub enum Next {
    /// This.
    Event(Arc<Event>),
    /// So many that it wanted or may have wanted are gone already.
    Missed(u64),
    /// Nothing yet.
    Nothing,
}

#[derive(Default)]
struct Ring {
    /// The place of the oldest that is kept.
    first: u64,
    kept: VecDeque<Arc<Event>>,
}

#[derive(Default)]
struct Rings {
    rings: [Ring; 2],
    number: u64,
}

/// The events of a node.
pub struct Events {
    node: String,
    run: u64,
    rings: Mutex<Rings>,
    newest: watch::Sender<u64>,
}

#[derive(Serialize)]
struct Envelope<'a> {
    id: String,
    time: String,
    node: &'a str,
    #[serde(flatten)]
    news: &'a News,
}

const fn ring_of(kind: Kind) -> usize {
    kind.is_frequent() as usize
}

impl Events {
    /// No event yet; `run` tells this run of the node from others.
    pub fn new(node: String, run: u64) -> Self {
        Self { node, run, rings: Mutex::default(), newest: watch::Sender::new(0) }
    }

    /// Something happened just now.
    pub fn add(&self, news: &News) -> Arc<Event> {
        let kind = news.kind();
        let mut rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = [0, 1].map(|ring: usize| rings.rings[ring].end());
        next[ring_of(kind)] += 1;
        let after = Place { run: self.run, next };
        let envelope = Envelope { id: after.to_string(), time: wall_clock::now(), node: &self.node, news };
        // Only maps with keys that are no texts cannot be written.
        let json = serde_json::to_string(&envelope).unwrap_or_default();
        rings.number += 1;
        let number = rings.number;
        let event = Arc::new(Event { kind, after, json, number });
        let ring = &mut rings.rings[ring_of(kind)];
        if ring.kept.len() == KEPT {
            ring.kept.pop_front();
            ring.first += 1;
        }
        ring.kept.push_back(Arc::clone(&event));
        drop(rings);
        self.newest.send_replace(number);
        event
    }

    /// The place of a reader that wants what comes from now on.
    pub fn end(&self) -> Place {
        let rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        Place { run: self.run, next: [0, 1].map(|ring: usize| rings.rings[ring].end()) }
    }

    /// The place of a reader that wants all that is kept.
    pub fn start(&self) -> Place {
        let rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        Place { run: self.run, next: [0, 1].map(|ring: usize| rings.rings[ring].first) }
    }

    /// The place of a reader that comes back. One of another run of the node missed what that run told after it,
    /// nobody knows how much, and gets all of this run that is kept.
    pub fn resume(&self, place: Place) -> Place {
        let end = self.end();
        if place.run != self.run {
            return self.start();
        }
        Place { next: [0, 1].map(|ring: usize| place.next[ring].min(end.next[ring])), ..place }
    }

    /// What comes next of these kinds, for a reader at `place`, which moves on.
    pub fn next(&self, place: &mut Place, wanted: Kinds) -> Next {
        let rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        let mut missed = 0;
        let mut found: Option<&Arc<Event>> = None;
        for (number, ring) in rings.rings.iter().enumerate() {
            let any = Kind::ALL.into_iter().any(|kind| ring_of(kind) == number && wanted.has(kind));
            let at = &mut place.next[number];
            if !any {
                *at = ring.end();
            }
            missed += ring.first.saturating_sub(*at);
            *at = (*at).max(ring.first);
            let from = usize::try_from(*at - ring.first).unwrap_or(usize::MAX);
            let next = ring.kept.iter().skip(from).enumerate().find(|(_, event)| wanted.has(event.kind));
            *at += next.map_or((ring.kept.len() - from.min(ring.kept.len())) as u64, |(over, _)| over as u64);
            if let Some((_, event)) = next
                && found.is_none_or(|found| event.number < found.number)
            {
                found = Some(event);
            }
        }
        if missed > 0 {
            return Next::Missed(missed);
        }
        let Some(event) = found else { return Next::Nothing };
        place.next[ring_of(event.kind)] += 1;
        Next::Event(Arc::clone(event))
    }

    /// Changes whenever something happens.
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }
}

impl Ring {
    /// The place behind the newest.
    fn end(&self) -> u64 {
        self.first + self.kept.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alarm(text: &str) -> News {
        News::Downgraded { peer: text.to_owned(), reason: None }
    }

    fn issued() -> News {
        News::Lost { keys: Vec::new(), cause: "expired" }
    }

    fn key() -> News {
        News::Relayed {
            key: String::new(),
            from: String::new(),
            to: String::new(),
            arrived_by: String::new(),
            left_by: String::new(),
        }
    }

    fn read(events: &Events, place: &mut Place, wanted: Kinds) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            match events.next(place, wanted) {
                Next::Event(event) => all.push(event.kind.name().to_owned()),
                Next::Missed(missed) => all.push(format!("missed {missed}")),
                Next::Nothing => return all,
            }
        }
    }

    #[test]
    fn readers_get_what_they_want_in_order_and_come_back_where_they_were() {
        let events = Events::new("A".to_owned(), 7);
        events.add(&alarm("x"));
        events.add(&key());
        let after = events.add(&issued()).after;
        events.add(&key());
        let mut place = events.start();
        assert_eq!(read(&events, &mut place, Kinds::ALL), ["downgraded", "relayed", "lost", "relayed"]);
        assert_eq!(place, events.end());
        let mut back = events.resume(Place::parse(&after.to_string()).unwrap());
        assert_eq!(read(&events, &mut back, Kinds::ALL), ["relayed"]);
        let mut some = events.start();
        assert_eq!(read(&events, &mut some, Kinds::NONE.with(Kind::Lost)), ["lost"]);
        let mut other = events.resume(Place { run: 8, next: [9, 9] });
        assert_eq!(read(&events, &mut other, Kinds::ALL).len(), 4);
        for bad in ["", "7", "7-1", "7-1-2-3", "x-1-2", "7--2"] {
            assert_eq!(Place::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_flood_of_keys_pushes_out_no_alarm_and_slow_readers_are_told() {
        let events = Events::new("A".to_owned(), 7);
        events.add(&alarm("x"));
        for _ in 0..KEPT + 5 {
            events.add(&key());
        }
        let mut place = events.start();
        place.next = [0, 0];
        let seen = read(&events, &mut place, Kinds::ALL);
        assert_eq!(&seen[..2], ["missed 5", "downgraded"]);
        assert_eq!(seen.len(), KEPT + 2);
        let mut alarms = Place { run: 7, next: [0, 0] };
        assert_eq!(read(&events, &mut alarms, Kinds::NONE.with(Kind::Downgraded)), ["downgraded"]);
    }
}
