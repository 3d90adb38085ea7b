//! A node's daemon: what drives the machines of `bellwether-protocol`.
//!
//! - [`daemon`]: a whole node.
//! - `callers`: who may call it.
//! - [`entanglement`]: its stack, its devices that entangle, and the program that is attached to it.
//! - [`links`]: its ends of links, from devices and sockets to blocks in its pools.
//! - [`link`]: one end of one link.
//! - [`keys`]: its key node and its key manager.
//! - [`records`]: where its records are kept.
//! - `standby`: what a replica of it does while another leads.
//! - [`policy`]: what may change while it runs.
//! - [`transcript`]: what an end was told and did, to be checked against the machine later.

mod callers;
pub mod daemon;
pub mod entanglement;
pub mod keys;
pub mod link;
pub mod links;
pub mod policy;
pub mod records;
mod settings;
mod standby;
pub mod transcript;
