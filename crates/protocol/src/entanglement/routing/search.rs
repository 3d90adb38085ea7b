//! Least sums over routes: Dijkstra (1959) with early exit, and Yen's k shortest loopless routes (Management Science 17,
//! 712 (1971)) with the distances to the tail as a guide.
//!
//! The arrays are as long as the network, and are made once: what a search has not stamped is empty.

use super::view::NetworkView;
use core::cmp::Ordering;
use std::collections::{BTreeSet, BinaryHeap};

const NONE: u32 = u32::MAX;

/// A way through the network. Nodes and links are told by place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Way {
    pub(super) cost: f64,
    pub(super) nodes: Vec<u32>,
    pub(super) links: Vec<u32>,
}

impl Way {
    /// Cheapest first, then the fewest links, then the lowest numbers: the same on every machine.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let cost = self.cost.total_cmp(&other.cost).then(self.links.len().cmp(&other.links.len()));
        cost.then_with(|| self.nodes.cmp(&other.nodes)).then_with(|| self.links.cmp(&other.links))
    }
}

#[derive(Clone, Copy, Debug)]
struct Label {
    /// Which search wrote it.
    stamp: u32,
    settled: bool,
    cost: f64,
    hops: u32,
    before: u32,
    link: u32,
}

#[derive(Debug, PartialEq)]
struct Entry {
    /// The cost so far and what is at least to come.
    cost: f64,
    hops: u32,
    node: u32,
}

impl Eq for Entry {}
impl Ord for Entry {
    /// The heap gives the greatest: the cheapest is that.
    fn cmp(&self, other: &Self) -> Ordering {
        let order = other.cost.total_cmp(&self.cost).then(other.hops.cmp(&self.hops));
        order.then(other.node.cmp(&self.node))
    }
}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[derive(Debug)]
struct Labels {
    labels: Vec<Label>,
    stamp: u32,
}

impl Labels {
    fn new(nodes: usize) -> Self {
        let empty = Label { stamp: 0, settled: false, cost: 0.0, hops: 0, before: NONE, link: NONE };
        Self { labels: vec![empty; nodes], stamp: 0 }
    }
    fn begin(&mut self) {
        if self.stamp == u32::MAX {
            *self = Self::new(self.labels.len());
        }
        self.stamp += 1;
    }
    fn get(&self, node: u32) -> Option<&Label> {
        Some(&self.labels[node as usize]).filter(|label| label.stamp == self.stamp)
    }
    /// Writes a label if it is better than what there is.
    fn improve(&mut self, node: u32, cost: f64, hops: u32, (before, link): (u32, u32)) -> bool {
        let stamp = self.stamp;
        let label = &mut self.labels[node as usize];
        if label.stamp == stamp && (label.settled || (label.cost, label.hops) <= (cost, hops)) {
            return false;
        }
        *label = Label { stamp, settled: false, cost, hops, before, link };
        true
    }
    /// Whether the node was open until now.
    fn settle(&mut self, node: u32) -> bool {
        !core::mem::replace(&mut self.labels[node as usize].settled, true)
    }
}

/// What searches need, made once for a network.
#[derive(Debug)]
pub(super) struct Search {
    /// Distances to the tail.
    guide: Labels,
    /// Distances from where a route leaves another.
    ahead: Labels,
    heap: BinaryHeap<Entry>,
    /// Nodes that a route must not enter, by stamp.
    banned: Vec<u32>,
    ban: u32,
}

impl Search {
    pub(super) fn new(nodes: usize) -> Self {
        Self {
            guide: Labels::new(nodes),
            ahead: Labels::new(nodes),
            heap: BinaryHeap::new(),
            banned: vec![0; nodes],
            ban: 0,
        }
    }

