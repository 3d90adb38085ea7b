//! The end that corrects its bits.

use super::frame::{Frame, Search};
use super::plan::{Plan, disclosed_blocks};
use super::schedule::{Pace, SUSPICIONS};
use super::wire::{Reader, Writer};
use super::{CascadeSettings, ReconcileError, Step};
use bellwether_bits::{BitString, SecretBits};
use core::fmt;
use zeroize::Zeroize;

/// The end that corrects its bits until they agree with those of a [`ParityServer`](super::ParityServer).
///
/// [`start`](Self::start) it once, then answer each [`Step::Ask`] with the server's [`reply`](Self::reply).
pub struct Corrector {
    plan: Plan,
    pace: Pace,
    bits: usize,
    /// The bits as corrected so far.
    words: Vec<u64>,
    corrections: BitString,
    /// The error rate as far as is known.
    rate: f64,
    frames: Vec<Frame>,
    searches: Vec<Search>,
    /// Frames whose openings were asked for in the last request.
    opening: Vec<u32>,
    round: u64,
    disclosed: u64,
    waiting: bool,
    scratch: Vec<u64>,
}

impl Corrector {
    /// A corrector of `bits`, at the default [`Pace`].
    ///
    /// # Errors
    /// [`ReconcileError::ErrorRate`] or [`ReconcileError::TooLong`].
    pub fn new(settings: &CascadeSettings, bits: SecretBits) -> Result<Self, ReconcileError> {
        Self::with_pace(settings, bits, Pace::default())
    }

    /// A corrector of `bits`, at the given pace.
    ///
    /// # Errors
    /// [`ReconcileError::ErrorRate`] or [`ReconcileError::TooLong`].
    pub fn with_pace(
        settings: &CascadeSettings,
        bits: SecretBits,
        pace: Pace,
    ) -> Result<Self, ReconcileError> {
        let plan = Plan::new(settings, bits.len())?;
        let frames = (0..plan.frames.len()).map(|frame| Frame::new(plan.layout(frame), SUSPICIONS)).collect();
        Ok(Self {
            plan,
            pace,
            bits: bits.len(),
            words: bits.expose().words().to_vec(),
            corrections: BitString::zeros(bits.len()),
            rate: settings.error_rate,
            frames,
            searches: Vec::new(),
            opening: Vec::new(),
            round: 0,
            disclosed: 0,
            waiting: false,
            scratch: Vec::new(),
        })
    }

    /// Begins: the first request. Called once, before any reply; later calls say [`Step::Done`].
    pub fn start(&mut self) -> Step {
        if self.frames.is_empty() || self.waiting || self.round > 0 {
            return Step::Done;
        }
        self.waiting = true;
        self.opening = (0..self.frames.len() as u32).collect();
        let mut request = Writer::default();
        request.number(0);
        write_rising(&mut request, &[]);
        request.number(0);
        write_rising(&mut request, &self.opening);
        Step::Ask(request.into_bytes())
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
        let step = self.take_reply(reply)?;
        self.waiting = matches!(step, Step::Ask(_));
        Ok(step)
    }

    /// The bits as corrected so far.
    pub fn corrected(&self) -> SecretBits {
        SecretBits::new(BitString::from_words(self.words.clone(), self.bits))
    }

    /// Which bits were flipped.
    pub fn corrections(&self) -> &BitString {
        &self.corrections
    }

    /// How many parities the server disclosed, in bits.
    pub fn disclosed(&self) -> u64 {
        self.disclosed
    }

    /// How many replies were taken.
    pub fn round_trips(&self) -> u64 {
        self.round
    }

