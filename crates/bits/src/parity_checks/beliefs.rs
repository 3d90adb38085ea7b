//! The state of a decoder.

use super::{MessageTables, ParityChecks, streams};
use crate::arch::{Active, CheckMessages, Sweep, Sweeper, Vector};
use std::collections::BTreeMap;
use zeroize::Zeroize;

/// What a layered decoder holds of a frame: a belief of 8 bits for every bit, and the messages of every check.
///
/// The messages of a check are stored as two magnitudes and, for every link, a sign and a mark of which
/// magnitude is meant: the least reliable bits of a check are told one thing, all others another.
#[derive(Clone, Debug)]
pub struct Beliefs {
    pub(super) beliefs: Vec<Vector>,
    pub(super) messages: Vec<CheckMessages>,
    /// For every row of every copy, and every link that is still visited, the signs, then the marks.
    pub(super) marks: Vec<[u64; 2]>,
    held: Vec<Vector>,
    /// The parities that the words that are not settled must have.
    pub(super) due: Vec<u64>,
    /// By word of the first stream, 1 if it and the words in step with it are settled.
    pub(super) settled: Vec<u8>,
    active: Active,
    sweeper: Sweeper,
}

impl Beliefs {
    /// The state of a decoder for frames of `checks`.
    pub fn new(checks: &ParityChecks) -> Self {
        Self::with(checks, Sweeper::best())
    }

    pub(super) fn with(checks: &ParityChecks, sweeper: Sweeper) -> Self {
        let period = checks.copies / streams(checks.copies);
        let longest = checks.rows.iter().map(Vec::len).max().unwrap_or(0);
        Self {
            beliefs: vec![Vector::ZERO; checks.words()],
            messages: vec![CheckMessages::NONE; checks.syndrome_words()],
            marks: vec![[0; 2]; checks.links() * checks.copies],
            held: vec![Vector::ZERO; longest * streams(checks.copies)],
            due: vec![0; checks.syndrome_words()],
            settled: vec![0; checks.columns * period],
            active: Active::all(&checks.ends, period),
            sweeper,
        }
    }

    /// Starts anew with the bits of `frame`, whose parities are to be `syndrome`. They are believed as `levels` says: the
    /// belief of a word's bits is its level where the bit is 0, and its negative where it is 1.
    ///
    /// # Panics
    /// If `frame`, `levels` or `syndrome` has another number of words than `checks` has, or a level is negative.
    pub fn load(&mut self, checks: &ParityChecks, frame: &[u64], levels: &[i8], syndrome: &[u64]) {
        assert!(frame.len() == self.beliefs.len() && levels.len() == frame.len(), "words of the frame");
        assert!(levels.iter().all(|&level| level >= 0), "a level is not negative");
        assert!(syndrome.len() == self.due.len(), "words of the syndrome");
        self.sweeper.spread(frame, levels, &checks.rest, &mut self.beliefs);
        self.messages.fill(CheckMessages::NONE);
        self.marks.fill([0; 2]);
        self.due.copy_from_slice(syndrome);
        self.settled.fill(0);
        self.active.restore();
    }

    /// Takes back some of what [`load`](Self::load) set.
    ///
    /// # Panics
    /// If `frame` or `levels` has another number of words than `checks` has, or a level is negative.
    pub fn unload(&mut self, checks: &ParityChecks, frame: &[u64], levels: &[i8]) {
        assert!(frame.len() == self.beliefs.len() && levels.len() == frame.len(), "words of the frame");
        assert!(levels.iter().all(|&level| level >= 0), "a level is not negative");
        self.sweeper.take(frame, levels, &checks.rest, &mut self.beliefs);
    }

