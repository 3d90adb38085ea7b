//! Time-slot schedules: when which circuits have the links to themselves.
//!
//! Time is cut into bins. A [`PacketTask`] wants all links of a circuit at once for some bins in every period, so that a
//! *packet* of so many pairs within a window succeeds with some probability (Beauchamp et al. 2025). A [`NetworkSchedule`]
//! says which circuit each link serves in each bin, and repeats; it is made once for all nodes, which then need no words
//! about it. What it cannot hold is refused when it is made: a service level is promised by admission or not at all.

mod edf;

pub use edf::earliest_deadline_first;

use crate::entanglement::CircuitId;
use bellwether_units::poisson_tail_below;
use bellwether_units::{Duration, LinkId, Time};
use std::collections::BTreeMap;

/// A circuit that wants its links for some bins in every period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketTask {
    /// Which.
    pub circuit: CircuitId,
    /// The links that it takes, all at once.
    pub links: Vec<LinkId>,
    /// For how many bins, without a break.
    pub length: u64,
    /// Once in every so many bins.
    pub period: u64,
}

/// A packet of pairs, as an application wants it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Packet {
    /// How many pairs.
    pub pairs: u64,
    /// How long the first may wait for the last at most.
    pub window: Duration,
}

impl Packet {
    /// With which probability the packet is complete at the end of its window, if pairs come after independent exponential
    /// times of this mean, in seconds.
    pub fn success(&self, seconds_per_pair: f64) -> f64 {
        let Some(fewer) = self.pairs.checked_sub(1) else { return 1.0 };
        let mean = self.window.seconds() / seconds_per_pair;
        if mean.is_finite() { 1.0 - poisson_tail_below(mean, fewer) } else { 1.0 }
    }
    /// After how many bins of this length the packet is complete with at least this probability; none if the probability is
    /// 1 or more, or if it takes longer than the window.
    pub fn bins(&self, seconds_per_pair: f64, probability: f64, bin: Duration) -> Option<u64> {
        let most = self.window.picoseconds() / bin.picoseconds().max(1);
        let enough = |bins: u64| {
            let window = bin.saturating_mul(bins);
            Self { window, ..*self }.success(seconds_per_pair) >= probability
        };
        if probability >= 1.0 || !enough(most) {
            return None;
        }
        let (mut low, mut high) = (0, most);
        while low < high {
            let middle = low.midpoint(high);
            if enough(middle) { high = middle } else { low = middle + 1 }
        }
        Some(low)
    }
}

/// A stretch of bins in which a circuit has its links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Which circuit.
    pub circuit: CircuitId,
    /// From which bin of the repetition.
    pub begin: u64,
    /// Up to which bin, exclusively.
    pub end: u64,
}

/// Which circuit each link serves when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkSchedule {
    /// After how many bins it repeats.
    repeat: u64,
    /// By link, in the order of time; no two overlap.
    slots: BTreeMap<LinkId, Vec<Slot>>,
}

impl NetworkSchedule {
    /// After how many bins it repeats.
    pub fn repeat(&self) -> u64 {
        self.repeat
    }
    /// The slots of a link within one repetition, in the order of time.
    pub fn slots(&self, link: LinkId) -> &[Slot] {
        self.slots.get(&link).map_or(&[], Vec::as_slice)
    }

    /// The circuit that a link serves at a time, where bin 0 began at `first` and bins are `bin` long; and when that may change
    /// next. Before `first` it serves none.
    pub fn serves(&self, link: LinkId, clock: &SlotClock, now: Time) -> (Option<CircuitId>, Time) {
        if now < clock.first {
            return (None, clock.first);
        }
        let all = now.since(clock.first).picoseconds() / clock.bin.picoseconds().max(1);
        let (turn, bin) = (all / self.repeat, all % self.repeat);
        let start = |bin: u64| clock.first.saturating_add(clock.bin.saturating_mul(turn * self.repeat + bin));
        let slots = self.slots(link);
        let next = slots.partition_point(|slot| slot.end <= bin);
        match slots.get(next) {
            Some(slot) if slot.begin <= bin => (Some(slot.circuit), start(slot.end)),
            Some(slot) => (None, start(slot.begin)),
            None => (None, start(self.repeat)),
        }
    }

    /// By how many bins the starts of a circuit's slots stray from even steps at most, between two that follow each other; 0 if
    /// they come like a clock, or if it has none.
    pub fn jitter(&self, task: &PacketTask) -> u64 {
        let Some(link) = task.links.first() else { return 0 };
        let of = self.slots(*link).iter().filter(|slot| slot.circuit == task.circuit);
        let begins: Vec<_> = of.map(|slot| slot.begin).collect();
        let again = begins.first().map(|first| first + self.repeat);
        let steps = begins.iter().zip(begins[1.min(begins.len())..].iter().copied().chain(again));
        steps.map(|(from, to)| (to - from).abs_diff(task.period)).max().unwrap_or(0)
    }
}

/// When bins are, by the clock of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotClock {
    /// When bin 0 begins.
    pub first: Time,
    /// How long bins are.
    pub bin: Duration,
}

/// Why tasks have no schedule.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ScheduleRefusal {
    /// A task has no length, no period or no link, or is longer than its period.
    #[error(
        "{circuit} wants {length} bins in every {period} on {links} links: there must be at least one of each, and no more than the period"
    )]
    Senseless {
        /// Which task.
        circuit: CircuitId,
        /// Its length.
        length: u64,
        /// Its period.
        period: u64,
        /// How many links it has.
        links: usize,
    },
    /// The periods have so large a common multiple that the schedule would be too long.
    #[error(
        "the periods repeat together only after more than {limit} slots; periods that divide each other repeat sooner"
    )]
    TooLong {
        /// How many slots there may be.
        limit: u64,
    },
    /// A link is wanted for longer than there is time.
    #[error("{link} is wanted for {share:.4} of the time, which is more than all of it")]
    Overloaded {
        /// Which link.
        link: LinkId,
        /// The share.
        share: f64,
    },
    /// A slot does not fit in its period.
    #[error("{circuit} finds no {length} bins before bin {deadline}; with the others as they are it could have them in every {} bins", best.map_or_else(|| "none of the tried".into(), |best| best.to_string()))]
    Missed {
        /// Which task.
        circuit: CircuitId,
        /// How many bins it wants.
        length: u64,
        /// By when it should have them.
        deadline: u64,
        /// The least multiple of its period at which all tasks fit, if there is one below the repetition of the schedule.
        best: Option<u64>,
    },
}
