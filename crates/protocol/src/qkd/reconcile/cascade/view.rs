//! One frame as one pass sees it: shuffled bits, and the parts into which searches have split its blocks.
//!
//! Every boundary between parts was made by a block's edge or by a parity that the server disclosed, so the
//! server's parity of each part is known to both ends. Each part that is split once more costs one parity,
//! and no parity is ever disclosed twice.

use super::plan::Pass;
use zeroize::Zeroize;

/// The shuffled bits of a frame and its parts. Wiped when dropped.
pub(super) struct View {
    bits: Vec<u64>,
    /// Bit `w` is the parity of word `w` of `bits`.
    parities: Vec<u64>,
    /// A part begins at each set bit.
    cuts: Vec<u64>,
    /// Bit `w` is set if word `w` of `cuts` is not zero.
    cut_words: Vec<u64>,
    span: usize,
}

impl Drop for View {
    fn drop(&mut self) {
        self.bits.zeroize();
        self.parities.zeroize();
    }
}

/// The low `count` bits set (`count` below 64).
#[inline]
fn low(count: usize) -> u64 {
    (1 << count) - 1
}

#[inline]
fn odd(word: u64) -> bool {
    word.count_ones() & 1 == 1
}

impl View {
    /// The view of a frame's `words`, cut into the blocks of `pass`.
    pub(super) fn new(pass: &Pass, words: &[u64], scratch: &mut Vec<u64>) -> Self {
        let mut bits = vec![0; words.len()];
        match &pass.shuffle {
            None => bits.copy_from_slice(words),
            Some(shuffle) => shuffle.apply(words, &mut bits, scratch),
        }
        let summary = words.len().div_ceil(64);
        let mut parities = vec![0; summary];
        for (sum, chunk) in parities.iter_mut().zip(bits.chunks(64)) {
            for (place, &word) in chunk.iter().enumerate() {
                *sum |= u64::from(odd(word)) << place;
            }
        }
        let mut view =
            Self { bits, parities, cuts: vec![0; words.len()], cut_words: vec![0; summary], span: pass.span };
        for block in 0..pass.blocks {
            view.cut(pass.block_range(block).start);
        }
        view
    }

    pub(super) fn span(&self) -> usize {
        self.span
    }

    /// The parity of the positions from `start` to `end`.
    #[inline]
    pub(super) fn parity(&self, start: usize, end: usize) -> bool {
        let (first, last) = (start / 64, end / 64);
        if first == last {
            return odd(self.bits[first] >> (start % 64) & low(end - start));
        }
        let mut sum = self.bits[first] >> (start % 64);
        if !end.is_multiple_of(64) {
            sum ^= self.bits[last] & low(end % 64);
        }
        odd(sum) ^ (first + 1 < last && range_parity(&self.parities, first + 1, last))
    }

    /// Where the part that holds `position` begins.
    #[inline]
    pub(super) fn part_start(&self, position: usize) -> usize {
        let word = position / 64;
        let here = self.cuts[word] & (u64::MAX >> (63 - position % 64));
        if here != 0 {
            return word * 64 + here.ilog2() as usize;
        }
        let mut summary = word / 64;
        let mut words = self.cut_words[summary] & low(word % 64);
        while words == 0 {
            // A part begins at position 0, so this ends.
            summary -= 1;
            words = self.cut_words[summary];
        }
        let word = summary * 64 + words.ilog2() as usize;
        word * 64 + self.cuts[word].ilog2() as usize
    }

    /// Where the part that holds `position` ends.
    #[inline]
    pub(super) fn part_end(&self, position: usize) -> usize {
        let next = position + 1;
        if next >= self.span {
            return self.span;
        }
        let word = next / 64;
        let here = self.cuts[word] >> (next % 64);
        if here != 0 {
            return next + here.trailing_zeros() as usize;
        }
        let mut summary = word / 64;
        let mut words = self.cut_words[summary] & !(low(word % 64) << 1 | 1);
        loop {
            if words != 0 {
                let word = summary * 64 + words.trailing_zeros() as usize;
                return word * 64 + self.cuts[word].trailing_zeros() as usize;
            }
            summary += 1;
            match self.cut_words.get(summary) {
                Some(&next) => words = next,
                None => return self.span,
            }
        }
    }

    /// Whether a part begins at `position`.
    #[inline]
    pub(super) fn is_cut(&self, position: usize) -> bool {
        self.cuts[position / 64] >> (position % 64) & 1 == 1
    }

    /// Lets a part begin at `position`; false if one did already.
    #[inline]
    pub(super) fn cut(&mut self, position: usize) -> bool {
        let (word, bit) = (position / 64, 1 << (position % 64));
        let fresh = self.cuts[word] & bit == 0;
        self.cuts[word] |= bit;
        self.cut_words[word / 64] |= 1 << (word % 64);
        fresh
    }

    #[inline]
    pub(super) fn flip(&mut self, position: usize) {
        let word = position / 64;
        self.bits[word] ^= 1 << (position % 64);
        self.parities[word / 64] ^= 1 << (word % 64);
    }
}

/// The parity of the bits from `start` to `end` of `words`, where `start < end`.
#[inline]
fn range_parity(words: &[u64], start: usize, end: usize) -> bool {
    let (first, last) = (start / 64, (end - 1) / 64);
    let head = u64::MAX << (start % 64);
    let tail = u64::MAX >> (63 - (end - 1) % 64);
    if first == last {
        return odd(words[first] & head & tail);
    }
    let middle = words[first + 1..last].iter().fold(0, |sum, word| sum ^ word);
    odd(middle ^ (words[first] & head) ^ (words[last] & tail))
}

/// The parity of the bits of `words` under `mask`.
pub(super) fn masked_parity(words: &[u64], mask: &[u64]) -> bool {
    odd(words.iter().zip(mask).fold(0, |sum, (word, mask)| sum ^ (word & mask)))
}

/// Where a search splits the part from `start` to `end`: the first half is the shorter one.
#[inline]
pub(super) fn middle(start: u32, end: u32) -> u32 {
    start + (end - start) / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_view_answers_as_counting_by_hand_does(
            words in prop::collection::vec(any::<u64>(), 1..200),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
            places in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 40),
            short in 0usize..63,
        ) {
            let span = words.len() * 64 - short;
            let pass = Pass { block: span.div_ceil(3), span, blocks: 3, shuffle: None, half: None };
            let mut view = View::new(&pass, &words, &mut Vec::new());
            let mut starts: Vec<usize> = (0..3).map(|block| pass.block_range(block).start).collect();
            for cut in cuts {
                let cut = cut.index(span);
                prop_assert_eq!(view.cut(cut), !starts.contains(&cut));
                starts.push(cut);
            }
            let mut words = words;
            for (a, b) in places {
                let (a, b) = (a.index(span), b.index(span + 1));
                view.flip(a);
                words[a / 64] ^= 1 << (a % 64);
                let (start, end) = (a.min(b), a.max(b));
                let ones = (start..end).filter(|&bit| words[bit / 64] >> (bit % 64) & 1 == 1).count();
                prop_assert_eq!(view.parity(start, end), ones % 2 == 1);
                prop_assert_eq!(Some(view.part_start(a)), starts.iter().copied().filter(|&s| s <= a).max());
                let end = starts.iter().copied().filter(|&s| s > a).min().unwrap_or(span);
                prop_assert_eq!(view.part_end(a), end);
                prop_assert_eq!(view.is_cut(a), starts.contains(&a));
            }
        }
    }
}
