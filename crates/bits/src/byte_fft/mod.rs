//! Correlation of tiles of a Toeplitz matrix by additive Fourier transforms over GF(2^16), in bytes.
//!
//! The algorithm is that of [`additive_fft`](crate::additive_fft), over a smaller field: eight bits are a
//! polynomial of degree below 8, and a product of two fits GF(2^16) without being reduced. GF(2^16) has no more
//! points than 2^16, so that a transform holds no more than 2^16 bytes and long correlations are cut into tiles.
//! For that, all weights of the transform are elements of GF(2^16), in the upper layers even of GF(2^8), and an
//! instruction of the extension GFNI multiplies 64 of the latter: some ten times as many bits a cycle as
//! carry-less products do.
//!
//! A transform of 2^K bytes, K from 14 to 16, works on blocks of 256. The upper K - 8 layers mix blocks: their
//! weights lie in GF(2^8), so that the low and the high halves of all elements, the two planes, are transformed
//! apart. Then 64 blocks are laid side by side into the lanes of vectors (a transposition), and the
//! eight layers within blocks take whole vectors too, with weights that differ from lane to lane. The values stay in that
//! order, which is the same for all that is multiplied.

mod basis;
mod factors;
mod field;
mod layers;

pub(crate) use factors::Factors;

use crate::additive_fft::basis::Change;
use crate::arch::{ByteKernel, ByteLanes};
use basis::BasisChange;
use field::{DECODE, EMBED, point};
use layers::{PairWeight, Plane, Planes, Way, all_layers};

/// The logarithm of the least transform: 64 blocks.
pub(crate) const LEAST_LOG: u32 = 14;
/// The logarithm of the greatest: all points of GF(2^16).
pub(crate) const MOST_LOG: u32 = 16;
/// Bytes of a block.
const BLOCK: usize = 256;
/// Layers within a block.
const BLOCK_LOG: usize = 8;

/// Sixty-four elements of GF(2^16): low halves and high halves.
pub(crate) type Element<L> = [<L as ByteLanes>::Vector; 2];

/// Transforms of one length.
pub(crate) struct Transform<L: ByteLanes> {
    lanes: L,
    log: u32,
    change: BasisChange,
    /// For each 64 blocks, the part of the weights of layers 1 .. 8 that differs from lane to lane.
    lane_weights: Vec<[PairWeight<L::Vector>; BLOCK_LOG]>,
}

impl<L: ByteLanes> Transform<L> {
    /// Transforms of 2^`log` bytes.
    pub(crate) fn new(lanes: L, log: u32) -> Self {
        debug_assert!((LEAST_LOG..=MOST_LOG).contains(&log));
        let lane_weights = lanes.run(LaneWeights { groups: 1 << (log - 14) });
        Self { lanes, log, change: BasisChange::new(log), lane_weights }
    }

    /// How many bytes are transformed.
    pub(crate) fn bytes(&self) -> usize {
        1 << self.log
    }

    /// How many elements hold the values.
    pub(crate) fn elements(&self) -> usize {
        self.bytes() / 64
    }

    /// The values of the polynomial with the coefficients `bytes`, which are used up.
    pub(crate) fn evaluate(&self, bytes: &mut [u8], values: &mut [Element<L>]) {
        self.lanes.run(Evaluate::<L, false> { transform: self, bytes, values });
    }

    /// The transpose of the inverse of [`evaluate`](Self::evaluate).
    pub(crate) fn evaluate_swapped(&self, bytes: &mut [u8], values: &mut [Element<L>]) {
        self.lanes.run(Evaluate::<L, true> { transform: self, bytes, values });
    }

    /// The transpose of [`evaluate`](Self::evaluate): the low and the high bytes of the coefficients' products. The
    /// values are used up.
    pub(crate) fn evaluate_transposed(&self, values: &mut [Element<L>], low: &mut [u8], high: &mut [u8]) {
        self.lanes.run(EvaluateTransposed { transform: self, values, low, high });
    }
}

struct LaneWeights {
    groups: usize,
}

