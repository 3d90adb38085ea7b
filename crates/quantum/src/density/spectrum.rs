//! Eigenvalues of Hermitian matrices and singular values, by Jacobi's rotations (Golub & Van Loan, Matrix Computations,
//! 8.5 and 8.6.3): small matrices, high relative accuracy, the same result on every machine.

use super::{DensityMatrix, ONE, ZERO};
use num_complex::Complex64;

/// Sweeps after which rotations stop; ten are plenty for the sizes here, for convergence is quadratic.
const SWEEPS: usize = 60;

/// Eigenvalues and eigenvectors of a Hermitian matrix, unordered. Eigenvector i is column i of the second matrix.
pub(super) fn hermitian(mut a: Vec<Complex64>, side: usize) -> (Vec<f64>, Vec<Complex64>) {
    let mut vectors = vec![ZERO; side * side];
    for i in 0..side {
        vectors[i * side + i] = ONE;
    }
    let scale: f64 = a.iter().map(Complex64::norm_sqr).sum();
    for _ in 0..SWEEPS {
        let off: f64 = (0..side)
            .flat_map(|i| (0..i).map(move |j| (i, j)))
            .map(|(i, j)| a[i * side + j].norm_sqr())
            .sum();
        if off <= scale * 1e-34 {
            break;
        }
        for p in 0..side {
            for q in p + 1..side {
                let apq = a[p * side + q];
                let size = libm::sqrt(apq.norm_sqr());
                if size < 1e-300 {
                    continue;
                }
                let phase = apq / size;
                let (sin, cos) = rotation(a[p * side + p].re, a[q * side + q].re, size);
                // Columns, then rows, of the rotation [[cos, phase sin], [-phase* sin, cos]].
                for k in 0..side {
                    for m in [&mut a, &mut vectors] {
                        let (x, y) = (m[k * side + p], m[k * side + q]);
                        m[k * side + p] = x * cos - y * phase.conj() * sin;
                        m[k * side + q] = x * phase * sin + y * cos;
                    }
                }
                for k in 0..side {
                    let (x, y) = (a[p * side + k], a[q * side + k]);
                    a[p * side + k] = x * cos - y * phase * sin;
                    a[q * side + k] = x * phase.conj() * sin + y * cos;
                }
            }
        }
    }
    ((0..side).map(|i| a[i * side + i].re).collect(), vectors)
}

/// The sine and cosine that make [[a, s], [s, b]] diagonal.
fn rotation(a: f64, b: f64, s: f64) -> (f64, f64) {
    let theta = (b - a) / (2.0 * s);
    let sign = if theta < 0.0 { -1.0 } else { 1.0 };
    let tan = sign / (libm::fabs(theta) + libm::sqrt(theta * theta + 1.0));
    let cos = 1.0 / libm::sqrt(tan * tan + 1.0);
    (tan * cos, cos)
}

/// The singular values of a square matrix, unordered, by rotations of its columns.
pub(super) fn singular_values(mut a: Vec<Complex64>, side: usize) -> Vec<f64> {
    let scale: f64 = a.iter().map(Complex64::norm_sqr).sum();
    for _ in 0..SWEEPS {
        let mut turned = false;
        for p in 0..side {
            for q in p + 1..side {
                let mut inner = ZERO;
                let (mut x2, mut y2) = (0.0, 0.0);
                for row in a.chunks_exact(side) {
                    inner += row[p].conj() * row[q];
                    x2 += row[p].norm_sqr();
                    y2 += row[q].norm_sqr();
                }
                let size = libm::sqrt(inner.norm_sqr());
                if size <= 1e-16 * libm::sqrt(x2 * y2) || size <= 1e-40 * scale || size < 1e-300 {
                    continue;
                }
                turned = true;
                let phase = inner / size;
                let (sin, cos) = rotation(x2, y2, size);
                for row in a.chunks_exact_mut(side) {
                    let (x, y) = (row[p], row[q]);
                    row[p] = x * cos - y * phase.conj() * sin;
                    row[q] = x * phase * sin + y * cos;
                }
            }
        }
        if !turned {
            break;
        }
    }
    (0..side).map(|i| libm::sqrt(a.chunks_exact(side).map(|row| row[i].norm_sqr()).sum())).collect()
}

impl DensityMatrix {
    /// The eigenvalues, the largest first.
    pub fn eigenvalues(&self) -> Vec<f64> {
        let (mut values, _) = hermitian(self.entries.clone(), self.dimension());
        values.sort_by(|a, b| b.total_cmp(a));
        values
    }
}
