//! The control of entanglement: which way circuits go, how they are set up, how pairs are purified.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod purification;
mod routes;
mod schedules;
#[path = "../common/schedules.rs"]
mod seeds;
mod signalling_faults;
mod signalling_honest;
mod signalling_world;
