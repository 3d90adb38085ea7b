//! Bits that are secret: erased when dropped, compared in constant time, never printed.

use bellwether_units::{EntityId, Purpose, Stream};
use core::fmt;
use rand_core::Rng;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// A string of secret bits. Bit `i` is bit `i % 64` of word `i / 64`; bits past the end are zero.
///
/// ```
/// use bellwether_protocol::keys::SecretBits;
///
/// let mut a = SecretBits::from_words(vec![0b1011], 4);
/// a.xor(&SecretBits::from_words(vec![0b0110], 4));
/// assert!(a == SecretBits::from_words(vec![0b1101], 4));
/// assert_eq!(format!("{a:?}"), "SecretBits(4 bits)");
/// ```
#[derive(Clone, Default, Zeroize, ZeroizeOnDrop)]
pub struct SecretBits {
    words: Vec<u64>,
    len: usize,
}

impl SecretBits {
    /// No bits, with room for `bits`, so that appending leaves no copy behind.
    pub fn with_capacity(bits: usize) -> Self {
        Self { words: Vec::with_capacity(bits.div_ceil(64)), len: 0 }
    }
    /// The first `len` bits of `words`; missing words are zero.
    pub fn from_words(mut words: Vec<u64>, len: usize) -> Self {
        if words.len() < len.div_ceil(64) {
            let mut longer = Vec::with_capacity(len.div_ceil(64));
            longer.extend_from_slice(&words);
            longer.resize(len.div_ceil(64), 0);
            words.zeroize();
            words = longer;
        }
        words[len.div_ceil(64)..].zeroize();
        words.truncate(len.div_ceil(64));
        let mut bits = Self { words, len };
        bits.clear_tail();
        bits
    }
    /// `len` bits from `rng`.
    pub fn random(len: usize, rng: &mut dyn Rng) -> Self {
        Self::from_words((0..len.div_ceil(64)).map(|_| rng.next_u64()).collect(), len)
    }
    /// How many bits.
    pub const fn len(&self) -> usize {
        self.len
    }
    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// The words; bits past the end are zero.
    pub fn words(&self) -> &[u64] {
        &self.words
    }
    /// The bits as bytes: bit `i` is bit `i % 8` of byte `i / 8`.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(self.words.len() * 8));
        for word in &self.words {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.truncate(self.len.div_ceil(8));
        bytes
    }
    /// The first `len` bits of `bytes`, which must hold as many.
    pub(super) fn from_bytes(bytes: &[u8], len: usize) -> Self {
        let words = bytes
            .chunks(8)
            .map(|chunk| {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                u64::from_le_bytes(word)
            })
            .collect();
        Self::from_words(words, len)
    }
    /// A copy of `len` bits from `offset` on; what lies past the end is left out.
    pub fn range(&self, offset: usize, len: usize) -> Self {
        let end = offset.saturating_add(len).min(self.len);
        let mut out = Self::with_capacity(end.saturating_sub(offset));
        out.append_range(self, offset, end.saturating_sub(offset));
        out
    }
    /// The 64 bits from `offset` on; bits past the end are zero.
    pub(super) fn word_at(&self, offset: usize) -> u64 {
        let (index, shift) = (offset / 64, offset % 64);
        let word = |i: usize| self.words.get(i).copied().unwrap_or(0);
        if shift == 0 { word(index) } else { word(index) >> shift | word(index + 1) << (64 - shift) }
    }
    /// Appends all of `other`.
    pub fn append(&mut self, other: &Self) {
        self.append_range(other, 0, other.len);
    }
    fn append_range(&mut self, other: &Self, offset: usize, len: usize) {
        for done in (0..len).step_by(64) {
            let count = (len - done).min(64);
            let word = other.word_at(offset + done);
            self.push_word(if count < 64 { word & ((1 << count) - 1) } else { word }, count);
        }
    }
    /// Appends the low `count` bits (at most 64, the others zero) of `word`.
    pub(super) fn push_word(&mut self, word: u64, count: usize) {
        let shift = self.len % 64;
        if shift == 0 {
            self.words.push(word);
        } else {
            if let Some(last) = self.words.last_mut() {
                *last |= word << shift;
            }
            if shift + count > 64 {
                self.words.push(word >> (64 - shift));
            }
        }
        self.len += count;
    }
    /// Adds `other` bit by bit, as far as both go.
    pub fn xor(&mut self, other: &Self) {
        for (word, add) in self.words.iter_mut().zip(&other.words) {
            *word ^= add;
        }
        self.clear_tail();
    }
    /// Erases `len` bits from `offset` on: they become zero.
    pub(super) fn wipe(&mut self, offset: usize, len: usize) {
        let end = (offset + len).min(self.len);
        let mut at = offset;
        while at < end {
            let shift = at % 64;
            let count = (64 - shift).min(end - at);
            let mask = if count == 64 { u64::MAX } else { ((1 << count) - 1) << shift };
            if mask == u64::MAX {
                self.words[at / 64].zeroize();
            } else {
                self.words[at / 64] &= !mask;
            }
            at += count;
        }
    }
    fn clear_tail(&mut self) {
        if !self.len.is_multiple_of(64)
            && let Some(last) = self.words.last_mut()
        {
            *last &= (1 << (self.len % 64)) - 1;
        }
    }
}

