//! A link's series as curves: what blocks gave, spread over the time in which they were gathered.

use bellwether_sim::summary::LinkSummary;

/// The curves of a link, one value a bin.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Curves {
    /// Secret bits per second; zero where nothing was made.
    pub secret_rate: Vec<Option<f64>>,
    /// Error rate in the key basis; none where no block was closed.
    pub qber: Vec<Option<f64>>,
    /// Bits in the pool.
    pub pool: Vec<Option<f64>>,
}

impl Curves {
    /// A block may take many bins to gather, and then all of it falls into the bin in which it was closed. Its
    /// key and its errors are spread back over the bins since the block before, but no further than a block
    /// takes by expectation: time without light has no part in it.
    pub(super) fn of(link: &LinkSummary) -> Self {
        let series = &link.series;
        let bins = series.secret_bits.len();
        let block_bins = match &link.expected {
            Some(expected) if series.bin_s > 0.0 && expected.block_s.is_finite() => {
                ((expected.block_s / series.bin_s).ceil() as usize).clamp(1, bins.max(1))
            }
            _ => 1,
        };
        let mut secret_rate = vec![Some(0.0); bins];
        let mut qber = vec![None; bins];
        let mut unspread = 0;
        for bin in 0..bins {
            let sifted = series.sifted_bits.get(bin).copied().unwrap_or(0);
            let secret = series.secret_bits[bin];
            if sifted == 0 && secret == 0 {
                continue;
            }
            let first = unspread.max((bin + 1).saturating_sub(block_bins));
            let seconds = series.bin_s * (bin + 1 - first) as f64;
            let errors = series.errors.get(bin).copied().unwrap_or(0);
            for place in first..=bin {
                secret_rate[place] = (seconds > 0.0).then(|| secret as f64 / seconds);
                qber[place] = (sifted > 0).then(|| errors as f64 / sifted as f64);
            }
            unspread = bin + 1;
        }
        // What a last block that was not closed would have given is not known; it is not nothing. More bins
        // than a block takes are nothing, though, and so is a run without any block.
        if unspread > 0 && bins - unspread < block_bins {
            secret_rate[unspread..].fill(None);
        }
        Self { secret_rate, qber, pool: series.pool_bits.iter().map(|&bits| Some(bits as f64)).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_sim::summary::{ExpectedSummary, Series};

    fn link(block_s: f64) -> LinkSummary {
        LinkSummary {
            series: Series {
                bin_s: 10.0,
                secret_bits: vec![0, 0, 600, 0, 0, 0, 0, 400],
                sifted_bits: vec![0, 0, 1000, 0, 0, 0, 0, 1000],
                errors: vec![0, 0, 20, 0, 0, 0, 0, 40],
                pool_bits: vec![0; 8],
            },
            expected: Some(ExpectedSummary { block_s, ..ExpectedSummary::default() }),
            ..LinkSummary::default()
        }
    }

    #[test]
    fn a_slow_block_is_spread_over_its_time_and_no_bit_is_lost() {
        let curves = Curves::of(&link(30.0));
        let rates: Vec<_> = curves.secret_rate.iter().flatten().copied().collect();
        assert!((rates.iter().sum::<f64>() * 10.0 - 1000.0).abs() < 1e-9);
        assert_eq!(rates, [20.0, 20.0, 20.0, 0.0, 0.0, 40.0 / 3.0, 40.0 / 3.0, 40.0 / 3.0]);
        assert_eq!(curves.qber[4], None);
        assert_eq!(curves.qber[5], Some(0.04));
    }

    #[test]
    fn a_block_that_was_not_closed_is_unknown_and_a_silence_is_nothing() {
        let mut slow = link(30.0);
        slow.series.secret_bits[7] = 0;
        slow.series.sifted_bits[7] = 0;
        assert_eq!(Curves::of(&slow).secret_rate[3..], [Some(0.0); 5], "five bins are more than a block");
        let expected = ExpectedSummary { block_s: 60.0, ..ExpectedSummary::default() };
        slow.expected = Some(expected);
        assert_eq!(Curves::of(&slow).secret_rate[3..], [None; 5]);
    }

    #[test]
    fn fast_blocks_stay_where_they_are() {
        let curves = Curves::of(&link(0.1));
        assert_eq!(curves.secret_rate[1], Some(0.0));
        assert_eq!(curves.secret_rate[2], Some(60.0));
    }
}
