//! What an end of a link is told of its link and of itself.

use super::fidelity::FidelityTable;
use super::schedule::LinkPolicy;
use crate::entanglement::MemoryId;
use bellwether_units::{Duration, LinkId, Time};

/// How a link is run: the same at both ends, and shared by all links that are alike.
#[derive(Clone, Debug)]
pub struct LinkSettings {
    /// What the link can promise.
    pub table: FidelityTable,
    /// From one attempt to the next.
    pub cycle: Duration,
    /// When cycle 0 was, by the clock of the end.
    pub first_cycle: Time,
    /// How long a message takes from one end to the other at most, if it is not late.
    pub delay: Duration,
    /// How long a choice between requests holds, where the policy chooses by windows.
    pub window: Duration,
    /// How requests share the link.
    pub policy: LinkPolicy,
    /// How long all memories may be in use before the other end is told to wait.
    pub starvation: Duration,
    /// How long no pair may have come before the ends compare which pairs they have heard of.
    pub settle: Duration,
    /// Of how many of 65536 pairs that are kept one by one both ends measure theirs, to learn how good the others are.
    pub test_share: u16,
    /// How many requests the queue takes from each end.
    pub queue_limit: usize,
}

impl LinkSettings {
    /// Settings for a link with this cycle and these promises, over which messages take `delay`: shared by weight in
    /// windows of 10 ms or ten delays; memories may all be in use for 50 delays, and pairs are compared after 20, at
    /// least 10 ms each; no pair is measured for a test.
    pub fn new(table: FidelityTable, cycle: Duration, delay: Duration) -> Self {
        let spans = |n: u64| delay.saturating_mul(n).max(Duration::from_milliseconds(10));
        Self {
            table,
            cycle,
            first_cycle: Time::ZERO,
            delay,
            window: spans(10),
            policy: LinkPolicy::WEIGHTED_FAIR,
            starvation: spans(50),
            settle: spans(20),
            test_share: 0,
            queue_limit: 256,
        }
    }
    /// How long an answer from the other end is waited for.
    pub(super) fn patience(&self) -> Duration {
        self.delay.saturating_mul(3).max(Duration::from_microseconds(1))
    }
}

/// Which end of which link.
#[derive(Clone, Debug)]
pub struct LinkPlace {
    /// The link.
    pub link: LinkId,
    /// Whether this end numbers the requests of both (the master of the distributed queue); exactly one end does.
    pub numbers: bool,
    /// Which life of this end: from 1, and higher after every start, as a node's counter of starts is.
    pub life: u32,
    /// The memories that serve the link, by slot. Photons of equal slots of the two ends meet.
    pub memories: Vec<MemoryId>,
}
