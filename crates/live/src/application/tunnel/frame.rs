//! Frames between the two ends of a tunnel.
//!
//! ```text
//! kind 1 | length 2, big endian | body
//!
//! 1 hello     version 1 (= 1) | random 32 | key ID 16 | life in milliseconds 8 | volume in bytes 8
//! 2 welcome   random 32 | life in milliseconds 8 | volume in bytes 8
//! 3 record    ciphertext | tag 16
//! ```
//!
//! A hello and a welcome come once, at the beginning. Inside a record: what it is (1 byte) and what belongs to it.
//! A length that does not fit its kind is refused as soon as the head is read.

use crate::frames::{self, Framing};
use bellwether_protocol::keys::KeyId;

/// The version of the tunnel that this program speaks.
pub const VERSION: u8 = 1;
/// Bytes before the body.
pub const HEAD: usize = 3;
/// A record carries at most this much of a connection, in bytes.
pub const DATA_LIMIT: usize = 16 << 10;
/// Bytes that a record adds to what it carries: what it is, and the tag.
pub const BURDEN: usize = 1 + 16;
const HELLO: usize = 65;
const WELCOME: usize = 48;

/// The first frame of an initiator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Makes the keys of this connection different from those of any other.
    pub random: [u8; 32],
    /// Which key is meant.
    pub key: KeyId,
    /// How long the initiator lets a key last, in milliseconds.
    pub life: u64,
    /// For how many bytes in each direction.
    pub volume: u64,
}

/// The first frame of a responder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// Makes the keys of this connection different from those of any other.
    pub random: [u8; 32],
    /// How long the responder lets a key last, in milliseconds.
    pub life: u64,
    /// For how many bytes in each direction.
    pub volume: u64,
}

/// What arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The first of an initiator.
    Hello(Hello),
    /// The first of a responder.
    Welcome(Welcome),
    /// Sealed.
    Record(Vec<u8>),
}

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// No such kind: whoever speaks there is no tunnel.
    #[error("the other end does not speak as a tunnel does (a frame of kind {0}): check address and port")]
    Kind(u8),
    /// Another version.
    #[error(
        "the other end is a tunnel of version {0}, this one of version {VERSION}: use the same program at both"
    )]
    Version(u8),
    /// The wrong length.
    #[error("a frame of kind {kind} with {length} bytes cannot be")]
    Length {
        /// Of which kind.
        kind: u8,
        /// How long.
        length: usize,
    },
}

impl Hello {
    /// The whole frame.
    pub fn encode(&self) -> Vec<u8> {
        let length = (HELLO as u16).to_be_bytes();
        let (life, volume) = (self.life.to_be_bytes(), self.volume.to_be_bytes());
        [&[1][..], &length, &[VERSION], &self.random, &self.key.0.to_be_bytes(), &life, &volume].concat()
    }

    fn decode(body: &[u8]) -> Result<Self, FrameError> {
        let mut rest = Fields(body);
        let [version] = rest.take();
        if version != VERSION {
            return Err(FrameError::Version(version));
        }
        Ok(Self {
            random: rest.take(),
            key: KeyId(u128::from_be_bytes(rest.take())),
            life: u64::from_be_bytes(rest.take()),
            volume: u64::from_be_bytes(rest.take()),
        })
    }
}

impl Welcome {
    /// The whole frame.
    pub fn encode(&self) -> Vec<u8> {
        let length = (WELCOME as u16).to_be_bytes();
        let (life, volume) = (self.life.to_be_bytes(), self.volume.to_be_bytes());
        [&[2][..], &length, &self.random, &life, &volume].concat()
    }

    fn decode(body: &[u8]) -> Self {
        let mut rest = Fields(body);
        Self {
            random: rest.take(),
            life: u64::from_be_bytes(rest.take()),
            volume: u64::from_be_bytes(rest.take()),
        }
    }
}

/// The head of a record whose body, tag included, is so long.
pub(super) fn record_head(length: usize) -> [u8; HEAD] {
    debug_assert!((BURDEN..=DATA_LIMIT + BURDEN).contains(&length));
    let [high, low] = (length as u16).to_be_bytes();
    [3, high, low]
}

/// Fields of fixed lengths, whose sum was checked.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.0.split_first_chunk::<N>().expect("the body's length was checked");
        self.0 = rest;
        *field
    }
}

