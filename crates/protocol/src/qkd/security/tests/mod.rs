//! The bounds against published figures, against their own logic and against simulated photons.

mod models;
mod properties;

mod published;
mod soundness;

pub(crate) use models::binomial;
