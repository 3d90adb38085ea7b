//! Frames between key nodes, written and read by hand.
//!
//! Little-endian; a version, a kind, then the fields in the order of the structs below; every list has a
//! bounded count before it. Whatever bytes come, reading ends with a frame or a [`FrameError`].

use super::api::{Failure, KeyId, LinkCondition, RequestId};
use super::pool::{Inventory, MAX_STRETCHES, Stretch};
use bellwether_bits::BitString;
use bellwether_units::{BlockId, DemandId, LinkId, NodeId};

/// The version of the frames.
const VERSION: u8 = 1;
/// The longest route, in links.
pub(super) const MAX_ROUTE: usize = 1024;
/// The longest payload of a transfer, in bits: the longest key and its tokens.
pub(super) const MAX_PAYLOAD: u32 = (1 << 20) + 128;
/// The most shares of one key.
pub(super) const MAX_SHARES: u8 = 8;
/// The most entries of an announcement or of a list of states.
pub(super) const MAX_ENTRIES: usize = 64;

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The peer speaks another version.
    #[error("frame of version {0}; this node speaks version 1")]
    Version(u8),
    /// The frame ends too early.
    #[error("frame ends too early")]
    Truncated,
    /// There are bytes after the end of the frame.
    #[error("{0} bytes after the end of the frame")]
    Trailing(usize),
    /// A field has a value that it cannot have.
    #[error("{0} of the frame is out of range")]
    Value(&'static str),
}

/// What an [`Frame::Announce`] says of its blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// "I hold these; do you?"
    Offer,
    /// "I hold these, and know that you do."
    Known,
    /// "I do not hold these and never will."
    Missing,
}

/// One hop of one share of a key.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Transfer {
    pub(super) key: KeyId,
    pub(super) share: u8,
    pub(super) shares: u8,
    pub(super) from: NodeId,
    /// The length of the key.
    pub(super) bits: u32,
    pub(super) request: RequestId,
    pub(super) demand: Option<DemandId>,
    pub(super) route: Vec<LinkId>,
    /// The place in the route of the link that the frame passes.
    pub(super) hop: u16,
    /// Where the pad for payload and tag lies.
    pub(super) stretches: Vec<Stretch>,
    /// Payload plus pad; nothing on the first hop, where the pad is the payload.
    pub(super) ciphertext: BitString,
}

/// What a [`Control`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
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
pub(super) struct Control {
    pub(super) key: KeyId,
    pub(super) share: u8,
    pub(super) verdict: Verdict,
    pub(super) token: u64,
    /// Who says it.
    pub(super) from: NodeId,
    pub(super) path: Vec<LinkId>,
    /// The place in the path of the link that the frame passes.
    pub(super) hop: u16,
}

