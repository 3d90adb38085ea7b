//! From devices to the few numbers that a herald depends on: efficiencies, visibilities, noise clicks.

use crate::parameter::{ParameterError, positive, probability};
use bellwether_units::{Angle, Duration, Frequency, Loss, Rate};
use libm::{exp, expm1};

/// What the light of a link's two ends meets in common.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Optics {
    /// The visibility of two-photon interference: the squared overlap of the ends' photons.
    pub visibility: f64,
    /// The probability that a detector clicks in a window without light.
    pub dark: f64,
    /// The standard deviation of the optical phase between the ends. Matters to single clicks alone.
    pub phase: Angle,
    /// The probability that an emitter is excited twice in one pulse, which dephases it. Matters to single clicks alone.
    pub double_excitation: f64,
    /// What is left of the coherence after everything that is not modelled: spectral and charge diffusion, off-resonant
    /// excitation. 1 if nothing is.
    pub unmodelled_coherence: f64,
}

impl Optics {
    /// Photons alike, no dark clicks, a stable phase.
    pub const IDEAL: Self = Self {
        visibility: 1.0,
        dark: 0.0,
        phase: Angle::from_radians(0.0),
        double_excitation: 0.0,
        unmodelled_coherence: 1.0,
    };

    /// Refuses what cannot be.
    pub(super) fn check(&self) -> Result<(), ParameterError> {
        probability("the visibility", self.visibility)?;
        probability("the probability of a dark click in a window", self.dark)?;
        probability("the probability of a double excitation", self.double_excitation)?;
        probability("the coherence left by what is not modelled", self.unmodelled_coherence)?;
        let phase = self.phase.radians();
        if phase >= 0.0 && phase.is_finite() {
            Ok(())
        } else {
            let what = "the standard deviation of the optical phase in radians";
            Err(ParameterError { what, value: phase, range: "0 or above and finite" })
        }
    }

    /// What fluctuating phases and double excitations of both ends leave of the coherence of a single click:
    /// `exp(-sigma^2 / 2) (1 - p2)^2` times what is not modelled.
    pub(super) fn single_click_coherence(&self) -> f64 {
        let once = 1.0 - self.double_excitation;
        let phase = self.phase.radians();
        exp(-phase * phase / 2.0) * once * once * self.unmodelled_coherence
    }

    /// Of two detectors and a window without light, the probability that exactly one clicks.
    pub(super) fn one_dark(&self) -> f64 {
        2.0 * self.dark * (1.0 - self.dark)
    }

    /// The probability that the detector that got no photon stays silent.
    pub(super) fn other_silent(&self) -> f64 {
        1.0 - self.dark
    }
}

/// What a photon passes from an emitter to a detector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arm {
    /// The probability that an excitation gives a photon, of the wanted line, in the fibre: branching, zero-phonon
    /// fraction, collection.
    pub collection: f64,
    /// The efficiency of frequency conversion; 1 without.
    pub conversion: f64,
    /// What fibre and filters lose.
    pub loss: Loss,
    /// The share of the photon's envelope that the detection window keeps.
    pub window: f64,
    /// The detector's efficiency.
    pub detection: f64,
}

impl Arm {
    /// The probability that an excitation leads to a click.
    ///
    /// # Errors
    /// A factor is no probability.
    pub fn efficiency(&self) -> Result<f64, ParameterError> {
        Ok(probability("the collection efficiency", self.collection)?
            * probability("the conversion efficiency", self.conversion)?
            * probability("the transmittance of fibre and filters", self.loss.transmittance())?
            * probability("the share of the photon in the window", self.window)?
            * probability("the detection efficiency", self.detection)?)
    }

    /// The share of an exponentially decaying photon that a window of this length from its beginning keeps.
    ///
    /// # Errors
    /// The lifetime is nothing.
    pub fn share_in_window(window: Duration, lifetime: Duration) -> Result<f64, ParameterError> {
        Ok(-expm1(-window.seconds() / positive("the emitter's lifetime in seconds", lifetime.seconds())?))
    }
}

