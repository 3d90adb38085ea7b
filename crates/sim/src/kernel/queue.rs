//! A monotone 64-way bucket queue: pop and push in tens of nanoseconds at any number of pending events.
//!
//! A radix heap (Ahuja, Mehlhorn, Orlin & Tarjan, J. ACM 37, 213 (1990)) with digits of 6 bits. An event waits
//! in the bucket (level, slot): the level is the highest digit in which its time differs from `base`, the slot
//! is that digit. One occupancy word a level makes the next bucket two bit scans. A bucket of at most
//! [`SERVED`] events is sorted and served from; a larger one is spread over the levels below. All traffic is
//! sequential, so it hardly feels the cache.
//!
//! Three places hold events that are not after `base`: the sorted `front`, and `side`, a heap for those that
//! come late to a crowded front, where inserting would be quadratic. When the heap itself gets crowded, the
//! base is moved back to the present instant and its events go to buckets like all others.

use super::Key;
use bellwether_units::Time;
use core::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Buckets of at most this many events are sorted rather than spread.
const SERVED: usize = 24;
/// A late event is inserted into a front of at most this many events.
const INSERTED: usize = 32;
/// Side events that first raise the question whether to move the base back.
const CROWDED: usize = 256;
/// Events that a chunk of a bucket holds.
const CHUNK: usize = 32;
const DIGIT_BITS: u32 = 6;
const SLOTS: usize = 1 << DIGIT_BITS;
const LEVELS: usize = u64::BITS.div_ceil(DIGIT_BITS) as usize;

/// Events waiting for their time, least [`Key`] first.
///
/// Keys should be unique; among equal keys the order is unspecified. Keep `E` small: events are moved a few
/// times on their way through the queue. Memory follows the greatest number of events that were pending.
///
/// ```
/// use bellwether_sim::kernel::{Key, Queue};
/// use bellwether_units::{EntityId, Time};
///
/// let at = |time, source| Key::new(Time::from_picoseconds(time), EntityId(source), 0);
/// let mut queue = Queue::new();
/// queue.push(at(30, 0)?, "late")?;
/// queue.push(at(20, 2)?, "second of a tie")?;
/// queue.push(at(20, 1)?, "first of a tie")?;
/// assert_eq!(queue.peek_time(), Some(Time::from_picoseconds(20)));
/// assert_eq!(queue.pop().map(|(_, event)| event), Some("first of a tie"));
/// assert!(queue.push(at(19, 0)?, "too late").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Queue<E> {
    /// Time of the last popped event.
    now: u64,
    /// Every event in `front` and `side` is at or before this time, every event in a bucket after it.
    base: u64,
    /// Latest first, so that the next event is at the end.
    front: Vec<Entry<E>>,
    side: BinaryHeap<Reverse<Entry<E>>>,
    /// Side events that next raise the question whether to move the base back.
    crowded: usize,
    /// Level by level; see [`place`].
    buckets: Vec<Bucket<E>>,
    /// The buckets of each level that hold anything.
    occupied: [u64; LEVELS],
    /// Empty chunks to be used again.
    chunks: Vec<Vec<Entry<E>>>,
    len: usize,
}

/// An event came for a time before the last popped one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event for {} ps came after time had moved on to {} ps", time.picoseconds(), now.picoseconds())]
pub struct Past {
    /// When the event was to be.
    pub time: Time,
    /// The time of the last popped event.
    pub now: Time,
}

#[derive(Clone, Debug)]
struct Entry<E> {
    key: Key,
    event: E,
}

/// Full chunks and the one being filled: a bucket grows without copying, and its memory goes back to all.
#[derive(Clone, Debug)]
struct Bucket<E> {
    last: Vec<Entry<E>>,
    full: Vec<Vec<Entry<E>>>,
}

impl<E> Queue<E> {
    /// An empty queue at time zero.
    pub fn new() -> Self {
        Self {
            now: 0,
            base: 0,
            front: Vec::new(),
            side: BinaryHeap::new(),
            crowded: CROWDED,
            buckets: (0..LEVELS * SLOTS).map(|_| Bucket { last: Vec::new(), full: Vec::new() }).collect(),
            occupied: [0; LEVELS],
            chunks: Vec::new(),
            len: 0,
        }
    }

    /// How many events are pending.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is pending.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The time of the last popped event; zero before the first.
    pub const fn now(&self) -> Time {
        Time::from_picoseconds(self.now)
    }

