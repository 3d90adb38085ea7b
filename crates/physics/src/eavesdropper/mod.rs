//! Eavesdroppers on the quantum channel.
//!
//! An [`Attack`] makes of an honest [`LinkModel`] the law of the attacked link, which is sampled as any other; what
//! the eavesdropper then knows is a closed form, [`Attack::knowledge`].
//!
//! ```
//! use bellwether_physics::*;
//! use bellwether_units::{Frequency, Loss};
//!
//! let source = Source::single_photon(0.3, 0.0)?;
//! let detector = Detector::new(DetectorParameters::ideal(DetectorKind::Snspd, 0.8))?;
//! let clock = Frequency::from_hertz(1e8);
//! let honest = LinkModel::new(LinkParameters::new(clock, source, Loss::from_decibels(10.0), detector))?;
//! let attack = Attack::InterceptResend(InterceptResend {
//!     fraction: 0.3,
//!     basis: BasisChoice::Random { key_probability: 0.5 },
//! });
//! assert!((attack.on(&honest)?.error_rate(0, Basis::Key) - 0.3 / 4.0).abs() < 1e-12);
//! assert!((attack.knowledge(&honest)?.information - 0.3 / 2.0).abs() < 1e-12);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod blinding;
mod intercept;
mod splitting;

pub use blinding::Blinding;
pub use intercept::InterceptResend;

use crate::Basis;
use crate::link::LinkModel;
use crate::probability::is_probability;
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
    /// In the basis half-way between both, at 22.5 degrees (Bennett et al., J. Cryptology 5, 3 (1992)).
    Breidbart,
}

impl BasisChoice {
    /// The probability of measuring in `basis`, if it is one of the receiver's.
    fn probability(self, basis: Basis) -> Option<f64> {
        let key = match self {
            Self::Random { key_probability } => key_probability,
            Self::AlwaysKey => 1.0,
            Self::AlwaysCheck => 0.0,
            Self::Breidbart => return None,
        };
        Some(if basis == Basis::Key { key } else { 1.0 - key })
    }

    fn check(self) -> Result<(), AttackError> {
        match self {
            Self::Random { key_probability } => {
                checked("probability of the eavesdropper's key basis", key_probability)
            }
            _ => Ok(()),
        }
    }
}

/// What an eavesdropper does to the quantum channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Attack {
    /// Measures and resends.
    InterceptResend(InterceptResend),
    /// Counts the photons of each pulse without disturbing them, keeps all but one of those that hold several, and
    /// sends that one over a lossless line. Of these pulses, and then of pulses with one photon, only so many pass that
    /// the gain of the brightest intensity stays; weaker ones then have too few clicks, which is what decoys are for
    /// (Lütkenhaus & Jahma, New J. Phys. 4, 44 (2002); Hwang, PRL 91, 057901 (2003)).
    PhotonNumberSplitting {
        /// The fraction of pulses treated so; the others go through the honest channel.
        fraction: f64,
    },
    /// Replaces the channel by a lossless line behind a beam splitter of its transmittance and keeps the other arm. The
    /// receiver cannot notice.
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
    /// The fraction of sifted key-basis clicks of which the bit is known with certainty.
    pub known_fraction: f64,
    /// The mean Shannon information on a sifted key-basis bit, in bits.
    pub information: f64,
}

impl Knowledge {
    fn certain(fraction: f64) -> Self {
        Self { known_fraction: fraction, information: fraction }
    }
}

impl Attack {
    /// The law of the link `honest` under this attack.
    pub fn on(&self, honest: &LinkModel) -> Result<LinkModel, AttackError> {
        match self {
            Self::InterceptResend(attack) => attack.on(honest),
            Self::PhotonNumberSplitting { fraction } => splitting::photon_number_splitting(honest, *fraction),
            Self::BeamSplitting => Ok(honest.clone()),
            Self::Blinding(attack) => attack.on(honest),
        }
    }

    /// What the eavesdropper knows of the sifted key of the link `honest` under this attack.
    pub fn knowledge(&self, honest: &LinkModel) -> Result<Knowledge, AttackError> {
        match self {
            Self::InterceptResend(attack) => attack.knowledge(honest),
            Self::PhotonNumberSplitting { fraction } => splitting::photon_number_knowledge(honest, *fraction),
            Self::BeamSplitting => Ok(splitting::beam_splitting_knowledge(honest)),
            Self::Blinding(attack) => attack.knowledge(),
        }
    }
}

fn checked(what: &'static str, value: f64) -> Result<(), AttackError> {
    if is_probability(value) { Ok(()) } else { Err(AttackError::NotAProbability { what, value }) }
}

/// The mean over sifted key-basis clicks of `model` of something that a click of class `k` has with the joint
/// probability `of(k)`.
fn mean_over_clicks(model: &LinkModel, of: impl Fn(usize) -> f64) -> f64 {
    let (mut part, mut whole) = (0.0, 0.0);
    for k in 0..model.intensities() {
        part += model.intensity_probability(k) * of(k);
        whole += model.intensity_probability(k) * model.gain(k, Basis::Key);
    }
    if whole > 0.0 { f64::min(part / whole, 1.0) } else { 0.0 }
}
