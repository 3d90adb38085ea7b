//! The construction of the matrices.
//!
//! A matrix is determined by a [`Profile`], which says how many columns of the base matrix have which degree, by its
//! size and by nothing else: both ends build it, none is sent or stored.
//!
//! 1. **Base matrix.** The columns of degree 2 form one chain through the rows, so that no cycle consists of them
//!    alone. The other columns take, by rising degree, the rows that have the fewest links so far (ties by lot), which
//!    keeps the weights of the rows equal to one.
//! 2. **Shifts.** The links of the chain are not shifted. Every other link takes the best of
//!    [`TRIES`] shifts drawn by lot, by what cycles it would close: of length 4 (two columns in two rows); of a column
//!    of low degree with the chain, or of two such columns with two pieces of the chain, the worse the shorter the
//!    pieces are. Those are the cycles in which messages of low-degree bits confirm themselves, and where decoders
//!    get stuck. (The idea is that of progressive edge growth: Hu, Eleftheriou & Arnold, IEEE Trans. Inf. Theory 51,
//!    386 (2005); that cycles matter by how little they are joined to the rest: Tian, Jones, Villasenor & Wesel, IEEE
//!    Trans. Commun. 52, 1242 (2004).)
//! 3. **Places.** The columns are put into the frame in an order drawn by lot.

use super::draw::Draw;
use super::profiles::Profile;
use bellwether_bits::parity_checks::{Link, ParityChecks};

/// Shifts that are tried for a link.
const TRIES: usize = 64;

/// Columns of at most this degree are kept out of short cycles with the chain.
const LOW: usize = 4;

/// The number of the construction. A change of anything in this file gives other matrices and needs another number.
const VERSION: u64 = 1;

/// The matrix of a profile with `copies` words a column.
pub(super) fn construct(profile: &Profile, copies: usize) -> ParityChecks {
    let columns = profile.columns();
    let mut draw = Draw::new(&[VERSION, profile.rows as u64, columns as u64, copies as u64]);
    let joined = base_matrix(profile, &mut draw);
    let mut place: Vec<usize> = (0..columns).collect();
    draw.shuffle(&mut place);
    let mut shifts = Shifts::new(profile.rows, copies);
    let mut rows: Vec<Vec<Link>> = vec![Vec::new(); profile.rows];
    for (column, joined) in joined.iter().enumerate() {
        let chosen = if joined.len() == 2 { vec![0; 2] } else { shifts.choose(joined, &mut draw) };
        shifts.add(joined, &chosen);
        for (&row, &shift) in joined.iter().zip(&chosen) {
            rows[row].push(Link { column: place[column], step: shift / 64, turn: shift % 64 });
        }
    }
    for row in &mut rows {
        row.sort_unstable_by_key(|link| link.column);
    }
    ParityChecks::new(columns, copies, rows)
}

/// By column, of rising degree, the rows that it is joined to.
fn base_matrix(profile: &Profile, draw: &mut Draw) -> Vec<Vec<usize>> {
    let mut weights = vec![0u64; profile.rows];
    let mut chain = 0;
    let mut joined = Vec::new();
    for &(degree, count) in &profile.degrees {
        for _ in 0..count {
            let rows: Vec<usize> = if degree == 2 {
                chain += 1;
                vec![chain - 1, chain]
            } else {
                let mut order: Vec<(u64, u64, usize)> =
                    weights.iter().enumerate().map(|(row, &weight)| (weight, draw.word(), row)).collect();
                order.sort_unstable();
                order.iter().take(degree).map(|&(_, _, row)| row).collect()
            };
            for &row in &rows {
                weights[row] += 1;
            }
            joined.push(rows);
        }
    }
    joined
}

/// What shifts there are so far. A shift is `64 * step + turn`.
struct Shifts {
    rows: usize,
    copies: usize,
    /// By pair of rows, the differences of the shifts of the columns that join both.
    differences: Vec<Vec<usize>>,
    /// The same of columns of low degree: the two rows and the difference.
    low: Vec<(usize, usize, usize)>,
    penalties: Vec<u32>,
}

impl Shifts {
    fn new(rows: usize, copies: usize) -> Self {
        Self {
            rows,
            copies,
            differences: vec![Vec::new(); rows * rows],
            low: Vec::new(),
            penalties: vec![0; copies * 64],
        }
    }

    fn sum(&self, a: usize, b: usize) -> usize {
        (a / 64 + b / 64) % self.copies * 64 + (a + b) % 64
    }

    fn difference(&self, a: usize, b: usize) -> usize {
        (a / 64 + self.copies - b / 64) % self.copies * 64 + (a % 64 + 64 - b % 64) % 64
    }

