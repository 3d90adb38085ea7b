//! Reading frames from bytes that anyone may have written.

use super::{
    Control, Frame, MAX_ENTRIES, MAX_PAYLOAD, MAX_ROUTE, MAX_SHARES, State, Transfer, VERSION, Verdict, Word,
};
use crate::keys::api::{Failure, KeyId, LinkCondition, RequestId};
use crate::keys::pool::{Inventory, MAX_STRETCHES, Stretch};
use bellwether_bits::BitString;
use bellwether_units::{BlockId, DemandId, LinkId, NodeId};

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

impl Frame {
    /// The frame in `bytes`; a tag is read over, see [`split_tag`].
    pub(in crate::keys) fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
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
