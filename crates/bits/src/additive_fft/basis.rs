//! The change between powers of x and the novel basis.

use core::ops::BitXorAssign;

/// One step of the change of basis: in each block of two halves, word i of the upper is added to word
/// i - distance.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    /// How many words a half has.
    pub(crate) half: usize,
    /// How far apart the words lie that are added.
    pub(crate) distance: usize,
}

/// The change of basis for polynomials of a given length, as a schedule of steps.
pub(super) struct BasisChange {
    steps: Vec<Step>,
}

impl BasisChange {
    /// For polynomials of 2^`log` coefficients.
    pub(super) fn new(log: u32) -> Self {
        let mut steps = Vec::new();
        change_of_basis(log, 0, &mut steps);
        Self { steps }
    }

    /// Changes the basis of 2^log coefficients in the way `CHANGE`.
    #[inline(always)]
    pub(super) fn apply<const CHANGE: u8>(&self, words: &mut [u64]) {
        // The last steps work within blocks of 256 words, which is done faster with all lengths known.
        let outer =
            if words.len() < 256 { &self.steps } else { &self.steps[..self.steps.len() - INNER_STEPS] };
        if CHANGE == Change::TRANSPOSED {
            words.as_chunks_mut().0.iter_mut().for_each(inner_steps_transposed);
            for step in outer.iter().rev() {
                words
                    .chunks_exact_mut(2 * step.half)
                    .for_each(|block| change_step::<CHANGE, u64>(block, step.distance));
            }
        } else {
            for step in outer {
                words
                    .chunks_exact_mut(2 * step.half)
                    .for_each(|block| change_step::<CHANGE, u64>(block, step.distance));
            }
            words.as_chunks_mut().0.iter_mut().for_each(inner_steps::<CHANGE>);
        }
    }
}

/// The steps of the change of basis of 2^`log` units of 2^`unit_log` words each.
///
/// With k the greatest power of two below `log`, the polynomial is expanded in powers of x^(2^k) + x, which
/// is the novel basis's element number 2^k; then the powers and the coefficients are each changed alike.
pub(crate) fn change_of_basis(log: u32, unit_log: u32, steps: &mut Vec<Step>) {
    if log <= 1 {
        return;
    }
    let k = log.next_power_of_two() / 2;
    for size in (k + 1..=log).rev() {
        let half = 1 << (size - 1);
        steps.push(Step { half: half << unit_log, distance: (half - (half >> k)) << unit_log });
    }
    change_of_basis(log - k, unit_log + k, steps);
    change_of_basis(k, unit_log, steps);
}

/// The three ways in which the basis is changed, as constant parameters.
pub(crate) struct Change;

impl Change {
    /// From coefficients of powers of x to coefficients of the novel basis.
    pub(crate) const FORWARD: u8 = 0;
    /// The transpose of that.
    pub(crate) const TRANSPOSED: u8 = 1;
    /// The transpose of its inverse.
    pub(crate) const INVERSE_TRANSPOSED: u8 = 2;
}

/// One [`Step`] on one block.
#[inline(always)]
pub(crate) fn change_step<const CHANGE: u8, W: BitXorAssign + Copy>(block: &mut [W], distance: usize) {
    let half = block.len() / 2;
    let mut done = 0;
    while done < half {
        // No more at a time than the distance, so that what is read and what is written lie apart.
        let len = distance.min(half - done);
        let start = if CHANGE == Change::TRANSPOSED { half + done } else { block.len() - done - len };
        let (below, above) = block.split_at_mut(start);
        let (low, high) = (&mut below[start - distance..start - distance + len], &mut above[..len]);
        if CHANGE == Change::FORWARD {
            add(low, high);
        } else {
            add(high, low);
        }
        done += len;
    }
}

/// How many of a transform's steps are done by [`inner_steps`].
const INNER_STEPS: usize = 12;

#[inline(always)]
fn steps_within<const CHANGE: u8>(block: &mut [u64; 256], half: usize, distance: usize) {
    for part in block.chunks_exact_mut(2 * half) {
        change_step::<CHANGE, u64>(part, distance);
    }
}

/// The steps that `change_of_basis(8, 0, ..)` lists.
#[inline(always)]
fn inner_steps<const CHANGE: u8>(block: &mut [u64; 256]) {
    steps_within::<CHANGE>(block, 128, 120);
    steps_within::<CHANGE>(block, 64, 60);
    steps_within::<CHANGE>(block, 32, 30);
    steps_within::<CHANGE>(block, 16, 15);
    steps_within::<CHANGE>(block, 128, 96);
    steps_within::<CHANGE>(block, 64, 48);
    steps_within::<CHANGE>(block, 128, 64);
    steps_within::<CHANGE>(block, 32, 16);
    for part in block.as_chunks_mut::<16>().0 {
        let mut words = *part;
        innermost_steps::<CHANGE>(&mut words);
        *part = words;
    }
}

/// The transpose: the same steps in reverse.
#[inline(always)]
fn inner_steps_transposed(block: &mut [u64; 256]) {
    const CHANGE: u8 = Change::TRANSPOSED;
    for part in block.as_chunks_mut::<16>().0 {
        let mut words = *part;
        words.as_chunks_mut::<4>().0.iter_mut().for_each(|part| change_step::<CHANGE, u64>(part, 1));
        change_step::<CHANGE, u64>(&mut words, 4);
        words.as_chunks_mut::<8>().0.iter_mut().for_each(|part| change_step::<CHANGE, u64>(part, 3));
        change_step::<CHANGE, u64>(&mut words, 6);
        *part = words;
    }
    steps_within::<CHANGE>(block, 32, 16);
    steps_within::<CHANGE>(block, 128, 64);
    steps_within::<CHANGE>(block, 64, 48);
    steps_within::<CHANGE>(block, 128, 96);
    steps_within::<CHANGE>(block, 16, 15);
    steps_within::<CHANGE>(block, 32, 30);
    steps_within::<CHANGE>(block, 64, 60);
    steps_within::<CHANGE>(block, 128, 120);
}

#[inline(always)]
fn innermost_steps<const CHANGE: u8>(words: &mut [u64; 16]) {
    change_step::<CHANGE, u64>(words, 6);
    words.as_chunks_mut::<8>().0.iter_mut().for_each(|part| change_step::<CHANGE, u64>(part, 3));
    change_step::<CHANGE, u64>(words, 4);
    words.as_chunks_mut::<4>().0.iter_mut().for_each(|part| change_step::<CHANGE, u64>(part, 1));
}

#[inline(always)]
fn add<W: BitXorAssign + Copy>(to: &mut [W], from: &[W]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to ^= *from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inner_steps_are_those_of_the_schedule() {
        for log in [8, 9, 13, 17, 20] {
            let steps = BasisChange::new(log).steps;
            let inner: Vec<_> =
                steps[steps.len() - INNER_STEPS..].iter().map(|s| (s.half, s.distance)).collect();
            let expected = [
                (128, 120),
                (64, 60),
                (32, 30),
                (16, 15),
                (128, 96),
                (64, 48),
                (128, 64),
                (32, 16),
                (8, 6),
                (4, 3),
                (8, 4),
                (2, 1),
            ];
            assert_eq!(inner, expected);
        }
    }
}
