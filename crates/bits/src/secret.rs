//! Bits that are wiped from memory.

use crate::BitString;
use core::fmt;
use core::ops::Range;
use rand_core::Rng;
use std::sync::OnceLock;
use subtle::{Choice, ConstantTimeEq};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Secret bits: wiped when dropped, compared in constant time, never shown, and copied only on request.
///
/// [`take`](Self::take) splits bits off the front in time proportional to what is taken, amortised, and wipes
/// them from the rest, so that a store of secret can be spent bit by bit.
///
/// ```
/// use bellwether_bits::{BitString, SecretBits};
///
/// let mut store = SecretBits::new(BitString::from_bytes(&[0x0f, 0xf0], 16));
/// let pad = store.take(4).expect("16 bits are there");
/// assert_eq!(pad.expose().count_ones(), 4);
/// assert_eq!(store.len(), 12);
/// assert_eq!(format!("{store:?}"), "SecretBits(12 bits)");
/// ```
#[derive(Default)]
pub struct SecretBits {
    bits: BitString,
    /// How many bits at the front of `bits` are spent (and already zero).
    spent: usize,
    /// The unspent bits as a string of their own, made when asked for while `spent` is not 0.
    unspent: OnceLock<BitString>,
}

impl SecretBits {
    /// Takes the bits over. Copies that the caller keeps are the caller's to wipe.
    pub fn new(bits: BitString) -> Self {
        Self { bits, spent: 0, unspent: OnceLock::new() }
    }

    /// `len` random bits. `rng` must be cryptographically strong wherever keys matter.
    pub fn random(len: usize, rng: &mut dyn Rng) -> Self {
        Self::new(BitString::random(len, rng))
    }

    /// How many bits it holds.
    pub fn len(&self) -> usize {
        self.bits.len() - self.spent
    }

    /// Whether it holds no bit.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bits. What is copied from here is no longer wiped by anyone.
    pub fn expose(&self) -> &BitString {
        if self.spent == 0 {
            return &self.bits;
        }
        self.unspent.get_or_init(|| self.bits.slice(self.spent..self.bits.len()))
    }

    /// A second copy, which is wiped as well.
    pub fn duplicate(&self) -> Self {
        self.slice(0..self.len())
    }

    /// A copy of the bits in `range`, which is wiped as well.
    ///
    /// # Panics
    /// If `range` lies outside the bits.
    pub fn slice(&self, range: Range<usize>) -> Self {
        assert!(range.end <= self.len(), "bits {}..{} of {}", range.start, range.end, self.len());
        Self::new(self.bits.slice(self.spent + range.start..self.spent + range.end))
    }

    /// Splits the first `count` bits off, or `None` (and nothing is taken) if there are fewer.
    pub fn take(&mut self, count: usize) -> Option<SecretBits> {
        if count > self.len() {
            return None;
        }
        if let Some(mut copy) = self.unspent.take() {
            copy.zeroize();
        }
        let end = self.spent + count;
        let taken = Self::new(self.bits.slice(self.spent..end));
        self.bits.clear_range(self.spent..end);
        self.spent = end;
        // Moving the rest down costs its length, which is then at most what was spent since the last time.
        if self.spent >= self.bits.len() - self.spent {
            self.rebuild(self.len());
        }
        Some(taken)
    }

    /// Appends `more` and wipes it.
    pub fn append(&mut self, more: SecretBits) {
        if let Some(mut copy) = self.unspent.take() {
            copy.zeroize();
        }
        let len = self.len() + more.len();
        // Growing in place could leave an unwiped copy behind, so it is done by hand.
        if self.bits.len() + more.len() > self.bits.capacity() {
            self.rebuild(len.saturating_mul(2));
        }
        self.bits.extend_from_range(&more.bits, more.spent..more.bits.len());
    }

    /// Moves the unspent bits to fresh memory with room for `capacity` bits and wipes the old.
    fn rebuild(&mut self, capacity: usize) {
        let mut fresh = BitString::with_capacity(capacity);
        fresh.extend_from_range(&self.bits, self.spent..self.bits.len());
        self.bits.zeroize();
        self.bits = fresh;
        self.spent = 0;
    }
}

impl From<BitString> for SecretBits {
    fn from(bits: BitString) -> Self {
        Self::new(bits)
    }
}

impl ConstantTimeEq for SecretBits {
    /// Takes the same time for all contents of the same lengths; the lengths are not secret.
    fn ct_eq(&self, other: &Self) -> Choice {
        self.expose().words().ct_eq(other.expose().words()) & self.len().ct_eq(&other.len())
    }
}

impl PartialEq for SecretBits {
    /// In constant time for equal lengths.
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl Eq for SecretBits {}

impl fmt::Debug for SecretBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBits({} bits)", self.len())
    }
}

impl Zeroize for SecretBits {
    /// Wipes the bits and leaves none.
    fn zeroize(&mut self) {
        if let Some(mut copy) = self.unspent.take() {
            copy.zeroize();
        }
        self.bits.zeroize();
        self.spent = 0;
    }
}

impl Drop for SecretBits {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl ZeroizeOnDrop for SecretBits {}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_units::{EntityId, Purpose, Stream};
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Take(usize),
        Append(usize),
        Look,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0usize..300).prop_map(Step::Take),
            (0usize..500).prop_map(Step::Append),
            Just(Step::Look),
        ];
        prop::collection::vec(step, 0..40)
    }

    proptest! {
        #[test]
        fn a_store_gives_back_what_was_put_in_once_and_in_order(steps in steps(), seed: u64) {
            let mut stream = Stream::new(seed, EntityId(0), Purpose::named("secret"));
            let mut put = BitString::default();
            let mut given = BitString::default();
            let mut store = SecretBits::default();
            for step in steps {
                match step {
                    Step::Append(count) => {
                        let more = BitString::random(count, &mut stream);
                        put.extend_from(&more);
                        store.append(SecretBits::new(more));
                    }
                    Step::Take(count) => {
                        let before = store.len();
                        match store.take(count) {
                            Some(taken) => {
                                prop_assert_eq!(taken.len(), count);
                                given.extend_from(taken.expose());
                            }
                            None => prop_assert!(count > before && store.len() == before),
                        }
                    }
                    Step::Look => {
                        prop_assert_eq!(store.expose(), &put.slice(given.len()..put.len()));
                        prop_assert!(store.duplicate() == store);
                        let half = store.len() / 2;
                        let part = store.slice(half..store.len());
                        prop_assert_eq!(part.expose(), &store.expose().slice(half..store.len()));
                    }
                }
            }
            given.extend_from(store.expose());
            prop_assert_eq!(given, put);
        }
    }

    #[test]
    fn comparison_sees_content_and_length() {
        let bits = |bytes: &[u8], len| SecretBits::new(BitString::from_bytes(bytes, len));
        assert_eq!(bits(&[5], 8), bits(&[5], 8));
        assert_ne!(bits(&[5], 8), bits(&[4], 8));
        assert_ne!(bits(&[5], 8), bits(&[5], 7), "same word, other length");
    }

    #[test]
    fn taken_bits_are_wiped_from_the_store() {
        let mut store = SecretBits::new(BitString::zeros(256).not());
        store.take(100).unwrap();
        assert_eq!(store.bits.count_ones(), 156);
    }
}
