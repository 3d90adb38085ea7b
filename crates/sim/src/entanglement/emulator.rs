//! The devices of a network's entangling nodes, moved by whoever has a clock: the emulated physical layer of a network that
//! runs.
//!
//! Stacks are somewhere else. What a node's stack commands is carried out on that node's own memories and on no others; what
//! its devices tell it is taken with [`MemoryEmulator::told`]. Time is that of the caller, and goes forward.
//!
//! ```
//! use bellwether_protocol::entanglement::hardware::{HardwareCommand, HardwareEvent};
//! use bellwether_protocol::entanglement::link::AttemptTag;
//! use bellwether_protocol::entanglement::MemoryId;
//! use bellwether_quantum::bell::BellDiagonal;
//! use bellwether_sim::entanglement::{Brightness, Chain, MemoryEmulator, Told};
//! use bellwether_units::{Duration, NodeId, Time};
//!
//! let level = Brightness::stated(0.5, BellDiagonal::PERFECT.into())?;
//! let micro = Duration::from_microseconds;
//! let setup = Chain::new(2, 1, level, micro(10), micro(5)).setup()?;
//! let mut layer = MemoryEmulator::new(&setup, 7, 1)?;
//! for node in [NodeId(0), NodeId(1)] {
//!     let arm = HardwareCommand::Arm { memory: MemoryId(0), tag: AttemptTag::default(), brightness: 1.0 };
//!     layer.command(Time::ZERO, node, &arm)?;
//! }
//! layer.advance(Time::ZERO + micro(1000));
//! let (first, event) = layer.told().expect("a herald within a hundred attempts");
//! assert!(matches!(event, Told::Stack(HardwareEvent::Midpoint(_))));
//! assert_ne!(layer.told().expect("the other end is told as well").0, first);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::hardware::{Device, DeviceHappening, DeviceOptions, Devices, Surroundings, UsedPair};
use super::setup::{Setup, SetupError};
use crate::kernel::Schedule;
use bellwether_protocol::application::{Operated, ProcessorCommand, QubitPlace};
use bellwether_protocol::entanglement::MemoryId;
use bellwether_protocol::entanglement::hardware::{HardwareCommand, HardwareEvent};
use bellwether_quantum::store::Detail;
use bellwether_units::{EntityId, LinkId, NodeId, Purpose, Stream, Time};
use std::collections::VecDeque;

/// Why a command is not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No such node.
    #[error("there is no {0}")]
    Node(NodeId),
    /// No such memory.
    #[error("{node} has no memory {}: it has {memories}", memory.0)]
    Memory {
        /// Whose it would be.
        node: NodeId,
        /// Which one.
        memory: MemoryId,
        /// How many there are.
        memories: u16,
    },
    /// No such memory of the processor.
    #[error("the processor of {node} has no memory {local}: it has {local_qubits}")]
    Local {
        /// Whose it would be.
        node: NodeId,
        /// Which one.
        local: u16,
        /// How many there are.
        local_qubits: u16,
    },
    /// A memory was to attempt as another.
    #[error("memory {} of {node} attempts in slot {own} of its link, not in slot {named}", memory.0)]
    Slot {
        /// Whose it is.
        node: NodeId,
        /// Which one.
        memory: MemoryId,
        /// Its slot.
        own: u16,
        /// The slot that was named.
        named: u16,
    },
    /// One memory was named as two.
    #[error("memory {} of {node} is named as both of two", memory.0)]
    Same {
        /// Whose it is.
        node: NodeId,
        /// Which one.
        memory: MemoryId,
    },
}

/// What the devices of a node tell.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// Its stack.
    Stack(HardwareEvent),
    /// The seat of its program.
    Operated(Operated),
}

/// The devices of a network, and what will happen to them.
pub struct MemoryEmulator {
    devices: Devices,
    nodes: usize,
    agenda: Agenda,
}

struct Agenda {
    schedule: Schedule<DeviceHappening>,
    nodes: Vec<EntityId>,
    links: Vec<EntityId>,
    told: VecDeque<(NodeId, Told)>,
}

impl Surroundings for Agenda {
    fn later(&mut self, device: Device, at: Time, happening: DeviceHappening) {
        let source = match device {
            Device::Node(node) => self.nodes[node.index()],
            Device::Link(link) => self.links[link.index()],
        };
        // What would happen beyond the clock does not, and what is overdue happens now.
        _ = self.schedule.at(source, at.max(self.schedule.now()), happening);
    }
    fn tell(&mut self, _now: Time, node: NodeId, event: &HardwareEvent) {
        self.told.push_back((node, Told::Stack(*event)));
    }
    fn operated(&mut self, node: NodeId, operated: Operated) {
        self.told.push_back((node, Told::Operated(operated)));
    }
    fn used(&mut self, _pair: &UsedPair) {}
}

