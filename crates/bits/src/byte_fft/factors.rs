//! Products of values of transforms.

use super::Element;
use super::field::CONSTANT;
use crate::arch::{ByteKernel, ByteLanes};

/// Low half, high half and their sum: Karatsuba's three factors of a product in GF(2^16).
type Factor<V> = [V; 3];

/// How many totals are computed at a time, from as many registers.
const TOGETHER: usize = 4;

/// From so many totals and kernels on, three quarters of the products do.
const WORTH_HALVING: usize = 8;

/// Sums of products, for all elements of a piece of many transforms.
///
/// Total i is the sum over k of `windows[i + k] kernels[k]`: a Toeplitz matrix of transforms times a column of them. It is
/// halved, where that pays, as (S0 S1; S1 S2) (X0; X1) takes the three products S1 (X0 + X1), (S0 + S1) X0 and
/// (S1 + S2) X1, with even and odd places for the two halves.
pub(crate) struct Factors<L: ByteLanes> {
    lanes: L,
    window_count: usize,
    kernel_count: usize,
    windows: Vec<Factor<L::Vector>>,
    kernels: Vec<Factor<L::Vector>>,
    halved_windows: Vec<Factor<L::Vector>>,
    halved_kernels: Vec<Factor<L::Vector>>,
    sums: Vec<Element<L>>,
}

impl<L: ByteLanes> Factors<L> {
    /// For so many windows and kernels.
    pub(crate) fn new(lanes: L, windows: usize, kernels: usize) -> Self {
        Self {
            lanes,
            window_count: windows,
            kernel_count: kernels,
            windows: Vec::new(),
            kernels: Vec::new(),
            halved_windows: Vec::new(),
            halved_kernels: Vec::new(),
            sums: Vec::new(),
        }
    }

    /// Adds the products of windows and kernels to the totals, value by value.
    pub(crate) fn accumulate<'a, const N: usize>(
        &mut self,
        windows: impl Iterator<Item = &'a [Element<L>; N]>,
        kernels: &[[Element<L>; N]],
        totals: &mut [[Element<L>; N]],
    ) where
        L: 'a,
    {
        let lanes = self.lanes;
        lanes.run(Accumulate { factors: self, windows, kernels, totals });
    }
}

impl<L: ByteLanes> Drop for Factors<L> {
    fn drop(&mut self) {
        self.lanes.wipe(self.kernels.as_flattened_mut());
        self.lanes.wipe(self.halved_kernels.as_flattened_mut());
        self.lanes.wipe(self.sums.as_flattened_mut());
    }
}

struct Accumulate<'a, 'b, L: ByteLanes, W, const N: usize> {
    factors: &'a mut Factors<L>,
    windows: W,
    kernels: &'a [[Element<L>; N]],
    totals: &'b mut [[Element<L>; N]],
}

impl<'w, L: ByteLanes + 'w, W: Iterator<Item = &'w [Element<L>; N]>, const N: usize> ByteKernel<L>
    for Accumulate<'_, '_, L, W, N>
{
    type Output = ();

    #[inline(always)]
    fn run(self, lanes: L) {
        let Self { factors, windows, kernels, totals } = self;
        let Factors { windows: all_windows, kernels: all_kernels, sums: all_sums, .. } = factors;
        let halved = totals.len().min(kernels.len()) >= WORTH_HALVING;
        debug_assert!(factors.window_count + 1 == totals.len() + kernels.len());
        debug_assert!(kernels.len() == factors.kernel_count);
        // Halves take even numbers: the last total may be void, and what is not there is zero.
        let total_row = totals.len().next_multiple_of(2);
        let kernel_row = kernels.len().next_multiple_of(2);
        let window_row = total_row + kernel_row;
        let zero = [lanes.splat(0); 3];
        all_windows.resize(N * window_row, zero);
        all_kernels.resize(N * kernel_row, zero);
        all_sums.resize(N * total_row * 2, [zero[0]; 2]);
        split(lanes, windows, all_windows, window_row);
        split(lanes, kernels.iter(), all_kernels, kernel_row);
        let rows = all_windows.chunks_exact(window_row).zip(all_kernels.chunks_exact(kernel_row));
        for ((windows, kernels), sums) in rows.zip(all_sums.chunks_exact_mut(total_row * 2)) {
            if !halved {
                sums_of_products(lanes, windows, kernels, &mut sums[..total_row]);
                continue;
            }
            halve_windows(lanes, windows, &mut factors.halved_windows);
            halve_kernels(lanes, kernels, &mut factors.halved_kernels);
            let windows = factors.halved_windows.chunks_exact(window_row / 2);
            let kernels = factors.halved_kernels.chunks_exact(kernel_row / 2);
            let thirds = sums[total_row / 2..].chunks_exact_mut(total_row / 2);
            for ((windows, kernels), sums) in windows.zip(kernels).zip(thirds) {
                sums_of_products(lanes, windows, kernels, sums);
            }
            // From the front on, each sum is written where nothing is read any more.
            for pair in 0..total_row / 2 {
                let [shared, even, odd] =
                    core::array::from_fn(|third| sums[(third + 1) * (total_row / 2) + pair]);
                sums[2 * pair] = add(lanes, shared, even);
                sums[2 * pair + 1] = add(lanes, shared, odd);
            }
        }
        for (place, total) in totals.iter_mut().enumerate() {
            for (at, element) in total.iter_mut().enumerate() {
                *element = add(lanes, *element, all_sums[at * total_row * 2 + place]);
            }
        }
    }
}

