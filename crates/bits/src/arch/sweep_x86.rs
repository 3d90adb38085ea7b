//! The sweep of a message-passing decoder on AVX-512 registers, 64 checks at a time.

use super::sweep::{CheckMessages, MessageTables, Sweep, Vector};
use core::arch::x86_64::*;

/// Proof that this machine has AVX-512 F, BW and VBMI.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vbmi(());

/// The turns of the 64 lanes of a register.
#[repr(C, align(64))]
struct Turns([[u8; 64]; 64]);

static TURNS: Turns = {
    let mut turns = [[0; 64]; 64];
    let mut turn = 0;
    while turn < 64 {
        let mut lane = 0;
        while lane < 64 {
            turns[turn][lane] = ((lane + turn) % 64) as u8;
            lane += 1;
        }
        turn += 1;
    }
    Turns(turns)
};

impl Vbmi {
    /// The proof, if it holds.
    pub(crate) fn detect() -> Option<Self> {
        let all = std::arch::is_x86_feature_detected!("avx512f")
            && std::arch::is_x86_feature_detected!("avx512bw")
            && std::arch::is_x86_feature_detected!("avx512vbmi")
            && std::arch::is_x86_feature_detected!("popcnt");
        all.then_some(Self(()))
    }

    /// One sweep. The caller has called [`Sweep::check`].
    pub(crate) fn sweep(self, sweep: Sweep<'_>) -> u64 {
        // SAFETY: the token exists, so `detect` found the features. The bounds were checked by the caller, which is the
        // only one: `Sweeper::sweep`.
        unsafe {
            match sweep.streams {
                1 => sweep_streams::<1>(sweep),
                2 => sweep_streams::<2>(sweep),
                streams => unreachable!("{streams} streams"),
            }
        }
    }

    #[inline(always)]
    pub(crate) fn spread(self, word: u64, level: i8, beliefs: &mut Vector) {
        #[target_feature(enable = "avx512f,avx512bw")]
        fn enabled(word: u64, level: i8, beliefs: &mut Vector) {
            let spread =
                _mm512_mask_blend_epi8(word, _mm512_set1_epi8(level), _mm512_set1_epi8(level.wrapping_neg()));
            // SAFETY: a `Vector` is 64 bytes, aligned to 64.
            unsafe { _mm512_store_si512(core::ptr::from_mut(beliefs).cast(), spread) }
        }
        // SAFETY: the token proves the features.
        unsafe { enabled(word, level, beliefs) }
    }

    /// What [`super::sweep::Sweeper::settle`] says.
    pub(crate) fn settle(self, beliefs: &[Vector], settled: &[u8], least: u8) -> Vec<u32> {
        #[target_feature(enable = "avx512f,avx512bw")]
        fn enabled(beliefs: &[Vector], settled: &[u8], least: u8) -> Vec<u32> {
            let least = _mm512_set1_epi8(least as i8);
            let mut found = Vec::new();
            for (word, &already) in settled.iter().enumerate() {
                let unsure = |beliefs: &Vector| {
                    // SAFETY: a `Vector` is 64 bytes, aligned to 64.
                    let belief = unsafe { _mm512_load_si512(core::ptr::from_ref(beliefs).cast()) };
                    _mm512_cmplt_epu8_mask(_mm512_abs_epi8(belief), least)
                };
                let mut streams = beliefs[word..].iter().step_by(settled.len());
                if already == 0 && streams.all(|beliefs| unsure(beliefs) == 0) {
                    found.push(word as u32);
                }
            }
            found
        }
        // SAFETY: the token proves the features.
        unsafe { enabled(beliefs, settled, least) }
    }

    #[inline(always)]
    pub(crate) fn signs(self, beliefs: &Vector) -> u64 {
        #[target_feature(enable = "avx512f,avx512bw")]
        fn enabled(beliefs: &Vector) -> u64 {
            // SAFETY: a `Vector` is 64 bytes, aligned to 64.
            _mm512_movepi8_mask(unsafe { _mm512_load_si512(core::ptr::from_ref(beliefs).cast()) })
        }
        // SAFETY: the token proves the features.
        unsafe { enabled(beliefs) }
    }
}

/// A quarter or half of a table.
///
/// # Safety
/// The table has at least `64 * (part + 1)` bytes.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn part(table: &[u8], part: usize) -> __m512i {
    debug_assert!(table.len() >= 64 * (part + 1));
    // SAFETY: by the caller; the load needs no alignment.
    unsafe { _mm512_loadu_si512(table.as_ptr().add(64 * part).cast()) }
}

/// Looks 64 bytes up in a table of 256.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn look_up(table: &[u8; 256], index: __m512i) -> __m512i {
    // SAFETY: the table has four parts of 64 bytes.
    let [a, b, c, d] = unsafe { [part(table, 0), part(table, 1), part(table, 2), part(table, 3)] };
    let low = _mm512_permutex2var_epi8(a, index, b);
    let high = _mm512_permutex2var_epi8(c, index, d);
    _mm512_mask_blend_epi8(_mm512_movepi8_mask(index), low, high)
}

