//! The error rate of bits that nobody looked at, from a random sample of bits beside them.

use bellwether_units::ln_gamma;
use libm::{log, log2, sqrt};

/// The error rate of `key` unseen bits beside a random sample of `check` bits with at most `errors`, except
/// with probability `e^-confidence`; at most 1/2. Inverts the hypergeometric tail. Sample, errors and key need
/// not be whole.
pub(super) fn exact(errors: f64, check: f64, key: f64, confidence: f64) -> f64 {
    Sample::new(errors, check, key).exact(confidence)
}

/// The same by the [`printed`] formula where that holds, or else [`exact`].
pub(super) fn wider(errors: f64, check: f64, key: f64, confidence: f64) -> f64 {
    let sample = Sample::new(errors, check, key);
    let rate = printed(errors, check, key, confidence);
    if rate >= 0.5 || sample.ln_tail_below(rate * sample.key) <= -confidence {
        rate
    } else {
        sample.exact(confidence)
    }
}

/// A sample and what lies beside it.
struct Sample {
    errors: f64,
    check: f64,
    key: f64,
}

impl Sample {
    /// Beyond 10^12 bits logarithms of factorials lose digits; a sample taken smaller has the wider margin.
    fn new(errors: f64, check: f64, key: f64) -> Self {
        let shrink = ((check + key) / 1e12).max(1.0);
        Self { errors: errors.max(0.0) / shrink, check: check / shrink, key: key / shrink }
    }

    /// The least rate at which so few errors in the sample are too improbable.
    fn exact(&self, confidence: f64) -> f64 {
        let rate = self.errors / self.check;
        let (mut low, mut high) = (rate * self.key, self.key / 2.0);
        // Also takes what is not a number.
        if !(rate < 0.5 && self.check >= 1.0 && self.ln_tail_below(high) <= -confidence) {
            return 0.5;
        }
        while high - low > 1e-9 * high {
            let middle = (low + high) / 2.0;
            if self.ln_tail_below(middle) <= -confidence {
                high = middle;
            } else {
                low = middle;
            }
        }
        high / self.key
    }

    /// ln P(as few errors in the sample) when these and `unseen` more lie at random in all bits, from above:
    /// P(X <= x) is at most P(X = x) / (1 - P(X = x-1)/P(X = x)), for the distribution is log-concave.
    fn ln_tail_below(&self, unseen: f64) -> f64 {
        let Self { errors: seen, check, key } = *self;
        let ln_choose = |n: f64, k: f64| ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0);
        let term = ln_choose(check, seen) + ln_choose(key, unseen) - ln_choose(check + key, seen + unseen);
        let ratio = seen * (key - unseen) / ((check - seen + 1.0) * (unseen + 1.0));
        if ratio >= 1.0 { 0.0 } else { (term - log(1.0 - ratio)).min(0.0) }
    }
}

/// `b + gamma(b)` with `b = errors/check`, as Lim et al. 2014 print it below their equation (5), after Fung,
/// Ma & Chau, Phys. Rev. A 81, 012318 (2010); at most 1/2. `gamma` vanishes at `b = 0`, where the
/// approximation behind it does not hold: fewer than one error is taken as one.
pub(super) fn printed(errors: f64, check: f64, key: f64, confidence: f64) -> f64 {
    let rate = errors.max(1.0) / check;
    if rate >= 0.5 {
        return 0.5;
    }
    let inverse = (check + key) / (check * key);
    let spread = (1.0 - rate) * rate;
    let bits = log2(inverse / spread) + 2.0 * confidence / core::f64::consts::LN_2;
    let margin = sqrt(inverse * spread / core::f64::consts::LN_2 * bits.max(0.0));
    (rate + margin).min(0.5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use libm::exp;

    /// P(at most `seen` of `sample` drawn without replacement out of `all` are among the `bad`), summed.
    fn hypergeometric_tail_below(all: u64, bad: u64, sample: u64, seen: u64) -> f64 {
        let choose = |n: u64, k: u64| {
            ln_gamma(n as f64 + 1.0) - ln_gamma(k as f64 + 1.0) - ln_gamma((n - k) as f64 + 1.0)
        };
        (0..=seen)
            .filter(|&j| j <= bad && sample - j <= all - bad)
            .map(|j| exp(choose(bad, j) + choose(all - bad, sample - j) - choose(all, sample)))
            .sum()
    }

    #[test]
    fn the_bound_holds_and_is_tight_against_the_summed_tail() {
        for epsilon in [1e-3, 1e-6, 1e-11] {
            for (check, key) in [(100u64, 100u64), (300, 3000), (2000, 2000), (1000, 100_000), (20_000, 5000)]
            {
                for seen in [0, 1, 2, 3, 5, 10, 20, 45, 300] {
                    let bound = exact(seen as f64, check as f64, key as f64, -log(epsilon));
                    if bound >= 0.5 {
                        continue;
                    }
                    // The least number of unseen errors that breaks the bound.
                    let unseen = libm::floor(bound * key as f64 + 1e-6) as u64 + 1;
                    let fails = hypergeometric_tail_below(check + key, unseen + seen, check, seen);
                    assert!(fails <= epsilon, "{seen} of {check}, {key} unseen: {bound} fails with {fails}");
                    // Two errors fewer and it would not hold, but for the estimate of the tail.
                    let nearly = hypergeometric_tail_below(check + key, unseen + seen - 2, check, seen);
                    assert!(
                        nearly > 0.5 * epsilon,
                        "{seen} of {check}, {key} unseen: {bound} is wide: {nearly}"
                    );
                }
            }
        }
    }

    /// The print divides by ln 2 where the normal approximation multiplies, so its margin is up to
    /// 1/ln 2 = 1.44 times as wide; but it has no skew, which few errors in a small sample have.
    #[test]
    fn the_printed_formula_stands_where_it_is_the_wider() {
        let confidence = -log(1e-9 / 21.0);
        for (errors, check, key, ratio) in
            [(8e3, 2e5, 6e6, 1.35), (500.0, 1e5, 1e6, 1.31), (4e4, 1e6, 1e8, 1.32), (20.0, 4e3, 1e5, 0.95)]
        {
            let (rate, exact) = (errors / check, exact(errors, check, key, confidence));
            let printed = printed(errors, check, key, confidence);
            let seen = (printed - rate) / (exact - rate);
            assert!((seen - ratio).abs() < 0.05, "{seen} for {errors} of {check}");
            assert_eq!(wider(errors, check, key, confidence), exact.max(printed));
        }
    }

    #[test]
    fn extreme_counts_give_a_rate() {
        for (errors, check, key) in [
            (0.0, 1.0, 1.0),
            (0.0, 1e19, 1e19),
            (1e17, 1e19, 1.0),
            (0.3, 0.5, 1e9),
            (5.0, 5.0, 5.0),
            (3.0, 1.0, 9.0),
        ] {
            for rate in [exact, printed, wider].map(|bound| bound(errors, check, key, 25.0)) {
                assert!((0.0..=0.5).contains(&rate), "{errors} {check} {key}: {rate}");
            }
        }
        assert!(exact(1e17, 1e19, 1e19, 25.0) < 0.0101);
    }
}
