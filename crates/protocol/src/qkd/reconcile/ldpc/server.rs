//! The end whose bits are the reference.

use super::super::ReconcileError;
use super::super::wire::{Reader, Writer};
use super::LdpcSettings;
use super::plan::{Layout, Plan, RETRIES};
use bellwether_bits::SecretBits;
use core::fmt;
use zeroize::Zeroize;

/// The end whose bits are the reference: it tells syndromes, and more where they were not enough.
///
/// Whatever it is asked, it tells each frame's syndrome once and each word of a frame at most once, and no more than
/// [`cap`](Self::cap) bits. After an error it answers nothing more.
pub struct SyndromeServer {
    plan: Plan,
    bits: SecretBits,
    /// Frames of which more may be asked.
    open: Vec<usize>,
    round: u64,
    disclosed: u64,
    failed: bool,
}

impl SyndromeServer {
    /// A server of the syndromes of `bits`.
    ///
    /// # Errors
    /// [`ReconcileError::ErrorRate`] or [`ReconcileError::TooLong`].
    pub fn new(settings: &LdpcSettings, bits: SecretBits) -> Result<Self, ReconcileError> {
        let plan = Plan::new(settings, bits.len())?;
        let open = (0..plan.frames()).collect();
        Ok(Self { plan, bits, open, round: 0, disclosed: 0, failed: false })
    }

    /// The reply to one request.
    ///
    /// # Errors
    /// If the request is malformed, out of turn, or would disclose more than [`cap`](Self::cap). Nothing is disclosed
    /// by an error.
    pub fn answer(&mut self, request: &[u8]) -> Result<Vec<u8>, ReconcileError> {
        if self.failed {
            return Err(ReconcileError::NotWaiting);
        }
        let reply = self.try_answer(request);
        self.failed = reply.is_err();
        reply
    }

    /// How many bits were disclosed: as many as were sent, less the numbers of the rounds.
    pub fn disclosed(&self) -> u64 {
        self.disclosed
    }

    /// How many bits it discloses at most.
    pub fn cap(&self) -> u64 {
        let most = |frame| {
            let layout = self.plan.layout(frame);
            64 * (layout.first_disclosed() as u64
                + (RETRIES * layout.step as u64).min(layout.order.len() as u64))
        };
        (0..self.plan.frames()).map(most).sum()
    }

    /// How many requests were answered.
    pub fn round_trips(&self) -> u64 {
        self.round
    }

    /// The reference bits, unchanged.
    pub fn into_bits(mut self) -> SecretBits {
        core::mem::take(&mut self.bits)
    }

    fn try_answer(&mut self, request: &[u8]) -> Result<Vec<u8>, ReconcileError> {
        let mut request = Reader::new(request);
        let round = request.number()?;
        if round != self.round {
            return Err(ReconcileError::WrongRound { due: self.round, got: round });
        }
        let mut open = core::mem::take(&mut self.open);
        if round > 0 {
            let mut result = Ok(());
            open.retain(|_| match request.bit() {
                Ok(more) => more,
                Err(error) => {
                    result = Err(error);
                    false
                }
            });
            result?;
        }
        request.end()?;
        if open.is_empty() {
            return Err(ReconcileError::Malformed("nothing is asked"));
        }
        if round > RETRIES {
            return Err(ReconcileError::TooManyErrors { cap: self.cap() });
        }
        let before = self.disclosed;
        let mut reply = Writer::default();
        reply.number(round);
        for &frame in &open {
            let layout = self.plan.layout(frame);
            let mut words = self.frame(frame, &layout);
            if round == 0 {
                let mut syndrome = layout.code.syndrome(&words);
                for (&word, &told) in syndrome.iter().zip(&layout.told) {
                    if told {
                        reply.word(word);
                        self.disclosed += 64;
                    }
                }
                syndrome.zeroize();
            } else {
                for &word in layout.disclosed_at(round) {
                    reply.word(words[word as usize]);
                    self.disclosed += 64;
                }
            }
            words.zeroize();
        }
        if self.disclosed == before {
            // All was told before.
            return Err(ReconcileError::TooManyErrors { cap: self.cap() });
        }
        self.open = open;
        self.round += 1;
        Ok(reply.into_bytes())
    }

    fn frame(&self, frame: usize, layout: &Layout) -> Vec<u64> {
        let range = self.plan.starts[frame]..self.plan.starts[frame + 1];
        let mut words = layout.place(&self.bits.expose().words()[range]);
        layout.fill(&mut words);
        words
    }
}

impl fmt::Debug for SyndromeServer {
    /// Shows sizes and counts, never bits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyndromeServer")
            .field("bits", &self.bits)
            .field("frames", &self.plan.frames())
            .field("round", &self.round)
            .field("disclosed", &self.disclosed)
            .finish_non_exhaustive()
    }
}
