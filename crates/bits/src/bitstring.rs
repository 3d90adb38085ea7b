//! Packed bit strings.

/// A packed string of bits.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct BitString {
    words: Vec<u64>,
    len: usize,
}
