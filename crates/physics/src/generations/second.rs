//! Second generation: heralded pairs, encoded swaps.
//!
//! To first order in the errors. Every physical qubit of an encoded swap is wrong with `eps`; a code that corrects `t`
//! of `n` fails with the tail of the binomial law; failures along a chain add up as flips do (Jiang et al., Phys. Rev.
//! A 79, 032325 (2009); Muralidharan et al., Sci. Rep. 6, 20463 (2016)). For real codes, sample the stabilizer tableau.

use crate::parameter::{ParameterError, chance, probability, within};
use bellwether_units::{binary_entropy, binomial_tail_above};
use libm::{expm1, log1p, pow};

/// A code of so many qubits that corrects so many errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockCode {
    /// Physical qubits in a block.
    pub qubits: u32,
    /// Errors in a block that it corrects.
    pub corrects: u32,
}

impl BlockCode {
    /// Steane's code `[[7,1,3]]`.
    pub const STEANE: Self = Self { qubits: 7, corrects: 1 };

    /// The probability of more errors than the code corrects, where each qubit errs with `error`.
    ///
    /// # Errors
    /// `error` is no probability.
    pub fn failure(&self, error: f64) -> Result<f64, ParameterError> {
        let error = probability("the error of a physical qubit", error)?;
        Ok(binomial_tail_above(u64::from(self.qubits), error, u64::from(self.corrects) + 1))
    }

    /// How many rounds it takes until, with probability `confidence`, at least a block's worth of `memories` memories
    /// hold pairs that each come with `success` a round.
    ///
    /// # Errors
    /// There are fewer memories than qubits in a block, `success` is not above 0, or `confidence` not below 1.
    pub fn rounds(&self, memories: u32, success: f64, confidence: f64) -> Result<u64, ParameterError> {
        let p = chance("the success probability of a round", success)?;
        let range = "at least the number of qubits in a block";
        within("the number of memories", memories as usize, self.qubits as usize, usize::MAX, range)?;
        if !(0.0..1.0).contains(&confidence) {
            return Err(ParameterError { what: "the confidence", value: confidence, range: "0 to below 1" });
        }
        let enough = |rounds: u64| {
            let filled = -expm1(rounds as f64 * log1p(-p));
            binomial_tail_above(u64::from(memories), filled, u64::from(self.qubits)) >= confidence
        };
        let mut most = 1;
        while !enough(most) {
            most *= 2;
        }
        let mut least = most / 2;
        while most - least > 1 {
            let middle = least + (most - least) / 2;
            if enough(middle) {
                most = middle;
            } else {
                least = middle;
            }
        }
        Ok(most)
    }
}

/// The errors of a second-generation chain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SecondGeneration {
    /// The code of a block.
    pub code: BlockCode,
    /// The fidelity of the heralded pairs.
    pub pair_fidelity: f64,
    /// The error of a two-qubit gate.
    pub gate_error: f64,
    /// The error of a measurement.
    pub measurement_error: f64,
}

impl SecondGeneration {
    /// The error of a physical qubit in a swap and in one basis, to first order: `2 (1 - F) / 3 + gate + 2 measurement`.
    pub fn physical_error(&self) -> f64 {
        2.0 * (1.0 - self.pair_fidelity) / 3.0 + self.gate_error + 2.0 * self.measurement_error
    }

    /// The probability that a hop leaves a logical error in one basis.
    ///
    /// # Errors
    /// The parts of the physical error do not add to a probability.
    pub fn link_error(&self) -> Result<f64, ParameterError> {
        self.code.failure(self.physical_error())
    }

    /// The logical error in one basis after a chain of hops: `(1 - (1 - 2Q)^links) / 2`.
    ///
    /// # Errors
    /// As [`link_error`](Self::link_error).
    pub fn chain_error(&self, links: u32) -> Result<f64, ParameterError> {
        Ok((1.0 - pow(1.0 - 2.0 * self.link_error()?, f64::from(links))) / 2.0)
    }

    /// Bits of key from each encoded pair that a chain of hops delivers: `1 - 2 h(Q)`, or none.
    ///
    /// # Errors
    /// As [`link_error`](Self::link_error).
    pub fn key_per_pair(&self, links: u32) -> Result<f64, ParameterError> {
        Ok((1.0 - 2.0 * binary_entropy(self.chain_error(links)?)).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_the_least_that_suffice() {
        let code = BlockCode::STEANE;
        let rounds = code.rounds(10, 0.05, 0.99).unwrap();
        let enough = |r: u64| binomial_tail_above(10, 1.0 - 0.95f64.powi(r as i32), 7) >= 0.99;
        assert!(enough(rounds) && !enough(rounds - 1), "{rounds}");
        assert_eq!(code.rounds(7, 1.0, 0.999).unwrap(), 1);
        assert!(code.rounds(6, 0.5, 0.9).is_err());
        assert!(code.rounds(7, 0.5, 1.0).is_err());
    }

    #[test]
    fn long_chains_lose_their_key() {
        let hop = SecondGeneration {
            code: BlockCode::STEANE,
            pair_fidelity: 0.99,
            gate_error: 1e-3,
            measurement_error: 1e-3,
        };
        assert!(hop.key_per_pair(1).unwrap() > hop.key_per_pair(20).unwrap());
        assert_eq!(hop.key_per_pair(10_000).unwrap(), 0.0);
        assert!((hop.chain_error(2).unwrap() / hop.link_error().unwrap() - 2.0).abs() < 0.01);
        assert!(SecondGeneration { gate_error: 1.5, ..hop }.link_error().is_err());
    }
}
