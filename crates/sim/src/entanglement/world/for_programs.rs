//! What whoever runs programs asks of a world, and is told by it.

use super::World;
use super::circuits::place_of;
use super::parcels::Parcel;
use crate::entanglement::hardware::{Cell, Processor};
use crate::entanglement::stack;
use bellwether_protocol::application::{
    Booth, Operated, OperationError, PairDesk, ProcessorCommand, QubitPlace,
};
use bellwether_protocol::entanglement::network::{Delivered, NetworkEvent, PairRequest, RequestId};
use bellwether_protocol::entanglement::{CircuitId, MemoryId, PairId};
use bellwether_quantum::density::DensityMatrix;
use bellwether_quantum::store::Detail;
use bellwether_units::{Duration, LinkId, NodeId, Purpose, Stream, Time};
use core::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// Something that concerns programs.
#[derive(Clone, Debug)]
pub(in crate::entanglement) enum ProgramEvent {
    /// The time has come that was asked for.
    Due(u64),
    /// A half for a request of a program.
    Delivered(NodeId, Delivered),
    /// A half that was delivered came to nothing.
    Revoked { node: NodeId, circuit: CircuitId, pair: PairId, memory: MemoryId },
    /// The processor of a node has done an operation, or could not.
    Operated(NodeId, Operated),
    /// A node stopped, and lost what its memories held.
    Crashed(NodeId),
}

/// What has happened, and which memories programs have, with this end's link pair of what is in them.
#[derive(Default)]
pub(super) struct Told {
    events: Vec<ProgramEvent>,
    /// And of which circuit.
    cells: BTreeMap<Cell, (PairId, CircuitId)>,
    /// How long messages take from one node to another; forgotten when a link is cut or mended.
    delays: BTreeMap<(NodeId, NodeId), Option<Duration>>,
}

/// A circuit as programs know it: by its place, however often it was opened.
const fn known(circuit: CircuitId) -> CircuitId {
    CircuitId(place_of(circuit) as u64)
}

impl Told {
    pub(super) fn push(&mut self, event: ProgramEvent) {
        self.events.push(event);
    }
}

impl World {
    /// Programs will run.
    pub(in crate::entanglement) fn attach_programs(&mut self, detail: Detail) {
        self.nodes.programs = Some(Told::default());
        let stream = Stream::new(self.seed, self.nodes.sources.outside, Purpose::named("program-qubits"));
        self.devices.allow_programs(detail, stream);
    }
    /// A stream for the program of a node.
    pub(in crate::entanglement) fn program_stream(&self, node: NodeId, purpose: &str) -> Option<Stream> {
        let entity = self.setup.nodes.get(node.index())?.entity;
        Some(Stream::new(self.seed, entity, Purpose::named(purpose)))
    }
    pub(super) fn tell_programs(&mut self, event: ProgramEvent) {
        let Some(told) = &mut self.nodes.programs else { return };
        if let ProgramEvent::Crashed(node) = event {
            let cells = self.devices.cells(node);
            told.cells.retain(|cell, _| !cells.contains(cell));
        }
        told.events.push(event);
    }
    /// Tells programs of what concerns them, and whether it does.
    pub(super) fn tell_of(&mut self, node: u32, event: &NetworkEvent) -> bool {
        let first = self.devices.cell(NodeId(node), MemoryId(0));
        let Some(told) = &mut self.nodes.programs else { return false };
        match *event {
            NetworkEvent::Delivered(delivered) if PairDesk::is_for_programs(delivered.request) => {
                let held = (delivered.own_pair(), delivered.circuit);
                told.cells.insert(first + Cell::from(delivered.memory.0), held);
                let circuit = known(delivered.circuit);
                told.events.push(ProgramEvent::Delivered(NodeId(node), Delivered { circuit, ..delivered }));
                true
            }
            NetworkEvent::Revoked { circuit, origin, memory, .. }
                if told.cells.get(&(first + Cell::from(memory.0))) == Some(&(origin, circuit)) =>
            {
                let (node, circuit) = (NodeId(node), known(circuit));
                told.events.push(ProgramEvent::Revoked { node, circuit, pair: origin, memory });
                true
            }
            NetworkEvent::RequestOver { request, .. } => PairDesk::is_for_programs(request),
            NetworkEvent::Delivered(_) | NetworkEvent::Revoked { .. } | NetworkEvent::Early { .. } => false,
        }
    }
    /// What has happened since this was asked last.
    pub(in crate::entanglement) fn take_program_events(&mut self) -> Vec<ProgramEvent> {
        self.nodes.programs.as_mut().map(|told| core::mem::take(&mut told.events)).unwrap_or_default()
    }

    /// What time it is.
    pub fn now(&self) -> Time {
        self.nodes.schedule.now()
    }
    /// How many nodes there are.
    pub(in crate::entanglement) fn node_count(&self) -> usize {
        self.setup.nodes.len()
    }
    /// Lets one event happen, up to and with `end`; whether there was one.
    pub(in crate::entanglement) fn step_for_programs(&mut self, end: Time) -> bool {
        self.step(end)
    }
    /// Whether nothing will ever happen.
    pub(in crate::entanglement) fn is_idle(&self) -> bool {
        self.nodes.schedule.is_empty()
    }
    /// Asks to be told at `at`.
    pub(in crate::entanglement) fn remind_programs(&mut self, node: NodeId, at: Time, token: u64) {
        self.nodes.post_from(node, at, Parcel::ForPrograms(token));
    }
    pub(in crate::entanglement) fn is_up(&self, node: NodeId) -> bool {
        self.nodes.nodes[node.index()].machine.is_some()
    }

