//! The machines of entanglement under loss, duplication, reordering and crashes.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod link_errors;
mod link_faults;
mod link_honest;
mod link_wire;
mod link_world;
#[path = "../common/schedules.rs"]
mod schedules;
