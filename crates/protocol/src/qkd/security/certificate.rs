//! What is promised (epsilons), what was found (the certificate of a block), or why there is no key.

use super::{Bound, ExpectedStatistics, SourceClass};
use crate::hardware::Basis;
use core::fmt;

/// How far a key may fall short of an ideal one, in the composable sense: the key can be told from an ideal
/// one with an advantage of at most `secrecy + correctness` (Renner 2005; Portmann & Renner, Rev. Mod. Phys.
/// 94, 025008 (2022)).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SecurityParameters {
    /// How far the key may be from one that is uniform and unknown to the eavesdropper (trace distance).
    pub secrecy: f64,
    /// The probability with which the ends may hold different keys unknowingly.
    pub correctness: f64,
}

impl Default for SecurityParameters {
    /// Secrecy 1e-10 and correctness 1e-15 a block.
    fn default() -> Self {
        Self { secrecy: 1e-10, correctness: 1e-15 }
    }
}

impl SecurityParameters {
    /// The bits by which every key is shortened for the verification tag, `log2(2 / correctness)`.
    pub fn verification_bits(&self) -> f64 {
        libm::log2(2.0 / self.correctness)
    }
    /// The longest verification tag that [`verification_bits`](Self::verification_bits) pays for, in whole
    /// bits. A longer tag has its further bits counted as leak.
    pub fn verification_allowance(&self) -> u32 {
        libm::floor(self.verification_bits()) as u32
    }
    pub(super) fn validate(&self) -> Result<(), NoKey> {
        let valid = |p: f64| p > 0.0 && p < 1.0;
        if valid(self.secrecy) && valid(self.correctness) {
            Ok(())
        } else {
            Err(NoKey::ImpossibleParameters { secrecy: self.secrecy, correctness: self.correctness })
        }
    }
}

/// One part of a block's secrecy parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpsilonPart {
    /// What may fail.
    pub of: &'static str,
    /// With which probability (or by which distance).
    pub value: f64,
}

/// The failure probabilities of one block, itemised. They add.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Epsilons {
    /// The parts of the secrecy parameter, as the proof divides it.
    pub secrecy: Vec<EpsilonPart>,
    /// The ends hold different keys unknowingly.
    pub correctness: f64,
    /// A forged message was accepted. Set by whoever authenticates: [`key_length`](super::key_length) leaves 0.
    pub authentication: f64,
}

impl Epsilons {
    /// The sum of the secrecy parts.
    pub fn secrecy_total(&self) -> f64 {
        self.secrecy.iter().map(|part| part.value).sum()
    }
    /// Secrecy, correctness and authentication together.
    pub fn total(&self) -> f64 {
        self.secrecy_total() + self.correctness + self.authentication
    }
}

/// The failure probabilities of many blocks: by composability they add linearly.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EpsilonLedger {
    /// Blocks entered.
    pub blocks: u64,
    /// Sum of the secrecy parameters.
    pub secrecy: f64,
    /// Sum of the correctness parameters.
    pub correctness: f64,
    /// Sum of the authentication failures.
    pub authentication: f64,
}

impl EpsilonLedger {
    /// Enters a block.
    pub fn enter(&mut self, block: &Epsilons) {
        self.blocks = self.blocks.saturating_add(1);
        self.secrecy += block.secrecy_total();
        self.correctness += block.correctness;
        self.authentication += block.authentication;
    }
    /// How far all keys together may be from ideal ones.
    pub fn total(&self) -> f64 {
        self.secrecy + self.correctness + self.authentication
    }
}

/// A number of bits by which the key is shortened, and for what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Penalty {
    /// What it pays for.
    pub of: &'static str,
    /// Bits.
    pub bits: f64,
}

/// Everything that led to the length of a block's key:
/// `vacuum + single_photons (1 - h(phase_error)) - leak - penalties`, rounded down.
#[derive(Clone, Debug, PartialEq)]
pub struct Certificate {
    /// The bound that was used.
    pub bound: Bound,
    /// The source as the proof takes it.
    pub source: Vec<SourceClass>,
    /// The counts of the block.
    pub statistics: ExpectedStatistics,
    /// Lower bound on the sifted key bits that came from empty pulses.
    pub vacuum: f64,
    /// Lower bound on the sifted key bits that came from single photons.
    pub single_photons: f64,
    /// Lower bound on the check-basis bits that came from single photons.
    pub check_single_photons: f64,
    /// Upper bound on the errors among those.
    pub check_single_photon_errors: f64,
    /// Upper bound on the phase error rate of the single-photon key bits, at most 1/2.
    pub phase_error: f64,
    /// Bits disclosed by reconciliation, failed attempts included.
    pub leak: f64,
    /// Bits for verification, correctness and secrecy.
    pub penalties: Vec<Penalty>,
    /// The key length before rounding down.
    pub length: f64,
    /// The key length in bits.
    pub key_bits: u64,
    /// What the key may fail by.
    pub epsilons: Epsilons,
}

