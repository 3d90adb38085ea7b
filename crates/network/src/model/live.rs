//! How a network runs as daemons.

use crate::{Network, Size};
use bellwether_units::{Duration, NodeId};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

/// How a network runs as daemons; a simulation takes no notice of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// Where the ports of listeners without an address begin: 1024 to 65 000.
    pub first_port: u16,
    /// Where the emulated light is served; [`Network::physical_layer`] tells it also if this is `None`.
    pub physical_layer: Option<SocketAddr>,
    /// How much network time of light the emulated links have behind them at the start; at most 30 days.
    pub head_start: Duration,
    /// How long a key is if nobody says: 64 to 65 536 bits, a multiple of 8.
    pub key_size: Size,
    /// Over how many routes with no relay in common a key manager's quantum key is sent in shares: 1 to 8.
    pub paths: u8,
    /// How long the pools on every way between two nodes must have given nothing for the quantum channel between them to
    /// count as down.
    pub starved_after: Duration,
    /// Whether applications are answered 404 instead of the standard's 400 for a key that is not there.
    pub unknown_key_is_404: bool,
    /// Whether a key stream that one application has opened is told as success before the other has.
    pub absent_peer_is_success: bool,
    /// In which fields of an application's certificate its name is looked for, in this order; at least one.
    pub certificate_names: Vec<CertificateName>,
    /// Whether applications may speak TLS 1.2.
    pub tls_1_2: bool,
    /// The addresses that are written in the file; [`Network::listener`] tells all.
    pub listeners: BTreeMap<NodeId, Listeners>,
    /// Whom the nodes tell what happens, by name.
    pub webhooks: Vec<Webhook>,
}

/// A field of an application's certificate in which its name may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is documented at its word in network files")]
pub enum CertificateName {
    Uri,
    Dns,
    CommonName,
}

/// Somebody who is told what happens to the nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Its name in the file.
    pub name: String,
    /// Where to: an `https` URL, or an `http` URL of this machine.
    pub url: String,
    /// Of what; at least one.
    pub events: Vec<WebhookEvent>,
}

/// What a webhook may be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is documented at its word in network files")]
pub enum WebhookEvent {
    Alarm,
    Condition,
    Block,
    Lost,
    Burned,
    Downgraded,
    Denied,
    Refused,
    Policy,
    Started,
    Stopped,
}

/// The written addresses of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listeners {
    /// For other nodes.
    pub node_to_node: Option<SocketAddr>,
    /// For applications.
    pub key_manager: Option<SocketAddr>,
    /// For metrics, health, events and status.
    pub operations: Option<SocketAddr>,
    /// For applications that take key streams.
    pub key_streams: Option<SocketAddr>,
    /// For programs of applications that use entangled pairs.
    pub programs: Option<SocketAddr>,
}

/// What a node listens for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Listener {
    /// Other nodes.
    NodeToNode,
    /// Applications that ask for keys.
    KeyManager,
    /// Operators: metrics, health, events and status.
    Operations,
    /// Applications that take key streams.
    KeyStreams,
    /// Programs of applications that use entangled pairs. Only nodes at the end of a link that entangles memories listen.
    Programs,
}

impl Listener {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::NodeToNode, Self::KeyManager, Self::Operations, Self::KeyStreams, Self::Programs];
    /// Those whose ports stand together, in their order; those for key streams come behind all of these, then those for
    /// programs.
    const TOGETHER: [Self; 3] = [Self::NodeToNode, Self::KeyManager, Self::Operations];

    /// As it stands in network files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NodeToNode => "node_to_node",
            Self::KeyManager => "key_manager",
            Self::Operations => "operations",
            Self::KeyStreams => "key_streams",
            Self::Programs => "programs",
        }
    }
}

impl Listeners {
    /// The address written for one of the listeners.
    pub fn written(&self, listener: Listener) -> Option<SocketAddr> {
        match listener {
            Listener::NodeToNode => self.node_to_node,
            Listener::KeyManager => self.key_manager,
            Listener::Operations => self.operations,
            Listener::KeyStreams => self.key_streams,
            Listener::Programs => self.programs,
        }
    }
}

