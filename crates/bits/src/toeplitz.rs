//! Hashing by a Toeplitz matrix over GF(2): privacy amplification's universal hash.
//!
//! The matrices are a universal family (Mansour, Nisan & Tiwari, Theor. Comput. Sci. 107, 121 (1993);
//! Krawczyk, CRYPTO '94), with collision probability 2^-l exactly, which the leftover hash lemma asks for.
//! The product is a slice of the product of two polynomials over GF(2), and only that slice is computed.

use crate::BitString;
use crate::additive_fft::Plan;
use crate::arch::{Backend, Kernel, Lanes};
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
    hash_on(Backend::best(), Method::best, seed, input, output_len)
}

/// How the correlation of words is computed.
#[derive(Clone, Copy, Debug)]
enum Method {
    /// Product by product: for short inputs.
    Terms,
    /// By additive Fourier transforms.
    Transforms(Plan),
}

impl Method {
    /// The quicker one for an input of `input` words and `sums` sums.
    fn best(input: usize, sums: usize) -> Self {
        let (plan, butterflies) = Plan::best(input, sums);
        if input as f64 * sums as f64 <= TERMS_PER_BUTTERFLY * butterflies {
            Self::Terms
        } else {
            Self::Transforms(plan)
        }
    }
}

fn hash_on(
    backend: Backend,
    choose: impl Fn(usize, usize) -> Method,
    seed: &BitString,
    input: &BitString,
    output_len: usize,
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
    let mut reversed: Vec<u64> = input.words().iter().rev().copied().collect();
    let mut window = Vec::with_capacity(seed.words().len() + 1);
    window.push(0);
    window.extend_from_slice(seed.words());
    let method = choose(reversed.len(), words + 1);
    let (mut low, mut high) =
        backend.run(Correlation { window: &window, kernel: &reversed, sums: words + 1, method });
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
    method: Method,
}

