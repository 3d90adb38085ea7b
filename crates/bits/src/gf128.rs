//! The field GF(2^128) and polynomial hashing over it.
//!
//! Elements are polynomials over GF(2) modulo x^128 + x^7 + x^2 + x + 1; bit `i` of a `u128` is the
//! coefficient of x^i. (GHASH, NIST SP 800-38D, uses the same field with the bits in reverse.)

use crate::arch::{Backend, Kernel, Lanes};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// x^128 modulo the field's polynomial.
const FOLD: u128 = 0x87;
/// Bytes of one block of the hash.
const BLOCK: usize = 16;
/// Blocks that are hashed with one reduction.
const STRIDE: usize = 16;

/// The product in GF(2^128).
///
/// ```
/// use bellwether_bits::gf128::multiply;
///
/// assert_eq!(multiply(1 << 127, 2), 0x87); // x^128 = x^7 + x^2 + x + 1
/// ```
pub fn multiply(a: u128, b: u128) -> u128 {
    struct Multiply(u128, u128);
    impl Kernel for Multiply {
        type Output = u128;
        #[inline(always)]
        fn run<L: Lanes>(self, lanes: L) -> u128 {
            let product = multiply_lanes(lanes, lanes.splat(self.0), lanes.splat(self.1));
            lanes.unpack(product)[0]
        }
    }
    Backend::best().run(Multiply(a, b))
}

/// Four products at a time.
#[inline(always)]
pub(crate) fn multiply_lanes<L: Lanes>(lanes: L, a: L::Vector, b: L::Vector) -> L::Vector {
    let fold = lanes.splat(FOLD);
    let low = lanes.low_low(a, b);
    let middle = lanes.xor(lanes.low_high(a, b), lanes.low_high(b, a));
    let high = lanes.high_high(a, b);
    // The upper half of `high` lies 128 bits above `middle`, its lower half 128 above `low`.
    let middle = lanes.xor(middle, lanes.low_high(fold, high));
    let low = lanes.xor(low, lanes.low_low(fold, high));
    lanes.xor3(low, lanes.low_to_high(middle), lanes.low_high(fold, middle))
}

/// A constant factor, prepared for [`scale`].
#[derive(Clone, Copy)]
pub(crate) struct Factor<V> {
    /// The factor.
    pub(crate) plain: V,
    /// The factor times x^64.
    pub(crate) raised: V,
}

/// The products of `factor` and `a`. It takes five carry-less products, [`multiply_lanes`] seven.
#[inline(always)]
pub(crate) fn scale<L: Lanes>(lanes: L, factor: Factor<L::Vector>, a: L::Vector) -> L::Vector {
    let low = lanes.xor(lanes.low_low(factor.plain, a), lanes.low_high(factor.raised, a));
    let high = lanes.xor(lanes.low_high(a, factor.plain), lanes.high_high(factor.raised, a));
    // `high` lies 64 bits above `low`, so that its upper half is to be folded.
    lanes.xor3(low, lanes.low_to_high(high), lanes.low_high(lanes.splat(FOLD), high))
}

/// The product, for constants.
pub(crate) const fn multiply_const(a: u128, b: u128) -> u128 {
    let mut product = 0;
    let mut shifted = a;
    let mut rest = b;
    while rest != 0 {
        if rest & 1 == 1 {
            product ^= shifted;
        }
        shifted = (shifted << 1) ^ (if shifted >> 127 == 1 { FOLD } else { 0 });
        rest >>= 1;
    }
    product
}

/// A universal hash of byte strings, computed as they stream by.
///
/// With the key k, the hash of a message of blocks m_1 .. m_b (16 bytes each, little-endian, the last filled
/// with zeros) and length block L is the polynomial m_1 k^(b+1) + ... + m_b k^2 + L k in GF(2^128), where L is
/// the length in bits. Two different messages of at most `n` bytes collide, or differ by any one given value,
/// for at most ceil(n/16) + 1 of the 2^128 keys, so that the family is almost XOR universal with
/// epsilon = (ceil(n/16) + 1) / 2^128 (den Boer 1993; Bierbrauer, Johansson, Kabatianskii & Smeets,
/// CRYPTO '93; Shoup, CRYPTO '96).
///
/// The key and the state are wiped on drop. Running time depends on lengths alone.
///
/// ```
/// use bellwether_bits::gf128::PolynomialHasher;
///
/// let key = 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef;
/// let mut whole = PolynomialHasher::new(key);
/// whole.update(b"announced bases");
/// let mut parts = PolynomialHasher::new(key);
/// parts.update(b"announced ");
/// parts.update(b"bases");
/// assert_eq!(whole.finish(), parts.finish());
/// ```
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct PolynomialHasher {
    /// Element i is the key to the power `STRIDE - i`.
    powers: [u128; STRIDE],
    state: u128,
    pending: [u8; STRIDE * BLOCK],
    pending_len: usize,
    bytes: u64,
}

