//! The degree profiles of the codes.

/// How many columns of a base matrix have which degree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) rows: usize,
    /// Degrees, rising, and how many columns have them. Fewer columns of degree 2 than rows.
    pub(super) degrees: Vec<(usize, usize)>,
}

impl Profile {
    pub(super) fn columns(&self) -> usize {
        self.degrees.iter().map(|&(_, count)| count).sum()
    }
}

/// Columns of the base matrices of the longest frames at the lowest error rates.
pub(super) const FINEST: usize = 1024;

/// Columns of the base matrices of the longest frames.
pub(super) const WIDEST: usize = 512;

/// Columns of the base matrices of long frames.
pub(super) const WIDE: usize = 256;

/// Columns of the base matrices of short frames.
pub(super) const NARROW: usize = 64;

/// Rows of a base matrix of 256 columns, and how many of these have which degree: found by
/// `examples/ldpc_degrees.rs`.
#[rustfmt::skip]
const PROFILES: &[(usize, &[(usize, usize)])] = &[
    (13, &[(2, 12), (3, 149), (4, 4), (5, 2), (6, 1), (10, 14), (12, 74)]),
    (15, &[(2, 14), (3, 134), (4, 4), (5, 30), (6, 3), (12, 3), (15, 68)]),
    (18, &[(2, 17), (3, 155), (10, 7), (12, 10), (15, 67)]),
    (20, &[(2, 19), (3, 144), (6, 9), (8, 31), (10, 21), (12, 10), (15, 1), (20, 21)]),
    (23, &[(2, 21), (3, 143), (8, 26), (10, 22), (12, 10), (20, 34)]),
    (26, &[(2, 25), (3, 137), (4, 2), (6, 10), (8, 32), (10, 21), (25, 29)]),
    (30, &[(2, 29), (3, 138), (6, 6), (8, 28), (10, 26), (12, 6), (30, 23)]),
    (35, &[(2, 34), (3, 136), (6, 4), (8, 35), (10, 22), (30, 25)]),
    (40, &[(2, 39), (3, 135), (8, 26), (10, 23), (12, 13), (15, 4), (25, 1), (30, 1), (40, 14)]),
    (46, &[(2, 45), (3, 132), (8, 25), (10, 26), (12, 11), (15, 1), (20, 1), (25, 1), (40, 14)]),
    (54, &[(2, 53), (3, 126), (4, 1), (8, 22), (10, 27), (12, 11), (15, 1), (40, 15)]),
    (66, &[(2, 65), (3, 117), (6, 1), (8, 27), (10, 26), (12, 5), (40, 15)]),
    (80, &[(2, 75), (3, 108), (6, 7), (8, 31), (10, 12), (12, 7), (40, 16)]),
    (94, &[(2, 79), (3, 111), (8, 30), (10, 21), (40, 15)]),
    (111, &[(2, 87), (3, 109), (6, 2), (8, 17), (10, 19), (12, 10), (15, 2), (50, 10)]),
    (125, &[(2, 92), (3, 109), (5, 1), (6, 2), (8, 16), (10, 14), (12, 10), (15, 5), (20, 2), (50, 5)]),
    (138, &[(2, 93), (3, 111), (8, 14), (10, 21), (12, 8), (50, 9)]),
];

/// Profiles that were found by decoding frames of 2^20 bits instead: the codes of which decoders of bytes need the least.
type Found = &'static [(usize, &'static [(usize, usize)])];

