//! One sweep of a layered message-passing decoder, 64 checks at a time.
//!
//! The portable way is what the AVX-512 way is tested against: both compute the same bytes.

#[cfg(target_arch = "x86_64")]
use super::sweep_x86::Vbmi;

/// A byte for each bit of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub(crate) struct Vector(pub(crate) [i8; 64]);

impl Vector {
    pub(crate) const ZERO: Self = Self([0; 64]);
}

/// What 64 checks of a row tell their bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub(crate) struct CheckMessages {
    /// The magnitude for the bits that were the least reliable.
    pub(crate) to_least: [u8; 64],
    /// The magnitude for all others.
    pub(crate) to_others: [u8; 64],
}

impl CheckMessages {
    pub(crate) const NONE: Self = Self { to_least: [0; 64], to_others: [0; 64] };
}

/// A visit of a check at a word of beliefs.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Visit {
    /// The word, counted from the first word of the check's copy.
    pub word: u32,
    /// How much further its beliefs are turned than at the visit before.
    pub turn: u32,
}

/// What the bytes of messages mean.
///
/// A *doubt* is a byte that adds up over the bits of a check: the logarithm `-ln tanh(L / 2)` of a belief of
/// magnitude `L`, in some unit.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct MessageTables {
    /// The doubt of a magnitude, rounded in four ways, of which the links of a check take turns: what is
    /// rounded off then does not add up. Magnitude 0 stands for 128 here and has no doubt.
    pub doubt: [[u8; 128]; 4],
    /// The doubt of a magnitude, rounded to nearest.
    pub doubt_nearest: [u8; 128],
    /// The magnitude of a doubt. No more than 127.
    pub magnitude: [u8; 256],
    /// By row: what is left of the doubt of all but the least reliable bit when another of them is left out
    /// as well.
    pub without_one: Vec<[u8; 256]>,
}

/// All that a sweep works on.
pub(crate) struct Sweep<'a> {
    pub(crate) columns: usize,
    pub(crate) copies: usize,
    pub(crate) streams: usize,
    pub(crate) visits: &'a [Visit],
    /// By row, where its visits of heavy columns begin and where all end.
    pub(crate) ends: &'a [[u32; 2]],
    pub(crate) tables: &'a MessageTables,
    pub(crate) syndrome: &'a [u64],
    pub(crate) beliefs: &'a mut [Vector],
    pub(crate) messages: &'a mut [CheckMessages],
    pub(crate) marks: &'a mut [[u64; 2]],
    pub(crate) held: &'a mut [Vector],
}

impl Sweep<'_> {
    /// Panics unless every index that a sweep computes is in bounds, and the streams never meet.
    pub(crate) fn check(&self) {
        let words = self.columns * self.copies;
        assert!(self.streams > 0 && self.copies.is_multiple_of(self.streams), "streams");
        assert!(words < 1 << 25 && self.beliefs.len() == words, "beliefs");
        assert!(self.messages.len() == self.ends.len() * self.copies, "messages");
        assert!(self.syndrome.len() == self.messages.len(), "syndrome");
        assert!(self.marks.len() == self.visits.len() * self.copies, "marks");
        assert!(self.tables.without_one.len() == self.ends.len(), "tables");
        assert!(self.tables.magnitude.iter().all(|&m| m < 128), "magnitudes");
        let limit = self.columns * (self.copies / self.streams);
        assert!(self.visits.iter().all(|visit| (visit.word as usize) < limit && visit.turn < 64), "visits");
        let mut start = 0;
        for &[heavy, end] in self.ends {
            assert!(
                heavy >= start && end >= heavy && (end - start) as usize * self.streams <= self.held.len(),
                "rows"
            );
            start = end;
        }
        assert!(start as usize == self.visits.len(), "rows");
    }
}

/// The way in which this machine sweeps.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sweeper {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Vbmi(Vbmi),
}