impl<L: ByteLanes> ByteKernel<L> for LaneWeights {
    type Output = Vec<[PairWeight<L::Vector>; BLOCK_LOG]>;

    #[inline(always)]
    fn run(self, lanes: L) -> Self::Output {
        let mut weights = Vec::with_capacity(self.groups);
        for group in 0..self.groups {
            let mut layers = [PairWeight::new(lanes, lanes.splat(0), lanes.splat(0)); BLOCK_LOG];
            for (index, weight) in layers.iter_mut().enumerate() {
                let (mut low, mut high) = ([0; 64], [0; 64]);
                for (lane, halves) in low.iter_mut().zip(&mut high).enumerate() {
                    // Layer index + 1 has 2^(7 - index) blocks for each of ours, and counts points by two.
                    let [first, second] = point((group * 64 + lane) << (BLOCK_LOG - index)).to_le_bytes();
                    (*halves.0, *halves.1) = (first, second);
                }
                *weight = PairWeight::new(lanes, lanes.load(&low), lanes.load(&high));
            }
            weights.push(layers);
        }
        weights
    }
}

struct Evaluate<'a, L: ByteLanes, const SWAPPED: bool> {
    transform: &'a Transform<L>,
    bytes: &'a mut [u8],
    values: &'a mut [Element<L>],
}

impl<L: ByteLanes, const SWAPPED: bool> ByteKernel<L> for Evaluate<'_, L, SWAPPED> {
    type Output = ();

    #[inline(always)]
    fn run(self, lanes: L) {
        if SWAPPED {
            self.in_the_way::<{ Change::INVERSE_TRANSPOSED }, { Way::SWAPPED }>(lanes);
        } else {
            self.in_the_way::<{ Change::FORWARD }, { Way::FORWARD }>(lanes);
        }
    }
}

impl<L: ByteLanes, const SWAPPED: bool> Evaluate<'_, L, SWAPPED> {
    #[inline(always)]
    fn in_the_way<const CHANGE: u8, const WAY: u8>(self, lanes: L) {
        let Self { transform, bytes, values } = self;
        transform.change.outer::<L, CHANGE>(lanes, bytes);
        let zero = lanes.splat(0);
        let blocks = transform.bytes() / BLOCK;
        let uniform = [zero; BLOCK_LOG];
        let mut plane_column = [zero; BLOCK];
        for plane in 0..2 {
            for column in 0..4 {
                let column_values = &mut plane_column[..blocks];
                for (value, block) in column_values.iter_mut().zip(bytes.as_chunks::<BLOCK>().0) {
                    let vector = lanes.load(&block.as_chunks().0[column]);
                    *value = lanes.transform(vector, EMBED[plane]);
                }
                all_layers::<L, Plane<L>, WAY>(lanes, &uniform[..transform.log as usize - 8], column_values);
                for (group, square) in column_values.as_chunks_mut::<64>().0.iter_mut().enumerate() {
                    lanes.transpose(square);
                    let to = &mut values[group * BLOCK + column * 64..][..64];
                    for (to, from) in to.iter_mut().zip(square) {
                        to[plane] = *from;
                    }
                }
            }
        }
        for (weights, group) in transform.lane_weights.iter().zip(values.chunks_exact_mut(BLOCK)) {
            transform.change.inner::<L, CHANGE>(lanes, group);
            all_layers::<L, Planes<L>, WAY>(lanes, weights, group);
        }
        lanes.wipe(&mut plane_column);
    }
}

struct EvaluateTransposed<'a, L: ByteLanes> {
    transform: &'a Transform<L>,
    values: &'a mut [Element<L>],
    low: &'a mut [u8],
    high: &'a mut [u8],
}

