//! What time and neighbours do to a memory beside relaxation and dephasing of its own, which
//! [`MemoryNoise`](bellwether_quantum::MemoryNoise) tells: attempts to entangle the qubit next to it, fields that all
//! qubits of a trap see alike, and retrieval that fails.
//!
//! Everything here is a function of how often or how long; nothing is drawn.
//!
//! ```
//! use bellwether_physics::memory::AttemptDephasing;
//! use bellwether_units::{Duration, Frequency, Quantity};
//!
//! // A carbon spin beside a nitrogen-vacancy centre: coupled with 77 kHz, which an attempt leaves undone for 163 ns.
//! let dephasing = AttemptDephasing::of_coupling(Frequency::parse("77 kHz")?, Duration::parse("163 ns")?)?;
//! assert!((dephasing.attempts_to_one_over_e() - 321.6).abs() < 0.1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::parameter::{ParameterError, positive, probability};
use bellwether_quantum::bell::PauliChannel;
use bellwether_units::{Duration, Frequency};
use libm::{exp, expm1};

/// How attempts to entangle one qubit dephase a memory beside it (Kalb, Humphreys, Slim & Hanson, Phys. Rev. A 97, 062330
/// (2018)): the coupling acts for a random time in each attempt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttemptDephasing {
    /// Minus the logarithm of what an attempt leaves of the memory's coherence.
    exponent: f64,
}

impl AttemptDephasing {
    /// From the coupling, in turns a second, and the time constant with which the other qubit decays in an attempt:
    /// `x = (2 pi f tau)^2 / 2`.
    ///
    /// # Errors
    /// The coupling is not above 0 and finite.
    pub fn of_coupling(coupling: Frequency, decay: Duration) -> Result<Self, ParameterError> {
        let coupling = positive("the coupling of memory and emitter in hertz", coupling.hertz())?;
        let turn = core::f64::consts::TAU * coupling * decay.seconds();
        Ok(Self { exponent: turn * turn / 2.0 })
    }

    /// From the number of attempts after which 1/e of the coherence is left, as it is measured.
    ///
    /// # Errors
    /// The number is not above 0.
    pub fn of_attempts_to_one_over_e(attempts: f64) -> Result<Self, ParameterError> {
        Ok(Self { exponent: 1.0 / positive("the number of attempts to 1/e", attempts)? })
    }

    /// After how many attempts 1/e of the coherence is left; infinitely many if attempts do no harm.
    pub fn attempts_to_one_over_e(&self) -> f64 {
        1.0 / self.exponent
    }

    /// What so many attempts leave of the coherence.
    pub fn coherence(&self, attempts: u64) -> f64 {
        exp(-(attempts as f64) * self.exponent)
    }

    /// The probability of a phase error by one attempt: `(1 - exp(-x)) / 2`.
    pub fn error_per_attempt(&self) -> f64 {
        -expm1(-self.exponent) / 2.0
    }

    /// What so many attempts do to the memory.
    pub fn channel(&self, attempts: u64) -> PauliChannel {
        PauliChannel::dephasing(self.coherence(attempts)).expect("a decaying exponential is from 0 to 1")
    }
}

/// Dephasing by one slow field that all qubits of a trap see alike: Gaussian in time, and correlated, so that no product
/// of channels of single qubits describes it. States in which as many qubits are up in both parts (Psi) keep their
/// coherence; those in which all are up or none (Phi) have a phase as many times as there are qubits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectiveDephasing {
    coherence_time: Duration,
}

impl CollectiveDephasing {
    /// With this coherence time of a single qubit: `exp(-(t/T2)^2)` of its coherence is left.
    ///
    /// # Errors
    /// The time is nothing.
    pub fn new(coherence_time: Duration) -> Result<Self, ParameterError> {
        positive("the coherence time in seconds", coherence_time.seconds())?;
        Ok(Self { coherence_time })
    }

    /// What is left at `age` of the coherence between two basis states, one of which has `more` qubits up than the other:
    /// 1 for a single qubit, 0 for Psi pairs, 2 for Phi pairs.
    pub fn coherence(&self, more: u32, age: Duration) -> f64 {
        let turns = f64::from(more) * age.seconds() / self.coherence_time.seconds();
        exp(-turns * turns)
    }
}

