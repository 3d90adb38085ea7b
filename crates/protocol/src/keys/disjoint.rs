//! Routes that share no relay, for keys sent as the sum of shares: who holds fewer relays than there are routes
//! learns nothing.
//!
//! Suurballe (Networks 4, 125 (1974)) with the potentials of Suurballe & Tarjan (Networks 14, 325 (1984)),
//! for any number of routes: every node is cut into an entrance and an exit joined by one arc, and shortest
//! augmenting routes are sent one after the other; each may take back part of those before.

use super::routing::{HOP_SHIFT, Route};
use super::topology::Topology;
use bellwether_units::{LinkId, NodeId};
use core::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

/// Up to `count` routes from `from` to `to` that share no link and no node between the two, with the least
/// total cost for their number, the cheapest first. Fewer come back if there are no more.
pub fn disjoint_routes(
    topology: &Topology,
    from: NodeId,
    to: NodeId,
    count: usize,
    cost: impl Fn(LinkId, NodeId) -> Option<u32>,
) -> Vec<Route> {
    let nodes = topology.node_count();
    if from == to || from.index() >= nodes || to.index() >= nodes {
        return Vec::new();
    }
    let mut search = Search {
        topology,
        from,
        to,
        cost: |link, at| cost(link, at).map(|c| i64::from(c.max(1)) << HOP_SHIFT | 1),
        used: BTreeMap::new(),
        through: BTreeSet::new(),
        potential: vec![0; 2 * nodes],
    };
    for _ in 0..count {
        if !search.augment() {
            break;
        }
    }
    search.routes()
}

struct Search<'a, F> {
    topology: &'a Topology,
    from: NodeId,
    to: NodeId,
    cost: F,
    /// The links in use, and the node at which each is entered.
    used: BTreeMap<LinkId, NodeId>,
    /// The nodes between the two that are in use.
    through: BTreeSet<NodeId>,
    /// By state: entrance `2 n`, exit `2 n + 1`.
    potential: Vec<i64>,
}

impl<F: Fn(LinkId, NodeId) -> Option<i64>> Search<'_, F> {
    fn entrance(node: NodeId) -> usize {
        2 * node.index()
    }
    fn exit(node: NodeId) -> usize {
        2 * node.index() + 1
    }
    /// Every arc that leaves a state while some routes are in use: the next state, the cost, the link.
    fn arcs(&self, state: usize, mut visit: impl FnMut(usize, i64, Option<LinkId>)) {
        let node = NodeId((state / 2) as u32);
        if state.is_multiple_of(2) {
            if !self.through.contains(&node) && node != self.to && self.topology.may_relay(node) {
                visit(Self::exit(node), 0, None);
            }
            for next in self.topology.neighbours(node) {
                // A link by which a route comes in can be taken back.
                if self.used.get(&next.link) == Some(&next.node)
                    && let Some(cost) = (self.cost)(next.link, next.node)
                {
                    visit(Self::exit(next.node), -cost, Some(next.link));
                }
            }
        } else {
            if self.through.contains(&node) {
                visit(Self::entrance(node), 0, None);
            }
            for next in self.topology.neighbours(node) {
                if next.node != self.from
                    && !self.used.contains_key(&next.link)
                    && let Some(cost) = (self.cost)(next.link, node)
                {
                    visit(Self::entrance(next.node), cost, Some(next.link));
                }
            }
        }
    }

    fn augment(&mut self) -> bool {
        let (start, goal) = (Self::exit(self.from), Self::entrance(self.to));
        let mut label = vec![i64::MAX; self.potential.len()];
        let mut came: Vec<(u32, Option<LinkId>)> = vec![(u32::MAX, None); self.potential.len()];
        let mut queue = BinaryHeap::new();
        label[start] = 0;
        queue.push(Reverse((0i64, start)));
        while let Some(Reverse((reached, state))) = queue.pop() {
            if reached > label[state] {
                continue;
            }
            if state == goal {
                break;
            }
            self.arcs(state, |next, cost, link| {
                let new = reached + cost + self.potential[state] - self.potential[next];
                if new < label[next] {
                    label[next] = new;
                    came[next] = (state as u32, link);
                    queue.push(Reverse((new, next)));
                }
            });
        }
        let Some(&reached) = label.get(goal).filter(|&&l| l != i64::MAX) else { return false };
        for (potential, &label) in self.potential.iter_mut().zip(&label) {
            *potential += label.min(reached);
        }
        self.apply(start, goal, &came);
        true
    }

    fn apply(&mut self, start: usize, goal: usize, came: &[(u32, Option<LinkId>)]) {
        let mut state = goal;
        while state != start {
            let (before, link) = came[state];
            let before = before as usize;
            let (node, node_before) = (NodeId((state / 2) as u32), NodeId((before / 2) as u32));
            match link {
                Some(link) if before % 2 == 1 => drop(self.used.insert(link, node_before)),
                Some(link) => drop(self.used.remove(&link)),
                None if before.is_multiple_of(2) => drop(self.through.insert(node)),
                None => drop(self.through.remove(&node)),
            }
            state = before;
        }
    }

    fn routes(&self) -> Vec<Route> {
        let mut leaving: BTreeMap<NodeId, Vec<LinkId>> = BTreeMap::new();
        for (&link, &at) in &self.used {
            leaving.entry(at).or_default().push(link);
        }
        let starts = leaving.remove(&self.from).unwrap_or_default();
        let mut routes: Vec<Route> = starts.iter().map(|&first| self.follow(first, &leaving)).collect();
        routes.sort_by(|a, b| (a.cost, &a.links).cmp(&(b.cost, &b.links)));
        routes
    }

    fn follow(&self, first: LinkId, leaving: &BTreeMap<NodeId, Vec<LinkId>>) -> Route {
        let mut route = Route { links: Vec::new(), cost: 0 };
        let (mut at, mut link) = (self.from, Some(first));
        while let Some(next) = link {
            route.links.push(next);
            route.cost += (self.cost)(next, at).unwrap_or(0) as u64 >> HOP_SHIFT;
            at = self.topology.other_end(next, at).unwrap_or(self.to);
            link = if at == self.to { None } else { leaving.get(&at).and_then(|l| l.first()).copied() };
        }
        route
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The case for which taking the shortest route first fails: it blocks both others (Bhandari, "Survivable
    /// Networks", 1999, chapter 3).
    #[test]
    fn the_second_route_may_take_back_part_of_the_first() {
        let n = NodeId;
        let links = [
            (n(0), n(1)),
            (n(1), n(2)),
            (n(2), n(5)),
            (n(0), n(3)),
            (n(3), n(2)),
            (n(1), n(4)),
            (n(4), n(5)),
        ];
        let trap = Topology::new(6, &links).unwrap();
        let cost = |link: LinkId, _| Some(if link.0 < 3 { 1 } else { 4 });
        let routes = disjoint_routes(&trap, n(0), n(5), 2, cost);
        let links: Vec<Vec<u32>> = routes.iter().map(|r| r.links.iter().map(|l| l.0).collect()).collect();
        assert_eq!(links, [[0, 5, 6], [3, 4, 2]]);
        assert_eq!(disjoint_routes(&trap, n(0), n(5), 3, cost).len(), 2);
        assert_eq!(disjoint_routes(&trap, n(0), n(5), 1, cost)[0].cost, 3);
    }
}
