//! Sparse parity checks over words of 64 bits, and message passing over them.
//!
//! A [`ParityChecks`] is a quasi-cyclic sparse matrix over GF(2): a small base matrix whose entries stand for
//! permutations of `copies * 64` bits. The group behind them is not one cycle but two, a turn within a word and a
//! step from word to word, so that 64 checks of one row always meet 64 bits of one word, and a decoder with one
//! byte a bit reads whole vector registers at aligned places. The steps of an entry are short against the number
//! of copies: the decoder goes through all rows of one copy before it comes to the next, and what it has in
//! hand then is a window of the frame rather than all of it.
//!
//! [`Beliefs`] is the state of a layered decoder with messages of 8 bits. What the messages mean is up to the
//! caller, who gives [`MessageTables`].

mod beliefs;
#[cfg(test)]
mod tests;

use crate::arch::{Level, WordKernel};
pub use crate::arch::{MessageTables, Visit};
pub use beliefs::Beliefs;

/// An entry of the base matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The column.
    pub column: usize,
    /// How many copies further the word lies that the check meets. Less than the copies, and less than half of them
    /// if they are even.
    pub step: usize,
    /// Bit `i` of a word of checks meets bit `i + turn` (mod 64) of the word.
    pub turn: usize,
}

/// A sparse matrix of parity checks.
///
/// Word `copy * columns + column` holds the bits of a column; word `row * copies + copy` of a syndrome holds the
/// checks of a row.
#[derive(Clone, Debug)]
pub struct ParityChecks {
    columns: usize,
    copies: usize,
    rows: Vec<Vec<Link>>,
    /// What the decoder visits, row by row.
    visits: Vec<Visit>,
    /// By row, where its visits end.
    ends: Vec<u32>,
    /// By column, the row, step and turn of each of its links.
    met: Vec<Vec<[usize; 3]>>,
    /// By word, how far its beliefs are turned between sweeps.
    rest: Vec<u8>,
}

impl ParityChecks {
    /// The matrix with these rows. The order of the links of a row is changed.
    ///
    /// # Panics
    /// If there is no row, a row has fewer than 2 or more than 256 links, or names a column twice or one that does not
    /// exist, or if a step or turn is too large.
    pub fn new(columns: usize, copies: usize, mut rows: Vec<Vec<Link>>) -> Self {
        let period = copies / streams(copies);
        assert!(!rows.is_empty() && copies > 0, "a matrix has rows and copies");
        assert!(columns * copies < 1 << 25, "a frame has less than 2^31 bits");
        for row in &rows {
            assert!((2..=256).contains(&row.len()), "a row has 2 to 256 links");
            for (index, link) in row.iter().enumerate() {
                assert!(link.column < columns && link.step < period && link.turn < 64, "a link out of range");
                assert!(
                    row[..index].iter().all(|other| other.column != link.column),
                    "a column twice in a row"
                );
            }
        }
        for row in &mut rows {
            row.sort_unstable_by_key(|link| link.column);
        }
        let mut met = vec![Vec::new(); columns];
        for (number, row) in rows.iter().enumerate() {
            for link in row {
                met[link.column].push([number, link.step, link.turn]);
            }
        }
        let mut matrix = Self {
            columns,
            copies,
            visits: Vec::new(),
            ends: Vec::new(),
            met,
            rest: vec![0; columns * copies],
            rows,
        };
        matrix.order_visits(period);
        matrix
    }

