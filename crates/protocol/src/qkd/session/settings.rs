//! What both ends of a link must agree on before they begin.

use crate::qkd::alarm::{Baseline, Thresholds};
use crate::qkd::authenticate::AuthenticationError;
use crate::qkd::reconcile::{CascadeVariant, Family};
use crate::qkd::security::{Bound, SecurityParameters, SourceClass};
use bellwether_units::{Duration, LinkId};

/// Everything that both ends of one link share. Both must be given the same, but for times and what concerns
/// alarms: they compare a digest when a session opens, and make no key if it differs.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkSettings {
    /// The link, for alarms and reports.
    pub link: LinkId,
    /// The intensities of the source, in falling order of mean photon number; a click's class is an index.
    pub source: Vec<SourceClass>,
    /// The bound on what an eavesdropper knows.
    pub bound: Bound,
    /// What the keys promise.
    pub security: SecurityParameters,
    /// Sifted bits in the key basis that close a block, at the end of the window that reaches them.
    pub block_bits: u64,
    /// How blocks are reconciled.
    pub reconciliation: Family,
    /// Bits in a frame of reconciliation, a multiple of 64; 0 for the whole block. `None` for as many as suit the family.
    pub frame_bits: Option<usize>,
    /// What calibration expects of the link, for alarms; without it the light raises none, and no block is
    /// discarded for what a monitor of side channels saw. The ends need not have the same.
    pub baseline: Option<Baseline>,
    /// How the alarms on the light decide.
    pub thresholds: Thresholds,
    /// Which frames carry an authentication tag.
    pub tags: TagPolicy,
    /// How the stock of authentication pads is kept up.
    pub authentication: AuthenticationBudget,
    /// Bounds on what is accepted and held.
    pub limits: Limits,
    /// How long to wait for what.
    pub timing: Timing,
}

/// Which frames carry an authentication tag. Either way no key is handed out before every frame that led to it
/// is covered by verified tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TagPolicy {
    /// Every frame with a message carries a tag of its own: a forgery is seen at once, at the price of one
    /// one-time pad (128 bits of secret) a frame.
    EveryMessage,
    /// Only the frames that seal a block carry a tag, which covers all frames of their direction since the
    /// last one: two pads a block from the receiver, one from the transmitter.
    #[default]
    EveryBlock,
}

/// How the one-time pads of authentication are kept up. All figures are pads of 128 bits of one direction:
/// both directions are kept alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthenticationBudget {
    /// The stock to which the directions are filled up from new key.
    pub target_pads: u64,
    /// An alarm is raised when a direction's stock falls to this.
    pub low_water_pads: u64,
    /// At most this share of a block's key is set aside, in 1/256 (128 is a half).
    pub greatest_share: u8,
}

impl Default for AuthenticationBudget {
    fn default() -> Self {
        Self { target_pads: 256, low_water_pads: 32, greatest_share: 128 }
    }
}

/// Bounds on what is accepted from the other end and on what is held for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest frame, in bytes.
    pub frame_bytes: usize,
    /// Clicks in one announcement; longer windows are announced in pieces.
    pub window_clicks: usize,
    /// Windows announced and not yet answered. Windows beyond are skipped.
    pub windows_in_flight: usize,
    /// Blocks closed and not yet released or discarded. With more, windows are skipped.
    pub blocks_in_flight: usize,
    /// Frames sent and not yet acknowledged, or received ahead of a missing one.
    pub frames_in_flight: usize,
    /// Bytes of such frames.
    pub bytes_in_flight: usize,
    /// Bytes of messages that wait to be sent. With more, windows are skipped.
    pub backlog_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_bytes: 16 << 20,
            window_clicks: 1 << 20,
            windows_in_flight: 64,
            blocks_in_flight: 8,
            frames_in_flight: 256,
            bytes_in_flight: 64 << 20,
            backlog_bytes: 64 << 20,
        }
    }
}

