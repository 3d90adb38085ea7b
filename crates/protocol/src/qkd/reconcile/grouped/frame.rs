//! What both ends know of one frame, and what is due in it.
//!
//! Errors are searched in waves: all odd parts of the lowest pass that has any, each to its end. Parts of one pass share no
//! bit, so that the searches of a wave do not touch each other. What they find makes parts of other passes odd, and once no
//! part is odd, the next passes are opened.

use super::ReconcileError;
use super::first::FirstSearches;
use super::grouping::{EVEN, Grouping};
use super::order::Order;
use super::packed::{Packed, Unpacked};
use super::pass::PassView;
use super::plan::Layout;
use super::words::{low, split, word_parities};
use core::mem::take;
use zeroize::Zeroize;

/// The first pass, which takes the bits as they lie.
const FIRST: usize = 0;

/// One frame, at one end.
pub(super) struct Frame {
    /// Whether bits that are found wrong are flipped here.
    corrects: bool,
    passes: Vec<PassView>,
    /// How often each random half has turned odd, modulo 2, while it has no view.
    halves: Vec<Half>,
    /// Which bits were found wrong, in the order in which they were.
    found: Vec<u32>,
    /// Of each block of the first pass: the pair of bits at which the search ended, or that it was even.
    pairs: Vec<u16>,
    /// By pass, the parts that turned odd. Those that are even again are dropped when they come up.
    suspects: Vec<Vec<u32>>,
    phase: Phase,
    scratch: Vec<u64>,
}

/// A random half of the frame.
struct Half {
    odd: bool,
    /// Its number among the passes, once it was searched.
    pass: Option<usize>,
}

#[derive(Default)]
enum Phase {
    /// The passes that come next are opened.
    Opening(Opening),
    /// The first pass is searched.
    First(FirstSearches),
    /// The odd parts of this pass are searched.
    Wave(usize, Vec<Search>),
    #[default]
    Done,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Opening {
    First,
    Second,
    Last,
}

/// An odd part that is being bisected. Wiped by its owner.
#[derive(Clone, Copy, Default, Zeroize)]
struct Search {
    start: u32,
    length: u32,
    /// Where it is split by the question that is open, from its start.
    cut: u32,
    /// Its bits, if they fit.
    value: u64,
    /// A set bit for each bit that is not known to be right, or simply for each bit.
    unsettled: u64,
}

impl Frame {
    /// A frame of these words.
    pub(super) fn new(layout: &Layout, words: &[u64], corrects: bool) -> Self {
        let span = layout.first_span();
        let length = 1 << layout.exponent;
        let mut scratch = Vec::new();
        let starts = (0..span).step_by(length);
        let first = PassView::new(Order::Natural, words, span, starts, &mut scratch);
        let halves = layout.halves.iter().map(|_| Half { odd: false, pass: None }).collect();
        Self {
            corrects,
            passes: vec![first],
            halves,
            found: Vec::new(),
            pairs: vec![EVEN; span / length],
            suspects: vec![Vec::new()],
            phase: Phase::Opening(Opening::First),
            scratch,
        }
    }

    /// The bits as they are now.
    pub(super) fn bits(&self) -> impl Iterator<Item = u64> {
        self.passes[FIRST].bits()
    }

    /// Which bits were found wrong.
    pub(super) fn found(&self) -> &[u32] {
        &self.found
    }

    /// Tells the parities that are due: none once nothing more is.
    pub(super) fn ask(&mut self, layout: &Layout, parities: &mut Packed) -> Result<(), ReconcileError> {
        let before = parities.len();
        loop {
            self.ask_once(layout, parities);
            if parities.len() > before || matches!(self.phase, Phase::Done) {
                return Ok(());
            }
            // A pass of one block tells nothing when it is opened.
            self.take(layout, &mut Unpacked::new(&[]))?;
        }
    }

