//! Why a state, a channel or a measurement cannot be.

use crate::density::MAX_QUBITS;

/// How far numbers from files and closed forms may miss what they should sum to.
const TOLERANCE: f64 = 1e-9;

/// Why something that was to describe a state or what happens to it cannot be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StateError {
    /// A number that should be a probability is not.
    #[error("{what} is {value}: a probability lies between 0 and 1")]
    NotAProbability {
        /// What the number was to be.
        what: &'static str,
        /// The number.
        value: f64,
    },
    /// Probabilities that exhaust all cases do not sum to 1.
    #[error("{what} sum to {sum} instead of 1: scale them, or add the case that is missing")]
    NotNormalised {
        /// What the numbers were to be.
        what: &'static str,
        /// Their sum.
        sum: f64,
    },
    /// A number lies outside the range that its meaning leaves.
    #[error("{what} is {value}, which is not between {low} and {high}")]
    OutOfRange {
        /// What the number was to be.
        what: &'static str,
        /// The number.
        value: f64,
        /// The least that makes sense.
        low: f64,
        /// The most that makes sense.
        high: f64,
    },
    /// A relaxation time and a coherence time that no qubit can have together.
    #[error(
        "a coherence time of {t2} s with a relaxation time of {t1} s: coherence lasts at most twice as long"
    )]
    CoherenceOutlivesRelaxation {
        /// The relaxation time T1 in seconds.
        t1: f64,
        /// The coherence time T2 in seconds.
        t2: f64,
    },
    /// A time constant of zero.
    #[error("{what} is zero: leave it out if there is none")]
    ZeroTime {
        /// What the time was to be.
        what: &'static str,
    },
    /// A cheaper form of state that has no exact rule for what is to happen.
    #[error("{what} is not exact for Bell-diagonal pairs: use a density matrix, or twirl and say so")]
    NotExact {
        /// What was to happen.
        what: &'static str,
    },
    /// More qubits than a density matrix holds here.
    #[error("{0} qubits in one density matrix: at most {MAX_QUBITS} fit; discard some, or use a tableau")]
    TooManyQubits(usize),
    /// A handle of a qubit that was measured, dropped, or never there.
    #[error("this qubit is gone: it was measured or dropped, or belongs to another store")]
    NoSuchQubit,
    /// A list of amplitudes or matrix entries whose length fits no number of qubits.
    #[error("{found} entries where {wanted} were wanted")]
    WrongSize {
        /// How many there were.
        found: usize,
        /// How many would fit.
        wanted: usize,
    },
    /// A matrix that is not a state: not Hermitian, not of trace 1, or not positive.
    #[error("this matrix is no state: {0}")]
    NotAState(&'static str),
    /// An operator that should be unitary, or a set of operators that should preserve the trace.
    #[error("these operators change the trace by {0}: sum of K†K must be the identity")]
    NotTracePreserving(f64),
}

/// Whether `sum` is 1 within what decimal fractions lose; not so if it is no number.
pub(crate) fn is_one(sum: f64) -> bool {
    libm::fabs(sum - 1.0) < TOLERANCE
}

/// Refuses what is no probability.
pub(crate) fn probability(what: &'static str, value: f64) -> Result<f64, StateError> {
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err(StateError::NotAProbability { what, value }) }
}

/// Refuses probabilities that are none or do not sum to 1, and takes out what decimal fractions lose.
pub(crate) fn distribution<const N: usize>(
    what: &'static str,
    values: [f64; N],
) -> Result<[f64; N], StateError> {
    for value in values {
        probability(what, value)?;
    }
    let sum: f64 = values.iter().sum();
    if is_one(sum) {
        Ok(values.map(|value| value / sum))
    } else {
        Err(StateError::NotNormalised { what, sum })
    }
}
