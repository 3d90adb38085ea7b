//! States of entangled qubits, in tiers that cost what they must and no more.
//!
//! - [`bell`]: pairs that are mixtures of the four Bell states, as four probabilities, with exact rules for noise,
//!   swapping and purification. A rule is a few dozen multiplications.
//! - [`tableau`]: any number of qubits under Clifford gates and sampled Pauli errors, as stabilizer tableaux.
//! - [`density`]: up to ten qubits in any state, as a density matrix, with gates, channels and measurements.
//! - [`pair`]: one pair in the cheapest of these forms that is exact, promoted by itself, twirled only on request.
//! - [`store`]: qubits by handle, whose joint states merge, grow, shrink and age by themselves.
//! - [`HeraldedState`]: what a link heralds, populations and a coherence, before it is known which tier it needs.
//! - [`MemoryNoise`] and [`Aged`]: what time does to a stored pair, applied when someone looks.
//!
//! A rule of a cheaper tier stands here only where it is exact. Nothing in this room draws a random number: a
//! measurement tells the probability and the state of each outcome, or takes the number from its caller.
//!
//! ```
//! use bellwether_quantum::bell::{BellDiagonal, BellIndex, SwapQuality};
//! use bellwether_quantum::density::DensityMatrix;
//!
//! let link = BellDiagonal::werner(0.95)?;
//! let far = link.swap(&link, &SwapQuality::PERFECT);
//! assert!((far.fidelity() - 0.9033333333333333).abs() < 1e-12);
//!
//! let exact = DensityMatrix::from(far);
//! assert!((exact.bell_fidelity(0, 1, BellIndex::PHI_PLUS) - far.fidelity()).abs() < 1e-12);
//! # Ok::<(), bellwether_quantum::StateError>(())
//! ```

mod aged;
pub mod bell;
pub mod density;
mod error;
mod heralded;
mod memory;
pub mod pair;
pub mod store;
pub mod tableau;

pub use aged::{Aged, Ages};
pub use error::StateError;
pub use heralded::HeraldedState;
pub use memory::{Decay, Dephasing, MemoryNoise};
pub use num_complex::Complex64;

/// Which of the two qubits of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Half {
    /// The first qubit: qubit 0 of the pair's density matrix.
    First,
    /// The second qubit: qubit 1 of the pair's density matrix.
    Second,
}

impl Half {
    /// Both halves, in the order of their qubits.
    pub const BOTH: [Self; 2] = [Self::First, Self::Second];

    /// The other qubit of the pair.
    pub const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
    /// 0 for the first, 1 for the second.
    pub const fn index(self) -> usize {
        self as usize
    }
}
