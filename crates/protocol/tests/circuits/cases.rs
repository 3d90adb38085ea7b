//! What happens on a good day.

use crate::world::{Weather, World};
use bellwether_protocol::entanglement::network::{End, RequestEnd};

#[test]
fn a_chain_delivers_what_was_asked_for_at_both_ends() {
    let mut world = World::new(5, 4, Weather::FAIR, 1);
    let way = world.way(0, 4);
    let request = world.ask(way, 0, Some(100));
    world.run_us(1_000_000);
    assert_eq!(world.agreed(), (100, 0));
    let id = world.ways[way].id;
    assert_eq!(world.over, [(id, request, 100, RequestEnd::Done)]);
    assert_eq!((world.held(), world.occupied(), world.wanted_links()), (0, 0, 0));
    assert!(world.revoked.is_empty());
}

#[test]
fn the_estimates_of_both_ends_differ_by_their_own_memories_alone() {
    let mut world = World::new(3, 4, Weather::FAIR, 2);
    let way = world.way(0, 2);
    world.ask(way, 0, Some(50));
    world.run_us(500_000);
    for ((id, end), head) in world.delivered.iter().filter(|((_, end), _)| *end == End::Head) {
        let tail = &world.delivered[&(*id, end.other())];
        let (f, g) = (head.estimate.fidelity(), tail.estimate.fidelity());
        assert!((f - g).abs() < 0.02 && f < 0.95 * 0.95 + 0.01 && f > 0.8, "{f} {g}");
    }
}
