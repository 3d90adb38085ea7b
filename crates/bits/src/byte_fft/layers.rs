//! The layers of the transform, over elements of one or of two planes of bytes.

use super::field::{BASIS, CONSTANT, EVEN_POINTS};
use crate::arch::ByteLanes;
use core::marker::PhantomData;

/// The three ways of a butterfly, as constant parameters.
pub(super) struct Way;

impl Way {
    /// low' = low + w high, high' = low' + high.
    pub(super) const FORWARD: u8 = 0;
    /// The transpose of the inverse of that, which is the same with low and high exchanged.
    pub(super) const SWAPPED: u8 = 1;
    /// The transpose: low' = low + high, high' = high + w low'. Layers go in reverse.
    pub(super) const TRANSPOSED: u8 = 2;
}

/// What is transformed: a module over the weights.
pub(super) trait Module<L: ByteLanes> {
    /// Sixty-four elements.
    type Element: Copy;
    /// A weight for each.
    type Weight: Copy;

    /// Sum.
    fn add(lanes: L, a: Self::Element, b: Self::Element) -> Self::Element;
    /// `sum` and the product of `weight` and `a`.
    fn multiply_add(lanes: L, sum: Self::Element, weight: Self::Weight, a: Self::Element) -> Self::Element;
    /// The weights plus an element of GF(2^8).
    fn shift(lanes: L, weight: Self::Weight, by: u8) -> Self::Weight;
}

/// One plane of bytes, which weights in GF(2^8) leave among themselves.
pub(super) struct Plane<L>(PhantomData<L>);

impl<L: ByteLanes> Module<L> for Plane<L> {
    type Element = L::Vector;
    type Weight = L::Vector;

    #[inline(always)]
    fn add(lanes: L, a: L::Vector, b: L::Vector) -> L::Vector {
        lanes.xor(a, b)
    }
    #[inline(always)]
    fn multiply_add(lanes: L, sum: L::Vector, weight: L::Vector, a: L::Vector) -> L::Vector {
        lanes.xor(sum, lanes.multiply(weight, a))
    }
    #[inline(always)]
    fn shift(lanes: L, weight: L::Vector, by: u8) -> L::Vector {
        lanes.xor(weight, lanes.splat(by))
    }
}

/// Two planes: elements of GF(2^16), low halves and high halves.
pub(super) struct Planes<L>(PhantomData<L>);

/// Weights in GF(2^16), with the products and sums that multiplying by them takes.
#[derive(Clone, Copy)]
pub(super) struct PairWeight<V> {
    low: V,
    high: V,
    /// The high halves times the field's constant.
    raised: V,
    /// The sum of low and high halves.
    sum: V,
}

impl<V: Copy> PairWeight<V> {
    /// These weights, low halves and high halves.
    #[inline(always)]
    pub(super) fn new<L: ByteLanes<Vector = V>>(lanes: L, low: V, high: V) -> Self {
        let raised = lanes.multiply(high, lanes.splat(CONSTANT));
        Self { low, high, raised, sum: lanes.xor(low, high) }
    }
}

impl<L: ByteLanes> Module<L> for Planes<L> {
    type Element = [L::Vector; 2];
    type Weight = PairWeight<L::Vector>;

    #[inline(always)]
    fn add(lanes: L, a: Self::Element, b: Self::Element) -> Self::Element {
        [lanes.xor(a[0], b[0]), lanes.xor(a[1], b[1])]
    }
    #[inline(always)]
    fn multiply_add(lanes: L, sum: Self::Element, weight: Self::Weight, a: Self::Element) -> Self::Element {
        [
            lanes.xor3(sum[0], lanes.multiply(weight.low, a[0]), lanes.multiply(weight.raised, a[1])),
            lanes.xor3(sum[1], lanes.multiply(weight.high, a[0]), lanes.multiply(weight.sum, a[1])),
        ]
    }
    #[inline(always)]
    fn shift(lanes: L, weight: Self::Weight, by: u8) -> Self::Weight {
        let by = lanes.splat(by);
        PairWeight { low: lanes.xor(weight.low, by), sum: lanes.xor(weight.sum, by), ..weight }
    }
}

