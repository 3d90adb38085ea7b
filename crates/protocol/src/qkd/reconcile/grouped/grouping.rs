//! A second pass that takes the bits by how likely the first pass left them wrong.
//!
//! In the first pass, each block that was odd has been bisected down to two bits. What was not followed on the way
//! is even: one part of half the block, one of a quarter, and so on. Two errors hide less often in a short even
//! part than in a long one, so both ends know a great deal about where the errors are that are left. A parity
//! tells most if it is as likely odd as even, and so does a bisection if all bits of a block are equally
//! suspect. Hence bits of equal suspicion are put together, shuffled among each other only, and cut into blocks that
//! expect the same number of errors. The two bits at which a search ended are known and left out. (The idea of grouping by
//! confidence is that of Pacher et al., ISIT 2015.)

use bellwether_bits::Shuffle;
use libm::pow;
use zeroize::Zeroize;

/// The mark of a block of the first pass that was even.
pub(super) const EVEN: u16 = u16::MAX;

/// The order of such a pass.
pub(super) struct Grouping {
    /// Blocks of the first pass have two to this power bits.
    exponent: u32,
    /// For each block, [`EVEN`] or the pair of bits at which its search ended, counted in pairs from its start.
    pairs: Vec<u16>,
    /// The number of each block among those that are even, or among those that are not.
    ranks: Vec<u32>,
    /// The blocks that are even, then those that are not.
    blocks: Vec<u32>,
    /// By falling length of the parts.
    groups: Vec<Group>,
}

/// Bits whose smallest part is of one length.
struct Group {
    /// The parts have two to this power bits.
    exponent: u32,
    first_word: usize,
    /// Where the list of its blocks begins.
    first_block: usize,
    /// How many bits there are; the rest of the last word is zero at both ends.
    bits: usize,
    shuffle: Shuffle,
}

impl Grouping {
    /// The grouping that a first pass in blocks of `2^exponent` bits gives, and where its blocks begin if `errors`
    /// are to be expected in each. `rate` is the error rate before the first pass. The starts are followed by where
    /// the last block ends.
    pub(super) fn new(exponent: u32, pairs: &[u16], rate: f64, errors: f64, seed: u64) -> (Self, Vec<u32>) {
        let mut ranks = Vec::with_capacity(pairs.len());
        let (mut even, mut odd) = (Vec::with_capacity(pairs.len()), Vec::with_capacity(pairs.len()));
        for (block, &pair) in pairs.iter().enumerate() {
            let list = if pair == EVEN { &mut even } else { &mut odd };
            ranks.push(list.len() as u32);
            list.push(block as u32);
        }
        let mut groups = Vec::new();
        let mut starts = Vec::new();
        let mut first_word = 0;
        // How many errors the block that is open so far expects.
        let mut expected = errors;
        for class in (1..=exponent).rev() {
            let parts = if class == exponent { even.len() } else { odd.len() };
            let bits = parts << class;
            if bits == 0 {
                continue;
            }
            let words = bits.div_ceil(64);
            let suspicion = left_in_even_part(rate, class);
            let mut next = 0.0;
            loop {
                if expected < errors {
                    next += (errors - expected) / suspicion;
                }
                if next >= bits as f64 {
                    expected = errors - (next - bits as f64) * suspicion;
                    break;
                }
                starts.push((64 * first_word + next as usize) as u32);
                expected = 0.0;
            }
            let seed = seed.wrapping_add(u64::from(class) << 48);
            let first_block = if class == exponent { 0 } else { even.len() };
            groups.push(Group {
                exponent: class,
                first_word,
                first_block,
                bits,
                shuffle: Shuffle::new(words, seed),
            });
            first_word += words;
        }
        // A last block that expects few errors is a part of the one before.
        if starts.len() > 1 && expected < errors / 2.0 {
            starts.pop();
        }
        starts.dedup();
        starts.push((64 * first_word) as u32);
        let mut blocks = even;
        blocks.append(&mut odd);
        (Self { exponent, pairs: pairs.to_vec(), ranks, blocks, groups }, starts)
    }

    fn group(&self, exponent: u32) -> Option<&Group> {
        // All lengths occur, unless no block was even or none was odd.
        let first = self.groups.first()?.exponent;
        self.groups.get((first.checked_sub(exponent)?) as usize)
    }

    /// Where the bit is; `None` if it is left out.
    #[inline]
    pub(super) fn position(&self, bit: usize) -> Option<usize> {
        let block = bit >> self.exponent;
        let offset = bit & ((1 << self.exponent) - 1);
        // The parts that were not followed are those in which the highest differing digit is this one. Even blocks, whose
        // mark differs from all pairs in higher digits, are parts of the full length.
        let apart = offset ^ usize::from(*self.pairs.get(block)?) << 1;
        let class = (apart | 1).ilog2().min(self.exponent);
        if class == 0 {
            return None;
        }
        let group = self.group(class)?;
        let index = (self.ranks[block] as usize) << class | (offset & ((1 << class) - 1));
        Some(64 * group.first_word + group.shuffle.position(index))
    }

