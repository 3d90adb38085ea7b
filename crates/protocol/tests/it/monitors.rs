//! Monitors of side channels: no key of a block in which one of them raises an alarm, at either end.

use crate::light::Light;
use crate::pair::{End, Pair, small_blocks};
use bellwether_protocol::qkd::alarm::{AlarmKind, Baseline};
use bellwether_protocol::qkd::session::{BlockReport, TagPolicy};
use bellwether_units::{BlockId, Current, Duration, Time};
use std::collections::BTreeSet;

const BOTH: [End; 2] = [End::Transmitter, End::Receiver];
/// One click in fifty has both detectors fire: some 800 of them in a block.
const DOUBLE_CLICKS: f64 = 0.02;

fn microamperes(value: f64) -> Current {
    Current::from_amperes(value * 1e-6)
}

/// A link of blocks of 20 000 bits, one in 40 ms, of which the ends in `watching` know `baseline`.
fn pair(seed: u64, tags: TagPolicy, baseline: &Baseline, watching: &[End]) -> Pair {
    let mut settings = small_blocks();
    settings.block_bits = 20_000;
    settings.tags = tags;
    let mut light = Light::single_photons(seed);
    light.double_clicks = DOUBLE_CLICKS;
    light.bias_current = Some(microamperes(1.0));
    let mut pair = Pair::with_pads(settings, light, seed, 20_000);
    pair.window_pulses = 40_000;
    for end in watching {
        pair.settings.baseline = Some(baseline.clone());
        pair.crash(*end);
    }
    pair
}

/// An honest second, one in which `attack` has changed the light, and an honest one; when the attack began and ended.
/// No window is on its way at either time.
fn attacked(pair: &mut Pair, attack: impl Fn(&mut Light)) -> (Time, Time) {
    let honest = (pair.light.double_clicks, pair.light.bias_current);
    pair.run(Duration::from_milliseconds(1010));
    let from = pair.now;
    attack(&mut pair.light);
    pair.run(Duration::from_milliseconds(1000));
    let to = pair.now;
    (pair.light.double_clicks, pair.light.bias_current) = honest;
    pair.run(Duration::from_milliseconds(1000));
    (from, to)
}

/// Both ends discard the same blocks for an alarm of a monitor and hold equal keys of the others; those blocks.
fn discarded_by_monitor(pair: &Pair) -> BTreeSet<BlockId> {
    let [transmitter, receiver] = BOTH.map(|end| -> BTreeSet<BlockId> {
        let monitored = |report: &&BlockReport| {
            report.discarded.as_ref().is_some_and(|reason| reason.name() == "monitor")
        };
        let blocks = pair.blocks[end as usize].iter();
        assert!(blocks.clone().all(|report| report.discarded.is_none() || monitored(&report)));
        blocks.filter(monitored).map(|report| report.block).collect()
    });
    assert_eq!(transmitter, receiver);
    for keys in &pair.keys {
        assert!(keys.keys().all(|block| !receiver.contains(block)));
    }
    let tampering = pair.alarms.iter().flatten().find(|alarm| alarm.kind == AlarmKind::AuthenticationFailed);
    assert!(tampering.is_none(), "{tampering:?}");
    receiver
}

fn kinds(pair: &Pair, end: End) -> BTreeSet<AlarmKind> {
    pair.alarms[end as usize].iter().map(|alarm| alarm.kind).collect()
}

/// The current is known to the receiver alone: it tells.
#[test]
fn every_block_with_light_that_raised_the_bias_current_is_discarded_at_both_ends() {
    let baseline =
        Baseline { bias_current_limit: Some(microamperes(10.0)), ..Light::single_photons(0).baseline() };
    for (seed, tags) in [(1, TagPolicy::EveryBlock), (2, TagPolicy::EveryMessage)] {
        for watching in [&BOTH[..], &[End::Receiver]] {
            let mut pair = pair(seed, tags, &baseline, watching);
            let (from, to) = attacked(&mut pair, |light| light.bias_current = Some(microamperes(1000.0)));
            let discarded = discarded_by_monitor(&pair);
            for report in &pair.blocks[End::Receiver as usize] {
                let touched = report.opened < to && report.closed.is_some_and(|closed| closed > from);
                assert_eq!(discarded.contains(&report.block), touched, "{report:?}");
            }
            assert!(discarded.len() > 10 && pair.shared_keys() > 20, "{}", pair.shared_keys());
            assert_eq!(kinds(&pair, End::Receiver), [AlarmKind::BiasCurrent].into());
            assert_eq!(kinds(&pair, End::Transmitter), [AlarmKind::NoKey].into(), "told by the receiver");
        }
    }
}

/// Double clicks are told with the window, and whichever end is calibrated finds that they are missing.
#[test]
fn blocks_whose_double_clicks_are_missing_are_discarded_at_both_ends_whoever_finds_it() {
    let baseline =
        Baseline { double_clicks_per_click: Some(DOUBLE_CLICKS), ..Light::single_photons(0).baseline() };
    for watching in [&BOTH[..], &[End::Receiver], &[End::Transmitter]] {
        let mut pair = pair(3, TagPolicy::EveryBlock, &baseline, watching);
        let (from, to) = attacked(&mut pair, |light| light.double_clicks = 0.0);
        let discarded = discarded_by_monitor(&pair);
        for report in &pair.blocks[End::Receiver as usize] {
            let closed = report.closed.unwrap();
            if report.opened > from && closed < to {
                assert!(discarded.contains(&report.block), "{watching:?}: {report:?}");
            } else if closed < from || report.opened > to {
                assert!(report.key_bits > 0, "{watching:?}: {report:?}");
            }
        }
        assert!(discarded.len() > 10 && pair.shared_keys() > 20, "{watching:?}: {}", pair.shared_keys());
        for end in BOTH {
            let seen = match watching.contains(&end) {
                true => AlarmKind::DoubleClicksMissing,
                false => AlarmKind::NoKey,
            };
            assert_eq!(kinds(&pair, end), [seen].into(), "{watching:?}: {end:?}");
        }
    }
}
