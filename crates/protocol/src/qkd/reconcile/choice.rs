//! Which family of reconciliation makes the most key.

use super::cascade::{CascadeVariant, efficiency_estimate};
use super::grouped::{Effort, GroupedSettings, grouped_estimate};
use super::ldpc::LdpcSettings;
use super::one_way::binary_entropy;
use super::{CascadeSettings, Method};
use bellwether_units::Duration;

/// A way to reconcile, with the settings that suit it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Cascade with published block lengths.
    Cascade(CascadeVariant),
    /// Cascade in step, grouped by suspicion.
    Grouped(Effort),
    /// A low-density parity-check code: few round trips.
    Ldpc,
}

impl Family {
    /// All families, in the order of their codes.
    pub const ALL: [Self; 7] = [
        Self::Cascade(CascadeVariant::Original),
        Self::Cascade(CascadeVariant::Yan),
        Self::Cascade(CascadeVariant::Option7),
        Self::Cascade(CascadeVariant::Option8),
        Self::Grouped(Effort::Quick),
        Self::Grouped(Effort::Thorough),
        Self::Ldpc,
    ];

    /// The code of the family in messages, from 1.
    pub fn code(self) -> u8 {
        Self::ALL.iter().position(|&other| other == self).map_or(0, |place| place as u8 + 1)
    }

    /// The family of a code.
    pub fn of_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cascade(CascadeVariant::Original) => "cascade-original",
            Self::Cascade(CascadeVariant::Yan) => "cascade-yan",
            Self::Cascade(CascadeVariant::Option7) => "cascade-option-7",
            Self::Cascade(CascadeVariant::Option8) => "cascade-option-8",
            Self::Grouped(Effort::Quick) => "grouped-quick",
            Self::Grouped(Effort::Thorough) => "grouped-thorough",
            Self::Ldpc => "ldpc",
        }
    }

    /// What both ends agree on for one block, at an expected error rate from 0 to 0.5; `seed` is public and names what is
    /// shuffled.
    pub fn method(self, error_rate: f64, seed: u64) -> Method {
        match self {
            Self::Cascade(variant) => Method::Cascade(CascadeSettings::new(variant, error_rate, seed)),
            Self::Grouped(effort) => {
                Method::Grouped(GroupedSettings { effort, ..GroupedSettings::new(error_rate, seed) })
            }
            Self::Ldpc => Method::Ldpc(LdpcSettings::new(error_rate, seed)),
        }
    }

    /// What a block is expected to take.
    pub fn expected(self, conditions: &Conditions) -> Expected {
        let rate = conditions.error_rate.clamp(1e-6, 0.5);
        let frame = |length: usize| length.min(conditions.block_bits.max(1));
        let (efficiency, round_trips, busy) = match self {
            Self::Cascade(variant) => (
                efficiency_estimate(variant, frame(1 << 16), rate).mean,
                trips_of_cascade(variant, rate),
                0.7 + 200.0 * rate,
            ),
            Self::Grouped(effort) => {
                let estimate = grouped_estimate(effort, frame(1 << 18), rate);
                let busy = match effort {
                    Effort::Quick => 0.6 + 130.0 * rate,
                    Effort::Thorough => 0.9 + 250.0 * rate,
                };
                (estimate.efficiency, estimate.round_trips, busy)
            }
            Self::Ldpc => expected_of_ldpc(frame(1 << 20), rate),
        };
        let waiting = round_trips * conditions.round_trip.seconds();
        let computing = 1e9 / busy;
        let raw_bits_a_second =
            if waiting > 0.0 { (conditions.in_flight as f64 / waiting).min(computing) } else { computing };
        let secret = conditions.secret_share - efficiency * binary_entropy(rate);
        let raw_bits_a_second = raw_bits_a_second.min(conditions.raw_bits_a_second);
        Expected {
            efficiency,
            round_trips,
            raw_bits_a_second,
            key_bits_a_second: secret.max(0.0) * raw_bits_a_second,
        }
    }
}

/// Under what conditions blocks are reconciled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conditions {
    /// The error rate of raw key, from 0 to 0.5.
    pub error_rate: f64,
    /// What an eavesdropper does not know of a raw bit before reconciliation, finite-size penalty included: the key length
    /// without any leak over the block length.
    pub secret_share: f64,
    /// Raw bits in a block.
    pub block_bits: usize,
    /// How long an answer takes.
    pub round_trip: Duration,
    /// How many raw bits may be under way at once, in all blocks together.
    pub in_flight: u64,
    /// How many raw bits arrive a second; infinite if they are all there.
    pub raw_bits_a_second: f64,
}