/// A memory that gives back a photon or an excitation, or does not: loss, which is no error. Vacuum stays a part of the
/// state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Retrieval {
    /// Whenever it is asked, with `efficiency exp(-t / decay)`.
    OnDemand {
        /// At once.
        efficiency: f64,
        /// In which the efficiency falls to 1/e.
        decay: Duration,
    },
    /// Once, after a time that is set beforehand: an atomic frequency comb without a spin wave.
    After {
        /// Then.
        efficiency: f64,
        /// How long it stores.
        storage: Duration,
    },
}

impl Retrieval {
    /// The probability that what was stored comes back when asked for at `age`; 0 where the memory cannot be asked.
    ///
    /// # Errors
    /// The efficiency is no probability, or the decay time nothing.
    pub fn efficiency(&self, age: Duration) -> Result<f64, ParameterError> {
        match *self {
            Self::OnDemand { efficiency, decay } => {
                let decay = positive("the decay time of a memory in seconds", decay.seconds())?;
                Ok(probability("the efficiency of retrieval", efficiency)? * exp(-age.seconds() / decay))
            }
            Self::After { efficiency, storage } => {
                let efficiency = probability("the efficiency of retrieval", efficiency)?;
                Ok(if age == storage { efficiency } else { 0.0 })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::variates::standard_normal;
    use bellwether_units::{EntityId, Purpose, Stream};

    #[test]
    fn attempts_add_up() {
        let dephasing = AttemptDephasing::of_attempts_to_one_over_e(800.0).unwrap();
        assert!((dephasing.coherence(800) - (-1.0f64).exp()).abs() < 1e-12);
        let twice = dephasing.channel(300).then(&dephasing.channel(500));
        for (once, twice) in dephasing.channel(800).probabilities().iter().zip(twice.probabilities()) {
            assert!((once - twice).abs() < 1e-12);
        }
        assert!((dephasing.channel(1).probabilities()[1] - dephasing.error_per_attempt()).abs() < 1e-15);
        assert!(AttemptDephasing::of_attempts_to_one_over_e(0.0).is_err());
        assert!(AttemptDephasing::of_coupling(Frequency::from_hertz(-1.0), Duration::ZERO).is_err());
    }

    /// One field a run, drawn 200 000 times: within 0.0071, above 4 standard errors. Phases of Psi cancel, of
    /// Phi add.
    #[test]
    fn collective_dephasing_is_the_average_over_one_field() {
        let dephasing = CollectiveDephasing::new(Duration::from_milliseconds(85)).unwrap();
        let age = Duration::from_milliseconds(40);
        let (mut stream, draws) = (Stream::new(4, EntityId(0), Purpose::named("field")), 200_000);
        // exp(-s^2/2) = exp(-(t/T2)^2)
        let spread = 2f64.sqrt() * 40.0 / 85.0;
        let mut sums = [0.0; 3];
        for _ in 0..draws {
            let phase = spread * standard_normal(&mut stream);
            for (more, sum) in sums.iter_mut().enumerate() {
                *sum += (more as f64 * phase).cos();
            }
        }
        for (more, sum) in sums.iter().enumerate() {
            let told = dephasing.coherence(more as u32, age);
            assert!((sum / f64::from(draws) - told).abs() < 0.0071, "{more}: {told}");
        }
        assert_eq!(dephasing.coherence(0, age), 1.0);
        assert!((dephasing.coherence(2, age) - dephasing.coherence(1, age).powi(4)).abs() < 1e-12);
        assert!(CollectiveDephasing::new(Duration::ZERO).is_err());
    }

    #[test]
    fn memories_give_back_less_and_less() {
        let (half, ms) = (0.5, Duration::from_milliseconds);
        let decaying = Retrieval::OnDemand { efficiency: half, decay: ms(1) };
        assert!((decaying.efficiency(ms(2)).unwrap() - 0.5 * (-2.0f64).exp()).abs() < 1e-12);
        let comb = Retrieval::After { efficiency: half, storage: Duration::from_microseconds(25) };
        assert_eq!(comb.efficiency(Duration::from_microseconds(25)).unwrap(), 0.5);
        assert_eq!(comb.efficiency(Duration::from_microseconds(24)).unwrap(), 0.0);
        assert!(Retrieval::OnDemand { efficiency: 1.5, decay: ms(1) }.efficiency(ms(1)).is_err());
        assert!(Retrieval::OnDemand { efficiency: 0.5, decay: Duration::ZERO }.efficiency(ms(1)).is_err());
    }
}
