//! Four elements of 128 bits at a time, whatever the instruction set.

use core::sync::atomic::{Ordering, compiler_fence};

/// An algorithm that can run on any instruction set.
///
/// `run` and all that it calls must be `#[inline(always)]`, so that the code ends up in a function that has
/// the target features enabled.
pub(crate) trait Kernel {
    /// What it computes.
    type Output;
    /// Computes it.
    fn run<L: Lanes>(self, lanes: L) -> Self::Output;
}

/// Operations on vectors of four 128-bit elements, each a polynomial over GF(2) whose coefficient of x^i is
/// bit i. The implementing type is the proof that the machine has what it needs.
pub(crate) trait Lanes: Copy {
    /// Four elements.
    type Vector: Copy;

    /// The vector of these elements.
    fn pack(self, elements: [u128; 4]) -> Self::Vector;
    /// The elements of a vector.
    fn unpack(self, vector: Self::Vector) -> [u128; 4];
    /// The vector whose element i has the words 2i (low half) and 2i + 1.
    fn load(self, words: &[u64; 8]) -> Self::Vector;
    /// The vector of four equal elements.
    fn splat(self, element: u128) -> Self::Vector;
    /// Sum.
    fn xor(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// Product of the low halves of `a` and `b`.
    fn low_low(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// Product of the low half of `a` and the high half of `b`.
    fn low_high(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// Product of the high halves.
    fn high_high(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The low half moved to the high half, and zeros in the low half.
    fn low_to_high(self, a: Self::Vector) -> Self::Vector;
    /// Element `j` of vector `i` becomes element `i` of vector `j`.
    fn transpose(self, vectors: [Self::Vector; 4]) -> [Self::Vector; 4];

    /// Sum of three.
    #[inline(always)]
    fn xor3(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        self.xor(self.xor(a, b), c)
    }

    /// The sum of the four elements.
    #[inline(always)]
    fn sum(self, vector: Self::Vector) -> u128 {
        let [a, b, c, d] = self.unpack(vector);
        a ^ b ^ c ^ d
    }

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

/// The portable instruction set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portable;

impl Lanes for Portable {
    type Vector = [u128; 4];

    #[inline(always)]
    fn pack(self, elements: [u128; 4]) -> [u128; 4] {
        elements
    }
    #[inline(always)]
    fn unpack(self, vector: [u128; 4]) -> [u128; 4] {
        vector
    }
    #[inline(always)]
    fn load(self, words: &[u64; 8]) -> [u128; 4] {
        core::array::from_fn(|i| u128::from(words[2 * i]) | u128::from(words[2 * i + 1]) << 64)
    }
    #[inline(always)]
    fn splat(self, element: u128) -> [u128; 4] {
        [element; 4]
    }
    #[inline(always)]
    fn xor(self, a: [u128; 4], b: [u128; 4]) -> [u128; 4] {
        core::array::from_fn(|i| a[i] ^ b[i])
    }
    #[inline(always)]
    fn low_low(self, a: [u128; 4], b: [u128; 4]) -> [u128; 4] {
        core::array::from_fn(|i| carryless_product(a[i] as u64, b[i] as u64))
    }
    #[inline(always)]
    fn low_high(self, a: [u128; 4], b: [u128; 4]) -> [u128; 4] {
        core::array::from_fn(|i| carryless_product(a[i] as u64, (b[i] >> 64) as u64))
    }
    #[inline(always)]
    fn high_high(self, a: [u128; 4], b: [u128; 4]) -> [u128; 4] {
        core::array::from_fn(|i| carryless_product((a[i] >> 64) as u64, (b[i] >> 64) as u64))
    }
    #[inline(always)]
    fn low_to_high(self, a: [u128; 4]) -> [u128; 4] {
        a.map(|element| element << 64)
    }
    #[inline(always)]
    fn transpose(self, vectors: [[u128; 4]; 4]) -> [[u128; 4]; 4] {
        core::array::from_fn(|i| core::array::from_fn(|j| vectors[j][i]))
    }
}

/// The product of two polynomials over GF(2), without data-dependent branches or look-ups.
fn carryless_product(a: u64, b: u64) -> u128 {
    let low = carryless_low(a, b);
    let high = carryless_low(a.reverse_bits(), b.reverse_bits()).reverse_bits() >> 1;
    u128::from(high) << 64 | u128::from(low)
}

/// The low 64 bits of the product, by integer multiplication with gaps: each factor is split into four with
/// three zeros between neighbouring bits, where carries gather and are masked away. At most 16 products meet
/// in a place, and 16 only in the uppermost, whose carry is lost (Pornin, BearSSL, `ghash_ctmul64`).
fn carryless_low(a: u64, b: u64) -> u64 {
    const MASKS: [u64; 4] =
        [0x1111_1111_1111_1111, 0x2222_2222_2222_2222, 0x4444_4444_4444_4444, 0x8888_8888_8888_8888];
    let a = MASKS.map(|mask| a & mask);
    let b = MASKS.map(|mask| b & mask);
    let mut product = 0;
    for (place, mask) in MASKS.into_iter().enumerate() {
        let mut sum = 0;
        for i in 0..4 {
            sum ^= a[i].wrapping_mul(b[(place + 4 - i) % 4]);
        }
        product |= sum & mask;
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::Backend;
    use proptest::prelude::*;

    fn bit_by_bit(a: u64, b: u64) -> u128 {
        (0..64).filter(|i| b >> i & 1 == 1).fold(0, |sum, i| sum ^ u128::from(a) << i)
    }

    /// All operations of one instruction set on one input.
    struct Everything {
        a: [u128; 4],
        b: [u128; 4],
    }

    impl Kernel for Everything {
        type Output = Vec<[u128; 4]>;

        #[inline(always)]
        fn run<L: Lanes>(self, lanes: L) -> Vec<[u128; 4]> {
            let (a, b) = (lanes.pack(self.a), lanes.pack(self.b));
            let words: [u64; 8] = core::array::from_fn(|i| (self.a[i / 2] >> (64 * (i % 2))) as u64);
            let mut vectors = vec![
                a,
                lanes.load(&words),
                lanes.splat(self.a[1]),
                lanes.xor(a, b),
                lanes.xor3(a, b, lanes.splat(self.a[0])),
                lanes.low_low(a, b),
                lanes.low_high(a, b),
                lanes.high_high(a, b),
                lanes.low_to_high(a),
                lanes.pack([lanes.sum(a), 0, 0, 0]),
            ];
            vectors.extend(lanes.transpose([a, b, lanes.xor(a, b), lanes.low_low(a, b)]));
            let mut wiped = [a, b];
            lanes.wipe(&mut wiped);
            vectors.extend(wiped);
            vectors.into_iter().map(|vector| lanes.unpack(vector)).collect()
        }
    }

    proptest! {
        #[test]
        fn the_portable_product_is_carryless(a: u64, b: u64) {
            prop_assert_eq!(carryless_product(a, b), bit_by_bit(a, b));
        }

        #[test]
        fn instruction_sets_agree(a: [u128; 4], b: [u128; 4]) {
            let expected = Backend::Portable.run(Everything { a, b });
            for backend in Backend::all() {
                prop_assert_eq!(&backend.run(Everything { a, b }), &expected, "{:?}", backend);
            }
        }
    }

    #[test]
    fn the_portable_product_of_ones_is_carryless() {
        assert_eq!(carryless_product(u64::MAX, u64::MAX), bit_by_bit(u64::MAX, u64::MAX));
    }
}
