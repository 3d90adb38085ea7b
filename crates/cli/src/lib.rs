//! The `bellwether` command: words, files, bars and plots over the library's results.
//!
//! - [`args`]: what can be typed.
//! - `command`: one file a subcommand.
//! - [`text`], [`table`], [`words`]: results on the terminal.
//! - [`report`], [`plot`]: results as one HTML file and as SVG.
//!
//! # Exit codes
//!
//! | code | meaning |
//! |---|---|
//! | 0 | it was done |
//! | 1 | it failed while running: a file could not be written, say |
//! | 2 | the input is bad: the usage, the network file, an override |
//! | 3 | not now: too little key, or too many requests; later it may be done |
//! | 130 | it was interrupted; the results so far are kept and marked as partial |
//!
//! A reader that goes away (`bellwether profiles | head`) ends the command quietly.

pub mod args;
mod command;
mod error;
mod output;
pub mod plot;
mod progress;
pub mod report;
pub mod table;
pub mod text;
pub mod words;

pub use error::Failure;

use clap::Parser;
use std::process::ExitCode;

/// Runs the command on the process's arguments.
pub fn main() -> ExitCode {
    // Clap ends the process by itself: 0 for help and version, 2 for bad usage.
    let args = args::Args::parse();
    match command::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.tell();
            ExitCode::from(failure.exit_code())
        }
    }
}
