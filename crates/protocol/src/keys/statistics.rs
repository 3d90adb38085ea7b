//! What became of requests and of key.

use super::api::Refusal;
use bellwether_units::Duration;

/// What became of the requests of a demand, or of all requests of a node, at their source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestStatistics {
    /// How many keys were asked for.
    pub requested: u64,
    /// How many were delivered.
    pub delivered: u64,
    /// Bits of the delivered keys.
    pub delivered_bits: u64,
    /// How many were refused, by [`Refusal::index`].
    pub refused: [u64; Refusal::ALL.len()],
    /// How many attempts failed and were repeated.
    pub rerouted: u64,
    /// Sum of the times from request to delivery, in picoseconds.
    pub total_latency: u128,
    /// The longest time from request to delivery.
    pub greatest_latency: Duration,
}

impl RequestStatistics {
    /// How many were refused for any reason.
    pub fn refused_in_all(&self) -> u64 {
        self.refused.iter().sum()
    }
    /// The mean time from request to delivery; zero when nothing was delivered.
    pub fn mean_latency(&self) -> Duration {
        let mean = self.total_latency.checked_div(u128::from(self.delivered)).unwrap_or_default();
        Duration::from_picoseconds(u64::try_from(mean).unwrap_or(u64::MAX))
    }
}

/// Where the key of one pool went, in bits. Always
/// `stored = hashing + taken + received + burned + outgoing + incoming + unconfirmed`, and what was
/// offered is `stored + overflow`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolAccount {
    /// Accepted into the pool.
    pub stored: u64,
    /// Offered beyond the capacity and dropped.
    pub overflow: u64,
    /// Set apart as hash keys for the tags of this link.
    pub hashing: u64,
    /// Taken by this end.
    pub taken: u64,
    /// Taken by the peer, and seen here.
    pub received: u64,
    /// Burned: see [`BurnCause`](super::BurnCause).
    pub burned: u64,
    /// Now at this end's disposal.
    pub outgoing: u64,
    /// Now at the peer's disposal.
    pub incoming: u64,
    /// Now waiting for the peer's confirmation.
    pub unconfirmed: u64,
}

impl PoolAccount {
    /// Whether the books balance.
    pub fn balances(&self) -> bool {
        self.stored
            == self.hashing
                + self.taken
                + self.received
                + self.burned
                + self.outgoing
                + self.incoming
                + self.unconfirmed
    }
}
