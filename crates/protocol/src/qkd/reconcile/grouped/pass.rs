//! One frame as one pass sees it: its bits in the pass's order, and the parts into which searches have split its blocks.
//!
//! Every boundary between parts was made by a block's edge or by a parity that the server disclosed, so both ends know
//! of each part whether it is odd: whether an odd number of its bits differ.

use super::order::Order;
use zeroize::Zeroize;

/// The bits of a frame and its parts. Wiped when dropped.
#[derive(Default)]
pub(super) struct PassView {
    pub(super) order: Order,
    cells: Vec<Cell>,
    span: usize,
}

/// All that is known of 64 positions, in one line of the cache.
#[derive(Clone, Copy, Default, Zeroize)]
#[repr(align(32))]
struct Cell {
    bits: u64,
    /// A part begins at each set bit.
    cuts: u64,
    /// A set bit where an odd part begins that no search is in.
    odd: u64,
    /// A set bit for each position that is known to be equal at both ends; in the first pass alone.
    settled: u64,
}

impl Drop for PassView {
    fn drop(&mut self) {
        self.cells.zeroize();
    }
}

#[inline(always)]
fn is_odd(word: u64) -> bool {
    word.count_ones() & 1 == 1
}

impl PassView {
    /// The view of a frame's `words`, in blocks that begin at `starts`, the first of which is 0.
    pub(super) fn new(
        order: Order,
        words: &[u64],
        span: usize,
        starts: impl Iterator<Item = usize>,
        scratch: &mut Vec<u64>,
    ) -> Self {
        let mut bits = order.arrange(words, span, scratch);
        let cells = bits.iter().map(|&bits| Cell { bits, ..Cell::default() }).collect();
        bits.zeroize();
        let mut view = Self { order, cells, span };
        starts.for_each(|start| view.cut(start));
        view
    }

    /// The bits, in the pass's order.
    pub(super) fn bits(&self) -> impl Iterator<Item = u64> {
        self.cells.iter().map(|cell| cell.bits)
    }

    /// Which of the 64 positions from `word * 64` are settled.
    #[inline(always)]
    pub(super) fn settled(&self, word: usize) -> u64 {
        self.cells[word].settled
    }

    /// Notes that these of the 64 positions from `word * 64` are settled.
    #[inline(always)]
    pub(super) fn settle(&mut self, word: usize, positions: u64) {
        self.cells[word].settled |= positions;
    }

    /// The parity of the positions from `start` to `end`, which lies behind.
    #[inline]
    pub(super) fn parity(&self, start: usize, end: usize) -> bool {
        let (first, last) = (start / 64, (end - 1) / 64);
        let head = u64::MAX << (start % 64);
        let tail = u64::MAX >> (63 - (end - 1) % 64);
        if first == last {
            return is_odd(self.cells[first].bits & head & tail);
        }
        let middle = self.cells[first + 1..last].iter().fold(0, |sum, cell| sum ^ cell.bits);
        is_odd(middle ^ (self.cells[first].bits & head) ^ (self.cells[last].bits & tail))
    }

    /// Up to 64 positions from `start`.
    #[inline]
    pub(super) fn load(&self, start: usize, length: usize) -> u64 {
        let (word, shift) = (start / 64, start % 64);
        let mut value = self.cells[word].bits >> shift;
        if shift + length > 64 {
            value |= self.cells[word + 1].bits << (64 - shift);
        }
        value & (u64::MAX >> (64 - length))
    }

    /// Where the part that holds `position` begins.
    #[inline]
    pub(super) fn part_start(&self, position: usize) -> usize {
        let mut word = position / 64;
        let mut here = self.cells[word].cuts & (u64::MAX >> (63 - position % 64));
        while here == 0 {
            // A part begins at position 0, so this ends.
            word -= 1;
            here = self.cells[word].cuts;
        }
        word * 64 + here.ilog2() as usize
    }

    /// Where the part that holds `position` ends.
    #[inline]
    pub(super) fn part_end(&self, position: usize) -> usize {
        let next = position + 1;
        if next >= self.span {
            return self.span;
        }
        let mut word = next / 64;
        let mut here = self.cells[word].cuts & (u64::MAX << (next % 64));
        while here == 0 {
            word += 1;
            if word == self.cells.len() {
                return self.span;
            }
            here = self.cells[word].cuts;
        }
        word * 64 + here.trailing_zeros() as usize
    }

    /// Lets a part begin at `position`.
    #[inline(always)]
    pub(super) fn cut(&mut self, position: usize) {
        self.cells[position / 64].cuts |= 1 << (position % 64);
    }

    /// Flips the bit at `position`.
    #[inline(always)]
    pub(super) fn flip(&mut self, position: usize) {
        self.cells[position / 64].bits ^= 1 << (position % 64);
    }

    /// Whether the part that begins at `start` is odd, and no search is in it.
    #[inline]
    pub(super) fn is_odd(&self, start: usize) -> bool {
        self.cells[start / 64].odd >> (start % 64) & 1 == 1
    }

    /// The part that begins at `start` has turned odd or even: which of them.
    #[inline]
    pub(super) fn turn(&mut self, start: usize) -> bool {
        self.cells[start / 64].odd ^= 1 << (start % 64);
        self.is_odd(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_view_answers_as_counting_by_hand_does(
            words in prop::collection::vec(any::<u64>(), 1..100),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
            places in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 40),
            short in 0usize..63,
        ) {
            let span = words.len() * 64 - short;
            let mut view = PassView::new(Order::Natural, &words, span, core::iter::once(0), &mut Vec::new());
            let mut starts = vec![0];
            for cut in cuts {
                starts.push(cut.index(span));
                view.cut(cut.index(span));
            }
            let mut words = words;
            for (a, b) in places {
                let (a, b) = (a.index(span), b.index(span + 1));
                view.flip(a);
                words[a / 64] ^= 1 << (a % 64);
                let bit = |bit: usize| words[bit / 64] >> (bit % 64) & 1;
                let (start, end) = (a.min(b), a.max(b));
                if start < end {
                    prop_assert_eq!(view.parity(start, end), (start..end).map(bit).sum::<u64>() % 2 == 1);
                    let length = (end - start).min(64);
                    let value = (0..length).fold(0, |sum, place| sum | bit(start + place) << place);
                    prop_assert_eq!(view.load(start, length), value);
                }
                prop_assert_eq!(Some(view.part_start(a)), starts.iter().copied().filter(|&s| s <= a).max());
                let end = starts.iter().copied().filter(|&s| s > a).min().unwrap_or(span);
                prop_assert_eq!(view.part_end(a), end);
                prop_assert!(view.turn(a) && view.is_odd(a) && !view.turn(a));
            }
        }
    }
}