impl PartialEq for SecretBits {
    /// In a time that depends on the lengths alone.
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.words.ct_eq(&other.words).into()
    }
}
impl Eq for SecretBits {}

impl fmt::Debug for SecretBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBits({} bits)", self.len)
    }
}

/// The key of one block, held or emulated.
#[derive(Clone, Debug)]
pub enum KeyMaterial {
    /// The bits themselves.
    Bits(SecretBits),
    /// Bits that follow from a seed whenever they are looked at: 16 bytes a block, so that networks of 10^5
    /// nodes fit in memory. Whoever knows the seed knows the key: for simulation only.
    Emulated {
        /// The same at both ends of the link, other for every block.
        seed: u64,
        /// How many bits.
        bits: u32,
    },
}

impl KeyMaterial {
    /// How many bits.
    pub fn len(&self) -> usize {
        match self {
            Self::Bits(bits) => bits.len(),
            Self::Emulated { bits, .. } => *bits as usize,
        }
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// A copy of `len` bits from `offset` on; what lies past the end is left out.
    pub fn range(&self, offset: usize, len: usize) -> SecretBits {
        match self {
            Self::Bits(bits) => bits.range(offset, len),
            Self::Emulated { seed, bits } => {
                let end = offset.saturating_add(len).min(*bits as usize).max(offset);
                let (first, last) = (offset / 64, end.div_ceil(64));
                let words = (first..last).map(|i| emulated_word(*seed, i)).collect();
                SecretBits::from_words(words, end - first * 64).range(offset % 64, end - offset)
            }
        }
    }
    /// Erases `len` bits from `offset` on. Emulated bits cannot be erased.
    pub(super) fn wipe(&mut self, offset: usize, len: usize) {
        if let Self::Bits(bits) = self {
            bits.wipe(offset, len);
        }
    }
}

fn emulated_word(seed: u64, index: usize) -> u64 {
    Stream::new(seed, EntityId(index as u32), Purpose::named("emulated key")).bits()
}

impl From<SecretBits> for KeyMaterial {
    fn from(bits: SecretBits) -> Self {
        Self::Bits(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bits(text: &[bool]) -> SecretBits {
        let mut out = SecretBits::default();
        for &bit in text {
            out.push_word(u64::from(bit), 1);
        }
        out
    }

    proptest! {
        #[test]
        fn ranges_agree_with_single_bits(text in prop::collection::vec(any::<bool>(), 0..400), cut in any::<(u16, u16)>()) {
            let all = bits(&text);
            let offset = cut.0 as usize % (text.len() + 1);
            let len = cut.1 as usize % (text.len() - offset + 1);
            prop_assert!(all.range(offset, len) == bits(&text[offset..offset + len]));
            let mut wiped = all.clone();
            wiped.wipe(offset, len);
            let mut expected = text.clone();
            expected[offset..offset + len].fill(false);
            prop_assert!(wiped == bits(&expected));
            let mut joined = all.range(0, offset);
            joined.append(&all.range(offset, text.len()));
            prop_assert!(joined == all);
            prop_assert!(SecretBits::from_bytes(&all.to_bytes(), all.len()) == all);
        }

        #[test]
        fn emulated_ranges_are_cuts_of_one_string(seed in any::<u64>(), offset in 0usize..500, len in 0usize..500) {
            let emulated = KeyMaterial::Emulated { seed, bits: 700 };
            let whole = KeyMaterial::Bits(emulated.range(0, 700));
            prop_assert!(emulated.range(offset, len) == whole.range(offset, len));
        }
    }
}
