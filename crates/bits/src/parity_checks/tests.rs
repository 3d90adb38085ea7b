use super::*;
use crate::arch::Sweeper;

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
        beliefs.load(&checks, &frame, &vec![5; frame.len()]);
        assert_eq!(beliefs.decide(&checks), frame);
        let syndrome = checks.syndrome(&frame);
        assert_eq!(beliefs.sweep(&checks, &syndrome, &tables), 0, "parities hold with {copies} copies");
        assert_eq!(beliefs.decide(&checks), frame);
        let wrong: Vec<u64> = syndrome.iter().map(|word| word ^ 0b101).collect();
        assert_eq!(beliefs.sweep(&checks, &wrong, &tables), 2 * wrong.len() as u64);
    }
}

/// The same bytes on every instruction set of this machine, with tables and beliefs of all values.
#[test]
fn all_ways_of_sweeping_agree() {
    let mut random = Mix(3);
    for copies in [1, 2, 3, 8] {
        for _ in 0..4 {
            let checks = matrix(30, 40, copies, &mut random);
            let tables = tables(40, &mut random);
            let frame: Vec<u64> = (0..checks.words()).map(|_| random.next()).collect();
            let levels: Vec<i8> = frame.iter().map(|_| random.below(128) as i8).collect();
            let syndrome: Vec<u64> = (0..checks.syndrome_words()).map(|_| random.next()).collect();
            let mut portable = Beliefs::with(&checks, Sweeper::Portable);
            let mut best = Beliefs::with(&checks, Sweeper::best());
            portable.load(&checks, &frame, &levels);
            best.load(&checks, &frame, &levels);
            for _ in 0..6 {
                let odd = portable.sweep(&checks, &syndrome, &tables);
                assert_eq!(odd, best.sweep(&checks, &syndrome, &tables), "{copies} copies");
                assert!(portable.beliefs == best.beliefs && portable.messages == best.messages);
                assert_eq!(portable.marks, best.marks);
                assert_eq!(portable.decide(&checks), best.decide(&checks));
            }
        }
    }
}
