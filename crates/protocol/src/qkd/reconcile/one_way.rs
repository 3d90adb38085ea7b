//! What reconciliation by a single message has to disclose at least: the mark by which any way of reconciling is
//! judged.

use bellwether_units::normal_upper_quantile;
use libm::{log2, sqrt};

/// The fewest bits that a single message can disclose about a block of `bits` bits with errors at `error_rate`
/// (0 to 0.5), if reconciliation may fail with the probability `failure`:
/// `n h(Q) + sqrt(n V(Q)) z - log2(n) / 2` with `V(Q) = Q (1-Q) log2^2((1-Q)/Q)` and `z` what a standard normal
/// variate exceeds with that probability. Accurate to a few bits at lengths of 10^4 and more
/// and failures of 10^-4 and more (Tomamichel,
/// Martinez-Mateo, Pacher & Elkouss, Quantum Inf. Process. 16, 280 (2017), arXiv:1401.5194).
///
/// No bits without errors, and never more than there are. Cascade, in which both ends speak, is not held to it: what
/// it disclosed is counted over blocks as they were, and in short blocks it may need less.
///
/// ```
/// use bellwether_protocol::qkd::reconcile::least_one_way_disclosure;
///
/// // A block of 10^6 bits at 2 %, of which one in a thousand may fail: 1.7 % above the Shannon limit.
/// assert_eq!(least_one_way_disclosure(1e6, 0.02, 1e-3).round(), 143_860.0);
/// ```
pub fn least_one_way_disclosure(bits: f64, error_rate: f64, failure: f64) -> f64 {
    if error_rate.is_nan() || error_rate <= 0.0 || bits.is_nan() || bits < 1.0 {
        return 0.0;
    }
    if error_rate >= 0.5 {
        return bits;
    }
    let log_odds = log2((1.0 - error_rate) / error_rate);
    let deviation = sqrt(bits * error_rate * (1.0 - error_rate)) * log_odds;
    let least =
        bits * binary_entropy(error_rate) + deviation * normal_upper_quantile(failure) - 0.5 * log2(bits);
    least.clamp(0.0, bits)
}

/// The binary entropy `-p log2 p - (1 - p) log2 (1 - p)`.
pub(super) fn binary_entropy(p: f64) -> f64 {
    let term = |x: f64| if x > 0.0 { -x * libm::log2(x) } else { 0.0 };
    term(p) + term(1.0 - p)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_units::{binomial_tail_above, ln_gamma};

    fn as_f(bits: f64, failure: f64) -> f64 {
        least_one_way_disclosure(bits, 0.02, failure) / (bits * binary_entropy(0.02))
    }

    /// Digits of an independent evaluation.
    #[test]
    fn the_least_leak_at_two_percent() {
        for (bits, expected, half_of_last_digit) in
            [(1e4, 1.16704, 5e-6), (1e5, 1.05372, 5e-6), (1e6, 1.0171, 5e-5)]
        {
            let f = as_f(bits, 1e-3);
            assert!((f - expected).abs() <= half_of_last_digit, "{bits} bits: {f} against {expected}");
        }
    }

    /// A message of m bits can tell 2^m patterns of errors apart. The likeliest patterns, which are those with the
    /// fewest errors, must be told apart until no more than `failure` is left: counted exactly.
    #[test]
    fn as_many_patterns_as_must_be_told_apart() {
        for (bits, rate, failure) in
            [(10_000u64, 0.02, 1e-3), (10_000, 0.05, 1e-2), (100_000, 0.02, 1e-3), (100_000, 0.05, 1e-4)]
        {
            let errors = (0..bits).find(|&k| binomial_tail_above(bits, rate, k + 1) <= failure).unwrap();
            let ln_patterns = |k: u64| {
                ln_gamma(bits as f64 + 1.0) - ln_gamma(k as f64 + 1.0) - ln_gamma((bits - k) as f64 + 1.0)
            };
            let most = ln_patterns(errors);
            let others: f64 = (0..=errors).map(|k| (ln_patterns(k) - most).exp()).sum();
            let exact = (most + others.ln()) / core::f64::consts::LN_2;
            let told = least_one_way_disclosure(bits as f64, rate, failure);
            // Whole numbers of errors are steps of log2((1-Q)/Q), 4 to 6 bits.
            assert!((told - exact).abs() < 6.0, "{bits} bits at {rate}: {told} against {exact}");
        }
    }

    #[test]
    fn nothing_to_correct_and_nothing_correctable() {
        assert_eq!(least_one_way_disclosure(1e6, 0.0, 1e-3), 0.0);
        assert_eq!(least_one_way_disclosure(0.0, 0.02, 1e-3), 0.0);
        assert_eq!(least_one_way_disclosure(100.0, 0.5, 0.0), 100.0);
        assert_eq!(least_one_way_disclosure(100.0, 0.11, 1e-12), 100.0);
        assert_eq!(least_one_way_disclosure(100.0, 0.11, 1.0), 0.0);
        assert!(as_f(1e5, 1e-6) > as_f(1e5, 1e-3) && as_f(1e9, 1e-3) > 1.0);
    }
}
