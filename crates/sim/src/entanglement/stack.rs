//! From a setup to the stack of one of its nodes: the same in virtual time and in a daemon.

use super::chain::comparing;
use super::hardware;
use super::setup::{CircuitSetup, LinkSetup, Setup, SetupError};
use bellwether_protocol::application::Booth;
use bellwether_protocol::entanglement::link::LinkPlace;
use bellwether_protocol::entanglement::network::{Circuit, End, Hop};
use bellwether_protocol::entanglement::purification::{Program, PurifierSettings};
use bellwether_protocol::entanglement::routing::LinkKind;
use bellwether_protocol::entanglement::signalling::{
    CircuitTerms, HopTerms, Signalling, SignallingLink, SignallingSettings,
};
use bellwether_protocol::entanglement::{CircuitId, EntanglementNode, MemoryId, NodeLink};
use bellwether_quantum::MemoryNoise;
use bellwether_quantum::bell::BellDiagonal;
use bellwether_units::{Duration, LinkId, NodeId};
use std::sync::Arc;

/// How long a message over a circuit and back is taken to need at least. Over the metres of a laboratory it takes nanoseconds,
/// but links wait for each other much longer, and nobody asks so often.
const LEAST_ROUND_TRIP: Duration = Duration::from_microseconds(100);
/// How often the head of a circuit says that it is still wanted: in round trips, and at most.
const REFRESH: u64 = 100;
const LEAST_REFRESH: Duration = Duration::from_whole_seconds(1);
/// How long an end of a link waits for what the other says of a comparison, at least.
const LEAST_PATIENCE: Duration = Duration::from_microseconds(10);

/// The stack of a node in one of its lives, with the circuits that pass it. It has not been started.
///
/// # Errors
/// If the setup has more memories at a node than can be numbered.
pub fn stack(setup: &Setup, node: NodeId, life: u32) -> Result<EntanglementNode, SetupError> {
    let (links, circuits) = concerning(setup, node);
    let first = hardware::first_memories(&setup.nodes, &setup.links)?;
    Ok(machine(setup, node, life, &links, &circuits, |link, end| first[link.index()][end]))
}

/// Ends of links, by link, and places in circuits, by circuit.
type Concerns = (Vec<(u32, usize)>, Vec<(u32, u32)>);

/// Which ends of which links are at a node, and which places of which circuits.
pub(super) fn concerning(setup: &Setup, node: NodeId) -> Concerns {
    let end = |link: &LinkSetup| link.ends.iter().position(|end| *end == node);
    let links = setup.links.iter().enumerate();
    let links = links.filter_map(|(place, link)| Some((place as u32, end(link)?))).collect();
    let on = |circuit: &CircuitSetup| circuit.nodes.iter().position(|other| *other == node);
    let circuits = setup.circuits.iter().enumerate();
    let circuits =
        circuits.filter_map(|(place, circuit)| Some((place as u32, on(circuit)? as u32))).collect();
    (links, circuits)
}

/// The same as [`stack`], of which it is known what concerns the node.
pub(super) fn machine(
    setup: &Setup,
    node: NodeId,
    life: u32,
    links: &[(u32, usize)],
    circuits: &[(u32, u32)],
    first_memory: impl Fn(LinkId, usize) -> MemoryId,
) -> EntanglementNode {
    let place = |&(link, end): &(u32, usize)| {
        let LinkSetup { memories, ends, settings, .. } = &setup.links[link as usize];
        let first = first_memory(LinkId(link), end).0;
        let memories = (first..first + memories[end]).map(MemoryId).collect();
        let place = LinkPlace { link: LinkId(link), numbers: end == 0, life, memories };
        NodeLink { place, peer: ends[1 - end], settings: Arc::clone(settings) }
    };
    let claimed = setup.nodes[node.index()].claimed;
    let mut machine = EntanglementNode::new(claimed, links.iter().map(place).collect());
    for &(number, place) in circuits {
        // It was checked that the circuit is a path, and its number is given once.
        let result = machine.install(circuit_at(setup, number, place as usize));
        debug_assert!(result.is_ok(), "{result:?}");
        if setup.circuits[number as usize].purification.rounds() > 0 {
            purify(setup, (number, place as usize), &mut machine);
        }
    }
    machine
}

/// Has a node purify the pairs of its links of a circuit, of which it is the node at `place`.
fn purify(setup: &Setup, (number, place): (u32, usize), machine: &mut EntanglementNode) {
    let circuit = &setup.circuits[number as usize];
    let program = Arc::new(Program::from(circuit.purification));
    let before = place.checked_sub(1).map(|hop| (hop, false));
    for (hop, leads) in before.into_iter().chain([(place, true)]) {
        let Some(link) = circuit.links.get(hop).copied() else { continue };
        let kind = kind(setup, link);
        let messages = kind.delay.saturating_mul(3).max(LEAST_PATIENCE);
        let settings = PurifierSettings {
            program: Arc::clone(&program),
            leads,
            quality: kind.purification,
            memory: setup.nodes[circuit.nodes[place].index()].claimed.memory,
            patience: messages + kind.comparison.saturating_mul(2),
            tries: 5,
            hold: circuit.cutoff.unwrap_or_else(|| circuit.purification.hold(kind.slowest_pair())),
        };
        machine.purify(CircuitId(number.into()), link, settings);
    }
}

