//! Bit strings, GF(2) and GF(2^128) arithmetic, universal hashing and permutations.
//!
//! - [`BitString`]: a packed string of bits; [`SecretBits`]: one that is wiped when dropped.
//! - [`gf128`]: the field GF(2^128) and polynomial hashing over it.
//! - [`toeplitz`]: hashing by a Toeplitz matrix over GF(2).
//! - [`Shuffle`]: a fast permutation of packed bits.
//!
//! Kernels choose among the instruction sets of the machine at run time, and each has a portable twin
//! that gives the same bits; the tests compare them.

mod additive_fft;
mod arch;
mod bitstring;
pub mod gf128;
mod secret;
mod shuffle;
pub mod toeplitz;

pub use bitstring::BitString;
pub use secret::SecretBits;
pub use shuffle::Shuffle;
