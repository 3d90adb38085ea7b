//! Information reconciliation: the receiver's sifted key is made equal to the transmitter's.
//!
//! - [`cascade`] compares parities in many rounds, with block lengths as they were published.
//! - [`grouped`] is our own Cascade: both ends follow one schedule, and what is asked is chosen by how likely each bit is
//!   wrong. It discloses the least, 2 to 3 % beyond the Shannon limit.
//! - [`ldpc`] needs a single message when nothing fails, and discloses some per cent more.
//!
//! Neither end does any input or output: one asks with bytes, the other answers with bytes, and the caller carries
//! them. The end of reconciliation does not prove that the keys are equal; a universal hash must follow.

pub mod cascade;
mod choice;
pub mod grouped;
pub mod ldpc;
mod method;
mod one_way;
mod wire;

pub use cascade::{
    CascadeSettings, CascadeVariant, Corrector, EfficiencyEstimate, Pace, ParityServer, efficiency_estimate,
    expected_disclosure,
};
pub use choice::{Conditions, Expected, Family, choose};
pub use ldpc::{FrameCorrector, LdpcSettings, SyndromeServer};
pub use method::{CorrectingEnd, Method, ReferenceEnd};
pub use one_way::least_one_way_disclosure;

/// The longest block in bits.
pub const LONGEST_BLOCK: usize = 1 << 30;

/// What the corrector wants next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Carry this request to the server, and its answer to [`Corrector::reply`].
    Ask(Vec<u8>),
    /// No odd block is left.
    Done,
}

/// Why reconciliation stopped. Both the machine and the block are then of no further use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReconcileError {
    /// The agreed error rate is not a number from 0 to 0.5.
    #[error("the expected error rate must be from 0 to 0.5")]
    ErrorRate,
    /// The block is longer than [`LONGEST_BLOCK`].
    #[error("a block of {0} bits is longer than {LONGEST_BLOCK} bits")]
    TooLong(usize),
    /// The peer's message cannot be read as what was due.
    #[error("malformed message: {0}")]
    Malformed(&'static str),
    /// The peer's message belongs to another round.
    #[error("message of round {got} where round {due} was due")]
    WrongRound {
        /// The round that was due.
        due: u64,
        /// The round of the message.
        got: u64,
    },
    /// The peer asks for a parity that it was told before, or can derive.
    #[error("the peer asks again for what it knows")]
    Repeated,
    /// Going on would disclose more than the settings allow: the error rate is far above what was expected.
    #[error("the errors are too many for the agreed rate: more than {cap} parities would be disclosed")]
    TooManyErrors {
        /// How many parities may be disclosed.
        cap: u64,
    },
    /// The server's parities contradict one another: no reference key has them all.
    #[error("the peer's parities contradict one another")]
    Contradiction,
    /// The machine had stopped before, or nothing was asked.
    #[error("reconciliation is not waiting for a message")]
    NotWaiting,
}
