//! Correlation of long polynomials over GF(2) by additive Fourier transforms over GF(2^128).
//!
//! A word of 64 bits is a polynomial of degree below 64, and a product of two fits the field without being
//! reduced, so that sums of products of words can be computed in the field. Transforms are those of Lin,
//! Chung & Han ("Novel polynomial basis and its application to Reed-Solomon erasure codes", FOCS 2014) over a
//! Cantor basis (Cantor, J. Comb. Theory A 50, 285 (1989)), with the change of basis of Lin, Al-Naffouri &
//! Han (IEEE Trans. Inf. Theory 62, 6284 (2016)), as Chen, Cheng, Kuo, Li & Yang use them for multiplication
//! over GF(2) (arXiv:1708.09746).
//!
//! What is wanted is not a product but a correlation, sum over k of window[i + k] kernel[k]. As a function of
//! the window it is the transpose of multiplication by the kernel, so that by transposing each step of
//! "transform, multiply, transform back" it takes transforms as long as the window alone.
//!
//! With v_0, v_1, .. the Cantor basis (v_0 = 1, v_(i+1)^2 + v_(i+1) = v_i), point number j is the sum of the
//! v_i at the ones of j. A transform of 2^K coefficients in the novel basis has layers k = K .. 1; layer k
//! takes blocks of 2^k, and block b maps its halves (low, high) to low' = low + w high, high' = low' + high
//! where w is point number 2b. Nothing depends on secret values but the values themselves.

use crate::arch::Lanes;
use crate::gf128::{Factor, multiply_const, multiply_lanes, scale};
use core::iter::Zip;
use core::slice::IterMut;
use zeroize::Zeroize;

/// How many elements of the Cantor basis are used, which bounds transforms to 2^(BASIS_LEN - 1) points.
const BASIS_LEN: usize = 33;
/// v_i.
const BASIS: [u128; BASIS_LEN] = cantor_basis();
/// v_0 + .. + v_(i-1).
const PREFIX_SUMS: [u128; BASIS_LEN + 1] = {
    let mut sums = [0; BASIS_LEN + 1];
    let mut i = 0;
    while i < BASIS_LEN {
        sums[i + 1] = sums[i] ^ BASIS[i];
        i += 1;
    }
    sums
};
/// The logarithm of the least transform.
const LEAST_LOG: u32 = 4;
/// The logarithm of the vectors (64 bytes) that are transformed while they are in the second-level cache.
const CACHED_LOG: u32 = 13;

/// v_i = s(s(..(u))) for any u of trace 1 and s(x) = x^2 + x, applied 127 - i times.
const fn cantor_basis() -> [u128; BASIS_LEN] {
    let mut basis = [0; BASIS_LEN];
    let mut element = 1 << 121;
    let mut i = 127;
    loop {
        if i < BASIS_LEN {
            basis[i] = element;
        }
        if i == 0 {
            break;
        }
        element ^= multiply_const(element, element);
        i -= 1;
    }
    assert!(basis[0] == 1, "x^121 has trace 1");
    basis
}

