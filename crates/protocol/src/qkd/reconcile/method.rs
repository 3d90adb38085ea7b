//! All families of reconciliation behind one interface.

use super::cascade::{CascadeSettings, Corrector, ParityServer};
use super::grouped::{GroupedCorrector, GroupedServer, GroupedSettings};
use super::ldpc::{FrameCorrector, LONGEST_FRAME, LdpcSettings, SyndromeServer};
use super::{ReconcileError, Step};
use bellwether_bits::{BitString, SecretBits};

/// How a block is reconciled: what both ends must agree on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// Cascade with published block lengths.
    Cascade(CascadeSettings),
    /// Cascade in step, grouped by suspicion.
    Grouped(GroupedSettings),
    /// A low-density parity-check code.
    Ldpc(LdpcSettings),
}

impl Method {
    /// The same in frames of so many bits, a multiple of 64, or 0 for whole blocks, as far as the method has frames of that length; as it is if none are
    /// given.
    pub fn in_frames(mut self, bits: Option<usize>) -> Self {
        if let Some(bits) = bits {
            match &mut self {
                Self::Cascade(settings) => settings.frame_length = bits,
                Self::Grouped(settings) => settings.frame_length = bits,
                Self::Ldpc(settings) if bits == 0 => settings.frame_length = LONGEST_FRAME,
                Self::Ldpc(settings) => settings.frame_length = bits.min(LONGEST_FRAME),
            }
        }
        self
    }
}

/// The end whose bits are the reference, whatever the method: it answers each request and counts what it discloses.
///
/// ```
/// use bellwether_bits::{BitString, SecretBits};
/// use bellwether_protocol::qkd::reconcile::*;
///
/// let reference = BitString::from_words(vec![0x0123_4567_89ab_cdef; 32], 2048);
/// let mut noisy = reference.clone();
/// noisy.flip(700);
/// let method = Method::Grouped(grouped::GroupedSettings::new(0.01, 1));
/// let mut server = ReferenceEnd::new(&method, SecretBits::new(reference.clone()))?;
/// let mut corrector = CorrectingEnd::new(&method, SecretBits::new(noisy))?;
/// let mut step = corrector.start();
/// while let Step::Ask(request) = step {
///     step = corrector.reply(&server.answer(&request)?)?;
/// }
/// assert_eq!(corrector.corrected().expose(), &reference);
/// assert_eq!(corrector.disclosed(), server.disclosed());
/// # Ok::<(), ReconcileError>(())
/// ```
#[derive(Debug)]
pub enum ReferenceEnd {
    /// Of [`Method::Cascade`].
    Cascade(Box<ParityServer>),
    /// Of [`Method::Grouped`].
    Grouped(Box<GroupedServer>),
    /// Of [`Method::Ldpc`].
    Ldpc(Box<SyndromeServer>),
}

impl ReferenceEnd {
    /// The end that has the reference `bits`.
    ///
    /// # Errors
    /// If the settings or the length are out of range.
    pub fn new(method: &Method, bits: SecretBits) -> Result<Self, ReconcileError> {
        Ok(match method {
            Method::Cascade(settings) => Self::Cascade(Box::new(ParityServer::new(settings, bits)?)),
            Method::Grouped(settings) => Self::Grouped(Box::new(GroupedServer::new(settings, bits)?)),
            Method::Ldpc(settings) => Self::Ldpc(Box::new(SyndromeServer::new(settings, bits)?)),
        })
    }

    /// The reply to one request.
    ///
    /// # Errors
    /// If the request is malformed, out of turn or contradicts earlier ones, or if the reply would disclose more than the
    /// settings allow. Nothing is disclosed by an error, and nothing is answered after one.
    pub fn answer(&mut self, request: &[u8]) -> Result<Vec<u8>, ReconcileError> {
        match self {
            Self::Cascade(end) => end.answer(request),
            Self::Grouped(end) => end.answer(request),
            Self::Ldpc(end) => end.answer(request),
        }
    }

