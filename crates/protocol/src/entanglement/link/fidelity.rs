//! The fidelity estimation unit: what a link can promise, and how bright to shine for it.
//!
//! A brighter emitter heralds more often and promises less. What it promises is a table that the link's physics has
//! filled; here are numbers only (Dahlberg et al., SIGCOMM 2019, section 5.2.3).

use bellwether_units::Duration;

/// One way to run a link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FidelityLevel {
    /// The brightness for which the emitters are set: for single-click links the probability that a memory is left in the
    /// state that gives a photon.
    pub brightness: f64,
    /// The fidelity of a new pair.
    pub fidelity: f64,
    /// How probable it is that an attempt heralds.
    pub success: f64,
}

impl FidelityLevel {
    /// The mean time from one pair to the next with one memory at each end that is never in use otherwise, in seconds.
    pub fn time_per_pair(&self, cycle: Duration) -> f64 {
        cycle.seconds() / self.success
    }
}

/// All ways to run a link.
#[derive(Clone, Debug, PartialEq)]
pub struct FidelityTable {
    /// The brightest first.
    levels: Vec<FidelityLevel>,
}

/// Why a table of fidelities cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum FidelityTableError {
    /// There is nothing to choose from.
    #[error("the table of fidelities is empty; a link needs at least one level")]
    Empty,
    /// A field is no probability, or nothing ever succeeds.
    #[error(
        "{level:?}: fidelity and brightness must be from 0 to 1, the success probability above 0 and at most 1"
    )]
    Level {
        /// The level at fault.
        level: FidelityLevel,
    },
}

impl FidelityTable {
    /// The table of these levels, in any order.
    ///
    /// # Errors
    /// If there is none, or one has numbers that are no probabilities.
    pub fn new(mut levels: Vec<FidelityLevel>) -> Result<Self, FidelityTableError> {
        if levels.is_empty() {
            return Err(FidelityTableError::Empty);
        }
        let unit = 0.0..=1.0;
        let sound = |l: &FidelityLevel| {
            unit.contains(&l.brightness) && unit.contains(&l.fidelity) && l.success > 0.0 && l.success <= 1.0
        };
        if let Some(&level) = levels.iter().find(|level| !sound(level)) {
            return Err(FidelityTableError::Level { level });
        }
        levels.sort_by(|a, b| b.brightness.total_cmp(&a.brightness));
        Ok(Self { levels })
    }

    /// The brightest level that promises at least `fidelity`.
    pub fn choose(&self, fidelity: f64) -> Option<&FidelityLevel> {
        self.levels.iter().find(|level| level.fidelity >= fidelity)
    }
    /// The highest fidelity that can be had.
    pub fn best(&self) -> f64 {
        self.levels.iter().map(|level| level.fidelity).fold(0.0, f64::max)
    }
    /// All levels, the brightest first.
    pub fn levels(&self) -> &[FidelityLevel] {
        &self.levels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brightest_level_that_suffices_is_chosen() {
        let level = |brightness: f64| FidelityLevel {
            brightness,
            fidelity: 1.0 - brightness,
            success: 2e-3 * brightness,
        };
        let table = FidelityTable::new([0.05, 0.3, 0.1, 0.2].map(level).to_vec()).unwrap();
        assert_eq!(table.choose(0.0).unwrap().brightness, 0.3);
        assert_eq!(table.choose(0.85).unwrap().brightness, 0.1);
        assert_eq!(table.choose(0.95).unwrap().brightness, 0.05);
        assert_eq!(table.choose(0.951), None);
        assert_eq!(table.best(), 0.95);
        // 10 µs a cycle, one success in 5000.
        let time = level(0.1).time_per_pair(Duration::from_microseconds(10));
        assert!((time - 0.05).abs() < 1e-12);
    }

    #[test]
    fn tables_of_no_use_are_refused() {
        assert_eq!(FidelityTable::new(Vec::new()), Err(FidelityTableError::Empty));
        for (fidelity, success) in [(f64::NAN, 0.1), (0.9, 0.0), (1.1, 0.1), (0.9, 1.5)] {
            let level = FidelityLevel { brightness: 0.1, fidelity, success };
            assert!(matches!(FidelityTable::new(vec![level]), Err(FidelityTableError::Level { .. })));
        }
    }
}
