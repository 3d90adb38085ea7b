//! One node's stack (key distribution, key relay, entanglement) as state machines without I/O.
//!
//! Nothing here owns a socket, a thread, a clock, a file or a random generator: a machine is moved by
//! [`Protocol::handle`](machine::Protocol::handle), to which the driver gives the time, a generator and one
//! [`Input`](machine::Input), and which appends its effects to a list in the order in which they must be
//! carried out. The simulator drives these machines in virtual time; a daemon drives the same ones over
//! sockets.
//!
//! - [`hardware`]: what a node sees of its quantum devices.
//! - [`machine`]: the boundary between a machine and its driver.
//! - [`qkd`]: raw detections to secret key.
//! - [`keys`]: secret key to keys for applications.
//! - [`entanglement`]: heralds to pairs from end to end.
//! - [`application`]: what a program of one node is written against.

pub mod application;
pub mod entanglement;
pub mod hardware;
pub mod keys;
pub mod machine;
pub mod qkd;
mod timers;
