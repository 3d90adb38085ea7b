//! Entanglement networks in virtual time.

mod chains;
mod programs;
mod published;
mod reference;
