//! Entanglement by one photon that is reflected from both nodes in turn, as with silicon vacancies in cavities.
//!
//! A photon in two time bins, often a weak coherent pulse, takes a phase from the spin of the first node and then from that
//! of the second, and is measured at the end so that it is not told in which bin it was. The nodes need no common
//! optical phase. Model and figures told from memory of the experiments (Knaut et al., Nature 629, 573 (2024)), not
//! compared with their supplements.

use super::Heralded;
use crate::parameter::{ParameterError, probability};
use libm::{exp, expm1};

/// A serial reflection link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SerialReflection {
    /// The mean number of photons in the pulse that meets the first node.
    pub mean_photons: f64,
    /// The probability that a photon which meets the first node is detected: both reflections, the fibre between the
    /// nodes and the detector.
    pub efficiency: f64,
    /// The probability that the detectors click without light, within the pulse's two bins.
    pub dark: f64,
    /// What imperfect reflection (finite cooperativity, interferometers, scattering) leaves of the pair's coherence.
    pub contrast: f64,
}

impl SerialReflection {
    /// What a pulse comes to. A click heralds; photons that were lost on the way have seen a spin and dephase it, which
    /// leaves `exp(-mu (1 - e))`: an error of `mu (1 - e) / 2` to first order. A dark click alone leaves nothing.
    ///
    /// # Errors
    /// A parameter is no probability, the mean is negative, or nothing can herald.
    pub fn heralded(&self) -> Result<Heralded, ParameterError> {
        let mean = self.mean_photons;
        if !(mean >= 0.0 && mean.is_finite()) {
            let what = "the mean number of photons";
            return Err(ParameterError { what, value: mean, range: "0 or above and finite" });
        }
        let e = probability("the efficiency from the first node to the detector", self.efficiency)?;
        let dark = probability("the probability of a dark click", self.dark)?;
        let contrast = probability("the contrast of reflection", self.contrast)?;
        let light = -expm1(-mean * e);
        let click = light + dark * (1.0 - light);
        // Without a photon the spins are left as prepared, all four basis states alike.
        let (noise, pair) = (dark * (1.0 - light) / 4.0, light / 2.0);
        let coherence = pair * contrast * exp(-mean * (1.0 - e));
        debug_assert!(libm::fabs(4.0 * noise + 2.0 * pair - click) < 1e-12);
        Heralded::from_weights([noise, noise + pair, noise + pair, noise], coherence, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All numbers of detected and lost photons: a pair keeps its phase if none was lost.
    #[test]
    fn weak_pulses_agree_with_their_photon_numbers() {
        let link = SerialReflection { mean_photons: 0.3, efficiency: 0.2, dark: 0.0, contrast: 1.0 };
        let (mut clicks, mut whole) = (0.0, 0.0);
        let poisson =
            |n: i32, mean: f64| mean.powi(n) * (-mean).exp() / (1..=n).map(f64::from).product::<f64>();
        for detected in 0..20 {
            for lost in 0..20 {
                let p = poisson(detected, 0.06) * poisson(lost, 0.24);
                clicks += if detected > 0 { p } else { 0.0 };
                whole += if detected > 0 && lost == 0 { p } else { 0.0 };
            }
        }
        let heralded = link.heralded().unwrap();
        assert!((heralded.probability - clicks).abs() < 1e-12);
        assert!((heralded.fidelity() - (1.0 + whole / clicks) / 2.0).abs() < 1e-12);
        let dim = SerialReflection { mean_photons: 0.01, ..link }.heralded().unwrap();
        assert!((1.0 - dim.fidelity() - 0.01 * 0.8 / 2.0).abs() < 1e-4);
        assert!(SerialReflection { mean_photons: 0.0, ..link }.heralded().is_err());
        assert!(SerialReflection { mean_photons: f64::NAN, ..link }.heralded().is_err());
    }
}
