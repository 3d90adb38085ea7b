//! Bounds and several routes at once: the widest route, the greatest flow, and routes that share no link.
//!
//! With what a link can give at most as its capacity (minus log2(1 - η) of a lossy channel), no single route gives more than
//! its narrowest link, and no use of all routes more than the greatest flow (Pirandola, Commun. Phys. 2, 51 (2019)).

use super::search::Way;
use super::view::NetworkView;
use bellwether_units::{LinkId, NodeId};
use core::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

const NONE: u32 = u32::MAX;

/// A number with its order, for heaps.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Key(f64, u32);
impl Eq for Key {}
impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        // The greatest first; of equals the lowest node.
        self.0.total_cmp(&other.0).then(other.1.cmp(&self.1))
    }
}
impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The greatest capacity that a single route can have, with its links; none if no links of any capacity lead there.
/// `capacity` is told by the place of a link in the view.
pub fn widest_route(
    view: &NetworkView,
    from: NodeId,
    to: NodeId,
    capacity: impl Fn(usize) -> f64,
) -> Option<(f64, Vec<LinkId>)> {
    let mut width = vec![0.0f64; view.nodes().len()];
    let mut before = vec![(NONE, NONE); width.len()];
    *width.get_mut(from.index())? = f64::INFINITY;
    let mut heap = BinaryHeap::from([Key(f64::INFINITY, from.0)]);
    while let Some(Key(wide, node)) = heap.pop() {
        if wide < width[node as usize] {
            continue;
        }
        if node == to.0 {
            break;
        }
        for arc in view.arcs(node) {
            let through = wide.min(capacity(arc.link as usize));
            if through > width[arc.to as usize] {
                width[arc.to as usize] = through;
                before[arc.to as usize] = (node, arc.link);
                heap.push(Key(through, arc.to));
            }
        }
    }
    let wide = *width.get(to.index()).filter(|wide| **wide > 0.0)?;
    let mut links = Vec::new();
    let mut at = to.0;
    while at != from.0 {
        let (node, link) = before[at as usize];
        links.push(view.links()[link as usize].id);
        at = node;
    }
    links.reverse();
    Some((wide, links))
}

/// The greatest flow between two nodes through links that carry their capacity in either direction (Dinic 1970).
/// `capacity` is told by the place of a link in the view.
pub fn greatest_flow(view: &NetworkView, from: NodeId, to: NodeId, capacity: impl Fn(usize) -> f64) -> f64 {
    let nodes = view.nodes().len();
    if from == to || from.index() >= nodes || to.index() >= nodes {
        return 0.0;
    }
    let capacity: Vec<f64> = (0..view.links().len()).map(|link| capacity(link).max(0.0)).collect();
    // What is too little to matter, so that rounding ends.
    let least = 1e-12 * capacity.iter().copied().fold(0.0, f64::max);
    // From the first end of a link to the second.
    let mut flow = vec![0.0f64; capacity.len()];
    let sign = |link: u32, node: u32| if view.links()[link as usize].ends[0].0 == node { 1.0 } else { -1.0 };
    let left =
        |flow: &[f64], link: u32, node: u32| capacity[link as usize] - sign(link, node) * flow[link as usize];
    let mut level = vec![NONE; nodes];
    let mut next = vec![0usize; nodes];
    let mut total = 0.0;
    loop {
        level.fill(NONE);
        level[from.index()] = 0;
        let mut queue = VecDeque::from([from.0]);
        while let Some(node) = queue.pop_front() {
            for arc in view.arcs(node) {
                if level[arc.to as usize] == NONE && left(&flow, arc.link, node) > least {
                    level[arc.to as usize] = level[node as usize] + 1;
                    queue.push_back(arc.to);
                }
            }
        }
        if level[to.index()] == NONE {
            return total;
        }
        next.fill(0);
        // Ways along the levels, until all are blocked.
        let mut way: Vec<(u32, u32)> = Vec::new();
        let mut at = from.0;
        loop {
            if at == to.0 {
                let most = |most: f64, (node, link): &(u32, u32)| most.min(left(&flow, *link, *node));
                let more = way.iter().fold(f64::INFINITY, most);
                for (node, link) in &way {
                    flow[*link as usize] += more * sign(*link, *node);
                }
                total += more;
                way.clear();
                at = from.0;
                continue;
            }
            let arcs = view.arcs(at);
            let onward = |arc: &super::view::Arc| {
                level[arc.to as usize] == level[at as usize] + 1 && left(&flow, arc.link, at) > least
            };
            let place = next[at as usize];
            match arcs[place.min(arcs.len())..].iter().position(onward) {
                Some(skipped) => {
                    next[at as usize] = place + skipped;
                    let arc = arcs[place + skipped];
                    way.push((at, arc.link));
                    at = arc.to;
                }
                None => {
                    next[at as usize] = arcs.len();
                    let Some((node, _)) = way.pop() else { break };
                    next[node as usize] += 1;
                    at = node;
                }
            }
        }
    }
}

