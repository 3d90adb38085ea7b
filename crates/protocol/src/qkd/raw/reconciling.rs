//! How a block is reconciled: what the ends tell one another of it.

use super::account::Account;
use crate::qkd::reconcile::{self, CorrectingEnd, Family, ReconcileError, ReferenceEnd};
use bellwether_bits::SecretBits;
use bellwether_units::Duration;

/// Error rates travel in millionths.
pub(super) const MILLION: f64 = 1e6;
/// An error rate that was counted is no lower than this to reconciliation: fewer errors than expected cost little, more
/// cost round trips.
const LEAST_RATE: f64 = 1e-4;

/// What is told to the other end of how a block is reconciled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Method {
    pub(super) family: Family,
    /// In millionths, up to half of them.
    pub(super) error_rate: u32,
    pub(super) shuffles: u64,
}

impl Method {
    fn method(self) -> reconcile::Method {
        self.family.method(f64::from(self.error_rate) / MILLION, self.shuffles)
    }

    /// The end that answers.
    pub(super) fn server(self, bits: SecretBits) -> Result<ReferenceEnd, ReconcileError> {
        ReferenceEnd::new(&self.method(), bits)
    }

    /// The end that asks.
    pub(super) fn corrector(self, bits: SecretBits) -> Result<CorrectingEnd, ReconcileError> {
        CorrectingEnd::new(&self.method(), bits)
    }
}

/// The error rate to expect, in millionths, if so many of so many were wrong.
pub(super) fn expected_rate(errors: u64, of: u64) -> u32 {
    let rate = if of > 0 { errors as f64 / of as f64 } else { 0.0 };
    (rate.clamp(LEAST_RATE, 0.5) * MILLION) as u32
}

/// The family that makes most key a second of raw bits that are all there. `without_leak` is the account of a block of
/// which nothing is disclosed, and `in_flight` bits may be under way at once.
pub(super) fn choose(
    error_rate: u32,
    without_leak: &Account,
    round_trip: Duration,
    in_flight: u64,
) -> Family {
    let bits = without_leak.counts.key.sifted.max(1);
    reconcile::choose(&reconcile::Conditions {
        error_rate: f64::from(error_rate) / MILLION,
        secret_share: without_leak.key_bits as f64 / bits as f64,
        block_bits: bits as usize,
        round_trip,
        in_flight,
        raw_bits_a_second: f64::INFINITY,
    })
}