impl PolynomialHasher {
    /// A hasher with a key, which should be uniformly random.
    pub fn new(key: u128) -> Self {
        let mut powers = [key; STRIDE];
        for i in (0..STRIDE - 1).rev() {
            powers[i] = multiply(powers[i + 1], key);
        }
        Self { powers, state: 0, pending: [0; STRIDE * BLOCK], pending_len: 0, bytes: 0 }
    }

    /// Appends to the message.
    pub fn update(&mut self, mut bytes: &[u8]) {
        self.bytes = self.bytes.wrapping_add(bytes.len() as u64);
        if self.pending_len > 0 {
            let taken = bytes.len().min(self.pending.len() - self.pending_len);
            self.pending[self.pending_len..self.pending_len + taken].copy_from_slice(&bytes[..taken]);
            self.pending_len += taken;
            bytes = &bytes[taken..];
            if self.pending_len < self.pending.len() {
                return;
            }
            self.state = Backend::best().run(Strides {
                powers: &self.powers,
                state: self.state,
                bytes: &self.pending,
            });
            self.pending_len = 0;
        }
        let whole = bytes.len() - bytes.len() % self.pending.len();
        if whole > 0 {
            self.state = Backend::best().run(Strides {
                powers: &self.powers,
                state: self.state,
                bytes: &bytes[..whole],
            });
        }
        let rest = &bytes[whole..];
        self.pending[..rest.len()].copy_from_slice(rest);
        self.pending_len = rest.len();
    }

    /// Appends words to the message, each as its eight bytes in little-endian order.
    pub fn update_words(&mut self, words: &[u64]) {
        let mut buffer = [0; 4096];
        for chunk in words.chunks(buffer.len() / 8) {
            for (bytes, word) in buffer.chunks_exact_mut(8).zip(chunk) {
                bytes.copy_from_slice(&word.to_le_bytes());
            }
            self.update(&buffer[..chunk.len() * 8]);
        }
        buffer.zeroize();
    }

    /// The hash of the message so far; more may be appended after.
    pub fn finish(&self) -> u128 {
        let key = self.powers[STRIDE - 1];
        let mut state = self.state;
        for chunk in self.pending[..self.pending_len].chunks(BLOCK) {
            let mut block = [0; BLOCK];
            block[..chunk.len()].copy_from_slice(chunk);
            state = multiply(state ^ u128::from_le_bytes(block), key);
            block.zeroize();
        }
        multiply(state ^ u128::from(self.bytes) << 3, key)
    }
}

/// Hashes whole strides of blocks: the products of a stride's blocks with falling powers of the key are
/// added up and reduced once.
struct Strides<'a> {
    powers: &'a [u128; STRIDE],
    state: u128,
    bytes: &'a [u8],
}

impl Kernel for Strides<'_> {
    type Output = u128;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> u128 {
        let zero = lanes.splat(0);
        let mut powers = [zero; STRIDE / 4];
        for (vector, elements) in powers.iter_mut().zip(self.powers.as_chunks::<4>().0) {
            *vector = lanes.pack(*elements);
        }
        let mut state = self.state;
        for stride in self.bytes.as_chunks::<{ STRIDE * BLOCK }>().0 {
            let (mut low, mut middle, mut high) = (zero, zero, zero);
            let mut carried = lanes.pack([state, 0, 0, 0]);
            for (bytes, &power) in stride.as_chunks::<{ 4 * BLOCK }>().0.iter().zip(&powers) {
                let mut words = [0; 8];
                for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
                    *word = u64::from_le_bytes(*bytes);
                }
                let blocks = lanes.xor(lanes.load(&words), carried);
                carried = zero;
                low = lanes.xor(low, lanes.low_low(blocks, power));
                let cross = lanes.low_high(power, blocks);
                middle = lanes.xor3(middle, lanes.low_high(blocks, power), cross);
                high = lanes.xor(high, lanes.high_high(blocks, power));
            }
            state = reduce(lanes.sum(low), lanes.sum(middle), lanes.sum(high));
        }
        state
    }
}

