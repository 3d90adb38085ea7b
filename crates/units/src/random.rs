//! Keyed random streams: Philox4x32-10 (Salmon et al., SC'11, "Parallel random numbers: as easy as 1, 2, 3").
//!
//! A [`Stream`] belongs to one entity and one [`Purpose`]. Its key is a hash of (seed, entity, purpose), so a
//! draw added in one model never shifts another's numbers, and a run gives the same result at any number of
//! threads. These streams are for simulation and are no source of secrets.

use crate::{Ahead, EntityId};
use core::convert::Infallible;
use rand_core::TryRng;

/// What a stream is for. Streams of one entity with different purposes are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Purpose(u64);

impl Purpose {
    /// The purpose named `name` (FNV-1a of the name, so that it may be a constant).
    pub const fn named(name: &str) -> Self {
        let bytes = name.as_bytes();
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let mut i = 0;
        while i < bytes.len() {
            hash = (hash ^ bytes[i] as u64).wrapping_mul(0x0100_0000_01b3);
            i += 1;
        }
        Self(hash)
    }
    /// The same purpose, numbered: one stream for each block, say.
    pub const fn numbered(self, n: u64) -> Self {
        Self(mix(self.0 ^ mix(n.wrapping_add(0x9e37_79b9_7f4a_7c15))))
    }
}

/// A random stream of one entity for one purpose: Philox4x32-10, keyed by (seed, entity, purpose).
///
/// ```
/// use bellwether_units::{EntityId, Purpose, Stream};
/// use rand_core::Rng;
///
/// let mut clicks = Stream::new(7, EntityId(3), Purpose::named("clicks"));
/// let mut again = Stream::new(7, EntityId(3), Purpose::named("clicks"));
/// assert_eq!(clicks.next_u64(), again.next_u64());
/// ```
#[derive(Clone, Debug)]
pub struct Stream {
    key: [u32; 2],
    counter: u64,
    high: u64,
    spare: Option<u64>,
}

