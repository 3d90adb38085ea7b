//! Ends that do as they should.

use super::*;
use crate::qkd::raw::{
    CorrectingEnd, RawCommand, RawEvent, RawJob, RawJobResult, RawRecord, RawSettings, ReferenceEnd,
    SecrecyClaim,
};
use crate::qkd::tags::clock::{ClockError, Search};
use bellwether_bits::SecretBits;

/// `seen` of a count that chance makes `expected` on the average: five standard deviations.
fn assert_about(seen: u64, expected: f64, what: &str) {
    let off = (seen as f64 - expected).abs();
    assert!(off < 5.0 * expected.max(10.0).sqrt(), "{what}: {seen}, and {expected:.1} expected");
}

#[test]
fn both_ends_find_the_bits_they_share_and_count_them() {
    let source = PairSource { pair_rate: 1e6, seconds: 3.0, background: [1e4, 1e4], ..near() };
    let mut pair = Pair::of(quick(), &source, 11);
    pair.run_honestly();
    let (errors, bits) = pair.errors();
    let account = pair.alice.sifted().account;
    assert_eq!(account, pair.bob.sifted().account);

    // The window is six standard deviations: nearly all pairs, half of them in equal bases.
    let pairs = 1e6 * 3.0 * 0.1 * 0.1;
    let rates = [1e5 + 1e4, 1e5 + 1e4];
    let window = account.relation.window as f64;
    let chance = rates[0] * rates[1] * window * 1e-12 * 3.0;
    assert_about(account.coincidences, pairs * 0.9973 + chance, "coincidences");
    assert_about(account.displaced, 2.0 * chance, "coincidences by chance");
    assert_about(bits, (pairs * 0.9973 + chance) / 2.0, "sifted bits");
    assert_about(errors, 0.02 * pairs / 2.0 + chance / 4.0, "errors");
    assert_eq!(account.sifted.iter().sum::<u64>(), bits);
    assert_about(account.sifted[0], bits as f64 / 2.0, "sifted bits of Z");
    assert_eq!(account.unfollowed, 0);
    assert_about(account.telling.clicks, rates[1] * 3.0, "clicks");

    // Rounding to 1 ns and the jitter of both ends.
    let jitter = (1000.0f64.powi(2) / 12.0 + 2.0 * 150.0f64.powi(2)).sqrt();
    assert!((account.relation.jitter / jitter - 1.0).abs() < 0.15, "{:?}", account.relation);
    assert!((account.relation.drift - source.drift).abs() < 1e-9, "{:?}", account.relation);
    let first = pair.bob.record[0].time;
    let offset = source.reference_of(first as f64) - first as f64;
    assert!((account.relation.offset as f64 - offset).abs() < 500.0, "{:?}, {offset}", account.relation);
}

/// What an end of raw keys did with what was sifted.
struct Distilling<M> {
    machine: M,
    sifted: super::super::SiftedKey,
    random: Stream,
    inbox: VecDeque<Vec<u8>>,
    keys: Vec<SecretBits>,
}

impl<M> Distilling<M>
where
    M: Protocol<
            Peer = OtherEnd,
            Command = RawCommand,
            Event = RawEvent,
            Record = RawRecord,
            Job = RawJob,
            JobResult = RawJobResult,
        >,
{
    fn tell(&mut self, input: Input<'_, OtherEnd, RawCommand, RawJobResult>) -> Vec<Vec<u8>> {
        let (mut sent, mut out) = (Vec::new(), Vec::new());
        self.machine.handle(Time::ZERO, &mut self.random, input, &mut out);
        let mut effects = VecDeque::from(out);
        while let Some(effect) = effects.pop_front() {
            let mut more = Vec::new();
            let mut then = |input| self.machine.handle(Time::ZERO, &mut self.random, input, &mut more);
            match effect {
                Output::Send { bytes, .. } => sent.push(bytes),
                Output::Persist(number, _) => then(Input::Persisted(number)),
                Output::Compute(job) => then(Input::Computed(job.run())),
                Output::Event(RawEvent::Wanted { block, bits }) => {
                    let bits = self.sifted.bits(bits);
                    then(Input::Command(RawCommand::Bits { block, bits }));
                }
                Output::Event(RawEvent::Key { key, .. }) => self.keys.push(key),
                Output::Event(_) => {}
            }
            effects.extend(more);
        }
        sent
    }
}

