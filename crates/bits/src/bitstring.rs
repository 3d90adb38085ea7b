//! Packed bit strings.

use core::fmt;
use core::ops::Range;
use rand_core::Rng;
use zeroize::Zeroize;

/// A packed string of bits.
///
/// Bit `i` is bit `i % 64` (counted from the least significant) of word `i / 64`. Bits of the last word
/// beyond the length are always zero, so that equality and counting work on whole words.
///
/// Methods that take an index or a range panic when it lies outside the string, as slices do: an index that
/// came from a peer must be checked before. `Debug` shows the length alone, never the bits.
///
/// ```
/// use bellwether_bits::BitString;
///
/// let sifted = BitString::from_bytes(&[0b1011_0101], 8);
/// let kept = BitString::from_bytes(&[0b0000_1111], 8);
/// assert_eq!(sifted.select(&kept), BitString::from_bytes(&[0b0101], 4));
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct BitString {
    words: Vec<u64>,
    len: usize,
}

/// The low `count` bits set (`count` at most 64).
pub(crate) const fn low_bits(count: usize) -> u64 {
    if count >= 64 { u64::MAX } else { (1 << count) - 1 }
}

impl BitString {
    /// `len` zero bits.
    pub fn zeros(len: usize) -> Self {
        Self { words: vec![0; len.div_ceil(64)], len }
    }

    /// An empty string with room for `bits` bits.
    pub fn with_capacity(bits: usize) -> Self {
        Self { words: Vec::with_capacity(bits.div_ceil(64)), len: 0 }
    }

    /// The first `len` bits of `words`.
    ///
    /// # Panics
    /// If `words` holds fewer than `len` bits.
    pub fn from_words(mut words: Vec<u64>, len: usize) -> Self {
        let needed = len.div_ceil(64);
        assert!(words.len() >= needed, "{} words hold fewer than {len} bits", words.len());
        words.truncate(needed);
        let mut bits = Self { words, len };
        bits.clear_unused();
        bits
    }

