//! The interface between a node's entanglement stack and its devices: what the stack wants of memories and of the qubits in
//! them, and what the devices tell it.
//!
//! A node sees heralds and outcomes, never states. The emulator carries commands out on what memories truly hold; a real
//! device would carry them out on what it has. Both may be in another process, so commands and events have bytes
//! ([`encode`](HardwareCommand::encode)).

mod wire;

use super::link::{AttemptTag, BasisChoice, MeasuredBasis, MidpointReply};
use super::{EntanglementNode, MemoryId, Outbox};
use bellwether_quantum::bell::{BellIndex, Purification};
use bellwether_units::Time;

/// What a node's stack wants of its devices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HardwareCommand {
    /// Reset the memory, and attempt again and again with this tag until the station replies or another command comes. It
    /// also ends what the memory was armed with before.
    Arm {
        /// Which memory.
        memory: MemoryId,
        /// What its photons are announced with.
        tag: AttemptTag,
        /// How bright to shine ([`FidelityLevel::brightness`](super::link::FidelityLevel::brightness)).
        brightness: f64,
    },
    /// Attempt no longer, and reset the memory.
    Disarm {
        /// Which memory.
        memory: MemoryId,
    },
    /// What the memory holds is of no use: reset it.
    Free {
        /// Which memory.
        memory: MemoryId,
    },
    /// Measure a half, which [`HardwareEvent::Measured`] answers.
    Measure {
        /// Where the half is.
        memory: MemoryId,
        /// In which basis, or in which of a set, which the devices draw.
        basis: BasisChoice,
    },
    /// Measure two halves in the Bell basis, which [`HardwareEvent::Swapped`] answers.
    Swap {
        /// Names this swap.
        token: u64,
        /// The half of the pair towards the head.
        left: MemoryId,
        /// The half of the pair towards the tail.
        right: MemoryId,
    },
    /// Apply a Pauli operator to a half.
    Correct {
        /// Which half.
        memory: MemoryId,
        /// Which operator.
        pauli: BellIndex,
    },
    /// Compare two halves, as purification does, which [`HardwareEvent::Compared`] answers.
    Compare {
        /// Names this comparison.
        token: u64,
        /// The half to keep.
        kept: MemoryId,
        /// The half to measure.
        sacrificed: MemoryId,
        /// How.
        how: Purification,
    },
}

/// What its devices tell a node's stack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HardwareEvent {
    /// The heralding station of a link replied.
    Midpoint(MidpointReply),
    /// The station's reply to an attempt with a memory did not come in time.
    Unanswered(MemoryId),
    /// The devices failed to attempt with a memory.
    Failed(MemoryId),
    /// A half was measured.
    Measured {
        /// Where it was.
        memory: MemoryId,
        /// In which basis.
        basis: MeasuredBasis,
        /// Whether -1 was measured.
        outcome: bool,
    },
    /// Two halves were measured in the Bell basis.
    Swapped {
        /// The swap's name.
        token: u64,
        /// What was found; without an outcome, both halves are lost.
        outcome: Option<BellIndex>,
    },
    /// Two halves were compared.
    Compared {
        /// The comparison's name.
        token: u64,
        /// Whether -1 was measured; without an outcome, both halves are lost.
        outcome: Option<bool>,
    },
}

impl EntanglementNode {
    /// The devices have told something.
    pub fn hear_hardware(&mut self, now: Time, event: &HardwareEvent, out: &mut Outbox) {
        match *event {
            HardwareEvent::Midpoint(ref reply) => self.heard_midpoint(now, reply, out),
            HardwareEvent::Unanswered(memory) => self.unanswered(now, memory, out),
            HardwareEvent::Failed(memory) => self.failed(now, memory, out),
            HardwareEvent::Measured { memory, basis, outcome } => {
                self.measured(now, memory, basis, outcome, out);
            }
            HardwareEvent::Swapped { token, outcome } => self.swapped(now, token, outcome, out),
            HardwareEvent::Compared { token, outcome } => self.compared(now, token, outcome, out),
        }
    }
}