/// Carries on with raw keys where sifting ended: the keys of both ends. `forge` may change what Bob says while sifting.
fn distilled(source: &PairSource, mut forge: impl FnMut(Vec<u8>) -> Vec<u8>) -> [Vec<SecretBits>; 2] {
    let mut pair = Pair::of(quick(), source, 12);
    pair.run(|from, frame| vec![if from == From::Bob { forge(frame) } else { frame }]);
    let Pair { alice, bob } = pair;
    let (Some(Ok(a)), Some(Ok(b))) = (alice.result, bob.result) else { panic!("not sifted") };
    let settings =
        RawSettings { block_bits: 20_000, ..RawSettings::new(a.key.len(), SecrecyClaim::SinglePhoton) };
    let machine = ReferenceEnd::after(settings.clone(), a.seals).unwrap();
    let (inbox, keys) = (VecDeque::new(), Vec::new());
    let mut alice = Distilling { machine, sifted: a.key, random: alice.random, inbox, keys };
    let machine = CorrectingEnd::after(settings, b.seals).unwrap();
    let (inbox, keys) = (VecDeque::new(), Vec::new());
    let mut bob = Distilling { machine, sifted: b.key, random: bob.random, inbox, keys };
    bob.inbox.extend(alice.tell(Input::Command(RawCommand::Connect)));
    alice.inbox.extend(bob.tell(Input::Command(RawCommand::Connect)));
    loop {
        let mut sent = bob.tell(Input::Command(RawCommand::Proceed));
        let frame = bob.inbox.pop_front();
        sent.extend(frame.iter().flat_map(|bytes| bob.tell(Input::Frame { from: OtherEnd, bytes })));
        let moved = !sent.is_empty() || frame.is_some();
        alice.inbox.extend(sent);
        let frame = alice.inbox.pop_front();
        let sent: Vec<Vec<u8>> =
            frame.iter().flat_map(|bytes| alice.tell(Input::Frame { from: OtherEnd, bytes })).collect();
        if !moved && frame.is_none() && sent.is_empty() {
            return [alice.keys, bob.keys];
        }
        bob.inbox.extend(sent);
    }
}

#[test]
fn sifted_bits_become_equal_keys_and_the_tags_cover_the_sifting() {
    let source = PairSource { pair_rate: 3e6, ..near() };
    let [a, b] = distilled(&source, |frame| frame);
    assert!(!a.is_empty() && a == b, "{} and {} keys", a.len(), b.len());

    // Somebody between moves one event by a nanosecond, which hardly changes anything, and the tags show it.
    let mut count = 0;
    let [a, b] = distilled(&source, |mut frame| {
        count += u32::from(frame[0] == 67);
        if frame[0] == 67 && count == 3 {
            let last = frame.len() - 1;
            frame[last] ^= 2;
        }
        frame
    });
    // Bob, who was told the truth, confirms; Alice does not believe his tag.
    assert!(count > 3 && a.is_empty(), "{} and {} keys", a.len(), b.len());
}

