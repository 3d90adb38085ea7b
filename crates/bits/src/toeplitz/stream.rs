//! Hashing piece by piece, in memory that does not grow with the input.

use super::engine::{Bytes, Words};
use super::tiles::Tiles;
use super::{Tiling, seed_len};
use crate::BitString;
use crate::arch::Gfni;
use zeroize::Zeroize;

/// The hash of an input that is known before the seed comes, piece by piece.
///
/// That is the order of privacy amplification, whose seed may be drawn only when the block is fixed: first all of
/// the input is appended, then the seed is, in pieces of any length. The working memory
/// beside the packed input is about that of a hundred tiles and of l bytes for l bits of output, whatever the
/// length of the input; [`hash`](super::hash) gives the same bits.
///
/// The input and all that derives from it is wiped on drop.
///
/// ```
/// use bellwether_bits::{BitString, toeplitz};
/// use bellwether_units::{EntityId, Purpose, Stream};
///
/// let mut random = Stream::new(1, EntityId(0), Purpose::named("example"));
/// let block = BitString::random(200_000, &mut random);
/// let seed = BitString::random(toeplitz::seed_len(200_000, 60_000), &mut random);
/// let mut hasher = toeplitz::Hasher::new(200_000, 60_000, 2);
/// hasher.input(&block.slice(0..77_777));
/// hasher.input(&block.slice(77_777..200_000));
/// hasher.seed(&seed.slice(0..100_001));
/// hasher.seed(&seed.slice(100_001..seed.len()));
/// assert_eq!(hasher.finish(), toeplitz::hash(&seed, &block, 60_000));
/// ```
pub struct Hasher {
    input_len: usize,
    output_len: usize,
    input: BitString,
    /// The seed from the first word that is still wanted.
    seed: BitString,
    /// How many bits of the seed came in.
    seed_bits: usize,
    tiles: AnyTiles,
}

/// The tiles of the instruction sets that there are.
pub(super) enum AnyTiles {
    Bytes(Tiles<Bytes<Gfni>>),
    Words(Tiles<Words>),
}

impl AnyTiles {
    /// For an input of `input_len` bits.
    pub(super) fn new(tiling: Tiling, input_len: usize, output_len: usize, threads: usize) -> Self {
        let product_words = (input_len.saturating_sub(1) % 64 + output_len).div_ceil(64).max(1);
        let input_words = input_len.div_ceil(64).max(1);
        match tiling {
            Tiling::Bytes(token, log) => {
                Self::Bytes(Tiles::new(Bytes::new(token, log), input_words, product_words, threads))
            }
            Tiling::Words(backend, log) => {
                Self::Words(Tiles::new(Words::new(backend, log), input_words, product_words, threads))
            }
        }
    }

    fn wanted_from(&self) -> usize {
        match self {
            Self::Bytes(tiles) => tiles.wanted_from(),
            Self::Words(tiles) => tiles.wanted_from(),
        }
    }

    pub(super) fn take(&mut self, input: &[u64], seed: &[u64], complete: bool) {
        match self {
            Self::Bytes(tiles) => tiles.take(input, seed, complete),
            Self::Words(tiles) => tiles.take(input, seed, complete),
        }
    }

    /// The output: bits from the offset of the input's last bit in its word on.
    pub(super) fn finish(&mut self, input_len: usize, output_len: usize) -> BitString {
        let product = match self {
            Self::Bytes(tiles) => tiles.finish(),
            Self::Words(tiles) => tiles.finish(),
        };
        let bits = product.len() * 64;
        let mut whole = BitString::from_words(product, bits);
        let offset = input_len.saturating_sub(1) % 64;
        let output = whole.slice(offset..offset + output_len);
        whole.zeroize();
        output
    }
}

impl Hasher {
    /// A hasher of `input_len` bits to `output_len` on `threads` threads, one of which is the caller's; the others
    /// live no longer than a call. The output is the same for any number.
    pub fn new(input_len: usize, output_len: usize, threads: usize) -> Self {
        let tiling = Tiling::best(input_len.div_ceil(64), output_len.div_ceil(64) + 1);
        Self::with(tiling, input_len, output_len, threads)
    }

    pub(super) fn with(tiling: Tiling, input_len: usize, output_len: usize, threads: usize) -> Self {
        let tiles = AnyTiles::new(tiling, input_len, output_len, threads);
        let input = BitString::with_capacity(input_len);
        Self { input_len, output_len, input, seed: BitString::default(), seed_bits: 0, tiles }
    }

    /// Appends to the input.
    ///
    /// # Panics
    /// If it becomes longer than was said.
    pub fn input(&mut self, piece: &BitString) {
        let len = self.input.len() + piece.len();
        assert!(len <= self.input_len, "{len} bits of an input of {}", self.input_len);
        self.input.extend_from(piece);
    }

    /// Appends to the seed.
    ///
    /// # Panics
    /// If the input is not complete, or the seed becomes longer than [`seed_len`].
    pub fn seed(&mut self, piece: &BitString) {
        self.seed_bits += piece.len();
        let wanted = seed_len(self.input_len, self.output_len);
        assert!(self.input.len() == self.input_len, "the seed must not come before the whole input");
        assert!(self.seed_bits <= wanted, "{} bits of a seed of {wanted}", self.seed_bits);
        self.seed.extend_from(piece);
        if self.output_len == 0 || self.input_len == 0 {
            return;
        }
        let complete = self.seed_bits == wanted;
        let before = self.tiles.wanted_from();
        // The last word is not whole yet, unless no more comes.
        let whole = if complete { self.seed.words().len() } else { self.seed.len() / 64 };
        self.tiles.take(self.input.words(), &self.seed.words()[..whole], complete);
        let used = ((self.tiles.wanted_from() - before) * 64).min(self.seed.len());
        if used > 0 {
            self.seed = self.seed.slice(used..self.seed.len());
        }
    }

    /// The hash.
    ///
    /// # Panics
    /// If the input or the seed is not complete.
    pub fn finish(mut self) -> BitString {
        let (wanted, input_len, output_len) =
            (seed_len(self.input_len, self.output_len), self.input_len, self.output_len);
        assert!(self.input.len() == input_len, "{} bits of an input of {input_len}", self.input.len());
        assert!(self.seed_bits == wanted, "{} bits of a seed of {wanted}", self.seed_bits);
        if input_len == 0 || output_len == 0 {
            return BitString::zeros(output_len);
        }
        self.tiles.finish(input_len, output_len)
    }
}

impl Drop for Hasher {
    fn drop(&mut self) {
        self.input.zeroize();
    }
}
