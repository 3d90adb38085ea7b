//! Both ends' drivers over an emulated link.

use crate::two_ends::{Entries, Told, TwoEnds, control, hardware, layer, network, node_of, stream};
use bellwether_live::hardware::Side::{Receiver, Transmitter};
use bellwether_live::hardware::client::devices;
use bellwether_live::hardware::server::{Options, PhysicalLayer};
use bellwether_live::node::transcript::{Difference, Recorded, check};
use bellwether_network::{Attack, EavesdropperBasis, LinkEvent};
use bellwether_units::Duration;
use std::sync::{Arc, Mutex};

/// More light than is needed, so that no key waits for the wall clock.
const HOUR: Duration = Duration::from_whole_seconds(3600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_ends_distil_equal_keys_from_a_head_start_of_light() {
    let network = network();
    let layer = layer(&network, 1, HOUR);
    let mut ends = TwoEnds::new(&network, 1);
    ends.start(Receiver, hardware(&layer, Receiver));
    ends.start(Transmitter, hardware(&layer, Transmitter));
    ends.until("four keys", |told| told.keys.len() >= 4).await;
    assert!(ends.shared_keys().len() >= 3);
    for side in [Receiver, Transmitter] {
        ends.look(side, |told| {
            assert!(told.alarms.is_empty() && told.discarded.is_empty(), "{:?}", told.alarms);
            assert_eq!((told.light, told.lost, &told.runs[..]), (Some(true), 0, &[0xfeed][..]));
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_eavesdropper_met_while_running_costs_blocks_and_raises_alarms_at_both_ends() {
    let network = network();
    let layer = layer(&network, 2, HOUR);
    let mut ends = TwoEnds::new(&network, 2);
    ends.start(Receiver, hardware(&layer, Receiver));
    ends.start(Transmitter, hardware(&layer, Transmitter));
    ends.until("a key", |told| !told.keys.is_empty()).await;
    let mut control = control(&layer).await;
    let attack = Attack::InterceptResend { fraction: 1.0, basis: EavesdropperBasis::Random };
    let number = control.inject(LinkEvent::Attack(attack), None).await.unwrap();
    ends.until("four blocks without key", |told| told.discarded.len() >= 4).await;
    ends.until("an alarm", |told| told.alarms.contains(&"qber-high")).await;
    assert!(control.withdraw(Some(number)).await.unwrap());
    let attacked =
        |told: &mut Told| *told.discarded.keys().next().unwrap()..=*told.discarded.keys().last().unwrap();
    let attacked = [Receiver, Transmitter].map(|side| ends.look(side, attacked));
    let after = *attacked[0].end().max(attacked[1].end());
    ends.until("key again", |told| told.keys.keys().any(|block| *block > after + 1)).await;
    ends.shared_keys();
    for side in [Receiver, Transmitter] {
        ends.look(side, |told| {
            assert!(told.discarded.values().all(|why| *why == "no-key"), "{:?}", told.discarded);
            let from_attacked = told.keys.range(attacked[side as usize].clone()).count();
            assert_eq!(from_attacked, 0, "the attacked link makes no key");
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_crashes_makes_key_again_from_what_is_durable() {
    let network = network();
    let layer = layer(&network, 3, HOUR);
    let mut ends = TwoEnds::new(&network, 3);
    ends.start(Receiver, hardware(&layer, Receiver));
    ends.start(Transmitter, hardware(&layer, Transmitter));
    for side in [Transmitter, Receiver] {
        let before = ends.most_keys();
        ends.until("a key", |told| told.keys.len() > before).await;
        ends.crash(side).await;
        ends.start(side, hardware(&layer, side));
        let before = ends.most_keys();
        ends.until("key again", |told| told.keys.len() > before + 1).await;
    }
    assert!(ends.shared_keys().len() >= 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_that_start_anew_count_their_pulses_anew_and_key_goes_on() {
    let network = network();
    let mut ends = TwoEnds::new(&network, 4);
    // What dials the layer finds whichever runs now.
    let now = Arc::new(Mutex::new(layer(&network, 4, HOUR)));
    for side in [Receiver, Transmitter] {
        let now = Arc::clone(&now);
        let dial = move || {
            let layer = now.lock().unwrap().clone();
            std::future::ready(Ok(stream(&layer, node_of(side))))
        };
        ends.start(side, devices(side, "A-B".to_owned(), dial));
    }
    ends.until("a key", |told| !told.keys.is_empty()).await;
    let options = Options { head_start: HOUR, ..Options::new(40, 0xbeef) };
    let other = PhysicalLayer::start(&network, &options).unwrap();
    let old = std::mem::replace(&mut *now.lock().unwrap(), other);
    // The old layer hands its devices to another connection, which ends the ends' own.
    for side in [Receiver, Transmitter] {
        let mut thief = hardware(&old, side);
        thief.signals.recv().await.unwrap();
    }
    ends.until("the other run", |told| told.runs.contains(&0xbeef)).await;
    let before = ends.most_keys();
    ends.until("key again", |told| told.keys.len() > before).await;
    ends.shared_keys();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_session_played_again_wants_the_same_done() {
    let network = network();
    let layer = layer(&network, 5, HOUR);
    let mut ends = TwoEnds::new(&network, 5);
    let entries = [Entries::default(), Entries::default()];
    for side in [Receiver, Transmitter] {
        ends.start_recorded(side, hardware(&layer, side), Some(Arc::clone(&entries[side as usize])));
    }
    ends.until("two keys", |told| told.keys.len() >= 2).await;
    for side in [Receiver, Transmitter] {
        ends.finish(side).await;
        let recorded = std::mem::take(&mut *entries[side as usize].lock().unwrap());
        let count = recorded.len();
        let mut random = ends.random(side, 0);
        assert_eq!(check(side, ends.settings(), &mut random, recorded).unwrap(), count);
        assert!(count > 100, "{count} entries");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_with_one_bit_changed_does_not_play_the_same() {
    let network = network();
    let layer = layer(&network, 6, HOUR);
    let mut ends = TwoEnds::new(&network, 6);
    let entries = Entries::default();
    ends.start(Transmitter, hardware(&layer, Transmitter));
    ends.start_recorded(Receiver, hardware(&layer, Receiver), Some(Arc::clone(&entries)));
    ends.until("a key", |told| !told.keys.is_empty()).await;
    ends.finish(Receiver).await;
    let mut recorded = std::mem::take(&mut *entries.lock().unwrap());
    let window = recorded.iter_mut().find_map(|entry| match &mut entry.input {
        Recorded::Detected(window) => Some(window),
        _ => None,
    });
    window.unwrap().bases.flip(0);
    let mut random = ends.random(Receiver, 0);
    let differs = check(Receiver, ends.settings(), &mut random, recorded);
    assert!(matches!(differs, Err(Difference::Outputs(_))), "{differs:?}");
}
