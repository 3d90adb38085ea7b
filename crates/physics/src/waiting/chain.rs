//! What memories lose to dephasing while the links of a chain wait for each other.
//!
//! Every link of a chain succeeds at a time of its own. Between two neighbouring links the memory of the earlier one
//! waits `|T_i - T_(i+1)|`; swaps are free and instant, so that with perfect links and pure dephasing the fidelity of
//! the end-to-end pair is `(1 + E[x^D]) / 2` where D sums all waits and x is what one attempt leaves of a coherence.

use crate::parameter::{ParameterError, chance, decay_per_attempt, within};
use libm::{exp, log, log1p};

/// The longest time followed, in attempts, times the number of links: what it takes then is some hundred megabytes.
const LONGEST: f64 = 2e7;

/// A chain of equal links without cutoffs whose memories dephase while they wait.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChainDephasing {
    links: usize,
    success: f64,
    /// What one attempt of waiting leaves of a coherence.
    decay: f64,
}

impl ChainDephasing {
    /// A chain of `links` links of which an attempt succeeds with probability `success`; a waiting memory's coherence
    /// falls to 1/e in `coherence` attempts.
    ///
    /// # Errors
    /// There is no link or above a thousand, the probability is not above 0 and at most 1 or below 2e-6 times the
    /// number of links (count in longer attempts then), or the coherence is not above 0.
    pub fn new(links: usize, success: f64, coherence: f64) -> Result<Self, ParameterError> {
        within("the number of links", links, 1, 1000, "1 to 1000")?;
        chance("the success probability of an attempt", success)?;
        if horizon(success) * links as f64 > LONGEST {
            let (what, range) =
                ("the success probability of an attempt", "above 2e-6 times the number of links");
            return Err(ParameterError { what, value: success, range });
        }
        let decay = decay_per_attempt("the coherence in attempts", coherence)?;
        Ok(Self { links, success, decay })
    }

    /// `E[x^D]` where the end nodes measure or swap their qubits at once: by the transfer matrix with the kernel
    /// `x^|t - t'|`, which two recurrences apply in linear time.
    pub fn mean_coherence(&self) -> f64 {
        let law = self.law();
        // What the links up to this one have come to, by the time of this one.
        let mut reach = law.clone();
        for _ in 1..self.links {
            let mut next = vec![0.0; law.len()];
            let mut before = 0.0;
            for (t, value) in reach.iter().enumerate() {
                before = before * self.decay + value;
                next[t] = before;
            }
            let mut after = 0.0;
            for (t, value) in reach.iter().enumerate().rev() {
                next[t] += after;
                after = (after + value) * self.decay;
            }
            for (value, f) in next.iter_mut().zip(&law) {
                *value *= f;
            }
            reach = next;
        }
        reach.iter().sum()
    }

    /// `E[x^D]` where the end nodes must keep their qubits as well until the last link has come, so that D also has
    /// `max - T_1` and `max - T_n`.
    ///
    /// By the place of the last link, the first such if there are several: what lies to its left and to its right are
    /// chains of the same kind whose both ends wait for that time.
    pub fn mean_coherence_with_waiting_ends(&self) -> f64 {
        let law = self.law();
        // For chains of each length: the sum over all that end at t (`last`), and, at the time t, over all that ended
        // earlier (`before`) with what their ends lose by waiting until t. A chain of no link loses nothing.
        let (mut last, mut before) = (vec![Vec::new()], vec![vec![1.0; law.len()]]);
        let square = self.decay * self.decay;
        for links in 1..=self.links {
            let mut ends = vec![0.0; law.len()];
            for place in 0..links {
                let right: &[f64] = &last[links - 1 - place];
                for (t, end) in ends.iter_mut().enumerate() {
                    let to_the_right = before[links - 1 - place][t] + right.get(t).copied().unwrap_or(0.0);
                    *end += before[place][t] * law[t] * to_the_right;
                }
            }
            let mut earlier = 0.0;
            let waited = ends
                .iter()
                .map(|end| {
                    let now = earlier;
                    earlier = (earlier + end) * square;
                    now
                })
                .collect();
            last.push(ends);
            before.push(waited);
        }
        last[self.links].iter().sum()
    }

    /// The probability that a link comes at each time, from the zeroth on, so far that 10^-17 is left.
    fn law(&self) -> Vec<f64> {
        let fail = log1p(-self.success);
        let length = horizon(self.success) as usize + 2;
        let law = |t: usize| match t {
            0 => 0.0,
            1 => self.success,
            _ => self.success * exp((t - 1) as f64 * fail),
        };
        (0..length).map(law).collect()
    }
}

/// How many attempts a link takes at most but for a probability of 10^-17.
fn horizon(success: f64) -> f64 {
    if success >= 1.0 { 1.0 } else { log(1e-17) / log1p(-success) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::waiting::TwoLinks;

    #[test]
    fn two_links_agree_with_the_closed_form() {
        let chain = ChainDephasing::new(2, 0.07, 40.0).unwrap();
        let links = TwoLinks::new(0.07).unwrap();
        assert!((chain.mean_coherence() - links.mean_decay(40.0).unwrap()).abs() < 1e-12);
        // With waiting ends, D is twice as long.
        let ends = chain.mean_coherence_with_waiting_ends();
        assert!((ends - links.mean_decay(20.0).unwrap()).abs() < 1e-12);
    }

    /// Three links, all times one by one.
    #[test]
    fn three_links_agree_with_enumeration() {
        let chain = ChainDephasing::new(3, 0.4, 5.0).unwrap();
        let (law, x) = (chain.law(), chain.decay);
        let (mut inner, mut ends) = (0.0, 0.0);
        for a in 0..law.len() {
            for b in 0..law.len() {
                for c in 0..law.len() {
                    let weight = law[a] * law[b] * law[c];
                    let waits = a.abs_diff(b) + b.abs_diff(c);
                    let last = a.max(b).max(c);
                    inner += weight * x.powi(waits as i32);
                    ends += weight * x.powi((waits + 2 * last - a - c) as i32);
                }
            }
        }
        assert!((chain.mean_coherence() - inner).abs() < 1e-12);
        assert!((chain.mean_coherence_with_waiting_ends() - ends).abs() < 1e-12);
    }

    #[test]
    fn impossible_chains_are_refused() {
        assert!(ChainDephasing::new(0, 0.1, 10.0).is_err());
        assert!(ChainDephasing::new(2, 1e-9, 10.0).is_err());
        assert!(ChainDephasing::new(2, 0.1, -10.0).is_err());
        assert_eq!(ChainDephasing::new(5, 1.0, 1.0).unwrap().mean_coherence(), 1.0);
        assert_eq!(ChainDephasing::new(1, 0.1, 1.0).unwrap().links, 1);
    }
}
