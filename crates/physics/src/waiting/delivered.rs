//! The law of when a repeater chain delivers, and of the Werner weight of what it delivers.
//!
//! A pair that comes after `t` attempts has the probability `F(t)` and, averaged over all ways to come then, the Werner
//! parameter `W(t)`; kept are the series `F(t)` and `G(t) = F(t) W(t)`. A level waits for two pairs, keeps the first
//! until the second comes or a cutoff discards it, and swaps them with a chance; if the swap fails both pairs are lost
//! and all begins again (Brand, Coopmans & Elkouss 2020; with cutoffs Li, Coopmans & Elkouss 2021). Beginning again and
//! again is a geometric series in the convolution, and so a reciprocal of a power series.

use super::series::{geometric_sum, product};
use crate::parameter::{ParameterError, chance, decay_per_attempt, probability};
use libm::{exp, log1p, pow};

/// Why a chain's law cannot be had.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WaitingError {
    /// A parameter cannot be.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// The law reaches too far.
    #[error(
        "after {attempts} attempts, {unresolved:.1e} of the probability is still to come: \
         count in longer attempts, with the success probability and the coherence scaled alike"
    )]
    TooLong {
        /// How far the law was followed.
        attempts: usize,
        /// The probability of what comes later.
        unresolved: f64,
    },
}

/// What one level of a chain does with two pairs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// The probability that the swap succeeds.
    pub swap_success: f64,
    /// How many attempts a Werner parameter takes to fall to 1/e while a pair waits.
    pub coherence: f64,
    /// After so many attempts of waiting, a pair is discarded, and both sides begin again at once.
    pub cutoff: Option<usize>,
}

/// When a chain delivers its pair, and with which Werner weight: both followed for the first `horizon` attempts, exactly.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivered {
    /// The probability of delivery at each attempt; index 0 is before the first.
    probability: Vec<f64>,
    /// That times the mean Werner parameter of what is delivered then.
    weight: Vec<f64>,
}

impl Delivered {
    /// A link that succeeds with probability `success` in every attempt and makes pairs of one Werner parameter.
    ///
    /// # Errors
    /// The probability is not above 0 and at most 1, or the Werner parameter not from 0 to 1.
    pub fn link(success: f64, werner: f64, horizon: usize) -> Result<Self, ParameterError> {
        let p = chance("the success probability of an attempt", success)?;
        let w = probability("the Werner parameter of a link's pair", werner)?;
        let fail = log1p(-p);
        let law = |t: usize| match t {
            0 => 0.0,
            1 => p,
            _ => p * exp((t - 1) as f64 * fail),
        };
        let probability: Vec<f64> = (0..horizon.max(2)).map(law).collect();
        let weight = probability.iter().map(|f| f * w).collect();
        Ok(Self { probability, weight })
    }

    /// What comes of swapping one pair of `self` with one of `other`, by the rules of `level`.
    ///
    /// # Errors
    /// The swap cannot succeed, or the coherence is not above 0.
    pub fn swapped_with(&self, other: &Self, level: &Level) -> Result<Self, ParameterError> {
        let q = chance("the success probability of a swap", level.swap_success)?;
        let decay = decay_per_attempt("the coherence in attempts", level.coherence)?;
        let length = self.horizon().min(other.horizon());
        let waits = level.cutoff.unwrap_or(length).min(length);
        let mut both = Self::joined(self, other, decay, waits, length);
        if level.cutoff.is_some() {
            both.begin_again(&Self::cut_off(self, other, waits, length));
        }
        if q < 1.0 {
            let lost: Vec<f64> = both.probability.iter().map(|f| (1.0 - q) * f).collect();
            both.begin_again(&lost);
            for value in both.probability.iter_mut().chain(&mut both.weight) {
                *value *= q;
            }
        }
        Ok(both)
    }

    /// What is delivered by this law after any number of rounds that end by the law `lost` with nothing.
    fn begin_again(&mut self, lost: &[f64]) {
        let length = self.horizon();
        let rounds = geometric_sum(lost, length);
        for series in [&mut self.probability, &mut self.weight] {
            *series = product(series, &rounds, length);
            // Nothing comes before the first attempt; the transform leaves a rounding there.
            series[0] = 0.0;
        }
    }

