//! Both ends agree in the end.

use super::*;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// At any length, in frames of any length, and with a wrong idea of the error rate.
    #[test]
    fn keys_agree_whatever_the_lengths(
        bits in 0usize..20_000,
        frame_length in 0usize..8000,
        rate in 0.0f64..0.12,
        wrong_by in 0.6f64..1.6,
        thorough: bool,
        seed in 0u64..1000,
    ) {
        let keys = keys(bits, rate, &mut stream("agreement", seed));
        let settings = GroupedSettings {
            effort: if thorough { Effort::Thorough } else { Effort::Quick },
            frame_length,
            ..GroupedSettings::new((rate * wrong_by).clamp(0.001, 0.5), seed)
        };
        match run(&settings, &keys) {
            // Ten random halves let errors through once in a thousand frames; what does is caught by a hash.
            Ok(outcome) => prop_assert!(outcome.equal || outcome.errors > 0),
            Err(error) => prop_assert!(matches!(error, ReconcileError::TooManyErrors { .. }), "{}", error),
        }
    }
}

/// Of ten thousand blocks of 4096 bits, hardly any ends with errors left, and those that do would be discarded.
#[test]
fn ten_thousand_blocks_agree() {
    let mut wrong = 0;
    for seed in 0..10_000u64 {
        let rate = [0.0, 0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.11][seed as usize % 9];
        let keys = keys(4096, rate, &mut stream("blocks", seed));
        let effort = if seed % 2 == 0 { Effort::Quick } else { Effort::Thorough };
        let settings = GroupedSettings { effort, ..GroupedSettings::new(rate, seed) };
        match run(&settings, &keys) {
            Ok(outcome) => wrong += usize::from(!outcome.equal),
            Err(error) => panic!("block {seed} at {rate}: {error}"),
        }
    }
    println!("{wrong} of 10000 blocks kept errors");
    assert!(wrong <= 20, "{wrong} blocks kept errors");
}

#[test]
fn equal_keys_cost_the_parities_of_the_openings_alone() {
    let keys = keys(100_000, 0.0, &mut stream("equal", 1));
    let outcome = run(&GroupedSettings::new(0.02, 1), &keys).unwrap();
    assert!(outcome.equal && outcome.errors == 0);
    // 1563 blocks of 64, as many again in the second pass at most, and 15 in the end.
    assert!((1563..3200).contains(&outcome.disclosed), "{}", outcome.disclosed);
}

#[test]
fn far_too_many_errors_are_given_up() {
    let keys = keys(50_000, 0.2, &mut stream("many", 1));
    let result = run(&GroupedSettings::new(0.01, 1), &keys).map(|outcome| outcome.equal);
    assert!(matches!(result, Err(ReconcileError::TooManyErrors { .. })), "{result:?}");
}
