//! Programs that use entangled pairs, in processes of their own.
//!
//! A program is written against [`application::Node`](bellwether_protocol::application::Node). Its process attaches to the
//! daemon of its node over TLS, known by the certificate of one of the node's applications; what the program wishes goes
//! there in [frames](wire), and the answers come back. Sleep is the program's own affair, by a clock that runs in the
//! node's time.
//!
//! - [`wire`]: the frames.
//! - [`server`]: the daemon's side, which gives each attached program to the node's driver as a stream of wishes.
//! - [`client`]: the program's side.
//! - [`run()`]: the same where there are a network file and its state directory.

mod carrier;
pub mod client;
pub(crate) mod fields;
mod run;
pub mod server;
#[cfg(test)]
mod tests;
pub mod wire;

pub use run::{RunError, run};

use core::time::Duration;

/// How often a program says that it is still there.
pub const HEARTBEAT: Duration = Duration::from_secs(15);
/// After so much silence the other side is taken for gone.
pub const SILENCE: Duration = Duration::from_secs(60);
