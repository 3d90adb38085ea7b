//! Tags on frames between neighbours: Wegman & Carter, J. Comput. Syst. Sci. 22, 265 (1981).
//!
//! The tag is the low half of [`PolynomialHasher`]'s hash, keyed by the hash key of a block, plus 64 bits of
//! one-time pad. The hash key serves all tags whose pads come from that block, which is composable (Portmann,
//! arXiv:1202.1229). A message of L words of 16 bytes is forged with probability at most (L + 1) 2^-64 an
//! attempt.

use bellwether_bits::gf128::PolynomialHasher;

/// How many bits of pad a tag takes.
pub(super) const TAG_BITS: u32 = 64;

/// The tag of `message`.
pub(super) fn tag(hash_key: u128, pad: u64, message: &[u8]) -> u64 {
    let mut hasher = PolynomialHasher::new(hash_key);
    hasher.update(message);
    hasher.finish() as u64 ^ pad
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_change_changes_the_tag(
            key: u128, pad: u64, message in prop::collection::vec(any::<u8>(), 1..100), at: usize, bit in 0u8..8,
        ) {
            let good = tag(key, pad, &message);
            let mut changed = message.clone();
            let i = at % changed.len();
            changed[i] ^= 1 << bit;
            prop_assert_ne!(good, tag(key, pad, &changed));
            changed = message.clone();
            changed.push(0);
            prop_assert_ne!(good, tag(key, pad, &changed), "the length counts");
        }
    }
}
