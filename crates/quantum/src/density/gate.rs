//! Gates and operators on density matrices.

use super::{DensityMatrix, ONE, TOLERANCE, ZERO};
use crate::StateError;
use crate::bell::BellIndex;
use core::f64::consts::FRAC_1_SQRT_2;
use num_complex::Complex64;

const I: Complex64 = Complex64::new(0.0, 1.0);
const R: Complex64 = Complex64::new(FRAC_1_SQRT_2, 0.0);

const fn real(x: f64) -> Complex64 {
    Complex64::new(x, 0.0)
}

/// A unitary gate on one qubit: its matrix, in the basis |0⟩, |1⟩.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gate(pub(super) [[Complex64; 2]; 2]);

impl Gate {
    /// Nothing.
    pub const IDENTITY: Self = Self([[ONE, ZERO], [ZERO, ONE]]);
    /// The bit flip.
    pub const X: Self = Self([[ZERO, ONE], [ONE, ZERO]]);
    /// iXZ.
    pub const Y: Self = Self([[ZERO, Complex64::new(0.0, -1.0)], [I, ZERO]]);
    /// The phase flip.
    pub const Z: Self = Self([[ONE, ZERO], [ZERO, real(-1.0)]]);
    /// The Hadamard gate.
    pub const H: Self = Self([[R, R], [R, real(-FRAC_1_SQRT_2)]]);
    /// diag(1, i).
    pub const S: Self = Self([[ONE, ZERO], [ZERO, I]]);
    /// diag(1, -i).
    pub const S_INVERSE: Self = Self([[ONE, ZERO], [ZERO, Complex64::new(0.0, -1.0)]]);
    /// diag(1, e^{iπ/4}), which is no Clifford gate.
    pub const T: Self = Self([[ONE, ZERO], [ZERO, Complex64::new(FRAC_1_SQRT_2, FRAC_1_SQRT_2)]]);

    /// The gate with this matrix, row by row. Fails unless it is unitary.
    pub fn new(matrix: [[Complex64; 2]; 2]) -> Result<Self, StateError> {
        Operator::from(Self(matrix)).unitary().map(|_| Self(matrix))
    }
    /// The Pauli operator X^a Z^b of a frame.
    pub const fn pauli(index: BellIndex) -> Self {
        match index.bits() {
            0 => Self::IDENTITY,
            1 => Self::Z,
            2 => Self::X,
            _ => Self([[ZERO, real(-1.0)], [ONE, ZERO]]),
        }
    }
    /// A rotation about X by `angle` radians: exp(-i angle X/2).
    pub fn rx(angle: f64) -> Self {
        let (sin, cos) = libm::sincos(0.5 * angle);
        Self([[real(cos), Complex64::new(0.0, -sin)], [Complex64::new(0.0, -sin), real(cos)]])
    }
    /// A rotation about Y by `angle` radians: exp(-i angle Y/2).
    pub fn ry(angle: f64) -> Self {
        let (sin, cos) = libm::sincos(0.5 * angle);
        Self([[real(cos), real(-sin)], [real(sin), real(cos)]])
    }
    /// A rotation about Z by `angle` radians: exp(-i angle Z/2).
    pub fn rz(angle: f64) -> Self {
        let (sin, cos) = libm::sincos(0.5 * angle);
        Self([[Complex64::new(cos, -sin), ZERO], [ZERO, Complex64::new(cos, sin)]])
    }
    /// The matrix, row by row.
    pub const fn matrix(&self) -> &[[Complex64; 2]; 2] {
        &self.0
    }
}

/// A unitary gate on two qubits: its matrix, in the basis |00⟩, |01⟩, |10⟩, |11⟩ with the first qubit written first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TwoQubitGate(pub(super) [[Complex64; 4]; 4]);

impl TwoQubitGate {
    /// The controlled NOT: the first qubit controls, the second is the target.
    pub const CNOT: Self = Self([
        [ONE, ZERO, ZERO, ZERO],
        [ZERO, ONE, ZERO, ZERO],
        [ZERO, ZERO, ZERO, ONE],
        [ZERO, ZERO, ONE, ZERO],
    ]);
    /// The controlled Z.
    pub const CZ: Self = Self([
        [ONE, ZERO, ZERO, ZERO],
        [ZERO, ONE, ZERO, ZERO],
        [ZERO, ZERO, ONE, ZERO],
        [ZERO, ZERO, ZERO, real(-1.0)],
    ]);
    /// The exchange of the two qubits.
    pub const SWAP: Self = Self([
        [ONE, ZERO, ZERO, ZERO],
        [ZERO, ZERO, ONE, ZERO],
        [ZERO, ONE, ZERO, ZERO],
        [ZERO, ZERO, ZERO, ONE],
    ]);