impl MemoryEmulator {
    /// The devices of a setup: all memories are empty, and nothing attempts. `epoch` is the life of the heralding stations:
    /// higher in every run of a network, or pairs of two runs would have one name.
    ///
    /// # Errors
    /// If the setup has more of something than can be numbered.
    pub fn new(setup: &Setup, seed: u64, epoch: u32) -> Result<Self, SetupError> {
        let options = DeviceOptions { seed, epoch, as_bytes: false, budgets: false };
        let mut devices = Devices::new(&setup.nodes, &setup.links, options)?;
        devices.allow_programs(
            Detail::Exact,
            Stream::new(seed, EntityId(setup.nodes.len() as u32), Purpose::named("program-qubits")),
        );
        let mut schedule = Schedule::new();
        let too_many = SetupError::TooMany(setup.nodes.len() + setup.links.len());
        let mut source = || schedule.add_source().map_err(|_| too_many.clone());
        let nodes = setup.nodes.iter().map(|_| source()).collect::<Result<_, _>>()?;
        let links = setup.links.iter().map(|_| source()).collect::<Result<_, _>>()?;
        let agenda = Agenda { schedule, nodes, links, told: VecDeque::new() };
        Ok(Self { devices, nodes: setup.nodes.len(), agenda })
    }

    /// Carries out what the stack of `node` wants of that node's own devices.
    ///
    /// # Errors
    /// If that cannot be; then nothing is done.
    pub fn command(
        &mut self,
        now: Time,
        node: NodeId,
        command: &HardwareCommand,
    ) -> Result<(), CommandError> {
        self.check(node, command)?;
        self.advance(now);
        self.devices.carry_out(now, node, command, &mut self.agenda);
        Ok(())
    }
    fn check(&self, node: NodeId, command: &HardwareCommand) -> Result<(), CommandError> {
        self.check_node(node)?;
        let own = |memory| self.check_memory(node, memory);
        let both = |first: MemoryId, second: MemoryId| {
            own(first)?;
            own(second)?;
            if first == second { Err(CommandError::Same { node, memory: first }) } else { Ok(()) }
        };
        match *command {
            HardwareCommand::Arm { memory, tag, .. } => {
                own(memory)?;
                let own = self.devices.slot(self.devices.cell(node, memory));
                let named = tag.slot;
                if own == named { Ok(()) } else { Err(CommandError::Slot { node, memory, own, named }) }
            }
            HardwareCommand::Disarm { memory }
            | HardwareCommand::Free { memory }
            | HardwareCommand::Measure { memory, .. }
            | HardwareCommand::Correct { memory, .. } => own(memory),
            HardwareCommand::Swap { left, right, .. } => both(left, right),
            HardwareCommand::Compare { kept, sacrificed, .. } => both(kept, sacrificed),
        }
    }
    /// Carries out what the seat of a program of `node` wants of that node's own processor.
    ///
    /// # Errors
    /// If that cannot be; then nothing is done.
    pub fn process(
        &mut self,
        now: Time,
        node: NodeId,
        command: &ProcessorCommand,
    ) -> Result<(), CommandError> {
        self.check_node(node)?;
        let local_qubits = self.devices.processor(node).local_qubits;
        let local = |local: u16| match local < local_qubits {
            true => Ok(()),
            false => Err(CommandError::Local { node, local, local_qubits }),
        };
        match command {
            ProcessorCommand::Zero { local: number } | ProcessorCommand::Discard { local: number } => {
                local(*number)?;
            }
            ProcessorCommand::Operate { operation, .. } => {
                for place in operation.qubits() {
                    match place {
                        QubitPlace::Memory(memory) => self.check_memory(node, memory)?,
                        QubitPlace::Local(number) => local(number)?,
                    }
                }
            }
        }
        self.advance(now);
        self.devices.process(now, node, command, &mut self.agenda);
        Ok(())
    }
    fn check_node(&self, node: NodeId) -> Result<(), CommandError> {
        if node.index() < self.nodes { Ok(()) } else { Err(CommandError::Node(node)) }
    }
    fn check_memory(&self, node: NodeId, memory: MemoryId) -> Result<(), CommandError> {
        let memories = self.devices.memories(node);
        if memory.0 < memories { Ok(()) } else { Err(CommandError::Memory { node, memory, memories }) }
    }
    /// The devices of a node stop, and lose what its memories hold.
    ///
    /// # Errors
    /// If there is no such node.
    pub fn reset(&mut self, now: Time, node: NodeId) -> Result<(), CommandError> {
        self.check_node(node)?;
        self.advance(now);
        self.devices.crash(now, node, &mut self.agenda);
        self.agenda.told.retain(|(other, _)| *other != node);
        Ok(())
    }
    /// How many memories the processor of a node has for qubits of its program.
    ///
    /// # Errors
    /// If there is no such node.
    pub fn local_qubits(&mut self, node: NodeId) -> Result<u16, CommandError> {
        self.check_node(node)?;
        Ok(self.devices.processor(node).local_qubits)
    }
    /// Light passes a link no more, or again.
    pub fn cut(&mut self, now: Time, link: LinkId, cut: bool) {
        self.advance(now);
        self.devices.cut(now, link, cut, &mut self.agenda);
    }

