//! Slotted networks: in each slot all links are attempted, then swapped at once, and nothing is kept.
//!
//! The expected throughput of a route of width W in a slot (Shi & Qian, "Concurrent entanglement routing for quantum networks",
//! SIGCOMM 2020) is the mean of the least number of pairs that any of its links makes with W parallel attempts, times the
//! probability that every swap succeeds; swaps are one fewer than links. Routes for many demands are chosen as Q-CAST does:
//! the best route of all by this measure, again and again in what is left of the network, and then recovery routes around
//! short stretches of each.

use super::search::Way;
use super::view::NetworkView;
use bellwether_units::{Duration, LinkId, NodeId};
use core::cmp::Ordering;
use std::collections::BinaryHeap;

/// How many pairs a route gives in a slot, in the mean: `links` are the probabilities with which one attempt of each succeeds,
/// `swaps` those of the swaps between them, and each link has `width` attempts.
pub fn expected_throughput(links: &[f64], swaps: &[f64], width: u32) -> f64 {
    let mut reached = vec![1.0; width as usize];
    for p in links {
        extend(&mut reached, *p);
    }
    swaps.iter().product::<f64>() * reached.iter().sum::<f64>()
}

/// Multiplies the probabilities that all links so far have made at least 1, 2, .. pairs by those of one more link.
fn extend(reached: &mut [f64], p: f64) {
    let width = reached.len() as i32;
    // The probability of exactly i successes, from W down, summed as it goes.
    let mut at_least = 0.0;
    let mut choose = 1.0;
    for i in (1..=width).rev() {
        at_least += choose * libm::pow(p, i.into()) * libm::pow(1.0 - p, (width - i).into());
        choose *= f64::from(i) / f64::from(width - i + 1);
        reached[i as usize - 1] *= f64::min(at_least, 1.0);
    }
}

/// A network in slots.
#[derive(Clone, Debug)]
pub struct SlottedNetwork<'a> {
    view: &'a NetworkView,
    /// By link: with which probability one attempt of a slot succeeds, and how many attempts are free.
    links: Vec<(f64, u32)>,
    /// By node: how many memories are free.
    memories: Vec<u32>,
}

/// Routes for one demand.
#[derive(Clone, Debug, PartialEq)]
pub struct SlottedRoute {
    /// Which demand, by place.
    pub demand: usize,
    /// The nodes, from head to tail.
    pub nodes: Vec<NodeId>,
    /// The links between them.
    pub links: Vec<LinkId>,
    /// How many attempts each link has.
    pub width: u32,
    /// How many pairs it gives in a slot, in the mean.
    pub throughput: f64,
    /// What is tried where a stretch of it has failed.
    pub recovery: Vec<Recovery>,
}

/// A way around a stretch of a route.
#[derive(Clone, Debug, PartialEq)]
pub struct Recovery {
    /// From which node of the route, by place, and to which.
    pub stretch: (usize, usize),
    /// Its own nodes, the ends of the stretch among them.
    pub nodes: Vec<NodeId>,
    /// Its links.
    pub links: Vec<LinkId>,
    /// How many attempts each link has.
    pub width: u32,
}

/// How many routes are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlottedLimits {
    /// For all demands together.
    pub routes: usize,
    /// The widest route.
    pub width: u32,
    /// The longest stretch that is recovered, in links: as far as nodes hear of each other's links in time.
    pub stretch: usize,
}

/// How a node was reached.
#[derive(Clone, Debug)]
struct Label {
    throughput: f64,
    before: u32,
    link: u32,
    /// How likely at least 1, 2, .. pairs reach it.
    reached: Vec<f64>,
}

struct Found {
    throughput: f64,
    width: u32,
    nodes: Vec<u32>,
    links: Vec<u32>,
}