/// Why a block gives no key. The figures are those seen.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NoKey {
    /// The error rates alone leave nothing, however long the block.
    #[error(
        "the error rate is too high: {} in the key basis, {:.2} % in the check basis, phase error up to {:.2} %",
        key.map_or_else(|| "unknown".to_owned(), |key| format!("{:.2} %", key * 100.0)),
        check * 100.0, phase_error * 100.0
    )]
    ErrorRate {
        /// Error rate of the key basis; `None` before reconciliation, when it was taken to be that of the check
        /// basis.
        key: Option<f64>,
        /// Error rate of the check basis.
        check: f64,
        /// Upper bound on the phase error rate.
        phase_error: f64,
    },
    /// The decoy statistics allow that no detection came from a single photon, as after photon-number splitting.
    #[error(
        "the decoy statistics leave no single photons: {sifted:.0} sifted bits in the {} basis, shares by intensity {}",
        basis_name(*basis), shares(seen)
    )]
    DecoyStatistics {
        /// The basis whose bound is 0.
        basis: Basis,
        /// Sifted bits of that basis.
        sifted: f64,
        /// Each intensity's share of them.
        seen: Vec<f64>,
    },
    /// More was disclosed than an eavesdropper does not know, however long the block.
    #[error("{leak:.0} bits were disclosed of the {secret:.0} that an eavesdropper could not know")]
    Leak {
        /// Bits disclosed.
        leak: f64,
        /// Bits unknown to the eavesdropper before disclosure and penalties.
        secret: f64,
    },
    /// A longer block with the same rates would give key; in this one the statistical margins take it all.
    #[error(
        "the block is too small and leaves no key: with {key:.0} sifted bits in the key basis and {check:.0} in \
         the check basis it is {:.0} bits short of the first bit of key",
        libm::ceil(1.0 - length)
    )]
    BlockTooSmall {
        /// Sifted bits of the key basis.
        key: f64,
        /// Sifted bits of the check basis.
        check: f64,
        /// The length that came out, at most 0 or below one bit.
        length: f64,
    },
    /// A basis has no sifted bits at all.
    #[error("there are no sifted bits in the {} basis", basis_name(*basis))]
    Empty {
        /// The basis.
        basis: Basis,
    },
    /// The counts contradict themselves or the source.
    #[error("impossible counts in the {} basis: {why}", basis_name(*basis))]
    ImpossibleCounts {
        /// The basis.
        basis: Basis,
        /// What is impossible.
        why: String,
    },
    /// The source does not meet the conditions of the proof.
    #[error("the source does not suit {bound}: {why}")]
    UnsuitableSource {
        /// The bound asked for.
        bound: Bound,
        /// The condition that does not hold.
        why: String,
    },
    /// Secrecy or correctness is not a probability between 0 and 1.
    #[error("secrecy {secrecy} and correctness {correctness} must both be above 0 and below 1")]
    ImpossibleParameters {
        /// As given.
        secrecy: f64,
        /// As given.
        correctness: f64,
    },
}

/// `"key"` or `"check"`.
pub(crate) fn basis_name(basis: Basis) -> &'static str {
    match basis {
        Basis::Key => "key",
        Basis::Check => "check",
    }
}

fn shares(seen: &[f64]) -> String {
    seen.iter().map(|s| format!("{:.2} %", s * 100.0)).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} bits of key by {}", self.key_bits, self.bound)?;
        for (basis, list) in [(Basis::Key, &self.statistics.key), (Basis::Check, &self.statistics.check)] {
            for (class, counts) in self.source.iter().zip(list) {
                writeln!(
                    f,
                    "  {:<5} basis, {:.4} photons: {:>12.0} sifted, {:>10.0} errors",
                    basis_name(basis),
                    class.mean_photons,
                    counts.sifted,
                    counts.errors
                )?;
            }
        }
        writeln!(f, "  key bits from empty pulses      at least {:>12.0}", self.vacuum)?;
        writeln!(f, "  key bits from single photons    at least {:>12.0}", self.single_photons)?;
        writeln!(f, "  check bits from single photons  at least {:>12.0}", self.check_single_photons)?;
        writeln!(f, "  errors among them               at most  {:>12.0}", self.check_single_photon_errors)?;
        writeln!(f, "  phase error rate                at most  {:>11.3} %", self.phase_error * 100.0)?;
        writeln!(f, "  disclosed by reconciliation     {:>12.0} bits", self.leak)?;
        for penalty in &self.penalties {
            writeln!(f, "  {:<31} {:>12.1} bits", penalty.of, penalty.bits)?;
        }
        for part in &self.epsilons.secrecy {
            writeln!(f, "  secrecy, {:<41} {:.3e}", part.of, part.value)?;
        }
        writeln!(f, "  correctness {:<38} {:.3e}", "", self.epsilons.correctness)?;
        writeln!(f, "  authentication {:<35} {:.3e}", "", self.epsilons.authentication)?;
        write!(f, "  total {:<44} {:.3e}", "", self.epsilons.total())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epsilons_add_over_parts_and_blocks() {
        let part = |value| EpsilonPart { of: "test", value };
        let block =
            Epsilons { secrecy: vec![part(1e-10), part(2e-10)], correctness: 1e-11, authentication: 1e-12 };
        assert!((block.total() - 3.11e-10).abs() < 1e-24);
        let mut ledger = EpsilonLedger::default();
        for _ in 0..1000 {
            ledger.enter(&block);
        }
        assert_eq!(ledger.blocks, 1000);
        assert!((ledger.total() - 3.11e-7).abs() < 1e-18);
    }

    #[test]
    fn a_reason_states_its_figures() {
        let reason = NoKey::DecoyStatistics { basis: Basis::Key, sifted: 1e6, seen: vec![0.97, 0.03] };
        assert_eq!(
            reason.to_string(),
            "the decoy statistics leave no single photons: 1000000 sifted bits in the key basis, \
             shares by intensity 97.00 %, 3.00 %"
        );
        let parameters = SecurityParameters { secrecy: 1e-9, correctness: 1e-15 };
        assert_eq!(parameters.verification_allowance(), 50);
    }
}