    /// Lets happen what happens until `now`, which goes forward.
    pub fn advance(&mut self, now: Time) {
        while let Some(event) = self.agenda.schedule.next_until(now) {
            self.devices.happen(event.time, event.event, &mut self.agenda);
        }
    }
    /// When something happens next.
    pub fn next_time(&mut self) -> Option<Time> {
        self.agenda.schedule.next_time()
    }
    /// What devices told, the oldest first.
    pub fn told(&mut self) -> Option<(NodeId, Told)> {
        self.agenda.told.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entanglement::{Brightness, Chain};
    use bellwether_protocol::entanglement::link::{AttemptTag, BasisChoice};
    use bellwether_quantum::bell::{BellDiagonal, BellIndex};
    use bellwether_units::Duration;

    /// Three nodes; the middle one has four memories, two for each of its links.
    fn layer() -> MemoryEmulator {
        let level = Brightness::stated(1.0, BellDiagonal::PERFECT.into()).unwrap();
        let micro = Duration::from_microseconds;
        let setup = Chain::new(3, 2, level, micro(10), micro(5)).setup().unwrap();
        MemoryEmulator::new(&setup, 1, 1).unwrap()
    }
    fn tag(slot: u16) -> AttemptTag {
        AttemptTag { slot, ..AttemptTag::default() }
    }
    fn arm(memory: u16, slot: u16) -> HardwareCommand {
        HardwareCommand::Arm { memory: MemoryId(memory), tag: tag(slot), brightness: 1.0 }
    }
    fn after(microseconds: u64) -> Time {
        Time::ZERO + Duration::from_microseconds(microseconds)
    }

    #[test]
    fn a_node_commands_its_own_memories_alone() {
        let mut layer = layer();
        let end = NodeId(0);
        let missing = |memory| CommandError::Memory { node: end, memory: MemoryId(memory), memories: 2 };
        assert_eq!(layer.command(Time::ZERO, end, &arm(2, 0)), Err(missing(2)));
        let correct = HardwareCommand::Correct { memory: MemoryId(9), pauli: BellIndex::PSI_PLUS };
        assert_eq!(layer.command(Time::ZERO, end, &correct), Err(missing(9)));
        let measure = HardwareCommand::Measure { memory: MemoryId(2), basis: BasisChoice::default() };
        assert_eq!(layer.command(Time::ZERO, end, &measure), Err(missing(2)));
        // The slot of a herald's reply leads to a memory: it must be the memory that was named.
        let slot = CommandError::Slot { node: end, memory: MemoryId(1), own: 1, named: 0 };
        assert_eq!(layer.command(Time::ZERO, end, &arm(1, 0)), Err(slot));
        let swap = HardwareCommand::Swap { token: 0, left: MemoryId(1), right: MemoryId(1) };
        let same = CommandError::Same { node: NodeId(1), memory: MemoryId(1) };
        assert_eq!(layer.command(Time::ZERO, NodeId(1), &swap), Err(same));
        assert_eq!(layer.command(Time::ZERO, NodeId(3), &arm(0, 0)), Err(CommandError::Node(NodeId(3))));
        layer.advance(after(1_000_000));
        assert_eq!(layer.told(), None);
    }

    #[test]
    fn two_links_make_pairs_and_a_swap_is_answered() {
        let mut layer = layer();
        for (node, memory) in [(0, 0), (1, 0), (1, 2), (2, 0)] {
            layer.command(Time::ZERO, NodeId(node), &arm(memory, 0)).unwrap();
        }
        layer.advance(after(100));
        let heralds = std::iter::from_fn(|| layer.told())
            .filter(|(_, event)| matches!(event, Told::Stack(HardwareEvent::Midpoint(_))));
        assert_eq!(heralds.count(), 4);
        let swap = HardwareCommand::Swap { token: 5, left: MemoryId(0), right: MemoryId(2) };
        layer.command(after(100), NodeId(1), &swap).unwrap();
        layer.advance(after(200));
        let told: Vec<_> = std::iter::from_fn(|| layer.told()).collect();
        assert!(
            matches!(
                told[..],
                [(NodeId(1), Told::Stack(HardwareEvent::Swapped { token: 5, outcome: Some(_) }))]
            ),
            "{told:?}"
        );
    }

    #[test]
    fn a_reset_voids_what_was_under_way() {
        let mut layer = layer();
        let measure = HardwareCommand::Measure { memory: MemoryId(0), basis: BasisChoice::default() };
        let swap = HardwareCommand::Swap { token: 5, left: MemoryId(0), right: MemoryId(2) };
        for reset in [false, true] {
            let start = layer.agenda.schedule.now();
            layer.command(start, NodeId(0), &measure).unwrap();
            layer.command(start, NodeId(1), &swap).unwrap();
            if reset {
                layer.reset(start, NodeId(1)).unwrap();
            }
            layer.advance(start + Duration::from_milliseconds(1));
            let told: Vec<_> = std::iter::from_fn(|| layer.told()).map(|(node, _)| node).collect();
            assert_eq!(told.contains(&NodeId(1)), !reset);
            assert!(told.contains(&NodeId(0)));
        }
    }
}
