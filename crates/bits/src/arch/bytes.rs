//! Sixty-four elements of GF(2^8) at a time, whatever the instruction set.

use core::sync::atomic::{Ordering, compiler_fence};

/// An algorithm over one kind of [`ByteLanes`].
///
/// As with [`Kernel`](super::Kernel), `run` and all that it calls must be `#[inline(always)]`.
pub(crate) trait ByteKernel<L> {
    /// What it computes.
    type Output;
    /// Computes it.
    fn run(self, lanes: L) -> Self::Output;
}

/// Operations on vectors of 64 bytes, each an element of GF(2^8) modulo x^8 + x^4 + x^3 + x + 1. The implementing
/// type is the proof that the machine has what it needs.
pub(crate) trait ByteLanes: Copy + Send + Sync {
    /// Sixty-four bytes.
    type Vector: Copy + Send + Sync;

    /// Runs `kernel` in a function with the instruction set enabled.
    fn run<K: ByteKernel<Self>>(self, kernel: K) -> K::Output;
    /// The vector of these bytes.
    fn load(self, bytes: &[u8; 64]) -> Self::Vector;
    /// The bytes of a vector.
    fn store(self, vector: Self::Vector, bytes: &mut [u8; 64]);
    /// The vector of equal bytes.
    fn splat(self, byte: u8) -> Self::Vector;
    /// Sum.
    fn xor(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// Sum of three.
    fn xor3(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// Products in the field.
    fn multiply(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// Every byte times a matrix of 8 x 8 bits: bit i of the result is the parity of the byte under byte 7 - i of
    /// the matrix.
    fn transform(self, a: Self::Vector, matrix: u64) -> Self::Vector;
    /// Byte `j` of vector `i` becomes byte `i` of vector `j`.
    fn transpose(self, vectors: &mut [Self::Vector; 64]);

    /// Overwrites with zeros in a way that is not optimised away.
    #[inline(always)]
    fn wipe(self, vectors: &mut [Self::Vector]) {
        let zero = self.splat(0);
        for vector in vectors {
            // SAFETY: `vector` is a valid, aligned, exclusive reference, and `Vector: Copy` has no drop glue.
            unsafe { core::ptr::write_volatile(vector, zero) };
        }
        compiler_fence(Ordering::SeqCst);
    }
}

/// The portable twin, against which the others are tested.
#[cfg(test)]
impl ByteLanes for super::Portable {
    type Vector = [u8; 64];

    fn run<K: ByteKernel<Self>>(self, kernel: K) -> K::Output {
        kernel.run(self)
    }
    #[inline(always)]
    fn load(self, bytes: &[u8; 64]) -> [u8; 64] {
        *bytes
    }
    #[inline(always)]
    fn store(self, vector: [u8; 64], bytes: &mut [u8; 64]) {
        *bytes = vector;
    }
    #[inline(always)]
    fn splat(self, byte: u8) -> [u8; 64] {
        [byte; 64]
    }
    #[inline(always)]
    fn xor(self, a: [u8; 64], b: [u8; 64]) -> [u8; 64] {
        core::array::from_fn(|i| a[i] ^ b[i])
    }
    #[inline(always)]
    fn xor3(self, a: [u8; 64], b: [u8; 64], c: [u8; 64]) -> [u8; 64] {
        core::array::from_fn(|i| a[i] ^ b[i] ^ c[i])
    }
    #[inline(always)]
    fn multiply(self, mut a: [u8; 64], mut b: [u8; 64]) -> [u8; 64] {
        let mut product = [0; 64];
        for _ in 0..8 {
            for i in 0..64 {
                product[i] ^= a[i] & (b[i] & 1).wrapping_neg();
                a[i] = a[i] << 1 ^ 0x1b & (a[i] >> 7).wrapping_neg();
                b[i] >>= 1;
            }
        }
        product
    }
    #[inline(always)]
    fn transform(self, a: [u8; 64], matrix: u64) -> [u8; 64] {
        let rows = matrix.to_be_bytes();
        a.map(|byte| (0..8).fold(0, |sum, i| sum | (((byte & rows[i]).count_ones() & 1) as u8) << i))
    }
    #[inline(always)]
    fn transpose(self, vectors: &mut [[u8; 64]; 64]) {
        let before = *vectors;
        for (i, vector) in vectors.iter_mut().enumerate() {
            *vector = before.map(|row| row[i]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::{Portable, gfni};
    use proptest::prelude::*;

    /// All operations of one instruction set on one input.
    struct Everything {
        a: [u8; 64],
        b: [u8; 64],
        matrix: u64,
    }

    impl<L: ByteLanes> ByteKernel<L> for Everything {
        type Output = Vec<[u8; 64]>;

        #[inline(always)]
        fn run(self, lanes: L) -> Vec<[u8; 64]> {
            let (a, b) = (lanes.load(&self.a), lanes.load(&self.b));
            let mut vectors = vec![
                lanes.splat(self.a[3]),
                lanes.xor(a, b),
                lanes.xor3(a, b, lanes.splat(self.b[1])),
                lanes.multiply(a, b),
                lanes.transform(a, self.matrix),
            ];
            let mut square = [a; 64];
            for i in 1..64 {
                square[i] = lanes.xor(lanes.multiply(square[i - 1], b), lanes.splat(i as u8));
            }
            lanes.transpose(&mut square);
            vectors.extend(square);
            let stored = |vector| {
                let mut bytes = [0; 64];
                lanes.store(vector, &mut bytes);
                bytes
            };
            vectors.into_iter().map(stored).collect()
        }
    }

    proptest! {
        #[test]
        fn instruction_sets_agree(a: [u8; 32], b: [u8; 32], matrix: u64) {
            let wide = |half: [u8; 32]| core::array::from_fn(|i| half[i % 32].rotate_left(i as u32 / 32 * 3));
            let expected = Everything { a: wide(a), b: wide(b), matrix }.run(Portable);
            if let Some(token) = gfni::Gfni::detect() {
                prop_assert_eq!(token.run(Everything { a: wide(a), b: wide(b), matrix }), expected);
            }
        }
    }
}
