//! Reading and writing the fields of frames and messages.
//!
//! All integers are little-endian. Counts are written as variable-length integers (seven bits a byte, least
//! significant first, at most ten bytes). A reader never allocates more than the bytes it was given allow,
//! and refuses what a writer would not have written: missing bytes, bytes left over, set padding bits.

use bellwether_bits::BitString;

/// Why bytes are not the frame or message that they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It ends too early.
    #[error("the bytes end too early")]
    Truncated,
    /// Bytes are left over.
    #[error("bytes are left over at the end")]
    Trailing,
    /// It is longer than both ends had agreed to accept.
    #[error("it is longer than the limit")]
    TooLong,
    /// It is of a version that this software does not speak.
    #[error("unknown version {0}")]
    Version(u8),
    /// It is of no known kind.
    #[error("unknown kind {0}")]
    Kind(u8),
    /// A field holds a value that it cannot have.
    #[error("{0} cannot be so")]
    Value(&'static str),
}

/// Appends fields to a byte string.
#[derive(Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// A writer with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes) }
    }
    /// One byte.
    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }
    /// Eight bytes, the least first.
    pub fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }
    /// A number of variable length.
    pub fn count(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
    /// Bytes whose number the reader knows.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }
    /// A length and so many bytes.
    pub fn block(&mut self, bytes: &[u8]) {
        self.count(bytes.len() as u64);
        self.bytes(bytes);
    }
    /// Bits whose number the reader knows.
    pub fn bits(&mut self, bits: &BitString) {
        let len = self.bytes.len() + bits.len().div_ceil(8);
        for word in bits.words() {
            self.bytes.extend_from_slice(&word.to_le_bytes());
        }
        self.bytes.truncate(len);
    }
    /// The bytes.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Takes fields off the front of a byte string.
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader of all of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
    /// One byte.
    ///
    /// # Errors
    /// If none is left.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        let (&first, rest) = self.rest.split_first().ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(first)
    }
    /// So many bytes.
    ///
    /// # Errors
    /// If fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (first, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(*first)
    }
    /// Eight bytes, the least first.
    ///
    /// # Errors
    /// If fewer are left.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array()?))
    }
    /// A number of variable length.
    ///
    /// # Errors
    /// If it is cut off, longer than it needs to be, or beyond 64 bits.
    pub fn count(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.u8()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                return Err(Malformed::Value("a count beyond 64 bits"));
            }
            value |= part << shift;
            if byte < 0x80 {
                if byte == 0 && shift > 0 {
                    return Err(Malformed::Value("a count with needless bytes"));
                }
                return Ok(value);
            }
        }
        Err(Malformed::Value("a count of more than ten bytes"))
    }
    /// A count that must not be above `limit`.
    ///
    /// # Errors
    /// If it is, or is no count; `what` then names it.
    pub fn count_up_to(&mut self, limit: u64, what: &'static str) -> Result<u64, Malformed> {
        let value = self.count()?;
        if value > limit { Err(Malformed::Value(what)) } else { Ok(value) }
    }
    /// One byte that says yes (1) or no (0).
    ///
    /// # Errors
    /// If none is left, or it says neither.
    pub fn flag(&mut self) -> Result<bool, Malformed> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed::Value("a yes or no")),
        }
    }
    /// So many bytes.
    ///
    /// # Errors
    /// If fewer are left.
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        if len > self.rest.len() {
            return Err(Malformed::Truncated);
        }
        let (first, rest) = self.rest.split_at(len);
        self.rest = rest;
        Ok(first)
    }
    /// A length and so many bytes.
    ///
    /// # Errors
    /// If fewer are left.
    pub fn block(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.count()?;
        self.bytes(usize::try_from(len).map_err(|_| Malformed::Truncated)?)
    }
    /// So many bits.
    ///
    /// # Errors
    /// If fewer are left, or unused bits of the last byte are set.
    pub fn bits(&mut self, len: usize) -> Result<BitString, Malformed> {
        let bytes = self.bytes(len.div_ceil(8))?;
        BitString::decode(bytes, len).ok_or(Malformed::Value("the padding of a bit string"))
    }
    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }
    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }
    /// Says that this was all.
    ///
    /// # Errors
    /// If bytes are left over.
    pub fn finish(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed::Trailing) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            values in proptest::collection::vec(any::<u64>(), 0..8),
            block in proptest::collection::vec(any::<u8>(), 0..40),
            bits in proptest::collection::vec(any::<bool>(), 0..200),
        ) {
            let mut string = BitString::default();
            bits.iter().for_each(|&bit| string.push(bit));
            let mut writer = Writer::default();
            for &value in &values {
                writer.count(value);
                writer.count(value >> 40);
                writer.u64(value);
            }
            writer.block(&block);
            writer.bits(&string);
            let bytes = writer.finish();
            let mut reader = Reader::new(&bytes);
            for &value in &values {
                prop_assert_eq!(reader.count(), Ok(value));
                prop_assert_eq!(reader.count(), Ok(value >> 40));
                prop_assert_eq!(reader.u64(), Ok(value));
            }
            prop_assert_eq!(reader.block(), Ok(&block[..]));
            prop_assert_eq!(reader.bits(bits.len()), Ok(string));
            prop_assert_eq!(reader.finish(), Ok(()));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut reader = Reader::new(&bytes);
            while reader.count().is_ok() {}
            let mut reader = Reader::new(&bytes);
            while reader.block().is_ok() && reader.remaining() > 0 {}
        }
    }
}
