//! Sites where nothing goes wrong, or one thing at a known time.

use crate::world::{Happening, World, everybody, ms, name};
use bellwether_protocol::keys::Refusal;
use bellwether_protocol::keys::delivery::{
    Alarm, BurnedCause, Command, DeliveryError, Drought, LostCause, Memory, Protection, Settings,
};
use bellwether_units::{Duration, NodeId, Time};
use std::sync::Arc;

fn world(nodes: u32) -> World {
    let mut world = World::new(nodes, everybody(nodes, false), Settings::default(), 1);
    world.run_ms(1000);
    world
}

#[test]
fn both_applications_get_the_same_key_once() {
    let mut world = world(2);
    world.ask("a-0", &["a-1"], 3, 256);
    world.ask("a-1", &["q-0"], 2, 512);
    world.run_ms(100);
    assert_eq!((world.issued.len(), world.collected.len()), (5, 5));
    assert_eq!(world.errors, []);
    let protections: Vec<_> =
        world.issued.values().map(|k| (k.slaves[0].to_string(), k.protection)).collect();
    for (slave, protection) in protections {
        let wanted = if slave == "q-0" { Protection::QuantumOnly } else { Protection::Hybrid };
        assert_eq!(protection, wanted);
    }
    let id = *world.issued.keys().next().unwrap();
    let (slave, master) = (world.issued[&id].slaves[0].clone(), world.issued[&id].master.clone());
    world.collect(slave.as_str(), master.as_str(), &[id]);
    world.run_ms(5000);
    assert_eq!(world.errors, [DeliveryError::NotFound], "a key is collected once");
    assert!(world.lost.is_empty() && world.alarms.is_empty() && world.burned.is_empty());
    assert_eq!(world.managers.iter().flatten().map(|m| m.pending()).sum::<usize>(), 0);
}

#[test]
fn a_key_for_many_goes_to_each_of_them_once() {
    let mut world = world(3);
    world.ask("a-0", &["a-1", "q-2", "q-1", "q-0"], 2, 1024);
    world.run_ms(100);
    assert_eq!((world.issued.len(), world.collected.len()), (2, 8));
    assert!(world.issued.values().all(|k| k.protection == Protection::QuantumOnly));
    world.ask("a-0", &["q-0"], 1, 256);
    world.ask("a-2", &["a-2"], 1, 256);
    world.run_ms(100);
    assert_eq!((world.issued.len(), world.collected.len()), (4, 10));
    assert_eq!(world.issued.values().filter(|k| k.protection == Protection::Local).count(), 2);
    assert_eq!(world.errors, []);
}