    /// How many bits were disclosed.
    pub fn disclosed(&self) -> u64 {
        match self {
            Self::Cascade(end) => end.disclosed(),
            Self::Grouped(end) => end.disclosed(),
            Self::Ldpc(end) => end.disclosed(),
        }
    }

    /// How many bits it discloses at most.
    pub fn cap(&self) -> u64 {
        match self {
            Self::Cascade(end) => end.cap(),
            Self::Grouped(end) => end.cap(),
            Self::Ldpc(end) => end.cap(),
        }
    }

    /// How many requests were answered.
    pub fn round_trips(&self) -> u64 {
        match self {
            Self::Cascade(end) => end.round_trips(),
            Self::Grouped(end) => end.round_trips(),
            Self::Ldpc(end) => end.round_trips(),
        }
    }

    /// The reference bits, unchanged.
    pub fn into_bits(self) -> SecretBits {
        match self {
            Self::Cascade(end) => end.into_bits(),
            Self::Grouped(end) => end.into_bits(),
            Self::Ldpc(end) => end.into_bits(),
        }
    }
}

/// The end that corrects its bits, whatever the method.
#[derive(Debug)]
pub enum CorrectingEnd {
    /// Of [`Method::Cascade`].
    Cascade(Box<Corrector>),
    /// Of [`Method::Grouped`].
    Grouped(Box<GroupedCorrector>),
    /// Of [`Method::Ldpc`].
    Ldpc(Box<FrameCorrector>),
}

impl CorrectingEnd {
    /// The end that corrects `bits`.
    ///
    /// # Errors
    /// If the settings or the length are out of range.
    pub fn new(method: &Method, bits: SecretBits) -> Result<Self, ReconcileError> {
        Ok(match method {
            Method::Cascade(settings) => Self::Cascade(Box::new(Corrector::new(settings, bits)?)),
            Method::Grouped(settings) => Self::Grouped(Box::new(GroupedCorrector::new(settings, bits)?)),
            Method::Ldpc(settings) => Self::Ldpc(Box::new(FrameCorrector::new(settings, bits)?)),
        })
    }

    /// Begins: the first request. Called once, before any reply; later calls say [`Step::Done`].
    pub fn start(&mut self) -> Step {
        match self {
            Self::Cascade(end) => end.start(),
            Self::Grouped(end) => end.start(),
            Self::Ldpc(end) => end.start(),
        }
    }

    /// Takes the reply to the last request and says what comes next.
    ///
    /// # Errors
    /// If the reply is malformed or out of turn, contradicts earlier ones, or if going on would disclose more than the
    /// settings allow. After an error there is nothing more to wait for.
    pub fn reply(&mut self, reply: &[u8]) -> Result<Step, ReconcileError> {
        match self {
            Self::Cascade(end) => end.reply(reply),
            Self::Grouped(end) => end.reply(reply),
            Self::Ldpc(end) => end.reply(reply),
        }
    }

    /// The bits as corrected so far.
    pub fn corrected(&self) -> SecretBits {
        match self {
            Self::Cascade(end) => end.corrected(),
            Self::Grouped(end) => end.corrected(),
            Self::Ldpc(end) => end.corrected(),
        }
    }

    /// Which bits were flipped.
    pub fn corrections(&self) -> BitString {
        match self {
            Self::Cascade(end) => end.corrections().clone(),
            Self::Grouped(end) => end.corrections(),
            Self::Ldpc(end) => end.corrections().clone(),
        }
    }

    /// How many bits the other end disclosed.
    pub fn disclosed(&self) -> u64 {
        match self {
            Self::Cascade(end) => end.disclosed(),
            Self::Grouped(end) => end.disclosed(),
            Self::Ldpc(end) => end.disclosed(),
        }
    }

    /// How many replies were taken.
    pub fn round_trips(&self) -> u64 {
        match self {
            Self::Cascade(end) => end.round_trips(),
            Self::Grouped(end) => end.round_trips(),
            Self::Ldpc(end) => end.round_trips(),
        }
    }
}
