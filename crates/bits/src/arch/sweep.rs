//! One sweep of a layered message-passing decoder, 64 checks at a time.
//!
//! The portable way, which the compiler turns into vectors of 256 bits where the machine has them, is what the AVX-512 way is
//! tested against: all compute the same bytes.

use super::active::Active;
use super::level::{Level, WordKernel};
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
    /// By row, where its visits end.
    pub(crate) ends: &'a [u32],
    /// Which of the visits are made.
    pub(crate) active: &'a Active,
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
        assert!(self.active.suits(self.ends, self.copies / self.streams), "lists");
        let mut start = 0;
        for &end in self.ends {
            assert!(end >= start && (end - start) as usize * self.streams <= self.held.len(), "rows");
            start = end;
        }
        assert!(start as usize == self.visits.len(), "rows");
    }
}

/// The way in which this machine sweeps.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sweeper {
    /// What the compiler makes of the portable way.
    Compiled(Level),
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
        Self::Compiled(Level::best())
    }

    /// All of this machine.
    #[cfg(test)]
    pub(crate) fn all() -> Vec<Self> {
        let mut all: Vec<Self> = Level::all().into_iter().map(Self::Compiled).collect();
        #[cfg(target_arch = "x86_64")]
        all.extend(Vbmi::detect().map(Self::Vbmi));
        all
    }

    pub(crate) fn sweep(self, sweep: Sweep<'_>) -> u64 {
        sweep.check();
        match self {
            Self::Compiled(level) => level.run(Compiled(sweep)),
            #[cfg(target_arch = "x86_64")]
            Self::Vbmi(token) => token.sweep(sweep),
        }
    }

    /// Sets the beliefs of each word to `level` where its bit is 0 and `-level` where it is 1, turned by `turns`.
    pub(crate) fn spread(self, words: &[u64], levels: &[i8], turns: &[u8], beliefs: &mut [Vector]) {
        for (((&word, &level), &turn), beliefs) in words.iter().zip(levels).zip(turns).zip(beliefs) {
            let word = word.rotate_right(u32::from(turn));
            match self {
                Self::Compiled(_) => {
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

    /// Which words of the first stream are settled now: none of their beliefs is below `least` in magnitude, and the same is
    /// true of the words that go in step with them. Those that `settled` names already are left out.
    pub(crate) fn settle(self, beliefs: &[Vector], settled: &[u8], least: u8) -> Vec<u32> {
        assert!(
            !settled.is_empty() && beliefs.len().is_multiple_of(settled.len()),
            "streams of equal length"
        );
        match self {
            Self::Compiled(_) => {
                let sure = |beliefs: &Vector| beliefs.0.iter().all(|belief| belief.unsigned_abs() >= least);
                let open = (0..settled.len()).filter(|&word| settled[word] == 0);
                let all_sure = |word: &usize| beliefs[*word..].iter().step_by(settled.len()).all(sure);
                open.filter(all_sure).map(|word| word as u32).collect()
            }
            #[cfg(target_arch = "x86_64")]
            Self::Vbmi(token) => token.settle(beliefs, settled, least),
        }
    }

    /// The signs of a word's beliefs.
    #[inline]
    pub(crate) fn signs(self, beliefs: &Vector) -> u64 {
        match self {
            Self::Compiled(_) => signs(&beliefs.0),
            #[cfg(target_arch = "x86_64")]
            Self::Vbmi(token) => token.signs(beliefs),
        }
    }
}

#[inline(always)]
fn signs(bytes: &[i8; 64]) -> u64 {
    bytes.iter().enumerate().fold(0, |word, (lane, &byte)| word | u64::from(byte < 0) << lane)
}

/// A sweep in the language alone. Each loop over the 64 lanes does little, so that compilers find vectors in it.
struct Compiled<'a>(Sweep<'a>);

impl WordKernel for Compiled<'_> {
    type Output = u64;

    #[inline(always)]
    fn run(self) -> u64 {
        let s = self.0;
        let words = s.columns * s.copies;
        let mut odd_checks = 0;
        let stride = s.copies / s.streams;
        // The streams take turns: a copy of the first half of the frame, one of the second.
        for copy in (0..stride).flat_map(|copy| (0..s.streams).map(move |stream| copy + stream * stride)) {
            let mut start = 0;
            for (row, &end) in s.ends.iter().enumerate() {
                let visits = &s.visits[start..end as usize];
                let marks = &mut s.marks[copy * s.visits.len() + start..][..visits.len()];
                start = end as usize;
                let links = s.active.of(row, copy % stride);
                let messages = &mut s.messages[row * s.copies + copy];
                let word_of = |link: usize| (copy * s.columns + visits[link].word as usize) % words;
                let mut heard = Heard { parity: [0; 64], least: [127; 64], doubt: [0; 64] };
                for ((&link, held), &marks) in links.iter().zip(s.held.iter_mut()).zip(marks.iter()) {
                    let link = usize::from(link);
                    let belief = &s.beliefs[word_of(link)].0;
                    *held = heard.hear(belief, visits[link].turn, marks, messages, &s.tables.doubt[link % 4]);
                }
                let odd = signs(&heard.parity) ^ s.syndrome[row * s.copies + copy];
                odd_checks += u64::from(odd.count_ones());
                for lane in 0..64 {
                    let own = s.tables.doubt_nearest[usize::from(heard.least[lane].max(1))];
                    let reduced = s.tables.without_one[row][usize::from(heard.doubt[lane])];
                    messages.to_least[lane] = s.tables.magnitude[usize::from(heard.doubt[lane])];
                    messages.to_others[lane] = s.tables.magnitude[usize::from(reduced.saturating_add(own))];
                }
                for ((&link, held), marks) in links.iter().zip(s.held.iter()).zip(marks) {
                    let link = usize::from(link);
                    let belief = &mut s.beliefs[word_of(link)].0;
                    *marks = tell(&held.0, odd, &heard.least, messages, belief);
                }
            }
        }
        odd_checks
    }
}

/// What 64 checks have heard so far.
struct Heard {
    parity: [i8; 64],
    least: [u8; 64],
    doubt: [u8; 64],
}

impl Heard {
    /// Hears one link: its beliefs without what these checks told last.
    #[inline(always)]
    fn hear(
        &mut self,
        belief: &[i8; 64],
        turn: u32,
        marks: [u64; 2],
        told: &CheckMessages,
        table: &[u8; 128],
    ) -> Vector {
        let mut turned = [0i8; 64];
        let (low, high) = belief.split_at(turn as usize);
        turned[..high.len()].copy_from_slice(high);
        turned[high.len()..].copy_from_slice(low);
        let [signs, marked] = marks.map(lanes);
        let mut without = [0i8; 64];
        for lane in 0..64 {
            let least = told.to_least[lane] & marked[lane];
            let message = (told.to_others[lane] & !marked[lane] | least) as i8;
            let (less, more) = (turned[lane].saturating_sub(message), turned[lane].saturating_add(message));
            without[lane] = if signs[lane] == 0 { less } else { more };
        }
        let mut further = [0u8; 64];
        for lane in 0..64 {
            let magnitude = without[lane].unsigned_abs();
            self.parity[lane] ^= without[lane];
            further[lane] = magnitude.max(self.least[lane]) % 128;
            self.least[lane] = self.least[lane].min(magnitude);
        }
        let doubt = further.map(|magnitude| table[usize::from(magnitude)]);
        for (sum, doubt) in self.doubt.iter_mut().zip(doubt) {
            *sum = sum.saturating_add(doubt);
        }
        Vector(without)
    }
}

/// Tells a link, and says which signs and marks it was told with.
#[inline(always)]
fn tell(
    without: &[i8; 64],
    odd: u64,
    least: &[u8; 64],
    told: &CheckMessages,
    belief: &mut [i8; 64],
) -> [u64; 2] {
    let odd = lanes(odd);
    let (mut negative, mut marked) = ([0i8; 64], [0i8; 64]);
    for lane in 0..64 {
        let is_least = if without[lane].unsigned_abs() == least[lane] { 0xff } else { 0 };
        let message = (told.to_others[lane] & !is_least | told.to_least[lane] & is_least) as i8;
        negative[lane] = without[lane] ^ odd[lane] as i8;
        marked[lane] = is_least as i8;
        let (less, more) = (without[lane].saturating_sub(message), without[lane].saturating_add(message));
        belief[lane] = if negative[lane] < 0 { less } else { more };
    }
    [signs(&negative), signs(&marked)]
}

/// All ones in the bytes of lanes whose bit is set.
#[inline(always)]
fn lanes(word: u64) -> [u8; 64] {
    core::array::from_fn(|lane| if word >> lane & 1 == 1 { 0xff } else { 0 })
}
