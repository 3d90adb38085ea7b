//! What a key manager is told and what it tells: commands, events and the types in them.

use super::directory::Directory;
use super::name::SaeName;
use super::streams::{CloseStream, GetChunk, OpenStream, StreamError, StreamReply};
use crate::keys::{DeliveredKey, KeyId, Refusal, Request, RequestId};
use bellwether_bits::SecretBits;
use bellwether_units::{Duration, LinkId, NodeId};
use std::sync::Arc;

/// The driver's name for a question, by which the answer will name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// A master wants keys ("Get key", ETSI GS QKD 014 V1.1.1, 5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncKeys {
    /// Names the answer.
    pub ticket: Ticket,
    /// The master: who asks, as its certificate says.
    pub caller: SaeName,
    /// Who else may have the keys.
    pub slave: SaeName,
    /// Who besides (multicast); names that come twice count once.
    pub additional: Vec<SaeName>,
    /// How many keys; at least 1.
    pub number: u32,
    /// How long each is, in bits; a multiple of 8.
    pub bits: u32,
}

/// A slave collects keys ("Get key with key IDs", ETSI GS QKD 014 V1.1.1, 5.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecKeys {
    /// Names the answer.
    pub ticket: Ticket,
    /// The slave: who asks, as its certificate says.
    pub caller: SaeName,
    /// Who had asked for the keys.
    pub master: SaeName,
    /// Which; at least one, none twice.
    pub ids: Vec<KeyId>,
}

/// What a node's own software tells its key manager.
#[derive(Debug)]
pub enum Command {
    /// Who may share keys from now on.
    Directory(Arc<Directory>),
    /// An application wants keys. Answered by [`Event::Answer`].
    EncKeys(EncKeys),
    /// An application collects keys. Answered by [`Event::Answer`].
    DecKeys(DecKeys),
    /// An application opens a key stream. Answered by [`Event::StreamAnswer`], as the two below.
    OpenStream(OpenStream),
    /// An application wants a chunk of a stream.
    GetChunk(GetChunk),
    /// An application closes a stream.
    CloseStream(CloseStream),
    /// The key node of this node handed out a key, as its source (asked for by [`Event::WantQuantum`]) or as its
    /// destination.
    QuantumKey(Box<DeliveredKey>),
    /// The key node refused what [`Event::WantQuantum`] had asked for.
    QuantumRefused {
        /// Which.
        request: RequestId,
        /// Why.
        reason: Refusal,
    },
    /// The key node says that a key it held or handed out may be missing at the other end.
    QuantumLost {
        /// Which.
        key: KeyId,
    },
}

/// What a key rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protection {
    /// Quantum key and a post-quantum secret (ML-KEM-768) combined: safe while either is.
    Hybrid,
    /// Quantum key as it is.
    QuantumOnly,
    /// A post-quantum secret alone, since no quantum key could be had.
    PostQuantumOnly,
    /// It never left its node: made there from the generator, for applications of that node.
    Local,
}

/// A key for an application.
#[derive(Debug)]
pub struct ApplicationKey {
    /// Its name: random, independent of the key, no secret.
    pub id: KeyId,
    /// The bits.
    pub key: SecretBits,
    /// What it rests on; of a key for applications at several nodes, the weakest.
    pub protection: Protection,
    /// The links that the quantum key in it passed, one route a share.
    pub routes: Vec<Vec<LinkId>>,
    /// The nodes that have seen the quantum key in it, or a share of that.
    pub nodes: Vec<NodeId>,
}

/// Why a question is not answered with keys. Nothing is spent and nothing collected by a question so answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// The pair is not in the directory, the caller does not live here, or it was not named for every key.
    #[error("not allowed")]
    NotAllowed,
    /// The size is outside the limits, or no multiple of 8.
    #[error("a key has {min} to {max} bits, a multiple of 8, not {asked}")]
    Size {
        /// What was asked for, in bits.
        asked: u32,
        /// The least, in bits.
        min: u32,
        /// The most, in bits.
        max: u32,
    },
    /// Too many keys at once, or none, or one twice, or too many bits in all.
    #[error("a request is for 1 to {max} different keys, not {asked}")]
    Number {
        /// How many were asked for.
        asked: u32,
        /// The most of this size.
        max: u32,
    },
    /// Too many additional slaves.
    #[error("a key goes to at most {max} applications besides the slave, not {asked}")]
    TooManySlaves {
        /// How many were asked for.
        asked: u32,
        /// The most.
        max: u32,
    },
    /// Too little key, and none came in time.
    #[error("too little key: {available} bits are there{}", because(*drought))]
    Insufficient {
        /// How many bits there are.
        available: u64,
        /// Why the network gives none for now, if it said so.
        drought: Option<Drought>,
    },
    /// One or more keys are unknown, collected already, expired or lost.
    #[error("one or more keys specified are not found")]
    NotFound,
    /// Too much waits already at this node, or at the other.
    #[error("the key manager is busy")]
    Busy,
    /// The caller or the pair has had its share.
    #[error("too many keys were asked for; try again in {retry_after}")]
    RateLimited {
        /// When it is worth a try.
        retry_after: Duration,
    },
    /// The other node's key manager did not answer since this one started.
    #[error("the key manager of the other application does not answer")]
    PeerUnreachable,
}

