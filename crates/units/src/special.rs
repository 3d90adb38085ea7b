//! Functions that several rooms need: binary entropy, the tails of counting distributions and the quantiles of
//! the normal one.
//!
//! All arithmetic goes through the pure-Rust `libm`, so that results agree on every machine.

use libm::{exp, lgamma, log, log2};

/// The entropy of a coin that falls heads with probability `p`, in bits: `-p log2 p - (1-p) log2 (1-p)`.
/// Zero outside (0, 1).
pub fn binary_entropy(p: f64) -> f64 {
    if p <= 0.0 || p >= 1.0 {
        return 0.0;
    }
    -p * log2(p) - (1.0 - p) * log2(1.0 - p)
}

/// The logarithm of the gamma function for `x > 0`.
pub fn ln_gamma(x: f64) -> f64 {
    lgamma(x)
}

/// The probability that a binomial count of `n` trials with chance `p` is `k` or more.
pub fn binomial_tail_above(n: u64, p: f64, k: u64) -> f64 {
    if k == 0 {
        return 1.0;
    }
    if k > n || p <= 0.0 {
        return 0.0;
    }
    if p >= 1.0 {
        return 1.0;
    }
    regularised_beta(k as f64, (n - k) as f64 + 1.0, p)
}

/// The probability that a binomial count of `n` trials with chance `p` is `k` or fewer.
pub fn binomial_tail_below(n: u64, p: f64, k: u64) -> f64 {
    if k >= n || p <= 0.0 {
        return 1.0;
    }
    if p >= 1.0 {
        return 0.0;
    }
    regularised_beta((n - k) as f64, k as f64 + 1.0, 1.0 - p)
}

/// The probability that a Poisson count of mean `mean` is `k` or fewer.
pub fn poisson_tail_below(mean: f64, k: u64) -> f64 {
    if mean <= 0.0 {
        return 1.0;
    }
    1.0 - regularised_gamma_below(k as f64 + 1.0, mean)
}

/// What a standard normal variate exceeds with the probability `above`: 3.0902 for 0.001, 0 for 0.5. Infinite for
/// 0 and less, minus infinity for 1 and more.
pub fn normal_upper_quantile(above: f64) -> f64 {
    if above.is_nan() || above <= 0.0 {
        return f64::INFINITY;
    }
    if above >= 1.0 {
        return f64::NEG_INFINITY;
    }
    // Beyond 38 standard deviations no positive f64 is left.
    let (mut low, mut high) = (-39.0, 39.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if 0.5 * libm::erfc(middle * core::f64::consts::FRAC_1_SQRT_2) > above {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + high) / 2.0
}

/// I_x(a, b) by the continued fraction of Lentz (Press et al., Numerical Recipes, section 6.4).
fn regularised_beta(a: f64, b: f64, x: f64) -> f64 {
    let front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * libm::log1p(-x));
    if x < (a + 1.0) / (a + b + 2.0) {
        front * beta_fraction(a, b, x) / a
    } else {
        1.0 - front * beta_fraction(b, a, 1.0 - x) / b
    }
}

fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let guard = |v: f64| if libm::fabs(v) < TINY { TINY } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / guard(1.0 - (a + b) * x / (a + 1.0));
    let mut h = d;
    for m in 1..100_000 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / guard(1.0 + even * d);
        c = guard(1.0 + even / c);
        h *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / guard(1.0 + odd * d);
        c = guard(1.0 + odd / c);
        let step = d * c;
        h *= step;
        if libm::fabs(step - 1.0) < 1e-15 {
            break;
        }
    }
    h
}

/// P(a, x), the lower regularised incomplete gamma function, by its series or continued fraction.
fn regularised_gamma_below(a: f64, x: f64) -> f64 {
    let front = exp(a * log(x) - x - lgamma(a));
    if x < a + 1.0 {
        let mut term = 1.0 / a;
        let mut sum = term;
        let mut n = a;
        for _ in 0..1_000_000 {
            n += 1.0;
            term *= x / n;
            sum += term;
            if term < sum * 1e-16 {
                break;
            }
        }
        sum * front
    } else {
        const TINY: f64 = 1e-300;
        let mut b = x + 1.0 - a;
        let mut c = 1.0 / TINY;
        let mut d = 1.0 / b;
        let mut h = d;
        for i in 1..1_000_000 {
            let i = f64::from(i);
            let an = -i * (i - a);
            b += 2.0;
            d = an * d + b;
            d = 1.0 / if libm::fabs(d) < TINY { TINY } else { d };
            c = b + an / c;
            c = if libm::fabs(c) < TINY { TINY } else { c };
            let step = d * c;
            h *= step;
            if libm::fabs(step - 1.0) < 1e-15 {
                break;
            }
        }
        1.0 - front * h
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64, relative: f64) {
        assert!((a - b).abs() <= relative * b.abs(), "{a} against {b}");
    }

    #[test]
    fn tails_agree_with_sums_of_exact_terms() {
        let (n, p) = (40u64, 0.13);
        let mut term = (1.0f64 - p).powi(40);
        let mut below = 0.0;
        for k in 0..=n {
            assert!((binomial_tail_above(n, p, k) - (1.0 - below)).abs() < 1e-13);
            below += term;
            close(binomial_tail_below(n, p, k), below, 1e-12);
            term *= (n - k) as f64 / (k + 1) as f64 * p / (1.0 - p);
        }
        let mut term = (-3.5f64).exp();
        let mut below = 0.0;
        for k in 0..12u64 {
            below += term;
            close(poisson_tail_below(3.5, k), below, 1e-12);
            term *= 3.5 / (k + 1) as f64;
        }
    }

    /// Abramowitz & Stegun, tables 26.5 and 26.6.
    #[test]
    fn quantiles_of_the_normal_distribution_agree_with_the_tables() {
        for (above, x) in [(0.5, 0.0), (0.025, 1.959_963_985), (1e-3, 3.090_232_306), (1e-9, 5.997_807_015)] {
            assert!((normal_upper_quantile(above) - x).abs() < 1e-9, "{above}");
            assert!((normal_upper_quantile(1.0 - above) + x).abs() < 1e-7, "1 - {above}");
        }
        assert_eq!(normal_upper_quantile(0.0), f64::INFINITY);
        assert_eq!(normal_upper_quantile(1.0), f64::NEG_INFINITY);
    }

    #[test]
    fn far_tails_keep_their_digits() {
        // 1 - Phi(6) = 9.866e-10; a binomial of 10^8 fair trials is normal to that accuracy.
        close(binomial_tail_above(100_000_000, 0.5, 50_030_000), 9.866e-10, 2e-3);
        assert_eq!(binary_entropy(0.0), 0.0);
        close(binary_entropy(0.11), 0.499_915_958, 1e-8);
    }
}
