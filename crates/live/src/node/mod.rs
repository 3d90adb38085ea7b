//! A node's daemon: what drives the machines of `bellwether-protocol`.
//!
//! - [`link`]: one end of one link.
//! - [`transcript`]: what an end was told and did, to be checked against the machine later.

pub mod link;
pub mod transcript;
