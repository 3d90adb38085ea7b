//! What both ends derive from the settings: frames, block lengths, shuffles and the cap on disclosure.

use super::{Effort, GroupedSettings, LONGEST_BLOCK, ReconcileError, binary_entropy};
use bellwether_bits::Shuffle;
use std::sync::Arc;

/// The error rate below which block lengths grow no further.
const LEAST_ERROR_RATE: f64 = 1e-4;

/// Positions in a block of the third pass, at most.
const THIRD: usize = 1 << 14;

/// How many blocks the third pass has at least, in frames that are long enough for it.
const THIRD_BLOCKS: usize = 16;

/// How many random halves of a frame are compared in the end.
const HALVES: usize = 12;

/// How one block is reconciled.
pub(super) struct Plan {
    pub(super) frames: Vec<Place>,
    /// The layout of all frames but the last, and that of the last if it is longer.
    pub(super) layouts: Vec<Layout>,
    /// How many parities may be disclosed.
    pub(super) cap: u64,
}

/// Where a frame lies in the block.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) first_word: usize,
    pub(super) layout: usize,
}

/// How frames of one length are reconciled. They all share it, shuffles included.
pub(super) struct Layout {
    /// Bits in the frame.
    pub(super) bits: usize,
    /// Words in the frame. Unused bits of the last are zero at both ends.
    pub(super) words: usize,
    /// Blocks of the first pass have two to this power bits.
    pub(super) exponent: u32,
    pub(super) effort: Effort,
    /// The error rate that is expected.
    pub(super) rate: f64,
    pub(super) seed: u64,
    /// The third pass.
    pub(super) third: Arc<Shuffle>,
    /// The bits of each of the random halves.
    pub(super) halves: Vec<Arc<[u64]>>,
}

impl Plan {
    pub(super) fn new(settings: &GroupedSettings, bits: usize) -> Result<Self, ReconcileError> {
        let rate = settings.error_rate;
        if !(0.0..=0.5).contains(&rate) {
            return Err(ReconcileError::ErrorRate);
        }
        if bits > LONGEST_BLOCK {
            return Err(ReconcileError::TooLong(bits));
        }
        let rate = rate.max(LEAST_ERROR_RATE);
        let length = match settings.frame_length {
            0 => bits.max(1),
            length => length.min(LONGEST_BLOCK).next_multiple_of(64),
        };
        let count = (bits / length).max(usize::from(bits > 0));
        let last = bits - length * count.saturating_sub(1);
        let mut layouts = Vec::new();
        if count > 1 {
            layouts.push(Layout::new(settings, rate, length));
        }
        if count == 1 || (count > 1 && last != length) {
            layouts.push(Layout::new(settings, rate, last));
        }
        let frames = (0..count)
            .map(|frame| Place {
                first_word: frame * (length / 64),
                layout: if frame + 1 == count { layouts.len() - 1 } else { 0 },
            })
            .collect();
        Ok(Self { frames, layouts, cap: disclosure_cap(bits, count, rate) })
    }
}

/// Three times what an error rate as expected needs at the Shannon limit, which leaves room for twice the
/// rate and for poor luck in short blocks, and never more than there are bits.
fn disclosure_cap(bits: usize, frames: usize, rate: f64) -> u64 {
    let expected = bits as f64 * binary_entropy(rate);
    (bits as u64).min((3.0 * expected) as u64 + 64 * frames as u64 + 1000)
}

impl Layout {
    fn new(settings: &GroupedSettings, rate: f64, bits: usize) -> Self {
        let words = bits.div_ceil(64);
        // The least power of two that is `1 / (sqrt(2) rate)` or more, for then nearly half of the blocks are odd.
        let exponent = (2..13)
            .find(|&power| f64::from(1u32 << power) * core::f64::consts::SQRT_2 * rate >= 1.0)
            .unwrap_or(13);
        let seed = settings.seed;
        let halves = (0..HALVES as u64)
            .map(|number| random_words(seed.wrapping_add((number + 3) << 56), words))
            .collect();
        Self {
            bits,
            words,
            exponent,
            effort: settings.effort,
            rate,
            seed,
            third: Arc::new(Shuffle::new(words, seed.wrapping_add(2 << 56))),
            halves,
        }
    }

    /// Positions of the first pass: whole blocks.
    pub(super) fn first_span(&self) -> usize {
        (64 * self.words).next_multiple_of(1 << self.exponent)
    }

    /// Where the blocks of the third pass begin.
    pub(super) fn third_starts(&self) -> impl Iterator<Item = usize> + use<> {
        let span = 64 * self.words;
        let length = (span / THIRD_BLOCKS).clamp(64, THIRD);
        let blocks = (span / length).max(1);
        (0..blocks).map(move |block| block * length)
    }
}

/// Public randomness that both ends derive alike: SplitMix64 (Steele, Lea & Flood, OOPSLA 2014).
fn random_words(seed: u64, count: usize) -> Arc<[u64]> {
    let mut state = seed;
    (0..count)
        .map(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut x = state;
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            x ^ (x >> 31)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearly_half_of_the_first_blocks_are_odd() {
        for rate in [0.0002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.11] {
            let settings = GroupedSettings::new(rate, 1);
            let length = 1u32 << Plan::new(&settings, 1000).unwrap().layouts[0].exponent;
            let odd = (1.0 - (1.0 - 2.0 * rate).powi(length as i32)) / 2.0;
            assert!((0.37..0.47).contains(&odd), "{rate}: blocks of {length}, of which {odd} are odd");
        }
    }

    #[test]
    fn frames_share_a_block_without_gap() {
        for (bits, frame_length, expected) in [
            (1000, 256, vec![256, 256, 488]),
            (1024, 256, vec![256; 4]),
            (200, 256, vec![200]),
            (0, 256, vec![]),
            (100, 0, vec![100]),
        ] {
            let settings = GroupedSettings { frame_length, ..GroupedSettings::new(0.02, 1) };
            let plan = Plan::new(&settings, bits).unwrap();
            let lengths: Vec<usize> =
                plan.frames.iter().map(|place| plan.layouts[place.layout].bits).collect();
            assert_eq!(lengths, expected);
            for (number, place) in plan.frames.iter().enumerate() {
                assert_eq!(place.first_word * 64, number * frame_length);
            }
        }
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        for rate in [-0.1, 0.51, f64::NAN] {
            let settings = GroupedSettings::new(rate, 1);
            assert_eq!(Plan::new(&settings, 100).err(), Some(ReconcileError::ErrorRate));
        }
        let settings = GroupedSettings::new(0.01, 1);
        assert_eq!(Plan::new(&settings, (1 << 30) + 1).err(), Some(ReconcileError::TooLong((1 << 30) + 1)));
    }
}
