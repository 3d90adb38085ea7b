//! What the process of a part of a network does: it starts the part, says so, and stops it when it is asked to.

use super::descriptors;
use super::stop::{Cause, Reload, Stop};
use crate::directory::{self, LiveNetworkError};
use crate::emulation::{self, EmulationError};
use crate::node::daemon::{Node, NodeError, NodeSettings};
use crate::state::State;
use bellwether_network::Network;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
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

/// Runs a node until `stop` is asked for, and tells `ready` when it listens. When `reload` is asked for, the node takes
/// what of the network that `read` gives may change while it runs.
///
/// # Errors
/// If it cannot start, or a part of it fails later.
pub async fn node<E: fmt::Display>(
    settings: NodeSettings,
    stop: &mut Stop,
    reload: &mut Reload,
    read: impl Fn() -> Result<Network, E>,
    ready: impl FnOnce(&Node),
) -> Result<(), NodeError> {
    descriptors::raise();
    let mut node = tokio::select! {
        node = Node::start(settings) => node?,
        cause = stop.asked() => return told(cause),
    };
    ready(&node);
    let ended = loop {
        tokio::select! {
            cause = stop.asked() => break told(cause),
            error = node.failed() => break Err(error),
            () = reload.asked() => {}
        }
        let refused = match read() {
            Ok(network) => match node.reload(Arc::new(network)).await {
                Ok(changes) if changes.is_empty() => {
                    tracing::info!("the network file was read anew: nothing has changed");
                    None
                }
                // The node tells what changed.
                Ok(_) => None,
                Err(error) => Some(error.to_string()),
            },
            Err(error) => Some(error.to_string()),
        };
        if let Some(error) = refused {
            tracing::error!(
                error,
                "the network file was read anew, and is not followed: all stays as it was"
            );
        }
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
    descriptors::raise();
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
