//! What happens to light: sources, fibres, detectors and eavesdroppers, as closed forms and as exact samplers.
//!
//! This room knows no protocol. A [`LinkModel`] joins a [`Source`], a channel and a [`Detector`] and tells what
//! one pulse does; a [`ClickSampler`] draws the clicks of a run of pulses one by one, a [`BlockSampler`] only
//! their counts. Both have the law of the model, and neither spends time on pulses that do not click. An
//! [`Attack`] turns the model of an honest link into that of an attacked one.
//!
//! For entangled pairs, [`entangling`] tells how often a link heralds one and in which state, and draws heralds, and
//! [`memory`] what memories do beside dephasing. Beside them stand closed forms: [`waiting`] times of links and chains, [`bounds`] that no protocol
//! exceeds, repeaters of later [`generations`], and what a pair is [`worth`].
//!
//! ```
//! use bellwether_physics::*;
//! use bellwether_units::{EntityId, Frequency, Length, LossPerLength, Purpose, Quantity, Rate, Stream};
//!
//! let source = Source::weak_coherent(&[
//!     Intensity { mean_photons: 0.5, probability: 0.7 },
//!     Intensity { mean_photons: 0.15, probability: 0.3 },
//! ])?;
//! let fibre = Fibre::new(Length::from_kilometres(50.0), LossPerLength::from_decibels_per_kilometre(0.2))?;
//! let detector = Detector::new(DetectorParameters {
//!     dark_counts: DarkCounts::Rate(Rate::from_per_second(100.0)),
//!     ..DetectorParameters::ideal(DetectorKind::Snspd, 0.8)
//! })?;
//! let model = LinkModel::new(LinkParameters {
//!     transmitter_key_probability: 0.9,
//!     receiver_key_probability: 0.9,
//!     misalignment: Misalignment::from_error(0.01)?,
//!     ..LinkParameters::new(Frequency::parse("1 GHz")?, source, fibre.loss(), detector)
//! })?;
//! let gain = model.gain(0, Basis::Key);
//! assert!((gain - (1.0 - (-0.5f64 * 0.1 * 0.8).exp())).abs() < 1e-6);
//!
//! let mut stream = Stream::new(1, EntityId(0), Purpose::named("clicks"));
//! let mut sampler = ClickSampler::new(&model);
//! let mut clicks = Clicks::default();
//! sampler.sample(0..1_000_000, &mut stream, &mut clicks);
//! assert!((clicks.len() as f64 - 1e6 * model.click_probability()).abs() < 1000.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod bounds;
pub mod entangling;
pub mod generations;
pub mod memory;
pub mod waiting;
pub mod worth;

mod alias;
mod block;
mod clicks;
mod detector;
mod eavesdropper;
mod exponential;
mod fibre;
mod link;
mod misalignment;
mod parameter;
mod photons;
mod probability;
mod raman;
mod sampler;
mod source;
mod throughput;
mod variates;
mod waits;

pub use block::{BlockCounts, BlockSampler};
pub use clicks::{Click, Clicks};
pub use detector::{
    Afterpulse, DarkCounts, DeadTimeScope, Detector, DetectorError, DetectorKind, DetectorParameters,
};
pub use eavesdropper::{Attack, AttackError, BasisChoice, Blinding, InterceptResend, Knowledge};
pub use fibre::{Fibre, FibreError};
pub use link::{LinkError, LinkModel, LinkParameters, Outcome};
pub use misalignment::{Drift, Misalignment, MisalignmentError};
pub use parameter::ParameterError;
pub use photons::PhotonNumbers;
pub use raman::{ClassicalChannel, Direction, QuantumChannel, RamanError};
pub use sampler::ClickSampler;
pub use source::{Intensity, PairStatistics, Source, SourceError};
pub use variates::binomial;

/// One of the two preparation and measurement bases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Basis {
    /// The basis whose bits become key.
    Key,
    /// The basis whose bits are disclosed.
    Check,
}

impl Basis {
    /// Both bases, in the order of their bits.
    pub const BOTH: [Self; 2] = [Self::Key, Self::Check];

    /// The other basis.
    pub const fn other(self) -> Self {
        match self {
            Self::Key => Self::Check,
            Self::Check => Self::Key,
        }
    }
    /// Key is 0, check is 1.
    pub const fn index(self) -> usize {
        self as usize
    }
}
