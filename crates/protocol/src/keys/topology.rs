//! The fixed part of a network as its nodes know it from configuration: who is linked to whom, and who may relay.

use bellwether_units::{LinkId, NodeId};

/// Nodes and links in flat arrays (compressed sparse rows), meant to be shared by all machines of a process.
///
/// ```
/// use bellwether_protocol::keys::Topology;
/// use bellwether_units::{LinkId, NodeId};
///
/// let line = Topology::new(3, &[(NodeId(0), NodeId(1)), (NodeId(1), NodeId(2))])?;
/// assert_eq!(line.other_end(LinkId(1), NodeId(2)), Some(NodeId(1)));
/// assert_eq!(line.links_of(NodeId(1)).count(), 2);
/// # Ok::<(), bellwether_protocol::keys::TopologyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Topology {
    offsets: Vec<u32>,
    arcs: Vec<Neighbour>,
    links: Vec<[NodeId; 2]>,
    relays: Vec<bool>,
}

/// A link as one of its ends sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Neighbour {
    pub(super) node: NodeId,
    pub(super) link: LinkId,
}

/// Why links do not make a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopologyError {
    /// A link ends at a node that is not there.
    #[error("{0} ends at {1}, beyond the {2} nodes of the network")]
    MissingNode(LinkId, NodeId, u32),
    /// A link joins a node to itself.
    #[error("{0} joins {1} to itself")]
    Loop(LinkId, NodeId),
    /// More links than 2^31, or more nodes than 2^32 - 1.
    #[error("a network has at most 2^31 links")]
    TooLarge,
}

impl Topology {
    /// The network of `nodes` nodes with these links, numbered in their order. Several links may join the
    /// same two nodes. Every node may relay.
    pub fn new(nodes: u32, links: &[(NodeId, NodeId)]) -> Result<Self, TopologyError> {
        if nodes == u32::MAX || links.len() > 1 << 31 {
            return Err(TopologyError::TooLarge);
        }
        let mut offsets = vec![0u32; nodes as usize + 1];
        for (i, &(a, b)) in links.iter().enumerate() {
            let link = LinkId(i as u32);
            if let Some(&missing) = [a, b].iter().find(|n| n.0 >= nodes) {
                return Err(TopologyError::MissingNode(link, missing, nodes));
            }
            if a == b {
                return Err(TopologyError::Loop(link, a));
            }
            offsets[a.index() + 1] += 1;
            offsets[b.index() + 1] += 1;
        }
        for i in 0..nodes as usize {
            offsets[i + 1] += offsets[i];
        }
        let mut next = offsets.clone();
        let mut arcs = vec![Neighbour { node: NodeId(0), link: LinkId(0) }; links.len() * 2];
        for (i, &(a, b)) in links.iter().enumerate() {
            for (from, to) in [(a, b), (b, a)] {
                arcs[next[from.index()] as usize] = Neighbour { node: to, link: LinkId(i as u32) };
                next[from.index()] += 1;
            }
        }
        let links = links.iter().map(|&(a, b)| [a, b]).collect();
        Ok(Self { offsets, arcs, links, relays: vec![true; nodes as usize] })
    }
    /// The same network in which these nodes are not trusted to relay: no route passes them.
    pub fn without_relay(mut self, nodes: impl IntoIterator<Item = NodeId>) -> Self {
        for node in nodes {
            if let Some(relay) = self.relays.get_mut(node.index()) {
                *relay = false;
            }
        }
        self
    }
    /// How many nodes.
    pub fn node_count(&self) -> usize {
        self.relays.len()
    }
    /// How many links.
    pub fn link_count(&self) -> usize {
        self.links.len()
    }
    /// Whether the node is trusted to relay.
    pub fn may_relay(&self, node: NodeId) -> bool {
        self.relays.get(node.index()).copied().unwrap_or(false)
    }
    /// The two ends of a link, as they were given.
    pub fn ends(&self, link: LinkId) -> Option<[NodeId; 2]> {
        self.links.get(link.index()).copied()
    }
    /// The end of `link` that is not `node`, if `node` is an end of it.
    pub fn other_end(&self, link: LinkId, node: NodeId) -> Option<NodeId> {
        match self.ends(link)? {
            [a, b] if a == node => Some(b),
            [a, b] if b == node => Some(a),
            _ => None,
        }
    }
    /// Which end of `link` the node is: 0 or 1.
    pub(super) fn side(&self, link: LinkId, node: NodeId) -> Option<usize> {
        self.ends(link)?.iter().position(|&end| end == node)
    }
    /// The links of a node and the nodes at their other ends, in the order of the links.
    pub fn links_of(&self, node: NodeId) -> impl Iterator<Item = (LinkId, NodeId)> + '_ {
        self.neighbours(node).iter().map(|arc| (arc.link, arc.node))
    }
    pub(super) fn neighbours(&self, node: NodeId) -> &[Neighbour] {
        match self.offsets.get(node.index()..node.index() + 2) {
            Some(&[from, to]) => &self.arcs[from as usize..to as usize],
            _ => &[],
        }
    }
    /// The nodes that a route from `from` over these links passes, both ends among them; `None` if the links
    /// do not follow one another.
    pub fn nodes_on(&self, from: NodeId, route: &[LinkId]) -> Option<Vec<NodeId>> {
        let mut nodes = Vec::with_capacity(route.len() + 1);
        nodes.push(from);
        let mut at = from;
        for &link in route {
            at = self.other_end(link, at)?;
            nodes.push(at);
        }
        Some(nodes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_nowhere_or_to_itself_is_refused() {
        let node = NodeId;
        assert_eq!(
            Topology::new(2, &[(node(0), node(2))]).unwrap_err(),
            TopologyError::MissingNode(LinkId(0), node(2), 2)
        );
        assert_eq!(
            Topology::new(2, &[(node(0), node(1)), (node(1), node(1))]).unwrap_err(),
            TopologyError::Loop(LinkId(1), node(1))
        );
    }

    #[test]
    fn a_route_names_its_nodes() {
        let ring =
            Topology::new(3, &[(NodeId(0), NodeId(1)), (NodeId(2), NodeId(1)), (NodeId(2), NodeId(0))])
                .unwrap();
        assert_eq!(
            ring.nodes_on(NodeId(0), &[LinkId(0), LinkId(1)]),
            Some(vec![NodeId(0), NodeId(1), NodeId(2)])
        );
        assert_eq!(ring.nodes_on(NodeId(0), &[LinkId(1)]), None);
        assert!(ring.neighbours(NodeId(9)).is_empty());
    }
}
