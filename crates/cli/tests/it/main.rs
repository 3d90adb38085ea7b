//! Tests of what the command shows, in one binary.

mod attacks;
mod command;
#[path = "../../../live/tests/it/database.rs"]
mod database;
mod detections;
mod distill;
mod examples;
mod hosts;
#[allow(dead_code, reason = "the tests that run alone use more of it")]
mod https;
mod kills;
mod live;
mod pairs;
mod place;
mod recorded;
mod refusals;
mod replicas;
mod report;
mod residue;
mod sample;
mod sample_pairs;
mod secoqc;
mod teleport;
mod text;
mod time_tags;
mod token;
mod webhook;
