//! What the network layer is told, and what it wants.

use super::message::{End, NetworkMessage, RequestId};
use crate::entanglement::{CircuitId, EndToEndId, MemoryId, PairId};
use bellwether_quantum::MemoryNoise;
use bellwether_quantum::bell::{BellDiagonal, BellIndex, SwapQuality};
use bellwether_units::{Duration, LinkId, NodeId, Time};

/// A link of a circuit, as a node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Which.
    pub link: LinkId,
    /// Who is at its other end.
    pub peer: NodeId,
}

/// A circuit, as one of its nodes knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Circuit {
    /// Which.
    pub id: CircuitId,
    /// The link towards the head; none at the head.
    pub towards_head: Option<Hop>,
    /// The link towards the tail; none at the tail.
    pub towards_tail: Option<Hop>,
    /// The least fidelity that its links are to promise.
    pub link_fidelity: f64,
    /// Its share of each link, relative to other circuits, at least 1.
    pub weight: u16,
    /// Between the ends: how old a half may become before it is given up. Ends give up none for its age.
    pub cutoff: Option<Duration>,
    /// Which of several pairs is swapped first.
    pub choice: PairChoice,
    /// At the ends: what the other end's memory does to its half, as far as whoever installs circuits knows.
    pub far_memory: MemoryNoise,
    /// How a message may be late, at most: the round trip of the circuit and what nodes take.
    pub round_trip: Duration,
}

/// Which of several waiting pairs is used first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PairChoice {
    /// The oldest: none is wasted.
    #[default]
    Oldest,
    /// The youngest: of the best fidelity.
    Youngest,
}

/// How well this node keeps and swaps qubits, as far as it knows: for estimates alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NodeQuality {
    /// Its Bell measurement.
    pub swap: SwapQuality,
    /// Its memories.
    pub memory: MemoryNoise,
}

/// What an application asks of the head of a circuit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairRequest {
    /// A number that this head has not given before.
    pub id: RequestId,
    /// How many pairs; without end if `None`.
    pub pairs: Option<u64>,
    /// By when; then the request is over, however many there were.
    pub until: Option<Time>,
    /// The tail turns its half so that the pair is |Φ⁺⟩; otherwise the Bell state is told.
    pub correct: bool,
    /// The head hands its half out before the tail has confirmed it, and may have to take it back.
    pub early: bool,
}

/// A half of an end-to-end pair, handed to the application: its memory is the application's from then on, to be given
/// back through [`Network::released`](super::Network::released).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Delivered {
    /// Of which circuit.
    pub circuit: CircuitId,
    /// Which end this is.
    pub end: End,
    /// For which request.
    pub request: RequestId,
    /// The pair, by the same name at both ends.
    pub id: EndToEndId,
    /// Where the half is.
    pub memory: MemoryId,
    /// The Bell state of the pair; |Φ⁺⟩ if the tail corrects.
    pub bell: BellIndex,
    /// What is claimed of the pair, relative to `bell`, at this moment: both halves have aged until now.
    pub estimate: BellDiagonal,
    /// Since when this half has been in its memory.
    pub made: Time,
}

impl Delivered {
    /// This end's link pair: by what the half is given back.
    pub const fn own_pair(&self) -> PairId {
        match self.end {
            End::Head => self.id.head,
            End::Tail => self.id.tail,
        }
    }
}

/// Why a request is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestEnd {
    /// All pairs were delivered.
    Done,
    /// Its time is up.
    TimeOut,
    /// It was taken back.
    Withdrawn,
    /// The circuit was removed.
    CircuitGone,
}

/// What applications and operators are told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NetworkEvent {
    /// A half is there, but the tail has not confirmed it: the name of the pair and its Bell state are not known yet.
    Early {
        /// Of which circuit.
        circuit: CircuitId,
        /// For which request.
        request: RequestId,
        /// The head's link pair, by which [`Delivered`] or [`Revoked`](Self::Revoked) will name it.
        origin: PairId,
        /// Where the half is.
        memory: MemoryId,
    },
    /// A pair is there, at this end.
    Delivered(Delivered),
    /// A pair that was handed out came to nothing.
    Revoked {
        /// Of which circuit.
        circuit: CircuitId,
        /// Which end this is.
        end: End,
        /// This end's link pair.
        origin: PairId,
        /// Where the half is; it is still the application's to release.
        memory: MemoryId,
    },
    /// A request is over.
    RequestOver {
        /// On which circuit.
        circuit: CircuitId,
        /// Which.
        request: RequestId,
        /// How many pairs it had.
        delivered: u64,
        /// Why.
        end: RequestEnd,
    },
}

/// What the network layer wants done, in this order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NetworkEffect {
    /// Tell a neighbour.
    Send {
        /// Whom.
        to: NodeId,
        /// By which link: the neighbour knows it by that.
        link: LinkId,
        /// What.
        message: NetworkMessage,
    },
    /// Measure two halves in the Bell basis, and say [`Network::swapped`](super::Network::swapped) with the token.
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
    /// A memory holds nothing of use any more.
    Free(MemoryId),
    /// The link is to make pairs for the circuit from now on, or to stop.
    Want {
        /// Which link: the one towards the tail.
        link: LinkId,
        /// For which circuit.
        circuit: CircuitId,
        /// Whether.
        wanted: bool,
    },
    /// Say so.
    Event(NetworkEvent),
}
