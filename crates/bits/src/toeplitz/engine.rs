//! How tiles of a Toeplitz matrix are multiplied.

use crate::additive_fft;
use crate::arch::{Backend, ByteLanes};
use crate::byte_fft;
use zeroize::Zeroize;

/// How many elements of every transform are multiplied at a time.
pub(super) const PIECE: usize = 8;

/// So many elements of a transform.
pub(super) type Piece<E> = [<E as Engine>::Element; PIECE];

/// Transforms of tiles of `words` x `words` words, where a transform of a piece of the input (the kernel) and one of
/// the piece of the matrix that meets it (the window, twice as long) are multiplied value by value.
///
/// A buffer is memory for one transform after another. What is left in it may be secret.
pub(super) trait Engine: Sync + Sized + 'static {
    /// Some of a transform's values.
    type Element: Copy + Send + Sync + 'static;
    /// Memory for what is multiplied.
    type Scratch;

    /// Words of a tile's side.
    fn words(&self) -> usize;
    /// How many elements a transform has.
    fn elements(&self) -> usize;
    /// An element of zeros.
    fn zero(&self) -> Self::Element;
    /// The transform of the words of a piece of the input, at most [`words`](Self::words); they are taken in reverse.
    fn kernel(&self, words: &[u64], buffer: &mut Vec<u8>, values: &mut [Self::Element]);
    /// The transform of at most twice as many words of the seed.
    fn window(&self, words: &[u64], buffer: &mut Vec<u8>, values: &mut [Self::Element]);
    /// What [`accumulate`](Self::accumulate) needs for so many windows and kernels.
    fn scratch(&self, windows: usize, kernels: usize) -> Self::Scratch;
    /// Adds to every total i the sum over k of `windows[i + k] kernels[k]`, value by value. There are as many windows
    /// as totals and kernels together, less one.
    fn accumulate<'a>(
        &self,
        windows: impl Iterator<Item = &'a Piece<Self>>,
        kernels: &[Piece<Self>],
        totals: &mut [Piece<Self>],
        scratch: &mut Self::Scratch,
    ) where
        Self: 'a;
    /// The words of the product that a total stands for. The total is used up.
    fn product(&self, total: &mut [Self::Element], buffer: &mut Vec<u8>, words: &mut [u64]);
    /// Overwrites with zeros.
    fn wipe(&self, values: &mut [Self::Element]);
}

/// By transforms over GF(2^16), in bytes.
pub(super) struct Bytes<L: ByteLanes> {
    lanes: L,
    transform: byte_fft::Transform<L>,
}

impl<L: ByteLanes> Bytes<L> {
    /// With transforms of 2^`log` bytes.
    pub(super) fn new(lanes: L, log: u32) -> Self {
        Self { lanes, transform: byte_fft::Transform::new(lanes, log) }
    }
}

