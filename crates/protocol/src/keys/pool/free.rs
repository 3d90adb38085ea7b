//! What is left of a block's half: stretches that shrink and merge.

use super::Stretch;
use crate::keys::journal::{list, small, write_list};
use crate::qkd::wire::{Malformed, Reader, Writer};

/// Disjoint stretches `start..end` in rising order.
#[derive(Clone, Debug, Default)]
pub(super) struct Free(pub(super) Vec<(u32, u32)>);

impl Free {
    /// See [`journal`](crate::keys::journal).
    pub(super) fn write(&self, w: &mut Writer) {
        write_list(w, &self.0, |w, &(start, end)| {
            w.count(start.into());
            w.count(end.into());
        });
    }
    /// What was [written](Self::write): disjoint, in rising order, none empty.
    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut last = 0;
        let parts = list(r, |r| {
            let (start, end) = (small(r, "an offset")?, small(r, "an offset")?);
            if start < last || end <= start {
                return Err(Malformed::Value("the order of stretches"));
            }
            last = end;
            Ok((start, end))
        })?;
        Ok(Self(parts))
    }
    /// Where the last stretch ends.
    pub(super) fn end(&self) -> u32 {
        self.0.last().map_or(0, |&(_, end)| end)
    }
    pub(super) fn bits(&self) -> u64 {
        self.0.iter().map(|&(start, end)| u64::from(end - start)).sum()
    }
    /// Takes `start..end` out; `false` (and no change) unless all of it was in.
    pub(super) fn remove(&mut self, start: u32, end: u32) -> bool {
        let Some(i) = self.0.iter().position(|&(s, e)| s <= start && end <= e) else { return false };
        let (s, e) = self.0[i];
        match (s < start, end < e) {
            (false, false) => drop(self.0.remove(i)),
            (true, false) => self.0[i].1 = start,
            (false, true) => self.0[i].0 = end,
            (true, true) => {
                self.0[i].1 = start;
                self.0.insert(i + 1, (end, e));
            }
        }
        true
    }
    /// The parts that none of these stretches covers.
    pub(super) fn outside<'s>(&self, stretches: impl Iterator<Item = &'s Stretch>) -> Self {
        let mut rest = self.clone();
        for stretch in stretches {
            let cut = (stretch.offset, stretch.offset.saturating_add(stretch.length));
            rest.0 = rest.0.iter().flat_map(|&part| without(part, cut)).collect();
        }
        rest
    }
    pub(super) fn insert(&mut self, start: u32, end: u32) {
        let i = self.0.partition_point(|&(s, _)| s < start);
        self.0.insert(i, (start, end));
        if i + 1 < self.0.len() && self.0[i].1 == self.0[i + 1].0 {
            self.0[i].1 = self.0.remove(i + 1).1;
        }
        if i > 0 && self.0[i - 1].1 == self.0[i].0 {
            self.0[i - 1].1 = self.0.remove(i).1;
        }
    }
}

/// The part of `start..end` outside a cut.
fn without((start, end): (u32, u32), cut: (u32, u32)) -> impl Iterator<Item = (u32, u32)> {
    [(start, end.min(cut.0)), (start.max(cut.1), end)].into_iter().filter(|&(s, e)| s < e)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_units::BlockId;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn stretches_agree_with_single_bits(steps in prop::collection::vec((any::<bool>(), 0u32..60, 1u32..20), 0..60)) {
            let mut free = Free::default();
            let mut bits = [false; 80];
            for (add, start, length) in steps {
                let (end, range) = (start + length, start as usize..(start + length) as usize);
                if add && bits[range.clone()].iter().all(|bit| !bit) {
                    free.insert(start, end);
                    bits[range].fill(true);
                } else if !add {
                    let all = bits[range.clone()].iter().all(|&bit| bit);
                    prop_assert_eq!(free.remove(start, end), all);
                    if all {
                        bits[range].fill(false);
                    }
                }
                let mut read = [false; 80];
                free.0.iter().for_each(|&(s, e)| read[s as usize..e as usize].fill(true));
                prop_assert_eq!(read, bits);
                prop_assert!(free.0.windows(2).all(|w| w[0].1 < w[1].0), "sorted and merged");
                let cut = Stretch { block: BlockId(0), offset: start, length };
                let rest = free.outside([cut].iter());
                prop_assert!(rest.0.iter().all(|&(s, e)| e <= start || end <= s));
                let cut_out = bits[start as usize..end as usize].iter().filter(|&&bit| bit).count() as u64;
                prop_assert_eq!(rest.bits() + cut_out, free.bits());
            }
        }
    }
}
