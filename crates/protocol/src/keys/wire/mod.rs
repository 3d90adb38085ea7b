//! Frames between key nodes, written and read by hand.
//!
//! Little-endian; a version, a kind, then the fields in the order of the structs below; every list has a
//! bounded count before it. Whatever bytes come, reading ends with a frame or a [`FrameError`].

mod read;

pub use read::FrameError;

use crate::keys::api::{Failure, KeyId, LinkCondition, RequestId};
use crate::keys::pool::{Inventory, Stretch};
use bellwether_bits::BitString;
use bellwether_units::{BlockId, DemandId, LinkId, NodeId};

/// The version of the frames.
const VERSION: u8 = 1;
/// The longest route, in links.
pub(in crate::keys) const MAX_ROUTE: usize = 1024;
/// The longest payload of a transfer, in bits: the longest key and its tokens.
pub(in crate::keys) const MAX_PAYLOAD: u32 = (1 << 20) + 128;
/// The most shares of one key.
pub(in crate::keys) const MAX_SHARES: u8 = 8;
/// The most entries of an announcement or of a list of states.
pub(in crate::keys) const MAX_ENTRIES: usize = 64;

/// What an [`Frame::Announce`] says of its blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::keys) enum Word {
    /// "I hold these; do you?"
    Offer,
    /// "I hold these, and know that you do."
    Known,
    /// "I do not hold these and never will."
    Missing,
}

/// One hop of one share of a key.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::keys) struct Transfer {
    pub(in crate::keys) key: KeyId,
    pub(in crate::keys) share: u8,
    pub(in crate::keys) shares: u8,
    pub(in crate::keys) from: NodeId,
    /// The length of the key.
    pub(in crate::keys) bits: u32,
    pub(in crate::keys) request: RequestId,
    pub(in crate::keys) demand: Option<DemandId>,
    pub(in crate::keys) route: Vec<LinkId>,
    /// The place in the route of the link that the frame passes.
    pub(in crate::keys) hop: u16,
    /// Where the pad for payload and tag lies.
    pub(in crate::keys) stretches: Vec<Stretch>,
    /// Payload plus pad; nothing on the first hop, where the pad is the payload.
    pub(in crate::keys) ciphertext: BitString,
}

/// What a [`Control`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::keys) enum Verdict {
    /// Destination to source: the share is here, durably. Token: the share's first.
    Received,
    /// To the source: the share did not get through. No token.
    Failed(Option<LinkId>, Failure),
    /// Source to destination: the key stands. Token: the sum of the shares' second.
    Commit,
    /// Source to destination: the key will never stand. Token: its first 64 bits.
    Void,
    /// Destination to source: does the key stand? No token.
    Query,
    /// Either way: the last word was heard. No token.
    Done,
    /// Either way: the key is lost at the sender, or unknown to it. No token.
    Lost,
}

/// A short message between the two ends of a key, handed on hop by hop along its path.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::keys) struct Control {
    pub(in crate::keys) key: KeyId,
    pub(in crate::keys) share: u8,
    pub(in crate::keys) verdict: Verdict,
    pub(in crate::keys) token: u64,
    /// Who says it.
    pub(in crate::keys) from: NodeId,
    pub(in crate::keys) path: Vec<LinkId>,
    /// The place in the path of the link that the frame passes.
    pub(in crate::keys) hop: u16,
}

/// What one end of a link says of it, flooded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::keys) struct State {
    pub(in crate::keys) link: LinkId,
    /// Which end says it: its place in [`Topology::ends`](super::Topology::ends).
    pub(in crate::keys) side: u8,
    pub(in crate::keys) sequence: u64,
    pub(in crate::keys) condition: LinkCondition,
    /// The power of two of the level, in quanta, plus one; 0 is less than one quantum.
    pub(in crate::keys) class: u8,
    /// How many hops further it is to go.
    pub(in crate::keys) radius: u8,
}

#[derive(Clone, Debug, PartialEq)]
pub(in crate::keys) enum Frame {
    Announce {
        link: LinkId,
        word: Word,
        floor: BlockId,
        blocks: Vec<(BlockId, u32)>,
    },
    Transfer(Transfer),
    Control(Control),
    /// "Lend me some of yours": the last loan that arrived, and how many bits are wanted.
    Borrow {
        link: LinkId,
        last: u64,
        wanted: u64,
    },
    /// "These are yours now": its number, what is lent, and where the pad of the tag lies.
    Lend {
        link: LinkId,
        number: u64,
        lent: Vec<Stretch>,
        pad: Vec<Stretch>,
    },
    /// What is left of the pool as the sender sees it; it may want to know the same of the peer.
    Inventory {
        link: LinkId,
        answer: bool,
        /// The last loan that arrived.
        loan: u64,
        inventory: Inventory,
    },
    /// News of links; the sender may want to know that it was heard.
    States {
        answer: bool,
        states: Vec<State>,
    },
    /// Which states were heard: link, side, sequence.
    StatesHeard(Vec<(LinkId, u8, u64)>),
    /// "Tell me the states of all links that you have heard of."
    AskStates,
}