impl Sweeper {
    /// The quickest of this machine.
    pub(crate) fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(token) = Vbmi::detect() {
            return Self::Vbmi(token);
        }
        Self::Portable
    }

    pub(crate) fn sweep(self, sweep: Sweep<'_>) -> u64 {
        sweep.check();
        match self {
            Self::Portable => portable(sweep),
            #[cfg(target_arch = "x86_64")]
            Self::Vbmi(token) => token.sweep(sweep),
        }
    }

    /// Sets the beliefs of each word to `level` where its bit is 0 and `-level` where it is 1, turned by `turns`.
    pub(crate) fn spread(self, words: &[u64], levels: &[i8], turns: &[u8], beliefs: &mut [Vector]) {
        for (((&word, &level), &turn), beliefs) in words.iter().zip(levels).zip(turns).zip(beliefs) {
            let word = word.rotate_right(u32::from(turn));
            match self {
                Self::Portable => {
                    let signed = |lane: usize| if word >> lane & 1 == 1 { -level } else { level };
                    *beliefs = Vector(core::array::from_fn(signed));
                }
                #[cfg(target_arch = "x86_64")]
                Self::Vbmi(token) => token.spread(word, level, beliefs),
            }
        }
    }

    /// Takes from the beliefs of each word what [`spread`](Self::spread) would set.
    pub(crate) fn take(self, words: &[u64], levels: &[i8], turns: &[u8], beliefs: &mut [Vector]) {
        for (((&word, &level), &turn), beliefs) in words.iter().zip(levels).zip(turns).zip(beliefs) {
            let word = word.rotate_right(u32::from(turn));
            for (lane, belief) in beliefs.0.iter_mut().enumerate() {
                let level = if word >> lane & 1 == 1 { -level } else { level };
                *belief = belief.saturating_sub(level);
            }
        }
    }

    /// The signs of the beliefs, turned back.
    pub(crate) fn decide(self, beliefs: &[Vector], turns: &[u8]) -> Vec<u64> {
        let sign = |beliefs: &Vector| match self {
            Self::Portable => signs(&beliefs.0),
            #[cfg(target_arch = "x86_64")]
            Self::Vbmi(token) => token.signs(beliefs),
        };
        beliefs.iter().zip(turns).map(|(beliefs, &turn)| sign(beliefs).rotate_left(u32::from(turn))).collect()
    }
}

fn signs(bytes: &[i8; 64]) -> u64 {
    bytes.iter().enumerate().fold(0, |word, (lane, &byte)| word | u64::from(byte < 0) << lane)
}

/// All bits of a lane's byte where its bit is set.
fn lanes(word: u64) -> [bool; 64] {
    core::array::from_fn(|lane| word >> lane & 1 == 1)
}

fn portable(s: Sweep<'_>) -> u64 {
    let words = s.columns * s.copies;
    let mut odd_checks = 0;
    let stride = s.copies / s.streams;
    // The streams take turns: a copy of the first half of the frame, one of the second.
    for copy in (0..stride).flat_map(|copy| (0..s.streams).map(move |stream| copy + stream * stride)) {
        let mut start = 0;
        for (row, &[heavy, end]) in s.ends.iter().enumerate() {
            let visits = &s.visits[start..end as usize];
            let heavy = heavy as usize - start;
            let marks = &mut s.marks[copy * s.visits.len() + start..][..visits.len()];
            start = end as usize;
            let messages = &mut s.messages[row * s.copies + copy];
            let (mut parity, mut least, mut doubt) = ([0i8; 64], [127u8; 64], [0u8; 64]);
            let word_of = |visit: &Visit| (copy * s.columns + visit.word as usize) % words;
            for (index, visit) in visits.iter().enumerate() {
                let beliefs = &s.beliefs[word_of(visit)].0;
                let (signs, marked) = (lanes(marks[index][0]), lanes(marks[index][1]));
                let table = &s.tables.doubt[index % 4];
                for lane in 0..64 {
                    let belief = beliefs[(lane + visit.turn as usize) % 64];
                    let told =
                        if marked[lane] { messages.to_least[lane] } else { messages.to_others[lane] } as i8;
                    let without = if index >= heavy && belief.unsigned_abs() >= 127 {
                        belief
                    } else if signs[lane] {
                        belief.saturating_add(told)
                    } else {
                        belief.saturating_sub(told)
                    };
                    s.held[index].0[lane] = without;
                    parity[lane] ^= without;
                    let magnitude = without.unsigned_abs();
                    let further = magnitude.max(least[lane]);
                    doubt[lane] = doubt[lane].saturating_add(table[usize::from(further % 128)]);
                    least[lane] = least[lane].min(magnitude);
                }
            }
            let odd = signs(&parity) ^ s.syndrome[row * s.copies + copy];
            odd_checks += u64::from(odd.count_ones());
            for lane in 0..64 {
                let own = s.tables.doubt_nearest[usize::from(least[lane].max(1))];
                let reduced = s.tables.without_one[row][usize::from(doubt[lane])];
                messages.to_least[lane] = s.tables.magnitude[usize::from(doubt[lane])];
                messages.to_others[lane] = s.tables.magnitude[usize::from(reduced.saturating_add(own))];
            }
            let odd = lanes(odd);
            for (index, visit) in visits.iter().enumerate() {
                let beliefs = &mut s.beliefs[word_of(visit)].0;
                let (mut signs, mut marked) = (0, 0);
                for lane in 0..64 {
                    let without = s.held[index].0[lane];
                    let is_least = without.unsigned_abs() == least[lane];
                    let negative = (without < 0) ^ odd[lane];
                    let told =
                        if is_least { messages.to_least[lane] } else { messages.to_others[lane] } as i8;
                    beliefs[lane] =
                        if negative { without.saturating_sub(told) } else { without.saturating_add(told) };
                    signs |= u64::from(negative) << lane;
                    marked |= u64::from(is_least) << lane;
                }
                marks[index] = [signs, marked];
            }
        }
    }
    odd_checks
}
