//! What the corrector knows of one frame: the passes it opened, their parts, and which of them are odd.

use super::ReconcileError;
use super::plan::{Layout, Pass, disclosed_blocks};
use super::view::{View, masked_parity, middle};
use super::wire::Reader;
use core::ops::Range;

/// The state of one frame at the corrector.
pub(super) struct Frame {
    /// How many groups of passes are open.
    pub(super) groups: usize,
    /// Whether the next group was asked for.
    pub(super) opening: bool,
    pub(super) passes: Vec<PassState>,
    /// Parts that turned odd, as pass and start. Those that are not odd any more, or are searched already, are
    /// dropped when they come up.
    pub(super) suspects: Vec<(u32, u32)>,
    /// How many searches are open.
    pub(super) searching: usize,
    /// How many errors were found.
    pub(super) found: usize,
    /// How many times even parts may still be split on suspicion.
    pub(super) suspicions: usize,
    /// Whether a part became even while it was searched.
    pub(super) overtaken: bool,
}

/// What is known of one pass over a frame.
pub(super) enum PassState {
    Closed,
    /// Two blocks in which no search has begun: whether each is odd.
    Halves([bool; 2]),
    Viewed(Parts),
}

/// One pass over a frame, and what is known of its parts.
pub(super) struct Parts {
    pub(super) view: View,
    /// A set bit where an odd part begins.
    odd: Vec<u64>,
    /// A set bit where a part begins that is being searched.
    searched: Vec<u64>,
}

/// An odd part that is being bisected.
#[derive(Clone, Copy)]
pub(super) struct Search {
    pub(super) frame: u32,
    pub(super) pass: u32,
    pub(super) start: u32,
    pub(super) end: u32,
}

/// What the parity of the first half of a searched part led to.
pub(super) struct Narrowed {
    /// Whether the search goes on in the second half.
    pub(super) second: bool,
    /// The part in which the search goes on, if it does.
    pub(super) next: Option<Range<u32>>,
    /// Positions of errors found.
    pub(super) errors: [Option<u32>; 2],
}

fn bit(bits: &[u64], position: usize) -> bool {
    bits[position / 64] >> (position % 64) & 1 == 1
}

fn toggle(bits: &mut [u64], position: usize) {
    bits[position / 64] ^= 1 << (position % 64);
}

impl Parts {
    fn new(pass: &Pass, words: &[u64], scratch: &mut Vec<u64>) -> Self {
        let none = vec![0; words.len()];
        Self { view: View::new(pass, words, scratch), odd: none.clone(), searched: none }
    }

    /// Whether the part that begins at `start` is odd.
    pub(super) fn is_odd(&self, start: usize) -> bool {
        bit(&self.odd, start)
    }

    /// Whether the part that begins at `start` is being searched.
    pub(super) fn is_searched(&self, start: usize) -> bool {
        bit(&self.searched, start)
    }
}

impl Frame {
    pub(super) fn new(layout: &Layout, suspicions: usize) -> Self {
        Self {
            groups: 0,
            opening: false,
            passes: layout.passes.iter().map(|_| PassState::Closed).collect(),
            suspects: Vec::new(),
            searching: 0,
            found: 0,
            suspicions,
            overtaken: false,
        }
    }

    /// The parts of a pass in which searches have begun or were free to.
    pub(super) fn parts(&self, pass: usize) -> Option<&Parts> {
        match &self.passes[pass] {
            PassState::Viewed(parts) => Some(parts),
            _ => None,
        }
    }

    fn viewed(&mut self, pass: usize) -> &mut Parts {
        match &mut self.passes[pass] {
            PassState::Viewed(parts) => parts,
            _ => unreachable!("searches begin in passes that are viewed, and these stay so"),
        }
    }

    /// Whether the part of `pass` that begins at `start` is odd and no search is on it.
    pub(super) fn is_free(&self, pass: u32, start: u32) -> bool {
        let start = start as usize;
        self.parts(pass as usize).is_some_and(|parts| parts.is_odd(start) && !parts.is_searched(start))
    }

    /// Takes the parities of the blocks of the next passes. The frame's `words` are as corrected so far.
    pub(super) fn open(
        &mut self,
        layout: &Layout,
        words: &[u64],
        scratch: &mut Vec<u64>,
        reply: &mut Reader<'_>,
    ) -> Result<(), ReconcileError> {
        let group = layout.groups[self.groups].clone();
        self.groups += 1;
        self.opening = false;
        // After the first pass the parity of the whole frame is known, as the sum of those of its parts.
        let frame_odd = self
            .parts(0)
            .is_some_and(|parts| parts.odd.iter().fold(0, |sum, word| sum ^ word).count_ones() % 2 == 1);
        let alone = group.len() == 1;
        for number in group {
            let pass = &layout.passes[number];
            self.passes[number] = match &pass.half {
                Some(mask) if !alone => {
                    let odd = reply.bit()? != masked_parity(words, mask);
                    PassState::Halves([odd, odd != frame_odd])
                }
                _ => {
                    let mut parts = Parts::new(pass, words, scratch);
                    let disclosed = disclosed_blocks(layout, number);
                    let mut rest = frame_odd;
                    for block in 0..pass.blocks {
                        let Range { start, end } = pass.block_range(block);
                        let odd = if block < disclosed {
                            reply.bit()? != parts.view.parity(start, end)
                        } else {
                            rest
                        };
                        rest ^= odd;
                        if odd {
                            toggle(&mut parts.odd, start);
                        }
                    }
                    PassState::Viewed(parts)
                }
            };
        }
        Ok(())
    }

