//! The layers of the additive transform and their transposes.

use super::LEAST_LOG;
use super::cantor::{BASIS, BASIS_LEN, point, point_steps, raise};
use crate::arch::Lanes;
use crate::gf128::{Factor, scale};
use core::iter::Zip;
use core::slice::IterMut;

/// The logarithm of the vectors (64 bytes) that are transformed while they are in the second-level cache.
const CACHED_LOG: u32 = 13;

/// A transform of 2^log points.
pub(super) struct Transform {
    log: u32,
}

impl Transform {
    pub(super) fn new(log: u32) -> Self {
        debug_assert!((LEAST_LOG as usize..BASIS_LEN).contains(&(log as usize)));
        Self { log }
    }

    /// How many vectors hold the values.
    ///
    /// Vector i holds the elements i, i + n/4, i + n/2 and i + 3n/4, so that all layers but two work on whole
    /// vectors.
    pub(super) fn vectors(&self) -> usize {
        1 << self.vectors_log()
    }

    fn vectors_log(&self) -> u32 {
        self.log - 2
    }

    /// The values at all points of the polynomial with these coefficients; with `SWAPPED`, instead, the
    /// transpose of the inverse of that, which is the same with the halves of every block exchanged.
    #[inline(always)]
    pub(super) fn evaluate<L: Lanes, const SWAPPED: bool>(
        &self,
        lanes: L,
        words: &[u64],
        values: &mut [L::Vector],
    ) {
        let quarter = self.vectors();
        let root = factor(lanes, [BASIS[1]; 4]);
        for (i, group) in values.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let mut quarters = [lanes.splat(0); 4];
            for (c, vector) in quarters.iter_mut().enumerate() {
                let words = &words[c * quarter + i * 4..][..4];
                *vector = lanes.pack(core::array::from_fn(|j| u128::from(words[j])));
            }
            let [mut a, mut b, mut c, mut d] = quarters;
            if SWAPPED {
                a = lanes.xor(a, c);
                b = lanes.xor(b, d);
                a = lanes.xor(a, b);
                (d, c) = butterfly(lanes, root, d, c);
            } else {
                c = lanes.xor(a, c);
                d = lanes.xor(b, d);
                b = lanes.xor(a, b);
                (c, d) = butterfly(lanes, root, c, d);
            }
            *group = lanes.transpose([a, b, c, d]);
        }
        let mut layer = self.vectors_log();
        if layer % 2 == 1 {
            self.single_layer::<L, SWAPPED>(lanes, layer, values);
            layer -= 1;
        }
        while layer > CACHED_LOG {
            self.two_layers::<L, SWAPPED>(lanes, layer, 0, values);
            layer -= 2;
        }
        for (index, block) in values.chunks_exact_mut(1 << layer).enumerate() {
            for within in (2..=layer).rev().step_by(2) {
                let first = index << (layer - within);
                self.two_layers::<L, SWAPPED>(lanes, within, first, block);
            }
        }
    }

    /// The transpose of [`evaluate`](Self::evaluate) without `SWAPPED`. The values are used up.
    #[inline(always)]
    pub(super) fn evaluate_transposed<L: Lanes>(
        &self,
        lanes: L,
        values: &mut [L::Vector],
        low: &mut [u64],
        high: &mut [u64],
    ) {
        let mut cached = self.vectors_log() & !1;
        while cached > CACHED_LOG {
            cached -= 2;
        }
        for (index, block) in values.chunks_exact_mut(1 << cached).enumerate() {
            for within in (2..=cached).step_by(2) {
                self.two_layers_transposed(lanes, within, index << (cached - within), block);
            }
        }
        let mut layer = cached + 2;
        while layer <= self.vectors_log() {
            self.two_layers_transposed(lanes, layer, 0, values);
            layer += 2;
        }
        if self.vectors_log() % 2 == 1 {
            self.single_layer_transposed(lanes, self.vectors_log(), values);
        }
        let quarter = self.vectors();
        let root = factor(lanes, [BASIS[1]; 4]);
        for (i, group) in values.as_chunks::<4>().0.iter().enumerate() {
            let [mut a, mut b, mut c, mut d] = lanes.transpose(*group);
            a = lanes.xor(a, b);
            (c, d) = butterfly_transposed(lanes, root, c, d);
            a = lanes.xor(a, c);
            b = lanes.xor(b, d);
            for (part, vector) in [a, b, c, d].into_iter().enumerate() {
                let at = part * quarter + i * 4;
                let elements = lanes.unpack(vector);
                low[at..at + 4].copy_from_slice(&elements.map(|element| element as u64));
                high[at..at + 4].copy_from_slice(&elements.map(|element| (element >> 64) as u64));
            }
        }
    }

    /// Layer `layer` on all vectors.
    #[inline(always)]
    fn single_layer<L: Lanes, const SWAPPED: bool>(&self, lanes: L, layer: u32, values: &mut [L::Vector]) {
        debug_assert_eq!(values.len(), 1 << layer);
        let weight = factor(lanes, self.lane_points(layer));
        let (low, high) = values.split_at_mut(1 << (layer - 1));
        for (low, high) in low.iter_mut().zip(high) {
            if SWAPPED {
                (*high, *low) = butterfly(lanes, weight, *high, *low);
            } else {
                (*low, *high) = butterfly(lanes, weight, *low, *high);
            }
        }
    }

    /// The transpose of [`single_layer`](Self::single_layer).
    #[inline(always)]
    fn single_layer_transposed<L: Lanes>(&self, lanes: L, layer: u32, values: &mut [L::Vector]) {
        let weight = factor(lanes, self.lane_points(layer));
        let (low, high) = values.split_at_mut(1 << (layer - 1));
        for (low, high) in low.iter_mut().zip(high) {
            (*low, *high) = butterfly_transposed(lanes, weight, *low, *high);
        }
    }

    /// Layers `layer` and `layer - 1` on blocks from number `first` on.
    #[inline(always)]
    fn two_layers<L: Lanes, const SWAPPED: bool>(
        &self,
        lanes: L,
        layer: u32,
        first: usize,
        values: &mut [L::Vector],
    ) {
        let mut weights = Weights::new(self, lanes, layer, first);
        for block in values.chunks_exact_mut(1 << layer) {
            let [upper, lower, other] = weights.next(lanes);
            for (((a, b), c), d) in quarters(block) {
                if SWAPPED {
                    (*c, *a) = butterfly(lanes, upper, *c, *a);
                    (*d, *b) = butterfly(lanes, upper, *d, *b);
                    (*b, *a) = butterfly(lanes, lower, *b, *a);
                    (*d, *c) = butterfly(lanes, other, *d, *c);
                } else {
                    (*a, *c) = butterfly(lanes, upper, *a, *c);
                    (*b, *d) = butterfly(lanes, upper, *b, *d);
                    (*a, *b) = butterfly(lanes, lower, *a, *b);
                    (*c, *d) = butterfly(lanes, other, *c, *d);
                }
            }
        }
    }

    /// The transpose of [`two_layers`](Self::two_layers).
    #[inline(always)]
    fn two_layers_transposed<L: Lanes>(&self, lanes: L, layer: u32, first: usize, values: &mut [L::Vector]) {
        let mut weights = Weights::new(self, lanes, layer, first);
        for block in values.chunks_exact_mut(1 << layer) {
            let [upper, lower, other] = weights.next(lanes);
            for (((a, b), c), d) in quarters(block) {
                (*a, *b) = butterfly_transposed(lanes, lower, *a, *b);
                (*c, *d) = butterfly_transposed(lanes, other, *c, *d);
                (*a, *c) = butterfly_transposed(lanes, upper, *a, *c);
                (*b, *d) = butterfly_transposed(lanes, upper, *b, *d);
            }
        }
    }

    /// What the four elements of a vector add to the weight of a block of layer `layer`, by their place.
    fn lane_points(&self, layer: u32) -> [u128; 4] {
        let shift = (self.vectors_log() - layer) as usize + 1;
        core::array::from_fn(|lane| point(lane, shift))
    }
}

