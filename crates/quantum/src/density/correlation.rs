//! Pauli correlations of two qubits, and the outcomes that measuring both along any axes gives.

use super::{DensityMatrix, Gate, Readout};
use crate::StateError;
use crate::bell::BellDiagonal;

/// An axis on the Bloch sphere along which a qubit is measured. Outcome 0 is the eigenvalue +1: |0⟩ for Z, |+⟩ for X.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Axis([f64; 3]);

impl Axis {
    /// |+⟩ or |-⟩.
    pub const X: Self = Self([1.0, 0.0, 0.0]);
    /// |0⟩ + i|1⟩ or |0⟩ - i|1⟩.
    pub const Y: Self = Self([0.0, 1.0, 0.0]);
    /// |0⟩ or |1⟩.
    pub const Z: Self = Self([0.0, 0.0, 1.0]);

    /// The axis with these components. Fails unless their squares sum to 1.
    pub fn new(components: [f64; 3]) -> Result<Self, StateError> {
        let sum = components.iter().map(|c| c * c).sum();
        if crate::error::is_one(sum) {
            Ok(Self(components))
        } else {
            Err(StateError::NotNormalised { what: "the squares of an axis' components", sum })
        }
    }
    /// The axis in the plane of Z and X that is turned from Z towards X by `angle` radians.
    pub fn between_z_and_x(angle: f64) -> Self {
        let (sin, cos) = libm::sincos(angle);
        Self([sin, 0.0, cos])
    }
    /// X, Y and Z components.
    pub const fn components(&self) -> [f64; 3] {
        self.0
    }
    /// The gate that turns this axis onto Z, after which a measurement in Z is one along it.
    pub fn onto_z(&self) -> Gate {
        let [x, y, z] = self.0;
        // The half angle to Z, by the formulas that keep their digits, and the azimuth.
        let cos = libm::sqrt(f64::max(0.0, 0.5 * (1.0 + z)));
        let sin = libm::sqrt(f64::max(0.0, 0.5 * (1.0 - z)));
        let across = libm::sqrt(x * x + y * y);
        let phase = if across > 0.0 {
            num_complex::Complex64::new(x / across, y / across)
        } else {
            num_complex::Complex64::new(1.0, 0.0)
        };
        Gate([[cos.into(), phase.conj() * sin], [(-sin).into(), phase.conj() * cos]])
    }
}

/// The mean values of all products of Pauli operators on two qubits: `[i][j]` is that of σ_i ⊗ σ_j, in the order 1, X, Y, Z.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Correlations(pub [[f64; 4]; 4]);

impl Correlations {
    /// The probabilities of what is told when both qubits are measured along `axes` and read by `readouts`: of 00, 01, 10
    /// and 11, the first qubit's outcome first.
    pub fn outcomes(&self, axes: [Axis; 2], readouts: [Readout; 2]) -> [f64; 4] {
        let [a, b] = axes.map(|axis| axis.0);
        let rows = &self.0;
        let mut first = 0.0;
        let mut second = 0.0;
        let mut both = 0.0;
        for i in 0..3 {
            first += a[i] * rows[i + 1][0];
            second += b[i] * rows[0][i + 1];
            for j in 0..3 {
                both += a[i] * b[j] * rows[i + 1][j + 1];
            }
        }
        // What is told has the effect m + d n·σ: m is the mean of its likelihoods, d half their difference.
        let effect = |readout: &Readout, told| {
            let [zero, one] = [false, true].map(|truth| readout.likelihood(told, truth));
            (0.5 * (zero + one), 0.5 * (zero - one))
        };
        [(false, false), (false, true), (true, false), (true, true)].map(|(x, y)| {
            let ((m, d), (n, e)) = (effect(&readouts[0], x), effect(&readouts[1], y));
            f64::max(0.0, m * n + d * n * first + m * e * second + d * e * both)
        })
    }
}

impl DensityMatrix {
    /// The Pauli correlations of a state of two qubits.
    ///
    /// Panics unless there are two.
    pub fn correlations(&self) -> Correlations {
        assert_eq!(self.qubits, 2, "correlations are those of two qubits");
        let mut all = [[0.0; 4]; 4];
        for (i, row) in all.iter_mut().enumerate() {
            for (j, mean) in row.iter_mut().enumerate() {
                // Tr ρP: P takes each basis state k to k ^ flips, times a phase.
                let flip = |p: usize| usize::from(p == 1 || p == 2);
                let flips = 2 * flip(i) + flip(j);
                for k in 0..4 {
                    let entry = self.entry(k, k ^ flips);
                    // ⟨k ^ flips|P|k⟩: i for Y on 0, -i for Y on 1, -1 for Z on 1.
                    let mut factor = num_complex::Complex64::new(1.0, 0.0);
                    for (operator, one) in [(i, k & 2 != 0), (j, k & 1 != 0)] {
                        factor *= match (operator, one) {
                            (2, false) => num_complex::Complex64::new(0.0, 1.0),
                            (2, true) => num_complex::Complex64::new(0.0, -1.0),
                            (3, true) => num_complex::Complex64::new(-1.0, 0.0),
                            _ => num_complex::Complex64::new(1.0, 0.0),
                        };
                    }
                    *mean += (entry * factor).re;
                }
            }
        }
        Correlations(all)
    }
}

impl BellDiagonal {
    /// The Pauli correlations: those of equal operators, all others being 0.
    pub fn correlations(&self) -> Correlations {
        let [phi_plus, phi_minus, psi_plus, psi_minus] = self.probabilities();
        let mut all = [[0.0; 4]; 4];
        all[0][0] = 1.0;
        all[1][1] = (phi_plus + psi_plus) - (phi_minus + psi_minus);
        all[2][2] = (phi_minus + psi_plus) - (phi_plus + psi_minus);
        all[3][3] = (phi_plus + phi_minus) - (psi_plus + psi_minus);
        Correlations(all)
    }
}
