//! Gathering the bits of a word that a mask marks (x86: PEXT).

/// Writes to `sink(bits, count)`, for every word, the bits of `word` at the ones of `mask`, packed to the low end.
pub(crate) fn compress(words: &[u64], masks: &[u64], sink: impl FnMut(u64, usize)) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("bmi2") && std::arch::is_x86_feature_detected!("popcnt") {
        // SAFETY: the two features that `compress_pext` enables were just found on this machine.
        return unsafe { compress_pext(words, masks, sink) };
    }
    compress_portable(words, masks, sink);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "bmi2,popcnt")]
fn compress_pext(words: &[u64], masks: &[u64], mut sink: impl FnMut(u64, usize)) {
    for (&word, &mask) in words.iter().zip(masks) {
        sink(std::arch::x86_64::_pext_u64(word, mask), mask.count_ones() as usize);
    }
}

fn compress_portable(words: &[u64], masks: &[u64], mut sink: impl FnMut(u64, usize)) {
    for (&word, &mask) in words.iter().zip(masks) {
        sink(compress_word(word, mask), mask.count_ones() as usize);
    }
}

/// Compression by parallel suffix (Warren, "Hacker's Delight", 2nd ed., section 7-4).
fn compress_word(mut word: u64, mut mask: u64) -> u64 {
    word &= mask;
    let mut zeros_right = !mask << 1;
    for step in 0..6 {
        let mut odd = zeros_right;
        for shift in 0..6 {
            odd ^= odd << (1 << shift);
        }
        let moving = odd & mask;
        mask = (mask ^ moving) | (moving >> (1 << step));
        let moved = word & moving;
        word = (word ^ moved) | (moved >> (1 << step));
        zeros_right &= !odd;
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one_by_one(word: u64, mask: u64) -> u64 {
        let marked = (0..64).filter(|i| mask >> i & 1 == 1);
        marked.enumerate().fold(0, |out, (count, i)| out | (word >> i & 1) << count)
    }

    proptest! {
        #[test]
        fn both_ways_gather_the_masked_bits(word: u64, mask: u64) {
            let expected = one_by_one(word, mask);
            prop_assert_eq!(compress_word(word, mask), expected);
            compress(&[word], &[mask], |bits, count| {
                assert_eq!((bits, count), (expected, mask.count_ones() as usize));
            });
        }
    }
}
