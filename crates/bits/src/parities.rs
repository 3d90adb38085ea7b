//! Counts and parities of parts of a bit string.
//!
//! None of them branches or looks up by the values of bits: running time depends on lengths, ranges and indices alone.

use crate::BitString;
use crate::arch::{Level, WordKernel};
use crate::bitstring::low_bits;
use core::ops::Range;

impl BitString {
    /// How many bits are one.
    pub fn count_ones(&self) -> usize {
        Level::for_words(self.words().len()).run(CountOnes(self.words()))
    }

    /// How many of the bits in `range` are one.
    pub fn count_ones_in(&self, range: Range<usize>) -> usize {
        let (edges, inner) = self.edges_and_inner(range);
        edges.iter().map(|word| word.count_ones() as usize).sum::<usize>()
            + Level::for_words(inner.len()).run(CountOnes(inner))
    }

    /// How many of the bits in `range` are one where `mask` is too.
    ///
    /// # Panics
    /// If the lengths differ or the range lies outside.
    pub fn count_ones_masked(&self, mask: &BitString, range: Range<usize>) -> usize {
        self.check_same_len(mask);
        let (edges, inner) = self.edges_and_inner(range.clone());
        let (mask_edges, mask_inner) = mask.edges_and_inner(range);
        let edges = edges.iter().zip(&mask_edges).map(|(a, b)| (a & b).count_ones() as usize);
        edges.sum::<usize>() + Level::for_words(inner.len()).run(CountBoth(inner, mask_inner))
    }

    /// In how many places the two differ.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn hamming_distance(&self, other: &BitString) -> usize {
        self.check_same_len(other);
        Level::for_words(self.words().len()).run(CountDifferent(self.words(), other.words()))
    }

    /// Whether the number of ones is odd.
    pub fn parity(&self) -> bool {
        Level::for_words(self.words().len()).run(Fold(self.words())).count_ones() % 2 == 1
    }

    /// Whether the number of ones in `range` is odd.
    pub fn parity_of_range(&self, range: Range<usize>) -> bool {
        let ([head, tail], inner) = self.edges_and_inner(range);
        (head ^ tail ^ Level::for_words(inner.len()).run(Fold(inner))).count_ones() % 2 == 1
    }

    /// Whether the number of ones in `range` is odd, counting only where `mask` is one too.
    ///
    /// # Panics
    /// If the lengths differ or the range lies outside.
    pub fn parity_masked(&self, mask: &BitString, range: Range<usize>) -> bool {
        self.check_same_len(mask);
        let ([head, tail], inner) = self.edges_and_inner(range.clone());
        let ([mask_head, mask_tail], mask_inner) = mask.edges_and_inner(range);
        let sum = head & mask_head
            ^ tail & mask_tail
            ^ Level::for_words(inner.len()).run(FoldBoth(inner, mask_inner));
        sum.count_ones() % 2 == 1
    }

    /// The parity of each block of 2^`log` bits, the last of which may be shorter.
    ///
    /// ```
    /// use bellwether_bits::BitString;
    ///
    /// let bits = BitString::from_bytes(&[0b1011_0001, 0b11], 10);
    /// assert_eq!(bits.block_parities(2), BitString::from_bytes(&[0b011], 3)); // 0001, 1011, 11
    /// ```
    ///
    /// # Panics
    /// If `log` is 64 or above.
    pub fn block_parities(&self, log: u32) -> BitString {
        assert!(log < 64, "blocks of 2^{log} bits");
        let count = ((self.len() as u64).div_ceil(1 << log)) as usize;
        let words =
            Level::for_words(self.words().len()).run(BlockParities { words: self.words(), log, count });
        Self::from_words(words, count)
    }

    /// For every bit the parity of all bits up to it, itself included.
    pub fn prefix_parities(&self) -> BitString {
        Self::from_words(Level::for_words(self.words().len()).run(PrefixParities(self.words())), self.len())
    }

    /// The parity of the bits at `indices`; an index that occurs twice counts twice.
    ///
    /// # Panics
    /// If an index lies outside.
    pub fn parity_of(&self, indices: &[u32]) -> bool {
        indices.iter().fold(false, |sum, &index| sum ^ self.get(index as usize))
    }

    /// The parities of several sets of indices, where set i is `indices[ends[i - 1]..ends[i]]` and the first begins
    /// at 0.
    ///
    /// # Panics
    /// If the ends fall or exceed the indices, or an index lies outside.
    pub fn parities_of(&self, indices: &[u32], ends: &[usize]) -> BitString {
        let mut parities = BitString::with_capacity(ends.len());
        let mut start = 0;
        for &end in ends {
            parities.push(self.parity_of(&indices[start..end]));
            start = end;
        }
        parities
    }

    /// The bits of the first and the last word of a range, zeros outside, and the words between.
    fn edges_and_inner(&self, range: Range<usize>) -> ([u64; 2], &[u64]) {
        self.check_range(&range);
        if range.is_empty() {
            return ([0; 2], &[]);
        }
        let (first, last) = (range.start / 64, (range.end - 1) / 64);
        let head = !low_bits(range.start % 64);
        let tail = low_bits(range.end - last * 64);
        let words = self.words();
        if first == last {
            return ([words[first] & head & tail, 0], &[]);
        }
        ([words[first] & head, words[last] & tail], &words[first + 1..last])
    }
}

