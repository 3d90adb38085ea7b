//! What the two machines are told and what they tell.

use crate::hardware::{Detections, Preparations, PulseNumber};
use crate::qkd::alarm::Alarm;
use crate::qkd::security::{BlockStatistics, Certificate, NoKey};
use bellwether_bits::SecretBits;
use bellwether_units::{BlockId, Duration, Time};

/// The other end of the link: a link has but one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OtherEnd;

/// What a [`Transmitter`](super::Transmitter) is told.
pub enum TransmitterCommand {
    /// Begin to open sessions. To be given once, after the machine is made.
    Connect,
    /// The hardware's answer to [`LinkEvent::Recall`].
    Recalled {
        /// The number of the request.
        request: u64,
        /// What had been prepared in the pulses asked for, in their order. If the hardware no longer knows, has
        /// answered for any of them before or not sent them yet, anything of another length will do, and must
        /// be given: the window is then kept by neither end.
        preparations: Preparations,
    },
}

/// What a [`Receiver`](super::Receiver) is told.
pub enum ReceiverCommand {
    /// Begin to listen for sessions. To be given once, after the machine is made.
    Connect,
    /// The clicks of the next window. Windows must follow one another: one that begins before the end of the
    /// last is skipped.
    Detected(Detections),
}

/// What either machine tells.
#[derive(Debug)]
pub enum LinkEvent {
    /// A session is open at this end.
    Connected {
        /// Its number, which rises from session to session.
        session: u64,
    },
    /// A session is over and a new one is sought; blocks in flight have been discarded.
    Disconnected {
        /// Its number.
        session: u64,
    },
    /// The transmitter's hardware is to say what it had prepared in these pulses, by
    /// [`TransmitterCommand::Recalled`].
    Recall {
        /// The number to answer with.
        request: u64,
        /// The pulses, rising.
        pulses: Vec<PulseNumber>,
    },
    /// A secret key that the other end holds as well.
    ///
    /// The receiver tells it first. If either end crashes just then, or the session breaks, the transmitter
    /// may never tell it; whoever uses keys must find out from the other end whether it holds the block.
    Key {
        /// The block it came from.
        block: BlockId,
        /// The key, without what was set aside for authentication.
        key: SecretBits,
        /// What led to its length and what it promises.
        certificate: Certificate,
    },
    /// How a block ended, with or without key. Told once for each block, before its key.
    Block(BlockReport),
    /// A window was not made use of.
    Skipped {
        /// How many of its clicks.
        clicks: u64,
        /// Why.
        reason: SkipReason,
    },
    /// Something is wrong: with the light, the classical channel, or the secret for authentication. Both ends
    /// hold the same statistics and raise the same alarms on them.
    Alarm(Alarm),
}

/// The account of one block at one end.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockReport {
    /// Which block.
    pub block: BlockId,
    /// When its first window was sifted at this end.
    pub opened: Time,
    /// When it had its bits; `None` if it was discarded before.
    pub closed: Option<Time>,
    /// When it ended.
    pub ended: Time,
    /// Pulses in its windows.
    pub pulses: u64,
    /// Clicks in its windows.
    pub clicks: u64,
    /// How many of them had both detectors fire.
    pub double_clicks: u64,
    /// The counts by basis and intensity. Errors in the key basis are known once the key is corrected.
    pub statistics: BlockStatistics,
    /// Whether the errors in the key basis are known.
    pub corrected: bool,
    /// Bits disclosed by reconciliation.
    pub leaked_bits: u64,
    /// Questions and answers of reconciliation.
    pub round_trips: u64,
    /// One-time pads used for tags in both directions, as far as this end knows, since the last block ended.
    pub pads_used: u64,
    /// Bits of key set aside for authentication.
    pub set_aside_bits: u64,
    /// Bits of key handed out; 0 for a block that was discarded.
    pub key_bits: u64,
    /// Why there is no key, if there is none.
    pub discarded: Option<DiscardReason>,
}

impl BlockReport {
    /// How long its windows took.
    pub fn collecting(&self) -> Duration {
        self.closed.unwrap_or(self.ended).since(self.opened)
    }
    /// How long distillation took from the last window on.
    pub fn distilling(&self) -> Duration {
        self.ended.since(self.closed.unwrap_or(self.ended))
    }
}

/// Why a block was discarded whole.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DiscardReason {
    /// Its statistics leave no key.
    #[error(transparent)]
    NoKey(#[from] NoKey),
    /// The other end found that its statistics leave no key.
    #[error("the other end found no key in it")]
    NoKeyThere,
    /// A monitor of this end's side channels raised an alarm in it, so that its error rate tells nothing of an
    /// eavesdropper: [`AlarmKind::DoubleClicksMissing`](crate::qkd::alarm::AlarmKind::DoubleClicksMissing) or
    /// [`AlarmKind::BiasCurrent`](crate::qkd::alarm::AlarmKind::BiasCurrent).
    #[error("a side-channel monitor raised an alarm in it")]
    Monitor,
    /// A monitor of the other end's side channels raised an alarm in it.
    #[error("a side-channel monitor raised an alarm in it at the other end")]
    MonitorThere,
    /// Reconciliation did not come to an end.
    #[error("reconciliation failed")]
    Reconciliation,
    /// The ends hold different bits after reconciliation.
    #[error("verification failed: the corrected bits differ")]
    Verification,
    /// The ends computed different certificates.
    #[error("the ends disagree on the length of the key")]
    Certificate,
    /// The session broke while it was in flight.
    #[error("the session ended before the block was done")]
    SessionLost,
    /// A message of its session was tampered with.
    #[error("authentication failed in its session")]
    Authentication,
}

impl DiscardReason {
    /// Whether it says nothing about the block itself.
    pub(super) fn is_session(&self) -> bool {
        matches!(self, Self::SessionLost | Self::Authentication)
    }
    /// A short name for tables and counts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NoKey(_) | Self::NoKeyThere => "no-key",
            Self::Monitor | Self::MonitorThere => "monitor",
            Self::Reconciliation => "reconciliation",
            Self::Verification => "verification",
            Self::Certificate => "certificate",
            Self::SessionLost => "session-lost",
            Self::Authentication => "authentication",
        }
    }
}

/// Why a window was not made use of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SkipReason {
    /// No session is open.
    NotConnected,
    /// Too many windows or blocks are in flight, or too much waits to be sent.
    Busy,
    /// The detections contradict themselves, or overlap those before.
    Unsound,
}