    /// Finds the order in which each word is visited. Its beliefs stay turned as its last visitor had them, and a
    /// visitor turns them on from there. Those of further step come first, and the order is the same for all words of
    /// a column but for where it begins: a word near the start of the frame is met by far steps only at the end.
    fn order_visits(&mut self, period: usize) {
        let mut visitors: Vec<Vec<(usize, usize, usize)>> = vec![Vec::new(); self.columns];
        let mut turns: Vec<Vec<u32>> = Vec::new();
        for (number, row) in self.rows.iter().enumerate() {
            for (index, link) in row.iter().enumerate() {
                visitors[link.column].push((period - link.step, number, index));
            }
            turns.push(vec![0; row.len()]);
        }
        for (column, visitors) in visitors.iter_mut().enumerate() {
            visitors.sort_unstable();
            let turn = |place: usize| {
                let (_, row, index) = visitors[place];
                self.rows[row][index].turn
            };
            for (place, &(_, row, index)) in visitors.iter().enumerate() {
                let before = (place + visitors.len() - 1) % visitors.len();
                turns[row][index] = ((turn(place) + 64 - turn(before)) % 64) as u32;
            }
            if visitors.is_empty() {
                continue;
            }
            for copy in 0..self.copies {
                let late = visitors.iter().rposition(|&(back, ..)| period - back > copy % period);
                let last = late.unwrap_or(visitors.len() - 1);
                self.rest[copy * self.columns + column] = turn(last) as u8;
            }
        }
        for (row, turns) in self.rows.iter().zip(&turns) {
            for (link, &turn) in row.iter().zip(turns) {
                self.visits.push(Visit { word: (link.step * self.columns + link.column) as u32, turn });
            }
            self.ends.push(self.visits.len() as u32);
        }
    }

    /// Columns of the base matrix.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Rows of the base matrix.
    pub fn rows(&self) -> &[Vec<Link>] {
        &self.rows
    }

    /// Words of 64 bits that an entry of the base matrix stands for.
    pub fn copies(&self) -> usize {
        self.copies
    }

    /// Words of a frame.
    pub fn words(&self) -> usize {
        self.columns * self.copies
    }

    /// Words of a syndrome.
    pub fn syndrome_words(&self) -> usize {
        self.rows.len() * self.copies
    }

    /// Entries of the base matrix that are not zero.
    pub fn links(&self) -> usize {
        self.visits.len()
    }

    /// The parities of a frame.
    ///
    /// # Panics
    /// If the frame has another number of words than [`words`](Self::words).
    pub fn syndrome(&self, frame: &[u64]) -> Vec<u64> {
        assert_eq!(frame.len(), self.words(), "words of the frame");
        Level::best().run(Parities { checks: self, frame })
    }
}

/// [`ParityChecks::syndrome`] on any instruction set.
struct Parities<'a> {
    checks: &'a ParityChecks,
    frame: &'a [u64],
}

impl WordKernel for Parities<'_> {
    type Output = Vec<u64>;

    #[inline(always)]
    fn run(self) -> Vec<u64> {
        let ParityChecks { columns, copies, ref rows, .. } = *self.checks;
        // By column, so that the copies of a row are computed side by side.
        let mut turned = vec![0; self.frame.len()];
        for (copy, words) in self.frame.chunks_exact(columns).enumerate() {
            for (column, &word) in words.iter().enumerate() {
                turned[column * copies + copy] = word;
            }
        }
        let mut syndrome = vec![0; rows.len() * copies];
        for (row, sums) in rows.iter().zip(syndrome.chunks_exact_mut(copies)) {
            for link in row {
                let words = &turned[link.column * copies..][..copies];
                let (near, far) = sums.split_at_mut(copies - link.step);
                let turn = link.turn as u32;
                for (sum, word) in near.iter_mut().zip(&words[link.step..]) {
                    *sum ^= word.rotate_right(turn);
                }
                for (sum, word) in far.iter_mut().zip(words) {
                    *sum ^= word.rotate_right(turn);
                }
            }
        }
        zeroize::Zeroize::zeroize(&mut turned);
        syndrome
    }
}

/// How many copies are swept side by side: two halves of a frame never meet in a word when the steps are shorter
/// than half of the copies.
fn streams(copies: usize) -> usize {
    if copies.is_multiple_of(2) { 2 } else { 1 }
}
