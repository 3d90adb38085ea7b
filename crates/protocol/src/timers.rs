//! When something is to be done next.

use bellwether_units::Time;
use std::collections::{BTreeMap, BTreeSet};

/// At most one time for every `T`.
#[derive(Debug)]
pub(crate) struct Timers<T> {
    at: BTreeMap<T, Time>,
    order: BTreeSet<(Time, T)>,
}

impl<T: Ord + Copy> Timers<T> {
    pub(crate) fn new() -> Self {
        Self { at: BTreeMap::new(), order: BTreeSet::new() }
    }
    /// How many have a time.
    pub(crate) fn len(&self) -> usize {
        self.at.len()
    }
    /// Sets the time of `timer`, in place of the one it had.
    pub(crate) fn set(&mut self, timer: T, time: Time) {
        if let Some(old) = self.at.insert(timer, time) {
            self.order.remove(&(old, timer));
        }
        self.order.insert((time, timer));
    }
    /// Sets the time of `timer` unless it has an earlier one.
    pub(crate) fn set_by(&mut self, timer: T, time: Time) {
        if self.at.get(&timer).is_none_or(|&old| time < old) {
            self.set(timer, time);
        }
    }
    pub(crate) fn cancel(&mut self, timer: T) {
        if let Some(old) = self.at.remove(&timer) {
            self.order.remove(&(old, timer));
        }
    }
    /// The earliest time.
    pub(crate) fn next(&self) -> Option<Time> {
        self.order.first().map(|&(time, _)| time)
    }
    /// Takes the earliest timer that is due.
    pub(crate) fn pop(&mut self, now: Time) -> Option<T> {
        let &(time, timer) = self.order.first()?;
        if time > now {
            return None;
        }
        self.cancel(timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_has_one_time_and_they_come_in_order() {
        let t = Time::from_picoseconds;
        let mut timers = Timers::new();
        timers.set('a', t(5));
        timers.set('b', t(3));
        timers.set('a', t(1));
        timers.set_by('b', t(9));
        assert_eq!(timers.next(), Some(t(1)));
        assert_eq!((timers.pop(t(2)), timers.pop(t(2)), timers.pop(t(3))), (Some('a'), None, Some('b')));
        assert_eq!(timers.next(), None);
    }
}
