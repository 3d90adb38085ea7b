//! Checks of probabilities that constructors share.

/// Whether `p` can be a probability.
pub(crate) fn is_probability(p: f64) -> bool {
    (0.0..=1.0).contains(&p)
}

/// Whether `probabilities` sum to 1 within what decimal fractions in a file lose.
pub(crate) fn sums_to_one(probabilities: impl Iterator<Item = f64>) -> bool {
    libm::fabs(probabilities.sum::<f64>() - 1.0) < 1e-9
}
