//! The end that corrects its bits.

use super::plan::{Plan, disclosed_blocks};
use super::view::{View, masked_parity, middle};
use super::wire::{Reader, Writer};
use super::{CascadeSettings, ReconcileError, Step};
use bellwether_bits::{BitString, SecretBits};
use core::fmt;
use core::ops::Range;
use zeroize::Zeroize;

/// The end that corrects its bits until they agree with those of a [`ParityServer`](super::ParityServer).
pub struct Corrector {
    plan: Plan,
    bits: usize,
    /// The bits as corrected so far.
    words: Vec<u64>,
    corrections: BitString,
    frames: Vec<Frame>,
    searches: Vec<Search>,
    /// Frames whose openings were asked for in the last request.
    opening: Vec<u32>,
    round: u64,
    disclosed: u64,
    waiting: bool,
    scratch: Vec<u64>,
}

/// What the corrector knows of a frame.
struct Frame {
    groups: usize,
    passes: Vec<PassState>,
    /// Parts that may be odd, as pass and start; those that are not any more are dropped when they come up.
    suspects: Vec<(u32, u32)>,
    searching: u32,
}

/// What the corrector knows of one pass over a frame.
enum PassState {
    Closed,
    /// Two blocks, of which no part has been searched: whether each is odd.
    Halves([bool; 2]),
    /// The parts, and a set bit where an odd one begins.
    Viewed(View, Vec<u64>),
}

/// An odd part that is being bisected.
#[derive(Clone, Copy)]
struct Search {
    frame: u32,
    pass: u32,
    start: u32,
    end: u32,
}

impl Corrector {
    /// A corrector of `bits`.
    ///
    /// # Errors
    /// [`ReconcileError::ErrorRate`] or [`ReconcileError::TooLong`].
    pub fn new(settings: &CascadeSettings, bits: SecretBits) -> Result<Self, ReconcileError> {
        let plan = Plan::new(settings, bits.len())?;
        let frames = (0..plan.frames.len())
            .map(|frame| Frame {
                groups: 0,
                passes: plan.layout(frame).passes.iter().map(|_| PassState::Closed).collect(),
                suspects: Vec::new(),
                searching: 0,
            })
            .collect();
        Ok(Self {
            plan,
            bits: bits.len(),
            words: bits.expose().words().to_vec(),
            corrections: BitString::zeros(bits.len()),
            frames,
            searches: Vec::new(),
            opening: Vec::new(),
            round: 0,
            disclosed: 0,
            waiting: false,
            scratch: Vec::new(),
        })
    }

    /// Begins. Called again, it says the same.
    pub fn start(&mut self) -> Step {
        if self.frames.is_empty() {
            return Step::Done;
        }
        self.waiting = true;
        self.opening = (0..self.frames.len() as u32).collect();
        let mut request = Writer::default();
        request.number(0);
        request.number(0);
        self.write_opening(&mut request);
        Step::Ask(request.into_bytes())
    }

