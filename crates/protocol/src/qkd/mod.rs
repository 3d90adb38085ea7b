//! Quantum key distribution: raw detections to secret key, for decoy-state BB84 with biased bases.

pub mod alarm;
pub mod amplify;
pub mod authenticate;
pub mod security;
pub mod verify;
