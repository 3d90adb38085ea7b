//! Codes, and the decoder of a frame.

use super::construct::construct;
use super::profiles::{FINEST, NARROW, WIDE, WIDEST, count, profile};
use bellwether_bits::parity_checks::{Beliefs, MessageTables, ParityChecks};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Which code: a profile and a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shape {
    /// The profile.
    pub(super) profile: usize,
    /// Columns of the base matrix.
    pub(super) columns: usize,
    /// Words a column.
    pub(super) copies: usize,
}

impl Shape {
    /// Words of a frame.
    pub(super) fn words(self) -> usize {
        self.columns * self.copies
    }

    /// Words of a syndrome.
    pub(super) fn checks(self) -> usize {
        profile(self.profile, self.columns).rows * self.copies
    }

    /// The shapes whose frames hold `words` words with the least room to spare, and those a size larger.
    pub(super) fn that_hold(words: usize) -> impl Iterator<Item = Self> {
        let widths: &[usize] = match words {
            words if words <= 8 * NARROW => &[NARROW],
            words if words <= 8 * WIDEST => &[WIDE],
            words if words < 12 * FINEST => &[WIDEST],
            _ => &[FINEST, WIDEST],
        };
        widths.iter().flat_map(move |&columns| {
            let least = words.div_ceil(columns);
            // Two halves of a frame are decoded side by side, so that odd numbers are slow; one is the smallest frame.
            let least = if least == 1 && columns == NARROW { 1 } else { least.next_multiple_of(2) };
            let larger = if least == 1 { 2 } else { least + 2 };
            [least, larger].into_iter().flat_map(move |copies| {
                (0..count(columns)).map(move |profile| Self { profile, columns, copies })
            })
        })
    }

    /// The code. It is built once and kept: building takes about as long as decoding a frame does.
    pub(super) fn code(self) -> Arc<ParityChecks> {
        static BUILT: LazyLock<Mutex<BTreeMap<Shape, Arc<ParityChecks>>>> = LazyLock::new(Mutex::default);
        let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
        let code = built
            .entry(self)
            .or_insert_with(|| Arc::new(construct(&profile(self.profile, self.columns), self.copies)));
        Arc::clone(code)
    }
}

/// Units of belief to the natural unit. The largest message is some 31 units then, and a column of degree 3 that is
/// told nothing else saturates no byte; a byte that saturates loses what messages differ by from sweep to sweep. Columns of
/// higher degree are settled before they saturate.
const UNIT: f64 = 4.5;

/// The magnitude of a bit that is known. With a few messages it saturates no byte, and nothing outweighs it.
const KNOWN: i8 = 64;

/// The magnitude from which on a bit is taken for settled where all bits of its word are: 12 natural units, an error in
/// 160 000. Frames in which a wrong bit was settled take a second attempt: some in a thousand.
const SETTLED: u8 = 54;

/// The magnitude of a bit of which nothing is known. Not 0, which stands for 128 in the tables.
const UNKNOWN: i8 = 1;

/// The largest message.
const LARGEST: f64 = 31.0;

/// Units of doubt to the natural unit, in which doubts add up to 2 or so in a check of a code that works near its
/// limit; a byte is full at 2.8.
const DOUBT: f64 = 90.0;

/// Times that a decoder finds few odd checks, and yet no solution, before it tries another way.
const PATIENCE: usize = 5;

/// The sweep before which words are looked for that are settled, and how many sweeps later again.
const SETTLING: (usize, usize) = (7, 2);

/// Sweeps after which a decoder gives up.
pub(super) const SWEEPS: usize = 150;

/// What is known of a word of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// As received: right but for errors at the expected rate.
    Received,
    /// Right.
    Known,
    /// Nothing.
    Unknown,
}

/// A decoder for frames of one code with errors at one rate.
pub(super) struct Decoder {
    code: Arc<ParityChecks>,
    tables: MessageTables,
    beliefs: Beliefs,
    /// The magnitude that a received bit has.
    level: i8,
    /// Sweeps of the last frame.
    pub(super) sweeps: usize,
}

