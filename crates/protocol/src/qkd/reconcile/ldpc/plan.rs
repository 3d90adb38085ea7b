//! What both ends derive from the settings: frames, their codes, and which words are punctured and shortened.

use super::super::one_way::binary_entropy;
use super::super::{LONGEST_BLOCK, ReconcileError};
use super::LdpcSettings;
use super::code::Shape;
use super::draw::Draw;
use super::telling::needed_efficiency;
use bellwether_bits::parity_checks::ParityChecks;
use std::sync::Arc;

/// The largest share of the checks that puncturing takes away.
const MOST_PUNCTURED: f64 = 0.15;

/// How often a frame that was not decoded is told more.
pub(super) const RETRIES: u64 = 24;

/// The share of the checks that it is told at each time.
const STEP: f64 = 0.025;

/// Words of a frame from which on the efficiency of the settings counts alone.
const LONG_FRAME: usize = (1 << 19) / 64;

/// By how many standard deviations what short frames are told at first is above what they need on average.
const DEVIATIONS: f64 = 3.0;

/// The efficiency that all but a few frames of so many bits do with, whose errors are drawn at this rate.
fn nearly_always_enough(bits: usize, error_rate: f64) -> f64 {
    let rate = error_rate.clamp(1e-4, 0.25);
    let needed = needed_efficiency(bits, rate);
    // How much what is needed moves with the error rate, and that from frame to frame.
    let slope = libm::log2((1.0 - rate) / rate) / binary_entropy(rate);
    let chance = libm::sqrt(rate * (1.0 - rate) / bits.max(1) as f64);
    needed.mean + DEVIATIONS * libm::hypot(needed.spread, needed.mean * slope * chance)
}

/// How many words are told at a time of a frame with so many words of syndrome.
pub(super) fn step(checks: usize) -> usize {
    libm::ceil(checks as f64 * STEP) as usize
}

/// How a block is cut into frames.
pub(super) struct Plan {
    /// Where the frames begin in the words of the block; and where the last ends.
    pub(super) starts: Vec<usize>,
    error_rate: f64,
    efficiency: f64,
    seed: u64,
    /// Bits of the block.
    pub(super) bits: usize,
}

impl Plan {
    pub(super) fn new(settings: &LdpcSettings, bits: usize) -> Result<Self, ReconcileError> {
        if !(0.0..=0.5).contains(&settings.error_rate) {
            return Err(ReconcileError::ErrorRate);
        }
        if bits > LONGEST_BLOCK {
            return Err(ReconcileError::TooLong(bits));
        }
        let words = bits.div_ceil(64);
        let longest = (settings.frame_length / 64).clamp(1, super::LONGEST_FRAME / 64);
        let frames = words.div_ceil(longest);
        let starts = (0..=frames).map(|frame| frame * words / frames.max(1)).collect();
        Ok(Self {
            starts,
            error_rate: settings.error_rate,
            // Not `max`, which would let a value that is no number through.
            efficiency: if settings.efficiency > 1.0 { settings.efficiency } else { 1.0 },
            seed: settings.seed,
            bits,
        })
    }

    pub(super) fn frames(&self) -> usize {
        self.starts.len() - 1
    }

    pub(super) fn layout(&self, frame: usize) -> Layout {
        let words = self.starts[frame + 1] - self.starts[frame];
        let (shape, punctured) = self.choose(words);
        Layout::new(shape, words, punctured, &mut Draw::new(&[self.seed, frame as u64]))
    }

    /// The code for a frame of `words` words, and how many of its words are punctured. A short frame is told at first what
    /// nearly all of its length need: telling it more later costs a bit each and helps little.
    pub(super) fn choose(&self, words: usize) -> (Shape, usize) {
        let efficiency = match words {
            0..LONG_FRAME => self.efficiency.max(nearly_always_enough(64 * words, self.error_rate)),
            _ => self.efficiency,
        };
        choose(words, efficiency * binary_entropy(self.error_rate) * words as f64)
    }

    /// The rate at which a decoder expects errors.
    pub(super) fn error_rate(&self) -> f64 {
        self.error_rate
    }
}

/// The code for a frame of `words` words, and how many of its words are punctured, so that about `disclosed` words
/// are disclosed.
fn choose(words: usize, disclosed: f64) -> (Shape, usize) {
    let mut best: Option<(f64, Shape, usize)> = None;
    for shape in Shape::that_hold(words) {
        let checks = shape.checks() as f64;
        let excess = (checks - disclosed).max(0.0).floor() as usize;
        let most = ((checks * MOST_PUNCTURED) as usize).min(shape.words() - words);
        let punctured = excess.min(most);
        // Every punctured word costs a little, and every word told too many or too few costs itself.
        let missed =
            libm::fabs(checks - punctured as f64 - disclosed) + if checks < disclosed { checks } else { 0.0 };
        let shortened = (shape.words() - words - punctured) as f64 / shape.words() as f64;
        // Of equals the first is taken: those that were found for the size.
        let cost = (missed + 0.1 * punctured as f64) / disclosed.max(1.0) + 0.3 * shortened;
        if best.is_none_or(|(least, ..)| cost < least) {
            best = Some((cost, shape, punctured));
        }
    }
    best.map(|(_, shape, punctured)| (shape, punctured)).expect("some shape holds any number of words")
}

