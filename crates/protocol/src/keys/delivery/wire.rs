//! Frames between key managers, written and read by hand.
//!
//! A version, a kind, the sender's life and the receiver's life as the sender knows it, then the fields in the order
//! of the structs below. Whatever bytes come, reading ends with a frame or a [`DecodeError`]. Frames hold no key
//! but under a one-time pad; they are made for a channel that authenticates both nodes.

use super::api::Protection;
use super::codec::{DecodeError, Reader, Writer};
use super::name::SaeName;
use super::streams::{KeyStreamId, StreamWord};
use crate::keys::KeyId;
use bellwether_units::NodeId;

/// The version of the frames.
const VERSION: u8 = 1;
/// The longest frame, in bytes.
pub(super) const MAX_FRAME: usize = 1 << 20;
/// After how many bytes of announcements no further one is put into a frame.
pub(super) const FULL_FRAME: usize = 1 << 18;
const MAX_BLOCKS: usize = 1 << 15;
const MAX_KEYS: usize = 1024;
const MAX_NAMES: usize = 65;
/// The most pieces of one key: the longest key, of the shortest blocks.
const MAX_PIECES: usize = 1 << 14;
/// The most announcements, and reports of missing keys, of one frame.
pub(super) const MAX_ENTRIES: usize = 4096;
/// An ML-KEM-768 encapsulation key and ciphertext (FIPS 203, table 3).
pub(super) const ENCAPSULATION_KEY: usize = 1184;
pub(super) const CIPHERTEXT: usize = 1088;

/// The name of one life of a key manager: chosen anew when it starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Life(pub(super) u64);

/// What two key managers tell each other before anything else, to agree on what was before.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Hello {
    /// A number chosen anew, to be given back: it shows that an answer is fresh.
    pub(super) challenge: u64,
    /// The challenge last heard.
    pub(super) answer: u64,
    /// The sender has heard a fresh answer.
    pub(super) met: bool,
    /// The number of the sender's first announcement that is not known to be heard.
    pub(super) base: u64,
    /// The number of the last announcement of the receiver that the sender has applied, durably.
    pub(super) heard: u64,
    /// The number of the last announcement that the sender made.
    pub(super) said: u64,
    /// The sender's store was found to be old: what was announced to it so far is lost.
    pub(super) forgot: bool,
    /// The receiver's blocks that the sender holds.
    pub(super) held: Vec<KeyId>,
}

/// A stretch of a block, in bytes. Of a post-quantum secret the length is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) block: KeyId,
    pub(super) offset: u32,
    pub(super) length: u32,
}

/// One key of an announcement.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AnnouncedKey {
    pub(super) id: KeyId,
    pub(super) pieces: Vec<Piece>,
    /// Empty, if the pieces give the key; else the key under the pad that they give.
    pub(super) padded: Vec<u8>,
}

/// The owner of blocks tells their holder what it took from them: its `number`-th word, to be applied in order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Announcement {
    pub(super) number: u64,
    /// The keys are chunks of this stream, of this number and the following.
    pub(super) stream: Option<(KeyStreamId, u32)>,
    pub(super) master: SaeName,
    pub(super) slaves: Vec<SaeName>,
    pub(super) bits: u32,
    /// How the pieces are combined.
    pub(super) combined: Protection,
    /// What the keys rest on in all.
    pub(super) protection: Protection,
    /// Nodes that have seen the keys besides those that saw the blocks named here.
    pub(super) nodes: Vec<NodeId>,
    pub(super) keys: Vec<AnnouncedKey>,
}

/// What an announcement carries.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Word {
    Keys(Announcement),
    /// The owner will take nothing more from these blocks.
    Released(u64, Vec<KeyId>),
    /// Something of a key stream.
    Stream(u64, KeyStreamId, StreamWord),
}

