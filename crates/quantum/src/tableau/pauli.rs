//! Strings of Pauli operators and their expectation values.

use super::{Tableau, words_for};
use crate::bell::BellIndex;

/// A product of Pauli operators, one a qubit, with a sign. Its Y are Hermitian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PauliString {
    qubits: usize,
    x: Vec<u64>,
    z: Vec<u64>,
    /// Whether there is a minus before it.
    pub negative: bool,
}

impl PauliString {
    /// The identity on `qubits` qubits.
    pub fn identity(qubits: usize) -> Self {
        let words = words_for(qubits);
        Self { qubits, x: vec![0; words], z: vec![0; words], negative: false }
    }
    /// The string with these operators: I, X, Y and Z, after a sign or none. `None` where something else stands.
    ///
    /// ```
    /// use bellwether_quantum::tableau::PauliString;
    ///
    /// let string = PauliString::parse("-XIZ").unwrap();
    /// assert_eq!(string.to_string(), "-XIZ");
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, letters) = match text.strip_prefix('-') {
            Some(letters) => (true, letters),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let mut string = Self { negative, ..Self::identity(letters.chars().count()) };
        for (qubit, letter) in letters.chars().enumerate() {
            let (bit, phase) = match letter {
                'I' => (false, false),
                'X' => (true, false),
                'Y' => (true, true),
                'Z' => (false, true),
                _ => return None,
            };
            string.set(qubit, BellIndex::new(bit, phase));
        }
        Some(string)
    }
    /// How many qubits.
    pub const fn qubits(&self) -> usize {
        self.qubits
    }
    /// Puts the operator with this X and Z part at `qubit`; both are a Y.
    ///
    /// Panics when the qubit is not there.
    pub fn set(&mut self, qubit: usize, operator: BellIndex) {
        assert!(qubit < self.qubits, "qubit {qubit} of {}", self.qubits);
        let (word, bit) = (qubit / 64, qubit % 64);
        self.x[word] = self.x[word] & !(1 << bit) | u64::from(operator.bit()) << bit;
        self.z[word] = self.z[word] & !(1 << bit) | u64::from(operator.phase()) << bit;
    }
    /// The operator at `qubit`.
    pub fn at(&self, qubit: usize) -> BellIndex {
        let (word, bit) = (qubit / 64, qubit % 64);
        BellIndex::new(self.x[word] >> bit & 1 == 1, self.z[word] >> bit & 1 == 1)
    }
}

impl core::fmt::Display for PauliString {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(if self.negative { "-" } else { "+" })?;
        (0..self.qubits).try_for_each(|qubit| f.write_str(["I", "Z", "X", "Y"][self.at(qubit).index()]))
    }
}

impl Tableau {
    /// The expectation value of a string: 1 or -1 when the state is an eigenstate, 0 when both are equally likely.
    ///
    /// Panics unless the string has as many qubits.
    pub fn expectation(&self, string: &PauliString) -> i8 {
        assert_eq!(string.qubits, self.qubits, "a string has an operator for each qubit");
        let anticommuting = self.anticommuting(string);
        let (destabilizers, stabilizers) = anticommuting.split_at(self.words);
        if stabilizers.iter().any(|word| *word != 0) {
            return 0;
        }
        // Up to its sign the string is the product of the stabilizers whose destabilizers it does not commute with.
        if self.product_is_negative(destabilizers) == string.negative { 1 } else { -1 }
    }
    /// Stabilizer generator number `row`.
    pub fn stabilizer(&self, row: usize) -> PauliString {
        let mut string = PauliString::identity(self.qubits);
        for qubit in 0..self.qubits {
            let x = self.bit(self.x_column(qubit), 1, row);
            let z = self.bit(self.z_column(qubit), 1, row);
            string.set(qubit, BellIndex::new(x, z));
        }
        string.negative = self.bit(&self.signs, 1, row);
        string
    }

    /// The rows that anticommute with a string.
    fn anticommuting(&self, string: &PauliString) -> Vec<u64> {
        let mut rows = vec![0; 2 * self.words];
        for qubit in 0..self.qubits {
            let operator = string.at(qubit);
            if operator.bit() {
                rows.iter_mut().zip(self.z_column(qubit)).for_each(|(row, z)| *row ^= z);
            }
            if operator.phase() {
                rows.iter_mut().zip(self.x_column(qubit)).for_each(|(row, x)| *row ^= x);
            }
        }
        rows
    }
    /// Whether the product of the stabilizers in the set `rows` has a minus.
    pub(super) fn product_is_negative(&self, rows: &[u64]) -> bool {
        let negative =
            rows.iter().zip(&self.signs[self.words..]).map(|(row, sign)| (row & sign).count_ones());
        // Powers of i: of the signs, and of each operator times the product of those before it.
        let mut phase = 2 * negative.sum::<u32>();
        for qubit in 0..self.qubits {
            let xs = &self.x_column(qubit)[self.words..];
            let zs = &self.z_column(qubit)[self.words..];
            let (mut x_before, mut z_before) = (0, 0);
            for ((rows, x), z) in rows.iter().zip(xs).zip(zs) {
                let (x, z) = (x & rows, z & rows);
                let (x1, z1) = (parity_before(x, x_before), parity_before(z, z_before));
                let (plus, minus) = powers_of_i(x1, z1, x, z);
                phase = phase.wrapping_add(plus.count_ones()).wrapping_sub(minus.count_ones());
                x_before ^= x.count_ones() & 1;
                z_before ^= z.count_ones() & 1;
            }
        }
        debug_assert!(phase % 2 == 0, "stabilizers commute, so that their product is real");
        phase % 4 == 2
    }
}

/// Where a Pauli operator (x1, z1) times another (x2, z2) gives i times a Pauli operator, and where -i.
#[inline]
pub(super) const fn powers_of_i(x1: u64, z1: u64, x2: u64, z2: u64) -> (u64, u64) {
    let plus = (x1 & z1 & z2 & !x2) | (x1 & !z1 & z2 & x2) | (!x1 & z1 & x2 & !z2);
    let anticommute = (x1 & z2) ^ (z1 & x2);
    (plus, anticommute & !plus)
}

/// At each bit the parity of the bits below it, and of what came before the word.
#[inline]
const fn parity_before(mut word: u64, before: u32) -> u64 {
    word <<= 1;
    word ^= word << 1;
    word ^= word << 2;
    word ^= word << 4;
    word ^= word << 8;
    word ^= word << 16;
    word ^= word << 32;
    word ^ 0u64.wrapping_sub(before as u64)
}
