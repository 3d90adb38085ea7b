//! Mean and spread of numbers that come one by one.

/// How many numbers there were, their mean, and their spread (Welford's recurrence).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    count: u64,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// One number more.
    #[inline]
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        let off = value - self.mean;
        self.mean += off / self.count as f64;
        self.squares += off * (value - self.mean);
    }
    /// How many there were.
    pub const fn count(&self) -> u64 {
        self.count
    }
    /// Their mean; none of no numbers.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then_some(self.mean)
    }
    /// Their standard deviation; none of fewer than two.
    pub fn deviation(&self) -> Option<f64> {
        (self.count > 1).then(|| libm::sqrt(self.squares / (self.count - 1) as f64))
    }
    /// The standard error of their mean, if they are independent; none of fewer than two.
    pub fn standard_error(&self) -> Option<f64> {
        self.deviation().map(|deviation| deviation / libm::sqrt(self.count as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_spread_of_a_few_numbers() {
        let mut moments = Moments::default();
        assert_eq!((moments.mean(), moments.deviation()), (None, None));
        [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0].into_iter().for_each(|x| moments.add(x));
        assert_eq!((moments.count(), moments.mean()), (8, Some(5.0)));
        assert!((moments.deviation().unwrap() - (32f64 / 7.0).sqrt()).abs() < 1e-12);
        assert!((moments.standard_error().unwrap() - (4f64 / 7.0).sqrt()).abs() < 1e-12);
    }
}
