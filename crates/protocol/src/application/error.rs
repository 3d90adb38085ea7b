//! What may go wrong in a program, as values.

use bellwether_units::{Duration, NodeId};

/// Why there is no pair.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum EprError {
    /// None was there in time.
    #[error("no pair with {peer} within {} s", within.seconds())]
    TimedOut {
        /// With whom.
        peer: NodeId,
        /// How long it was waited for.
        within: Duration,
    },
    /// None of the wanted fidelity can be had, or the one that came was worse.
    #[error("a fidelity of {wanted} was wanted, and the best that could be had is {best}")]
    TooNoisy {
        /// The least that was wanted.
        wanted: f64,
        /// What there is.
        best: f64,
    },
    /// The program of the other node has ended and asks for no more pairs, or there is none.
    #[error("the program of {0} has ended, or there is none: nobody takes the other half")]
    PeerGone(NodeId),
    /// This node's link on the way to the other is interrupted.
    #[error("the link towards {0} is down")]
    LinkDown(NodeId),
    /// No circuit joins this node with the other.
    #[error("no circuit joins this node with {0}: the network has to have one")]
    NoCircuit(NodeId),
    /// This node was down, and lost what it had.
    #[error("the node is down, or was since")]
    NodeDown,
}

/// Why something could not be done to qubits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperationError {
    /// A qubit of another node.
    #[error("a qubit of {owner} was given to {node}: only its own node can work on a qubit")]
    NotThisNode {
        /// Whose qubit it is.
        owner: NodeId,
        /// Who was to work on it.
        node: NodeId,
    },
    /// The qubit is gone: its pair came to nothing after it was handed out, or its node was down since.
    #[error("the qubit is lost: its pair came to nothing, or the node was down since")]
    Lost,
    /// All memories for qubits of the program are in use.
    #[error("all {0} memories for local qubits are in use: measure or drop one")]
    NoMemory(u16),
    /// More qubits would be entangled with each other than the driver can follow.
    #[error("{0} qubits would be entangled with each other, more than the emulation can follow")]
    TooManyEntangled(usize),
    /// One qubit was named twice in a gate on two.
    #[error("a gate on two qubits was given one qubit twice")]
    SameQubit,
}

/// Why a message was not sent or not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The other program has ended and everything that it sent was received, or there is none.
    #[error("the program of {0} has ended, or there is none")]
    PeerGone(NodeId),
    /// No way leads to the other node.
    #[error("no way leads to {0} at present")]
    Unreachable(NodeId),
    /// The value cannot be written as JSON, or what came is not what was expected.
    #[error("a message is not what was expected: {0}")]
    Malformed(String),
}

/// Whatever may go wrong in a program.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ProgramError {
    /// There is no pair.
    #[error(transparent)]
    Epr(#[from] EprError),
    /// A gate or a measurement was not possible.
    #[error(transparent)]
    Operation(#[from] OperationError),
    /// A message was not possible.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// What the program itself says.
    #[error("{0}")]
    Other(String),
}
