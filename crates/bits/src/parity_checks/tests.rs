use super::*;
use crate::arch::{Level, Sweeper};

struct Mix(u64);

impl Mix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// A random matrix in which a row names each column with probability one third.
fn matrix(columns: usize, rows: usize, copies: usize, random: &mut Mix) -> ParityChecks {
    let period = copies / streams(copies);
    let rows = (0..rows).map(|_| {
        let first = random.below(columns - 1);
        let chosen = |column: &usize| *column == first || *column == first + 1;
        let columns: Vec<usize> =
            (0..columns).filter(|column| chosen(column) || random.below(3) == 0).collect();
        columns
            .into_iter()
            .map(|column| Link { column, step: random.below(period), turn: random.below(64) })
            .collect()
    });
    ParityChecks::new(columns, copies, rows.collect())
}

/// Any tables will do to compare two ways of the same arithmetic.
fn tables(rows: usize, random: &mut Mix) -> MessageTables {
    let mut byte = |limit: u64| (random.next() % limit) as u8;
    MessageTables {
        doubt: core::array::from_fn(|_| core::array::from_fn(|_| byte(40))),
        doubt_nearest: core::array::from_fn(|_| byte(256)),
        magnitude: core::array::from_fn(|_| byte(128)),
        without_one: (0..rows).map(|_| core::array::from_fn(|_| byte(256))).collect(),
    }
}

#[test]
fn a_syndrome_is_the_parity_of_the_bits_that_each_check_meets() {
    let mut random = Mix(1);
    for (columns, rows, copies) in [(7, 3, 1), (12, 5, 3), (16, 4, 8)] {
        let checks = matrix(columns, rows, copies, &mut random);
        let frame: Vec<u64> = (0..checks.words()).map(|_| random.next()).collect();
        let syndrome = checks.syndrome(&frame);
        for (number, row) in checks.rows().iter().enumerate() {
            for copy in 0..copies {
                for lane in 0..64 {
                    let parity = row.iter().fold(0, |parity, link| {
                        let word = (copy + link.step) % copies * columns + link.column;
                        parity ^ frame[word] >> ((lane + link.turn) % 64) & 1
                    });
                    assert_eq!(syndrome[number * copies + copy] >> lane & 1, parity);
                }
            }
        }
    }
}

/// Bits are doubted by the share of their checks that are odd, as the parities of single bits tell it.
#[test]
fn bits_whose_checks_are_mostly_odd_are_reconsidered() {
    let mut random = Mix(8);
    for copies in [1, 3, 8] {
        let checks = matrix(20, 6, copies, &mut random);
        let frame: Vec<u64> = (0..checks.words()).map(|_| random.next()).collect();
        let odd: Vec<u64> = (0..checks.syndrome_words()).map(|_| random.next() & random.next()).collect();
        let mut beliefs = Beliefs::new(&checks);
        let known = random.below(frame.len());
        let levels: Vec<i8> = (0..frame.len()).map(|word| if word == known { 64 } else { 60 }).collect();
        beliefs.load(&checks, &frame, &levels, &odd);
        beliefs.reconsider(&checks, &odd, 60);
        let decided = beliefs.decide(&checks);
        for bit in 0..64 * frame.len() {
            let mut alone = vec![0; frame.len()];
            alone[bit / 64] = 1 << (bit % 64);
            let (mut met, mut met_odd) = (0, 0);
            for (checks, odd) in checks.syndrome(&alone).into_iter().zip(&odd) {
                met += checks.count_ones();
                met_odd += (checks & odd).count_ones();
            }
            if 2 * met_odd != met {
                let flipped = (decided[bit / 64] ^ frame[bit / 64]) >> (bit % 64) & 1 == 1;
                assert_eq!(flipped, 2 * met_odd > met && bit / 64 != known, "{met_odd} of {met}");
            }
        }
    }
}