/// Rows of a base matrix of 512 columns, and how many of these have which degree.
#[rustfmt::skip]
const FOUND_WIDEST: Found = &[
    (78, &[(2, 76), (3, 272), (5, 2), (6, 4), (7, 26), (8, 2), (9, 28), (10, 12), (12, 38), (15, 4), (20, 24), (50, 10), (78, 14)]),
    (79, &[(2, 78), (3, 268), (5, 2), (7, 38), (8, 6), (9, 26), (10, 34), (15, 18), (20, 12), (30, 4), (50, 18), (60, 4), (79, 4)]),
    (107, &[(2, 105), (3, 252), (4, 4), (5, 2), (6, 4), (7, 4), (8, 40), (10, 37), (15, 22), (20, 20), (50, 8), (60, 4), (80, 4), (100, 6)]),
    (158, &[(2, 154), (3, 216), (4, 10), (5, 10), (8, 34), (9, 4), (10, 34), (15, 26), (40, 2), (50, 12), (60, 2), (100, 8)]),
    (222, &[(2, 184), (3, 218), (4, 12), (5, 8), (8, 2), (10, 56), (25, 10), (40, 8), (50, 12), (100, 2)]),
    (276, &[(2, 210), (3, 224), (4, 12), (10, 26), (12, 6), (15, 4), (25, 8), (30, 10), (40, 4), (60, 2), (100, 6)]),
];

/// The same of 1024 columns.
#[rustfmt::skip]
const FOUND_FINEST: Found = &[
    (52, &[(2, 33), (3, 549), (4, 28), (6, 24), (7, 16), (8, 60), (9, 20), (10, 26), (12, 168), (15, 24), (30, 4), (50, 72)]),
    (91, &[(2, 90), (3, 537), (4, 12), (6, 8), (7, 92), (8, 4), (9, 26), (10, 66), (12, 74), (15, 24), (20, 21), (30, 8), (40, 12), (50, 30), (80, 20)]),
];

/// Those that were found for base matrices of so many columns.
fn found(columns: usize) -> Found {
    match columns {
        FINEST => FOUND_FINEST,
        WIDEST => FOUND_WIDEST,
        _ => &[],
    }
}

/// How many profiles there are for base matrices of so many columns.
pub(super) fn count(columns: usize) -> usize {
    let scaled = if columns == FINEST { 0 } else { PROFILES.len() };
    found(columns).len() + scaled
}

/// Profile `number` for a base matrix of so many columns: first those that were found for it, and then, but for [`FINEST`],
/// those of the table for [`WIDE`] in proportion, by rising rows.
pub(super) fn profile(number: usize, columns: usize) -> Profile {
    let found = found(columns);
    if let Some(&(rows, degrees)) = found.get(number) {
        return Profile { rows, degrees: degrees.to_vec() };
    }
    let number = number - found.len();
    let (rows, degrees) = PROFILES[number];
    if columns == WIDEST {
        let twice = degrees.iter().map(|&(degree, count)| (degree, 2 * count)).collect();
        return Profile { rows: 2 * rows, degrees: twice };
    }
    let parts = WIDE / columns;
    let rows = (rows + parts / 2) / parts;
    let mut scaled = Vec::new();
    let (mut wide, mut taken) = (0, 0);
    for &(degree, count) in degrees {
        // Shares are rounded as they add up, so that they add up to all columns.
        wide += count;
        let most = if degree == 2 { rows - 1 } else { columns };
        let count = ((wide + parts / 2) / parts - taken).min(most);
        taken += count;
        let degree = degree.min(rows);
        match scaled.last_mut() {
            Some((last, total)) if *last == degree => *total += count,
            _ if count > 0 => scaled.push((degree, count)),
            _ => {}
        }
    }
    Profile { rows, degrees: scaled }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(profile: &Profile, columns: usize) {
        assert_eq!(profile.columns(), columns);
        assert!(profile.degrees.is_sorted_by(|a, b| a.0 < b.0), "{profile:?}");
        assert!(profile.degrees.iter().all(|&(degree, _)| degree >= 2 && degree <= profile.rows));
        let twos: usize = profile.degrees.iter().filter(|d| d.0 == 2).map(|d| d.1).sum();
        assert!(twos < profile.rows, "the columns of degree 2 are a chain: {profile:?}");
    }

    #[test]
    fn profiles_are_whole() {
        let mut last = 0;
        for (number, &(rows, _)) in PROFILES.iter().enumerate() {
            for columns in [WIDE, NARROW] {
                whole(&profile(number, columns), columns);
            }
            assert!(rows > last, "profiles rise");
            last = rows;
        }
        for columns in [WIDEST, FINEST] {
            (0..count(columns)).for_each(|number| whole(&profile(number, columns), columns));
        }
    }
}
