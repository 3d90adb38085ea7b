//! The fibre of a link.

use bellwether_units::{Angle, Duration, Length, Loss, LossPerLength, Power, RamanCoefficient};

/// The fibre between a transmitter and a receiver, and what else travels in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fibre {
    /// How long it is.
    pub length: Length,
    /// What the fibre itself loses.
    pub attenuation: Attenuation,
    /// What connectors, splices, switches and filters on the way lose beside it.
    pub extra_loss: Loss,
    /// The probability that a photon which nobody touched is measured as the orthogonal state: 0 to 0.5. The
    /// misalignment of transmitter, fibre and receiver together (e_d of Ma et al., PRA 72, 012326 (2005)).
    pub misalignment: f64,
    /// How the alignment wanders from that.
    pub drift: Option<Drift>,
    /// By which light is slower in it than in vacuum: 1 to 3.
    pub group_index: f64,
    /// Classical channels in the same fibre, which scatter light into the quantum channel.
    pub classical_channels: Vec<ClassicalChannel>,
}

/// What a fibre itself loses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Attenuation {
    /// So much by its length.
    PerLength(LossPerLength),
    /// So much in all, as measured.
    Total(Loss),
}

/// A random walk of the angle between the two ends' frames. An angle `a` adds sin²(a) to the misalignment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drift {
    /// The standard deviation of the angle after [`over`](Self::over).
    pub angle: Angle,
    /// The time in which the angle wanders so far. Above zero.
    pub over: Duration,
    /// How often the frames are aligned again. `None`: never.
    pub realigned_every: Option<Duration>,
}

/// A classical channel in the quantum channel's fibre (Raman noise after Eraerds et al., New J. Phys. 12,
/// 063027 (2010)).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassicalChannel {
    /// The power launched into the fibre.
    pub power: Power,
    /// Which way it travels.
    pub direction: Direction,
    /// What the fibre loses at its wavelength.
    pub loss_per_length: LossPerLength,
    /// How strongly it scatters into the quantum channel.
    pub raman: RamanCoefficient,
}

/// Which way a classical channel travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// With the quantum signal, from transmitter to receiver.
    Forward,
    /// Against the quantum signal.
    Backward,
}

impl Fibre {
    /// What is lost between the transmitter's output and the receiver's input.
    pub fn loss(&self) -> Loss {
        let fibre = match self.attenuation {
            Attenuation::PerLength(per_length) => per_length * self.length,
            Attenuation::Total(loss) => loss,
        };
        fibre + self.extra_loss
    }

    /// The fibre's own loss by its length; zero for a fibre of no length.
    pub fn loss_per_length(&self) -> LossPerLength {
        match self.attenuation {
            Attenuation::PerLength(per_length) => per_length,
            Attenuation::Total(loss) if self.length.metres() > 0.0 => {
                LossPerLength::from_decibels_per_kilometre(loss.decibels() / self.length.kilometres())
            }
            Attenuation::Total(_) => LossPerLength::from_decibels_per_kilometre(0.0),
        }
    }

    /// A part of the fibre: this share of its length and losses, with all else as it is.
    pub fn share(&self, share: f64) -> Self {
        let attenuation = match self.attenuation {
            Attenuation::Total(loss) => Attenuation::Total(Loss::from_decibels(loss.decibels() * share)),
            per_length @ Attenuation::PerLength(_) => per_length,
        };
        Self {
            length: Length::from_kilometres(self.length.kilometres() * share),
            attenuation,
            extra_loss: Loss::from_decibels(self.extra_loss.decibels() * share),
            ..self.clone()
        }
    }

    /// How long light takes through the fibre.
    pub fn delay(&self) -> Duration {
        const LIGHT_METRES_PER_SECOND: f64 = 299_792_458.0;
        // A fibre of 1e9 m at an index of 3 takes 10 s, so the span is always representable.
        Duration::from_seconds(self.length.metres() * self.group_index / LIGHT_METRES_PER_SECOND)
            .unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_adds_up_and_light_takes_five_microseconds_a_kilometre() {
        let fibre = Fibre {
            length: Length::from_kilometres(50.0),
            attenuation: Attenuation::PerLength(LossPerLength::from_decibels_per_kilometre(0.2)),
            extra_loss: Loss::from_decibels(1.5),
            misalignment: 0.01,
            drift: None,
            group_index: 1.468,
            classical_channels: Vec::new(),
        };
        assert!((fibre.loss().decibels() - 11.5).abs() < 1e-12);
        assert!((fibre.delay().seconds() - 244.84e-6).abs() < 1e-8);
        let measured = Fibre { attenuation: Attenuation::Total(Loss::from_decibels(17.0)), ..fibre };
        assert!((measured.loss().decibels() - 18.5).abs() < 1e-12);
        assert!((measured.loss_per_length().decibels_per_kilometre() - 0.34).abs() < 1e-12);
    }
}
