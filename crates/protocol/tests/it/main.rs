//! Both ends of a link together: schedules of faults, tampering, and what distillation costs.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod families;
mod faults;
mod light;
mod monitors;
mod pair;
mod scenarios;
mod tampering;
mod verified;
