//! Tests of the live room over real sockets and files.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod identity;
mod store;
mod transport;
