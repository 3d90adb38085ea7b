//! What time does to a qubit in a memory: relaxation, dephasing, depolarisation and Pauli errors by rates.
//!
//! All of it multiplies the Bloch vector by factors and, where relaxation leads somewhere, pulls its Z. Exponential decay
//! composes: looking at a pair twice changes nothing. Gaussian dephasing (slow fields) does not forget when it began, so a
//! [`Decay`] is told between two ages.

use crate::StateError;
use bellwether_units::Duration;

/// How coherence is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Dephasing {
    /// It is not, but for what relaxation takes.
    #[default]
    None,
    /// exp(-t/T2), relaxation included: T2 is what an experiment measures.
    Exponential(Duration),
    /// exp(-(t/T2)²), beside what relaxation takes: slow fields, as trapped ions see them.
    Gaussian(Duration),
}

/// What a memory does to its qubit over time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MemoryNoise {
    /// Rates, per second, at which the logarithms of the X, Y and Z factors fall.
    rates: [f64; 3],
    /// Where Z relaxes to: 1 for |0⟩, 0 for the mixed state.
    equilibrium: f64,
    /// 1/T2² of Gaussian dephasing, per second squared.
    gaussian: f64,
}

/// What happened to a qubit between two ages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decay {
    /// Minus the logarithms of the factors of X, Y and Z.
    pub(crate) exponents: [f64; 3],
    pub(crate) equilibrium: f64,
}

fn per_second(what: &'static str, time: Duration) -> Result<f64, StateError> {
    if time.is_zero() { Err(StateError::ZeroTime { what }) } else { Ok(1.0 / time.seconds()) }
}

impl MemoryNoise {
    /// A memory in which nothing happens.
    pub const NONE: Self = Self { rates: [0.0; 3], equilibrium: 0.0, gaussian: 0.0 };

    /// A memory with relaxation to |0⟩ after T1, if any, and dephasing. Fails when a time is zero or an exponential T2
    /// exceeds 2 T1.
    pub fn new(t1: Option<Duration>, dephasing: Dephasing) -> Result<Self, StateError> {
        let relaxation = t1.map_or(Ok(0.0), |t1| per_second("the relaxation time T1", t1))?;
        let (transverse, gaussian) = match dephasing {
            Dephasing::None => (0.5 * relaxation, 0.0),
            Dephasing::Exponential(t2) => (per_second("the coherence time T2", t2)?, 0.0),
            Dephasing::Gaussian(t2) => {
                let rate = per_second("the coherence time T2", t2)?;
                (0.5 * relaxation, rate * rate)
            }
        };
        // Rounding of picoseconds may put T2 = 2 T1 a little beyond.
        if transverse < 0.5 * relaxation * (1.0 - 1e-9) {
            return Err(StateError::CoherenceOutlivesRelaxation {
                t1: 1.0 / relaxation,
                t2: 1.0 / transverse,
            });
        }
        let equilibrium = if relaxation > 0.0 { 1.0 } else { 0.0 };
        Ok(Self { rates: [transverse, transverse, relaxation], equilibrium, gaussian })
    }
    /// A memory that makes its qubit random with probability 1 - exp(-t/`time`). Fails when the time is zero.
    pub fn depolarising(time: Duration) -> Result<Self, StateError> {
        let rate = per_second("the depolarisation time", time)?;
        Ok(Self { rates: [rate; 3], ..Self::NONE })
    }
    /// A memory in which X, Y and Z errors happen at these rates per second. Fails unless they are finite and not negative.
    pub fn pauli_rates(x: f64, y: f64, z: f64) -> Result<Self, StateError> {
        for value in [x, y, z] {
            if !(0.0..f64::INFINITY).contains(&value) {
                let what = "the rate of a Pauli error per second";
                return Err(StateError::OutOfRange { what, value, low: 0.0, high: f64::MAX });
            }
        }
        Ok(Self { rates: [2.0 * (y + z), 2.0 * (x + z), 2.0 * (x + y)], ..Self::NONE })
    }
    /// The figures that make up the noise, for messages: the rates of X, Y and Z, where Z relaxes to, and 1/T2² of
    /// Gaussian dephasing, all in seconds.
    pub const fn figures(&self) -> [f64; 5] {
        let [x, y, z] = self.rates;
        [x, y, z, self.equilibrium, self.gaussian]
    }
    /// Noise of [`figures`](Self::figures) that came from elsewhere. Fails unless they are finite and not negative, and the
    /// equilibrium at most 1.
    pub fn from_figures(figures: [f64; 5]) -> Result<Self, StateError> {
        let [x, y, z, equilibrium, gaussian] = figures;
        for value in figures {
            if !(0.0..f64::INFINITY).contains(&value) {
                let what = "a figure of a memory's noise";
                return Err(StateError::OutOfRange { what, value, low: 0.0, high: f64::MAX });
            }
        }
        let what = "the Z that a memory relaxes to";
        if equilibrium > 1.0 {
            return Err(StateError::OutOfRange { what, value: equilibrium, low: 0.0, high: 1.0 });
        }
        Ok(Self { rates: [x, y, z], equilibrium, gaussian })
    }
    /// Both kinds of noise at once.
    pub fn and(&self, other: &Self) -> Self {
        let rates = [0, 1, 2].map(|i| self.rates[i] + other.rates[i]);
        // Each pulls Z by its rate to its equilibrium.
        let pull = self.equilibrium * self.rates[2] + other.equilibrium * other.rates[2];
        let equilibrium = if pull > 0.0 { pull / rates[2] } else { 0.0 };
        Self { rates, equilibrium, gaussian: self.gaussian + other.gaussian }
    }
    /// Whether the noise is Pauli noise, for which Bell-diagonal rules are exact: no relaxation towards |0⟩.
    pub fn is_pauli(&self) -> bool {
        self.equilibrium == 0.0
    }
    /// The Pauli twirl: equal factors, but relaxation to the mixed state. px = py = γ/4, pz = (1 - coherence)/2 - γ/4 for
    /// relaxation with probability γ. An approximation unless [`is_pauli`](Self::is_pauli).
    pub fn twirled(&self) -> Self {
        Self { equilibrium: 0.0, ..*self }
    }
    /// What happens between the ages `from` and `to` of a qubit.
    #[inline]
    pub fn decay(&self, from: Duration, to: Duration) -> Decay {
        let span = to.saturating_sub(from).seconds();
        let mut exponents = self.rates.map(|rate| rate * span);
        if self.gaussian > 0.0 {
            let (from, to) = (from.seconds(), to.seconds());
            // b² - a² without the loss of digits when the step is short.
            let squares = f64::max(0.0, (to - from) * (to + from)) * self.gaussian;
            exponents[0] += squares;
            exponents[1] += squares;
        }
        Decay { exponents, equilibrium: self.equilibrium }
    }
}