struct CountOnes<'a>(&'a [u64]);

impl WordKernel for CountOnes<'_> {
    type Output = usize;

    #[inline(always)]
    fn run(self) -> usize {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum::<u64>() as usize
    }
}

struct CountBoth<'a>(&'a [u64], &'a [u64]);

impl WordKernel for CountBoth<'_> {
    type Output = usize;

    #[inline(always)]
    fn run(self) -> usize {
        self.0.iter().zip(self.1).map(|(a, b)| u64::from((a & b).count_ones())).sum::<u64>() as usize
    }
}

struct CountDifferent<'a>(&'a [u64], &'a [u64]);

impl WordKernel for CountDifferent<'_> {
    type Output = usize;

    #[inline(always)]
    fn run(self) -> usize {
        self.0.iter().zip(self.1).map(|(a, b)| u64::from((a ^ b).count_ones())).sum::<u64>() as usize
    }
}

/// The sum of all words, bit by bit.
struct Fold<'a>(&'a [u64]);

impl WordKernel for Fold<'_> {
    type Output = u64;

    #[inline(always)]
    fn run(self) -> u64 {
        self.0.iter().fold(0, |sum, word| sum ^ word)
    }
}

/// The sum of what pairs of words have in common.
struct FoldBoth<'a>(&'a [u64], &'a [u64]);

impl WordKernel for FoldBoth<'_> {
    type Output = u64;

    #[inline(always)]
    fn run(self) -> u64 {
        self.0.iter().zip(self.1).fold(0, |sum, (a, b)| sum ^ a & b)
    }
}

struct BlockParities<'a> {
    words: &'a [u64],
    log: u32,
    /// How many blocks there are.
    count: usize,
}

impl WordKernel for BlockParities<'_> {
    type Output = Vec<u64>;

    #[inline(always)]
    fn run(self) -> Vec<u64> {
        let mut parities = vec![0; self.count.div_ceil(64)];
        if let Some(log) = self.log.checked_sub(6) {
            for (place, block) in self.words.chunks(1 << log).enumerate() {
                let sum = block.iter().fold(0, |sum, word| sum ^ word);
                parities[place / 64] |= u64::from(sum.count_ones() % 2) << (place % 64);
            }
            return parities;
        }
        // With the length known, the steps of packing are a straight line of code.
        match self.log {
            0 => self.within_words::<0>(&mut parities),
            1 => self.within_words::<1>(&mut parities),
            2 => self.within_words::<2>(&mut parities),
            3 => self.within_words::<3>(&mut parities),
            4 => self.within_words::<4>(&mut parities),
            _ => self.within_words::<5>(&mut parities),
        }
        parities
    }
}

