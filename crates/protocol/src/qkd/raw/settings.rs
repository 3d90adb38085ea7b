//! What both ends must be given alike, and how they find out that they were not.

use super::account::SecrecyClaim;
use crate::qkd::reconcile::Family;
use crate::qkd::security::SecurityParameters;
use crate::qkd::wire::{Malformed, Reader, Writer};
use core::ops::Range;

/// Shares are counted in millionths.
const MILLION: u64 = 1_000_000;
/// The longest block: what one frame can carry of its seed.
const LONGEST_BLOCK: u64 = 1 << 28;

/// What an end is to do with its raw key. All but `first_bit`, `error_rate`, `family`, `seal_after`,
/// `blocks_in_flight` and `tell_errors` must be equal at both ends, who compare them before anything else.
#[derive(Clone, Debug, PartialEq)]
pub struct RawSettings {
    /// How many bits the raw key has.
    pub bits: u64,
    /// The first that was never used: bits are given to one distillation only. The higher of the two ends' counts.
    pub first_bit: u64,
    /// About how many bits a block has.
    pub block_bits: u64,
    /// Which share of each block is disclosed to count errors, and thrown away, in millionths.
    pub sample_millionths: u32,
    /// What bounds an eavesdropper's knowledge.
    pub claim: SecrecyClaim,
    /// What the keys promise.
    pub security: SecurityParameters,
    /// Whether tags are wanted.
    pub authenticated: bool,
    /// The error rate to expect of the first block; without it, that of the first sample.
    pub error_rate: Option<f64>,
    /// How to reconcile; without it, what suits error rate and round trip.
    pub family: Option<Family>,
    /// How many blocks may be under way; the lower of the two ends' counts.
    pub blocks_in_flight: u32,
    /// After how many finished blocks the reference end seals.
    pub seal_after: u32,
    /// Whether to tell which bits were wrong, as [`RawEvent::Compared`](super::RawEvent::Compared).
    pub tell_errors: bool,
}

/// Why settings cannot be worked with.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RawSettingsError {
    /// A figure is out of its range.
    #[error("{what} is {value}, and must be {range}")]
    OutOfRange {
        /// Which figure.
        what: &'static str,
        /// As given.
        value: String,
        /// What can be.
        range: &'static str,
    },
    /// There is no bit that was not used before.
    #[error("all {0} bits of the raw key were used before")]
    UsedUp(u64),
    /// The ends were given different settings.
    #[error("{what} is {here} here and {there} at the other end: give both the same")]
    Differ {
        /// Which figure.
        what: &'static str,
        /// At this end.
        here: String,
        /// At the other end.
        there: String,
    },
}

impl RawSettings {
    /// Settings with the defaults: blocks of four million bits of which a tenth is the sample, at most 64 under way.
    pub fn new(bits: u64, claim: SecrecyClaim) -> Self {
        Self {
            bits,
            first_bit: 0,
            block_bits: 4_000_000,
            sample_millionths: if claim.needs_sample() { 100_000 } else { 0 },
            claim,
            security: SecurityParameters::default(),
            authenticated: true,
            error_rate: None,
            family: None,
            blocks_in_flight: 64,
            seal_after: 64,
            tell_errors: false,
        }
    }

