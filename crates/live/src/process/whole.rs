//! A whole network on this machine, from its start until it is asked to stop.

use super::crew::{Crew, Death, Member, News};
use super::descriptors;
use super::parts::told;
use super::stop::{Reload, Stop};
use crate::interface::etsi014::Compatibility;
use crate::node::records::Records;
use crate::state::State;
use crate::up::{Up, UpError};
use bellwether_network::Network;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long nodes, and then the physical layer, may take to stop in order.
const PATIENCE: [Duration; 2] = [Duration::from_secs(8), Duration::from_secs(1)];

/// Runs a network as processes of `program`: the physical layer first, then the nodes, until `stop` is asked for. Tells
/// nothing once all are ready, and then the news. When `reload` is asked for and `follow` agrees, the nodes are told to read
/// their network file anew. At the end the nodes are stopped, then the layer; a second wish to
/// stop kills whatever still runs.
///
/// # Errors
/// If a process dies before all have been ready; the others are stopped.
pub async fn processes(
    program: &Path,
    layer: Member,
    nodes: Vec<Member>,
    stop: &mut Stop,
    reload: &mut Reload,
    mut follow: impl FnMut() -> bool,
    mut tell: impl FnMut(Option<News>),
) -> Result<(), Death> {
    let mut layer = Crew::start(program, vec![layer]);
    let ended = tokio::select! {
        ready = layer.ready() => ready.map(|()| None),
        cause = stop.asked() => Ok(Some(cause)),
    };
    if !matches!(ended, Ok(None)) {
        layer.stop(PATIENCE[1]).await;
        return ended.map(|_| ());
    }
    let mut nodes = Crew::start(program, nodes);
    let ended = tokio::select! {
        ready = nodes.ready() => ready.map(|()| None),
        cause = stop.asked() => Ok(Some(cause)),
    };
    let ended = match ended {
        Ok(None) => {
            tell(None);
            loop {
                tokio::select! {
                    news = nodes.news() => tell(Some(news)),
                    news = layer.news() => tell(Some(news)),
                    () = reload.asked() => if follow() {
                        nodes.reload();
                    },
                    cause = stop.asked() => break told(cause),
                }
            }
        }
        ended => ended.map(|_| ()),
    };
    let in_order = async {
        nodes.stop(PATIENCE[0]).await;
        layer.stop(PATIENCE[1]).await;
    };
    tokio::select! {
        () = in_order => {}
        // What is dropped is killed.
        _ = stop.asked() => {}
    }
    ended
}

/// Runs a network in this process, its records kept so, until `stop` is asked for, and tells `ready` when all of it listens.
///
/// # Errors
/// If it cannot start, or a node fails later.
pub async fn in_process(
    network: Arc<Network>,
    state: State,
    compatibility: Compatibility,
    records: Records,
    stop: &mut Stop,
    ready: impl FnOnce(),
) -> Result<(), UpError> {
    descriptors::raise();
    let mut up = tokio::select! {
        up = Up::start_keeping(network, state, compatibility, records) => up?,
        cause = stop.asked() => return told(cause),
    };
    ready();
    let ended = tokio::select! {
        cause = stop.asked() => told(cause),
        error = up.failed() => Err(error),
    };
    let _ = timeout(PATIENCE[0], up.stop()).await;
    ended
}