/// What a link can do, as far as its ends know.
pub(super) fn kind(setup: &Setup, link: LinkId) -> LinkKind {
    let LinkSetup { ends, settings, .. } = &setup.links[link.index()];
    let [first, second] = ends.map(|end| &setup.nodes[end.index()]);
    let models = [&*first.model, &*second.model];
    let comparison = models.map(|model| model.swap_time).into_iter().fold(Duration::ZERO, Duration::max);
    LinkKind::new(settings, comparing(models), first.claimed.memory).comparing_in(comparison)
}

fn circuit_at(setup: &Setup, number: u32, place: usize) -> Circuit {
    let circuit = &setup.circuits[number as usize];
    let hop = |link: usize, peer: usize| Hop { link: circuit.links[link], peer: circuit.nodes[peer] };
    let far = circuit.nodes[if place == 0 { circuit.nodes.len() - 1 } else { 0 }];
    Circuit {
        id: CircuitId(number.into()),
        towards_head: (place > 0).then(|| hop(place - 1, place - 1)),
        towards_tail: (place + 1 < circuit.nodes.len()).then(|| hop(place, place + 1)),
        link_fidelity: circuit.link_fidelities[place.min(circuit.links.len() - 1)],
        far_memory: setup.nodes[far.index()].claimed.memory,
        weight: circuit.weight,
        cutoff: circuit.cutoff,
        choice: circuit.choice,
        round_trip: round_trip(setup, number as usize),
    }
}

/// How long a message over a circuit takes there and back, with what nodes take.
pub(super) fn round_trip(setup: &Setup, circuit: usize) -> Duration {
    let circuit = &setup.circuits[circuit];
    let delays = circuit.links.iter().map(|link| setup.links[link.index()].settings.delay);
    let swaps = circuit.nodes.iter().map(|node| setup.nodes[node.index()].model.swap_time);
    let one_way = delays.chain(swaps).fold(Duration::ZERO, |sum, span| sum + span);
    one_way.saturating_mul(2).max(LEAST_ROUND_TRIP)
}

/// What the head of a circuit asks of its nodes. Memories are shared with other circuits.
pub(super) fn terms(setup: &Setup, circuit: usize) -> CircuitTerms {
    let round_trip = round_trip(setup, circuit);
    let circuit = &setup.circuits[circuit];
    let rounds = circuit.purification.rounds();
    let hop = |(link, fidelity): (&LinkId, &f64)| HopTerms { link: *link, fidelity: *fidelity, rounds };
    let ends = [circuit.nodes.first(), circuit.nodes.last()];
    let memory =
        |end: Option<&NodeId>| end.map_or(MemoryNoise::NONE, |end| setup.nodes[end.index()].claimed.memory);
    CircuitTerms {
        nodes: circuit.nodes.clone(),
        hops: circuit.links.iter().zip(&circuit.link_fidelities).map(hop).collect(),
        how: circuit.purification,
        rate: circuit.rate,
        memories: 0,
        weight: circuit.weight,
        cutoff: circuit.cutoff,
        choice: circuit.choice,
        round_trip,
        end_memories: ends.map(memory),
        refresh: round_trip.saturating_mul(REFRESH).max(LEAST_REFRESH),
    }
}

/// The signalling of a node with these ends of links.
pub(super) fn signalling(setup: &Setup, node: NodeId, links: &[(u32, usize)]) -> Signalling {
    let link = |&(link, end): &(u32, usize)| {
        let LinkSetup { ends, memories, .. } = &setup.links[link as usize];
        let link = LinkId(link);
        SignallingLink { link, peer: ends[1 - end], kind: kind(setup, link), memories: memories[end] }
    };
    Signalling::new(node, links.iter().map(link).collect(), SignallingSettings::default())
}

/// The ends of circuits at a node, with the best fidelity that can be had: what its links promise, swapped.
pub fn booths(setup: &Setup, node: NodeId) -> Vec<Booth> {
    let mut booths = Vec::new();
    for (place, circuit) in setup.circuits.iter().enumerate() {
        let ends = [circuit.nodes.first(), circuit.nodes.last()].map(|end| end.copied());
        let (end, peer) = match ends {
            [Some(head), Some(tail)] if head == node => (End::Head, tail),
            [Some(head), Some(tail)] if tail == node => (End::Tail, head),
            _ => continue,
        };
        let promise = |(link, least): (&LinkId, &f64)| {
            let table = &setup.links[link.index()].settings.table;
            let level = table.choose(*least);
            let fidelity = level.map_or_else(|| table.best(), |level| level.fidelity);
            let pair = BellDiagonal::werner(fidelity).unwrap_or(BellDiagonal::MIXED);
            let ends = setup.links[link.index()].ends;
            let quality = comparing(ends.map(|end| &*setup.nodes[end.index()].model));
            let rounds = circuit.purification.kinds();
            rounds.fold(pair, |pair, how| pair.purify(&pair, how, &quality).kept)
        };
        let mut pairs = circuit.links.iter().zip(&circuit.link_fidelities).map(promise);
        let first = pairs.next().unwrap_or(BellDiagonal::MIXED);
        let inner = circuit.nodes.iter().skip(1).map(|node| setup.nodes[node.index()].claimed.swap);
        let best = pairs.zip(inner).fold(first, |pair, (next, swap)| pair.swap(&next, &swap));
        let circuit = CircuitId(place as u64);
        booths.push(Booth { circuit, end, peer, best: best.probabilities()[0] });
    }
    booths
}
