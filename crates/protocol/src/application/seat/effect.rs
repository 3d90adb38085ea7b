//! What the seat of a program wants done.

use crate::application::{MessageError, Operation, Promise};
use crate::entanglement::network::{PairRequest, RequestId};
use crate::entanglement::{CircuitId, MemoryId, PairId};
use bellwether_units::NodeId;
use core::any::Any;

/// Where a qubit of a program is at its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum QubitPlace {
    /// In a memory that a link made a pair in.
    Memory(MemoryId),
    /// In a memory of the processor, by its number.
    Local(u16),
}

/// What the driver of a seat has to do, in this order.
pub enum SeatEffect {
    /// Ask the network layer.
    Request(CircuitId, PairRequest),
    /// Take that back.
    Withdraw(CircuitId, RequestId),
    /// Give the memory of a half back to the network layer.
    Release {
        /// Of which circuit.
        circuit: CircuitId,
        /// This end's link pair.
        pair: PairId,
        /// Where the half is, or was.
        memory: MemoryId,
    },
    /// Have an operation done, and say [`Seat::operated`](super::Seat::operated) once it is. Of the program's gates and
    /// measurements there is one at a time; measurements of pairs that are read as they come may be asked for besides.
    Operate {
        /// Names the operation in the answer.
        request: u64,
        /// What is to be done.
        operation: Operation<QubitPlace>,
    },
    /// Put a memory of the processor, which is free, into |0⟩.
    Zero {
        /// Which.
        local: u16,
    },
    /// Empty a memory of the processor, unless it is empty.
    Discard {
        /// Which.
        local: u16,
    },
    /// Send a message to the program of another node, after all that was sent there before.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        bytes: Vec<u8>,
        /// To be told whether it is on its way.
        answer: Promise<Result<(), MessageError>>,
    },
    /// The program has ended: tell the programs of all other nodes, after all that was sent there before.
    Over {
        /// How often it called for pairs, circuit by circuit.
        calls: Vec<(CircuitId, u64)>,
    },
    /// What only some drivers know; others drop it.
    Special(Box<dyn Any + Send>),
}
