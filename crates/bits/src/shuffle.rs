//! Structured permutations of packed bits, fast enough to shuffle a key many times over.
//!
//! A permutation drawn uniformly from all of them needs an index for each bit, and applying it is one
//! scattered access a bit. Error correction does not need that much. It needs any two bits to be parted like
//! two bits of a random permutation, and small sets of bits to be thrown apart independently. A [`Shuffle`]
//! of `W` words of 64 bits does so with operations on whole words:
//!
//! 1. a random permutation of the words;
//! 2. eight stages, each of which moves a random half of the 64 bit columns cyclically by a random number of
//!    words, so that every column ends up moved by its own distance;
//! 3. a second random permutation of the words;
//! 4. a rotation of each word by its own hash.
//!
//! The bits of one word thus land in (nearly always) 64 different words, anywhere.

/// How many stages move columns: six give the 64 columns their own distances, two more break up the sums
/// that six distances have in common.
const STAGES: usize = 8;

/// A pseudorandom permutation of `64 * words` bits, known to whoever knows its seed.
///
/// It hides nothing: seeds are public.
///
/// ```
/// use bellwether_bits::Shuffle;
///
/// let shuffle = Shuffle::new(2, 7);
/// let mut shuffled = vec![0; 2];
/// shuffle.apply(&[1 << 5, 0], &mut shuffled, &mut Vec::new());
/// let place = shuffle.position(5);
/// assert_eq!(shuffled[place / 64], 1 << (place % 64));
/// assert_eq!(shuffle.origin(place), 5);
/// ```
#[derive(Clone, Debug)]
pub struct Shuffle {
    /// `first[w]` is where the first permutation of words puts word `w`.
    first: Vec<u32>,
    first_inverse: Vec<u32>,
    second: Vec<u32>,
    second_inverse: Vec<u32>,
    /// The columns that each stage moves, and by how many words.
    stages: [(u64, usize); STAGES],
    /// By how many words all stages together move each column.
    columns: [u32; 64],
    rotation: u64,
}

/// SplitMix64 (Steele, Lea & Flood, OOPSLA 2014): public randomness that both ends derive alike.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// A random permutation of `0..count` and its inverse (Fisher & Yates, inside out). The bias of a
    /// 32-bit draw is below `count / 2^32`.
    fn permutation(&mut self, count: usize) -> (Vec<u32>, Vec<u32>) {
        let mut forward = vec![0u32; count];
        let mut draws = 0;
        for i in 0..count {
            draws = if i % 2 == 0 { self.next() } else { draws >> 32 };
            let j = (((draws & 0xffff_ffff) * (i as u64 + 1)) >> 32) as usize;
            forward[i] = forward[j];
            forward[j] = i as u32;
        }
        let mut inverse = vec![0u32; count];
        for (from, &to) in forward.iter().enumerate() {
            inverse[to as usize] = from as u32;
        }
        (forward, inverse)
    }
}

impl Shuffle {
    /// The permutation of `words` words that `seed` names.
    ///
    /// # Panics
    /// If `words` is 2^32 or more.
    pub fn new(words: usize, seed: u64) -> Self {
        assert!(u32::try_from(words).is_ok(), "{words} words are more than a shuffle can number");
        let mut random = SplitMix(seed ^ (words as u64).rotate_left(40));
        let mut stages = [(0, 0); STAGES];
        for (stage, slot) in stages.iter_mut().enumerate() {
            // Bit `b` of this mask is bit `stage` of the number `b`.
            const COUNTING: [u64; 6] = [
                0xaaaa_aaaa_aaaa_aaaa,
                0xcccc_cccc_cccc_cccc,
                0xf0f0_f0f0_f0f0_f0f0,
                0xff00_ff00_ff00_ff00,
                0xffff_0000_ffff_0000,
                0xffff_ffff_0000_0000,
            ];
            let mask = COUNTING.get(stage).copied().unwrap_or_else(|| random.next());
            let distance = if words == 0 { 0 } else { random.next() % words as u64 };
            *slot = (mask, distance as usize);
        }
        let mut columns = [0; 64];
        for (bit, column) in columns.iter_mut().enumerate() {
            let moved: usize = stages.iter().filter(|(mask, _)| mask >> bit & 1 == 1).map(|s| s.1).sum();
            *column = moved.checked_rem(words).unwrap_or(0) as u32;
        }
        let rotation = random.next();
        let (first, first_inverse) = random.permutation(words);
        let (second, second_inverse) = random.permutation(words);
        Self { first, first_inverse, second, second_inverse, stages, columns, rotation }
    }

    /// How many words it permutes.
    pub fn words(&self) -> usize {
        self.first.len()
    }

