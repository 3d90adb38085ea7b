//! The state of a decoder.

use super::{MessageTables, ParityChecks, streams};
use crate::arch::{CheckMessages, Sweep, Sweeper, Vector};
use zeroize::Zeroize;

/// What a layered decoder holds of a frame: a belief of 8 bits for every bit, and the messages of every check.
///
/// The messages of a check are stored as two magnitudes and, for every link, a sign and a mark of which
/// magnitude is meant: the least reliable bits of a check are told one thing, all others another.
#[derive(Clone, Debug)]
pub struct Beliefs {
    pub(super) beliefs: Vec<Vector>,
    pub(super) messages: Vec<CheckMessages>,
    /// For every link of every copy the signs, then the marks.
    pub(super) marks: Vec<[u64; 2]>,
    held: Vec<Vector>,
    sweeper: Sweeper,
}

impl Beliefs {
    /// The state of a decoder for frames of `checks`.
    pub fn new(checks: &ParityChecks) -> Self {
        Self::with(checks, Sweeper::best())
    }

    pub(super) fn with(checks: &ParityChecks, sweeper: Sweeper) -> Self {
        let longest = checks.rows.iter().map(Vec::len).max().unwrap_or(0);
        Self {
            beliefs: vec![Vector::ZERO; checks.words()],
            messages: vec![CheckMessages::NONE; checks.syndrome_words()],
            marks: vec![[0; 2]; checks.links() * checks.copies],
            held: vec![Vector::ZERO; longest * streams(checks.copies)],
            sweeper,
        }
    }

    /// Starts anew with the bits of `frame`, believed as `levels` says: the belief of a word's bits is its level
    /// where the bit is 0, and its negative where it is 1.
    ///
    /// # Panics
    /// If `frame` or `levels` has another number of words than the frame, or a level is negative.
    pub fn load(&mut self, checks: &ParityChecks, frame: &[u64], levels: &[i8]) {
        assert!(frame.len() == self.beliefs.len() && levels.len() == frame.len(), "words of the frame");
        assert!(levels.iter().all(|&level| level >= 0), "a level is not negative");
        self.sweeper.spread(frame, levels, &checks.rest, &mut self.beliefs);
        self.messages.fill(CheckMessages::NONE);
        self.marks.fill([0; 2]);
    }

    /// Takes back some of what [`load`](Self::load) set.
    ///
    /// # Panics
    /// As `load` does.
    pub fn unload(&mut self, checks: &ParityChecks, frame: &[u64], levels: &[i8]) {
        assert!(frame.len() == self.beliefs.len() && levels.len() == frame.len(), "words of the frame");
        assert!(levels.iter().all(|&level| level >= 0), "a level is not negative");
        self.sweeper.take(frame, levels, &checks.rest, &mut self.beliefs);
    }

    /// Lets every check speak once, in order. Tells for how many checks the bits, each without what this check had
    /// said of it, had another parity than `syndrome` says.
    ///
    /// # Panics
    /// If `checks` is not the matrix of this state or the syndrome has another length than its syndromes.
    pub fn sweep(&mut self, checks: &ParityChecks, syndrome: &[u64], tables: &MessageTables) -> u64 {
        assert_eq!(self.beliefs.len(), checks.words(), "words of the frame");
        assert_eq!(self.marks.len(), checks.links() * checks.copies, "links of the matrix");
        assert_eq!(self.messages.len(), checks.syndrome_words(), "checks of the matrix");
        assert_eq!(syndrome.len(), checks.syndrome_words(), "words of the syndrome");
        self.sweeper.sweep(Sweep {
            columns: checks.columns,
            copies: checks.copies,
            streams: streams(checks.copies),
            visits: &checks.visits,
            ends: &checks.ends,
            tables,
            syndrome,
            beliefs: &mut self.beliefs,
            messages: &mut self.messages,
            marks: &mut self.marks,
            held: &mut self.held,
        })
    }

    /// What the bits are believed to be.
    pub fn decide(&self, checks: &ParityChecks) -> Vec<u64> {
        assert_eq!(self.beliefs.len(), checks.words(), "words of the frame");
        self.sweeper.decide(&self.beliefs, &checks.rest)
    }
}

impl Drop for Beliefs {
    fn drop(&mut self) {
        for vector in self.beliefs.iter_mut().chain(&mut self.held) {
            vector.0.zeroize();
        }
        self.marks.as_flattened_mut().zeroize();
    }
}
