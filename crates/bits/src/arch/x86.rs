//! The instruction sets of x86-64: PCLMULQDQ, and VPCLMULQDQ on AVX-512 registers.

use super::lanes::{Kernel, Lanes};
use core::arch::x86_64::*;
use core::mem::transmute;

/// Proof that this machine has PCLMULQDQ. (SSE2 is part of x86-64.)
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pclmul(());

impl Pclmul {
    /// The proof, if it holds.
    pub(crate) fn detect() -> Option<Self> {
        std::arch::is_x86_feature_detected!("pclmulqdq").then_some(Self(()))
    }

    /// Runs `kernel` in a function with the feature enabled.
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "pclmulqdq")]
        fn enabled<K: Kernel>(token: Pclmul, kernel: K) -> K::Output {
            kernel.run(token)
        }
        // SAFETY: the token exists, so `detect` found the feature.
        unsafe { enabled(self, kernel) }
    }
}

impl Lanes for Pclmul {
    type Vector = [__m128i; 4];

    #[inline(always)]
    fn pack(self, elements: [u128; 4]) -> [__m128i; 4] {
        // SAFETY: both are 64 bytes in which every pattern is valid.
        unsafe { transmute(elements) }
    }
    #[inline(always)]
    fn unpack(self, vector: [__m128i; 4]) -> [u128; 4] {
        // SAFETY: both are 64 bytes in which every pattern is valid.
        unsafe { transmute(vector) }
    }
    #[inline(always)]
    fn load(self, words: &[u64; 8]) -> [__m128i; 4] {
        // SAFETY: both are 64 bytes in which every pattern is valid; x86 is little-endian, so that an even
        // word is a low half.
        unsafe { transmute(*words) }
    }
    #[inline(always)]
    fn splat(self, element: u128) -> [__m128i; 4] {
        // SAFETY: both are 16 bytes in which every pattern is valid.
        [unsafe { transmute::<u128, __m128i>(element) }; 4]
    }
    #[inline(always)]
    fn xor(self, a: [__m128i; 4], b: [__m128i; 4]) -> [__m128i; 4] {
        // SAFETY: SSE2 is part of x86-64.
        core::array::from_fn(|i| unsafe { _mm_xor_si128(a[i], b[i]) })
    }
    #[inline(always)]
    fn low_low(self, a: [__m128i; 4], b: [__m128i; 4]) -> [__m128i; 4] {
        // SAFETY: the token proves PCLMULQDQ.
        core::array::from_fn(|i| unsafe { _mm_clmulepi64_si128::<0x00>(a[i], b[i]) })
    }
    #[inline(always)]
    fn low_high(self, a: [__m128i; 4], b: [__m128i; 4]) -> [__m128i; 4] {
        // SAFETY: the token proves PCLMULQDQ.
        core::array::from_fn(|i| unsafe { _mm_clmulepi64_si128::<0x10>(a[i], b[i]) })
    }
    #[inline(always)]
    fn high_high(self, a: [__m128i; 4], b: [__m128i; 4]) -> [__m128i; 4] {
        // SAFETY: the token proves PCLMULQDQ.
        core::array::from_fn(|i| unsafe { _mm_clmulepi64_si128::<0x11>(a[i], b[i]) })
    }
    #[inline(always)]
    fn low_to_high(self, a: [__m128i; 4]) -> [__m128i; 4] {
        // SAFETY: SSE2 is part of x86-64.
        core::array::from_fn(|i| unsafe { _mm_slli_si128::<8>(a[i]) })
    }
    #[inline(always)]
    fn transpose(self, vectors: [[__m128i; 4]; 4]) -> [[__m128i; 4]; 4] {
        core::array::from_fn(|i| core::array::from_fn(|j| vectors[j][i]))
    }
}

/// Proof that this machine has VPCLMULQDQ and AVX-512 F and BW.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vpclmul(());

impl Vpclmul {
    /// The proof, if it holds.
    pub(crate) fn detect() -> Option<Self> {
        let all = std::arch::is_x86_feature_detected!("avx512f")
            && std::arch::is_x86_feature_detected!("avx512bw")
            && std::arch::is_x86_feature_detected!("vpclmulqdq")
            && std::arch::is_x86_feature_detected!("pclmulqdq");
        all.then_some(Self(()))
    }

    /// Runs `kernel` in a function with the features enabled.
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx512f,avx512bw,vpclmulqdq,pclmulqdq")]
        fn enabled<K: Kernel>(token: Vpclmul, kernel: K) -> K::Output {
            kernel.run(token)
        }
        // SAFETY: the token exists, so `detect` found all four features.
        unsafe { enabled(self, kernel) }
    }
}

impl Lanes for Vpclmul {
    type Vector = __m512i;

    #[inline(always)]
    fn pack(self, elements: [u128; 4]) -> __m512i {
        // SAFETY: both are 64 bytes in which every pattern is valid.
        unsafe { transmute(elements) }
    }
    #[inline(always)]
    fn unpack(self, vector: __m512i) -> [u128; 4] {
        // SAFETY: both are 64 bytes in which every pattern is valid.
        unsafe { transmute(vector) }
    }
    #[inline(always)]
    fn load(self, words: &[u64; 8]) -> __m512i {
        // SAFETY: the reference is valid for the 64 bytes that are read, the load asks for no alignment, and
        // the token proves AVX-512F.
        unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
    }
    #[inline(always)]
    fn splat(self, element: u128) -> __m512i {
        // SAFETY: both are 16 bytes in which every pattern is valid, and the token proves AVX-512F.
        unsafe { _mm512_broadcast_i32x4(transmute::<u128, __m128i>(element)) }
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
    fn low_low(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the token proves VPCLMULQDQ and AVX-512F.
        unsafe { _mm512_clmulepi64_epi128::<0x00>(a, b) }
    }
    #[inline(always)]
    fn low_high(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the token proves VPCLMULQDQ and AVX-512F.
        unsafe { _mm512_clmulepi64_epi128::<0x10>(a, b) }
    }
    #[inline(always)]
    fn high_high(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the token proves VPCLMULQDQ and AVX-512F.
        unsafe { _mm512_clmulepi64_epi128::<0x11>(a, b) }
    }
    #[inline(always)]
    fn low_to_high(self, a: __m512i) -> __m512i {
        // SAFETY: the token proves AVX-512BW.
        unsafe { _mm512_bslli_epi128::<8>(a) }
    }
    #[inline(always)]
    fn transpose(self, [a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
        // SAFETY: the token proves AVX-512F. Each shuffle takes two elements of its first and two of its
        // second operand: 0x88 the even ones, 0xdd the odd ones.
        unsafe {
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
        }
    }
}
