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
        let bit =
            (0..input.len()).fold(false, |sum, j| sum ^ (seed.get(i + input.len() - 1 - j) & input.get(j)));
        output.set(i, bit);
    }
    output
}

fn terms(backend: Backend) -> impl Fn(usize, usize) -> Method {
    move |_, _| Method::Terms(backend)
}

fn transforms(backend: Backend) -> impl Fn(usize, usize) -> Method {
    move |input, sums| Method::Transforms(backend, Plan::best(input, sums).0)
}

fn tiles(tiling: Tiling) -> impl Fn(usize, usize) -> Method {
    move |_, _| Method::Tiles(tiling)
}

/// Tiles for all instruction sets of this machine, the smallest that each has.
fn smallest_tilings() -> Vec<Tiling> {
    let bytes = Gfni::detect().map(|token| Tiling::Bytes(token, byte_fft::LEAST_LOG));
    Backend::all().into_iter().map(|backend| Tiling::Words(backend, 6)).chain(bytes).collect()
}

/// Hashes piece by piece; the pieces are cut at random.
fn stream_through(
    tiling: Tiling,
    seed: &BitString,
    input: &BitString,
    output_len: usize,
    threads: usize,
    rng: &mut Stream,
) -> BitString {
    let mut hasher = Hasher::with(tiling, input.len(), output_len, threads);
    let mut pieces = |whole: &BitString, mut take: Box<dyn FnMut(&BitString) + '_>| {
        let mut at = 0;
        while at < whole.len() {
            let len = 1 + rng.below(whole.len().div_ceil(2) as u64) as usize;
            let end = whole.len().min(at + len);
            take(&whole.slice(at..end));
            at = end;
        }
    };
    pieces(input, Box::new(|piece| hasher.input(piece)));
    pieces(seed, Box::new(|piece| hasher.seed(piece)));
    hasher.finish()
}

fn agrees_with_the_matrix(input_len: usize, output_len: usize, rng: &mut Stream) {
    let seed = BitString::random(seed_len(input_len, output_len), rng);
    let input = BitString::random(input_len, rng);
    let expected = matrix_product(&seed, &input, output_len);
    for backend in Backend::all() {
        let by_terms = hash_by(terms(backend), &seed, &input, output_len, 1);
        assert!(by_terms == expected, "{input_len} to {output_len} by terms on {backend:?}");
        let by_transforms = hash_by(transforms(backend), &seed, &input, output_len, 1);
        assert!(by_transforms == expected, "{input_len} to {output_len} by transforms on {backend:?}");
    }
    for tiling in smallest_tilings() {
        let output = hash_by(tiles(tiling), &seed, &input, output_len, 1);
        assert!(output == expected, "{input_len} to {output_len} by {tiling:?}");
    }
}

/// The definition, row by row.
fn row_parities(seed: &BitString, input: &BitString, output_len: usize) -> BitString {
    let mut reversed = BitString::with_capacity(input.len());
    (0..input.len()).rev().for_each(|j| reversed.push(input.get(j)));
    let mut output = BitString::zeros(output_len);
    for i in 0..output_len {
        output.set(i, seed.slice(i..i + input.len()).and(&reversed).parity());
    }
    output
}

/// The ways of hashing take turns, and each of them meets all lengths.
#[test]
fn ten_thousand_random_hashes_are_matrix_products_in_every_way() {
    let mut rng = stream(6);
    let (tilings, backends) = (smallest_tilings(), Backend::all());
    for case in 0..10_000 {
        // As many short ones as long ones.
        let mut len = || {
            let log = 1 + rng.below(12);
            rng.below(1 << log) as usize + 1
        };
        let (input_len, output_len) = (len(), len());
        let seed = BitString::random(seed_len(input_len, output_len), &mut rng);
        let input = BitString::random(input_len, &mut rng);
        let expected = row_parities(&seed, &input, output_len);
        assert!(hash(&seed, &input, output_len) == expected, "{input_len} to {output_len}");
        let (tiling, backend) = (tilings[case % tilings.len()], backends[case % backends.len()]);
        let threads = 1 + case % 3;
        let output = match case % 4 {
            0 => hash_by(tiles(tiling), &seed, &input, output_len, threads),
            1 => stream_through(tiling, &seed, &input, output_len, threads, &mut rng),
            2 => hash_by(transforms(backend), &seed, &input, output_len, threads),
            _ => hash_by(terms(backend), &seed, &input, output_len, threads),
        };
        assert!(output == expected, "{input_len} to {output_len}, case {case}: {tiling:?}, {backend:?}");
    }
}

