//! The emulated devices of a link, as a daemon uses them.

use crate::support::one_link;
use bellwether_network::{Attack, EavesdropperBasis, LinkEvent};
use bellwether_sim::emulator::{InjectionError, LightSeen, LinkEmulator, link_settings, provisioned};
use bellwether_units::{Duration, LinkId, Loss, Time};

fn emulator(seed: u64, more: &str) -> LinkEmulator {
    LinkEmulator::new(&one_link("bits", more), LinkId(0), seed).unwrap()
}

/// How many of the next windows' clicks there are, and how many of those measured in the basis of their
/// preparation come out wrong.
fn look(emulator: &mut LinkEmulator, windows: usize) -> (usize, usize, usize) {
    let (mut clicks, mut sifted, mut errors) = (0, 0, 0);
    for _ in 0..windows {
        let seen = emulator.next_window().unwrap().expect("both ends are up");
        let prepared = emulator.recall(&seen.pulses);
        clicks += seen.pulses.len();
        for i in 0..seen.pulses.len() {
            if seen.bases.get(i) == prepared.bases.get(i) {
                sifted += 1;
                errors += usize::from(seen.outcomes.get(i) != prepared.bits.get(i));
            }
        }
    }
    (clicks, sifted, errors)
}

#[test]
fn windows_follow_each_other_and_equal_seeds_give_equal_clicks() {
    let (mut one, mut other, mut third) = (emulator(1, ""), emulator(1, ""), emulator(2, ""));
    let mut next = 0;
    let mut same_as_third = true;
    for _ in 0..5 {
        let ends = one.next_window_ends();
        let (a, b) = (one.next_window().unwrap().unwrap(), other.next_window().unwrap().unwrap());
        let c = third.next_window().unwrap().unwrap();
        assert_eq!((a.first_pulse, a.pulse_count, a.ended), (next, one.window_pulses(), ends));
        assert!(a.pulses == b.pulses && a.outcomes == b.outcomes && a.bases == b.bases);
        same_as_third &= a.pulses == c.pulses;
        next = one.next_pulse();
    }
    assert!(!same_as_third);
    // 100 MHz and windows of 10 ms.
    assert_eq!(next, 5_000_000);
}

#[test]
fn each_pulse_is_answered_for_at_most_once_and_none_that_was_not_sent() {
    let mut emulator = emulator(3, "");
    let first = emulator.next_window().unwrap().unwrap().pulses;
    let second = emulator.next_window().unwrap().unwrap().pulses;
    let future = [emulator.next_pulse()];
    assert!(emulator.recall(&future).intensities.is_empty());
    assert!(emulator.recall(&[second[1], second[0]]).intensities.is_empty(), "pulses must rise");
    assert_eq!(emulator.recall(&first[..10]).intensities.len(), 10);
    assert!(emulator.recall(&first[9..20]).intensities.is_empty(), "one of them was answered before");
    assert_eq!(emulator.recall(&first[10..]).intensities.len(), first.len() - 10);
    assert_eq!(emulator.recall(&second).intensities.len(), second.len());
    emulator.forget();
    assert!(emulator.recall(&first).intensities.is_empty(), "not even after a crash");
}

#[test]
fn skipped_pulses_fly_unseen() {
    let mut emulator = emulator(4, "");
    emulator.skip_window();
    let seen = emulator.next_window().unwrap().unwrap();
    assert_eq!(seen.first_pulse, emulator.window_pulses());
    assert!(seen.pulses.iter().all(|&pulse| pulse >= seen.first_pulse));
}

