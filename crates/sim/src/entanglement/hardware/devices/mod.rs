//! The devices of all nodes and links of a network, and what they do when a node's stack commands them.
//!
//! Devices know no protocol. What will happen to them later, and what they tell whom, they say to their [`Surroundings`]: the
//! world of a simulation, or the physical layer of a network that runs.

mod attempts;
mod basis;
mod memories;
mod processing;
mod turns;

use super::holdings::{Cell, ComparingEnd, Holdings, UsedPair};
use super::link::{CommunicationQubit, LinkHardware};
use super::model::{NodeModel, QubitRole};
use crate::entanglement::setup::{LinkSetup, NodeSetup, SetupError};
use bellwether_protocol::application::{Operated, Operation, QubitPlace};
use bellwether_protocol::entanglement::MemoryId;
use bellwether_protocol::entanglement::hardware::{HardwareCommand, HardwareEvent};
use bellwether_protocol::entanglement::link::{BasisChoice, MeasuredBasis, Midpoint, MidpointReply};
use bellwether_quantum::bell::Purification;
use bellwether_units::{LinkId, NodeId, Purpose, Stream, Time};
use processing::Processing;
use std::sync::Arc;

pub(crate) use memories::first_memories;

/// To which slot of which link a memory belongs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    link: u32,
    end: u8,
    slot: u16,
}

/// Which device something happens at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Device {
    /// One of a node.
    Node(NodeId),
    /// One of a link.
    Link(LinkId),
}

/// What happens to devices.
#[derive(Clone, Debug)]
pub(crate) enum DeviceHappening {
    /// An attempt of a link is heralded, if nothing came between.
    Attempt { link: u32, slot: u16, generation: u32 },
    /// What a heralding station tells an end of its link arrives.
    Reply { node: NodeId, end: u8, reply: MidpointReply },
    /// A heralded half has moved into the qubit that stores it.
    Moved { node: NodeId, place: Place, reply: MidpointReply },
    /// The station's reply did not come.
    Unanswered { node: NodeId, memory: MemoryId, life: u32 },
    /// A Bell measurement ends.
    Swap { node: NodeId, token: u64, memories: [MemoryId; 2], life: u32 },
    /// A comparison of two halves ends.
    Compared { node: NodeId, token: u64, memories: [MemoryId; 2], how: Purification, life: u32 },
    /// A half was measured.
    Measured { node: NodeId, memory: MemoryId, basis: MeasuredBasis, outcome: bool, life: u32 },
    /// The processor has come to the end of an operation of a program.
    Processed { node: NodeId, request: u64, operation: Operation<QubitPlace>, life: u32 },
}

/// What is around devices.
pub(crate) trait Surroundings {
    /// Something will happen at a device, and is then to be told to [`Devices::happen`].
    fn later(&mut self, device: Device, at: Time, happening: DeviceHappening);
    /// The devices of a node tell its stack something.
    fn tell(&mut self, now: Time, node: NodeId, event: &HardwareEvent);
    /// The processor of a node has done an operation of its program, or could not.
    fn operated(&mut self, node: NodeId, operated: Operated);
    /// Both halves of a pair were used by applications.
    fn used(&mut self, pair: &UsedPair);
}

/// A node's devices.
struct Station {
    model: Arc<NodeModel>,
    /// Its first memory among those of all.
    first: Cell,
    memories: u16,
    /// Counts how often it lost everything: what was under way before is not told after.
    life: u32,
    communication: Option<CommunicationQubit>,
    stream: Stream,
    /// What works for programs, once one does.
    processing: Option<Box<Processing>>,
}

/// A link's devices.
struct Wire {
    ends: [NodeId; 2],
    roles: [QubitRole; 2],
    hardware: LinkHardware,
    /// The first memory that each end gives to it.
    first: [MemoryId; 2],
    cut: bool,
    /// The probability that a message over it, or a station's reply, gets lost.
    message_loss: f64,
    stream: Stream,
    attempts: u64,
}

