//! What applications ask of key streams, and what they are told.

use crate::keys::KeyId;
use crate::keys::delivery::api::{ApplicationKey, Ticket};
use crate::keys::delivery::name::SaeName;
use core::fmt;
use rand_core::Rng;

/// How many chunks an application may be ahead of the last one that it, or the other application, has taken; fewer
/// of long chunks.
pub const MAX_CHUNKS_AHEAD: u32 = 64;

/// The name of a key stream (`Key_stream_ID`, a UUID): no secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyStreamId(pub u128);

impl KeyStreamId {
    /// A fresh name from 122 random bits.
    pub fn random(rng: &mut dyn Rng) -> Self {
        Self(KeyId::random(rng).0)
    }
}

impl fmt::Display for KeyStreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        KeyId(self.0).fmt(f)
    }
}

impl fmt::Debug for KeyStreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How a stream is to be served (the QoS structure of ETSI GS QKD 004). 0 leaves a value to the key manager.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamQos {
    /// How long a chunk is, in bytes.
    pub chunk_bytes: u32,
    /// The most key, in bits per second.
    pub max_bps: u32,
    /// The least key that the application can live with, in bits per second.
    pub min_bps: u32,
    /// By how much the rate may vary, in bits per second: carried, without effect.
    pub jitter_bps: u32,
    /// Who is served first while key is short: the greater number.
    pub priority: u32,
    /// After which time a call of this application is given up, in milliseconds.
    pub timeout_ms: u32,
    /// How long chunks are kept for an application that does not take them, in seconds.
    pub ttl_seconds: u32,
}

/// OPEN_CONNECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenStream {
    /// Names the answer.
    pub ticket: Ticket,
    /// Who asks, as its certificate says: source or destination.
    pub caller: SaeName,
    /// The one application.
    pub source: SaeName,
    /// The other.
    pub destination: SaeName,
    /// The stream; without a name one is chosen. An unknown name is waited for if the destination calls, and taken
    /// for a new stream if the source does.
    pub stream: Option<KeyStreamId>,
    /// How it is to be served.
    pub qos: StreamQos,
    /// Chunks are given only once the other application has opened the stream too.
    pub waits_for_peer: bool,
}

/// GET_KEY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetChunk {
    /// Names the answer.
    pub ticket: Ticket,
    /// Who asks, as its certificate says.
    pub caller: SaeName,
    /// Of which stream.
    pub stream: KeyStreamId,
    /// Which chunk, counted from 0.
    pub index: u32,
}

/// CLOSE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseStream {
    /// Names the answer.
    pub ticket: Ticket,
    /// Who asks, as its certificate says.
    pub caller: SaeName,
    /// Which stream.
    pub stream: KeyStreamId,
}

/// The answer to a call that was done.
#[derive(Debug)]
pub enum StreamReply {
    /// The stream is open at this end.
    Opened {
        /// Its name.
        stream: KeyStreamId,
        /// How it is served.
        qos: StreamQos,
        /// The other application has opened it as well.
        peer_connected: bool,
    },
    /// A chunk. It is spent, whether or not the answer gets through.
    Chunk {
        /// Its number.
        index: u32,
        /// The key.
        key: ApplicationKey,
    },
    /// The stream is closed at this end, or was not open at it.
    Closed,
}

/// Why a call was not done. Nothing is spent by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The pair is not in the directory, or the caller is neither source nor destination.
    #[error("not allowed")]
    NotAllowed,
    /// The caller has no open stream of this name.
    #[error("the caller has no open key stream of this name")]
    Unknown,
    /// The chunk was handed out, has expired or is too far ahead; or key is short.
    #[error("this chunk of key is not to be had")]
    Insufficient,
    /// The other application has not opened the stream, or has closed it.
    #[error("the other application is not connected to the key stream")]
    PeerNotConnected,
    /// The key manager of the other application does not answer.
    #[error("the key manager of the other application does not answer")]
    NoConnection,
    /// The name is taken, or the caller has opened the stream already.
    #[error("the name of the key stream is in use")]
    InUse,
    /// The time that the caller set has run out.
    #[error("the call took longer than its timeout")]
    Timeout,
    /// It cannot be served as asked; what could be had instead.
    #[error("the quality of service cannot be met")]
    Quality(StreamQos),
    /// The caller has too many streams, or too much waits already.
    #[error("the key manager is busy")]
    Busy,
}
