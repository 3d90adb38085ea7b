//! What the process of a part of a network does: it starts the part, says so, and stops it when it is asked to.

use super::stop::{Cause, Stop};
use crate::directory::{self, LiveNetworkError};
use crate::emulation::{self, EmulationError};
use crate::node::daemon::{Node, NodeError, NodeSettings};
use crate::state::State;
use bellwether_network::Network;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;

/// How long a part may take to stop in order; then it ends as it stands, which loses nothing that was promised.
const LONGEST: Duration = Duration::from_secs(7);

/// Why the physical layer does not run.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// What the network file says of it.
    #[error(transparent)]
    Network(#[from] LiveNetworkError),
    /// The emulation.
    #[error(transparent)]
    Emulation(#[from] EmulationError),
}

/// Runs a node until `stop` is asked for, and tells `ready` when it listens.
///
/// # Errors
/// If it cannot start, or a part of it fails later.
pub async fn node(
    settings: NodeSettings,
    stop: &mut Stop,
    ready: impl FnOnce(&Node),
) -> Result<(), NodeError> {
    let mut node = tokio::select! {
        node = Node::start(settings) => node?,
        cause = stop.asked() => return told(cause),
    };
    ready(&node);
    let ended = tokio::select! {
        cause = stop.asked() => told(cause),
        error = node.failed() => Err(error),
    };
    let _ = timeout(LONGEST, node.stop()).await;
    ended
}

/// Runs the emulated physical layer until `stop` is asked for, and tells `ready` where it listens.
///
/// # Errors
/// If it cannot start.
pub async fn physical_layer(
    network: &Network,
    state: &State,
    stop: &mut Stop,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), LayerError> {
    let address = directory::physical_layer_address(network)?;
    let (address, light) = emulation::serve(network, state, address, network.live.head_start).await?;
    ready(address);
    tokio::select! {
        () = light => Ok(()),
        cause = stop.asked() => told(cause),
    }
}

/// Logs why a part stops, which is no error.
pub(super) fn told<E>(cause: Cause) -> Result<(), E> {
    tracing::info!(?cause, "asked to stop");
    Ok(())
}
