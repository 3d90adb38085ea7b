//! GF(2^8) on AVX-512 registers: the extension GFNI.

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::Gfni;

#[cfg(not(target_arch = "x86_64"))]
pub(crate) use none::Gfni;

#[cfg(not(target_arch = "x86_64"))]
mod none {
    use crate::arch::{ByteKernel, ByteLanes};

    /// On other machines there is no such instruction set, and no value of this type.
    #[derive(Clone, Copy, Debug)]
    pub(crate) enum Gfni {}

    impl Gfni {
        /// None.
        pub(crate) fn detect() -> Option<Self> {
            None
        }
    }

    impl ByteLanes for Gfni {
        type Vector = [u8; 64];

        fn run<K: ByteKernel<Self>>(self, _: K) -> K::Output {
            match self {}
        }
        fn load(self, _: &[u8; 64]) -> [u8; 64] {
            match self {}
        }
        fn store(self, _: [u8; 64], _: &mut [u8; 64]) {
            match self {}
        }
        fn splat(self, _: u8) -> [u8; 64] {
            match self {}
        }
        fn xor(self, _: [u8; 64], _: [u8; 64]) -> [u8; 64] {
            match self {}
        }
        fn xor3(self, _: [u8; 64], _: [u8; 64], _: [u8; 64]) -> [u8; 64] {
            match self {}
        }
        fn multiply(self, _: [u8; 64], _: [u8; 64]) -> [u8; 64] {
            match self {}
        }
        fn transform(self, _: [u8; 64], _: u64) -> [u8; 64] {
            match self {}
        }
        fn transpose(self, _: &mut [[u8; 64]; 64]) {
            match self {}
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use crate::arch::{ByteKernel, ByteLanes};
    use core::arch::x86_64::*;

    /// Proof that this machine has GFNI and AVX-512 (F, BW).
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Gfni(());

    impl Gfni {
        /// The proof, if it holds.
        pub(crate) fn detect() -> Option<Self> {
            let found = std::arch::is_x86_feature_detected!("avx512f")
                && std::arch::is_x86_feature_detected!("avx512bw")
                && std::arch::is_x86_feature_detected!("gfni");
            found.then_some(Self(()))
        }
    }

    impl ByteLanes for Gfni {
        type Vector = __m512i;

        fn run<K: ByteKernel<Self>>(self, kernel: K) -> K::Output {
            #[target_feature(enable = "avx512f,avx512bw,gfni")]
            fn enabled<K: ByteKernel<Gfni>>(token: Gfni, kernel: K) -> K::Output {
                kernel.run(token)
            }
            // SAFETY: the token exists, so `detect` found all three features.
            unsafe { enabled(self, kernel) }
        }
        #[inline(always)]
        fn load(self, bytes: &[u8; 64]) -> __m512i {
            // SAFETY: the reference is valid for the 64 bytes that are read, the load asks for no alignment, and
            // the token proves AVX-512F.
            unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
        }
        #[inline(always)]
        fn store(self, vector: __m512i, bytes: &mut [u8; 64]) {
            // SAFETY: the reference is valid for the 64 bytes that are written, the store asks for no alignment,
            // and the token proves AVX-512F.
            unsafe { _mm512_storeu_si512(bytes.as_mut_ptr().cast(), vector) }
        }
        #[inline(always)]
        fn splat(self, byte: u8) -> __m512i {
            // SAFETY: the token proves AVX-512F.
            unsafe { _mm512_set1_epi8(byte as i8) }
        }
        #[inline(always)]
        fn xor(self, a: __m512i, b: __m512i) -> __m512i {
            // SAFETY: the token proves AVX-512F.
            unsafe { _mm512_xor_si512(a, b) }
        }
        #[inline(always)]
        fn xor3(self, a: __m512i, b: __m512i, c: __m512i) -> __m512i {
            // SAFETY: the token proves AVX-512F. 0x96 is the truth table of the sum of three bits.
            unsafe { _mm512_ternarylogic_epi64::<0x96>(a, b, c) }
        }
        #[inline(always)]
        fn multiply(self, a: __m512i, b: __m512i) -> __m512i {
            // SAFETY: the token proves GFNI and AVX-512BW.
            unsafe { _mm512_gf2p8mul_epi8(a, b) }
        }
        #[inline(always)]
        fn transform(self, a: __m512i, matrix: u64) -> __m512i {
            // SAFETY: the token proves GFNI and AVX-512F.
            unsafe { _mm512_gf2p8affine_epi64_epi8::<0>(a, _mm512_set1_epi64(matrix as i64)) }
        }
        #[inline(always)]
        fn transpose(self, vectors: &mut [__m512i; 64]) {
            // The matrix of 4 x 4 blocks of 16 x 16 bytes is transposed block by block, then each block. Four rounds
            // of a perfect shuffle of rows 0 .. 7 with rows 8 .. 15 do that.
            let mut blocks = [vectors[0]; 64];
            for row in 0..16 {
                let [a, b, c, d] = core::array::from_fn(|i| vectors[16 * i + row]);
                // SAFETY: the token proves AVX-512F. Each shuffle takes two lanes of its first and two of its
                // second operand: 0x88 the even ones, 0xdd the odd ones.
                let lanes = unsafe {
                    let ab_even = _mm512_shuffle_i32x4::<0x88>(a, b);
                    let ab_odd = _mm512_shuffle_i32x4::<0xdd>(a, b);
                    let cd_even = _mm512_shuffle_i32x4::<0x88>(c, d);
                    let cd_odd = _mm512_shuffle_i32x4::<0xdd>(c, d);
                    [
                        _mm512_shuffle_i32x4::<0x88>(ab_even, cd_even),
                        _mm512_shuffle_i32x4::<0x88>(ab_odd, cd_odd),
                        _mm512_shuffle_i32x4::<0xdd>(ab_even, cd_even),
                        _mm512_shuffle_i32x4::<0xdd>(ab_odd, cd_odd),
                    ]
                };
                for (i, lane) in lanes.into_iter().enumerate() {
                    blocks[16 * i + row] = lane;
                }
            }
            for (block, out) in blocks.as_chunks::<16>().0.iter().zip(vectors.as_chunks_mut::<16>().0) {
                let mut rows = *block;
                for _ in 0..4 {
                    let before = rows;
                    for i in 0..8 {
                        // SAFETY: the token proves AVX-512BW.
                        unsafe {
                            rows[2 * i] = _mm512_unpacklo_epi8(before[i], before[i + 8]);
                            rows[2 * i + 1] = _mm512_unpackhi_epi8(before[i], before[i + 8]);
                        }
                    }
                }
                *out = rows;
            }
        }
    }
}
