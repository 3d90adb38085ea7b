//! The cheapest way for a key: Dijkstra (Numer. Math. 1, 269 (1959)) over the flat arrays of a [`Topology`].
//!
//! The cost of a link is a base for the hop plus what rises as the pool falls; see [`link_cost`]. A route
//! passes only nodes that may relay, and none twice. Of equally cheap routes the one with the fewest links is
//! taken, and of these the same one everywhere and always.

use super::topology::Topology;
use bellwether_units::{LinkId, NodeId};
use core::cmp::Reverse;
use std::collections::BinaryHeap;

/// What a hop costs when the pool is full; the unit of cost.
pub const HOP_COST: u32 = 1000;
/// The share of the capacity at which a pool's scarcity doubles the cost of its link.
const SCARCE_SHARE: u64 = 16;

/// The cost of passing a link on whose near end `level` bits of a pool of `capacity` bits may be taken:
/// `HOP_COST (1 + capacity / (16 level))`. So a pool at a sixteenth of its capacity counts two hops, and one
/// at a hundredth seven. Of an unknown level (`None`), a sixteenth is assumed; an empty pool cannot be passed.
pub fn link_cost(level: Option<u64>, capacity: u64) -> Option<u32> {
    let level = level.unwrap_or((capacity / SCARCE_SHARE).max(1));
    let scarcity =
        (u128::from(HOP_COST) * u128::from(capacity)).checked_div(u128::from(SCARCE_SHARE * level))?;
    Some(HOP_COST + scarcity.min(1_000_000 * u128::from(HOP_COST)) as u32)
}

/// A way through the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its links, from the source on.
    pub links: Vec<LinkId>,
    /// The sum of their costs.
    pub cost: u64,
}

/// A sum of costs and, below it, the number of links, so that one comparison does both. One is added to tell
/// the source's from the zero of a node not reached yet.
pub(super) const HOP_SHIFT: u32 = 16;

/// The cheapest route from `from` to `to`, where `cost` tells what a link costs when entered at a node, and
/// `None` that it cannot be passed. Takes `O(links log nodes)`, less when `to` is near.
///
/// ```
/// use bellwether_protocol::keys::{Topology, cheapest_route};
/// use bellwether_units::{LinkId, NodeId};
///
/// let [a, b, c] = [NodeId(0), NodeId(1), NodeId(2)];
/// let triangle = Topology::new(3, &[(a, b), (b, c), (a, c)])?;
/// let direct = cheapest_route(&triangle, a, c, |_, _| Some(1000)).expect("they are linked");
/// assert_eq!(direct.links, [LinkId(2)]);
/// let around = cheapest_route(&triangle, a, c, |link, _| (link != LinkId(2)).then_some(1000));
/// assert_eq!(around.expect("b relays").links, [LinkId(0), LinkId(1)]);
/// # Ok::<(), bellwether_protocol::keys::TopologyError>(())
/// ```
pub fn cheapest_route(
    topology: &Topology,
    from: NodeId,
    to: NodeId,
    cost: impl Fn(LinkId, NodeId) -> Option<u32>,
) -> Option<Route> {
    let count = topology.node_count();
    if from.index() >= count || to.index() >= count {
        return None;
    }
    // Zeroed memory costs nothing until it is touched, so a search costs what it visits.
    let mut label = vec![0u64; count];
    let mut came_by = vec![0u32; count];
    let mut queue = BinaryHeap::new();
    label[from.index()] = 1;
    queue.push(Reverse((1u64, from.0)));
    while let Some(Reverse((reached, node))) = queue.pop() {
        let node = NodeId(node);
        if reached > label[node.index()] {
            continue;
        }
        if node == to {
            return Some(Route {
                links: trace(topology, from, to, &came_by),
                cost: (reached - 1) >> HOP_SHIFT,
            });
        }
        if node != from && !topology.may_relay(node) {
            continue;
        }
        for next in topology.neighbours(node) {
            let old = label[next.node.index()];
            // Whatever the link costs, it cannot lead to a better label.
            if old != 0 && old <= reached {
                continue;
            }
            let Some(step) = cost(next.link, node) else { continue };
            let new = reached + (u64::from(step.max(1)) << HOP_SHIFT | 1);
            if old == 0 || new < old || new == old && next.link.0 < came_by[next.node.index()] {
                label[next.node.index()] = new;
                came_by[next.node.index()] = next.link.0;
                if new != old {
                    queue.push(Reverse((new, next.node.0)));
                }
            }
        }
    }
    None
}

fn trace(topology: &Topology, from: NodeId, to: NodeId, came_by: &[u32]) -> Vec<LinkId> {
    let mut links = Vec::new();
    let mut at = to;
    while at != from {
        let link = LinkId(came_by[at.index()]);
        links.push(link);
        match topology.other_end(link, at) {
            Some(before) => at = before,
            None => break,
        }
    }
    links.reverse();
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_rises_as_the_pool_falls() {
        assert_eq!(link_cost(Some(1 << 24), 1 << 24), Some(1062));
        assert_eq!(link_cost(Some(1 << 20), 1 << 24), Some(2000));
        assert_eq!(link_cost(Some(0), 1 << 24), None);
        assert_eq!(link_cost(None, 1 << 24), Some(2000));
        assert_eq!(link_cost(Some(1), u64::MAX), Some(1_000_001_000));
        let costs: Vec<_> = (1..1000).map(|level| link_cost(Some(level * 1000), 1 << 24)).collect();
        assert!(costs.windows(2).all(|w| w[0] >= w[1]));
    }

    #[test]
    fn no_route_passes_an_untrusted_node() {
        let [a, b, c] = [NodeId(0), NodeId(1), NodeId(2)];
        let line = Topology::new(3, &[(a, b), (b, c)]).unwrap().without_relay([b]);
        assert_eq!(cheapest_route(&line, a, c, |_, _| Some(1)), None);
        assert!(cheapest_route(&line, a, b, |_, _| Some(1)).is_some());
        assert!(cheapest_route(&line, b, c, |_, _| Some(1)).is_some());
    }
}
