//! Small networks for tests.

use super::{LinkKind, NetworkView, ViewLink, ViewNode};
use crate::entanglement::link::{FidelityLevel, FidelityTable};
use bellwether_quantum::MemoryNoise;
use bellwether_quantum::bell::{PurificationQuality, SwapQuality};
use bellwether_units::{Duration, EntityId, LinkId, NodeId, Purpose, Stream};

/// So many nodes without noise, and links of one kind between these pairs of them.
pub(super) fn view(nodes: u32, ends: &[(u32, u32)]) -> NetworkView {
    let level = FidelityLevel { brightness: 0.1, fidelity: 0.95, success: 0.1 };
    let kind = LinkKind {
        table: FidelityTable::new(vec![level]).unwrap(),
        cycle: Duration::from_whole_seconds(1),
        delay: Duration::from_microseconds(50),
        purification: PurificationQuality::PERFECT,
        comparison: Duration::ZERO,
        memory: MemoryNoise::NONE,
    };
    let node = ViewNode { swap: SwapQuality::PERFECT, swap_success: 1.0, memory: MemoryNoise::NONE };
    let link = |(place, (a, b)): (usize, &(u32, u32))| ViewLink {
        id: LinkId(place as u32),
        ends: [NodeId(*a), NodeId(*b)],
        kind: 0,
        memories: [1; 2],
        promised: 0.0,
    };
    let links = ends.iter().enumerate().map(link).collect();
    NetworkView::new(vec![node; nodes as usize], vec![kind], links).unwrap()
}

/// Random ends, links doubled now and then.
pub(super) fn random_view(seed: u64, nodes: u32, links: usize) -> NetworkView {
    let mut s = Stream::new(seed, EntityId(0), Purpose::named("views"));
    let ends: Vec<_> = (0..links)
        .map(|_| {
            let a = s.below(nodes.into()) as u32;
            (a, (a + 1 + s.below(u64::from(nodes) - 1) as u32) % nodes)
        })
        .collect();
    view(nodes, &ends)
}