/// For what ports are allotted by default.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    /// How many nodes there are.
    pub(crate) nodes: usize,
    /// Whether any link entangles memories, so that programs may attach.
    pub(crate) programs: bool,
}

impl Ports {
    /// What each node has a port for.
    pub(crate) fn listeners(self) -> impl Iterator<Item = Listener> {
        Listener::ALL.into_iter().filter(move |listener| self.programs || *listener != Listener::Programs)
    }
}

impl Live {
    /// The address written for one of a node's listeners.
    pub fn written(&self, node: NodeId, listener: Listener) -> Option<SocketAddr> {
        self.listeners.get(&node)?.written(listener)
    }

    /// The port that is `place` ports behind the first one, on this machine; `None` if there is no such port.
    fn allotted(&self, place: usize) -> Option<SocketAddr> {
        let port = u16::try_from(usize::from(self.first_port).checked_add(place)?).ok()?;
        Some((Ipv4Addr::LOCALHOST, port).into())
    }

    /// Where one of a node's listeners is: as written, or else as `first_port` says.
    pub(crate) fn address(&self, node: NodeId, listener: Listener, ports: Ports) -> Option<SocketAddr> {
        let together = Listener::TOGETHER.len();
        let behind = together * ports.nodes + 1 + node.index();
        let place = match listener {
            Listener::KeyStreams => behind,
            Listener::Programs => behind + ports.nodes,
            _ => node.index() * together + listener as usize,
        };
        self.written(node, listener).or_else(|| self.allotted(place))
    }

    /// Where the emulated light of a network of so many nodes is served.
    pub(crate) fn physical_layer_of(&self, nodes: usize) -> Option<SocketAddr> {
        self.physical_layer.or_else(|| self.allotted(nodes * Listener::TOGETHER.len()))
    }

    /// Which listener has this address by default, if one has: of a node, or (`None`) of the physical layer.
    pub(crate) fn holder(&self, address: SocketAddr, ports: Ports) -> Option<Option<(NodeId, Listener)>> {
        let nodes = ports.nodes;
        let place = usize::from(address.port().checked_sub(self.first_port)?);
        let together = Listener::TOGETHER.len();
        let light = nodes * together;
        let (here, holder) = if place == light {
            (self.physical_layer.is_none(), None)
        } else {
            let (node, listener) = match place.checked_sub(light + 1) {
                None => (place / together, Listener::TOGETHER[place % together]),
                Some(behind) if behind < nodes => (behind, Listener::KeyStreams),
                Some(behind) if ports.programs && behind < 2 * nodes => (behind - nodes, Listener::Programs),
                Some(_) => return None,
            };
            let node = NodeId(node as u32);
            (self.written(node, listener).is_none(), Some((node, listener)))
        };
        (here && self.allotted(place) == Some(address)).then_some(holder)
    }
}

impl Network {
    /// Where a node of this network listens: as the file says, or else on 127.0.0.1 at a port behind
    /// [`Live::first_port`]: three for each node, in the order of the nodes, one for the emulated light, then one for
    /// the key streams of each node, and then, if any link entangles memories, one for the programs of each node. `None` if
    /// there are not so many ports, or for programs of a node that keeps no memories.
    pub fn listener(&self, node: NodeId, listener: Listener) -> Option<SocketAddr> {
        if listener == Listener::Programs && !self.keeps_memories(node) {
            return None;
        }
        let ports = Ports { nodes: self.nodes.len(), programs: !self.entangling_links.is_empty() };
        self.live.address(node, listener, ports)
    }

    /// Whether a node is an end of a link that entangles memories, so that programs may attach to it.
    pub fn keeps_memories(&self, node: NodeId) -> bool {
        self.entangling_links.iter().any(|link| link.ends.contains(&node))
    }

    /// Where the emulated light is served: as the file says, or else on 127.0.0.1 at the port behind those of the
    /// last node. `None` if there is no such port.
    pub fn physical_layer(&self) -> Option<SocketAddr> {
        self.live.physical_layer_of(self.nodes.len())
    }
}
