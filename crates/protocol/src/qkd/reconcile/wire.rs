//! The messages of Cascade, byte by byte.
//!
//! Numbers are unsigned LEB128: seven bits a byte, least significant first, the top bit set on all but the
//! last byte, and no more bytes than needed. Bits are packed from the least significant bit of each byte, and the
//! unused bits of the last byte are zero. Frames, passes and positions count from 0. A *search* is a part of a
//! pass, known to be odd, that is being bisected: each round the server tells the parity of its first half
//! (the shorter one if the length is odd).
//!
//! A **request** is
//!
//! 1. the round, from 0;
//! 2. a bit for each open search, in their order: 1 if the error is in the second half. A search of two bits
//!    needs none, for it ends with the server's answer in any case, as do those whose odd half is a single bit;
//! 3. a bit for each block of each pass that the server opened in its last reply, where this was one pass
//!    alone: 1 if a search begins there. These bits follow those of item 2 in the same bytes;
//! 4. searches of item 2 that are given up: how many, and their numbers among those still open;
//! 5. other searches that begin: the number of lists, and for each list the frame's distance from that of the
//!    list before, the pass, how many searches, and the positions where they begin. Lists rise by frame and
//!    pass. Where a part ends is known to both: parts are only ever split by searches;
//! 6. frames that open their next passes: how many, and which.
//!
//! Numbers that rise (of items 4, 5 and 6) are written as the distance of each from the least that it can be: 0
//! for the first, one more than the one before for the others.
//!
//! A **reply** is the round, then a bit for each open search in their order (those that went on, then those of
//! item 3, then those of item 5), then for each frame of item 6 and each pass that it opens the parities of
//! all blocks except, after the first pass, the last block.

use super::ReconcileError;
use core::cmp::Ordering;

/// Collects a message.
#[derive(Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    pending: u64,
    filled: u32,
}

impl Writer {
    /// Appends bits to the packed bits. [`align`](Self::align) ends them.
    #[inline]
    pub(super) fn bits(&mut self, bits: u64, count: u32) {
        debug_assert!(count <= 32 && bits >> count == 0);
        self.pending |= bits << self.filled;
        self.filled += count;
        if self.filled >= 32 {
            self.bytes.extend_from_slice(&(self.pending as u32).to_le_bytes());
            self.pending >>= 32;
            self.filled -= 32;
        }
    }

    #[inline]
    pub(super) fn bit(&mut self, bit: bool) {
        self.bits(u64::from(bit), 1);
    }

    /// Appends the first `count` bits of `words`, unused bits of which are zero, and ends the packed bits.
    pub(super) fn packed(&mut self, words: &[u64], count: usize) {
        self.align();
        self.bytes.reserve(8 * words.len());
        words.iter().for_each(|word| self.bytes.extend_from_slice(&word.to_le_bytes()));
        self.bytes.truncate(self.bytes.len() - 8 * words.len() + count.min(64 * words.len()).div_ceil(8));
    }

    pub(super) fn align(&mut self) {
        let bytes = self.filled.div_ceil(8) as usize;
        self.bytes.extend_from_slice(&self.pending.to_le_bytes()[..bytes]);
        (self.pending, self.filled) = (0, 0);
    }

    /// Appends a number. Packed bits must be aligned.
    pub(super) fn number(&mut self, mut value: u64) {
        debug_assert_eq!(self.filled, 0);
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    /// Appends a word of 64 bits. Packed bits must be aligned.
    pub(super) fn word(&mut self, word: u64) {
        debug_assert_eq!(self.filled, 0);
        self.bytes.extend_from_slice(&word.to_le_bytes());
    }

    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        self.align();
        self.bytes
    }
}

