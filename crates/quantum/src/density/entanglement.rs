//! Fidelities and measures of entanglement of density matrices.

use super::{DensityMatrix, ZERO, spectrum};
use crate::bell::{BellDiagonal, BellIndex};
use num_complex::Complex64;

impl DensityMatrix {
    /// The fidelity ⟨ψ|ρ|ψ⟩ to the pure state with these amplitudes.
    ///
    /// Panics unless there is an amplitude for each basis state.
    pub fn pure_fidelity(&self, amplitudes: &[Complex64]) -> f64 {
        assert_eq!(amplitudes.len(), self.dimension(), "an amplitude for each basis state");
        let rows = self.entries.chunks_exact(self.dimension());
        let sum: Complex64 = amplitudes
            .iter()
            .zip(rows)
            .map(|(a, row)| a.conj() * row.iter().zip(amplitudes).map(|(r, b)| r * b).sum::<Complex64>())
            .sum();
        sum.re
    }
    /// The fidelity of two of the qubits to the Bell state `index`.
    pub fn bell_fidelity(&self, first: usize, second: usize, index: BellIndex) -> f64 {
        self.bell_probabilities(first, second)[index.index()]
    }
    /// The fidelities of two of the qubits to the four Bell states, in the order of [`BellIndex::ALL`].
    pub fn bell_probabilities(&self, first: usize, second: usize) -> [f64; 4] {
        let pair = self.reduced(&[first, second]);
        let sum = |i: usize, j: usize| 0.5 * (pair.entry(i, i).re + pair.entry(j, j).re);
        let (phi, psi) = (sum(0, 3), sum(1, 2));
        let (phi_coherence, psi_coherence) = (pair.entry(0, 3).re, pair.entry(1, 2).re);
        [phi + phi_coherence, phi - phi_coherence, psi + psi_coherence, psi - psi_coherence]
    }
    /// What a random Pauli operator on both qubits makes of two of them: the Bell-diagonal pair with equal fidelities to
    /// the Bell states. What is not Bell-diagonal is lost.
    pub fn pauli_twirled(&self, first: usize, second: usize) -> BellDiagonal {
        let p = self.bell_probabilities(first, second).map(|p| f64::max(0.0, p));
        let sum: f64 = p.iter().sum();
        BellDiagonal::from_array(p.map(|p| p / sum))
    }
    /// How much of a two-qubit state is not Bell-diagonal: the largest entry that its Pauli twirl would take away.
    pub fn off_bell_diagonal(&self) -> f64 {
        let twirled = Self::from(self.pauli_twirled(0, 1));
        let largest = self.entries.iter().zip(&twirled.entries).map(|(a, b)| (a - b).norm_sqr());
        libm::sqrt(largest.fold(0.0, f64::max))
    }
    /// The fidelity of teleporting one qubit by a pair of this fidelity to its Bell state: (2F + 1)/3, averaged over
    /// all pure inputs (Horodecki, Horodecki & Horodecki, Phys. Rev. A 60, 1888 (1999)).
    pub fn teleportation_fidelity(&self, first: usize, second: usize, index: BellIndex) -> f64 {
        (2.0 * self.bell_fidelity(first, second, index) + 1.0) / 3.0
    }
    /// The purity Tr ρ².
    pub fn purity(&self) -> f64 {
        self.entries.iter().map(Complex64::norm_sqr).sum()
    }
    /// The von Neumann entropy in bits.
    pub fn entropy(&self) -> f64 {
        self.eigenvalues().into_iter().filter(|p| *p > 0.0).map(|p| -p * libm::log2(p)).sum()
    }
    /// The negativity between `part` and the other qubits: the sum of the absolute negative eigenvalues of the partial
    /// transpose (Vidal & Werner, Phys. Rev. A 65, 032314 (2002)).
    pub fn negativity(&self, part: &[usize]) -> f64 {
        self.check(part);
        let side = self.dimension();
        let mask: usize = part.iter().map(|q| self.mask(*q)).sum();
        let mut transposed = vec![ZERO; side * side];
        for row in 0..side {
            for column in 0..side {
                let (i, j) = ((row & !mask) | (column & mask), (column & !mask) | (row & mask));
                transposed[i * side + j] = self.entry(row, column);
            }
        }
        let (values, _) = spectrum::hermitian(transposed, side);
        values.into_iter().filter(|value| *value < 0.0).map(|value| -value).sum()
    }
    /// The logarithmic negativity in ebits: log2(2N + 1), an entanglement monotone (Plenio, Phys. Rev. Lett. 95, 090503).
    pub fn log_negativity(&self, part: &[usize]) -> f64 {
        libm::log2(2.0 * self.negativity(part) + 1.0)
    }
    /// The concurrence of a state of two qubits (Wootters, Phys. Rev. Lett. 80, 2245 (1998)).
    ///
    /// Panics unless there are two qubits.
    pub fn concurrence(&self) -> f64 {
        assert_eq!(self.qubits, 2, "concurrence is that of two qubits");
        // With ρ = RR†, Wootters' numbers are the singular values of the symmetric matrix Rᵀ(Y⊗Y)R.
        let (values, vectors) = spectrum::hermitian(self.entries.clone(), 4);
        let root = |i: usize, k: usize| vectors[i * 4 + k] * libm::sqrt(f64::max(0.0, values[k]));
        const SIGN: [f64; 4] = [-1.0, 1.0, 1.0, -1.0];
        let mut flipped = vec![ZERO; 16];
        for j in 0..4 {
            for k in 0..4 {
                flipped[j * 4 + k] = (0..4).map(|i| root(i, j) * root(3 - i, k) * SIGN[i]).sum();
            }
        }
        let mut lambda = spectrum::singular_values(flipped, 4);
        lambda.sort_by(|a, b| b.total_cmp(a));
        f64::max(0.0, lambda[0] - lambda[1] - lambda[2] - lambda[3])
    }
    /// The entanglement of formation of a state of two qubits, in ebits, from its concurrence.
    pub fn entanglement_of_formation(&self) -> f64 {
        let c = self.concurrence();
        bellwether_units::binary_entropy(0.5 * (1.0 + libm::sqrt(f64::max(0.0, 1.0 - c * c))))
    }
}