/// Point number `index` times 2^`shift`.
fn point(index: usize, shift: usize) -> u128 {
    (0..usize::BITS as usize - shift)
        .filter(|bit| index >> bit & 1 == 1)
        .fold(0, |sum, bit| sum ^ BASIS[bit + shift])
}

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
            (transforms << (plan.log - 1)) as f64 * f64::from(plan.log + 1)
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
        let transform = Transform::new(self.log);
        let zero = lanes.splat(0);
        let mut words = vec![0; 1 << self.log];
        let mut kernel_values = vec![zero; transform.vectors()];
        let mut window_values = vec![zero; transform.vectors()];
        let mut total = vec![zero; transform.vectors()];
        for start in (0..kernel.len()).step_by(self.piece) {
            let end = (start + self.piece).min(kernel.len());
            fill(&mut words, &kernel[start..end]);
            transform.change_basis::<{ Change::FORWARD }>(&mut words);
            transform.evaluate::<L, false>(lanes, &words, &mut kernel_values);
            fill(&mut words, &window[start..end + sums - 1]);
            transform.change_basis::<{ Change::INVERSE_TRANSPOSED }>(&mut words);
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
            transform.change_basis::<{ Change::TRANSPOSED }>(half);
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

/// One step of the change of basis: in each block of two halves, word i of the upper is added to word
/// i - distance.
#[derive(Clone, Copy)]
struct Step {
    half: usize,
    distance: usize,
}

/// A transform of 2^log points.
struct Transform {
    log: u32,
    steps: Vec<Step>,
}

impl Transform {
    fn new(log: u32) -> Self {
        debug_assert!((LEAST_LOG as usize..BASIS_LEN).contains(&(log as usize)));
        let mut steps = Vec::new();
        change_of_basis(log, 0, &mut steps);
        Self { log, steps }
    }

    /// How many vectors hold the values.
    ///
    /// Vector i holds the elements i, i + n/4, i + n/2 and i + 3n/4, so that all layers but two work on whole
    /// vectors.
    fn vectors(&self) -> usize {
        1 << self.vectors_log()
    }

    fn vectors_log(&self) -> u32 {
        self.log - 2
    }

    /// Changes the basis: see [`Change`].
    #[inline(always)]
    fn change_basis<const CHANGE: u8>(&self, words: &mut [u64]) {
        // The last steps work within blocks of 256 words, which is done faster with all lengths known.
        let outer = if self.log < 8 { &self.steps } else { &self.steps[..self.steps.len() - INNER_STEPS] };
        if CHANGE == Change::TRANSPOSED {
            words.as_chunks_mut().0.iter_mut().for_each(inner_steps_transposed);
            for step in outer.iter().rev() {
                words
                    .chunks_exact_mut(2 * step.half)
                    .for_each(|block| change_step::<CHANGE>(block, step.distance));
            }
        } else {
            for step in outer {
                words
                    .chunks_exact_mut(2 * step.half)
                    .for_each(|block| change_step::<CHANGE>(block, step.distance));
            }
            words.as_chunks_mut().0.iter_mut().for_each(inner_steps::<CHANGE>);
        }
    }

    /// The values at all points of the polynomial with these coefficients; with `SWAPPED`, instead, the
    /// transpose of the inverse of that, which is the same with the halves of every block exchanged.
    #[inline(always)]
    fn evaluate<L: Lanes, const SWAPPED: bool>(
        self: &Transform,
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
    fn evaluate_transposed<L: Lanes>(
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

/// The steps of the change of basis of 2^`log` units of 2^`unit_log` words each.
///
/// With k the greatest power of two below `log`, the polynomial is expanded in powers of x^(2^k) + x, which
/// is the novel basis's element number 2^k; then the powers and the coefficients are each changed alike.
fn change_of_basis(log: u32, unit_log: u32, steps: &mut Vec<Step>) {
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
struct Change;

impl Change {
    /// From coefficients of powers of x to coefficients of the novel basis.
    const FORWARD: u8 = 0;
    /// The transpose of that.
    const TRANSPOSED: u8 = 1;
    /// The transpose of its inverse.
    const INVERSE_TRANSPOSED: u8 = 2;
}

/// One [`Step`] on one block.
#[inline(always)]
fn change_step<const CHANGE: u8>(block: &mut [u64], distance: usize) {
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
        change_step::<CHANGE>(part, distance);
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
        words.as_chunks_mut::<4>().0.iter_mut().for_each(|part| change_step::<CHANGE>(part, 1));
        change_step::<CHANGE>(&mut words, 4);
        words.as_chunks_mut::<8>().0.iter_mut().for_each(|part| change_step::<CHANGE>(part, 3));
        change_step::<CHANGE>(&mut words, 6);
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
    change_step::<CHANGE>(words, 6);
    words.as_chunks_mut::<8>().0.iter_mut().for_each(|part| change_step::<CHANGE>(part, 3));
    change_step::<CHANGE>(words, 4);
    words.as_chunks_mut::<4>().0.iter_mut().for_each(|part| change_step::<CHANGE>(part, 1));
}

#[inline(always)]
fn add(to: &mut [u64], from: &[u64]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to ^= from;
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

/// An element times x^64: what is lifted above x^127 comes down times x^7 + x^2 + x + 1.
const fn raise(element: u128) -> u128 {
    let over = element >> 64;
    element << 64 ^ over ^ over << 1 ^ over << 2 ^ over << 7
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

/// The difference of points number n 2^shift and (n + 1) 2^shift, where n has `index` ones at its low end.
const fn point_steps(shift: usize) -> [Factor<u128>; BASIS_LEN] {
    let mut steps = [Factor { plain: 0, raised: 0 }; BASIS_LEN];
    let mut i = 0;
    while i + shift < BASIS_LEN {
        let plain = PREFIX_SUMS[i + 1 + shift] ^ PREFIX_SUMS[shift];
        steps[i] = Factor { plain, raised: raise(plain) };
        i += 1;
    }
    steps
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
    use proptest::prelude::*;

    #[test]
    fn the_basis_is_cantors() {
        for pair in BASIS.windows(2) {
            assert_eq!(multiply_const(pair[1], pair[1]) ^ pair[1], pair[0]);
        }
        assert_eq!(point(0b101, 1), BASIS[1] ^ BASIS[3]);
        for shift in [1, 2] {
            for (index, step) in point_steps(shift).iter().enumerate().take(12) {
                let n = (1 << index) - 1;
                assert_eq!(point(n, shift) ^ point(n + 1, shift), step.plain);
                assert_eq!(step.raised, multiply_const(step.plain, 1 << 64));
            }
        }
    }

    #[test]
    fn the_inner_steps_are_those_of_the_schedule() {
        for log in [8, 9, 13, 17, 20] {
            let steps = Transform::new(log).steps;
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

    proptest! {
        #[test]
        fn plans_hold_what_they_cut(kernel in 1usize..3_000_000, sums in 1usize..3_000_000) {
            let (plan, work) = Plan::best(kernel, sums);
            prop_assert!(plan.piece >= 1 && plan.piece + sums - 1 <= 1 << plan.log);
            prop_assert!(work > 0.0);
            prop_assert!((LEAST_LOG as usize..BASIS_LEN).contains(&(plan.log as usize)));
        }
    }

    /// Evaluation against the definition: the sum of coefficients times products of vanishing polynomials of
    /// subspaces, for the polynomial basis against powers of the point.
    #[test]
    fn a_polynomial_takes_its_values_at_the_points() {
        let transform = Transform::new(6);
        let coefficients: Vec<u64> = (1..=64u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        let mut words = coefficients.clone();
        transform.change_basis::<{ Change::FORWARD }>(&mut words);
        let mut values = vec![[0; 4]; transform.vectors()];
        transform.evaluate::<_, false>(crate::arch::Portable, &words, &mut values);
        for at in 0..64 {
            let x = point(at, 0);
            let expected =
                coefficients.iter().rev().fold(0, |sum, &c| multiply_const(sum, x) ^ u128::from(c));
            assert_eq!(values[at % 16][at / 16], expected, "point {at}");
        }
    }
}
