//! What is done to the bits of a part that fit into a word.

use super::packed::Packed;

/// The lowest `count` bits, 1 to 64.
#[inline(always)]
pub(super) fn low(count: u32) -> u64 {
    u64::MAX >> (64 - count)
}

/// Where a part of at most 64 positions is split, from its start: in the middle, or if it is short, so that as many unsettled
/// bits lie in one half as in the other. There are at least two.
#[inline(always)]
pub(super) fn split(unsettled: u64, length: u32) -> u32 {
    if length > 8 { length / 2 } else { u32::from(SPLITS[unsettled as usize & 0xff]) }
}

/// The place of the one before which half of the others lie, for all patterns of eight bits.
const SPLITS: [u8; 256] = {
    let mut splits = [0; 256];
    let mut pattern = 0;
    while pattern < 256 {
        let mut rest = pattern;
        let mut before = (pattern as u32).count_ones() / 2;
        while before > 0 {
            rest &= rest - 1;
            before -= 1;
        }
        splits[pattern] = (rest as u32).trailing_zeros() as u8;
        pattern += 1;
    }
    splits
};

/// Tells the parities of the first `count` blocks of `length` bits, which is a power of two and at most 64.
pub(super) fn word_parities(
    words: impl Iterator<Item = u64>,
    count: usize,
    length: u32,
    parities: &mut Packed,
) {
    let in_word = 64 / length as usize;
    let mut left = count;
    for word in words {
        let mut packed = 0;
        for place in 0..in_word {
            let part = word >> (place as u32 * length) & low(length);
            packed |= u64::from(part.count_ones() & 1) << place;
        }
        let taken = left.min(in_word);
        parities.push_many(packed & low(taken as u32), taken);
        left -= taken;
        if left == 0 {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_unsettled_bits_lie_in_one_half_as_in_the_other() {
        for pattern in 1u64..256 {
            let count = pattern.count_ones();
            if count < 2 {
                continue;
            }
            let cut = split(pattern, 8);
            assert!((1..8).contains(&cut));
            assert_eq!((pattern & low(cut)).count_ones(), count / 2, "{pattern:08b} at {cut}");
        }
        assert_eq!((split(u64::MAX, 64), split(low(9), 9), split(low(3), 3)), (32, 4, 1));
    }

    #[test]
    fn blocks_of_words_have_the_parities_that_counting_gives() {
        let words = [0x0123_4567_89ab_cdef_u64, 0xfedc_ba98_7654_3211];
        for length in [4u32, 8, 16, 32, 64] {
            let count = 128 / length as usize - 1;
            let mut packed = Packed::default();
            word_parities(words.into_iter(), count, length, &mut packed);
            assert_eq!(packed.len(), count);
            for block in 0..count {
                let bits = block * length as usize..(block + 1) * length as usize;
                let ones = bits.filter(|bit| words[bit / 64] >> (bit % 64) & 1 == 1).count();
                assert_eq!(packed.words()[block / 64] >> (block % 64) & 1 == 1, ones % 2 == 1);
            }
        }
    }
}
