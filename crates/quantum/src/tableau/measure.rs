//! Measurements of tableaux, and qubits that leave.

use super::pauli::powers_of_i;
use super::{Tableau, words_for};
use crate::bell::BellIndex;

/// The outcome of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// What was measured: true for 1, the eigenvalue -1.
    pub outcome: bool,
    /// Whether the state determined it. If not, both outcomes were equally likely and the caller's bit chose.
    pub determined: bool,
}

impl Tableau {
    /// The outcome that measuring `qubit` in the Z basis must have, if the state determines it.
    pub fn peek(&self, qubit: usize) -> Option<bool> {
        self.check(qubit);
        let column = self.x_column(qubit);
        let (destabilizers, stabilizers) = column.split_at(self.words);
        if stabilizers.iter().any(|word| *word != 0) {
            return None;
        }
        Some(self.product_is_negative(destabilizers))
    }
    /// Measures `qubit` in the Z basis. `random` is the outcome when the state does not determine it.
    pub fn measure(&mut self, qubit: usize, random: bool) -> Measured {
        self.check(qubit);
        let stabilizers = &self.x_column(qubit)[self.words..];
        let Some(word) = stabilizers.iter().position(|word| *word != 0) else {
            let outcome = self.product_is_negative(&self.x_column(qubit)[..self.words]);
            return Measured { outcome, determined: true };
        };
        let pivot = 64 * word + stabilizers[word].trailing_zeros() as usize;
        // The old stabilizer makes all other rows commute with Z, and becomes the destabilizer of the new one, ±Z.
        for word in 0..2 * self.words {
            let rows = self.x_column(qubit)[word] & !self.bit_of(word, pivot);
            self.multiply_rows(word, rows, 1, pivot);
        }
        for column in 0..self.qubits {
            let [x, z] =
                [self.bit(self.x_column(column), 1, pivot), self.bit(self.z_column(column), 1, pivot)];
            let (xs, zs, _) = self.columns(column);
            let words = xs.len() / 2;
            let (at, mask) = (pivot / 64, 1u64 << (pivot % 64));
            put(&mut xs[at], mask, x);
            put(&mut zs[at], mask, z);
            put(&mut xs[words + at], mask, false);
            put(&mut zs[words + at], mask, column == qubit);
        }
        let at = self.words + pivot / 64;
        put(&mut self.signs[at], 1 << (pivot % 64), random);
        Measured { outcome: random, determined: false }
    }
    /// Measures two qubits in the Bell basis; `random` are the outcomes of phase and bit where the state does not
    /// determine them. Both qubits stay, in the states that were read.
    pub fn bell_measure(&mut self, first: usize, second: usize, random: [bool; 2]) -> BellIndex {
        self.cnot(first, second);
        self.apply(first, super::Clifford::H);
        let phase = self.measure(first, random[0]).outcome;
        let bit = self.measure(second, random[1]).outcome;
        BellIndex::new(bit, phase)
    }
    /// Puts `qubit` into |0⟩. `random` decides what its partners collapse to if it was entangled.
    pub fn reset(&mut self, qubit: usize, random: bool) {
        if self.measure(qubit, random).outcome {
            self.apply(qubit, super::Clifford::X);
        }
    }
    /// Takes `qubit` out of the state, measured in the Z basis: the qubits after it move down by one. When its outcome is
    /// not looked at this is the partial trace, sampled.
    pub fn measure_out(&mut self, qubit: usize, random: bool) -> Measured {
        let measured = self.measure(qubit, random);
        let row = self.isolate(qubit);
        self.remove(qubit, row);
        measured
    }

    /// Makes ±Z on `qubit`, of which the state is an eigenstate, a stabilizer of its own, which no other row knows of.
    /// Tells its row.
    fn isolate(&mut self, qubit: usize) -> usize {
        let words = self.words;
        let rows = self.x_column(qubit)[..words].to_vec();
        let word = rows.iter().position(|word| *word != 0).expect("Z is not the identity");
        let row = 64 * word + rows[word].trailing_zeros() as usize;
        let others = |word: usize| rows[word] & !if word == row / 64 { 1 << (row % 64) } else { 0 };
        // Z is the product of the stabilizers in these rows: make it one of them ..
        for word in 0..words {
            let mut bits = others(word);
            while bits != 0 {
                let by = 64 * word + bits.trailing_zeros() as usize;
                self.multiply_rows(words + row / 64, 1 << (row % 64), 1, by);
                bits &= bits - 1;
            }
        }
        // .. and let the other destabilizers commute with it again.
        for word in 0..words {
            self.multiply_rows(word, others(word), 0, row);
        }
        // All other rows have no X here now; times Z, no Z either.
        for word in 0..2 * words {
            let touching = self.z_column(qubit)[word] & !self.bit_of(word, row);
            self.multiply_rows(word, touching, 1, row);
        }
        row
    }
    /// The bit that stands for row `row` in word `word` of a column, for destabilizers and stabilizers alike.
    const fn bit_of(&self, word: usize, row: usize) -> u64 {
        if word % self.words == row / 64 { 1 << (row % 64) } else { 0 }
    }
    /// Removes a qubit that is a stabilizer of its own in `row`.
    fn remove(&mut self, qubit: usize, row: usize) {
        let last = self.qubits - 1;
        let column = 2 * self.words;
        self.x.drain(qubit * column..(qubit + 1) * column);
        self.z.drain(qubit * column..(qubit + 1) * column);
        self.qubits = last;
        for words in [&mut self.x, &mut self.z, &mut self.signs] {
            for half in words.chunks_exact_mut(self.words) {
                let moved = half[last / 64] >> (last % 64) & 1 == 1;
                put(&mut half[row / 64], 1 << (row % 64), moved);
                put(&mut half[last / 64], 1 << (last % 64), false);
            }
        }
        let words = words_for(last);
        if words < self.words {
            for bits in [&mut self.x, &mut self.z, &mut self.signs] {
                *bits = bits.chunks_exact(self.words).flat_map(|half| &half[..words]).copied().collect();
            }
            self.words = words;
        }
    }
    /// Multiplies the rows `rows` of word `word` by row `by` of a kind (0: destabilizers, 1: stabilizers), which is not
    /// among them.
    fn multiply_rows(&mut self, word: usize, rows: u64, kind: usize, by: usize) {
        if rows == 0 {
            return;
        }
        // Powers of i, row by row: two bits a row.
        let (mut low, mut high) = (0u64, 0u64);
        for qubit in 0..self.qubits {
            let x = self.bit(self.x_column(qubit), kind, by);
            let z = self.bit(self.z_column(qubit), kind, by);
            let (x1, z1) = (0u64.wrapping_sub(u64::from(x)), 0u64.wrapping_sub(u64::from(z)));
            let (xs, zs, _) = self.columns(qubit);
            let (plus, minus) = powers_of_i(x1, z1, xs[word], zs[word]);
            high ^= (plus & low) | (minus & !low);
            low ^= plus | minus;
            xs[word] ^= x1 & rows;
            zs[word] ^= z1 & rows;
        }
        let sign = 0u64.wrapping_sub(u64::from(self.bit(&self.signs, kind, by)));
        self.signs[word] ^= (sign ^ high) & rows;
    }
}

/// Sets or clears the bits of `mask`.
#[inline]
const fn put(word: &mut u64, mask: u64, value: bool) {
    *word = if value { *word | mask } else { *word & !mask };
}
