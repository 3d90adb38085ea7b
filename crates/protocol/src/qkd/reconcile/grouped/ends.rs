//! The two ends: the one whose bits are the reference, and the one that corrects its own.

use super::frame::Frame;
use super::packed::{Packed, Unpacked};
use super::plan::Plan;
use super::wire::{Reader, Writer};
use super::{GroupedSettings, ReconcileError, Step};
use bellwether_bits::{BitString, SecretBits};
use core::fmt;

/// What both ends have in common.
struct End {
    plan: Plan,
    frames: Vec<Frame>,
    bits: usize,
    /// This end's parities, as they are due.
    parities: Packed,
    round: u64,
    disclosed: u64,
}

impl End {
    fn new(settings: &GroupedSettings, bits: &SecretBits, corrects: bool) -> Result<Self, ReconcileError> {
        let plan = Plan::new(settings, bits.len())?;
        let words = bits.expose().words();
        let frames = plan
            .frames
            .iter()
            .map(|place| {
                let layout = &plan.layouts[place.layout];
                Frame::new(layout, &words[place.first_word..][..layout.words], corrects)
            })
            .collect();
        Ok(Self { plan, frames, bits: bits.len(), parities: Packed::default(), round: 0, disclosed: 0 })
    }

    /// Computes the parities that are due.
    fn ask(&mut self) -> Result<(), ReconcileError> {
        self.parities.clear();
        for (frame, place) in self.frames.iter_mut().zip(&self.plan.frames) {
            frame.ask(&self.plan.layouts[place.layout], &mut self.parities)?;
        }
        if self.disclosed + self.parities.len() as u64 > self.plan.cap {
            return Err(ReconcileError::TooManyErrors { cap: self.plan.cap });
        }
        Ok(())
    }

    /// Takes which parities differ.
    fn take(&mut self, odd: &[u64]) -> Result<(), ReconcileError> {
        let mut odd = Unpacked::new(odd);
        for (frame, place) in self.frames.iter_mut().zip(&self.plan.frames) {
            frame.take(&self.plan.layouts[place.layout], &mut odd)?;
        }
        Ok(())
    }

    /// Reads the round and a bit for each parity that is due.
    fn read(&self, message: &[u8]) -> Result<Vec<u64>, ReconcileError> {
        let mut reader = Reader::new(message);
        let round = reader.number()?;
        if round != self.round {
            return Err(ReconcileError::WrongRound { due: self.round, got: round });
        }
        reader.packed(self.parities.len())
    }

    fn write(&self, words: &[u64]) -> Vec<u8> {
        let mut message = Writer::default();
        message.number(self.round);
        message.packed(words, self.parities.len());
        message.into_bytes()
    }
}

/// The end whose bits are the reference: it tells the parities that are due and counts every bit that it discloses.
///
/// Whatever it is told, it discloses at most [`cap`](Self::cap) parities, and its work and memory are in proportion to
/// the block. After an error it answers nothing more.
pub struct GroupedServer {
    end: End,
    bits: SecretBits,
    failed: bool,
}

impl GroupedServer {
    /// A server of the parities of `bits`.
    ///
    /// # Errors
    /// [`ReconcileError::ErrorRate`] or [`ReconcileError::TooLong`].
    pub fn new(settings: &GroupedSettings, bits: SecretBits) -> Result<Self, ReconcileError> {
        Ok(Self { end: End::new(settings, &bits, false)?, bits, failed: false })
    }

    /// The reply to one request.
    ///
    /// # Errors
    /// If the request is malformed or out of turn, contradicts earlier ones, or if the reply would disclose more than
    /// [`cap`](Self::cap). Nothing is disclosed by an error.
    pub fn answer(&mut self, request: &[u8]) -> Result<Vec<u8>, ReconcileError> {
        if self.failed {
            return Err(ReconcileError::NotWaiting);
        }
        let reply = self.try_answer(request);
        self.failed = reply.is_err();
        reply
    }

    fn try_answer(&mut self, request: &[u8]) -> Result<Vec<u8>, ReconcileError> {
        let odd = self.end.read(request)?;
        if self.end.round > 0 {
            self.end.take(&odd)?;
        }
        self.end.ask()?;
        let asked = self.end.parities.len() as u64;
        if asked == 0 {
            return Err(ReconcileError::NotWaiting);
        }
        let words = self.end.parities.words().to_vec();
        let reply = self.end.write(&words);
        self.end.disclosed += asked;
        self.end.round += 1;
        Ok(reply)
    }

