//! Tests of what the command shows, in one binary.

mod abuse;
mod attacks;
mod command;
mod crowd;
#[path = "../../../live/tests/it/database.rs"]
mod database;
mod detections;
mod distill;
mod examples;
mod hosts;
mod https;
mod kills;
mod live;
mod pairs;
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