    /// Adds an event.
    ///
    /// # Errors
    /// [`Past`] if its time is before that of the last popped event. The event is then dropped; a caller whose
    /// delays are never negative cannot meet this.
    #[inline]
    pub fn push(&mut self, key: Key, event: E) -> Result<(), Past> {
        let time = key.picoseconds();
        if time < self.now {
            return Err(Past { time: key.time(), now: self.now() });
        }
        self.len += 1;
        let entry = Entry { key, event };
        if time > self.base {
            self.put(entry);
        } else if self.front.len() <= INSERTED {
            let place = self.front.partition_point(|other| other.key > key);
            self.front.insert(place, entry);
        } else {
            self.side.push(Reverse(entry));
            if self.side.len() >= self.crowded {
                self.relieve();
            }
        }
        Ok(())
    }

    /// Takes the event with the least key.
    #[inline]
    pub fn pop(&mut self) -> Option<(Key, E)> {
        let late = self.side_is_next()?;
        let Entry { key, event } = if late { self.side.pop()?.0 } else { self.front.pop()? };
        self.now = key.picoseconds();
        self.len -= 1;
        Some((key, event))
    }

    /// The least key. Takes `&mut self` because it may have to sort the next bucket.
    #[inline]
    pub fn peek(&mut self) -> Option<Key> {
        Some(if self.side_is_next()? { self.side.peek()?.0.key } else { self.front.last()?.key })
    }

    /// The time of the next event.
    #[inline]
    pub fn peek_time(&mut self) -> Option<Time> {
        self.peek().map(Key::time)
    }

    /// Whether the next event is in `side` rather than at the end of `front`; none if there is no next event.
    #[inline]
    fn side_is_next(&mut self) -> Option<bool> {
        if let Some(late) = self.side.peek() {
            return Some(self.front.last().is_none_or(|next| late.0.key < next.key));
        }
        if self.front.is_empty() {
            self.fill()?;
        }
        Some(false)
    }

    /// Files an event that is after `base` in its bucket.
    #[inline]
    fn put(&mut self, entry: Entry<E>) {
        let (level, slot) = place(entry.key.picoseconds(), self.base);
        let bucket = &mut self.buckets[level * SLOTS + slot];
        self.occupied[level] |= 1 << slot;
        if bucket.last.len() == bucket.last.capacity() {
            let chunk = self.chunks.pop().unwrap_or_else(|| Vec::with_capacity(CHUNK));
            let full = core::mem::replace(&mut bucket.last, chunk);
            if !full.is_empty() {
                bucket.full.push(full);
            }
        }
        bucket.last.push(entry);
    }

    /// Moves the next bucket to the empty front, as a whole or its earliest instant; none if all are empty.
    #[inline(never)]
    fn fill(&mut self) -> Option<()> {
        debug_assert!(self.front.is_empty() && self.side.is_empty());
        self.crowded = CROWDED;
        let level = self.occupied.iter().position(|&slots| slots != 0)?;
        let slot = self.occupied[level].trailing_zeros() as usize;
        self.occupied[level] &= !(1 << slot);
        let place = level * SLOTS + slot;
        let bucket = &mut self.buckets[place];
        if bucket.full.is_empty() && bucket.last.len() <= SERVED {
            self.front.append(&mut bucket.last);
            self.front.sort_unstable_by_key(|entry| Reverse(entry.key));
            self.base = self.front.first()?.key.picoseconds();
            return Some(());
        }
        // The events of a bucket agree in all digits above its level, so after the base has moved to the
        // earliest of them they differ from it in lower digits only, and every other event stays in its place.
        let mut full = core::mem::take(&mut bucket.full);
        let mut last = core::mem::take(&mut bucket.last);
        let entries = full.iter().flatten().chain(&last);
        self.base = entries.map(|entry| entry.key.picoseconds()).min()?;
        for mut chunk in full.drain(..) {
            self.spread(&mut chunk);
            self.chunks.push(chunk);
        }
        self.spread(&mut last);
        // The emptied chunk and list stay with the bucket, which is likely to be filled again.
        self.buckets[place] = Bucket { last, full };
        self.front.sort_unstable_by_key(|entry| Reverse(entry.key));
        Some(())
    }

    /// Empties `entries` into the front (which is then to be sorted) and, if after `base`, into buckets.
    #[inline]
    fn spread(&mut self, entries: &mut Vec<Entry<E>>) {
        for entry in entries.drain(..) {
            self.file(entry);
        }
    }