#[test]
fn each_refusal_names_its_reason_and_spends_nothing() {
    let mut world = world(2);
    world.collects = false;
    let stock = |w: &World| w.managers[0].as_ref().unwrap().stock_bits(NodeId(1));
    let before = stock(&world);
    let ask = |world: &mut World, slaves: &[&str], number, bits| {
        world.errors.clear();
        world.ask("a-0", slaves, number, bits);
        world.run_ms(10_000);
        world.errors.clone()
    };
    let (min, max) = (64, 1 << 16);
    assert_eq!(ask(&mut world, &["nobody"], 1, 256), [DeliveryError::NotAllowed]);
    assert_eq!(ask(&mut world, &["a-1"], 1, 257), [DeliveryError::Size { asked: 257, min, max }]);
    assert_eq!(ask(&mut world, &["a-1"], 1, 56), [DeliveryError::Size { asked: 56, min, max }]);
    assert_eq!(ask(&mut world, &["a-1"], 0, 256), [DeliveryError::Number { asked: 0, max: 128 }]);
    assert_eq!(ask(&mut world, &["a-1"], 129, 256), [DeliveryError::Number { asked: 129, max: 128 }]);
    assert_eq!(ask(&mut world, &["a-1"], 33, 1 << 16), [DeliveryError::Number { asked: 33, max: 32 }]);
    let crowd: Vec<_> = (0..18).map(|_| "a-1").collect();
    assert_eq!(ask(&mut world, &crowd, 1, 256), [DeliveryError::TooManySlaves { asked: 17, max: 16 }]);
    assert_eq!(stock(&world), before);
    world.at(world.now, Happening::Quantumless(Some(Refusal::PoolsEmpty)));
    assert_eq!(
        ask(&mut world, &["a-1"], 30, 1 << 16),
        [DeliveryError::Insufficient { available: before, drought: None }]
    );
    assert_eq!(stock(&world), before);

    assert_eq!(ask(&mut world, &["a-1"], 2, 256), []);
    let ids: Vec<_> = world.issued.keys().copied().collect();
    let collect = |world: &mut World, slave, master, ids: &[_]| {
        world.errors.clear();
        world.collect(slave, master, ids);
        world.run_ms(10_000);
        world.errors.clone()
    };
    let stranger = bellwether_protocol::keys::KeyId(1);
    assert_eq!(collect(&mut world, "q-1", "a-0", &ids), [DeliveryError::NotAllowed]);
    assert_eq!(collect(&mut world, "a-1", "q-0", &ids), [DeliveryError::NotFound]);
    assert_eq!(collect(&mut world, "a-1", "a-0", &[ids[0], stranger]), [DeliveryError::NotFound]);
    assert_eq!(collect(&mut world, "a-1", "a-0", &[]), [DeliveryError::Number { asked: 0, max: 128 }]);
    let twice = [ids[0], ids[0]];
    assert_eq!(collect(&mut world, "a-1", "a-0", &twice), [DeliveryError::Number { asked: 2, max: 128 }]);
    assert!(world.collected.is_empty());
    assert_eq!(collect(&mut world, "a-1", "a-0", &ids), []);
    assert_eq!(world.collected.len(), 2);
}

#[test]
fn nothing_leaves_before_it_is_durable() {
    let mut world = world(2);
    let (frames, store) = (world.frames, world.stores.clone());
    world.stuck_disk = true;
    world.ask("a-0", &["a-1"], 1, 256);
    world.run_ms(5000);
    assert!(world.issued.is_empty());
    assert_eq!((world.frames, world.stores.clone()), (frames, store));
}

#[test]
fn a_request_waits_for_key_and_is_then_served() {
    let mut world = World::new(2, everybody(2, false), Settings::default(), 1);
    world.at_ms(0, Happening::Quantumless(Some(Refusal::PoolsEmpty)));
    world.run_ms(500);
    world.ask("a-0", &["a-1"], 4, 4096);
    world.run_ms(500);
    assert!(world.issued.is_empty());
    world.at(world.now, Happening::Quantumless(None));
    world.run_ms(1400);
    assert_eq!((world.issued.len(), world.collected.len()), (4, 4));
}

#[test]
fn differing_bits_are_found_and_never_used() {
    let mut world = World::new(2, everybody(2, false), Settings::default(), 1);
    world.spoiled = true;
    world.run_ms(200);
    world.ask("a-0", &["a-1"], 1, 256);
    world.run_ms(3000);
    assert!(world.issued.is_empty());
    assert!(world.alarms.iter().any(
        |(node, alarm)| *node == 0 && matches!(alarm, Alarm::Mismatch { peer, .. } if *peer == NodeId(1))
    ));
    assert!(world.burned.iter().all(|(_, cause)| *cause == BurnedCause::Mismatch));
    assert_eq!(world.managers[0].as_ref().unwrap().stock_bits(NodeId(1)), 0);
    world.spoiled = false;
    world.run_ms(5000);
    world.ask("a-0", &["a-1"], 1, 256);
    world.run_ms(1000);
    assert_eq!(world.collected.len(), 1, "the pool is usable again");
}

#[test]
fn policy_says_what_happens_without_quantum_key() {
    without_quantum_key(Refusal::LinkAlarmed);
}

/// A line that is jammed by loss raises no alarm that would close it.
#[test]
fn policy_says_what_happens_when_the_pools_stay_empty() {
    without_quantum_key(Refusal::PoolsEmpty);
}

