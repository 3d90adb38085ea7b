//! Circuits on a good day, and what is refused.

use crate::signalling_world::{DELAY, Happening, World, us};
use bellwether_protocol::entanglement::CircuitId;
use bellwether_protocol::entanglement::link::LinkSettings;
use bellwether_protocol::entanglement::purification::Recurrence;
use bellwether_protocol::entanglement::routing::{
    LinkKind, NetworkView, PairDemand, RoutePolicy, ViewLink, ViewNode, best_route,
};
use bellwether_protocol::entanglement::signalling::{
    Acknowledged, BestTerms, CircuitEnd, CircuitRefusal, CircuitTerms, SignallingError, SignallingEvent,
    SignallingMessage,
};
use bellwether_protocol::qkd::wire::Malformed;
use bellwether_quantum::MemoryNoise;
use bellwether_quantum::bell::{PurificationQuality, SwapQuality};
use bellwether_units::{Duration, LinkId, NodeId, Time};
use proptest::prelude::*;
use std::sync::Arc;

fn opened(circuit: CircuitId) -> SignallingEvent {
    SignallingEvent::Opened { circuit }
}

#[test]
fn a_circuit_is_there_after_one_round_trip_and_gone_after_it_drained() {
    let mut world = World::chain(5, 4);
    let terms = world.terms(&[0, 1, 2, 3, 4]);
    let id = world.open(1, terms);
    world.run_us(399);
    assert_eq!(world.told(id), []);
    assert!(
        world.has(4, id) && world.has(1, id) && !world.has(0, id),
        "the tail has it first, the head last"
    );
    world.run_us(400);
    assert_eq!(world.told(id), [opened(id)]);
    // 10 pairs a second of a link that makes one in 1 ms / 4 and half a cycle.
    let kind = crate::signalling_world::kind();
    let share = 10.0 * kind.seconds_per_pair(0.9, Recurrence::default(), 4).unwrap();
    assert!((share - 10.0 * 1e-3 / 4.0).abs() < 1e-4);
    assert_eq!(world.loads(), vec![[(share, 1); 2]; 4]);
    // It stays, for it is refreshed.
    world.run_us(1_000_000);
    assert!((0..5).all(|node| world.has(node, id)));
    world.at(world.now, Happening::Close(0, id));
    world.run_us(1_000_100);
    assert!(world.draining.contains(&id) && world.has(0, id));
    world.run_us(1_000_000 + 8 * 400 + 200);
    assert!((0..5).all(|node| !world.has(node, id)));
    let why = CircuitEnd::Closed;
    assert_eq!(world.told(id), [opened(id), SignallingEvent::Closed { circuit: id, why }]);
    assert_eq!(world.loads(), vec![[(0.0, 0); 2]; 4]);
    world.run_us(3_000_000);
    assert_eq!(world.held(), (0, 0, 0));
}

/// All nodes of the route are asked, so that the best is the best of all.
#[test]
fn a_refusal_tells_the_best_of_the_whole_route() {
    let mut world = World::chain(4, 4);
    // The last link has promised most of its time.
    let busy = CircuitTerms { rate: 3000.0, ..world.terms(&[2, 3]) };
    let busy = world.open(1, busy);
    world.run_us(1000);
    assert_eq!(world.told(busy), [opened(busy)]);
    let terms = CircuitTerms { rate: 1e6, ..world.terms(&[0, 1, 2, 3]) };
    let id = world.open(2, terms.clone());
    world.run_us(2000);
    let [SignallingEvent::Refused { why: CircuitRefusal::Rate { node, link, best }, .. }] = world.told(id)
    else {
        panic!("{:?}", world.told(id))
    };
    // The first node refuses, but what it tells is what the last link can give.
    assert_eq!((*node, *link), (NodeId(0), LinkId(0)));
    let seconds = crate::signalling_world::kind().seconds_per_pair(0.9, Recurrence::default(), 4).unwrap();
    assert!((best.rate - (1.0 / seconds - 3000.0)).abs() < 1e-6, "{}", best.rate);
    let best = best.rate;
    let again = world.open(3, CircuitTerms { rate: best, ..terms.clone() });
    world.run_us(3000);
    assert_eq!(world.told(again), [opened(again)]);
    let more = world.open(4, CircuitTerms { rate: 1.0, ..terms });
    world.run_us(4000);
    assert!(matches!(world.told(more), [SignallingEvent::Refused { .. }]));
}

