//! The status numbers of ETSI GS QKD 004 V2.1.1.

use bellwether_protocol::keys::delivery::StreamError;

/// What came of a call. The number 9, which some implementations add, is never used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Success,
    /// Open, but the peer is not connected.
    PeerAbsent,
    Insufficient,
    /// GET_KEY: the peer is not connected.
    PeerNotConnected,
    NoConnection,
    InUse,
    Timeout,
    QosNotMet,
    MetadataSize,
}

/// Which call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Open,
    Get,
    Close,
}

impl Status {
    pub(super) fn number(self) -> u32 {
        match self {
            Self::Success => 0,
            Self::PeerAbsent => 1,
            Self::Insufficient => 2,
            Self::PeerNotConnected => 3,
            Self::NoConnection => 4,
            Self::InUse => 5,
            Self::Timeout => 6,
            Self::QosNotMet => 7,
            Self::MetadataSize => 8,
        }
    }

    /// The status that tells of an error. Who may not call, and who asks for a stream that is not open to it, is
    /// told that there is no connection: the standard has no number for either, and nobody learns who is there.
    pub(super) fn of(error: StreamError, call: Call) -> Self {
        match error {
            StreamError::NotAllowed | StreamError::Unknown | StreamError::NoConnection => Self::NoConnection,
            StreamError::Insufficient => Self::Insufficient,
            StreamError::PeerNotConnected => Self::PeerNotConnected,
            StreamError::InUse => Self::InUse,
            StreamError::Timeout => Self::Timeout,
            StreamError::Quality(_) => Self::QosNotMet,
            StreamError::Busy => match call {
                Call::Get => Self::Insufficient,
                Call::Open => Self::NoConnection,
                Call::Close => Self::Timeout,
            },
        }
    }
}