/// What one end of a link says of it, flooded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) link: LinkId,
    /// Which end says it: its place in [`Topology::ends`](super::Topology::ends).
    pub(super) side: u8,
    pub(super) sequence: u64,
    pub(super) condition: LinkCondition,
    /// The power of two of the level, in quanta, plus one; 0 is less than one quantum.
    pub(super) class: u8,
    /// How many hops further it is to go.
    pub(super) radius: u8,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Frame {
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
    pub(super) fn encode(&self) -> Vec<u8> {
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

    /// The frame in `bytes`; a tag is read over, see [`split_tag`].
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        let mut r = Reader(bytes);
        let version = r.u8()?;
        if version != VERSION {
            return Err(FrameError::Version(version));
        }
        let frame = match r.u8()? {
            1 => Self::Announce {
                link: LinkId(r.u32()?),
                word: match r.u8()? {
                    0 => Word::Offer,
                    1 => Word::Known,
                    2 => Word::Missing,
                    _ => return Err(FrameError::Value("the word")),
                },
                floor: BlockId(r.u64()?),
                blocks: {
                    let count = r.count("the number of blocks", MAX_ENTRIES, 1)?;
                    (0..count)
                        .map(|_| Ok((BlockId(r.u64()?), r.u32()?)))
                        .collect::<Result<_, FrameError>>()?
                },
            },
            2 => Self::Transfer(r.transfer()?),
            3 => Self::Control(r.control()?),
            4 => Self::Borrow { link: LinkId(r.u32()?), last: r.u64()?, wanted: r.u64()? },
            5 => {
                let (link, number) = (LinkId(r.u32()?), r.u64()?);
                let (lent, pad) = (r.stretches()?, r.stretches()?);
                r.u64()?;
                Self::Lend { link, number, lent, pad }
            }
            6 => {
                let answer = r.flag()?;
                let count = r.count("the number of states", MAX_ENTRIES, 1)?;
                Self::States { answer, states: (0..count).map(|_| r.state()).collect::<Result<_, _>>()? }
            }
            7 => Self::AskStates,
            8 => {
                let count = r.count("the number of states", MAX_ENTRIES, 1)?;
                let mut one = || Ok((LinkId(r.u32()?), r.u8()?, r.u64()?));
                Self::StatesHeard((0..count).map(|_| one()).collect::<Result<_, FrameError>>()?)
            }
            9 => {
                let (link, answer, loan) = (LinkId(r.u32()?), r.flag()?, r.u64()?);
                let (from, to) = (BlockId(r.u64()?), BlockId(r.u64()?));
                let (free, held) = (r.stretches()?, r.stretches()?);
                let count = r.count("the number of blocks", MAX_ENTRIES, 1)?;
                let kept = (0..count).map(|_| r.u64().map(BlockId)).collect::<Result<_, _>>()?;
                Self::Inventory { link, answer, loan, inventory: Inventory { from, to, free, held, kept } }
            }
            _ => return Err(FrameError::Value("the kind")),
        };
        if r.0.is_empty() { Ok(frame) } else { Err(FrameError::Trailing(r.0.len())) }
    }
}

/// Reads bytes as a frame and forgets it: the door for fuzzers.
pub fn check_frame(bytes: &[u8]) -> Result<(), FrameError> {
    Frame::decode(bytes).map(drop)
}

/// Appends the tag to the bytes of a frame that carries one.
pub(super) fn append_tag(bytes: &mut Vec<u8>, tag: u64) {
    put(bytes, &tag.to_le_bytes());
}

