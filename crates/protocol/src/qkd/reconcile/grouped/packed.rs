//! Strings of packed bits, written and read in order.

use zeroize::Zeroize;

/// Bits, the first of which is the least significant of the first word.
#[derive(Default)]
pub(super) struct Packed {
    words: Vec<u64>,
    pending: u64,
    bits: usize,
}

impl Packed {
    /// How many bits there are.
    pub(super) fn len(&self) -> usize {
        self.bits
    }

    #[inline(always)]
    pub(super) fn push(&mut self, bit: bool) {
        self.pending |= u64::from(bit) << (self.bits % 64);
        self.bits += 1;
        if self.bits.is_multiple_of(64) {
            self.words.push(self.pending);
            self.pending = 0;
        }
    }

    /// Appends up to 64 bits; those above are zero.
    #[inline]
    pub(super) fn push_many(&mut self, bits: u64, count: usize) {
        let shift = self.bits % 64;
        self.pending |= bits << shift;
        self.bits += count;
        if shift + count >= 64 {
            self.words.push(self.pending);
            self.pending = if shift == 0 { 0 } else { bits >> (64 - shift) };
        }
    }

    /// Forgets all bits.
    pub(super) fn clear(&mut self) {
        self.words.zeroize();
        self.pending = 0;
        self.bits = 0;
    }

    /// All words; unused bits of the last are zero.
    pub(super) fn words(&mut self) -> &[u64] {
        let last = (!self.bits.is_multiple_of(64)).then_some(self.pending);
        if self.words.len() < self.bits.div_ceil(64) {
            self.words.extend(last);
        }
        &self.words
    }
}

impl Drop for Packed {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Reads packed bits.
pub(super) struct Unpacked<'a> {
    words: &'a [u64],
    next: usize,
}

impl<'a> Unpacked<'a> {
    pub(super) fn new(words: &'a [u64]) -> Self {
        Self { words, next: 0 }
    }

    /// The next bit. There must be one.
    #[inline(always)]
    pub(super) fn bit(&mut self) -> bool {
        let bit = self.words[self.next / 64] >> (self.next % 64) & 1 == 1;
        self.next += 1;
        bit
    }

    /// The next `count` bits, at most 64. There must be as many.
    #[inline]
    pub(super) fn many(&mut self, count: usize) -> u64 {
        let (word, shift) = (self.next / 64, self.next % 64);
        self.next += count;
        let mut bits = self.words[word] >> shift;
        if shift + count > 64 {
            bits |= self.words[word + 1] << (64 - shift);
        }
        bits & (u64::MAX >> (64 - count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_pushed_is_read(chunks in prop::collection::vec((any::<u64>(), 1usize..65), 0..40)) {
            let mut packed = Packed::default();
            let low = |(bits, count): (u64, usize)| bits & (u64::MAX >> (64 - count));
            for &chunk in &chunks {
                if chunk.1 == 1 {
                    packed.push(low(chunk) == 1);
                } else {
                    packed.push_many(low(chunk), chunk.1);
                }
            }
            prop_assert_eq!(packed.len(), chunks.iter().map(|chunk| chunk.1).sum::<usize>());
            prop_assert_eq!(packed.words().len(), packed.len().div_ceil(64));
            let words = packed.words().to_vec();
            let mut unpacked = Unpacked::new(&words);
            for &chunk in &chunks {
                let read = if chunk.1 == 1 { u64::from(unpacked.bit()) } else { unpacked.many(chunk.1) };
                prop_assert_eq!(read, low(chunk));
            }
        }
    }
}
