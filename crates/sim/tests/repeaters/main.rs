//! Entanglement networks in virtual time.

mod chains;
mod reference;
