//! Scattering bits to the places that a mask marks (x86: PDEP).

/// For every mask, the low bits of `source(count)` at its ones, where `count` is how many it has, and zeros elsewhere.
pub(crate) fn expand(masks: &[u64], source: impl FnMut(usize) -> u64) -> Vec<u64> {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("bmi2") && std::arch::is_x86_feature_detected!("popcnt") {
        // SAFETY: the two features that `expand_pdep` enables were just found on this machine.
        return unsafe { expand_pdep(masks, source) };
    }
    expand_portable(masks, source)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "bmi2,popcnt")]
fn expand_pdep(masks: &[u64], mut source: impl FnMut(usize) -> u64) -> Vec<u64> {
    let mut words = Vec::with_capacity(masks.len());
    for &mask in masks {
        words.push(std::arch::x86_64::_pdep_u64(source(mask.count_ones() as usize), mask));
    }
    words
}

fn expand_portable(masks: &[u64], mut source: impl FnMut(usize) -> u64) -> Vec<u64> {
    masks.iter().map(|&mask| expand_word(source(mask.count_ones() as usize), mask)).collect()
}

/// Expansion by the moves of compression in reverse (Warren, "Hacker's Delight", 2nd ed., section 7-5), without
/// branches or look-ups that depend on the bits.
fn expand_word(mut word: u64, mask: u64) -> u64 {
    let (mut left, mut zeros_right) = (mask, !mask << 1);
    let mut moves = [0; 6];
    for (step, moving) in moves.iter_mut().enumerate() {
        let mut odd = zeros_right;
        for shift in 0..6 {
            odd ^= odd << (1 << shift);
        }
        *moving = odd & left;
        left = (left ^ *moving) | (*moving >> (1 << step));
        zeros_right &= !odd;
    }
    for (step, moving) in moves.into_iter().enumerate().rev() {
        word = (word & !moving) | ((word << (1 << step)) & moving);
    }
    word & mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one_by_one(word: u64, mask: u64) -> u64 {
        let marked = (0..64).filter(|i| mask >> i & 1 == 1);
        marked.enumerate().fold(0, |out, (count, i)| out | (word >> count & 1) << i)
    }

    proptest! {
        #[test]
        fn both_ways_scatter_to_the_mask(word: u64, mask: u64) {
            for mask in [mask, 0, u64::MAX, 1, 1 << 63, u64::MAX << 1, u64::MAX >> 1] {
                let expected = one_by_one(word, mask);
                prop_assert_eq!(expand_word(word, mask), expected);
                prop_assert_eq!(expand(&[mask], |_| word), vec![expected]);
            }
        }
    }
}
