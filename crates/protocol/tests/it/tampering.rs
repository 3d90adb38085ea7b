//! An attacker on the classical channel, an eavesdropper on the fibre, and a reconciliation that fails.

use crate::light::Light;
use crate::pair::{End, Pair, small_blocks};
use bellwether_protocol::qkd::alarm::AlarmKind;
use bellwether_protocol::qkd::reconcile::{CascadeVariant, Family};
use bellwether_protocol::qkd::security::{Bound, SecurityParameters};
use bellwether_protocol::qkd::session::{LinkSettings, TagPolicy};
use bellwether_units::{Duration, EntityId, LinkId, Purpose, Stream};
use proptest::prelude::*;
use std::cell::Cell;
use std::rc::Rc;

const SECOND: Duration = Duration::from_whole_seconds(1);
/// Where the part of a data frame begins that tags cover to the last bit: its payload.
const PAYLOAD: usize = 26;

fn pair(seed: u64, tags: TagPolicy) -> Pair {
    let mut settings = small_blocks();
    settings.tags = tags;
    settings.timing.reopen_at_most = Duration::from_milliseconds(100);
    let pairs = if tags == TagPolicy::EveryMessage { 30_000 } else { 2000 };
    Pair::with_pads(settings, Light::single_photons(seed), seed, pairs)
}

/// Alarms of a kind at both ends.
fn alarms(pair: &Pair, kind: AlarmKind) -> usize {
    pair.alarms.iter().flatten().filter(|alarm| alarm.kind == kind).count()
}

/// Alarms at both ends that speak of tampering.
fn tampering_alarms(pair: &Pair) -> usize {
    alarms(pair, AlarmKind::AuthenticationFailed)
}

/// `trials` times, changes one frame with `change`, and sees that nothing goes wrong but the session and that
/// key is made again. `change` says whether it altered what tags cover, which must raise an alarm; elsewhere
/// the frame is dropped and sent again. [`Pair`] checks that keys are equal.
fn tamper(
    tags: TagPolicy,
    trials: u64,
    seed: u64,
    least: u64,
    change: fn(&mut Stream, &mut Vec<u8>) -> bool,
) {
    let mut altered = 0;
    let mut dice = Stream::new(seed, EntityId(8), Purpose::named("tamper"));
    let mut pair = pair(seed, tags);
    for trial in 0..trials {
        if trial % 50 == 49 {
            pair = self::pair(seed + trial, tags);
        }
        let covered = Rc::new(Cell::new(None));
        let (seen, mut left) = (covered.clone(), dice.below(60));
        pair.tamper = Some(Box::new(move |dice, _, bytes| {
            let is_data = matches!(bytes[1], 4 | 5);
            if seen.get().is_none() && is_data && left == 0 {
                seen.set(Some(change(dice, bytes)));
            }
            left = left.saturating_sub(u64::from(is_data));
        }));
        let (alarms, keys) = (tampering_alarms(&pair), pair.shared_keys());
        assert!(pair.run_to_keys(keys + 2, SECOND * 200), "trial {trial} of {seed}: no key after tampering");
        if covered.get() == Some(true) {
            altered += 1;
            if tampering_alarms(&pair) == alarms {
                // The blocks just released had been sealed before the change; the next seal covers it.
                assert!(pair.run_to_keys(keys + 6, SECOND * 200));
            }
            assert!(tampering_alarms(&pair) > alarms, "trial {trial} of {seed}: no alarm on tampering");
        }
        // What is not authentic is nowhere told as the other end's mistake.
        assert_eq!(self::alarms(&pair, AlarmKind::MalformedMessage), 0, "{:?}", pair.alarms);
    }
    assert!(altered >= least, "{altered} of {trials} changes of {seed} were to what tags cover");
}

fn flip_one_bit(dice: &mut Stream, bytes: &mut [u8]) -> bool {
    // Most frames are short questions of reconciliation: half of the flips go into the payload.
    let from = if dice.chance(0.5) { PAYLOAD } else { 0 };
    let at = from + dice.below((bytes.len() - from) as u64) as usize;
    bytes[at] ^= 1 << dice.below(8);
    at >= PAYLOAD
}

