//! Networks in which nothing goes wrong, or one thing at a known time.

use crate::world::{Happening, Weather, World, ms};
use bellwether_protocol::keys::{Command, LinkCondition, Refusal, Settings, Topology};
use bellwether_units::{LinkId, NodeId};

fn topology(nodes: u32, links: &[(u32, u32)]) -> Topology {
    let links: Vec<_> = links.iter().map(|&(a, b)| (NodeId(a), NodeId(b))).collect();
    Topology::new(nodes, &links).unwrap()
}
fn world(nodes: u32, links: &[(u32, u32)]) -> World {
    World::new(topology(nodes, links), Settings::default(), Weather::FAIR, 1)
}
const RING: [(u32, u32); 5] = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0)];

#[test]
fn neighbours_share_keys_straight_from_their_pool() {
    let mut world = world(2, &[(0, 1)]);
    world.fill(1);
    world.run_ms(50);
    world.request(0, 1, 256, 1000);
    world.request(1, 0, 1024, 1000);
    world.run_ms(1000);
    assert_eq!(world.delivered_at_both(), 2);
    let taken: Vec<_> = world.nodes.iter().flatten().map(|n| n.pool(LinkId(0)).unwrap()).collect();
    // Each key costs its bits, two tokens and a tag.
    assert_eq!((taken[0].taken, taken[0].received), (256 + 192, 1024 + 192));
    assert_eq!((taken[1].taken, taken[1].received), (1024 + 192, 256 + 192));
    world.check_books();
    world.check_agreement();
}

#[test]
fn a_key_crosses_relays_and_they_are_named() {
    let mut world = world(4, &[(0, 1), (1, 2), (2, 3)]);
    world.fill(1);
    world.run_ms(50);
    world.request(0, 3, 2048, 1000);
    world.run_ms(1000);
    assert_eq!(world.delivered_at_both(), 1);
    let key = world.delivered.values().next().unwrap();
    assert_eq!(key.nodes, [0, 1, 2, 3].map(NodeId));
    assert_eq!(key.routes, [[0, 1, 2].map(LinkId)]);
    assert_eq!(key.key.len(), 2048);
    assert_eq!(world.relayed.iter().map(|r| r.0).collect::<Vec<_>>(), [NodeId(1), NodeId(2)]);
    for link in 0..3 {
        let pool = world.nodes[link as usize].as_ref().unwrap().pool(LinkId(link)).unwrap();
        assert_eq!(pool.taken, 2048 + 192);
    }
    world.check_books();
}

#[test]
fn a_key_of_two_shares_takes_two_routes_and_no_relay_sees_both() {
    let mut world = world(5, &RING);
    world.fill(1);
    world.run_ms(50);
    world.demand(0, 2, 512, 100, 2);
    world.run_ms(450);
    assert_eq!(world.delivered_at_both(), 5);
    for key in world.delivered.values() {
        assert_eq!(key.routes, [vec![LinkId(0), LinkId(1)], vec![LinkId(4), LinkId(3), LinkId(2)]]);
        assert_eq!(key.nodes, [0, 1, 4, 3, 2].map(NodeId));
    }
    world.demand(0, 2, 512, 100, 3);
    world.run_ms(50);
    assert_eq!(world.refused, [(NodeId(0), Refusal::NoRoute)]);
}

#[test]
fn nothing_leaves_before_its_taking_is_durable() {
    let mut world = world(2, &[(0, 1)]);
    world.fill(1);
    world.run_ms(50);
    world.stuck_disk = true;
    world.request(0, 1, 256, 1000);
    world.run_ms(5000);
    assert_eq!(world.transfers_sent, 0);
    assert!(world.delivered.is_empty());
}

#[test]
fn nothing_is_stored_or_used_that_the_peer_does_not_hold() {
    let mut world = world(2, &[(0, 1)]);
    world.at_ms(0, Happening::Crash(NodeId(1)));
    world.at_ms(1, Happening::Store(LinkId(0)));
    world.at_ms(100, Happening::Restart(NodeId(1)));
    world.run_ms(200);
    let node = |w: &World| w.nodes[0].as_ref().unwrap().pool(LinkId(0)).unwrap();
    assert_eq!((node(&world).outgoing, node(&world).unconfirmed), (0, 8192 - 128));
    world.request(0, 1, 256, 1000);
    world.run_ms(200_000);
    assert_eq!(node(&world).burned, 8192 - 128, "it is burned when the peer never confirms it");
    assert_eq!(world.refused, [(NodeId(0), Refusal::PoolsEmpty)]);
    world.check_books();
}