    /// Chooses the shifts of a column's links.
    fn choose(&mut self, joined: &[usize], draw: &mut Draw) -> Vec<usize> {
        let span = span(self.copies);
        let mut chosen: Vec<usize> = Vec::with_capacity(joined.len());
        for (index, &row) in joined.iter().enumerate() {
            let mut penalties = core::mem::take(&mut self.penalties);
            penalties.fill(0);
            for (&other, &shift) in joined[..index].iter().zip(&chosen) {
                for &difference in &self.differences[row * self.rows + other] {
                    penalties[self.sum(difference, shift)] += 1 << 16;
                }
                if joined.len() <= LOW {
                    penalties[shift] += 1 << 14;
                    for &(a, b, difference) in &self.low {
                        let pieces = a.abs_diff(row) + b.abs_diff(other);
                        if pieces <= 12 {
                            penalties[self.sum(difference, shift)] +=
                                (1 << 14) / ((1 + pieces) * (1 + pieces)) as u32;
                        }
                    }
                }
            }
            let mut best = (u32::MAX, 0);
            for _ in 0..TRIES {
                let shift = 64 * draw.below(span) + draw.below(64);
                best = best.min((penalties[shift], shift));
                if best.0 == 0 {
                    break;
                }
            }
            self.penalties = penalties;
            chosen.push(best.1);
        }
        chosen
    }

    fn add(&mut self, joined: &[usize], chosen: &[usize]) {
        for (index, (&row, &shift)) in joined.iter().zip(chosen).enumerate() {
            for (other_index, (&other, &other_shift)) in joined.iter().zip(chosen).enumerate() {
                if index == other_index {
                    continue;
                }
                let difference = self.difference(shift, other_shift);
                self.differences[row * self.rows + other].push(difference);
                if (3..=LOW).contains(&joined.len()) {
                    self.low.push((row, other, difference));
                }
            }
        }
    }
}

/// Steps are less than this: short, so that the decoder has a small part of a long frame in hand.
fn span(copies: usize) -> usize {
    let period = if copies.is_multiple_of(2) { copies / 2 } else { copies };
    period.min(12)
}

#[cfg(test)]
mod tests {
    use super::super::profiles::{FINEST, NARROW, WIDE, WIDEST, count, profile};
    use super::*;

    fn fingerprint(matrix: &ParityChecks) -> u64 {
        let links = matrix.rows().iter().enumerate().flat_map(|(number, row)| {
            row.iter().map(move |link| [number, link.column, link.step, link.turn].map(|part| part as u64))
        });
        // The order within a row does not matter.
        links.fold(0u64, |sum, link| sum.wrapping_add(Draw::new(&link).word()))
    }

    /// Both ends build the matrices, perhaps with different releases: they must not change unnoticed. A new fingerprint
    /// needs a new `VERSION`, and is a change of the protocol.
    #[test]
    fn matrices_are_as_they_were() {
        let of = |number, sizes: &[(usize, usize)]| -> Vec<u64> {
            let print = |&(columns, copies)| fingerprint(&construct(&profile(number, columns), copies));
            sizes.iter().map(print).collect()
        };
        let fold = |prints: Vec<u64>| prints.iter().fold(0u64, |sum, print| sum.rotate_left(7) ^ print);
        let scaled = (0..count(WIDE))
            .flat_map(|number| of(number, &[(NARROW, 1), (NARROW, 4), (WIDE, 2), (WIDE, 10)]));
        let longest = (0..count(WIDEST)).flat_map(|number| of(number, &[(WIDEST, 8)]));
        let finest = (0..count(FINEST)).flat_map(|number| of(number, &[(FINEST, 4)]));
        let all = [fold(scaled.collect()), fold(longest.collect()), fold(finest.collect())];
        assert_eq!(
            all,
            [0x9c78_2b65_4073_6ad2, 0x5439_2587_c837_de70, 0x8af6_3347_5cfb_bfcb],
            "{all:#018x?}"
        );
    }

    /// In the long matrices no two columns meet in two rows and no column of low degree closes a cycle with the chain
    /// alone.
    #[test]
    fn long_matrices_have_no_cycles_of_four() {
        let middle = count(WIDE) / 2;
        for (number, columns, copies) in
            [(0, WIDE, 64), (middle, WIDE, 64), (count(WIDE) - 1, WIDE, 64), (middle, WIDEST, 32)]
        {
            let matrix = construct(&profile(number, columns), copies);
            let mut met = std::collections::BTreeMap::new();
            let mut columns = vec![Vec::new(); columns];
            for (number, row) in matrix.rows().iter().enumerate() {
                for link in row {
                    columns[link.column].push((number, link.step, link.turn));
                }
            }
            let mut cycles = 0;
            for column in &columns {
                for (index, a) in column.iter().enumerate() {
                    for b in &column[..index] {
                        let difference = ((a.1 + copies - b.1) % copies, (a.2 + 64 - b.2) % 64);
                        cycles += u32::from(met.insert((a.0, b.0, difference), ()).is_some());
                        assert!((column.len() == 2) == (difference == (0, 0)) || column.len() > LOW);
                    }
                }
            }
            assert!(cycles <= 2, "{cycles} cycles of length 4 in matrix {number}");
        }
    }
}
