//! What a key node is told and what it tells: commands, events and the types in them.

use super::material::KeyMaterial;
use super::view::LinkView;
use bellwether_bits::SecretBits;
use bellwether_units::{BlockId, DemandId, Duration, LinkId, NodeId, Time};
use core::fmt;
use std::sync::Arc;

/// The name of one key, the same at both ends and unique in the world: a random UUID (RFC 9562, version 4).
///
/// It is independent of the key and no secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub u128);

impl KeyId {
    /// A fresh name from 122 random bits.
    pub fn random(rng: &mut dyn rand_core::Rng) -> Self {
        let bits = u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64());
        let version = 0xf_u128 << 76;
        let variant = 0b11_u128 << 62;
        Self(bits & !version & !variant | 4 << 76 | 0b10 << 62)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = [(self.0 >> 96) as u32, (self.0 >> 80) as u32, (self.0 >> 64) as u32, 0];
        let (d, e) = (d | (self.0 >> 48) as u32, self.0 as u64 & 0xffff_ffff_ffff);
        write!(f, "{a:08x}-{:04x}-{:04x}-{:04x}-{e:012x}", b & 0xffff, c & 0xffff, d & 0xffff)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The number of a request: chosen by who asks in [`Command::Request`], counted from 0 within a [`Demand`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// How a link does, as its own node sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkCondition {
    /// It works.
    #[default]
    Up,
    /// The fibre is cut: it makes no key, and is not used for relay while this lasts.
    Cut,
    /// An eavesdropper or a failing device is suspected: its key is not used while this lasts.
    Alarmed,
}

/// One key wanted now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The number by which the answer will name it.
    pub id: RequestId,
    /// The other end of the key. The near end is the node that is asked.
    pub to: NodeId,
    /// How many bits of key: a multiple of 8 within the limits of [`Settings`](super::Settings).
    pub bits: u32,
    /// With how many bits the request is content if the pools hold no more: a multiple of 8 within the same limits,
    /// and at most `bits`.
    pub least_bits: u32,
    /// Higher is served first.
    pub priority: u8,
    /// How long the request may wait for key before it is refused.
    pub patience: Duration,
    /// Over how many routes with no relay in common the key is sent, as the sum of as many shares, so that
    /// fewer relays than that learn nothing: 0 and 1 are plain relay, 8 is the most.
    pub paths: u8,
}

/// A lasting wish for keys: one request every `interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Its number; a demand with a known number replaces the older one.
    pub id: DemandId,
    /// The other end of the keys. The near end is the node that is told.
    pub to: NodeId,
    /// How many bits each key has.
    pub bits: u32,
    /// The time from one request to the next; the first is made at once. Not below 1 us.
    pub interval: Duration,
    /// Higher is served first.
    pub priority: u8,
    /// How long each request may wait for key before it is refused.
    pub patience: Duration,
    /// Over how many routes with no relay in common each key is sent: see [`Request::paths`].
    pub paths: u8,
    /// How many keys are wanted in all; `None` is without end.
    pub total: Option<u64>,
}

/// What a node's own software tells its key machine.
#[derive(Debug)]
pub enum Command {
    /// A block of distilled key is ready on a link. The peer is expected to store the same bits under the same
    /// number. A number already stored is ignored.
    Store {
        /// The link that made it.
        link: LinkId,
        /// Its number, never reused on this link.
        block: BlockId,
        /// The key.
        key: KeyMaterial,
    },
    /// A link of this node changed its condition.
    LinkState {
        /// Which.
        link: LinkId,
        /// Its condition from now on.
        condition: LinkCondition,
    },
    /// Start, or replace, a lasting demand.
    Demand(Demand),
    /// End a demand; what is already in flight is still delivered.
    EndDemand(DemandId),
    /// One key, now.
    Request(Request),
    /// The state of the network as a controller knows it, shared by all nodes that are given it. It replaces
    /// the one before; what the node knows of its own links, and what it hears by flooding, prevails.
    View(Arc<LinkView>),
}

/// Which end of a key a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyEnd {
    /// It was asked for the key.
    Source,
    /// It was given the key.
    Destination,
}

/// A key handed out at one of its ends.
#[derive(Debug)]
pub struct DeliveredKey {
    /// Its name, the same at both ends.
    pub id: KeyId,
    /// Which end this is.
    pub end: KeyEnd,
    /// The source.
    pub from: NodeId,
    /// The destination.
    pub to: NodeId,
    /// The bits, the same at both ends.
    pub key: SecretBits,
    /// The links that its shares passed, from the source on: one route a share. The key is the sum of its
    /// shares.
    pub routes: Vec<Vec<LinkId>>,
    /// The nodes that have seen it or a share of it: the source, the relays in the order of the routes, the
    /// destination.
    pub nodes: Vec<NodeId>,
    /// The demand it serves, told to both ends.
    pub demand: Option<DemandId>,
    /// The request it serves: the source's own number, told to both ends.
    pub request: RequestId,
    /// When it was asked for, at the source; at the destination when it arrived.
    pub since: Time,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// The destination is this node, or not in the network.
    UnknownNode,
    /// The size is not a multiple of 8 or outside the limits, or too many routes are wanted.
    Size,
    /// Too many requests wait at this node.
    QueueFull,
    /// No chain of links and trusted nodes leads there, whatever their state.
    NoRoute,
    /// Every way there has a link that is cut.
    LinkCut,
    /// Every way there has a link that is cut or alarmed, and an alarm at least is to blame.
    LinkAlarmed,
    /// The pools on every way there held too little key until the patience ended.
    PoolsEmpty,
    /// The destination, or a node on the way, did not answer until the patience or the attempts ended.
    Unreachable,
    /// The demand was ended, or the node restarted, before the key was made.
    Withdrawn,
}

