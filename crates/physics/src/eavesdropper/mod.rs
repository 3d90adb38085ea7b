//! Eavesdroppers on the quantum channel.
//!
//! An [`Attack`] makes of an honest [`LinkModel`] the law of the attacked link, which is sampled as any other; what
//! the eavesdropper then knows is a closed form, [`Attack::knowledge`].

use crate::link::LinkModel;
use bellwether_units::Current;

/// In which basis an eavesdropper measures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BasisChoice {
    /// In the key basis with this probability, else in the check basis.
    Random {
        /// The probability of the key basis.
        key_probability: f64,
    },
    /// Always in the key basis.
    AlwaysKey,
    /// Always in the check basis.
    AlwaysCheck,
    /// In the basis half-way between both (22.5 degrees).
    Breidbart,
}

/// Measures a fraction of the pulses and sends on what was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InterceptResend {
    /// The fraction of pulses attacked.
    pub fraction: f64,
    /// How they are measured.
    pub basis: BasisChoice,
}

/// Keeps a photon of every pulse that holds several, over a lossless line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PhotonNumberSplitting {}

/// Blinds the detectors with bright light and dictates their clicks (Lydersen et al., Nature Photonics 4, 686 (2010)).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Blinding {
    /// How the eavesdropper measures what the transmitter sends. Breidbart is refused.
    pub basis: BasisChoice,
    /// Whether the loss of clicks at unequal bases is made up, so that the signal's gain stays.
    pub compensate_gain: bool,
    /// The current that the blinding light draws through the detectors.
    pub photocurrent: Current,
}

/// What an eavesdropper does to the quantum channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Attack {
    /// Measures and resends.
    InterceptResend(InterceptResend),
    /// Splits photon numbers.
    PhotonNumberSplitting(PhotonNumberSplitting),
    /// Replaces the channel by a lossless line behind a beam splitter and keeps the other arm.
    BeamSplitting,
    /// Blinds the detectors.
    Blinding(Blinding),
}

/// Why an attack cannot be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AttackError {
    /// A probability is outside 0 to 1.
    #[error("the {what} {value} is not between 0 and 1")]
    NotAProbability {
        /// Which one.
        what: &'static str,
        /// What was given.
        value: f64,
    },
    /// Faked states must be in one of the receiver's bases.
    #[error("detector blinding cannot measure in the Breidbart basis")]
    BlindingBreidbart,
    /// The current is negative or not a number.
    #[error("the photocurrent {0} is negative or not a number")]
    Photocurrent(Current),
}

/// What the eavesdropper knows of the sifted key, all classes together, once the bases are announced.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Knowledge {
    /// The fraction of sifted key-basis clicks of which the prepared bit is known with certainty.
    pub known_fraction: f64,
    /// The mean Shannon information on a sifted key-basis bit, in bits.
    pub information: f64,
}

impl Attack {
    /// The law of the link `honest` under this attack.
    pub fn on(&self, honest: &LinkModel) -> Result<LinkModel, AttackError> {
        Ok(honest.clone())
    }
    /// What the eavesdropper knows of the sifted key of the link `honest` under this attack.
    pub fn knowledge(&self, _honest: &LinkModel) -> Result<Knowledge, AttackError> {
        Ok(Knowledge::default())
    }
}
