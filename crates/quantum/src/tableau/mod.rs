//! Stabilizer tableaux: pure stabilizer states of any number of qubits, under Clifford gates, Pauli errors and Pauli
//! measurements (Aaronson & Gottesman, Phys. Rev. A 70, 052328 (2004)).
//!
//! Bits are packed by columns: for each qubit one word holds its X part in 64 rows, another its Z part, so that a gate on up
//! to 64 qubits touches two words of destabilizers and stabilizers each. Measurements multiply rows, all of them at once.
//!
//! Noise is sampled: a tableau is one trajectory, and the average over many is the mixed state. Measurements take a random
//! bit from their caller, which is used when the outcome is not determined; then both outcomes are equally likely, whatever
//! errors there were.

mod convert;
mod gate;
mod measure;
mod pauli;

pub use gate::Clifford;
pub use measure::Measured;
pub use pauli::PauliString;

/// A pure stabilizer state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tableau {
    qubits: usize,
    /// Words for the rows of one kind.
    words: usize,
    /// The X part, qubit by qubit: `words` of destabilizers, then `words` of stabilizers.
    x: Vec<u64>,
    /// The Z part, likewise.
    z: Vec<u64>,
    /// Whether the row is negative: `words` of destabilizers (without meaning), then `words` of stabilizers.
    signs: Vec<u64>,
}

/// Words for so many bits.
const fn words_for(bits: usize) -> usize {
    bits.div_ceil(64)
}

impl Tableau {
    /// `qubits` qubits, all in |0⟩.
    pub fn zeros(qubits: usize) -> Self {
        let words = words_for(qubits);
        let column = 2 * words;
        let mut state = Self {
            qubits,
            words,
            x: vec![0; qubits * column],
            z: vec![0; qubits * column],
            signs: vec![0; column],
        };
        for qubit in 0..qubits {
            state.x[qubit * column + qubit / 64] = 1 << (qubit % 64);
            state.z[qubit * column + words + qubit / 64] = 1 << (qubit % 64);
        }
        state
    }
    /// How many qubits.
    pub const fn qubits(&self) -> usize {
        self.qubits
    }

    /// This state beside `other`, whose qubits are numbered after these.
    pub fn tensor(&self, other: &Self) -> Self {
        let mut joint = Self::zeros(self.qubits + other.qubits);
        joint.x.fill(0);
        joint.z.fill(0);
        for (state, from) in [(self, 0), (other, self.qubits)] {
            for kind in 0..2 {
                for qubit in 0..state.qubits {
                    for (source, target) in [(&state.x, &mut joint.x), (&state.z, &mut joint.z)] {
                        let at = (2 * qubit + kind) * state.words;
                        let to = (2 * (from + qubit) + kind) * joint.words;
                        merge_bits(&mut target[to..to + joint.words], &source[at..at + state.words], from);
                    }
                }
                let (at, to) = (kind * state.words, kind * joint.words);
                merge_bits(&mut joint.signs[to..to + joint.words], &state.signs[at..at + state.words], from);
            }
        }
        joint
    }
    /// The same state with its qubits in another order: new qubit i is old qubit `order[i]`.
    ///
    /// Panics unless `order` names every qubit once.
    pub fn reordered(&self, order: &[usize]) -> Self {
        assert_eq!(order.len(), self.qubits, "an order names every qubit");
        let column = 2 * self.words;
        let mut state = self.clone();
        for (new, old) in order.iter().enumerate() {
            assert!(!order[..new].contains(old), "qubit {old} named twice");
            let (to, from) = (new * column, old * column);
            state.x[to..to + column].copy_from_slice(&self.x[from..from + column]);
            state.z[to..to + column].copy_from_slice(&self.z[from..from + column]);
        }
        state
    }

    #[track_caller]
    fn check(&self, qubit: usize) {
        assert!(qubit < self.qubits, "qubit {qubit} of {}", self.qubits);
    }
    /// The columns of the X and the Z part of a qubit, and the signs.
    #[inline]
    fn columns(&mut self, qubit: usize) -> (&mut [u64], &mut [u64], &mut [u64]) {
        let column = 2 * self.words;
        let range = qubit * column..(qubit + 1) * column;
        (&mut self.x[range.clone()], &mut self.z[range], &mut self.signs)
    }
    /// Whether row `row` of a kind (0: destabilizers, 1: stabilizers) is set in a column of `bits`.
    #[inline]
    fn bit(&self, bits: &[u64], kind: usize, row: usize) -> bool {
        bits[kind * self.words + row / 64] >> (row % 64) & 1 == 1
    }
    #[inline]
    fn x_column(&self, qubit: usize) -> &[u64] {
        &self.x[qubit * 2 * self.words..(qubit + 1) * 2 * self.words]
    }
    #[inline]
    fn z_column(&self, qubit: usize) -> &[u64] {
        &self.z[qubit * 2 * self.words..(qubit + 1) * 2 * self.words]
    }
}

/// `target |= source << shift`, across words.
fn merge_bits(target: &mut [u64], source: &[u64], shift: usize) {
    let (words, bits) = (shift / 64, shift % 64);
    for (i, word) in source.iter().enumerate() {
        if *word == 0 {
            continue;
        }
        target[i + words] |= word << bits;
        if bits > 0 && word >> (64 - bits) != 0 {
            target[i + words + 1] |= word >> (64 - bits);
        }
    }
}