impl Refusal {
    /// Every reason, in the order of their numbers ([`Self::index`]).
    pub const ALL: [Self; 9] = [
        Self::UnknownNode,
        Self::Size,
        Self::QueueFull,
        Self::NoRoute,
        Self::LinkCut,
        Self::LinkAlarmed,
        Self::PoolsEmpty,
        Self::Unreachable,
        Self::Withdrawn,
    ];
    /// Its place in [`Self::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownNode => "the destination is this node or not in the network",
            Self::Size => "the key size is not a multiple of 8 or outside the limits",
            Self::QueueFull => "too many requests wait",
            Self::NoRoute => "no chain of trusted nodes leads there",
            Self::LinkCut => "every way there has a cut link",
            Self::LinkAlarmed => "every way there has a cut or alarmed link",
            Self::PoolsEmpty => "the pools on the way held too little key",
            Self::Unreachable => "the destination or a node on the way did not answer",
            Self::Withdrawn => "the demand was ended or the node restarted",
        })
    }
}

/// Why a key did not get through on one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    /// A pool on the way held too little key.
    PoolEmpty,
    /// A link on the way is cut.
    LinkCut,
    /// A link on the way is alarmed.
    LinkAlarmed,
    /// The two ends of a link do not hold the same key: a block is missing at one, or a tag was wrong.
    PoolMismatch,
    /// A node on the way holds too many transfers, or may not relay.
    NodeBusy,
    /// Nothing came back in time.
    Silence,
}

/// Why key was burned: never to be used, and erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BurnCause {
    /// A transfer that had taken it failed.
    TransferFailed,
    /// The peer does not hold the block.
    PeerMissing,
    /// The peer used or burned it without this end's seeing how.
    PeerPassed,
    /// The two ends hold different bits.
    Mismatch,
}

/// Why a key that was held or handed out must not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LossCause {
    /// This node crashed and cannot know whether it had handed the key out.
    Crash,
    /// The other end says that it lost or burned the key.
    PeerLost,
    /// The other end did not say in time whether the key stands.
    Doubt,
}

/// How much key a node holds in common with a neighbour, in bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolLevel {
    /// What this node may take.
    pub outgoing: u64,
    /// What the neighbour may take.
    pub incoming: u64,
    /// What the neighbour has not confirmed yet.
    pub unconfirmed: u64,
}

/// What a key node tells its own software.
#[derive(Debug)]
pub enum Event {
    /// A key is handed out at this end.
    Delivered(Box<DeliveredKey>),
    /// A request is not served.
    Refused {
        /// Which.
        request: RequestId,
        /// The demand that made it.
        demand: Option<DemandId>,
        /// To whom the key was wanted.
        to: NodeId,
        /// Why not.
        reason: Refusal,
        /// How long it had waited.
        waited: Duration,
    },
    /// An attempt failed and the request is tried again, over another route where there is one.
    Rerouted {
        /// Which.
        request: RequestId,
        /// The demand that made it.
        demand: Option<DemandId>,
        /// The name of the key that did not get through; it is burned.
        key: KeyId,
        /// Where it failed, if known.
        link: Option<LinkId>,
        /// How it failed.
        failure: Failure,
    },
    /// A key passed this node as a relay: the node has seen it.
    Relayed {
        /// Which.
        key: KeyId,
        /// Its source.
        from: NodeId,
        /// Its destination.
        to: NodeId,
        /// The link it came by.
        arrived_by: LinkId,
        /// The link it left by.
        left_by: LinkId,
    },
    /// The level of a pool changed by more than the step of [`Settings`](super::Settings).
    PoolLevel {
        /// Which.
        link: LinkId,
        /// Its level now.
        level: PoolLevel,
    },
    /// Key of a pool was burned.
    Burned {
        /// The pool.
        link: LinkId,
        /// How many bits.
        bits: u64,
        /// Why.
        cause: BurnCause,
    },
    /// A key that was held or handed out here may be missing at the other end: do not use it.
    Lost {
        /// Which.
        key: KeyId,
        /// The other end.
        peer: NodeId,
        /// Whether it had been handed out here, as far as the node knows.
        handed_out: bool,
        /// Why.
        cause: LossCause,
    },
    /// A frame on this link had a wrong tag or token: it was forged, or the two ends' keys differ.
    Forged {
        /// Which.
        link: LinkId,
    },
}
