//! The pulses of clicks, coded by the gaps between them.
//!
//! A gap of `g` pulses without a click is split into `g >> k` in unary and the low `k` bits as they are (Rice
//! 1979, JPL 79-22). With clicks of probability `p` and the `k` that suits it this costs about
//! `log2(1/p) + 1.5` bits a click, within 4 % of a bit of the entropy of a geometric law.

use crate::hardware::PulseNumber;
use crate::qkd::wire::Malformed;

/// A quotient of this many is written as an escape, and 64 bits of the gap follow.
const ESCAPE: u32 = 24;
/// The greatest parameter: a code then has at most 57 bits, which one unaligned load of 64 bits holds.
const MAX_PARAMETER: u32 = 32;

/// The parameter that suits `clicks` clicks among `pulses` pulses.
pub(super) fn parameter(pulses: u64, clicks: usize) -> u32 {
    let mean = pulses / (clicks as u64).max(1);
    // The best parameter of a geometric law is 1 + floor(log2(ln(golden ratio) x mean)) (Gallager & van Voorhis,
    // IEEE Trans. Inf. Theory 21, 228 (1975)); twice that logarithm is 63075 / 65536.
    let scaled = ((u128::from(mean) * 63075) >> 16) as u64;
    scaled.max(1).ilog2().min(MAX_PARAMETER)
}

/// Codes `pulses`, which rise strictly from `first` on. `None` if they do not, or reach beyond `end`.
pub(super) fn encode(
    pulses: &[PulseNumber],
    first: PulseNumber,
    end: PulseNumber,
    k: u32,
) -> Option<Vec<u8>> {
    let mut bits = BitWriter {
        bytes: Vec::with_capacity(pulses.len() * (k as usize + 3) / 8 + 16),
        gathered: 0,
        filled: 0,
    };
    let low = (1u64 << k) - 1;
    let mut next = first;
    let mut sound = true;
    for &pulse in pulses {
        sound &= pulse >= next;
        let gap = pulse.wrapping_sub(next);
        let quotient = gap >> k;
        if quotient < u64::from(ESCAPE) {
            let quotient = quotient as u32;
            bits.push((1 | (gap & low) << 1) << quotient, quotient + 1 + k);
        } else {
            bits.push(1 << ESCAPE, ESCAPE + 1);
            bits.push(gap & 0xffff_ffff, 32);
            bits.push(gap >> 32, 32);
        }
        next = pulse.wrapping_add(1);
    }
    (sound && pulses.last().is_none_or(|&last| last < end)).then(|| bits.finish())
}

/// The `count` pulses that `bytes` codes, all from `first` on and below `end`.
pub(super) fn decode(
    bytes: &[u8],
    count: usize,
    first: PulseNumber,
    end: PulseNumber,
    k: u32,
) -> Result<Vec<PulseNumber>, Malformed> {
    if k > MAX_PARAMETER {
        return Err(Malformed::Value("the parameter of the gap code"));
    }
    // The shortest code has k + 1 bits: no more is allocated than the bytes can hold.
    if count > bytes.len() * 8 / (k as usize + 1) {
        return Err(Malformed::Truncated);
    }
    let mut padded = Vec::with_capacity(bytes.len() + 16);
    padded.extend_from_slice(bytes);
    padded.extend_from_slice(&[0; 16]);
    let total = bytes.len() * 8;
    let load = |at: usize| -> u64 {
        let word: &[u8; 8] =
            padded[at / 8..].first_chunk().expect("`at` is at most `total`, and 16 bytes follow");
        u64::from_le_bytes(*word) >> (at % 8)
    };
    let low = (1u64 << k) - 1;
    let mut pulses = Vec::with_capacity(count);
    let (mut at, mut next) = (0usize, first);
    for _ in 0..count {
        let word = load(at);
        let quotient = word.trailing_zeros();
        let gap = if quotient < ESCAPE {
            at += (quotient + 1 + k) as usize;
            u64::from(quotient) << k | (word >> (quotient + 1)) & low
        } else if quotient == ESCAPE && at + ESCAPE as usize + 65 <= total {
            at += ESCAPE as usize + 1;
            let gap = load(at) & 0xffff_ffff | load(at + 32) << 32;
            at += 64;
            if gap >> k < u64::from(ESCAPE) {
                return Err(Malformed::Value("an escaped gap that needs no escape"));
            }
            gap
        } else {
            return Err(Malformed::Value("a gap between clicks"));
        };
        // `end - next` cannot wrap: `next` is at most `end` here, and `first` was when it began.
        if at > total || next >= end || gap >= end - next {
            return Err(Malformed::Value("the pulse of a click"));
        }
        pulses.push(next + gap);
        next += gap + 1;
    }
    // What is left must be the zero padding of the last byte.
    if total - at >= 8 || load(at) & ((1 << (total - at)) - 1) != 0 {
        return Err(Malformed::Trailing);
    }
    Ok(pulses)
}