/// low' = low + w high, high' = low' + high.
#[inline(always)]
fn butterfly<L: Lanes>(
    lanes: L,
    weight: Factor<L::Vector>,
    low: L::Vector,
    high: L::Vector,
) -> (L::Vector, L::Vector) {
    let low = lanes.xor(low, scale(lanes, weight, high));
    (low, lanes.xor(low, high))
}

/// low' = low + high, high' = high + w low'.
#[inline(always)]
fn butterfly_transposed<L: Lanes>(
    lanes: L,
    weight: Factor<L::Vector>,
    low: L::Vector,
    high: L::Vector,
) -> (L::Vector, L::Vector) {
    let low = lanes.xor(low, high);
    (low, lanes.xor(high, scale(lanes, weight, low)))
}

type Quarters<'a, V> = Zip<Zip<Zip<IterMut<'a, V>, IterMut<'a, V>>, IterMut<'a, V>>, IterMut<'a, V>>;

/// The elements of the four quarters of a block, side by side.
///
/// This is an iterator rather than a function that takes a closure, because a closure that is not inlined
/// would be compiled without the target features.
#[inline(always)]
fn quarters<V>(block: &mut [V]) -> Quarters<'_, V> {
    let (low, high) = block.split_at_mut(block.len() / 2);
    let (a, b) = low.split_at_mut(low.len() / 2);
    let (c, d) = high.split_at_mut(high.len() / 2);
    a.iter_mut().zip(b).zip(c).zip(d)
}

