//! The devices that entangle: memories, processors and heralding stations of a network, and how a node reaches its own.
//!
//! A physical layer emulates them all in one process, paced by the wall clock, and gives each node those at its own place:
//! who a node is, its certificate says, and no frame can name another's memory. So a half of a pair is where its node's
//! memories are, and what both halves truly are nobody is told but by outcomes.
//!
//! - [`wire`]: the frames between a node and the layer.
//! - [`server`]: the layer's side.
//! - [`client`]: the node's side.

pub mod client;
pub mod server;
#[cfg(test)]
mod tests;
pub mod wire;

use bellwether_network::Network;
use bellwether_protocol::entanglement::link::LinkSettings;
use bellwether_sim::entanglement::{BuildError, Setup, build};
use bellwether_units::Duration;
use std::sync::Arc;

/// How long a message between neighbours is taken to need at least: with sockets and daemons between them, no fibre is short.
const LEAST_DELAY: Duration = Duration::from_milliseconds(2);

/// What of a network entangles, as its physical layer and its nodes run it: as a simulation does, but that messages between
/// nodes take what sockets take, and that pairs are for programs; the demands of the file are not made.
///
/// # Errors
/// If a platform does not tell what a model needs, or tells what cannot be.
pub fn setup(network: &Network) -> Result<Setup, BuildError> {
    let mut setup = build(network)?.setup;
    setup.demands.clear();
    setup.faults.clear();
    for link in &mut setup.links {
        let told = &*link.settings;
        if told.delay < LEAST_DELAY {
            let usual = LinkSettings::new(told.table.clone(), told.cycle, LEAST_DELAY);
            let LinkSettings { first_cycle, policy, test_share, queue_limit, .. } = *told;
            link.settings = Arc::new(LinkSettings { first_cycle, policy, test_share, queue_limit, ..usual });
        }
    }
    Ok(setup)
}
