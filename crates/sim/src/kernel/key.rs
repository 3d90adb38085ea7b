//! The total order of events.

use bellwether_units::{EntityId, Time};
use core::cmp::Ordering;
use core::fmt;

/// Bits of a tie that count a source's events; the rest name the source.
const COUNTER_BITS: u32 = 40;

/// Where an event stands in the total order: by time, then by source entity, then by the source's own counter.
///
/// Source and counter are packed into 24 + 40 bits: 16.7 million sources of 10^12 events each.
///
/// ```
/// use bellwether_sim::kernel::Key;
/// use bellwether_units::{EntityId, Time};
///
/// let at = Time::from_picoseconds(5);
/// let first = Key::new(at, EntityId(1), 900)?;
/// let second = Key::new(at, EntityId(2), 0)?;
/// assert!(first < second);
/// # Ok::<(), bellwether_sim::kernel::KeyError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    time: Time,
    tie: u64,
}

/// Why an event cannot be given a place in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The source's number does not fit 24 bits.
    #[error("{0} cannot be ordered: a run has at most 2^24 entities")]
    Source(EntityId),
    /// The source's counter does not fit 40 bits.
    #[error("{0} has sent 2^40 events, the most that one entity can")]
    Counter(EntityId),
}

impl Key {
    /// The most sources that can be told apart.
    pub const MAX_SOURCES: u32 = 1 << (u64::BITS - COUNTER_BITS);
    /// The most events that a source can send.
    pub const MAX_EVENTS: u64 = 1 << COUNTER_BITS;

    /// The place of `source`'s event number `counter` at `time`.
    ///
    /// # Errors
    /// If the source is not below [`MAX_SOURCES`](Self::MAX_SOURCES) or the counter not below
    /// [`MAX_EVENTS`](Self::MAX_EVENTS).
    #[inline]
    pub const fn new(time: Time, source: EntityId, counter: u64) -> Result<Self, KeyError> {
        if source.0 >= Self::MAX_SOURCES {
            return Err(KeyError::Source(source));
        }
        if counter >= Self::MAX_EVENTS {
            return Err(KeyError::Counter(source));
        }
        Ok(Self { time, tie: (source.0 as u64) << COUNTER_BITS | counter })
    }

    /// When.
    #[inline]
    pub const fn time(self) -> Time {
        self.time
    }

    /// Who sent it.
    #[inline]
    pub const fn source(self) -> EntityId {
        EntityId((self.tie >> COUNTER_BITS) as u32)
    }

    /// The source's own count of its events before this one.
    #[inline]
    pub const fn counter(self) -> u64 {
        self.tie & (Self::MAX_EVENTS - 1)
    }

    #[inline]
    pub(super) const fn picoseconds(self) -> u64 {
        self.time.picoseconds()
    }
}

impl Ord for Key {
    /// Compares as one 128-bit number: no branch to be guessed wrongly.
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        let whole = |key: &Self| u128::from(key.picoseconds()) << 64 | u128::from(key.tie);
        whole(self).cmp(&whole(other))
    }
}

impl PartialOrd for Key {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} ps, {}, event {})", self.picoseconds(), self.source(), self.counter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gives_back_its_parts_at_the_limits() {
        let (source, counter) = (EntityId(Key::MAX_SOURCES - 1), Key::MAX_EVENTS - 1);
        let key = Key::new(Time::MAX, source, counter).unwrap();
        assert_eq!((key.time(), key.source(), key.counter()), (Time::MAX, source, counter));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let many = EntityId(Key::MAX_SOURCES);
        assert_eq!(Key::new(Time::ZERO, many, 0), Err(KeyError::Source(many)));
        let one = EntityId(1);
        assert_eq!(Key::new(Time::ZERO, one, Key::MAX_EVENTS), Err(KeyError::Counter(one)));
    }

    #[test]
    fn time_goes_before_source_and_source_before_counter() {
        let key = |time, source, counter| {
            Key::new(Time::from_picoseconds(time), EntityId(source), counter).unwrap()
        };
        assert!(key(1, 9, 9) < key(2, 0, 0));
        assert!(key(1, 1, 9) < key(1, 2, 0));
        assert!(key(1, 1, 1) < key(1, 1, 2));
    }
}
