//! The end whose bits are the reference.

use super::plan::{Plan, disclosed_blocks};
use super::view::{View, masked_parity, middle};
use super::wire::{Reader, Writer};
use super::{CascadeSettings, ReconcileError};
use bellwether_bits::SecretBits;
use core::fmt;
use zeroize::Zeroize;

/// The end whose bits are the reference: it answers parities and counts every bit that it discloses.
///
/// Whatever it is asked, it discloses at most [`cap`](Self::cap) parities, no parity twice, and its work and
/// memory are in proportion to the requests it gets. After an error it answers nothing more.
pub struct ParityServer {
    plan: Plan,
    bits: SecretBits,
    frames: Vec<Frame>,
    searches: Vec<Search>,
    /// Frames whose last opening was of one pass alone, for which marks are due.
    marked: Vec<u32>,
    round: u64,
    disclosed: u64,
    failed: bool,
    scratch: Vec<u64>,
}

/// What the server remembers of a frame.
struct Frame {
    /// How many groups of passes it has opened.
    groups: usize,
    /// The passes in which searches can begin, by pass.
    views: Vec<Option<View>>,
}

/// A part that is known to the corrector to be odd.
struct Search {
    frame: u32,
    pass: u32,
    start: u32,
    end: u32,
}

impl ParityServer {
    /// A server of the parities of `bits`.
    ///
    /// # Errors
    /// [`ReconcileError::ErrorRate`] or [`ReconcileError::TooLong`].
    pub fn new(settings: &CascadeSettings, bits: SecretBits) -> Result<Self, ReconcileError> {
        let plan = Plan::new(settings, bits.len())?;
        let frames = (0..plan.frames.len())
            .map(|frame| {
                let views = plan.layout(frame).passes.iter().map(|_| None).collect();
                Frame { groups: 0, views }
            })
            .collect();
        Ok(Self {
            plan,
            bits,
            frames,
            searches: Vec::new(),
            marked: Vec::new(),
            round: 0,
            disclosed: 0,
            failed: false,
            scratch: Vec::new(),
        })
    }

    /// The reply to one request.
    ///
    /// # Errors
    /// If the request is malformed, out of turn, asks for what is known, or would disclose more than
    /// [`cap`](Self::cap). Nothing is disclosed by an error.
    pub fn answer(&mut self, request: &[u8]) -> Result<Vec<u8>, ReconcileError> {
        if self.failed {
            return Err(ReconcileError::NotWaiting);
        }
        let reply = self.try_answer(request);
        self.failed = reply.is_err();
        reply
    }

    /// How many parities were disclosed, in bits.
    pub fn disclosed(&self) -> u64 {
        self.disclosed
    }

    /// How many parities it discloses at most.
    pub fn cap(&self) -> u64 {
        self.plan.cap
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
        self.narrow(&mut request)?;
        let open = self.searches.len();
        self.begin_marked(&mut request)?;
        request.align()?;
        self.give_up(&mut request, open)?;
        self.begin_listed(&mut request)?;
        let opening = self.read_opening(&mut request)?;
        request.end()?;

        let opened: u64 = opening.iter().map(|&frame| self.opening_cost(frame)).sum();
        let asked = self.searches.len() as u64 + opened;
        if asked == 0 {
            return Err(ReconcileError::Malformed("nothing is asked"));
        }
        if self.disclosed + asked > self.plan.cap {
            return Err(ReconcileError::TooManyErrors { cap: self.plan.cap });
        }
        let mut reply = Writer::default();
        reply.number(self.round);
        self.split(&mut reply)?;
        for frame in opening {
            self.open(frame, &mut reply);
        }
        self.disclosed += asked;
        self.round += 1;
        Ok(reply.into_bytes())
    }

    /// Reads which half of each open search is odd, and closes those that have found their error.
    fn narrow(&mut self, request: &mut Reader<'_>) -> Result<(), ReconcileError> {
        let mut result = Ok(());
        self.searches.retain_mut(|search| {
            if search.end - search.start == 2 || result.is_err() {
                return false;
            }
            let cut = middle(search.start, search.end);
            match request.bit() {
                Ok(true) => search.start = cut,
                Ok(false) => search.end = cut,
                Err(error) => result = Err(error),
            }
            search.end - search.start > 1
        });
        result
    }

    /// Reads which of the first `open` searches are given up.
    fn give_up(&mut self, request: &mut Reader<'_>, open: usize) -> Result<(), ReconcileError> {
        let count = request.index(open)?;
        let mut given_up = Vec::with_capacity(count);
        let mut least = 0;
        for _ in 0..count {
            least += request.index(open)?;
            given_up.push(least);
            least += 1;
        }
        if least > open {
            return Err(ReconcileError::Malformed("no such search"));
        }
        let mut given_up = given_up.into_iter().peekable();
        let mut number = 0;
        self.searches.retain(|_| {
            number += 1;
            given_up.next_if_eq(&(number - 1)).is_none()
        });
        Ok(())
    }

    /// Reads the marks on the blocks of the passes that were opened last.
    fn begin_marked(&mut self, request: &mut Reader<'_>) -> Result<(), ReconcileError> {
        for frame in core::mem::take(&mut self.marked) {
            let layout = self.plan.layout(frame as usize);
            let number = layout.groups[self.frames[frame as usize].groups - 1].start;
            let pass = &layout.passes[number];
            for block in 0..pass.blocks {
                if request.bit()? {
                    let start = block * pass.block;
                    begin(&mut self.searches, &self.frames[frame as usize], (frame, number), start)?;
                }
            }
        }
        Ok(())
    }