    /// The first `len` bits of `bytes`; bit `i` is bit `i % 8` of byte `i / 8`.
    ///
    /// # Panics
    /// If `bytes` holds fewer than `len` bits. For bytes from a peer there is [`decode`](Self::decode).
    pub fn from_bytes(bytes: &[u8], len: usize) -> Self {
        let needed = len.div_ceil(8);
        assert!(bytes.len() >= needed, "{} bytes hold fewer than {len} bits", bytes.len());
        let mut words = Vec::with_capacity(len.div_ceil(64));
        for chunk in bytes[..needed].chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            words.push(u64::from_le_bytes(word));
        }
        Self::from_words(words, len)
    }

    /// As [`from_bytes`](Self::from_bytes), but `None` unless `bytes` is exactly the canonical encoding of
    /// `len` bits: no byte too few or too many, and unused bits of the last byte zero.
    pub fn decode(bytes: &[u8], len: usize) -> Option<Self> {
        if bytes.len() != len.div_ceil(8) {
            return None;
        }
        if let Some(last) = bytes.last()
            && !len.is_multiple_of(8)
            && last >> (len % 8) != 0
        {
            return None;
        }
        Some(Self::from_bytes(bytes, len))
    }

    /// `len` random bits.
    pub fn random(len: usize, rng: &mut dyn Rng) -> Self {
        let words = (0..len.div_ceil(64)).map(|_| rng.next_u64()).collect();
        Self::from_words(words, len)
    }

    /// The bits as bytes, in the order of [`from_bytes`](Self::from_bytes); unused bits of the last are zero.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.words.len() * 8);
        for word in &self.words {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.truncate(self.len.div_ceil(8));
        bytes
    }

    /// The packed words; unused bits of the last are zero.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// How many bits it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds no bit.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bits it can hold without moving.
    pub(crate) fn capacity(&self) -> usize {
        self.words.capacity().saturating_mul(64)
    }

    /// Bit `index`.
    #[inline]
    pub fn get(&self, index: usize) -> bool {
        self.check_index(index);
        self.words[index / 64] >> (index % 64) & 1 == 1
    }

    /// Sets bit `index` to `bit`.
    #[inline]
    pub fn set(&mut self, index: usize, bit: bool) {
        self.check_index(index);
        let word = &mut self.words[index / 64];
        *word = *word & !(1 << (index % 64)) | u64::from(bit) << (index % 64);
    }

    /// Inverts bit `index`.
    #[inline]
    pub fn flip(&mut self, index: usize) {
        self.check_index(index);
        self.words[index / 64] ^= 1 << (index % 64);
    }

    /// Appends one bit.
    #[inline]
    pub fn push(&mut self, bit: bool) {
        self.push_bits(u64::from(bit), 1);
    }

    /// Appends the low `count` bits of `word`, least significant first.
    ///
    /// # Panics
    /// If `count` is above 64.
    #[inline]
    pub fn push_bits(&mut self, word: u64, count: usize) {
        assert!(count <= 64, "a word has 64 bits, not {count}");
        if count == 0 {
            return;
        }
        let word = word & low_bits(count);
        let used = self.len % 64;
        if used == 0 {
            self.words.push(word);
        } else {
            if let Some(last) = self.words.last_mut() {
                *last |= word << used;
            }
            if used + count > 64 {
                self.words.push(word >> (64 - used));
            }
        }
        self.len += count;
    }

    /// Appends all of `other`.
    pub fn extend_from(&mut self, other: &BitString) {
        self.extend_from_range(other, 0..other.len);
    }

    /// Appends the bits of `other` in `range`.
    pub fn extend_from_range(&mut self, other: &BitString, range: Range<usize>) {
        other.check_range(&range);
        let count = range.len();
        self.words.reserve((self.len + count).div_ceil(64) - self.words.len());
        if self.len.is_multiple_of(64) && range.start.is_multiple_of(64) {
            let first = range.start / 64;
            self.words.extend_from_slice(&other.words[first..first + count.div_ceil(64)]);
            self.len += count;
            self.clear_unused();
            return;
        }
        let mut at = range.start;
        while at < range.end {
            let step = (range.end - at).min(64);
            self.push_bits(other.word_at(at), step);
            at += step;
        }
    }

    /// A copy of the bits in `range`.
    pub fn slice(&self, range: Range<usize>) -> BitString {
        let mut out = Self::with_capacity(range.len());
        out.extend_from_range(self, range);
        out
    }

    /// Keeps the first `len` bits; does nothing if it is no longer than that.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len {
            self.words.truncate(len.div_ceil(64));
            self.len = len;
            self.clear_unused();
        }
    }

    /// Removes all bits and keeps the memory. It does not wipe: see [`Zeroize`].
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Adds `other` modulo 2, bit by bit.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn xor_with(&mut self, other: &BitString) {
        self.check_same_len(other);
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word ^= other;
        }
    }

    /// The bits that are one in both.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn and(&self, other: &BitString) -> BitString {
        self.check_same_len(other);
        let words = self.words.iter().zip(&other.words).map(|(a, b)| a & b).collect();
        Self { words, len: self.len }
    }

    /// The inverse of every bit.
    pub fn not(&self) -> BitString {
        let mut out = Self { words: self.words.iter().map(|word| !word).collect(), len: self.len };
        out.clear_unused();
        out
    }

    /// The positions of the ones, rising.
    pub fn iter_ones(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(index, &word)| {
            let mut rest = word;
            core::iter::from_fn(move || {
                if rest == 0 {
                    return None;
                }
                let bit = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                Some(index * 64 + bit)
            })
        })
    }

    /// 64 bits from position `at` on, with zeros after the end.
    #[inline]
    pub(crate) fn word_at(&self, at: usize) -> u64 {
        let (index, shift) = (at / 64, at % 64);
        let low = self.words.get(index).copied().unwrap_or(0) >> shift;
        if shift == 0 {
            return low;
        }
        low | self.words.get(index + 1).copied().unwrap_or(0) << (64 - shift)
    }

    /// Sets the bits in `range` to zero.
    pub(crate) fn clear_range(&mut self, range: Range<usize>) {
        self.check_range(&range);
        let mut at = range.start;
        while at < range.end {
            let count = (64 - at % 64).min(range.end - at);
            self.words[at / 64] &= !(low_bits(count) << (at % 64));
            at += count;
        }
    }

    fn clear_unused(&mut self) {
        if !self.len.is_multiple_of(64)
            && let Some(last) = self.words.last_mut()
        {
            *last &= low_bits(self.len % 64);
        }
    }

    #[inline]
    pub(crate) fn check_index(&self, index: usize) {
        assert!(index < self.len, "bit {index} of a string of {}", self.len);
    }

    #[inline]
    pub(crate) fn check_range(&self, range: &Range<usize>) {
        assert!(
            range.start <= range.end && range.end <= self.len,
            "bits {}..{} of a string of {}",
            range.start,
            range.end,
            self.len
        );
    }

    pub(crate) fn check_same_len(&self, other: &BitString) {
        assert!(self.len == other.len, "strings of {} and {} bits", self.len, other.len);
    }
}

