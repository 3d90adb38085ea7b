//! Bit strings, GF(2) and GF(2^128) arithmetic, universal hashing and permutations.

mod bitstring;

pub use bitstring::BitString;
