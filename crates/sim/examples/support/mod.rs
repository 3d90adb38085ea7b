//! The network on which an example runs: that of a network file, or four nodes in a chain.

use bellwether_network::Network;
use bellwether_quantum::MemoryNoise;
use bellwether_quantum::bell::BellDiagonal;
use bellwether_sim::entanglement::programs::Programs;
use bellwether_sim::entanglement::{Brightness, Chain, Setup, World, WorldOptions, build};
use bellwether_units::{Duration, NodeId};
use std::error::Error;

/// The network, ready for programs, and the nodes at the ends of its first circuit.
pub(crate) fn open() -> Result<(Programs, [NodeId; 2]), Box<dyn Error>> {
    let mut setup = match std::env::args().nth(1) {
        Some(file) => build(&Network::read(file, &[])?)?.setup,
        None => chain()?,
    };
    // Only the programs want pairs.
    setup.demands.clear();
    let circuit = setup.circuits.first().ok_or("the network has no circuit that can be served")?;
    let ends = [circuit.nodes[0], circuit.nodes[circuit.nodes.len() - 1]];
    Ok((Programs::new(World::new(setup, WorldOptions::default())?), ends))
}

/// Three links of 20 km: an attempt every 200 µs, one in fifty heralded with a fidelity of 0.98, memories of a second.
fn chain() -> Result<Setup, Box<dyn Error>> {
    let level = Brightness::stated(0.02, BellDiagonal::werner(0.98)?.into())?;
    let micro = Duration::from_microseconds;
    let mut chain = Chain::new(4, 2, level, micro(200), micro(100));
    chain.node.communication = MemoryNoise::depolarising(Duration::from_whole_seconds(1))?;
    Ok(chain.setup()?)
}
