//! Entanglement networks in virtual time.

mod chains;
mod faults;
mod programs;
mod published;
mod purification;
mod reference;
mod signalled;
