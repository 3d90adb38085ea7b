//! From tableaux to density matrices.

use super::Tableau;
use crate::StateError;
use crate::density::DensityMatrix;
use num_complex::Complex64;

impl TryFrom<&Tableau> for DensityMatrix {
    type Error = StateError;

    /// The same state, as the product of (1 + S)/2 over its stabilizers S. Fails above
    /// [`MAX_QUBITS`](crate::density::MAX_QUBITS) qubits.
    fn try_from(tableau: &Tableau) -> Result<Self, StateError> {
        let n = tableau.qubits();
        let mut state = Self::zeros(n)?;
        let side = 1usize << n;
        let entries = state.entries_mut();
        entries.fill(Complex64::new(0.0, 0.0));
        for i in 0..side {
            entries[i * side + i] = Complex64::new(1.0, 0.0);
        }
        for row in 0..n {
            let string = tableau.stabilizer(row);
            let (mut x, mut z, mut ys) = (0usize, 0usize, 0u32);
            for qubit in 0..n {
                let operator = string.at(qubit);
                x |= usize::from(operator.bit()) << (n - 1 - qubit);
                z |= usize::from(operator.phase()) << (n - 1 - qubit);
                ys += u32::from(operator.bit() && operator.phase());
            }
            // Y = iXZ, so S|k⟩ = ± i^ys (-1)^(k·z) |k ^ x⟩.
            let unit = Complex64::new(0.0, 1.0).powu(ys) * if string.negative { -0.5 } else { 0.5 };
            let old = entries.to_vec();
            for k in 0..side {
                let factor = if (k & z).count_ones() % 2 == 1 { -unit } else { unit };
                let (from, to) = (k * side, (k ^ x) * side);
                for column in 0..side {
                    entries[from + column] -= old[from + column] * 0.5;
                    entries[to + column] += factor * old[from + column];
                }
            }
        }
        Ok(state)
    }
}
