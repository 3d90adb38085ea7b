//! What a run found, as the record that `summary.json` holds.
//!
//! The record is versioned ([`SCHEMA`]) and holds nothing that depends on the machine, the wall clock or the
//! number of threads: equal files and seeds give equal bytes. Field names carry their units, since JSON has
//! no types for them.

use crate::entanglement::summary::EntanglementSummary;
use serde::Serialize;

/// The version of the record; it changes when a field changes its meaning or goes.
pub const SCHEMA: &str = "bellwether-summary/2";

/// All that a run found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// [`SCHEMA`].
    pub schema: String,
    /// Which run this was.
    pub run: RunIdentity,
    /// The nodes, in the order of the network file.
    pub nodes: Vec<NodeSummary>,
    /// The links, in the order of the network file.
    pub links: Vec<LinkSummary>,
    /// The demands, in the order of the network file.
    pub demands: Vec<DemandSummary>,
    /// The alarms, in the order of their times.
    pub alarms: Vec<AlarmSummary>,
    /// What the network file made happen, in the order of time.
    pub events: Vec<EventSummary>,
    /// Sums over the network.
    pub totals: Totals,
    /// Entangled pairs, where the network has links that make them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entanglement: Option<EntanglementSummary>,
}

/// Which run a summary is of: with these a run can be done again, bit for bit.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RunIdentity {
    /// The version of Bellwether.
    pub version: String,
    /// The name of the network.
    pub network: String,
    /// The network file as it was named.
    pub file: String,
    /// SHA-256 of the file and of the overrides.
    pub sha256: String,
    /// The overrides given with `--set` and the like, in order.
    pub overrides: Vec<String>,
    /// The seed of every random stream.
    pub seed: u64,
    /// How much network time was asked for.
    pub duration_s: f64,
    /// How much network time was simulated.
    pub simulated_s: f64,
    /// Whether the run was stopped before its end.
    pub partial: bool,
    /// What of the network is emulated and under which assumptions keys are secret.
    pub assumptions: Vec<String>,
}

/// One node.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NodeSummary {
    /// Its name.
    pub name: String,
    /// Its role, as in the network file.
    pub role: String,
    /// Degrees north, where the file gives a position.
    pub latitude_deg: Option<f64>,
    /// Degrees east, where the file gives a position.
    pub longitude_deg: Option<f64>,
}

/// One link and its key.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LinkSummary {
    /// Its name.
    pub name: String,
    /// The node with the transmitter.
    pub transmitter: String,
    /// The node with the receiver.
    pub receiver: String,
    /// `bits` or `blocks`.
    pub detail: String,
    /// The fibre's length.
    pub length_km: f64,
    /// The loss between transmitter and receiver at the start, without the receiver's own.
    pub loss_db: f64,
    /// Pulses sent.
    pub pulses: u64,
    /// Clicks registered.
    pub clicks: u64,
    /// Sifted key bits.
    pub sifted_bits: u64,
    /// Sifted key bits per second of simulated time.
    pub sifted_rate_per_s: f64,
    /// Error rate in the key basis, of the blocks that were closed; absent without any.
    pub qber_key: Option<f64>,
    /// Error rate in the check basis.
    pub qber_check: Option<f64>,
    /// Secret bits that both ends were handed alike, without what was set aside for authentication.
    pub secret_bits: u64,
    /// Secret bits per second of simulated time.
    pub secret_rate_per_s: f64,
    /// Secret bits that were split off new key to refill the stock of one-time pads.
    pub set_aside_bits: u64,
    /// The gross rate: `secret_bits` and `set_aside_bits` per second of simulated time.
    pub gross_secret_rate_per_s: f64,
    /// Secret bits per pulse sent.
    pub secret_bits_per_pulse: f64,
    /// The most that any protocol without a repeater could give per pulse over this loss, -log2(1 - eta)
    /// (Pirandola et al., Nat. Commun. 8, 15043 (2017), Eq. (19)), eta without the receiver's own loss.
    pub repeaterless_bound_per_pulse: f64,
    /// Bits in the pool at the end.
    pub pool_bits: u64,
    /// Blocks that gave key.
    pub blocks: u64,
    /// Blocks that were discarded whole, by reason.
    pub discarded: Vec<Count>,
    /// Bits disclosed by reconciliation, as counted.
    pub leaked_bits: u64,
    /// leak / (n h(QBER)) over the blocks that were closed.
    pub reconciliation_efficiency: Option<f64>,
    /// Mean round trips of reconciliation for a block (detail `bits` only).
    pub round_trips_per_block: Option<f64>,
    /// Secret bits used up by authentication.
    pub authentication_bits: u64,
    /// The sum over blocks of the probability that the key is not what it should be.
    pub epsilon_total: f64,
    /// What the formulas expect of this link when nothing happens to it.
    pub expected: Option<ExpectedSummary>,
    /// Published figures, where the network file states them.
    pub published: Option<PublishedSummary>,
    /// A remark of the network file on what stands in for what.
    pub note: Option<String>,
    /// What the error rate of the key basis comes from; the rates add up to the expected QBER.
    pub error_budget: Vec<Contribution>,
    /// Where the clicks went, in bits, from clicks to secret key.
    pub key_budget: Vec<Contribution>,
    /// The link over time.
    pub series: Series,
}

/// A number of somethings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Of what.
    pub what: String,
    /// How many.
    pub count: u64,
}

/// A part of a budget.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Contribution {
    /// The cause: `misalignment`, `dark counts`, `sifting`, ...
    pub cause: String,
    /// How much of the whole, in the budget's unit (an error rate, or bits).
    pub amount: f64,
}

