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
    let mut writer = GapWriter {
        bits: BitWriter::with_capacity(pulses.len() * (k as usize + 3) / 8 + 16),
        next: first,
        sound: true,
        k,
    };
    match together(k) {
        0 | 1 => writer.by_groups::<1>(pulses),
        2 => writer.by_groups::<2>(pulses),
        3 => writer.by_groups::<3>(pulses),
        4 | 5 => writer.by_groups::<4>(pulses),
        _ => writer.by_groups::<6>(pulses),
    }
    let sound = writer.sound && pulses.last().is_none_or(|&last| last < end);
    sound.then(|| writer.bits.finish())
}

/// How many codes are written or read at a time: as many as one load of 57 bits holds but for long ones, those with a
/// quotient of about five.
fn together(k: u32) -> u32 {
    LOADED / (k + 6)
}

/// Where an encoder is.
struct GapWriter {
    bits: BitWriter,
    /// The first pulse that may come next.
    next: PulseNumber,
    /// Whether all pulses so far rose.
    sound: bool,
    k: u32,
}

impl GapWriter {
    /// Writes the codes of `pulses`, `N` at a time, since each push waits for the one before. A group with codes that are
    /// too long for that is written one by one.
    fn by_groups<const N: usize>(&mut self, pulses: &[PulseNumber]) {
        let (groups, rest) = pulses.as_chunks::<N>();
        for group in groups {
            if !self.group(group) {
                group.iter().for_each(|&pulse| self.one(pulse));
            }
        }
        rest.iter().for_each(|&pulse| self.one(pulse));
    }

    /// Writes short codes with one push; if they are not, does nothing and tells so.
    #[inline]
    fn group<const N: usize>(&mut self, pulses: &[PulseNumber; N]) -> bool {
        let low = (1u64 << self.k) - 1;
        let (mut code, mut used, mut longest, mut sound, mut next) = (0, 0, 0, true, self.next);
        for &pulse in pulses {
            sound &= pulse >= next;
            let gap = pulse.wrapping_sub(next);
            let quotient = gap >> self.k;
            longest = u64::max(longest, quotient);
            // What is shifted too far is void, for then a quotient or the sum of lengths is too great.
            let length = (quotient as u32).wrapping_add(1 + self.k);
            let one = (1 | (gap & low) << 1).wrapping_shl(quotient as u32);
            code |= one.wrapping_shl(used);
            used = used.wrapping_add(length);
            next = pulse.wrapping_add(1);
        }
        if longest >= u64::from(ESCAPE) || used > LOADED {
            return false;
        }
        self.bits.push(code, used);
        self.sound &= sound;
        self.next = next;
        true
    }

    /// Writes one code.
    fn one(&mut self, pulse: PulseNumber) {
        self.sound &= pulse >= self.next;
        let gap = pulse.wrapping_sub(self.next);
        let quotient = gap >> self.k;
        if quotient < u64::from(ESCAPE) {
            let quotient = quotient as u32;
            let low = (1u64 << self.k) - 1;
            self.bits.push((1 | (gap & low) << 1) << quotient, quotient + 1 + self.k);
        } else {
            self.bits.push(1 << ESCAPE, ESCAPE + 1);
            self.bits.push(gap & 0xffff_ffff, 32);
            self.bits.push(gap >> 32, 32);
        }
        self.next = pulse.wrapping_add(1);
    }
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
    let mut reader = GapReader::new(bytes, first, end, k);
    let pulses = match together(k) {
        0 | 1 => reader.by_groups::<1>(count),
        2 => reader.by_groups::<2>(count),
        3 => reader.by_groups::<3>(count),
        4 | 5 => reader.by_groups::<4>(count),
        _ => reader.by_groups::<6>(count),
    }?;
    reader.finish()?;
    Ok(pulses)
}

/// So many bits a load holds at least, wherever it begins in its first byte.
const LOADED: u32 = 57;

/// Where a decoder is in its bits and in its pulses.
struct GapReader<'a> {
    bytes: &'a [u8],
    /// The last bytes, at most 8, followed by zeros.
    tail: [u8; 16],
    /// How many bits there are.
    total: usize,
    /// The next bit to read, at most `total`.
    at: usize,
    /// The first pulse that may be coded next; at most `end` unless there were no pulses to begin with.
    next: PulseNumber,
    end: PulseNumber,
    k: u32,
}

impl<'a> GapReader<'a> {
    fn new(bytes: &'a [u8], first: PulseNumber, end: PulseNumber, k: u32) -> Self {
        let last = &bytes[bytes.len().saturating_sub(8)..];
        let mut tail = [0; 16];
        tail[..last.len()].copy_from_slice(last);
        Self { bytes, tail, total: bytes.len() * 8, at: 0, next: first, end, k }
    }

    /// The bits from `at` on, at least [`LOADED`]; after the end come zeros.
    #[inline]
    fn load(&self, at: usize) -> u64 {
        let word = match self.bytes.get(at / 8..).and_then(|bytes| bytes.first_chunk()) {
            Some(word) => *word,
            None => self.load_tail(at / 8),
        };
        u64::from_le_bytes(word) >> (at % 8)
    }

    /// Eight bytes from byte `at` on, fewer of which are there.
    #[cold]
    fn load_tail(&self, at: usize) -> [u8; 8] {
        let from = at - self.bytes.len().saturating_sub(8);
        self.tail.get(from..).and_then(|bytes| bytes.first_chunk()).copied().unwrap_or([0; 8])
    }

