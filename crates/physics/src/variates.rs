//! Random variates over a [`Stream`], by pure-Rust arithmetic: equal on every machine.

use bellwether_units::Stream;

/// A standard normal variate, by Marsaglia's polar method (Marsaglia & Bray, SIAM Review 6, 260 (1964)).
pub(crate) fn standard_normal(stream: &mut Stream) -> f64 {
    loop {
        let x = 2.0 * stream.uniform() - 1.0;
        let y = 2.0 * stream.uniform() - 1.0;
        let s = x * x + y * y;
        if s > 0.0 && s < 1.0 {
            return x * libm::sqrt(-2.0 * libm::log(s) / s);
        }
    }
}

/// The number of successes in `n` trials of probability `p`, exactly: by inversion where the mean is below 10, else
/// by the rejection algorithm BTRS (Hörmann, J. Stat. Comput. Simul. 46, 101 (1993)).
pub fn binomial(n: u64, p: f64, stream: &mut Stream) -> u64 {
    if n == 0 || p <= 0.0 {
        0
    } else if p >= 1.0 {
        n
    } else if p > 0.5 {
        n - binomial(n, 1.0 - p, stream)
    } else if n as f64 * p < 10.0 {
        binomial_by_inversion(n, p, stream)
    } else {
        binomial_by_rejection(n as f64, p, stream)
    }
}

fn binomial_by_inversion(n: u64, p: f64, stream: &mut Stream) -> u64 {
    let odds = p / (1.0 - p);
    let none = libm::exp(n as f64 * libm::log1p(-p));
    loop {
        let mut u = stream.uniform();
        let mut term = none;
        // At a mean below 10, more than 110 successes have a probability below 1e-75; coming here is a rounding of u.
        for k in 0..=u64::min(n, 110) {
            if u < term {
                return k;
            }
            u -= term;
            term *= odds * ((n - k) as f64) / ((k + 1) as f64);
        }
    }
}

/// What Stirling's series adds to (k + 1/2) ln(k + 1) - (k + 1) + ln(2 pi) / 2 to make ln k!.
fn stirling(k: f64) -> f64 {
    if k < 10.0 {
        let series = (k + 0.5) * libm::log(k + 1.0) - (k + 1.0) + 0.918_938_533_204_672_8;
        return libm::lgamma(k + 1.0) - series;
    }
    let x = 1.0 / (k + 1.0);
    let square = x * x;
    (1.0 / 12.0 - (1.0 / 360.0 - square / 1260.0) * square) * x
}

fn binomial_by_rejection(n: f64, p: f64, stream: &mut Stream) -> u64 {
    let deviation = libm::sqrt(n * p * (1.0 - p));
    let b = 1.15 + 2.53 * deviation;
    let a = -0.0873 + 0.0248 * b + 0.01 * p;
    let centre = n * p + 0.5;
    let quick = 0.92 - 4.2 / b;
    let odds = p / (1.0 - p);
    let alpha = (2.83 + 5.1 / b) * deviation;
    let mode = libm::floor((n + 1.0) * p);
    loop {
        let u = stream.uniform() - 0.5;
        let v = stream.uniform();
        let us = 0.5 - libm::fabs(u);
        let k = libm::floor((2.0 * a / us + b) * u + centre);
        if us >= 0.07 && v <= quick {
            return k as u64;
        }
        // Written so that a k that is no number, from us = 0, is refused.
        if !(k >= 0.0 && k <= n) {
            continue;
        }
        // ln(f(k) / f(mode)); the logarithm beside the large factor n is of a quotient near 1.
        let bound = (mode + 0.5) * libm::log((mode + 1.0) / (odds * (n - mode + 1.0)))
            + (n + 1.0) * libm::log1p((k - mode) / (n - k + 1.0))
            + (k + 0.5) * libm::log(odds * (n - k + 1.0) / (k + 1.0))
            + stirling(mode)
            + stirling(n - mode)
            - stirling(k)
            - stirling(n - k);
        if libm::log(v * alpha / (a / (us * us) + b)) <= bound {
            return k as u64;
        }
    }
}

/// A gamma variate of shape `shape`, at least 1, and scale 1 (Marsaglia & Tsang, ACM TOMS 26, 363 (2000)).
fn gamma(shape: f64, stream: &mut Stream) -> f64 {
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / libm::sqrt(9.0 * d);
    loop {
        let x = standard_normal(stream);
        let v = 1.0 + c * x;
        if v <= 0.0 {
            continue;
        }
        let v = v * v * v;
        // 1 - u is never 0.
        if libm::log(1.0 - stream.uniform()) < 0.5 * x * x + d - d * v + d * libm::log(v) {
            return d * v;
        }
    }
}

/// A Poisson variate: by inversion below a mean of 10, else by the rejection algorithm PTRS (Hörmann, Insurance:
/// Mathematics and Economics 12, 39 (1993)).
pub(crate) fn poisson(mean: f64, stream: &mut Stream) -> u64 {
    if mean < 10.0 {
        let (mut term, mut u, mut k) = (libm::exp(-mean), stream.uniform(), 0);
        // At a mean below 10, more than 100 have a probability below 1e-60; coming there is a rounding of u.
        while u >= term && k < 100 {
            u -= term;
            k += 1;
            term *= mean / k as f64;
        }
        return k;
    }
    let b = 0.931 + 2.53 * libm::sqrt(mean);
    let a = -0.059 + 0.02483 * b;
    let inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
    let quick = 0.9277 - 3.6224 / (b - 2.0);
    let log_mean = libm::log(mean);
    loop {
        let u = stream.uniform() - 0.5;
        let v = stream.uniform();
        let us = 0.5 - libm::fabs(u);
        let k = libm::floor((2.0 * a / us + b) * u + mean + 0.43);
        if us >= 0.07 && v <= quick {
            return k as u64;
        }
        if k < 0.0 || us < 0.013 && v > us {
            continue;
        }
        let bound = k * log_mean - mean - libm::lgamma(k + 1.0);
        if libm::log(v * inverse_alpha / (a / (us * us) + b)) <= bound {
            return k as u64;
        }
    }
}

