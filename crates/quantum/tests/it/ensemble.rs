//! A mixed state as all trajectories of a tableau, each with its weight: noise and measurements branch instead of being
//! sampled, so that comparison with density matrices is exact.

use bellwether_quantum::Complex64;
use bellwether_quantum::bell::{BellIndex, PauliChannel};
use bellwether_quantum::density::{DensityMatrix, Readout};
use bellwether_quantum::tableau::{Clifford, Tableau};

#[derive(Clone)]
pub(crate) struct Ensemble(pub(crate) Vec<(f64, Tableau)>);

impl Ensemble {
    pub(crate) fn zeros(qubits: usize) -> Self {
        Self(vec![(1.0, Tableau::zeros(qubits))])
    }
    /// Φ⁺ on each two neighbouring qubits.
    pub(crate) fn pairs(pairs: usize) -> Self {
        let mut tableau = Tableau::zeros(2 * pairs);
        for pair in 0..pairs {
            tableau.apply(2 * pair, Clifford::H);
            tableau.cnot(2 * pair, 2 * pair + 1);
        }
        Self(vec![(1.0, tableau)])
    }
    pub(crate) fn each(&mut self, change: impl Fn(&mut Tableau)) {
        self.0.iter_mut().for_each(|(_, tableau)| change(tableau));
    }
    pub(crate) fn noise(&mut self, qubit: usize, channel: &PauliChannel) {
        self.branch(&[qubit], |error| channel.probabilities()[error[0].index()]);
    }
    /// Both qubits become random with probability `mixing`.
    pub(crate) fn depolarise(&mut self, first: usize, second: usize, mixing: f64) {
        self.branch(&[first, second], |error| {
            let none = if error == [BellIndex::PHI_PLUS; 2] { 1.0 - mixing } else { 0.0 };
            none + mixing / 16.0
        });
    }
    fn branch(&mut self, qubits: &[usize], probability: impl Fn(&[BellIndex]) -> f64) {
        let mut all = Vec::new();
        for (weight, tableau) in &self.0 {
            for bits in 0..1u32 << (2 * qubits.len()) {
                let error: Vec<_> =
                    (0..qubits.len()).map(|i| BellIndex::from_bits((bits >> (2 * i)) as u8)).collect();
                let weight = weight * probability(&error);
                if weight > 0.0 {
                    let mut tableau = tableau.clone();
                    for (qubit, error) in qubits.iter().zip(&error) {
                        tableau.pauli(*qubit, *error);
                    }
                    all.push((weight, tableau));
                }
            }
        }
        self.0 = all;
    }
    /// Keeps what is compatible with `told` in the Z basis of `qubit`; the weights then sum to less.
    pub(crate) fn measured(&mut self, qubit: usize, told: bool, readout: &Readout) {
        let mut all = Vec::new();
        for (weight, tableau) in &self.0 {
            let outcomes = match tableau.peek(qubit) {
                Some(outcome) => vec![(1.0, outcome)],
                None => vec![(0.5, false), (0.5, true)],
            };
            for (half, outcome) in outcomes {
                let weight = weight * half * readout.likelihood(told, outcome);
                if weight > 0.0 {
                    let mut tableau = tableau.clone();
                    assert_eq!(tableau.measure(qubit, outcome).outcome, outcome);
                    all.push((weight, tableau));
                }
            }
        }
        self.0 = all;
    }
    pub(crate) fn weight(&self) -> f64 {
        self.0.iter().map(|(weight, _)| weight).sum()
    }
    /// The mixed state, by conversion of every trajectory.
    pub(crate) fn density(&self) -> Vec<Complex64> {
        let mut sum: Vec<Complex64> = Vec::new();
        let total = self.weight();
        for (weight, tableau) in &self.0 {
            let state = DensityMatrix::try_from(tableau).unwrap();
            sum.resize(state.entries().len(), Complex64::new(0.0, 0.0));
            for (sum, entry) in sum.iter_mut().zip(state.entries()) {
                *sum += entry * (weight / total);
            }
        }
        sum
    }
}
