//! How much key a block gives, and what led to it.

use crate::qkd::security::{
    BlockStatistics, Bound, Certificate, ClassCounts, EpsilonPart, Epsilons, NoKey, SecurityParameters,
    SourceClass, key_length,
};
use crate::qkd::verify;
use core::fmt;
use libm::log2;

/// What bounds an eavesdropper's knowledge of a raw key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SecrecyClaim {
    /// The bits come from single photons, or from pairs, measured in two bases that were chosen at random, evenly and
    /// anew for each bit, and were sifted to equal bases: [`Bound::SinglePhotonTomamichel`], with the sample as the
    /// check bits. As every bit's basis was as likely to be the other, what the sample says of errors in the bases
    /// that were used holds for those that were not (Tomamichel & Leverrier, Quantum 1, 14 (2017)).
    SinglePhoton,
    /// Whoever gives the raw key vouches that so many bits of min-entropy a bit are left to an eavesdropper who has
    /// heard nothing yet of what the ends say here. All that they say is then taken off.
    MinEntropy(f64),
}

impl SecrecyClaim {
    /// Whether the bound rests on a sample.
    pub const fn needs_sample(self) -> bool {
        matches!(self, Self::SinglePhoton)
    }
}

impl fmt::Display for SecrecyClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SinglePhoton => write!(f, "{}", Bound::SinglePhotonTomamichel),
            Self::MinEntropy(rate) => write!(f, "a min-entropy of {rate} bits a bit, as was claimed"),
        }
    }
}

/// The counts of a block, which both ends know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockCounts {
    /// Bits besides the sample, and how many of them were wrong.
    pub key: ClassCounts,
    /// Bits of the sample, and how many of them were wrong.
    pub sample: ClassCounts,
    /// Bits that reconciliation disclosed.
    pub disclosed: u64,
}

/// What led to the length of a block's key.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// What was counted.
    pub counts: BlockCounts,
    /// Bits of the verification tag.
    pub verification_bits: u32,
    /// Where the claim is a bound: its certificate.
    pub certificate: Option<Certificate>,
    /// The key's length in bits.
    pub key_bits: u64,
    /// What the key may fail by.
    pub epsilons: Epsilons,
}

impl Account {
    /// The account of a block with these counts.
    ///
    /// # Errors
    /// [`NoKey`] if nothing is left.
    pub fn new(
        claim: SecrecyClaim,
        counts: BlockCounts,
        security: &SecurityParameters,
    ) -> Result<Self, NoKey> {
        let bits = counts.key.sifted;
        let verification_bits =
            verify::tag_bits(security.correctness, bits as usize).unwrap_or(verify::MAX_TAG_BITS);
        match claim {
            SecrecyClaim::SinglePhoton => {
                let statistics = BlockStatistics {
                    key: vec![counts.key],
                    check: vec![counts.sample],
                    pulses: bits + counts.sample.sifted,
                };
                let source = [SourceClass::new(1.0, 1.0)];
                let beyond = verification_bits.saturating_sub(security.verification_allowance());
                let leak = counts.disclosed.saturating_add(u64::from(beyond));
                let certificate =
                    key_length(Bound::SinglePhotonTomamichel, &source, &statistics, leak, security)?;
                Ok(Self {
                    counts,
                    verification_bits,
                    // A key is never longer than the bits that it is made from.
                    key_bits: certificate.key_bits.min(bits),
                    epsilons: certificate.epsilons.clone(),
                    certificate: Some(certificate),
                })
            }
            SecrecyClaim::MinEntropy(rate) => {
                let entropy = rate * bits as f64;
                // Leftover hash lemma: the key is 2^-((entropy - length) / 2) / 2 from uniform.
                let hashing = 2.0 * log2(1.0 / (2.0 * security.secrecy));
                let length =
                    entropy - counts.disclosed as f64 - f64::from(verification_bits) - hashing.max(0.0);
                if length.is_nan() || length < 1.0 {
                    return Err(NoKey::Leak { leak: counts.disclosed as f64, secret: entropy });
                }
                let secrecy = vec![EpsilonPart { of: "privacy amplification", value: security.secrecy }];
                Ok(Self {
                    counts,
                    verification_bits,
                    certificate: None,
                    key_bits: (length as u64).min(bits),
                    epsilons: Epsilons { secrecy, correctness: security.correctness, authentication: 0.0 },
                })
            }
        }
    }

    /// Reconciliation's disclosed bits over the Shannon limit; `None` without errors.
    pub fn efficiency(&self) -> Option<f64> {
        let key = self.counts.key;
        let limit = key.sifted as f64 * bellwether_units::binary_entropy(key.error_rate()?);
        (limit > 0.0).then(|| self.counts.disclosed as f64 / limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(key: (u64, u64), sample: (u64, u64), disclosed: u64) -> BlockCounts {
        let class = |(sifted, errors)| ClassCounts { sifted, errors };
        BlockCounts { key: class(key), sample: class(sample), disclosed }
    }

    #[test]
    fn a_claimed_entropy_is_paid_out_less_all_that_was_said() {
        let security = SecurityParameters { secrecy: 1e-10, correctness: 1e-15 };
        let counts = counts((1_000_000, 20_000), (0, 0), 150_000);
        let account = Account::new(SecrecyClaim::MinEntropy(0.5), counts, &security).unwrap();
        // 500,000 - 150,000 - 63 (tag) - 2 log2(1 / 2e-10) = 64.4.
        assert_eq!((account.key_bits, account.verification_bits), (349_872, 63));
        assert!((account.efficiency().unwrap() - 1.0605).abs() < 1e-3);
        let poor = Account::new(SecrecyClaim::MinEntropy(0.15), counts, &security);
        assert!(matches!(poor, Err(NoKey::Leak { .. })));
    }

    #[test]
    fn a_small_sample_gives_less_key_than_a_large_one_of_the_same_rate() {
        let security = SecurityParameters::default();
        let key = |sample| {
            let counts = counts((1_000_000, 20_000), sample, 150_000);
            Account::new(SecrecyClaim::SinglePhoton, counts, &security).unwrap().key_bits
        };
        assert!(key((100_000, 2000)) > key((20_000, 400)) + 10_000);
        let none = counts((1_000_000, 20_000), (0, 0), 150_000);
        assert!(Account::new(SecrecyClaim::SinglePhoton, none, &security).is_err());
    }
}