impl<L: ByteLanes> ByteKernel<L> for EvaluateTransposed<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self, lanes: L) {
        const WAY: u8 = Way::TRANSPOSED;
        const CHANGE: u8 = Change::TRANSPOSED;
        let Self { transform, values, low, high } = self;
        for (weights, group) in transform.lane_weights.iter().zip(values.chunks_exact_mut(BLOCK)) {
            all_layers::<L, Planes<L>, WAY>(lanes, weights, group);
            transform.change.inner::<L, CHANGE>(lanes, group);
        }
        let zero = lanes.splat(0);
        let blocks = transform.bytes() / BLOCK;
        let uniform = [zero; BLOCK_LOG];
        let mut planes = [[zero; BLOCK]; 2];
        for column in 0..4 {
            for (plane, column_values) in planes.iter_mut().enumerate() {
                for (group, square) in column_values[..blocks].as_chunks_mut::<64>().0.iter_mut().enumerate()
                {
                    let from = &values[group * BLOCK + column * 64..][..64];
                    for (to, from) in square.iter_mut().zip(from) {
                        *to = from[plane];
                    }
                    lanes.transpose(square);
                }
                let layers = &uniform[..transform.log as usize - 8];
                all_layers::<L, Plane<L>, WAY>(lanes, layers, &mut column_values[..blocks]);
            }
            for (bytes, matrices) in [&mut *low, &mut *high].into_iter().zip(DECODE) {
                for (block, (&a, &b)) in
                    bytes.as_chunks_mut::<BLOCK>().0.iter_mut().zip(planes[0].iter().zip(&planes[1]))
                {
                    let vector = lanes.xor(lanes.transform(a, matrices[0]), lanes.transform(b, matrices[1]));
                    lanes.store(vector, &mut block.as_chunks_mut().0[column]);
                }
            }
        }
        lanes.wipe(planes.as_flattened_mut());
        transform.change.outer::<L, CHANGE>(lanes, low);
        transform.change.outer::<L, CHANGE>(lanes, high);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::{Gfni, Portable};
    use bellwether_units::{EntityId, Purpose, Stream};

    fn random_bytes(len: usize, seed: u64) -> Vec<u8> {
        let mut stream = Stream::new(seed, EntityId(0), Purpose::named("byte transform"));
        (0..len).map(|_| stream.below(256) as u8).collect()
    }

    fn stored<L: ByteLanes>(lanes: L, values: &[Element<L>]) -> Vec<[u8; 64]> {
        let mut bytes = vec![[0; 64]; values.len() * 2];
        for (bytes, vector) in bytes.iter_mut().zip(values.as_flattened()) {
            lanes.store(*vector, bytes);
        }
        bytes
    }

    fn evaluated<L: ByteLanes>(lanes: L, log: u32, seed: u64) -> Vec<[u8; 64]> {
        let transform = Transform::new(lanes, log);
        let mut values = vec![[lanes.splat(0); 2]; transform.elements()];
        transform.evaluate(&mut random_bytes(transform.bytes(), seed), &mut values);
        stored(lanes, &values)
    }

    /// The change of basis and the layers together, against Horner's rule at some points.
    #[test]
    fn a_polynomial_takes_its_values_at_the_points() {
        let log = LEAST_LOG;
        let coefficients = random_bytes(1 << log, 1);
        let values = evaluated(Portable, log, 1);
        let embedded: Vec<u16> = coefficients
            .iter()
            .map(|&byte| u16::from_le_bytes(EMBED.map(|matrix| Portable.transform([byte; 64], matrix)[0])))
            .collect();
        for at in (0..1 << log).step_by(599).chain([1, 255, 256, (1 << log) - 1]) {
            let x = point(at);
            let expected = embedded.iter().rev().fold(0, |sum, &c| field::multiply(sum, x) ^ c);
            let (block, place) = (at / 256, at % 256);
            let element = (block / 64 * 256 + place) * 2;
            let value = u16::from_le_bytes([values[element][block % 64], values[element + 1][block % 64]]);
            assert_eq!(value, expected, "point {at}");
        }
    }

    #[test]
    fn instruction_sets_transform_alike() {
        if let Some(token) = Gfni::detect() {
            for log in LEAST_LOG..=MOST_LOG {
                assert!(evaluated(token, log, 2) == evaluated(Portable, log, 2), "2^{log} bytes");
            }
        }
    }
}
