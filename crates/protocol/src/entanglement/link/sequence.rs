//! Which pairs an end has heard of.
//!
//! An end expects the pairs of an epoch in the order of their numbers. A number above the expected one tells of replies that
//! were lost: those pairs are given up at both ends. A number below it is a reply that came twice or too late. Pairs that the
//! other end has given up before this end heard of them are remembered until their numbers have passed.

use super::message::SequenceRange;

/// So many epochs are remembered besides the newest.
const EPOCHS: usize = 8;
/// So many ranges that the other end has given up are remembered.
const GIVEN_UP: usize = 64;

/// What the number of a pair tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It is the next.
    Next,
    /// It is new, and the pairs before it are lost at this end.
    After(SequenceRange),
    /// It was heard of before, or has been given up.
    Old,
}

/// The numbers that an end expects.
#[derive(Default)]
pub(super) struct Heralds {
    epoch: u32,
    expected: u64,
    /// Earlier epochs and what was expected last, in the order of epochs.
    past: Vec<(u32, u64)>,
    given_up: Vec<SequenceRange>,
}

impl Heralds {
    /// The newest epoch, and the number that is expected in it.
    pub(super) const fn newest(&self) -> (u32, u64) {
        (self.epoch, self.expected)
    }
    /// The first number of an epoch that was not heard of.
    pub(super) fn expected(&self, epoch: u32) -> u64 {
        if epoch == self.epoch {
            return self.expected;
        }
        self.past.iter().find(|past| past.0 == epoch).map_or(0, |past| past.1)
    }
    /// A pair was heralded.
    #[inline]
    pub(super) fn hear_pair(&mut self, epoch: u32, sequence: u64) -> Heard {
        if epoch == self.epoch && sequence == self.expected && sequence != u64::MAX {
            self.expected += 1;
            return Heard::Next;
        }
        let Some(next) = sequence.checked_add(1) else { return Heard::Old };
        let expected = self.entry(epoch);
        if sequence < *expected {
            return Heard::Old;
        }
        let low = core::mem::replace(expected, next);
        if low == sequence { Heard::Next } else { Heard::After(SequenceRange { epoch, low, high: sequence }) }
    }
    /// The next pair of an epoch has at least this number: those that are missing.
    pub(super) fn hear_count(&mut self, epoch: u32, next: u64) -> Option<SequenceRange> {
        if next <= self.expected(epoch) {
            // A new epoch is noted even if nothing was heralded in it.
            self.entry(epoch);
            return None;
        }
        let low = core::mem::replace(self.entry(epoch), next);
        Some(SequenceRange { epoch, low, high: next })
    }
    /// What is expected in an epoch. One that was forgotten begins anew: its pairs are then given up at both ends.
    fn entry(&mut self, epoch: u32) -> &mut u64 {
        if epoch == self.epoch {
            return &mut self.expected;
        }
        if epoch > self.epoch {
            let old = (core::mem::replace(&mut self.epoch, epoch), core::mem::take(&mut self.expected));
            if old.1 > 0 {
                self.remember(old);
            }
            return &mut self.expected;
        }
        let place = match self.past.iter().position(|past| past.0 == epoch) {
            Some(place) => place,
            None => self.remember((epoch, 0)),
        };
        &mut self.past[place].1
    }
    /// Notes a past epoch, and says where.
    fn remember(&mut self, past: (u32, u64)) -> usize {
        if self.past.len() == EPOCHS {
            self.past.remove(0);
        }
        let place = self.past.partition_point(|old| old.0 < past.0);
        self.past.insert(place, past);
        place
    }

