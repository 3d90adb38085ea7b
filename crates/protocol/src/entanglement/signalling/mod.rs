//! Signalling: circuits are set up hop by hop, stay while they are refreshed, and are torn down.
//!
//! The head sends [`Setup`](SignallingMessage::Setup) with the whole route; each node sets aside what the circuit asks of its
//! links and hands it on. The tail installs the circuit and accepts; the acceptance installs it node by node on
//! its way back. So when the head has it, all have. A node that cannot give what is asked refuses, but lets the setup
//! run on to the tail without setting anything aside: then the refusal tells the best that the *whole* route could give.
//!
//! All state is soft. The head refreshes, the tail answers; a node that has heard nothing from either for some periods
//! removes the circuit, whatever has become of the others. A node that is told of a circuit which it does not know says
//! so, and the circuit is torn down from there. So after quiet has returned, every node of a route has a circuit or none.
//!
//! States of a circuit at its head: installing, up (serving, while there are requests), draining (no new link pairs, tracks
//! run out), gone.

mod account;
mod machine;
mod message;
mod passing;
mod terms;

pub use account::SignallingLink;
pub use machine::Signalling;
pub use message::{Acknowledged, SignallingMessage};
pub use terms::{BestTerms, CircuitPurification, CircuitRefusal, CircuitTerms, HopTerms, MOST_HOPS};

use crate::entanglement::CircuitId;
use crate::entanglement::network::Circuit;
use bellwether_units::{Duration, LinkId, NodeId};

/// How circuits are signalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignallingSettings {
    /// After how many refresh periods without a word a circuit is removed.
    pub missed: u32,
    /// How often a message is sent that is not acknowledged.
    pub tries: u32,
    /// How many circuits pass a node at most.
    pub most_circuits: usize,
    /// For how many round trips a circuit drains before it is removed.
    pub drain: u32,
}

impl Default for SignallingSettings {
    /// Three periods, five tries, 65,536 circuits, eight round trips.
    fn default() -> Self {
        Self { missed: 3, tries: 5, most_circuits: 1 << 16, drain: 8 }
    }
}

/// Why a circuit is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CircuitEnd {
    /// The head wanted it no more.
    #[error("it was closed")]
    Closed,
    /// A node of the route has it no more.
    #[error("a node of the route has it no more")]
    TornDown,
    /// Nothing was heard of it for too long.
    #[error("it was not refreshed")]
    Lapsed,
}

/// Why a circuit cannot be opened or closed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignallingError {
    /// The terms are no route from here.
    #[error("the terms of {0} are not those of a route that begins at this node")]
    Terms(CircuitId),
    /// The number was used before.
    #[error("{0} is there already, or was: numbers of circuits are used once")]
    Known(CircuitId),
    /// It does not begin here.
    #[error("{0} does not begin at this node: circuits are closed at the head")]
    NotHead(CircuitId),
}

/// What the ends of circuits are told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SignallingEvent {
    /// At the head: all nodes have it. At the tail: this one does.
    Opened {
        /// Which.
        circuit: CircuitId,
    },
    /// At the head: it will not be.
    Refused {
        /// Which.
        circuit: CircuitId,
        /// Why.
        why: CircuitRefusal,
    },
    /// It was there, and is no more.
    Closed {
        /// Which.
        circuit: CircuitId,
        /// Why.
        why: CircuitEnd,
    },
}

/// What signalling wants done, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum SignallingEffect {
    /// Tell a neighbour; it may get lost.
    Send {
        /// Whom.
        to: NodeId,
        /// Over which link.
        link: LinkId,
        /// What.
        message: SignallingMessage,
    },
    /// The circuit passes this node from now on ([`Network::install`](crate::entanglement::network::Network::install)).
    Install {
        /// The circuit.
        circuit: Circuit,
        /// How its links at this node purify, if any does.
        purification: Option<CircuitPurification>,
    },
    /// At the head: it takes no requests any more, and makes no pairs; those under way are followed to their end.
    Drain(CircuitId),
    /// It passes no more ([`Network::remove`](crate::entanglement::network::Network::remove)).
    Remove(CircuitId),
    /// Say so.
    Event(SignallingEvent),
}

/// How long a message may take to a neighbour and back before it is repeated.
fn patience(delay: Duration) -> Duration {
    delay.saturating_mul(3).max(Duration::from_microseconds(10))
}
