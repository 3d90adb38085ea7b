//! A source of photon pairs by parametric down-conversion between two nodes that catch the photons.
//!
//! Pulses have n pairs with `(n+1) l^n / (1+l)^(n+2)`, where `l = sinh^2 chi` and the mean is `2 l`; both ends have
//! threshold detection (Ma, Fung & Lo, Phys. Rev. A 76, 012307 (2007)). Where memories catch the photons, the efficiency
//! has their heralded absorption in it, and whatever several pairs in a pulse do counts as error. The singlet looks alike
//! in every basis, so that the heralded pair is a Werner pair.

use super::Heralded;
use crate::parameter::{ParameterError, positive, probability};

/// A source of photon pairs between two nodes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairSource {
    /// The mean number of pairs in a pulse.
    pub mean_pairs: f64,
    /// The probability that each end catches or detects its photon.
    pub efficiencies: [f64; 2],
    /// The probability that each end, all its detectors together, clicks without light.
    pub darks: [f64; 2],
    /// The probability that a pair's outcomes disagree for being misaligned: 0 to 0.5.
    pub misalignment: f64,
}

impl PairSource {
    /// What a pulse comes to: the probability that both ends have a click (the gain Q), and the pair. Its error in every
    /// basis is E with `E Q = Q/2 - (1 - 2 e_d) eA eB l (1+l) / (A B C)`. There is one port: which Bell state a source
    /// makes is known.
    ///
    /// # Errors
    /// A parameter is no probability, the mean is not above 0, or nothing can herald.
    pub fn heralded(&self) -> Result<Heralded, ParameterError> {
        let (gain, error) = self.gain_and_error()?;
        let (same, apart) = (gain * error / 2.0, gain * (1.0 - error) / 2.0);
        Heralded::from_weights([same, apart, apart, same], gain * (1.0 - 2.0 * error) / 2.0, false)
    }

    /// The probability that both ends have a click, and how often they disagree then.
    ///
    /// # Errors
    /// As [`heralded`](Self::heralded).
    pub fn gain_and_error(&self) -> Result<(f64, f64), ParameterError> {
        let l = positive("the mean number of pairs", self.mean_pairs)? / 2.0;
        for value in self.efficiencies {
            probability("the efficiency of an end", value)?;
        }
        for value in self.darks {
            probability("the probability of a dark click of an end", value)?;
        }
        let misalignment = self.misalignment;
        if !(0.0..=0.5).contains(&misalignment) {
            return Err(ParameterError { what: "the misalignment", value: misalignment, range: "0 to 0.5" });
        }
        let ([e, f], [dark_e, dark_f]) = (self.efficiencies, self.darks);
        let (a, b, c) = (1.0 + e * l, 1.0 + f * l, 1.0 + (e + f - e * f) * l);
        // 1 - (1-y)/A^2 and so on, with the 1 taken out so that small gains keep their digits: of both ends silent less
        // each silent, what is left is what both see.
        let (silent_e, silent_f) = ((1.0 - dark_e) / (a * a), (1.0 - dark_f) / (b * b));
        let neither = (1.0 - dark_e) * (1.0 - dark_f) / (c * c);
        // neither - silent_e silent_f = (1-yA)(1-yB) (AB - C)(AB + C) / (ABC)^2, and AB - C = eA eB l (1 + l).
        let shared = e * f * l * (1.0 + l);
        let abc = a * b * c;
        let excess = (1.0 - dark_e) * (1.0 - dark_f) * shared * (a * b + c) / (abc * abc);
        let gain = (1.0 - silent_e) * (1.0 - silent_f) + excess;
        debug_assert!(libm::fabs(1.0 - silent_e - silent_f + neither - gain) < 1e-12);
        if gain <= 0.0 {
            let (what, range) =
                ("the probability of a herald", "above 0: give some light or some dark clicks");
            return Err(ParameterError { what, value: gain, range });
        }
        let error = 0.5 - (1.0 - 2.0 * self.misalignment) * shared / (abc * gain);
        Ok((gain, error.clamp(0.0, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_high_loss_errors_come_from_double_pairs() {
        let source =
            PairSource { mean_pairs: 0.02, efficiencies: [1e-3, 1e-3], darks: [0.0; 2], misalignment: 0.0 };
        let (gain, error) = source.gain_and_error().unwrap();
        // Mean pairs 2l times eta^2 to first order; error near l.
        assert!((gain / (0.02 * 1e-6) - 1.0).abs() < 0.04, "{gain}");
        assert!((error / 0.01 - 1.0).abs() < 0.05, "{error}");
        let heralded = source.heralded().unwrap();
        assert!((heralded.fidelity() - (1.0 - 1.5 * error)).abs() < 1e-12);
        assert!(heralded.state.bell_diagonal().is_some() && !heralded.two_ports);
    }

    #[test]
    fn impossible_sources_are_refused() {
        let source =
            PairSource { mean_pairs: 0.1, efficiencies: [0.1; 2], darks: [0.0; 2], misalignment: 0.0 };
        assert!(PairSource { mean_pairs: 0.0, ..source }.heralded().is_err());
        assert!(PairSource { efficiencies: [0.0, 0.1], ..source }.heralded().is_err());
        assert!(PairSource { darks: [2.0, 0.0], ..source }.heralded().is_err());
        assert!(PairSource { misalignment: 0.6, ..source }.heralded().is_err());
    }
}