#[test]
fn a_cut_is_gone_around_and_nothing_passes_it() {
    let mut world = world(5, &RING);
    world.fill(20);
    world.run_ms(50);
    world.demand(0, 2, 256, 20, 1);
    world.run_ms(1000);
    let before = world.delivered_at_both();
    assert!(before >= 45, "{before} of 50 keys");
    world.at(world.now, Happening::Condition(LinkId(1), LinkCondition::Cut));
    let cut = world.now;
    world.run_ms(1000);
    let after: Vec<_> = world.delivered.values().filter(|k| k.since > cut + ms(5)).collect();
    assert!(after.len() >= 2 * 45, "{} of 100 ends", after.len());
    assert!(after.iter().all(|k| !k.routes[0].contains(&LinkId(1))));
    assert!(world.rerouted > 0 || world.refused.is_empty());
    world.at(world.now, Happening::Condition(LinkId(1), LinkCondition::Up));
    world.run_ms(3000);
    let late: Vec<_> = world.delivered.values().filter(|k| k.since + ms(500) > world.now).collect();
    assert!(late.iter().all(|k| k.routes[0] == [LinkId(0), LinkId(1)]), "the short way is taken again");
    world.check_books();
}

#[test]
fn each_refusal_names_its_reason() {
    let line = topology(5, &[(0, 1), (1, 2), (3, 4)]);
    let mut world = World::new(line, Settings::default(), Weather::FAIR, 1);
    world.fill(1);
    world.run_ms(50);
    let ask = |world: &mut World, to, bits, patience| {
        world.refused.clear();
        world.request(0, to, bits, patience);
        world.run_ms(patience + 100);
        world.refused.iter().map(|r| r.1).collect::<Vec<_>>()
    };
    assert_eq!(ask(&mut world, 0, 256, 100), [Refusal::UnknownNode]);
    assert_eq!(ask(&mut world, 9, 256, 100), [Refusal::UnknownNode]);
    assert_eq!(ask(&mut world, 1, 257, 100), [Refusal::Size]);
    assert_eq!(ask(&mut world, 1, 1 << 24, 100), [Refusal::Size]);
    assert_eq!(ask(&mut world, 4, 256, 100), [Refusal::NoRoute]);
    assert_eq!(ask(&mut world, 2, 1 << 20, 100), [Refusal::PoolsEmpty]);
    world.at(world.now, Happening::Condition(LinkId(1), LinkCondition::Alarmed));
    assert_eq!(ask(&mut world, 2, 256, 100), [Refusal::LinkAlarmed]);
    world.at(world.now, Happening::Condition(LinkId(1), LinkCondition::Cut));
    assert_eq!(ask(&mut world, 2, 256, 100), [Refusal::LinkCut]);
    world.at(world.now, Happening::Condition(LinkId(1), LinkCondition::Up));
    world.at(world.now, Happening::Crash(NodeId(2)));
    assert_eq!(ask(&mut world, 2, 256, 30_000), [Refusal::Unreachable]);
    world.check_books();
}

#[test]
fn one_end_borrows_what_the_other_does_not_use() {
    let mut world = world(2, &[(0, 1)]);
    world.fill(10);
    world.run_ms(50);
    world.demand(0, 1, 256, 5, 1);
    world.run_ms(5000);
    let pool = world.nodes[0].as_ref().unwrap().pool(LinkId(0)).unwrap();
    let share = pool.taken as f64 / pool.stored as f64;
    assert!(share > 0.85, "one direction uses {share} of the key");
    assert!(pool.taken / (256 + 192) == world.delivered_at_both() as u64);
    world.check_books();
}

