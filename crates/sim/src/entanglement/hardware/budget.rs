//! What the fidelity of a pair was lost to.
//!
//! The measure is the logarithm of the Werner parameter w = (4F - 1)/3 of the pair's fidelity to its best Bell state: what
//! swaps and Pauli noise do to Werner states multiplies w, so that losses add. For other states every step is told by what
//! it changed, and the sum is still exactly what was lost from the perfect pair to the end.

use bellwether_quantum::pair::PairState;

/// To what fidelity is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The link's herald left less than a Bell pair.
    Link,
    /// The halves waited in memories.
    Memory,
    /// Attempts with a neighbouring qubit disturbed the memory.
    Attempts,
    /// The gate and readouts of swaps, and what swapping unlike pairs costs.
    Swap,
    /// Moving a half from the qubit that made it to one that stores it.
    Move,
    /// The gate that turns the pair into the wanted Bell state.
    Correction,
    /// Purification: what it wins counts as a negative loss.
    Purification,
}

impl Source {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Link,
        Self::Memory,
        Self::Attempts,
        Self::Swap,
        Self::Move,
        Self::Correction,
        Self::Purification,
    ];

    /// A word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Memory => "memory",
            Self::Attempts => "attempts",
            Self::Swap => "swap",
            Self::Move => "move",
            Self::Correction => "correction",
            Self::Purification => "purification",
        }
    }
}

/// The least Werner parameter that is told from none.
const LEAST: f64 = 1e-9;

/// Losses by source, as falls of ln w.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Budget([f64; Source::ALL.len()]);

impl Budget {
    /// ln w of a state's fidelity to its best Bell state; of a state that is not better than random, that of a billionth.
    pub fn quality(state: &PairState) -> f64 {
        let best = state.bell_probabilities().into_iter().fold(0.0, f64::max);
        libm::log(f64::max((4.0 * best - 1.0) / 3.0, LEAST))
    }
    pub(crate) fn add(&mut self, source: Source, loss: f64) {
        self.0[source as usize] += loss;
    }
    pub(crate) fn joined(&self, other: &Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i] + other.0[i]))
    }
    /// What was lost to a source.
    pub const fn loss(&self, source: Source) -> f64 {
        self.0[source as usize]
    }
    /// What was lost to all.
    pub fn total(&self) -> f64 {
        self.0.iter().sum()
    }
}