/// Splits the bytes of a frame that carries a tag, and was decoded, into what the tag covers and the tag.
pub(super) fn split_tag(bytes: &[u8]) -> (&[u8], u64) {
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

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, n: usize) -> Result<&'a [u8], FrameError> {
        let (head, rest) = self.0.split_at_checked(n).ok_or(FrameError::Truncated)?;
        self.0 = rest;
        Ok(head)
    }
    fn array<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        let (head, rest) = self.0.split_first_chunk().ok_or(FrameError::Truncated)?;
        self.0 = rest;
        Ok(*head)
    }
    fn u8(&mut self) -> Result<u8, FrameError> {
        Ok(self.array::<1>()?[0])
    }
    fn u16(&mut self) -> Result<u16, FrameError> {
        self.array().map(u16::from_le_bytes)
    }
    fn u32(&mut self) -> Result<u32, FrameError> {
        self.array().map(u32::from_le_bytes)
    }
    fn u64(&mut self) -> Result<u64, FrameError> {
        self.array().map(u64::from_le_bytes)
    }
    fn flag(&mut self) -> Result<bool, FrameError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(FrameError::Value("a flag")),
        }
    }
    /// A count of `width` bytes, at most `most`.
    fn count(&mut self, what: &'static str, most: usize, width: usize) -> Result<usize, FrameError> {
        let n = if width == 1 { usize::from(self.u8()?) } else { usize::from(self.u16()?) };
        if n <= most { Ok(n) } else { Err(FrameError::Value(what)) }
    }
    fn route(&mut self) -> Result<(Vec<LinkId>, u16), FrameError> {
        let count = self.count("the length of the route", MAX_ROUTE, 2)?;
        let route: Vec<_> = (0..count).map(|_| self.u32().map(LinkId)).collect::<Result<_, _>>()?;
        let hop = self.u16()?;
        if usize::from(hop) < count { Ok((route, hop)) } else { Err(FrameError::Value("the hop")) }
    }
    fn stretches(&mut self) -> Result<Vec<Stretch>, FrameError> {
        let count = self.count("the number of stretches", MAX_STRETCHES, 2)?;
        (0..count)
            .map(|_| {
                let stretch =
                    Stretch { block: BlockId(self.u64()?), offset: self.u32()?, length: self.u32()? };
                match stretch.offset.checked_add(stretch.length) {
                    Some(_) if stretch.length > 0 => Ok(stretch),
                    _ => Err(FrameError::Value("a stretch")),
                }
            })
            .collect()
    }
    fn transfer(&mut self) -> Result<Transfer, FrameError> {
        let key = KeyId(u128::from_le_bytes(self.array()?));
        let (share, shares) = (self.u8()?, self.u8()?);
        if share >= shares || shares > MAX_SHARES {
            return Err(FrameError::Value("the share"));
        }
        let from = NodeId(self.u32()?);
        let bits = self.u32()?;
        if !(64..=MAX_PAYLOAD - 128).contains(&bits) {
            return Err(FrameError::Value("the length of the key"));
        }
        let request = RequestId(self.u64()?);
        let (has_demand, demand) = (self.flag()?, DemandId(self.u32()?));
        let (route, hop) = self.route()?;
        let stretches = self.stretches()?;
        let length = self.u32()? as usize;
        if length != if hop == 0 { 0 } else { bits as usize + 128 } {
            return Err(FrameError::Value("the length of the payload"));
        }
        let ciphertext = BitString::decode(self.bytes(length.div_ceil(8))?, length)
            .ok_or(FrameError::Value("the payload"))?;
        self.u64()?;
        let demand = has_demand.then_some(demand);
        Ok(Transfer { key, share, shares, from, bits, request, demand, route, hop, stretches, ciphertext })
    }
    fn control(&mut self) -> Result<Control, FrameError> {
        let key = KeyId(u128::from_le_bytes(self.array()?));
        let share = self.u8()?;
        let (kind, failure) = (self.u8()?, self.u8()?);
        let failure = match failure {
            0 => Failure::PoolEmpty,
            1 => Failure::LinkCut,
            2 => Failure::LinkAlarmed,
            3 => Failure::PoolMismatch,
            4 => Failure::NodeBusy,
            5 => Failure::Silence,
            _ => return Err(FrameError::Value("the failure")),
        };
        let (has_link, link) = (self.flag()?, LinkId(self.u32()?));
        let verdict = match kind {
            0 => Verdict::Received,
            1 => Verdict::Failed(has_link.then_some(link), failure),
            2 => Verdict::Commit,
            3 => Verdict::Void,
            4 => Verdict::Query,
            5 => Verdict::Done,
            6 => Verdict::Lost,
            _ => return Err(FrameError::Value("the verdict")),
        };
        let (token, from) = (self.u64()?, NodeId(self.u32()?));
        let (path, hop) = self.route()?;
        Ok(Control { key, share, verdict, token, from, path, hop })
    }
    fn state(&mut self) -> Result<State, FrameError> {
        let (link, sequence) = (LinkId(self.u32()?), self.u64()?);
        let [side, condition, class, radius] = self.array()?;
        let condition = match condition {
            0 => LinkCondition::Up,
            1 => LinkCondition::Cut,
            2 => LinkCondition::Alarmed,
            _ => return Err(FrameError::Value("the condition")),
        };
        if side > 1 || class > 64 {
            return Err(FrameError::Value("the state"));
        }
        Ok(State { link, side, sequence, condition, class, radius })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_units::{EntityId, Purpose, Stream};
    use proptest::prelude::*;

    fn any_frame(kind: u8, seed: u64) -> (Frame, bool) {
        let mut s = Stream::new(seed, EntityId(0), Purpose::named("frame"));
        let count = s.below(5) as usize;
        let links = |s: &mut Stream, n: usize| (0..n).map(|_| LinkId(s.bits() as u32)).collect::<Vec<_>>();
        let stretches = |s: &mut Stream, n: usize| -> Vec<Stretch> {
            let mut one = || Stretch {
                block: BlockId(s.bits()),
                offset: s.bits() as u32 >> 1,
                length: 1 + (s.bits() as u32 >> 2),
            };
            (0..n).map(|_| one()).collect()
        };
        let key = KeyId(u128::from(s.bits()) << 64 | u128::from(s.bits()));
        match kind {
            0 => {
                let blocks = (0..count).map(|_| (BlockId(s.bits()), s.bits() as u32)).collect();
                (
                    Frame::Announce {
                        link: LinkId(7),
                        word: Word::Missing,
                        floor: BlockId(s.bits()),
                        blocks,
                    },
                    false,
                )
            }
            1 => {
                let hop = s.below(2) as u16;
                let transfer = Transfer {
                    key,
                    share: 2,
                    shares: 3,
                    from: NodeId(s.bits() as u32),
                    bits: 65,
                    request: RequestId(s.bits()),
                    demand: s.chance(0.5).then_some(DemandId(9)),
                    route: links(&mut s, 2),
                    hop,
                    stretches: stretches(&mut s, count),
                    ciphertext: BitString::random(if hop == 0 { 0 } else { 193 }, &mut s),
                };
                (Frame::Transfer(transfer), true)
            }
            2 => {
                let verdict = match s.below(3) {
                    0 => Verdict::Failed(Some(LinkId(3)), Failure::PoolEmpty),
                    1 => Verdict::Commit,
                    _ => Verdict::Lost,
                };
                let path = links(&mut s, count + 1);
                (
                    Frame::Control(Control {
                        key,
                        share: 1,
                        verdict,
                        token: s.bits(),
                        from: NodeId(1),
                        path,
                        hop: 0,
                    }),
                    false,
                )
            }
            3 => (Frame::Borrow { link: LinkId(1), last: s.bits(), wanted: s.bits() }, false),
            4 => {
                let (lent, pad) = (stretches(&mut s, count), stretches(&mut s, 1));
                (Frame::Lend { link: LinkId(1), number: s.bits(), lent, pad }, true)
            }
            5 => {
                let one = |i| State {
                    link: LinkId(i),
                    side: 1,
                    sequence: u64::from(i) << 40,
                    condition: LinkCondition::Alarmed,
                    class: 12,
                    radius: 3,
                };
                (Frame::States { answer: true, states: (0..count as u32).map(one).collect() }, false)
            }
            6 => (Frame::AskStates, false),
            7 => {
                let inventory = Inventory {
                    from: BlockId(1),
                    to: BlockId(s.bits()),
                    free: stretches(&mut s, count),
                    held: stretches(&mut s, 2),
                    kept: (0..count).map(|_| BlockId(s.bits())).collect(),
                };
                (Frame::Inventory { link: LinkId(4), answer: true, loan: s.bits(), inventory }, false)
            }
            _ => (Frame::StatesHeard((0..count as u32).map(|i| (LinkId(i), 1, s.bits())).collect()), false),
        }
    }

    proptest! {
        #[test]
        fn frames_survive_the_wire(kind in 0u8..9, seed: u64) {
            let (frame, tagged) = any_frame(kind, seed);
            let mut bytes = frame.encode();
            if tagged {
                append_tag(&mut bytes, seed);
                prop_assert_eq!(split_tag(&bytes).1, seed);
            }
            prop_assert_eq!(Frame::decode(&bytes).unwrap(), frame);
            for cut in 0..bytes.len() {
                prop_assert!(Frame::decode(&bytes[..cut]).is_err());
            }
        }

        #[test]
        fn no_bytes_make_the_reader_panic(
            kind in 0u8..10, seed: u64, noise in prop::collection::vec(any::<u8>(), 0..80), flips in prop::collection::vec(any::<(usize, u8)>(), 0..4),
        ) {
            let mut head = vec![VERSION, kind];
            head.extend(noise);
            let _ = Frame::decode(&head);
            let mut bytes = any_frame(kind, seed).0.encode();
            for (at, value) in flips {
                let i = at % bytes.len();
                bytes[i] = value;
            }
            let _ = Frame::decode(&bytes);
        }
    }

    #[test]
    fn another_version_and_trailing_bytes_are_refused() {
        assert_eq!(check_frame(&[2, 7]), Err(FrameError::Version(2)));
        assert_eq!(check_frame(&[1, 7, 0]), Err(FrameError::Trailing(1)));
        assert_eq!(check_frame(&[1, 9]), Err(FrameError::Value("the kind")));
    }
}
