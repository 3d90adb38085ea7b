//! Routes: what plans promise against closed forms, and what is refused.

use bellwether_protocol::entanglement::link::{FidelityLevel, FidelityTable};
use bellwether_protocol::entanglement::routing::{
    Assurance, CutoffRule, LinkKind, LinkPurification, NetworkView, PairDemand, PurificationLimit, Refusal,
    Route, RouteMetric, RoutePolicy, Router, ViewError, ViewLink, ViewNode, best_route,
};
use bellwether_quantum::MemoryNoise;
use bellwether_quantum::bell::{Purification, PurificationQuality, SwapQuality};
use bellwether_units::{Duration, EntityId, LinkId, NodeId, Purpose, Stream};
use proptest::prelude::*;
use std::time::Instant;

fn node(swap: SwapQuality, memory: MemoryNoise) -> ViewNode {
    ViewNode { swap, swap_success: 1.0, memory }
}
fn ideal() -> ViewNode {
    node(SwapQuality::PERFECT, MemoryNoise::NONE)
}

/// A link that attempts each `cycle_us` and has these levels of fidelity and success.
fn kind(levels: &[(f64, f64)], cycle_us: u64) -> LinkKind {
    let level = |(i, (fidelity, success)): (usize, &(f64, f64))| FidelityLevel {
        brightness: 0.5 / (i + 1) as f64,
        fidelity: *fidelity,
        success: *success,
    };
    LinkKind {
        table: FidelityTable::new(levels.iter().enumerate().map(level).collect()).unwrap(),
        cycle: Duration::from_microseconds(cycle_us),
        delay: Duration::from_microseconds(50),
        purification: PurificationQuality::PERFECT,
        comparison: Duration::ZERO,
        memory: MemoryNoise::NONE,
    }
}

fn link(place: usize, (a, b): (u32, u32), kind: u32) -> ViewLink {
    ViewLink { id: LinkId(place as u32), ends: [NodeId(a), NodeId(b)], kind, memories: [1; 2], promised: 0.0 }
}

fn links(ends: &[(u32, u32, u32)]) -> Vec<ViewLink> {
    ends.iter().enumerate().map(|(place, (a, b, kind))| link(place, (*a, *b), *kind)).collect()
}

fn chain(hops: u32, node: ViewNode, kind: LinkKind) -> NetworkView {
    let ends: Vec<_> = (0..hops).map(|n| (n, n + 1, 0)).collect();
    NetworkView::new(vec![node; hops as usize + 1], vec![kind], links(&ends)).unwrap()
}

fn demand(from: u32, to: u32, fidelity: f64) -> PairDemand {
    PairDemand::new(NodeId(from), NodeId(to), fidelity)
}

const NO_CUTOFF: RoutePolicy = RoutePolicy { cutoff: CutoffRule::Never, ..RoutePolicy::SECONDS_PER_PAIR };

fn numbers(nodes: &[NodeId]) -> Vec<u32> {
    nodes.iter().map(|node| node.0).collect()
}

/// A chain of 8 links of fidelity 0.95: Briegel, Dür, Cirac & Zoller, Phys. Rev. Lett. 81, 5932 (1998). They twirl after
/// each swap, which loses what is known of readout errors.
#[test]
fn the_fidelity_of_a_chain_is_that_of_its_swaps() {
    for (gate, readout, exact, off) in [(1.0, 1.0, 0.681_872_426, 1e-9), (0.99, 0.995, 0.616_520_049, 3e-4)] {
        let node = node(SwapQuality::new(gate, readout, 1.0).unwrap(), MemoryNoise::NONE);
        let view = chain(8, node, kind(&[(0.95, 0.1)], 1));
        let plan = best_route(&view, &demand(0, 8, 0.6), &NO_CUTOFF).unwrap();
        assert!((plan.fidelity - exact).abs() < off, "{}", plan.fidelity);
        assert_eq!(plan.round_trip, Duration::from_microseconds(800));
    }
}