fn without_quantum_key(reason: Refusal) {
    for downgrade in [false, true] {
        let settings = Settings { starved_after: Duration::from_whole_seconds(3), ..Settings::default() };
        let mut world = World::new(2, everybody(2, downgrade), settings, 1);
        world.run_ms(1000);
        world.at(world.now, Happening::Quantumless(Some(reason)));
        if reason == Refusal::PoolsEmpty {
            // What is asked for keeps the stock at its least, and so the wait for more begins.
            world.ask("a-0", &["a-1"], 10, 256);
            world.run_ms(2000);
            assert_eq!(world.downgrades, [], "it is not down before its time");
            world.run_ms(3000);
        }
        let already = world.issued.len();
        // More than the stock: the first come from it, the others show the policy.
        for _ in 0..40 {
            world.ask("a-0", &["a-1"], 10, 256);
            world.run_ms(100);
        }
        world.run_ms(5000);
        let count = |p| world.issued.values().filter(|k| k.protection == p).count();
        let (hybrid, post_quantum) = (count(Protection::Hybrid), count(Protection::PostQuantumOnly));
        assert!(hybrid >= 60, "{hybrid} keys from stock");
        assert_eq!(post_quantum, if downgrade { 400 + already - hybrid } else { 0 });
        assert_eq!(world.collected.len(), world.issued.len());
        assert_eq!(world.downgrades.contains(&(0, Some(reason))), downgrade);
        // Who wants quantum key as it is gets nothing else.
        world.ask("a-0", &["q-1"], 10, 4096);
        world.run_ms(5000);
        let drought = Some(Drought { reason, paths: 1 });
        assert!(
            matches!(world.errors.last(), Some(DeliveryError::Insufficient { drought: why, .. }) if *why == drought),
            "{:?}",
            world.errors
        );
        world.at(world.now, Happening::Quantumless(None));
        world.run_ms(10_000);
        world.ask("a-0", &["a-1"], 1, 256);
        world.run_ms(100);
        let last = world.issued.values().max_by_key(|k| k.at).unwrap();
        assert_eq!(last.protection, Protection::Hybrid, "back as soon as there is key");
        assert_eq!(world.downgrades.contains(&(0, None)), downgrade);
    }
}

#[test]
fn an_outage_of_one_site_is_survived() {
    let mut world = world(2);
    world.at(world.now, Happening::Crash(1));
    world.ask("a-0", &["a-1"], 5, 256);
    world.run_ms(1000);
    assert_eq!((world.issued.len(), world.collected.len()), (5, 0), "the owner needs no one to allocate");
    world.at(world.now, Happening::Restart(1, 0));
    world.run_ms(10_000);
    world.check_agreement();
    assert_eq!(world.collected.len(), 5, "the announcements were made good");
    world.at(world.now, Happening::Crash(0));
    world.at(world.now + ms(100), Happening::Restart(0, 0));
    world.run_ms(3000);
    world.ask("a-0", &["a-1"], 5, 256);
    world.run_ms(1000);
    assert_eq!(world.collected.len(), 10);
    assert!(world.lost.is_empty() && world.alarms.is_empty() && world.burned.is_empty());
}

/// The driver vouches for the store, wrongly; the peer remembers more.
#[test]
fn a_peer_is_the_witness_of_a_rolled_back_store() {
    for forgets in [0, 1] {
        let mut world = world(2);
        let old = world.stores[forgets].clone();
        world.ask("a-0", &["a-1"], 5, 256);
        world.run_ms(3000);
        assert_eq!(world.collected.len(), 5);
        world.at(world.now, Happening::Crash(forgets));
        world.run_ms(1);
        world.stores[forgets] = old;
        world.restore(forgets, Memory::Current);
        world.run_ms(10_000);
        let peer = NodeId(1 - forgets as u32);
        assert!(world.alarms.contains(&(forgets, Alarm::RolledBack { witness: Some(peer) })));
        world.ask("a-0", &["q-1"], 5, 256);
        world.ask("q-1", &["q-0"], 5, 256);
        world.run_ms(1000);
        assert_eq!(world.collected.len(), 15, "and all goes on with other key");
        assert_eq!(world.alarms.len(), 1);
    }
}