#[test]
fn what_is_injected_holds_from_the_next_window_until_it_is_withdrawn() {
    let mut emulator = emulator(5, "");
    let (clicks, sifted, errors) = look(&mut emulator, 10);
    let honest = errors as f64 / sifted as f64;
    assert!(honest < 0.02, "{honest}");

    let attack = Attack::InterceptResend { fraction: 1.0, basis: EavesdropperBasis::Random };
    let number = emulator.inject(LinkEvent::Attack(attack), None).unwrap();
    let (_, sifted, errors) = look(&mut emulator, 10);
    let attacked = errors as f64 / sifted as f64;
    // A quarter, and what honest errors leave of it; some 10^5 sifted clicks make a deviation of 0.002.
    assert!((attacked - 0.25).abs() < 0.02, "{attacked}");
    assert!(emulator.withdraw(number) && !emulator.withdraw(number));
    let (again, sifted, errors) = look(&mut emulator, 10);
    assert!((errors as f64 / sifted as f64) < 0.02);
    assert!((again as f64 / clicks as f64 - 1.0).abs() < 0.05);

    let loss = Loss::from_decibels(3.0);
    let window = Duration::from_milliseconds(10);
    emulator.inject(LinkEvent::LossStep { loss }, Some(window * 10)).unwrap();
    let (dim, ..) = look(&mut emulator, 10);
    assert!((dim as f64 / clicks as f64 - 0.5).abs() < 0.05, "{dim} of {clicks}");
    let (bright, ..) = look(&mut emulator, 10);
    assert!((bright as f64 / clicks as f64 - 1.0).abs() < 0.05, "the loss ends by itself");

    emulator.inject(LinkEvent::Cut, None).unwrap();
    assert_eq!(emulator.light(), LightSeen { at_receiver: false, at_transmitter: false });
    let (dark, ..) = look(&mut emulator, 10);
    assert!(dark < clicks / 100, "{dark}");
    emulator.inject(LinkEvent::Repair, None).unwrap();
    assert_eq!(emulator.light(), LightSeen { at_receiver: true, at_transmitter: true });
    emulator.inject(LinkEvent::Cut, None).unwrap();
    emulator.withdraw_all();
    let (mended, ..) = look(&mut emulator, 10);
    assert!((mended as f64 / clicks as f64 - 1.0).abs() < 0.05);
}

#[test]
fn events_of_the_file_go_on_beside_injected_ones() {
    let file = "[[event]]\nat = \"50 ms\"\nuntil = \"100 ms\"\nlink = \"A-B\"\nkind = \"cut\"\n";
    let mut emulator = emulator(6, file);
    emulator.inject(LinkEvent::LossStep { loss: Loss::from_decibels(1.0) }, None).unwrap();
    let light: Vec<bool> = (0..12)
        .map(|_| {
            let light = emulator.light().at_receiver;
            emulator.next_window().unwrap();
            light
        })
        .collect();
    let expected: Vec<bool> = (0..12).map(|window| !(5..10).contains(&window)).collect();
    assert_eq!(light, expected);
}

#[test]
fn impossible_events_are_refused_and_change_nothing() {
    let mut emulator = emulator(7, "");
    for fraction in [-0.1, 1.1, f64::NAN] {
        let attack = Attack::PhotonNumberSplitting { fraction };
        let refused = emulator.inject(LinkEvent::Attack(attack), None);
        assert!(matches!(refused, Err(InjectionError::Value { name: "fraction", .. })));
    }
    let loss = Loss::from_decibels(f64::NAN);
    assert!(emulator.inject(LinkEvent::LossStep { loss }, None).is_err());
    let over = Duration::ZERO;
    assert!(emulator.inject(LinkEvent::Misalignment { value: 0.6, over }, None).is_err());
    let classical = LinkEvent::MessageLoss { probability: 0.1 };
    assert_eq!(emulator.inject(classical, None), Err(InjectionError::Classical));
    let (_, sifted, errors) = look(&mut emulator, 5);
    assert!((errors as f64 / sifted as f64) < 0.02);
}

#[test]
fn both_ends_are_set_alike_and_share_a_secret() {
    let network = one_link("bits", "");
    let settings = link_settings(&network, LinkId(0)).unwrap();
    assert!(settings.validate().is_ok() && settings.baseline.is_some());
    assert_eq!(settings.block_bits, 1_000_000);
    let (a, b) = (provisioned(&network, LinkId(0), 8).unwrap(), provisioned(&network, LinkId(0), 8).unwrap());
    assert_eq!(a.encode(), b.encode());
    assert_ne!(a.encode(), provisioned(&network, LinkId(0), 9).unwrap().encode());
    assert!(emulator(8, "").next_window_ends() > Time::ZERO);
}