    /// The ends of circuits at a node, with the best fidelity that can be had: what its links promise, swapped.
    pub(in crate::entanglement) fn booths(&self, node: NodeId) -> Vec<Booth> {
        stack::booths(&self.setup, node)
    }
    /// Whether a node's own link of a circuit is interrupted.
    pub(in crate::entanglement) fn own_link_is_cut(&self, node: NodeId, peer: NodeId) -> bool {
        let joins = |[a, b]: [Option<&NodeId>; 2]| {
            (a, b) == (Some(&node), Some(&peer)) || (a, b) == (Some(&peer), Some(&node))
        };
        let circuit =
            self.setup.circuits.iter().find(|circuit| joins([circuit.nodes.first(), circuit.nodes.last()]));
        let own = circuit.and_then(|circuit| {
            if circuit.nodes.first() == Some(&node) { circuit.links.first() } else { circuit.links.last() }
        });
        own.is_some_and(|link| self.devices.is_cut(*link))
    }
    /// How long a message takes by the quickest way that is open; none if none is.
    pub(in crate::entanglement) fn message_delay(&mut self, from: NodeId, to: NodeId) -> Option<Duration> {
        let known = self.nodes.programs.as_ref().and_then(|told| told.delays.get(&(from, to)));
        if let Some(delay) = known {
            return *delay;
        }
        let delay = self.quickest_way(from, to);
        if let Some(told) = &mut self.nodes.programs {
            told.delays.insert((from, to), delay);
        }
        delay
    }
    /// A link was cut or mended.
    pub(super) fn forget_delays(&mut self) {
        if let Some(told) = &mut self.nodes.programs {
            told.delays.clear();
        }
    }
    /// By Dijkstra's algorithm.
    fn quickest_way(&self, from: NodeId, to: NodeId) -> Option<Duration> {
        let mut best = vec![Duration::MAX; self.setup.nodes.len()];
        let mut neighbours: Vec<Vec<(NodeId, Duration)>> = vec![Vec::new(); self.setup.nodes.len()];
        let open = (0..).map(LinkId).zip(&self.setup.links).filter(|(id, _)| !self.devices.is_cut(*id));
        for (_, link) in open {
            let [a, b] = link.ends;
            neighbours[a.index()].push((b, link.settings.delay));
            neighbours[b.index()].push((a, link.settings.delay));
        }
        let mut next = BinaryHeap::from([Reverse((Duration::ZERO, from))]);
        while let Some(Reverse((delay, node))) = next.pop() {
            if node == to {
                return Some(delay);
            }
            for (neighbour, further) in &neighbours[node.index()] {
                let delay = delay + *further;
                if delay < best[neighbour.index()] {
                    best[neighbour.index()] = delay;
                    next.push(Reverse((delay, *neighbour)));
                }
            }
        }
        None
    }

    /// Asks for pairs on behalf of a program at the head of a circuit.
    pub(in crate::entanglement) fn request_for_program(
        &mut self,
        node: NodeId,
        circuit: CircuitId,
        request: PairRequest,
    ) {
        let now = self.now();
        // A number is given once, and the desk asks at heads alone.
        debug_assert_eq!(self.setup.circuits[place_of(circuit)].nodes[0], node);
        self.ask(now, place_of(circuit), request);
        self.settle(now);
    }
    pub(in crate::entanglement) fn withdraw_for_program(&mut self, circuit: CircuitId, request: RequestId) {
        let now = self.now();
        self.take_back(now, place_of(circuit), request);
        self.settle(now);
    }
    /// A program needs the memory of a half no more.
    pub(in crate::entanglement) fn release_for_program(
        &mut self,
        node: NodeId,
        pair: PairId,
        memory: MemoryId,
    ) {
        let now = self.now();
        let cell = self.cell(node, memory);
        // After a crash the memory may hold another pair by now.
        let Some(told) = &mut self.nodes.programs else { return };
        if let Some((_, circuit)) = told.cells.get(&cell).copied().filter(|(held, _)| *held == pair) {
            told.cells.remove(&cell);
            self.release(now, node.0, circuit, pair, memory);
            self.settle(now);
        }
    }
    /// Carries out what the seat of a program wants of its node's processor.
    pub(in crate::entanglement) fn process(&mut self, node: NodeId, command: &ProcessorCommand) {
        self.devices.process(self.now(), node, command, &mut self.nodes);
    }
    /// What a node's processor does.
    pub(in crate::entanglement) fn processor(&mut self, node: NodeId) -> &Processor {
        self.devices.processor(node)
    }
    /// What a node's processor does, instead of what its model says.
    pub(in crate::entanglement) fn set_processor(&mut self, node: NodeId, processor: Processor) {
        self.devices.set_processor(node, processor);
    }
    /// The true state of qubits, in their order. Looking changes nothing.
    pub(in crate::entanglement) fn look(
        &mut self,
        places: &[(NodeId, QubitPlace)],
    ) -> Result<DensityMatrix, OperationError> {
        let spot = |(node, place): &(NodeId, QubitPlace)| self.devices.spot(*node, *place);
        let spots: Result<Vec<_>, _> = places.iter().map(spot).collect();
        let now = self.now();
        self.devices.holdings_mut().look(&spots?, now)
    }
}
