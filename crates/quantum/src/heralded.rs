//! What a herald leaves in two memories: populations of the four basis states, and the coherence between the two in which
//! one memory is up and one down.

use crate::StateError;
use crate::bell::{BellDiagonal, BellIndex};
use crate::density::DensityMatrix;
use crate::error::distribution;
use num_complex::Complex64;

/// How far populations may differ and still count as equal: rounding of closed forms.
const ROUNDING: f64 = 1e-12;

/// The state of two memories after a herald: diag(uu, ud, du, dd) with one coherence between ud and du.
///
/// "Up" is the state that gives a photon; it is |0⟩ of the density matrix, so that the order of populations is that of the
/// basis. The first letter is the first memory. Single-click states have uu well above dd, which no Bell-diagonal pair has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeraldedState {
    populations: [f64; 4],
    coherence: Complex64,
}

impl HeraldedState {
    /// The state with populations of uu, ud, du, dd and the coherence ⟨ud|ρ|du⟩.
    ///
    /// Fails unless the populations are probabilities that sum to 1 and |coherence|² is at most the product of those of
    /// ud and du.
    pub fn new(populations: [f64; 4], coherence: Complex64) -> Result<Self, StateError> {
        let populations = distribution("the populations of a heralded state", populations)?;
        let most = libm::sqrt(populations[1] * populations[2]);
        let size = libm::sqrt(coherence.norm_sqr());
        if size <= most * (1.0 + ROUNDING) + ROUNDING {
            Ok(Self { populations, coherence })
        } else {
            Err(StateError::OutOfRange {
                what: "the coherence of a heralded state",
                value: size,
                low: 0.0,
                high: most,
            })
        }
    }
    /// The probability of the herald and the state it leaves, from the probabilities of the herald together with uu, ud,
    /// du and dd, and the coherence in the same measure. Fails as [`new`](Self::new) does, and when nothing heralds.
    pub fn from_weights(weights: [f64; 4], coherence: f64) -> Result<(f64, Self), StateError> {
        let probability: f64 = weights.iter().sum();
        let state = Self::new(
            weights.map(|weight| weight / probability),
            Complex64::new(coherence / probability, 0.0),
        )?;
        Ok((crate::error::probability("the probability of a herald", probability)?, state))
    }

    /// The populations of uu, ud, du and dd.
    pub const fn populations(&self) -> [f64; 4] {
        self.populations
    }
    /// ⟨ud|ρ|du⟩.
    pub const fn coherence(&self) -> Complex64 {
        self.coherence
    }
    /// The fidelity to a Bell state. Links herald Ψ⁺ or Ψ⁻, which of them the detector tells.
    pub fn fidelity(&self, index: BellIndex) -> f64 {
        let [uu, ud, du, dd] = self.populations;
        match (index.bit(), index.phase()) {
            (false, _) => 0.5 * (uu + dd),
            (true, false) => 0.5 * (ud + du) + self.coherence.re,
            (true, true) => 0.5 * (ud + du) - self.coherence.re,
        }
    }
    /// The state with its relative phase turned by `radians`: the optical phase between the arms, or π for the click of
    /// the other detector.
    pub fn turned(&self, radians: f64) -> Self {
        let (sin, cos) = libm::sincos(radians);
        Self { coherence: self.coherence * Complex64::new(cos, sin), ..*self }
    }
    /// The state that the other detector heralds: Ψ⁻ for Ψ⁺, exactly.
    pub fn other_detector(&self) -> Self {
        Self { coherence: -self.coherence, ..*self }
    }
    /// The state with its coherence multiplied by `factor`, between 0 and 1: dephasing of any kind.
    pub fn dephased(&self, factor: f64) -> Result<Self, StateError> {
        crate::error::probability("the coherence that is left", factor)?;
        Ok(Self { coherence: self.coherence * factor, ..*self })
    }
    /// The same as a Bell-diagonal pair, if it is one: uu as likely as dd, ud as du, and a real coherence. `None` else.
    pub fn bell_diagonal(&self) -> Option<BellDiagonal> {
        let [uu, ud, du, dd] = self.populations;
        let exact = libm::fabs(uu - dd) <= ROUNDING
            && libm::fabs(ud - du) <= ROUNDING
            && libm::fabs(self.coherence.im) <= ROUNDING;
        exact.then(|| self.pauli_twirled())
    }
    /// The Bell-diagonal pair with the same fidelities to the four Bell states: what random Pauli operators on both
    /// memories leave. The imbalance of populations and the phase of the coherence are lost.
    pub fn pauli_twirled(&self) -> BellDiagonal {
        let [uu, ud, du, dd] = self.populations;
        let (phi, psi) = (0.5 * (uu + dd), 0.5 * (ud + du));
        let coherence = self.coherence.re;
        BellDiagonal::from_array([phi, phi, f64::max(0.0, psi + coherence), f64::max(0.0, psi - coherence)])
    }
    /// The concurrence: 2 (|coherence| - √(uu dd)), or 0 (Yu & Eberly, Quantum Inf. Comput. 7, 459 (2007)).
    pub fn concurrence(&self) -> f64 {
        let [uu, _, _, dd] = self.populations;
        f64::max(0.0, 2.0 * (libm::sqrt(self.coherence.norm_sqr()) - libm::sqrt(uu * dd)))
    }
}

impl From<HeraldedState> for DensityMatrix {
    fn from(state: HeraldedState) -> Self {
        let mut entries = [Complex64::new(0.0, 0.0); 16];
        for (i, population) in state.populations.into_iter().enumerate() {
            entries[5 * i].re = population;
        }
        entries[4 + 2] = state.coherence;
        entries[8 + 1] = state.coherence.conj();
        Self::two_qubits(entries)
    }
}
