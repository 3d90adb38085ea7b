//! The messages between the ends, byte by byte.
//!
//! | kind | message | from | fields |
//! |---|---|---|---|
//! | 1 | hello | both | version (1), settings |
//! | 2 | begin | correcting | block; bits of the block; the sample's mask, a bit for each; its bits there |
//! | 3 | sampled | reference | block; wrong bits of the sample |
//! | 4 | reconcile | correcting | block; code of the family (1 byte); expected error rate in millionths; name of the shuffles (8 bytes); first question |
//! | 5 | ask | correcting | block; question |
//! | 6 | answer | reference | block; answer |
//! | 7 | corrected | correcting | block; parities disclosed; errors |
//! | 8 | distil | reference | block; verification key (16 bytes); tag (16 bytes); length of the key; bits of the seed; the seed |
//! | 9 | made | correcting | block |
//! | 10 | discard | either | block; 1 if it is about verification, else 0 |
//! | 11 | stop | correcting | |
//! | 12 | close | reference | how many blocks of those made are to be sealed; 1 if it is the last seal |
//! | 13 | confirm | correcting | pad (8 bytes); tag (16 bytes) |
//! | 14 | ping | correcting | |
//! | 15 | pong | reference | |
//! | 16 | seal | reference | pad (8 bytes); tag (16 bytes) |
//!
//! Numbers without a size are [counts](crate::qkd::wire), and a question, an answer or bits go to the end. A tag covers
//! everything of its direction since the last, its own frame included but for pad and tag.

use super::reconciling::Method;
use super::settings::RawSettings;
use crate::qkd::authenticate::Tag;
use crate::qkd::reconcile::Family;
use crate::qkd::wire::{Malformed, Reader, Writer};
use bellwether_bits::BitString;
use bellwether_units::BlockId;

