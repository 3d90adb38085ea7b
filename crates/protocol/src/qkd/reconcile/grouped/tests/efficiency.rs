//! What is disclosed.

use super::*;

/// The mean of what is disclosed over the entropy of the errors that there were, less one, in thousandths.
fn excess(effort: Effort, bits: usize, rate: f64, runs: u64) -> f64 {
    let (mut disclosed, mut limit) = (0.0, 0.0);
    for seed in 0..runs {
        let keys = keys(bits, rate, &mut stream("efficiency", seed));
        let settings = GroupedSettings { effort, frame_length: 0, ..GroupedSettings::new(rate, seed) };
        let outcome = run(&settings, &keys).unwrap();
        disclosed += outcome.disclosed as f64;
        limit += bits as f64 * binary_entropy(outcome.errors as f64 / bits as f64);
    }
    1e3 * (disclosed / limit - 1.0)
}

/// With thorough effort no more than 3 % beyond the Shannon limit, at all error rates from 0.5 to 11 %; the quick effort
/// costs at most one per cent more.
#[test]
fn little_is_disclosed_beyond_the_limit() {
    for rate in [0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.11] {
        let (thorough, quick) =
            (excess(Effort::Thorough, 1 << 20, rate, 1), excess(Effort::Quick, 1 << 18, rate, 3));
        println!("{rate}: {thorough:.1} and {quick:.1} thousandths");
        assert!((10.0..30.5).contains(&thorough), "{rate}: thorough {thorough}");
        assert!((15.0..42.0).contains(&quick), "{rate}: quick {quick}");
    }
}

/// Measures the tables of `efficiency.rs` anew and prints them:
/// `cargo test -p bellwether-protocol measure_the_tables_of_grouped -- --ignored --nocapture`.
#[test]
#[ignore = "prints tables, in a minute or so"]
fn measure_the_tables_of_grouped() {
    use super::super::efficiency::{LENGTHS, RATES};
    for effort in [Effort::Quick, Effort::Thorough] {
        println!("// {effort:?}");
        for bits in LENGTHS {
            let cell = |&rate: &f64| {
                let runs = (6_000_000 / bits as u64).max(8);
                let (mut disclosed, mut limit, mut trips) = (0.0, 0.0, 0.0);
                for seed in 0..runs {
                    let keys = keys(bits, rate, &mut stream("table", seed));
                    let settings =
                        GroupedSettings { effort, frame_length: 0, ..GroupedSettings::new(rate, seed) };
                    let outcome = run(&settings, &keys).unwrap();
                    disclosed += outcome.disclosed as f64;
                    trips += outcome.round_trips as f64;
                    // The mean of h(e / n) is short of h(Q) by 1 / (2 n ln 2), to first order.
                    limit += bits as f64 * binary_entropy(outcome.errors as f64 / bits as f64) + 0.72;
                }
                format!("({:.0}, {:.0})", 1e4 * disclosed / limit, trips / runs as f64)
            };
            println!("[{}], // {bits}", RATES.iter().map(cell).collect::<Vec<_>>().join(", "));
        }
    }
}
