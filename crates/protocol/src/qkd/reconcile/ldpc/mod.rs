//! Reconciliation by low-density parity-check codes: the transmitter tells the syndrome of its bits, and the receiver
//! finds the bits next to its own that have this syndrome.
//!
//! One message is enough when nothing fails, whatever the distance between the ends; a frame that cannot be decoded
//! is told more, in as many further round trips as it takes (Martinez-Mateo, Elkouss & Martin, Quantum Inf. Comput.
//! 12, 791 (2012)).
//!
//! [`SyndromeServer`] is the end whose bits are the reference and [`FrameCorrector`] the end that corrects its own.
//! Neither does any input or output: the corrector asks with bytes, the server answers with bytes, and the caller
//! carries them.
//!
//! ```
//! use bellwether_bits::{BitString, SecretBits};
//! use bellwether_protocol::qkd::reconcile::*;
//!
//! let reference = BitString::from_words(vec![0x0123_4567_89ab_cdef; 512], 32_768);
//! let mut noisy = reference.clone();
//! for error in (0..32_768).step_by(61) {
//!     noisy.flip(error);
//! }
//! let settings = LdpcSettings { efficiency: 1.4, ..LdpcSettings::new(0.02, 1) };
//! let mut server = SyndromeServer::new(&settings, SecretBits::new(reference.clone()))?;
//! let mut corrector = FrameCorrector::new(&settings, SecretBits::new(noisy))?;
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
//! # Codes
//!
//! A few base matrices with irregular degrees, one for every seventh or so of the share of checks, are lifted to frames
//! of any length from 2^12 to 2^20 bits. Between them the rate is
//! adapted by words of the frame that are no sifted bits: *shortened* words are zero, and *punctured* words are known
//! to neither end (Elkouss, Martinez-Mateo & Martin, IEEE Information Theory Workshop 2010, arXiv:1006.2660). A
//! punctured word is not drawn by lot here but is what makes the parities of one of its checks zero, and those
//! parities are not sent: what is disclosed is then, bit for bit, what is sent.
//!
//! # What it costs in secrecy
//!
//! Every bit of a syndrome that is sent and every bit that is disclosed after a failure counts as one;
//! [`disclosed`](SyndromeServer::disclosed) counts them all. The requests tell which frames were hard to decode, which
//! depends on the errors only. That the parities hold does not prove that the keys are equal: a universal hash
//! must follow.

mod code;
mod construct;
mod corrector;
mod draw;
pub mod evolution;
mod plan;
mod profiles;
mod server;
mod telling;
#[cfg(test)]
mod tests;

pub use corrector::FrameCorrector;
pub use server::SyndromeServer;
pub use telling::{Telling, needed_efficiency};

/// The longest frame in bits.
pub const LONGEST_FRAME: usize = 1 << 20;

/// What both ends must agree on before they begin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LdpcSettings {
    /// The longest frame in bits, at most [`LONGEST_FRAME`]. The frames of a block are of one length.
    pub frame_length: usize,
    /// The error rate that is expected, from 0 to 0.5.
    pub error_rate: f64,
    /// What is disclosed at first, over the Shannon limit `n h(Q)`. Less than 1 counts as 1. What is too little costs
    /// round trips.
    pub efficiency: f64,
    /// Names the words that are punctured and shortened. Public.
    pub seed: u64,
}

impl LdpcSettings {
    /// Settings with the longest frames, which disclose at first what these nearly always need at this rate.
    pub fn new(error_rate: f64, seed: u64) -> Self {
        let efficiency = match error_rate {
            rate if rate < 0.0075 => 1.2,
            rate if rate < 0.015 => 1.16,
            _ => 1.11,
        };
        Self { frame_length: LONGEST_FRAME, error_rate, efficiency, seed }
    }

    /// Settings with the longest frames, which disclose as little as these can nearly always do with at the error rates that
    /// there are codes for (0.5, 1, 2, 3, 5, 8 and 11 %). Between them a frame may be told more. Decoding takes up to twice as
    /// long.
    pub fn thorough(error_rate: f64, seed: u64) -> Self {
        let efficiency = match error_rate {
            rate if rate < 0.0075 => 1.115,
            rate if rate < 0.015 => 1.095,
            _ => 1.07,
        };
        Self { efficiency, ..Self::new(error_rate, seed) }
    }
}