/// What a family is expected to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    /// Disclosed bits over the Shannon limit `n h(Q)`.
    pub efficiency: f64,
    /// Dependent round trips of a block.
    pub round_trips: f64,
    /// Raw bits a second: as many as arrive, as the round trips let through or as one core gets through, whichever is least.
    /// (A core is one of the machine on which this was measured; see the book's page on speed.)
    pub raw_bits_a_second: f64,
    /// Key bits a second.
    pub key_bits_a_second: f64,
}

/// The family that makes the most key a second; of those that make as much, the one that gets through more raw bits.
///
/// ```
/// use bellwether_protocol::qkd::reconcile::{Conditions, Family, choose, grouped::Effort};
/// use bellwether_units::Duration;
///
/// let near = Conditions {
///     error_rate: 0.02,
///     secret_share: 0.6,
///     block_bits: 1_000_000,
///     round_trip: Duration::from_microseconds(100),
///     in_flight: 64_000_000,
///     raw_bits_a_second: 10e6,
/// };
/// assert_eq!(choose(&near), Family::Grouped(Effort::Thorough));
/// ```
pub fn choose(conditions: &Conditions) -> Family {
    let order = |family: &Family| {
        let expected = family.expected(conditions);
        (expected.key_bits_a_second, expected.raw_bits_a_second)
    };
    let best = Family::ALL.into_iter().max_by(|a, b| {
        let (a, b) = (order(a), order(b));
        a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    best.unwrap_or(Family::Grouped(Effort::Quick))
}

/// Bits in the shortest frame for which codes are chosen.
const SHORTEST_CODE: usize = 1 << 17;

/// Efficiency, round trips and nanoseconds a bit of codes of so many bits at this error rate, about, as
/// `cargo bench -p bellwether-protocol --bench ldpc` measures them: shorter frames need more.
fn expected_of_ldpc(frame: usize, rate: f64) -> (f64, f64, f64) {
    if rate > 0.12 || frame < SHORTEST_CODE {
        // No code has as many checks, or some frames would not be decoded whatever they are told.
        return (f64::INFINITY, 1.0, 1e6);
    }
    let shorter = libm::log2((1u64 << 20) as f64 / frame.clamp(1 << 12, 1 << 20) as f64);
    let longest = match rate {
        rate if rate < 0.0075 => 1.2,
        rate if rate < 0.015 => 1.16,
        _ => 1.11,
    };
    (longest + 0.0375 * shorter, if shorter < 1.0 { 1.1 } else { 3.0 }, 10.0)
}

/// Dependent round trips of a block of 10^6 bits at error rates of 1, 2 and 5 %, as `examples/round_trips.rs` measures them.
fn trips_of_cascade(variant: CascadeVariant, rate: f64) -> f64 {
    let measured = match variant {
        CascadeVariant::Original => [88.0, 82.0, 73.0],
        CascadeVariant::Yan => [175.0, 300.0, 298.0],
        CascadeVariant::Option7 => [196.0, 298.0, 482.0],
        CascadeVariant::Option8 => [207.0, 256.0, 285.0],
    };
    match rate {
        rate if rate < 0.014 => measured[0],
        rate if rate < 0.032 => measured[1],
        _ => measured[2],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(milliseconds: u64, in_flight: u64, arriving: f64) -> Conditions {
        Conditions {
            error_rate: 0.02,
            secret_share: 0.6,
            block_bits: 1_000_000,
            round_trip: Duration::from_milliseconds(milliseconds),
            in_flight,
            raw_bits_a_second: arriving,
        }
    }

    #[test]
    fn what_arrives_slowly_is_reconciled_thoroughly_and_what_is_there_quickly() {
        assert_eq!(choose(&conditions(0, 1_000_000, 1e6)), Family::Grouped(Effort::Thorough));
        assert_eq!(choose(&conditions(0, 1_000_000, f64::INFINITY)), Family::Grouped(Effort::Quick));
    }

    #[test]
    fn families_that_wait_less_are_chosen_where_waiting_costs() {
        let expected = |family: Family| family.expected(&conditions(100, 16_000_000, f64::INFINITY));
        let chosen = choose(&conditions(100, 16_000_000, f64::INFINITY));
        for family in Family::ALL {
            assert!(expected(family).key_bits_a_second <= expected(chosen).key_bits_a_second, "{family:?}");
        }
        assert!(expected(chosen).round_trips < 150.0, "{chosen:?}");
    }

    #[test]
    fn codes_are_those_of_their_families() {
        for family in Family::ALL {
            assert_eq!(Family::of_code(family.code()), Some(family));
        }
        assert_eq!((Family::of_code(0), Family::of_code(200)), (None, None));
    }
}