    #[inline]
    fn file(&mut self, entry: Entry<E>) {
        if entry.key.picoseconds() <= self.base {
            self.front.push(entry);
        } else {
            self.put(entry);
        }
    }

    /// Moves the base back to the present instant, unless that would move many more events than it relieves.
    ///
    /// Without this, a sparse stretch that put the base far ahead would make the queue a mere heap for all
    /// that happens before. The threshold doubles at every refusal, so that asking costs little.
    #[cold]
    fn relieve(&mut self) {
        self.crowded = 2 * self.side.len();
        if self.now == self.base {
            return; // All late events are at the present instant: a heap is right for them.
        }
        // Whatever waits below this level differs from the present in the very digit in which the base does:
        // it belongs in the base's own bucket, which is empty. Other events keep their places.
        let (level, slot) = place(self.base, self.now);
        if self.front.len() > 2 * self.side.len() {
            return;
        }
        let (lower, upper) = self.buckets.split_at_mut(level * SLOTS);
        let (lower_occupied, upper_occupied) = self.occupied.split_at_mut(level);
        let target = &mut upper[slot];
        for (occupied, buckets) in lower_occupied.iter_mut().zip(lower.chunks_mut(SLOTS)) {
            if *occupied != 0 {
                upper_occupied[0] |= 1 << slot;
            }
            while *occupied != 0 {
                let bucket = &mut buckets[occupied.trailing_zeros() as usize];
                target.full.append(&mut bucket.full);
                target.full.push(core::mem::take(&mut bucket.last));
                *occupied &= *occupied - 1;
            }
        }
        let mut front = core::mem::take(&mut self.front);
        let side = core::mem::take(&mut self.side);
        self.base = self.now;
        self.spread(&mut front);
        for Reverse(entry) in side {
            self.file(entry);
        }
        self.front.sort_unstable_by_key(|entry| Reverse(entry.key));
    }
}

