//! What the formulas expect of a link: rates without sampling.

use serde::Serialize;

/// The expected performance of one link at one setting.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Expectation {
    /// The value that was swept, as it would stand in the file, if any.
    pub setting: Option<String>,
    /// The fibre's length.
    pub length_km: f64,
    /// The loss between transmitter and receiver.
    pub loss_db: f64,
    /// Clicks per second, after dead time.
    pub click_rate_per_s: f64,
    /// Sifted key bits per second.
    pub sifted_rate_per_s: f64,
    /// Error rate in the key basis.
    pub qber_key: f64,
    /// Error rate in the check basis.
    pub qber_check: f64,
    /// Seconds that a block takes.
    pub block_s: f64,
    /// Secret bits of one block.
    pub secret_bits_per_block: u64,
    /// Secret bits per second.
    pub secret_rate_per_s: f64,
    /// Secret bits per pulse.
    pub secret_bits_per_pulse: f64,
    /// Secret bits per second of an endless block.
    pub asymptotic_rate_per_s: f64,
    /// -log2(1 - eta) bits per pulse (Pirandola et al., Nat. Commun. 8, 15043 (2017), Eq. (19)).
    pub repeaterless_bound_per_pulse: f64,
    /// Why there is no key, if there is none.
    pub no_key: Option<String>,
}
