//! Which blocks have come.

use crate::keys::journal::{list, write_list};
use crate::qkd::wire::{Malformed, Reader, Writer};
use bellwether_units::BlockId;
use std::collections::BTreeSet;

/// How far behind the newest block a block may arrive.
const WINDOW: u64 = 1024;
/// How far behind the newest block a block may arrive and still find its peer's half unburned.
const LATE: u64 = 32;

/// The numbers of the blocks that have come, exact within [`WINDOW`] of the highest.
#[derive(Default)]
pub(super) struct Seen {
    /// One above the highest.
    pub(super) next: u64,
    recent: BTreeSet<u64>,
}

/// [`Seen`] as one piece: the numbers within the window that have not come, mostly none.
#[derive(Debug)]
pub(super) struct Gaps {
    next: u64,
    missing: Vec<u64>,
}

impl Gaps {
    /// See [`journal`](crate::keys::journal).
    pub(super) fn write(&self, w: &mut Writer) {
        w.count(self.next);
        write_list(w, &self.missing, |w, number| w.count(*number));
    }
    /// What was [written](Self::write): numbers within the window, in rising order.
    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let next = r.count()?;
        let mut least = next.saturating_sub(WINDOW);
        let missing = list(r, |r| {
            let number = r.count()?;
            if number < least || number >= next {
                return Err(Malformed::Value("the order of missing blocks"));
            }
            least = number + 1;
            Ok(number)
        })?;
        Ok(Self { next, missing })
    }
    pub(super) fn size(&self) -> usize {
        self.missing.len() * size_of::<u64>()
    }
}

impl Seen {
    pub(super) fn gaps(&self) -> Gaps {
        let window = self.next.saturating_sub(WINDOW)..self.next;
        Gaps { next: self.next, missing: window.filter(|n| !self.recent.contains(n)).collect() }
    }
    pub(super) fn load(&mut self, gaps: &Gaps) {
        let window = gaps.next.saturating_sub(WINDOW)..gaps.next;
        self.next = gaps.next;
        self.recent = window.filter(|n| gaps.missing.binary_search(n).is_err()).collect();
    }
    /// The numbers below the highest that may still come, as far as is waited for them.
    pub(super) fn open(&self) -> impl Iterator<Item = BlockId> + '_ {
        (self.next.saturating_sub(LATE)..self.next).filter(|n| !self.recent.contains(n)).map(BlockId)
    }
    pub(super) fn contains(&self, block: BlockId) -> bool {
        block.0 + WINDOW < self.next || self.recent.contains(&block.0)
    }
    pub(super) fn insert(&mut self, block: BlockId) {
        self.next = self.next.max(block.0.saturating_add(1));
        self.recent.insert(block.0);
        while self.recent.first().is_some_and(|&first| first + WINDOW < self.next) {
            self.recent.pop_first();
        }
    }
}