    /// The gate with this matrix, row by row. Fails unless it is unitary.
    pub fn new(matrix: [[Complex64; 4]; 4]) -> Result<Self, StateError> {
        Operator::from(Self(matrix)).unitary().map(|_| Self(matrix))
    }
    /// The gate of Mølmer and Sørensen by `angle` radians: exp(-i angle X⊗X/2), that of trapped ions.
    pub fn rxx(angle: f64) -> Self {
        let (sin, cos) = libm::sincos(0.5 * angle);
        let mut matrix = [[ZERO; 4]; 4];
        for (row, entries) in matrix.iter_mut().enumerate() {
            entries[row] = real(cos);
            entries[3 - row] = Complex64::new(0.0, -sin);
        }
        Self(matrix)
    }
    /// The matrix, row by row.
    pub const fn matrix(&self) -> &[[Complex64; 4]; 4] {
        &self.0
    }
}

/// Any operator on any number of qubits, unitary or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Operator {
    qubits: usize,
    entries: Vec<Complex64>,
}

impl Operator {
    /// The operator with these matrix entries, row by row. Fails unless there are 4^n.
    pub fn new(entries: &[Complex64]) -> Result<Self, StateError> {
        let qubits = super::qubits_of(entries.len())?;
        if qubits % 2 == 1 {
            return Err(StateError::WrongSize { found: entries.len(), wanted: entries.len() * 2 });
        }
        Ok(Self { qubits: qubits / 2, entries: entries.to_vec() })
    }
    /// This operator, if it is unitary.
    pub fn unitary(self) -> Result<Self, StateError> {
        preserve_trace(core::slice::from_ref(&self)).map(|()| self)
    }
    /// How many qubits it acts on.
    pub const fn qubits(&self) -> usize {
        self.qubits
    }
    /// The entries, row by row.
    pub fn entries(&self) -> &[Complex64] {
        &self.entries
    }
    /// This operator times a number.
    pub fn scaled(mut self, factor: f64) -> Self {
        self.entries.iter_mut().for_each(|entry| *entry *= factor);
        self
    }
}

impl From<Gate> for Operator {
    fn from(gate: Gate) -> Self {
        Self { qubits: 1, entries: gate.0.concat() }
    }
}
impl From<TwoQubitGate> for Operator {
    fn from(gate: TwoQubitGate) -> Self {
        Self { qubits: 2, entries: gate.0.concat() }
    }
}

/// Refuses Kraus operators whose K†K do not sum to the identity, or that differ in size.
pub(super) fn preserve_trace(operators: &[Operator]) -> Result<(), StateError> {
    let size = operators.first().map_or(0, |first| first.entries.len());
    if let Some(other) = operators.iter().find(|other| other.entries.len() != size) {
        return Err(StateError::WrongSize { found: other.entries.len(), wanted: size });
    }
    let side = 1 << operators.first().map_or(0, |first| first.qubits);
    let mut worst = if operators.is_empty() { 1.0 } else { 0.0 };
    for row in 0..side {
        for column in 0..side {
            let mut sum = if row == column { -ONE } else { ZERO };
            for operator in operators {
                for k in 0..side {
                    sum += operator.entries[k * side + row].conj() * operator.entries[k * side + column];
                }
            }
            // f64::max would let a NaN pass.
            let off = libm::sqrt(sum.norm_sqr());
            if off.is_nan() || off > worst {
                worst = off;
            }
        }
    }
    if worst < TOLERANCE { Ok(()) } else { Err(StateError::NotTracePreserving(worst)) }
}

