//! Transforms one by one, for correlations that are cut into tiles by the caller.

use super::basis::{BasisChange, Change};
use super::fill;
use super::transform::Transform;
use crate::arch::{Backend, Kernel, Lanes};
use crate::gf128::multiply_lanes;
use zeroize::Zeroize;

/// Transforms of one length, whose values are kept as elements and not as vectors of an instruction set.
pub(crate) struct Tile {
    log: u32,
    basis: BasisChange,
}

impl Tile {
    /// Transforms of 2^`log` words.
    pub(crate) fn new(log: u32) -> Self {
        Self { log, basis: BasisChange::new(log) }
    }

    /// How many words are transformed.
    pub(crate) fn words(&self) -> usize {
        1 << self.log
    }

    /// The values of the polynomial with the coefficients `words`, followed by zeros.
    pub(crate) fn evaluate(&self, backend: Backend, words: &[u64], values: &mut [[u128; 4]]) {
        backend.run(Evaluate::<false> { tile: self, words, values });
    }

    /// The transpose of the inverse of [`evaluate`](Self::evaluate).
    pub(crate) fn evaluate_swapped(&self, backend: Backend, words: &[u64], values: &mut [[u128; 4]]) {
        backend.run(Evaluate::<true> { tile: self, words, values });
    }

    /// The transpose of [`evaluate`](Self::evaluate): the low and the high words of the coefficients' products.
    pub(crate) fn evaluate_transposed(
        &self,
        backend: Backend,
        values: &mut [[u128; 4]],
    ) -> (Vec<u64>, Vec<u64>) {
        backend.run(EvaluateTransposed { tile: self, values })
    }
}

/// Adds to every total i the sum over k of `windows[i + k] kernels[k]`, value by value.
pub(crate) fn accumulate<const N: usize>(
    backend: Backend,
    windows: &[[[u128; 4]; N]],
    kernels: &[[[u128; 4]; N]],
    totals: &mut [[[u128; 4]; N]],
) {
    backend.run(Accumulate { windows, kernels, totals });
}

struct Evaluate<'a, const SWAPPED: bool> {
    tile: &'a Tile,
    words: &'a [u64],
    values: &'a mut [[u128; 4]],
}

impl<const SWAPPED: bool> Kernel for Evaluate<'_, SWAPPED> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let transform = Transform::new(self.tile.log);
        let mut coefficients = vec![0; self.tile.words()];
        fill(&mut coefficients, self.words);
        if SWAPPED {
            self.tile.basis.apply::<{ Change::INVERSE_TRANSPOSED }>(&mut coefficients);
        } else {
            self.tile.basis.apply::<{ Change::FORWARD }>(&mut coefficients);
        }
        let mut vectors = vec![lanes.splat(0); transform.vectors()];
        transform.evaluate::<L, SWAPPED>(lanes, &coefficients, &mut vectors);
        for (value, &vector) in self.values.iter_mut().zip(&vectors) {
            *value = lanes.unpack(vector);
        }
        lanes.wipe(&mut vectors);
        coefficients.zeroize();
    }
}

struct EvaluateTransposed<'a> {
    tile: &'a Tile,
    values: &'a mut [[u128; 4]],
}

impl Kernel for EvaluateTransposed<'_> {
    type Output = (Vec<u64>, Vec<u64>);

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> (Vec<u64>, Vec<u64>) {
        let transform = Transform::new(self.tile.log);
        let mut vectors: Vec<_> = self.values.iter().map(|value| lanes.pack(*value)).collect();
        let (mut low, mut high) = (vec![0; self.tile.words()], vec![0; self.tile.words()]);
        transform.evaluate_transposed(lanes, &mut vectors, &mut low, &mut high);
        self.tile.basis.apply::<{ Change::TRANSPOSED }>(&mut low);
        self.tile.basis.apply::<{ Change::TRANSPOSED }>(&mut high);
        lanes.wipe(&mut vectors);
        (low, high)
    }
}

struct Accumulate<'a, const N: usize> {
    windows: &'a [[[u128; 4]; N]],
    kernels: &'a [[[u128; 4]; N]],
    totals: &'a mut [[[u128; 4]; N]],
}

impl<const N: usize> Kernel for Accumulate<'_, N> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        for (i, totals) in self.totals.iter_mut().enumerate() {
            for (at, total) in totals.iter_mut().enumerate() {
                let mut sum = lanes.pack(*total);
                for (window, kernel) in self.windows[i..].iter().zip(self.kernels) {
                    let product = multiply_lanes(lanes, lanes.pack(window[at]), lanes.pack(kernel[at]));
                    sum = lanes.xor(sum, product);
                }
                *total = lanes.unpack(sum);
            }
        }
    }
}
