//! Carriers and ends that do not do as they should.

use super::super::message::{Kind, Told};
use super::*;
use crate::qkd::raw::{CorrectingEnd, RawEvent, RawSettings, SecrecyClaim};
use proptest::prelude::*;

/// A record that is quick to sift.
fn small() -> PairSource {
    PairSource { pair_rate: 2e6, seconds: 0.02, background: [1e3, 1e3], ..near() }
}

fn small_settings() -> TagSettings {
    TagSettings { search: clock::Search { offset: 1e9, drift: 5e-6 }, ..TagSettings::default() }
}

fn small_pair(seed: u64) -> Pair {
    Pair::of(small_settings(), &PairSource { offset: 0.0, ..small() }, seed)
}

#[derive(Clone, Debug)]
enum How {
    Drop,
    Double,
    Cut(prop::sample::Index),
    Flip(prop::sample::Index, u8),
    Forge(Vec<u8>),
    Replay(usize),
}

fn changes() -> impl Strategy<Value = Vec<(usize, How)>> {
    let how = prop_oneof![
        Just(How::Drop),
        Just(How::Double),
        any::<prop::sample::Index>().prop_map(How::Cut),
        (any::<prop::sample::Index>(), 1u8..).prop_map(|(at, bits)| How::Flip(at, bits)),
        (64u8..76, prop::collection::vec(any::<u8>(), 0..60))
            .prop_map(|(kind, bytes)| How::Forge([&[kind], &bytes[..]].concat())),
        (1usize..20).prop_map(How::Replay),
    ];
    prop::collection::vec((0usize..14, how), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// Nothing breaks, whatever arrives.
    #[test]
    fn nothing_panics(changes in changes(), seed in 0u64..1000) {
        let mut pair = small_pair(seed);
        let (mut count, mut sent) = (0, Vec::<(From, Vec<u8>)>::new());
        pair.run(|from, frame| {
            count += 1;
            sent.push((from, frame.clone()));
            let mut frames = vec![frame];
            for (_, how) in changes.iter().filter(|(at, _)| *at == count) {
                match how {
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
        // Who is between may take bits away, which the ends find out when they go on; none can be added.
        for sifted in [&pair.alice.result, &pair.bob.result].into_iter().flatten().flatten() {
            prop_assert!(sifted.key.len() <= pair.bob.record.len() as u64);
        }
    }
}

fn forged(kind: Kind) -> Vec<u8> {
    TagMessage(kind).encode()
}

/// What Alice says to frames of Bob's, the `at`th of one kind being another.
fn told_by_bob(kind: u8, mut forge: impl FnMut(Kind) -> Kind) -> TagFailure {
    let mut pair = small_pair(3);
    pair.run(|from, frame| {
        if from == From::Bob && frame[0] == kind {
            let TagMessage(kind) = TagMessage::decode(&frame).unwrap();
            return vec![forged(forge(kind))];
        }
        vec![frame]
    });
    pair.alice.failure().clone()
}

#[test]
fn times_that_no_record_has_are_refused() {
    let misbehaved = |failure: TagFailure, what: &str| {
        let told = failure.to_string();
        assert!(told.contains(what), "{told}");
    };
    // All at the same time: an honest end's events are at least so far apart as they are not one.
    let failure = told_by_bob(67, |kind| match kind {
        Kind::Events { first, mut events } => {
            events.iter_mut().for_each(|event| event.time = 5_000_000_000);
            Kind::Events { first, events }
        }
        other => other,
    });
    misbehaved(failure, "times that no record has");
    let failure = told_by_bob(67, |kind| match kind {
        Kind::Events { first, events } => Kind::Events { first: first + 1, events },
        other => other,
    });
    misbehaved(failure, "events out of turn");
    let failure = told_by_bob(70, |_| Kind::End(EndCounts::default()));
    misbehaved(failure, "an end that does not fit");
}

/// Events that come far later than this end's record: it is read to its end, and that is it.
#[test]
fn events_of_another_age_end_it() {
    let failure = told_by_bob(67, |kind| match kind {
        Kind::Events { first, mut events } => {
            let far = events.len() / 2;
            events[far..].iter_mut().for_each(|event| event.time += 1_000_000_000_000_000);
            Kind::Events { first, events }
        }
        other => other,
    });
    assert!(matches!(failure, TagFailure::Clocks(_)), "{failure}");
}

/// An end that never ends is stopped where this end's record does, and may not run ahead of what it is allowed.
#[test]
fn an_endless_end_is_bounded() {
    // Long enough that the clocks are related before its end.
    let mut pair = Pair::of(small_settings(), &PairSource { offset: 0.0, seconds: 0.6, ..small() }, 3);
    let (mut allowed, mut enough, mut told) = (0, false, 0);
    pair.run(|from, frame| {
        let message = TagMessage::decode(&frame).unwrap().0;
        match (from, message) {
            (From::Alice, Kind::GoOn { before }) => allowed = before,
            (From::Alice, Kind::Enough) => enough = true,
            (From::Bob, Kind::Events { first, events }) => told = first + events.len() as u64,
            // The record has no end, at least none that is told.
            (From::Bob, Kind::End(_)) if !enough => {
                let mut time = 1 << 50;
                let mut more = Vec::new();
                while told < allowed {
                    let count = (allowed - told).min(1 << 14);
                    let events = (0..count).map(|at| Told { time: time + 2 * at, basis: Basis::Z }).collect();
                    more.push(forged(Kind::Events { first: told, events }));
                    time += 2 * count;
                    told += count;
                }
                return more;
            }
            _ => {}
        }
        vec![frame]
    });
    // Alice read her record to its end; nothing partners with what was made up, and she asked for an end.
    assert!(enough && allowed <= MOST_AHEAD as u64 && pair.alice.result.is_none());
    assert_eq!(pair.alice.read, pair.alice.record.len());

    let mut pair = small_pair(3);
    pair.run(|from, frame| match TagMessage::decode(&frame) {
        Ok(TagMessage(Kind::Events { events, .. })) if from == From::Bob => {
            vec![forged(Kind::Events { first: (1 << 16) - 5, events })]
        }
        _ => vec![frame],
    });
    let told = pair.alice.failure().to_string();
    assert!(told.contains("more events than it may tell"), "{told}");
}

#[test]
fn answers_that_answer_nothing_are_refused() {
    let lie = |forge: &dyn Fn(Kind) -> Kind| {
        let mut pair = small_pair(3);
        pair.run(|from, frame| match TagMessage::decode(&frame) {
            Ok(TagMessage(kind)) if from == From::Alice && !matches!(kind, Kind::Hello(_)) => {
                vec![forged(forge(kind))]
            }
            _ => vec![frame],
        });
        pair.bob.failure().to_string()
    };
    let told = lie(&|kind| match kind {
        Kind::Matched { first, events, sifted } => Kind::Matched { first: first + 1, events, sifted },
        other => other,
    });
    assert!(told.contains("events that were not told"), "{told}");
    let told = lie(&|kind| match kind {
        Kind::GoOn { .. } => Kind::GoOn { before: u64::MAX },
        other => other,
    });
    assert!(told.contains("more at once than it may"), "{told}");
    let told = lie(&|kind| match kind {
        Kind::Done(mut account) => {
            account.sifted[0] += 1;
            Kind::Done(account)
        }
        other => other,
    });
    assert!(told.contains("other sifted bits than it told"), "{told}");
    let told = lie(&|kind| match kind {
        Kind::GoOn { .. } => Kind::Done(Box::default()),
        other => other,
    });
    assert!(told.contains("done before the end"), "{told}");
    let told = lie(&|kind| match kind {
        Kind::GoOn { .. } => Kind::End(EndCounts::default()),
        other => other,
    });
    assert!(told.contains("only the telling end sends"), "{told}");
}

#[test]
fn an_end_with_a_raw_key_is_told_apart() {
    let mut pair = small_pair(3);
    pair.alice.tell(Input::Command(TagCommand::Connect));
    pair.alice.tell(Input::Frame { from: OtherEnd, bytes: &[1, 1, 9] });
    assert!(pair.alice.failure().to_string().contains("it has a raw key"));

    let settings = RawSettings::new(1000, SecrecyClaim::SinglePhoton);
    let mut raw = CorrectingEnd::new(settings, None).unwrap();
    let (mut random, mut out) = (Stream::new(1, EntityId(0), Purpose::named("raw")), Vec::new());
    let hello =
        Pair::of(small_settings(), &small(), 1).alice.tell(Input::Command(TagCommand::Connect)).remove(0);
    raw.handle(Time::ZERO, &mut random, Input::Frame { from: OtherEnd, bytes: &hello }, &mut out);
    let told = out.iter().find_map(|output| match output {
        Output::Event(RawEvent::Ended { failure: Some(failure) }) => Some(failure.to_string()),
        _ => None,
    });
    assert!(told.unwrap().contains("it has a record of time tags"));
}