    /// Both pairs are there at `t`, the first for at most `waits` attempts; `decay` is the Werner parameter left after
    /// one attempt of waiting.
    fn joined(a: &Self, b: &Self, decay: f64, waits: usize, length: usize) -> Self {
        let mut out = Self { probability: vec![0.0; length], weight: vec![0.0; length] };
        let forgotten = pow(decay, waits as f64 + 1.0);
        // Of the other side, over the last `waits` attempts: the probability, and the weight after the wait.
        let mut waiting = [[0.0f64; 2]; 2];
        for t in 0..length {
            let (f, g) = ([a.probability[t], b.probability[t]], [a.weight[t], b.weight[t]]);
            out.probability[t] = f[0] * waiting[1][0] + f[1] * waiting[0][0] + f[0] * f[1];
            out.weight[t] = g[0] * waiting[1][1] + g[1] * waiting[0][1] + g[0] * g[1];
            for (side, law) in [a, b].into_iter().enumerate() {
                let [probability, weight] = &mut waiting[side];
                *probability += f[side];
                *weight = (*weight + g[side]) * decay;
                if let Some(old) = t.checked_sub(waits) {
                    *probability -= law.probability[old];
                    *weight -= law.weight[old] * forgotten;
                }
            }
        }
        out
    }

    /// The probability that at `t` a pair has waited for `waits` attempts and is discarded.
    fn cut_off(a: &Self, b: &Self, waits: usize, length: usize) -> Vec<f64> {
        let mut out = vec![0.0; length];
        let mut later = [1.0f64; 2];
        for (t, cut) in out.iter_mut().enumerate() {
            for (side, law) in later.iter_mut().zip([a, b]) {
                *side -= law.probability[t];
            }
            if let Some(first) = t.checked_sub(waits) {
                *cut = a.probability[first] * later[1] + b.probability[first] * later[0];
            }
        }
        out
    }

    /// The number of attempts followed, the zeroth included.
    pub fn horizon(&self) -> usize {
        self.probability.len()
    }

    /// The probability of delivery at each attempt, from the zeroth on, within 10^-14 or so.
    pub fn probabilities(&self) -> &[f64] {
        &self.probability
    }

    /// The mean Werner parameter of what is delivered at attempt `t`; `None` where nothing is, or so rarely (10^-13)
    /// that it is lost in rounding.
    pub fn werner_at(&self, t: usize) -> Option<f64> {
        let f = *self.probability.get(t)?;
        (f > 1e-13).then(|| self.weight[t] / f)
    }

    /// The probability of delivery beyond the horizon.
    pub fn unresolved(&self) -> f64 {
        1.0 - self.probability.iter().sum::<f64>()
    }

    /// The mean number of attempts until delivery, within the horizon.
    pub fn mean_attempts(&self) -> f64 {
        self.probability.iter().enumerate().map(|(t, f)| t as f64 * f).sum()
    }

    /// The mean Werner parameter of the delivered pair, within the horizon.
    pub fn mean_werner(&self) -> f64 {
        self.weight.iter().sum()
    }

    /// The attempt by which delivery has happened with probability `quantile`; `None` beyond the horizon.
    pub fn quantile(&self, quantile: f64) -> Option<usize> {
        let mut below = 0.0;
        self.probability.iter().position(|f| {
            below += f;
            below >= quantile
        })
    }
}

/// A chain of `2^levels` equal links that are joined by doubling.
#[derive(Clone, Debug, PartialEq)]
pub struct NestedChain {
    /// The probability that an attempt of a link succeeds.
    pub link_success: f64,
    /// The Werner parameter of a fresh link pair.
    pub link_werner: f64,
    /// What is done at each level, the links' neighbours first.
    pub levels: Vec<Level>,
}

/// The longest law that [`nested`] follows.
const LONGEST: usize = 1 << 21;