impl Word {
    /// About how many bytes it takes in a frame.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Released(_, blocks) => 16 + 16 * blocks.len(),
            Self::Stream(..) => 192,
            Self::Keys(a) => {
                let keys = a.keys.iter().map(|key| 24 + 24 * key.pieces.len() + key.padded.len());
                256 + 64 * a.slaves.len() + 4 * a.nodes.len() + keys.sum::<usize>()
            }
        }
    }
    pub(super) fn number(&self) -> u64 {
        match self {
            Self::Keys(announcement) => announcement.number,
            Self::Released(number, _) | Self::Stream(number, ..) => *number,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Body {
    Hello(Hello),
    /// The owner offers a block: quantum key that both hold, or none (0 bits), and a post-quantum secret to come.
    Offer {
        block: KeyId,
        quantum_bits: u32,
        encapsulation_key: Box<[u8; ENCAPSULATION_KEY]>,
    },
    /// The holder holds the block, durably.
    Accept {
        block: KeyId,
        ciphertext: Box<[u8; CIPHERTEXT]>,
        proof: [u8; 32],
    },
    /// The owner owns the block, durably.
    Confirm {
        block: KeyId,
    },
    /// The holder will not hold the block.
    Refuse {
        block: KeyId,
    },
    Announce {
        base: u64,
        words: Vec<Word>,
    },
    /// The holder has applied all words up to `heard`, durably; of some it could not make the keys.
    Ack {
        heard: u64,
        missing: Vec<(u64, Vec<KeyId>)>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Frame {
    pub(super) from: Life,
    pub(super) to: Life,
    pub(super) body: Body,
}

fn protection_code(protection: Protection) -> u8 {
    match protection {
        Protection::Hybrid => 0,
        Protection::QuantumOnly => 1,
        Protection::PostQuantumOnly => 2,
        Protection::Local => 3,
    }
}

pub(super) fn write_protection(w: &mut Writer, protection: Protection) {
    w.u8(protection_code(protection));
}

pub(super) fn read_protection(r: &mut Reader<'_>) -> Result<Protection, DecodeError> {
    match r.u8()? {
        0 => Ok(Protection::Hybrid),
        1 => Ok(Protection::QuantumOnly),
        2 => Ok(Protection::PostQuantumOnly),
        3 => Ok(Protection::Local),
        _ => Err(DecodeError::Value("the protection")),
    }
}

impl Word {
    pub(super) fn write(&self, w: &mut Writer) {
        match self {
            Self::Released(number, blocks) => {
                w.u8(1).u64(*number).list(blocks, |w, b| w.id(*b));
            }
            Self::Stream(number, id, word) => {
                w.u8(2).u64(*number).stream(*id);
                word.write(w);
            }
            Self::Keys(a) => {
                match a.stream {
                    None => w.u8(0),
                    Some((id, first)) => w.u8(3).stream(id).u32(first),
                };
                w.u64(a.number).name(&a.master).list(&a.slaves, |w, n| w.name(n)).u32(a.bits);
                write_protection(w, a.combined);
                write_protection(w, a.protection);
                w.list(&a.nodes, |w, n| w.node(*n));
                w.list(&a.keys, |w, key| {
                    w.id(key.id);
                    w.list(&key.pieces, |w, p| w.id(p.block).u32(p.offset).u32(p.length));
                    w.bytes(&key.padded)
                });
            }
        }
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let stream = match r.u8()? {
            0 => None,
            1 => return Ok(Self::Released(r.u64()?, r.list(MAX_BLOCKS, Reader::id)?)),
            2 => return Ok(Self::Stream(r.u64()?, r.stream()?, StreamWord::read(r)?)),
            3 => Some((r.stream()?, r.u32()?)),
            _ => return Err(DecodeError::Value("the kind of an announcement")),
        };
        let (number, master) = (r.u64()?, r.name()?);
        let slaves = r.list(MAX_NAMES, Reader::name)?;
        let bits = r.u32()?;
        if bits == 0 || bits % 8 != 0 || bits > 1 << 20 {
            return Err(DecodeError::Value("the length of a key"));
        }
        let (combined, protection) = (read_protection(r)?, read_protection(r)?);
        let nodes = r.list(MAX_ENTRIES, Reader::node)?;
        let keys = r.list(MAX_KEYS, |r| {
            let id = r.id()?;
            let pieces =
                r.list(MAX_PIECES, |r| Ok(Piece { block: r.id()?, offset: r.u32()?, length: r.u32()? }))?;
            let padded = r.bytes(1 << 17)?.to_vec();
            if !padded.is_empty() && padded.len() != (bits / 8) as usize {
                return Err(DecodeError::Value("the length of a padded key"));
            }
            Ok(AnnouncedKey { id, pieces, padded })
        })?;
        Ok(Self::Keys(Announcement {
            number,
            stream,
            master,
            slaves,
            bits,
            combined,
            protection,
            nodes,
            keys,
        }))
    }
}

impl Frame {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        let kind = match self.body {
            Body::Hello(_) => 0,
            Body::Offer { .. } => 1,
            Body::Accept { .. } => 2,
            Body::Confirm { .. } => 3,
            Body::Refuse { .. } => 4,
            Body::Announce { .. } => 5,
            Body::Ack { .. } => 6,
        };
        w.u8(VERSION).u8(kind).u64(self.from.0).u64(self.to.0);
        match &self.body {
            Body::Hello(h) => {
                w.u64(h.challenge).u64(h.answer).u8(h.met.into()).u64(h.base).u64(h.heard);
                w.u64(h.said).u8(h.forgot.into());
                w.list(&h.held, |w, b| w.id(*b));
            }
            Body::Offer { block, quantum_bits, encapsulation_key } => {
                w.id(*block).u32(*quantum_bits).raw(&encapsulation_key[..]);
            }
            Body::Accept { block, ciphertext, proof } => {
                w.id(*block).raw(&ciphertext[..]).raw(proof);
            }
            Body::Confirm { block } | Body::Refuse { block } => {
                w.id(*block);
            }
            Body::Announce { base, words } => {
                w.u64(*base).list(words, |w, word| {
                    word.write(w);
                    w
                });
            }
            Body::Ack { heard, missing } => {
                w.u64(*heard)
                    .list(missing, |w, (number, keys)| w.u64(*number).list(keys, |w, key| w.id(*key)));
            }
        }
        w.0
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > MAX_FRAME {
            return Err(DecodeError::Value("the length of the frame"));
        }
        let mut r = Reader(bytes);
        let version = r.u8()?;
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        let kind = r.u8()?;
        let (from, to) = (Life(r.u64()?), Life(r.u64()?));
        let body = match kind {
            0 => Body::Hello(Hello {
                challenge: r.u64()?,
                answer: r.u64()?,
                met: r.flag()?,
                base: r.u64()?,
                heard: r.u64()?,
                said: r.u64()?,
                forgot: r.flag()?,
                held: r.list(MAX_BLOCKS, Reader::id)?,
            }),
            1 => {
                let (block, quantum_bits) = (r.id()?, r.u32()?);
                Body::Offer { block, quantum_bits, encapsulation_key: Box::new(r.array()?) }
            }
            2 => Body::Accept { block: r.id()?, ciphertext: Box::new(r.array()?), proof: r.array()? },
            3 => Body::Confirm { block: r.id()? },
            4 => Body::Refuse { block: r.id()? },
            5 => Body::Announce { base: r.u64()?, words: r.list(MAX_ENTRIES, Word::read)? },
            6 => Body::Ack {
                heard: r.u64()?,
                missing: r.list(MAX_ENTRIES, |r| Ok((r.u64()?, r.list(MAX_KEYS, Reader::id)?)))?,
            },
            _ => return Err(DecodeError::Value("the kind")),
        };
        r.end()?;
        Ok(Self { from, to, body })
    }
}

/// Whether these bytes are a frame of a key manager; for fuzzing and diagnosis.
///
/// # Errors
/// Why not.
pub fn check_frame(bytes: &[u8]) -> Result<(), DecodeError> {
    let frame = Frame::decode(bytes)?;
    debug_assert_eq!(frame.encode(), bytes, "a frame has one form");
    Ok(())
}

#[cfg(test)]
mod tests;
