//! Quantities with units, time, identifiers and keyed random streams.
//!
//! Every other room of Bellwether stands on this one. It knows no protocol and no device: a [`Time`] is an
//! integer count of picoseconds, a [`Length`] or a [`Loss`] is a number that cannot be mistaken for another,
//! and a [`Stream`] is a sequence of random numbers that belongs to one entity and one purpose.
//!
//! ```
//! use bellwether_units::{Length, LossPerLength, Quantity};
//!
//! let fibre = Length::parse("50 km")?;
//! let loss = LossPerLength::parse("0.2 dB/km")? * fibre;
//! assert_eq!(loss.to_string(), "10 dB");
//! assert!((loss.transmittance() - 0.1).abs() < 1e-15);
//! # Ok::<(), bellwether_units::QuantityError>(())
//! ```

mod ahead;
mod id;
mod quantity;
mod random;
mod special;
mod time;

pub use ahead::Ahead;
pub use id::{BlockId, DemandId, EntityId, LinkId, NodeId};
pub use quantity::{
    Angle, Current, Frequency, Length, Loss, LossPerLength, Power, Quantity, QuantityError, RamanCoefficient,
    Rate, UnitName, Wavelength,
};
pub use random::{Purpose, Stream};
pub use special::{
    binary_entropy, binomial_tail_above, binomial_tail_below, ln_gamma, normal_upper_quantile,
    poisson_tail_below,
};
pub use time::{Duration, Time, TimeError};