/// The law of a nested chain, followed so far that what lies beyond moves the mean by less than one part in 10^10.
///
/// # Errors
/// A parameter cannot be, or two million attempts are too few.
pub fn nested(chain: &NestedChain) -> Result<Delivered, WaitingError> {
    let success = chance("the success probability of an attempt", chain.link_success)?;
    let unresolved = exp(LONGEST as f64 * log1p(-success));
    if unresolved > 1e-12 {
        return Err(WaitingError::TooLong { attempts: LONGEST, unresolved });
    }
    let mut horizon = 1024;
    loop {
        let link = Delivered::link(chain.link_success, chain.link_werner, horizon)?;
        let delivered = chain.levels.iter().try_fold(link, |pair, level| pair.swapped_with(&pair, level))?;
        let unresolved = delivered.unresolved();
        if unresolved * horizon as f64 <= 1e-10 * delivered.mean_attempts() {
            return Ok(delivered);
        }
        if horizon >= LONGEST {
            return Err(WaitingError::TooLong { attempts: horizon, unresolved });
        }
        // A law that has hardly begun is far from its end.
        horizon = (horizon * if unresolved > 0.1 { 8 } else { 2 }).min(LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All pairs of arrival times, one by one, and convolutions term by term.
    fn by_enumeration(a: &Delivered, b: &Delivered, level: &Level) -> Delivered {
        let n = a.horizon();
        let x = exp(-1.0 / level.coherence);
        let (mut ok, mut weight, mut cut) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
        for s in 0..n {
            for t in 0..n {
                let (first, last) = (s.min(t), s.max(t));
                let f = a.probability[s] * b.probability[t];
                if level.cutoff.is_none_or(|tau| last - first <= tau) {
                    ok[last] += f;
                    weight[last] += a.weight[s] * b.weight[t] * x.powi((last - first) as i32);
                } else if let Some(end) = cut.get_mut(first + level.cutoff.unwrap_or(0)) {
                    *end += f;
                }
            }
        }
        let again = |first: &[f64], lost: &[f64]| {
            let mut out = first.to_vec();
            for t in 0..n {
                out[t] += (0..t).map(|s| out[s] * lost[t - s]).sum::<f64>();
            }
            out
        };
        let (ok, weight) = (again(&ok, &cut), again(&weight, &cut));
        let lost: Vec<f64> = ok.iter().map(|f| (1.0 - level.swap_success) * f).collect();
        let scale = |v: Vec<f64>| v.iter().map(|x| x * level.swap_success).collect();
        Delivered { probability: scale(again(&ok, &lost)), weight: scale(again(&weight, &lost)) }
    }

    #[test]
    fn levels_agree_with_enumeration() {
        let a = Delivered::link(0.2, 0.98, 400).unwrap();
        let b = Delivered::link(0.13, 0.9, 400).unwrap();
        for cutoff in [None, Some(0), Some(1), Some(7)] {
            for swap_success in [1.0, 0.4] {
                let level = Level { swap_success, coherence: 60.0, cutoff };
                let (fast, slow) = (a.swapped_with(&b, &level).unwrap(), by_enumeration(&a, &b, &level));
                // The pairs that enumeration misses, because one lies beyond the horizon, have cutoffs before it.
                for t in 0..100 {
                    let off = (fast.probability[t] - slow.probability[t]).abs();
                    assert!(off < 1e-12, "{level:?} at {t}: off by {off}");
                    assert!((fast.weight[t] - slow.weight[t]).abs() < 1e-12, "{level:?} at {t}");
                }
            }
        }
    }

    #[test]
    fn impossible_chains_are_refused() {
        let level = Level { swap_success: 0.5, coherence: 100.0, cutoff: None };
        let chain = NestedChain { link_success: 0.1, link_werner: 0.98, levels: vec![level; 2] };
        assert!(nested(&NestedChain { link_success: 0.0, ..chain.clone() }).is_err());
        assert!(nested(&NestedChain { link_werner: 1.1, ..chain.clone() }).is_err());
        let never = Level { swap_success: 0.0, ..level };
        assert!(nested(&NestedChain { levels: vec![never], ..chain.clone() }).is_err());
        let rare = NestedChain { link_success: 1e-7, ..chain.clone() };
        assert!(matches!(nested(&rare), Err(WaitingError::TooLong { .. })));
        let law = nested(&chain).unwrap();
        assert!(law.quantile(0.5).unwrap() < law.quantile(0.9).unwrap());
        assert_eq!(law.werner_at(0), None);
        assert!(law.werner_at(4).unwrap() > law.werner_at(200).unwrap());
    }
}
