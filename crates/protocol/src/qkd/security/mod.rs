//! Composable security accounting of prepare-and-measure BB84, as pure functions.
//!
//! A block of sifted key yields as many secret bits as an eavesdropper cannot know, less what was disclosed,
//! less the price of the failure probabilities. [`key_length`] takes the block's counts by basis and
//! intensity, the bits that reconciliation really disclosed and the [`SecurityParameters`], and gives a
//! [`Certificate`] with everything that led to the length, or says in [`NoKey`] why there is none.
//! The live stack, the simulator and planning all use these same functions.
//!
//! The finite-key proofs behind [`Bound`] (Tomamichel et al. 2012, Lim et al. 2014, Rusca et al. 2018) are
//! written for a key of fixed length with an abort test. Here the length follows from each block's counts,
//! which makes the protocol one of variable length: for the rigorous treatment see Wiesemann et al.,
//! arXiv:2405.16578, whose constants [`Bound::OneDecoyWiesemann`] uses; the lengths differ by less than a
//! percent.
//!
//! ```
//! use bellwether_protocol::qkd::security::*;
//!
//! // Two intensities, a block of 10^7 sifted bits after error correction, 100 MHz-class counts at 20 dB.
//! let source = [SourceClass::new(0.45, 0.6), SourceClass::new(0.15, 0.4)];
//! let class = |sifted, errors| ClassCounts { sifted, errors };
//! let statistics = BlockStatistics {
//!     key: vec![class(8_178_000, 82_000), class(1_822_000, 18_300)],
//!     check: vec![class(100_960, 1_010), class(22_490, 226)],
//!     ..BlockStatistics::default()
//! };
//! let parameters = SecurityParameters { secrecy: 1e-9, correctness: 1e-15 };
//! let certificate = key_length(Bound::OneDecoyRusca, &source, &statistics, 940_000, &parameters)?;
//! assert!(certificate.key_bits > 2_000_000);
//! println!("{certificate}");
//! # Ok::<(), NoKey>(())
//! ```

mod asymptotic;
mod bound;
mod certificate;
mod length;
mod optimise;
mod plan;
mod statistics;

pub use asymptotic::{
    DecoyObservation, SinglePhotonBounds, gllp_tagged_rate, infinite_decoy_rate, one_way_threshold,
    reconciliation_leak, repeaterless_bound, shor_preskill_rate, vacuum_weak_bounds, vacuum_weak_rate,
};
pub use bound::Bound;
pub use certificate::{
    Certificate, EpsilonLedger, EpsilonPart, Epsilons, NoKey, Penalty, SecurityParameters,
};
pub use length::{key_length, may_yield_key};
pub use optimise::{Maximum, maximise};
pub use plan::{
    ExpectedClass, ExpectedLink, Plan, Settings, dead_time_factor, expected_rate, optimise_settings,
};
pub use statistics::{BlockStatistics, ClassCounts, ExpectedCounts, ExpectedStatistics, SourceClass};

#[cfg(test)]
pub(crate) mod tests;
