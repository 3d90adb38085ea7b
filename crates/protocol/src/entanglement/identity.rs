//! Names that stay unique: of pairs, circuits and memory qubits.

use crate::qkd::wire::{Malformed, Reader, Writer};
use bellwether_units::LinkId;
use core::fmt;

/// A heralded pair of one link. Both ends learn it from the herald, and no other pair ever bears it: the heralding
/// station counts its successes and takes a new epoch whenever it starts.
///
/// A name by node and memory would not do: a memory is used again while messages of its last pair are under way, and
/// these would then be taken for news of the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PairId {
    /// The link that made it.
    pub link: LinkId,
    /// Which life of its heralding station.
    pub epoch: u32,
    /// Which success of that life, from 0.
    pub sequence: u64,
}

impl PairId {
    pub(super) fn write(self, w: &mut Writer) {
        w.count(self.link.0.into());
        w.count(self.epoch.into());
        w.count(self.sequence);
    }
    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let small = |r: &mut Reader<'_>, what| u32::try_from(r.count()?).map_err(|_| Malformed::Value(what));
        let link = LinkId(small(r, "the link of a pair")?);
        let epoch = small(r, "the epoch of a pair")?;
        Ok(Self { link, epoch, sequence: r.count()? })
    }
}

impl fmt::Display for PairId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pair {}.{}.{}", self.link.0, self.epoch, self.sequence)
    }
}

/// A pair from end to end of a circuit: the link pairs of which its halves were, in the order from head to tail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndToEndId {
    /// The pair whose half the head holds.
    pub head: PairId,
    /// The pair whose half the tail holds; the same one if head and tail are neighbours.
    pub tail: PairId,
}

impl fmt::Display for EndToEndId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.head, self.tail)
    }
}

/// A virtual circuit. Whoever installs circuits never gives a number twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CircuitId(pub u64);

impl fmt::Display for CircuitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "circuit {}", self.0)
    }
}

/// A memory qubit of a node, by its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemoryId(pub u16);

impl fmt::Display for MemoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memory {}", self.0)
    }
}
