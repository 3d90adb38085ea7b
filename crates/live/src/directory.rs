//! What a network file says to its daemons: who may ask for which keys, and where each node listens.
//!
//! A file without `[sae]` is given a development default, one application a node and every pair of them: enough to
//! try a network out, and too much for one that is relied on. Whoever starts the daemons says so
//! ([`Applications::by_default`]).

use bellwether_network::{self as described, Listener, Live, Network};
use bellwether_protocol::keys::delivery::{
    Directory, DirectoryError, NameError, PairPolicy, Requirement, SaeName, Settings,
};
use bellwether_units::NodeId;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// The largest network whose applications may be left to the default: its pairs grow with the square.
pub const MOST_NODES_BY_DEFAULT: usize = 500;

/// The applications of a network.
#[derive(Clone, Debug)]
pub struct Applications {
    /// Who may ask for which keys.
    pub directory: Directory,
    /// Whether the file names no application, so that each node has one called `sae-NODE` and all may share keys:
    /// to be said at the start.
    pub by_default: bool,
}

/// Why a network cannot run live as its file stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LiveNetworkError {
    /// The default applications would be too many.
    #[error(
        "the file names no application, and {nodes} nodes are too many to be given one each (the most is \
         {MOST_NODES_BY_DEFAULT}): write [sae.NAME] for each and [[pair]] for those that share keys"
    )]
    TooManyNodes {
        /// How many nodes there are.
        nodes: usize,
    },
    /// The name of an application cannot be one.
    #[error(
        "the application of node `{node}` cannot be called `{name}` ({reason}): write [sae.NAME] with another"
    )]
    Name {
        /// Where it lives.
        node: String,
        /// What it would be called.
        name: String,
        /// What is wrong with that.
        reason: NameError,
    },
    /// The applications contradict one another.
    #[error("{0}")]
    Directory(#[from] DirectoryError),
    /// There are fewer ports than listeners.
    #[error(
        "no port is left for `{listener}` of node `{node}`: write a lower `live.first_port`, or an address in \
         [live.node.{node}]"
    )]
    NoPort {
        /// The node.
        node: String,
        /// What it would listen for.
        listener: &'static str,
    },
    /// There is no port for the emulated light.
    #[error(
        "no port is left for the emulated light: write `live.physical_layer`, or a lower `live.first_port`"
    )]
    NoPortForLight,
}

/// Where a node listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeAddresses {
    /// For other nodes.
    pub node_to_node: SocketAddr,
    /// For applications that ask for keys.
    pub key_manager: SocketAddr,
    /// For operators: metrics, health, events and status.
    pub operations: SocketAddr,
    /// For applications that take key streams.
    pub key_streams: SocketAddr,
    /// For programs that use entangled pairs, at a node that keeps memories.
    pub programs: Option<SocketAddr>,
}

impl NodeAddresses {
    /// Where an application on the node's own machine reaches the key manager: a listener on all addresses is
    /// reached at the loopback one.
    pub fn reached_key_manager(&self) -> SocketAddr {
        reached(self.key_manager)
    }

    /// Where an operator reaches the node, likewise.
    pub fn reached_operations(&self) -> SocketAddr {
        reached(self.operations)
    }

    /// Where a program on the node's own machine attaches, likewise.
    pub fn reached_programs(&self) -> Option<SocketAddr> {
        self.programs.map(reached)
    }
}

/// Where a listener is reached on its own machine.
fn reached(listener: SocketAddr) -> SocketAddr {
    let ip = match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listener.port())
}

/// The applications that the file names, or those given by default if it names none.
///
/// # Errors
/// If there are too many nodes for the default, or a node's name gives none for an application.
pub fn applications(network: &Network) -> Result<Applications, LiveNetworkError> {
    let by_default = network.saes.is_empty();
    let directory = if by_default { default_directory(network)? } else { written_directory(network)? };
    Ok(Applications { directory, by_default })
}

