//! The simulator as a library user meets it, in one binary.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod details;
mod eavesdroppers;
mod emulator;
mod families;
mod faults;
mod keys;
mod link_file;
mod published;
mod quiet;
mod random;
mod sources;
mod support;
mod whole_run;