/// Against the product of two integers with the bits as digits in base 2^32, in which nothing carries
/// (Kronecker's substitution): a convolution that shares nothing with ours.
#[test]
fn a_million_bits_hash_as_a_product_of_big_integers() {
    use num_bigint::BigUint;
    let mut rng = stream(7);
    let (input_len, output_len) = (1_000_000, 300_000);
    let seed = BitString::random(seed_len(input_len, output_len), &mut rng);
    let input = BitString::random(input_len, &mut rng);
    let integer = |bits: &BitString| BigUint::new((0..bits.len()).map(|i| u32::from(bits.get(i))).collect());
    let digits = (integer(&seed) * integer(&input)).to_u32_digits();
    let mut expected = BitString::zeros(output_len);
    for i in 0..output_len {
        expected.set(i, digits[i + input_len - 1] % 2 == 1);
    }
    assert!(hash(&seed, &input, output_len) == expected);
    let fallback = Tiling::Words(Backend::best(), 10);
    let bytes =
        Gfni::detect().into_iter().flat_map(|token| [14, 15, 16].map(|log| Tiling::Bytes(token, log)));
    for tiling in bytes.chain([fallback]) {
        for threads in [1, 2, 5] {
            let output = hash_by(tiles(tiling), &seed, &input, output_len, threads);
            assert!(output == expected, "{tiling:?} on {threads} threads");
            let output = stream_through(tiling, &seed, &input, output_len, threads, &mut rng);
            assert!(output == expected, "{tiling:?} piece by piece on {threads} threads");
        }
    }
}

#[test]
#[should_panic(expected = "the seed must not come before the whole input")]
fn a_seed_before_its_input_is_refused() {
    Hasher::new(100, 10, 1).seed(&BitString::zeros(5));
}

#[test]
#[should_panic(expected = "108 bits of a seed of 109")]
fn a_hash_without_its_whole_seed_is_refused() {
    let mut hasher = Hasher::new(100, 10, 1);
    hasher.input(&BitString::zeros(100));
    hasher.seed(&BitString::zeros(108));
    hasher.finish();
}

#[test]
fn nothing_hashes_to_nothing_piece_by_piece_as_well() {
    for (input_len, output_len) in [(0, 0), (0, 5), (5, 0)] {
        let mut hasher = Hasher::new(input_len, output_len, 2);
        hasher.input(&BitString::zeros(input_len));
        hasher.seed(&BitString::zeros(seed_len(input_len, output_len)));
        assert_eq!(hasher.finish(), BitString::zeros(output_len));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
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
    for (input_len, output_len) in [(1_000_000, 300_000), (65_536, 65_536), (300_001, 77), (500, 200_003)] {
        let seed = BitString::random(seed_len(input_len, output_len), &mut rng);
        let input = BitString::random(input_len, &mut rng);
        let expected = hash_by(terms(Backend::best()), &seed, &input, output_len, 1);
        let output = hash_by(transforms(Backend::best()), &seed, &input, output_len, 1);
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
            let expected = hash_by(terms(Backend::best()), &seed, &input, output_len, 1);
            for backend in Backend::all() {
                if log > 10 && matches!(backend, Backend::Portable) {
                    continue;
                }
                let by_log = |kernel, sums| Method::Transforms(backend, Plan::with_log(log, kernel, sums));
                let output = hash_by(by_log, &seed, &input, output_len, 1);
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
    for (input_len, output_len) in [(2_000_003, 1_999_999), (5_000_000, 1_000_000), (10_000_000, 77_777)] {
        agrees_in_single_bits(input_len, output_len, &mut rng);
    }
}

#[test]
#[ignore = "takes 100 MB; the same at 10^7 bits always runs"]
fn a_block_of_a_hundred_million_bits_hashes_right() {
    agrees_in_single_bits(100_000_000, 30_000_000, &mut stream(5));
}

#[test]
#[should_panic(expected = "has 11 bits, not 10")]
fn a_short_seed_is_refused() {
    hash(&BitString::zeros(10), &BitString::zeros(8), 4);
}
