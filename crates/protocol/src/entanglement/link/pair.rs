//! What the link layer hands over.

use crate::entanglement::{CircuitId, MemoryId, PairId};
use bellwether_quantum::bell::BellIndex;
use bellwether_units::Time;

/// For whom a link makes pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkUser {
    /// An application at either end, by the purpose that both agreed on.
    Application(u16),
    /// A virtual circuit that passes the link.
    Circuit(CircuitId),
}

/// This end's half of a pair that a link has made, as far as a node can know it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkPair {
    /// Its name, which the other end knows as well.
    pub id: PairId,
    /// Where this half is.
    pub memory: MemoryId,
    /// Which Bell state it was heralded in; the half is not corrected.
    pub bell: BellIndex,
    /// When, by this node's clock, the photons of the successful attempt were emitted: the half ages from then on.
    pub made: Time,
    /// The fidelity that the link's model promises of it when it was made.
    pub goodness: f64,
    /// For whom.
    pub user: LinkUser,
}
