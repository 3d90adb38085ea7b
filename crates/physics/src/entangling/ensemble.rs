//! Entanglement of ensembles of atoms: Duan, Lukin, Cirac & Zoller, Nature 414, 413 (2001), with many modes.
//!
//! A write pulse leaves n excitations of a spin wave and n photons with `(1-p) p^n` in each of two ensembles; one click
//! behind a beam splitter leaves one excitation in common. What the memories hold is a number of excitations, with vacuum
//! and pairs of excitations in it: kept as such, not folded into a fidelity. Terms of three excitations and more, of order
//! p^2, are left out.

use super::{Heralded, Optics};
use crate::parameter::{ParameterError, probability, within};
use bellwether_quantum::HeraldedState;
use libm::{expm1, fabs, log1p, sqrt};

/// Two ensembles with a station between them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ensemble {
    /// The probability p that a write pulse makes an excitation in one mode of one ensemble: well below 1.
    pub write_probability: f64,
    /// The probability that a photon of either ensemble is detected.
    pub efficiency: f64,
    /// How many modes one attempt has, in time, space or frequency.
    pub modes: u32,
    /// What the photons meet in common.
    pub optics: Optics,
}

/// The excitations that two memories give back: none, one in the first or the second, one or more in both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NumberState {
    /// The probabilities of 00, 01, 10 and 11.
    pub populations: [f64; 4],
    /// The coherence between 01 and 10: at least this much.
    pub coherence: f64,
}

impl Ensemble {
    fn check(&self) -> Result<(), ParameterError> {
        self.optics.check()?;
        probability("the efficiency of an end", self.efficiency)?;
        within("the number of modes", self.modes as usize, 1, u32::MAX as usize, "at least 1")?;
        let (p, what) = (self.write_probability, "the write probability");
        if p > 0.0 && p <= 0.25 {
            Ok(())
        } else {
            Err(ParameterError { what, value: p, range: "above 0, at most 0.25" })
        }
    }

    /// The probabilities of a click together with one excitation in all, with one in each ensemble, and with two in one
    /// given ensemble; of the first, the part whose photon was detected.
    fn clicks(&self) -> [f64; 4] {
        let (p, e) = (self.write_probability, self.efficiency);
        let (none, one) = (self.optics.one_dark(), self.optics.other_silent());
        let vacuum = (1.0 - p) * (1.0 - p);
        let seen = 2.0 * vacuum * p * e * one;
        let single = seen + 2.0 * vacuum * p * (1.0 - e) * none;
        let lost = (1.0 - e) * (1.0 - e) * none + 2.0 * e * (1.0 - e) * one;
        let each = vacuum * p * p * (lost + e * e * (1.0 + self.optics.visibility) / 2.0 * one);
        // Two photons of one ensemble go by one port together half of the time.
        let twice = vacuum * p * p * (lost + e * e / 2.0 * one);
        [single, each, twice, seen]
    }

    /// The probability that one mode is heralded: `2 p eta` to first order.
    ///
    /// # Errors
    /// The write probability is not above 0 and at most 0.25, or another parameter is out of its range.
    pub fn mode_success(&self) -> Result<f64, ParameterError> {
        self.check()?;
        let [single, each, twice, _] = self.clicks();
        Ok(single + each + 2.0 * twice + self.dark())
    }

    /// The probability of a dark click without any excitation.
    fn dark(&self) -> f64 {
        let none = 1.0 - self.write_probability;
        none * none * self.optics.one_dark()
    }

    /// The probability that an attempt is heralded by any mode: `1 - (1 - p1)^M`.
    ///
    /// # Errors
    /// As [`mode_success`](Self::mode_success).
    pub fn success(&self) -> Result<f64, ParameterError> {
        Ok(-expm1(f64::from(self.modes) * log1p(-self.mode_success()?)))
    }

