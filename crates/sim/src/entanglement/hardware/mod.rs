//! The emulated physical layer of an entanglement network: what truly is in every memory, and when heralds come.
//!
//! Nothing here is a protocol, and no protocol sees any of it but through heralds and measurement outcomes.

mod budget;
mod devices;
mod holdings;
mod link;
mod model;
mod processor;

pub use budget::{Budget, Source};
pub(crate) use devices::{Device, DeviceHappening, DeviceOptions, Devices, Surroundings, first_memories};
pub(crate) use holdings::{Cell, Claim, Spot, UsedPair};
pub use model::{Brightness, LinkModel, NodeModel, QubitRole};
pub use processor::Processor;
