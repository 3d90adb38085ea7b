//! Bellwether in virtual time.
//!
//! The protocol machines of `bellwether-protocol`, driven by an event kernel over emulated hardware: the same
//! machines that a daemon drives over sockets.
//!
//! - [`kernel`]: what happens next, in a total order.
//! - [`run`]: run a network, or run it many times.
//! - [`emulator`]: the devices of a link and the light between them, for the simulator and for daemons.
//! - [`nodes`]: the nodes as key nodes know them, for the simulator and for daemons.
//! - [`expect`]: what the formulas expect, without sampling.
//! - [`platforms`]: models of memories and of links between them, from the library's profiles.
//! - [`summary`], [`trace`]: what a run tells.

mod budget;
mod channel;
mod conditions;
pub mod emulator;
pub mod entanglement;
pub mod expect;
mod interval;
pub mod kernel;
mod ledger;
mod link;
pub mod nodes;
mod optics;
pub mod platforms;
pub mod run;
pub mod summary;
pub mod trace;
mod words;
mod world;