    /// What a heralded mode gives back when each memory retrieves with efficiency `retrieval`.
    ///
    /// # Errors
    /// As [`mode_success`](Self::mode_success), or `retrieval` is no probability, or nothing can herald.
    pub fn retrieved(&self, retrieval: f64) -> Result<NumberState, ParameterError> {
        let r = probability("the retrieval efficiency", retrieval)?;
        let success = self.mode_success()?;
        if success <= 0.0 {
            let (what, range) =
                ("the probability of a herald", "above 0: give some light or some dark clicks");
            return Err(ParameterError { what, value: success, range });
        }
        let [single, each, twice, seen] = self.clicks();
        let lost = 1.0 - r;
        let one = single / 2.0 * r + each * r * lost + twice * (1.0 - lost * lost);
        let both = each * r * r;
        let nothing = self.dark() + single * lost + (each + 2.0 * twice) * lost * lost;
        let populations = [nothing, one, one, both].map(|weight| weight / success);
        let kept = sqrt(self.optics.visibility) * self.optics.single_click_coherence();
        Ok(NumberState { populations, coherence: seen / 2.0 * r * kept / success })
    }

    /// The correlation of write and read photons of one mode, `g2 = 1 + 1/p`.
    ///
    /// # Errors
    /// As [`mode_success`](Self::mode_success).
    pub fn cross_correlation(&self) -> Result<f64, ParameterError> {
        self.check()?;
        Ok(1.0 + 1.0 / self.write_probability)
    }
}

impl NumberState {
    /// The concurrence in the space of at most one excitation each: `max(0, 2 |d| - 2 sqrt(p00 p11))` (Chou et al., Nature
    /// 438, 828 (2005)), a lower bound for the whole state.
    pub fn concurrence(&self) -> f64 {
        let [p00, _, _, p11] = self.populations;
        f64::max(0.0, 2.0 * fabs(self.coherence) - 2.0 * sqrt(p00 * p11))
    }

    /// Two such links side by side, of which only outcomes with one excitation at each node are kept: an effective pair of
    /// qubits, each by the link that holds its excitation. The probability of keeping, and the state kept.
    ///
    /// # Errors
    /// Nothing is ever kept.
    pub fn kept_with(&self, other: &Self) -> Result<Heralded, ParameterError> {
        let ([a00, a01, a10, a11], [b00, b01, b10, b11]) = (self.populations, other.populations);
        let weights = [a11 * b00, a10 * b01, a01 * b10, a00 * b11];
        Heralded::from_weights(weights, self.coherence * other.coherence, false)
    }

    /// The same as a two-qubit state, with an excitation as "up".
    pub fn as_qubits(&self) -> Option<HeraldedState> {
        let [p00, p01, p10, p11] = self.populations;
        HeraldedState::from_weights([p11, p10, p01, p00], self.coherence).ok().map(|(_, state)| state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(write_probability: f64) -> Ensemble {
        Ensemble { write_probability, efficiency: 0.02, modes: 1, optics: Optics::IDEAL }
    }

    #[test]
    fn weak_writing_shares_one_excitation() {
        let weak = link(1e-5);
        assert!((weak.mode_success().unwrap() / (2.0 * 1e-5 * 0.02) - 1.0).abs() < 1e-3);
        let state = weak.retrieved(0.6).unwrap();
        assert!((state.populations[1] - 0.3).abs() < 1e-4 && (state.coherence - 0.3).abs() < 1e-4);
        // Half of two such links have one excitation at each node, and both must come back.
        let kept = state.kept_with(&state).unwrap();
        assert!((kept.probability - 0.6 * 0.6 / 2.0).abs() < 1e-4);
        assert!(kept.fidelity() > 0.999);
        assert!(state.as_qubits().unwrap().concurrence() > 0.59);
    }

    #[test]
    fn strong_writing_spoils_entanglement() {
        let (weak, strong) = (link(0.005).retrieved(0.5).unwrap(), link(0.05).retrieved(0.5).unwrap());
        assert!(weak.concurrence() > strong.concurrence() + 0.05, "{weak:?} {strong:?}");
        assert!(weak.kept_with(&weak).unwrap().fidelity() > strong.kept_with(&strong).unwrap().fidelity());
    }

    #[test]
    fn modes_multiply_rare_heralds() {
        let many = Ensemble { modes: 62, ..link(0.01) };
        let ratio = many.success().unwrap() / many.mode_success().unwrap();
        assert!((ratio / 62.0 - 1.0).abs() < 0.02, "{ratio}");
        assert_eq!(many.cross_correlation().unwrap(), 101.0);
        assert!(Ensemble { modes: 0, ..many }.success().is_err());
        assert!(link(0.5).success().is_err());
        assert!(many.retrieved(1.5).is_err());
    }
}