impl Decoder {
    pub(super) fn new(code: Arc<ParityChecks>, error_rate: f64) -> Self {
        // At very low rates the level would be large, and at very high ones not a whole unit.
        let error_rate = error_rate.clamp(2e-3, 0.25);
        let logarithm = libm::log((1.0 - error_rate) / error_rate);
        let level = libm::round(UNIT * logarithm);
        let tables = tables(&code, level / logarithm);
        let beliefs = Beliefs::new(&code);
        Self { code, tables, beliefs, level: level as i8, sweeps: 0 }
    }

    /// Decodes a frame: the words whose parities are `syndrome`, if they are found.
    pub(super) fn decode(&mut self, frame: &[u64], trust: &[Trust], syndrome: &[u64]) -> Option<Vec<u64>> {
        let levels = |received: i8, unknown: i8, known: i8| -> Vec<i8> {
            let level = |trust: &Trust| match trust {
                Trust::Received => received,
                Trust::Known => known,
                Trust::Unknown => unknown,
            };
            trust.iter().map(level).collect()
        };
        self.beliefs.load(&self.code, frame, &levels(self.level, UNKNOWN, KNOWN), syndrome);
        // Words that are known need no sweep to be settled.
        self.beliefs.settle(&self.code, SETTLED);
        let checks = 64 * syndrome.len() as u64;
        let (mut last, mut stuck, mut whole) = (checks, 0, true);
        let mut frame = Cow::Borrowed(frame);
        let (first, every) = SETTLING;
        for sweep in 1..=SWEEPS {
            self.sweeps = sweep;
            if sweep >= first && (sweep - first).is_multiple_of(every) {
                self.beliefs.settle(&self.code, SETTLED);
            }
            let odd = self.beliefs.sweep(&self.code, &self.tables);
            // A check may stay odd for the sweep when the bits satisfy it: what it says itself is not in this count.
            if odd <= checks / 256 || odd >= last && odd <= checks / 32 {
                let decided = self.beliefs.decide(&self.code);
                let mut odd = self.code.syndrome(&decided);
                if odd == syndrome {
                    return Some(decided);
                }
                stuck += 1;
                if stuck == PATIENCE {
                    stuck = 0;
                    if whole {
                        // A few wrong bits hold one another: messages are not large enough to outweigh several received
                        // bits in a row. Nearly all others are sure by now and can do with less of what was received.
                        self.beliefs.unload(&self.code, &frame, &levels(self.level / 2, 0, 0));
                    } else {
                        // Or a wrong bit was settled. What was found has few errors, and is a better beginning, but for
                        // the bits that meet checks which are odd.
                        odd.iter_mut().zip(syndrome).for_each(|(odd, due)| *odd ^= due);
                        let levels = levels(self.level, self.level, KNOWN);
                        self.beliefs.load(&self.code, &decided, &levels, syndrome);
                        self.beliefs.reconsider(&self.code, &odd, self.level as u8);
                        frame = Cow::Owned(decided);
                        last = checks;
                    }
                    whole = !whole;
                    continue;
                }
            }
            last = odd;
        }
        None
    }
}

/// The meaning of messages with `unit` units of belief to the natural unit.
fn tables(code: &ParityChecks, unit: f64) -> MessageTables {
    // The function is its own inverse.
    let phi = |x: f64| -libm::log(libm::tanh(x / 2.0));
    let doubt = |magnitude: usize, offset: f64| {
        if magnitude == 0 {
            0
        } else {
            libm::round(phi(magnitude as f64 / unit) * DOUBT + offset).clamp(0.0, 255.0) as u8
        }
    };
    let magnitude = |doubt: usize| {
        // Doubts that were rounded to none are a tenth of a unit together. All that is full may be more.
        let doubt = if doubt == 0 { 0.25 } else { doubt as f64 };
        if doubt == 255.0 { 0 } else { libm::round(phi(doubt / DOUBT) * unit).min(LARGEST) as u8 }
    };
    let without_one = |weight: usize| {
        let share = (weight as f64 - 2.0) / (weight as f64 - 1.0);
        core::array::from_fn(|doubt| libm::round(doubt as f64 * share) as u8)
    };
    MessageTables {
        doubt: [-0.375, 0.125, -0.125, 0.375].map(|offset| core::array::from_fn(|m| doubt(m, offset))),
        doubt_nearest: core::array::from_fn(|m| doubt(m, 0.0)),
        magnitude: core::array::from_fn(magnitude),
        without_one: code.rows().iter().map(|row| without_one(row.len())).collect(),
    }
}
