//! What an attacker does to bytes under way.

use arbitrary::{Arbitrary, Result, Unstructured};
use core::ops::Deref;

/// Bytes with a length before them: a list of `arbitrary` ends after every element with one chance in two.
#[derive(Clone, Debug)]
pub struct Payload(pub Vec<u8>);

impl<'a> Arbitrary<'a> for Payload {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let length = usize::from(u8::arbitrary(u)?).min(u.len());
        Ok(Self(u.bytes(length)?.to_vec()))
    }
}

impl Deref for Payload {
    type Target = Vec<u8>;
    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

/// What the rest of the input holds, and at most so many.
#[derive(Clone, Debug)]
pub struct Rest<T, const MOST: usize>(pub Vec<T>);

impl<'a, T: Arbitrary<'a>, const MOST: usize> Arbitrary<'a> for Rest<T, MOST> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let mut list = Vec::new();
        while !u.is_empty() && list.len() < MOST {
            list.push(u.arbitrary()?);
        }
        Ok(Self(list))
    }
}

impl<T, const MOST: usize> Deref for Rest<T, MOST> {
    type Target = Vec<T>;
    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}

/// One change to a message.
#[derive(Arbitrary, Clone, Debug)]
pub enum Mutation {
    /// Inverts a bit.
    Flip {
        /// Which, counted round the message.
        bit: u32,
    },
    /// Puts another byte in the place of one.
    Set {
        /// Which, counted round the message.
        at: u16,
        /// The new byte.
        byte: u8,
    },
    /// Puts eight other bytes in the place of eight: a count or a number of the format.
    Number {
        /// Where they begin, counted round the message.
        at: u16,
        /// The number.
        value: u64,
    },
    /// Cuts off the end.
    Truncate {
        /// How many bytes are left, counted round the message.
        left: u16,
    },
    /// Takes bytes out.
    Remove {
        /// Where they begin, counted round the message.
        at: u16,
        /// How many.
        count: u8,
    },
    /// Puts bytes in.
    Insert {
        /// Where, counted round the message.
        at: u16,
        /// What.
        bytes: Payload,
    },
    /// Makes it long.
    Pad {
        /// With this byte.
        byte: u8,
        /// By so many bytes.
        count: u16,
    },
    /// The bytes of another message from a place on.
    Splice {
        /// Which message, counted round those that were seen.
        other: u16,
        /// From where.
        at: u16,
    },
}

impl Mutation {
    /// Changes `bytes`, leaving the first `header` of them alone where there are more.
    pub fn apply<'a>(&self, bytes: &mut Vec<u8>, header: usize, seen: impl Fn(usize) -> Option<&'a [u8]>) {
        let header = header.min(bytes.len());
        let room = bytes.len() - header;
        let place = |at: usize| header + at % room.max(1);
        match self {
            Self::Flip { bit } if room > 0 => bytes[place(*bit as usize / 8)] ^= 1 << (bit % 8),
            Self::Set { at, byte } if room > 0 => bytes[place(usize::from(*at))] = *byte,
            Self::Number { at, value } if room > 0 => {
                let start = place(usize::from(*at));
                for (byte, new) in bytes[start..].iter_mut().zip(value.to_le_bytes()) {
                    *byte = new;
                }
            }
            Self::Truncate { left } => bytes.truncate(place(usize::from(*left))),
            Self::Remove { at, count } if room > 0 => {
                let start = place(usize::from(*at));
                let end = (start + usize::from(*count)).min(bytes.len());
                bytes.drain(start..end);
            }
            Self::Insert { at, bytes: new } => {
                let start = place(usize::from(*at)).min(bytes.len());
                bytes.splice(start..start, new.iter().copied());
            }
            Self::Pad { byte, count } => bytes.resize(bytes.len() + usize::from(*count), *byte),
            Self::Splice { other, at } => {
                if let Some(other) = seen(usize::from(*other)) {
                    let start = place(usize::from(*at)).min(bytes.len());
                    bytes.truncate(start);
                    bytes.extend_from_slice(&other[start.min(other.len())..]);
                }
            }
            _ => {}
        }
    }
}
