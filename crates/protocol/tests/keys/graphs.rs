//! Routes against brute force on small graphs.

use bellwether_protocol::keys::{Topology, cheapest_route, disjoint_routes};
use bellwether_units::{EntityId, LinkId, NodeId, Purpose, Stream};
use proptest::prelude::*;
use std::collections::BTreeSet;

struct Case {
    topology: Topology,
    /// By link, entered at its first and at its second end; 0 cannot be passed.
    costs: Vec<[u32; 2]>,
}

fn case(seed: u64) -> Case {
    let mut s = Stream::new(seed, EntityId(0), Purpose::named("graph"));
    let nodes = 2 + s.below(5) as u32;
    let mut links = Vec::new();
    for _ in 0..s.below(11) {
        let (a, b) = (s.below(nodes.into()) as u32, s.below(nodes.into()) as u32);
        if a != b {
            links.push((NodeId(a), NodeId(b)));
        }
    }
    let costs = links.iter().map(|_| [s.below(6) as u32, s.below(6) as u32]).collect();
    let distrusted: Vec<_> = (0..nodes).filter(|_| s.chance(0.15)).map(NodeId).collect();
    Case { topology: Topology::new(nodes, &links).unwrap().without_relay(distrusted), costs }
}

impl Case {
    fn cost(&self, link: LinkId, at: NodeId) -> Option<u32> {
        let side = self.topology.ends(link).unwrap().iter().position(|&n| n == at).unwrap();
        Some(self.costs[link.index()][side]).filter(|&c| c > 0)
    }
    /// All simple routes from node 0 to node 1, with their costs.
    fn routes(&self) -> Vec<(Vec<LinkId>, u64)> {
        let mut found = Vec::new();
        self.walk(vec![NodeId(0)], Vec::new(), 0, &mut found);
        found
    }
    fn walk(&self, nodes: Vec<NodeId>, links: Vec<LinkId>, cost: u64, found: &mut Vec<(Vec<LinkId>, u64)>) {
        let at = *nodes.last().unwrap();
        if at == NodeId(1) {
            return found.push((links, cost));
        }
        if at != NodeId(0) && !self.topology.may_relay(at) {
            return;
        }
        for (link, next) in self.topology.links_of(at) {
            if let Some(step) = self.cost(link, at)
                && !nodes.contains(&next)
            {
                let (mut nodes, mut links) = (nodes.clone(), links.clone());
                nodes.push(next);
                links.push(link);
                self.walk(nodes, links, cost + u64::from(step), found);
            }
        }
    }
    /// The nodes between the ends and the links of a route.
    fn parts(&self, route: &[LinkId]) -> (BTreeSet<NodeId>, BTreeSet<LinkId>) {
        let nodes = self.topology.nodes_on(NodeId(0), route).unwrap();
        (nodes[1..nodes.len() - 1].iter().copied().collect(), route.iter().copied().collect())
    }
    /// The least cost of `count` disjoint routes, by trying all sets.
    fn best(&self, count: usize) -> Option<u64> {
        let routes = self.routes();
        let parts: Vec<_> = routes.iter().map(|r| self.parts(&r.0)).collect();
        let mut best = None;
        let mut chosen = Vec::new();
        search(&routes, &parts, count, 0, &mut chosen, &mut best);
        best
    }
}

type Parts = (BTreeSet<NodeId>, BTreeSet<LinkId>);

fn search(
    routes: &[(Vec<LinkId>, u64)],
    parts: &[Parts],
    count: usize,
    from: usize,
    chosen: &mut Vec<usize>,
    best: &mut Option<u64>,
) {
    if chosen.len() == count {
        let cost = chosen.iter().map(|&i| routes[i].1).sum();
        *best = Some(best.map_or(cost, |b: u64| b.min(cost)));
        return;
    }
    for i in from..routes.len() {
        let apart = |&j: &usize| parts[i].0.is_disjoint(&parts[j].0) && parts[i].1.is_disjoint(&parts[j].1);
        if chosen.iter().all(apart) {
            chosen.push(i);
            search(routes, parts, count, i + 1, chosen, best);
            chosen.pop();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_cheapest_route_is_the_cheapest_of_all(seed: u64) {
        let case = case(seed);
        let found = cheapest_route(&case.topology, NodeId(0), NodeId(1), |l, n| case.cost(l, n));
        let best = case.routes().into_iter().map(|(links, cost)| (cost, links.len())).min();
        prop_assert_eq!(found.as_ref().map(|r| (r.cost, r.links.len())), best);
        if let Some(route) = found {
            prop_assert!(case.routes().contains(&(route.links, route.cost)));
        }
    }

    #[test]
    fn disjoint_routes_are_disjoint_and_cheapest_together(seed: u64, wanted in 1usize..5) {
        let case = case(seed);
        let found = disjoint_routes(&case.topology, NodeId(0), NodeId(1), wanted, |l, n| case.cost(l, n));
        let all = case.routes();
        for (i, route) in found.iter().enumerate() {
            prop_assert!(all.contains(&(route.links.clone(), route.cost)), "{:?}", route);
            for other in &found[..i] {
                let (a, b) = (case.parts(&route.links), case.parts(&other.links));
                prop_assert!(a.0.is_disjoint(&b.0) && a.1.is_disjoint(&b.1));
            }
        }
        let most = (1..=wanted).rev().find(|&n| case.best(n).is_some()).unwrap_or(0);
        prop_assert_eq!(found.len(), most);
        if most > 0 {
            prop_assert_eq!(Some(found.iter().map(|r| r.cost).sum::<u64>()), case.best(most));
        }
    }
}