/// The devices of a network.
pub(crate) struct Devices {
    stations: Vec<Station>,
    wires: Vec<Wire>,
    places: Vec<Place>,
    holdings: Holdings,
    /// Whether stations' replies travel as bytes.
    as_bytes: bool,
}

/// How devices are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeviceOptions {
    /// What their random streams are keyed by.
    pub(crate) seed: u64,
    /// Which life of the heralding stations: no two of a network may have the same.
    pub(crate) epoch: u32,
    /// Whether stations' replies travel as bytes.
    pub(crate) as_bytes: bool,
    /// Whether losses of fidelity are told by source.
    pub(crate) budgets: bool,
}

impl Devices {
    /// The devices of these nodes and links. Nothing attempts, and all memories are empty.
    pub(crate) fn new(
        nodes: &[NodeSetup],
        links: &[LinkSetup],
        options: DeviceOptions,
    ) -> Result<Self, SetupError> {
        let memories = memories::number(nodes, links)?;
        let stream = |entity, purpose| Stream::new(options.seed, entity, Purpose::named(purpose));
        let stations = nodes.iter().enumerate().map(|(place, node)| Station {
            model: Arc::clone(&node.model),
            first: memories.of_node[place].0,
            memories: memories.of_node[place].1,
            life: 0,
            communication: memories.shares[place].then(CommunicationQubit::new),
            stream: stream(node.entity, "entanglement-node"),
            processing: None,
        });
        let wires = links.iter().zip(&memories.of_link).enumerate().map(|(place, (setup, first))| Wire {
            ends: setup.ends,
            roles: setup.roles,
            hardware: LinkHardware::new(
                Arc::clone(&setup.model),
                Midpoint::new(LinkId(place as u32), options.epoch),
                stream(setup.entity, "heralds"),
                setup.memories[0].min(setup.memories[1]),
            ),
            first: *first,
            cut: false,
            message_loss: setup.message_loss,
            stream: stream(setup.entity, "link-messages"),
            attempts: 0,
        });
        Ok(Self {
            stations: stations.collect(),
            wires: wires.collect(),
            holdings: Holdings::new(memories.noise, memories.noises, options.budgets),
            places: memories.places,
            as_bytes: options.as_bytes,
        })
    }

    /// What a node's hardware does.
    pub(crate) fn model(&self, node: NodeId) -> &Arc<NodeModel> {
        &self.stations[node.index()].model
    }
    /// What the devices of a node draw from.
    pub(crate) fn stream(&mut self, node: NodeId) -> &mut Stream {
        &mut self.stations[node.index()].stream
    }
    /// How many memories a node has.
    pub(crate) fn memories(&self, node: NodeId) -> u16 {
        self.stations[node.index()].memories
    }
    /// The first memory that an end of a link gives to it.
    pub(crate) fn first_memory(&self, link: LinkId, end: usize) -> MemoryId {
        self.wires[link.index()].first[end]
    }
    /// The memories of a node.
    pub(crate) fn cells(&self, node: NodeId) -> core::ops::Range<Cell> {
        let Station { first, memories, .. } = self.stations[node.index()];
        first..first + Cell::from(memories)
    }
    /// Where a node's memory is among all.
    pub(crate) fn cell(&self, node: NodeId, memory: MemoryId) -> Cell {
        self.stations[node.index()].first + Cell::from(memory.0)
    }
    /// In which slot of its link a memory attempts.
    pub(crate) fn slot(&self, cell: Cell) -> u16 {
        self.places[cell as usize].slot
    }
    /// How many memories of a node hold something.
    pub(crate) fn held(&self, node: NodeId) -> u64 {
        self.cells(node).filter(|cell| self.holdings.holds(*cell)).count() as u64
    }
    /// What memories truly hold.
    pub(crate) const fn holdings(&self) -> &Holdings {
        &self.holdings
    }
    /// The same, to be changed.
    pub(crate) const fn holdings_mut(&mut self) -> &mut Holdings {
        &mut self.holdings
    }
    /// How many pairs a link has made, in how many attempts.
    pub(crate) fn made_by(&self, link: LinkId) -> (u64, u64) {
        let wire = &self.wires[link.index()];
        (wire.hardware.heralded(), wire.attempts)
    }
    /// Whether a link is interrupted.
    pub(crate) fn is_cut(&self, link: LinkId) -> bool {
        self.wires[link.index()].cut
    }
    /// Whether a message that is sent over a link now gets through.
    #[inline]
    pub(crate) fn lets_pass(&mut self, link: LinkId) -> bool {
        let wire = &mut self.wires[link.index()];
        !(wire.cut || wire.message_loss > 0.0 && wire.stream.chance(wire.message_loss))
    }
    /// Messages over a link get lost with this probability from now on.
    pub(crate) fn set_message_loss(&mut self, link: LinkId, probability: f64) {
        self.wires[link.index()].message_loss = probability;
    }

