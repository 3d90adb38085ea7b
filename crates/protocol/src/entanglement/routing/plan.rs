//! What is asked of a route, what it will give, and why there is none.

use super::offer::LinkPurification;
use bellwether_quantum::MemoryNoise;
use bellwether_units::{Duration, LinkId, NodeId};
use core::fmt;

/// Pairs between two nodes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairDemand {
    /// The head.
    pub from: NodeId,
    /// The tail.
    pub to: NodeId,
    /// The least fidelity of a pair, by the estimate when both ends hold it.
    pub fidelity: f64,
    /// How many pairs a second, if that matters.
    pub rate: Option<f64>,
    /// So many pairs within so long from now, circuit and all, if that matters.
    pub within: Option<(u64, Duration)>,
}

impl PairDemand {
    /// Pairs of this fidelity, at any rate.
    pub const fn new(from: NodeId, to: NodeId, fidelity: f64) -> Self {
        Self { from, to, fidelity, rate: None, within: None }
    }
}

/// By what routes are compared before they are looked at closely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteMetric {
    /// Links are counted.
    Hops,
    /// The sum over the links of the mean time for a pair of the fidelity that a route of this length needs (Van Meter,
    /// Satoh, Ladd, Munro & Nemoto, Networking Science 3, 82 (2013)).
    SecondsPerPair,
    /// The expected throughput of a slot of this length, with as many attempts at once as all links of the route have
    /// memories for ([`SlottedNetwork`](super::SlottedNetwork)): one candidate.
    Throughput {
        /// How long links are attempted before swaps.
        slot: Duration,
    },
}

/// When a pair that waits within a route is given up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CutoffRule {
    /// Never.
    Never,
    /// After so long.
    After(Duration),
    /// When it has lost this share of its fidelity in the worst memory of the route; 0.015 is published.
    Loss(f64),
    /// When the slowest link of the route has made a pair with this probability; 0.85 is published.
    Quantile(f64),
}

/// Which fidelity a plan promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assurance {
    /// The mean over the times that pairs wait.
    Mean,
    /// That of pairs which wait as long as the cutoff allows wherever they can. Without a cutoff, the mean.
    Worst,
}

/// How routes are chosen. Equal views, demands and policies give equal plans.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoutePolicy {
    /// By what candidates are found.
    pub metric: RouteMetric,
    /// How many candidates are looked at closely, at least 1.
    pub candidates: usize,
    /// When waiting pairs are given up.
    pub cutoff: CutoffRule,
    /// Which fidelity is promised.
    pub assurance: Assurance,
    /// How links may purify, or must.
    pub purification: LinkPurification,
}

impl RoutePolicy {
    /// The fewest links, and nothing else tried.
    pub const SHORTEST: Self = Self { metric: RouteMetric::Hops, candidates: 1, ..Self::SECONDS_PER_PAIR };
    /// The least time a pair among three candidates, with the published cutoff and no purification.
    pub const SECONDS_PER_PAIR: Self = Self {
        metric: RouteMetric::SecondsPerPair,
        candidates: 3,
        cutoff: CutoffRule::Loss(0.015),
        assurance: Assurance::Mean,
        purification: LinkPurification::NONE,
    };
}

/// What a plan wants of a link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlannedHop {
    /// Which link.
    pub link: LinkId,
    /// The node after it.
    pub to: NodeId,
    /// Which level of its fidelity table.
    pub level: usize,
    /// The fidelity of its new pairs.
    pub link_fidelity: f64,
    /// How many rounds of purification, each of two pairs of equal history.
    pub rounds: u8,
    /// The fidelity after them.
    pub fidelity: f64,
    /// Mean seconds a pair, after them, while the link serves this circuit with what is not promised to others.
    pub seconds: f64,
}

/// A route, and how to run it.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The nodes, from head to tail.
    pub nodes: Vec<NodeId>,
    /// The links, likewise.
    pub hops: Vec<PlannedHop>,
    /// How long a pair waits within the route before it is given up.
    pub cutoff: Option<Duration>,
    /// Mean seconds from one end-to-end pair to the next, if links begin anew for each.
    pub seconds_per_pair: f64,
    /// The fidelity that is promised when both ends hold a pair.
    pub fidelity: f64,
    /// How long a message takes from head to tail and back.
    pub round_trip: Duration,
    /// What the memories of head and tail do to their halves.
    pub end_memories: [MemoryNoise; 2],
}

impl Plan {
    /// How long `pairs` pairs take from the first message of signalling on, in the mean.
    pub fn seconds_for(&self, pairs: u64) -> f64 {
        // Setup and acceptance, then the pairs, then the last confirmation.
        1.5 * self.round_trip.seconds() + self.seconds_per_pair * pairs as f64
    }
}

/// The nodes of a route, for messages.
#[derive(Clone, Debug, PartialEq)]
pub struct Route(pub Vec<NodeId>);

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, node) in self.0.iter().enumerate() {
            write!(f, "{}{}", if place == 0 { "" } else { "-" }, node.0)?;
        }
        Ok(())
    }
}

/// Why there is no route, with the best that could be had.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// An end does not exist.
    #[error("{node} is not in the network, which has {nodes} nodes")]
    UnknownNode {
        /// Which.
        node: NodeId,
        /// How many there are.
        nodes: usize,
    },
    /// Head and tail are the same.
    #[error("{node} needs no circuit to itself")]
    ToItself {
        /// Which.
        node: NodeId,
    },
    /// What is asked for is no fidelity, rate or deadline.
    #[error("{what} of {value} cannot be asked for")]
    Senseless {
        /// What.
        what: &'static str,
        /// How much of it.
        value: f64,
    },
    /// No links lead there.
    #[error("no links lead from {from} to {to}")]
    NoRoute {
        /// The head.
        from: NodeId,
        /// The tail.
        to: NodeId,
    },
    /// Links lead there, but not with memories enough.
    #[error("{node} has too few memories free for {link}, and no route goes round it")]
    NoMemory {
        /// The first node of the shortest route that lacks some.
        node: NodeId,
        /// For which link.
        link: LinkId,
    },
    /// Links lead there, but all is promised.
    #[error("all of {link} is promised to others, and no route goes round it")]
    NoCapacity {
        /// The first such link of the shortest route.
        link: LinkId,
    },
    /// No route gives pairs as good as that.
    #[error(
        "a fidelity of {wanted} cannot be had: the best is {best:.6} at {seconds:.3e} s a pair, by {route}"
    )]
    Fidelity {
        /// What is wanted.
        wanted: f64,
        /// What could be had.
        best: f64,
        /// At what time a pair.
        seconds: f64,
        /// By which nodes.
        route: Route,
    },
    /// No route gives pairs as fast as that.
    #[error("{wanted} pairs a second cannot be had: the best is {best:.6}, by {route}")]
    Rate {
        /// What is wanted, in pairs a second.
        wanted: f64,
        /// What could be had.
        best: f64,
        /// By which nodes.
        route: Route,
    },
    /// No route gives the pairs in time.
    #[error("{pairs} pairs in {wanted} s cannot be had: they take {least:.6} s at least, by {route}")]
    Deadline {
        /// How many pairs.
        pairs: u64,
        /// In how many seconds.
        wanted: f64,
        /// In how many they could be had, in the mean.
        least: f64,
        /// By which nodes.
        route: Route,
    },
}