impl Kernel for Correlation<'_> {
    type Output = (Vec<u64>, Vec<u64>);

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> (Vec<u64>, Vec<u64>) {
        match self.method {
            Method::Terms => self.by_terms(lanes),
            Method::Transforms(plan) => plan.correlate(lanes, self.window, self.kernel, self.sums),
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
mod tests {
    use super::*;
    use bellwether_units::{EntityId, Purpose, Stream};
    use proptest::prelude::*;

    fn stream(seed: u64) -> Stream {
        Stream::new(seed, EntityId(0), Purpose::named("toeplitz"))
    }

    /// The definition, bit by bit.
    fn matrix_product(seed: &BitString, input: &BitString, output_len: usize) -> BitString {
        let mut output = BitString::zeros(output_len);
        for i in 0..output_len {
            let bit = (0..input.len())
                .fold(false, |sum, j| sum ^ (seed.get(i + input.len() - 1 - j) & input.get(j)));
            output.set(i, bit);
        }
        output
    }

    fn terms(_input: usize, _sums: usize) -> Method {
        Method::Terms
    }

    fn transforms(input: usize, sums: usize) -> Method {
        Method::Transforms(Plan::best(input, sums).0)
    }

    fn agrees_with_the_matrix(input_len: usize, output_len: usize, rng: &mut Stream) {
        let seed = BitString::random(seed_len(input_len, output_len), rng);
        let input = BitString::random(input_len, rng);
        let expected = matrix_product(&seed, &input, output_len);
        for backend in Backend::all() {
            let by_terms = hash_on(backend, terms, &seed, &input, output_len);
            assert!(by_terms == expected, "{input_len} to {output_len} by terms on {backend:?}");
            let by_transforms = hash_on(backend, transforms, &seed, &input, output_len);
            assert!(by_transforms == expected, "{input_len} to {output_len} by transforms on {backend:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_hash_is_the_matrix_product(input_len in 0usize..=4096, output_len in 0usize..=4096, seed: u64) {
            agrees_with_the_matrix(input_len, output_len, &mut stream(seed));
        }
    }

    #[test]
    fn the_hash_is_the_matrix_product_at_the_edges() {
        let mut rng = stream(1);
        let edges = [0, 1, 2, 63, 64, 65, 127, 128, 129, 511, 512, 513, 1024];
        for input_len in edges {
            for output_len in edges {
                agrees_with_the_matrix(input_len, output_len, &mut rng);
            }
        }
    }

    /// Transforms against products term by term, two algorithms that share only the carry-less product.
    #[test]
    fn long_inputs_hash_alike_by_terms_and_by_transforms() {
        let mut rng = stream(2);
        for (input_len, output_len) in [(1_000_000, 300_000), (65_536, 65_536), (300_001, 77), (500, 200_003)]
        {
            let seed = BitString::random(seed_len(input_len, output_len), &mut rng);
            let input = BitString::random(input_len, &mut rng);
            let expected = hash_on(Backend::best(), terms, &seed, &input, output_len);
            let output = hash_on(Backend::best(), transforms, &seed, &input, output_len);
            assert!(output == expected, "{input_len} to {output_len}");
        }
    }

    #[test]
    fn transforms_of_every_length_hash_alike() {
        let mut rng = stream(3);
        for log in 4..=13 {
            // One piece that fills the transform, and several of which the last is short.
            for (kernel, sums) in
                [((1 << log) - (1 << (log - 2)) - 1, 1 << (log - 2)), (3 << log, (1 << log) - 9)]
            {
                let (input_len, output_len) = (kernel * 64 - 63, (sums - 2) * 64 + 1);
                let seed = BitString::random(seed_len(input_len, output_len), &mut rng);
                let input = BitString::random(input_len, &mut rng);
                let expected = hash_on(Backend::best(), terms, &seed, &input, output_len);
                for backend in Backend::all() {
                    if log > 10 && matches!(backend, Backend::Portable) {
                        continue;
                    }
                    let by_log = |kernel, sums| Method::Transforms(Plan::with_log(log, kernel, sums));
                    let output = hash_on(backend, by_log, &seed, &input, output_len);
                    assert!(output == expected, "2^{log} points, {input_len} to {output_len} on {backend:?}");
                }
            }
        }
    }

    /// A third way, with neither carry-less products nor words: single bits of the output as parities.
    fn agrees_in_single_bits(input_len: usize, output_len: usize, rng: &mut Stream) {
        let seed = BitString::random(seed_len(input_len, output_len), rng);
        let input = BitString::random(input_len, rng);
        let output = hash(&seed, &input, output_len);
        let words = input.words().iter().rev().map(|word| word.reverse_bits()).collect::<Vec<_>>();
        let padded = words.len() * 64;
        let reversed = BitString::from_words(words, padded).slice(padded - input_len..padded);
        let places = (0..20).map(|_| rng.below(output_len as u64) as usize);
        for i in places.chain([0, output_len - 1]) {
            let row = seed.slice(i..i + input_len);
            assert_eq!(output.get(i), row.and(&reversed).parity(), "bit {i} of {output_len}");
        }
    }

    #[test]
    fn blocks_of_millions_of_bits_hash_right() {
        let mut rng = stream(4);
        for (input_len, output_len) in [(2_000_003, 1_999_999), (5_000_000, 1_000_000), (10_000_000, 77_777)]
        {
            agrees_in_single_bits(input_len, output_len, &mut rng);
        }
    }

    #[test]
    #[ignore = "takes 400 MB; the same at 10^7 bits always runs"]
    fn a_block_of_a_hundred_million_bits_hashes_right() {
        agrees_in_single_bits(100_000_000, 30_000_000, &mut stream(5));
    }

    #[test]
    #[should_panic(expected = "has 11 bits, not 10")]
    fn a_short_seed_is_refused() {
        hash(&BitString::zeros(10), &BitString::zeros(8), 4);
    }
}
