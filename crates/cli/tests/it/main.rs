//! Tests of what the command shows, in one binary.

mod command;
mod report;
mod sample;
mod text;