    fn ask_once(&mut self, layout: &Layout, parities: &mut Packed) {
        match &mut self.phase {
            Phase::Opening(Opening::First) => {
                let length = 1usize << layout.exponent;
                let view = &self.passes[FIRST];
                if length > 64 {
                    for block in 0..self.pairs.len() {
                        parities.push(view.parity(block * length, (block + 1) * length));
                    }
                } else {
                    word_parities(view.bits(), self.pairs.len(), length as u32, parities);
                }
            }
            Phase::Opening(Opening::Second) => {
                let rate = self.rate(layout);
                let errors = layout.effort.errors_in_group();
                let seed = layout.seed.wrapping_add(1 << 56);
                let (grouping, starts) = Grouping::new(layout.exponent, &self.pairs, rate, errors, seed);
                let span = starts.last().map_or(0, |&end| end as usize);
                let blocks = &starts[..starts.len() - 1];
                let places = blocks.iter().map(|&start| start as usize);
                self.view(Order::Grouped(grouping), span, places);
                let view = &self.passes[1];
                // The last block's parity follows: the whole frame's is even by now.
                for block in blocks.windows(2) {
                    parities.push(view.parity(block[0] as usize, block[1] as usize));
                }
                self.suspects[1] = blocks.to_vec();
            }
            Phase::Opening(Opening::Last) => {
                let span = 64 * layout.words;
                self.view(Order::Shuffled(layout.third.clone()), span, layout.third_starts());
                let blocks: Vec<u32> = layout.third_starts().map(|start| start as u32).collect();
                for block in blocks.windows(2) {
                    parities.push(self.passes[2].parity(block[0] as usize, block[1] as usize));
                }
                self.suspects[2] = blocks;
                let mut words: Vec<u64> = self.passes[FIRST].bits().take(layout.words).collect();
                for mask in &layout.halves {
                    let sum = words.iter().zip(mask.iter()).fold(0, |sum, (word, mask)| sum ^ (word & mask));
                    parities.push(sum.count_ones() & 1 == 1);
                }
                words.zeroize();
            }
            Phase::First(searches) => searches.ask(&self.passes[FIRST], parities),
            Phase::Wave(pass, searches) => {
                let view = &mut self.passes[*pass];
                for search in searches {
                    let odd = if search.length > 64 {
                        search.cut = search.length / 2;
                        view.parity(search.start as usize, (search.start + search.cut) as usize)
                    } else {
                        search.cut = split(search.unsettled, search.length);
                        (search.value & low(search.cut)).count_ones() & 1 == 1
                    };
                    view.cut((search.start + search.cut) as usize);
                    parities.push(odd);
                }
            }
            Phase::Done => {}
        }
    }

    /// Opens a pass.
    fn view(&mut self, order: Order, span: usize, starts: impl Iterator<Item = usize>) {
        let mut words: Vec<u64> = self.passes[FIRST].bits().collect();
        let count = if let Order::Shuffled(shuffle) = &order { shuffle.words() } else { words.len() };
        let view = PassView::new(order, &words[..count], span, starts, &mut self.scratch);
        words.zeroize();
        self.passes.push(view);
        self.suspects.push(Vec::new());
    }

    /// Takes which of the parities that were due differ between the ends.
    pub(super) fn take(&mut self, layout: &Layout, odd: &mut Unpacked<'_>) -> Result<(), ReconcileError> {
        match take(&mut self.phase) {
            Phase::Opening(Opening::First) => {
                let length = 1 << layout.exponent;
                let starts = (0..self.pairs.len() as u32).filter(|_| odd.bit()).map(|block| block * length);
                self.phase = Phase::First(FirstSearches::new(length as usize, starts.collect()));
                if let Phase::First(searches) = &self.phase
                    && searches.starts().is_empty()
                {
                    self.phase = Phase::Opening(Opening::Second);
                }
            }
            Phase::First(mut searches) => {
                if !searches.take(odd) {
                    self.phase = Phase::First(searches);
                    return Ok(());
                }
                self.phase = Phase::Opening(Opening::Second);
                for &position in searches.starts() {
                    self.end_first(layout, position as usize)?;
                }
            }
            Phase::Opening(opening) => {
                let pass = self.passes.len() - 1;
                let blocks = take(&mut self.suspects[pass]);
                let mut last_odd = false;
                for (number, &start) in blocks.iter().enumerate() {
                    let is_odd = if number + 1 < blocks.len() { odd.bit() } else { last_odd };
                    last_odd ^= is_odd;
                    if is_odd {
                        self.passes[pass].turn(start as usize);
                        self.suspects[pass].push(start);
                    }
                }
                if opening == Opening::Last {
                    for half in &mut self.halves {
                        half.odd = odd.bit();
                    }
                }
                self.next_wave(layout)?;
            }
            Phase::Wave(pass, mut searches) => {
                let ended = self.narrow(layout, pass, &mut searches, odd)?;
                for position in ended {
                    self.found_at(layout, pass, position as usize)?;
                }
                if searches.is_empty() {
                    self.next_wave(layout)?;
                } else {
                    self.phase = Phase::Wave(pass, searches);
                }
            }
            Phase::Done => {}
        }
        Ok(())
    }

