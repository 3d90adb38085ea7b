//! Tests of what the command shows, in one binary.

mod attacks;
mod command;
mod kills;
mod live;
mod refusals;
mod report;
mod sample;
mod text;
