//! What a network file says, as types: the network, its nodes and how it is to be run.

pub(crate) mod application;
pub(crate) mod demand;
pub(crate) mod device;
pub(crate) mod entanglement;
pub(crate) mod event;
pub(crate) mod fibre;
pub(crate) mod link;
pub(crate) mod live;
pub(crate) mod platform;
pub(crate) mod protocol;
pub(crate) mod size;

use crate::{
    Circuit, Demand, EntanglingLink, Event, Link, Live, Pair, PairDemand, Platform, Sae, SaeId, Size,
};
use bellwether_units::{Angle, DemandId, Duration, LinkId, NodeId};
use std::sync::Arc;

/// A network: who is there, what joins them, who wants keys or pairs and what happens to it.
///
/// A [`NodeId`], [`LinkId`] or [`DemandId`] is the place of its thing in [`nodes`](Self::nodes),
/// [`links`](Self::links) or [`demands`](Self::demands), which keep the order of the file; a [`SaeId`] that of its
/// application in [`saes`](Self::saes). Entangling links are numbered by themselves: of these a [`LinkId`] is the
/// place in [`entangling_links`](Self::entangling_links), and the same number names another link that makes key.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// The network's name.
    pub name: String,
    /// What the network is.
    pub description: String,
    /// Where its figures come from.
    pub sources: Vec<String>,
    /// How it is to be run unless the command says otherwise.
    pub run: Run,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// The links that make key.
    pub links: Vec<Link>,
    /// The links that entangle memories.
    pub entangling_links: Vec<EntanglingLink>,
    /// The ways over these that are given or have settings of their own.
    pub circuits: Vec<Circuit>,
    /// Who wants keys.
    pub demands: Vec<Demand>,
    /// Who wants entangled pairs.
    pub pair_demands: Vec<PairDemand>,
    /// The applications, in the order of the file. None: when the network runs live, each node gets one.
    pub saes: Vec<Sae>,
    /// Which applications may share keys, each ordered pair once: as in the file, each way of a pair apart.
    pub pairs: Vec<Pair>,
    /// How the network runs as daemons.
    pub live: Live,
    /// What happens, in the order of time; of events at one instant, in the order of the file.
    pub events: Vec<Event>,
    /// What was read, so that a result can say of what it is the result.
    pub identity: Identity,
}

/// Which file a network was read from, and what was overridden.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The file as it was named.
    pub file: String,
    /// SHA-256, in hexadecimal, of the file's bytes followed by a zero byte and `path=value` for each
    /// override. Without overrides it is what `sha256sum` says of the file.
    pub sha256: String,
    /// The overrides as they were written, in their order.
    pub overrides: Vec<String>,
}

/// A place where keys or pairs are made, kept, passed on or used.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The node's name, unique in the network.
    pub name: String,
    /// Where it stands, for the map.
    pub position: Option<Position>,
    /// What it does for others.
    pub role: Role,
    /// How much key the node keeps in each of its pools; more is dropped. `None`: 2^24 bits.
    pub pool_capacity: Option<Size>,
    /// What its memories are. `None`: it has none that the file tells of; at the ends of links that
    /// [state](crate::Scheme::Stated) their pairs its memories and gates are then perfect.
    pub platform: Option<Arc<Platform>>,
    /// Anything worth saying.
    pub note: String,
}

/// A place on the Earth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Position {
    /// North of the equator, -90 to 90 degrees.
    pub latitude: Angle,
    /// East of Greenwich, -180 to 180 degrees.
    pub longitude: Angle,
}

/// What a node does for others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// It relays other nodes' keys and is trusted with them.
    #[default]
    TrustedNode,
    /// It swaps pairs for others and relays no keys: nobody has to trust it.
    Repeater,
    /// It uses keys and pairs and passes none on.
    EndNode,
}

/// How a network is to be run unless the command says otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// How much network time to run: above zero, at most 213 days.
    pub duration: Duration,
    /// How links are simulated; a link may say otherwise, and [`Link::detail`] is what holds.
    pub detail: Detail,
    /// What every random stream is keyed by.
    pub seed: u64,
    /// How often a receiver hands its clicks over, and the simulator looks at a link, at detail
    /// [`Bits`](Detail::Bits). At least [`SHORTEST_WINDOW`](Self::SHORTEST_WINDOW).
    pub window: Duration,
    /// The time between points of the report's curves. `None`: a two-hundredth of the duration.
    pub report_interval: Option<Duration>,
}

impl Run {
    /// The shortest window. Cost goes by windows once these hold hardly a click, and shorter ones would seem to stop
    /// a run for ever.
    pub const SHORTEST_WINDOW: Duration = Duration::from_microseconds(10);
}

/// How closely a link is simulated. Both agree in distribution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// Every click is made and the real key is distilled.
    Bits,
    /// A block's statistics are drawn and the same security bound is applied to them.
    #[default]
    Blocks,
}

impl Network {
    /// The node called `name`.
    pub fn find_node(&self, name: &str) -> Option<NodeId> {
        self.nodes.iter().position(|node| node.name == name).map(|place| NodeId(place as u32))
    }
    /// The link called `name`, of those that make key.
    pub fn find_link(&self, name: &str) -> Option<LinkId> {
        self.links.iter().position(|link| link.name == name).map(|place| LinkId(place as u32))
    }
    /// The entangling link called `name`.
    pub fn find_entangling_link(&self, name: &str) -> Option<LinkId> {
        let place = self.entangling_links.iter().position(|link| link.name == name);
        place.map(|place| LinkId(place as u32))
    }
    /// The demand called `name`.
    pub fn find_demand(&self, name: &str) -> Option<DemandId> {
        self.demands.iter().position(|demand| demand.name == name).map(|place| DemandId(place as u32))
    }
    /// The application called `name`.
    pub fn find_sae(&self, name: &str) -> Option<SaeId> {
        self.saes.iter().position(|sae| sae.name == name).map(|place| SaeId(place as u32))
    }
    /// The node with this identifier, which must be of this network.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }
    /// The entangling link with this identifier, which must be of this network and of these links.
    pub fn entangling_link(&self, id: LinkId) -> &EntanglingLink {
        &self.entangling_links[id.index()]
    }
    /// The link with this identifier, which must be of this network and make key.
    pub fn link(&self, id: LinkId) -> &Link {
        &self.links[id.index()]
    }
    /// The application with this identifier, which must be of this network.
    pub fn sae(&self, id: SaeId) -> &Sae {
        &self.saes[id.0 as usize]
    }
}

impl Position {
    /// The distance to `other` along the great circle of a sphere of 6371 km.
    pub fn distance(self, other: Self) -> bellwether_units::Length {
        let (a, b) = (self.latitude.radians(), other.latitude.radians());
        let half = |x: f64| libm::sin(x / 2.0) * libm::sin(x / 2.0);
        let turn = other.longitude.radians() - self.longitude.radians();
        let haversine = half(b - a) + libm::cos(a) * libm::cos(b) * half(turn);
        bellwether_units::Length::from_kilometres(2.0 * 6371.0 * libm::asin(libm::sqrt(haversine.min(1.0))))
    }
}
