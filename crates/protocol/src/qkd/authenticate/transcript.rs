//! What a tag covers, and the tag.

use super::Direction;
use bellwether_bits::gf128::PolynomialHasher;

/// The tag of a transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// The number of the pad that hides the hash.
    pub pad_index: u64,
    /// The hash plus the pad.
    pub tag: u128,
}

impl Tag {
    /// Bytes of an encoded tag.
    pub const ENCODED_LEN: usize = 24;

    /// The pad's number (8 bytes) and the tag (16 bytes), little-endian.
    pub fn to_bytes(self) -> [u8; Self::ENCODED_LEN] {
        let mut bytes = [0; Self::ENCODED_LEN];
        bytes[..8].copy_from_slice(&self.pad_index.to_le_bytes());
        bytes[8..].copy_from_slice(&self.tag.to_le_bytes());
        bytes
    }

    /// The reverse of [`to_bytes`](Self::to_bytes). Any bytes are some tag.
    pub fn from_bytes(bytes: [u8; Self::ENCODED_LEN]) -> Self {
        let (mut pad_index, mut tag) = ([0; 8], [0; 16]);
        pad_index.copy_from_slice(&bytes[..8]);
        tag.copy_from_slice(&bytes[8..]);
        Self { pad_index: u64::from_le_bytes(pad_index), tag: u128::from_le_bytes(tag) }
    }
}

/// The hash of all frames of one direction that one tag is to cover.
///
/// Each frame is absorbed with its length before it, so that frames cannot be moved, split or joined.
pub struct TranscriptHash {
    direction: Direction,
    hasher: PolynomialHasher,
    bytes: u64,
}

impl TranscriptHash {
    /// An empty transcript under `hash_key`.
    pub(super) fn new(direction: Direction, hash_key: u128) -> Self {
        Self { direction, hasher: PolynomialHasher::new(hash_key), bytes: 0 }
    }

    /// The hash of what was absorbed, not to be shown without a pad.
    pub(super) fn hash(&self) -> u128 {
        self.hasher.finish()
    }

    /// Appends a frame.
    pub fn absorb(&mut self, frame: &[u8]) {
        self.hasher.update(&(frame.len() as u64).to_le_bytes());
        self.hasher.update(frame);
        self.bytes = self.bytes.saturating_add(8).saturating_add(frame.len() as u64);
    }

    /// Which direction's frames it absorbs.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// The most with which another transcript, no longer than this one, passes under a given tag.
    pub fn forgery_probability(&self) -> f64 {
        forgery_probability(self.bytes)
    }
}

impl core::fmt::Debug for TranscriptHash {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "TranscriptHash({:?}, {} bytes)", self.direction, self.bytes)
    }
}

/// The most with which one attempt at forging a transcript of `bytes` bytes (8 more for every frame) passes:
/// (ceil(L/128) + 1) / 2^128.
///
/// ```
/// use bellwether_protocol::qkd::authenticate::forgery_probability;
///
/// assert!(forgery_probability(125_000) < 2.4e-35); // 1 Mbit
/// ```
pub fn forgery_probability(bytes: u64) -> f64 {
    libm::ldexp(bytes.div_ceil(16) as f64 + 1.0, -128)
}