#[inline(always)]
fn factor<L: Lanes>(lanes: L, elements: [u128; 4]) -> Factor<L::Vector> {
    Factor { plain: lanes.pack(elements), raised: lanes.pack(elements.map(raise)) }
}

#[inline(always)]
fn add_factor<L: Lanes>(lanes: L, a: Factor<L::Vector>, b: Factor<u128>) -> Factor<L::Vector> {
    Factor {
        plain: lanes.xor(a.plain, lanes.splat(b.plain)),
        raised: lanes.xor(a.raised, lanes.splat(b.raised)),
    }
}

static UPPER_STEPS: [Factor<u128>; BASIS_LEN] = point_steps(1);
static LOWER_STEPS: [Factor<u128>; BASIS_LEN] = point_steps(2);
static ROOT: Factor<u128> = Factor { plain: BASIS[1], raised: raise(BASIS[1]) };

/// The weights of two layers, block after block.
struct Weights<L: Lanes> {
    block: usize,
    upper: Factor<L::Vector>,
    lower: Factor<L::Vector>,
}

impl<L: Lanes> Weights<L> {
    #[inline(always)]
    fn new(transform: &Transform, lanes: L, layer: u32, first: usize) -> Self {
        let upper = transform.lane_points(layer).map(|lane| lane ^ point(first, 1));
        let lower = transform.lane_points(layer - 1).map(|lane| lane ^ point(first, 2));
        Self { block: first, upper: factor(lanes, upper), lower: factor(lanes, lower) }
    }

    /// The weight of the upper layer's block, and of the lower layer's two blocks in it.
    #[inline(always)]
    fn next(&mut self, lanes: L) -> [Factor<L::Vector>; 3] {
        let weights = [self.upper, self.lower, add_factor(lanes, self.lower, ROOT)];
        let ones = self.block.trailing_ones() as usize;
        self.upper = add_factor(lanes, self.upper, UPPER_STEPS[ones]);
        self.lower = add_factor(lanes, self.lower, LOWER_STEPS[ones]);
        self.block += 1;
        weights
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::additive_fft::basis::{BasisChange, Change};
    use crate::arch::Portable;
    use crate::gf128::multiply_const;

    /// The change of basis and the layers together, against Horner's rule at each point.
    #[test]
    fn a_polynomial_takes_its_values_at_the_points() {
        let transform = Transform::new(6);
        let coefficients: Vec<u64> = (1..=64u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        let mut words = coefficients.clone();
        BasisChange::new(6).apply::<{ Change::FORWARD }>(&mut words);
        let mut values = vec![[0; 4]; transform.vectors()];
        transform.evaluate::<_, false>(Portable, &words, &mut values);
        for at in 0..64 {
            let x = point(at, 0);
            let expected =
                coefficients.iter().rev().fold(0, |sum, &c| multiply_const(sum, x) ^ u128::from(c));
            assert_eq!(values[at % 16][at / 16], expected, "point {at}");
        }
    }
}
