//! Cascade in step: grouped by suspicion, and followed by both ends alike.
//!
//! As in [`cascade`](super::cascade), parities of blocks are compared, odd blocks are bisected, and what is corrected in
//! one pass makes blocks of other passes odd. Three things are different.
//!
//! - **Both ends follow the same schedule.** Which bits were found wrong, and hence which parts of all passes are odd, follows
//!   from the answers, so the server knows it as well as the corrector. Nothing is asked in words: a message holds a bit
//!   for each question that is due, and nothing else. Whatever the peer sends, an end only ever does what is due.
//! - **The second pass groups bits by how likely they are wrong.** What the first pass left unknown lies in even parts of
//!   different lengths. Two errors hide less often in a short even part than in a long one. A parity tells most if it
//!   is as likely odd as even, and so does a bisection if all bits are equally suspect; hence bits of equal suspicion are
//!   put together (the idea of grouping by confidence is that of Pacher et al., ISIT 2015).
//! - **What is known is not asked.** A bit that a search has settled is right at both ends. Parts are split so that as many
//!   unsettled bits lie in one half as in the other, and a part with only one of them needs no search.
//!
//! ```
//! use bellwether_bits::{BitString, SecretBits};
//! use bellwether_protocol::qkd::reconcile::{ReconcileError, Step, grouped::*};
//!
//! let reference = BitString::from_words(vec![0x0123_4567_89ab_cdef; 32], 2048);
//! let mut noisy = reference.clone();
//! for error in [3, 700, 701, 1999] {
//!     noisy.flip(error);
//! }
//! let settings = GroupedSettings::new(0.02, 1);
//! let mut server = GroupedServer::new(&settings, SecretBits::new(reference.clone()))?;
//! let mut corrector = GroupedCorrector::new(&settings, SecretBits::new(noisy))?;
//! let mut step = corrector.start();
//! while let Step::Ask(request) = step {
//!     let reply = server.answer(&request)?;
//!     step = corrector.reply(&reply)?;
//! }
//! assert_eq!(corrector.corrected().expose(), &reference);
//! assert_eq!(corrector.disclosed(), server.disclosed());
//! # Ok::<(), ReconcileError>(())
//! ```
//!
//! # Messages
//!
//! A **request** is the round (LEB128, from 0), then a bit for each parity of the last reply, in order: 1 if the ends'
//! parities differ. A **reply** is the round, then a bit for each parity that is due. Bits are packed from the least
//! significant bit of each byte, and the unused bits of the last byte are zero. What is due, frame after frame:
//!
//! 1. when passes are opened, the parity of each of their blocks, except, after the first pass, the last block's;
//! 2. while parts are searched, the parity of the first half of each.

mod efficiency;
mod ends;
mod first;
mod frame;
mod grouping;
mod order;
mod packed;
mod pass;
mod plan;
mod words;

#[cfg(test)]
mod tests;

use super::one_way::binary_entropy;
use super::wire;
use super::{LONGEST_BLOCK, ReconcileError, Step};

pub use efficiency::{GroupedEstimate, grouped_estimate};
pub use ends::{GroupedCorrector, GroupedServer};

/// How much trouble is taken to disclose little.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effort {
    /// The quickest.
    #[default]
    Quick,
    /// The least disclosed: parts of all passes are looked at bit by bit once they are short, and the second pass has longer
    /// blocks, which takes more round trips.
    Thorough,
}

impl Effort {
    /// How many errors a block of the second pass is to expect.
    fn errors_in_group(self) -> f64 {
        match self {
            Self::Quick => 3.0,
            Self::Thorough => 5.0,
        }
    }

    /// Of how many positions at most a part is looked at bit by bit, in passes after the first.
    fn reach(self) -> u32 {
        match self {
            Self::Quick => 0,
            Self::Thorough => 12,
        }
    }
}

/// What both ends must agree on before they begin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupedSettings {
    /// How much trouble is taken.
    pub effort: Effort,
    /// Bits in a frame, rounded up to a multiple of 64; 0 means the whole block. The last frame takes the
    /// remainder of the block, so that it is longer than the others and never shorter.
    pub frame_length: usize,
    /// The error rate that is expected, from 0 to 0.5. It need not be exact: a factor of 2 either way costs
    /// efficiency and round trips, not correctness.
    pub error_rate: f64,
    /// Names the shuffles. Public; it must be chosen after the photons were sent, and best anew for each
    /// block, so that nobody can place errors where they hide from every pass.
    pub seed: u64,
}

impl GroupedSettings {
    /// Quick settings with frames of 2^18 bits.
    pub fn new(error_rate: f64, seed: u64) -> Self {
        Self { effort: Effort::Quick, frame_length: 1 << 18, error_rate, seed }
    }
}