/// Takes a message apart.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    pending: u64,
    held: u32,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, pending: 0, held: 0 }
    }

    #[inline]
    pub(super) fn bit(&mut self) -> Result<bool, ReconcileError> {
        if self.held == 0 {
            self.refill()?;
        }
        let bit = self.pending & 1 == 1;
        self.pending >>= 1;
        self.held -= 1;
        Ok(bit)
    }

    /// All that is left, which must be `count` packed bits.
    pub(super) fn packed(&mut self, count: usize) -> Result<Vec<u64>, ReconcileError> {
        self.align()?;
        let bytes = core::mem::take(&mut self.bytes);
        match bytes.len().cmp(&count.div_ceil(8)) {
            Ordering::Less => return Err(ReconcileError::Malformed("too short")),
            Ordering::Greater => return Err(ReconcileError::Malformed("too long")),
            Ordering::Equal => {}
        }
        let word = |chunk: &[u8]| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_le_bytes(word)
        };
        let words: Vec<u64> = bytes.chunks(8).map(word).collect();
        match words.last() {
            Some(last) if !count.is_multiple_of(64) && last >> (count % 64) != 0 => {
                Err(ReconcileError::Malformed("unused bits are not zero"))
            }
            _ => Ok(words),
        }
    }

    fn refill(&mut self) -> Result<(), ReconcileError> {
        // Only as many bytes as are sure to be packed bits may be taken: one.
        let (&byte, rest) = self.bytes.split_first().ok_or(ReconcileError::Malformed("too short"))?;
        self.bytes = rest;
        self.pending = u64::from(byte);
        self.held = 8;
        Ok(())
    }

    /// Ends the packed bits.
    pub(super) fn align(&mut self) -> Result<(), ReconcileError> {
        if self.pending != 0 {
            return Err(ReconcileError::Malformed("unused bits are not zero"));
        }
        self.held = 0;
        Ok(())
    }

    pub(super) fn number(&mut self) -> Result<u64, ReconcileError> {
        let mut value = 0u64;
        for shift in (0..63).step_by(7) {
            let (&byte, rest) = self.bytes.split_first().ok_or(ReconcileError::Malformed("too short"))?;
            self.bytes = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                if byte == 0 && shift > 0 {
                    return Err(ReconcileError::Malformed("number with needless bytes"));
                }
                return Ok(value);
            }
        }
        Err(ReconcileError::Malformed("number too large"))
    }

    /// A word of 64 bits. Packed bits must be aligned.
    pub(super) fn word(&mut self) -> Result<u64, ReconcileError> {
        let (&bytes, rest) = self.bytes.split_first_chunk().ok_or(ReconcileError::Malformed("too short"))?;
        self.bytes = rest;
        Ok(u64::from_le_bytes(bytes))
    }

    /// A number that is at most `most`.
    pub(super) fn index(&mut self, most: usize) -> Result<usize, ReconcileError> {
        match usize::try_from(self.number()?) {
            Ok(value) if value <= most => Ok(value),
            _ => Err(ReconcileError::Malformed("index out of range")),
        }
    }

    pub(super) fn end(&mut self) -> Result<(), ReconcileError> {
        self.align()?;
        if self.bytes.is_empty() { Ok(()) } else { Err(ReconcileError::Malformed("too long")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            round: u32, bits: Vec<bool>, numbers in prop::collection::vec(0u64..1 << 63, 0..20)
        ) {
            let mut writer = Writer::default();
            writer.number(u64::from(round));
            for &bit in &bits {
                writer.bit(bit);
            }
            writer.align();
            for &number in &numbers {
                writer.number(number);
            }
            let bytes = writer.into_bytes();
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.number(), Ok(u64::from(round)));
            for &bit in &bits {
                prop_assert_eq!(reader.bit(), Ok(bit));
            }
            prop_assert_eq!(reader.align(), Ok(()));
            for &number in &numbers {
                prop_assert_eq!(reader.number(), Ok(number));
            }
            prop_assert_eq!(reader.end(), Ok(()));
        }
    }

    #[test]
    fn only_one_spelling_is_read() {
        assert!(Reader::new(&[0x80, 0x00]).number().is_err(), "needless byte");
        assert!(Reader::new(&[0xff; 10]).number().is_err(), "does not end");
        assert!(Reader::new(&[0x05]).index(4).is_err());
        let mut reader = Reader::new(&[0b10]);
        reader.bit().unwrap();
        assert!(reader.end().is_err(), "unused bit set");
    }
}