#[inline(always)]
fn butterfly<L: ByteLanes, M: Module<L>, const WAY: u8>(
    lanes: L,
    weight: M::Weight,
    low: &mut M::Element,
    high: &mut M::Element,
) {
    match WAY {
        Way::FORWARD => {
            *low = M::multiply_add(lanes, *low, weight, *high);
            *high = M::add(lanes, *high, *low);
        }
        Way::SWAPPED => {
            *high = M::multiply_add(lanes, *high, weight, *low);
            *low = M::add(lanes, *low, *high);
        }
        _ => {
            *low = M::add(lanes, *low, *high);
            *high = M::multiply_add(lanes, *high, weight, *low);
        }
    }
}

/// All layers of 2^m elements, m = `bases.len()`. Layer k (from m down to 1, and up when transposed) takes
/// blocks of 2^k; the weight of block b is `bases[k - 1]` plus point number 2b.
#[inline(always)]
pub(super) fn all_layers<L: ByteLanes, M: Module<L>, const WAY: u8>(
    lanes: L,
    bases: &[M::Weight],
    elements: &mut [M::Element],
) {
    debug_assert_eq!(elements.len(), 1 << bases.len());
    // Two layers at a time, and the topmost by itself if their number is odd.
    let paired = bases.len() / 2;
    let odd = bases.len() % 2 == 1;
    if WAY == Way::TRANSPOSED {
        for pair in 1..=paired {
            two_layers::<L, M, WAY>(lanes, bases, 2 * pair, elements);
        }
    }
    if odd {
        let (low, high) = elements.split_at_mut(elements.len() / 2);
        for (low, high) in low.iter_mut().zip(high) {
            butterfly::<L, M, WAY>(lanes, bases[bases.len() - 1], low, high);
        }
    }
    if WAY != Way::TRANSPOSED {
        for pair in (1..=paired).rev() {
            two_layers::<L, M, WAY>(lanes, bases, 2 * pair, elements);
        }
    }
}

/// Layers `layer` and `layer - 1`.
#[inline(always)]
fn two_layers<L: ByteLanes, M: Module<L>, const WAY: u8>(
    lanes: L,
    bases: &[M::Weight],
    layer: usize,
    elements: &mut [M::Element],
) {
    let (upper, lower) = (bases[layer - 1], bases[layer - 2]);
    for (index, block) in elements.chunks_exact_mut(1 << layer).enumerate() {
        let upper = M::shift(lanes, upper, EVEN_POINTS[index]);
        let lower = M::shift(lanes, lower, EVEN_POINTS[2 * index]);
        // Point number 2 (2 index + 1) is that before it plus v_1.
        let other = M::shift(lanes, lower, BASIS[1] as u8);
        let (low, high) = block.split_at_mut(block.len() / 2);
        let (a, b) = low.split_at_mut(low.len() / 2);
        let (c, d) = high.split_at_mut(high.len() / 2);
        for (((a, b), c), d) in a.iter_mut().zip(b).zip(c).zip(d) {
            let (mut w, mut x, mut y, mut z) = (*a, *b, *c, *d);
            if WAY == Way::TRANSPOSED {
                butterfly::<L, M, WAY>(lanes, lower, &mut w, &mut x);
                butterfly::<L, M, WAY>(lanes, other, &mut y, &mut z);
                butterfly::<L, M, WAY>(lanes, upper, &mut w, &mut y);
                butterfly::<L, M, WAY>(lanes, upper, &mut x, &mut z);
            } else {
                butterfly::<L, M, WAY>(lanes, upper, &mut w, &mut y);
                butterfly::<L, M, WAY>(lanes, upper, &mut x, &mut z);
                butterfly::<L, M, WAY>(lanes, lower, &mut w, &mut x);
                butterfly::<L, M, WAY>(lanes, other, &mut y, &mut z);
            }
            (*a, *b, *c, *d) = (w, x, y, z);
        }
    }
}
