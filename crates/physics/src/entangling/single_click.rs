//! Entanglement by a single click: Cabrillo, Cirac, García-Fernández & Zoller, Phys. Rev. A 59, 1025 (1999).
//!
//! Each node prepares `sqrt(a) |up, 1> + sqrt(1-a) |down, 0>`, where up comes with a photon. The photons meet at a beam
//! splitter; the herald is a click in exactly one of its two threshold detectors, which does not tell where the photon
//! came from. Two photons of which one was lost herald |up, up>, so that the fidelity is bounded by `1 - a`.

use super::{Heralded, Optics};
use crate::parameter::{ParameterError, probability};
use libm::sqrt;

/// One end of a single-click link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SingleClickEnd {
    /// The probability a of the bright state, which emits.
    pub bright: f64,
    /// The probability that an emitted photon is detected.
    pub efficiency: f64,
}

/// A single-click link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SingleClick {
    ends: [SingleClickEnd; 2],
    optics: Optics,
    counts_photons: bool,
}

impl SingleClick {
    /// A link between these ends, with detectors that do not tell one photon from two.
    pub const fn new(first: SingleClickEnd, second: SingleClickEnd, optics: Optics) -> Self {
        Self { ends: [first, second], optics, counts_photons: false }
    }

    /// The link with detectors that see two photons as such, and do not herald then.
    pub const fn counting_photons(mut self) -> Self {
        self.counts_photons = true;
        self
    }

    /// The link with its bright states chosen so that either end is as likely to have sent the photon that is detected,
    /// and `bright` is the larger of them.
    ///
    /// # Errors
    /// An efficiency is not above 0 and at most 1.
    pub fn balanced(mut self, bright: f64) -> Result<Self, ParameterError> {
        let [a, b] = self.ends.map(|end| end.efficiency);
        for efficiency in [a, b] {
            crate::parameter::chance("the efficiency of an end", efficiency)?;
        }
        let least = a.min(b);
        self.ends[0].bright = bright * least / a;
        self.ends[1].bright = bright * least / b;
        Ok(self)
    }

    /// The ends.
    pub const fn ends(&self) -> [SingleClickEnd; 2] {
        self.ends
    }

    /// What an attempt comes to.
    ///
    /// # Errors
    /// A parameter is no probability, or nothing can herald.
    pub fn heralded(&self) -> Result<Heralded, ParameterError> {
        self.optics.check()?;
        for end in self.ends {
            probability("the probability of the bright state", end.bright)?;
            probability("the efficiency of an end", end.efficiency)?;
        }
        let [(a, e), (b, f)] = self.ends.map(|end| (end.bright, end.efficiency));
        let (none, one) = (self.optics.one_dark(), self.optics.other_silent());
        // Two photons that both reach the beam splitter leave by one port with (1 + V) / 2.
        let bunched = if self.counts_photons { 0.0 } else { e * f * (1.0 + self.optics.visibility) / 2.0 };
        let both = (1.0 - e) * (1.0 - f) * none + (e * (1.0 - f) + f * (1.0 - e) + bunched) * one;
        let weights = [
            a * b * both,
            a * (1.0 - b) * (e * one + (1.0 - e) * none),
            b * (1.0 - a) * (f * one + (1.0 - f) * none),
            (1.0 - a) * (1.0 - b) * none,
        ];
        // One photon interferes with the vacuum: its coherence has the root of the visibility.
        let amplitude = sqrt(a * (1.0 - a) * b * (1.0 - b) * e * f * self.optics.visibility);
        Heralded::from_weights(weights, one * amplitude * self.optics.single_click_coherence(), true)
    }