    /// Reads `count` codes, `N` a load, since the wait for a load is most of what a code costs. What a group
    /// cannot settle, because its codes are long, escaped or malformed, is left to [`one`](Self::one).
    fn by_groups<const N: usize>(&mut self, count: usize) -> Result<Vec<PulseNumber>, Malformed> {
        let mut pulses = Vec::with_capacity(count);
        // From here on a group cannot carry `next` around: its gaps are short.
        if self.next <= self.end && self.end < 1 << 63 {
            while count - pulses.len() >= N {
                match self.group::<N>() {
                    Some(group) => pulses.extend_from_slice(&group),
                    None => pulses.push(self.one()?),
                }
            }
        }
        while pulses.len() < count {
            pulses.push(self.one()?);
        }
        Ok(pulses)
    }

    /// Reads `N` short codes from one load; if they are not, changes nothing and gives nothing.
    #[inline]
    fn group<const N: usize>(&mut self) -> Option<[PulseNumber; N]> {
        let low = (1u64 << self.k) - 1;
        let mut word = self.load(self.at);
        let (mut used, mut longest, mut next) = (0, 0, self.next);
        let mut pulses = [0; N];
        for pulse in &mut pulses {
            // What is read beyond the bits of the load is void, for then too many are used.
            let quotient = word.trailing_zeros();
            longest = u32::max(longest, quotient);
            word = word.wrapping_shr(quotient) >> 1;
            *pulse = next + (u64::from(quotient) << self.k | word & low);
            next = *pulse + 1;
            word >>= self.k;
            used += quotient + 1 + self.k;
        }
        let at = self.at + used as usize;
        let sound = used <= LOADED && longest < ESCAPE && at <= self.total && next <= self.end;
        sound.then(|| {
            (self.at, self.next) = (at, next);
            pulses
        })
    }

    /// Reads one code.
    fn one(&mut self) -> Result<PulseNumber, Malformed> {
        let low = (1u64 << self.k) - 1;
        let word = self.load(self.at);
        let quotient = word.trailing_zeros();
        let gap = if quotient < ESCAPE {
            self.at += (quotient + 1 + self.k) as usize;
            u64::from(quotient) << self.k | (word >> (quotient + 1)) & low
        } else if quotient == ESCAPE && self.at + ESCAPE as usize + 65 <= self.total {
            self.at += ESCAPE as usize + 1;
            let gap = self.load(self.at) & 0xffff_ffff | self.load(self.at + 32) << 32;
            self.at += 64;
            if gap >> self.k < u64::from(ESCAPE) {
                return Err(Malformed::Value("an escaped gap that needs no escape"));
            }
            gap
        } else {
            return Err(Malformed::Value("a gap between clicks"));
        };
        // `end - next` cannot wrap: `next` is at most `end` here, and `first` was when it began.
        if self.at > self.total || self.next >= self.end || gap >= self.end - self.next {
            return Err(Malformed::Value("the pulse of a click"));
        }
        let pulse = self.next + gap;
        self.next = pulse + 1;
        Ok(pulse)
    }

    /// What is left must be the zero padding of the last byte.
    fn finish(self) -> Result<(), Malformed> {
        let left = self.total - self.at;
        if left >= 8 || self.load(self.at) & ((1 << left) - 1) != 0 {
            return Err(Malformed::Trailing);
        }
        Ok(())
    }
}

/// Writes bits without asking how many are gathered, which nobody could foretell: each push stores all of them
/// and moves on by the whole bytes among them.
struct BitWriter {
    bytes: Vec<u8>,
    /// Where the next store begins.
    at: usize,
    gathered: u64,
    /// How many bits are gathered, at most 7.
    filled: u32,
}

/// Makes room for more bytes. It is given no more of the writer than these, so that the rest stays in registers.
#[cold]
#[inline(never)]
fn grow(bytes: &mut Vec<u8>) {
    bytes.resize(2 * bytes.len() + 8, 0);
}

impl BitWriter {
    fn with_capacity(bytes: usize) -> Self {
        Self { bytes: vec![0; bytes.max(8)], at: 0, gathered: 0, filled: 0 }
    }

    /// Appends the low `count` bits of `bits`, which has no others; `count` is at most 57.
    #[inline]
    fn push(&mut self, bits: u64, count: u32) {
        self.gathered |= bits << self.filled;
        self.filled += count;
        if self.at + 8 > self.bytes.len() {
            grow(&mut self.bytes);
        }
        self.bytes[self.at..self.at + 8].copy_from_slice(&self.gathered.to_le_bytes());
        self.at += (self.filled / 8) as usize;
        // Half at a time, for all 64 bits may go.
        let half = self.filled / 8 * 4;
        self.gathered = self.gathered >> half >> half;
        self.filled %= 8;
    }

    fn finish(mut self) -> Vec<u8> {
        // The last store wrote what is still gathered.
        self.bytes.truncate(self.at + usize::from(self.filled > 0));
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_units::{EntityId, Purpose, Stream};
    use proptest::prelude::*;

    /// The code by its definition, bit by bit.
    fn one_by_one(pulses: &[PulseNumber], first: PulseNumber, k: u32) -> Vec<u8> {
        let mut bits = bellwether_bits::BitString::default();
        let mut next = first;
        for &pulse in pulses {
            let (gap, quotient) = (pulse - next, (pulse - next) >> k);
            (0..quotient.min(u64::from(ESCAPE))).for_each(|_| bits.push(false));
            bits.push(true);
            let (low, count) = if quotient < u64::from(ESCAPE) { (gap, k) } else { (gap, 64) };
            bits.push_bits(low, count as usize);
            next = pulse + 1;
        }
        bits.to_bytes()
    }

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
            prop_assert_eq!(&bytes, &one_by_one(&pulses, first, k));
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
