//! Authentication: Wegman-Carter tags from pre-shared secret, with its budget.
//!
//! The tag of a message is its polynomial hash over GF(2^128) plus a one-time pad of 128 bits. The hash key
//! is used again and again; each pad is used once. A message of L bits that the peer did not send passes with
//! probability at most (ceil(L/128) + 1) / 2^128, whatever was sent and tagged before, and each further
//! attempt adds as much (Wegman & Carter, J. Comput. Syst. Sci. 22, 265 (1981), section 4; Stinson, Des.
//! Codes Cryptogr. 4, 369 (1994), for almost universal families; Portmann, IEEE Trans. Inf. Theory 60, 4383
//! (2014), for composable security with the hash key recycled).
//!
//! Each direction has its own hash key and its own pads, so that no message can be sent back to its author.
//! Pads are numbered from 0 without end; a number is never used twice by the sealing end and never accepted
//! twice by the verifying end.

mod keys;
mod transcript;

pub use keys::AuthenticationKeys;
pub use transcript::{Tag, TranscriptHash, forgery_probability};

use thiserror::Error;

/// From which end a message comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the end that sends the pulses.
    TransmitterToReceiver,
    /// From the end that detects them.
    ReceiverToTransmitter,
}

impl Direction {
    /// The other direction.
    pub const fn reverse(self) -> Self {
        match self {
            Self::TransmitterToReceiver => Self::ReceiverToTransmitter,
            Self::ReceiverToTransmitter => Self::TransmitterToReceiver,
        }
    }
}

/// Why a message was not sealed or not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AuthenticationError {
    /// The pre-shared secret is too short to hold the hash keys.
    #[error(
        "a pre-shared secret of {bits} bits is too short: two hash keys take 256 and every pair of pads as many more"
    )]
    SecretTooShort {
        /// Bits of the secret.
        bits: usize,
    },
    /// The position to resume at lies outside the secret.
    #[error("pad {next} cannot be the next: the secret holds the pads from {first} to before {end}")]
    Unresumable {
        /// The next pad asked for.
        next: u64,
        /// The first pad that the secret holds.
        first: u64,
        /// One after the last.
        end: u64,
    },
    /// No pad is left to seal with.
    #[error("all {consumed} pads are consumed: the authentication keys must be replenished")]
    Exhausted {
        /// How many pads were consumed.
        consumed: u64,
    },
    /// The tag names a pad that was used before: a replay, or a peer that has lost its place.
    #[error("pad {index} is spent: the next is {next}")]
    SpentPad {
        /// The pad named.
        index: u64,
        /// The first that may be.
        next: u64,
    },
    /// The tag names a pad that this end does not hold (yet).
    #[error("pad {index} is not held: the pads held end before {end}")]
    UnknownPad {
        /// The pad named.
        index: u64,
        /// One after the last pad held.
        end: u64,
    },
    /// The tag is not that of the transcript.
    #[error("the tag does not belong to what was received")]
    Forged,
}

#[cfg(test)]
mod tests;
