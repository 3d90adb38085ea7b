//! The key machines of a whole network under loss, duplication, reordering, cuts, alarms and crashes.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod compaction;
mod faults;
mod graphs;
mod honest;
#[path = "../common/schedules.rs"]
mod schedules;
mod wire;
mod world;