    /// Takes the server's reply to the last request and says what comes next.
    ///
    /// # Errors
    /// If the reply is malformed or out of turn, contradicts earlier replies, or if going on would disclose more
    /// than the settings allow.
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
        self.round += 1;
        let mut request = Writer::default();
        request.number(self.round);
        let mut idle = Vec::new();
        self.narrow(&mut reply, &mut request, &mut idle)?;
        let opened = core::mem::take(&mut self.opening);
        for &frame in &opened {
            self.open(frame, &mut reply)?;
        }
        reply.end()?;
        self.begin(opened, idle, &mut request)
    }

    /// Takes the parity of the first half of each searched part, narrows each search to its odd half, and flips
    /// the bits that are found. Frames that have no search left are added to `idle`.
    fn narrow(
        &mut self,
        reply: &mut Reader<'_>,
        request: &mut Writer,
        idle: &mut Vec<u32>,
    ) -> Result<(), ReconcileError> {
        self.disclosed += self.searches.len() as u64;
        let mut searches = core::mem::take(&mut self.searches);
        let mut kept = 0;
        for index in 0..searches.len() {
            let Search { frame, pass, start, end } = searches[index];
            let theirs = reply.bit()?;
            let state = &mut self.frames[frame as usize];
            let PassState::Viewed(view, odd) = &mut state.passes[pass as usize] else {
                unreachable!("a search begins in a pass that is viewed")
            };
            let cut = middle(start, end);
            let in_first = theirs != view.parity(start as usize, cut as usize);
            view.cut(cut as usize);
            let (start, end) = if in_first {
                (start, cut)
            } else {
                // The part's first half turns out even and its second odd.
                odd[start as usize / 64] ^= 1 << (start % 64);
                odd[cut as usize / 64] ^= 1 << (cut % 64);
                (cut, end)
            };
            if searches[index].end - searches[index].start > 2 {
                request.bit(!in_first);
            }
            if end - start > 1 {
                searches[kept] = Search { frame, pass, start, end };
                kept += 1;
            } else {
                state.searching -= 1;
                if state.searching == 0 {
                    idle.push(frame);
                }
                self.flip(frame as usize, pass as usize, start as usize)?;
            }
        }
        searches.truncate(kept);
        self.searches = searches;
        Ok(())
    }

    /// Flips the bit at `position` of a pass, and with it the parity of the part that holds it in every pass.
    fn flip(&mut self, frame: usize, pass: usize, position: usize) -> Result<(), ReconcileError> {
        let layout = self.plan.layout(frame);
        let place = &self.plan.frames[frame];
        let bit = match &layout.passes[pass].shuffle {
            None => position,
            Some(shuffle) => shuffle.origin(position),
        };
        let whole = place.first_word * 64 + bit;
        if bit >= layout.bits || self.corrections.get(whole) {
            // Unused bits are zero at both ends, and a bit that was found wrong once is right ever after.
            return Err(ReconcileError::Contradiction);
        }
        self.words[whole / 64] ^= 1 << (whole % 64);
        self.corrections.set(whole, true);
        let state = &mut self.frames[frame];
        for (number, (other, pass)) in state.passes.iter_mut().zip(&layout.passes).enumerate() {
            match other {
                PassState::Closed => break,
                PassState::Halves(odd) => {
                    let mask = pass.half.as_ref().expect("a pass of two blocks has its half");
                    odd[usize::from(mask[bit / 64] >> (bit % 64) & 1 == 0)] ^= true;
                }
                PassState::Viewed(view, odd) => {
                    let position = pass.shuffle.as_ref().map_or(bit, |shuffle| shuffle.position(bit));
                    view.flip(position);
                    let start = view.part_start(position);
                    odd[start / 64] ^= 1 << (start % 64);
                    if odd[start / 64] >> (start % 64) & 1 == 1 {
                        state.suspects.push((number as u32, start as u32));
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes the block parities of the passes that a frame opened.
    fn open(&mut self, frame: u32, reply: &mut Reader<'_>) -> Result<(), ReconcileError> {
        let layout = self.plan.layout(frame as usize);
        let place = &self.plan.frames[frame as usize];
        let words = &self.words[place.first_word..][..layout.words];
        let state = &mut self.frames[frame as usize];
        let group = layout.groups[state.groups].clone();
        state.groups += 1;
        let alone = group.len() == 1;
        for number in group {
            let pass = &layout.passes[number];
            let disclosed = disclosed_blocks(layout, number);
            self.disclosed += disclosed as u64;
            state.passes[number] = match &pass.half {
                Some(mask) if !alone => {
                    // All parts of the first pass are even by now, and so is the frame.
                    let odd = reply.bit()? != masked_parity(words, mask);
                    PassState::Halves([odd, odd])
                }
                _ => {
                    let view = View::new(pass, words, &mut self.scratch);
                    let mut odd = vec![0; layout.words];
                    let mut sum = false;
                    for block in 0..pass.blocks {
                        let Range { start, end } = pass.block_range(block);
                        let differs =
                            if block < disclosed { reply.bit()? != view.parity(start, end) } else { sum };
                        sum ^= differs;
                        if differs {
                            odd[start / 64] |= 1 << (start % 64);
                        }
                    }
                    PassState::Viewed(view, odd)
                }
            };
        }
        Ok(())
    }

    /// Begins the next searches: in frames that opened passes, and in those that have none left.
    fn begin(
        &mut self,
        opened: Vec<u32>,
        idle: Vec<u32>,
        request: &mut Writer,
    ) -> Result<Step, ReconcileError> {
        for &frame in &opened {
            self.mark(frame, request)?;
        }
        request.align();
        let mut frames: Vec<u32> = opened
            .into_iter()
            .chain(idle)
            .filter(|&frame| self.frames[frame as usize].searching == 0)
            .collect();
        frames.sort_unstable();
        frames.dedup();
        let mut lists = Vec::new();
        for frame in frames {
            match self.next_odd(frame as usize)? {
                Some(list) => lists.push(list),
                None if self.frames[frame as usize].groups
                    < self.plan.layout(frame as usize).groups.len() =>
                {
                    self.opening.push(frame);
                }
                None => {}
            }
        }
        request.number(lists.len() as u64);
        let mut least = 0;
        for (frame, pass, starts) in lists {
            request.number(u64::from(frame - least));
            least = frame;
            request.number(u64::from(pass));
            request.number(starts.len() as u64);
            let mut position = 0;
            for start in starts {
                request.number(u64::from(start - position));
                position = start + 1;
            }
        }
        self.write_opening(request);
        let opening: u64 = self.opening.iter().map(|&frame| self.opening_cost(frame as usize)).sum();
        let asked = self.searches.len() as u64 + opening;
        if asked == 0 {
            return Ok(Step::Done);
        }
        if self.disclosed + asked > self.plan.cap {
            return Err(ReconcileError::TooManyErrors { cap: self.plan.cap });
        }
        Ok(Step::Ask(core::mem::take(request).into_bytes()))
    }

    /// Marks the odd blocks of the pass that a frame opened alone, and searches them all.
    fn mark(&mut self, frame: u32, request: &mut Writer) -> Result<(), ReconcileError> {
        let layout = self.plan.layout(frame as usize);
        let group = layout.groups[self.frames[frame as usize].groups - 1].clone();
        if group.len() > 1 {
            return Ok(());
        }
        let pass = &layout.passes[group.start];
        for block in 0..pass.blocks {
            let start = block * pass.block;
            let PassState::Viewed(_, odd) = &self.frames[frame as usize].passes[group.start] else {
                unreachable!("a pass that is opened alone is viewed")
            };
            let differs = odd[start / 64] >> (start % 64) & 1 == 1;
            request.bit(differs);
            if differs {
                search(
                    &mut self.searches,
                    &mut self.frames[frame as usize],
                    (frame, group.start as u32),
                    start as u32,
                )?;
            }
        }
        Ok(())
    }

    /// The odd parts of the first pass of a frame that has any, which are then searched all at once: parts of
    /// one pass share no bit, so that no two searches find the same error.
    fn next_odd(&mut self, frame: usize) -> Result<Option<(u32, u32, Vec<u32>)>, ReconcileError> {
        let layout = self.plan.layout(frame);
        let place = &self.plan.frames[frame];
        let state = &mut self.frames[frame];
        let passes = &state.passes;
        state.suspects.retain(|&(pass, start)| match &passes[pass as usize] {
            PassState::Viewed(_, odd) => odd[start as usize / 64] >> (start % 64) & 1 == 1,
            _ => false,
        });
        state.suspects.sort_unstable();
        state.suspects.dedup();
        if state.suspects.is_empty() {
            let odd = state
                .passes
                .iter()
                .position(|pass| matches!(pass, PassState::Halves(odd) if odd[0] || odd[1]));
            let Some(number) = odd else { return Ok(None) };
            let PassState::Halves(halves) = state.passes[number] else { return Ok(None) };
            let pass = &layout.passes[number];
            let words = &self.words[place.first_word..][..layout.words];
            let mut odd = vec![0; layout.words];
            for (start, _) in [0, pass.block].into_iter().zip(halves).filter(|(_, odd)| *odd) {
                odd[start / 64] |= 1 << (start % 64);
                state.suspects.push((number as u32, start as u32));
            }
            state.passes[number] = PassState::Viewed(View::new(pass, words, &mut self.scratch), odd);
        }
        let first = state.suspects[0].0;
        let count = match layout.passes[first as usize].half {
            None => state.suspects.partition_point(|&(pass, _)| pass == first),
            Some(_) => 1,
        };
        let starts: Vec<u32> = state.suspects.drain(..count).map(|(_, start)| start).collect();
        for &start in &starts {
            search(&mut self.searches, state, (frame as u32, first), start)?;
        }
        Ok(Some((frame as u32, first, starts)))
    }

    fn opening_cost(&self, frame: usize) -> u64 {
        let layout = self.plan.layout(frame);
        layout.groups[self.frames[frame].groups]
            .clone()
            .map(|pass| disclosed_blocks(layout, pass) as u64)
            .sum()
    }

    fn write_opening(&self, request: &mut Writer) {
        request.number(self.opening.len() as u64);
        let mut least = 0;
        for &frame in &self.opening {
            request.number(u64::from(frame - least));
            least = frame + 1;
        }
    }
}

/// Begins to search the part that begins at `start` of the given pass of the given frame.
fn search(
    searches: &mut Vec<Search>,
    state: &mut Frame,
    (frame, pass): (u32, u32),
    start: u32,
) -> Result<(), ReconcileError> {
    let PassState::Viewed(view, _) = &state.passes[pass as usize] else {
        unreachable!("a search begins in a pass that is viewed")
    };
    let end = view.part_end(start as usize) as u32;
    if end - start < 2 {
        // The bit is known to be right.
        return Err(ReconcileError::Contradiction);
    }
    searches.push(Search { frame, pass, start, end });
    state.searching += 1;
    Ok(())
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
