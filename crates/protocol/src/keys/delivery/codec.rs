//! Fields as bytes: what goes over the wire and into the store is written and read with these.
//!
//! Integers are little-endian; every list has its count before it, and the reader bounds the count.

use super::name::{MAX_SAE_NAME, SaeName};
use super::streams::KeyStreamId;
use crate::keys::KeyId;
use bellwether_units::{LinkId, NodeId};

/// Why bytes from a peer or from the store are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end too early.
    #[error("the bytes end too early")]
    Truncated,
    /// Bytes are left over.
    #[error("{0} bytes are left over")]
    Trailing(usize),
    /// A version that this program does not know.
    #[error("version {0} is not known")]
    Version(u8),
    /// A field has a value that it cannot have.
    #[error("{0} has a value that it cannot have")]
    Value(&'static str),
}

#[derive(Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn u8(&mut self, x: u8) -> &mut Self {
        self.0.push(x);
        self
    }
    pub(super) fn u32(&mut self, x: u32) -> &mut Self {
        self.raw(&x.to_le_bytes())
    }
    pub(super) fn u64(&mut self, x: u64) -> &mut Self {
        self.raw(&x.to_le_bytes())
    }
    pub(super) fn id(&mut self, x: KeyId) -> &mut Self {
        self.raw(&x.0.to_le_bytes())
    }
    pub(super) fn stream(&mut self, x: KeyStreamId) -> &mut Self {
        self.raw(&x.0.to_le_bytes())
    }
    pub(super) fn node(&mut self, x: NodeId) -> &mut Self {
        self.u32(x.0)
    }
    pub(super) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.u32(bytes.len() as u32).raw(bytes)
    }
    pub(super) fn name(&mut self, name: &SaeName) -> &mut Self {
        self.u8(name.as_str().len() as u8).raw(name.as_str().as_bytes())
    }
    pub(super) fn list<T>(
        &mut self,
        items: &[T],
        mut one: impl for<'a> FnMut(&'a mut Self, &T) -> &'a mut Self,
    ) -> &mut Self {
        self.u32(items.len() as u32);
        for item in items {
            one(self, item);
        }
        self
    }
}

pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn raw(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.0.split_at_checked(n).ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(head)
    }
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.0.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(*head)
    }
    pub(super) fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }
    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }
    pub(super) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }
    pub(super) fn id(&mut self) -> Result<KeyId, DecodeError> {
        self.array().map(|x| KeyId(u128::from_le_bytes(x)))
    }
    pub(super) fn stream(&mut self) -> Result<KeyStreamId, DecodeError> {
        self.array().map(|x| KeyStreamId(u128::from_le_bytes(x)))
    }
    pub(super) fn node(&mut self) -> Result<NodeId, DecodeError> {
        self.u32().map(NodeId)
    }
    pub(super) fn link(&mut self) -> Result<LinkId, DecodeError> {
        self.u32().map(LinkId)
    }
    pub(super) fn flag(&mut self) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Value("a flag")),
        }
    }
    pub(super) fn bytes(&mut self, most: usize) -> Result<&'a [u8], DecodeError> {
        let n = self.u32()? as usize;
        if n > most { Err(DecodeError::Value("a length")) } else { self.raw(n) }
    }
    pub(super) fn name(&mut self) -> Result<SaeName, DecodeError> {
        let n = usize::from(self.u8()?);
        if n > MAX_SAE_NAME {
            return Err(DecodeError::Value("a name"));
        }
        let text = core::str::from_utf8(self.raw(n)?).map_err(|_| DecodeError::Value("a name"))?;
        SaeName::new(text).map_err(|_| DecodeError::Value("a name"))
    }
    pub(super) fn list<T>(
        &mut self,
        most: usize,
        mut one: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let n = self.u32()? as usize;
        if n > most {
            return Err(DecodeError::Value("a count"));
        }
        // No memory on the peer's word alone: every item takes at least a byte.
        let mut items = Vec::with_capacity(n.min(self.0.len()));
        for _ in 0..n {
            items.push(one(self)?);
        }
        Ok(items)
    }
    pub(super) fn end(&self) -> Result<(), DecodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError::Trailing(self.0.len())) }
    }
}