    /// Believes less of the bits that meet the checks of `odd`, each as far as the share of its checks that are odd goes: half
    /// of them and nothing is believed of it, all of them and the contrary is. To be called after [`load`](Self::load), where
    /// `odd` are the parities in which the frame differs from the syndrome; bits believed more than `most` stay as they are.
    ///
    /// # Panics
    /// If `odd` has another number of words than a syndrome of `checks` has.
    pub fn reconsider(&mut self, checks: &ParityChecks, odd: &[u64], most: u8) {
        assert_eq!(odd.len(), self.due.len(), "words of the syndrome");
        let mut met: BTreeMap<usize, [u16; 64]> = BTreeMap::new();
        for (check, &odd) in odd.iter().enumerate().filter(|(_, odd)| **odd != 0) {
            let (row, copy) = (check / checks.copies, check % checks.copies);
            for link in &checks.rows[row] {
                let word = (copy + link.step) % checks.copies * checks.columns + link.column;
                let bits = odd.rotate_left(link.turn as u32).rotate_right(u32::from(checks.rest[word]));
                let counts = met.entry(word).or_insert([0; 64]);
                for (lane, count) in counts.iter_mut().enumerate() {
                    *count += (bits >> lane & 1) as u16;
                }
            }
        }
        for (word, counts) in met {
            let degree = checks.met[word % checks.columns].len() as i32;
            for (belief, &odd) in self.beliefs[word].0.iter_mut().zip(&counts) {
                if odd > 0 && belief.unsigned_abs() <= most {
                    *belief = (i32::from(*belief) * (degree - 2 * i32::from(odd)) / degree) as i8;
                }
            }
        }
    }

    /// Lets every check speak once, in order, of the words that are not settled. Tells for how many checks the bits, each
    /// without what this check had said of it, had another parity than the syndrome says.
    ///
    /// # Panics
    /// If `checks` is not the matrix of this state.
    pub fn sweep(&mut self, checks: &ParityChecks, tables: &MessageTables) -> u64 {
        assert_eq!(self.beliefs.len(), checks.words(), "words of the frame");
        assert_eq!(self.marks.len(), checks.links() * checks.copies, "links of the matrix");
        assert_eq!(self.messages.len(), checks.syndrome_words(), "checks of the matrix");
        self.sweeper.sweep(Sweep {
            columns: checks.columns,
            copies: checks.copies,
            streams: streams(checks.copies),
            visits: &checks.visits,
            ends: &checks.ends,
            active: &self.active,
            tables,
            syndrome: &self.due,
            beliefs: &mut self.beliefs,
            messages: &mut self.messages,
            marks: &mut self.marks,
            held: &mut self.held,
        })
    }

    /// Takes words for settled of which no bit has a belief below `least` in magnitude: sweeps leave them alone from now on,
    /// which is most of what makes late sweeps quick. Words of the two halves of the frame are settled in pairs.
    ///
    /// # Panics
    /// If `checks` is not the matrix of this state.
    pub fn settle(&mut self, checks: &ParityChecks, least: u8) {
        assert_eq!(self.beliefs.len(), checks.words(), "words of the frame");
        let found = self.sweeper.settle(&self.beliefs, &self.settled, least);
        if found.is_empty() {
            return;
        }
        for &first in &found {
            let first = first as usize;
            self.settled[first] = 1;
            for word in (first..self.beliefs.len()).step_by(self.settled.len()) {
                let bits = self.sweeper.signs(&self.beliefs[word]).rotate_left(u32::from(checks.rest[word]));
                let copy = word / checks.columns;
                for &[row, step, turn] in &checks.met[word % checks.columns] {
                    let copy = if copy >= step { copy - step } else { copy + checks.copies - step };
                    self.due[row * checks.copies + copy] ^= bits.rotate_right(turn as u32);
                }
            }
        }
        self.active.drop_settled(&checks.visits, checks.columns, &self.settled, &mut self.marks);
    }

    /// What the bits are believed to be.
    pub fn decide(&self, checks: &ParityChecks) -> Vec<u64> {
        assert_eq!(self.beliefs.len(), checks.words(), "words of the frame");
        let turned =
            |(belief, &turn): (&Vector, &u8)| self.sweeper.signs(belief).rotate_left(u32::from(turn));
        self.beliefs.iter().zip(&checks.rest).map(turned).collect()
    }
}

impl Drop for Beliefs {
    fn drop(&mut self) {
        for vector in self.beliefs.iter_mut().chain(&mut self.held) {
            vector.0.zeroize();
        }
        self.marks.as_flattened_mut().zeroize();
        self.due.zeroize();
    }
}
