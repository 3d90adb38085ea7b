//! Links that succeed with one probability in every attempt and wait for each other: closed forms.

use crate::parameter::{ParameterError, chance, decay_per_attempt, within};
use libm::{exp, expm1, log1p};

/// More links than this lose digits in the alternating sum, and take the sum over the survival function instead.
const MOST_BY_INCLUSION: u32 = 12;

/// The mean number of attempts until all of `links` links have a pair that succeed with probability `success` in every
/// attempt and keep what they have: `sum_k (-1)^(k+1) C(n,k) / (1 - (1-p)^k)`, which tends to `H_n / p`.
///
/// # Errors
/// There is no link, there are above a million, or the probability is not above 0 and at most 1.
pub fn maximum_of_geometrics(links: u32, success: f64) -> Result<f64, ParameterError> {
    let p = chance("the success probability of an attempt", success)?;
    within("the number of links", links as usize, 1, 1_000_000, "1 to 1000000")?;
    if p == 1.0 {
        return Ok(1.0);
    }
    let fail = log1p(-p);
    let n = f64::from(links);
    if links <= MOST_BY_INCLUSION {
        let (mut sum, mut ways) = (0.0, -1.0);
        for k in 1..=links {
            let k = f64::from(k);
            ways *= -(n - k + 1.0) / k;
            sum += ways / -expm1(k * fail);
        }
        return Ok(sum);
    }
    // P(T > t) = 1 - (1 - q^t)^n. Beyond `short`, the Euler-Maclaurin formula takes the rest of the sum, whose terms
    // hardly change from one to the next; the integral is H_n less what lies before, by u = 1 - q^t.
    let survival = |t: f64| -expm1(n * log1p(-exp(t * fail)));
    let (mut sum, mut t) = (1.0, 1.0);
    let end = 4096.0;
    while t < end {
        let term = survival(t);
        sum += term;
        if term < 1e-18 * sum {
            return Ok(sum);
        }
        t += 1.0;
    }
    // The integral of (1 - u^n) / (1 - u) over u from 1 - q^end to 1 is the sum of (1 - start^k) / k.
    let start = log1p(-exp(end * fail));
    let mut integral = 0.0;
    for k in (1..=links).rev() {
        let k = f64::from(k);
        integral += -expm1(k * start) / k;
    }
    let here = survival(end);
    let slope = n * exp((n - 1.0) * start) * exp(end * fail) * fail;
    Ok(sum + integral / -fail + here / 2.0 - slope / 12.0)
}

/// The mean number of attempts where a second link may only try after the first has a pair, at most `tries` times, and
/// the first pair is discarded and made again if the second has not come by then.
///
/// # Errors
/// The probability is not above 0 and at most 1, or there are no tries.
pub fn sequential(success: f64, tries: u32) -> Result<f64, ParameterError> {
    let p = chance("the success probability of an attempt", success)?;
    within("the number of tries", tries as usize, 1, u32::MAX as usize, "at least 1")?;
    let second = -expm1(f64::from(tries) * log1p(-p));
    // First link 1/p; second link (1 - q^m)/p attempts a round; rounds 1/(1 - q^m).
    Ok((1.0 / second + 1.0) / p)
}

/// Two links of equal success probability that try at the same time, and of which the first to succeed waits for the
/// other: for ever, or until a cutoff.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TwoLinks {
    success: f64,
    cutoff: Option<u64>,
}

impl TwoLinks {
    /// Two links that wait as long as it takes. `success` is the probability of an attempt.
    ///
    /// # Errors
    /// The probability is not above 0 and at most 1.
    pub fn new(success: f64) -> Result<Self, ParameterError> {
        Ok(Self { success: chance("the success probability of an attempt", success)?, cutoff: None })
    }

    /// A pair that has waited `attempts` attempts in vain is discarded, and both links begin again.
    pub const fn with_cutoff(mut self, attempts: u64) -> Self {
        self.cutoff = Some(attempts);
        self
    }

    /// The probability that a failure follows a failure so often that the cutoff comes: 0 without one.
    fn cut(&self) -> f64 {
        self.cutoff.map_or(0.0, |tau| exp(tau as f64 * log1p(-self.success)))
    }

    /// The probability that of two links of which at least one succeeded both do in time, times the probability of at
    /// least one: `p^2 + 2 p q (1 - q^tau)`.
    fn finishes(&self) -> f64 {
        let (p, q) = (self.success, 1.0 - self.success);
        p * p + 2.0 * p * q * (1.0 - self.cut())
    }

    /// The mean number of attempts until both have a pair: `(3 - 2p) / (p (2 - p))` without a cutoff.
    pub fn mean_attempts(&self) -> f64 {
        (1.0 + 2.0 * (1.0 - self.success) * (1.0 - self.cut())) / self.finishes()
    }

    /// The mean of `exp(-D / coherence)` where D is how many attempts the first pair waited: what is left of a Werner
    /// parameter or a coherence that decays with this constant, in attempts.
    ///
    /// # Errors
    /// The coherence is not above 0.
    pub fn mean_decay(&self, coherence: f64) -> Result<f64, ParameterError> {
        let decay = decay_per_attempt("the coherence in attempts", coherence)?;
        let (p, q) = (self.success, 1.0 - self.success);
        let kept = q * decay;
        let cut = self.cutoff.map_or(0.0, |tau| libm::pow(kept, tau as f64));
        Ok(p * p * (1.0 + 2.0 * kept * (1.0 - cut) / (1.0 - kept)) / self.finishes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the sum over all attempts, for few links by inclusion and exclusion, for more by parts.
    #[test]
    fn the_mean_maximum_by_plain_summation() {
        for p in [0.7, 0.1, 1e-3, 1e-5] {
            for links in [1, 2, 7, 12, 13, 40] {
                let told = maximum_of_geometrics(links, p).unwrap();
                let (mut sum, mut t) = (0.0, 0.0);
                let fail = (-p).ln_1p();
                loop {
                    let term = -(f64::from(links) * (-(t * fail).exp()).ln_1p()).exp_m1();
                    sum += term;
                    t += 1.0;
                    if term < 1e-15 {
                        break;
                    }
                }
                assert!((told / sum - 1.0).abs() < 1e-9, "{links} links at {p}");
            }
        }
        // Above the limit, against H_n / p + 1/2 for small p (the next term is of the order p).
        let harmonic: f64 = (1..=1000).map(|k| 1.0 / f64::from(k)).sum();
        let mean = maximum_of_geometrics(1000, 1e-7).unwrap();
        assert!((mean - harmonic / -(-1e-7f64).ln_1p() - 0.5).abs() < 1e-4, "{mean}");
    }

    #[test]
    fn a_long_cutoff_is_none() {
        let free = TwoLinks::new(0.05).unwrap();
        assert!((free.mean_attempts() - maximum_of_geometrics(2, 0.05).unwrap()).abs() < 1e-12);
        let long = free.with_cutoff(2000);
        assert!((free.mean_attempts() - long.mean_attempts()).abs() < 1e-12);
        assert!((free.mean_decay(30.0).unwrap() - long.mean_decay(30.0).unwrap()).abs() < 1e-12);
        assert!((free.mean_decay(f64::INFINITY).unwrap() - 1.0).abs() < 1e-12);
        assert!(free.mean_decay(-1.0).is_err());
    }
}
