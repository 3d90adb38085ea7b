//! Entanglement from end to end: from heralds to pairs for applications.

mod identity;
pub mod link;

pub use identity::{CircuitId, EndToEndId, MemoryId, PairId};
