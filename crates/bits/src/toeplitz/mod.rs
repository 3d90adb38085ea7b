//! Hashing by a Toeplitz matrix over GF(2): privacy amplification's universal hash.
//!
//! The matrices are a universal family (Mansour, Nisan & Tiwari, Theor. Comput. Sci. 107, 121 (1993);
//! Krawczyk, CRYPTO '94), with collision probability 2^-l exactly, which the leftover hash lemma asks for.
//! The product is a slice of the product of two polynomials over GF(2), and only that slice is computed.

mod engine;
mod store;
mod stream;
mod tiles;

pub use stream::Hasher;

use crate::BitString;
use crate::additive_fft::Plan;
use crate::arch::{Backend, Gfni, Kernel, Lanes};
use crate::byte_fft;
use stream::AnyTiles;
use zeroize::Zeroize;

/// How many products of words, term by term, take the time of one butterfly of a transform.
const TERMS_PER_BUTTERFLY: f64 = 6.0;

/// How many bits of seed a matrix of `output_len` rows and `input_len` columns has.
pub const fn seed_len(input_len: usize, output_len: usize) -> usize {
    (input_len + output_len).saturating_sub(1)
}

/// The product of the Toeplitz matrix of `seed` with `input`: bit i of the output is the sum over j of
/// `seed[i - j + n - 1] input[j]`, where n is the length of the input.
///
/// Running time and memory accesses depend on the lengths alone. Buffers that held what derives from the input
/// are wiped.
///
/// ```
/// use bellwether_bits::{BitString, toeplitz};
///
/// let seed = BitString::from_bytes(&[0b1101], 4); // rows 1 0 1 and 1 1 0
/// let input = BitString::from_bytes(&[0b110], 3); // the column 0 1 1
/// assert_eq!(toeplitz::hash(&seed, &input, 2), BitString::from_bytes(&[0b11], 2));
/// ```
///
/// # Panics
/// If the seed has not exactly [`seed_len`] bits.
pub fn hash(seed: &BitString, input: &BitString, output_len: usize) -> BitString {
    hash_on_threads(seed, input, output_len, 1)
}

/// As [`hash`], on `threads` threads where the input is long enough to share; one of them is the caller's. The output
/// is the same for any number.
///
/// # Panics
/// If the seed has not exactly [`seed_len`] bits.
pub fn hash_on_threads(seed: &BitString, input: &BitString, output_len: usize, threads: usize) -> BitString {
    hash_by(Method::best, seed, input, output_len, threads)
}

/// How the product is computed.
#[derive(Clone, Copy, Debug)]
enum Method {
    /// Product by product of words: for short inputs.
    Terms(Backend),
    /// By transforms that are as long as the output at least.
    Transforms(Backend, Plan),
    /// By tiles.
    Tiles(Tiling),
}

/// Tiles of a matrix: the instruction set and the logarithm of the transforms.
#[derive(Clone, Copy, Debug)]
enum Tiling {
    /// Transforms of bytes.
    Bytes(Gfni, u32),
    /// Transforms of words.
    Words(Backend, u32),
}

impl Method {
    /// The quickest for an input of `input` words and `sums` sums of words.
    fn best(input: usize, sums: usize) -> Self {
        let backend = Backend::best();
        let (plan, butterflies) = Plan::best(input, sums);
        if input as f64 * sums as f64 <= TERMS_PER_BUTTERFLY * butterflies {
            return Self::Terms(backend);
        }
        let tiling = Tiling::best(input, sums);
        match tiling {
            Tiling::Bytes(..) => Self::Tiles(tiling),
            Tiling::Words(..) if input + sums > 1 << 17 => Self::Tiles(tiling),
            Tiling::Words(..) => Self::Transforms(backend, plan),
        }
    }
}

impl Tiling {
    /// The best of this machine for an input of `input` words and `sums` sums of words.
    fn best(input: usize, sums: usize) -> Self {
        let cost = |log: u32, side: usize, overhead: f64, product: f64| {
            let (pieces, totals) = (input.div_ceil(side) as f64, sums.div_ceil(side) as f64);
            let transforms = 2.0 * (pieces + totals) * (f64::from(log) + overhead);
            (transforms + pieces * totals * product) * side as f64
        };
        if let Some(token) = Gfni::detect() {
            let by_log = |log| cost(log, 1 << (log - 4), 20.0, 0.6);
            let logs = byte_fft::LEAST_LOG..=byte_fft::MOST_LOG;
            let log = logs.min_by(|&a, &b| by_log(a).total_cmp(&by_log(b))).unwrap_or(byte_fft::MOST_LOG);
            return Self::Bytes(token, log);
        }
        let by_log = |log| cost(log, 1 << (log - 1), 2.0, 3.0);
        let log = (10..=17).min_by(|&a, &b| by_log(a).total_cmp(&by_log(b))).unwrap_or(16);
        Self::Words(Backend::best(), log)
    }
}