impl fmt::Debug for BitString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BitString({} bits)", self.len)
    }
}

impl Zeroize for BitString {
    /// Wipes the bits and empties the string.
    fn zeroize(&mut self) {
        self.words.zeroize();
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_units::{EntityId, Purpose, Stream};
    use proptest::prelude::*;

    fn from_bools(bits: &[bool]) -> BitString {
        let mut out = BitString::default();
        bits.iter().for_each(|&bit| out.push(bit));
        out
    }

    fn to_bools(bits: &BitString) -> Vec<bool> {
        (0..bits.len()).map(|i| bits.get(i)).collect()
    }

    fn unused_bits_are_zero(bits: &BitString) -> bool {
        bits.words().len() == bits.len().div_ceil(64)
            && bits.words().iter().map(|word| word.count_ones() as usize).sum::<usize>()
                == to_bools(bits).iter().filter(|&&bit| bit).count()
    }

    fn bools() -> impl Strategy<Value = Vec<bool>> {
        prop::collection::vec(any::<bool>(), 0..400)
    }

    fn bools_and_range() -> impl Strategy<Value = (Vec<bool>, Range<usize>)> {
        bools().prop_flat_map(|bits| {
            let len = bits.len();
            (Just(bits), 0..=len, 0..=len).prop_map(|(bits, a, b)| (bits, a.min(b)..a.max(b)))
        })
    }

    proptest! {
        #[test]
        fn bytes_and_words_go_there_and_back(list in bools()) {
            let bits = from_bools(&list);
            prop_assert_eq!(&to_bools(&bits), &list);
            prop_assert_eq!(&BitString::from_bytes(&bits.to_bytes(), bits.len()), &bits);
            prop_assert_eq!(&BitString::decode(&bits.to_bytes(), bits.len()).unwrap(), &bits);
            prop_assert_eq!(&BitString::from_words(bits.words().to_vec(), bits.len()), &bits);
            prop_assert!(unused_bits_are_zero(&bits));
        }

        #[test]
        fn ranges_agree_with_lists((list, range) in bools_and_range(), prefix in bools()) {
            let bits = from_bools(&list);
            let part = &list[range.clone()];
            let ones = part.iter().filter(|&&bit| bit).count();
            prop_assert_eq!(to_bools(&bits.slice(range.clone())), part);
            prop_assert_eq!(bits.count_ones_in(range.clone()), ones);
            prop_assert_eq!(bits.parity_of_range(range.clone()), ones % 2 == 1);

            let mut joined = from_bools(&prefix);
            joined.extend_from_range(&bits, range.clone());
            prop_assert_eq!(to_bools(&joined), [&prefix, part].concat());
            prop_assert!(unused_bits_are_zero(&joined));

            let mut cleared = bits.clone();
            cleared.clear_range(range.clone());
            prop_assert_eq!(cleared.count_ones(), bits.count_ones() - ones);
            prop_assert_eq!(cleared.count_ones_in(range.clone()), 0);

            let mut cut = bits.clone();
            cut.truncate(range.start);
            prop_assert_eq!(to_bools(&cut), &list[..range.start]);
            prop_assert!(unused_bits_are_zero(&cut));
        }

        #[test]
        fn pairs_agree_with_lists(pairs in prop::collection::vec(any::<(bool, bool)>(), 0..400)) {
            let (first, second): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
            let (a, b) = (from_bools(&first), from_bools(&second));
            let mut sum = a.clone();
            sum.xor_with(&b);
            prop_assert_eq!(to_bools(&sum), pairs.iter().map(|(x, y)| x ^ y).collect::<Vec<_>>());
            prop_assert_eq!(to_bools(&a.and(&b)), pairs.iter().map(|(x, y)| x & y).collect::<Vec<_>>());
            prop_assert_eq!(to_bools(&a.not()), first.iter().map(|x| !x).collect::<Vec<_>>());
            prop_assert_eq!(a.hamming_distance(&b), sum.count_ones());
            prop_assert_eq!(a.parity(), a.count_ones() % 2 == 1);
            let kept: Vec<bool> = pairs.iter().filter(|(_, keep)| *keep).map(|(bit, _)| *bit).collect();
            prop_assert_eq!(a.select(&b), from_bools(&kept));
            let ones: Vec<usize> = (0..a.len()).filter(|&i| first[i]).collect();
            prop_assert_eq!(a.iter_ones().collect::<Vec<_>>(), ones);
            for (i, &bit) in first.iter().enumerate().take(3) {
                let mut changed = a.clone();
                changed.flip(i);
                prop_assert_eq!(changed.get(i), !bit);
                changed.set(i, bit);
                prop_assert_eq!(&changed, &a);
            }
        }

        #[test]
        fn words_are_pushed_at_any_offset(pieces in prop::collection::vec((any::<u64>(), 0usize..=64), 0..20)) {
            let mut bits = BitString::default();
            let mut list = Vec::new();
            for (word, count) in pieces {
                bits.push_bits(word, count);
                list.extend((0..count).map(|i| word >> i & 1 == 1));
            }
            prop_assert_eq!(to_bools(&bits), list);
            prop_assert!(unused_bits_are_zero(&bits));
        }
    }

    #[test]
    fn only_the_canonical_encoding_is_decoded() {
        assert!(BitString::decode(&[0xff, 0x01], 9).is_some());
        assert!(BitString::decode(&[0xff, 0x03], 9).is_none(), "an unused bit is set");
        assert!(BitString::decode(&[0xff], 9).is_none(), "too short");
        assert!(BitString::decode(&[0xff, 0x01, 0], 9).is_none(), "too long");
        assert!(BitString::decode(&[], usize::MAX).is_none());
        assert_eq!(BitString::decode(&[], 0), Some(BitString::default()));
    }

    #[test]
    fn random_bits_are_balanced() {
        let mut stream = Stream::new(1, EntityId(0), Purpose::named("bits"));
        let ones = BitString::random(1_000_001, &mut stream).count_ones() as f64;
        assert!((ones - 500_000.5).abs() < 5.0 * 500.0, "{ones} ones; five standard deviations are 2500");
    }

    #[test]
    fn debug_shows_no_bits() {
        assert_eq!(format!("{:?}", BitString::from_bytes(&[0xff], 7)), "BitString(7 bits)");
    }
}
