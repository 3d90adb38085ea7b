//! Drawing from a finite distribution by one look-up (Walker, ACM TOMS 3, 253 (1977); Vose, IEEE Trans. Softw.
//! Eng. 17, 972 (1991)).

use rand_core::Rng;

/// An alias table. Its size is a power of two, so that one random word gives both column and threshold.
#[derive(Clone, Debug)]
pub(crate) struct AliasTable {
    columns: Vec<Column>,
    /// The bits of a column's number.
    width: u32,
}

/// How many random bits a draw takes. In one draw of thousands they do not decide, and it takes more.
pub(crate) const BITS: u32 = 24;

#[derive(Clone, Copy, Debug, Default)]
struct Column {
    /// Of the 64-bit fraction within the column, below this the first value is meant.
    threshold: u64,
    values: [u32; 2],
}

impl AliasTable {
    /// The table of `entries`, values with weights that need not sum to 1. Weights that are not above 0 are left
    /// out; with none left, the table gives 0.
    pub(crate) fn new(entries: &[(u32, f64)]) -> Self {
        let kept: Vec<_> = entries.iter().filter(|entry| entry.1 > 0.0).collect();
        let size = kept.len().max(2).next_power_of_two();
        let total: f64 = kept.iter().map(|entry| entry.1).sum();
        let mut columns = vec![Column::default(); size];
        // Columns that are less and more than full. A weight below the mean keeps its own exact threshold, so
        // that rare outcomes lose no precision.
        let (mut small, mut large) = (Vec::new(), Vec::new());
        for (i, column) in columns.iter_mut().enumerate() {
            let (value, weight) = kept.get(i).map_or((0, 0.0), |e| (e.0, e.1 / total * size as f64));
            column.values = [value; 2];
            if weight < 1.0 { small.push((i, weight)) } else { large.push((i, weight)) }
        }
        while let (Some(&(i, weight)), Some(&(donor, full))) = (small.last(), large.last()) {
            small.pop();
            large.pop();
            columns[i].threshold = (weight * 18_446_744_073_709_551_616.0) as u64;
            columns[i].values[1] = columns[donor].values[0];
            let rest = (full + weight) - 1.0;
            if rest < 1.0 { small.push((donor, rest)) } else { large.push((donor, rest)) }
        }
        // What is left is full but for rounding: both values are the same, so its threshold does not matter.
        // A column without weight of its own must not be left; it takes the heaviest value instead.
        if let Some(heaviest) = kept.iter().max_by(|a, b| a.1.total_cmp(&b.1)) {
            for (i, _) in small {
                if i >= kept.len() && columns[i].threshold == 0 {
                    columns[i].values = [heaviest.0; 2];
                }
            }
        }
        Self { columns, width: size.trailing_zeros() }
    }

    /// The value that a random number of [`BITS`] bits means.
    #[inline]
    pub(crate) fn draw(&self, bits: u32, random: &mut impl Rng) -> u32 {
        // The mask changes nothing but the bounds check: there are 2^width columns.
        let index = (bits >> (BITS - self.width)) as usize & (self.columns.len() - 1);
        let column = &self.columns[index];
        let known = 64 - BITS + self.width;
        let mut fraction = u64::from(bits) << known;
        let ahead = column.threshold.wrapping_sub(fraction);
        if ahead != 0 && ahead < 1 << known {
            fraction |= random.next_u64() >> (64 - known);
        }
        column.values[usize::from(fraction >= column.threshold)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_units::{EntityId, Purpose, Stream};
    use proptest::prelude::*;

    /// The exact probability that the table gives to each value, summed over its columns.
    fn probabilities(table: &AliasTable, values: u32) -> Vec<f64> {
        let mut sums = vec![0.0; values as usize];
        for column in &table.columns {
            let first = column.threshold as f64 / 2f64.powi(64);
            sums[column.values[0] as usize] += first / table.columns.len() as f64;
            sums[column.values[1] as usize] += (1.0 - first) / table.columns.len() as f64;
        }
        sums
    }

    #[test]
    fn a_rare_value_keeps_its_weight() {
        let table = AliasTable::new(&[(0, 1.0), (1, 3e-13), (2, 0.5)]);
        let p = probabilities(&table, 3);
        assert!((p[1] / (3e-13 / 1.5) - 1.0).abs() < 1e-6, "{}", p[1]);
    }

    #[test]
    fn draws_follow_the_weights() {
        let table = AliasTable::new(&[(0, 1.0), (1, 2.0), (2, 3.0), (3, 4.0), (4, 0.0)]);
        let mut stream = Stream::new(3, EntityId(0), Purpose::named("alias"));
        let mut counts = [0u32; 5];
        for _ in 0..100_000 {
            counts[{
                let bits = (stream.bits() >> 40) as u32;
                table.draw(bits, &mut stream) as usize
            }] += 1;
        }
        assert_eq!(counts[4], 0);
        let chi2: f64 = (0..4)
            .map(|i| (f64::from(counts[i]) - 1e4 * (i + 1) as f64).powi(2) / (1e4 * (i + 1) as f64))
            .sum();
        assert!(chi2 < 16.3, "chi-square {chi2} with 3 degrees of freedom; 16.3 is the 0.1 % point");
    }

    proptest! {
        #[test]
        fn every_table_has_the_weights_it_was_given(
            weights in prop::collection::vec(prop_oneof![0.0..1.0f64, 0.0..1e-9f64, Just(0.0)], 1..60)
        ) {
            let total: f64 = weights.iter().sum();
            prop_assume!(total > 0.0);
            let entries: Vec<_> = weights.iter().enumerate().map(|(i, &w)| (i as u32, w)).collect();
            for (p, w) in probabilities(&AliasTable::new(&entries), weights.len() as u32).iter().zip(&weights) {
                prop_assert!((p - w / total).abs() < 1e-13);
            }
        }
    }
}
