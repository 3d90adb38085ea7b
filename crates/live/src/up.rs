//! A whole network on this machine, in one process.

use crate::directory::{self, LiveNetworkError};
use crate::emulation::{self, EmulationError};
use crate::interface::etsi014::Compatibility;
use crate::node::daemon::{Node, NodeError, NodeSettings};
use crate::node::records::Records;
use crate::state::{State, StateError};
use bellwether_network::Network;
use bellwether_units::NodeId;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use tokio::task::JoinHandle;

/// Why a network cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum UpError {
    /// What the network file says of daemons.
    #[error(transparent)]
    Network(#[from] LiveNetworkError),
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// The emulated physical layer.
    #[error(transparent)]
    Emulation(#[from] EmulationError),
    /// A node.
    #[error(transparent)]
    Node(#[from] NodeError),
}

/// A network that runs in this process. Its nodes speak to each other, and to the emulated physical layer, over TLS
/// sockets as they do between hosts. Dropping it stops everything at once.
pub struct Up {
    /// The nodes, in the order of the file.
    pub nodes: Vec<Node>,
    /// Where the emulated light is served.
    pub physical_layer: SocketAddr,
    /// Whether the applications are those given by default.
    pub applications_by_default: bool,
    light: JoinHandle<()>,
}

impl Up {
    /// Makes what is missing in the state directory and starts the physical layer and all nodes.
    ///
    /// # Errors
    /// See [`UpError`].
    pub async fn start(
        network: Arc<Network>,
        state: State,
        compatibility: Compatibility,
    ) -> Result<Self, UpError> {
        Self::start_keeping(network, state, compatibility, Records::default()).await
    }

    /// The same, where the nodes' records are kept as `records` says: each has a store of its own.
    ///
    /// # Errors
    /// See [`UpError`].
    pub async fn start_keeping(
        network: Arc<Network>,
        state: State,
        compatibility: Compatibility,
        records: Records,
    ) -> Result<Self, UpError> {
        let applications = directory::applications(&network)?;
        let names = applications.directory.applications().map(|(name, _)| name.as_str());
        state.provision(&network, names)?;
        let wanted = directory::physical_layer_address(&network)?;
        let (physical_layer, light) =
            emulation::serve(&network, &state, wanted, network.live.head_start).await?;
        let light = tokio::spawn(light);
        let directory = Arc::new(applications.directory);
        let mut up = Self {
            nodes: Vec::new(),
            physical_layer,
            applications_by_default: applications.by_default,
            light,
        };
        for place in 0..network.nodes.len() {
            let node = NodeId(place as u32);
            let (network, directory) = (Arc::clone(&network), Arc::clone(&directory));
            let started = match NodeSettings::usual(network, node, directory, state.clone()) {
                Ok(usual) => {
                    let records = records.clone();
                    Node::start(NodeSettings { physical_layer, compatibility, records, ..usual }).await
                }
                Err(error) => Err(error.into()),
            };
            match started {
                Ok(node) => up.nodes.push(node),
                Err(error) => {
                    // What has started lets go of its files and sockets before anyone tries again.
                    up.stop().await;
                    return Err(error.into());
                }
            }
        }
        Ok(up)
    }

    /// Waits until a node fails, and says why.
    pub async fn failed(&mut self) -> UpError {
        let mut nodes: Vec<_> = self.nodes.iter_mut().map(|node| Box::pin(node.failed())).collect();
        let first = poll_fn(|context| {
            let failed = nodes.iter_mut().find_map(|node| match node.as_mut().poll(context) {
                Poll::Ready(error) => Some(error),
                Poll::Pending => None,
            });
            failed.map_or(Poll::Pending, Poll::Ready)
        });
        first.await.into()
    }

    /// Stops all nodes in order, then the light.
    pub async fn stop(mut self) {
        for node in self.nodes.drain(..) {
            node.stop().await;
        }
        self.light.abort();
        let _ = (&mut self.light).await;
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.light.abort();
    }
}