impl Decay {
    /// The factors of the X, Y and Z of the Bloch vector.
    #[inline]
    pub fn factors(&self) -> [f64; 3] {
        let [x, y, z] = self.exponents;
        let factor = |exponent: f64| if exponent == 0.0 { 1.0 } else { libm::exp(-exponent) };
        let first = factor(x);
        [first, if y == x { first } else { factor(y) }, if z == x { first } else { factor(z) }]
    }
    /// The factors of XX, YY and ZZ of a pair whose halves decayed so.
    #[inline]
    pub fn of_pair([a, b]: [Self; 2]) -> [f64; 3] {
        let exponents = [0, 1, 2].map(|i| a.exponents[i] + b.exponents[i]);
        Self { exponents, equilibrium: 0.0 }.factors()
    }
    /// Where Z is pulled to.
    pub const fn equilibrium(&self) -> f64 {
        self.equilibrium
    }
    /// Whether nothing happened.
    pub fn is_nothing(&self) -> bool {
        self.exponents == [0.0; 3]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(s: f64) -> Duration {
        Duration::from_seconds(s).unwrap()
    }

    #[test]
    fn coherence_lasts_at_most_twice_as_long_as_excitation() {
        let t1 = Some(seconds(1.0));
        assert!(MemoryNoise::new(t1, Dephasing::Exponential(seconds(2.0))).is_ok());
        assert!(matches!(
            MemoryNoise::new(t1, Dephasing::Exponential(seconds(2.1))),
            Err(StateError::CoherenceOutlivesRelaxation { .. })
        ));
        assert!(MemoryNoise::new(Some(Duration::ZERO), Dephasing::None).is_err());
        assert!(MemoryNoise::pauli_rates(-1.0, 0.0, 0.0).is_err());
        assert!(MemoryNoise::pauli_rates(f64::NAN, 0.0, 0.0).is_err());
    }

    #[test]
    fn gaussian_dephasing_goes_by_age() {
        let noise = MemoryNoise::new(None, Dephasing::Gaussian(seconds(0.085))).unwrap();
        let whole = noise.decay(Duration::ZERO, seconds(0.1)).factors()[0];
        assert!((whole - (-(0.1f64 / 0.085).powi(2)).exp()).abs() < 1e-12);
        let first = noise.decay(Duration::ZERO, seconds(0.04)).factors()[0];
        let second = noise.decay(seconds(0.04), seconds(0.1)).factors()[0];
        assert!((first * second - whole).abs() < 1e-12);
        assert!(noise.is_pauli());
    }

    #[test]
    fn rates_of_pauli_errors_give_their_channel() {
        // An X error at rate r has happened an odd number of times with probability (1 - exp(-2rt))/2.
        let noise = MemoryNoise::pauli_rates(3.0, 0.0, 0.0).unwrap();
        let [x, y, z] = noise.decay(Duration::ZERO, seconds(0.2)).factors();
        assert_eq!(x, 1.0);
        let odd = 0.5 * (1.0 - (-2.0f64 * 3.0 * 0.2).exp());
        assert!((y - (1.0 - 2.0 * odd)).abs() < 1e-15 && y == z);
    }
}
