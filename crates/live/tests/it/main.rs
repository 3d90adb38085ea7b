//! Tests of the live room over real sockets and files.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod audit;
mod callers;
mod client;
mod database;
mod directory;
mod disjoint;
mod entangled;
mod identity;
mod keys;
mod light;
mod link;
mod operations;
mod postgres;
mod programs;
mod recording;
mod replayed_network;
mod simulated;
mod store;
mod streams;
mod transport;
mod tunnel;
mod two_ends;
mod up;
mod webhook;
mod wireguard;
