//! Schedules of loss, duplication, reordering, delay, crash and restart.

use crate::light::Light;
use crate::pair::{End, Faults, Pair, small_blocks};
use bellwether_protocol::qkd::alarm::AlarmKind;
use bellwether_protocol::qkd::session::TagPolicy;
use bellwether_units::{Duration, EntityId, Purpose, Stream};
use std::cell::RefCell;
use std::rc::Rc;

const SECOND: Duration = Duration::from_whole_seconds(1);

fn pair(seed: u64, tags: TagPolicy) -> Pair {
    let mut settings = small_blocks();
    settings.tags = tags;
    settings.authentication.target_pads = 600;
    // A tag a message costs more than so small blocks give: the stock must last for the schedule.
    let pairs = if tags == TagPolicy::EveryMessage { 6000 } else { 1500 };
    Pair::with_pads(settings, Light::single_photons(seed), seed, pairs)
}

/// One schedule: faults and crashes for a while, then none, and key must come again.
fn schedule(seed: u64, tags: TagPolicy) -> Pair {
    let mut pair = pair(seed, tags);
    let mut dice = Stream::new(seed, EntityId(9), Purpose::named("schedule"));
    pair.faults = Faults {
        loss: dice.uniform() * 0.3,
        duplication: dice.uniform() * 0.3,
        hold: Duration::from_microseconds(dice.below(30_000)),
    };
    for _ in 0..2 + dice.below(3) {
        pair.run(Duration::from_milliseconds(50 + dice.below(1000)));
        match dice.below(4) {
            0 => pair.crash(End::Transmitter),
            1 => pair.crash(End::Receiver),
            2 => {
                pair.crash(End::Transmitter);
                pair.crash(End::Receiver);
            }
            _ => pair.faults.loss = dice.uniform() * 0.6,
        }
    }
    pair.faults = Faults::default();
    let before = pair.shared_keys();
    assert!(pair.run_to_keys(before + 2, SECOND * 60), "seed {seed}: no key after the faults ceased");
    pair
}

fn schedules(seeds: core::ops::Range<u64>, tags: TagPolicy) {
    let mut shared = 0;
    for seed in seeds {
        shared += schedule(seed, tags).shared_keys();
    }
    assert!(shared > 0);
}

#[test]
fn schedules_of_faults_with_a_tag_a_block_first_quarter() {
    schedules(0..250, TagPolicy::EveryBlock);
}

#[test]
fn schedules_of_faults_with_a_tag_a_block_second_quarter() {
    schedules(250..500, TagPolicy::EveryBlock);
}

#[test]
fn schedules_of_faults_with_a_tag_a_message_third_quarter() {
    schedules(500..750, TagPolicy::EveryMessage);
}

#[test]
fn schedules_of_faults_with_a_tag_a_message_fourth_quarter() {
    schedules(750..1000, TagPolicy::EveryMessage);
}

/// The same, many more times.
#[test]
#[ignore = "takes minutes; the thousand above run always"]
fn ten_thousand_schedules_of_faults() {
    schedules(1000..6000, TagPolicy::EveryBlock);
    schedules(6000..11_000, TagPolicy::EveryMessage);
}

#[test]
fn a_quiet_link_gives_equal_keys_and_no_alarm() {
    for tags in [TagPolicy::EveryBlock, TagPolicy::EveryMessage] {
        let mut pair = pair(1, tags);
        assert!(pair.run_to_keys(10, SECOND * 20));
        assert_eq!(pair.sessions, 1);
        assert!(pair.alarms.iter().all(Vec::is_empty), "{:?}", pair.alarms);
        assert!(pair.blocks.iter().flatten().all(|report| report.discarded.is_none()));
    }
}

#[test]
fn an_end_that_falls_silent_is_noticed_and_work_resumes() {
    let mut pair = pair(2, TagPolicy::EveryBlock);
    assert!(pair.run_to_keys(3, SECOND * 20));
    pair.faults.loss = 1.0;
    pair.run(SECOND * 30);
    for end in [End::Transmitter, End::Receiver] {
        let silent =
            pair.alarms[end as usize].iter().filter(|alarm| alarm.kind == AlarmKind::PeerSilent).count();
        assert_eq!(silent, 1, "at the {end:?}: {:?}", pair.alarms[end as usize]);
    }
    pair.faults.loss = 0.0;
    assert!(pair.run_to_keys(6, SECOND * 20));
    assert_eq!(pair.sessions, 1, "an outage of the channel alone costs no session");
}