/// How long to wait for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The shortest time after which an unacknowledged frame is sent again; with measured round trips it is
    /// adapted upwards.
    pub retransmit_after: Duration,
    /// The longest such time, reached by doubling.
    pub retransmit_at_most: Duration,
    /// How long the other end may leave frames unanswered before an alarm is raised.
    pub silent_after: Duration,
    /// How long a block may stay in flight without any progress before the session is begun anew.
    pub stalled_after: Duration,
    /// The shortest time between two attempts at a session; it doubles while sessions fail without key.
    pub reopen_after: Duration,
    /// The longest such time.
    pub reopen_at_most: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            retransmit_after: Duration::from_milliseconds(50),
            retransmit_at_most: Duration::from_whole_seconds(2),
            silent_after: Duration::from_whole_seconds(10),
            stalled_after: Duration::from_whole_seconds(60),
            reopen_after: Duration::from_milliseconds(100),
            reopen_at_most: Duration::from_whole_seconds(60),
        }
    }
}

/// Why settings cannot be worked with.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// The bound wants another number of intensities.
    #[error("{bound} needs {needed} intensities, the source has {given}")]
    Intensities {
        /// The bound.
        bound: Bound,
        /// How many it needs.
        needed: usize,
        /// How many there are.
        given: usize,
    },
    /// A block must be between 1 bit and what the limits can carry.
    #[error("a block of {0} sifted bits cannot be worked with: 1 to 2^28 can")]
    BlockBits(u64),
    /// A limit is zero or too large.
    #[error("the limit `{0}` is out of range")]
    Limit(&'static str),
    /// The secret for authentication cannot be worked with.
    #[error(transparent)]
    Secret(AuthenticationError),
    /// A time is zero or longer than the longest it may grow to.
    #[error("the time `{0}` is out of range")]
    Time(&'static str),
}

impl LinkSettings {
    /// Settings with the defaults of this library: blocks of a million sifted bits, sealed once a block.
    pub fn new(link: LinkId, source: Vec<SourceClass>, bound: Bound) -> Self {
        Self {
            link,
            source,
            bound,
            security: SecurityParameters::default(),
            block_bits: 1_000_000,
            reconciliation: Family::Cascade(CascadeVariant::Option7),
            frame_bits: None,
            baseline: None,
            thresholds: Thresholds::default(),
            tags: TagPolicy::default(),
            authentication: AuthenticationBudget::default(),
            limits: Limits::default(),
            timing: Timing::default(),
        }
    }

    /// Checks that these settings can be worked with.
    ///
    /// # Errors
    /// The first thing that cannot.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let (needed, given) = (self.bound.intensities(), self.source.len());
        if needed != given {
            return Err(SettingsError::Intensities { bound: self.bound, needed, given });
        }
        if !(1..=1 << 28).contains(&self.block_bits) {
            return Err(SettingsError::BlockBits(self.block_bits));
        }
        let Limits {
            frame_bytes,
            window_clicks,
            windows_in_flight,
            blocks_in_flight,
            frames_in_flight,
            bytes_in_flight,
            backlog_bytes,
        } = self.limits;
        // A click takes at most 12 bytes in an announcement; the amplification seed takes a quarter of a byte
        // for a sifted bit, and the last window may overshoot the block.
        let needed_frame = 4096 + (12 * window_clicks).max(self.block_bits as usize / 4 + window_clicks / 4);
        for (name, sound) in [
            ("frame_bytes", (needed_frame..=1 << 30).contains(&frame_bytes)),
            ("window_clicks", (1..=1 << 24).contains(&window_clicks)),
            ("windows_in_flight", (1..=1 << 20).contains(&windows_in_flight)),
            ("blocks_in_flight", (1..=1 << 10).contains(&blocks_in_flight)),
            ("frames_in_flight", (1..=1 << 16).contains(&frames_in_flight)),
            ("bytes_in_flight", bytes_in_flight >= frame_bytes),
            ("backlog_bytes", backlog_bytes >= 1),
        ] {
            if !sound {
                return Err(SettingsError::Limit(name));
            }
        }
        let timing = &self.timing;
        for (name, sound) in [
            (
                "retransmit_after",
                !timing.retransmit_after.is_zero() && timing.retransmit_after <= timing.retransmit_at_most,
            ),
            ("silent_after", !timing.silent_after.is_zero()),
            ("stalled_after", !timing.stalled_after.is_zero()),
            ("reopen_after", !timing.reopen_after.is_zero() && timing.reopen_after <= timing.reopen_at_most),
        ] {
            if !sound {
                return Err(SettingsError::Time(name));
            }
        }
        Ok(())
    }
}