fn sae_name(network: &Network, node: NodeId, name: &str) -> Result<SaeName, LiveNetworkError> {
    SaeName::new(name).map_err(|reason| {
        let node = network.node(node).name.clone();
        LiveNetworkError::Name { node, name: name.to_owned(), reason }
    })
}

fn written_directory(network: &Network) -> Result<Directory, LiveNetworkError> {
    let mut directory = Directory::default();
    let mut names = Vec::with_capacity(network.saes.len());
    for sae in &network.saes {
        let name = sae_name(network, sae.node, &sae.name)?;
        directory.add_application(name.clone(), sae.node, sae.keys_per_second)?;
        names.push(name);
    }
    for pair in &network.pairs {
        let policy = PairPolicy {
            requirement: requirement(pair.requirement),
            keys_per_second: pair.keys_per_second,
            bits_per_day: pair.bits_per_day,
        };
        // The places of a network's pairs are those of its applications.
        directory.allow(&names[pair.master.0 as usize], &names[pair.slave.0 as usize], policy)?;
    }
    Ok(directory)
}

/// One application a node, `sae-NODE`, and every pair of two of them, both ways.
fn default_directory(network: &Network) -> Result<Directory, LiveNetworkError> {
    let nodes = network.nodes.len();
    if nodes > MOST_NODES_BY_DEFAULT {
        return Err(LiveNetworkError::TooManyNodes { nodes });
    }
    let mut directory = Directory::default();
    let mut names = Vec::with_capacity(nodes);
    for (place, node) in network.nodes.iter().enumerate() {
        let id = NodeId(place as u32);
        let name = sae_name(network, id, &format!("sae-{}", node.name))?;
        directory.add_application(name.clone(), id, None)?;
        names.push(name);
    }
    for master in &names {
        for slave in names.iter().filter(|slave| *slave != master) {
            directory.allow(master, slave, PairPolicy::default())?;
        }
    }
    Ok(directory)
}

fn requirement(written: described::Requirement) -> Requirement {
    match written {
        described::Requirement::Both => Requirement::Both,
        described::Requirement::QuantumOnly => Requirement::QuantumOnly,
        described::Requirement::PostQuantumWhileDown => Requirement::PostQuantumWhileDown,
        described::Requirement::Refuse => Requirement::Refuse,
    }
}

/// The settings of the network's key managers: the usual ones, with the file's size of a key and number of
/// routes.
pub fn delivery_settings(network: &Network) -> Settings {
    let usual = Settings::default();
    // The file's sizes lie within these limits, which a test of this room holds together.
    let key_bits = u32::try_from(network.live.key_size.bits()).unwrap_or(usual.max_key_bits);
    let Live { paths, starved_after, .. } = network.live;
    Settings { key_bits, paths, starved_after, ..usual }
}

/// Where a node of the network listens.
///
/// # Errors
/// If the node has no address in the file and there are fewer ports than nodes need.
pub fn node_addresses(network: &Network, node: NodeId) -> Result<NodeAddresses, LiveNetworkError> {
    let address = |listener: Listener| {
        network.listener(node, listener).ok_or_else(|| LiveNetworkError::NoPort {
            node: network.node(node).name.clone(),
            listener: listener.name(),
        })
    };
    Ok(NodeAddresses {
        node_to_node: address(Listener::NodeToNode)?,
        key_manager: address(Listener::KeyManager)?,
        operations: address(Listener::Operations)?,
        key_streams: address(Listener::KeyStreams)?,
        programs: network.keeps_memories(node).then(|| address(Listener::Programs)).transpose()?,
    })
}

/// Where the emulated light is served to the nodes.
///
/// # Errors
/// If the file does not say it and no port is left behind those of the nodes.
pub fn physical_layer_address(network: &Network) -> Result<SocketAddr, LiveNetworkError> {
    network.physical_layer().ok_or(LiveNetworkError::NoPortForLight)
}
/// From where files are found that a network file names: its own folder.
pub fn folder(network: &Network) -> PathBuf {
    Path::new(&network.identity.file).parent().map(Path::to_owned).unwrap_or_default()
}