fn change_header(dice: &mut Stream, bytes: &mut [u8]) -> bool {
    match dice.below(3) {
        // A tag is taken for payload, or the other way round; a frame too short for that is dropped.
        0 => bytes[1] = if bytes[1] == 4 { 5 } else { 4 },
        1 => bytes[2..10].copy_from_slice(&dice.bits().to_le_bytes()),
        _ => bytes[18..26].copy_from_slice(&dice.bits().to_le_bytes()),
    }
    false
}

fn cut_or_extend(dice: &mut Stream, bytes: &mut Vec<u8>) -> bool {
    if dice.chance(0.5) {
        bytes.truncate(PAYLOAD + dice.below((bytes.len() - PAYLOAD) as u64) as usize);
    } else {
        bytes.push(dice.bits() as u8);
    }
    // A sealed frame too short for its tag is dropped.
    bytes[1] == 4 || bytes.len() >= PAYLOAD + 24
}

fn replace(dice: &mut Stream, bytes: &mut [u8]) -> bool {
    bytes[PAYLOAD..].iter_mut().for_each(|byte| *byte = dice.bits() as u8);
    bytes.len() > PAYLOAD + 4
}

#[test]
fn flipped_bits_are_caught_with_a_tag_a_block() {
    tamper(TagPolicy::EveryBlock, 1000, 1, 500, |dice, bytes| flip_one_bit(dice, bytes));
}

#[test]
fn flipped_bits_are_caught_with_a_tag_a_message() {
    tamper(TagPolicy::EveryMessage, 700, 2, 400, |dice, bytes| flip_one_bit(dice, bytes));
}

#[test]
fn other_changes_are_caught() {
    for (seed, tags) in [(3, TagPolicy::EveryBlock), (4, TagPolicy::EveryMessage)] {
        tamper(tags, 80, seed, 0, |dice, bytes| change_header(dice, bytes));
        tamper(tags, 80, seed + 10, 40, cut_or_extend);
        tamper(tags, 80, seed + 20, 20, |dice, bytes| replace(dice, bytes));
    }
}

/// Every frame is sent a second time, later: as it was, and with a new number.
#[test]
fn replayed_frames_do_no_harm() {
    let mut pair = pair(5, TagPolicy::EveryBlock);
    let record = Rc::new(Cell::new(Vec::new()));
    let tape = record.clone();
    pair.tamper = Some(Box::new(move |_, from, bytes| {
        let mut all = tape.take();
        all.push((from, bytes.clone()));
        tape.set(all);
    }));
    assert!(pair.run_to_keys(4, SECOND * 20));
    pair.tamper = None;
    let frames = record.take();
    let keys = pair.keys.clone();
    for (from, bytes) in &frames {
        pair.inject(from.other(), bytes);
    }
    assert!(pair.keys == keys && pair.sessions == 1);
    assert_eq!(tampering_alarms(&pair), 0, "a replay within a session is a late duplicate");
    // In a later session they are of no session.
    pair.crash(End::Receiver);
    assert!(pair.run_to_keys(6, SECOND * 20));
    for (from, bytes) in &frames {
        pair.inject(from.other(), bytes);
    }
    assert!(pair.run_to_keys(8, SECOND * 20));
    assert_eq!((pair.sessions, tampering_alarms(&pair)), (2, 0));
}

