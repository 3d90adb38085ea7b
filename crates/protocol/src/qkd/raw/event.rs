//! What the two ends are told and what they tell.

use super::account::{Account, BlockCounts};
use super::settings::RawSettingsError;
use crate::qkd::amplify::Amplification;
use crate::qkd::authenticate::AuthenticationError;
use crate::qkd::reconcile::{Family, ReconcileError};
use crate::qkd::security::NoKey;
use crate::qkd::wire::Malformed;
use bellwether_bits::{BitString, SecretBits};
use bellwether_units::BlockId;
use core::ops::Range;

/// What an end is told.
pub enum RawCommand {
    /// Begin. To be given once, when there is a connection.
    Connect,
    /// There is nothing else to do: one more block may begin. Only the correcting end begins blocks.
    Proceed,
    /// The bits of a block, in answer to [`RawEvent::Wanted`].
    Bits {
        /// Which block.
        block: BlockId,
        /// Its bits, in their order.
        bits: SecretBits,
    },
    /// Come to an end: blocks under way are given up, keys of those that are finished are told.
    Stop,
    /// The connection is lost: it is over, and what no block has used may be used another time.
    Lost,
}

/// What an end tells.
#[derive(Debug)]
pub enum RawEvent {
    /// The ends were given the same, and this is what they will do.
    Agreed {
        /// The bits that become blocks.
        bits: Range<u64>,
        /// How many blocks.
        blocks: u64,
    },
    /// The bits of a block are wanted, by [`RawCommand::Bits`].
    Wanted {
        /// Which block.
        block: BlockId,
        /// Which bits of the raw key, the first being 0.
        bits: Range<u64>,
    },
    /// Which bits of a block were wrong, where [`RawSettings::tell_errors`](super::RawSettings::tell_errors) asks for it: at
    /// the reference end those of the sample, at the correcting end those of the rest.
    Compared {
        /// Which block.
        block: BlockId,
        /// Its bits of the raw key.
        bits: Range<u64>,
        /// Which of them are told of: a bit for each.
        compared: BitString,
        /// Which of those were wrong: a bit for each.
        wrong: BitString,
    },
    /// How a block ended at this end. Told once for each block that began, before its key.
    Block(RawBlock),
    /// A key that the other end holds as well, or can hold. In the same order at both ends.
    Key {
        /// The block that it came from.
        block: BlockId,
        /// The key.
        key: SecretBits,
        /// What led to its length and what it promises.
        account: Box<Account>,
    },
    /// The other end, or someone between, said what an honest end does not say.
    Alarm(RawAlarm),
    /// It is over: nothing more will be told, and nothing more is listened to.
    Ended {
        /// Why, if it did not come to its end.
        failure: Option<RawFailure>,
    },
}

/// How a block ended.
#[derive(Clone, Debug, PartialEq)]
pub struct RawBlock {
    /// Which block.
    pub block: BlockId,
    /// How many bits of the raw key it had.
    pub bits: u64,
    /// What was counted, as far as it came.
    pub counts: BlockCounts,
    /// How it was reconciled, as far as it came.
    pub family: Option<Family>,
    /// Questions and answers of reconciliation.
    pub round_trips: u64,
    /// Why there is no key; `None` if it is made and waits for the seal.
    pub discarded: Option<RawDiscard>,
}

/// Why a block was discarded.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RawDiscard {
    /// Its counts leave no key.
    #[error(transparent)]
    NoKey(#[from] NoKey),
    /// Reconciliation did not come to an end.
    #[error("reconciliation failed: {0}")]
    Reconciliation(ReconcileError),
    /// The corrected bits differ.
    #[error("verification failed: the corrected bits differ")]
    Verification,
    /// The ends count differently.
    #[error("the ends disagree on what was disclosed or on the length of the key")]
    Account,
    /// The other end said of it what an honest end does not say.
    #[error("the other end broke the protocol: {0}")]
    Misbehaved(&'static str),
    /// The other end discarded it.
    #[error("the other end discarded it")]
    There,
    /// It was under way when the end came.
    #[error("it was not finished")]
    Unfinished,
}

impl RawDiscard {
    /// A short name for tables and counts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NoKey(_) => "no-key",
            Self::Reconciliation(_) => "reconciliation",
            Self::Verification => "verification",
            Self::Account => "account",
            Self::Misbehaved(_) => "misbehaved",
            Self::There => "other-end",
            Self::Unfinished => "unfinished",
        }
    }
}

/// Something that honest ends over an honest channel do not bring about, or hardly ever.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RawAlarm {
    /// One block was spoilt.
    #[error("{block}: {reason}")]
    Block {
        /// Which block.
        block: BlockId,
        /// How.
        reason: RawDiscard,
    },
    /// The session ended by it.
    #[error("{0}")]
    Session(RawFailure),
}

/// Why the ends did not come to their end. Keys told before stay good.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RawFailure {
    /// The ends were given different settings.
    #[error(transparent)]
    Settings(#[from] RawSettingsError),
    /// A frame cannot be read.
    #[error("the other end sent what cannot be read: {0}")]
    Malformed(#[from] Malformed),
    /// A message that is not about one block came out of turn.
    #[error("the other end broke the protocol: {0}")]
    Misbehaved(&'static str),
    /// A tag is wrong: what was received is not what the other end sent, or its secret is another.
    #[error("authentication failed: {0}; keys that were not told yet are lost")]
    Forged(AuthenticationError),
    /// No tag can be made.
    #[error("no tag can be made: {0}")]
    Exhausted(AuthenticationError),
}

/// What must be durable before what rests on it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawRecord {
    /// No bit of the raw key before this one may be used again.
    Used(u64),
    /// The pads used for authentication, by direction: the numbers of the next. See
    /// [`AuthenticationKeys::resume`](crate::qkd::authenticate::AuthenticationKeys::resume).
    Pads([u64; 2]),
}

/// Work that may be done on any thread: to be [`run`](Self::run), its result to be given back.
#[derive(Debug)]
pub struct RawJob {
    pub(super) block: BlockId,
    pub(super) amplification: Amplification,
}

/// What a [`RawJob`] gives.
#[derive(Debug)]
pub struct RawJobResult {
    pub(super) block: BlockId,
    pub(super) key: SecretBits,
}

impl RawJob {
    /// Amplifies the block.
    pub fn run(self) -> RawJobResult {
        RawJobResult { block: self.block, key: self.amplification.run() }
    }
}
