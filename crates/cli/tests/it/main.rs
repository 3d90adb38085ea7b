//! Tests of what the command shows, in one binary.

mod report;
mod sample;
mod text;
