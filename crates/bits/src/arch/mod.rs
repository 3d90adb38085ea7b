//! Kernels that use instruction sets chosen at run time, each beside its portable twin.
//!
//! This is the only place with `unsafe`. An intrinsic of a target feature may only run where the feature
//! exists; that is proved by a token ([`Pclmul`](x86::Pclmul), [`Vpclmul`](x86::Vpclmul)) that can only be
//! had after the features were found on this machine. Algorithms are written once, as a [`Kernel`] over
//! [`Lanes`], in safe code.
#![allow(unsafe_code, reason = "intrinsics of target features that are checked at run time")]

mod active;
mod bytes;
mod compress;
mod expand;
mod gfni;
mod lanes;
mod level;
mod pages;
mod sweep;
#[cfg(target_arch = "x86_64")]
mod sweep_x86;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use active::Active;
pub(crate) use bytes::{ByteKernel, ByteLanes};
pub(crate) use compress::compress;
pub(crate) use expand::expand;
pub(crate) use gfni::Gfni;
pub(crate) use lanes::{Kernel, Lanes, Portable};
pub(crate) use level::{Level, WordKernel};
pub(crate) use pages::{give_back, long_vector};
pub(crate) use sweep::{CheckMessages, Sweep, Sweeper, Vector};
pub use sweep::{MessageTables, Visit};

/// An instruction set that this machine has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Backend {
    /// No more than the language.
    Portable,
    /// Carry-less multiplication of 64 bits.
    #[cfg(target_arch = "x86_64")]
    Pclmul(x86::Pclmul),
    /// Four carry-less multiplications at a time.
    #[cfg(target_arch = "x86_64")]
    Vpclmul(x86::Vpclmul),
}

impl Backend {
    /// The quickest of this machine.
    pub(crate) fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(token) = x86::Vpclmul::detect() {
                return Self::Vpclmul(token);
            }
            if let Some(token) = x86::Pclmul::detect() {
                return Self::Pclmul(token);
            }
        }
        Self::Portable
    }

    /// All of this machine.
    #[cfg(test)]
    pub(crate) fn all() -> Vec<Self> {
        let mut all = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(x86::Pclmul::detect().map(Self::Pclmul));
            all.extend(x86::Vpclmul::detect().map(Self::Vpclmul));
        }
        all
    }

    /// Runs `kernel` with this instruction set.
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            Self::Portable => kernel.run(Portable),
            #[cfg(target_arch = "x86_64")]
            Self::Pclmul(token) => token.run(kernel),
            #[cfg(target_arch = "x86_64")]
            Self::Vpclmul(token) => token.run(kernel),
        }
    }
}