impl BlockParities<'_> {
    /// Blocks of 2^`LOG` bits, at most half a word: 2^`LOG` words fill one of parities.
    #[inline(always)]
    fn within_words<const LOG: u32>(&self, parities: &mut [u64]) {
        for (parities, words) in parities.iter_mut().zip(self.words.chunks(1 << LOG)) {
            for (place, &word) in words.iter().enumerate() {
                *parities |= pack::<LOG>(word) << (place * (64 >> LOG));
            }
        }
    }
}

/// The parities of the blocks of 2^`LOG` bits of a word, side by side; `LOG` is below 6.
#[inline(always)]
fn pack<const LOG: u32>(mut word: u64) -> u64 {
    // Bit 0 of each block becomes its parity.
    for shift in 0..LOG {
        word ^= word >> (1 << shift);
    }
    word &= low_of_every::<LOG>(0);
    // Groups of 2^group parities, one in each 2^(group + LOG) bits, become groups of twice as many.
    for group in 0..if LOG == 0 { 0 } else { 6 - LOG } {
        word = (word | word >> ((1 << (group + LOG)) - (1 << group))) & low_of_every::<LOG>(group + 1);
    }
    word
}

/// Ones at the low 2^`group` of every 2^(`group` + `LOG`) bits.
#[inline(always)]
const fn low_of_every<const LOG: u32>(group: u32) -> u64 {
    let mut mask = low_bits(1 << group);
    let mut shift = group + LOG;
    while shift < 6 {
        mask |= mask << (1 << shift);
        shift += 1;
    }
    mask
}

struct PrefixParities<'a>(&'a [u64]);

