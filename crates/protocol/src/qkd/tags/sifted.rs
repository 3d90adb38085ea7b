//! The sifted bits, as they are found.

use super::click::Basis;
use bellwether_bits::{BitString, SecretBits};
use core::ops::Range;
use zeroize::Zeroize;

/// Bits are kept in pieces of so many, which never grow: growing would leave copies behind.
const PIECE: usize = 1 << 20;

/// Bits of equal positions at both ends, their bases, and until when the record was used for them.
#[derive(Default)]
pub struct SiftedKey {
    pieces: Vec<BitString>,
    /// A bit for each: whether its basis is X.
    bases: Vec<BitString>,
    len: u64,
    /// So many bits come from before this time of the record, in picoseconds; both rise.
    marks: Vec<(u64, u64)>,
}

impl SiftedKey {
    pub(super) fn push(&mut self, basis: Basis, bit: bool) {
        if self.len.is_multiple_of(PIECE as u64) {
            self.pieces.push(BitString::with_capacity(PIECE));
            self.bases.push(BitString::with_capacity(PIECE));
        }
        if let (Some(bits), Some(bases)) = (self.pieces.last_mut(), self.bases.last_mut()) {
            bits.push(bit);
            bases.push(basis == Basis::X);
        }
        self.len += 1;
    }

    /// All bits until now come from before `time`.
    pub(super) fn mark(&mut self, time: u64) {
        match self.marks.last_mut() {
            Some(last) if last.0 == self.len => last.1 = last.1.max(time),
            _ => self.marks.push((self.len, time)),
        }
    }

    /// How many bits there are.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Some of the bits.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn bits(&self, range: Range<u64>) -> SecretBits {
        SecretBits::new(gather(&self.pieces, range))
    }

    /// The bases of some of the bits: 0 for Z, 1 for X.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn bases(&self, range: Range<u64>) -> BitString {
        gather(&self.bases, range)
    }

    /// The time, in picoseconds by the record's clock, from which on no click led to one of the first `bits` bits: what is
    /// before it must not be used again once they were disclosed.
    pub fn used_before(&self, bits: u64) -> u64 {
        if bits == 0 {
            return 0;
        }
        let at = self.marks.partition_point(|&(marked, _)| marked < bits);
        self.marks.get(at).map_or(u64::MAX, |&(_, time)| time)
    }

    /// How many bits there are of each basis.
    pub fn by_basis(&self) -> [u64; 2] {
        let x = self.bases.iter().map(|piece| piece.count_ones() as u64).sum();
        [self.len - x, x]
    }
}

fn gather(pieces: &[BitString], range: Range<u64>) -> BitString {
    let (mut at, end) = (range.start as usize, range.end as usize);
    let mut all = BitString::with_capacity(end - at);
    while at < end {
        let (piece, from) = (at / PIECE, at % PIECE);
        let to = PIECE.min(from + end - at);
        all.extend_from_range(&pieces[piece], from..to);
        at += to - from;
    }
    all
}

impl Drop for SiftedKey {
    fn drop(&mut self) {
        self.pieces.iter_mut().for_each(Zeroize::zeroize);
    }
}

impl core::fmt::Debug for SiftedKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} sifted bits", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_units::{EntityId, Purpose, Stream};

    #[test]
    fn bits_bases_and_marks_are_kept_over_pieces() {
        let mut random = Stream::new(1, EntityId(0), Purpose::named("sifted"));
        let (mut key, mut bits, mut bases) =
            (SiftedKey::default(), BitString::default(), BitString::default());
        let len = 2 * PIECE + 5;
        for at in 0..len {
            let (bit, x) = (random.chance(0.5), random.chance(0.3));
            key.push(if x { Basis::X } else { Basis::Z }, bit);
            bits.push(bit);
            bases.push(x);
            if at % 1000 == 999 {
                key.mark(at as u64 * 10);
            }
        }
        for range in [0..len, PIECE - 3..PIECE + 70, 5..5, PIECE..2 * PIECE, len - 1..len] {
            let wanted = range.start as u64..range.end as u64;
            assert!(key.bits(wanted.clone()).expose() == &bits.slice(range.clone()), "{range:?}");
            assert!(key.bases(wanted) == bases.slice(range));
        }
        assert_eq!([key.used_before(0), key.used_before(1), key.used_before(1000)], [0, 9990, 9990]);
        assert_eq!([key.used_before(1001), key.used_before(len as u64)], [19_990, u64::MAX]);
        assert_eq!(key.by_basis()[1], bases.count_ones() as u64);
    }
}