    fn take_reply(&mut self, reply: &[u8]) -> Result<Step, ReconcileError> {
        let mut reply = Reader::new(reply);
        let round = reply.number()?;
        if round != self.round {
            return Err(ReconcileError::WrongRound { due: self.round, got: round });
        }
        self.disclosed += self.asked();
        self.round += 1;
        let mut request = Writer::default();
        request.number(self.round);
        let mut touched = Vec::new();
        self.narrow(&mut reply, &mut request, &mut touched)?;
        let given_up = self.give_up(&mut touched);
        let opened = core::mem::take(&mut self.opening);
        for &frame in &opened {
            let layout = self.plan.layout(frame as usize);
            let place = &self.plan.frames[frame as usize];
            let words = &self.words[place.first_word..][..layout.words];
            self.frames[frame as usize].open(layout, words, &mut self.scratch, &mut reply)?;
        }
        reply.end()?;
        if round == 0 {
            self.rate = self.rate.min(self.highest_rate());
        }
        for &frame in &opened {
            self.mark(frame, &mut request)?;
        }
        request.align();
        write_rising(&mut request, &given_up);
        touched.extend(opened);
        touched.sort_unstable();
        touched.dedup();
        self.begin(&touched, &mut request)?;
        write_rising(&mut request, &self.opening);
        let asked = self.asked();
        if asked == 0 {
            return Ok(Step::Done);
        }
        if self.disclosed + asked > self.plan.cap {
            return Err(ReconcileError::TooManyErrors { cap: self.plan.cap });
        }
        Ok(Step::Ask(request.into_bytes()))
    }

    /// How many parities the reply to the request will disclose.
    fn asked(&self) -> u64 {
        let cost = |frame: usize| -> usize {
            let layout = self.plan.layout(frame);
            layout.groups[self.frames[frame].groups].clone().map(|pass| disclosed_blocks(layout, pass)).sum()
        };
        (self.searches.len() + self.opening.iter().map(|&frame| cost(frame as usize)).sum::<usize>()) as u64
    }

    /// Takes the parity of the first half of each searched part, narrows each search to its odd half, and flips
    /// the bits that are found. Frames in which a search ended are added to `touched`.
    fn narrow(
        &mut self,
        reply: &mut Reader<'_>,
        request: &mut Writer,
        touched: &mut Vec<u32>,
    ) -> Result<(), ReconcileError> {
        let mut kept = 0;
        for index in 0..self.searches.len() {
            let search = self.searches[index];
            let narrowed = self.frames[search.frame as usize].narrow(&search, reply.bit()?);
            if search.end - search.start > 2 {
                request.bit(narrowed.second);
            }
            match narrowed.next {
                Some(next) => {
                    self.searches[kept] = Search { start: next.start, end: next.end, ..search };
                    kept += 1;
                }
                None => touched.push(search.frame),
            }
            for error in narrowed.errors.into_iter().flatten() {
                self.flip(search.frame as usize, search.pass as usize, error as usize)?;
            }
        }
        self.searches.truncate(kept);
        Ok(())
    }

    /// Flips the bit at `position` of a pass.
    fn flip(&mut self, frame: usize, pass: usize, position: usize) -> Result<(), ReconcileError> {
        let layout = self.plan.layout(frame);
        let found = match &layout.passes[pass].shuffle {
            None => position,
            Some(shuffle) => shuffle.origin(position),
        };
        let bit = self.plan.frames[frame].first_word * 64 + found;
        if found >= layout.bits || self.corrections.get(bit) {
            // Unused bits are zero at both ends, and a bit that was found wrong once is right ever after.
            return Err(ReconcileError::Contradiction);
        }
        self.words[bit / 64] ^= 1 << (bit % 64);
        self.corrections.set(bit, true);
        self.frames[frame].flip(layout, found);
        Ok(())
    }

    /// Gives up the searches whose parts turned even because another search found their error, and tells their
    /// numbers.
    fn give_up(&mut self, touched: &mut Vec<u32>) -> Vec<u32> {
        let mut given_up = Vec::new();
        let frames = &mut self.frames;
        if frames.iter().all(|frame| !frame.overtaken) {
            return given_up;
        }
        let mut number = 0;
        self.searches.retain(|search| {
            number += 1;
            let frame = &mut frames[search.frame as usize];
            let over = frame.overtaken && frame.give_up(search);
            if over {
                touched.push(search.frame);
                given_up.push(number - 1);
            }
            !over
        });
        for frame in frames {
            frame.overtaken = false;
        }
        given_up
    }

