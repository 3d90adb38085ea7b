//! Memories by number.

use super::Place;
use crate::entanglement::hardware::QubitRole;
use crate::entanglement::setup::{LinkSetup, NodeSetup, SetupError};
use bellwether_protocol::entanglement::MemoryId;
use bellwether_quantum::MemoryNoise;

/// The memories of all nodes by number.
pub(super) struct Memories {
    pub(super) noise: Vec<u16>,
    pub(super) noises: Vec<MemoryNoise>,
    pub(super) places: Vec<Place>,
    /// The first memory of each node and how many it has.
    pub(super) of_node: Vec<(u32, u16)>,
    pub(super) of_link: Vec<[MemoryId; 2]>,
    /// Whether links of the node share a communication qubit.
    pub(super) shares: Vec<bool>,
}

/// The first memory that each end of each link gives to it.
pub(crate) fn first_memories(
    nodes: &[NodeSetup],
    links: &[LinkSetup],
) -> Result<Vec<[MemoryId; 2]>, SetupError> {
    Ok(number(nodes, links)?.of_link)
}

/// Numbers memories: by node, and within a node by link.
pub(super) fn number(nodes: &[NodeSetup], links: &[LinkSetup]) -> Result<Memories, SetupError> {
    let mut counts = vec![0usize; nodes.len()];
    let mut of_link = Vec::with_capacity(links.len());
    let mut shares = vec![false; nodes.len()];
    for link in links {
        let mut first = [MemoryId(0); 2];
        for (end, first) in first.iter_mut().enumerate() {
            let node = link.ends[end].index();
            *first = MemoryId(u16::try_from(counts[node]).unwrap_or(u16::MAX));
            counts[node] += usize::from(link.memories[end]);
            if counts[node] > usize::from(u16::MAX) {
                return Err(SetupError::Memories { node, memories: counts[node] });
            }
            shares[node] |= link.roles[end] != QubitRole::Own;
        }
        of_link.push(first);
    }
    let mut total = 0;
    let of_node: Vec<_> = counts
        .iter()
        .map(|count| {
            let first = total;
            total += *count as u32;
            (first, *count as u16)
        })
        .collect();
    let mut noises: Vec<MemoryNoise> = Vec::new();
    let mut noise = vec![0; total as usize];
    let mut places = vec![Place { link: 0, end: 0, slot: 0 }; total as usize];
    for (number, (link, first)) in links.iter().zip(&of_link).enumerate() {
        for (end, first) in first.iter().enumerate() {
            let node = link.ends[end].index();
            let model = &nodes[node].model;
            let kept = match link.roles[end] {
                QubitRole::Storage => model.storage,
                QubitRole::Own | QubitRole::Communication => model.communication,
            };
            // Few kinds of qubits serve many nodes.
            let kind = noises.iter().position(|known| *known == kept).unwrap_or_else(|| {
                noises.push(kept);
                noises.len() - 1
            });
            for slot in 0..link.memories[end] {
                let cell = (of_node[node].0 + u32::from(first.0) + u32::from(slot)) as usize;
                noise[cell] = kind as u16;
                places[cell] = Place { link: number as u32, end: end as u8, slot };
            }
        }
    }
    Ok(Memories { noise, noises, places, of_node, of_link, shares })
}