    /// How many parities were disclosed, in bits.
    pub fn disclosed(&self) -> u64 {
        self.end.disclosed
    }

    /// How many parities it discloses at most.
    pub fn cap(&self) -> u64 {
        self.end.plan.cap
    }

    /// How many requests were answered.
    pub fn round_trips(&self) -> u64 {
        self.end.round
    }

    /// The reference bits, unchanged.
    pub fn into_bits(self) -> SecretBits {
        self.bits
    }
}

/// The end that corrects its bits until they agree with those of a [`GroupedServer`].
///
/// [`start`](Self::start) it once, then answer each [`Step::Ask`] with the server's [`reply`](Self::reply).
pub struct GroupedCorrector {
    end: End,
    waiting: bool,
}

impl GroupedCorrector {
    /// A corrector of `bits`.
    ///
    /// # Errors
    /// [`ReconcileError::ErrorRate`] or [`ReconcileError::TooLong`].
    pub fn new(settings: &GroupedSettings, bits: SecretBits) -> Result<Self, ReconcileError> {
        Ok(Self { end: End::new(settings, &bits, true)?, waiting: false })
    }

    /// Begins: the first request. Called once, before any reply; later calls say [`Step::Done`].
    pub fn start(&mut self) -> Step {
        if self.end.frames.is_empty() || self.waiting || self.end.round > 0 {
            return Step::Done;
        }
        let request = self.end.write(&[]);
        if self.end.ask().is_err() {
            return Step::Done;
        }
        self.waiting = true;
        Step::Ask(request)
    }

    /// Takes the server's reply to the last request and says what comes next.
    ///
    /// # Errors
    /// If the reply is malformed or out of turn, contradicts earlier replies, or if going on would disclose more
    /// than the settings allow. After an error there is nothing more to wait for.
    pub fn reply(&mut self, reply: &[u8]) -> Result<Step, ReconcileError> {
        if !self.waiting {
            return Err(ReconcileError::NotWaiting);
        }
        self.waiting = false;
        let mut odd = self.end.read(reply)?;
        for (theirs, ours) in odd.iter_mut().zip(self.end.parities.words()) {
            *theirs ^= ours;
        }
        self.end.disclosed += self.end.parities.len() as u64;
        self.end.round += 1;
        let request = self.end.write(&odd);
        self.end.take(&odd)?;
        self.end.ask()?;
        self.waiting = self.end.parities.len() > 0;
        Ok(if self.waiting { Step::Ask(request) } else { Step::Done })
    }

    /// The bits as corrected so far.
    pub fn corrected(&self) -> SecretBits {
        let mut words = Vec::with_capacity(self.end.bits.div_ceil(64));
        for (frame, place) in self.end.frames.iter().zip(&self.end.plan.frames) {
            words.extend(frame.bits().take(self.end.plan.layouts[place.layout].words));
        }
        SecretBits::new(BitString::from_words(words, self.end.bits))
    }

    /// Which bits were flipped.
    pub fn corrections(&self) -> BitString {
        let mut corrections = BitString::zeros(self.end.bits);
        for (frame, place) in self.end.frames.iter().zip(&self.end.plan.frames) {
            for &bit in frame.found() {
                corrections.set(64 * place.first_word + bit as usize, true);
            }
        }
        corrections
    }

    /// How many parities the server disclosed, in bits.
    pub fn disclosed(&self) -> u64 {
        self.end.disclosed
    }

    /// How many replies were taken.
    pub fn round_trips(&self) -> u64 {
        self.end.round
    }
}

impl fmt::Debug for GroupedServer {
    /// Shows sizes and counts, never bits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, "GroupedServer", &self.end)
    }
}

impl fmt::Debug for GroupedCorrector {
    /// Shows sizes and counts, never bits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, "GroupedCorrector", &self.end)
    }
}

fn show(f: &mut fmt::Formatter<'_>, name: &str, end: &End) -> fmt::Result {
    f.debug_struct(name)
        .field("bits", &end.bits)
        .field("frames", &end.frames.len())
        .field("round", &end.round)
        .field("disclosed", &end.disclosed)
        .finish_non_exhaustive()
}