    /// At most `k` routes without loops, the cheapest first, of at most `most` links. `cost` gives what a link costs, at
    /// least 0, or that it cannot be used. A limit on links is held to by leaving off labels beyond it, which may miss
    /// a dear short route where a cheap long one is in its way.
    pub(super) fn ways(
        &mut self,
        view: &NetworkView,
        (from, to): (u32, u32),
        (k, most): (usize, u32),
        cost: impl Fn(u32) -> Option<f64>,
    ) -> Vec<Way> {
        let Some(first) = self.guide(view, from, to, most, &cost) else { return Vec::new() };
        let radius = first.cost;
        let mut found = vec![first];
        let mut candidates: Vec<Way> = Vec::new();
        let mut banned_links = BTreeSet::new();
        while found.len() < k {
            let last = &found[found.len() - 1];
            let mut root_cost = 0.0;
            for spur in 0..last.links.len() {
                let root = &last.links[..spur];
                // Routes that share the root must leave it by another link than those before.
                banned_links.clear();
                for other in found.iter().filter(|w| w.links.len() > spur && w.links[..spur] == *root) {
                    banned_links.insert(other.links[spur]);
                }
                self.ban = self.ban.wrapping_add(1);
                if self.ban == 0 {
                    self.banned.fill(0);
                    self.ban = 1;
                }
                last.nodes[..spur].iter().for_each(|node| self.banned[*node as usize] = self.ban);
                let at = last.nodes[spur];
                let left = most.saturating_sub(spur as u32);
                let open = |link: u32| if banned_links.contains(&link) { None } else { cost(link) };
                // The link that leads on may be banned at the spur only: elsewhere it cannot be met, since its end is.
                if let Some(rest) = self.spur(view, (at, to), (left, radius), &open) {
                    let way = Way {
                        cost: root_cost + rest.cost,
                        nodes: last.nodes[..spur].iter().chain(&rest.nodes).copied().collect(),
                        links: root.iter().chain(&rest.links).copied().collect(),
                    };
                    if !candidates.contains(&way) {
                        candidates.push(way);
                    }
                }
                root_cost += cost(last.links[spur]).unwrap_or(f64::INFINITY);
            }
            let best = (0..candidates.len()).min_by(|a, b| candidates[*a].order(&candidates[*b]));
            let Some(best) = best else { break };
            found.push(candidates.swap_remove(best));
        }
        found
    }

    /// Distances to the tail, until the head is reached; then the cheapest route.
    fn guide(
        &mut self,
        view: &NetworkView,
        from: u32,
        to: u32,
        most: u32,
        cost: &impl Fn(u32) -> Option<f64>,
    ) -> Option<Way> {
        let Self { guide, heap, .. } = self;
        guide.begin();
        heap.clear();
        guide.improve(to, 0.0, 0, (NONE, NONE));
        heap.push(Entry { cost: 0.0, hops: 0, node: to });
        while let Some(Entry { node, .. }) = heap.pop() {
            if !guide.settle(node) {
                continue;
            }
            let Some(&Label { cost: so_far, hops, .. }) = guide.get(node) else { continue };
            if node == from {
                let mut way = Way { cost: so_far, nodes: vec![from], links: Vec::new() };
                let mut at = from;
                while let Some(&Label { before, link, .. }) = guide.get(at).filter(|l| l.before != NONE) {
                    way.nodes.push(before);
                    way.links.push(link);
                    at = before;
                }
                return Some(way);
            }
            if hops >= most {
                continue;
            }
            for arc in view.arcs(node) {
                let Some(more) = cost(arc.link) else { continue };
                let (sum, hops) = (so_far + more, hops + 1);
                if guide.improve(arc.to, sum, hops, (node, arc.link)) {
                    heap.push(Entry { cost: sum, hops, node: arc.to });
                }
            }
        }
        None
    }

