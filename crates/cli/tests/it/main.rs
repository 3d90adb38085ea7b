//! Tests of what the command shows, in one binary.

mod abuse;
mod attacks;
mod command;
mod https;
mod kills;
mod live;
mod refusals;
mod report;
mod sample;
mod text;
