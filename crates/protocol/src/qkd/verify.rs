//! Verification: do both ends hold the same reconciled block?
//!
//! After reconciliation one end draws a random 128-bit seed, hashes its block with it and sends the seed and
//! a tag of t bits; the other compares. The seed must be drawn after both blocks are fixed. Two different
//! blocks of n bits pass with probability at most (ceil(n/128) + 1) / 2^t: their difference is a non-zero
//! polynomial in the seed of that degree, and it meets each of the 2^(128-t) values whose kept bits vanish
//! at no more seeds than its degree (Wegman & Carter, J. Comput. Syst. Sci. 22, 265 (1981), for the use; the
//! polynomial family of den Boer 1993). The t bits are disclosed and must be taken off the key's length.

use bellwether_bits::BitString;
use bellwether_bits::gf128::PolynomialHasher;
use subtle::ConstantTimeEq;

/// The most bits that a tag can have.
pub const MAX_TAG_BITS: u32 = 128;

/// How many bits a tag needs so that different blocks of `block_bits` pass with probability at most
/// `epsilon_correctness`: ceil(log2((ceil(n/128) + 1) / epsilon)).
///
/// `None` if no tag of up to [`MAX_TAG_BITS`] suffices, or if `epsilon_correctness` is not above 0.
///
/// ```
/// use bellwether_protocol::qkd::verify::tag_bits;
///
/// assert_eq!(tag_bits(1e-15, 1_000_000), Some(63)); // 7814 / 2^63 = 8.5e-16
/// ```
pub fn tag_bits(epsilon_correctness: f64, block_bits: usize) -> Option<u32> {
    if epsilon_correctness.is_nan() || epsilon_correctness <= 0.0 {
        return None;
    }
    (1..=MAX_TAG_BITS).find(|&bits| collision_probability(block_bits, bits) <= epsilon_correctness)
}

/// The most with which two different blocks of `block_bits` have equal tags of `tag_bits`.
pub fn collision_probability(block_bits: usize, tag_bits: u32) -> f64 {
    let degree = block_bits.div_ceil(128) as f64 + 1.0;
    libm::ldexp(degree, -(tag_bits.min(MAX_TAG_BITS) as i32)).min(1.0)
}

/// The tag of a block: the low `tag_bits` (at most [`MAX_TAG_BITS`]) of its polynomial hash under `seed`.
///
/// Both ends must have agreed on the length of the block, which the tag does not cover to the bit.
pub fn tag(seed: u128, block: &BitString, tag_bits: u32) -> u128 {
    let mut hasher = PolynomialHasher::new(seed);
    hasher.update_words(block.words());
    let kept = match tag_bits {
        0 => 0,
        bits => u128::MAX >> (MAX_TAG_BITS - bits.min(MAX_TAG_BITS)),
    };
    hasher.finish() & kept
}

/// Whether a peer's tag is that of the own block, in constant time.
pub fn agrees(seed: u128, block: &BitString, tag_bits: u32, peers_tag: u128) -> bool {
    tag(seed, block, tag_bits).to_le_bytes().ct_eq(&peers_tag.to_le_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_units::{EntityId, Purpose, Stream};
    use proptest::prelude::*;
    use rand_core::Rng;

    fn seed(rng: &mut Stream) -> u128 {
        u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64())
    }

    proptest! {
        #[test]
        fn a_forced_disagreement_is_caught(
            len in 1usize..20_000,
            places in prop::collection::vec(any::<prop::sample::Index>(), 1..5),
            run: u64,
        ) {
            let mut rng = Stream::new(run, EntityId(0), Purpose::named("verify"));
            let block = BitString::random(len, &mut rng);
            let places: std::collections::BTreeSet<usize> = places.iter().map(|place| place.index(len)).collect();
            let mut other = block.clone();
            places.iter().for_each(|&place| other.flip(place));
            let seed = seed(&mut rng);
            let bits = tag_bits(1e-15, len).unwrap();
            let sent = tag(seed, &block, bits);
            prop_assert!(agrees(seed, &block, bits, sent));
            prop_assert!(!agrees(seed, &other, bits, sent));
            prop_assert!(sent >> bits == 0);
        }

        #[test]
        fn the_tag_is_the_shortest_that_suffices(exponent in 1.0f64..35.0, len in 0usize..100_000_000) {
            let epsilon = libm::pow(10.0, -exponent);
            match tag_bits(epsilon, len) {
                Some(bits) => {
                    prop_assert!(collision_probability(len, bits) <= epsilon);
                    prop_assert!(bits == 1 || collision_probability(len, bits - 1) > epsilon);
                }
                None => prop_assert!(collision_probability(len, MAX_TAG_BITS) > epsilon),
            }
        }
    }

    /// A tag of 8 bits is so short that collisions occur: their rate must keep under the bound, 3/256 here,
    /// and near 1/256, which a random function would give.
    #[test]
    fn short_tags_collide_as_often_as_they_may() {
        let mut rng = Stream::new(3, EntityId(0), Purpose::named("verify"));
        let trials = 100_000u32;
        let mut collisions = 0;
        for _ in 0..trials {
            let block = BitString::random(256, &mut rng);
            let mut other = block.clone();
            other.flip(rng.below(256) as usize);
            let seed = seed(&mut rng);
            collisions += u32::from(agrees(seed, &other, 8, tag(seed, &block, 8)));
        }
        let expected = f64::from(trials) / 256.0;
        let deviation = (f64::from(collisions) - expected) / expected.sqrt();
        assert!(deviation.abs() < 5.0, "{collisions} collisions, {expected} expected");
        assert!(f64::from(collisions) / f64::from(trials) < collision_probability(256, 8));
    }

    #[test]
    fn impossible_demands_are_refused() {
        assert_eq!(tag_bits(1e-40, 1000), None);
        assert_eq!(tag_bits(0.0, 1000), None);
        assert_eq!(tag_bits(f64::NAN, 1000), None);
        assert_eq!(tag(1, &BitString::zeros(5), 0), 0);
    }
}
