//! The runner: a network in virtual time, from its first pulse to its summary.

use crate::summary::Summary;
use crate::trace::TraceRecord;
use bellwether_units::{Duration, Time};

/// How to run, beyond what the network file says.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How long, instead of the file's duration.
    pub duration: Option<Duration>,
    /// The seed, instead of the file's.
    pub seed: Option<u64>,
    /// How many threads may be used; 0 and 1 both mean one. Never changes results.
    pub threads: usize,
}

/// Watches a run and may stop it.
pub trait Observer {
    /// Told after each slice of virtual time; `false` ends the run with what there is.
    fn progress(&mut self, now: Time, end: Time) -> bool;
    /// Given the trace in the order of time, slice by slice.
    fn trace(&mut self, records: &[TraceRecord]);
}

/// An observer that looks away.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn progress(&mut self, _now: Time, _end: Time) -> bool {
        true
    }
    fn trace(&mut self, _records: &[TraceRecord]) {}
}

/// Why a network cannot be run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RunError {
    /// A link's devices do not make a link.
    #[error("link `{link}`: {reason}")]
    Link {
        /// The link.
        link: String,
        /// What is wrong and what would be right.
        reason: String,
    },
}

/// What a run gives.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What it found.
    pub summary: Summary,
}
