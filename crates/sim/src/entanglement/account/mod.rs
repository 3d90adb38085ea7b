//! What is told of a run: of each demand its pairs, their rate, fidelity and latency, and where time and fidelity went.

mod histogram;
mod moments;

pub use histogram::Histogram;
pub use moments::Moments;

use super::hardware::{Source, UsedPair};
use bellwether_quantum::bell::BellIndex;
use bellwether_quantum::density::{Axis, Readout};
use bellwether_units::{Stream, Time};

/// How many bins the claimed fidelities are sorted into, from 0.25 to 1.
pub const CALIBRATION_BINS: usize = 30;

/// What a demand got.
#[derive(Clone, Debug, PartialEq)]
pub struct DemandTally {
    /// How many requests were made.
    pub requests: u64,
    /// How many of them got all their pairs.
    pub completed: u64,
    /// How many of them ran out of time.
    pub timed_out: u64,
    /// How many pairs both ends used.
    pub pairs: u64,
    /// Of how many pairs the ends were told different Bell states. There should be none.
    pub disagreements: u64,
    /// How many pairs were handed out and came to nothing.
    pub revoked: u64,
    /// When the first and the last pair was there.
    pub first: Option<Time>,
    /// When the last pair was there.
    pub last: Option<Time>,
    /// The true fidelity of pairs to the Bell state that was told.
    pub fidelity: Moments,
    /// The fidelity that was claimed of them.
    pub claimed: Moments,
    /// From a request, or the pair before, to a pair, in seconds.
    pub latency: Histogram,
    /// From the oldest link pair of a pair to its delivery, in seconds.
    pub age: Moments,
    /// From the youngest link pair of a pair to its delivery, in seconds: swaps and messages.
    pub settling: Moments,
    /// Falls of ln w by source, summed over pairs.
    pub losses: [f64; Source::ALL.len()],
    /// Pairs that both ends measured in one basis: in X, Y and Z.
    pub measured: [u64; 3],
    /// Of these, how many had the wrong outcomes.
    pub errors: [u64; 3],
    /// Claimed fidelities by bin: how many pairs, the sum of claims, the sum of true fidelities.
    pub calibration: [(u64, f64, f64); CALIBRATION_BINS],
}

impl Default for DemandTally {
    fn default() -> Self {
        Self {
            requests: 0,
            completed: 0,
            timed_out: 0,
            pairs: 0,
            disagreements: 0,
            revoked: 0,
            first: None,
            last: None,
            fidelity: Moments::default(),
            claimed: Moments::default(),
            latency: Histogram::default(),
            age: Moments::default(),
            settling: Moments::default(),
            losses: [0.0; Source::ALL.len()],
            measured: [0; 3],
            errors: [0; 3],
            calibration: [(0, 0.0, 0.0); CALIBRATION_BINS],
        }
    }
}

impl DemandTally {
    /// Pairs a second between the first and the last, if there are two.
    pub fn rate(&self) -> Option<f64> {
        let span = self.last?.since(self.first?);
        (self.pairs > 1 && !span.is_zero()).then(|| (self.pairs - 1) as f64 / span.seconds())
    }
    /// The fidelity that measured pairs show, F = 1 - (eX + eY + eZ)/2, and its standard error.
    pub fn measured_fidelity(&self) -> Option<(f64, f64)> {
        let estimate = bellwether_protocol::entanglement::link::FidelityEstimate {
            pairs: self.measured,
            errors: self.errors,
        };
        estimate.fidelity()
    }
    /// What share of the lost fidelity (as ln w) each source took.
    pub fn shares(&self) -> [f64; Source::ALL.len()] {
        let total: f64 = self.losses.iter().sum();
        self.losses.map(|loss| if total > 0.0 { loss / total } else { 0.0 })
    }

    /// Both ends have used a pair; `since` is when it was asked for, or the one before came.
    pub(crate) fn note(&mut self, pair: &UsedPair, since: Time, readouts: [Readout; 2], fate: &mut Stream) {
        let [first, second] = pair.claims;
        let at = first.at.max(second.at);
        self.pairs += 1;
        self.first = Some(self.first.map_or(at, |old| old.min(at)));
        self.last = Some(self.last.map_or(at, |old| old.max(at)));
        self.latency.add(at.since(since));
        self.age.add(at.since(pair.made[0]).seconds());
        self.settling.add(at.since(pair.made[1]).seconds());
        if first.bell != second.bell {
            self.disagreements += 1;
        }
        let claimed = 0.5 * (first.fidelity + second.fidelity);
        let fidelity = pair.state.fidelity(first.bell);
        self.fidelity.add(fidelity);
        self.claimed.add(claimed);
        let place = ((claimed - 0.25) / 0.75 * CALIBRATION_BINS as f64) as usize;
        let bin = &mut self.calibration[place.min(CALIBRATION_BINS - 1)];
        *bin = (bin.0 + 1, bin.1 + claimed, bin.2 + fidelity);
        for (sum, source) in self.losses.iter_mut().zip(Source::ALL) {
            *sum += pair.budget.loss(source);
        }
        if let [Some(a), Some(b)] = pair.claims.map(|claim| claim.axis) {
            let draw = fate.uniform();
            if a == b
                && let Some(basis) = [Axis::X, Axis::Y, Axis::Z].iter().position(|axis| *axis == a)
            {
                let [one, other] = pair.state.clone().measure([a, b], readouts, draw);
                self.measured[basis] += 1;
                self.errors[basis] += u64::from((one != other) != differs(basis, first.bell));
            }
        }
    }
}

/// Whether the outcomes of a Bell state differ in X, Y or Z.
fn differs(basis: usize, bell: BellIndex) -> bool {
    bellwether_protocol::entanglement::link::TestBasis::ALL[basis].differs(bell)
}

/// What a link did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkTally {
    /// How many pairs it made.
    pub pairs: u64,
    /// How many attempts that took.
    pub attempts: u64,
}

/// How much a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// What machines of nodes were told: messages, heralds, outcomes, times that had come.
    pub inputs: u64,
    /// Messages between nodes, lost ones too.
    pub messages: u64,
    /// Swaps.
    pub swaps: u64,
    /// Events of the kernel.
    pub events: u64,
    /// Until when it ran.
    pub until: Time,
}