/// The version of the messages.
const VERSION: u8 = 1;

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub struct Message<'a>(pub(super) Kind<'a>);

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind<'a> {
    Hello(Box<RawSettings>),
    Begin { block: BlockId, mask: BitString, sample: BitString },
    Sampled { block: BlockId, errors: u64 },
    Reconcile { block: BlockId, method: Method, request: &'a [u8] },
    Ask { block: BlockId, request: &'a [u8] },
    Answer { block: BlockId, answer: &'a [u8] },
    Corrected { block: BlockId, disclosed: u64, errors: u64 },
    Distil { block: BlockId, verification_key: u128, verification: u128, key_bits: u64, seed: BitString },
    Made { block: BlockId },
    Discard { block: BlockId, verification: bool },
    Stop,
    Close { made: u64, last: bool },
    Confirm,
    Seal,
    Ping,
    Pong,
}

impl<'a> Message<'a> {
    /// Reads a frame and what of it a tag covers, and the tag if it carries one.
    ///
    /// # Errors
    /// If no honest end writes it.
    pub fn decode(frame: &'a [u8]) -> Result<(Self, &'a [u8], Option<Tag>), Malformed> {
        let (covered, tag) = match frame.first() {
            Some(13 | 16) => {
                let (covered, tag) =
                    frame.split_last_chunk::<{ Tag::ENCODED_LEN }>().ok_or(Malformed::Truncated)?;
                (covered, Some(Tag::from_bytes(*tag)))
            }
            _ => (frame, None),
        };
        let mut from = Reader::new(covered);
        let kind = from.u8()?;
        let block = |from: &mut Reader<'a>| from.count().map(BlockId);
        let message = match kind {
            1 => {
                let version = from.u8()?;
                if version != VERSION {
                    return Err(Malformed::Version(version));
                }
                Kind::Hello(Box::new(RawSettings::decode(&mut from)?))
            }
            2 => {
                let block = block(&mut from)?;
                let bits = bits(&mut from)?;
                let mask = from.bits(bits)?;
                let sample = from.bits(mask.count_ones())?;
                Kind::Begin { block, mask, sample }
            }
            3 => Kind::Sampled { block: block(&mut from)?, errors: from.count()? },
            4 => {
                let block = block(&mut from)?;
                let family = Family::of_code(from.u8()?).ok_or(Malformed::Value("the family"))?;
                let error_rate = from.count_up_to(500_000, "the error rate")? as u32;
                let shuffles = from.u64()?;
                let method = Method { family, error_rate, shuffles };
                Kind::Reconcile { block, method, request: from.rest() }
            }
            5 => Kind::Ask { block: block(&mut from)?, request: from.rest() },
            6 => Kind::Answer { block: block(&mut from)?, answer: from.rest() },
            7 => {
                Kind::Corrected { block: block(&mut from)?, disclosed: from.count()?, errors: from.count()? }
            }
            8 => {
                let block = block(&mut from)?;
                let verification_key = u128::from_le_bytes(from.array()?);
                let verification = u128::from_le_bytes(from.array()?);
                let key_bits = from.count()?;
                let len = bits(&mut from)?;
                let seed = from.bits(len)?;
                Kind::Distil { block, verification_key, verification, key_bits, seed }
            }
            9 => Kind::Made { block: block(&mut from)? },
            10 => Kind::Discard { block: block(&mut from)?, verification: from.flag()? },
            11 => Kind::Stop,
            12 => Kind::Close { made: from.count()?, last: from.flag()? },
            13 => Kind::Confirm,
            14 => Kind::Ping,
            15 => Kind::Pong,
            16 => Kind::Seal,
            other => return Err(Malformed::Kind(other)),
        };
        from.finish()?;
        Ok((Self(message), covered, tag))
    }

    /// The frame, but for the tag that a seal or a confirmation carries at its end.
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Writer::default();
        match &self.0 {
            Kind::Hello(settings) => {
                to.u8(1);
                to.u8(VERSION);
                settings.encode(&mut to);
            }
            Kind::Begin { block, mask, sample } => {
                to = Writer::with_capacity((mask.len() + sample.len()) / 8 + 32);
                to.u8(2);
                to.count(block.0);
                to.count(mask.len() as u64);
                to.bits(mask);
                to.bits(sample);
            }
            Kind::Sampled { block, errors } => {
                to.u8(3);
                to.count(block.0);
                to.count(*errors);
            }
            Kind::Reconcile { block, method, request } => {
                to.u8(4);
                to.count(block.0);
                to.u8(method.family.code());
                to.count(u64::from(method.error_rate));
                to.u64(method.shuffles);
                to.bytes(request);
            }
            Kind::Ask { block, request } => {
                to = Writer::with_capacity(request.len() + 16);
                to.u8(5);
                to.count(block.0);
                to.bytes(request);
            }
            Kind::Answer { block, answer } => {
                to = Writer::with_capacity(answer.len() + 16);
                to.u8(6);
                to.count(block.0);
                to.bytes(answer);
            }
            Kind::Corrected { block, disclosed, errors } => {
                to.u8(7);
                to.count(block.0);
                to.count(*disclosed);
                to.count(*errors);
            }
            Kind::Distil { block, verification_key, verification, key_bits, seed } => {
                to = Writer::with_capacity(seed.len() / 8 + 80);
                to.u8(8);
                to.count(block.0);
                to.bytes(&verification_key.to_le_bytes());
                to.bytes(&verification.to_le_bytes());
                to.count(*key_bits);
                to.count(seed.len() as u64);
                to.bits(seed);
            }
            Kind::Made { block } => {
                to.u8(9);
                to.count(block.0);
            }
            Kind::Discard { block, verification } => {
                to.u8(10);
                to.count(block.0);
                to.u8(u8::from(*verification));
            }
            Kind::Stop => to.u8(11),
            Kind::Close { made, last } => {
                to.u8(12);
                to.count(*made);
                to.u8(u8::from(*last));
            }
            Kind::Confirm => to.u8(13),
            Kind::Ping => to.u8(14),
            Kind::Pong => to.u8(15),
            Kind::Seal => to.u8(16),
        }
        to.finish()
    }
}

/// A number of bits that are in the frame; how many there can be, the reader sees when it takes them.
fn bits(from: &mut Reader<'_>) -> Result<usize, Malformed> {
    Ok(from.count_up_to(1 << 40, "a number of bits")? as usize)
}
