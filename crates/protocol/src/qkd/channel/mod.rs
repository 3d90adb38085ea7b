//! The classical channel of one link: sessions, delivery in order and once, and authentication.
//!
//! A **session** is opened by the transmitter with a number that was never used before, and accepted by the
//! receiver; both frames carry a tag. When anything goes wrong at either end (a tag that does not verify, an
//! impossible message, a crash) the session ends: the receiver asks for a new one, the transmitter opens it
//! after a pause that grows while sessions yield no key. A session that has ended leaves nothing behind.
//!
//! Within a session, messages are numbered, acknowledged, sent again and delivered in order and once
//! ([`reliable`]). They are delivered before they are authenticated: a tag covers all frames of its direction
//! since the last tag, and whoever acts for good on a message waits for one that was sealed.

mod durable;
mod frame;
mod handshake;
mod ledger;
mod link;
mod reliable;

pub use durable::Durable;
pub(super) use link::{Channel, Delivery, Effects};
