//! What a node is told before it runs.

use super::records::Records;
use crate::directory::{self, LiveNetworkError, NodeAddresses};
use crate::identity::OlderTls;
use crate::interface::etsi014::Compatibility;
use crate::state::State;
use bellwether_network::Network;
use bellwether_protocol::keys::delivery::Directory;
use bellwether_units::NodeId;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// What a node needs to run.
pub struct NodeSettings {
    /// The network.
    pub network: Arc<Network>,
    /// Which of its nodes.
    pub node: NodeId,
    /// Who may ask for which keys: [`directory::applications`] of the network.
    pub directory: Arc<Directory>,
    /// Where its state is.
    pub state: State,
    /// How its records are kept.
    pub records: Records,
    /// Where it listens.
    pub addresses: NodeAddresses,
    /// Where the emulated light is served.
    pub physical_layer: SocketAddr,
    /// From where files are found that the network file names.
    pub folder: PathBuf,
    /// For clients in the field.
    pub compatibility: Compatibility,
    /// Whether applications may speak TLS 1.2.
    pub older_tls: OlderTls,
}

impl NodeSettings {
    /// What the network file says, and the usual for all else.
    ///
    /// # Errors
    /// If the file leaves no port for a listener.
    pub fn usual(
        network: Arc<Network>,
        node: NodeId,
        directory: Arc<Directory>,
        state: State,
    ) -> Result<Self, LiveNetworkError> {
        let older_tls = if network.live.tls_1_2 { OlderTls::Allow } else { OlderTls::Refuse };
        Ok(Self {
            addresses: directory::node_addresses(&network, node)?,
            compatibility: Compatibility::of(&network),
            physical_layer: directory::physical_layer_address(&network)?,
            folder: directory::folder(&network),
            network,
            node,
            directory,
            state,
            records: Records::default(),
            older_tls,
        })
    }
}
