//! The network on which the examples run: four nodes in a chain, over links of 0.97 and memories of a second.

use bellwether_quantum::MemoryNoise;
use bellwether_quantum::bell::BellDiagonal;
use bellwether_sim::entanglement::programs::Programs;
use bellwether_sim::entanglement::{Brightness, Chain, World, WorldOptions};
use bellwether_units::{Duration, NodeId};

/// The nodes at its ends.
pub(crate) const ENDS: [NodeId; 2] = [NodeId(0), NodeId(3)];

/// The chain with a seed, ready for programs.
pub(crate) fn chain(seed: u64) -> Result<Programs, Box<dyn std::error::Error>> {
    // 20 km a link: an attempt every 200 µs, of which one in fifty is heralded.
    let level = Brightness::stated(0.02, BellDiagonal::werner(0.97)?.into())?;
    let micro = Duration::from_microseconds;
    let mut chain = Chain::new(4, 2, level, micro(200), micro(100));
    chain.node.communication = MemoryNoise::depolarising(Duration::from_whole_seconds(1))?;
    let mut setup = chain.setup()?;
    setup.demands.clear();
    let options = WorldOptions { seed, ..WorldOptions::default() };
    Ok(Programs::new(World::new(setup, options)?))
}