impl WordKernel for PrefixParities<'_> {
    type Output = Vec<u64>;

    #[inline(always)]
    fn run(self) -> Vec<u64> {
        let mut parities = self.0.to_vec();
        for word in &mut parities {
            for shift in 0..6 {
                *word ^= *word << (1 << shift);
            }
        }
        let mut before = 0;
        for word in &mut parities {
            *word ^= before;
            // All ones if the parity of everything so far is odd.
            before = (*word >> 63).wrapping_neg();
        }
        parities
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_units::{EntityId, Purpose, Stream};

    /// Strings of the lengths where words begin and end, random, all ones, all zeros and with single ones.
    fn strings() -> Vec<BitString> {
        let mut stream = Stream::new(1, EntityId(0), Purpose::named("parities"));
        let mut strings = Vec::new();
        for len in [0, 1, 2, 63, 64, 65, 127, 128, 129, 511, 512, 513, 1000, 4096, 5000] {
            strings.push(BitString::zeros(len));
            strings.push(BitString::zeros(len).not());
            strings.push(BitString::random(len, &mut stream));
            for place in [0, len / 2, len.saturating_sub(1)] {
                let mut single = BitString::zeros(len);
                if place < len {
                    single.set(place, true);
                }
                strings.push(single);
            }
        }
        strings
    }

    fn ranges(len: usize) -> Vec<Range<usize>> {
        let places = [0, 1, 63, 64, 65, len / 2, len.saturating_sub(65), len.saturating_sub(1), len];
        let places: Vec<usize> = places.into_iter().filter(|&place| place <= len).collect();
        let mut ranges = Vec::new();
        for &start in &places {
            ranges.extend(places.iter().filter(|&&end| end >= start).map(|&end| start..end));
        }
        ranges
    }

    fn ones(bits: &BitString, range: Range<usize>) -> usize {
        range.filter(|&i| bits.get(i)).count()
    }

    #[test]
    fn ranges_are_counted_as_bit_by_bit() {
        let mut stream = Stream::new(2, EntityId(0), Purpose::named("parities"));
        for bits in strings() {
            let mask = BitString::random(bits.len(), &mut stream);
            let both = bits.and(&mask);
            assert_eq!(bits.count_ones(), ones(&bits, 0..bits.len()));
            assert_eq!(bits.parity(), ones(&bits, 0..bits.len()) % 2 == 1);
            for range in ranges(bits.len()) {
                let (plain, masked) = (ones(&bits, range.clone()), ones(&both, range.clone()));
                assert_eq!(bits.count_ones_in(range.clone()), plain);
                assert_eq!(bits.parity_of_range(range.clone()), plain % 2 == 1);
                assert_eq!(bits.count_ones_masked(&mask, range.clone()), masked);
                assert_eq!(bits.parity_masked(&mask, range), masked % 2 == 1);
            }
        }
    }

    #[test]
    fn blocks_and_prefixes_have_the_parities_of_their_bits() {
        for bits in strings() {
            for log in (0..14).chain([63]) {
                let parities = bits.block_parities(log);
                assert_eq!(parities.len() as u64, (bits.len() as u64).div_ceil(1 << log));
                for block in 0..parities.len() {
                    let start = block << log.min(20);
                    let end = bits.len().min(start.saturating_add(1 << log));
                    assert_eq!(parities.get(block), ones(&bits, start..end) % 2 == 1, "2^{log}, {block}");
                }
            }
            let prefixes = bits.prefix_parities();
            let mut parity = false;
            for i in 0..bits.len() {
                parity ^= bits.get(i);
                assert_eq!(prefixes.get(i), parity);
            }
        }
    }

    #[test]
    fn sets_of_indices_have_the_parities_of_their_bits() {
        let mut stream = Stream::new(3, EntityId(0), Purpose::named("parities"));
        for bits in strings().into_iter().filter(|bits| !bits.is_empty()) {
            let indices: Vec<u32> = (0..200).map(|_| stream.below(bits.len() as u64) as u32).collect();
            let ends = [0, 1, 1, 65, 128, 200];
            let gathered = bits.gather(&indices);
            assert!(
                indices.iter().enumerate().all(|(i, &index)| gathered.get(i) == bits.get(index as usize))
            );
            let parities = bits.parities_of(&indices, &ends);
            let mut start = 0;
            for (set, end) in ends.into_iter().enumerate() {
                assert_eq!(parities.get(set), ones(&gathered, start..end) % 2 == 1);
                start = end;
            }
        }
    }

    #[test]
    fn instruction_sets_agree() {
        let strings = strings();
        for bits in &strings {
            // From the second word on, so that vectors are loaded from where they do not begin.
            for words in [bits.words(), bits.words().get(1..).unwrap_or(&[])] {
                let other: Vec<u64> = words.iter().map(|word| word.rotate_left(7) ^ 0x5a).collect();
                let everything = |level: Level| {
                    let blocks = (0..14).map(|log| {
                        let count = (words.len() * 64).div_ceil(1 << log);
                        level.run(BlockParities { words, log, count })
                    });
                    (
                        level.run(CountOnes(words)),
                        level.run(CountBoth(words, &other)),
                        level.run(CountDifferent(words, &other)),
                        level.run(Fold(words)),
                        level.run(FoldBoth(words, &other)),
                        level.run(PrefixParities(words)),
                        blocks.collect::<Vec<_>>(),
                    )
                };
                for level in Level::all() {
                    assert_eq!(everything(level), everything(Level::Portable), "{level:?}");
                }
            }
        }
    }

    #[test]
    fn what_was_selected_expands_to_where_it_was() {
        let mut stream = Stream::new(4, EntityId(0), Purpose::named("parities"));
        for mask in strings() {
            let bits = BitString::random(mask.len(), &mut stream);
            assert_eq!(bits.select(&mask).expand(&mask), bits.and(&mask));
        }
    }

    #[test]
    #[should_panic(expected = "3 bits for a mask with 4 ones")]
    fn too_few_bits_are_not_expanded() {
        BitString::zeros(3).expand(&BitString::from_bytes(&[0b1111], 8));
    }
}