    /// By how much word `word` of the result is rotated.
    #[inline]
    fn turn(&self, word: usize) -> u32 {
        ((word as u64 ^ self.rotation).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as u32
    }

    /// Where bit `bit` goes.
    ///
    /// # Panics
    /// If there is no such bit.
    #[inline]
    pub fn position(&self, bit: usize) -> usize {
        let (word, column) = (bit / 64, bit % 64);
        let from = self.first[word] as usize;
        let moved = self.columns[column] as usize;
        let middle = if from >= moved { from - moved } else { from + self.words() - moved };
        let to = self.second[middle] as usize;
        to * 64 + ((column as u32 + self.turn(to)) % 64) as usize
    }

    /// Which bit comes to `position`: the inverse of [`position`](Self::position).
    ///
    /// # Panics
    /// If there is no such position.
    #[inline]
    pub fn origin(&self, position: usize) -> usize {
        let to = position / 64;
        let middle = self.second_inverse[to] as usize;
        let column = ((position as u32 + 64 - self.turn(to)) % 64) as usize;
        let moved = middle + self.columns[column] as usize;
        let from = if moved >= self.words() { moved - self.words() } else { moved };
        self.first_inverse[from] as usize * 64 + column
    }

    /// Permutes `input` into `output`. `scratch` is overwritten, grown to twice the words, and left holding
    /// traces of the input.
    ///
    /// # Panics
    /// If `input` or `output` is not of [`words`](Self::words) words.
    pub fn apply(&self, input: &[u64], output: &mut [u64], scratch: &mut Vec<u64>) {
        let words = self.words();
        assert!(input.len() == words && output.len() == words);
        scratch.resize(2 * words, 0);
        let (mut here, mut there) = scratch.split_at_mut(words);
        for (slot, &from) in here.iter_mut().zip(&self.first_inverse) {
            *slot = input[from as usize];
        }
        for &(mask, distance) in &self.stages {
            move_columns(here, there, mask, distance);
            core::mem::swap(&mut here, &mut there);
        }
        for (to, (slot, &from)) in output.iter_mut().zip(&self.second_inverse).enumerate() {
            *slot = here[from as usize].rotate_left(self.turn(to));
        }
    }

    /// Undoes [`apply`](Self::apply).
    ///
    /// # Panics
    /// If `input` or `output` is not of [`words`](Self::words) words.
    pub fn undo(&self, input: &[u64], output: &mut [u64], scratch: &mut Vec<u64>) {
        let words = self.words();
        assert!(input.len() == words && output.len() == words);
        scratch.resize(2 * words, 0);
        let (mut here, mut there) = scratch.split_at_mut(words);
        for (slot, &from) in here.iter_mut().zip(&self.second) {
            *slot = input[from as usize].rotate_right(self.turn(from as usize));
        }
        for &(mask, distance) in self.stages.iter().rev() {
            let back = if distance == 0 { 0 } else { words - distance };
            move_columns(here, there, mask, back);
            core::mem::swap(&mut here, &mut there);
        }
        for (slot, &from) in output.iter_mut().zip(&self.first) {
            *slot = here[from as usize];
        }
    }
}

/// Word `j` of `output` takes the bits under `mask` from word `j + distance` of `input`, cyclically, and the
/// others from word `j`.
fn move_columns(input: &[u64], output: &mut [u64], mask: u64, distance: usize) {
    let before = input.len() - distance;
    let (head, tail) = output.split_at_mut(before);
    let merge = |out: &mut [u64], stay: &[u64], come: &[u64]| {
        for ((slot, &a), &b) in out.iter_mut().zip(stay).zip(come) {
            *slot = a ^ ((a ^ b) & mask);
        }
    };
    merge(head, &input[..before], &input[distance..]);
    merge(tail, &input[before..], &input[..distance]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shuffled(shuffle: &Shuffle, input: &[u64]) -> Vec<u64> {
        let mut output = vec![0; input.len()];
        shuffle.apply(input, &mut output, &mut Vec::new());
        output
    }

    proptest! {
        #[test]
        fn every_bit_goes_where_position_says_and_comes_back(words in 1usize..40, seed: u64, data: u64) {
            let shuffle = Shuffle::new(words, seed);
            let mut random = SplitMix(data);
            let input: Vec<u64> = (0..words).map(|_| random.next()).collect();
            let output = shuffled(&shuffle, &input);
            for bit in 0..64 * words {
                let place = shuffle.position(bit);
                prop_assert_eq!(shuffle.origin(place), bit);
                prop_assert_eq!(output[place / 64] >> (place % 64) & 1, input[bit / 64] >> (bit % 64) & 1);
            }
            let mut back = vec![0; words];
            shuffle.undo(&output, &mut back, &mut Vec::new());
            prop_assert_eq!(back, input);
        }
    }

    #[test]
    fn no_words_are_a_permutation_too() {
        assert_eq!(shuffled(&Shuffle::new(0, 1), &[]), vec![]);
    }

    /// Pairs of bits, alike or in one word, share a block of 256 as rarely as under a random permutation,
    /// and two pairs share blocks at the same time as rarely as independent pairs.
    #[test]
    fn pairs_part_as_under_a_random_permutation() {
        let (words, block, seeds) = (128usize, 256, 400u64);
        let bits = 64 * words;
        let expected = (block - 1) as f64 / (bits - 1) as f64;
        let mut random = SplitMix(3);
        let (mut apart, mut within, mut rectangles) = (0u64, 0u64, 0u64);
        let (mut pairs, mut tried) = (0u64, 0u64);
        for seed in 0..seeds {
            let shuffle = Shuffle::new(words, seed);
            let block_of = |bit: usize| shuffle.position(bit) / block;
            for _ in 0..4000 {
                let draw = random.next() as usize;
                let (a, b) = (draw % bits, (draw >> 32) % bits);
                if a == b {
                    continue;
                }
                pairs += 1;
                apart += u64::from(block_of(a) == block_of(b));
                // A partner of each in its own word: the pairs that the first pass cannot part.
                let draw = random.next() as usize;
                let (a2, b2) = (a ^ (1 + draw % 63), b ^ (1 + (draw >> 32) % 63));
                within += u64::from(block_of(a) == block_of(a2));
                if a / 64 != b / 64 {
                    tried += 1;
                    rectangles += u64::from(block_of(a) == block_of(b) && block_of(a2) == block_of(b2));
                }
            }
        }
        let close = |hits: u64, trials: u64, p: f64| {
            let mean = trials as f64 * p;
            assert!((hits as f64 - mean).abs() < 5.0 * mean.sqrt(), "{hits} hits where {mean} are due");
        };
        close(apart, pairs, expected);
        close(within, pairs, expected);
        close(rectangles, tried, expected * expected);
    }
}
