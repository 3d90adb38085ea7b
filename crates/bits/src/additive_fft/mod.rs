//! Correlation of long polynomials over GF(2) by additive Fourier transforms over GF(2^128).
//!
//! A word of 64 bits is a polynomial of degree below 64, and a product of two fits the field without being
//! reduced, so that sums of products of words can be computed in the field. Transforms are those of Lin,
//! Chung & Han ("Novel polynomial basis and its application to Reed-Solomon erasure codes", FOCS 2014) over a
//! Cantor basis (Cantor, J. Comb. Theory A 50, 285 (1989)), with the change of basis of Lin, Al-Naffouri &
//! Han (IEEE Trans. Inf. Theory 62, 6284 (2016)), as Chen, Cheng, Kuo, Li & Yang use them for multiplication
//! over GF(2) (arXiv:1708.09746).
//!
//! What is wanted is not a product but a correlation, the sum over k of `window[i + k] kernel[k]`. As a function of
//! the window it is the transpose of multiplication by the kernel, so that by transposing each step of
//! "transform, multiply, transform back" it takes transforms as long as the window alone.
//!
//! With v_0, v_1, .. the Cantor basis (v_0 = 1, v_(i+1)^2 + v_(i+1) = v_i), point number j is the sum of the
//! v_i at the ones of j. A transform of 2^K coefficients in the novel basis has layers k = K .. 1; layer k
//! takes blocks of 2^k, and block b maps its halves (low, high) to low' = low + w high, high' = low' + high
//! where w is point number 2b. Nothing depends on secret values but the values themselves.

pub(crate) mod basis;
mod cantor;
mod tile;
mod transform;

use crate::arch::Lanes;
use crate::gf128::multiply_lanes;
use basis::{BasisChange, Change};
pub(crate) use tile::{Tile, accumulate};
use transform::Transform;
use zeroize::Zeroize;

/// The logarithm of the least transform.
const LEAST_LOG: u32 = 4;
/// How a correlation is cut into transforms of one length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The logarithm of the transforms' length.
    log: u32,
    /// How many words of the kernel go into one transform.
    piece: usize,
}

impl Plan {
    /// The plan with transforms of 2^`log` points, which must be more than `sums`.
    pub(crate) fn with_log(log: u32, kernel: usize, sums: usize) -> Self {
        Self { log, piece: ((1 << log) - sums + 1).min(kernel) }
    }

    /// The plan of least work for a kernel of `kernel` words and `sums` sums, and that work: about the number
    /// of butterflies.
    pub(crate) fn best(kernel: usize, sums: usize) -> (Self, f64) {
        let least = (sums + 1).next_power_of_two().trailing_zeros().max(LEAST_LOG);
        let most = (kernel + sums).next_power_of_two().trailing_zeros().max(LEAST_LOG);
        let plan = |log| Self::with_log(log, kernel, sums);
        let cost = |plan: &Self| {
            let transforms = 2 * kernel.div_ceil(plan.piece) + 1;
            // Measured: each doubling beyond what the second-level cache holds costs an eighth more.
            let memory = 1.125_f64.powi(plan.log.saturating_sub(13) as i32);
            (transforms << (plan.log - 1)) as f64 * f64::from(plan.log + 1) * memory
        };
        let mut best = plan(least);
        for log in least + 1..=most {
            if cost(&plan(log)) < cost(&best) {
                best = plan(log);
            }
        }
        (best, cost(&best))
    }

    /// The low and the high words of `sums[i] = sum over k of window[i + k] kernel[k]`, for `sums` sums. The
    /// window has as many words as the kernel and the sums together, less one.
    #[inline(always)]
    pub(crate) fn correlate<L: Lanes>(
        self,
        lanes: L,
        window: &[u64],
        kernel: &[u64],
        sums: usize,
    ) -> (Vec<u64>, Vec<u64>) {
        let (basis, transform) = (BasisChange::new(self.log), Transform::new(self.log));
        let zero = lanes.splat(0);
        let mut words = vec![0; 1 << self.log];
        let mut kernel_values = vec![zero; transform.vectors()];
        let mut window_values = vec![zero; transform.vectors()];
        let mut total = vec![zero; transform.vectors()];
        for start in (0..kernel.len()).step_by(self.piece) {
            let end = (start + self.piece).min(kernel.len());
            fill(&mut words, &kernel[start..end]);
            basis.apply::<{ Change::FORWARD }>(&mut words);
            transform.evaluate::<L, false>(lanes, &words, &mut kernel_values);
            fill(&mut words, &window[start..end + sums - 1]);
            basis.apply::<{ Change::INVERSE_TRANSPOSED }>(&mut words);
            transform.evaluate::<L, true>(lanes, &words, &mut window_values);
            for ((total, &a), &b) in total.iter_mut().zip(&kernel_values).zip(&window_values) {
                *total = lanes.xor(*total, multiply_lanes(lanes, a, b));
            }
        }
        let (mut low, mut high) = (words, vec![0; 1 << self.log]);
        transform.evaluate_transposed(lanes, &mut total, &mut low, &mut high);
        lanes.wipe(&mut kernel_values);
        lanes.wipe(&mut total);
        for half in [&mut low, &mut high] {
            basis.apply::<{ Change::TRANSPOSED }>(half);
            half[sums..].zeroize();
            half.truncate(sums);
        }
        (low, high)
    }
}

/// Copies `words` to the front of `buffer` and fills up with zeros.
fn fill(buffer: &mut [u64], words: &[u64]) {
    let (front, back) = buffer.split_at_mut(words.len());
    front.copy_from_slice(words);
    back.fill(0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn plans_hold_what_they_cut(kernel in 1usize..3_000_000, sums in 1usize..3_000_000) {
            let (plan, work) = Plan::best(kernel, sums);
            prop_assert!(plan.piece >= 1 && plan.piece + sums - 1 <= 1 << plan.log);
            prop_assert!(work > 0.0);
            prop_assert!((LEAST_LOG as usize..cantor::BASIS_LEN).contains(&(plan.log as usize)));
        }
    }
}
