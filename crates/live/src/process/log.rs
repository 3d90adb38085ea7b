//! The log of a process, on standard error. No key material goes there: what is logged names keys by their IDs.

use std::io;
use tracing::level_filters::LevelFilter;

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// What went wrong for good.
    Error,
    /// Alarms, and what went wrong and is tried again.
    Warn,
    /// What starts, stops and changes.
    #[default]
    Info,
    /// What helps to find a fault.
    Debug,
}

/// Logs from now on. A second call of one process changes nothing.
pub fn start(format: Format, level: Level) {
    let level = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
    };
    let log = tracing_subscriber::fmt().with_writer(io::stderr).with_max_level(level).with_target(false);
    // Whoever logs already goes on to.
    let _ = match format {
        Format::Text => log.try_init().ok(),
        Format::Json => log.json().try_init().ok(),
    };
}