/// # Safety
/// [`Sweep::check`] did not panic, and `S` is the number of streams.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,popcnt")]
unsafe fn sweep_streams<const S: usize>(s: Sweep<'_>) -> u64 {
    let Sweep { columns, copies, visits, ends, active, tables, syndrome, .. } = s;
    let tables: &MessageTables = tables;
    let words = (columns * copies) as u32;
    let stride = copies / S;
    let (beliefs, messages) = (s.beliefs.as_mut_ptr(), s.messages.as_mut_ptr());
    let (all_marks, held) = (s.marks.as_mut_ptr(), s.held.as_mut_ptr());
    let (zero, most) = (_mm512_setzero_si512(), _mm512_set1_epi8(127));
    let mut odd_checks = 0;
    for copy in 0..stride {
        let mut start = 0;
        let from: [u32; S] = core::array::from_fn(|i| ((copy + i * stride) * columns) as u32);
        for (row, &end) in ends.iter().enumerate() {
            let active = active.of(row, copy);
            // SAFETY: `check` proved that `ends` rise to the length of `visits`.
            let row_visits = unsafe { visits.get_unchecked(start..end as usize) };
            let check: [usize; S] = core::array::from_fn(|i| row * copies + copy + i * stride);
            // SAFETY: a row and a copy lie within `messages`, and their links within `marks`.
            let (message, marks): ([*mut CheckMessages; S], [*mut [u64; 2]; S]) = unsafe {
                (
                    core::array::from_fn(|i| messages.add(check[i])),
                    core::array::from_fn(|i| all_marks.add((copy + i * stride) * visits.len() + start)),
                )
            };
            start = end as usize;
            // SAFETY: `CheckMessages` is twice 64 bytes, aligned to 64.
            let (mut to_least, mut to_others): ([__m512i; S], [__m512i; S]) = unsafe {
                (
                    core::array::from_fn(|i| _mm512_load_si512(message[i].cast())),
                    core::array::from_fn(|i| _mm512_load_si512(message[i].cast::<__m512i>().add(1))),
                )
            };
            let (mut parity, mut least, mut doubt) = ([zero; S], [most; S], [zero; S]);
            for (place, link) in active.iter().enumerate() {
                let index = usize::from(*link);
                let table = &tables.doubt[index % 4];
                // SAFETY: `active` names links of this row only, so that `index` is less than the number of its visits; the
                // table has two halves of 64 bytes, and `check` proved the turn to be less than 64.
                let (low, high, turn, word) = unsafe {
                    let visit = row_visits.get_unchecked(index);
                    let turn = TURNS.0.as_ptr().add(visit.turn as usize);
                    (part(table, 0), part(table, 1), _mm512_load_si512(turn.cast()), visit.word)
                };
                for i in 0..S {
                    // SAFETY: the word lies within `beliefs`: `from` and `word` are less than `words`. The place
                    // lies within `marks`, and `held` has a place for every link of a row and stream.
                    unsafe {
                        let belief = _mm512_load_si512(beliefs.add(wrap(from[i] + word, words)).cast());
                        let belief = _mm512_permutexvar_epi8(turn, belief);
                        let [signs, marked] = *marks[i].add(place);
                        let told = _mm512_mask_blend_epi8(marked, to_others[i], to_least[i]);
                        let less = _mm512_subs_epi8(belief, told);
                        let without = _mm512_mask_adds_epi8(less, signs, belief, told);
                        _mm512_store_si512(held.add(place * S + i).cast(), without);
                        parity[i] = _mm512_xor_si512(parity[i], without);
                        let magnitude = _mm512_abs_epi8(without);
                        let further = _mm512_max_epu8(magnitude, least[i]);
                        doubt[i] = _mm512_adds_epu8(doubt[i], _mm512_permutex2var_epi8(low, further, high));
                        least[i] = _mm512_min_epu8(least[i], magnitude);
                    }
                }
            }
            let mut odd = [zero; S];
            for i in 0..S {
                let table = &tables.doubt_nearest;
                // SAFETY: the table has two halves; there is a table for every row; a syndrome for every check.
                let (low, high, without_one, due) = unsafe {
                    let without_one = tables.without_one.get_unchecked(row);
                    (part(table, 0), part(table, 1), without_one, *syndrome.get_unchecked(check[i]))
                };
                let own = _mm512_max_epu8(least[i], _mm512_set1_epi8(1));
                let own = _mm512_permutex2var_epi8(low, own, high);
                let reduced = look_up(without_one, doubt[i]);
                to_least[i] = look_up(&tables.magnitude, doubt[i]);
                to_others[i] = look_up(&tables.magnitude, _mm512_adds_epu8(reduced, own));
                let wrong = _mm512_movepi8_mask(parity[i]) ^ due;
                odd_checks += u64::from(wrong.count_ones());
                odd[i] = _mm512_movm_epi8(wrong);
                // SAFETY: as above.
                unsafe {
                    _mm512_store_si512(message[i].cast(), to_least[i]);
                    _mm512_store_si512(message[i].cast::<__m512i>().add(1), to_others[i]);
                }
            }
            for (place, link) in active.iter().enumerate() {
                let index = usize::from(*link);
                for i in 0..S {
                    // SAFETY: as in the loop above.
                    unsafe {
                        let word = wrap(from[i] + row_visits.get_unchecked(index).word, words);
                        let without = _mm512_load_si512(held.add(place * S + i).cast());
                        let marked = _mm512_cmpeq_epi8_mask(_mm512_abs_epi8(without), least[i]);
                        let told = _mm512_mask_blend_epi8(marked, to_others[i], to_least[i]);
                        let signs = _mm512_movepi8_mask(_mm512_xor_si512(without, odd[i]));
                        *marks[i].add(place) = [signs, marked];
                        let belief = _mm512_adds_epi8(without, told);
                        let belief = _mm512_mask_subs_epi8(belief, signs, without, told);
                        _mm512_store_si512(beliefs.add(word).cast(), belief);
                    }
                }
            }
        }
    }
    odd_checks
}

/// `word` less `words` if it is not less. Both words that add up to it are less.
#[inline(always)]
fn wrap(word: u32, words: u32) -> usize {
    (if word >= words { word - words } else { word }) as usize
}