/// The probability of a click in a window from noise of these rates together: dark counts, Raman light of other
/// channels, the noise of frequency conversion; each after the detector's efficiency.
///
/// # Errors
/// A rate is negative.
pub fn noise_click(rates: &[Rate], window: Duration) -> Result<f64, ParameterError> {
    let total: f64 = rates.iter().map(|rate| rate.per_second()).sum();
    match rates.iter().find(|rate| !(rate.per_second() >= 0.0 && rate.per_second().is_finite())) {
        None => Ok(-expm1(-total * window.seconds())),
        Some(rate) => {
            let what = "the rate of noise clicks a second";
            Err(ParameterError { what, value: rate.per_second(), range: "0 or above and finite" })
        }
    }
}

/// The visibility of exponential photons that arrive at times that differ by `offset`: `exp(-|dt| / tau)`.
///
/// # Errors
/// The lifetime is nothing.
pub fn arrival_visibility(offset: Duration, lifetime: Duration) -> Result<f64, ParameterError> {
    Ok(exp(-offset.seconds() / positive("the emitter's lifetime in seconds", lifetime.seconds())?))
}

/// The visibility of exponential photons whose lines differ by `detuning`: `1 / (1 + (2 pi df tau)^2)`.
///
/// # Errors
/// The lifetime is nothing.
pub fn detuning_visibility(detuning: Frequency, lifetime: Duration) -> Result<f64, ParameterError> {
    let lifetime = positive("the emitter's lifetime in seconds", lifetime.seconds())?;
    let turn = core::f64::consts::TAU * detuning.hertz() * lifetime;
    Ok(1.0 / (1.0 + turn * turn))
}

/// The visibility of photons from emitters with relaxation time T1 and coherence time T2: `T2 / (2 T1)`.
///
/// # Errors
/// The relaxation time is nothing, or coherence would last more than twice as long.
pub fn pure_dephasing_visibility(t1: Duration, t2: Duration) -> Result<f64, ParameterError> {
    let t1 = positive("the emitter's lifetime in seconds", t1.seconds())?;
    probability("the coherence time over twice the lifetime", t2.seconds() / (2.0 * t1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Overlaps of exponential wave packets, by summing `integral of a(t) b(t) exp(i w t)` in steps of tau/1000.
    #[test]
    fn visibilities_are_squared_overlaps() {
        let lifetime = Duration::from_nanoseconds(12);
        let (tau, steps) = (12e-9f64, 1000.0);
        for (offset, detuning) in [(5u64, 0.0), (0, 20e6), (0, 3e6), (30, 0.0)] {
            let start = offset as f64 * 1e-9;
            let (mut re, mut im) = (0.0, 0.0);
            for i in 0..40_000 {
                let t = (f64::from(i) + 0.5) * tau / steps;
                let other = t + start;
                let product = (-(t + other) / (2.0 * tau)).exp() / steps;
                let turn = std::f64::consts::TAU * detuning * t;
                re += product * turn.cos();
                im += product * turn.sin();
            }
            let overlap = re * re + im * im;
            let arrival = arrival_visibility(Duration::from_nanoseconds(offset), lifetime).unwrap();
            let told = arrival * detuning_visibility(Frequency::from_hertz(detuning), lifetime).unwrap();
            assert!((told - overlap).abs() < 1e-5, "{offset} ns, {detuning} Hz: {told} against {overlap}");
        }
    }

    #[test]
    fn an_arm_multiplies_what_it_passes() {
        let window =
            Arm::share_in_window(Duration::from_nanoseconds(25), Duration::from_nanoseconds(12)).unwrap();
        assert!((window - (1.0 - (-25.0f64 / 12.0).exp())).abs() < 1e-12);
        let arm = Arm {
            collection: 0.1,
            conversion: 0.17,
            loss: Loss::from_decibels(10.0),
            window,
            detection: 0.6,
        };
        assert!((arm.efficiency().unwrap() - 0.1 * 0.17 * 0.1 * window * 0.6).abs() < 1e-15);
        assert!(Arm { conversion: 1.2, ..arm }.efficiency().is_err());
        assert!(
            pure_dephasing_visibility(Duration::from_nanoseconds(1), Duration::from_nanoseconds(3)).is_err()
        );
        let dark = noise_click(
            &[Rate::from_per_second(15.0), Rate::from_per_second(5.0)],
            Duration::from_nanoseconds(25),
        );
        assert!((dark.unwrap() - 5e-7).abs() < 1e-12);
        assert!(noise_click(&[Rate::from_per_second(-1.0)], Duration::from_nanoseconds(1)).is_err());
    }
}