    /// The cheapest route from a spur on that avoids banned nodes.
    fn spur(
        &mut self,
        view: &NetworkView,
        (from, to): (u32, u32),
        (most, radius): (u32, f64),
        cost: &impl Fn(u32) -> Option<f64>,
    ) -> Option<Way> {
        let Self { guide, ahead, heap, banned, ban } = self;
        // The way to the tail costs at least what the guide says; what it has not reached is further than the head is.
        let to_come =
            |node: u32| guide.get(node).filter(|label| label.settled).map_or(radius, |label| label.cost);
        ahead.begin();
        heap.clear();
        ahead.improve(from, 0.0, 0, (NONE, NONE));
        heap.push(Entry { cost: to_come(from), hops: 0, node: from });
        while let Some(Entry { node, .. }) = heap.pop() {
            if !ahead.settle(node) {
                continue;
            }
            let Some(&Label { cost: so_far, hops, .. }) = ahead.get(node) else { continue };
            if node == to {
                let mut way = Way { cost: so_far, nodes: vec![to], links: Vec::new() };
                let mut at = to;
                while let Some(&Label { before, link, .. }) = ahead.get(at).filter(|l| l.before != NONE) {
                    way.nodes.push(before);
                    way.links.push(link);
                    at = before;
                }
                way.nodes.reverse();
                way.links.reverse();
                return Some(way);
            }
            if hops >= most {
                continue;
            }
            for arc in view.arcs(node) {
                if banned[arc.to as usize] == *ban {
                    continue;
                }
                let Some(more) = cost(arc.link) else { continue };
                let (sum, hops) = (so_far + more, hops + 1);
                if ahead.improve(arc.to, sum, hops, (node, arc.link)) {
                    heap.push(Entry { cost: sum + to_come(arc.to), hops, node: arc.to });
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_views::{random_view, view};
    use super::*;
    use proptest::prelude::*;

    /// All routes without loops, by trying all.
    fn all_ways(view: &NetworkView, from: u32, to: u32, cost: &impl Fn(u32) -> Option<f64>) -> Vec<Way> {
        fn go(
            view: &NetworkView,
            to: u32,
            way: &mut Way,
            cost: &impl Fn(u32) -> Option<f64>,
            out: &mut Vec<Way>,
        ) {
            let at = way.nodes[way.nodes.len() - 1];
            if at == to {
                return out.push(way.clone());
            }
            for arc in view.arcs(at) {
                if let Some(more) = cost(arc.link).filter(|_| !way.nodes.contains(&arc.to)) {
                    let before = way.cost;
                    way.cost += more;
                    way.nodes.push(arc.to);
                    way.links.push(arc.link);
                    go(view, to, way, cost, out);
                    way.cost = before;
                    way.nodes.pop();
                    way.links.pop();
                }
            }
        }
        let mut out = Vec::new();
        go(view, to, &mut Way { cost: 0.0, nodes: vec![from], links: Vec::new() }, cost, &mut out);
        out.sort_by(Way::order);
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn the_k_cheapest_routes_are_found_in_order(seed: u64, nodes in 2u32..8, links in 1usize..14) {
            let view = random_view(seed, nodes, links);
            // Whole numbers add without rounding; some links cannot be used, and ties are common.
            let cost = |link: u32| (link % 7 != 6).then_some(f64::from(1 + link * 5 % 4));
            let mut search = Search::new(nodes as usize);
            for to in 1..nodes {
                let all = all_ways(&view, 0, to, &cost);
                let found = search.ways(&view, (0, to), (6, u32::MAX), cost);
                prop_assert_eq!(found.len(), all.len().min(6));
                for (found, exact) in found.iter().zip(&all) {
                    prop_assert_eq!(found.cost, exact.cost);
                    prop_assert!(all.contains(found));
                }
                for (i, a) in found.iter().enumerate() {
                    prop_assert!(!found[..i].contains(a));
                }
            }
        }
    }

    #[test]
    fn a_limit_on_links_is_held_to() {
        // 0-1-2-3 is cheap, 0-3 dear.
        let view = view(4, &[(0, 1), (1, 2), (2, 3), (0, 3)]);
        let cost = |link: u32| Some(if link == 3 { 10.0 } else { 1.0 });
        let mut search = Search::new(4);
        assert_eq!(search.ways(&view, (0, 3), (9, 9), cost).len(), 2);
        let short = search.ways(&view, (0, 3), (9, 2), cost);
        assert_eq!(short.iter().map(|way| way.nodes.clone()).collect::<Vec<_>>(), [vec![0, 3]]);
        assert!(search.ways(&view, (0, 3), (1, 9), |link| (link > 3).then_some(1.0)).is_empty());
    }
}
