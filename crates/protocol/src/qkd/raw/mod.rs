//! Distillation of raw keys that are sifted already: two strings of bits of equal positions, noisy copies of one
//! another, become equal secret keys.
//!
//! [`ReferenceEnd`] holds the bits that count, and [`CorrectingEnd`] corrects its own to them. They only exchange
//! frames, over a carrier that keeps their order and loses none (TCP): a frame that is missing, doubled or moved
//! ends the session. The raw key is cut into blocks, and many blocks are under way at once, so that a long way to
//! the other end costs latency and no throughput. Of each block:
//!
//! 1. The correcting end draws a random sample of the positions, tells it and its bits there, and is told how many
//!    are wrong; the sample is thrown away. Where the secrecy does not rest on it there need be none.
//! 2. It corrects the rest ([`reconcile`](super::reconcile)) and tells how many errors there were.
//! 3. Both compute how much key there is ([`SecrecyClaim`], [`Account`]); the reference end draws the seeds of
//!    [verification](super::verify) and [privacy amplification](super::amplify) and sends them.
//! 4. The correcting end compares, amplifies, and says that its key is made.
//!
//! Keys are not told yet: from time to time, and at the end, the reference end *seals*. Its tag covers all that it
//! has sent, and the other's answer, with a tag over all that *it* has sent, confirms; with that both tell the keys
//! made before the seal, in the same order. Without a shared secret there are no tags and everything else is alike:
//! then nobody may stand between the ends who can change what they say.
//!
//! What the other end says is never trusted: a block about which it says what cannot be is discarded and an
//! [`RawAlarm`] is raised, and what is not about one block ends the session. Keys told before stay good.

mod account;
mod correcting;
mod event;
mod message;
mod reconciling;
mod reference;
mod sample;
mod seal;
mod session;
mod settings;

#[cfg(test)]
mod tests;

pub use account::{Account, BlockCounts, SecrecyClaim};
pub use correcting::CorrectingEnd;
pub use event::{
    RawAlarm, RawBlock, RawCommand, RawDiscard, RawEvent, RawFailure, RawJob, RawJobResult, RawRecord,
};
pub use message::Message;
pub use reference::ReferenceEnd;
pub use seal::Seals;
pub use settings::{RawSettings, RawSettingsError};
