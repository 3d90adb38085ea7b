//! A network as a route is sought in it: nodes, links, and what each can do, in flat arrays.

use super::offer::{LinkKind, LinkPurification, Offer, offers};
use bellwether_quantum::MemoryNoise;
use bellwether_quantum::bell::{BellDiagonal, SwapQuality};
use bellwether_units::{LinkId, NodeId};

/// A node, by its place in the list: the first is [`NodeId`] 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ViewNode {
    /// Its Bell measurement.
    pub swap: SwapQuality,
    /// How probable it is that a Bell measurement gives an outcome at all: 1 for gates, 1/2 for linear optics.
    pub swap_success: f64,
    /// Its memories.
    pub memory: MemoryNoise,
}

/// A link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ViewLink {
    /// Which.
    pub id: LinkId,
    /// Between which nodes.
    pub ends: [NodeId; 2],
    /// Of which kind, by its place in the list of kinds.
    pub kind: u32,
    /// How many memories each end has free for it.
    pub memories: [u16; 2],
    /// Which share of its time, from 0 to 1, is promised to others.
    pub promised: f64,
}

/// Why a network cannot be routed in.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum ViewError {
    /// An end does not exist, or both are the same.
    #[error("{link} must lead between two of the {nodes} nodes, not from {} to {}", .ends[0], .ends[1])]
    Ends {
        /// The link at fault.
        link: LinkId,
        /// Its ends.
        ends: [NodeId; 2],
        /// How many nodes there are.
        nodes: usize,
    },
    /// Its kind does not exist.
    #[error("{link} is of kind {kind}, but there are only {kinds} kinds, counted from 0")]
    Kind {
        /// The link at fault.
        link: LinkId,
        /// Its kind.
        kind: u32,
        /// How many there are.
        kinds: usize,
    },
    /// A share or a probability is out of range.
    #[error("{what} is {value}; it must be above {low} and at most {high}")]
    Range {
        /// Of what.
        what: &'static str,
        /// Its value.
        value: f64,
        /// It must be above this one,
        low: f64,
        /// and at most this one.
        high: f64,
    },
    /// It is larger than places of 32 bits can tell.
    #[error("a network of {nodes} nodes and {links} links is too large to route in")]
    TooLarge {
        /// How many nodes.
        nodes: usize,
        /// How many links.
        links: usize,
    },
}

/// One direction of a link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arc {
    pub(super) to: u32,
    pub(super) link: u32,
}

/// All that is known of a network, for the choice of routes. It may be wrong or old: what it promises is admitted hop by
/// hop afterwards.
#[derive(Clone, Debug)]
pub struct NetworkView {
    nodes: Vec<ViewNode>,
    links: Vec<ViewLink>,
    kinds: Vec<LinkKind>,
    /// By node: where its arcs begin; one more entry at the end.
    first: Vec<u32>,
    /// By node, in the order of where they lead.
    arcs: Vec<Arc>,
    /// By node: minus the logarithm of what a swap leaves of a Werner parameter.
    swap_loss: Vec<f64>,
}

impl NetworkView {
    /// The network of these nodes, kinds of links, and links.
    ///
    /// # Errors
    /// If a link has no two ends or no kind, or a number is out of range.
    pub fn new(nodes: Vec<ViewNode>, kinds: Vec<LinkKind>, links: Vec<ViewLink>) -> Result<Self, ViewError> {
        if u32::try_from(nodes.len()).is_err() || u32::try_from(links.len().saturating_mul(2)).is_err() {
            return Err(ViewError::TooLarge { nodes: nodes.len(), links: links.len() });
        }
        for node in &nodes {
            if !(node.swap_success > 0.0 && node.swap_success <= 1.0) {
                let what = "the success probability of a swap";
                return Err(ViewError::Range { what, value: node.swap_success, low: 0.0, high: 1.0 });
            }
        }
        for &ViewLink { id: link, ends, kind, promised, .. } in &links {
            if ends[0] == ends[1] || ends.iter().any(|end| end.index() >= nodes.len()) {
                return Err(ViewError::Ends { link, ends, nodes: nodes.len() });
            }
            if kind as usize >= kinds.len() {
                return Err(ViewError::Kind { link, kind, kinds: kinds.len() });
            }
            if !(0.0..=1.0).contains(&promised) {
                let what = "the share of a link that is promised";
                return Err(ViewError::Range { what, value: promised, low: -f64::EPSILON, high: 1.0 });
            }
        }
        let mut first = vec![0u32; nodes.len() + 1];
        for end in links.iter().flat_map(|link| link.ends) {
            first[end.index() + 1] += 1;
        }
        for n in 0..nodes.len() {
            first[n + 1] += first[n];
        }
        let mut arcs = vec![Arc { to: 0, link: 0 }; 2 * links.len()];
        let mut free = first.clone();
        for (place, link) in links.iter().enumerate() {
            for side in 0..2 {
                let slot = &mut free[link.ends[side].index()];
                arcs[*slot as usize] = Arc { to: link.ends[1 - side].0, link: place as u32 };
                *slot += 1;
            }
        }
        for n in 0..nodes.len() {
            arcs[first[n] as usize..first[n + 1] as usize].sort_by_key(|arc| (arc.to, arc.link));
        }
        let loss = |node: &ViewNode| {
            let left = BellDiagonal::PERFECT.swap(&BellDiagonal::PERFECT, &node.swap).werner_parameter();
            -libm::log(left.max(f64::MIN_POSITIVE))
        };
        let swap_loss = nodes.iter().map(loss).collect();
        Ok(Self { nodes, links, kinds, first, arcs, swap_loss })
    }

    /// The nodes.
    pub fn nodes(&self) -> &[ViewNode] {
        &self.nodes
    }
    /// The links, by place.
    pub fn links(&self) -> &[ViewLink] {
        &self.links
    }
    /// The kinds of links, by place.
    pub fn kinds(&self) -> &[LinkKind] {
        &self.kinds
    }
    /// Sets how much of the link at `place` is promised to others, and how many memories are free at its ends.
    ///
    /// # Panics
    /// If there is no such place.
    pub fn set_load(&mut self, place: usize, promised: f64, memories: [u16; 2]) {
        let link = &mut self.links[place];
        link.promised = promised.clamp(0.0, 1.0);
        link.memories = memories;
    }

    pub(super) fn arcs(&self, node: u32) -> &[Arc] {
        let node = node as usize;
        &self.arcs[self.first[node] as usize..self.first[node + 1] as usize]
    }
    pub(super) fn swap_loss(&self, node: u32) -> f64 {
        self.swap_loss[node as usize]
    }
    pub(super) fn kind_of(&self, link: u32) -> &LinkKind {
        &self.kinds[self.links[link as usize].kind as usize]
    }
    /// What each kind offers, purified like this.
    pub(super) fn offers(&self, purification: LinkPurification) -> Vec<Vec<Offer>> {
        self.kinds.iter().map(|kind| offers(kind, purification)).collect()
    }
}
