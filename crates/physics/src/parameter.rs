//! Parameters of closed forms, and what is wrong with one that cannot be.

use crate::probability::is_probability;

/// A parameter is outside what it can be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{what} is {value}, but must be {range}")]
pub struct ParameterError {
    /// Which parameter.
    pub what: &'static str,
    /// The value it was given.
    pub value: f64,
    /// What would be right.
    pub range: &'static str,
}

/// `value` if it is a probability.
pub(crate) fn probability(what: &'static str, value: f64) -> Result<f64, ParameterError> {
    if is_probability(value) { Ok(value) } else { Err(ParameterError { what, value, range: "0 to 1" }) }
}

/// `value` if it is a probability of something that can happen.
pub(crate) fn chance(what: &'static str, value: f64) -> Result<f64, ParameterError> {
    if value > 0.0 && value <= 1.0 {
        Ok(value)
    } else {
        Err(ParameterError { what, value, range: "above 0, at most 1" })
    }
}

/// `value` if it is a positive number.
pub(crate) fn positive(what: &'static str, value: f64) -> Result<f64, ParameterError> {
    if value > 0.0 && value.is_finite() {
        Ok(value)
    } else {
        Err(ParameterError { what, value, range: "above 0 and finite" })
    }
}

/// What one attempt leaves of something that falls to 1/e in `attempts` attempts, which may be infinitely many.
pub(crate) fn decay_per_attempt(what: &'static str, attempts: f64) -> Result<f64, ParameterError> {
    if attempts > 0.0 {
        Ok(libm::exp(-1.0 / attempts))
    } else {
        Err(ParameterError { what, value: attempts, range: "above 0" })
    }
}

/// `value` if it is at least `least` and at most `most`; `range` says so.
pub(crate) fn within(
    what: &'static str,
    value: usize,
    least: usize,
    most: usize,
    range: &'static str,
) -> Result<usize, ParameterError> {
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(ParameterError { what, value: value as f64, range })
    }
}