/// The greatest of n geometric numbers of attempts with p = 0.1.
#[test]
fn the_time_of_a_chain_is_that_of_its_slowest_link() {
    for (hops, attempts) in [(1, 10.0), (2, 14.736_842), (4, 20.273_378), (8, 26.295_784)] {
        let view = chain(hops, ideal(), kind(&[(0.95, 0.1)], 1_000_000));
        let plan = best_route(&view, &demand(0, hops, 0.5), &NO_CUTOFF).unwrap();
        assert!((plan.seconds_per_pair / attempts - 1.0).abs() < 1e-3, "{hops}: {}", plan.seconds_per_pair);
    }
}

/// Two links with p = 10^-3 and a cutoff of 1000 attempts, by the formulas for two links.
#[test]
fn a_cutoff_costs_time_and_keeps_fidelity() {
    let (p, tau) = (1e-3f64, 1000.0);
    let q = 1.0 - p;
    let late = 1.0 - q.powf(tau);
    let exact = (1.0 + 2.0 * q * late) / (p * p + 2.0 * p * q * late);
    let memory = MemoryNoise::depolarising(Duration::from_seconds(4000.0).unwrap()).unwrap();
    let view = chain(2, node(SwapQuality::PERFECT, memory), kind(&[(0.95, p)], 1_000_000));
    let cut = RoutePolicy { cutoff: CutoffRule::After(Duration::from_seconds(tau).unwrap()), ..NO_CUTOFF };
    let [never, mean] =
        [NO_CUTOFF, cut].map(|policy| best_route(&view, &demand(0, 2, 0.3), &policy).unwrap());
    assert!((mean.seconds_per_pair / exact - 1.0).abs() < 2e-3, "{} {exact}", mean.seconds_per_pair);
    assert!(mean.seconds_per_pair > never.seconds_per_pair && mean.fidelity > never.fidelity);
    let worst = RoutePolicy { assurance: Assurance::Worst, ..cut };
    let worst = best_route(&view, &demand(0, 2, 0.3), &worst).unwrap();
    // Both ends, and one half between, for 1000 s and the ends' delay: exp(-3/4) of the Werner parameter.
    let w = ((4.0 * 0.95 - 1.0) / 3.0f64).powi(2) * (-0.75f64).exp();
    assert!((worst.fidelity - (1.0 + 3.0 * w) / 4.0).abs() < 1e-6, "{}", worst.fidelity);
}

#[test]
fn published_rules_for_cutoffs_give_their_times() {
    let memory = MemoryNoise::depolarising(Duration::from_seconds(10.0).unwrap()).unwrap();
    let view = chain(3, node(SwapQuality::PERFECT, memory), kind(&[(0.95, 1e-3)], 100));
    let with = |cutoff| best_route(&view, &demand(0, 3, 0.5), &RoutePolicy { cutoff, ..NO_CUTOFF });
    let cutoff = |cutoff| with(cutoff).unwrap().cutoff.unwrap().seconds();
    // 0.985 · 0.95 = (1 + 3 w e^(-t/10))/4 with w of 0.95.
    let w = (4.0 * 0.95 - 1.0) / 3.0f64;
    let left = (4.0 * 0.985 * 0.95 - 1.0) / 3.0;
    assert!((cutoff(CutoffRule::Loss(0.015)) - 10.0 * (w / left).ln()).abs() < 1e-5);
    // A link takes 0.1 s: 85 % have come after ln(1/0.15) of that.
    assert!((cutoff(CutoffRule::Quantile(0.85)) - 0.1 * (1.0f64 / 0.15).ln()).abs() < 1e-3);
    assert_eq!(with(CutoffRule::Never).unwrap().cutoff, None);
}

