//! Chains that swap whatever can be swapped at once, as an absorbing Markov chain that is solved exactly.
//!
//! One step: every link without a pair attempts one; then every run of neighbouring pairs is swapped into one at all
//! its inner nodes together, and lost whole if one of these swaps fails; a pair from end to end ends the chain; then
//! the pairs that are left age by one step, and those older than the cutoff are discarded. A fresh pair has the age 0,
//! and a swapped pair the age of the oldest pair in it. Published decision processes order these steps in other
//! ways; figures can be compared only where the order is the same.

use crate::parameter::{ParameterError, chance, within};
use std::collections::BTreeMap;

/// More states than this take too long to solve.
const MOST_STATES: usize = 3000;

/// Why a chain's mean time cannot be had.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MarkovError {
    /// A parameter cannot be.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// There are too many states.
    #[error(
        "a chain of {links} links with this cutoff has more than {MOST_STATES} states: \
         take fewer links or a shorter cutoff"
    )]
    TooManyStates {
        /// How many links the chain has.
        links: usize,
    },
}

/// A pair: the nodes it joins, the left one first, and its age in steps.
type Held = (u8, u8, u16);

/// A chain of equal links, one pair a link at a time, that swaps as soon as possible.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SwapAsSoonAsPossible {
    links: u8,
    link_success: f64,
    swap_success: f64,
    cutoff: Option<u16>,
}

impl SwapAsSoonAsPossible {
    /// A chain of `links` links, of which an attempt succeeds with `link_success` and a swap with `swap_success`.
    ///
    /// # Errors
    /// There are not 1 to 8 links, or a probability is not above 0 and at most 1.
    pub fn new(links: usize, link_success: f64, swap_success: f64) -> Result<Self, ParameterError> {
        Ok(Self {
            links: within("the number of links", links, 1, 8, "1 to 8")? as u8,
            link_success: chance("the success probability of an attempt", link_success)?,
            swap_success: chance("the success probability of a swap", swap_success)?,
            cutoff: None,
        })
    }

    /// Pairs that are older than `steps` at the end of a step are discarded.
    pub const fn with_cutoff(mut self, steps: u16) -> Self {
        self.cutoff = Some(steps);
        self
    }

    /// The mean number of steps until a pair joins the ends.
    ///
    /// # Errors
    /// There are more states than can be solved.
    pub fn mean_attempts(&self) -> Result<f64, MarkovError> {
        let mut states = vec![Vec::new()];
        let mut number = BTreeMap::from([(Vec::new(), 0)]);
        let mut rows: Vec<Vec<(usize, f64)>> = Vec::new();
        while rows.len() < states.len() {
            let mut row = Vec::new();
            for (state, probability) in self.step(&states[rows.len()]) {
                let next = *number.entry(state).or_insert_with_key(|state| {
                    states.push(state.clone());
                    states.len() - 1
                });
                row.push((next, probability));
            }
            if states.len() > MOST_STATES {
                return Err(MarkovError::TooManyStates { links: usize::from(self.links) });
            }
            rows.push(row);
        }
        Ok(mean_absorption(&rows))
    }

    /// Where a step from `state` leads, but for the end.
    fn step(&self, state: &[Held]) -> BTreeMap<Vec<Held>, f64> {
        let mut free: Vec<u8> = (0..self.links).collect();
        free.retain(|link| !state.iter().any(|(from, to, _)| from <= link && link < to));
        let mut next = BTreeMap::new();
        for successes in 0..1u32 << free.len() {
            let made = successes.count_ones() as i32;
            let probability = libm::pow(self.link_success, f64::from(made))
                * libm::pow(1.0 - self.link_success, f64::from(free.len() as i32 - made));
            if probability == 0.0 {
                continue;
            }
            let fresh = free.iter().enumerate().filter(|(bit, _)| successes >> bit & 1 == 1);
            let mut pairs = state.to_vec();
            pairs.extend(fresh.map(|(_, &link)| (link, link + 1, 0)));
            pairs.sort_unstable();
            let mut kept = Vec::with_capacity(pairs.len());
            self.swap(&runs(&pairs), &mut kept, probability, &mut next);
        }
        next
    }