/// What the words of a frame are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A word of the sifted key.
    Sifted,
    /// Zero.
    Shortened,
    /// Whatever makes the parities of its check zero.
    Punctured,
}

/// A frame: a code and what its words are.
pub(super) struct Layout {
    pub(super) shape: Shape,
    pub(super) code: Arc<ParityChecks>,
    pub(super) kinds: Vec<Kind>,
    /// Punctured words, in the order in which they follow from the others, with their checks: row and copy.
    pub(super) punctured: Vec<(usize, usize, usize)>,
    /// By word of the syndrome, whether it is disclosed. Those of the checks of punctured words are zero.
    pub(super) told: Vec<bool>,
    /// The order in which words are disclosed when the frame cannot be decoded: the punctured ones, then sifted ones.
    pub(super) order: Vec<u32>,
    /// How many words are disclosed at a time.
    pub(super) step: usize,
}

impl Layout {
    fn new(shape: Shape, words: usize, punctured: usize, draw: &mut Draw) -> Self {
        let code = shape.code();
        let (columns, copies) = (code.columns(), code.copies());
        let mut joined: Vec<Vec<(usize, usize)>> = vec![Vec::new(); columns];
        for (number, row) in code.rows().iter().enumerate() {
            for link in row {
                joined[link.column].push((number, link.step));
            }
        }
        // Of the columns that are not in the chain, those of lowest degree.
        let degree = joined.iter().map(Vec::len).filter(|&degree| degree > 2).min().unwrap_or(2);
        let mut kinds = vec![Kind::Sifted; code.words()];
        let mut told = vec![true; code.syndrome_words()];
        let mut candidates: Vec<u32> = (0..code.words() as u32)
            .filter(|&word| joined[word as usize % columns].len() == degree)
            .collect();
        draw.shuffle(&mut candidates);
        // A word follows from a check when no word that follows later is in it.
        let mut taken = vec![false; code.words()];
        let mut order = Vec::with_capacity(punctured);
        for word in candidates.into_iter().map(|word| word as usize) {
            if order.len() == punctured {
                break;
            }
            if taken[word] {
                continue;
            }
            let joined = &joined[word % columns];
            let (row, step) = joined[draw.below(joined.len())];
            let copy = (word / columns + copies - step) % copies;
            for link in &code.rows()[row] {
                taken[(copy + link.step) % copies * columns + link.column] = true;
            }
            kinds[word] = Kind::Punctured;
            told[row * copies + copy] = false;
            order.push((word, row, copy));
        }
        let punctured = order;
        let mut others: Vec<u32> =
            (0..code.words() as u32).filter(|&word| kinds[word as usize] == Kind::Sifted).collect();
        draw.shuffle(&mut others);
        let spare = others.len() - words;
        for word in others.drain(..spare) {
            kinds[word as usize] = Kind::Shortened;
        }
        let step = step(told.len());
        let mut order: Vec<u32> = punctured.iter().map(|&(word, ..)| word as u32).collect();
        order.append(&mut others);
        Self { shape, code, kinds, punctured, told, order, step }
    }

    /// Words that are disclosed at first.
    pub(super) fn first_disclosed(&self) -> usize {
        self.told.len() - self.punctured.len()
    }

    /// The words that are disclosed at a retry, from 1.
    pub(super) fn disclosed_at(&self, retry: u64) -> &[u32] {
        let at = |retry: u64| (retry as usize * self.step).min(self.order.len());
        &self.order[at(retry - 1)..at(retry)]
    }

    /// A frame with these sifted words, and zero in all others.
    pub(super) fn place(&self, sifted: &[u64]) -> Vec<u64> {
        let mut sifted = sifted.iter();
        let mut word = |kind: &Kind| match kind {
            Kind::Sifted => *sifted.next().expect("as many sifted words as the layout has"),
            _ => 0,
        };
        self.kinds.iter().map(&mut word).collect()
    }

    /// Fills in the punctured words.
    pub(super) fn fill(&self, frame: &mut [u64]) {
        let (columns, copies) = (self.code.columns(), self.code.copies());
        for &(word, row, copy) in &self.punctured {
            let (mut sum, mut turn) = (0, 0);
            for link in &self.code.rows()[row] {
                let met = (copy + link.step) % copies * columns + link.column;
                if met == word {
                    turn = link.turn;
                } else {
                    sum ^= frame[met].rotate_right(link.turn as u32);
                }
            }
            frame[word] = sum.rotate_left(turn as u32);
        }
    }
}