impl Frame {
    /// The frame as bytes; one that carries a tag wants it [appended](append_tag).
    pub(in crate::keys) fn encode(&self) -> Vec<u8> {
        let mut w = vec![VERSION];
        match self {
            Self::Announce { link, word, floor, blocks } => {
                w.push(1);
                put(&mut w, &link.0.to_le_bytes());
                w.push(match word {
                    Word::Offer => 0,
                    Word::Known => 1,
                    Word::Missing => 2,
                });
                put(&mut w, &floor.0.to_le_bytes());
                w.push(blocks.len() as u8);
                for (block, length) in blocks {
                    put(&mut w, &block.0.to_le_bytes());
                    put(&mut w, &length.to_le_bytes());
                }
            }
            Self::Transfer(t) => {
                w.reserve(96 + t.route.len() * 4 + t.stretches.len() * 16 + t.ciphertext.len() / 8);
                w.push(2);
                put(&mut w, &t.key.0.to_le_bytes());
                put(&mut w, &[t.share, t.shares]);
                put(&mut w, &t.from.0.to_le_bytes());
                put(&mut w, &t.bits.to_le_bytes());
                put(&mut w, &t.request.0.to_le_bytes());
                put(&mut w, &[u8::from(t.demand.is_some())]);
                put(&mut w, &t.demand.map_or(0, |d| d.0).to_le_bytes());
                put_route(&mut w, &t.route, t.hop);
                put_stretches(&mut w, &t.stretches);
                put(&mut w, &(t.ciphertext.len() as u32).to_le_bytes());
                put(&mut w, &t.ciphertext.to_bytes());
            }
            Self::Control(c) => {
                w.push(3);
                put(&mut w, &c.key.0.to_le_bytes());
                w.push(c.share);
                let (kind, link, failure) = match c.verdict {
                    Verdict::Received => (0, None, 0),
                    Verdict::Failed(link, failure) => (1, link, failure as u8),
                    Verdict::Commit => (2, None, 0),
                    Verdict::Void => (3, None, 0),
                    Verdict::Query => (4, None, 0),
                    Verdict::Done => (5, None, 0),
                    Verdict::Lost => (6, None, 0),
                };
                put(&mut w, &[kind, failure, u8::from(link.is_some())]);
                put(&mut w, &link.map_or(0, |l| l.0).to_le_bytes());
                put(&mut w, &c.token.to_le_bytes());
                put(&mut w, &c.from.0.to_le_bytes());
                put_route(&mut w, &c.path, c.hop);
            }
            Self::Borrow { link, last, wanted } => {
                w.push(4);
                put(&mut w, &link.0.to_le_bytes());
                put(&mut w, &last.to_le_bytes());
                put(&mut w, &wanted.to_le_bytes());
            }
            Self::Lend { link, number, lent, pad } => {
                w.push(5);
                put(&mut w, &link.0.to_le_bytes());
                put(&mut w, &number.to_le_bytes());
                put_stretches(&mut w, lent);
                put_stretches(&mut w, pad);
            }
            Self::States { answer, states } => {
                w.push(6);
                w.push(u8::from(*answer));
                w.push(states.len() as u8);
                for s in states {
                    put(&mut w, &s.link.0.to_le_bytes());
                    put(&mut w, &s.sequence.to_le_bytes());
                    put(&mut w, &[s.side, s.condition as u8, s.class, s.radius]);
                }
            }
            Self::AskStates => w.push(7),
            Self::Inventory { link, answer, loan, inventory } => {
                w.push(9);
                put(&mut w, &link.0.to_le_bytes());
                w.push(u8::from(*answer));
                put(&mut w, &loan.to_le_bytes());
                put(&mut w, &inventory.from.0.to_le_bytes());
                put(&mut w, &inventory.to.0.to_le_bytes());
                put_stretches(&mut w, &inventory.free);
                put_stretches(&mut w, &inventory.held);
                w.push(inventory.kept.len() as u8);
                for block in &inventory.kept {
                    put(&mut w, &block.0.to_le_bytes());
                }
            }
            Self::StatesHeard(heard) => {
                w.push(8);
                w.push(heard.len() as u8);
                for (link, side, sequence) in heard {
                    put(&mut w, &link.0.to_le_bytes());
                    w.push(*side);
                    put(&mut w, &sequence.to_le_bytes());
                }
            }
        }
        w
    }
}

/// Reads bytes as a frame and forgets it: the door for fuzzers.
pub fn check_frame(bytes: &[u8]) -> Result<(), FrameError> {
    Frame::decode(bytes).map(drop)
}

/// Appends the tag to the bytes of a frame that carries one.
pub(in crate::keys) fn append_tag(bytes: &mut Vec<u8>, tag: u64) {
    put(bytes, &tag.to_le_bytes());
}

/// Splits the bytes of a frame that carries a tag, and was decoded, into what the tag covers and the tag.
pub(in crate::keys) fn split_tag(bytes: &[u8]) -> (&[u8], u64) {
    match bytes.split_last_chunk::<8>() {
        Some((message, tag)) => (message, u64::from_le_bytes(*tag)),
        None => (&[], 0),
    }
}

fn put(w: &mut Vec<u8>, bytes: &[u8]) {
    w.extend_from_slice(bytes);
}
fn put_route(w: &mut Vec<u8>, route: &[LinkId], hop: u16) {
    put(w, &(route.len() as u16).to_le_bytes());
    for link in route {
        put(w, &link.0.to_le_bytes());
    }
    put(w, &hop.to_le_bytes());
}
fn put_stretches(w: &mut Vec<u8>, stretches: &[Stretch]) {
    put(w, &(stretches.len() as u16).to_le_bytes());
    for s in stretches {
        put(w, &s.block.0.to_le_bytes());
        put(w, &s.offset.to_le_bytes());
        put(w, &s.length.to_le_bytes());
    }
}

#[cfg(test)]
mod tests;