    /// The balanced link of the largest bright probability, and with it the highest rate, whose pairs have at least this
    /// fidelity. `None` if no bright probability reaches it.
    ///
    /// # Errors
    /// As [`heralded`](Self::heralded) and [`balanced`](Self::balanced).
    pub fn brightest_with(&self, fidelity: f64) -> Result<Option<Self>, ParameterError> {
        let at = |bright: f64| Ok(self.balanced(bright)?.heralded()?.fidelity());
        // Dark clicks spoil dim links, two photons spoil bright ones: the fidelity rises to one maximum and falls. The
        // search goes over the logarithm, from links so dim that nobody would wait.
        let (mut low, mut high) = (-20.0f64, libm::log(0.5));
        for _ in 0..100 {
            let (left, right) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
            if at(libm::exp(left))? < at(libm::exp(right))? {
                low = left;
            } else {
                high = right;
            }
        }
        let mut enough = libm::exp(low);
        if at(enough)? < fidelity {
            return Ok(None);
        }
        let mut short = 1.0;
        for _ in 0..60 {
            let middle = (enough + short) / 2.0;
            if at(middle)? >= fidelity {
                enough = middle;
            } else {
                short = middle;
            }
        }
        self.balanced(enough).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(bright: f64) -> SingleClick {
        let end = SingleClickEnd { bright, efficiency: 0.01 };
        SingleClick::new(end, end, Optics { visibility: 0.95, dark: 1e-6, ..Optics::IDEAL })
    }

    #[test]
    fn the_limits_of_dim_links() {
        let end = SingleClickEnd { bright: 0.02, efficiency: 1e-4 };
        let heralded =
            SingleClick::new(end, end, Optics { visibility: 0.9, ..Optics::IDEAL }).heralded().unwrap();
        assert!((heralded.probability / (2.0 * 0.02 * 1e-4) - 1.0).abs() < 1e-3);
        assert!((heralded.fidelity() - 0.98 * (1.0 + 0.9f64.sqrt()) / 2.0).abs() < 1e-3);
    }

    #[test]
    fn the_brightest_link_has_the_fidelity_asked_for() {
        let brightest = link(0.0).brightest_with(0.9).unwrap().unwrap();
        assert!((brightest.heralded().unwrap().fidelity() - 0.9).abs() < 1e-9);
        let more = brightest.balanced(brightest.ends()[0].bright * 1.01).unwrap();
        assert!(more.heralded().unwrap().fidelity() < 0.9);
        assert_eq!(link(0.0).brightest_with(0.999).unwrap(), None);
    }

    #[test]
    fn balance_evens_out_unequal_arms() {
        let ends =
            [(0.0, 0.02), (0.0, 0.004)].map(|(bright, efficiency)| SingleClickEnd { bright, efficiency });
        let link = SingleClick::new(ends[0], ends[1], Optics::IDEAL).balanced(0.1).unwrap();
        assert_eq!(link.ends()[1].bright, 0.1);
        let heralded = link.heralded().unwrap();
        let even = SingleClick::new(
            SingleClickEnd { bright: 0.06, efficiency: 0.02 },
            SingleClickEnd { bright: 0.06, efficiency: 0.004 },
            Optics::IDEAL,
        );
        assert!(heralded.fidelity() > even.heralded().unwrap().fidelity() + 0.05);
    }

    #[test]
    fn impossible_links_are_refused() {
        assert!(link(1.1).heralded().is_err());
        let dark = SingleClickEnd { bright: 0.0, efficiency: 0.5 };
        let error = SingleClick::new(dark, dark, Optics::IDEAL).heralded().unwrap_err();
        assert!(error.to_string().contains("above 0"), "{error}");
        let end = SingleClickEnd { bright: 0.1, efficiency: 0.5 };
        for optics in [
            Optics { visibility: 1.5, ..Optics::IDEAL },
            Optics { dark: -0.1, ..Optics::IDEAL },
            Optics { phase: bellwether_units::Angle::from_radians(f64::NAN), ..Optics::IDEAL },
        ] {
            assert!(SingleClick::new(end, end, optics).heralded().is_err());
        }
    }
}
