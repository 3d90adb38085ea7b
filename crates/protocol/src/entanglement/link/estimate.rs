//! What measured pairs tell of the fidelity of others.

use super::request::{BasisChoice, BasisSet};
use bellwether_quantum::bell::BellIndex;

/// In which basis both halves of a pair are measured for a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestBasis {
    /// X.
    X,
    /// Y.
    Y,
    /// Z.
    Z,
}

impl TestBasis {
    /// All three.
    pub const ALL: [Self; 3] = [Self::X, Self::Y, Self::Z];

    /// As a rotation before a measurement in Z: a quarter turn about Y, about X, or none.
    pub const fn choice(self) -> BasisChoice {
        let rotations = match self {
            Self::X => [0, 64, 0],
            Self::Y => [64, 0, 0],
            Self::Z => [0; 3],
        };
        BasisChoice { set: BasisSet::Rotated, probabilities: [0; 2], rotations }
    }
    /// Whether the outcomes of a pair without errors differ. In |Φ⁺⟩ they do in Y alone; a bit error turns Y and Z, a
    /// phase error X and Y.
    pub const fn differs(self, bell: BellIndex) -> bool {
        match self {
            Self::X => bell.phase(),
            Self::Y => !(bell.bit() ^ bell.phase()),
            Self::Z => bell.bit(),
        }
    }
}

/// The fidelity as measured pairs show it: from the shares of wrong outcomes in three bases, F = 1 - (eX + eY + eZ)/2, which
/// holds for every state of two qubits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FidelityEstimate {
    /// How many pairs were measured in X, Y and Z.
    pub pairs: [u64; 3],
    /// Of how many the outcomes were not as those of the heralded Bell state.
    pub errors: [u64; 3],
}

impl FidelityEstimate {
    /// Both halves of a pair that was heralded in `bell` were measured in a basis.
    pub fn note(&mut self, bell: BellIndex, basis: TestBasis, outcomes_differ: bool) {
        self.pairs[basis as usize] += 1;
        self.errors[basis as usize] += u64::from(outcomes_differ != basis.differs(bell));
    }
    /// The fidelity and its standard error, once there is a pair in each basis. The error is that of shares with one
    /// wrong and one right outcome added (Laplace), so that it is never 0.
    pub fn fidelity(&self) -> Option<(f64, f64)> {
        let (mut fidelity, mut variance) = (1.0, 0.0);
        for (&pairs, &errors) in self.pairs.iter().zip(&self.errors) {
            if pairs == 0 {
                return None;
            }
            fidelity -= 0.5 * errors as f64 / pairs as f64;
            let share = (errors + 1) as f64 / (pairs + 2) as f64;
            variance += 0.25 * share * (1.0 - share) / (pairs + 2) as f64;
        }
        Some((fidelity, libm::sqrt(variance)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_differ_as_those_of_bell_states() {
        // <XX>, <YY>, <ZZ> are +1, -1, +1 for Φ⁺; -1, +1, +1 for Φ⁻; +1, +1, -1 for Ψ⁺; -1 each for Ψ⁻.
        let expected = [[false, true, false], [true, false, false], [false, false, true], [true, true, true]];
        for (bell, expected) in BellIndex::ALL.into_iter().zip(expected) {
            assert_eq!(TestBasis::ALL.map(|basis| basis.differs(bell)), expected, "{bell}");
        }
    }

    #[test]
    fn shares_of_errors_make_a_fidelity() {
        let mut estimate = FidelityEstimate::default();
        assert_eq!(estimate.fidelity(), None);
        for basis in TestBasis::ALL {
            for n in 0..1000 {
                // Of Ψ⁻ all outcomes should differ.
                estimate.note(BellIndex::PSI_MINUS, basis, n % 10 != 0);
            }
        }
        let (fidelity, error) = estimate.fidelity().unwrap();
        assert!((fidelity - 0.85).abs() < 1e-12);
        assert!((error - libm::sqrt(3.0 * 0.25 * 0.09 / 1000.0)).abs() < 1e-4);
    }
}