    /// Swaps the runs of pairs one after another, with both outcomes of each, and ages what is kept.
    fn swap(
        &self,
        runs: &[(Held, i32)],
        kept: &mut Vec<Held>,
        probability: f64,
        next: &mut BTreeMap<Vec<Held>, f64>,
    ) {
        let Some(&((from, to, age), swaps)) = runs.first() else {
            *next.entry(kept.clone()).or_default() += probability;
            return;
        };
        let success = libm::pow(self.swap_success, f64::from(swaps));
        if success < 1.0 {
            self.swap(&runs[1..], kept, probability * (1.0 - success), next);
        }
        if from == 0 && to == self.links {
            return;
        }
        // Without a cutoff ages do not matter, and are not told apart.
        let aged = match self.cutoff {
            None => Some(0),
            Some(cutoff) => Some(age + 1).filter(|age| *age <= cutoff),
        };
        let length = kept.len();
        kept.extend(aged.map(|age| (from, to, age)));
        self.swap(&runs[1..], kept, probability * success, next);
        kept.truncate(length);
    }
}

/// The runs of neighbouring pairs: what each becomes by swapping, and by how many swaps.
fn runs(pairs: &[Held]) -> Vec<(Held, i32)> {
    let mut runs: Vec<(Held, i32)> = Vec::new();
    for &(from, to, age) in pairs {
        match runs.last_mut() {
            Some(((_, end, oldest), swaps)) if *end == from => {
                *end = to;
                *oldest = age.max(*oldest);
                *swaps += 1;
            }
            _ => runs.push(((from, to, age), 0)),
        }
    }
    runs
}

/// The mean number of steps from state 0 until the chain is left: (1 - P) t = 1, by elimination with pivots.
fn mean_absorption(rows: &[Vec<(usize, f64)>]) -> f64 {
    let n = rows.len();
    let mut matrix: Vec<Vec<f64>> = rows
        .iter()
        .enumerate()
        .map(|(place, row)| {
            let mut dense = vec![0.0; n + 1];
            dense[place] = 1.0;
            dense[n] = 1.0;
            for (state, probability) in row {
                dense[*state] -= probability;
            }
            dense
        })
        .collect();
    // The first state is eliminated last, so that its mean stands alone at the end.
    for column in (1..n).rev() {
        let (above, below) = matrix.split_at_mut(column);
        let largest = (0..column)
            .max_by(|a, b| libm::fabs(above[*a][column]).total_cmp(&libm::fabs(above[*b][column])));
        if let Some(pivot) =
            largest.filter(|at| libm::fabs(above[*at][column]) > libm::fabs(below[0][column]))
        {
            core::mem::swap(&mut above[pivot], &mut below[0]);
        }
        let chosen = &below[0];
        for row in above {
            let factor = row[column] / chosen[column];
            if factor != 0.0 {
                for (value, subtrahend) in row[..column].iter_mut().zip(&chosen[..column]) {
                    *value -= factor * subtrahend;
                }
                row[n] -= factor * chosen[n];
            }
        }
    }
    matrix[0][n] / matrix[0][0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::waiting::maximum_of_geometrics;

    #[test]
    fn without_failing_swaps_the_chain_waits_for_its_last_link() {
        for links in 1..=6 {
            let chain = SwapAsSoonAsPossible::new(links, 0.2, 1.0).unwrap();
            let expected = maximum_of_geometrics(links as u32, 0.2).unwrap();
            assert!((chain.mean_attempts().unwrap() / expected - 1.0).abs() < 1e-12, "{links}");
        }
    }

    #[test]
    fn a_long_cutoff_changes_little_and_a_short_one_much() {
        let chain = SwapAsSoonAsPossible::new(3, 0.6, 0.8).unwrap();
        let free = chain.mean_attempts().unwrap();
        assert!((chain.with_cutoff(25).mean_attempts().unwrap() / free - 1.0).abs() < 1e-6);
        // With no waiting at all, all links must come in one step.
        let at_once = chain.with_cutoff(0).mean_attempts().unwrap();
        assert!((at_once - 1.0 / (0.6f64.powi(3) * 0.8 * 0.8)).abs() < 1e-9);
    }

    #[test]
    fn what_cannot_be_solved_is_refused() {
        assert!(SwapAsSoonAsPossible::new(9, 0.5, 0.5).is_err());
        assert!(SwapAsSoonAsPossible::new(2, 0.0, 0.5).is_err());
        let large = SwapAsSoonAsPossible::new(8, 0.5, 0.5).unwrap().with_cutoff(50);
        assert_eq!(large.mean_attempts(), Err(MarkovError::TooManyStates { links: 8 }));
    }
}
