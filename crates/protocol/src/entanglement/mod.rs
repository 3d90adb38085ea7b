//! Entanglement from end to end: from heralds to pairs for applications.

pub mod hardware;
mod identity;
pub mod link;
pub mod network;
mod node;
pub mod purification;
pub mod routing;
pub mod schedule;
pub mod signalling;

pub use identity::{CircuitId, EndToEndId, MemoryId, PairId};
pub use node::{EntanglementNode, NodeEffect, NodeLink, NodeMessage, Outbox};