/// Two links of fidelity 0.8, or four of 0.97: the short way is faster and the long one is better.
#[test]
fn the_wanted_fidelity_decides_the_way() {
    let kinds = vec![kind(&[(0.8, 0.01)], 10), kind(&[(0.97, 0.005)], 10)];
    let ends = [(0, 1, 0), (1, 5, 0), (0, 2, 1), (2, 3, 1), (3, 4, 1), (4, 5, 1)];
    let view = NetworkView::new(vec![ideal(); 6], kinds, links(&ends)).unwrap();
    let way =
        |fidelity, policy| best_route(&view, &demand(0, 5, fidelity), policy).map(|p| numbers(&p.nodes));
    assert_eq!(way(0.6, &NO_CUTOFF).unwrap(), [0, 1, 5]);
    assert_eq!(way(0.8, &NO_CUTOFF).unwrap(), [0, 2, 3, 4, 5]);
    assert_eq!(way(0.8, &RoutePolicy::SHORTEST).unwrap(), [0, 2, 3, 4, 5]);
    let w = ((4.0 * 0.97 - 1.0) / 3.0f64).powi(4);
    let Err(Refusal::Fidelity { best, route, .. }) = way(0.9, &NO_CUTOFF) else { panic!() };
    assert!((best - (1.0 + 3.0 * w) / 4.0).abs() < 1e-9);
    assert_eq!(route.to_string(), "0-2-3-4-5");
}

#[test]
fn a_link_is_set_no_brighter_than_the_route_allows() {
    let levels: Vec<_> = (1..20).map(|i| (1.0 - 0.02 * f64::from(i), 2e-3 * f64::from(i))).collect();
    let view = chain(4, ideal(), kind(&levels, 10));
    let mut before = 0.0;
    for wanted in [0.4, 0.6, 0.75, 0.9] {
        let plan = best_route(&view, &demand(0, 4, wanted), &NO_CUTOFF).unwrap();
        assert!(plan.fidelity >= wanted && plan.seconds_per_pair > before);
        before = plan.seconds_per_pair;
        // One level brighter would not do.
        let hop = &plan.hops[0];
        let w = (4.0 * (hop.link_fidelity - 0.02) - 1.0) / 3.0;
        assert!((1.0 + 3.0 * w.powi(4)) / 4.0 < wanted);
    }
}

#[test]
fn purification_reaches_what_no_link_gives() {
    let view = chain(2, ideal(), kind(&[(0.9, 0.01)], 10));
    let wanted = demand(0, 2, 0.85);
    assert!(matches!(best_route(&view, &wanted, &NO_CUTOFF), Err(Refusal::Fidelity { .. })));
    let purification = LinkPurification::UpTo(PurificationLimit { rounds: 2, how: Purification::Dejmps });
    let policy = RoutePolicy { purification, ..NO_CUTOFF };
    // A round keeps one pair while another is made.
    assert!(matches!(best_route(&view, &wanted, &policy), Err(Refusal::Fidelity { .. })));
    let mut view = view;
    (0..2).for_each(|place| view.set_load(place, 0.0, [2, 2]));
    let plan = best_route(&view, &wanted, &policy).unwrap();
    assert_eq!(plan.hops.iter().map(|hop| hop.rounds).collect::<Vec<_>>(), [1, 1]);
    // DEJMPS of two Werner pairs of 0.9: (0.81 + (0.1/3)²)/N with N = (0.9 + 0.1/3)² + (0.2/3)².
    let (f, e) = (0.9f64, 0.1f64 / 3.0);
    let n = (f + e).powi(2) + (2.0 * e).powi(2);
    assert!((plan.hops[0].fidelity - (f * f + e * e) / n).abs() < 1e-12);
    assert!((plan.hops[0].seconds - (1e-3 * 2.0 / n + 50e-6)).abs() < 2e-5, "{}", plan.hops[0].seconds);
}

/// A short way whose links have one memory, and a longer one whose links have three: in a long slot the wide one gives more.
#[test]
fn policies_are_exchanged_and_choose_differently() {
    let kinds = vec![kind(&[(0.95, 0.01)], 10)];
    let ends = [(0, 1, 0), (1, 4, 0), (0, 2, 0), (2, 3, 0), (3, 4, 0)];
    let mut view = NetworkView::new(vec![ideal(); 5], kinds, links(&ends)).unwrap();
    (2..5).for_each(|place| view.set_load(place, 0.0, [3; 2]));
    let way = |view: &NetworkView, metric| {
        let policy = RoutePolicy { metric, candidates: 1, ..NO_CUTOFF };
        numbers(&best_route(view, &demand(0, 4, 0.7), &policy).unwrap().nodes)
    };
    let throughput = |slot| RouteMetric::Throughput { slot: Duration::from_microseconds(slot) };
    assert_eq!(way(&view, RouteMetric::Hops), [0, 1, 4]);
    assert_eq!(way(&view, RouteMetric::SecondsPerPair), [0, 2, 3, 4]);
    assert_eq!(way(&view, throughput(1000)), [0, 2, 3, 4]);
    // With one attempt in a slot fewer links are better than more memories.
    assert_eq!(way(&view, throughput(10)), [0, 1, 4]);
}

