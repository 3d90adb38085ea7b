//! A link on which nothing goes wrong.

use crate::link_world::{Weather, World, settings};
use bellwether_protocol::entanglement::CircuitId;
use bellwether_protocol::entanglement::link::{
    BasisChoice, BasisSet, LinkPolicy, LinkRequest, LinkUser, PairKind, RequestId,
};

fn fair(memories: usize) -> World {
    World::new([memories; 2], settings(), Weather::FAIR, 1)
}

const GAME: LinkUser = LinkUser::Application(17);

#[test]
fn pairs_that_are_asked_for_come_to_both_ends() {
    for side in 0..2 {
        let mut world = fair(1);
        world.create(side, LinkRequest::keep(RequestId(5), GAME, 20));
        world.run_us(100_000);
        assert_eq!(world.sides[side].finished[&RequestId(5)], Ok(()));
        assert_eq!(world.delivered_to(0, GAME).len(), 20);
        assert_eq!(world.delivered_to(0, GAME), world.delivered_to(1, GAME));
        assert_eq!(world.armed(0) + world.armed(1), 0);
        for end in world.sides.iter().flat_map(|side| &side.end) {
            assert_eq!((end.queue_length(), end.unanswered_messages()), (0, 0));
        }
        // Two greetings and their answers, the request, its end, the comparison of numbers; two replies a pair.
        assert!(world.messages < 2 * 20 + 24, "{}", world.messages);
    }
}

#[test]
fn a_standing_request_serves_until_it_is_withdrawn() {
    let mut world = fair(3);
    let user = LinkUser::Circuit(CircuitId(9));
    world.create(1, LinkRequest::standing(RequestId(0), user, 0.85, 1));
    world.run_us(200_000);
    let count = world.delivered_to(0, user).len();
    assert!(count > 600, "{count}");
    assert!(world.sides[0].delivered.iter().all(|pair| pair.goodness == 0.9));
    world.do_now(crate::link_world::Happening::Withdraw(1, RequestId(0)));
    world.run_us(100_000);
    assert!(world.sides[1].finished.is_empty());
    assert_eq!(world.armed(0) + world.armed(1), 0);
    assert_eq!(world.live(0).len() + world.live(1).len(), 0);
    assert_eq!(world.delivered_to(0, user), world.delivered_to(1, user));
}

#[test]
fn requests_share_a_link_by_weight() {
    let mut settings = settings();
    settings.window = crate::link_world::us(2000);
    let mut world = World::new([2; 2], settings, Weather::FAIR, 3);
    let users = [1, 2, 3].map(|n| LinkUser::Circuit(CircuitId(n)));
    for (n, (user, weight)) in users.into_iter().zip([1, 2, 5]).enumerate() {
        world.create(n % 2, LinkRequest::standing(RequestId(n as u64), user, 0.8, weight));
    }
    world.run_us(2_000_000);
    let counts = users.map(|user| world.delivered_to(0, user).len() as f64);
    let total: f64 = counts.iter().sum();
    for (count, share) in counts.into_iter().zip([0.125, 0.25, 0.625]) {
        assert!((count / total - share).abs() < 0.03, "{counts:?}");
    }
}

#[test]
fn urgent_requests_come_first_and_old_ones_next() {
    let mut settings = settings();
    settings.policy = LinkPolicy::PRIORITY;
    let mut world = World::new([1; 2], settings, Weather::FAIR, 3);
    for (n, priority) in [(0, 2), (1, 1), (2, 1)] {
        let mut request = LinkRequest::keep(RequestId(n), LinkUser::Application(n as u16), 10);
        request.demand.priority = priority;
        world.create(0, request);
    }
    world.run_us(200_000);
    let users: Vec<_> = world.sides[1].delivered.iter().map(|pair| pair.user).collect();
    // The first may have made a pair before the others were ready.
    let expected: Vec<_> = [1, 2, 0].into_iter().flat_map(|n| [LinkUser::Application(n); 10]).collect();
    assert_eq!(users, expected);
}

#[test]
fn all_at_once_means_alive_at_the_same_time() {
    let mut world = fair(4);
    let mut request = LinkRequest::keep(RequestId(1), GAME, 4);
    request.demand.consecutive = false;
    world.hold_us = None;
    world.create(1, request);
    let mut counts = std::collections::BTreeSet::new();
    for _ in 0..500 {
        world.run_us(20);
        counts.insert(world.live(0).len());
    }
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), [0, 4]);
    assert_eq!(world.live(0).len(), 4);
    assert_eq!(world.sides[1].finished[&RequestId(1)], Ok(()));
}