    /// Which bit is there; `None` if none is.
    #[inline]
    pub(super) fn origin(&self, position: usize) -> Option<usize> {
        let word = position / 64;
        let before: usize = self.groups.iter().map(|group| usize::from(group.first_word <= word)).sum();
        let group = self.groups.get(before.wrapping_sub(1))?;
        let local = position - 64 * group.first_word;
        if local >= 64 * group.shuffle.words() {
            return None;
        }
        let index = group.shuffle.origin(local);
        if index >= group.bits {
            return None;
        }
        let class = group.exponent;
        let block = self.blocks[group.first_block + (index >> class)];
        Some(self.part(block, class) | (index & ((1 << class) - 1)))
    }

    /// Where the part of `2^class` bits of a block begins.
    #[inline]
    fn part(&self, block: u32, class: u32) -> usize {
        let pair = usize::from(self.pairs[block as usize]);
        // Of an even block, which is a part of the full length, nothing is left by the mask.
        let start = (pair << 1 >> class ^ 1) << class & ((1 << self.exponent) - 1);
        (block as usize) << self.exponent | start
    }

    /// The parts of a group's bits.
    fn parts(&self, group: &Group) -> impl Iterator<Item = usize> {
        let class = group.exponent;
        let blocks = &self.blocks[group.first_block..][..group.bits >> class];
        blocks.iter().map(move |&block| self.part(block, class))
    }

    /// Puts the bits of `words` in order.
    pub(super) fn arrange(&self, words: &[u64], bits: &mut [u64], scratch: &mut Vec<u64>) {
        let mut packed = Vec::with_capacity(bits.len());
        for group in &self.groups {
            packed.clear();
            pack(words, self.parts(group), group.exponent, &mut packed);
            let place = group.first_word..group.first_word + packed.len();
            group.shuffle.apply(&packed, &mut bits[place], scratch);
        }
        packed.zeroize();
    }
}

/// Appends to `packed` the parts of `2^exponent` bits that begin at `starts`, one after the other.
fn pack(words: &[u64], starts: impl Iterator<Item = usize>, exponent: u32, packed: &mut Vec<u64>) {
    let word = |index: usize| words.get(index).copied().unwrap_or(0);
    if exponent >= 6 {
        let length = 1 << (exponent - 6);
        for start in starts {
            packed.extend((start / 64..start / 64 + length).map(word));
        }
        return;
    }
    let length = 1 << exponent;
    let mask = (1u64 << length) - 1;
    let (mut pending, mut filled) = (0u64, 0);
    for start in starts {
        pending |= (word(start / 64) >> (start % 64) & mask) << filled;
        filled += length;
        if filled == 64 {
            packed.push(pending);
            (pending, filled) = (0, 0);
        }
    }
    if filled > 0 {
        packed.push(pending);
    }
}

/// The probability that a bit is wrong if it lies in a part of `2^exponent` bits of which an even number are wrong,
/// each independently with probability `rate` before that was known.
pub(super) fn left_in_even_part(rate: f64, exponent: u32) -> f64 {
    let length = (1u64 << exponent) as f64;
    let balance = 1.0 - 2.0 * rate;
    rate * (1.0 - pow(balance, length - 1.0)) / (1.0 + pow(balance, length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_bit_that_is_not_known_has_its_place(
            exponent in 2u32..9,
            marks in prop::collection::vec(prop::option::of(any::<prop::sample::Index>()), 1..60),
            seed: u64,
            fill: u64,
        ) {
            let pairs: Vec<u16> = marks
                .iter()
                .map(|mark| mark.map_or(EVEN, |index| index.index(1 << (exponent - 1)) as u16))
                .collect();
            let bits = pairs.len() << exponent;
            let words: Vec<u64> =
                (0..bits.div_ceil(64) as u64).map(|i| fill.wrapping_mul(2 * i + 1).rotate_left(i as u32)).collect();
            let (grouping, starts) = Grouping::new(exponent, &pairs, 0.03, 3.0, seed);
            let span = *starts.last().unwrap() as usize;
            prop_assert!(starts.is_sorted() && starts[0] == 0);
            let mut arranged = vec![0; span / 64];
            grouping.arrange(&words, &mut arranged, &mut Vec::new());
            let mut taken = vec![false; span];
            for bit in 0..bits {
                let (block, offset) = (bit >> exponent, bit & ((1 << exponent) - 1));
                let known = pairs[block] != EVEN && offset / 2 == usize::from(pairs[block]);
                let place = grouping.position(bit);
                prop_assert_eq!(place.is_none(), known);
                let Some(place) = place else { continue };
                prop_assert!(!core::mem::replace(&mut taken[place], true));
                prop_assert_eq!(grouping.origin(place), Some(bit));
                prop_assert_eq!(arranged[place / 64] >> (place % 64) & 1, words[bit / 64] >> (bit % 64) & 1);
            }
            for place in (0..span).filter(|&place| !taken[place]) {
                prop_assert_eq!(grouping.origin(place), None);
                prop_assert_eq!(arranged[place / 64] >> (place % 64) & 1, 0);
            }
        }
    }

    /// By counting all patterns of errors in a part of eight bits.
    #[test]
    fn what_even_parts_leave_is_counted() {
        let rate: f64 = 0.11;
        let (mut even, mut wrong) = (0.0, 0.0);
        for pattern in 0u32..256 {
            let errors = pattern.count_ones() as i32;
            if errors % 2 == 0 {
                let probability = rate.powi(errors) * (1.0 - rate).powi(8 - errors);
                even += probability;
                wrong += probability * f64::from(pattern & 1);
            }
        }
        assert!((left_in_even_part(rate, 3) - wrong / even).abs() < 1e-12);
    }
}
