//! Hashing: tags and privacy amplification.

use super::{Figure, median, timed};
use crate::args::Bench;
use bellwether_bits::gf128::PolynomialHasher;
use bellwether_bits::{BitString, toeplitz};
use bellwether_units::{EntityId, Purpose, Stream};
use std::hint::black_box;

pub(super) fn measure(args: &Bench, figures: &mut Vec<Figure>) {
    let mut stream = Stream::new(1, EntityId(0), Purpose::named("bench"));
    let message = BitString::random(8 << 20, &mut stream).to_bytes();
    let times = (0..if args.quick { 20 } else { 200 }).map(|_| {
        let tag = || {
            let mut hasher = PolynomialHasher::new(black_box(0x0123_4567_89ab_cdef));
            hasher.update(black_box(&message));
            hasher.finish()
        };
        timed(|| black_box(tag())).0
    });
    figures.push(Figure {
        what: "tag",
        on: "1 MiB".to_owned(),
        value: message.len() as f64 / median(times.collect()) / 1e9,
        unit: "GB/s",
        by: "one thread".to_owned(),
    });
    let bits: usize = if args.quick { 10_000_000 } else { 100_000_000 };
    let input = BitString::random(bits, &mut stream);
    for tenths in [1, 3, 5] {
        let output = bits * tenths / 10;
        let seed = BitString::random(toeplitz::seed_len(bits, output), &mut stream);
        for threads in [1, usize::from(args.threads)].into_iter().take(1 + usize::from(args.threads > 1)) {
            let times = (0..3)
                .map(|_| timed(|| black_box(toeplitz::hash_on_threads(&seed, &input, output, threads))).0);
            figures.push(Figure {
                what: "privacy amplification",
                on: format!("{bits} bits to {output}"),
                value: bits as f64 / median(times.collect()) / 1e6,
                unit: "Mbit/s of input",
                by: match threads {
                    1 => "one thread".to_owned(),
                    more => format!("{more} threads"),
                },
            });
        }
    }
}