/// What is loaded is decided, however the words are turned, and a sweep in which nothing is told leaves it.
#[test]
fn beliefs_without_messages_are_the_frame() {
    let mut random = Mix(2);
    for copies in [1, 3, 8] {
        let checks = matrix(20, 4, copies, &mut random);
        let mut tables = tables(4, &mut random);
        tables.magnitude = [0; 256];
        let frame: Vec<u64> = (0..checks.words()).map(|_| random.next()).collect();
        let mut beliefs = Beliefs::new(&checks);
        let (levels, syndrome) = (vec![5; frame.len()], checks.syndrome(&frame));
        beliefs.load(&checks, &frame, &levels, &syndrome);
        assert_eq!(beliefs.decide(&checks), frame);
        assert_eq!(beliefs.sweep(&checks, &tables), 0, "parities hold with {copies} copies");
        assert_eq!(beliefs.decide(&checks), frame);
        let wrong: Vec<u64> = syndrome.iter().map(|word| word ^ 0b101).collect();
        beliefs.load(&checks, &frame, &levels, &wrong);
        assert_eq!(beliefs.sweep(&checks, &tables), 2 * wrong.len() as u64);
    }
}

/// The same bytes on every instruction set of this machine, with tables and beliefs of all values.
#[test]
fn all_ways_of_sweeping_agree() {
    let mut random = Mix(3);
    let mut settled = 0;
    for copies in [1, 2, 3, 8] {
        for _ in 0..4 {
            let checks = matrix(30, 40, copies, &mut random);
            let tables = tables(40, &mut random);
            let frame: Vec<u64> = (0..checks.words()).map(|_| random.next()).collect();
            let levels: Vec<i8> = frame.iter().map(|_| random.below(128) as i8).collect();
            let syndrome: Vec<u64> = (0..checks.syndrome_words()).map(|_| random.next()).collect();
            let mut portable = Beliefs::with(&checks, Sweeper::Compiled(Level::Portable));
            portable.load(&checks, &frame, &levels, &syndrome);
            let mut others: Vec<Beliefs> =
                Sweeper::all().into_iter().map(|way| Beliefs::with(&checks, way)).collect();
            for other in &mut others {
                other.load(&checks, &frame, &levels, &syndrome);
            }
            for sweep in 0..8 {
                let least = [255, 1, 2, 3][sweep / 2];
                portable.settle(&checks, least);
                let odd = portable.sweep(&checks, &tables);
                for other in &mut others {
                    other.settle(&checks, least);
                    assert_eq!(other.sweep(&checks, &tables), odd, "{copies} copies");
                    assert!(portable.beliefs == other.beliefs && portable.messages == other.messages);
                    assert!(portable.due == other.due && portable.settled == other.settled);
                    assert_eq!(portable.marks, other.marks);
                    assert_eq!(portable.decide(&checks), other.decide(&checks));
                }
            }
            settled += portable.settled.iter().filter(|&&settled| settled == 1).count();
        }
    }
    assert!(settled > 0, "some words were left out");
}

/// Words that are settled keep their beliefs, and the parities of the others are what these words leave of the syndrome.
#[test]
fn settled_words_are_left_alone() {
    let mut random = Mix(4);
    for copies in [1, 3, 8] {
        let checks = matrix(20, 4, copies, &mut random);
        let mut tables = tables(4, &mut random);
        let frame: Vec<u64> = (0..checks.words()).map(|_| random.next()).collect();
        let period = copies / streams(copies);
        // Two columns of three are sure, in both halves alike.
        let levels: Vec<i8> = (0..frame.len()).map(|word| if word % 20 % 3 == 0 { 5 } else { 90 }).collect();
        let syndrome = checks.syndrome(&frame);
        let mut beliefs = Beliefs::new(&checks);
        beliefs.load(&checks, &frame, &levels, &syndrome);
        beliefs.settle(&checks, 90);
        assert_eq!(beliefs.settled.iter().map(|&settled| usize::from(settled)).sum::<usize>(), 13 * period);
        let open: Vec<u64> =
            frame.iter().zip(&levels).map(|(&word, &level)| if level == 5 { word } else { 0 }).collect();
        assert_eq!(beliefs.due, checks.syndrome(&open));
        let before = beliefs.beliefs.clone();
        assert_eq!(beliefs.sweep(&checks, &tables), 0, "parities hold");
        let changed = before.iter().zip(&beliefs.beliefs).enumerate().filter(|(_, (a, b))| a != b);
        assert!(changed.clone().all(|(word, _)| levels[word] == 5) && changed.count() > 0);
        // A load starts anew.
        tables.magnitude = [0; 256];
        beliefs.load(&checks, &open, &levels, &syndrome);
        assert_eq!(beliefs.decide(&checks), open);
        assert!(beliefs.sweep(&checks, &tables) > 0);
    }
}
