//! Misalignment between transmitter and receiver, and how it drifts.

use bellwether_units::{Angle, Duration, Stream};

use crate::probability::is_probability;
use crate::variates::standard_normal;

/// Why a misalignment or drift cannot be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MisalignmentError {
    /// The error probability is outside 0 to 1.
    #[error("the misalignment error {0} is not between 0 and 1")]
    NotAProbability(f64),
    /// An angle is not a number.
    #[error("a misalignment angle must be finite")]
    Angle,
    /// A drift is told over no time.
    #[error("a drift needs a time over which its angle builds up")]
    NoTime,
}

/// Which share of the light goes to the wrong detector although the bases agree.
///
/// It has a fixed part (finite extinction and visibility) and a rotation by an angle a, which sends sin²(a) of
/// the light the wrong way: e = e0 + (1 - 2 e0) sin²(a).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Misalignment {
    fixed: f64,
    angle: f64,
}

impl Misalignment {
    /// A fixed error probability of light measured in the right basis.
    pub fn from_error(probability: f64) -> Result<Self, MisalignmentError> {
        if is_probability(probability) {
            Ok(Self { fixed: probability, angle: 0.0 })
        } else {
            Err(MisalignmentError::NotAProbability(probability))
        }
    }

    /// The misalignment by a rotation of `angle` between otherwise perfect ends.
    pub fn from_angle(angle: Angle) -> Result<Self, MisalignmentError> {
        Self::default().rotated(angle)
    }

    /// This misalignment with its rotation set to `angle`.
    pub fn rotated(self, angle: Angle) -> Result<Self, MisalignmentError> {
        if angle.radians().is_finite() {
            Ok(Self { fixed: self.fixed, angle: angle.radians() })
        } else {
            Err(MisalignmentError::Angle)
        }
    }

    /// The share of the light that goes to the wrong detector.
    pub fn error_probability(self) -> f64 {
        let s = libm::sin(self.angle);
        self.fixed + (1.0 - 2.0 * self.fixed) * s * s
    }
}

/// How the angle of a misalignment wanders: steadily, and as a random walk.
///
/// ```
/// use bellwether_physics::{Drift, Misalignment};
/// use bellwether_units::{Angle, Duration, EntityId, Purpose, Stream};
///
/// let drift = Drift::linear(Angle::from_radians(0.1), Duration::from_whole_seconds(3600))?;
/// let mut stream = Stream::new(1, EntityId(0), Purpose::named("drift"));
/// let angle = drift.advance(Angle::default(), Duration::from_whole_seconds(7200), &mut stream);
/// let error = Misalignment::from_error(0.01)?.rotated(angle)?.error_probability();
/// assert!((error - (0.01 + 0.98 * 0.2f64.sin().powi(2))).abs() < 1e-12);
/// # Ok::<(), bellwether_physics::MisalignmentError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Drift {
    radians_per_second: f64,
    /// Variance that the random walk gains in a second.
    variance_per_second: f64,
}

impl Drift {
    /// A steady drift by `angle` in every `time`.
    pub fn linear(angle: Angle, time: Duration) -> Result<Self, MisalignmentError> {
        Self::default().and_linear(angle, time)
    }
    /// A random walk that reaches the standard deviation `angle` after `time`; the deviation grows with the
    /// square root of time.
    pub fn random_walk(angle: Angle, time: Duration) -> Result<Self, MisalignmentError> {
        Self::default().and_random_walk(angle, time)
    }
    /// This drift with a steady part.
    pub fn and_linear(mut self, angle: Angle, time: Duration) -> Result<Self, MisalignmentError> {
        self.radians_per_second = finite(angle)? / seconds(time)?;
        Ok(self)
    }
    /// This drift with a random walk.
    pub fn and_random_walk(mut self, angle: Angle, time: Duration) -> Result<Self, MisalignmentError> {
        self.variance_per_second = finite(angle)? * angle.radians() / seconds(time)?;
        Ok(self)
    }

    /// The angle after `elapsed`, from `angle`. Its law does not depend on how the time is cut into steps.
    pub fn advance(&self, angle: Angle, elapsed: Duration, stream: &mut Stream) -> Angle {
        let seconds = elapsed.seconds();
        let mut radians = angle.radians() + self.radians_per_second * seconds;
        if self.variance_per_second > 0.0 {
            radians += libm::sqrt(self.variance_per_second * seconds) * standard_normal(stream);
        }
        Angle::from_radians(radians)
    }
}

fn finite(angle: Angle) -> Result<f64, MisalignmentError> {
    Some(angle.radians()).filter(|a| a.is_finite()).ok_or(MisalignmentError::Angle)
}

fn seconds(time: Duration) -> Result<f64, MisalignmentError> {
    if time.is_zero() { Err(MisalignmentError::NoTime) } else { Ok(time.seconds()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_units::{EntityId, Purpose};

    #[test]
    fn an_angle_errs_with_its_squared_sine() {
        let m = Misalignment::from_angle(Angle::from_radians(core::f64::consts::FRAC_PI_4)).unwrap();
        assert!((m.error_probability() - 0.5).abs() < 1e-15);
        assert!(Misalignment::from_error(1.1).is_err());
        assert!(Misalignment::from_error(f64::NAN).is_err());
    }

    /// Variance after 1 h in 60 steps is that of one step: 2000 walks, so the sample variance has a standard
    /// error of 3.2 %; four of those are allowed.
    #[test]
    fn a_random_walk_has_its_variance_however_it_is_cut() {
        let hour = Duration::from_whole_seconds(3600);
        let drift = Drift::random_walk(Angle::from_radians(0.2), hour).unwrap();
        let mut stream = Stream::new(5, EntityId(0), Purpose::named("drift"));
        let mut squares = 0.0;
        for _ in 0..2000 {
            let mut angle = Angle::default();
            for _ in 0..60 {
                angle = drift.advance(angle, Duration::from_whole_seconds(60), &mut stream);
            }
            squares += angle.radians() * angle.radians();
        }
        let ratio = squares / 2000.0 / 0.04;
        assert!((ratio - 1.0).abs() < 4.0 * 0.032, "variance ratio {ratio}");
    }
}