#[test]
fn what_a_route_cannot_give_is_refused_for_its_reason() {
    let mut world = World::chain(3, 2);
    let terms = world.terms(&[0, 1, 2]);
    let mut ask = |id: u64, terms: &CircuitTerms| {
        let id = world.open(id, terms.clone());
        let until = (world.now + us(1000)).picoseconds() / 1_000_000;
        world.run_us(until);
        world.told(id).to_vec()
    };
    let refused = |events: &[SignallingEvent]| match events {
        [SignallingEvent::Refused { why, .. }] => *why,
        other => panic!("{other:?}"),
    };
    let mut good = terms.clone();
    good.hops.iter_mut().for_each(|hop| hop.fidelity = 0.99);
    let CircuitRefusal::Fidelity { best, .. } = refused(&ask(1, &good)) else { panic!() };
    assert_eq!(best, BestTerms { fidelity: 0.95, rate: 10.0, memories: 1 });
    let CircuitRefusal::Memories { best, .. } =
        refused(&ask(2, &CircuitTerms { memories: 9, ..terms.clone() }))
    else {
        panic!()
    };
    assert_eq!(best.memories, 2);
    let mut wrong = terms.clone();
    wrong.hops[1].link = LinkId(7);
    let why = refused(&ask(3, &wrong));
    assert_eq!(why, CircuitRefusal::NoLink { node: NodeId(1), link: LinkId(7) });
    assert_eq!(why.to_string(), "node 1 has no link 7 to where the route leads");
    // A round of purification takes one more memory.
    let mut purified = terms.clone();
    purified.hops.iter_mut().for_each(|hop| hop.rounds = 1);
    assert_eq!(ask(4, &purified), [opened(CircuitId(4))]);
    assert!(matches!(refused(&ask(5, &terms)), CircuitRefusal::Memories { .. }));
    // Who sets none aside shares them.
    assert_eq!(ask(6, &CircuitTerms { memories: 0, ..terms }), [opened(CircuitId(6))]);
}

#[test]
fn a_node_that_is_away_is_told_of_and_what_it_forgot_is_torn_down() {
    let mut world = World::chain(4, 4);
    let terms = world.terms(&[0, 1, 2, 3]);
    let id = world.open(1, terms.clone());
    world.run_us(10_000);
    world.at(world.now, Happening::Crash(2));
    world.at_us(11_000, Happening::Restart(2));
    // The next refresh finds it out, and the last node lapses.
    world.run_us(45_000);
    assert!(!world.has(0, id) && !world.has(1, id));
    let why = CircuitEnd::TornDown;
    assert_eq!(world.told(id), [opened(id), SignallingEvent::Closed { circuit: id, why }]);
    world.run_us(100_000);
    assert!(!world.has(3, id));
    world.at(world.now, Happening::Crash(1));
    let lost = world.open(2, terms);
    world.run_us(300_000);
    assert_eq!(world.told(lost), [SignallingEvent::Refused { circuit: lost, why: CircuitRefusal::Silent }]);
    assert_eq!(world.loads()[0], [(0.0, 0); 2]);
}

#[test]
fn numbers_are_used_once_and_circuits_begin_where_they_are_opened() {
    let mut world = World::chain(3, 4);
    let terms = world.terms(&[0, 1, 2]);
    let id = CircuitId(1);
    let mut out = Vec::new();
    let [Some(head), Some(middle), _] = &mut world.nodes[..] else { panic!() };
    assert_eq!(middle.open(Time::ZERO, id, terms.clone(), &mut out), Err(SignallingError::Terms(id)));
    assert_eq!(head.close(Time::ZERO, id, &mut out), Err(SignallingError::NotHead(id)));
    let mut round = terms.clone();
    round.nodes[2] = NodeId(0);
    assert_eq!(head.open(Time::ZERO, id, round, &mut out), Err(SignallingError::Terms(id)));
    assert_eq!(out, []);
    head.open(Time::ZERO, id, terms.clone(), &mut out).unwrap();
    assert_eq!(head.open(Time::ZERO, id, terms, &mut out), Err(SignallingError::Known(id)));
}

