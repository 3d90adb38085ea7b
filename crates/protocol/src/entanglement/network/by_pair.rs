//! What is known of pairs, found by their names at the cost of an index.

use crate::entanglement::PairId;
use core::ops::Bound;
use std::collections::{BTreeMap, VecDeque};

/// How far the sequence numbers of one window may lie apart.
const REACH: u64 = 1 << 16;
/// A window of more places is not held open for what stands in front.
const LONG: usize = 64;

/// Values by the pairs of one link. A station counts its successes, so nearly all that is asked for lies within a short
/// run of numbers and is found by its place; what does not is kept apart.
#[derive(Debug)]
pub(super) struct ByPair<T> {
    /// The name of the first place in the window.
    base: Option<PairId>,
    window: VecDeque<Option<T>>,
    apart: BTreeMap<PairId, T>,
    /// Which of those apart was looked at last.
    looked: Option<PairId>,
}

impl<T> Default for ByPair<T> {
    fn default() -> Self {
        Self { base: None, window: VecDeque::new(), apart: BTreeMap::new(), looked: None }
    }
}

impl<T> ByPair<T> {
    fn place(&self, id: PairId) -> Option<usize> {
        let base = self.base.filter(|base| (base.link, base.epoch) == (id.link, id.epoch))?;
        let place = id.sequence.checked_sub(base.sequence).filter(|place| *place < REACH)?;
        Some(place as usize)
    }

    pub(super) fn get(&self, id: PairId) -> Option<&T> {
        let near = self.place(id).and_then(|place| self.window.get(place)?.as_ref());
        near.or_else(|| self.apart.get(&id))
    }

    pub(super) fn get_mut(&mut self, id: PairId) -> Option<&mut T> {
        match self.place(id) {
            Some(place) if self.window.get(place).is_some_and(Option::is_some) => self.window[place].as_mut(),
            _ => self.apart.get_mut(&id),
        }
    }

    /// Puts `value` in, in place of what was there.
    pub(super) fn insert(&mut self, id: PairId, value: T) {
        if self.window.is_empty() {
            self.base = Some(id);
        }
        let Some(place) = self.place(id) else {
            self.apart.insert(id, value);
            return;
        };
        // It may have come before, when the window lay elsewhere.
        if !self.apart.is_empty() {
            self.apart.remove(&id);
        }
        if place >= self.window.len() {
            self.window.resize_with(place + 1, || None);
        }
        self.window[place] = Some(value);
    }

    /// Forgets what is `over`, a few steps at a time. What lasts long is set apart, so that it does not hold up the rest.
    pub(super) fn forget(&mut self, over: impl Fn(&T) -> bool) {
        for _ in 0..8 {
            let Some(front) = self.window.front() else { break };
            let lasts = front.as_ref().is_some_and(|value| !over(value));
            if lasts && self.window.len() <= LONG {
                break;
            }
            let (front, base) = (self.window.pop_front().flatten(), &mut self.base);
            if let Some(base) = base {
                if let Some(value) = front.filter(|_| lasts) {
                    self.apart.insert(*base, value);
                }
                base.sequence += 1;
            }
        }
        if !self.apart.is_empty() {
            self.forget_apart(over);
        }
    }
    fn forget_apart(&mut self, over: impl Fn(&T) -> bool) {
        for _ in 0..2 {
            let after = self.looked.map_or(Bound::Unbounded, Bound::Excluded);
            let next = self.apart.range((after, Bound::Unbounded)).next();
            let Some((id, value)) = next else {
                self.looked = None;
                break;
            };
            let (id, gone) = (*id, over(value));
            self.looked = Some(id);
            if gone {
                self.apart.remove(&id);
            }
        }
    }
    /// Drops the first of those set apart while there are more than `most`.
    pub(super) fn limit(&mut self, most: usize) {
        while self.apart.len() > most {
            self.apart.pop_first();
        }
    }

    /// All values, in the order of their names as far as these lie in the window.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.window.iter_mut().flatten().chain(self.apart.values_mut())
    }

    /// How many places are in use or held open.
    pub(super) fn len(&self) -> usize {
        self.window.len() + self.apart.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_units::LinkId;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_a_map(steps in proptest::collection::vec((0u32..2, 0u64..200, 0u8..4), 0..400), far: bool) {
            let (mut ours, mut plain) = (ByPair::default(), BTreeMap::new());
            for (n, (epoch, sequence, what)) in steps.into_iter().enumerate() {
                let sequence = if far && what == 3 { sequence * 10_000 } else { sequence };
                let id = PairId { link: LinkId(1), epoch, sequence };
                match what {
                    0 => {
                        assert_eq!(ours.get(id), plain.get(&id));
                        assert_eq!(ours.get_mut(id), plain.get_mut(&id));
                    }
                    1 => {
                        // Only what is over goes.
                        ours.forget(|value| *value % 2 == 0);
                        plain.retain(|id, value| *value % 2 == 1 || ours.get(*id).is_some());
                    }
                    _ => {
                        ours.insert(id, n);
                        plain.insert(id, n);
                    }
                }
            }
            for (id, value) in &plain {
                assert_eq!(ours.get(*id), Some(value));
            }
            assert_eq!(ours.values_mut().count(), plain.len());
        }
    }
}
