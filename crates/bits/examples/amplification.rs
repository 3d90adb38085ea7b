//! How fast the Toeplitz hash of privacy amplification is on this machine.
//!
//! ```console
//! $ cargo run --release -p bellwether-bits --example amplification
//! ```
//!
//! Each row is the best of a few runs on one thread, in processor time where the system tells it (Linux), so that other
//! work on the machine disturbs little; else by the clock.
#![allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use bellwether_bits::{BitString, toeplitz};
use bellwether_units::{EntityId, Purpose, Stream};
use std::time::Instant;

/// Seconds of processor time that this thread has used.
fn processor_time() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: u64 = text.split(' ').next()?.parse().ok()?;
    Some(nanoseconds as f64 / 1e9)
}

/// Seconds that `work` takes.
fn seconds(work: impl FnOnce()) -> f64 {
    let (before, clock) = (processor_time(), Instant::now());
    work();
    match (before, processor_time()) {
        (Some(before), Some(after)) => after - before,
        _ => clock.elapsed().as_secs_f64(),
    }
}

fn main() {
    let mut stream = Stream::new(1, EntityId(0), Purpose::named("amplification"));
    println!("{:>12} {:>6} {:>10} {:>12}", "input bits", "ratio", "ms", "Gbit/s");
    for input_len in [100_000, 1_000_000, 10_000_000, 100_000_000] {
        let input = BitString::random(input_len, &mut stream);
        for tenths in [1, 3, 5] {
            let output_len = input_len / 10 * tenths;
            let seed = BitString::random(toeplitz::seed_len(input_len, output_len), &mut stream);
            // The processor time is told in steps of some milliseconds: enough hashes for some tens of them.
            let hashes = (30_000_000 / input_len).max(1);
            let best = (0..7)
                .map(|_| {
                    let all = seconds(|| {
                        for _ in 0..hashes {
                            std::hint::black_box(toeplitz::hash(&seed, &input, output_len));
                        }
                    });
                    all / hashes as f64
                })
                .fold(f64::INFINITY, f64::min);
            let ratio = tenths as f64 / 10.0;
            println!(
                "{input_len:>12} {ratio:>6} {:>10.3} {:>12.2}",
                best * 1e3,
                input_len as f64 / best / 1e9
            );
        }
    }
}