    /// Checks that these settings can be worked with.
    ///
    /// # Errors
    /// The first that cannot.
    pub fn validate(&self) -> Result<(), RawSettingsError> {
        let wrong = |what, value: String, range| Err(RawSettingsError::OutOfRange { what, value, range });
        if self.bits == 0 || self.bits >= 1 << 60 {
            return wrong("the length of the raw key", self.bits.to_string(), "from 1 to 2^60 bits");
        }
        if !(64..=LONGEST_BLOCK).contains(&self.block_bits) {
            return wrong("the length of a block", self.block_bits.to_string(), "from 64 to 2^28 bits");
        }
        let sample = u64::from(self.sample_millionths);
        let least = u64::from(self.claim.needs_sample());
        if sample < least || sample > MILLION / 2 {
            let share = format!("{}", sample as f64 / MILLION as f64);
            return match least {
                0 => wrong("the share of the sample", share, "from 0 to 0.5"),
                _ => wrong(
                    "the share of the sample",
                    share,
                    "above 0 and at most 0.5, for the bound rests on it",
                ),
            };
        }
        if let SecrecyClaim::MinEntropy(rate) = self.claim
            && !(rate > 0.0 && rate <= 1.0)
        {
            return wrong("the min-entropy rate", rate.to_string(), "above 0 and at most 1 bit a bit");
        }
        for (what, value) in [("secrecy", self.security.secrecy), ("correctness", self.security.correctness)]
        {
            if !(value > 0.0 && value < 1.0) {
                return wrong(what, value.to_string(), "above 0 and below 1");
            }
        }
        if let Some(rate) = self.error_rate
            && !(0.0..0.5).contains(&rate)
        {
            return wrong("the expected error rate", rate.to_string(), "from 0 to below 0.5");
        }
        if self.sample_millionths == 0 && self.error_rate.is_none() {
            return wrong("the expected error rate", "unknown".to_owned(), "given if there is no sample");
        }
        if !(1..=1 << 16).contains(&self.blocks_in_flight) {
            return wrong(
                "the number of blocks under way",
                self.blocks_in_flight.to_string(),
                "from 1 to 65536",
            );
        }
        if !(1..=1 << 16).contains(&self.seal_after) {
            return wrong("the number of blocks a seal", self.seal_after.to_string(), "from 1 to 65536");
        }
        Ok(())
    }

    /// The longest frame that an honest end sends.
    pub fn longest_frame(&self) -> usize {
        // The seed of the Toeplitz matrix is the longest: less than two bits for each bit of a block, which is less
        // than twice as long as asked for. Questions and answers of reconciliation are shorter.
        4096 + (self.block_bits as usize / 8) * 4
    }

    pub(super) fn encode(&self, to: &mut Writer) {
        to.count(self.bits);
        to.count(self.first_bit);
        to.count(self.block_bits);
        to.count(u64::from(self.sample_millionths));
        match self.claim {
            SecrecyClaim::SinglePhoton => to.u8(1),
            SecrecyClaim::MinEntropy(rate) => {
                to.u8(2);
                to.u64(rate.to_bits());
            }
        }
        to.u64(self.security.secrecy.to_bits());
        to.u64(self.security.correctness.to_bits());
        to.u8(u8::from(self.authenticated));
        to.count(u64::from(self.blocks_in_flight));
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (bits, first_bit, block_bits) = (from.count()?, from.count()?, from.count()?);
        let sample_millionths = from.count_up_to(MILLION, "the share of a sample")? as u32;
        let claim = match from.u8()? {
            1 => SecrecyClaim::SinglePhoton,
            2 => SecrecyClaim::MinEntropy(f64::from_bits(from.u64()?)),
            _ => return Err(Malformed::Value("the bound")),
        };
        let secrecy = f64::from_bits(from.u64()?);
        let correctness = f64::from_bits(from.u64()?);
        let authenticated = from.flag()?;
        let blocks_in_flight = from.count_up_to(1 << 16, "the number of blocks under way")? as u32;
        Ok(Self {
            first_bit,
            block_bits,
            sample_millionths,
            security: SecurityParameters { secrecy, correctness },
            authenticated,
            blocks_in_flight,
            ..Self::new(bits, claim)
        })
    }

