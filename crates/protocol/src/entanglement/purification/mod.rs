//! Purification: of several noisy pairs between two ends, fewer and better ones are made.
//!
//! A [`Program`] says which pairs are measured against which. One end leads (on a link of a circuit the one nearer the
//! head): it chooses two pairs, has its hardware compare them, and tells the other end their names and its outcome. That end
//! compares the same two, and knows at once whether the outcomes agree; its verdict tells the leader. Only then does either
//! end count the pair as kept. Nothing is assumed: a check without a verdict gives the pair up.
//!
//! Pairs are told by name in every message, never by memory. Which pairs are taken is the leader's choice alone, so that
//! the ends cannot choose differently because their heralds came in another order.
//!
//! Over a channel that loses messages no protocol can have both ends keep or give up a pair together always: if every
//! verdict is lost, the leader gives up what the other end has kept. It says so, and in a circuit the tracks of such
//! a pair meet nothing and come back as expiries.

mod api;
mod frames;
mod machine;
mod message;
mod program;

pub use api::{PurificationEffect, PurifierSettings, PurifyingPair};
pub use machine::Purifier;
pub use message::{Check, PairName, PurificationMessage};
pub use program::{MOST_ROUNDS, Program, ProgramError, ProgramYield, Recurrence, Round};
