//! A node's daemon: what drives the machines of `bellwether-protocol`.
//!
//! - [`daemon`]: a whole node.
//! - [`links`]: its ends of links, from devices and sockets to blocks in its pools.
//! - [`link`]: one end of one link.
//! - [`keys`]: its key node and its key manager.
//! - [`policy`]: what may change while it runs.
//! - [`transcript`]: what an end was told and did, to be checked against the machine later.

pub mod daemon;
pub mod keys;
pub mod link;
pub mod links;
pub mod policy;
pub mod transcript;
