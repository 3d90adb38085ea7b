//! Lots that both ends draw alike.

/// A stream of words that is determined by a seed: SplitMix64 (Steele, Lea & Flood, OOPSLA 2014). Public, and not for
/// secrets.
pub(super) struct Draw(u64);

impl Draw {
    pub(super) fn new(seed: &[u64]) -> Self {
        let mut draw = Self(0x6c64_7063);
        for &part in seed {
            draw.0 ^= part;
            draw.0 = draw.word();
        }
        draw
    }

    pub(super) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number less than `limit`, by multiplication: the bias is below `limit / 2^64`.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.word()) * limit as u128) >> 64) as usize
    }

    pub(super) fn shuffle<T>(&mut self, values: &mut [T]) {
        for index in (1..values.len()).rev() {
            values.swap(index, self.below(index + 1));
        }
    }
}
