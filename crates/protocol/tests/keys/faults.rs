//! Random networks under random faults: what must hold holds in each.

use crate::schedules::ten_thousand;
use crate::world::{Happening, Weather, World};
use bellwether_protocol::keys::{LinkCondition, Settings, Topology};
use bellwether_units::{Duration, EntityId, LinkId, NodeId, Purpose, Stream};
use proptest::prelude::*;

/// A connected graph, some nodes of which may not relay.
fn graph(s: &mut Stream) -> Topology {
    let nodes = 2 + s.below(7) as u32;
    let mut links: Vec<_> = (1..nodes).map(|n| (NodeId(s.below(n.into()) as u32), NodeId(n))).collect();
    for _ in 0..s.below(6) {
        let (a, b) = (s.below(nodes.into()) as u32, s.below(nodes.into()) as u32);
        if a != b {
            links.push((NodeId(a), NodeId(b)));
        }
    }
    let distrusted: Vec<_> = (0..nodes).filter(|_| s.chance(0.1)).map(NodeId).collect();
    Topology::new(nodes, &links).unwrap().without_relay(distrusted)
}

/// Twenty seconds of trouble, then peace. The same seed gives the same run.
fn troubled(seed: u64, crashes: bool, tampering: f64) -> World {
    let mut s = Stream::new(seed, EntityId(1), Purpose::named("faults"));
    let topology = graph(&mut s);
    let weather = Weather {
        loss: 0.3 * s.uniform() * s.uniform(),
        duplication: 0.2 * s.uniform(),
        tampering,
        longest_delay_ms: 1 + s.below(150),
        longest_write_ms: s.below(30),
    };
    let settings = Settings {
        pool_capacity: 1 << (14 + s.below(6)),
        doubt_limit: Duration::from_whole_seconds(if s.chance(0.2) { 15 } else { 600 }),
        level_radius: s.below(4) as u8 * 8,
        ..Settings::default()
    };
    let mut world = World::new(topology, settings, weather, seed);
    world.block_bits = 600 + s.below(12_000) as u32;
    // Of the journals that nodes are restored from, some are whole, some compacted now and then, some always.
    world.compaction = [0.0, 0.02, 0.3][(seed % 3) as usize];
    let (nodes, links) = (world.topology.node_count() as u64, world.topology.link_count() as u64);
    for link in 0..links {
        let interval = 100 + s.below(1500);
        for i in 0..20_000 / interval {
            world.at_ms(i * interval, Happening::Store(LinkId(link as u32)));
        }
    }
    for _ in 0..1 + s.below(4) {
        let (from, to) = (s.below(nodes) as u32, s.below(nodes) as u32);
        let paths = if s.chance(0.3) { 2 } else { 1 };
        world.demand(from, to, 64 + 8 * s.below(100) as u32, 20 + s.below(400), paths);
    }
    for _ in 0..s.below(12) {
        let link = LinkId(s.below(links) as u32);
        let condition = if s.chance(0.5) { LinkCondition::Cut } else { LinkCondition::Alarmed };
        let at = s.below(20_000);
        world.at_ms(at, Happening::Condition(link, condition));
        world.at_ms(at + s.below(6000), Happening::Condition(link, LinkCondition::Up));
    }
    for _ in 0..if crashes { s.below(12) } else { 0 } {
        let node = NodeId(s.below(nodes) as u32);
        let at = s.below(20_000);
        world.at_ms(at, Happening::Crash(node));
        world.at_ms(at + s.below(4000), Happening::Restart(node));
    }
    for _ in 0..100 {
        world.run_ms(200);
        world.check_books();
    }
    world
}

/// Ends the trouble, lets everything settle, and checks that all is agreed and usable again.
fn settle(world: &mut World) {
    calm(world);
    serve_again(world);
    assert_eq!(world.forged, 0);
}

fn calm(world: &mut World) {
    world.run_ms(10_000);
    world.weather = Weather::FAIR;
    world.end_demands();
    for node in 0..world.topology.node_count() as u32 {
        world.at(world.now, Happening::Restart(NodeId(node)));
    }
    for link in 0..world.topology.link_count() as u32 {
        world.at(world.now, Happening::Condition(LinkId(link), LinkCondition::Up));
    }
    world.run_ms(700_000);
    world.check_books();
    world.check_agreement();
    for node in world.nodes.iter().flatten() {
        assert_eq!(node.undecided(), 0, "{} holds undecided keys", node.id());
        assert_eq!(node.pending(), 0, "{} has unanswered requests", node.id());
    }
}

/// Every pool serves, in both directions.
fn serve_again(world: &mut World) {
    world.block_bits = 8192;
    for _ in 0..10 {
        world.fill(1);
        world.run_ms(10_000);
    }
    let before = world.delivered_at_both();
    for link in 0..world.topology.link_count() as u32 {
        let [a, b] = world.topology.ends(LinkId(link)).unwrap();
        world.request(a.0, b.0, 256, 30_000);
        world.request(b.0, a.0, 256, 30_000);
    }
    world.run_ms(35_000);
    assert_eq!(world.delivered_at_both() - before, 2 * world.topology.link_count());
    world.check_books();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn keys_agree_under_loss_reordering_cuts_and_alarms(seed: u64) {
        settle(&mut troubled(seed, false, 0.0));
    }

    #[test]
    fn keys_agree_or_are_reported_through_crashes(seed: u64) {
        settle(&mut troubled(seed, true, 0.0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Half of what is sent between the nodes is spoiled or forged on the way. Key may be burned by that; it is
    /// never used twice, never wrong, and never at one end alone without a report.
    #[test]
    fn tampering_burns_key_and_does_nothing_worse(seed: u64, part in 0.01..0.5) {
        calm(&mut troubled(seed, seed % 2 == 0, part));
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let ids = |seed| troubled(seed, true, 0.0).delivered.into_keys().collect::<Vec<_>>();
    assert_eq!(ids(7), ids(7));
}

/// In 1313 a loan stayed under way for ever, because the borrower had nothing left to borrow against; in 7049 a node
/// that came back believed an alarm that was long over.
#[test]
fn schedules_that_once_did_not_heal() {
    [1313, 7049].into_iter().for_each(|seed| settle(&mut troubled(seed, true, 0.0)));
}

/// The long version: `cargo test -p bellwether-protocol --release --test keys -- --ignored`; `SEED=n` replays one.
#[test]
#[ignore = "ten thousand schedules take minutes"]
fn ten_thousand_schedules() {
    ten_thousand(|seed| settle(&mut troubled(seed, true, 0.0)));
}

#[test]
fn tampering_is_seen_and_keys_still_come_through() {
    let worlds: Vec<_> = (0..20).map(|seed| troubled(seed, false, 0.1)).collect();
    assert!(worlds.iter().map(World::delivered_at_both).sum::<usize>() > 500);
    assert!(worlds.iter().map(|world| world.forged).sum::<usize>() > 100);
}
