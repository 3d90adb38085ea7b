//! Repeaters that correct errors instead of only finding them: closed forms.
//!
//! - [`SecondGeneration`]: heralded pairs joined by encoded operations, so that a hop waits only for its own light;
//! - [`ParityCode`]: no heralding at all, a block of photons that survives the loss of some;
//! - [`TreeCode`] and [`AllPhotonic`]: the same with graph states of photons in the place of memories.

mod parity;
mod photonic;
mod second;

pub use parity::ParityCode;
pub use photonic::{AllPhotonic, TreeCode};
pub use second::{BlockCode, SecondGeneration};
