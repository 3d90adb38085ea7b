//! A fibre: how much light it loses and how long light takes.

use bellwether_units::{Duration, Length, Loss, LossPerLength};

/// The speed of light in vacuum, metres a second (exact, SI).
pub(crate) const SPEED_OF_LIGHT: f64 = 299_792_458.0;

/// Why a fibre cannot be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FibreError {
    /// The length is negative or not a number.
    #[error("the length {0} is not between 0 m and 1e9 m")]
    Length(Length),
    /// A loss is negative or not a number.
    #[error("the loss {0} is negative")]
    Loss(Loss),
    /// The attenuation is negative or not a number.
    #[error("the attenuation {0} is negative")]
    Attenuation(LossPerLength),
    /// Light would be faster than in vacuum or absurdly slow.
    #[error("the group index {0} is not between 1 and 10")]
    GroupIndex(f64),
}

/// A fibre between a transmitter and a receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct Fibre {
    length: Length,
    attenuation: LossPerLength,
    insertion_loss: Loss,
    group_index: f64,
}

impl Fibre {
    /// The group index of standard single-mode fibre at 1550 nm (4.9 µs/km).
    pub const STANDARD_GROUP_INDEX: f64 = 1.468;

    /// A fibre with `attenuation` by length, no insertion loss and the standard group index.
    pub fn new(length: Length, attenuation: LossPerLength) -> Result<Self, FibreError> {
        if !(0.0..=1e9).contains(&length.metres()) {
            return Err(FibreError::Length(length));
        }
        if !attenuation.decibels_per_kilometre().is_finite() || attenuation.decibels_per_kilometre() < 0.0 {
            return Err(FibreError::Attenuation(attenuation));
        }
        let group_index = Self::STANDARD_GROUP_INDEX;
        Ok(Self { length, attenuation, insertion_loss: Loss::NONE, group_index })
    }

    /// A fibre of which the total loss was measured. At length 0 the loss counts as insertion loss.
    pub fn with_total_loss(length: Length, total: Loss) -> Result<Self, FibreError> {
        if !total.decibels().is_finite() || total.decibels() < 0.0 {
            return Err(FibreError::Loss(total));
        }
        if length.metres() == 0.0 {
            return Self::new(length, LossPerLength::default())?.with_insertion_loss(total);
        }
        Self::new(length, LossPerLength::from_decibels_per_kilometre(total.decibels() / length.kilometres()))
    }

    /// The fibre with further losses of connectors, splices and filters.
    pub fn with_insertion_loss(mut self, loss: Loss) -> Result<Self, FibreError> {
        if !loss.decibels().is_finite() || loss.decibels() < 0.0 {
            return Err(FibreError::Loss(loss));
        }
        self.insertion_loss = loss;
        Ok(self)
    }

    /// The fibre with another group index.
    pub fn with_group_index(mut self, group_index: f64) -> Result<Self, FibreError> {
        if !(1.0..=10.0).contains(&group_index) {
            return Err(FibreError::GroupIndex(group_index));
        }
        self.group_index = group_index;
        Ok(self)
    }

    /// Its length.
    pub fn length(&self) -> Length {
        self.length
    }
    /// Its attenuation by length, without insertion loss.
    pub fn attenuation(&self) -> LossPerLength {
        self.attenuation
    }
    /// Everything it loses: attenuation and insertion loss.
    pub fn loss(&self) -> Loss {
        self.attenuation * self.length + self.insertion_loss
    }
    /// How long light takes from end to end.
    pub fn delay(&self) -> Duration {
        let picoseconds = self.length.metres() * self.group_index / SPEED_OF_LIGHT * 1e12;
        Duration::from_picoseconds(libm::round(picoseconds) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_and_delay_of_a_known_fibre() {
        let fibre =
            Fibre::new(Length::from_kilometres(50.0), LossPerLength::from_decibels_per_kilometre(0.2))
                .unwrap();
        assert!((fibre.loss().decibels() - 10.0).abs() < 1e-12);
        // 50 km x 1.468 / c = 244.836 µs
        assert_eq!(fibre.delay().picoseconds() / 1_000_000, 244);
        let lossy = fibre.with_insertion_loss(Loss::from_decibels(1.5)).unwrap();
        assert!((lossy.loss().decibels() - 11.5).abs() < 1e-12);
        let measured =
            Fibre::with_total_loss(Length::from_kilometres(25.0), Loss::from_decibels(5.6)).unwrap();
        assert!((measured.loss().decibels() - 5.6).abs() < 1e-12);
        let patch = Fibre::with_total_loss(Length::default(), Loss::from_decibels(3.0)).unwrap();
        assert!((patch.loss().decibels() - 3.0).abs() < 1e-12);
    }

    #[test]
    fn impossible_fibres_are_refused() {
        let km = Length::from_kilometres;
        assert!(Fibre::new(km(-1.0), LossPerLength::default()).is_err());
        assert!(Fibre::new(km(1.0), LossPerLength::from_decibels_per_kilometre(-0.2)).is_err());
        let fibre = Fibre::new(km(1.0), LossPerLength::default()).unwrap();
        assert!(fibre.clone().with_insertion_loss(Loss::from_decibels(f64::NAN)).is_err());
        assert!(fibre.with_group_index(0.9).is_err());
    }
}