    /// Makes a pass of two blocks ready for searches.
    pub(super) fn view(&mut self, layout: &Layout, number: usize, words: &[u64], scratch: &mut Vec<u64>) {
        if let PassState::Halves(halves) = self.passes[number] {
            let pass = &layout.passes[number];
            let mut parts = Parts::new(pass, words, scratch);
            for (start, _) in [0, pass.block].into_iter().zip(halves).filter(|(_, odd)| *odd) {
                toggle(&mut parts.odd, start);
                self.suspects.push((number as u32, start as u32));
            }
            self.passes[number] = PassState::Viewed(parts);
        }
    }

    /// Begins to search the part of `pass` that begins at `start`: where it ends.
    pub(super) fn begin(&mut self, pass: u32, start: u32) -> Result<u32, ReconcileError> {
        let parts = self.viewed(pass as usize);
        let end = parts.view.part_end(start as usize) as u32;
        if end - start < 2 {
            // The server told this bit, and it was made to agree.
            return Err(ReconcileError::Contradiction);
        }
        toggle(&mut parts.searched, start as usize);
        self.searching += 1;
        Ok(end)
    }

    /// Takes the server's parity of the first half of a searched part.
    #[inline]
    pub(super) fn narrow(&mut self, search: &Search, theirs: bool) -> Narrowed {
        let &Search { pass, start, end, .. } = search;
        let parts = self.viewed(pass as usize);
        let cut = middle(start, end);
        parts.view.cut(cut as usize);
        // A part may have turned even since it was chosen, or may have been chosen on suspicion while even.
        let odd = parts.is_odd(start as usize);
        let first = theirs != parts.view.parity(start as usize, cut as usize);
        let second = first != odd;
        if second {
            toggle(&mut parts.odd, start as usize);
            toggle(&mut parts.odd, cut as usize);
        }
        let (next, rest) = if first { (start..cut, cut..end) } else { (cut..end, start..cut) };
        let goes_on = next.len() > 1 && end - start > 2;
        if !(goes_on && first) {
            toggle(&mut parts.searched, start as usize);
        }
        if goes_on && !first {
            toggle(&mut parts.searched, cut as usize);
        }
        let single = |half: &Range<u32>, odd: bool| (odd && half.len() == 1).then_some(half.start);
        let errors = [single(&(start..cut), first), single(&(cut..end), second)];
        if !goes_on {
            self.searching -= 1;
        } else if !odd && !first {
            self.overtaken = true;
        }
        if first && second && rest.len() > 1 {
            self.suspects.push((pass, rest.start));
        }
        Narrowed { second: !first, next: goes_on.then_some(next), errors }
    }

    /// Gives up a search if its part became even. True if so.
    pub(super) fn give_up(&mut self, search: &Search) -> bool {
        let parts = self.viewed(search.pass as usize);
        if parts.is_odd(search.start as usize) {
            return false;
        }
        toggle(&mut parts.searched, search.start as usize);
        self.searching -= 1;
        true
    }

    /// Flips a bit, given by its place in the frame, in all passes, and with it the parity of the part that holds
    /// it in each.
    pub(super) fn flip(&mut self, layout: &Layout, found: usize) {
        self.found += 1;
        for (number, (state, pass)) in self.passes.iter_mut().zip(&layout.passes).enumerate() {
            match state {
                PassState::Closed => break,
                PassState::Halves(odd) => {
                    let mask = pass.half.as_ref().expect("a pass of two blocks has its half");
                    odd[usize::from(!bit(mask, found))] ^= true;
                }
                PassState::Viewed(parts) => {
                    let position = pass.shuffle.as_ref().map_or(found, |shuffle| shuffle.position(found));
                    parts.view.flip(position);
                    let start = parts.view.part_start(position);
                    toggle(&mut parts.odd, start);
                    match (parts.is_odd(start), parts.is_searched(start)) {
                        (true, false) => self.suspects.push((number as u32, start as u32)),
                        (false, true) => self.overtaken = true,
                        _ => {}
                    }
                }
            }
        }
    }
}
