//! The network layer of entanglement, among nodes whose links make pairs out of thin air.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod cases;
mod faults;
mod light;
#[path = "../common/schedules.rs"]
mod schedules;
mod stack;
mod wire;
mod world;
