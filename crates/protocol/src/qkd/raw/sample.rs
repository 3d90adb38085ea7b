//! A random sample of positions, drawn after the bits are fixed.

use bellwether_bits::BitString;
use rand_core::Rng;

/// Random numbers are fetched so many bytes at a time.
const AHEAD: usize = 1 << 14;

/// How many positions the sample of a block has.
pub(super) fn size(bits: u64, millionths: u32) -> usize {
    (u128::from(bits) * u128::from(millionths)).div_ceil(1_000_000) as usize
}

/// A mask of `len` bits of which `count` (at most half of them) are set, every such mask being equally likely: the
/// bounds on sampling without replacement hold for it to the letter.
pub(super) fn draw(len: usize, count: usize, rng: &mut dyn Rng) -> BitString {
    let mut mask = BitString::zeros(len);
    let (mut ahead, mut at) = ([0u8; AHEAD], AHEAD);
    // The least multiple above which a draw would favour low positions.
    let span = len as u64;
    let fair = (1u64 << 32) / span.max(1) * span;
    let mut set = 0;
    while set < count {
        if at == AHEAD {
            rng.fill_bytes(&mut ahead);
            at = 0;
        }
        let drawn = u32::from_le_bytes([ahead[at], ahead[at + 1], ahead[at + 2], ahead[at + 3]]);
        at += 4;
        if u64::from(drawn) >= fair {
            continue;
        }
        let position = (u64::from(drawn) % span) as usize;
        if !mask.get(position) {
            mask.set(position, true);
            set += 1;
        }
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_units::{EntityId, Purpose, Stream};

    /// All 120 samples of 3 of 10 come up alike: chi-square with 119 degrees of freedom stays below its 10^-6 quantile.
    #[test]
    fn every_sample_is_as_likely() {
        let mut rng = Stream::new(4, EntityId(0), Purpose::named("sample"));
        let mut seen = vec![0u32; 1024];
        const DRAWS: u32 = 12_000;
        for _ in 0..DRAWS {
            seen[draw(10, 3, &mut rng).words()[0] as usize] += 1;
        }
        let possible: Vec<u32> = (0..1024usize).filter(|m| m.count_ones() == 3).map(|m| seen[m]).collect();
        assert_eq!((possible.len(), possible.iter().sum::<u32>()), (120, DRAWS));
        let expected = f64::from(DRAWS) / 120.0;
        let chi: f64 = possible.iter().map(|&n| (f64::from(n) - expected).powi(2) / expected).sum();
        assert!(chi < 202.0, "{chi}");
    }

    #[test]
    fn sizes_are_rounded_up() {
        assert_eq!((size(10, 100_000), size(11, 100_000), size(11, 0)), (1, 2, 0));
        assert_eq!(draw(0, 0, &mut Stream::new(1, EntityId(0), Purpose::named("sample"))).len(), 0);
    }
}
