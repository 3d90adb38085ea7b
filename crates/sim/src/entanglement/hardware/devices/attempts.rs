//! From a heralded attempt to two memories that hold a pair, and two stacks that are told.

use super::{Cell, Device, DeviceHappening, Devices, MemoryId, Place, QubitRole, Surroundings, Wire};
use crate::entanglement::hardware::link::{Made, Pending};
use bellwether_protocol::entanglement::hardware::HardwareEvent;
use bellwether_protocol::entanglement::link::MidpointReply;
use bellwether_units::{LinkId, NodeId, Time};

impl Devices {
    pub(super) fn pending(link: u32, pending: Option<Pending>, around: &mut impl Surroundings) {
        if let Some(Pending { at, slot, generation }) = pending {
            around.later(Device::Link(LinkId(link)), at, DeviceHappening::Attempt { link, slot, generation });
        }
    }

    /// An attempt of a link is heralded.
    #[inline]
    pub(crate) fn attempt(
        &mut self,
        now: Time,
        link: u32,
        slot: u16,
        generation: u32,
        around: &mut impl Surroundings,
    ) {
        if let Some(made) = self.wires[link as usize].hardware.attempt(slot, generation) {
            self.made(now, link, slot, made, around);
        }
    }
    /// Something is about to happen to the end of a slot. If a heralded attempt has begun there, that is not undone.
    pub(super) fn let_begin(
        &mut self,
        now: Time,
        Place { link, slot, .. }: Place,
        around: &mut impl Surroundings,
    ) {
        if self.wires[link as usize].hardware.has_begun(slot, now) {
            self.let_all_begin(now, link, around);
        }
    }
    pub(super) fn let_all_begin(&mut self, now: Time, link: u32, around: &mut impl Surroundings) {
        for (slot, made) in self.wires[link as usize].hardware.begun(now) {
            self.made(now, link, slot, made, around);
        }
    }

    /// A pair was made, and its ends are told as soon as they can be.
    fn made(&mut self, now: Time, link: u32, slot: u16, made: Made, around: &mut impl Surroundings) {
        let wire = &mut self.wires[link as usize];
        wire.attempts += made.attempts;
        let Wire { ends, roles, .. } = *wire;
        let cells = [0, 1].map(|end| self.cell_at(Place { link, end, slot }));
        let noise = [0, 1].map(|end| {
            let model = &self.stations[ends[end].index()].model;
            (roles[end] == QubitRole::Storage).then_some(model.communication)
        });
        ends.into_iter().for_each(|node| self.wear(now, node, made.attempts));
        self.holdings.put(cells, noise, made.state, made.began);
        for (end, reply) in made.replies.into_iter().enumerate() {
            let reply = if self.as_bytes { reply.and_then(|reply| read_again(&reply)) } else { reply };
            let Some(reply) = reply else { continue };
            let at = made.began.saturating_add(self.wires[link as usize].hardware.model.herald[end]);
            let passes = self.lets_pass(LinkId(link));
            let (node, end) = (ends[end], end as u8);
            if at <= now && passes {
                self.reply(now, node, end, &reply, around);
                continue;
            }
            let happening = if passes {
                DeviceHappening::Reply { node, end, reply }
            } else {
                let memory = self.memory_at(cells[usize::from(end)], node);
                let life = self.stations[node.index()].life;
                DeviceHappening::Unanswered { node, memory, life }
            };
            around.later(Device::Link(LinkId(link)), at, happening);
        }
    }

    /// The memory that a slot of an end of a link uses.
    pub(super) fn cell_at(&self, Place { link, end, slot }: Place) -> Cell {
        let Wire { ends, first, .. } = &self.wires[link as usize];
        let end = usize::from(end);
        self.stations[ends[end].index()].first + Cell::from(first[end].0) + Cell::from(slot)
    }
    fn memory_at(&self, cell: Cell, node: NodeId) -> MemoryId {
        MemoryId((cell - self.stations[node.index()].first) as u16)
    }

    /// A heralding station's reply is there. A half that does not stay where it was made is moved first.
    pub(super) fn reply(
        &mut self,
        now: Time,
        node: NodeId,
        end: u8,
        reply: &MidpointReply,
        around: &mut impl Surroundings,
    ) {
        let wire = &self.wires[reply.link.index()];
        if wire.roles[usize::from(end)] == QubitRole::Storage {
            let place = Place { link: reply.link.0, end, slot: reply.own.slot };
            let at = now.saturating_add(self.stations[node.index()].model.move_time);
            let moved = DeviceHappening::Moved { node, place, reply: *reply };
            return around.later(Device::Node(node), at, moved);
        }
        around.tell(now, node, &HardwareEvent::Midpoint(*reply));
    }
    pub(super) fn moved(
        &mut self,
        now: Time,
        node: NodeId,
        place: Place,
        reply: &MidpointReply,
        around: &mut impl Surroundings,
    ) {
        let cell = self.cell_at(place);
        self.holdings.relocate(cell, self.stations[node.index()].model.move_mixing, now);
        self.end_turn(now, cell, around);
        around.tell(now, node, &HardwareEvent::Midpoint(*reply));
    }

    /// Attempts with a memory end before a herald: what they did to memories beside it is done.
    pub(super) fn wear_of(&mut self, now: Time, cell: Cell) {
        let Place { link, slot, .. } = self.places[cell as usize];
        let wire = &mut self.wires[link as usize];
        let ends = wire.ends;
        if ends.iter().all(|end| self.stations[end.index()].model.attempt_dephasing.is_none()) {
            return;
        }
        let attempts = wire.hardware.attempts_until(slot, now);
        wire.attempts += attempts;
        ends.into_iter().for_each(|node| self.wear(now, node, attempts));
    }
    /// What attempts with a node's communication qubit do to the qubits that store.
    fn wear(&mut self, now: Time, node: NodeId, attempts: u64) {
        let Some(dephasing) = self.stations[node.index()].model.attempt_dephasing else { return };
        if attempts == 0 {
            return;
        }
        let channel = dephasing.channel(attempts);
        for cell in self.cells(node) {
            let Place { link, end, .. } = self.places[cell as usize];
            if self.wires[link as usize].roles[usize::from(end)] == QubitRole::Storage {
                self.holdings.dephase(cell, &channel, now);
            }
        }
    }
}

/// A reply as whoever reads its bytes has it.
fn read_again(reply: &MidpointReply) -> Option<MidpointReply> {
    MidpointReply::decode(&reply.encode()).ok()
}
