//! Closed forms of waiting: how long until every link of a chain has a pair, and how long pairs wait for each other.
//!
//! Times from one pair to the next are taken for exponential, which they are for links that seldom succeed. What attempts in
//! cycles do to the mean is half a cycle, up to terms of the order of the success probability squared.

use bellwether_quantum::MemoryNoise;
use bellwether_units::Duration;

/// The mean of the greatest of independent exponential times with these rates: ∫ 1 - Π (1 - exp(-λt)) dt.
///
/// The trapezoidal rule over ln t, which converges exponentially here.
pub(super) fn mean_of_greatest(rates: &[f64]) -> f64 {
    const STEP: f64 = 0.5;
    let least = rates.iter().copied().fold(f64::INFINITY, f64::min);
    let most = rates.iter().copied().fold(0.0, f64::max);
    if rates.is_empty() || !(least > 0.0 && most.is_finite()) {
        return if rates.is_empty() { 0.0 } else { f64::INFINITY };
    }
    if let [rate] = rates {
        return 1.0 / rate;
    }
    let begin = 1e-9 / most;
    let ratio = libm::exp(STEP);
    // Before the first point hardly anything has come, so what is summed is a geometric series.
    let mut sum = begin / (ratio - 1.0);
    let end = (45.0 + libm::log(rates.len() as f64)) / least;
    let mut t = begin;
    while t < end {
        let all: f64 = rates.iter().map(|rate| -libm::expm1(-rate * t)).product();
        sum += t * (1.0 - all);
        t *= ratio;
    }
    sum * STEP
}

/// Two links that wait for each other, and give up the earlier pair after a while.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meeting {
    /// The rates of both links, per second.
    pub(super) rates: [f64; 2],
    /// After which a pair is given up, in seconds.
    pub(super) cutoff: Option<f64>,
}

impl Meeting {
    /// The probability that the first pair meets the second in time.
    pub(super) fn success(&self) -> f64 {
        let [a, b] = self.rates;
        let Some(cutoff) = self.cutoff else { return 1.0 };
        (a * -libm::expm1(-b * cutoff) + b * -libm::expm1(-a * cutoff)) / (a + b)
    }
    /// How many times longer it takes than without a cutoff.
    pub(super) fn slower(&self) -> f64 {
        let [a, b] = self.rates;
        let Some(cutoff) = self.cutoff else { return 1.0 };
        // Until either has a pair, and then until the other has one or the first is given up; again until they meet.
        let round = |wait_a: f64, wait_b: f64| (1.0 + a * wait_b / b + b * wait_a / a) / (a + b);
        let with = round(-libm::expm1(-a * cutoff), -libm::expm1(-b * cutoff)) / self.success();
        with / round(1.0, 1.0)
    }
    /// The mean factors by which memory noise multiplies correlations while the first pair waits, given that they meet.
    pub(super) fn factors(&self, memory: &MemoryNoise) -> [f64; 3] {
        let [a, b] = self.rates;
        let mut sum = [0.0; 3];
        let mut weights = 0.0;
        // First of link a, then waiting for b, and the other way round.
        for (first, second) in [(a, b), (b, a)] {
            let in_time = self.cutoff.map_or(1.0, |cutoff| -libm::expm1(-second * cutoff));
            let weight = first / (a + b) * in_time;
            weights += weight;
            for (node, share) in GAUSS {
                let wait = -libm::log1p(-node * in_time) / second;
                let wait = Duration::from_seconds(wait).unwrap_or(Duration::ZERO);
                let factors = memory.decay(Duration::ZERO, wait).factors();
                (0..3).for_each(|i| sum[i] += weight * share * factors[i]);
            }
        }
        if weights > 0.0 { sum.map(|s| s / weights) } else { [0.0; 3] }
    }
}

