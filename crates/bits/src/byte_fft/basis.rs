//! The change between powers of x and the novel basis, in three parts.
//!
//! Of 2^K coefficients, K from 9 to 16, the first steps expand the polynomial in powers of x^256 + x; then the
//! powers (blocks of 256 bytes) and the places in a block are each changed alike. The last part commutes with
//! the layers that mix blocks, so that it waits until the blocks are side by side in the lanes of vectors.

use super::layers::{Module, Plane, Planes};
use crate::additive_fft::basis::{Change, Step, change_of_basis};
use crate::arch::ByteLanes;

/// The schedule of the change for one length.
pub(super) struct BasisChange {
    /// The first two parts, on bytes.
    outer: Vec<Step>,
    /// The last part, on the elements of a block.
    inner: Vec<Step>,
}

impl BasisChange {
    /// For 2^`log` coefficients.
    pub(super) fn new(log: u32) -> Self {
        let (mut outer, mut inner) = (Vec::new(), Vec::new());
        change_of_basis(log, 0, &mut outer);
        change_of_basis(8, 0, &mut inner);
        outer.truncate(outer.len() - inner.len());
        Self { outer, inner }
    }

    /// The first two parts; transposed, the last two to be done.
    #[inline(always)]
    pub(super) fn outer<L: ByteLanes, const CHANGE: u8>(&self, lanes: L, bytes: &mut [u8]) {
        let count = self.outer.len();
        for number in 0..count {
            let step = if CHANGE == Change::TRANSPOSED { count - 1 - number } else { number };
            let Step { half, distance } = self.outer[step];
            for block in bytes.chunks_exact_mut(2 * half) {
                byte_step::<L, CHANGE>(lanes, block, distance);
            }
        }
    }

    /// The part within blocks, on 256 elements.
    ///
    /// After the first steps, 16 rows of 16 elements, it is one change for the rows and one within each.
    #[inline(always)]
    pub(super) fn inner<L: ByteLanes, const CHANGE: u8>(&self, lanes: L, elements: &mut [[L::Vector; 2]]) {
        let Some(elements) = elements.first_chunk_mut::<256>() else { return };
        if CHANGE == Change::TRANSPOSED {
            changes_of_sixteen::<L, CHANGE>(lanes, elements);
        }
        let count = self.inner.len() - 2 * SIXTEEN.len();
        for number in 0..count {
            let step = if CHANGE == Change::TRANSPOSED { count - 1 - number } else { number };
            let Step { half, distance } = self.inner[step];
            for block in elements.chunks_exact_mut(2 * half) {
                element_step::<L, Planes<L>, CHANGE>(lanes, block, distance);
            }
        }
        if CHANGE != Change::TRANSPOSED {
            changes_of_sixteen::<L, CHANGE>(lanes, elements);
        }
    }
}

/// The steps that `change_of_basis(4, 0, ..)` lists: halves and distances.
const SIXTEEN: [(usize, usize); 4] = [(8, 6), (4, 3), (8, 4), (2, 1)];

/// The changes of 16 rows and of the 16 elements of each row, which commute.
#[inline(always)]
fn changes_of_sixteen<L: ByteLanes, const CHANGE: u8>(lanes: L, elements: &mut [[L::Vector; 2]; 256]) {
    for (across, along) in [(16, 1), (1, 16)] {
        for first in 0..16 {
            for plane in [0, 1] {
                let at = |index: usize| first * along + index * across;
                let mut sixteen = core::array::from_fn(|index| elements[at(index)][plane]);
                change_of_sixteen::<L, CHANGE>(lanes, &mut sixteen);
                for (index, vector) in sixteen.into_iter().enumerate() {
                    elements[at(index)][plane] = vector;
                }
            }
        }
    }
}

/// All steps at once, in registers.
#[inline(always)]
fn change_of_sixteen<L: ByteLanes, const CHANGE: u8>(lanes: L, vectors: &mut [L::Vector; 16]) {
    for number in 0..SIXTEEN.len() {
        let step = if CHANGE == Change::TRANSPOSED { SIXTEEN.len() - 1 - number } else { number };
        let (half, distance) = SIXTEEN[step];
        for block in vectors.chunks_exact_mut(2 * half) {
            element_step::<L, Plane<L>, CHANGE>(lanes, block, distance);
        }
    }
}

/// One step on one block of elements.
#[inline(always)]
fn element_step<L: ByteLanes, M: Module<L>, const CHANGE: u8>(
    lanes: L,
    block: &mut [M::Element],
    distance: usize,
) {
    let half = block.len() / 2;
    let mut done = 0;
    while done < half {
        let len = distance.min(half - done);
        let start = if CHANGE == Change::TRANSPOSED { half + done } else { block.len() - done - len };
        let (below, above) = block.split_at_mut(start);
        let (low, high) = (&mut below[start - distance..start - distance + len], &mut above[..len]);
        for (low, high) in low.iter_mut().zip(high) {
            if CHANGE == Change::FORWARD {
                *low = M::add(lanes, *low, *high);
            } else {
                *high = M::add(lanes, *high, *low);
            }
        }
        done += len;
    }
}

/// One step on one block of bytes: 64 of them at a time, which is exact because no less lies between what is read and what
/// is written, and the order of vectors is that of bytes.
#[inline(always)]
fn byte_step<L: ByteLanes, const CHANGE: u8>(lanes: L, block: &mut [u8], distance: usize) {
    let half = block.len() / 2;
    for number in 0..half / 64 {
        let number = if CHANGE == Change::TRANSPOSED { number } else { half / 64 - 1 - number };
        let high = half + number * 64;
        let (below, above) = block.split_at_mut(high);
        let from = high - distance;
        let Some(high) = above.first_chunk_mut::<64>() else { return };
        let Some(low) = below[from..].first_chunk_mut::<64>() else { return };
        let sum = lanes.xor(lanes.load(low), lanes.load(high));
        lanes.store(sum, if CHANGE == Change::FORWARD { low } else { high });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_in_registers_are_those_of_the_schedule() {
        let steps: Vec<_> = BasisChange::new(16).inner.iter().map(|s| (s.half, s.distance)).collect();
        let rows = SIXTEEN.map(|(half, distance)| (16 * half, 16 * distance));
        assert_eq!(steps[steps.len() - 8..], [rows, SIXTEEN].concat());
    }
}
