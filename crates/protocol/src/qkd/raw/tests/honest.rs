//! Ends that do as they should.

use super::*;
use crate::qkd::reconcile::Family;
use crate::qkd::security::SecurityParameters;

fn settings(bits: u64, block_bits: u64, claim: SecrecyClaim) -> RawSettings {
    RawSettings { block_bits, seal_after: 3, blocks_in_flight: 4, ..RawSettings::new(bits, claim) }
}

#[test]
fn keys_are_equal_and_all_bits_are_accounted_for() {
    for (seed, (rate, claim, secret)) in [
        (0.0, SecrecyClaim::SinglePhoton, Some(4096)),
        (0.02, SecrecyClaim::SinglePhoton, Some(4096)),
        (0.05, SecrecyClaim::MinEntropy(0.6), None),
        (0.02, SecrecyClaim::MinEntropy(0.5), Some(4096)),
    ]
    .into_iter()
    .enumerate()
    {
        let settings = RawSettings { error_rate: Some(rate), ..settings(1_050_000, 100_000, claim) };
        let mut pair = Pair::new(&settings, rate, secret, seed as u64);
        pair.run_honestly();
        pair.assert_equal_keys();
        for told in [&pair.alice.told, &pair.bob.told] {
            assert_eq!(told.ended, Some(None), "at {rate}");
            assert_eq!(told.alarms, []);
            assert_eq!((told.keys.len(), told.blocks.len(), told.used), (10, 10, 1_050_000));
            assert_eq!(told.wanted.iter().map(|bits| bits.end - bits.start).sum::<u64>(), 1_050_000);
        }
        assert_eq!(pair.bob.told.most_in_flight, 4);
        for (a, b) in pair.alice.told.keys.iter().zip(&pair.bob.told.keys) {
            assert_eq!(a.2.counts, b.2.counts);
            let counts = a.2.counts;
            assert_eq!(counts.key.sifted + counts.sample.sifted, 105_000);
            let seen = counts.key.errors as f64 / counts.key.sifted as f64;
            assert!((seen - rate).abs() < 6.0 * (rate / 1e5).sqrt() + 1e-9, "{seen} for {rate}");
            if rate > 0.0 {
                assert!((1.0..1.2).contains(&a.2.efficiency().unwrap()), "{:?}", a.2.efficiency());
            }
            assert!(
                a.2.epsilons.authentication > 0.0 || secret.is_none() || a.0 != pair.alice.told.keys[0].0
            );
        }
    }
}

/// What was disclosed is what was sent: counted on the wire from the answers, which carry parities besides few bytes.
#[test]
fn the_leak_is_what_is_on_the_wire() {
    let settings = settings(200_000, 200_000, SecrecyClaim::MinEntropy(0.5));
    let settings = RawSettings { error_rate: Some(0.03), ..settings };
    let mut pair = Pair::new(&settings, 0.03, None, 5);
    let (mut bits, mut answers) = (0u64, 0u64);
    pair.connect();
    pair.run(|from, frame| {
        if from == From::Alice && frame[0] == 6 {
            // Kind, block, round and at most seven bits of padding.
            bits += (frame.len() as u64 - 3) * 8;
            answers += 1;
        }
        vec![frame]
    });
    let disclosed = pair.alice.told.keys[0].2.counts.disclosed;
    assert!(disclosed <= bits && bits - disclosed <= answers * 16, "{disclosed} of {bits} in {answers}");
}

#[test]
fn a_lost_connection_gives_back_what_no_block_used() {
    let settings = settings(1_000_000, 20_000, SecrecyClaim::SinglePhoton);
    let mut pair = Pair::new(&settings, 0.02, Some(1 << 14), 8);
    pair.connect();
    let mut frames = 0;
    pair.run(|_, frame| {
        frames += 1;
        if frames < 200 { vec![frame] } else { Vec::new() }
    });
    pair.alice.tell(Input::Command(RawCommand::Lost));
    pair.bob.tell(Input::Command(RawCommand::Lost));
    for told in [&pair.alice.told, &pair.bob.told] {
        assert_eq!((told.ended.as_ref(), &told.alarms[..]), (Some(&None), &[][..]));
        let last = told.wanted.iter().map(|bits| bits.end).max().unwrap();
        assert_eq!(told.used, last);
        assert!((20_000..600_000).contains(&last), "{last}");
    }
    pair.assert_equal_keys();
}

