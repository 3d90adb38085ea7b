//! Entanglement networks in virtual time: emulated links and memories, and the entanglement stack of every node.
//!
//! A [`Setup`] says what there is, with its physics; a [`World`] runs it. Nodes are the machines of
//! `bellwether_protocol::entanglement`; what their memories truly hold is here, and they never see it.

pub mod account;
mod build;
mod chain;
mod emulator;
pub mod expect;
mod hardware;
mod parts;
pub mod programs;
mod run;
mod setup;
mod stack;
pub mod summary;
mod words;
mod world;

pub use build::{Admission, BuildError, Built, PlannedDemand, build, link_model};
pub use chain::Chain;
pub use emulator::{CommandError, MemoryEmulator, Told};
pub use hardware::{Brightness, Budget, LinkModel, NodeModel, Processor, QubitRole, Source};
pub use parts::{Part, Parts};
pub use run::{EntanglementError, EntanglementRun};
pub use setup::{
    CircuitSetup, DemandSetup, Fault, FaultKind, LinkSetup, NodeSetup, PairUse, Setup, SetupError,
};
pub use stack::{booths, stack};
pub use words::refusal;
pub use world::{World, WorldOptions};