/// Places and weights of Gauss and Legendre on (0, 1), of order 8.
const GAUSS: [(f64, f64); 8] = [
    (0.019_855_071_751_231_884, 0.050_614_268_145_188_13),
    (0.101_666_761_293_186_63, 0.111_190_517_226_687_24),
    (0.237_233_795_041_835_5, 0.156_853_322_938_943_64),
    (0.408_282_678_752_175_1, 0.181_341_891_689_181),
    (0.591_717_321_247_825, 0.181_341_891_689_181),
    (0.762_766_204_958_164_5, 0.156_853_322_938_943_64),
    (0.898_333_238_706_813_4, 0.111_190_517_226_687_24),
    (0.980_144_928_248_768_1, 0.050_614_268_145_188_13),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(p: f64) -> f64 {
        -libm::log1p(-p)
    }

    /// The exact means of the greatest of n geometric numbers with p = 0.1, by inclusion and exclusion.
    #[test]
    fn half_a_cycle_makes_exponential_times_geometric() {
        let exact = [(2, 14.736_842_105), (4, 20.273_378_192), (8, 26.295_784_368), (16, 32.587_247_980)];
        for (n, mean) in exact {
            let found = mean_of_greatest(&vec![rate(0.1); n]) + 0.5;
            assert!((found - mean).abs() < 1e-3, "{n}: {found}");
        }
    }

    #[test]
    fn unequal_rates_agree_with_inclusion_and_exclusion() {
        let (a, b, c) = (0.02, 1.0, 37.0);
        let exact =
            1.0 / a + 1.0 / b + 1.0 / c - 1.0 / (a + b) - 1.0 / (a + c) - 1.0 / (b + c) + 1.0 / (a + b + c);
        let found = mean_of_greatest(&[a, b, c]);
        assert!((found / exact - 1.0).abs() < 1e-7, "{found} {exact}");
        assert_eq!(mean_of_greatest(&[4.0]), 0.25);
        assert_eq!(mean_of_greatest(&[1.0, 0.0]), f64::INFINITY);
    }

    /// Against the exact law of two links that attempt in cycles: E[T] = (1 + 2q(1-q^τ))/D with D = p² + 2pq(1-q^τ),
    /// and E[x^Δ] = p²(1 + 2qx(1-(qx)^τ)/(1-qx))/D.
    #[test]
    fn two_links_with_a_cutoff_take_as_long_as_they_must() {
        let (p, tau, x) = (1e-4f64, 5000.0, (-1.0f64 / 20_000.0).exp());
        let q = 1.0 - p;
        let d = p * p + 2.0 * p * q * (1.0 - q.powf(tau));
        let exact = (1.0 + 2.0 * q * (1.0 - q.powf(tau))) / d;
        let meeting = Meeting { rates: [rate(p); 2], cutoff: Some(tau) };
        let found = mean_of_greatest(&[rate(p); 2]) * meeting.slower();
        assert!((found / exact - 1.0).abs() < 1e-3, "{found} {exact}");
        let kept = p * p * (1.0 + 2.0 * q * x * (1.0 - (q * x).powf(tau)) / (1.0 - q * x)) / d;
        // A cycle is a second here, and a memory that depolarises after 20,000 s keeps x each second.
        let memory = MemoryNoise::depolarising(Duration::from_seconds(20_000.0).unwrap()).unwrap();
        let factors = meeting.factors(&memory);
        assert!((factors[0] - kept).abs() < 1e-3, "{factors:?} {kept}");
    }

    #[test]
    fn the_mean_factor_of_unequal_links_is_the_laplace_transform() {
        let ([a, b], r) = ([3.0, 0.5], 0.2);
        let memory = MemoryNoise::depolarising(Duration::from_seconds(1.0 / r).unwrap()).unwrap();
        let exact = a / (a + b) * b / (b + r) + b / (a + b) * a / (a + r);
        let found = Meeting { rates: [a, b], cutoff: None }.factors(&memory)[1];
        assert!((found - exact).abs() < 3e-3, "{found} {exact}");
    }
}
