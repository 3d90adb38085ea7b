//! The messages of a session, as payloads of frames.
//!
//! A message is a byte for its kind, the number of its window or block, and its body. Counts are variable-length
//! integers of seven bits a byte; other integers are little-endian and of fixed length.
//!
//! | kind | from | number of a | body |
//! |---|---|---|---|
//! | 1 announce | receiver | window | an [`Announcement`](crate::qkd::sift::Announcement) |
//! | 2 sifted | transmitter | window | a [`Reply`](crate::qkd::sift::Reply) |
//! | 3 reconcile | receiver | block | error rate (count, of 2^-32), shuffles (8 bytes), the first request |
//! | 4 ask | receiver | block | a request of reconciliation |
//! | 5 answer | transmitter | block | its answer |
//! | 6 corrected | receiver | block | bits disclosed, errors in each intensity class (counts) |
//! | 7 distil | transmitter | block | verification key and tag (16 bytes each), key bits, pairs of pads, bits of seed (counts), seed |
//! | 8 confirm | receiver | block | nothing |
//! | 9 discard | either | block | reason (1 byte): 1 no key, 2 reconciliation, 3 verification, 4 certificate, 5 monitor |

use super::DiscardReason;
use crate::qkd::wire::{Malformed, Reader, Writer};
use bellwether_bits::BitString;
use bellwether_units::BlockId;

