//! The interface between the seat of a program and the processor of its node: what is to be done to qubits, and what came of
//! it.

use super::{Operation, OperationError};
use crate::entanglement::MemoryId;

/// Where a qubit of a program is at its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum QubitPlace {
    /// In a memory that a link made a pair in.
    Memory(MemoryId),
    /// In a memory of the processor, by its number.
    Local(u16),
}

/// What a seat wants of its node's processor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ProcessorCommand {
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
    /// Do an operation, which [`Operated`] answers once it is done. Of a program's gates and measurements there is one at a
    /// time; measurements of pairs that are read as they come may be asked for besides.
    Operate {
        /// Names the operation in the answer.
        request: u64,
        /// What is to be done.
        operation: Operation<QubitPlace>,
    },
}

/// An operation was done, or could not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operated {
    /// The operation's name.
    pub request: u64,
    /// The outcomes of the measurements.
    pub result: Result<Vec<bool>, OperationError>,
}