fn hash_by(
    choose: impl Fn(usize, usize) -> Method,
    seed: &BitString,
    input: &BitString,
    output_len: usize,
    threads: usize,
) -> BitString {
    assert!(
        seed.len() == seed_len(input.len(), output_len),
        "a Toeplitz matrix {output_len} x {} has {} bits, not {}",
        input.len(),
        seed_len(input.len(), output_len),
        seed.len()
    );
    if input.is_empty() || output_len == 0 {
        return BitString::zeros(output_len);
    }
    // Of the product of the polynomials seed(x) input(x), bits n - 1 .. n - 1 + l are wanted. In words: the
    // product of word b of the input with word K - b of the seed, summed over b, has 127 bits, of which the
    // lower 64 belong to word K of the product and the upper to word K + 1.
    let offset = (input.len() - 1) % 64;
    let words = (offset + output_len).div_ceil(64);
    let (backend, plan) = match choose(input.words().len(), words + 1) {
        Method::Terms(backend) => (backend, None),
        Method::Transforms(backend, plan) => (backend, Some(plan)),
        Method::Tiles(tiling) => {
            let mut tiles = AnyTiles::new(tiling, input.len(), output_len, threads);
            tiles.take(input.words(), seed.words(), true);
            return tiles.finish(input.len(), output_len);
        }
    };
    let mut window = Vec::with_capacity(seed.words().len() + 1);
    window.push(0);
    window.extend_from_slice(seed.words());
    let mut reversed: Vec<u64> = input.words().iter().rev().copied().collect();
    let (mut low, mut high) =
        backend.run(Correlation { window: &window, kernel: &reversed, sums: words + 1, plan });
    let product = low[1..].iter().zip(&high).map(|(low, high)| low ^ high).collect();
    reversed.zeroize();
    low.zeroize();
    high.zeroize();
    let mut whole = BitString::from_words(product, words * 64);
    let output = whole.slice(offset..offset + output_len);
    whole.zeroize();
    output
}

/// The low and the high words of the carry-less correlation `sums[i] = sum over k of window[i + k] kernel[k]`.
/// The window has as many words as the kernel and the sums together, less one.
struct Correlation<'a> {
    window: &'a [u64],
    kernel: &'a [u64],
    sums: usize,
    /// How it is cut into transforms, if it is computed by them.
    plan: Option<Plan>,
}

impl Kernel for Correlation<'_> {
    type Output = (Vec<u64>, Vec<u64>);

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> (Vec<u64>, Vec<u64>) {
        match self.plan {
            None => self.by_terms(lanes),
            Some(plan) => plan.correlate(lanes, self.window, self.kernel, self.sums),
        }
    }
}

impl Correlation<'_> {
    #[inline(always)]
    fn by_terms<L: Lanes>(&self, lanes: L) -> (Vec<u64>, Vec<u64>) {
        let (mut low, mut high) = (Vec::with_capacity(self.sums), Vec::with_capacity(self.sums));
        let (chunks, rest) = self.kernel.as_chunks::<8>();
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        let whole = chunks.len() * 8;
        for first in (0..self.sums).step_by(4) {
            let window = &self.window[first..];
            let together = (self.sums - first).min(4);
            let mut totals = [lanes.splat(0); 4];
            for (k, chunk) in chunks.iter().enumerate() {
                let kernel = lanes.load(chunk);
                for (i, total) in totals.iter_mut().enumerate().take(together) {
                    if let Some(words) = window[k * 8 + i..].first_chunk() {
                        *total = multiply_add(lanes, *total, lanes.load(words), kernel);
                    }
                }
            }
            for (i, total) in totals.into_iter().enumerate().take(together) {
                let mut words = [0; 8];
                words[..rest.len()].copy_from_slice(&window[whole + i..whole + i + rest.len()]);
                let total = lanes.sum(multiply_add(lanes, total, lanes.load(&words), lanes.load(&last)));
                low.push(total as u64);
                high.push((total >> 64) as u64);
            }
        }
        last.zeroize();
        (low, high)
    }
}

/// `total` and the products of the even words and of the odd words.
#[inline(always)]
fn multiply_add<L: Lanes>(lanes: L, total: L::Vector, a: L::Vector, b: L::Vector) -> L::Vector {
    lanes.xor3(total, lanes.low_low(a, b), lanes.high_high(a, b))
}

#[cfg(test)]
mod tests;
