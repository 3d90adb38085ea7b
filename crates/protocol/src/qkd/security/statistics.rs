//! What a block showed: sifted bits and errors by basis and intensity.

use super::NoKey;
use crate::hardware::Basis;

/// One intensity of a phase-randomised weak coherent source, or a source of single photons.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SourceClass {
    /// Mean photon number of a pulse.
    pub mean_photons: f64,
    /// The probability with which the source chooses this intensity.
    pub probability: f64,
    /// For a source of single photons that is not perfect: the probabilities that a pulse leaves with several
    /// photons and that both ends then use the key basis, or the check basis. Weak coherent sources need none:
    /// their decoys tell.
    pub several_photons: [f64; 2],
}

impl SourceClass {
    /// The intensity with `mean_photons` a pulse, chosen with `probability`.
    pub const fn new(mean_photons: f64, probability: f64) -> Self {
        Self { mean_photons, probability, several_photons: [0.0; 2] }
    }
    /// A source of single photons: with probability `mean_photons` a pulse holds one, and with those of
    /// `several_photons` it holds more and is used in the key or the check basis at both ends.
    pub const fn single_photons(mean_photons: f64, several_photons: [f64; 2]) -> Self {
        Self { mean_photons, probability: 1.0, several_photons }
    }
}

/// Sifted bits of one basis and intensity, and how many of them differed between the ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassCounts {
    /// Bits that both ends prepared and measured in this basis.
    pub sifted: u64,
    /// How many of them differed. In the key basis this is known after error correction.
    pub errors: u64,
}

impl ClassCounts {
    /// Errors over sifted bits; `None` without bits.
    pub fn error_rate(self) -> Option<f64> {
        (self.sifted > 0).then(|| self.errors as f64 / self.sifted as f64)
    }
}

/// The counts of one block. Element `i` of a list belongs to intensity `i` of the source; the intensities are
/// in falling order of mean photon number. A source of single photons has one class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockStatistics {
    /// The key basis. These bits become key; their errors are known after error correction.
    pub key: Vec<ClassCounts>,
    /// The check basis. These bits are disclosed.
    pub check: Vec<ClassCounts>,
    /// The pulses that the detections came from, whatever their bases: what the bound for imperfect sources
    /// of single photons needs. The others leave it out of account.
    pub pulses: u64,
}

impl BlockStatistics {
    /// No counts, for a source of `intensities` classes.
    pub fn empty(intensities: usize) -> Self {
        Self {
            key: vec![ClassCounts::default(); intensities],
            check: vec![ClassCounts::default(); intensities],
            pulses: 0,
        }
    }
    /// The counts of `basis` by intensity.
    pub fn classes(&self, basis: Basis) -> &[ClassCounts] {
        match basis {
            Basis::Key => &self.key,
            Basis::Check => &self.check,
        }
    }
    /// The counts of `basis` over all intensities, held at `u64::MAX`.
    pub fn total(&self, basis: Basis) -> ClassCounts {
        self.classes(basis).iter().fold(ClassCounts::default(), |sum, class| ClassCounts {
            sifted: sum.sifted.saturating_add(class.sifted),
            errors: sum.errors.saturating_add(class.errors),
        })
    }
    /// The quantum bit error rate of `basis` over all intensities; `None` without bits.
    pub fn error_rate(&self, basis: Basis) -> Option<f64> {
        self.total(basis).error_rate()
    }
}

/// The expectation of [`ClassCounts`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ExpectedCounts {
    /// Expected sifted bits.
    pub sifted: f64,
    /// Expected errors among them.
    pub errors: f64,
}

/// The expectation of [`BlockStatistics`]: what planning works on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExpectedStatistics {
    /// The key basis.
    pub key: Vec<ExpectedCounts>,
    /// The check basis.
    pub check: Vec<ExpectedCounts>,
    /// The pulses.
    pub pulses: f64,
}

impl ExpectedStatistics {
    /// The sum over all intensities of `basis`.
    pub fn total(&self, basis: Basis) -> ExpectedCounts {
        let classes = match basis {
            Basis::Key => &self.key,
            Basis::Check => &self.check,
        };
        classes.iter().fold(ExpectedCounts::default(), |sum, class| ExpectedCounts {
            sifted: sum.sifted + class.sifted,
            errors: sum.errors + class.errors,
        })
    }
    /// The nearest whole counts.
    pub fn rounded(&self) -> BlockStatistics {
        let round = |classes: &[ExpectedCounts]| {
            classes
                .iter()
                .map(|c| {
                    let sifted = libm::round(c.sifted) as u64;
                    ClassCounts { sifted, errors: (libm::round(c.errors) as u64).min(sifted) }
                })
                .collect()
        };
        BlockStatistics {
            key: round(&self.key),
            check: round(&self.check),
            pulses: libm::round(self.pulses) as u64,
        }
    }
    /// Refuses lists of a length other than `classes`, and counts that cannot be.
    pub(super) fn validate(&self, classes: usize) -> Result<(), NoKey> {
        let sound = |c: &ExpectedCounts| c.sifted.is_finite() && c.errors >= 0.0 && c.errors <= c.sifted;
        for (basis, list) in [(Basis::Key, &self.key), (Basis::Check, &self.check)] {
            if list.len() != classes {
                return Err(NoKey::ImpossibleCounts {
                    basis,
                    why: format!("{} classes counted of {classes} that the source has", list.len()),
                });
            }
            if let Some(c) = list.iter().find(|c| !sound(c)) {
                return Err(NoKey::ImpossibleCounts {
                    basis,
                    why: format!("{} errors among {} sifted bits", c.errors, c.sifted),
                });
            }
        }
        Ok(())
    }
}

impl From<&BlockStatistics> for ExpectedStatistics {
    fn from(statistics: &BlockStatistics) -> Self {
        let list = |classes: &[ClassCounts]| {
            classes
                .iter()
                .map(|c| ExpectedCounts { sifted: c.sifted as f64, errors: c.errors as f64 })
                .collect()
        };
        Self { key: list(&statistics.key), check: list(&statistics.check), pulses: statistics.pulses as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_sums_and_rates_are_ratios() {
        let class = |sifted, errors| ClassCounts { sifted, errors };
        let block = BlockStatistics {
            key: vec![class(90, 1), class(10, 1)],
            check: vec![class(0, 0), class(0, 0)],
            pulses: 7,
        };
        assert_eq!(block.total(Basis::Key), class(100, 2));
        assert_eq!(block.error_rate(Basis::Key), Some(0.02));
        assert_eq!(block.error_rate(Basis::Check), None);
        let huge = BlockStatistics { key: vec![class(u64::MAX, u64::MAX); 2], ..BlockStatistics::default() };
        assert_eq!(huge.total(Basis::Key), class(u64::MAX, u64::MAX));
        assert_eq!(ExpectedStatistics::from(&block).rounded(), block);
    }
}
