//! How long pairs take, and how good they are when they come: closed forms and exact numerical solutions.
//!
//! Time is counted in attempts here: in cycles of a link, of which each succeeds with one probability. A link's model
//! tells both. Nothing here is sampled, so that what a simulation draws can be
//! held against it.
//!
//! - [`maximum_of_geometrics`], [`TwoLinks`] and [`sequential`]: two or many links that wait for each other;
//! - [`Delivered`] and [`nested`]: repeater chains by doubling, with their whole law of waiting and their Werner
//!   weights (Brand, Coopmans & Elkouss, IEEE JSAC 38, 619 (2020); with cutoffs Li, Coopmans & Elkouss, IEEE TQE 2,
//!   4103015 (2021));
//! - [`ChainDephasing`]: what memories lose while the links of a chain wait for each other;
//! - [`SwapAsSoonAsPossible`]: chains that swap whatever can be swapped, as an absorbing Markov chain;
//! - [`expected_throughput`], [`Connectivity`] and [`StarSwitch`]: paths, grids and switches in time slots.
//!
//! ```
//! use bellwether_physics::waiting::{TwoLinks, maximum_of_geometrics};
//!
//! let links = TwoLinks::new(0.1)?.with_cutoff(10);
//! assert!((maximum_of_geometrics(2, 0.1)? - 14.736842105).abs() < 1e-9);
//! assert!((links.mean_attempts() - 17.073365215).abs() < 1e-9);
//! # Ok::<(), bellwether_physics::ParameterError>(())
//! ```

mod chain;
mod delivered;
mod geometric;
mod markov;
mod series;
mod slotted;

pub use chain::ChainDephasing;
pub use delivered::{Delivered, Level, NestedChain, WaitingError, nested};
pub use geometric::{TwoLinks, maximum_of_geometrics, sequential};
pub use markov::{MarkovError, SwapAsSoonAsPossible};
pub use slotted::{Connectivity, StarSwitch, expected_throughput};