    /// Goes on in the odd half of each part, and gives the positions at which searches ended.
    fn narrow(
        &mut self,
        layout: &Layout,
        pass: usize,
        searches: &mut Vec<Search>,
        odd: &mut Unpacked<'_>,
    ) -> Result<Vec<u32>, ReconcileError> {
        let reach = layout.effort.reach();
        let mut ended = vec![0; searches.len()];
        let (mut kept, mut ends) = (0, 0);
        // An odd part has an unsettled bit, unless the peer lies.
        let mut contradiction = false;
        for index in 0..searches.len() {
            let Search { start, length, cut, value, unsettled } = searches[index];
            let first = odd.bit();
            // All zeros or all ones, for what follows depends on chance: a jump would be mispredicted.
            let second = u32::from(first).wrapping_sub(1);
            let next_start = start + (cut & second);
            let next_length = cut.wrapping_add(length.wrapping_sub(2 * cut) & second);
            let (next_value, mut next_unsettled);
            if length > 64 {
                (next_value, next_unsettled) =
                    if next_length <= 64 { self.look(pass, layout, next_start, next_length) } else { (0, 0) };
            } else {
                let (mask, shift) = (low(next_length), cut & second);
                next_value = value >> shift & mask;
                next_unsettled = unsettled >> shift & mask;
                // The other half is even, so that its last unsettled bit is right.
                let rest = (unsettled & low(cut)) ^ (unsettled >> cut) ^ next_unsettled;
                let settled = if rest.is_power_of_two() { rest } else { 0 };
                let rest_start = start + (cut & !second);
                if pass == FIRST {
                    self.passes[FIRST].settle(rest_start as usize / 64, settled << (rest_start % 64));
                } else if reach > 0 {
                    if settled != 0 {
                        self.settle(pass, (rest_start + rest.trailing_zeros()) as usize);
                    }
                    if next_length <= reach {
                        next_unsettled = self.unsettled(pass, next_start, next_length);
                    }
                }
            }
            let looked_at = next_length <= 64;
            let end = looked_at && next_unsettled.is_power_of_two();
            contradiction |= looked_at && next_unsettled == 0;
            let slot = &mut searches[kept];
            slot.start = next_start;
            slot.length = next_length;
            slot.value = next_value;
            slot.unsettled = next_unsettled;
            kept += usize::from(!end);
            ended[ends] = next_start.wrapping_add(next_unsettled.trailing_zeros());
            ends += usize::from(end);
        }
        searches[kept..].iter_mut().for_each(Search::zeroize);
        searches.truncate(kept);
        ended.truncate(ends);
        if contradiction { Err(ReconcileError::Contradiction) } else { Ok(ended) }
    }

    /// The bits of a part of at most 64 positions, and which of them are not settled.
    #[inline]
    fn look(&self, pass: usize, layout: &Layout, start: u32, length: u32) -> (u64, u64) {
        let value = self.passes[pass].load(start as usize, length as usize);
        let unsettled = if pass == FIRST && start % 64 + length <= 64 {
            !(self.passes[FIRST].settled(start as usize / 64) >> (start % 64)) & low(length)
        } else if pass != FIRST && length <= layout.effort.reach() {
            self.unsettled(pass, start, length)
        } else {
            low(length)
        };
        (value, unsettled)
    }

    /// The bits of a part that are not settled, looked up one by one.
    fn unsettled(&self, pass: usize, start: u32, length: u32) -> u64 {
        let order = &self.passes[pass].order;
        let is_unsettled = |place: &u32| {
            let bit = order.origin((start + place) as usize);
            bit.is_some_and(|bit| self.passes[FIRST].settled(bit / 64) >> (bit % 64) & 1 == 0)
        };
        (0..length).filter(is_unsettled).fold(0, |sum, place| sum | 1 << place)
    }

    /// Notes that the bit at a position is right.
    #[inline]
    fn settle(&mut self, pass: usize, position: usize) {
        if let Some(bit) = self.passes[pass].order.origin(position) {
            self.passes[FIRST].settle(bit / 64, 1 << (bit % 64));
        }
    }

    /// Takes in the end of the search of a block of the first pass. No other pass is open.
    #[inline]
    fn end_first(&mut self, layout: &Layout, position: usize) -> Result<(), ReconcileError> {
        if position >= layout.bits {
            // Unused bits are zero at both ends.
            return Err(ReconcileError::Contradiction);
        }
        self.pairs[position >> layout.exponent] = ((position & ((1 << layout.exponent) - 1)) >> 1) as u16;
        self.found.push(position as u32);
        let view = &mut self.passes[FIRST];
        view.settle(position / 64, 0b11 << ((position % 64) & !1));
        for level in 0..layout.exponent as usize {
            view.cut((position >> (level + 1) << (level + 1)) + (1 << level));
        }
        if self.corrects {
            view.flip(position);
        }
        Ok(())
    }