    /// Reads the lists of other searches that begin.
    fn begin_listed(&mut self, request: &mut Reader<'_>) -> Result<(), ReconcileError> {
        let mut least = (0, 0);
        for _ in 0..request.number()? {
            let frame = least.0 + request.index(self.frames.len())?;
            let state = self.frames.get(frame).ok_or(ReconcileError::Malformed("no such frame"))?;
            let layout = self.plan.layout(frame);
            let opened = state.groups.checked_sub(1).map_or(0, |group| layout.groups[group].end);
            let number = request.index(usize::MAX)?;
            if number >= opened || (frame, number) < least {
                return Err(ReconcileError::Malformed("pass is not open, or out of order"));
            }
            least = (frame, number + 1);
            let pass = &layout.passes[number];
            let span = pass.span;
            let count = request.index(span)?;
            if self.frames[frame].views[number].is_none() {
                let place = &self.plan.frames[frame];
                let words = &self.bits.expose().words()[place.first_word..][..layout.words];
                self.frames[frame].views[number] = Some(View::new(pass, words, &mut self.scratch));
            }
            let mut position = 0;
            for _ in 0..count {
                position += request.index(span)?;
                begin(&mut self.searches, &self.frames[frame], (frame as u32, number), position)?;
                position += 1;
            }
        }
        Ok(())
    }

    /// Reads which frames open their next passes.
    fn read_opening(&self, request: &mut Reader<'_>) -> Result<Vec<usize>, ReconcileError> {
        let count = request.index(self.frames.len())?;
        let mut opening = Vec::with_capacity(count);
        let mut least = 0;
        for _ in 0..count {
            let frame = least + request.index(self.frames.len())?;
            let state = self.frames.get(frame).ok_or(ReconcileError::Malformed("no such frame"))?;
            if state.groups == self.plan.layout(frame).groups.len() {
                return Err(ReconcileError::Repeated);
            }
            opening.push(frame);
            least = frame + 1;
        }
        Ok(opening)
    }

    /// How many parities the next passes of a frame disclose.
    fn opening_cost(&self, frame: usize) -> u64 {
        let layout = self.plan.layout(frame);
        layout.groups[self.frames[frame].groups]
            .clone()
            .map(|pass| disclosed_blocks(layout, pass) as u64)
            .sum()
    }

    /// Splits the part of every search and tells the parity of its first half.
    fn split(&mut self, reply: &mut Writer) -> Result<(), ReconcileError> {
        for search in &self.searches {
            let view = self.frames[search.frame as usize].views[search.pass as usize].as_mut();
            let view = view.expect("a search begins in a pass that is viewed");
            let cut = middle(search.start, search.end);
            if !view.cut(cut as usize) {
                return Err(ReconcileError::Repeated);
            }
            reply.bit(view.parity(search.start as usize, cut as usize));
        }
        Ok(())
    }

    /// Opens the next passes of a frame and tells the parities of their blocks.
    fn open(&mut self, frame: usize, reply: &mut Writer) {
        let layout = self.plan.layout(frame);
        let place = &self.plan.frames[frame];
        let words = &self.bits.expose().words()[place.first_word..][..layout.words];
        let group = layout.groups[self.frames[frame].groups].clone();
        self.frames[frame].groups += 1;
        if group.len() == 1 {
            self.marked.push(frame as u32);
        }
        let alone = group.len() == 1;
        for number in group {
            let pass = &layout.passes[number];
            match &pass.half {
                Some(mask) if !alone => reply.bit(masked_parity(words, mask)),
                _ => {
                    let view = View::new(pass, words, &mut self.scratch);
                    for block in 0..disclosed_blocks(layout, number) {
                        let range = pass.block_range(block);
                        reply.bit(view.parity(range.start, range.end));
                    }
                    self.frames[frame].views[number] = Some(view);
                }
            }
        }
    }
}

/// Begins to search the part that begins at `start` of the given pass of the given frame.
#[inline]
fn begin(
    searches: &mut Vec<Search>,
    state: &Frame,
    (frame, pass): (u32, usize),
    start: usize,
) -> Result<(), ReconcileError> {
    let view = state.views[pass].as_ref().ok_or(ReconcileError::Malformed("pass is not open"))?;
    if start >= view.span() || !view.is_cut(start) {
        return Err(ReconcileError::Malformed("no part begins there"));
    }
    let end = view.part_end(start);
    if end - start < 2 {
        return Err(ReconcileError::Repeated);
    }
    searches.push(Search { frame, pass: pass as u32, start: start as u32, end: end as u32 });
    Ok(())
}

impl Drop for ParityServer {
    fn drop(&mut self) {
        self.scratch.zeroize();
    }
}

impl fmt::Debug for ParityServer {
    /// Shows sizes and counts, never bits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParityServer")
            .field("bits", &self.bits.len())
            .field("frames", &self.frames.len())
            .field("round", &self.round)
            .field("disclosed", &self.disclosed)
            .finish_non_exhaustive()
    }
}
