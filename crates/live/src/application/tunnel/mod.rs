//! A tunnel for TCP connections between two sites, under keys of their key managers.
//!
//! The *initiator* takes connections of local programs, the *responder* hands them on to a program of its own. Each
//! connection of a program is one connection between the two, with keys of its own: the initiator gets a key from
//! its key manager (ETSI GS QKD 014 V1.1.1, enc_keys), names it in the clear, and the responder collects it from its
//! own (dec_keys). Nothing is forwarded before each has proven to the other that it holds the key.
//!
//! - [`frame`]: what the bytes between the two mean before a key opens them.
//! - `schedule`: keys for each direction from keys of the key managers; sealing and opening of records.
//! - [`session`]: one end of one connection as a state machine without I/O.
//! - [`run`]: sockets and key managers around it.
//!
//! **Fails closed.** A key lasts for a time and for a number of bytes. Half way the initiator fetches the next, and
//! both change over at a boundary of records. At the end of its time without the next, the connection is broken off
//! at both ends; at the end of its bytes, what is to be sent waits.

pub mod frame;
mod limits;
pub mod run;
mod schedule;
pub mod session;
#[cfg(test)]
mod tests;

pub use limits::{Limits, LimitsError};
pub use session::Role;