    /// What the ends do together, if the other was given `there`.
    pub(super) fn agree(&self, there: &Self) -> Result<Plan, RawSettingsError> {
        let differ = |what, here: String, there: String| Err(RawSettingsError::Differ { what, here, there });
        let (a, b) = (self, there);
        if a.bits != b.bits {
            return differ("the length of the raw key in bits", a.bits.to_string(), b.bits.to_string());
        }
        if a.block_bits != b.block_bits {
            return differ("the length of a block", a.block_bits.to_string(), b.block_bits.to_string());
        }
        if a.sample_millionths != b.sample_millionths {
            let share = |s: &Self| format!("{}", f64::from(s.sample_millionths) / MILLION as f64);
            return differ("the share of the sample", share(a), share(b));
        }
        // Bit for bit: a rate that is no number is no agreement either.
        let same = |x: f64, y: f64| x.to_bits() == y.to_bits();
        let claims = match (a.claim, b.claim) {
            (SecrecyClaim::MinEntropy(x), SecrecyClaim::MinEntropy(y)) => same(x, y),
            (x, y) => x == y,
        };
        if !claims {
            return differ("the bound", a.claim.to_string(), b.claim.to_string());
        }
        for (what, x, y) in [
            ("secrecy", a.security.secrecy, b.security.secrecy),
            ("correctness", a.security.correctness, b.security.correctness),
        ] {
            if !same(x, y) {
                return differ(what, x.to_string(), y.to_string());
            }
        }
        if a.authenticated != b.authenticated {
            let word = |yes| if yes { "wanted" } else { "not wanted" };
            return differ("authentication", word(a.authenticated).into(), word(b.authenticated).into());
        }
        let first_bit = a.first_bit.max(b.first_bit);
        if first_bit >= a.bits {
            return Err(RawSettingsError::UsedUp(a.bits));
        }
        let left = a.bits - first_bit;
        Ok(Plan {
            first_bit,
            left,
            blocks: (left / a.block_bits).max(1),
            in_flight: a.blocks_in_flight.min(b.blocks_in_flight).max(1),
        })
    }
}

/// How the raw key is cut into blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) first_bit: u64,
    left: u64,
    pub(super) blocks: u64,
    pub(super) in_flight: u32,
}

impl Plan {
    /// The bits of a block: all blocks are of equal length, but for a bit.
    pub(super) fn range(&self, block: u64) -> Range<u64> {
        let at = |block: u64| {
            self.first_bit + (u128::from(self.left) * u128::from(block) / u128::from(self.blocks)) as u64
        };
        at(block)..at(block + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_part_what_is_left_and_nothing_else() {
        let settings =
            RawSettings { block_bits: 1000, ..RawSettings::new(10_777, SecrecyClaim::SinglePhoton) };
        let used = RawSettings { first_bit: 123, ..settings.clone() };
        let plan = settings.agree(&used).unwrap();
        let mut next = 123;
        for block in 0..plan.blocks {
            let range = plan.range(block);
            assert!(range.start == next && (1000..2000).contains(&(range.end - range.start)));
            next = range.end;
        }
        assert_eq!((next, plan.blocks), (10_777, 10));
        let short = RawSettings::new(70, SecrecyClaim::SinglePhoton);
        assert_eq!(short.agree(&short).unwrap().range(0), 0..70);
    }

    #[test]
    fn whatever_differs_is_named() {
        let here = RawSettings::new(1000, SecrecyClaim::SinglePhoton);
        let others = [
            RawSettings { bits: 1001, ..here.clone() },
            RawSettings { block_bits: 99, ..here.clone() },
            RawSettings { sample_millionths: 5, ..here.clone() },
            RawSettings { claim: SecrecyClaim::MinEntropy(0.5), ..here.clone() },
            RawSettings { security: SecurityParameters { secrecy: 1e-9, ..here.security }, ..here.clone() },
            RawSettings {
                security: SecurityParameters { correctness: 0.5, ..here.security },
                ..here.clone()
            },
            RawSettings { authenticated: false, ..here.clone() },
        ];
        for there in others {
            assert!(matches!(here.agree(&there), Err(RawSettingsError::Differ { .. })), "{there:?}");
        }
        let used = RawSettings { first_bit: 1000, ..here.clone() };
        assert_eq!(here.agree(&used), Err(RawSettingsError::UsedUp(1000)));
    }
}
