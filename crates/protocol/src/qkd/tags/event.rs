//! What the ends are told and what they tell.

use super::click::{Clicks, EndCounts};
use super::clock::{Clock, ClockError, Search, recover};
use super::settings::TagSettingsError;
use super::sifted::SiftedKey;
use crate::qkd::raw::Seals;
use crate::qkd::wire::Malformed;

/// What an end is told.
pub enum TagCommand {
    /// Begin. To be given once, when there is a connection.
    Connect,
    /// The next clicks of the record, in answer to [`TagEvent::Wanted`], and whether they are the last.
    Clicks {
        /// In the order of their times. As many as suit the reader: some ten thousand.
        clicks: Clicks,
        /// Whether the record ends with them.
        last: bool,
    },
    /// Give up: nothing of the record was disclosed that matters, and it can be used another time.
    Stop,
}

/// What an end tells.
#[derive(Debug)]
pub enum TagEvent {
    /// The ends were given the same.
    Agreed,
    /// More clicks are wanted, by [`TagCommand::Clicks`].
    Wanted,
    /// It is done: the machine has nothing more to do, and what follows on the connection belongs to what is done with the
    /// sifted key.
    Sifted(Box<Sifted>),
    /// It is over without a sifted key.
    Failed(TagFailure),
}

/// What the ends have in the end.
pub struct Sifted {
    /// The sifted bits.
    pub key: SiftedKey,
    /// What was counted.
    pub account: TagAccount,
    /// What was said, which the tags of what follows cover.
    pub seals: Seals,
}

impl core::fmt::Debug for Sifted {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:?}, {:?}", self.key, self.account)
    }
}

/// How the clocks were related, as the end that matches says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Relation {
    /// What the matching end's clock shows beyond the telling end's at the first event of the latter, in picoseconds.
    pub offset: i64,
    /// By how much faster it ran on the whole.
    pub drift: f64,
    /// The standard deviation of the differences of times that belong together, rounding included, in picoseconds.
    pub jitter: f64,
    /// The coincidence window, in picoseconds.
    pub window: u64,
}

/// What was counted while two records were sifted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TagAccount {
    /// At the end that tells its times.
    pub telling: EndCounts,
    /// At the end that matches them.
    pub matching: EndCounts,
    /// How the clocks were related.
    pub relation: Relation,
    /// Pairs of events that belong together.
    pub coincidences: u64,
    /// Pairs in two windows beside, of the same width, together: half of them is about how many coincidences are accidental.
    pub displaced: u64,
    /// Events of the telling end that were left out because it is not clear to which event they belong.
    pub ambiguous: u64,
    /// Events of the telling end at times at which the clocks could not be followed.
    pub unfollowed: u64,
    /// Sifted bits of the basis Z, and of X.
    pub sifted: [u64; 2],
}

/// Why there is no sifted key.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TagFailure {
    /// The ends were given different settings.
    #[error(transparent)]
    Settings(#[from] TagSettingsError),
    /// A frame cannot be read.
    #[error("the other end sent what cannot be read: {0}")]
    Malformed(#[from] Malformed),
    /// The other end says what an honest one does not say.
    #[error("the other end broke the protocol: {0}")]
    Misbehaved(&'static str),
    /// The clocks cannot be related.
    #[error("the clocks cannot be related: {0}")]
    Clocks(ClockError),
    /// There are no sifted bits.
    #[error(
        "no bits are left by sifting: {0} coincidences, and none of equal bases; are the channels those of the bases?"
    )]
    Nothing(u64),
    /// Times of this end's record go back, or are beyond what can be worked with.
    #[error("the times of this record do not rise, or are beyond 2^62 ps")]
    Record,
    /// Somebody wants it no more.
    #[error("it was stopped at {0} end")]
    Stopped(&'static str),
}

/// Work that may be done on any thread: to be [`run`](Self::run), its result to be given back.
#[derive(Debug)]
pub struct TagJob {
    pub(super) here: Vec<u64>,
    pub(super) there: Vec<u64>,
    pub(super) search: Search,
}

/// What a [`TagJob`] gives.
#[derive(Debug)]
pub struct TagJobResult(pub(super) Result<Clock, ClockError>);

impl TagJob {
    /// Relates the clocks: up to some ten seconds and some 100 MB.
    pub fn run(self) -> TagJobResult {
        TagJobResult(recover(&self.here, &self.there, &self.search))
    }
}