/// low + middle x^64 + high x^128, modulo the field's polynomial; each part has at most 127 bits.
#[inline(always)]
fn reduce(low: u128, middle: u128, high: u128) -> u128 {
    let low = low ^ middle << 64;
    let high = high ^ middle >> 64;
    // high x^128 = high (x^7 + x^2 + x + 1); what this lifts above x^127 is folded once more.
    let over = high >> 127 ^ high >> 126 ^ high >> 121;
    low ^ high ^ high << 1 ^ high << 2 ^ high << 7 ^ over ^ over << 1 ^ over << 2 ^ over << 7
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::Portable;
    use proptest::prelude::*;

    /// The definition, block by block, with the plainest multiplication.
    fn hash_by_definition(key: u128, message: &[u8]) -> u128 {
        let mut state = 0;
        for chunk in message.chunks(16) {
            let mut block = [0; 16];
            block[..chunk.len()].copy_from_slice(chunk);
            state = multiply_const(state ^ u128::from_le_bytes(block), key);
        }
        multiply_const(state ^ (message.len() as u128 * 8), key)
    }

    fn hash(key: u128, message: &[u8]) -> u128 {
        let mut hasher = PolynomialHasher::new(key);
        hasher.update(message);
        hasher.finish()
    }

    proptest! {
        #[test]
        fn products_agree(a: u128, b: u128) {
            let expected = multiply_const(a, b);
            prop_assert_eq!(multiply(a, b), expected);
            prop_assert_eq!(multiply_lanes(Portable, [a, b, 0, a], [b, a, b, 1]), [expected, expected, 0, a]);
            let factor = Factor { plain: [a; 4], raised: [multiply_const(a, 1 << 64); 4] };
            prop_assert_eq!(scale(Portable, factor, [b, 0, 1, b]), [expected, 0, a, expected]);
            prop_assert_eq!(multiply(a ^ 5, b), expected ^ multiply(5, b));
        }

        #[test]
        fn the_hash_follows_its_definition(
            key: u128,
            message in prop::collection::vec(any::<u8>(), 0..2000),
            cuts in prop::collection::vec(0usize..2000, 0..6),
        ) {
            let expected = hash_by_definition(key, &message);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(message.len())).collect();
            cuts.extend([0, message.len()]);
            cuts.sort_unstable();
            let mut hasher = PolynomialHasher::new(key);
            cuts.windows(2).for_each(|cut| hasher.update(&message[cut[0]..cut[1]]));
            prop_assert_eq!(hasher.finish(), expected);
        }

        #[test]
        fn instruction_sets_hash_alike(key: u128, state: u128, seed: u64, strides in 0usize..5) {
            let bytes: Vec<u8> = (0..strides * 256).map(|i| (seed.wrapping_mul(i as u64 + 1) >> 29) as u8).collect();
            let powers = PolynomialHasher::new(key).powers;
            let run = |backend: Backend| backend.run(Strides { powers: &powers, state, bytes: &bytes });
            for backend in Backend::all() {
                prop_assert_eq!(run(backend), run(Backend::Portable), "{:?}", backend);
            }
        }

        #[test]
        fn any_change_of_the_message_changes_the_hash(
            key: u128,
            message in prop::collection::vec(any::<u8>(), 1..600),
            at: prop::sample::Index,
            bit in 0u8..8,
        ) {
            let original = hash(key, &message);
            let mut flipped = message.clone();
            flipped[at.index(message.len())] ^= 1 << bit;
            prop_assert_ne!(hash(key, &flipped), original);
            let mut extended = message.clone();
            extended.push(0);
            prop_assert_ne!(hash(key, &extended), original);
            prop_assert_ne!(hash(key, &message[..message.len() - 1]), original);
        }
    }

    /// Test case 2 of McGrew & Viega, "The Galois/Counter Mode of Operation" (2004), appendix B: GHASH of one
    /// block and its length block.
    #[test]
    fn the_field_is_that_of_ghash() {
        let key = 0x66e9_4bd4_ef8a_2c3b_884c_fa59_ca34_2b2e_u128.reverse_bits();
        let block = 0x0388_dace_60b6_a392_f328_c2b9_71b2_fe78_u128.reverse_bits();
        let first = multiply(block, key);
        assert_eq!(first.reverse_bits(), 0x5e2e_c746_9170_6288_2c85_b068_5353_deb7);
        let length = 0x80_u128.reverse_bits();
        let hash = multiply(first ^ length, key);
        assert_eq!(hash.reverse_bits(), 0xf38c_bb1a_d692_23dc_c345_7ae5_b6b0_f885);
    }

    #[test]
    fn words_hash_as_their_bytes() {
        let words: Vec<u64> = (0..1500u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut hasher = PolynomialHasher::new(77);
        hasher.update_words(&words);
        assert_eq!(hasher.finish(), hash(77, &bytes));
    }

    /// With a field of 2^128 no collision can be met by chance, so the bound is tested where it is tight: the
    /// difference of two messages that was built to vanish at given keys collides there and only there.
    #[test]
    fn a_collision_needs_a_root_of_the_difference() {
        // (k - r) k = k^2 + r k: one block m with m + m' = 1 in the place of k^2 cannot reach the coefficient
        // of k (the length), so two blocks are used: k^3 + r k^2 = k^2 (k + r).
        let root = 0xdead_beef_u128;
        let one = [1u128.to_le_bytes(), root.to_le_bytes()].concat();
        let zero = [0; 32];
        assert_eq!(hash(root, &one), hash(root, &zero));
        assert_ne!(hash(root + 1, &one), hash(root + 1, &zero));
    }
}
