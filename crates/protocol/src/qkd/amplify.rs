//! Privacy amplification: a verified block becomes a shorter key of which the eavesdropper knows nothing.
//!
//! The block of n bits is multiplied by a random Toeplitz matrix of l rows. Its n + l - 1 bits of seed are
//! public, and must be drawn after reconciliation and verification are done. By the leftover hash lemma the
//! key is eps-close to uniform if l <= H_min - 2 log2(1/(2 eps)) (Renner, Int. J. Quantum Inf. 6, 1 (2008),
//! corollary 5.6.1; Tomamichel, Schaffner, Smith & Renner, IEEE Trans. Inf. Theory 57, 5524 (2011)). A block
//! is hashed whole: hashing its parts with the length formula of the whole would not be secure.

use bellwether_bits::{BitString, SecretBits, toeplitz};
use thiserror::Error;

/// Why a block cannot be amplified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AmplificationError {
    /// The seed does not fit the lengths.
    #[error("hashing {input} bits to {output} takes a seed of {wanted} bits, not {found}")]
    SeedLength {
        /// Bits of the block.
        input: usize,
        /// Bits of the key.
        output: usize,
        /// Bits that the seed should have.
        wanted: usize,
        /// Bits that it has.
        found: usize,
    },
    /// A key longer than its block was asked for.
    #[error("a block of {input} bits cannot give a key of {output}")]
    TooLong {
        /// Bits of the block.
        input: usize,
        /// Bits of the key.
        output: usize,
    },
}

/// How many bits of seed it takes to hash `input_len` bits to `output_len`: n + l - 1.
pub const fn seed_len(input_len: usize, output_len: usize) -> usize {
    toeplitz::seed_len(input_len, output_len)
}

/// A block waiting to be amplified: a pure job, which may run on any thread.
///
/// ```
/// use bellwether_bits::{BitString, SecretBits};
/// use bellwether_protocol::qkd::amplify::{Amplification, seed_len};
/// use bellwether_units::{EntityId, Purpose, Stream};
///
/// let mut rng = Stream::new(1, EntityId(0), Purpose::named("example"));
/// let block = SecretBits::random(1000, &mut rng);
/// let seed = BitString::random(seed_len(1000, 300), &mut rng);
/// let here = Amplification::new(block.duplicate(), seed.clone(), 300)?.run();
/// let there = Amplification::new(block, seed, 300)?.run();
/// assert_eq!(here, there);
/// assert_eq!(here.len(), 300);
/// # Ok::<(), bellwether_protocol::qkd::amplify::AmplificationError>(())
/// ```
#[derive(Debug)]
pub struct Amplification {
    input: SecretBits,
    seed: BitString,
    output_len: usize,
}

impl Amplification {
    /// A job that hashes `input` with `seed` to `output_len` bits.
    ///
    /// # Errors
    /// If the key would be longer than the block, or the seed has not [`seed_len`] bits.
    pub fn new(input: SecretBits, seed: BitString, output_len: usize) -> Result<Self, AmplificationError> {
        if output_len > input.len() {
            return Err(AmplificationError::TooLong { input: input.len(), output: output_len });
        }
        let wanted = seed_len(input.len(), output_len);
        if seed.len() != wanted {
            let (input, found) = (input.len(), seed.len());
            return Err(AmplificationError::SeedLength { input, output: output_len, wanted, found });
        }
        Ok(Self { input, seed, output_len })
    }

    /// The key. The block is wiped.
    pub fn run(self) -> SecretBits {
        SecretBits::new(toeplitz::hash(&self.seed, self.input.expose(), self.output_len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_units::{EntityId, Purpose, Stream};

    #[test]
    fn lengths_that_do_not_fit_are_refused() {
        let block = || SecretBits::new(BitString::zeros(100));
        let job =
            |seed, output| Amplification::new(block(), BitString::zeros(seed), output).map(|job| job.run());
        assert_eq!(job(200, 101).unwrap_err(), AmplificationError::TooLong { input: 100, output: 101 });
        let wanted = AmplificationError::SeedLength { input: 100, output: 50, wanted: 149, found: 150 };
        assert_eq!(job(150, 50).unwrap_err(), wanted);
        assert_eq!(job(149, 50).unwrap().len(), 50);
        assert_eq!(job(99, 0).unwrap().len(), 0);
    }

    /// Universality as the lemma needs it: over random seeds, two different blocks give equal keys of l bits
    /// with probability 2^-l.
    #[test]
    fn different_blocks_collide_with_the_probability_of_a_universal_family() {
        let mut rng = Stream::new(5, EntityId(0), Purpose::named("amplify"));
        let (trials, output_len) = (64_000u32, 6);
        let mut collisions = 0;
        for _ in 0..trials {
            let block = BitString::random(70, &mut rng);
            let mut other = block.clone();
            other.flip(rng.below(70) as usize);
            other.flip(rng.below(69) as usize);
            if block == other {
                continue;
            }
            let seed = BitString::random(seed_len(70, output_len), &mut rng);
            let key =
                |block| Amplification::new(SecretBits::new(block), seed.clone(), output_len).unwrap().run();
            collisions += u32::from(key(block) == key(other));
        }
        // One pair of flips in 70 hits the same place; 64,000 / 64 = 1000 less that share.
        let expected = f64::from(trials) / 64.0 * 69.0 / 70.0;
        let deviation = (f64::from(collisions) - expected) / expected.sqrt();
        assert!(deviation.abs() < 5.0, "{collisions} collisions, {expected} expected");
    }
}
