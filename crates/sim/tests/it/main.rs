//! The simulator as a library user meets it, in one binary.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod sources;
mod support;
mod whole_run;
