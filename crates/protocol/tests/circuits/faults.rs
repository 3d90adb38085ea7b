//! Random chains under random faults: what must hold holds in each.

use crate::schedules::ten_thousand;
use crate::world::{Happening, Weather, World, us};
use bellwether_protocol::entanglement::network::PairChoice;
use bellwether_units::{EntityId, Purpose, Stream};
use proptest::prelude::*;

/// A second of trouble.
fn troubled(seed: u64, crashes: bool) -> World {
    let mut s = Stream::new(seed, EntityId(1), Purpose::named("faults"));
    let nodes = 2 + s.below(5) as usize;
    let weather = Weather {
        loss: 0.3 * s.uniform() * s.uniform(),
        duplication: 0.2 * s.uniform(),
        longest_delay_us: 1 + s.below(3000),
        lost_heralds: 0.1 * s.uniform(),
        revocations: 0.1 * s.uniform(),
        failed_swaps: 0.2 * s.uniform(),
        errors: 0.2 * s.uniform(),
    };
    let mut world = World::new(nodes, 1 + s.below(6) as u16, weather, seed);
    world.cutoff = s.chance(0.7).then(|| us(500 + s.below(30_000)));
    world.choice = if s.chance(0.5) { PairChoice::Oldest } else { PairChoice::Youngest };
    for _ in 0..1 + s.below(3) {
        let head = s.below(nodes as u64 - 1) as usize;
        let tail = head + 1 + s.below((nodes - head - 1) as u64) as usize;
        let way = world.way(head, tail);
        for request in 0..1 + s.below(4) {
            let pairs = s.chance(0.7).then(|| 1 + s.below(50));
            let id = world.ask(way, request, pairs);
            if pairs.is_none() || s.chance(0.2) {
                world.at_us(s.below(1_000_000), Happening::Withdraw { circuit: way, request: id });
            }
        }
        if s.chance(0.2) {
            world.at_us(s.below(1_000_000), Happening::Remove(way));
        }
    }
    for _ in 0..if crashes { s.below(8) } else { 0 } {
        let node = s.below(nodes as u64) as usize;
        let at = s.below(1_000_000);
        world.at_us(at, Happening::Crash(node));
        world.at_us(at + s.below(50_000), Happening::Restart(node));
    }
    world.run_us(1_100_000);
    world
}

/// Ends the trouble and all requests: then every memory is free again, and no link makes pairs.
fn settle(world: &mut World) {
    let mut calm = Weather::FAIR;
    calm.longest_delay_us = world.weather.longest_delay_us;
    world.weather = calm;
    for way in 0..world.ways.len() {
        for request in 0..4 {
            let request = bellwether_protocol::entanglement::network::RequestId(request);
            world.at(world.now, Happening::Withdraw { circuit: way, request });
        }
    }
    world.run_us(3_000_000);
    assert_eq!(world.wanted_links(), 0, "links make pairs for nobody");
    assert_eq!(world.held(), 0, "halves are held for nobody");
    assert_eq!(world.occupied(), 0, "memories are lost");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn ends_agree_and_memories_come_back(seed: u64) {
        settle(&mut troubled(seed, false));
    }

    #[test]
    fn ends_agree_and_memories_come_back_through_crashes(seed: u64) {
        settle(&mut troubled(seed, true));
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let world = troubled(seed, true);
        (world.messages, world.delivered.into_keys().collect::<Vec<_>>())
    };
    for seed in 0..5 {
        assert_eq!(run(seed), run(seed));
    }
}

#[test]
fn trouble_is_trouble_and_pairs_come_through_it() {
    let agreed: Vec<_> = (0..50).map(|seed| troubled(seed, true).agreed()).collect();
    assert!(agreed.iter().map(|(both, _)| both).sum::<usize>() > 2000, "{agreed:?}");
}

/// The long version: `cargo test -p bellwether-protocol --test circuits -- --ignored`; `SEED=n` replays one.
#[test]
#[ignore = "ten thousand schedules take minutes"]
fn ten_thousand_schedules() {
    ten_thousand(|seed| settle(&mut troubled(seed, true)));
}

/// Both ends have a pair or neither has, but for an end that crashed, or whose every word was lost.
#[test]
fn hardly_a_pair_is_at_one_end_alone() {
    let sum = |crashes| {
        let settled = (0..100).map(|seed| {
            let mut world = troubled(seed, crashes);
            settle(&mut world);
            world.agreed()
        });
        settled.fold((0, 0), |sum, (both, one)| (sum.0 + both, sum.1 + one))
    };
    let (both, one) = sum(false);
    assert!(both > 5000 && one * 200 < both, "{both} {one}");
    let (both, one) = sum(true);
    assert!(both > 5000 && one * 100 < both, "{both} {one}");
}
