//! Taking bits out of a string and putting them into one.

use crate::BitString;
use crate::arch;

impl BitString {
    /// The bits at the ones of `mask`, in order.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn select(&self, mask: &BitString) -> BitString {
        self.check_same_len(mask);
        let len = mask.count_ones();
        let mut words = Vec::with_capacity(len.div_ceil(64));
        let (mut gathered, mut filled) = (0u64, 0usize);
        arch::compress(self.words(), mask.words(), |bits, count| {
            gathered |= bits << filled;
            if filled + count < 64 {
                filled += count;
                return;
            }
            words.push(gathered);
            // Shifting by 64 - filled would be too far when nothing was gathered before.
            gathered = if filled == 0 { 0 } else { bits >> (64 - filled) };
            filled = filled + count - 64;
        });
        if filled > 0 {
            words.push(gathered);
        }
        Self::from_words(words, len)
    }

    /// The opposite of [`select`](Self::select): a string as long as `mask` with these bits at its ones, in order, and
    /// zeros elsewhere.
    ///
    /// ```
    /// use bellwether_bits::BitString;
    ///
    /// let kept = BitString::from_bytes(&[0b0110_1001], 8);
    /// let spread = BitString::from_bytes(&[0b1011], 4).expand(&kept);
    /// assert_eq!(spread, BitString::from_bytes(&[0b0100_1001], 8));
    /// assert_eq!(spread.select(&kept), BitString::from_bytes(&[0b1011], 4));
    /// ```
    ///
    /// # Panics
    /// If the mask has not as many ones as there are bits.
    pub fn expand(&self, mask: &BitString) -> BitString {
        let ones = mask.count_ones();
        assert!(self.len() == ones, "{} bits for a mask with {ones} ones", self.len());
        let mut at = 0;
        let words = arch::expand(mask.words(), |count| {
            let word = self.word_at(at);
            at += count;
            word
        });
        Self::from_words(words, mask.len())
    }

    /// The bits at `indices`, in their order.
    ///
    /// # Panics
    /// If an index lies outside.
    pub fn gather(&self, indices: &[u32]) -> BitString {
        let mut words = Vec::with_capacity(indices.len().div_ceil(64));
        for chunk in indices.chunks(64) {
            let mut word = 0;
            for (place, &index) in chunk.iter().enumerate() {
                word |= u64::from(self.get(index as usize)) << place;
            }
            words.push(word);
        }
        Self::from_words(words, indices.len())
    }
}