/// Reads frames from bytes as they arrive.
pub type Decoder = frames::Decoder<Frame>;

impl Framing for Frame {
    type Error = FrameError;

    fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>, FrameError> {
        let Some(&[kind, high, low]) = bytes.first_chunk::<HEAD>() else {
            // One byte is enough to tell who speaks something else.
            return match bytes.first() {
                Some(&kind) if !(1..=3).contains(&kind) => Err(FrameError::Kind(kind)),
                _ => Ok(None),
            };
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let fits = match kind {
            1 => length == HELLO,
            2 => length == WELCOME,
            3 => (BURDEN..=DATA_LIMIT + BURDEN).contains(&length),
            _ => return Err(FrameError::Kind(kind)),
        };
        if !fits {
            return Err(FrameError::Length { kind, length });
        }
        let Some(body) = bytes.get(HEAD..HEAD + length) else { return Ok(None) };
        let frame = match kind {
            1 => Self::Hello(Hello::decode(body)?),
            2 => Self::Welcome(Welcome::decode(body)),
            _ => Self::Record(body.to_vec()),
        };
        Ok(Some((frame, HEAD + length)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::tests::decode;
    use proptest::prelude::*;

    fn encode(frame: &Frame) -> Vec<u8> {
        match frame {
            Frame::Hello(hello) => hello.encode(),
            Frame::Welcome(welcome) => welcome.encode(),
            Frame::Record(body) => [&record_head(body.len())[..], body].concat(),
        }
    }

    fn frames() -> impl Strategy<Value = Vec<Frame>> {
        let hello = any::<([u8; 32], u128, u64, u64)>().prop_map(|(random, key, life, volume)| {
            Frame::Hello(Hello { random, key: KeyId(key), life, volume })
        });
        let welcome = any::<([u8; 32], u64, u64)>()
            .prop_map(|(random, life, volume)| Frame::Welcome(Welcome { random, life, volume }));
        let record = proptest::collection::vec(any::<u8>(), BURDEN..200).prop_map(Frame::Record);
        proptest::collection::vec(prop_oneof![1 => hello, 1 => welcome, 4 => record], 0..12)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn frames_arrive_as_they_were_sent_however_they_are_cut(
            frames in frames(),
            cuts in proptest::collection::vec(any::<usize>(), 0..12),
        ) {
            let bytes: Vec<u8> = frames.iter().flat_map(encode).collect();
            prop_assert_eq!(decode(&bytes, &cuts), (frames, None));
        }

        #[test]
        fn any_bytes_give_the_same_however_they_are_cut(
            start in frames(),
            noise in proptest::collection::vec(any::<u8>(), 0..200),
            cuts in proptest::collection::vec(any::<usize>(), 0..12),
        ) {
            let mut bytes: Vec<u8> = start.iter().flat_map(encode).collect();
            bytes.extend(&noise);
            let whole = decode(&bytes, &[]);
            prop_assert_eq!(&whole, &decode(&bytes, &cuts));
            let again: Vec<u8> = whole.0.iter().flat_map(encode).collect();
            prop_assert_eq!(again.as_slice(), &bytes[..again.len()]);
        }
    }

    #[test]
    fn each_wrong_head_is_told_and_stays_wrong() {
        let mut hello = Hello { random: [7; 32], key: KeyId(1), life: 2, volume: 3 }.encode();
        assert_eq!(hello.len(), HEAD + HELLO);
        hello[HEAD] = 9;
        let wrong = [
            (b"GET / HTTP/1.1".to_vec(), FrameError::Kind(b'G')),
            (vec![0], FrameError::Kind(0)),
            (hello, FrameError::Version(9)),
            (vec![1, 0, 64], FrameError::Length { kind: 1, length: 64 }),
            (vec![3, 0, 16], FrameError::Length { kind: 3, length: 16 }),
            (vec![3, 0xff, 0xff], FrameError::Length { kind: 3, length: 65535 }),
        ];
        for (bytes, error) in wrong {
            let mut decoder = Decoder::new();
            decoder.push(&bytes);
            assert_eq!(decoder.next_frame(), Err(error));
            decoder.push(&record_head(BURDEN));
            assert_eq!(decoder.next_frame(), Err(error));
        }
    }
}
