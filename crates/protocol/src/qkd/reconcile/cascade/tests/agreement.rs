//! Both ends come out equal, whatever the block, the error rate and the estimate.

use super::*;

fn whole(variant: CascadeVariant, error_rate: f64, seed: u64) -> CascadeSettings {
    CascadeSettings { frame_length: 0, ..CascadeSettings::new(variant, error_rate, seed) }
}

/// 10^4 blocks of 2 to 10 kbit at 0 to 8 %. A few come out unequal, which a hash must tell; the fewer the passes,
/// the more.
#[test]
fn ten_thousand_short_blocks() {
    let mut stream = stream("short blocks", 1);
    let mut wrong = [0; 4];
    for block in 0..10_000 {
        let bits = 2000 + stream.below(8001) as usize;
        let rate = 0.08 * stream.uniform();
        let index = block as usize % 4;
        let keys = keys(bits, rate, &mut stream);
        let settings = whole(CascadeVariant::ALL[index], rate, block);
        let outcome = run(&settings, Pace::default(), &keys).unwrap();
        wrong[index] += u32::from(!outcome.equal);
    }
    for (variant, (wrong, most)) in CascadeVariant::ALL.iter().zip(wrong.iter().zip([12, 30, 3, 3])) {
        assert!(*wrong <= most, "{variant:?}: {wrong} of 2500 blocks differ");
    }
}

#[test]
fn long_blocks_in_many_frames() {
    let mut stream = stream("long blocks", 1);
    for (seed, (bits, rate)) in
        [(100_000, 0.0), (150_001, 0.03), (300_000, 0.08), (700_007, 0.01), (1_000_000, 0.02)]
            .into_iter()
            .enumerate()
    {
        let keys = keys(bits, rate, &mut stream);
        for variant in [CascadeVariant::Option7, CascadeVariant::Option8] {
            let settings = CascadeSettings::new(variant, rate, seed as u64);
            assert!(run(&settings, Pace::default(), &keys).unwrap().equal, "{variant:?}, {bits} bits");
        }
    }
}

#[test]
fn blocks_of_every_small_length() {
    let mut stream = stream("small", 1);
    for bits in 0..300 {
        for variant in CascadeVariant::ALL {
            for rate in [0.0_f64, 0.05, 0.5] {
                let keys = keys(bits, rate.min(0.1), &mut stream);
                let settings = CascadeSettings { frame_length: 64, ..whole(variant, rate, bits as u64) };
                match run(&settings, Pace::default(), &keys) {
                    Ok(outcome) if rate == 0.0 => assert!(outcome.equal),
                    Ok(_) | Err(ReconcileError::TooManyErrors { .. }) => {}
                    Err(error) => panic!("{bits} bits, {variant:?}, {rate}: {error}"),
                }
            }
        }
    }
}

#[test]
fn equal_keys_cost_next_to_nothing() {
    let keys = keys(1_000_000, 0.0, &mut stream("equal", 1));
    for variant in CascadeVariant::ALL {
        let outcome = run(&whole(variant, 0.0, 1), Pace::default(), &keys).unwrap();
        assert!(
            outcome.equal && outcome.disclosed < 1300 && outcome.round_trips <= 4,
            "{}",
            outcome.disclosed
        );
    }
}

/// The estimate may be wrong by a factor of 2 either way, up to 11 %.
#[test]
fn a_wrong_estimate_costs_efficiency_alone() {
    let mut stream = stream("wrong estimate", 1);
    for rate in [0.002, 0.01, 0.03, 0.055, 0.11] {
        let keys = keys(200_000, rate, &mut stream);
        let limit = 200_000.0 * binary_entropy(rate);
        for factor in [0.5, 2.0] {
            for variant in [CascadeVariant::Option7, CascadeVariant::Option8] {
                for pace in [Pace::Thrifty, Pace::Prompt] {
                    let outcome = run(&CascadeSettings::new(variant, factor * rate, 3), pace, &keys).unwrap();
                    let f = outcome.disclosed as f64 / limit;
                    assert!(outcome.equal && f < 1.35, "{variant:?} {rate} estimated {factor} times: {f}");
                }
            }
        }
    }
}

#[test]
fn unrelated_keys_are_given_up() {
    let mut stream = stream("unrelated", 1);
    for bits in [5000, 200_000] {
        let keys = keys(bits, 0.5, &mut stream);
        for variant in CascadeVariant::ALL {
            for error_rate in [0.01, 0.02, 0.08] {
                let outcome = run(&whole(variant, error_rate, 1), Pace::default(), &keys);
                assert!(
                    matches!(outcome, Err(ReconcileError::TooManyErrors { .. })),
                    "{variant:?} {error_rate}"
                );
            }
            // Where next to no errors are expected, blocks are so long that most errors may stay hidden.
            let outcome = run(&whole(variant, 0.0, 1), Pace::default(), &keys);
            assert!(outcome.is_err() || outcome.is_ok_and(|outcome| !outcome.equal), "{variant:?}");
        }
    }
}

/// Errors in bursts, which a real link makes when its alignment slips.
#[test]
fn bursts_are_found() {
    let mut stream = stream("bursts", 1);
    let reference = BitString::random(200_000, &mut stream);
    let mut noisy = reference.clone();
    for burst in 0..40 {
        let start = burst * 5000 + stream.below(4000) as usize;
        for bit in start..start + 200 {
            if stream.chance(0.5) {
                noisy.flip(bit);
            }
        }
    }
    let outcome =
        run(&CascadeSettings::new(CascadeVariant::Option7, 0.02, 1), Pace::default(), &(reference, noisy));
    assert!(outcome.unwrap().equal);
}

/// The same keys and settings give the same messages, and another seed gives others.
#[test]
fn a_run_is_determined_by_its_settings() {
    let (reference, noisy) = keys(50_000, 0.02, &mut stream("determined", 1));
    let transcript = |seed| {
        let settings = CascadeSettings::new(CascadeVariant::Option8, 0.02, seed);
        let mut server = ParityServer::new(&settings, SecretBits::new(reference.clone())).unwrap();
        let mut corrector = Corrector::new(&settings, SecretBits::new(noisy.clone())).unwrap();
        let mut transcript = Vec::new();
        let mut step = corrector.start();
        while let Step::Ask(request) = step {
            let reply = server.answer(&request).unwrap();
            step = corrector.reply(&reply).unwrap();
            transcript.push((request, reply));
        }
        transcript
    };
    assert_eq!(transcript(1), transcript(1));
    assert_ne!(transcript(1), transcript(2));
}
