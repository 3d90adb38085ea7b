//! Entanglement by two clicks: Barrett & Kok, Phys. Rev. A 71, 060310 (2005), and its forms in time bins or polarisations.
//!
//! Each node emits one photon in one of two modes, correlated with its spin; the herald is one click in each mode. Linear
//! optics tells only Psi+ and Psi- apart, hence the factor 1/2. The optical phase does not matter, and the pair is
//! Bell-diagonal.

use super::{Heralded, Optics};
use crate::parameter::{ParameterError, probability};

/// A double-click link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DoubleClick {
    /// The probability that a photon of each end is detected.
    pub efficiencies: [f64; 2],
    /// What the photons meet in common. Only visibility, dark clicks and what is not modelled matter.
    pub optics: Optics,
}

impl DoubleClick {
    /// What an attempt, of both rounds or modes, comes to.
    ///
    /// # Errors
    /// A parameter is no probability, or nothing can herald.
    pub fn heralded(&self) -> Result<Heralded, ParameterError> {
        self.optics.check()?;
        let [e, f] = self.efficiencies;
        for efficiency in self.efficiencies {
            probability("the efficiency of an end", efficiency)?;
        }
        let (none, one) = (self.optics.one_dark(), self.optics.other_silent());
        // Photons in different modes: each mode has one, or none. Photons in the same mode: the other mode is dark.
        let apart = 0.25 * (e * one + (1.0 - e) * none) * (f * one + (1.0 - f) * none);
        let bunched = e * f * (1.0 + self.optics.visibility) / 2.0;
        let same = (1.0 - e) * (1.0 - f) * none + (e * (1.0 - f) + f * (1.0 - e) + bunched) * one;
        let together = 0.25 * none * same;
        let coherence = 0.25 * e * f * one * one * self.optics.visibility * self.optics.unmodelled_coherence;
        Heralded::from_weights([together, apart, apart, together], coherence, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_without_noise() {
        let optics = Optics { visibility: 0.8, ..Optics::IDEAL };
        let heralded = DoubleClick { efficiencies: [0.3, 0.1], optics }.heralded().unwrap();
        assert!((heralded.probability - 0.3 * 0.1 / 2.0).abs() < 1e-15);
        assert!((heralded.fidelity() - 0.9).abs() < 1e-12);
        assert!(heralded.state.bell_diagonal().is_some());
        assert!(DoubleClick { efficiencies: [0.3, 1.1], optics }.heralded().is_err());
        assert!(DoubleClick { efficiencies: [0.3, 0.0], optics }.heralded().is_err());
    }
}