/// The clocks begin anywhere: counted from when each was switched on, from a common pulse, or as the user says.
#[test]
fn clocks_that_begin_elsewhere_are_related() {
    let source = near();
    let mut emulated = source.run(3);
    let (alice, bob) = (emulated.reference.clone(), emulated.other.clone());
    // Switched on hours apart, recorded at the same time.
    emulated.reference.iter_mut().for_each(|tag| tag.time += 5_000_000_000_000_000);
    let mut pair = Pair::new(quick(), emulated.reference.clone(), bob.clone());
    pair.run_honestly();
    let (_, bits) = pair.errors();
    assert!(bits > 1000, "{bits}");
    let offset = pair.alice.sifted().account.relation.offset;
    assert!((offset - 5_000_010_000_000_000).abs() < 1_000_000_000, "{offset}");

    // Clocks that agree, and a record that begins half a second later; at either end.
    let later = |tags: &[Tag]| tags[tags.len() / 2..].to_vec();
    for (alice, bob) in [(alice.clone(), later(&bob)), (later(&alice), bob.clone())] {
        let mut pair = Pair::new(quick(), alice, bob);
        pair.run_honestly();
        assert!(pair.errors().1.abs_diff(bits / 2) < 300, "{} of {bits}", pair.errors().1);
    }

    // Neither: the user knows.
    let alice = later(&emulated.reference);
    let mut pair = Pair::new(quick(), alice.clone(), bob.clone());
    pair.run_honestly();
    assert!(matches!(pair.alice.failure(), TagFailure::Clocks(ClockError::NoPeak { .. })));
    assert_eq!(pair.alice.failure(), pair.bob.failure(), "both ends are told");
    let settings = TagSettings { offset: Some(5_000_005_000_000_000), ..quick() };
    let mut pair = Pair::new(settings, alice, bob);
    pair.run_honestly();
    assert!(pair.errors().1.abs_diff(bits / 2) < 300);
}

/// Light that goes out for three seconds, while the clocks drift on.
#[test]
fn a_gap_is_passed_over() {
    let source =
        PairSource { seconds: 6.0, pair_rate: 5e5, background: [3e4, 3e4], drift_rate: 1e-9, ..near() };
    let mut emulated = source.run(8);
    let begin = emulated.other[0].time;
    let dark = |time: f64| (begin as f64 + 1.5e12..begin as f64 + 4.5e12).contains(&time);
    // Of the clicks in the dark none belongs to another.
    let mut count = 0;
    emulated.other.retain(|tag| {
        count += 1;
        !dark(tag.time as f64) || count % 2 == 0
    });
    let mut random = Stream::new(1, EntityId(0), Purpose::named("dark"));
    emulated
        .other
        .iter_mut()
        .filter(|tag| dark(tag.time as f64))
        .for_each(|tag| tag.time += random.below(5_000_000));
    emulated.other.sort_by_key(|tag| tag.time);
    let mut pair = Pair::new(quick(), emulated.reference, emulated.other);
    pair.run_honestly();
    let (errors, bits) = pair.errors();
    let expected = 3.0 * 5e5 * 0.01 / 2.0;
    assert!(bits as f64 > 0.85 * expected, "{bits} of {expected}");
    assert!(pair.alice.sifted().account.unfollowed > 10_000);
    assert!((errors as f64) < 0.04 * bits as f64, "{errors} of {bits}");
}

#[test]
fn a_record_goes_on_after_what_was_used() {
    let source = near();
    let mut first = Pair::of(quick(), &source, 4);
    first.run_honestly();
    let (_, bits) = first.errors();
    let half = bits / 2;
    let marks = [first.alice.sifted().key.used_before(half), first.bob.sifted().key.used_before(half)];
    let rest = |tags: &[Tag], mark: u64| tags.iter().copied().filter(|tag| tag.time >= mark).collect();
    let (alice, bob) = (rest(&first.alice.record, marks[0]), rest(&first.bob.record, marks[1]));
    let mut second = Pair::new(quick(), alice, bob);
    second.run_honestly();
    let (_, left) = second.errors();
    // No bit is used twice; Bob's marks stand at his frames' ends, Alice's at each bit.
    assert!(left <= bits - half && left > 0, "{left} of {bits}");
    let (errors, _) = second.errors();
    assert!((errors as f64) < 0.04 * left as f64, "{errors} of {left}");
}