/// The finaliser of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014): a bijection that mixes all bits.
const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl Stream {
    /// The stream of `entity` for `purpose` in the run with `seed`.
    pub const fn new(seed: u64, entity: EntityId, purpose: Purpose) -> Self {
        let key = mix(mix(seed.wrapping_add(0x9e37_79b9_7f4a_7c15)) ^ purpose.0);
        // The upper half of the counter holds the entity and a second mix, so that a collision of 64-bit
        // keys does not make two streams equal.
        let high = ((entity.0 as u64) << 32) | (mix(key ^ seed) & 0xffff_ffff);
        Self { key: [key as u32, (key >> 32) as u32], counter: 0, high, spare: None }
    }

    #[inline]
    fn block(&self, counter: u64) -> (u64, u64) {
        const M0: u64 = 0xd251_1f53;
        const M1: u64 = 0xcd9e_8d57;
        let mut x = [counter as u32, (counter >> 32) as u32, self.high as u32, (self.high >> 32) as u32];
        let [mut k0, mut k1] = self.key;
        for _ in 0..10 {
            let p0 = M0 * u64::from(x[0]);
            let p1 = M1 * u64::from(x[2]);
            x = [(p1 >> 32) as u32 ^ x[1] ^ k0, p1 as u32, (p0 >> 32) as u32 ^ x[3] ^ k1, p0 as u32];
            k0 = k0.wrapping_add(0x9e37_79b9);
            k1 = k1.wrapping_add(0xbb67_ae85);
        }
        (u64::from(x[0]) | u64::from(x[1]) << 32, u64::from(x[2]) | u64::from(x[3]) << 32)
    }

    /// The numbers of blocks from the next one on, two a block. What [`block`](Self::block) computes in 32 bits is
    /// here the lower half of 64, for in that form compilers compute blocks side by side.
    pub(crate) fn blocks(&mut self, out: &mut [u64]) {
        const M0: u64 = 0xd251_1f53;
        const M1: u64 = 0xcd9e_8d57;
        const LOW: u64 = 0xffff_ffff;
        let (counter, high, key) = (self.counter, self.high, self.key);
        let pairs = out.as_chunks_mut::<2>().0;
        for (i, pair) in pairs.iter_mut().enumerate() {
            let at = counter.wrapping_add(i as u64);
            let mut x = [at, at >> 32, high, high >> 32];
            let [mut k0, mut k1] = key;
            for _ in 0..10 {
                let p0 = M0 * (x[0] & LOW);
                let p1 = M1 * (x[2] & LOW);
                x = [p1 >> 32 ^ x[1] ^ u64::from(k0), p1, p0 >> 32 ^ x[3] ^ u64::from(k1), p0];
                k0 = k0.wrapping_add(0x9e37_79b9);
                k1 = k1.wrapping_add(0xbb67_ae85);
            }
            *pair = [x[0] & LOW | x[1] << 32, x[2] & LOW | x[3] << 32];
        }
        self.counter = counter.wrapping_add(pairs.len() as u64);
    }

    /// The second half of a block of which only the first was taken.
    pub(crate) fn take_spare(&mut self) -> Option<u64> {
        self.spare.take()
    }

    /// Goes back to before the numbers `unused`, the last that [`blocks`](Self::blocks) gave.
    pub(crate) fn give_back(&mut self, unused: &[u64]) {
        self.counter = self.counter.wrapping_sub(unused.len() as u64 / 2);
        self.spare = unused.first().copied().filter(|_| unused.len() % 2 == 1);
    }

    /// The same numbers, made many at a time: worth while where many are wanted.
    pub fn ahead(&mut self) -> Ahead<'_> {
        Ahead::new(self)
    }

    /// The next 64 random bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let (first, second) = self.block(self.counter);
        self.counter = self.counter.wrapping_add(1);
        self.spare = Some(second);
        first
    }

    /// A number from [0, 1), uniform on multiples of 2^-53.
    #[inline]
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// An integer below `bound` (above 0), exactly uniform (Lemire, ACM TOMACS 29, 3 (2019)).
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        debug_assert!(bound > 0);
        loop {
            let product = u128::from(self.bits()) * u128::from(bound);
            let low = product as u64;
            if low >= bound || low >= bound.wrapping_neg() % bound {
                return (product >> 64) as u64;
            }
        }
    }

    /// True with probability `p`.
    #[inline]
    pub fn chance(&mut self, p: f64) -> bool {
        self.uniform() < p
    }
}

impl TryRng for Stream {
    type Error = Infallible;

    #[inline]
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.bits() as u32)
    }
    #[inline]
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.bits())
    }
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for chunk in out.chunks_mut(8) {
            chunk.copy_from_slice(&self.bits().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::Rng;

    /// Known answers of Random123 1.x (`kat_vectors`, philox4x32 10 rounds).
    #[test]
    fn philox_agrees_with_its_published_vectors() {
        let zero = Stream { key: [0, 0], counter: 0, high: 0, spare: None };
        let (a, b) = zero.block(0);
        assert_eq!(
            [a as u32, (a >> 32) as u32, b as u32, (b >> 32) as u32],
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        let ones = Stream { key: [u32::MAX; 2], counter: u64::MAX, high: u64::MAX, spare: None };
        let (a, b) = ones.block(u64::MAX);
        assert_eq!(
            [a as u32, (a >> 32) as u32, b as u32, (b >> 32) as u32],
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
    }

    #[test]
    fn streams_of_other_entities_and_purposes_differ() {
        let first = |entity, purpose| Stream::new(1, EntityId(entity), Purpose::named(purpose)).next_u64();
        assert_ne!(first(0, "clicks"), first(1, "clicks"));
        assert_ne!(first(0, "clicks"), first(0, "faults"));
        assert_ne!(Purpose::named("a").numbered(0), Purpose::named("a").numbered(1));
    }

    #[test]
    fn below_is_uniform() {
        let mut stream = Stream::new(1, EntityId(0), Purpose::named("test"));
        let mut counts = [0u32; 6];
        for _ in 0..60_000 {
            counts[stream.below(6) as usize] += 1;
        }
        let chi2: f64 = counts.iter().map(|&c| (f64::from(c) - 1e4).powi(2) / 1e4).sum();
        assert!(chi2 < 20.5, "chi-square {chi2} with 5 degrees of freedom; 20.5 is the 0.1 % point");
    }
}
