//! What both ends derive from the settings: frames, passes, shuffles and the cap on disclosure.

use super::{CascadeSettings, CascadeVariant, LONGEST_BLOCK, ReconcileError, binary_entropy};
use bellwether_bits::Shuffle;
use core::ops::Range;

/// The error rate below which block lengths grow no further.
const LEAST_ERROR_RATE: f64 = 1e-4;

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
    pub(super) passes: Vec<Pass>,
    /// Passes that are opened at the same time. Those of two blocks each are, because one parity a pass is
    /// disclosed in any case, and asking for all of them at once saves round trips.
    pub(super) groups: Vec<Range<usize>>,
}

/// One pass over a frame.
pub(super) struct Pass {
    /// Positions in a block; the last block may be shorter, or longer by one.
    pub(super) block: usize,
    /// How many positions there are: unused bits are shuffled with the others.
    pub(super) span: usize,
    pub(super) blocks: usize,
    /// None in the first pass, which takes the bits as they lie.
    pub(super) shuffle: Option<Shuffle>,
    /// In a pass of two blocks, the bits that make up the first. Both ends can then do without shuffling the
    /// frame until a search begins in this pass.
    pub(super) half: Option<Vec<u64>>,
}

impl Plan {
    pub(super) fn new(settings: &CascadeSettings, bits: usize) -> Result<Self, ReconcileError> {
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

    pub(super) fn layout(&self, frame: usize) -> &Layout {
        &self.layouts[self.frames[frame].layout]
    }
}

/// Three times what an error rate as expected needs at the Shannon limit, which leaves room for twice the
/// rate and for poor luck in short blocks, and never more than there are bits.
fn disclosure_cap(bits: usize, frames: usize, rate: f64) -> u64 {
    let expected = bits as f64 * binary_entropy(rate);
    (bits as u64).min((3.0 * expected) as u64 + 64 * frames as u64 + 1000)
}

impl Layout {
    fn new(settings: &CascadeSettings, rate: f64, bits: usize) -> Self {
        let words = bits.div_ceil(64);
        let span = 64 * words;
        let mut scratch = Vec::new();
        let passes: Vec<Pass> = block_lengths(settings.variant, rate)
            .into_iter()
            .enumerate()
            .map(|(number, block)| {
                if number == 0 {
                    let span = bits.max(2);
                    let block = block.min(span);
                    return Pass { block, span, blocks: block_count(span, block), shuffle: None, half: None };
                }
                let block = block.min(span / 2);
                let blocks = block_count(span, block);
                let shuffle = Shuffle::new(words, settings.seed.wrapping_add((number as u64) << 56));
                let half = (blocks == 2).then(|| {
                    let mut mask = vec![0; words];
                    shuffle.undo(&first_bits(block, words), &mut mask, &mut scratch);
                    mask
                });
                Pass { block, span, blocks, shuffle: Some(shuffle), half }
            })
            .collect();
        let mut groups: Vec<Range<usize>> = Vec::new();
        for (number, pass) in passes.iter().enumerate() {
            match groups.last_mut() {
                Some(group) if pass.half.is_some() && passes[group.start].half.is_some() => {
                    group.end = number + 1;
                }
                _ => groups.push(number..number + 1),
            }
        }
        Self { bits, words, passes, groups }
    }
}

impl Pass {
    /// Where a block begins and ends.
    #[inline]
    pub(super) fn block_range(&self, block: usize) -> Range<usize> {
        let start = block * self.block;
        start..if block + 1 == self.blocks { self.span } else { start + self.block }
    }
}

/// How many blocks of `block` positions make up `span`. A single position left over joins the last block:
/// its parity would be the bit itself, and there would be nothing to search.
fn block_count(span: usize, block: usize) -> usize {
    span.div_ceil(block) - usize::from(span % block == 1)
}

/// How many block parities the opening of a pass discloses: after the first pass the last one follows from the
/// others.
pub(super) fn disclosed_blocks(layout: &Layout, pass: usize) -> usize {
    layout.passes[pass].blocks - usize::from(pass > 0)
}

/// `words` words of which the first `count` bits are set.
fn first_bits(count: usize, words: usize) -> Vec<u64> {
    let mut mask = vec![0; words];
    mask[..count / 64].fill(u64::MAX);
    if !count.is_multiple_of(64) {
        mask[count / 64] = (1 << (count % 64)) - 1;
    }
    mask
}

/// The block lengths of all passes. Those that should be half the frame are `usize::MAX`, which the layout
/// cuts down to it.
fn block_lengths(variant: CascadeVariant, rate: f64) -> Vec<usize> {
    const HALF: usize = usize::MAX;
    // The least `a` with `2^a * factor * rate >= 1`.
    let exponent = |factor: f64| (1..62).find(|&a| (1u64 << a) as f64 * factor * rate >= 1.0).unwrap_or(62);
    let over_rate = |factor: f64| libm::ceil(factor / rate).max(2.0) as usize;
    let (mut lengths, passes) = match variant {
        CascadeVariant::Original => {
            let first = over_rate(0.73);
            (vec![first, 2 * first, 4 * first, 8 * first], 4)
        }
        CascadeVariant::Yan => (vec![over_rate(0.80), 5 * over_rate(0.80)], 10),
        CascadeVariant::Option7 => {
            let first = 1 << exponent(1.0);
            (vec![first, 4 * first], 14)
        }
        CascadeVariant::Option8 => {
            let a: usize = exponent(core::f64::consts::SQRT_2);
            (vec![1 << a, 1 << (a + 12).div_ceil(2), 4096], 14)
        }
    };
    lengths.resize(passes, HALF);
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_lengths_are_the_published_ones() {
        let lengths = |variant, rate| block_lengths(variant, rate);
        assert_eq!(lengths(CascadeVariant::Original, 0.02), [37, 74, 148, 296]);
        assert_eq!(lengths(CascadeVariant::Yan, 0.02)[..3], [40, 200, usize::MAX]);
        assert_eq!(lengths(CascadeVariant::Option7, 0.02)[..3], [64, 256, usize::MAX]);
        assert_eq!(lengths(CascadeVariant::Option7, 0.05)[..3], [32, 128, usize::MAX]);
        assert_eq!(lengths(CascadeVariant::Option8, 0.02)[..4], [64, 512, 4096, usize::MAX]);
        assert_eq!(lengths(CascadeVariant::Option8, 0.05)[..3], [16, 256, 4096]);
        assert_eq!(lengths(CascadeVariant::Option7, 0.5)[..2], [2, 8]);
        assert_eq!(lengths(CascadeVariant::Option8, 0.01).len(), 14);
    }

    #[test]
    fn the_last_frame_takes_the_remainder() {
        let settings =
            CascadeSettings { frame_length: 1000, ..CascadeSettings::new(CascadeVariant::Option7, 0.02, 0) };
        let plan = Plan::new(&settings, 5000).unwrap();
        assert_eq!(plan.frames.len(), 4);
        assert_eq!((plan.layout(0).bits, plan.layout(3).bits), (1024, 5000 - 3 * 1024));
        assert_eq!(plan.layout(0).groups.len(), 3);
        assert_eq!(Plan::new(&settings, 900).unwrap().layout(0).bits, 900);
        assert_eq!(Plan::new(&settings, 0).unwrap().frames.len(), 0);
        let whole = CascadeSettings { frame_length: 0, ..settings };
        assert_eq!(Plan::new(&whole, 5000).unwrap().frames.len(), 1);
    }

    #[test]
    fn impossible_settings_are_refused() {
        for error_rate in [f64::NAN, -0.01, 0.51, f64::INFINITY] {
            let settings = CascadeSettings::new(CascadeVariant::Yan, error_rate, 0);
            assert_eq!(Plan::new(&settings, 100).err(), Some(ReconcileError::ErrorRate));
        }
    }

    #[test]
    fn halves_are_the_first_block_of_their_pass() {
        let settings = CascadeSettings::new(CascadeVariant::Yan, 0.02, 5);
        for bits in [64, 200, 6400, 10_000] {
            let layout = Layout::new(&settings, 0.02, bits);
            let pass = layout.passes.last().unwrap();
            let (mask, shuffle) = (pass.half.as_ref().unwrap(), pass.shuffle.as_ref().unwrap());
            for bit in 0..layout.words * 64 {
                let first = shuffle.position(bit) < pass.block;
                assert_eq!(mask[bit / 64] >> (bit % 64) & 1 == 1, first);
            }
        }
    }
}
