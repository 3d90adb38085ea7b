//! The end that corrects its bits.

use super::super::wire::{Reader, Writer};
use super::super::{ReconcileError, Step};
use super::LdpcSettings;
use super::code::{Decoder, Shape, Trust};
use super::plan::{Kind, Layout, Plan, RETRIES};
use bellwether_bits::{BitString, SecretBits};
use core::fmt;
use zeroize::Zeroize;

/// The end that corrects its bits: it asks for syndromes, decodes, and asks for more where it fails.
pub struct FrameCorrector {
    plan: Plan,
    words: Vec<u64>,
    original: SecretBits,
    open: Vec<Frame>,
    decoder: Option<(Shape, Decoder)>,
    round: u64,
    disclosed: u64,
    sweeps: u64,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Fresh,
    Waiting,
    Done,
    Failed,
}

/// A frame that is not decoded.
struct Frame {
    number: usize,
    /// The syndrome, and the words that were disclosed since.
    syndrome: Vec<u64>,
    revealed: Vec<u64>,
}

impl FrameCorrector {
    /// A corrector of `bits`.
    ///
    /// # Errors
    /// [`ReconcileError::ErrorRate`] or [`ReconcileError::TooLong`].
    pub fn new(settings: &LdpcSettings, bits: SecretBits) -> Result<Self, ReconcileError> {
        let plan = Plan::new(settings, bits.len())?;
        let frame = |number| Frame { number, syndrome: Vec::new(), revealed: Vec::new() };
        Ok(Self {
            words: bits.expose().words().to_vec(),
            original: bits,
            open: (0..plan.frames()).map(frame).collect(),
            plan,
            decoder: None,
            round: 0,
            disclosed: 0,
            sweeps: 0,
            state: State::Fresh,
        })
    }

    /// The first step.
    pub fn start(&mut self) -> Step {
        if self.open.is_empty() {
            self.state = State::Done;
            return Step::Done;
        }
        self.state = State::Waiting;
        let mut request = Writer::default();
        request.number(0);
        Step::Ask(request.into_bytes())
    }

    /// The step that follows from the server's reply.
    ///
    /// # Errors
    /// If the reply is malformed or out of turn, if nothing was asked, or if the server's bits cannot be found
    /// with all that it may disclose.
    pub fn reply(&mut self, reply: &[u8]) -> Result<Step, ReconcileError> {
        if self.state != State::Waiting {
            return Err(ReconcileError::NotWaiting);
        }
        let step = self.try_reply(reply);
        self.state = match &step {
            Ok(Step::Ask(_)) => State::Waiting,
            Ok(Step::Done) => State::Done,
            Err(_) => State::Failed,
        };
        step
    }

    /// The bits as corrected so far.
    pub fn corrected(&self) -> SecretBits {
        SecretBits::new(BitString::from_words(self.words.clone(), self.plan.bits))
    }

    /// Which bits were corrected.
    pub fn corrections(&self) -> BitString {
        let mut corrections = BitString::from_words(self.words.clone(), self.plan.bits);
        corrections.xor_with(self.original.expose());
        corrections
    }

    /// How many bits the server has disclosed.
    pub fn disclosed(&self) -> u64 {
        self.disclosed
    }

    /// How many replies were taken.
    pub fn round_trips(&self) -> u64 {
        self.round
    }

    /// How often every check of a frame was gone through, over all frames and attempts.
    pub fn sweeps(&self) -> u64 {
        self.sweeps
    }

    fn try_reply(&mut self, reply: &[u8]) -> Result<Step, ReconcileError> {
        let mut reply = Reader::new(reply);
        let round = reply.number()?;
        if round != self.round {
            return Err(ReconcileError::WrongRound { due: self.round, got: round });
        }
        let mut request = Writer::default();
        request.number(round + 1);
        let mut left = Vec::new();
        for mut frame in core::mem::take(&mut self.open) {
            let layout = self.plan.layout(frame.number);
            if round == 0 {
                for &told in &layout.told {
                    frame.syndrome.push(if told { reply.word()? } else { 0 });
                }
                self.disclosed += 64 * layout.first_disclosed() as u64;
            } else {
                let words = layout.disclosed_at(round);
                for _ in words {
                    frame.revealed.push(reply.word()?);
                }
                self.disclosed += 64 * words.len() as u64;
            }
            let decoded = self.decode(&frame, &layout);
            request.bit(!decoded);
            if !decoded {
                left.push(frame);
            }
        }
        reply.end()?;
        self.open = left;
        self.round += 1;
        if self.open.is_empty() {
            return Ok(Step::Done);
        }
        if self.round > RETRIES {
            return Err(ReconcileError::TooManyErrors { cap: self.disclosed });
        }
        Ok(Step::Ask(request.into_bytes()))
    }

    /// Decodes a frame, and corrects its bits if that succeeds.
    fn decode(&mut self, frame: &Frame, layout: &Layout) -> bool {
        let range = self.plan.starts[frame.number]..self.plan.starts[frame.number + 1];
        let mut words = layout.place(&self.words[range.clone()]);
        let trust = |kind: &Kind| match kind {
            Kind::Sifted => Trust::Received,
            Kind::Shortened => Trust::Known,
            Kind::Punctured => Trust::Unknown,
        };
        let mut trust: Vec<Trust> = layout.kinds.iter().map(trust).collect();
        for (&word, &revealed) in layout.order.iter().zip(&frame.revealed) {
            words[word as usize] = revealed;
            trust[word as usize] = Trust::Known;
        }
        if self.decoder.as_ref().is_none_or(|(shape, _)| *shape != layout.shape) {
            let decoder = Decoder::new(layout.code.clone(), self.plan.error_rate());
            self.decoder = Some((layout.shape, decoder));
        }
        let (_, decoder) = self.decoder.as_mut().expect("was just made");
        let decoded = decoder.decode(&words, &trust, &frame.syndrome);
        self.sweeps += decoder.sweeps as u64;
        words.zeroize();
        let Some(mut decoded) = decoded else { return false };
        let sifted = decoded.iter().zip(&layout.kinds).filter(|(_, kind)| **kind == Kind::Sifted);
        for (word, (&decoded, _)) in self.words[range].iter_mut().zip(sifted) {
            *word = decoded;
        }
        // The last word of a block may be part of a word; the rest is zero at both ends.
        if let (Some(last), used @ 1..) = (self.words.last_mut(), self.plan.bits % 64) {
            *last &= (1 << used) - 1;
        }
        decoded.zeroize();
        true
    }
}

impl Drop for FrameCorrector {
    fn drop(&mut self) {
        self.words.zeroize();
        for frame in &mut self.open {
            frame.revealed.zeroize();
        }
    }
}

impl fmt::Debug for FrameCorrector {
    /// Shows sizes and counts, never bits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameCorrector")
            .field("bits", &self.plan.bits)
            .field("frames", &self.plan.frames())
            .field("open", &self.open.len())
            .field("round", &self.round)
            .field("disclosed", &self.disclosed)
            .finish_non_exhaustive()
    }
}