/// Level and slot of a time after `base`.
#[inline]
fn place(time: u64, base: u64) -> (usize, usize) {
    debug_assert!(time > base);
    let level = (u64::BITS - 1 - (time ^ base).leading_zeros()) / DIGIT_BITS;
    (level as usize, (time >> (level * DIGIT_BITS)) as usize % SLOTS)
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}
impl<E> Eq for Entry<E> {}
impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_units::{EntityId, Purpose, Stream};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn key(time: u64, source: u32, counter: u64) -> Key {
        Key::new(Time::from_picoseconds(time), EntityId(source), counter).unwrap()
    }

    /// The queue beside a set that is sorted by its nature.
    #[derive(Default)]
    struct Pair {
        queue: Queue<u64>,
        set: BTreeSet<Key>,
        counter: u64,
    }

    impl Pair {
        fn push_after(&mut self, delay: u64, source: u32) {
            let now = self.queue.now().picoseconds();
            let key = key(now.saturating_add(delay), source, self.counter);
            self.queue.push(key, self.counter).unwrap();
            self.set.insert(key);
            self.counter += 1;
        }
        fn peek(&mut self) {
            assert_eq!(self.queue.peek(), self.set.first().copied());
        }
        fn pop(&mut self) -> Option<Key> {
            let (expected, got) = (self.set.pop_first(), self.queue.pop());
            assert_eq!(got.map(|(key, _)| key), expected);
            assert_eq!(got.map(|(_, event)| event), expected.map(Key::counter), "the event of another key");
            assert_eq!(self.queue.len(), self.set.len());
            expected
        }
        fn drain(&mut self) {
            while self.pop().is_some() {}
            assert!(self.queue.is_empty());
        }
    }

    /// A delay from one of many scales; ties, zero delays and jumps of 2^40 are all frequent.
    fn delay(stream: &mut Stream, scale: u64) -> u64 {
        match stream.below(8) {
            0 => 0,
            1 => stream.below(4) << 10,
            2 => 1 << 40,
            3 => stream.below(1 << 40),
            _ => stream.below(scale),
        }
    }

    /// 8 million operations in phases that fill and empty the queue at different scales of time.
    #[test]
    fn agrees_with_a_sorted_set_over_millions_of_operations() {
        let mut stream = Stream::new(1, EntityId(0), Purpose::named("queue test"));
        let mut pair = Pair::default();
        for phase in 0..800 {
            // A fresh start every so often: jumps of 2^40 ps would else run out of clock.
            if phase % 40 == 0 {
                pair.drain();
                pair = Pair::default();
            }
            let scale = 1 << (2 * stream.below(20));
            let pushes_of_8 = 1 + stream.below(7);
            for _ in 0..10_000 {
                // Sources are drawn at random, so ties come out of the order of insertion.
                if stream.below(8) < pushes_of_8 {
                    let source = stream.below(1000) as u32;
                    pair.push_after(delay(&mut stream, scale), source);
                } else {
                    if stream.below(4) == 0 {
                        pair.peek();
                    }
                    pair.pop();
                }
            }
        }
        pair.drain();
    }

    /// 10^5 events at one instant, each followed by one without delay: quadratic if inserted into the front.
    #[test]
    fn zero_delays_at_a_crowded_instant_stay_in_order() {
        let mut stream = Stream::new(2, EntityId(0), Purpose::named("queue test"));
        let mut pair = Pair::default();
        for _ in 0..100_000 {
            pair.push_after(1 << 30, stream.below(1 << 20) as u32);
        }
        for _ in 0..300_000 {
            if let Some(popped) = pair.pop()
                && popped.counter() < 200_000
            {
                pair.push_after(0, stream.below(1 << 20) as u32);
            }
        }
        pair.drain();
    }

    /// A sparse stretch puts the base far ahead of time; then much happens before it, and the base moves back.
    #[test]
    fn a_dense_stretch_after_a_sparse_one_leaves_the_heap() {
        let mut stream = Stream::new(3, EntityId(0), Purpose::named("queue test"));
        let mut pair = Pair::default();
        for ahead in 1..20 {
            pair.push_after(ahead << 50, 0);
        }
        for _ in 0..2000 {
            // After the front, but in the same high digits as its end.
            pair.push_after((19 << 50) + 1 + stream.below(1 << 40), 1);
        }
        pair.peek();
        for _ in 0..50_000 {
            pair.push_after(stream.below(1 << 30), stream.below(1000) as u32);
        }
        assert!(pair.queue.side.len() < 2 * CROWDED, "{} events in the heap", pair.queue.side.len());
        pair.drain();
    }

    #[test]
    fn memory_follows_the_events_pending_and_not_the_time_passed() {
        let mut queue = Queue::new();
        let mut largest = 0;
        for round in 0..500u64 {
            // Every event of a round falls into one bucket of a high level, another one each round.
            for event in 0..10_000 {
                queue.push(key(((round + 1) << 36) + (event * 7919) % (1 << 20), 0, event), ()).unwrap();
            }
            while queue.pop().is_some() {}
            let chunks = queue.buckets.iter().map(|bucket| bucket.full.len() + 1).sum::<usize>();
            largest = largest.max(chunks + queue.chunks.len());
        }
        let bound = LEVELS * SLOTS + 2 * 10_000 / CHUNK;
        assert!(largest <= bound, "{largest} chunks for 10^4 events, at most {bound} expected");
    }

    #[test]
    fn the_past_is_refused_and_the_present_is_not() {
        let mut queue = Queue::new();
        queue.push(key(10, 0, 0), ()).unwrap();
        assert!(queue.pop().is_some());
        let now = Time::from_picoseconds(10);
        assert_eq!(queue.push(key(9, 0, 1), ()), Err(Past { time: Time::from_picoseconds(9), now }));
        assert_eq!(queue.push(key(10, 0, 2), ()), Ok(()));
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn the_end_of_the_clock_can_be_reached() {
        let mut queue = Queue::new();
        for source in 0..100 {
            queue.push(key(u64::MAX, source, 0), source).unwrap();
        }
        queue.push(key(0, 0, 1), 1000).unwrap();
        assert_eq!(queue.pop().map(|(_, event)| event), Some(1000));
        for source in 0..100 {
            assert_eq!(queue.pop().map(|(_, event)| event), Some(source));
        }
        assert_eq!(queue.pop(), None);
    }

    proptest! {
        /// Short random schedules, which proptest can shrink: `None` pops, `Some` pushes after a delay.
        #[test]
        fn agrees_with_a_sorted_set(
            steps in prop::collection::vec(
                prop::option::weighted(0.6, ((0u32..64).prop_flat_map(|shift| 0..=u64::MAX >> shift), 0u32..4)),
                0..600,
            )
        ) {
            let mut pair = Pair::default();
            for step in steps {
                match step {
                    Some((delay, source)) => pair.push_after(delay, source),
                    None => drop(pair.pop()),
                }
            }
            pair.drain();
        }
    }
}