#[test]
fn a_message_put_in_by_a_stranger_ends_the_session() {
    for end in [End::Transmitter, End::Receiver] {
        let mut pair = pair(6, TagPolicy::EveryBlock);
        let last = Rc::new(Cell::new(0));
        let next = last.clone();
        pair.tamper = Some(Box::new(move |_, from, bytes| {
            if from != end && matches!(bytes[1], 4 | 5) {
                next.set(u64::from_le_bytes(bytes[18..26].try_into().unwrap()) + 1);
            }
        }));
        assert!(pair.run_to_keys(3, SECOND * 20));
        // The frame that the end expects next, telling it to discard a block that has long ended.
        let mut forged = vec![1, 4];
        forged.extend(1u64.to_le_bytes());
        forged.extend(0u64.to_le_bytes());
        forged.extend(last.get().to_le_bytes());
        forged.extend([9, 0, 1]);
        pair.inject(end, &forged);
        let keys = pair.shared_keys();
        assert!(pair.run_to_keys(keys + 3, SECOND * 20));
        assert!(tampering_alarms(&pair) > 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_taken_without_panic(
        frames in proptest::collection::vec(
            (any::<bool>(), 0u8..8, 0u64..3, 0u64..4, 0u64..40, proptest::collection::vec(any::<u8>(), 0..60)), 1..60,
        ),
        raw in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let mut pair = pair(7, TagPolicy::EveryBlock);
        pair.run(Duration::from_milliseconds(300));
        pair.inject(End::Transmitter, &raw);
        pair.inject(End::Receiver, &raw);
        for (to_transmitter, kind, session, ack, sequence, payload) in frames {
            let mut bytes = vec![1, kind];
            bytes.extend(session.to_le_bytes());
            bytes.extend(ack.to_le_bytes());
            bytes.extend(sequence.to_le_bytes());
            bytes.extend(payload);
            pair.inject(if to_transmitter { End::Transmitter } else { End::Receiver }, &bytes);
        }
        let keys = pair.shared_keys();
        prop_assert!(pair.run_to_keys(keys + 1, SECOND * 100));
    }
}

/// Brassard and Salvail's four passes leave errors behind in a few of many small frames.
#[test]
fn keys_that_differ_after_reconciliation_are_caught() {
    let mut settings = small_blocks();
    settings.reconciliation = Family::Cascade(CascadeVariant::Original);
    settings.frame_bits = Some(512);
    settings.block_bits = 8192;
    let mut light = Light::single_photons(8);
    light.misalignment = 0.05;
    light.key_basis = 0.5;
    let mut pair = Pair::new(settings, light, 8);
    pair.window_pulses = 20_000;
    pair.run(SECOND * 40);
    let failed = pair.discarded(End::Receiver, "verification");
    let alarms = pair.alarms[1].iter().filter(|alarm| alarm.kind == AlarmKind::VerificationFailed).count();
    assert_eq!((failed, failed), (alarms, pair.discarded(End::Transmitter, "verification")));
    assert!(failed > 0, "no reconciliation failed in {} blocks", pair.blocks[1].len());
    assert!(pair.shared_keys() > 0);
}

#[test]
fn ends_with_different_settings_make_no_key() {
    let mut pair = pair(9, TagPolicy::EveryBlock);
    pair.settings.block_bits += 1;
    pair.crash(End::Receiver);
    pair.run(SECOND * 10);
    assert_eq!(pair.shared_keys() + pair.keys[1].len(), 0);
    assert_eq!(alarms(&pair, AlarmKind::MalformedMessage), 1, "{:?}", pair.alarms);
    assert_eq!(tampering_alarms(&pair), 0, "the ends know each other");
}

#[test]
fn interception_raises_the_error_rate_by_a_quarter_and_leaves_no_key() {
    let mut settings = small_blocks();
    settings.block_bits = 20_000;
    settings.baseline = Some(Light::single_photons(0).baseline());
    let mut pair = Pair::new(settings, Light::single_photons(10), 10);
    pair.window_pulses = 40_000;
    assert!(pair.run_to_keys(3, SECOND * 10));
    assert!(pair.alarms.iter().all(Vec::is_empty), "{:?}", pair.alarms);
    pair.light.intercepted = 1.0;
    let since = pair.now;
    pair.run(SECOND * 2);
    for end in [End::Transmitter, End::Receiver] {
        // The block that was open when it began is half honest; all after it give nothing.
        let after = pair.blocks[end as usize].iter().filter(|report| report.opened > since);
        assert!(after.clone().count() > 3);
        for report in after {
            assert_eq!(report.discarded.as_ref().map(|reason| reason.name()), Some("no-key"));
            let check = report.statistics.check[0];
            let rate = check.errors as f64 / check.sifted as f64;
            let (expected, deviation) = (0.25 + 0.01 * 0.5, (0.1875 / check.sifted as f64).sqrt());
            assert!((rate - expected).abs() < 4.0 * deviation, "{rate}");
        }
        assert!(pair.alarms[end as usize].iter().any(|alarm| matches!(alarm.kind, AlarmKind::QberHigh(_))));
    }
}

#[test]
fn a_cut_fibre_is_told_once() {
    let mut settings = small_blocks();
    settings.baseline = Some(Light::single_photons(0).baseline());
    let mut pair = Pair::new(settings, Light::single_photons(11), 11);
    assert!(pair.run_to_keys(2, SECOND * 10));
    pair.light.cut = true;
    pair.run(SECOND * 5);
    for alarms in &pair.alarms {
        let kinds: Vec<_> = alarms.iter().map(|alarm| alarm.kind).collect();
        assert_eq!(kinds, [AlarmKind::CountsLow]);
    }
}

#[test]
fn a_decoy_link_makes_key_with_each_bound() {
    for (bound, classes) in
        [(Bound::OneDecoyRusca, 2), (Bound::OneDecoyWiesemann, 2), (Bound::TwoDecoyLim, 3)]
    {
        let mut light = Light::decoy(12, 0.5);
        if classes == 3 {
            light.source[0].probability = 0.5;
            light.source.push(bellwether_protocol::qkd::security::SourceClass::new(1e-3, 0.2));
        }
        let mut settings = LinkSettings::new(LinkId(0), light.source.clone(), bound);
        settings.block_bits = 300_000;
        settings.security = SecurityParameters { secrecy: 1e-9, correctness: 1e-15 };
        let mut pair = Pair::new(settings, light, 12);
        pair.window_pulses = 200_000;
        assert!(pair.run_to_keys(1, SECOND * 10), "{bound}: {:?}", pair.blocks[1]);
        let report = &pair.blocks[1][0];
        assert!(report.key_bits > 5000, "{report:?}");
    }
}

/// An announcement that an eavesdropper forged is answered, since tags come later. She then knows the bases of these
/// pulses and may still hold their light: they must never be taken again, though the forgery ended their session.
#[test]
fn pulses_that_were_told_of_are_not_taken_again() {
    let announcements = |pair: &mut Pair| {
        let tape = Rc::new(Cell::new(Vec::<Vec<u8>>::new()));
        let kept = tape.clone();
        pair.tamper = Some(Box::new(move |_, from, bytes| {
            if from == End::Receiver && matches!(bytes[1], 4 | 5) {
                let mut frames = kept.take();
                frames.push(bytes.clone());
                kept.set(frames);
            }
        }));
        tape
    };
    let count = |frames: &[Vec<u8>]| frames.iter().filter(|frame| frame[PAYLOAD] == 1).count();
    // She may announce any pulses: those of a twin of the link serve.
    let mut twin = pair(5, TagPolicy::EveryBlock);
    let tape = announcements(&mut twin);
    twin.run(SECOND);
    let frames: Vec<_> = tape.take().into_iter().filter(|frame| frame[PAYLOAD] == 1).collect();
    let mut victim = pair(5, TagPolicy::EveryBlock);
    let tape = announcements(&mut victim);
    loop {
        let sent = tape.take();
        let enough = count(&sent) >= 3;
        tape.set(sent);
        if enough {
            break;
        }
        victim.run(Duration::from_milliseconds(1));
    }
    victim.run(Duration::from_milliseconds(6));
    let sent = tape.take();
    let n = count(&sent);
    let sequence = |frame: &Vec<u8>| u64::from_le_bytes(frame[18..26].try_into().unwrap());
    let next = sent.iter().map(sequence).max().unwrap() + 1;
    // The pulses of a later window, as the next one.
    let mut forged = frames[n + 20].clone();
    forged[2..18].copy_from_slice(&frames[n][2..18]);
    forged[10..18].fill(0);
    forged[18..26].copy_from_slice(&next.to_le_bytes());
    forged[PAYLOAD + 1] = frames[n][PAYLOAD + 1];
    let before = victim.recalls.len();
    victim.inject(End::Transmitter, &forged);
    assert_eq!(victim.recalls.len(), before + 1, "the forged announcement was taken");
    let told: Vec<_> = victim.recalls[before].clone();
    victim.tamper = Some(Box::new(move |_, from, bytes| {
        if from == End::Transmitter && bytes[1] == 4 && bytes[PAYLOAD] == 2 {
            bytes.clear();
        }
    }));
    victim.run(Duration::from_milliseconds(1));
    victim.tamper = None;
    let mut reset = vec![0u8; 10];
    reset[0] = forged[0];
    reset[1] = 3;
    reset[2..10].copy_from_slice(&forged[2..10]);
    victim.inject(End::Transmitter, &reset);
    let keys = victim.shared_keys();
    victim.run(SECOND * 3);
    let again = victim.recalls[before + 1..].iter().flatten().filter(|pulse| told.contains(pulse)).count();
    assert_eq!(again, 0, "of {} pulses told of", told.len());
    assert!(victim.shared_keys() > keys, "the link makes key again");
}