#[derive(Debug, PartialEq)]
struct Entry {
    throughput: f64,
    hops: u32,
    node: u32,
}
impl Eq for Entry {}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        let order = self.throughput.total_cmp(&other.throughput).then(other.hops.cmp(&self.hops));
        order.then(other.node.cmp(&self.node))
    }
}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<'a> SlottedNetwork<'a> {
    /// The network of a view in slots of this length. A link with the brightest level of at least `fidelity` has as many
    /// attempts at once as both ends have memories for it, and each goes on for the slot.
    pub fn of(view: &'a NetworkView, slot: Duration, fidelity: f64) -> Self {
        let link = |place: usize| {
            let link = &view.links()[place];
            let kind = view.kind_of(place as u32);
            let cycles = libm::floor(slot.seconds() / kind.cycle.seconds());
            let level = kind.table.choose(fidelity).filter(|_| link.promised < 1.0);
            let success = level.map_or(0.0, |level| -libm::expm1(cycles * libm::log1p(-level.success)));
            (success, u32::from(link.memories[0].min(link.memories[1])))
        };
        let links = (0..view.links().len()).map(link).collect();
        Self { view, links, memories: vec![u32::MAX; view.nodes().len()] }
    }
    /// With these probabilities and numbers of attempts for the links, and these memories of nodes, both by place.
    ///
    /// # Panics
    /// If there are fewer than links or nodes.
    pub fn with(view: &'a NetworkView, links: Vec<(f64, u32)>, memories: Vec<u32>) -> Self {
        assert!(links.len() == view.links().len() && memories.len() == view.nodes().len());
        Self { view, links, memories }
    }

    /// The route of the highest expected throughput for one demand, by Dijkstra's search with that as its measure, once for
    /// each width. The measure of a longer route does not follow from that of a shorter one alone where links differ, so
    /// that a slightly better one may be missed there.
    pub fn best_route(&self, from: NodeId, to: NodeId, width: u32) -> Option<SlottedRoute> {
        let found = self.best(from.0, to.0, width, &[])?;
        Some(self.route(0, &found))
    }

    /// The same by place; its cost is minus its throughput.
    pub(super) fn best_way(&self, (from, to): (u32, u32), width: u32) -> Option<Way> {
        let Found { throughput, nodes, links, .. } = self.best(from, to, width, &[])?;
        Some(Way { cost: -throughput, nodes, links })
    }

    fn route(&self, demand: usize, found: &Found) -> SlottedRoute {
        SlottedRoute {
            demand,
            nodes: found.nodes.iter().map(|node| NodeId(*node)).collect(),
            links: found.links.iter().map(|link| self.view.links()[*link as usize].id).collect(),
            width: found.width,
            throughput: found.throughput,
            recovery: Vec::new(),
        }
    }

    fn best(&self, from: u32, to: u32, most: u32, avoid: &[u32]) -> Option<Found> {
        let widths = (1..=most).rev();
        let mut best: Option<Found> = None;
        for width in widths {
            if let Some(found) = self.best_of_width(from, to, width, avoid)
                && best.as_ref().is_none_or(|best| found.throughput > best.throughput)
            {
                best = Some(found);
            }
        }
        best
    }

    fn best_of_width(&self, from: u32, to: u32, width: u32, avoid: &[u32]) -> Option<Found> {
        let nodes = self.view.nodes().len();
        let room = |node: u32, ends: u32| self.memories.get(node as usize).is_some_and(|free| *free >= ends);
        if from == to || !room(from, width) || !room(to, width) {
            return None;
        }
        let mut labels: Vec<Option<Label>> = vec![None; nodes];
        let mut settled = vec![false; nodes];
        let reached = vec![1.0; width as usize];
        let start = Label { throughput: f64::INFINITY, before: u32::MAX, link: u32::MAX, reached };
        labels[from as usize] = Some(start);
        let mut heap = BinaryHeap::from([Entry { throughput: f64::INFINITY, hops: 0, node: from }]);
        while let Some(Entry { hops, node, .. }) = heap.pop() {
            if core::mem::replace(&mut settled[node as usize], true) {
                continue;
            }
            if node == to {
                break;
            }
            // A node between the ends swaps, and holds halves of two links.
            if node != from && (avoid.contains(&node) || !room(node, width.saturating_mul(2))) {
                continue;
            }
            let Some(Label { reached, .. }) = labels[node as usize].clone() else { continue };
            let swap = if node == from { 1.0 } else { self.view.nodes()[node as usize].swap_success };
            for arc in self.view.arcs(node) {
                let (p, free) = self.links[arc.link as usize];
                if free < width || settled[arc.to as usize] || p <= 0.0 {
                    continue;
                }
                let mut further: Vec<f64> = reached.iter().map(|r| r * swap).collect();
                extend(&mut further, p);
                let throughput: f64 = further.iter().sum();
                if labels[arc.to as usize].as_ref().is_none_or(|old| throughput > old.throughput) {
                    let label = Label { throughput, before: node, link: arc.link, reached: further };
                    labels[arc.to as usize] = Some(label);
                    heap.push(Entry { throughput, hops: hops + 1, node: arc.to });
                }
            }
        }
        let throughput = labels[to as usize].as_ref()?.throughput;
        let (mut nodes, mut links, mut at) = (vec![to], Vec::new(), to);
        while at != from {
            let Label { before, link, .. } = labels[at as usize].as_ref()?;
            links.push(*link);
            nodes.push(*before);
            at = *before;
        }
        nodes.reverse();
        links.reverse();
        Some(Found { throughput, width, nodes, links })
    }

    /// Takes what a route uses out of the network.
    fn take(&mut self, found: &Found) {
        for link in &found.links {
            self.links[*link as usize].1 -= found.width;
        }
        for (place, node) in found.nodes.iter().enumerate() {
            let links = if place == 0 || place + 1 == found.nodes.len() { 1 } else { 2 };
            let free = &mut self.memories[*node as usize];
            if *free != u32::MAX {
                *free -= links * found.width;
            }
        }
    }

    /// Routes for all demands together: the best of all again and again (G-EDA), then ways around their stretches.
    pub fn routes(mut self, demands: &[(NodeId, NodeId)], limits: &SlottedLimits) -> Vec<SlottedRoute> {
        let mut chosen: Vec<SlottedRoute> = Vec::new();
        let mut places: Vec<Vec<u32>> = Vec::new();
        // What was the best for a demand stays so unless something of it was taken.
        let mut best: Vec<Option<Found>> =
            demands.iter().map(|(from, to)| self.best(from.0, to.0, limits.width, &[])).collect();
        while chosen.len() < limits.routes {
            let value = |place: &usize| best[*place].as_ref().map_or(0.0, |found| found.throughput);
            let order = |a: &usize, b: &usize| value(a).total_cmp(&value(b)).then(b.cmp(a));
            let Some(demand) = (0..demands.len()).max_by(order) else { break };
            let Some(found) = best[demand].take() else { break };
            self.take(&found);
            chosen.push(self.route(demand, &found));
            for (place, (from, to)) in demands.iter().enumerate() {
                let shares = |other: &Found| other.nodes.iter().any(|node| found.nodes.contains(node));
                if place == demand || best[place].as_ref().is_some_and(shares) {
                    best[place] = self.best(from.0, to.0, limits.width, &[]);
                }
            }
            places.push(found.nodes);
        }
        for (route, nodes) in chosen.iter_mut().zip(&places) {
            for length in 1..=limits.stretch {
                for from in 0..nodes.len().saturating_sub(length) {
                    let (a, b) = (nodes[from], nodes[from + length]);
                    let Some(found) = self.best(a, b, route.width, nodes) else { continue };
                    self.take(&found);
                    let SlottedRoute { nodes, links, width, .. } = self.route(route.demand, &found);
                    route.recovery.push(Recovery { stretch: (from, from + length), nodes, links, width });
                }
            }
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_views::{random_view, view};
    use super::*;
    use bellwether_units::{EntityId, Purpose, Stream};
    use proptest::prelude::*;

    /// Four links with three attempts of probability 1/2 each and swaps of 0.9; three links with one attempt each.
    #[test]
    fn the_expected_throughput_has_the_reference_values() {
        let found = expected_throughput(&[0.5; 4], &[0.9; 3], 3);
        assert!((found - 0.473_067).abs() < 5e-7, "{found}");
        let found = expected_throughput(&[0.6, 0.7, 0.8], &[0.9; 2], 1);
        assert!((found - 0.272_16).abs() < 1e-12, "{found}");
    }

    /// Against all outcomes of all attempts.
    #[test]
    fn the_expected_throughput_is_the_mean_of_the_least() {
        let links = [0.3f64, 0.85, 0.5];
        let width = 3;
        let mut mean = 0.0;
        for outcome in 0..1u32 << 9 {
            let bits = |link: usize| (outcome >> (3 * link) & 7).count_ones();
            let p = |link: usize| {
                links[link].powi(bits(link) as i32) * (1.0f64 - links[link]).powi(3 - bits(link) as i32)
            };
            mean += p(0) * p(1) * p(2) * f64::from(bits(0).min(bits(1)).min(bits(2)));
        }
        let found = expected_throughput(&links, &[0.9, 0.8], width);
        assert!((found - 0.72 * mean).abs() < 1e-12, "{found}");
    }

    /// The best of all routes without loops and all widths.
    fn best_of_all(network: &SlottedNetwork<'_>, to: u32, width: u32) -> f64 {
        fn go(
            network: &SlottedNetwork<'_>,
            to: u32,
            width: u32,
            nodes: &mut Vec<u32>,
            ps: &mut Vec<f64>,
        ) -> f64 {
            let at = nodes[nodes.len() - 1];
            if at == to {
                let swaps = vec![network.view.nodes()[0].swap_success; ps.len() - 1];
                return expected_throughput(ps, &swaps, width);
            }
            let mut best = 0.0;
            for arc in network.view.arcs(at) {
                let (p, free) = network.links[arc.link as usize];
                if free >= width && !nodes.contains(&arc.to) {
                    nodes.push(arc.to);
                    ps.push(p);
                    best = f64::max(best, go(network, to, width, nodes, ps));
                    nodes.pop();
                    ps.pop();
                }
            }
            best
        }
        (1..=width).map(|width| go(network, to, width, &mut vec![0], &mut Vec::new())).fold(0.0, f64::max)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn one_demand_gets_the_best_route(seed: u64, nodes in 2u32..7, links in 1usize..10, alike: bool) {
            let view = random_view(seed, nodes, links);
            let mut s = Stream::new(seed, EntityId(1), Purpose::named("slots"));
            let links: Vec<_> = (0..links)
                .map(|_| (if alike { 0.6 } else { 0.1 + 0.9 * s.uniform() }, s.below(5) as u32))
                .collect();
            let network = SlottedNetwork::with(&view, links, vec![u32::MAX; nodes as usize]);
            let exact = best_of_all(&network, nodes - 1, 4);
            let found = network.best_route(NodeId(0), NodeId(nodes - 1), 4).map_or(0.0, |route| route.throughput);
            prop_assert!(found <= exact + 1e-12);
            let least = if alike { 1.0 } else { 0.9 };
            prop_assert!(found >= least * exact - 1e-12, "{} {}", found, exact);
        }

        #[test]
        fn no_link_and_no_node_is_used_beyond_what_it_has(seed: u64) {
            let mut s = Stream::new(seed, EntityId(2), Purpose::named("slots"));
            let nodes = 4 + s.below(8) as u32;
            let count = 2 * nodes as usize;
            let view = random_view(seed, nodes, count);
            let links: Vec<_> = (0..count).map(|_| (0.2 + 0.8 * s.uniform(), 1 + s.below(6) as u32)).collect();
            let memories: Vec<_> = (0..nodes).map(|_| s.below(14) as u32).collect();
            let demand = |s: &mut Stream| {
                let a = s.below(nodes.into()) as u32;
                (NodeId(a), NodeId((a + 1 + s.below(u64::from(nodes) - 1) as u32) % nodes))
            };
            let demands: Vec<_> = (0..5).map(|_| demand(&mut s)).collect();
            let network = SlottedNetwork::with(&view, links.clone(), memories.clone());
            let limits = SlottedLimits { routes: 20, width: 4, stretch: 3 };
            let routes = network.clone().routes(&demands, &limits);
            let (mut used, mut held) = (vec![0; count], vec![0; nodes as usize]);
            let mut count = |nodes: &[NodeId], links: &[LinkId], width: u32| {
                links.iter().for_each(|link| used[link.index()] += width);
                for (place, node) in nodes.iter().enumerate() {
                    held[node.index()] += width * if place == 0 || place + 1 == nodes.len() { 1 } else { 2 };
                }
            };
            for route in &routes {
                count(&route.nodes, &route.links, route.width);
                let ends = (route.nodes[0], route.nodes[route.nodes.len() - 1]);
                prop_assert_eq!(ends, demands[route.demand]);
                for recovery in &route.recovery {
                    count(&recovery.nodes, &recovery.links, recovery.width);
                    let (a, b) = recovery.stretch;
                    let last = recovery.nodes[recovery.nodes.len() - 1];
                    prop_assert_eq!((recovery.nodes[0], last), (route.nodes[a], route.nodes[b]));
                    let inner = &recovery.nodes[1..recovery.nodes.len() - 1];
                    prop_assert!(inner.iter().all(|node| !route.nodes.contains(node)));
                }
            }
            prop_assert!(used.iter().zip(&links).all(|(used, (_, free))| used <= free));
            prop_assert!(held.iter().zip(&memories).all(|(held, free)| held <= free));
            // The first route is the best that any demand could have.
            let alone = demands.iter().filter_map(|(a, b)| network.best_route(*a, *b, 4)).map(|r| r.throughput);
            let best = alone.fold(0.0, f64::max);
            prop_assert_eq!(routes.first().map_or(0.0, |route| route.throughput), best);
        }
    }

    #[test]
    fn a_stretch_is_recovered_by_a_way_around_it() {
        // A square and a tail: 0-1-2 or 0-3-2, then 4.
        let view = view(5, &[(0, 1), (1, 2), (0, 3), (3, 2), (2, 4)]);
        let links = vec![(0.9, 1), (0.9, 1), (0.5, 1), (0.5, 1), (0.9, 1)];
        let network = SlottedNetwork::with(&view, links, vec![u32::MAX; 5]);
        let limits = SlottedLimits { routes: 1, width: 1, stretch: 2 };
        let routes = network.routes(&[(NodeId(0), NodeId(4))], &limits);
        let [route] = &routes[..] else { panic!("{routes:?}") };
        assert_eq!(route.nodes, [0, 1, 2, 4].map(NodeId));
        let [recovery] = &route.recovery[..] else { panic!("{:?}", route.recovery) };
        assert_eq!((recovery.stretch, recovery.nodes.clone()), ((0, 2), [0, 3, 2].map(NodeId).to_vec()));
    }

    /// The network of a view: attempts for the length of a slot.
    #[test]
    fn a_view_in_slots_attempts_as_often_as_it_can() {
        let mut view = view(2, &[(0, 1)]);
        view.set_load(0, 0.0, [3, 5]);
        let network = SlottedNetwork::of(&view, Duration::from_milliseconds(2500), 0.9);
        let (p, free) = network.links[0];
        assert!((p - (1.0 - 0.9f64.powi(2))).abs() < 1e-12 && free == 3);
    }
}
