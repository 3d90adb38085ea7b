//! What the seat of a program wants done.

use crate::application::{MessageError, ProcessorCommand, Promise};
use crate::entanglement::network::{PairRequest, RequestId};
use crate::entanglement::{CircuitId, MemoryId, PairId};
use bellwether_units::NodeId;
use core::any::Any;

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
    /// Tell the node's processor, and say [`Seat::operated`](super::Seat::operated) once an operation is done.
    Processor(ProcessorCommand),
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
