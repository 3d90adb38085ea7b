//! Entanglement from end to end: from heralds to pairs for applications.

mod identity;
pub mod link;
pub mod network;

pub use identity::{CircuitId, EndToEndId, MemoryId, PairId};
