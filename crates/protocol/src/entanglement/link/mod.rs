//! The link layer: pairs between two neighbours.

mod pair;

pub use pair::{LinkPair, LinkUser};