    /// Carries out what a node's stack wants.
    #[inline]
    pub(crate) fn carry_out(
        &mut self,
        now: Time,
        node: NodeId,
        command: &HardwareCommand,
        around: &mut impl Surroundings,
    ) {
        match *command {
            HardwareCommand::Arm { memory, tag, brightness } => {
                let cell = self.cell(node, memory);
                let place @ Place { link, end, slot } = self.places[cell as usize];
                self.let_begin(now, place, around);
                self.wear_of(now, cell);
                self.reset(now, cell, around);
                self.take_turn(now, cell, around);
                let wire = &mut self.wires[link as usize];
                let pending = wire.hardware.arm(end.into(), slot, Some((tag, brightness)), now);
                Self::pending(link, pending, around);
            }
            HardwareCommand::Disarm { memory } | HardwareCommand::Free { memory } => {
                let cell = self.cell(node, memory);
                let place @ Place { link, end, slot } = self.places[cell as usize];
                self.let_begin(now, place, around);
                self.wear_of(now, cell);
                self.reset(now, cell, around);
                if matches!(command, HardwareCommand::Disarm { .. }) {
                    _ = self.wires[link as usize].hardware.arm(end.into(), slot, None, now);
                }
                self.end_turn(now, cell, around);
            }
            HardwareCommand::Measure { memory, basis } => self.measure(now, node, memory, basis, around),
            HardwareCommand::Swap { token, left, right } => {
                let Station { life, model, .. } = &self.stations[node.index()];
                let at = now.saturating_add(model.swap_time);
                let swap = DeviceHappening::Swap { node, token, memories: [left, right], life: *life };
                around.later(Device::Node(node), at, swap);
            }
            HardwareCommand::Correct { memory, pauli } => {
                let mixing = self.stations[node.index()].model.gate_mixing;
                self.holdings.correct(self.cell(node, memory), pauli, mixing, now);
            }
            HardwareCommand::Compare { token, kept, sacrificed, how } => {
                let Station { life, model, .. } = &self.stations[node.index()];
                // A gate on two qubits, one on one, and a readout, as of a Bell measurement.
                let at = now.saturating_add(model.swap_time);
                let memories = [kept, sacrificed];
                let compared = DeviceHappening::Compared { node, token, memories, how, life: *life };
                around.later(Device::Node(node), at, compared);
            }
        }
    }
    fn measure(
        &mut self,
        now: Time,
        node: NodeId,
        memory: MemoryId,
        basis: BasisChoice,
        around: &mut impl Surroundings,
    ) {
        let cell = self.cell(node, memory);
        let Station { stream, model, life, .. } = &mut self.stations[node.index()];
        let (basis, axis) = basis::drawn(basis, stream);
        let outcome = self.holdings.measure(cell, axis, model.readout, now, stream);
        let at = now.saturating_add(model.readout_time);
        let measured = DeviceHappening::Measured { node, memory, basis, outcome, life: *life };
        self.vacated(now, cell, around);
        around.later(Device::Node(node), at, measured);
    }