#[test]
fn a_plan_becomes_a_circuit() {
    let kind = crate::signalling_world::kind();
    let settings = LinkSettings::new(kind.table.clone(), kind.cycle, DELAY);
    let kind = LinkKind::new(&settings, PurificationQuality::PERFECT, MemoryNoise::NONE);
    let node = ViewNode { swap: SwapQuality::PERFECT, swap_success: 1.0, memory: MemoryNoise::NONE };
    let link = |n: u32| ViewLink {
        id: LinkId(n),
        ends: [NodeId(n), NodeId(n + 1)],
        kind: 0,
        memories: [4; 2],
        promised: 0.0,
    };
    let view = NetworkView::new(vec![node; 4], vec![kind], (0..3).map(link).collect()).unwrap();
    let demand = PairDemand::new(NodeId(0), NodeId(3), 0.8);
    let plan = best_route(&view, &demand, &RoutePolicy::SECONDS_PER_PAIR).unwrap();
    assert!(plan.hops.iter().all(|hop| hop.link_fidelity == 0.95));
    let mut world = World::chain(4, 4);
    let terms = CircuitTerms::of(&plan, Recurrence::default(), 1.0 / plan.seconds_per_pair);
    assert_eq!((terms.round_trip, terms.refresh), (us(300), Duration::from_whole_seconds(1)));
    let id = world.open(1, terms);
    world.run_us(1000);
    assert_eq!(world.told(id), [opened(id)]);
}

fn message() -> impl Strategy<Value = SignallingMessage> {
    let best = (0.0..=1.0f64, 0.0..1e9f64, any::<u16>()).prop_map(|(fidelity, rate, memories)| BestTerms {
        fidelity,
        rate,
        memories,
    });
    let refusal = (0..6u8, any::<u32>(), any::<u32>(), best.clone()).prop_map(|(kind, node, link, best)| {
        let (node, link) = (NodeId(node), LinkId(link));
        match kind {
            0 => CircuitRefusal::Fidelity { node, link, best },
            1 => CircuitRefusal::Rate { node, link, best },
            2 => CircuitRefusal::Memories { node, link, best },
            3 => CircuitRefusal::NoLink { node, link },
            4 => CircuitRefusal::Full { node },
            _ => CircuitRefusal::Silent,
        }
    });
    let terms = (2usize..20, 0.0..=1.0f64, 0.0..1e6f64, any::<u16>(), any::<Option<u32>>()).prop_map(
        |(nodes, fidelity, rate, memories, cutoff)| {
            let mut terms = World::chain(nodes, 1).terms(&(0..nodes).collect::<Vec<_>>());
            terms.hops[0].fidelity = fidelity;
            let cutoff = cutoff.map(|c| us(c.into()));
            Arc::new(CircuitTerms { rate, memories, cutoff, ..terms })
        },
    );
    (any::<u64>(), 0..7u8, terms, best, proptest::option::of(refusal.clone()), refusal, 0..4u8).prop_map(
        |(circuit, kind, terms, best, refused, why, of)| {
            let circuit = CircuitId(circuit);
            match kind {
                0 => SignallingMessage::Setup { circuit, terms, best, refused },
                1 => SignallingMessage::Accept { circuit },
                2 => SignallingMessage::Refuse { circuit, why },
                3 => SignallingMessage::Refresh { circuit },
                4 => SignallingMessage::Refreshed { circuit },
                5 => SignallingMessage::Teardown { circuit },
                _ => {
                    use Acknowledged as A;
                    let of = [A::Setup, A::Accept, A::Refuse, A::Teardown][usize::from(of)];
                    SignallingMessage::Acknowledge { circuit, of }
                }
            }
        },
    )
}

proptest! {
    #[test]
    fn messages_survive_the_wire(message in message(), cut in any::<prop::sample::Index>()) {
        let bytes = message.encode();
        prop_assert_eq!(SignallingMessage::decode(&bytes), Ok(message));
        prop_assert!(SignallingMessage::decode(&bytes[..cut.index(bytes.len())]).is_err());
        let longer: Vec<_> = bytes.iter().copied().chain([0]).collect();
        prop_assert!(SignallingMessage::decode(&longer).is_err());
    }

    #[test]
    fn no_bytes_break_a_node(bytes: Vec<u8>, kind in 0..8u8) {
        let bytes: Vec<_> = [1, kind].into_iter().chain(bytes).collect();
        if let Ok(message) = SignallingMessage::decode(&bytes) {
            let mut world = World::chain(3, 4);
            let mut out = Vec::new();
            let Some(node) = &mut world.nodes[1] else { panic!() };
            node.hear(Time::ZERO, NodeId(0), LinkId(0), &message, &mut out);
        }
    }
}

#[test]
fn a_version_that_is_not_known_is_refused() {
    assert_eq!(SignallingMessage::decode(&[2, 1, 0]), Err(Malformed::Version(2)));
    assert_eq!(SignallingMessage::decode(&[1, 9, 0]), Err(Malformed::Kind(9)));
}