/// At most `k` routes that share no link, of the least sum of costs for as many as there are (Suurballe 1974; Bhandari 1999),
/// the cheapest first. `cost` gives what a link costs, at least 0, or that it cannot be used.
pub(super) fn disjoint_ways(
    view: &NetworkView,
    (from, to): (u32, u32),
    k: usize,
    cost: impl Fn(u32) -> Option<f64>,
) -> Vec<Way> {
    let nodes = view.nodes().len();
    let mut potential = vec![0.0f64; nodes];
    // The node from which a link is left in the flow.
    let mut used: std::collections::BTreeMap<u32, u32> = std::collections::BTreeMap::new();
    for _ in 0..k {
        let mut distance = vec![f64::INFINITY; nodes];
        let mut before = vec![(NONE, NONE); nodes];
        let mut settled = vec![false; nodes];
        distance[from as usize] = 0.0;
        let mut heap = BinaryHeap::from([Key(-0.0, from)]);
        while let Some(Key(_, node)) = heap.pop() {
            if core::mem::replace(&mut settled[node as usize], true) || node == to {
                continue;
            }
            for arc in view.arcs(node) {
                let Some(cost) = cost(arc.link) else { continue };
                let cost = match used.get(&arc.link) {
                    // It is taken this way already; the other way takes it back.
                    Some(tail) if *tail == node => continue,
                    Some(_) => -cost,
                    None => cost,
                };
                let reduced = cost + potential[node as usize] - potential[arc.to as usize];
                let sum = distance[node as usize] + reduced.max(0.0);
                if sum < distance[arc.to as usize] {
                    distance[arc.to as usize] = sum;
                    before[arc.to as usize] = (node, arc.link);
                    heap.push(Key(-sum, arc.to));
                }
            }
        }
        let reach = distance[to as usize];
        if !reach.is_finite() {
            break;
        }
        potential
            .iter_mut()
            .zip(&distance)
            .for_each(|(potential, distance)| *potential += distance.min(reach));
        let mut at = to;
        while at != from {
            let (node, link) = before[at as usize];
            // Both directions of a link cancel.
            if used.remove(&link).is_none() {
                used.insert(link, node);
            }
            at = node;
        }
    }
    let mut ways = Vec::new();
    let mut left = used;
    loop {
        let mut way = Way { cost: 0.0, nodes: vec![from], links: Vec::new() };
        let mut at = from;
        while at != to {
            let Some(arc) = view.arcs(at).iter().find(|arc| left.get(&arc.link) == Some(&at)) else { break };
            left.remove(&arc.link);
            way.cost += cost(arc.link).unwrap_or(f64::INFINITY);
            way.nodes.push(arc.to);
            way.links.push(arc.link);
            at = arc.to;
        }
        if at != to {
            break;
        }
        ways.push(way);
    }
    ways.sort_by(Way::order);
    ways
}

#[cfg(test)]
mod tests {
    use super::super::test_views::{random_view, view};
    use super::*;
    use proptest::prelude::*;