/// What the formulas expect.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ExpectedSummary {
    /// Sifted key bits per second.
    pub sifted_rate_per_s: f64,
    /// Error rate in the key basis.
    pub qber_key: f64,
    /// Error rate in the check basis.
    pub qber_check: f64,
    /// Secret bits per second with the link's finite block, without authentication's share.
    pub secret_rate_per_s: f64,
    /// The same with authentication's share.
    pub gross_secret_rate_per_s: f64,
    /// Seconds that a block takes.
    pub block_s: f64,
}

/// What was published of a link.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PublishedSummary {
    /// Secret bits per second.
    pub secret_rate_per_s: Option<f64>,
    /// Error rate.
    pub qber: Option<f64>,
    /// Where.
    pub source: String,
    /// `published`, `from-memory` or `reconstructed`.
    pub evidence: String,
    /// The parameter that was fitted for this link and why, if any.
    pub fitted: Option<String>,
}

/// A link over time, in equal bins from the start of the run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Series {
    /// The width of a bin.
    pub bin_s: f64,
    /// Secret bits made in each bin.
    pub secret_bits: Vec<u64>,
    /// Sifted key bits of the blocks closed in each bin.
    pub sifted_bits: Vec<u64>,
    /// Errors among them.
    pub errors: Vec<u64>,
    /// Bits in the pool at the end of each bin.
    pub pool_bits: Vec<u64>,
}

/// One demand and how it was served.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DemandSummary {
    /// Its name.
    pub name: String,
    /// The node that asks.
    pub from: String,
    /// The node it wants keys with.
    pub to: String,
    /// The size of one key.
    pub key_bits: u64,
    /// Keys asked for.
    pub requested: u64,
    /// Keys delivered at both ends.
    pub delivered: u64,
    /// Keys refused, by reason.
    pub refused: Vec<Count>,
    /// Keys still under way at the end.
    pub pending: u64,
    /// Mean time from request to delivery.
    pub mean_latency_s: Option<f64>,
    /// The longest time from request to delivery.
    pub max_latency_s: Option<f64>,
    /// The routes that keys took (names of nodes joined by `-`), by number of keys.
    pub routes: Vec<Count>,
}

/// One alarm.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AlarmSummary {
    /// When it was first raised.
    pub at_s: f64,
    /// When it was last raised: alarms of a kind that follow each other closely are one line.
    pub last_s: f64,
    /// How often.
    pub count: u64,
    /// On which link.
    pub link: String,
    /// Which kind.
    pub kind: String,
    /// In words: what was seen and what was expected.
    pub text: String,
}

/// Something that the network file made happen.
#[derive(Clone, Debug, Default, Serialize)]
pub struct EventSummary {
    /// When.
    pub at_s: f64,
    /// Until when, if it has an end.
    pub until_s: Option<f64>,
    /// To which link or node.
    pub target: String,
    /// What, as the event's `kind` in the network file: `cut`, `attack`, ...
    pub kind: String,
    /// What, in words.
    pub text: String,
}

/// Sums over the network.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Totals {
    /// Pulses sent.
    pub pulses: u64,
    /// Clicks registered.
    pub clicks: u64,
    /// Sifted key bits.
    pub sifted_bits: u64,
    /// Secret bits.
    pub secret_bits: u64,
    /// Keys asked for.
    pub keys_requested: u64,
    /// Keys delivered.
    pub keys_delivered: u64,
    /// Keys refused.
    pub keys_refused: u64,
    /// Keys of which the two ends were handed different bits: always zero, and counted to show it.
    pub keys_mismatched: u64,
    /// Alarms raised.
    pub alarms: u64,
}

/// A mean over independent runs and its 95 % confidence interval (Student's t).
#[derive(Clone, Debug, Default, Serialize)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// Means over independent runs: what `--runs N` adds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Replications {
    /// [`SCHEMA`].
    pub schema: String,
    /// The first run's identity; the runs have the seeds `seed`, `seed + 1`, ...
    pub run: RunIdentity,
    /// How many runs.
    pub runs: u64,
    /// One a link, in the order of the network file.
    pub links: Vec<LinkReplication>,
    /// One a demand, in the order of the network file.
    pub demands: Vec<DemandReplication>,
    /// One a demand for entangled pairs, in the order of the network file; left out without any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pair_demands: Vec<PairReplication>,
}

/// A demand for entangled pairs over independent runs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PairReplication {
    /// Its name.
    pub name: String,
    /// Pairs that both ends used.
    pub pairs: Interval,
    /// Pairs a second; absent if no run had two pairs.
    pub rate_per_s: Option<Interval>,
    /// The mean true fidelity of a run's pairs; absent if no run had one.
    pub fidelity: Option<Interval>,
    /// Requests that ran out of time.
    pub timed_out: Interval,
}

/// A link over independent runs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LinkReplication {
    /// Its name.
    pub name: String,
    /// Sifted key bits per second.
    pub sifted_rate_per_s: Interval,
    /// Error rate in the key basis; absent if no run closed a block.
    pub qber_key: Option<Interval>,
    /// Secret bits per second.
    pub secret_rate_per_s: Interval,
    /// Alarms in a run.
    pub alarms: Interval,
}

/// A demand over independent runs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DemandReplication {
    /// Its name.
    pub name: String,
    /// Keys delivered.
    pub delivered: Interval,
    /// Keys refused.
    pub refused: Interval,
}