#[test]
fn stopping_keeps_what_is_finished() {
    for at_alice in [true, false] {
        let settings = settings(1_000_000, 50_000, SecrecyClaim::SinglePhoton);
        let mut pair = Pair::new(&settings, 0.02, Some(1 << 14), 7);
        pair.connect();
        let (alice, bob) = (&mut pair.alice, &mut pair.bob);
        // Some way into it.
        for _ in 0..1500 {
            let mut sent = bob.tell(Input::Command(RawCommand::Proceed));
            if let Some(frame) = bob.inbox.pop_front() {
                sent.extend(bob.tell(Input::Frame { from: OtherEnd, bytes: &frame }));
            }
            alice.inbox.extend(sent);
            if let Some(frame) = alice.inbox.pop_front() {
                bob.inbox.extend(alice.tell(Input::Frame { from: OtherEnd, bytes: &frame }));
            }
        }
        if at_alice {
            bob.inbox.extend(alice.tell(Input::Command(RawCommand::Stop)));
        } else {
            alice.inbox.extend(bob.tell(Input::Command(RawCommand::Stop)));
        }
        pair.run(|_, frame| vec![frame]);
        pair.assert_equal_keys();
        let [a, b] = [&pair.alice.told, &pair.bob.told];
        assert_eq!((&a.ended, &b.ended), (&Some(None), &Some(None)), "at alice: {at_alice}");
        assert_eq!(a.keys.len(), b.keys.len());
        assert!((1..20).contains(&a.keys.len()), "{} keys", a.keys.len());
        assert_eq!((a.alarms.len(), b.alarms.len()), (0, 0));
        // Bits of blocks that never began may be used another time.
        assert!(b.used < 1_000_000 && b.used >= b.wanted.last().unwrap().end);
    }
}

#[test]
fn too_many_errors_and_too_few_bits_give_no_key_and_no_alarm() {
    for (rate, bits) in [(0.2, 100_000), (0.02, 1000)] {
        let settings = settings(bits, bits, SecrecyClaim::SinglePhoton);
        let mut pair = Pair::new(&settings, rate, None, 3);
        pair.run_honestly();
        let [a, b] = [&pair.alice.told, &pair.bob.told];
        assert_eq!((&a.ended, &b.ended), (&Some(None), &Some(None)));
        assert_eq!((a.keys.len(), b.keys.len(), a.blocks.len(), b.blocks.len()), (0, 0, 1, 1));
        assert!(matches!(b.blocks[0].discarded, Some(RawDiscard::NoKey(_))), "{:?}", b.blocks);
        assert_eq!((a.alarms.len(), b.alarms.len()), (0, 0));
    }
}

#[test]
fn different_settings_and_secrets_that_run_out_are_told() {
    let here = settings(100_000, 100_000, SecrecyClaim::SinglePhoton);
    let there =
        RawSettings { security: SecurityParameters { secrecy: 1e-9, ..here.security }, ..here.clone() };
    let mut pair = Pair::new(&here, 0.01, None, 1);
    pair.bob.machine = CorrectingEnd::new(there, None).unwrap();
    pair.run_honestly();
    let told = format!("{:?}", pair.alice.told.ended);
    assert!(told.contains("secrecy") && told.contains("Differ"), "{told}");

    let many = RawSettings { seal_after: 1, ..settings(300_000, 30_000, SecrecyClaim::MinEntropy(0.9)) };
    let many = RawSettings { error_rate: Some(0.01), ..many };
    // Two hash keys and three pads a direction.
    let mut pair = Pair::new(&many, 0.01, Some(256 * 4), 1);
    pair.run_honestly();
    pair.assert_equal_keys();
    assert!(matches!(pair.bob.told.ended, Some(Some(RawFailure::Exhausted(_)))), "{:?}", pair.bob.told.ended);
    assert!(!pair.alice.told.keys.is_empty());
}

#[test]
fn every_family_works() {
    for family in Family::ALL {
        let settings = settings(150_000, 70_000, SecrecyClaim::SinglePhoton);
        let mut pair = Pair::new(&RawSettings { family: Some(family), ..settings }, 0.03, None, 2);
        pair.run_honestly();
        pair.assert_equal_keys();
        assert_eq!((pair.alice.told.keys.len(), pair.bob.told.keys.len()), (2, 2));
        assert!(pair.bob.told.blocks.iter().all(|block| block.family == Some(family)));
    }
}
