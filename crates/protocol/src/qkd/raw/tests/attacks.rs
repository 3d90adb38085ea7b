//! Carriers and ends that do not do as they should.

use super::*;
use proptest::prelude::*;

fn settings(bits: u64) -> RawSettings {
    RawSettings {
        block_bits: 10_000,
        seal_after: 2,
        blocks_in_flight: 3,
        error_rate: Some(0.02),
        ..RawSettings::new(bits, SecrecyClaim::MinEntropy(0.9))
    }
}

/// A change of the `at`th frame.
#[derive(Clone, Debug)]
struct Change {
    at: usize,
    how: How,
}

#[derive(Clone, Debug)]
enum How {
    Drop,
    Double,
    Cut(prop::sample::Index),
    Flip(prop::sample::Index, u8),
    Forge(Vec<u8>),
    /// Sends again what was sent so long ago.
    Replay(usize),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let how = prop_oneof![
        Just(How::Drop),
        Just(How::Double),
        any::<prop::sample::Index>().prop_map(How::Cut),
        (any::<prop::sample::Index>(), 1u8..).prop_map(|(at, bits)| How::Flip(at, bits)),
        prop::collection::vec(any::<u8>(), 0..60).prop_map(How::Forge),
        (1usize..200).prop_map(How::Replay),
    ];
    prop::collection::vec((0usize..900, how).prop_map(|(at, how)| Change { at, how }), 1..4)
}

fn attacked(pair: &mut Pair, changes: &[Change]) {
    let (mut count, mut sent) = (0, Vec::<(From, Vec<u8>)>::new());
    pair.connect();
    pair.run(|from, frame| {
        count += 1;
        sent.push((from, frame.clone()));
        let mut frames = vec![frame];
        for change in changes.iter().filter(|change| change.at == count) {
            match &change.how {
                How::Drop => frames.clear(),
                How::Double => frames.extend(frames.clone()),
                How::Cut(at) => frames.iter_mut().for_each(|frame| frame.truncate(at.index(frame.len()))),
                How::Flip(at, bits) => frames.iter_mut().for_each(|frame| {
                    let at = at.index(frame.len());
                    frame[at] ^= bits;
                }),
                How::Forge(bytes) => frames.push(bytes.clone()),
                How::Replay(back) => {
                    let old = sent.iter().rev().filter(|(by, _)| *by == from).nth(*back);
                    frames.extend(old.map(|(_, frame)| frame.clone()));
                }
            }
        }
        frames
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// With tags, whoever changes what is said may prevent keys, and never makes them differ: what both told is equal, and
    /// an end that told a key the other lacks is only ever one seal ahead.
    #[test]
    fn no_attack_makes_keys_differ(changes in changes(), seed in 0u64..1000) {
        let mut pair = Pair::new(&settings(60_000), 0.02, Some(1 << 14), seed);
        attacked(&mut pair, &changes);
        pair.assert_equal_keys();
        let [a, b] = [pair.alice.told.keys.len(), pair.bob.told.keys.len()];
        prop_assert!(b <= a, "the reference end told {a} keys, the other {b}: the reference end tells first");
    }

    /// Without tags nothing is promised but that nothing breaks.
    #[test]
    fn without_tags_nothing_panics(changes in changes(), seed in 0u64..1000) {
        let mut pair = Pair::new(&settings(60_000), 0.02, None, seed);
        attacked(&mut pair, &changes);
        prop_assert!(pair.alice.told.keys.len() <= 6 && pair.bob.told.keys.len() <= 6);
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        if let Ok((message, covered, _)) = Message::decode(&bytes) {
            prop_assert_eq!(&message.encode()[..], covered);
        }
    }
}

#[test]
fn wrong_parities_cost_their_block_alone_and_raise_the_alarm() {
    let mut pair = Pair::new(&settings(100_000), 0.02, None, 3);
    pair.connect();
    let mut spoilt = 0;
    pair.run(|from, mut frame| {
        // Answers about block 2: every fifth tells the opposite of what is so.
        if from == From::Alice && frame[0] == 6 && frame[1] == 2 && frame.len() > 4 {
            spoilt += 1;
            if spoilt % 5 == 0 {
                let last = frame.len() - 2;
                frame[last] ^= 0xff;
            }
        }
        vec![frame]
    });
    pair.assert_equal_keys();
    for told in [&pair.alice.told, &pair.bob.told] {
        assert_eq!(told.ended, Some(None));
        assert_eq!(told.keys.len(), 9, "{:?}", told.blocks);
        assert!(told.keys.iter().all(|(block, ..)| block.0 != 2));
    }
    assert!(!pair.bob.told.alarms.is_empty(), "the end that was lied to says so");
}

#[test]
fn a_seed_of_the_wrong_length_costs_its_block_alone() {
    let mut pair = Pair::new(&settings(100_000), 0.02, None, 3);
    pair.connect();
    pair.run(|from, frame| {
        if from == From::Alice && frame[0] == 8 && frame[1] == 4 {
            let honest = Message::decode(&frame).map(|(message, ..)| message.encode());
            let mut forged = honest.unwrap();
            // Another key for verification: the tag no longer fits.
            forged[5] ^= 1;
            return vec![forged];
        }
        vec![frame]
    });
    let [a, b] = [&pair.alice.told, &pair.bob.told];
    assert_eq!((a.keys.len(), b.keys.len()), (9, 9));
    assert!(matches!(
        &b.alarms[..],
        [RawAlarm::Block { block: BlockId(4), reason: RawDiscard::Verification }]
    ));
    assert!(matches!(
        &a.alarms[..],
        [RawAlarm::Block { block: BlockId(4), reason: RawDiscard::Verification }]
    ));
}

#[test]
fn endless_questions_end_at_the_cap() {
    let settings = RawSettings { error_rate: Some(0.0), ..settings(20_000) };
    // Half of the bits are wrong: the questions would never end.
    let mut pair = Pair::new(&settings, 0.5, None, 3);
    pair.run_honestly();
    for told in [&pair.alice.told, &pair.bob.told] {
        assert_eq!((told.keys.len(), &told.ended), (0, &Some(None)));
    }
    assert!(matches!(pair.bob.told.blocks[0].discarded, Some(RawDiscard::Reconciliation(_))));
    assert!(!pair.bob.told.alarms.is_empty());
}

/// A key is as good as what its end heard. Whoever mends the sample on its way hides errors of her own making: the end that
/// was told may have no key that rests on it, and what the reference end has not found authentic gives the other none either.
#[test]
fn an_end_that_heard_a_forged_word_has_no_key() {
    for by in [From::Alice, From::Bob] {
        let mut pair = Pair::new(&settings(60_000), 0.02, Some(1 << 14), 3);
        pair.connect();
        let mut forged = false;
        pair.run(|from, mut frame| {
            // The sample, and the count of its wrong bits.
            if !forged && from == by && matches!(frame[0], 2 | 3) {
                *frame.last_mut().unwrap() ^= 1;
                forged = true;
            }
            vec![frame]
        });
        assert!(forged && pair.bob.told.keys.is_empty(), "{by:?}");
        assert!(by == From::Alice || pair.alice.told.keys.is_empty());
    }
}

#[test]
fn a_second_ping_is_refused() {
    let mut pair = Pair::new(&settings(60_000), 0.02, None, 4);
    pair.connect();
    pair.run(
        |from, frame| {
            if from == From::Bob && frame[0] == 14 { vec![frame.clone(), frame] } else { vec![frame] }
        },
    );
    assert!(matches!(pair.alice.told.ended, Some(Some(RawFailure::Misbehaved(_)))));
}
