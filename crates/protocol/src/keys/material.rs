//! The bits of a block of key: held, or emulated for large simulations.

use bellwether_bits::{BitString, SecretBits};
use bellwether_units::{EntityId, Purpose, Stream};
use zeroize::{Zeroize, Zeroizing};

/// The key of one block, held or emulated.
pub enum KeyMaterial {
    /// The bits themselves.
    Bits(SecretBits),
    /// Bits that follow from a seed whenever they are looked at: 16 bytes a block, so that networks of 10^5
    /// nodes fit in memory. Whoever knows the seed knows the key: for simulation only.
    Emulated {
        /// The same at both ends of the link, other for every block.
        seed: u64,
        /// How many bits.
        bits: u32,
    },
}

/// Says how many bits and no more: from an emulated key's seed the key follows.
impl core::fmt::Debug for KeyMaterial {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "KeyMaterial({} bits)", self.len())
    }
}

impl KeyMaterial {
    /// How many bits.
    pub fn len(&self) -> usize {
        match self {
            Self::Bits(bits) => bits.len(),
            Self::Emulated { bits, .. } => *bits as usize,
        }
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// About how many bytes of memory it takes beside itself.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Bits(bits) => bits.len().div_ceil(8),
            Self::Emulated { .. } => 0,
        }
    }
    /// A second copy.
    pub fn duplicate(&self) -> Self {
        match self {
            Self::Bits(bits) => Self::Bits(bits.duplicate()),
            Self::Emulated { seed, bits } => Self::Emulated { seed: *seed, bits: *bits },
        }
    }
}

impl From<SecretBits> for KeyMaterial {
    fn from(bits: SecretBits) -> Self {
        Self::Bits(bits)
    }
}

/// Key of which any stretch can be read and erased.
pub(super) enum Store {
    Held(Zeroizing<Vec<u64>>),
    Emulated(u64),
}

impl Store {
    pub(super) fn new(key: &KeyMaterial) -> Self {
        match key {
            KeyMaterial::Bits(bits) => Self::Held(Zeroizing::new(bits.expose().words().to_vec())),
            KeyMaterial::Emulated { seed, .. } => Self::Emulated(*seed),
        }
    }
    /// The key as it is left, `bits` long.
    pub(super) fn material(&self, bits: u32) -> KeyMaterial {
        match self {
            Self::Held(words) => {
                KeyMaterial::Bits(SecretBits::new(BitString::from_words(words.to_vec(), bits as usize)))
            }
            Self::Emulated(seed) => KeyMaterial::Emulated { seed: *seed, bits },
        }
    }
    fn word(&self, index: usize) -> u64 {
        match self {
            Self::Held(words) => words.get(index).copied().unwrap_or(0),
            Self::Emulated(seed) => {
                Stream::new(*seed, EntityId(index as u32), Purpose::named("emulated key")).bits()
            }
        }
    }
    /// Appends `len` bits from `offset` on to `out`.
    pub(super) fn read(&self, offset: usize, len: usize, out: &mut BitString) {
        let shift = offset % 64;
        let mut low = self.word(offset / 64);
        for done in (0..len).step_by(64) {
            let count = (len - done).min(64);
            let mut word = low >> shift;
            if shift + count > 64 || done + 64 < len {
                low = self.word((offset + done) / 64 + 1);
                if shift > 0 {
                    word |= low << (64 - shift);
                }
            }
            out.push_bits(word, count);
        }
    }
    /// Erases `len` bits from `offset` on: they become zero. Emulated bits cannot be erased.
    pub(super) fn wipe(&mut self, offset: usize, len: usize) {
        let Self::Held(words) = self else { return };
        let end = (offset + len).min(words.len() * 64);
        let mut at = offset;
        while at < end {
            let shift = at % 64;
            let count = (64 - shift).min(end - at);
            if count == 64 {
                words[at / 64].zeroize();
            } else {
                words[at / 64] &= !(((1 << count) - 1) << shift);
            }
            at += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(store: &Store, offset: usize, len: usize) -> BitString {
        let mut out = BitString::with_capacity(len);
        store.read(offset, len, &mut out);
        out
    }

    proptest! {
        #[test]
        fn held_stretches_are_cuts_and_wipes_hit_nothing_else(seed: u64, offset in 0usize..300, len in 0usize..300) {
            let mut stream = Stream::new(seed, EntityId(0), Purpose::named("test"));
            let whole = BitString::random(600, &mut stream);
            let mut store = Store::new(&KeyMaterial::Bits(SecretBits::new(whole.clone())));
            prop_assert_eq!(read(&store, offset, len), whole.slice(offset..offset + len));
            store.wipe(offset, len);
            let mut wiped = whole.slice(0..offset);
            wiped.extend_from(&BitString::zeros(len));
            wiped.extend_from_range(&whole, offset + len..600);
            prop_assert_eq!(read(&store, 0, 600), wiped);
        }

        #[test]
        fn emulated_stretches_are_cuts_of_one_string(seed: u64, offset in 0usize..300, len in 0usize..300) {
            let store = Store::new(&KeyMaterial::Emulated { seed, bits: 600 });
            let whole = read(&store, 0, 600);
            prop_assert_eq!(read(&store, offset, len), whole.slice(offset..offset + len));
        }
    }
}
