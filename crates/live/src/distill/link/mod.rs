//! Recorded detections become keys, in two processes: the link session between two recordings.
//!
//! [`LinkMaterial`] is one end's recording, a detection file or a table. [`LinkRun`] drives the machine of that end
//! ([`bellwether_protocol::qkd::session`]), set as the network file describes the link, over a
//! [`Line`](super::Line): as fast as both ends go, until the receiver's recording ends. What was used of a recording is kept
//! beside it in the way of [`replay`](crate::hardware::replay), and is durable before it is used.

mod agreement;
#[doc(hidden)]
pub mod fuzz;
mod material;
mod run;
mod said;
mod summary;
mod table;

pub use material::{LinkFormat, LinkMaterial};
pub use run::{LinkRun, LinkRunError};
pub use summary::{LinkBlockSummary, LinkSummary};