    /// The highest error rate that goes with the odd blocks of the first pass, within two standard deviations:
    /// `n` bits that err independently with probability `q` have an odd number of errors with probability
    /// `(1 - (1 - 2q)^n) / 2`.
    fn highest_rate(&self) -> f64 {
        let (mut odd, mut blocks, mut length) = (0, 0, 1);
        for (index, frame) in self.frames.iter().enumerate() {
            let pass = &self.plan.layout(index).passes[0];
            blocks += pass.blocks;
            length = pass.block;
            if let Some(parts) = frame.parts(0) {
                odd += (0..pass.blocks).filter(|&block| parts.is_odd(pass.block_range(block).start)).count();
            }
        }
        let blocks = blocks.max(1) as f64;
        let share = (odd as f64 / blocks + 1.0 / libm::sqrt(blocks)).min(0.5);
        (1.0 - libm::pow(1.0 - 2.0 * share, 1.0 / length as f64)) / 2.0
    }

    /// Marks the odd blocks of the pass that a frame opened alone, and searches them all.
    fn mark(&mut self, frame: u32, request: &mut Writer) -> Result<(), ReconcileError> {
        let layout = self.plan.layout(frame as usize);
        let state = &mut self.frames[frame as usize];
        let group = layout.groups[state.groups - 1].clone();
        if group.len() > 1 {
            return Ok(());
        }
        let pass = &layout.passes[group.start];
        for block in 0..pass.blocks {
            let start = pass.block_range(block).start as u32;
            let odd = state.is_free(group.start as u32, start);
            request.bit(odd);
            if odd {
                let pass = group.start as u32;
                let end = state.begin(pass, start)?;
                self.searches.push(Search { frame, pass, start, end });
            }
        }
        Ok(())
    }

    /// Begins what is due in the frames that opened passes, and in those where a search ended.
    fn begin(&mut self, touched: &[u32], request: &mut Writer) -> Result<(), ReconcileError> {
        let mut begun = Vec::new();
        for &frame in touched {
            let layout = self.plan.layout(frame as usize);
            let place = &self.plan.frames[frame as usize];
            let words = &self.words[place.first_word..][..layout.words];
            let state = &mut self.frames[frame as usize];
            let due = self.pace.due(state, layout, self.rate, words, &mut self.scratch);
            for (pass, start) in due.begin {
                let end = state.begin(pass, start)?;
                begun.push(Search { frame, pass, start, end });
            }
            if due.open {
                self.opening.push(frame);
            }
        }
        let lists = || begun.chunk_by(|a, b| (a.frame, a.pass) == (b.frame, b.pass));
        request.number(lists().count() as u64);
        let mut last = 0;
        for list in lists() {
            request.number(u64::from(list[0].frame - last));
            last = list[0].frame;
            request.number(u64::from(list[0].pass));
            write_rising(request, &list.iter().map(|search| search.start).collect::<Vec<_>>());
        }
        self.searches.append(&mut begun);
        Ok(())
    }
}

/// Writes how many there are, and the distance of each from the least that it can be.
fn write_rising(request: &mut Writer, values: &[u32]) {
    request.number(values.len() as u64);
    let mut least = 0;
    for &value in values {
        request.number(u64::from(value - least));
        least = value + 1;
    }
}

impl Drop for Corrector {
    fn drop(&mut self) {
        self.words.zeroize();
        self.scratch.zeroize();
    }
}

impl fmt::Debug for Corrector {
    /// Shows sizes and counts, never bits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Corrector")
            .field("bits", &self.bits)
            .field("frames", &self.frames.len())
            .field("round", &self.round)
            .field("disclosed", &self.disclosed)
            .finish_non_exhaustive()
    }
}