/// The number of failures before the `successes`-th success of trials of probability `p`, above 0: a Poisson count whose
/// mean is a gamma variate (Devroye, Non-Uniform Random Variate Generation, 1986, chapter X, section 4.7).
pub(crate) fn negative_binomial(successes: u64, p: f64, stream: &mut Stream) -> u64 {
    if successes == 0 || p >= 1.0 {
        return 0;
    }
    let mean = gamma(successes as f64, stream) * (1.0 - p) / p;
    poisson(mean, stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_units::{EntityId, Purpose};

    fn stream(n: u64) -> Stream {
        Stream::new(n, EntityId(0), Purpose::named("variates"))
    }

    fn probability(n: u64, p: f64, k: u64) -> f64 {
        let (nf, kf) = (n as f64, k as f64);
        let log = libm::lgamma(nf + 1.0) - libm::lgamma(kf + 1.0) - libm::lgamma(nf - kf + 1.0);
        (log + kf * p.ln() + (nf - kf) * (1.0 - p).ln()).exp()
    }

    /// Chi-square over all values expected at least 20 times, at 5 standard deviations of its law. The cases take both
    /// algorithms and the reflection at 1/2.
    #[test]
    fn binomial_variates_follow_their_law() {
        for (seed, (n, p)) in [(5, 0.3), (1000, 0.004), (40, 0.26), (200, 0.4), (100, 0.93), (100_000, 0.01)]
            .into_iter()
            .enumerate()
        {
            let mut s = stream(seed as u64);
            let draws = 200_000;
            let mut counts = std::collections::BTreeMap::new();
            for _ in 0..draws {
                *counts.entry(binomial(n, p, &mut s)).or_insert(0u32) += 1;
            }
            let (mut chi2, mut cells) = (0.0, 0.0);
            for k in 0..=n {
                let expected = probability(n, p, k) * f64::from(draws);
                if expected >= 20.0 {
                    let seen = f64::from(counts.get(&k).copied().unwrap_or(0));
                    chi2 += (seen - expected).powi(2) / expected;
                    cells += 1.0;
                }
            }
            assert!(chi2 < cells + 5.0 * (2.0f64 * cells).sqrt(), "n {n} p {p}: {chi2} in {cells} cells");
        }
    }

    /// Chi-square over all values expected at least 20 times, at 5 standard deviations of its law: below and above the
    /// mean at which the algorithm changes.
    #[test]
    fn negative_binomial_variates_follow_their_law() {
        for (seed, (successes, p)) in [(1u64, 0.3), (3, 0.9), (5, 0.2), (60, 0.4)].into_iter().enumerate() {
            let mut s = stream(20 + seed as u64);
            let draws = 100_000;
            let mut counts = std::collections::BTreeMap::new();
            for _ in 0..draws {
                *counts.entry(negative_binomial(successes, p, &mut s)).or_insert(0u32) += 1;
            }
            let (mut chi2, mut cells, mut term) = (0.0, 0.0, p.powi(successes as i32) * f64::from(draws));
            for k in 0..400u64 {
                if term >= 20.0 {
                    let seen = f64::from(counts.get(&k).copied().unwrap_or(0));
                    chi2 += (seen - term).powi(2) / term;
                    cells += 1.0;
                }
                term *= (successes + k) as f64 / (k + 1) as f64 * (1.0 - p);
            }
            assert!(
                chi2 < cells + 5.0 * (2.0f64 * cells).sqrt(),
                "{successes}, {p}: {chi2} in {cells} cells"
            );
        }
    }

    /// At 10^15 trials, mean and variance of 20 000 draws within 5 standard errors.
    #[test]
    fn huge_binomials_keep_mean_and_variance() {
        for p in [1e-9, 1e-3, 0.4] {
            let (n, draws) = (1_000_000_000_000_000u64, 20_000);
            let mut s = stream(9);
            let (mean, variance) = (n as f64 * p, n as f64 * p * (1.0 - p));
            let (mut sum, mut squares) = (0.0, 0.0);
            for _ in 0..draws {
                let d = (binomial(n, p, &mut s) as f64 - mean) / variance.sqrt();
                sum += d;
                squares += d * d;
            }
            let draws = f64::from(draws);
            assert!((sum / draws).abs() < 5.0 / draws.sqrt(), "mean off by {} at {p}", sum / draws);
            assert!((squares / draws - 1.0).abs() < 5.0 * (2.0 / draws).sqrt(), "variance at {p}");
        }
    }

    #[test]
    fn certain_trials_are_certain() {
        let mut s = stream(0);
        assert_eq!(binomial(7, 0.0, &mut s), 0);
        assert_eq!(binomial(7, 1.0, &mut s), 7);
        assert_eq!(binomial(0, 0.5, &mut s), 0);
    }

    /// Kolmogorov-Smirnov at the 0.1 % point.
    #[test]
    fn normal_variates_are_normal() {
        let mut s = stream(1);
        let mut xs: Vec<f64> = (0..100_000).map(|_| standard_normal(&mut s)).collect();
        xs.sort_by(f64::total_cmp);
        let n = xs.len() as f64;
        let distance = xs
            .iter()
            .enumerate()
            .map(|(i, x)| (0.5 * libm::erfc(-x / 2f64.sqrt()) - (i as f64 + 0.5) / n).abs())
            .fold(0.0, f64::max);
        assert!(distance < 1.95 / n.sqrt(), "{distance}");
    }
}
