//! Sifting of recorded time tags: two ends saw photons of pairs, each with four detectors and a clock of its own, and find
//! out which bits they share.
//!
//! [`TellingEnd`] tells when it saw something and in which basis, and [`MatchingEnd`] relates the clocks ([`clock`]), finds
//! what belongs together and tells of which events the bits are kept: those of equal bases. They only exchange frames,
//! over a carrier that keeps their order and loses none (TCP), in pieces: the matching end says how far the other may go
//! on, so that neither holds more than a few million events of records of any length.
//!
//! 1. Both greet, and compare what they were given ([`TagSettings`]).
//! 2. Each makes *events* of its clicks: clicks that come together are one, and its outcome is drawn at random where more
//!    than one detector clicked.
//! 3. The telling end tells times, rounded, for fine ones tell the detector, and bases. Bits are never told.
//! 4. The matching end relates the clocks by the first events, and follows them from stretch to stretch of some hundred
//!    coincidences. Events within the coincidence window belong together, unless either has another partner.
//! 5. It answers which events are sifted. In the end both have equally many bits, in the same order, and what was said goes
//!    on to what is done with them ([`raw`](super::raw)): its first tags cover that as well.
//!
//! What is said here tells bases of photons that were measured, and can be said again: a record counts as used only when
//! something is told of its bits.

mod click;
pub mod clock;
mod coincide;
mod event;
mod matching;
mod message;
mod settings;
mod sifted;
mod start;
mod talk;
mod telling;

#[cfg(test)]
mod emulate;
#[cfg(test)]
mod tests;

pub use click::{Basis, Clicks, EndCounts, Outcome};
pub use event::{Relation, Sifted, TagAccount, TagCommand, TagEvent, TagFailure, TagJob, TagJobResult};
pub use matching::MatchingEnd;
pub use message::{LONGEST_FRAME, TagMessage};
pub use settings::{TagSettings, TagSettingsError};
pub use sifted::SiftedKey;
pub use telling::TellingEnd;

/// With so many events of the telling end the clocks are related, at most.
const START_AHEAD: usize = 1 << 22;
/// So many events may be told and not answered.
const MOST_AHEAD: usize = 2 * START_AHEAD;