#[inline(always)]
fn add<L: ByteLanes>(lanes: L, a: Element<L>, b: Element<L>) -> Element<L> {
    [lanes.xor(a[0], b[0]), lanes.xor(a[1], b[1])]
}

#[inline(always)]
fn add_factors<L: ByteLanes>(lanes: L, a: Factor<L::Vector>, b: Factor<L::Vector>) -> Factor<L::Vector> {
    [lanes.xor(a[0], b[0]), lanes.xor(a[1], b[1]), lanes.xor(a[2], b[2])]
}

/// Writes the factors of element `at` of each piece to row `at`.
#[inline(always)]
fn split<'a, L: ByteLanes + 'a, const N: usize>(
    lanes: L,
    pieces: impl Iterator<Item = &'a [Element<L>; N]>,
    to: &mut [Factor<L::Vector>],
    row: usize,
) {
    for (place, piece) in pieces.enumerate() {
        for (at, &[low, high]) in piece.iter().enumerate() {
            to[at * row + place] = [low, high, lanes.xor(low, high)];
        }
    }
}

/// Three rows of a row: S1, S0 + S1 and S1 + S2, where S0 and S1 are the even and the odd places and S2 the even ones
/// after S1.
#[inline(always)]
fn halve_windows<L: ByteLanes>(lanes: L, row: &[Factor<L::Vector>], to: &mut Vec<Factor<L::Vector>>) {
    let zero = [lanes.splat(0); 3];
    let half = row.len() / 2;
    to.resize(3 * half, zero);
    let (first, rest) = to.split_at_mut(half);
    let (second, third) = rest.split_at_mut(half);
    let (pairs, _) = row.as_chunks::<2>();
    for (place, &[even, odd]) in pairs.iter().enumerate() {
        let next = pairs.get(place + 1).map_or(zero, |pair| pair[0]);
        first[place] = odd;
        second[place] = add_factors(lanes, even, odd);
        third[place] = add_factors(lanes, odd, next);
    }
}

/// Three rows of a row: X0 + X1, X0 and X1.
#[inline(always)]
fn halve_kernels<L: ByteLanes>(lanes: L, row: &[Factor<L::Vector>], to: &mut Vec<Factor<L::Vector>>) {
    let half = row.len() / 2;
    to.resize(3 * half, [lanes.splat(0); 3]);
    let (first, rest) = to.split_at_mut(half);
    let (second, third) = rest.split_at_mut(half);
    for (place, &[even, odd]) in row.as_chunks::<2>().0.iter().enumerate() {
        first[place] = add_factors(lanes, even, odd);
        second[place] = even;
        third[place] = odd;
    }
}

/// `sums[i]` = sum over k of `windows[i + k] kernels[k]`, for windows that are at least as many as both together, less one.
#[inline(always)]
fn sums_of_products<L: ByteLanes>(
    lanes: L,
    windows: &[Factor<L::Vector>],
    kernels: &[Factor<L::Vector>],
    sums: &mut [Element<L>],
) {
    for (group, sums) in sums.chunks_mut(TOGETHER).enumerate() {
        let windows = &windows[TOGETHER * group..];
        let mut totals = [[lanes.splat(0); 3]; TOGETHER];
        let whole = if sums.len() == TOGETHER { kernels.len() / 2 } else { 0 };
        // Two kernels at a time, so that windows are loaded once for both.
        let pairs = kernels.as_chunks::<2>().0.iter().take(whole);
        for (windows, &[first, second]) in windows.windows(TOGETHER + 1).step_by(2).zip(pairs) {
            for (place, window) in windows.iter().enumerate() {
                for part in 0..3 {
                    if place < TOGETHER {
                        let product = lanes.multiply(window[part], first[part]);
                        totals[place][part] = lanes.xor(totals[place][part], product);
                    }
                    if place > 0 {
                        let product = lanes.multiply(window[part], second[part]);
                        totals[place - 1][part] = lanes.xor(totals[place - 1][part], product);
                    }
                }
            }
        }
        for (index, kernel) in kernels.iter().enumerate().skip(2 * whole) {
            for (total, window) in totals.iter_mut().zip(&windows[index..]).take(sums.len()) {
                for part in 0..3 {
                    total[part] = lanes.xor(total[part], lanes.multiply(window[part], kernel[part]));
                }
            }
        }
        for ([low, high, both], sum) in totals.into_iter().zip(sums) {
            let reduced = lanes.multiply(high, lanes.splat(CONSTANT));
            *sum = [lanes.xor(low, reduced), lanes.xor(low, both)];
        }
    }
}