    /// What was announced to happen happens.
    pub(crate) fn happen(&mut self, now: Time, happening: DeviceHappening, around: &mut impl Surroundings) {
        match happening {
            DeviceHappening::Attempt { link, slot, generation } => {
                self.attempt(now, link, slot, generation, around);
            }
            DeviceHappening::Reply { node, end, reply } => self.reply(now, node, end, &reply, around),
            DeviceHappening::Moved { node, place, reply } => self.moved(now, node, place, &reply, around),
            DeviceHappening::Unanswered { node, memory, life } if self.lives(node, life) => {
                around.tell(now, node, &HardwareEvent::Unanswered(memory));
            }
            DeviceHappening::Swap { node, token, memories, life } if self.lives(node, life) => {
                let cells = memories.map(|memory| self.cell(node, memory));
                let Station { model, stream, .. } = &mut self.stations[node.index()];
                let succeeds = model.swap_success >= 1.0 || stream.chance(model.swap_success);
                let outcome =
                    succeeds.then(|| self.holdings.swap(cells, &model.bell_measurement, now, stream));
                cells.into_iter().for_each(|cell| self.reset(now, cell, around));
                around.tell(now, node, &HardwareEvent::Swapped { token, outcome });
            }
            DeviceHappening::Compared { node, token, memories, how, life } if self.lives(node, life) => {
                let cells = memories.map(|memory| self.cell(node, memory));
                let Station { model, stream, .. } = &mut self.stations[node.index()];
                let end = ComparingEnd { mixing: model.bell_measurement.mixing(), readout: model.readout };
                let outcome = Some(self.holdings.compare(cells, how, end, now, stream));
                around.tell(now, node, &HardwareEvent::Compared { token, outcome });
            }
            DeviceHappening::Measured { node, memory, basis, outcome, life } if self.lives(node, life) => {
                around.tell(now, node, &HardwareEvent::Measured { memory, basis, outcome });
            }
            DeviceHappening::Processed { node, request, operation, life } if self.lives(node, life) => {
                let result = self.processed(now, node, &operation);
                around.operated(node, Operated { request, result });
            }
            DeviceHappening::Unanswered { .. }
            | DeviceHappening::Swap { .. }
            | DeviceHappening::Compared { .. }
            | DeviceHappening::Measured { .. }
            | DeviceHappening::Processed { .. } => {}
        }
    }
    fn lives(&self, node: NodeId, life: u32) -> bool {
        self.stations[node.index()].life == life
    }

    /// What a memory holds is lost, or used up.
    #[inline]
    pub(crate) fn reset(&mut self, now: Time, cell: Cell, around: &mut impl Surroundings) {
        if let Some(pair) = self.holdings.reset(cell) {
            around.used(&pair);
        }
        self.vacated(now, cell, around);
    }

    /// Light and messages pass a link no more, or again.
    pub(crate) fn cut(&mut self, now: Time, link: LinkId, cut: bool, around: &mut impl Surroundings) {
        self.let_all_begin(now, link.0, around);
        let wire = &mut self.wires[link.index()];
        wire.cut = cut;
        for pending in wire.hardware.set_up(!cut, now) {
            Self::pending(link.0, Some(pending), around);
        }
    }
    /// A node's devices stop and lose what its memories hold.
    pub(crate) fn crash(&mut self, now: Time, node: NodeId, around: &mut impl Surroundings) {
        self.stations[node.index()].life += 1;
        self.empty_processor(node);
        for cell in self.cells(node) {
            let place @ Place { link, end, slot } = self.places[cell as usize];
            self.let_begin(now, place, around);
            self.holdings.disclaim(cell);
            self.reset(now, cell, around);
            _ = self.wires[link as usize].hardware.arm(end.into(), slot, None, now);
            self.end_turn(now, cell, around);
        }
    }
}