/// Why the network gives no quantum key for keys with another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drought {
    /// What the key node answered last.
    pub reason: Refusal,
    /// Over how many routes with no relay in common the key is to go.
    pub paths: u8,
}

impl core::fmt::Display for Drought {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { reason, paths } = self;
        let without = match reason {
            _ if *paths <= 1 => return reason.fmt(f),
            Refusal::NoRoute => "",
            Refusal::LinkCut => " without a cut link",
            Refusal::LinkAlarmed => " without a cut or alarmed link",
            _ => return reason.fmt(f),
        };
        write!(f, "fewer than {paths} routes with no relay in common lead there{without}")
    }
}

fn because(drought: Option<Drought>) -> String {
    drought.map_or(String::new(), |drought| format!("; {drought}"))
}

/// What a master may ask for with a slave ("Get status", ETSI GS QKD 014 V1.1.1, 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairStatus {
    /// How long a key is if nobody says, in bits.
    pub key_size: u32,
    /// How many keys of that size could be had now; shared with all pairs between the same nodes.
    pub stored_key_count: u64,
    /// The most that `stored_key_count` can be.
    pub max_key_count: u64,
    /// The most keys of one request.
    pub max_key_per_request: u32,
    /// The longest key, in bits.
    pub max_key_size: u32,
    /// The shortest key, in bits.
    pub min_key_size: u32,
    /// The most additional slaves.
    pub max_sae_id_count: u32,
    /// The master's node.
    pub source: NodeId,
    /// The slave's node.
    pub target: NodeId,
}

/// Why keys are lost: they must not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LostCause {
    /// This node stopped between spending the keys and handing them out, or just after: it cannot know whether the
    /// application got them.
    InDoubt,
    /// The other node cannot make them: it does not hold what they come from, or does not know the applications.
    PeerMissing,
    /// Nobody collected them in time.
    Expired,
    /// The store is older than what was done: they may have been collected already.
    RolledBack,
}

/// Why stock was burned: never used, and erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BurnedCause {
    /// The other node does not hold it.
    PeerMissing,
    /// The other node did not answer the offer, or refused it.
    NotAccepted,
    /// The two nodes hold different bits, or somebody changed what they sent each other.
    Mismatch,
    /// The store is older than what was done.
    RolledBack,
}

/// What needs a person's attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Alarm {
    /// The store of this node is older than what it did: the driver says so, or this peer remembers more. All
    /// stock is burned and all keys that wait to be collected are lost; keys of the time that is forgotten, at
    /// either end, are in doubt.
    RolledBack {
        /// Who remembers more, if a peer does.
        witness: Option<NodeId>,
    },
    /// The proof of a block was wrong.
    Mismatch {
        /// The other node.
        peer: NodeId,
        /// The block.
        block: KeyId,
    },
}

/// What is worth an entry in an audit log; never a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audit {
    /// Keys were handed to their master.
    Issued {
        /// Which.
        keys: Vec<KeyId>,
        /// For each of them, the nodes that have seen the quantum key in it, or a share of that.
        nodes: Vec<Vec<NodeId>>,
        /// To whom.
        master: SaeName,
        /// For whom.
        slaves: Vec<SaeName>,
        /// How long each is, in bits.
        bits: u32,
        /// What they rest on.
        protection: Protection,
    },
    /// Keys were handed to a slave.
    Collected {
        /// Which.
        keys: Vec<KeyId>,
        /// For each of them, the nodes that have seen the quantum key in it, or a share of that.
        nodes: Vec<Vec<NodeId>>,
        /// By whom.
        slave: SaeName,
        /// From whom.
        master: SaeName,
    },
    /// A question was denied.
    Denied {
        /// Who asked.
        caller: SaeName,
        /// About whom.
        other: SaeName,
    },
    /// A block is in stock, proved to be equal at both ends.
    Stocked {
        /// The other node.
        peer: NodeId,
        /// The block: for quantum key, the identifier that the key nodes gave it.
        block: KeyId,
        /// Its length in bits; 0 for a post-quantum secret.
        bits: u64,
    },
}

/// What a key manager tells its own software.
#[derive(Debug)]
pub enum Event {
    /// To be passed to the key node of this node as
    /// [`Command::Request`](crate::keys::Command::Request).
    WantQuantum(Request),
    /// The answer to a question. Where it holds keys, these are spent, whether or not it gets through.
    Answer {
        /// Which question.
        ticket: Ticket,
        /// The keys in the order asked for.
        result: Result<Vec<ApplicationKey>, DeliveryError>,
    },
    /// The answer to a call about a key stream. A chunk in it is spent, whether or not it gets through.
    StreamAnswer {
        /// Which call.
        ticket: Ticket,
        /// What came of it.
        result: Result<StreamReply, StreamError>,
    },
    /// Keys must not be used.
    Lost {
        /// Which.
        keys: Vec<KeyId>,
        /// Why.
        cause: LostCause,
    },
    /// Stock was burned.
    Burned {
        /// The other node.
        peer: NodeId,
        /// How many bits.
        bits: u64,
        /// Why.
        cause: BurnedCause,
    },
    /// Something needs attention.
    Alarm(Alarm),
    /// Keys with this node have no quantum part from now on, or have one again.
    Downgraded {
        /// The other node.
        peer: NodeId,
        /// Why there is no quantum key; `None` when there is again.
        reason: Option<Refusal>,
    },
    /// For the audit log.
    Audit(Audit),
}