/// What one end tells the other. Contents that only make sense beside a block or window stay bytes here and are
/// read by whoever holds that block or window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message<'a> {
    /// Receiver: clicks of the next window ([`Announcement`](crate::qkd::sift::Announcement)).
    Announce { window: u64, announcement: &'a [u8] },
    /// Transmitter: what is kept of it ([`Reply`](crate::qkd::sift::Reply)).
    Sifted { window: u64, reply: &'a [u8] },
    /// Receiver: reconcile this block, expecting this error rate (in units of 2^-32), with these shuffles.
    Reconcile { block: BlockId, error_rate: u32, shuffles: u64, request: &'a [u8] },
    /// Receiver: the next request of reconciliation.
    Ask { block: BlockId, request: &'a [u8] },
    /// Transmitter: its answer.
    Answer { block: BlockId, answer: &'a [u8] },
    /// Receiver, sealed: the errors that were corrected, by intensity class, and the bits that were disclosed.
    Corrected { block: BlockId, disclosed: u64, errors: Vec<u64> },
    /// Transmitter, sealed: how to verify and amplify the block.
    Distil(Distil),
    /// Receiver, sealed: the block's key is made.
    Confirm { block: BlockId },
    /// Either: this block is discarded.
    Discard { block: BlockId, reason: DiscardCode },
}

/// How a block becomes key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Distil {
    pub(super) block: BlockId,
    /// The key of the verification hash, drawn after reconciliation.
    pub(super) verification_key: u128,
    /// The transmitter's verification hash.
    pub(super) verification: u128,
    /// Bits that the certificate grants.
    pub(super) key_bits: u64,
    /// Pairs of authentication pads, one a direction, to be split off the front of the key.
    pub(super) pad_pairs: u64,
    /// The seed of privacy amplification, drawn after reconciliation.
    pub(super) seed: BitString,
}

/// Why a block is discarded, as far as the other end needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DiscardCode {
    NoKey = 1,
    Reconciliation = 2,
    Verification = 3,
    Certificate = 4,
    Monitor = 5,
}

impl DiscardCode {
    /// The reason as this end tells it when the other end gave it.
    pub(super) fn reason(self) -> DiscardReason {
        match self {
            Self::NoKey => DiscardReason::NoKeyThere,
            Self::Reconciliation => DiscardReason::Reconciliation,
            Self::Verification => DiscardReason::Verification,
            Self::Certificate => DiscardReason::Certificate,
            Self::Monitor => DiscardReason::MonitorThere,
        }
    }
}

impl Message<'_> {
    pub(super) fn encode(&self) -> Vec<u8> {
        let body = match self {
            Message::Announce { announcement: bytes, .. }
            | Message::Sifted { reply: bytes, .. }
            | Message::Reconcile { request: bytes, .. }
            | Message::Ask { request: bytes, .. }
            | Message::Answer { answer: bytes, .. } => bytes.len(),
            Message::Distil(distil) => distil.seed.len() / 8,
            _ => 0,
        };
        let mut out = Writer::with_capacity(body + 128);
        match self {
            Message::Announce { window, announcement } => {
                out.u8(1);
                out.count(*window);
                out.bytes(announcement);
            }
            Message::Sifted { window, reply } => {
                out.u8(2);
                out.count(*window);
                out.bytes(reply);
            }
            Message::Reconcile { block, error_rate, shuffles, request } => {
                out.u8(3);
                out.count(block.0);
                out.count(u64::from(*error_rate));
                out.u64(*shuffles);
                out.bytes(request);
            }
            Message::Ask { block, request } => {
                out.u8(4);
                out.count(block.0);
                out.bytes(request);
            }
            Message::Answer { block, answer } => {
                out.u8(5);
                out.count(block.0);
                out.bytes(answer);
            }
            Message::Corrected { block, disclosed, errors } => {
                out.u8(6);
                out.count(block.0);
                out.count(*disclosed);
                errors.iter().for_each(|&count| out.count(count));
            }
            Message::Distil(distil) => {
                out.u8(7);
                out.count(distil.block.0);
                out.bytes(&distil.verification_key.to_le_bytes());
                out.bytes(&distil.verification.to_le_bytes());
                out.count(distil.key_bits);
                out.count(distil.pad_pairs);
                out.count(distil.seed.len() as u64);
                out.bits(&distil.seed);
            }
            Message::Confirm { block } => {
                out.u8(8);
                out.count(block.0);
            }
            Message::Discard { block, reason } => {
                out.u8(9);
                out.count(block.0);
                out.u8(*reason as u8);
            }
        }
        out.finish()
    }

    /// Reads a message of a link whose source has `classes` intensities.
    pub(super) fn decode(bytes: &[u8], classes: usize) -> Result<Message<'_>, Malformed> {
        let mut input = Reader::new(bytes);
        let kind = input.u8()?;
        let number = input.count()?;
        let block = BlockId(number);
        let message = match kind {
            1 => Message::Announce { window: number, announcement: input.rest() },
            2 => Message::Sifted { window: number, reply: input.rest() },
            3 => Message::Reconcile {
                block,
                error_rate: input.count_up_to(u64::from(u32::MAX), "an error rate")? as u32,
                shuffles: input.u64()?,
                request: input.rest(),
            },
            4 => Message::Ask { block, request: input.rest() },
            5 => Message::Answer { block, answer: input.rest() },
            6 => Message::Corrected {
                block,
                disclosed: input.count()?,
                errors: (0..classes).map(|_| input.count()).collect::<Result<_, _>>()?,
            },
            7 => {
                let verification_key = u128::from_le_bytes(input.array()?);
                let verification = u128::from_le_bytes(input.array()?);
                let key_bits = input.count()?;
                let pad_pairs = input.count()?;
                let seed_bits = input.count_up_to(1 << 32, "the length of a seed")? as usize;
                Message::Distil(Distil {
                    block,
                    verification_key,
                    verification,
                    key_bits,
                    pad_pairs,
                    seed: input.bits(seed_bits)?,
                })
            }
            8 => Message::Confirm { block },
            9 => Message::Discard {
                block,
                reason: match input.u8()? {
                    1 => DiscardCode::NoKey,
                    2 => DiscardCode::Reconciliation,
                    3 => DiscardCode::Verification,
                    4 => DiscardCode::Certificate,
                    5 => DiscardCode::Monitor,
                    _ => return Err(Malformed::Value("the reason for discarding a block")),
                },
            },
            other => return Err(Malformed::Kind(other)),
        };
        input.finish()?;
        Ok(message)
    }

    /// Whether it must come under a tag of its own, whatever the policy.
    pub(super) fn is_sealed(&self) -> bool {
        matches!(self, Message::Corrected { .. } | Message::Distil(_) | Message::Confirm { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn messages_survive_the_wire(
            number: u64, error_rate: u32, other: u64, key: u128,
            bytes in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let block = BlockId(number);
            for message in [
                Message::Announce { window: number, announcement: &bytes },
                Message::Sifted { window: number, reply: &bytes },
                Message::Reconcile { block, error_rate, shuffles: other, request: &bytes },
                Message::Ask { block, request: &bytes },
                Message::Answer { block, answer: &bytes },
                Message::Corrected { block, disclosed: other, errors: vec![number, other] },
                Message::Distil(Distil {
                    block,
                    verification_key: key,
                    verification: !key,
                    key_bits: other,
                    pad_pairs: number,
                    seed: BitString::from_bytes(&bytes, bytes.len() * 8),
                }),
                Message::Confirm { block },
                Message::Discard { block, reason: DiscardCode::Verification },
                Message::Discard { block, reason: DiscardCode::Monitor },
            ] {
                let encoded = message.encode();
                prop_assert_eq!(Message::decode(&encoded, 2), Ok(message));
            }
        }

        #[test]
        fn any_bytes_decode_without_panic(mut bytes in proptest::collection::vec(any::<u8>(), 1..80), kind in 0u8..11) {
            bytes[0] = kind;
            if let Ok(message) = Message::decode(&bytes, 2) {
                prop_assert_eq!(message.encode(), bytes);
            }
        }
    }
}
