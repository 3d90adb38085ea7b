//! Durations in bins that grow with them.

use bellwether_units::Duration;

/// Bins to a doubling of the duration.
const STEPS: usize = 4;
/// The first bin ends here.
const FIRST: u64 = 1_000_000;
/// So many doublings of a microsecond are 50 days.
const BINS: usize = STEPS * 42;

/// Durations counted in bins of which four make a doubling, from a microsecond on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// As long as is needed.
    counts: Vec<u64>,
    count: u64,
    total: f64,
    longest: Duration,
}

impl Histogram {
    fn bin(duration: Duration) -> usize {
        let ratio = duration.picoseconds() / FIRST;
        if ratio == 0 {
            return 0;
        }
        let doublings = ratio.ilog2() as usize;
        // Linear within a doubling: bins end at 5/4, 6/4, 7/4 and 8/4 of where it begins.
        let start = FIRST << doublings;
        let step = ((duration.picoseconds() - start) / (start / STEPS as u64)) as usize;
        usize::min(1 + doublings * STEPS + step.min(STEPS - 1), BINS - 1)
    }
    fn end(bin: usize) -> f64 {
        let (doublings, step) = ((bin - 1) / STEPS, (bin - 1) % STEPS);
        1e-6 * libm::exp2(doublings as f64) * (1.0 + (step + 1) as f64 / STEPS as f64)
    }

    /// One duration more.
    pub fn add(&mut self, duration: Duration) {
        let bin = Self::bin(duration);
        if self.counts.len() <= bin {
            self.counts.resize(bin + 1, 0);
        }
        self.counts[bin] += 1;
        self.count += 1;
        self.total += duration.seconds();
        self.longest = self.longest.max(duration);
    }
    /// How many durations there are.
    pub const fn count(&self) -> u64 {
        self.count
    }
    /// Their mean, in seconds.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.total / self.count as f64)
    }
    /// The longest of them.
    pub const fn longest(&self) -> Duration {
        self.longest
    }
    /// The end, in seconds, of the bin below which a share of all durations lie.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let wanted = libm::ceil(share * self.count as f64).max(1.0) as u64;
        let mut sum = 0;
        for (bin, count) in self.counts.iter().enumerate() {
            sum += count;
            if sum >= wanted {
                return Some(if bin == 0 { 1e-6 } else { Self::end(bin).min(self.longest.seconds()) });
            }
        }
        None
    }
    /// The bins that are not empty: where each ends, in seconds, and how many durations it holds.
    pub fn bins(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let told = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        told.map(|(bin, count)| (if bin == 0 { 1e-6 } else { Self::end(bin) }, *count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_into_the_bin_that_ends_after_them() {
        for microseconds in [0u64, 1, 2, 3, 5, 7, 100, 12_345, 1_000_000, 3_600_000_000] {
            let duration = Duration::from_microseconds(microseconds);
            let mut histogram = Histogram::default();
            histogram.add(duration);
            let (end, count) = histogram.bins().next().unwrap();
            assert_eq!(count, 1);
            assert!(end >= duration.seconds() && end <= 1e-6 + 1.26 * duration.seconds(), "{microseconds}");
        }
    }

    #[test]
    fn quantiles_are_told_to_a_quarter() {
        let mut histogram = Histogram::default();
        (1..=1000).for_each(|n| histogram.add(Duration::from_milliseconds(n)));
        assert!((histogram.mean().unwrap() - 0.5005).abs() < 1e-9);
        for (share, exact) in [(0.5, 0.5), (0.9, 0.9), (1.0, 1.0)] {
            let told = histogram.quantile(share).unwrap();
            assert!(told >= exact && told <= 1.26 * exact, "{share}: {told}");
        }
        assert_eq!(histogram.longest(), Duration::from_whole_seconds(1));
        assert_eq!(Histogram::default().quantile(0.5), None);
    }
}
