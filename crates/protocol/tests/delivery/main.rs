//! Key managers of a few sites under loss, duplication, reordering, partitions, crashes and rolled back stores.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod faults;
mod honest;
mod nodes;
mod stream_calls;
mod streams;
mod world;