    /// Takes in that the bit at a position of a pass is wrong: it is flipped, and parts of all other passes turn. That of
    /// this pass was searched.
    fn found_at(&mut self, layout: &Layout, pass: usize, position: usize) -> Result<(), ReconcileError> {
        let bit = self.passes[pass].order.origin(position).ok_or(ReconcileError::Contradiction)?;
        let (word, mask) = (bit / 64, 1 << (bit % 64));
        if bit >= layout.bits || self.passes[FIRST].settled(word) & mask != 0 {
            // Unused bits are zero at both ends, and what is settled is right ever after.
            return Err(ReconcileError::Contradiction);
        }
        self.passes[FIRST].settle(word, mask);
        self.found.push(bit as u32);
        for (number, view) in self.passes.iter_mut().enumerate() {
            let position = if number == pass { Some(position) } else { view.order.position(bit) };
            let Some(position) = position else { continue };
            if self.corrects {
                view.flip(position);
            }
            if number != pass {
                let start = view.part_start(position);
                if view.turn(start) {
                    self.suspects[number].push(start as u32);
                }
            }
        }
        for (half, mask) in self.halves.iter_mut().zip(&layout.halves) {
            half.odd ^= half.pass.is_none() && mask[word] >> (bit % 64) & 1 == 1;
        }
        Ok(())
    }

    /// Begins to search the odd parts of the lowest pass that has any, or else opens what comes next.
    fn next_wave(&mut self, layout: &Layout) -> Result<(), ReconcileError> {
        loop {
            let Some(pass) = self.suspects.iter().position(|suspects| !suspects.is_empty()) else {
                if !self.search_half(layout) {
                    self.phase =
                        if self.passes.len() > 2 { Phase::Done } else { Phase::Opening(Opening::Last) };
                    return Ok(());
                }
                continue;
            };
            let mut searches = Vec::new();
            let mut alone = Vec::new();
            for start in take(&mut self.suspects[pass]) {
                let view = &mut self.passes[pass];
                if !view.is_odd(start as usize) {
                    continue;
                }
                view.turn(start as usize);
                let length = view.part_end(start as usize) as u32 - start;
                let mut search = Search { start, length, ..Search::default() };
                if length <= 64 {
                    (search.value, search.unsettled) = self.look(pass, layout, start, length);
                    match search.unsettled.count_ones() {
                        0 => return Err(ReconcileError::Contradiction),
                        1 => {
                            alone.push(start + search.unsettled.trailing_zeros());
                            continue;
                        }
                        _ => {}
                    }
                }
                searches.push(search);
            }
            for position in alone {
                self.found_at(layout, pass, position as usize)?;
            }
            if !searches.is_empty() {
                self.phase = Phase::Wave(pass, searches);
                return Ok(());
            }
        }
    }

    /// Makes the first random half that is odd a pass that can be searched. False if none is.
    fn search_half(&mut self, layout: &Layout) -> bool {
        if self.passes.len() < 3 {
            return false;
        }
        let Some(number) = self.halves.iter().position(|half| half.odd) else { return false };
        self.halves[number] = Half { odd: false, pass: Some(self.passes.len()) };
        self.view(Order::Masked(layout.halves[number].clone()), 64 * layout.words, core::iter::once(0));
        let pass = self.passes.len() - 1;
        self.passes[pass].turn(0);
        self.suspects[pass].push(0);
        true
    }

    /// The error rate before the first pass, as far as both ends know by now: what was expected, unless the odd blocks tell
    /// otherwise.
    fn rate(&self, layout: &Layout) -> f64 {
        let blocks = self.pairs.len() as f64;
        let odd = self.pairs.iter().filter(|&&pair| pair != EVEN).count() as f64 / blocks;
        // Bits that err independently with probability q make an odd block of n with probability (1 - (1 - 2q)^n) / 2.
        let length = f64::from(1u32 << layout.exponent);
        let balance = |rate: f64| (1.0 - libm::pow(1.0 - 2.0 * rate, length)) / 2.0;
        let spread = 1.5 / libm::sqrt(blocks);
        if (odd - balance(layout.rate)).abs() < spread {
            return layout.rate;
        }
        let odd = odd.clamp(0.01, 0.49);
        (1.0 - libm::pow(1.0 - 2.0 * odd, 1.0 / length)) / 2.0
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        self.scratch.zeroize();
        if let Phase::Wave(_, searches) = &mut self.phase {
            searches.zeroize();
        }
    }
}
