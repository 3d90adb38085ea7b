//! Bit strings, GF(2) and GF(2^128) arithmetic, universal hashing and permutations.
//!
//! - [`BitString`]: a packed string of bits, its counts and parities, bits taken out and put in; [`SecretBits`]: one that is
//!   wiped when dropped.
//! - [`gf128`]: the field GF(2^128) and polynomial hashing over it.
//! - [`toeplitz`]: hashing by a Toeplitz matrix over GF(2).
//! - [`parity_checks`]: sparse parity checks and message passing over them.
//! - [`Shuffle`]: a fast permutation of packed bits.
//!
//! Kernels choose among the instruction sets of the machine at run time, and each has a portable twin
//! that gives the same bits; the tests compare them.

mod additive_fft;
mod arch;
mod bitstring;
mod byte_fft;
pub mod gf128;
mod parities;
pub mod parity_checks;
mod secret;
mod selection;
mod shuffle;
pub mod toeplitz;

pub use bitstring::BitString;
pub use secret::SecretBits;
pub use shuffle::Shuffle;