/// Each would hold the memory that the other lacks, if they collected at the same time.
#[test]
fn requests_that_collect_pairs_do_not_wait_for_one_another() {
    let mut settings = settings();
    settings.window = crate::link_world::us(200);
    for seed in 0..10 {
        let mut world = World::new([2; 2], settings.clone(), Weather::FAIR, seed);
        for n in 0..6 {
            let mut request = LinkRequest::keep(RequestId(n), GAME, 2);
            request.demand.consecutive = false;
            world.create(n as usize % 2, request);
        }
        world.run_us(100_000);
        assert_eq!(world.sides[0].finished.len() + world.sides[1].finished.len(), 6);
        assert_eq!(world.delivered_to(0, GAME).len(), 12);
    }
}

#[test]
fn measured_pairs_free_their_memories() {
    for consecutive in [true, false] {
        let mut world = fair(1);
        let basis = BasisChoice { set: BasisSet::Xz, probabilities: [128, 0], rotations: [0; 3] };
        let mut request = LinkRequest::keep(RequestId(1), GAME, 50);
        request.demand.kind = PairKind::Measure { here: basis, there: basis };
        request.demand.consecutive = consecutive;
        world.create(0, request);
        world.run_us(10_000);
        assert_eq!(world.sides[0].measured.is_empty(), !consecutive);
        world.run_us(100_000);
        assert_eq!(world.sides[0].measured.len(), 50);
        assert_eq!(
            world.sides[0].measured.keys().collect::<Vec<_>>(),
            world.sides[1].measured.keys().collect::<Vec<_>>()
        );
        assert_eq!(world.sides[0].finished[&RequestId(1)], Ok(()));
        assert!(world.sides.iter().all(|side| side.delivered.is_empty()));
    }
}

#[test]
fn a_prepared_half_is_kept_where_the_other_is_not() {
    let mut world = fair(2);
    let mut request = LinkRequest::keep(RequestId(1), GAME, 10);
    request.demand.kind = PairKind::Prepare { here: BasisChoice::default() };
    world.create(1, request);
    world.run_us(100_000);
    assert_eq!((world.sides[1].measured.len(), world.sides[1].delivered.len()), (10, 0));
    assert_eq!((world.sides[0].measured.len(), world.sides[0].delivered.len()), (0, 10));
}

#[test]
fn an_end_without_memory_is_waited_for() {
    let mut world = fair(1);
    let user = LinkUser::Circuit(CircuitId(1));
    world.create(0, LinkRequest::standing(RequestId(1), user, 0.8, 1));
    world.hold_us = None;
    world.run_us(5_000);
    assert_eq!(world.live(0).len(), 1);
    // One end's user is done, the other's is not: that end attempts in vain, until it is told to wait.
    world.release_side(0);
    world.run_us(5_000);
    assert_eq!(world.armed(0), 1);
    world.run_us(20_000);
    assert_eq!(world.armed(0), 0);
    world.release_side(1);
    world.run_us(5_000);
    assert_eq!((world.live(0).len(), world.live(1).len()), (1, 1));
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let weather = Weather { loss: 0.1, duplication: 0.1, longest_delay_us: 500, failure: 0.01 };
        let mut world = World::new([2; 2], settings(), weather, seed);
        world.create(0, LinkRequest::standing(RequestId(1), GAME, 0.8, 1));
        world.run_us(100_000);
        (world.effects, world.hash)
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn test_rounds_show_the_fidelity_at_both_ends() {
    let mut settings = settings();
    // One pair in four.
    settings.test_share = 1 << 14;
    let mut world = World::new([2; 2], settings, Weather::FAIR, 5);
    world.error = 0.1;
    let user = LinkUser::Circuit(CircuitId(9));
    world.create(0, LinkRequest::standing(RequestId(0), user, 0.85, 1));
    world.run_us(5_000_000);
    let kept = world.delivered_to(0, user).len() as f64;
    assert_eq!(world.delivered_to(0, user), world.delivered_to(1, user));
    for end in world.sides.iter().flat_map(|side| &side.end) {
        // The level that promises 0.9 is the brightest that suffices, and it alone is tested.
        let estimates = [0, 1, 2].map(|level| end.estimate(level));
        assert_eq!((estimates[0].fidelity(), estimates[1].fidelity()), (None, None));
        let tested = estimates[2].pairs.iter().sum::<u64>() as f64;
        assert!((tested / (tested + kept) - 0.25).abs() < 0.01, "{tested} of {kept}");
        let (fidelity, error) = estimates[2].fidelity().unwrap();
        assert!(error < 0.01 && (fidelity - 0.85).abs() < 4.0 * error, "{fidelity} with {error}");
    }
}
