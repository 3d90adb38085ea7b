//! Bellwether live: one node's daemon, and what stands around it.
//!
//! This room drives the state machines of `bellwether-protocol` with real sockets, a durable store and the wall
//! clock. It holds no protocol logic of its own: what a node decides, it decides in the machines that the
//! simulator drives as well.

pub mod application;
pub mod audit;
pub mod directory;
pub mod distill;
pub mod emulation;
pub mod frames;
mod handshakes;
pub mod hardware;
mod hex;
pub mod identity;
pub mod interface;
pub mod memories;
pub mod node;
pub mod process;
pub mod programs;
pub mod random;
mod request;
pub mod state;
pub mod store;
pub mod transport;
pub mod up;
mod wall_clock;
pub mod webhook;