impl DensityMatrix {
    /// Applies a gate to `qubit`.
    pub fn apply(&mut self, qubit: usize, gate: &Gate) {
        self.check(&[qubit]);
        self.conjugate_one(qubit, &gate.0);
    }
    /// Applies a gate to two qubits.
    pub fn apply_two(&mut self, first: usize, second: usize, gate: &TwoQubitGate) {
        self.check(&[first, second]);
        let (a, b) = (self.mask(first), self.mask(second));
        let side = self.dimension();
        let of = |base: usize| [base, base | b, base | a, base | a | b];
        // ρ → Uρ by rows.
        for base in (0..side).filter(|i| i & (a | b) == 0) {
            let rows = of(base);
            for column in 0..side {
                let old = rows.map(|row| self.entries[row * side + column]);
                for (row, coefficients) in rows.iter().zip(&gate.0) {
                    self.entries[row * side + column] = dot(coefficients, &old);
                }
            }
        }
        // ρ → ρU† by columns.
        let conjugate = gate.0.map(|row| row.map(|entry| entry.conj()));
        for row in self.entries.chunks_exact_mut(side) {
            for base in (0..side).filter(|i| i & (a | b) == 0) {
                let columns = of(base);
                let old = columns.map(|column| row[column]);
                for (column, coefficients) in columns.iter().zip(&conjugate) {
                    row[*column] = dot(coefficients, &old);
                }
            }
        }
    }
    /// The controlled NOT, which only exchanges entries.
    pub fn cnot(&mut self, control: usize, target: usize) {
        self.check(&[control, target]);
        let (control, target) = (self.mask(control), self.mask(target));
        self.exchange(target, |basis| basis & control != 0);
    }
    /// The controlled Z, which only turns signs.
    pub fn cz(&mut self, first: usize, second: usize) {
        self.check(&[first, second]);
        let both = self.mask(first) | self.mask(second);
        self.turn_signs(|basis| basis & both == both);
    }
    /// The Pauli operator X^a Z^b of a frame.
    pub fn pauli(&mut self, qubit: usize, index: BellIndex) {
        self.check(&[qubit]);
        let mask = self.mask(qubit);
        if index.phase() {
            self.turn_signs(|basis| basis & mask != 0);
        }
        if index.bit() {
            self.exchange(mask, |_| true);
        }
    }
    /// Flips the bit `mask` of basis states that are `chosen`, which must not depend on that bit.
    fn exchange(&mut self, mask: usize, chosen: impl Fn(usize) -> bool) {
        let side = self.dimension();
        for low in (0..side).filter(|basis| basis & mask == 0 && chosen(*basis)) {
            let (above, below) = self.entries.split_at_mut((low | mask) * side);
            above[low * side..(low + 1) * side].swap_with_slice(&mut below[..side]);
        }
        for row in self.entries.chunks_exact_mut(side) {
            for low in (0..side).filter(|basis| basis & mask == 0 && chosen(*basis)) {
                row.swap(low, low | mask);
            }
        }
    }
    /// Multiplies basis states that are `chosen` by -1.
    fn turn_signs(&mut self, chosen: impl Fn(usize) -> bool) {
        let side = self.dimension();
        for (row, entries) in self.entries.chunks_exact_mut(side).enumerate() {
            let turned = chosen(row);
            for (column, entry) in entries.iter_mut().enumerate() {
                if chosen(column) != turned {
                    *entry = -*entry;
                }
            }
        }
    }
    /// Applies a unitary operator to as many qubits as it has.
    pub fn apply_operator(&mut self, qubits: &[usize], operator: &Operator) {
        self.check(qubits);
        self.conjugate(qubits, operator);
    }

    /// ρ → KρK† for any K on one qubit.
    pub(super) fn conjugate_one(&mut self, qubit: usize, k: &[[Complex64; 2]; 2]) {
        let mask = self.mask(qubit);
        let side = self.dimension();
        for base in (0..side).filter(|i| i & mask == 0) {
            let (above, below) = self.entries.split_at_mut((base | mask) * side);
            let (zeros, ones) = (&mut above[base * side..(base + 1) * side], &mut below[..side]);
            for (zero, one) in zeros.iter_mut().zip(ones) {
                (*zero, *one) = (k[0][0] * *zero + k[0][1] * *one, k[1][0] * *zero + k[1][1] * *one);
            }
        }
        let c = k.map(|row| row.map(|entry| entry.conj()));
        for row in self.entries.chunks_exact_mut(side) {
            for block in row.chunks_exact_mut(2 * mask) {
                let (zeros, ones) = block.split_at_mut(mask);
                for (zero, one) in zeros.iter_mut().zip(ones) {
                    (*zero, *one) = (c[0][0] * *zero + c[0][1] * *one, c[1][0] * *zero + c[1][1] * *one);
                }
            }
        }
    }
    /// ρ → KρK† for any K on any qubits.
    pub(super) fn conjugate(&mut self, qubits: &[usize], operator: &Operator) {
        assert_eq!(qubits.len(), operator.qubits, "an operator acts on as many qubits as it has");
        let side = self.dimension();
        let small = 1usize << operator.qubits;
        let offsets: Vec<usize> = (0..small).map(|bits| self.spread(bits, qubits)).collect();
        let all = offsets[small - 1];
        let mut old = vec![ZERO; small];
        for base in (0..side).filter(|i| i & all == 0) {
            for column in 0..side {
                for (old, offset) in old.iter_mut().zip(&offsets) {
                    *old = self.entries[(base | offset) * side + column];
                }
                for (offset, coefficients) in offsets.iter().zip(operator.entries.chunks_exact(small)) {
                    self.entries[(base | offset) * side + column] = dot(coefficients, &old);
                }
            }
        }
        for row in self.entries.chunks_exact_mut(side) {
            for base in (0..side).filter(|i| i & all == 0) {
                for (old, offset) in old.iter_mut().zip(&offsets) {
                    *old = row[base | offset];
                }
                for (offset, coefficients) in offsets.iter().zip(operator.entries.chunks_exact(small)) {
                    row[base | offset] = coefficients.iter().zip(&old).map(|(c, x)| c.conj() * x).sum();
                }
            }
        }
    }
}

/// Σ a_i b_i.
fn dot(a: &[Complex64], b: &[Complex64]) -> Complex64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