#[test]
fn routes_that_share_no_link_serve_together() {
    let kinds = vec![kind(&[(0.95, 0.01)], 10), kind(&[(0.8, 0.05)], 10)];
    // Two ways of two good links, and a bad one directly.
    let ends = [(0, 1, 0), (1, 3, 0), (0, 2, 0), (2, 3, 0), (0, 3, 1)];
    let view = NetworkView::new(vec![ideal(); 4], kinds, links(&ends)).unwrap();
    let mut router = Router::new(&view, NO_CUTOFF);
    let mut routes = |fidelity, k| {
        let plans = router.disjoint_routes(&demand(0, 3, fidelity), k)?;
        Ok::<_, Refusal>(plans.iter().map(|plan| numbers(&plan.nodes)).collect::<Vec<_>>())
    };
    assert_eq!(routes(0.85, 5).unwrap(), [[0, 1, 3], [0, 2, 3]]);
    assert_eq!(routes(0.85, 1).unwrap(), [[0, 1, 3]]);
    assert_eq!(routes(0.5, 5).unwrap(), [vec![0, 3], vec![0, 1, 3], vec![0, 2, 3]]);
    assert!(matches!(routes(0.99, 5), Err(Refusal::Fidelity { .. })));
}

#[test]
fn what_is_promised_to_others_is_gone_round() {
    let kinds = vec![kind(&[(0.95, 0.01)], 10)];
    let mut view =
        NetworkView::new(vec![ideal(); 4], kinds, links(&[(0, 1, 0), (1, 3, 0), (0, 2, 0), (2, 3, 0)]))
            .unwrap();
    let way = |view: &NetworkView| best_route(view, &demand(0, 3, 0.5), &NO_CUTOFF).unwrap();
    let idle = way(&view);
    assert_eq!(numbers(&idle.nodes), [0, 1, 3]);
    view.set_load(0, 0.5, [1, 1]);
    assert_eq!(numbers(&way(&view).nodes), [0, 2, 3]);
    view.set_load(2, 0.9, [1, 1]);
    let loaded = way(&view);
    assert_eq!(numbers(&loaded.nodes), [0, 1, 3]);
    assert!(loaded.seconds_per_pair > idle.seconds_per_pair);
}

#[test]
fn what_cannot_be_is_refused_with_the_reason() {
    let kinds = vec![kind(&[(0.95, 0.01)], 10)];
    let mut view = NetworkView::new(vec![ideal(); 4], kinds, links(&[(0, 1, 0), (1, 2, 0)])).unwrap();
    let ask = |view: &NetworkView, demand| best_route(view, &demand, &NO_CUTOFF).map(|_| ()).unwrap_err();
    let (from, to) = (NodeId(0), NodeId(3));
    assert_eq!(ask(&view, demand(0, 3, 0.5)), Refusal::NoRoute { from, to });
    assert_eq!(ask(&view, demand(0, 0, 0.5)), Refusal::ToItself { node: from });
    assert_eq!(ask(&view, demand(0, 9, 0.5)), Refusal::UnknownNode { node: NodeId(9), nodes: 4 });
    assert!(matches!(ask(&view, demand(0, 2, 1.5)), Refusal::Senseless { value: 1.5, .. }));
    let fast = PairDemand { rate: Some(1e6), ..demand(0, 2, 0.5) };
    let Refusal::Rate { best, .. } = ask(&view, fast) else { panic!() };
    assert!(best_route(&view, &PairDemand { rate: Some(best), ..fast }, &NO_CUTOFF).is_ok());
    let soon = |seconds| {
        let within = Some((100, Duration::from_seconds(seconds).unwrap()));
        PairDemand { within, ..demand(0, 2, 0.5) }
    };
    let Refusal::Deadline { least, route, .. } = ask(&view, soon(0.0)) else { panic!() };
    assert_eq!(route, Route(vec![NodeId(0), NodeId(1), NodeId(2)]));
    assert!(least > 0.1 && best_route(&view, &soon(least + 1e-9), &NO_CUTOFF).is_ok());
    view.set_load(1, 0.0, [4, 0]);
    assert_eq!(ask(&view, demand(0, 2, 0.5)), Refusal::NoMemory { node: NodeId(2), link: LinkId(1) });
    view.set_load(1, 1.0, [4, 4]);
    assert_eq!(ask(&view, demand(0, 2, 0.5)), Refusal::NoCapacity { link: LinkId(1) });
    let text = ask(&view, demand(0, 2, 0.5)).to_string();
    assert_eq!(text, "all of link 1 is promised to others, and no route goes round it");
}