#[test]
fn priority_goes_first_when_key_is_short() {
    let mut world = world(2, &[(0, 1)]);
    for (id, priority) in [(0, 1), (1, 7), (2, 4)] {
        let request = bellwether_protocol::keys::Request {
            id: bellwether_protocol::keys::RequestId(id),
            to: NodeId(1),
            bits: 1024,
            least_bits: 1024,
            priority,
            patience: ms(3000),
            paths: 1,
        };
        world.at(world.now, Happening::Do(NodeId(0), Command::Request(request)));
    }
    world.run_ms(10);
    world.block_bits = 128 + 2 * (1024 + 192);
    world.fill(1);
    world.run_ms(100);
    assert_eq!(world.delivered.values().map(|k| k.request.0).collect::<Vec<_>>(), [1, 1]);
    world.fill(1);
    world.run_ms(5000);
    let served: std::collections::BTreeSet<_> = world.delivered.values().map(|k| k.request.0).collect();
    assert!(served.contains(&2), "{served:?}");
}

#[test]
fn emulated_key_changes_nothing_that_can_be_seen_but_the_key() {
    let run = |emulated| {
        let mut world = world(5, &RING);
        world.emulated = emulated;
        world.fill(3);
        world.run_ms(50);
        world.demand(0, 2, 256, 30, 1);
        world.demand(3, 1, 512, 40, 2);
        world.run_ms(2000);
        world.check_books();
        world.delivered.into_iter().map(|(k, v)| (k, v.routes, v.since)).collect::<Vec<_>>()
    };
    let (held, emulated) = (run(false), run(true));
    assert!(held.len() > 20);
    assert_eq!(held, emulated);
}

#[test]
fn a_pool_that_is_always_nearly_empty_and_lends_loses_no_key() {
    let weather = Weather { longest_write_ms: 5, ..Weather::FAIR };
    for seed in 0..20 {
        let mut world = World::new(
            topology(2, &[(0, 1)]),
            Settings { retry: ms(2), ..Settings::default() },
            weather,
            seed,
        );
        world.block_bits = 8192;
        for round in 0..200 {
            world.request(0, 1, 1024, 10_000);
            // One end asks for much more than half of what there is.
            if round % 16 == 0 {
                world.request(1, 0, 1024, 10_000);
            }
            if round % 5 == 0 {
                world.fill(1);
            }
            world.run_ms(7);
        }
        world.run_ms(12_000);
        let pools: Vec<_> = world.nodes.iter().flatten().map(|node| node.pool(LinkId(0)).unwrap()).collect();
        assert!(pools[0].taken > pools[0].stored / 2, "the first end never borrowed: {:?}", pools[0]);
        assert_eq!((pools[0].burned, pools[1].burned, world.rerouted), (0, 0, 0), "seed {seed}");
        world.check_books();
        world.check_agreement();
    }
}

#[test]
fn a_request_that_is_content_with_less_gets_what_there_is() {
    let mut world = world(2, &[(0, 1)]);
    // One half is for each end.
    world.block_bits = 128 + 2 * (2048 + 192);
    world.fill(1);
    world.run_ms(10);
    let request = |id, bits, least_bits| {
        let (id, to, patience) = (bellwether_protocol::keys::RequestId(id), NodeId(1), ms(2000));
        let request =
            bellwether_protocol::keys::Request { id, to, bits, least_bits, priority: 0, patience, paths: 1 };
        Happening::Do(NodeId(0), Command::Request(request))
    };
    world.at(world.now, request(0, 8192, 512));
    world.run_ms(100);
    assert_eq!(
        world.delivered.values().map(|k| (k.request.0, k.key.len())).collect::<Vec<_>>(),
        [(0, 2048); 2]
    );
    // The least is not above what is asked for, and not below the shortest key.
    world.at(world.now, request(1, 512, 1024));
    world.at(world.now, request(2, 1024, 8));
    world.run_ms(10);
    assert_eq!(world.refused, [(NodeId(0), Refusal::Size), (NodeId(0), Refusal::Size)]);
    // Nothing is there for a size whose eighth is no whole number of bytes.
    world.at(world.now, request(4, 8264, 1024));
    world.run_ms(2100);
    assert_eq!(world.refused.last(), Some(&(NodeId(0), Refusal::PoolsEmpty)));
    world.fill(1);
    world.run_ms(10);
    // Less than an eighth is worth taking only after a while; the rest of the pool is borrowed meanwhile.
    world.at(world.now, request(3, 1 << 17, 64));
    world.run_ms(3000);
    let third: Vec<_> = world.delivered.values().filter(|k| k.request.0 == 3).map(|k| k.key.len()).collect();
    assert!(third.len() == 2 && third[0] >= 64 && third[0] < 1 << 14, "{third:?}");
    world.check_books();
}