impl<L: ByteLanes + 'static> Engine for Bytes<L> {
    type Element = byte_fft::Element<L>;
    type Scratch = byte_fft::Factors<L>;

    fn words(&self) -> usize {
        self.transform.bytes() / 16
    }
    fn elements(&self) -> usize {
        self.transform.elements()
    }
    fn zero(&self) -> Self::Element {
        [self.lanes.splat(0); 2]
    }
    fn kernel(&self, words: &[u64], buffer: &mut Vec<u8>, values: &mut [Self::Element]) {
        buffer.resize(self.transform.bytes(), 0);
        for (bytes, word) in buffer.as_chunks_mut().0.iter_mut().zip(words.iter().rev()) {
            *bytes = word.to_be_bytes();
        }
        buffer[words.len() * 8..].fill(0);
        self.transform.evaluate(buffer, values);
    }
    fn window(&self, words: &[u64], buffer: &mut Vec<u8>, values: &mut [Self::Element]) {
        buffer.resize(self.transform.bytes(), 0);
        for (bytes, word) in buffer.as_chunks_mut().0.iter_mut().zip(words) {
            *bytes = word.to_le_bytes();
        }
        buffer[words.len() * 8..].fill(0);
        self.transform.evaluate_swapped(buffer, values);
    }
    fn scratch(&self, windows: usize, kernels: usize) -> byte_fft::Factors<L> {
        byte_fft::Factors::new(self.lanes, windows, kernels)
    }
    fn accumulate<'a>(
        &self,
        windows: impl Iterator<Item = &'a Piece<Self>>,
        kernels: &[Piece<Self>],
        totals: &mut [Piece<Self>],
        factors: &mut byte_fft::Factors<L>,
    ) where
        Self: 'a,
    {
        factors.accumulate(windows, kernels, totals);
    }
    fn product(&self, total: &mut [Self::Element], buffer: &mut Vec<u8>, words: &mut [u64]) {
        buffer.resize(2 * self.transform.bytes(), 0);
        let (low, high) = buffer.split_at_mut(self.transform.bytes());
        self.transform.evaluate_transposed(total, low, high);
        // The product of byte b of the input with byte K - b of the seed, summed over b, has 15 bits, of which the
        // lower 8 belong to byte K of the product and the upper to byte K + 1.
        for ((word, low), high) in words.iter_mut().zip(low[1..].chunks(8)).zip(high.as_chunks().0) {
            let mut next = [0; 8];
            next[..low.len()].copy_from_slice(low);
            *word = u64::from_le_bytes(next) ^ u64::from_le_bytes(*high);
        }
    }
    fn wipe(&self, values: &mut [Self::Element]) {
        self.lanes.wipe(values.as_flattened_mut());
    }
}

/// By transforms over GF(2^128), in words of 64 bits.
pub(super) struct Words {
    backend: Backend,
    tile: additive_fft::Tile,
}

impl Words {
    /// With transforms of 2^`log` words.
    pub(super) fn new(backend: Backend, log: u32) -> Self {
        Self { backend, tile: additive_fft::Tile::new(log) }
    }
}

impl Engine for Words {
    type Element = [u128; 4];
    type Scratch = Vec<Piece<Self>>;

    fn words(&self) -> usize {
        self.tile.words() / 2
    }
    fn elements(&self) -> usize {
        self.tile.words() / 4
    }
    fn zero(&self) -> [u128; 4] {
        [0; 4]
    }
    fn kernel(&self, words: &[u64], _: &mut Vec<u8>, values: &mut [[u128; 4]]) {
        let mut reversed: Vec<u64> = words.iter().rev().copied().collect();
        self.tile.evaluate(self.backend, &reversed, values);
        reversed.zeroize();
    }
    fn window(&self, words: &[u64], _: &mut Vec<u8>, values: &mut [[u128; 4]]) {
        self.tile.evaluate_swapped(self.backend, words, values);
    }
    fn scratch(&self, windows: usize, _: usize) -> Vec<Piece<Self>> {
        Vec::with_capacity(windows)
    }
    fn accumulate<'a>(
        &self,
        windows: impl Iterator<Item = &'a Piece<Self>>,
        kernels: &[Piece<Self>],
        totals: &mut [Piece<Self>],
        scratch: &mut Vec<Piece<Self>>,
    ) {
        scratch.clear();
        scratch.extend(windows);
        additive_fft::accumulate(self.backend, scratch, kernels, totals);
    }
    fn product(&self, total: &mut [[u128; 4]], _: &mut Vec<u8>, words: &mut [u64]) {
        let (mut low, mut high) = self.tile.evaluate_transposed(self.backend, total);
        // As in bytes: the lower 64 of 127 bits belong to one word, the upper to the next.
        for ((word, low), high) in words.iter_mut().zip(&low[1..]).zip(&high) {
            *word = low ^ high;
        }
        low.zeroize();
        high.zeroize();
    }
    fn wipe(&self, values: &mut [[u128; 4]]) {
        values.as_flattened_mut().zeroize();
    }
}
