//! The event trace: one record for everything that happened in a run, in the order of time.
//!
//! Written as JSON lines (`trace.jsonl`): each record is one [`TraceEvent`], told apart by its field `event`.
//! Reports, plots and tests read the same records. No record holds key material.

use serde::Serialize;

/// One line of the trace.
#[derive(Clone, Debug, Serialize)]
pub struct TraceRecord {
    /// When, in picoseconds since the start.
    pub at_ps: u64,
    /// What.
    #[serde(flatten)]
    pub event: TraceEvent,
}

/// What happened.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum TraceEvent {
    /// The run began.
    RunStarted {
        /// The name of the network.
        network: String,
        /// SHA-256 of file and overrides.
        sha256: String,
        /// The seed.
        seed: u64,
    },
    /// The network file made something happen.
    Scheduled {
        /// The link or node.
        target: String,
        /// In words.
        text: String,
    },
    /// A block gave key at both ends.
    BlockDistilled {
        /// The link.
        link: String,
        /// The block's number.
        block: u64,
        /// When its first window was seen, in picoseconds.
        opened_ps: u64,
        /// Sifted key bits.
        sifted_bits: u64,
        /// Errors among them.
        errors: u64,
        /// Sifted check bits.
        check_bits: u64,
        /// Errors among them.
        check_errors: u64,
        /// Bits disclosed by reconciliation.
        leaked_bits: u64,
        /// Lower bound on the sifted key bits from single photons.
        single_photon_bits: f64,
        /// Upper bound on their phase error rate.
        phase_error: f64,
        /// Secret bits.
        secret_bits: u64,
    },
    /// A block was discarded whole.
    BlockDiscarded {
        /// The link.
        link: String,
        /// The block's number.
        block: u64,
        /// Sifted key bits lost with it.
        sifted_bits: u64,
        /// Why.
        reason: String,
    },
    /// An alarm was raised.
    Alarm {
        /// The link.
        link: String,
        /// Its kind.
        kind: String,
        /// What was seen and what was expected.
        text: String,
    },
    /// A key was delivered at both ends of a demand.
    KeyDelivered {
        /// The demand.
        demand: String,
        /// The key's identifier, in hexadecimal.
        key_id: String,
        /// Its size.
        bits: u64,
        /// The nodes it passed, from end to end.
        route: Vec<String>,
        /// From request to delivery, in picoseconds.
        latency_ps: u64,
    },
    /// A key was refused.
    KeyRefused {
        /// The demand.
        demand: String,
        /// Why.
        reason: String,
    },
    /// A demand's keys took another route than before.
    Rerouted {
        /// The demand.
        demand: String,
        /// The nodes of the new route.
        route: Vec<String>,
    },
    /// The run ended.
    RunEnded {
        /// Whether before its time.
        partial: bool,
    },
}
