//! Photons that classical channels in the same fibre scatter into the quantum channel by the Raman effect.
//!
//! Eraerds, Walenta, Legré, Gisin & Zbinden, New J. Phys. 12, 063027 (2010): with attenuations `a` in natural
//! units per length, pump power P and coefficient ρ,
//! forward  P_in ρ Δλ (e^(-a_c L) - e^(-a_q L)) / (a_q - a_c), which for equal attenuations is P_out L ρ Δλ;
//! backward P_in ρ Δλ (1 - e^(-(a_c + a_q) L)) / (a_c + a_q).

use crate::fibre::{Fibre, SPEED_OF_LIGHT};
use bellwether_units::{Duration, LossPerLength, Power, RamanCoefficient, Wavelength};

/// Planck's constant in joule seconds (exact, SI).
const PLANCK: f64 = 6.626_070_15e-34;

/// Which way a classical channel runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// With the quantum signal.
    CoPropagating,
    /// Against it.
    CounterPropagating,
}

/// A classical channel that shares the fibre.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassicalChannel {
    /// Which way it runs.
    pub direction: Direction,
    /// The power that its laser puts into the fibre.
    pub launch_power: Power,
    /// The fibre's attenuation at its wavelength.
    pub attenuation: LossPerLength,
    /// The strength of scattering from its wavelength into that of the quantum channel.
    pub coefficient: RamanCoefficient,
}

/// How the receiver selects the quantum channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuantumChannel {
    /// Its wavelength.
    pub wavelength: Wavelength,
    /// The width of the receiver's filter.
    pub bandwidth: Wavelength,
    /// The window in which a detection counts.
    pub gate: Duration,
}

/// Why Raman noise cannot be told.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RamanError {
    /// A power, width or coefficient is negative or not a number.
    #[error("the {0} of a Raman calculation is negative or not a number")]
    Negative(&'static str),
}

fn checked(what: &'static str, value: f64) -> Result<f64, RamanError> {
    if value.is_finite() && value >= 0.0 { Ok(value) } else { Err(RamanError::Negative(what)) }
}

impl ClassicalChannel {
    /// A co-propagating channel whose power at the far end of `fibre` is `received`, at the fibre's own attenuation.
    pub fn co_propagating_received(fibre: &Fibre, received: Power, coefficient: RamanCoefficient) -> Self {
        let line = fibre.attenuation() * fibre.length();
        Self {
            direction: Direction::CoPropagating,
            launch_power: Power::from_watts(received.watts() / line.transmittance()),
            attenuation: fibre.attenuation(),
            coefficient,
        }
    }

    /// The power that this channel scatters into the band of `quantum` at the receiver's end of `fibre`.
    pub fn scattered_power(&self, fibre: &Fibre, quantum: &QuantumChannel) -> Result<Power, RamanError> {
        let natural = |a: LossPerLength| a.decibels_per_kilometre() * core::f64::consts::LN_10 / 10.0;
        let classical = natural(LossPerLength::from_decibels_per_kilometre(checked(
            "attenuation",
            self.attenuation.decibels_per_kilometre(),
        )?));
        let signal = natural(fibre.attenuation());
        let length = fibre.length().kilometres();
        // 1 - e^(-a L) over a, which is L where a vanishes.
        let effective = |a: f64| {
            if libm::fabs(a * length) < 1e-12 { length } else { -libm::expm1(-a * length) / a }
        };
        let kilometres = match self.direction {
            Direction::CoPropagating => libm::exp(-classical * length) * effective(signal - classical),
            Direction::CounterPropagating => effective(signal + classical),
        };
        let power = checked("launch power", self.launch_power.watts())?
            * checked("coefficient", self.coefficient.per_kilometre_nanometre())?
            * checked("bandwidth", quantum.bandwidth.nanometres())?
            * kilometres;
        Ok(Power::from_watts(power))
    }

    /// The mean number of photons that reach the receiver in a gate.
    pub fn photons_per_gate(&self, fibre: &Fibre, quantum: &QuantumChannel) -> Result<f64, RamanError> {
        let metres = checked("wavelength", quantum.wavelength.nanometres())? * 1e-9;
        let energy = PLANCK * SPEED_OF_LIGHT / metres;
        Ok(self.scattered_power(fibre, quantum)?.watts() / energy * quantum.gate.seconds())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_units::Length;

    fn fibre(attenuation: f64) -> Fibre {
        Fibre::new(Length::from_kilometres(50.0), LossPerLength::from_decibels_per_kilometre(attenuation))
            .unwrap()
    }
    const QUANTUM: QuantumChannel = QuantumChannel {
        wavelength: Wavelength::from_nanometres(1550.0),
        bandwidth: Wavelength::from_nanometres(0.6),
        gate: Duration::from_nanoseconds(1),
    };
    const RHO: RamanCoefficient = RamanCoefficient::from_per_kilometre_nanometre(2.6e-9);

    /// -34 dBm received over 50 km with 2.6e-9 /km/nm in 0.6 nm and 1 ns gives 2.42298e-4 photons.
    #[test]
    fn forward_noise_agrees_with_the_reference_value() {
        let fibre = fibre(0.2);
        let channel = ClassicalChannel::co_propagating_received(&fibre, Power::from_dbm(-34.0), RHO);
        let photons = channel.photons_per_gate(&fibre, &QUANTUM).unwrap();
        assert!((photons - 2.42298e-4).abs() < 5e-10, "{photons}");
    }

    /// The second way: scattering summed along the fibre in 10^5 steps.
    #[test]
    fn both_directions_agree_with_the_integral_along_the_fibre() {
        let fibre = fibre(0.21);
        for direction in [Direction::CoPropagating, Direction::CounterPropagating] {
            let channel = ClassicalChannel {
                direction,
                launch_power: Power::from_dbm(0.0),
                attenuation: LossPerLength::from_decibels_per_kilometre(0.25),
                coefficient: RHO,
            };
            let per_km = |db: f64| db * 10f64.ln() / 10.0;
            let steps = 100_000;
            let dz = 50.0 / f64::from(steps);
            let sum: f64 = (0..steps)
                .map(|i| {
                    let z = (f64::from(i) + 0.5) * dz;
                    let pump = match direction {
                        Direction::CoPropagating => z,
                        Direction::CounterPropagating => 50.0 - z,
                    };
                    // Scattered at z, the light still has 50 km - z to go to the receiver.
                    1e-3 * (-per_km(0.25) * pump).exp()
                        * 2.6e-9
                        * 0.6
                        * (-per_km(0.21) * (50.0 - z)).exp()
                        * dz
                })
                .sum();
            let closed = channel.scattered_power(&fibre, &QUANTUM).unwrap().watts();
            assert!((closed / sum - 1.0).abs() < 1e-8, "{direction:?}: {closed} against {sum}");
        }
    }
}
