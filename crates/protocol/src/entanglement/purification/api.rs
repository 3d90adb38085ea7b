//! What an end of a purification is told, and what it wants.

use super::message::PurificationMessage;
use super::program::Program;
use crate::entanglement::MemoryId;
use bellwether_quantum::MemoryNoise;
use bellwether_quantum::bell::{BellDiagonal, BellIndex, Purification, PurificationQuality};
use bellwether_units::{Duration, Time};
use std::sync::Arc;

/// How an end purifies.
#[derive(Clone, Debug, PartialEq)]
pub struct PurifierSettings {
    /// What is done; the leader's counts.
    pub program: Arc<Program>,
    /// Whether this end chooses the pairs; exactly one of the two does.
    pub leads: bool,
    /// How well both ends compare, as far as is known: for estimates alone.
    pub quality: PurificationQuality,
    /// What the memories of both ends do, likewise.
    pub memory: MemoryNoise,
    /// How long a verdict is waited for until the check is told again.
    pub patience: Duration,
    /// How often a check is told.
    pub tries: u32,
    /// How long a pair may wait for its next round.
    pub hold: Duration,
}

/// A half at this end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PurifyingPair<Id> {
    /// The pair.
    pub id: Id,
    /// Where the half is.
    pub memory: MemoryId,
    /// The Bell state that both ends believe the pair to be in.
    pub bell: BellIndex,
    /// What is claimed of it, relative to `bell`, at `made`.
    pub estimate: BellDiagonal,
    /// When that was.
    pub made: Time,
}

/// What an end wants done, in this order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PurificationEffect<Id> {
    /// Tell the other end; it may get lost.
    Send(PurificationMessage<Id>),
    /// Compare two halves, and say [`Purifier::compared`](super::Purifier::compared) with the token and what the sacrificed one gave.
    Compare {
        /// Names this comparison.
        token: u64,
        /// The half to keep.
        kept: MemoryId,
        /// The half to measure.
        sacrificed: MemoryId,
        /// How.
        how: Purification,
    },
    /// A memory holds nothing of use any more.
    Free(MemoryId),
    /// A pair has been through all rounds; its memory is no longer this machine's.
    Ready(PurifyingPair<Id>),
    /// A pair that was handed on is worthless.
    Revoked(Id),
}