/// A forged message takes the place of the one that its victim wants next, and means nothing to it. The victim
/// then acknowledges what was never sent, and the other end must not wait for ever to be acknowledged itself.
#[test]
fn a_forged_message_does_not_hold_the_link_up_for_good() {
    // An answer and a question about a block that is long done, at many moments, busy and quiet.
    for (victim, payload) in [(End::Receiver, [5, 0]), (End::Transmitter, [4, 0])] {
        for moment in 0..40 {
            let mut pair = pair(6, TagPolicy::EveryBlock);
            pair.delay = Duration::from_microseconds(50);
            pair.window_every = SECOND;
            let last = Rc::new(RefCell::new(Vec::new()));
            let heard = Rc::clone(&last);
            pair.tamper = Some(Box::new(move |_, from, frame| {
                if from != victim && matches!(frame[1], 4 | 5) {
                    *heard.borrow_mut() = frame[..26].to_vec();
                }
            }));
            assert!(pair.run_to_keys(1, SECOND * 20));
            pair.run(Duration::from_milliseconds(25 * moment));
            let mut forged = last.borrow().clone();
            let sequence = u64::from_le_bytes(forged[18..].try_into().unwrap()) + 1;
            forged[1] = 4;
            forged[18..].copy_from_slice(&sequence.to_le_bytes());
            forged.extend(payload);
            pair.inject(victim, &forged);
            assert!(pair.run_to_keys(3, SECOND * 60), "no key after one forged frame to the {victim:?}");
        }
    }
}

#[test]
fn a_dark_fibre_costs_nothing_and_burns_no_pads() {
    let mut pair = pair(3, TagPolicy::EveryBlock);
    assert!(pair.run_to_keys(2, SECOND * 20));
    pair.light.cut = true;
    pair.light.dark = 0.0;
    pair.run(SECOND * 2);
    let (pads, blocks) = (pair.pads_used(), pair.blocks[0].len());
    pair.run(SECOND * 60);
    assert_eq!((pair.pads_used(), pair.blocks[0].len()), (pads, blocks));
    pair.light.cut = false;
    let keys = pair.shared_keys();
    assert!(pair.run_to_keys(keys + 2, SECOND * 20));
}

#[test]
fn pads_are_kept_up_from_new_key() {
    let mut pair = pair(4, TagPolicy::EveryBlock);
    assert!(pair.run_to_keys(60, SECOND * 60));
    let target = pair.settings.authentication.target_pads;
    for left in pair.pads_left() {
        assert!(left >= target - 8, "{left} pads are left of {target}");
    }
}

#[test]
fn without_pads_the_link_stops_and_says_so() {
    let mut settings = small_blocks();
    settings.authentication.target_pads = 0;
    settings.authentication.low_water_pads = 4;
    let mut pair = Pair::with_pads(settings, Light::single_photons(5), 5, 10);
    pair.run(SECOND * 20);
    let kinds = |end: End| pair.alarms[end as usize].iter().map(|alarm| alarm.kind).collect::<Vec<_>>();
    assert_eq!(
        kinds(End::Receiver),
        [AlarmKind::AuthenticationKeysLow, AlarmKind::AuthenticationKeysExhausted]
    );
    // The receiver uses two pads a block and one for the session: four blocks can be sealed.
    assert_eq!(pair.shared_keys(), 4);
    assert!(pair.keys[1].len() <= 5);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let digest = |pair: &Pair| (pair.frames, pair.bytes, pair.keys.clone(), pair.blocks.clone());
    for seed in [10, 11] {
        let (a, b) = (schedule(seed, TagPolicy::EveryBlock), schedule(seed, TagPolicy::EveryBlock));
        assert!(digest(&a) == digest(&b));
    }
}
