//! A node's daemon: what drives the machines of `bellwether-protocol`.
//!
//! - [`keys`]: pools, relay and keys for applications.
//! - [`link`]: one end of one link.
//! - [`transcript`]: what an end was told and did, to be checked against the machine later.

pub mod keys;
pub mod link;
pub mod transcript;
