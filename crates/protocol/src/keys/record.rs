//! What must survive a crash: the journal of a key node.

use super::api::{KeyId, RequestId};
use super::material::KeyMaterial;
use super::pool::{PoolImage, Stretch};
use bellwether_bits::SecretBits;
use bellwether_units::{BlockId, DemandId, LinkId, NodeId};

/// One durable step of a key node. It holds secrets: a driver that writes it must encrypt it, and a driver
/// that keeps it in memory drops it to erase it.
#[derive(Debug)]
pub struct Record {
    pub(super) steps: Vec<Step>,
}

impl Record {
    /// About how many bytes of memory it takes.
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.steps.iter().map(Step::size).sum::<usize>()
    }
}

/// All or nothing of a record's steps become durable.
#[derive(Debug)]
pub(super) enum Step {
    /// A block entered a pool.
    Stored { link: LinkId, block: BlockId, key: KeyMaterial },
    /// This end took from its own.
    Taken { link: LinkId, stretches: Vec<Stretch> },
    /// The peer took from its own.
    Received { link: LinkId, stretches: Vec<Stretch> },
    /// This end's own became the peer's by the loan of this number.
    Given { link: LinkId, number: u64, stretches: Vec<Stretch> },
    /// The peer's became this end's own by the loan of this number.
    Gained { link: LinkId, number: u64, stretches: Vec<Stretch> },
    /// Source: a key is under way. Unless it is committed, it is void.
    Started { key: KeyId, to: NodeId, path: Vec<LinkId>, void_token: u64 },
    /// Source: the key stands and is handed out.
    Committed { key: KeyId, to: NodeId, path: Vec<LinkId>, token: u64 },
    /// Destination: a share is here.
    Held { key: KeyId, share: HeldShare },
    /// Destination: the key stands and is handed out.
    Delivered { key: KeyId },
    /// Either end: the key was handed out, and nothing of that is in doubt.
    HandedOut { key: KeyId },
    /// Either end: nothing more is to be remembered of the key.
    Ended { key: KeyId },
    /// In place of all before: one end of a link, with the numbers of its last loans.
    Link { link: LinkId, pool: PoolImage, borrowed: u64, lent: u64 },
    /// In place of all before: keys that are over, the oldest first, and whether they stand.
    Over { keys: Vec<KeyId>, stand: bool },
}

impl Step {
    /// About how many bytes of memory it takes.
    fn size(&self) -> usize {
        let beside = match self {
            Self::Stored { key, .. } => key.size(),
            Self::Taken { stretches, .. }
            | Self::Received { stretches, .. }
            | Self::Given { stretches, .. }
            | Self::Gained { stretches, .. } => size_of_val(stretches.as_slice()),
            Self::Started { path, .. } | Self::Committed { path, .. } => size_of_val(path.as_slice()),
            Self::Held { share, .. } => size_of_val(share.route.as_slice()) + share.payload.len().div_ceil(8),
            Self::Link { pool, .. } => pool.size(),
            Self::Over { keys, .. } => size_of_val(keys.as_slice()),
            Self::Delivered { .. } | Self::HandedOut { .. } | Self::Ended { .. } => 0,
        };
        size_of::<Self>() + beside
    }
}

/// One share of a key at its destination.
#[derive(Debug)]
pub(super) struct HeldShare {
    pub(super) share: u8,
    pub(super) shares: u8,
    pub(super) from: NodeId,
    pub(super) bits: u32,
    pub(super) request: RequestId,
    pub(super) demand: Option<DemandId>,
    pub(super) route: Vec<LinkId>,
    /// The share, the token that it arrived, its part of the token that the key stands.
    pub(super) payload: SecretBits,
}

impl HeldShare {
    pub(super) fn duplicate(&self) -> Self {
        Self { route: self.route.clone(), payload: self.payload.duplicate(), ..*self }
    }
}
