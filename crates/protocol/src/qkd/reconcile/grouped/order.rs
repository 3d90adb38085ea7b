//! In which order a pass takes the bits of a frame.

use super::grouping::Grouping;
use bellwether_bits::Shuffle;
use std::sync::Arc;

/// The order in which a pass takes the bits.
#[derive(Default)]
pub(super) enum Order {
    /// As they lie.
    #[default]
    Natural,
    /// As they lie, and only these.
    Masked(Arc<[u64]>),
    /// Shuffled.
    Shuffled(Arc<Shuffle>),
    /// By how likely the first pass left them wrong.
    Grouped(Grouping),
}

impl Order {
    /// Where the bit is; `None` if the pass leaves it out.
    #[inline]
    pub(super) fn position(&self, bit: usize) -> Option<usize> {
        match self {
            Self::Natural => Some(bit),
            Self::Masked(mask) => (mask[bit / 64] >> (bit % 64) & 1 == 1).then_some(bit),
            Self::Shuffled(shuffle) => Some(shuffle.position(bit)),
            Self::Grouped(grouping) => grouping.position(bit),
        }
    }

    /// Which bit is there; `None` if none is.
    #[inline]
    pub(super) fn origin(&self, position: usize) -> Option<usize> {
        match self {
            Self::Natural => Some(position),
            Self::Masked(mask) => (mask[position / 64] >> (position % 64) & 1 == 1).then_some(position),
            Self::Shuffled(shuffle) => Some(shuffle.origin(position)),
            Self::Grouped(grouping) => grouping.origin(position),
        }
    }

    /// The bits of `words` in this order, as many words as `span` positions need. `scratch` is left holding traces
    /// of the bits.
    pub(super) fn arrange(&self, words: &[u64], span: usize, scratch: &mut Vec<u64>) -> Vec<u64> {
        let mut bits = vec![0; span.div_ceil(64)];
        match self {
            Self::Natural => bits[..words.len()].copy_from_slice(words),
            Self::Masked(mask) => {
                for ((bits, word), mask) in bits.iter_mut().zip(words).zip(mask.iter()) {
                    *bits = word & mask;
                }
            }
            Self::Shuffled(shuffle) => shuffle.apply(words, &mut bits, scratch),
            Self::Grouped(grouping) => grouping.arrange(words, &mut bits, scratch),
        }
        bits
    }
}