#[test]
fn fine_rounding_and_wide_windows_do_as_they_are_told() {
    let source = near();
    let settings = TagSettings { rounding: 10, window: Some(600), ..quick() };
    let mut pair = Pair::of(settings, &source, 5);
    pair.run_honestly();
    let narrow = pair.alice.sifted().account;
    assert!((narrow.relation.jitter / (150.0 * core::f64::consts::SQRT_2) - 1.0).abs() < 0.15, "{narrow:?}");
    assert_eq!(narrow.relation.window, 600);
    // Half of the window is 1.414 standard deviations.
    assert_about(narrow.coincidences, 0.8427 * 3000.0, "coincidences");
    let settings = TagSettings { window: Some(100_000), ..settings };
    let mut pair = Pair::of(settings, &source, 5);
    pair.run_honestly();
    assert!(pair.alice.sifted().account.ambiguous > 10);
}

#[test]
fn records_in_which_nothing_happened_say_so() {
    let mut pair = Pair::new(quick(), Vec::new(), Vec::new());
    pair.run_honestly();
    let few = TagFailure::Clocks(ClockError::TooFew { here: 0, there: 0 });
    assert_eq!((pair.alice.failure(), pair.bob.failure()), (&few, &few));
    let source = near();
    let mut pair = Pair::new(quick(), source.run(1).reference, source.run(1).other[..20].to_vec());
    pair.run_honestly();
    assert!(matches!(pair.bob.failure(), TagFailure::Clocks(ClockError::TooFew { .. })));

    // All of one end's clicks are in Z and of the other's in X.
    let mut emulated = source.run(1);
    emulated.reference.iter_mut().for_each(|tag| tag.channel &= 1);
    emulated.other.iter_mut().for_each(|tag| tag.channel |= 2);
    let mut pair = Pair::new(quick(), emulated.reference, emulated.other);
    pair.run_honestly();
    assert!(matches!(pair.alice.failure(), TagFailure::Nothing(2000..)));
    assert_eq!(pair.alice.failure(), pair.bob.failure());
}

#[test]
fn what_differs_is_named_and_both_may_stop() {
    let other = TagSettings { rounding: 500, ..quick() };
    let mut pair = Pair::of(quick(), &near(), 1);
    pair.bob.machine = TellingEnd::new(other, seals(Direction::ReceiverToTransmitter)).unwrap();
    pair.run_honestly();
    let told = pair.alice.failure().to_string();
    assert!(told.contains("the rounding of times is 1000 ps here and 500 ps at the other end"), "{told}");
    assert!(matches!(pair.bob.failure(), TagFailure::Settings(_)));

    let mut pair = Pair::of(quick(), &near(), 1);
    pair.run(|from, frame| if from == From::Bob && frame[0] != 65 { Vec::new() } else { vec![frame] });
    let sent = pair.alice.tell(Input::Command(TagCommand::Stop));
    pair.bob.tell(Input::Frame { from: OtherEnd, bytes: &sent[0] });
    assert_eq!(pair.alice.failure(), &TagFailure::Stopped("this"));
    assert_eq!(pair.bob.failure(), &TagFailure::Stopped("the other"));
    let bad = TagSettings { search: Search { offset: -1.0, drift: 0.0 }, ..quick() };
    assert!(MatchingEnd::new(bad, seals(Direction::TransmitterToReceiver)).is_err());
}

/// While the clocks are related the other end hears now and then that somebody is at work.
#[test]
fn a_quiet_end_says_that_it_is_at_work() {
    let mut pair = Pair::of(quick(), &near(), 1);
    pair.run(|from, frame| if from == From::Bob && frame[0] != 65 { Vec::new() } else { vec![frame] });
    let due = pair.alice.machine.deadline().unwrap();
    assert_eq!(due, Time::from_picoseconds(10_000_000_000_000));
    assert!(pair.alice.tell(Input::Timeout).is_empty());
    pair.alice.now = due;
    let sent = pair.alice.tell(Input::Timeout);
    assert_eq!(sent, [[72]]);
    assert!(pair.bob.tell(Input::Frame { from: OtherEnd, bytes: &sent[0] }).is_empty());
    assert!(pair.bob.result.is_none());
}