#[test]
fn networks_that_are_none_are_refused() {
    let kinds = || vec![kind(&[(0.95, 0.01)], 10)];
    let with = |nodes, links| NetworkView::new(nodes, kinds(), links).unwrap_err();
    assert!(matches!(with(vec![ideal(); 2], links(&[(0, 2, 0)])), ViewError::Ends { .. }));
    assert!(matches!(with(vec![ideal(); 2], links(&[(1, 1, 0)])), ViewError::Ends { .. }));
    assert!(matches!(with(vec![ideal(); 2], links(&[(0, 1, 1)])), ViewError::Kind { .. }));
    let never = ViewNode { swap_success: 0.0, ..ideal() };
    assert!(matches!(with(vec![never], Vec::new()), ViewError::Range { value: 0.0, .. }));
    let promised = ViewLink { promised: 1.5, ..link(0, (0, 1), 0) };
    assert!(matches!(with(vec![ideal(); 2], vec![promised]), ViewError::Range { value: 1.5, .. }));
}

/// A network in which links differ, memories are short of breath, and some links serve others already.
fn random_network(seed: u64) -> (NetworkView, Stream) {
    let mut s = Stream::new(seed, EntityId(0), Purpose::named("networks"));
    let nodes = 2 + s.below(12) as usize;
    let node = |s: &mut Stream| ViewNode {
        swap: SwapQuality::new(0.9 + 0.1 * s.uniform(), 0.95 + 0.05 * s.uniform(), 1.0).unwrap(),
        swap_success: if s.chance(0.5) { 1.0 } else { 0.5 },
        memory: MemoryNoise::depolarising(Duration::from_milliseconds(1 + s.below(1000))).unwrap(),
    };
    let nodes: Vec<_> = (0..nodes).map(|_| node(&mut s)).collect();
    let kinds: Vec<_> = (0..1 + s.below(3))
        .map(|_| {
            let best = 0.8 + 0.2 * s.uniform();
            let levels: Vec<_> =
                (0..1 + s.below(6)).map(|i| (best - 0.03 * i as f64, 1e-3 * (1 + i) as f64)).collect();
            kind(&levels, 1 + s.below(20))
        })
        .collect();
    let count = nodes.len() as u64;
    let links = (0..s.below(3 * count) as usize).map(|place| {
        let a = s.below(count);
        let b = (a + 1 + s.below(count - 1)) % count;
        let link = link(place, (a as u32, b as u32), s.below(kinds.len() as u64) as u32);
        let memories = [s.below(5) as u16, s.below(5) as u16];
        ViewLink { memories, promised: if s.chance(0.3) { s.uniform() } else { 0.0 }, ..link }
    });
    let links = links.collect();
    (NetworkView::new(nodes, kinds, links).unwrap(), s)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// A plan keeps what it promises by its own account, and a refusal tells what is then given.
    #[test]
    fn a_refusal_tells_what_can_be_had(seed: u64) {
        let (view, mut s) = random_network(seed);
        let purification =
            LinkPurification::UpTo(PurificationLimit { rounds: s.below(3) as u8, how: Purification::Dejmps });
        let cutoff = [CutoffRule::Never, CutoffRule::Loss(0.015), CutoffRule::Quantile(0.85)][s.below(3) as usize];
        let assurance = if s.chance(0.5) { Assurance::Mean } else { Assurance::Worst };
        let policy = RoutePolicy { purification, cutoff, assurance, ..RoutePolicy::SECONDS_PER_PAIR };
        let mut router = Router::new(&view, policy);
        let last = view.nodes().len() as u32 - 1;
        let wanted = demand(0, last, 0.3 + 0.7 * s.uniform());
        match router.best_route(&wanted) {
            Ok(plan) => {
                prop_assert!(plan.fidelity >= wanted.fidelity);
                prop_assert_eq!(plan.nodes.len(), plan.hops.len() + 1);
                prop_assert_eq!((plan.nodes[0], plan.nodes[plan.hops.len()]), (wanted.from, wanted.to));
                let mut again = plan.nodes.clone();
                again.sort();
                again.dedup();
                prop_assert_eq!(again.len(), plan.nodes.len(), "a route with a loop");
                for (hop, nodes) in plan.hops.iter().zip(plan.nodes.windows(2)) {
                    let ends = view.links()[hop.link.index()].ends;
                    prop_assert!(ends == [nodes[0], nodes[1]] || ends == [nodes[1], nodes[0]]);
                    prop_assert!(hop.seconds <= plan.seconds_per_pair * (1.0 + 1e-9));
                }
                prop_assert_eq!(Ok(plan), best_route(&view, &wanted, &policy));
            }
            Err(Refusal::Fidelity { best, route, .. }) => {
                prop_assert!(best < wanted.fidelity);
                let plan = router.best_route(&PairDemand { fidelity: best, ..wanted });
                prop_assert!(plan.is_ok(), "{:?} after {} was told by {}", plan, best, route);
            }
            Err(Refusal::NoRoute { .. } | Refusal::NoMemory { .. } | Refusal::NoCapacity { .. }) => {}
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}

/// A grid as large as networks get: `cargo test -p bellwether-protocol --test control -- --ignored --nocapture`.
#[test]
#[expect(clippy::disallowed_methods, reason = "it tells how long routes take")]
#[ignore = "tells how long routes take, which depends on the machine"]
fn ten_thousand_circuits_in_a_hundred_thousand_nodes() {
    let side = 317u32;
    let at = |x, y| y * side + x;
    let ends = (0..side).flat_map(|y| {
        (0..side).flat_map(move |x| {
            let kind = (x * 7 + y * 13) % 4;
            let right = (x + 1 < side).then(|| (at(x, y), at(x + 1, y), kind));
            right.into_iter().chain((y + 1 < side).then(|| (at(x, y), at(x, y + 1), kind)))
        })
    });
    let kinds = (0..4).map(|k| kind(&[(0.95, 4e-3), (0.97, 2e-3), (0.99, 1e-3)], 10 + k)).collect();
    let memory = MemoryNoise::depolarising(Duration::from_milliseconds(100)).unwrap();
    let nodes = vec![node(SwapQuality::new(0.99, 0.99, 1.0).unwrap(), memory); (side * side) as usize];
    let view = NetworkView::new(nodes, kinds, links(&ends.collect::<Vec<_>>())).unwrap();
    let mut s = Stream::new(1, EntityId(0), Purpose::named("demands"));
    let began = Instant::now();
    let mut router = Router::new(&view, RoutePolicy::SECONDS_PER_PAIR);
    let (mut planned, mut refused) = (0, 0);
    for _ in 0..10_000 {
        let (x, y) = (s.below(307) as u32, s.below(307) as u32);
        let to = at(x + s.below(6) as u32, y + 1 + s.below(5) as u32);
        match router.best_route(&demand(at(x, y), to, 0.6)) {
            Ok(_) => planned += 1,
            Err(_) => refused += 1,
        }
    }
    println!("{planned} planned, {refused} refused: {:?}", began.elapsed());
    let began = Instant::now();
    let far = router.best_route(&demand(0, side * side - 1, 0.6));
    println!("a demand across the whole network, refused: {:?}", began.elapsed());
    assert!(planned > 9000 && matches!(far, Err(Refusal::Fidelity { .. })));
}