struct BitWriter {
    bytes: Vec<u8>,
    gathered: u64,
    filled: u32,
}

impl BitWriter {
    /// Appends the low `count` bits of `bits`, which has no others; `count` is at most 57.
    #[inline]
    fn push(&mut self, bits: u64, count: u32) {
        self.gathered |= bits << self.filled;
        self.filled += count;
        if self.filled >= 64 {
            self.bytes.extend_from_slice(&self.gathered.to_le_bytes());
            self.filled -= 64;
            // `count - filled` bits of `bits` are written, which is at least one.
            let written = count - self.filled;
            self.gathered = if written >= 64 { 0 } else { bits >> written };
        }
    }
    fn finish(mut self) -> Vec<u8> {
        let used = self.filled.div_ceil(8) as usize;
        self.bytes.extend_from_slice(&self.gathered.to_le_bytes()[..used]);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_units::{EntityId, Purpose, Stream};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pulses_survive_the_code(
            first in 0u64..1 << 50,
            gaps in proptest::collection::vec(prop_oneof![Just(0u64), 0u64..50, 0u64..1 << 20, 0u64..1 << 40], 0..60),
            beyond in 1u64..1000,
            k in 0u32..=MAX_PARAMETER,
        ) {
            let mut pulses = Vec::new();
            let mut next = first;
            for gap in gaps {
                pulses.push(next + gap);
                next += gap + 1;
            }
            let end = next + beyond;
            let bytes = encode(&pulses, first, end, k).unwrap();
            prop_assert_eq!(decode(&bytes, pulses.len(), first, end, k), Ok(pulses));
        }

        #[test]
        fn any_bytes_decode_without_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..64),
            count in 0usize..600,
            first: u64,
            length in 0u64..1 << 44,
            k in 0u32..40,
        ) {
            let end = first.saturating_add(length);
            if let Ok(pulses) = decode(&bytes, count, first, end, k) {
                prop_assert!(pulses.windows(2).all(|pair| pair[0] < pair[1]));
                prop_assert!(pulses.iter().all(|pulse| (first..end).contains(pulse)));
                prop_assert_eq!(encode(&pulses, first, end, k).map(|again| again == bytes), Some(true));
            }
        }
    }

    #[test]
    fn pulses_out_of_order_or_range_are_refused() {
        assert_eq!(encode(&[3, 3], 0, 10, 1), None);
        assert_eq!(encode(&[5, 4], 0, 10, 1), None);
        assert_eq!(encode(&[2], 3, 10, 1), None);
        assert_eq!(encode(&[10], 0, 10, 1), None);
    }

    #[test]
    fn the_code_is_near_the_entropy_of_its_source() {
        let mut stream = Stream::new(1, EntityId(0), Purpose::named("gaps"));
        for p in [0.3, 0.05, 0.01, 0.001] {
            let mut pulses = Vec::new();
            let mut pulse = 0u64;
            while pulses.len() < 20_000 {
                if stream.chance(p) {
                    pulses.push(pulse);
                }
                pulse += 1;
            }
            let k = parameter(pulse, pulses.len());
            let bits = encode(&pulses, 0, pulse, k).unwrap().len() as f64 * 8.0 / pulses.len() as f64;
            let entropy = bellwether_units::binary_entropy(p) / p;
            assert!(bits < entropy + 0.11, "{bits} bits a click at {p}, entropy {entropy}");
        }
    }
}
