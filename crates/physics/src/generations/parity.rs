//! Quantum parity codes: blocks of photons sent one way from station to station.

use crate::parameter::{ParameterError, chance, within};
use bellwether_units::{Length, LossPerLength};
use libm::{ceil, pow};

/// A quantum parity code (Ralph, Hayes & Gilchrist, Phys. Rev. Lett. 95, 100501 (2005)) as used by third-generation
/// repeaters (Muralidharan et al., Phys. Rev. Lett. 112, 250501 (2014)): `blocks` blocks of `qubits` photons. The
/// logical qubit survives if every block keeps a photon and one block keeps all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParityCode {
    blocks: u32,
    qubits: u32,
}

impl ParityCode {
    /// A code of `blocks` blocks of `qubits` photons each.
    ///
    /// # Errors
    /// There are none, or above a thousand.
    pub fn new(blocks: u32, qubits: u32) -> Result<Self, ParameterError> {
        within("the number of blocks", blocks as usize, 1, 1000, "1 to 1000")?;
        within("the number of photons in a block", qubits as usize, 1, 1000, "1 to 1000")?;
        Ok(Self { blocks, qubits })
    }

    /// How many photons the code has.
    pub const fn photons(&self) -> u32 {
        self.blocks * self.qubits
    }

    /// The probability that the logical qubit survives where each photon does with `survival`:
    /// `(1 - (1-e)^m)^n - (1 - (1-e)^m - e^m)^n`.
    ///
    /// # Errors
    /// `survival` is not above 0 and at most 1.
    pub fn success(&self, survival: f64) -> Result<f64, ParameterError> {
        let e = chance("the survival of a photon", survival)?;
        let (n, m) = (f64::from(self.blocks), f64::from(self.qubits));
        let some = 1.0 - pow(1.0 - e, m);
        Ok(pow(some, n) - pow(some - pow(e, m), n))
    }

    /// The probability that a qubit comes through a chain of stations, one every `spacing` of `distance`, with couplings
    /// of efficiency `coupling` at each.
    ///
    /// # Errors
    /// The coupling is not above 0 and at most 1, or the spacing is not positive or so long that no light is left.
    pub fn chain_success(
        &self,
        distance: Length,
        spacing: Length,
        attenuation: LossPerLength,
        coupling: f64,
    ) -> Result<f64, ParameterError> {
        let coupling = chance("the efficiency of a coupling", coupling)?;
        let hop = self.success(coupling * (attenuation * spacing).transmittance())?;
        Ok(pow(hop, hops(distance, spacing)?))
    }

    /// How many photons' worth of memories a kilometre takes for each qubit that comes through a time slot:
    /// `2 n m / (P L0)`.
    ///
    /// # Errors
    /// As [`chain_success`](Self::chain_success).
    pub fn cost_per_kilometre(
        &self,
        distance: Length,
        spacing: Length,
        attenuation: LossPerLength,
        coupling: f64,
    ) -> Result<f64, ParameterError> {
        let through = self.chain_success(distance, spacing, attenuation, coupling)?;
        Ok(2.0 * f64::from(self.photons()) / (through * spacing.kilometres()))
    }
}

/// How many hops of `spacing` cover `distance`.
fn hops(distance: Length, spacing: Length) -> Result<f64, ParameterError> {
    let hops = ceil(distance.metres() / spacing.metres() - 1e-9);
    if hops >= 1.0 && hops.is_finite() {
        Ok(hops)
    } else {
        let range = "a length that divides the distance into one hop or more";
        Err(ParameterError { what: "the spacing of stations in metres", value: spacing.metres(), range })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every pattern of lost photons of a small code.
    #[test]
    fn survival_agrees_with_enumeration() {
        let (n, m, e) = (3u32, 4u32, 0.8f64);
        let mut sum = 0.0;
        for kept in 0..1u32 << (n * m) {
            let blocks: Vec<u32> = (0..n).map(|b| kept >> (b * m) & ((1 << m) - 1)).collect();
            if blocks.iter().all(|b| *b != 0) && blocks.contains(&((1 << m) - 1)) {
                let here = kept.count_ones() as i32;
                sum += e.powi(here) * (1.0 - e).powi((n * m) as i32 - here);
            }
        }
        let code = ParityCode::new(n, m).unwrap();
        assert!((code.success(e).unwrap() - sum).abs() < 1e-12);
        assert_eq!(code.success(1.0).unwrap(), 1.0);
    }

    #[test]
    fn impossible_codes_are_refused() {
        assert!(ParityCode::new(0, 3).is_err());
        let code = ParityCode::new(2, 2).unwrap();
        assert!(code.success(0.0).is_err());
        let km = Length::from_kilometres;
        let attenuation = LossPerLength::from_decibels_per_kilometre(0.2);
        assert!(code.chain_success(km(100.0), km(0.0), attenuation, 0.9).is_err());
        assert!(code.chain_success(km(100.0), km(-1.0), attenuation, 0.9).is_err());
    }
}