#[test]
fn keys_that_nobody_collects_expire() {
    let settings = Settings { lifetime: Duration::from_whole_seconds(20), ..Settings::default() };
    let mut world = World::new(2, everybody(2, false), settings, 1);
    world.run_ms(1000);
    world.collects = false;
    world.ask("a-0", &["a-1"], 5, 256);
    world.run_ms(15_000);
    assert_eq!(world.managers[1].as_ref().unwrap().pending(), 5);
    world.run_ms(10_000);
    assert_eq!(world.managers[1].as_ref().unwrap().pending(), 0);
    assert_eq!(world.lost.len(), 5);
    assert!(world.lost.values().all(|cause| *cause == LostCause::Expired));
}

#[test]
fn a_directory_may_change_while_all_runs() {
    let mut world = world(2);
    world.collects = false;
    world.ask("a-0", &["a-1"], 1, 256);
    world.run_ms(100);
    let ids: Vec<_> = world.issued.keys().copied().collect();
    let nobody = Arc::new(bellwether_protocol::keys::delivery::Directory::default());
    world.at(world.now, Happening::Do(1, Command::Directory(nobody)));
    world.collect("a-1", "a-0", &ids);
    world.run_ms(100);
    assert_eq!(world.errors, [DeliveryError::NotAllowed]);
    let all = Arc::clone(&world.directory);
    world.at(world.now, Happening::Do(1, Command::Directory(all)));
    world.collect("a-1", "a-0", &ids);
    world.run_ms(100);
    assert_eq!(world.collected.len(), 1);
}

#[test]
fn a_policy_that_allows_a_downgrade_while_the_quantum_channel_is_down_is_told_like_one_before() {
    let mut world = World::new(2, everybody(2, false), Settings::default(), 1);
    world.run_ms(1000);
    world.at(world.now, Happening::Quantumless(Some(Refusal::LinkCut)));
    for _ in 0..20 {
        world.ask("a-0", &["a-1"], 10, 256);
        world.run_ms(500);
    }
    assert_eq!(world.downgrades, []);
    for (downgrade, told) in [(true, Some(Refusal::LinkCut)), (false, None)] {
        let directory = Arc::new(everybody(2, downgrade));
        for node in [0, 1] {
            world.at(world.now, Happening::Do(node, Command::Directory(Arc::clone(&directory))));
        }
        world.run_ms(100);
        assert!(world.downgrades.iter().any(|&(_, reason)| reason == told), "{:?}", world.downgrades);
        assert!(world.downgrades.iter().all(|&(_, reason)| downgrade == reason.is_some()));
        world.downgrades.clear();
    }
}

#[test]
fn a_status_tells_what_could_be_had() {
    let world = world(2);
    let manager = world.managers[0].as_ref().unwrap();
    let status = manager.status(&name("a-0"), &name("a-1")).unwrap();
    assert_eq!((status.source, status.target, status.key_size), (NodeId(0), NodeId(1), 256));
    assert_eq!(status.stored_key_count, manager.stock_bits(NodeId(1)) / 256);
    assert!((64..=status.max_key_count).contains(&status.stored_key_count));
    for (caller, slave) in [("a-1", "a-0"), ("a-0", "nobody"), ("nobody", "a-0")] {
        assert_eq!(manager.status(&name(caller), &name(slave)), Err(DeliveryError::NotAllowed));
    }
    assert!(world.now > Time::ZERO);
}

#[test]
fn a_drought_tells_of_routes_where_several_are_wanted() {
    let told = |reason, paths| Drought { reason, paths }.to_string();
    assert_eq!(told(Refusal::LinkCut, 1), "every way there has a cut link");
    assert_eq!(
        told(Refusal::LinkCut, 3),
        "fewer than 3 routes with no relay in common lead there without a cut link"
    );
    assert_eq!(told(Refusal::Unreachable, 3), told(Refusal::Unreachable, 1));
    let error = DeliveryError::Insufficient { available: 64, drought: None };
    assert_eq!(error.to_string(), "too little key: 64 bits are there");
    let drought = Some(Drought { reason: Refusal::NoRoute, paths: 2 });
    let error = DeliveryError::Insufficient { available: 64, drought };
    assert!(
        error.to_string().ends_with("are there; fewer than 2 routes with no relay in common lead there"),
        "{error}"
    );
}
