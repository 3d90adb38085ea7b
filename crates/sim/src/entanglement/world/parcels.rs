//! What is on its way and too large to travel in an event.

use crate::entanglement::hardware::DeviceHappening;
use bellwether_protocol::entanglement::{CircuitId, MemoryId, NodeMessage, PairId};
use bellwether_units::{LinkId, NodeId};

/// Something that arrives, or is done.
pub(super) enum Parcel {
    /// What a node told another.
    Message { from: NodeId, to: NodeId, link: LinkId, message: NodeMessage },
    /// The same as bytes.
    Bytes { from: NodeId, to: NodeId, link: LinkId, bytes: Vec<u8> },
    /// Something at a device.
    Device(DeviceHappening),
    /// An application gives a memory back.
    Released { node: NodeId, circuit: CircuitId, pair: PairId, memory: MemoryId, life: u32 },
    /// A circuit is opened again.
    Open(CircuitId),
    /// Whoever runs programs wanted to be told that the time has come.
    ForPrograms(u64),
}

/// Parcels by number. Numbers are used again.
#[derive(Default)]
pub(super) struct Parcels {
    parcels: Vec<Option<Parcel>>,
    unused: Vec<u32>,
}

impl Parcels {
    pub(super) fn put(&mut self, parcel: Parcel) -> u32 {
        match self.unused.pop() {
            Some(number) => {
                self.parcels[number as usize] = Some(parcel);
                number
            }
            None => {
                self.parcels.push(Some(parcel));
                self.parcels.len() as u32 - 1
            }
        }
    }
    pub(super) fn take(&mut self, number: u32) -> Parcel {
        self.unused.push(number);
        self.parcels[number as usize].take().expect("every number is scheduled once for each parcel")
    }
}
