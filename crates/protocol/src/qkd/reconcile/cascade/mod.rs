//! Cascade: the receiver's sifted key is made equal to the transmitter's.
//!
//! Cascade (Brassard & Salvail, EUROCRYPT '93, LNCS 765, 410) compares parities of blocks of the two keys. A
//! block whose parities differ holds an odd number of errors, and bisecting it finds one; correcting that one
//! makes other blocks odd, in which further errors are found, and so on through several passes over the same
//! key, each of them shuffled anew. The near-optimal parameters and the reuse of every parity ever learnt are
//! those of Martinez-Mateo, Pacher, Peev, Ciurana & Martin, Quantum Inf. Comput. 15, 453 (2015),
//! arXiv:1407.3257.
//!
//! [`ParityServer`] is the end whose bits are the reference and [`Corrector`] the end that corrects its own.
//! Neither does any input or output: the corrector asks with bytes, the server answers with bytes, and the
//! caller carries them. A block is cut into frames that are corrected independently and all at the same time,
//! so that one message carries every question of every frame and a block costs few round trips.
//!
//! ```
//! use bellwether_bits::{BitString, SecretBits};
//! use bellwether_protocol::qkd::reconcile::*;
//!
//! let reference = BitString::from_words(vec![0x0123_4567_89ab_cdef; 32], 2048);
//! let mut noisy = reference.clone();
//! for error in [3, 700, 701, 1999] {
//!     noisy.flip(error);
//! }
//! let settings = CascadeSettings::new(CascadeVariant::Option7, 0.02, 1);
//! let mut server = ParityServer::new(&settings, SecretBits::new(reference.clone()))?;
//! let mut corrector = Corrector::new(&settings, SecretBits::new(noisy))?;
//! let mut step = corrector.start();
//! while let Step::Ask(request) = step {
//!     let reply = server.answer(&request)?;
//!     step = corrector.reply(&reply)?;
//! }
//! assert_eq!(corrector.corrected().expose(), &reference);
//! assert_eq!(corrector.corrections().count_ones(), 4);
//! assert_eq!(corrector.disclosed(), server.disclosed());
//! # Ok::<(), ReconcileError>(())
//! ```
//!
//! # What it costs in secrecy
//!
//! Each parity that the server sends discloses at most one bit; [`disclosed`](ParityServer::disclosed) counts
//! them all and nothing else. What the corrector sends tells where its errors were, which is independent of
//! the key when the channel's errors are, and is otherwise conceded to the eavesdropper in the analysis that
//! uses this count. A parity that both ends can derive is never asked: that of the last block of a pass
//! (the frame's parity is known after the first pass), of the second half of a bisected block, or of a part
//! that an earlier search had split off. The end of the protocol does not prove that the keys are equal:
//! an even number of errors may hide in every block of every pass. A universal hash must follow.

mod corrector;
mod efficiency;
mod frame;
mod plan;
mod schedule;
mod server;
mod view;

#[cfg(test)]
mod tests;

use super::one_way::binary_entropy;
use super::wire;
use super::{LONGEST_BLOCK, ReconcileError, Step};

pub use corrector::Corrector;
pub use efficiency::{EfficiencyEstimate, efficiency_estimate, expected_disclosure};
pub use schedule::Pace;
pub use server::ParityServer;

/// Published choices of block lengths `k1, k2, ..` for an error rate `Q` and a frame of `n` bits.
///
/// All of them are run here with the reuse of known parities, and with the last block of a pass derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CascadeVariant {
    /// Four passes, `k1 = 0.73 / Q`, doubling: Brassard & Salvail 1993, who do not reuse the parities that
    /// searches learnt.
    Original,
    /// Ten passes: `0.80 / Q`, `5 k1`, then `n / 2`: Yan et al. 2008, as Martinez-Mateo et al. 2015 compare it.
    Yan,
    /// Fourteen passes: `2^ceil(log2(1/Q))`, `4 k1`, then `n / 2`: option 7 of Martinez-Mateo et al. 2015.
    Option7,
    /// Fourteen passes: `2^a` with `a = ceil(log2(1/Q) - 1/2)`, `2^ceil((a + 12) / 2)`, 4096, then `n / 2`:
    /// option 8 of Martinez-Mateo et al. 2015.
    Option8,
}

impl CascadeVariant {
    /// All variants.
    pub const ALL: [Self; 4] = [Self::Original, Self::Yan, Self::Option7, Self::Option8];
}

/// What both ends must agree on before they begin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CascadeSettings {
    /// The block lengths.
    pub variant: CascadeVariant,
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

impl CascadeSettings {
    /// Settings with frames of 65,536 bits.
    pub fn new(variant: CascadeVariant, error_rate: f64, seed: u64) -> Self {
        Self { variant, frame_length: 1 << 16, error_rate, seed }
    }
}
