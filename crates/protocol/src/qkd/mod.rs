//! Quantum key distribution: raw detections to secret key, for decoy-state BB84 with biased bases.

pub mod alarm;
pub mod amplify;
pub mod authenticate;
mod channel;
pub mod raw;
pub mod reconcile;
pub mod security;
pub mod session;
pub mod sift;
pub mod tags;
pub mod verify;
pub mod wire;

pub use wire::Malformed;
