//! Loops over words, compiled for several instruction sets.

/// A loop over words in safe code, which the compiler turns into vector instructions where it is told of them.
///
/// `run` and all that it calls must be `#[inline(always)]`, so that the code ends up in a function that has the
/// target features enabled.
pub(crate) trait WordKernel {
    /// What it computes.
    type Output;
    /// Computes it.
    fn run(self) -> Self::Output;
}

/// A set of instructions on words that this machine has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Level {
    /// No more than the language.
    Portable,
    /// Vectors of 256 bits.
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2),
    /// Vectors of 512 bits that count their ones.
    #[cfg(target_arch = "x86_64")]
    Avx512(x86::Avx512),
}

impl Level {
    /// The quickest of this machine.
    pub(crate) fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(token) = x86::Avx512::detect() {
                return Self::Avx512(token);
            }
            if let Some(token) = x86::Avx2::detect() {
                return Self::Avx2(token);
            }
        }
        Self::Portable
    }

    /// The quickest for so many words: short loops take no longer than to choose and to call.
    #[inline]
    pub(crate) fn for_words(count: usize) -> Self {
        if count < 8 { Self::Portable } else { Self::best() }
    }

    /// All of this machine.
    #[cfg(test)]
    pub(crate) fn all() -> Vec<Self> {
        let mut all = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(x86::Avx2::detect().map(Self::Avx2));
            all.extend(x86::Avx512::detect().map(Self::Avx512));
        }
        all
    }

    /// Runs `kernel` with this instruction set.
    #[inline]
    pub(crate) fn run<K: WordKernel>(self, kernel: K) -> K::Output {
        match self {
            Self::Portable => kernel.run(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(token) => token.run(kernel),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(token) => token.run(kernel),
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::WordKernel;
    use std::arch::is_x86_feature_detected;

    /// Proof that this machine has AVX2 and what came before it.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Avx2(());

    impl Avx2 {
        /// The proof, if it holds.
        pub(crate) fn detect() -> Option<Self> {
            let found = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt");
            found.then_some(Self(()))
        }

        /// Runs `kernel` in a function with the features enabled.
        pub(crate) fn run<K: WordKernel>(self, kernel: K) -> K::Output {
            #[target_feature(enable = "avx2,popcnt")]
            fn enabled<K: WordKernel>(kernel: K) -> K::Output {
                kernel.run()
            }
            // SAFETY: the token exists, so `detect` found both features.
            unsafe { enabled(kernel) }
        }
    }

    /// Proof that this machine has AVX-512 (F, BW, VL) with VPOPCNTDQ.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Avx512(());

    impl Avx512 {
        /// The proof, if it holds.
        pub(crate) fn detect() -> Option<Self> {
            let found = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512vpopcntdq")
                && is_x86_feature_detected!("popcnt");
            found.then_some(Self(()))
        }

        /// Runs `kernel` in a function with the features enabled.
        pub(crate) fn run<K: WordKernel>(self, kernel: K) -> K::Output {
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq,popcnt")]
            fn enabled<K: WordKernel>(kernel: K) -> K::Output {
                kernel.run()
            }
            // SAFETY: the token exists, so `detect` found all five features.
            unsafe { enabled(kernel) }
        }
    }
}