    /// Whether the other end has given the pair up.
    #[inline]
    pub(super) fn is_given_up(&self, epoch: u32, sequence: u64) -> bool {
        !self.given_up.is_empty() && self.given_up.iter().any(|range| range.contains(epoch, sequence))
    }
    /// The other end has given pairs up. If there are too many such ranges to remember, this end gives up all before the
    /// end of the oldest, and says which.
    pub(super) fn give_up(&mut self, range: SequenceRange) -> Option<SequenceRange> {
        let mut given_up = core::mem::take(&mut self.given_up);
        given_up.retain(|old| old.high > self.expected(old.epoch));
        self.given_up = given_up;
        if range.high <= self.expected(range.epoch) || self.given_up.contains(&range) {
            return None;
        }
        self.given_up.push(range);
        if self.given_up.len() <= GIVEN_UP {
            return None;
        }
        let oldest = self.given_up.remove(0);
        self.hear_count(oldest.epoch, oldest.high)
    }
    /// The other end has forgotten all that it gave up.
    pub(super) fn forget_given_up(&mut self) {
        self.given_up.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn range(epoch: u32, low: u64, high: u64) -> SequenceRange {
        SequenceRange { epoch, low, high }
    }

    #[test]
    fn gaps_are_found_and_repetitions_known() {
        let mut heralds = Heralds::default();
        assert_eq!(heralds.hear_pair(1, 0), Heard::Next);
        assert_eq!(heralds.hear_pair(1, 0), Heard::Old);
        assert_eq!(heralds.hear_pair(1, 3), Heard::After(range(1, 1, 3)));
        assert_eq!(heralds.hear_pair(1, 2), Heard::Old);
        assert_eq!(heralds.hear_count(1, 4), None);
        assert_eq!(heralds.hear_count(1, 6), Some(range(1, 4, 6)));
        assert_eq!(heralds.hear_pair(1, 6), Heard::Next);
        assert_eq!(heralds.newest(), (1, 7));
    }

    #[test]
    fn epochs_count_for_themselves() {
        let mut heralds = Heralds::default();
        assert_eq!(heralds.hear_pair(3, 2), Heard::After(range(3, 0, 2)));
        assert_eq!(heralds.hear_pair(5, 0), Heard::Next);
        // Late news of the old epoch, and of one that was never heard of.
        assert_eq!(heralds.hear_pair(3, 2), Heard::Old);
        assert_eq!(heralds.hear_pair(3, 4), Heard::After(range(3, 3, 4)));
        assert_eq!(heralds.hear_count(4, 7), Some(range(4, 0, 7)));
        assert_eq!((heralds.expected(3), heralds.expected(4), heralds.newest()), (5, 7, (5, 1)));
        // Only some epochs are remembered.
        (6..20).for_each(|epoch| assert_eq!(heralds.hear_pair(epoch, 0), Heard::Next));
        assert_eq!(heralds.hear_count(3, 5), Some(range(3, 0, 5)));
    }

    #[test]
    fn what_the_other_end_gives_up_is_remembered_until_it_has_passed() {
        let mut heralds = Heralds::default();
        assert_eq!(heralds.hear_pair(1, 0), Heard::Next);
        assert_eq!(heralds.give_up(range(1, 0, 1)), None);
        assert!(!heralds.is_given_up(1, 0));
        assert_eq!(heralds.give_up(range(1, 2, 3)), None);
        assert!(heralds.is_given_up(1, 2) && !heralds.is_given_up(1, 1) && !heralds.is_given_up(2, 2));
        for i in 0..63 {
            assert_eq!(heralds.give_up(range(1, 10 + 2 * i, 11 + 2 * i)), None);
        }
        // One too many: the oldest is given up with all before it.
        assert_eq!(heralds.give_up(range(1, 500, 501)), Some(range(1, 1, 3)));
        assert_eq!(heralds.newest(), (1, 3));
    }

    /// Numbers end, and no arithmetic overflows before.
    #[test]
    fn the_highest_numbers_do_no_harm() {
        let mut heralds = Heralds::default();
        let last = u64::MAX - 1;
        assert_eq!(heralds.hear_pair(u32::MAX, last), Heard::After(range(u32::MAX, 0, last)));
        assert_eq!(heralds.hear_pair(u32::MAX, u64::MAX), Heard::Old);
        assert_eq!(heralds.hear_pair(u32::MAX, last), Heard::Old);
    }
}