    fn grid(side: u32) -> NetworkView {
        let at = |x, y| y * side + x;
        let mut ends = Vec::new();
        for y in 0..side {
            for x in 0..side {
                if x + 1 < side {
                    ends.push((at(x, y), at(x + 1, y)));
                }
                if y + 1 < side {
                    ends.push((at(x, y), at(x, y + 1)));
                }
            }
        }
        view(side * side, &ends)
    }

    /// A grid of 3 by 3 nodes whose links are up with probability 0.6, corner to corner: over all 2^12 states.
    #[test]
    fn a_small_grid_gives_the_reference_values() {
        let view = grid(3);
        let (mut paths, mut connected) = (0.0, 0.0);
        for state in 0..1u32 << 12 {
            let up = state.count_ones() as i32;
            let p = 0.6f64.powi(up) * 0.4f64.powi(12 - up);
            let capacity = |link: usize| f64::from(state >> link & 1);
            let flow = greatest_flow(&view, NodeId(0), NodeId(8), capacity);
            let ways = disjoint_ways(&view, (0, 8), 9, |link| (state >> link & 1 == 1).then_some(1.0));
            assert_eq!(ways.len() as f64, flow);
            paths += p * flow;
            connected += p * f64::from(u8::from(flow > 0.0));
            let width = widest_route(&view, NodeId(0), NodeId(8), capacity);
            assert_eq!(width.is_some(), flow > 0.0);
        }
        assert!(
            (paths - 0.521_916).abs() < 1e-6 && (connected - 0.476_741).abs() < 1e-6,
            "{paths} {connected}"
        );
    }

    #[test]
    fn the_trap_of_taking_the_shortest_route_first_is_avoided() {
        // 0-1-2-3 is the shortest, and takes what both routes of two links need.
        let view = view(4, &[(0, 1), (1, 2), (2, 3), (0, 2), (1, 3)]);
        let cost = |link: u32| Some(if link < 3 { 1.0 } else { 4.0 });
        let ways = disjoint_ways(&view, (0, 3), 2, cost);
        let nodes: Vec<_> = ways.iter().map(|way| way.nodes.clone()).collect();
        assert_eq!(nodes, [vec![0, 1, 3], vec![0, 2, 3]]);
        assert_eq!(disjoint_ways(&view, (0, 3), 1, cost)[0].nodes, [0, 1, 2, 3]);
    }

    /// The least capacity of what separates the ends, over all cuts.
    fn least_cut(view: &NetworkView, to: u32, capacity: &impl Fn(usize) -> f64) -> f64 {
        let nodes = view.nodes().len();
        let cut = |side: u32| -> f64 {
            let crosses = |link: &usize| {
                let [a, b] = view.links()[*link].ends.map(|end| side >> end.0 & 1);
                a != b
            };
            (0..view.links().len()).filter(crosses).map(capacity).sum()
        };
        let sides = (0..1u32 << nodes).filter(|side| side & 1 == 1 && side >> to & 1 == 0);
        sides.map(cut).fold(f64::INFINITY, f64::min)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn the_greatest_flow_is_the_least_cut(seed: u64, nodes in 2u32..8, links in 1usize..14) {
            let view = random_view(seed, nodes, links);
            let capacity = |link: usize| 0.1 * (1 + link * 7 % 5) as f64;
            let flow = greatest_flow(&view, NodeId(0), NodeId(nodes - 1), capacity);
            prop_assert!((flow - least_cut(&view, nodes - 1, &capacity)).abs() < 1e-9);
            let wide = widest_route(&view, NodeId(0), NodeId(nodes - 1), capacity);
            prop_assert!(wide.map_or(0.0, |(wide, _)| wide) <= flow + 1e-12);
            let ways = disjoint_ways(&view, (0, nodes - 1), 20, |_| Some(1.0));
            let unit = least_cut(&view, nodes - 1, &|_| 1.0);
            prop_assert_eq!(ways.len() as f64, unit);
            let mut links: Vec<_> = ways.iter().flat_map(|way| way.links.clone()).collect();
            let count = links.len();
            links.sort_unstable();
            links.dedup();
            prop_assert_eq!(links.len(), count, "a link is used twice");
        }
    }
}
