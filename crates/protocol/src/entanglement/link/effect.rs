//! What an end of a link wants done.

use super::LinkPair;
use super::message::LinkMessage;
use super::request::{BasisChoice, LinkError, MeasuredBasis, RequestId};
use crate::entanglement::{MemoryId, PairId};
use crate::qkd::wire::{Malformed, Reader, Writer};

/// The number of a request in the queue that both ends share. It is never given twice: the end that gives it counts,
/// and says in which of its lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueNumber {
    /// Which life of the end that numbers.
    pub life: u32,
    /// The count in that life.
    pub count: u32,
}

/// What a photon is announced with at the heralding station, and by which the reply is matched to the attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct AttemptTag {
    /// For which request of the queue.
    pub item: QueueNumber,
    /// The place of the memory on the link: photons of equal places meet.
    pub slot: u16,
    /// Which life of the end.
    pub life: u32,
    /// Which arming of the slot in that life. Every order to attempt has a new one, so that late replies are known.
    pub arming: u32,
}

impl AttemptTag {
    pub(in crate::entanglement) fn write(&self, w: &mut Writer) {
        for part in [self.item.life, self.item.count, self.slot.into(), self.life, self.arming] {
            w.count(part.into());
        }
    }
    pub(in crate::entanglement) fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let item = QueueNumber { life: read_u32(r)?, count: read_u32(r)? };
        let slot = r.count_up_to(u16::MAX.into(), "the slot of an attempt")? as u16;
        Ok(Self { item, slot, life: read_u32(r)?, arming: read_u32(r)? })
    }
}

pub(super) fn read_u32(r: &mut Reader<'_>) -> Result<u32, Malformed> {
    Ok(r.count_up_to(u32::MAX.into(), "a number of 32 bits")? as u32)
}

/// What an end of a link wants done, or has to tell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LinkEffect {
    /// Send this to the other end; it may get lost.
    Send(LinkMessage),
    /// Reset the memory, and attempt again and again with this tag until a reply comes or another order. It also ends
    /// what the memory was armed with before.
    Arm {
        /// Which memory.
        memory: MemoryId,
        /// What its photons are announced with.
        tag: AttemptTag,
        /// How bright to shine ([`FidelityLevel::brightness`](super::FidelityLevel::brightness)).
        brightness: f64,
    },
    /// Attempt no longer. The memory stays at the link's disposal.
    Disarm {
        /// Which memory.
        memory: MemoryId,
    },
    /// What the memory holds is of no use: it may be reset. The memory stays at the link's disposal.
    Free {
        /// Which memory.
        memory: MemoryId,
    },
    /// A pair (OK of type K). The memory is the user's until [`LinkEnd::memory_free`](super::LinkEnd::memory_free).
    Pair(LinkPair),
    /// Measure this half now, and say [`LinkEnd::measured`](super::LinkEnd::measured).
    Measure {
        /// Where the half is.
        memory: MemoryId,
        /// Of which pair.
        pair: PairId,
        /// In which basis, or in which of a set.
        basis: BasisChoice,
    },
    /// A pair of which this half was measured (OK of type M). The memory serves again already.
    Measured {
        /// The pair.
        pair: LinkPair,
        /// The basis.
        basis: MeasuredBasis,
        /// The outcome: whether -1 was measured.
        outcome: bool,
    },
    /// A pair that had been handed over is none: the other end never had its half, or has lost it (EXPIRE). Whatever was
    /// made of it is worthless. The memory is still the user's.
    Expired {
        /// Which pair.
        pair: PairId,
    },
    /// Nothing more will come of a request of this end.
    Finished {
        /// Which request.
        request: RequestId,
        /// Whether it has all its pairs.
        result: Result<(), LinkError>,
    },
}
