//! What nodes want done, done by their devices.

use super::parcels::Parcel;
use super::{Happening, Place, Wire, World, origin, whose};
use crate::entanglement::hardware::{Cell, Claim, CommunicationQubit, Exchange, Made, QubitRole, Turn};
use crate::entanglement::setup::{FaultKind, PairUse};
use bellwether_protocol::entanglement::link::{
    BasisChoice, BasisSet, LinkEffect, MeasuredBasis, MidpointReply,
};
use bellwether_protocol::entanglement::network::{Delivered, NetworkEvent, RequestEnd};
use bellwether_protocol::entanglement::{NodeEffect, NodeMessage};
use bellwether_quantum::density::Axis;
use bellwether_units::{EntityId, LinkId, NodeId, Stream, Time};
use core::f64::consts::TAU;

impl World {
    #[inline]
    pub(super) fn carry_out(&mut self, now: Time, node: u32, effect: NodeEffect) {
        match effect {
            NodeEffect::Send { to, link, message } => self.send(now, NodeId(node), to, link, message),
            NodeEffect::Link(_, effect) => self.carry_out_for_link(now, node, effect),
            NodeEffect::Swap { token, left, right } => {
                let station = &self.nodes[node as usize];
                let (life, at) = (station.life, now.saturating_add(station.model.swap_time));
                let parcel = Parcel::Swap { node: NodeId(node), token, memories: [left, right], life };
                self.post(self.sources.nodes[node as usize], at, parcel);
            }
            NodeEffect::Correct { memory, pauli } => {
                let station = &self.nodes[node as usize];
                let cell = station.first + Cell::from(memory.0);
                self.holdings.correct(cell, pauli, station.model.gate_mixing, now);
            }
            NodeEffect::Event(event) => self.told(now, node, event),
            // Circuits are installed here as they are: none purifies, and no node has a device for it.
            NodeEffect::Compare { token, .. } => {
                self.on(node, now, |machine, out| machine.compared(now, token, None, out));
            }
            // It is asked again later, or its demand waits.
            NodeEffect::CircuitStarved { .. } | NodeEffect::Circuit(_) => {}
        }
    }

    fn carry_out_for_link(&mut self, now: Time, node: u32, effect: LinkEffect) {
        let first = self.nodes[node as usize].first;
        match effect {
            LinkEffect::Arm { memory, tag, brightness } => {
                let cell = first + Cell::from(memory.0);
                let place @ Place { link, end, slot } = self.places[cell as usize];
                self.let_begin(now, place);
                self.wear_of(now, cell);
                self.reset(now, cell);
                self.take_turn(now, cell);
                let pending =
                    self.wires[link as usize].hardware.arm(end.into(), slot, Some((tag, brightness)), now);
                self.pending(link, pending);
            }
            LinkEffect::Disarm { memory } | LinkEffect::Free { memory } => {
                let cell = first + Cell::from(memory.0);
                self.let_begin(now, self.places[cell as usize]);
                self.wear_of(now, cell);
                self.reset(now, cell);
                if matches!(effect, LinkEffect::Disarm { .. }) {
                    let Place { link, end, slot } = self.places[cell as usize];
                    _ = self.wires[link as usize].hardware.arm(end.into(), slot, None, now);
                }
                self.end_turn(now, cell);
            }
            LinkEffect::Measure { memory, basis, .. } => {
                let cell = first + Cell::from(memory.0);
                let station = &mut self.nodes[node as usize];
                let (basis, axis) = drawn(basis, &mut station.stream);
                let readout = station.model.readout;
                let outcome = self.holdings.measure(cell, axis, readout, now, &mut station.stream);
                let at = now.saturating_add(station.model.readout_time);
                let parcel =
                    Parcel::Measured { node: NodeId(node), memory, basis, outcome, life: station.life };
                self.vacated(now, cell);
                self.post(self.sources.nodes[node as usize], at, parcel);
            }
            // Pairs for applications at the ends of a link are theirs to ask for, and nobody here does; what became of a
            // circuit's pairs the network layer has been told.
            LinkEffect::Send(_)
            | LinkEffect::Pair(_)
            | LinkEffect::Measured { .. }
            | LinkEffect::Expired { .. }
            | LinkEffect::Finished { .. } => {}
        }
    }

    #[inline]
    pub(super) fn post(&mut self, source: EntityId, at: Time, parcel: Parcel) {
        let number = self.parcels.put(parcel);
        self.at(source, at, Happening::Parcel(number));
    }

    fn send(&mut self, now: Time, from: NodeId, to: NodeId, link: LinkId, message: NodeMessage) {
        self.work.messages += 1;
        let wire = &mut self.wires[link.index()];
        if wire.cut || wire.setup.message_loss > 0.0 && wire.stream.chance(wire.setup.message_loss) {
            return;
        }
        let at = now.saturating_add(wire.setup.settings.delay);
        let parcel = if self.as_bytes {
            Parcel::Bytes { from, to, link, bytes: message.encode() }
        } else {
            Parcel::Message { from, to, link, message }
        };
        self.post(self.sources.nodes[from.index()], at, parcel);
    }

    /// An attempt of a link is heralded.
    pub(super) fn attempt(&mut self, now: Time, link: u32, slot: u16, generation: u32) {
        if let Some(made) = self.wires[link as usize].hardware.attempt(slot, generation) {
            self.made(now, link, slot, made);
        }
    }
    /// Something is about to happen to the end of a slot. If a heralded attempt has begun there, that is not undone.
    fn let_begin(&mut self, now: Time, Place { link, slot, .. }: Place) {
        if self.wires[link as usize].hardware.has_begun(slot, now) {
            self.let_all_begin(now, link);
        }
    }
    fn let_all_begin(&mut self, now: Time, link: u32) {
        for (slot, made) in self.wires[link as usize].hardware.begun(now) {
            self.made(now, link, slot, made);
        }
    }

    /// A pair was made, and its ends are told as soon as they can be.
    fn made(&mut self, now: Time, link: u32, slot: u16, made: Made) {
        let wire = &mut self.wires[link as usize];
        wire.attempts += made.attempts;
        let ends = wire.setup.ends;
        let roles = wire.setup.roles;
        let cells = [0, 1].map(|end| self.cell_at(Place { link, end, slot }));
        let noise = [0, 1].map(|end| {
            let model = &self.nodes[ends[end].index()].model;
            (roles[end] == QubitRole::Storage).then_some(model.communication)
        });
        ends.into_iter().for_each(|node| self.wear(now, node, made.attempts));
        self.holdings.put(cells, noise, made.state, made.began);
        for (end, reply) in made.replies.into_iter().enumerate() {
            let reply = if self.as_bytes { reply.and_then(|reply| read_again(&reply)) } else { reply };
            let Some(reply) = reply else { continue };
            let wire = &mut self.wires[link as usize];
            let at = made.began.saturating_add(wire.hardware.model.herald[end]);
            let lost =
                wire.cut || wire.setup.message_loss > 0.0 && wire.stream.chance(wire.setup.message_loss);
            let (node, end) = (ends[end], end as u8);
            if at <= now && !lost {
                self.reply(now, node, end, &reply);
                continue;
            }
            let parcel = if lost {
                let memory = self.memory_at(cells[usize::from(end)], node);
                let life = self.nodes[node.index()].life;
                Parcel::Unanswered { node, memory, life }
            } else {
                Parcel::Reply { node, end, reply }
            };
            self.post(self.sources.links[link as usize], at, parcel);
        }
    }

    /// The memory that a slot of an end of a link uses.
    fn cell_at(&self, Place { link, end, slot }: Place) -> Cell {
        let Wire { setup, first, .. } = &self.wires[link as usize];
        let end = usize::from(end);
        self.nodes[setup.ends[end].index()].first + Cell::from(first[end].0) + Cell::from(slot)
    }
    fn memory_at(&self, cell: Cell, node: NodeId) -> bellwether_protocol::entanglement::MemoryId {
        bellwether_protocol::entanglement::MemoryId((cell - self.nodes[node.index()].first) as u16)
    }

    /// A heralding station's reply is there. A half that does not stay where it was made is moved first.
    pub(super) fn reply(&mut self, now: Time, node: NodeId, end: u8, reply: &MidpointReply) {
        let wire = &self.wires[reply.link.index()];
        if wire.setup.roles[usize::from(end)] == QubitRole::Storage {
            let place = Place { link: reply.link.0, end, slot: reply.own.slot };
            let at = now.saturating_add(self.nodes[node.index()].model.move_time);
            let parcel = Parcel::Moved { node, place, reply: *reply };
            return self.post(self.sources.nodes[node.index()], at, parcel);
        }
        self.on(node.0, now, |machine, out| machine.heard_midpoint(now, reply, out));
    }
    pub(super) fn moved(&mut self, now: Time, node: NodeId, place: Place, reply: &MidpointReply) {
        let cell = self.cell_at(place);
        self.holdings.relocate(cell, self.nodes[node.index()].model.move_mixing, now);
        self.end_turn(now, cell);
        self.on(node.0, now, |machine, out| machine.heard_midpoint(now, reply, out));
    }

    /// What a memory holds is lost, or used up.
    #[inline]
    pub(super) fn reset(&mut self, now: Time, cell: Cell) {
        if let Some(pair) = self.holdings.reset(cell) {
            self.used(&pair);
        }
        self.vacated(now, cell);
    }
    /// A communication qubit that kept a half is free again.
    #[inline]
    pub(super) fn vacated(&mut self, now: Time, cell: Cell) {
        let Place { link, end, .. } = self.places[cell as usize];
        if self.wires[link as usize].setup.roles[usize::from(end)] == QubitRole::Communication {
            self.end_turn(now, cell);
        }
    }

    fn turn(&self, cell: Cell) -> Option<(usize, Turn)> {
        let Place { link, end, slot } = self.places[cell as usize];
        let setup = &self.wires[link as usize].setup;
        let role = setup.roles[usize::from(end)];
        let node = setup.ends[usize::from(end)].index();
        (role != QubitRole::Own).then_some((node, Turn { link, end, slot, role }))
    }
    /// A slot wants the node's communication qubit.
    fn take_turn(&mut self, now: Time, cell: Cell) {
        let Some((node, turn)) = self.turn(cell) else { return };
        let owner = self.nodes[node].communication.as_ref().and_then(CommunicationQubit::owner);
        // An owner has no pair while it attempts.
        let attempts = owner.is_some_and(|Turn { link, end, slot, .. }| {
            let place = Place { link, end, slot };
            self.let_begin(now, place);
            !self.holdings.holds(self.cell_at(place))
        });
        let Some(qubit) = &mut self.nodes[node].communication else { return };
        let exchange = qubit.ask(turn, attempts);
        self.exchange(now, exchange);
    }
    fn end_turn(&mut self, now: Time, cell: Cell) {
        let Some((node, turn)) = self.turn(cell) else { return };
        let Some(qubit) = &mut self.nodes[node].communication else { return };
        let exchange = qubit.done(turn);
        self.exchange(now, exchange);
    }
    fn exchange(&mut self, now: Time, exchange: Exchange) {
        for (turn, withheld) in [(exchange.withheld, true), (exchange.granted, false)] {
            let Some(Turn { link, end, slot, .. }) = turn else { continue };
            self.let_begin(now, Place { link, end, slot });
            if withheld {
                self.wear_of(now, self.cell_at(Place { link, end, slot }));
            }
            let pending = self.wires[link as usize].hardware.withhold(end.into(), slot, withheld, now);
            self.pending(link, pending);
        }
    }

    /// Attempts with a memory end before a herald: what they did to memories beside it is done.
    fn wear_of(&mut self, now: Time, cell: Cell) {
        let Place { link, slot, .. } = self.places[cell as usize];
        let wire = &mut self.wires[link as usize];
        let ends = wire.setup.ends;
        if ends.iter().all(|end| self.nodes[end.index()].model.attempt_dephasing.is_none()) {
            return;
        }
        let attempts = wire.hardware.attempts_until(slot, now);
        wire.attempts += attempts;
        ends.into_iter().for_each(|node| self.wear(now, node, attempts));
    }
    /// What attempts with a node's communication qubit do to the qubits that store.
    fn wear(&mut self, now: Time, node: NodeId, attempts: u64) {
        let station = &self.nodes[node.index()];
        let Some(dephasing) = station.model.attempt_dephasing else { return };
        if attempts == 0 {
            return;
        }
        let channel = dephasing.channel(attempts);
        for cell in station.first..station.first + Cell::from(station.memories) {
            let Place { link, end, .. } = self.places[cell as usize];
            if self.wires[link as usize].setup.roles[usize::from(end)] == QubitRole::Storage {
                self.holdings.dephase(cell, &channel, now);
            }
        }
    }

    /// What applications and operators are told.
    fn told(&mut self, now: Time, node: u32, event: NetworkEvent) {
        if self.programs.is_some() && self.tell_of(node, &event) {
            return;
        }
        let first = self.nodes[node as usize].first;
        match event {
            NetworkEvent::Delivered(delivered) => self.delivered(now, node, &delivered),
            NetworkEvent::Early { memory, request, .. } => {
                let cell = first + Cell::from(memory.0);
                let bell = bellwether_quantum::bell::BellIndex::PHI_PLUS;
                let claim = Claim { at: now, bell, fidelity: 0.0, axis: None, whose: Some(whose(request)) };
                self.holdings.claim(cell, claim, now);
            }
            NetworkEvent::Revoked { circuit, origin, memory, .. } => {
                let cell = first + Cell::from(memory.0);
                if let Some(demand) =
                    self.demands.iter_mut().find(|asked| asked.setup.circuit as u64 == circuit.0)
                {
                    demand.tally.revoked += 1;
                }
                self.holdings.disclaim(cell);
                self.release(now, node, circuit, origin, memory);
            }
            NetworkEvent::RequestOver { request, end, .. } => {
                let (demand, request) = whose(request);
                if let Some(asked) = self.demands.get_mut(demand as usize) {
                    match end {
                        RequestEnd::Done => asked.tally.completed += 1,
                        RequestEnd::TimeOut => {
                            asked.tally.timed_out += 1;
                            asked.open.remove(&request);
                        }
                        RequestEnd::Withdrawn | RequestEnd::CircuitGone => _ = asked.open.remove(&request),
                    }
                }
            }
        }
    }

    fn delivered(&mut self, now: Time, node: u32, delivered: &Delivered) {
        let station = &self.nodes[node as usize];
        let (life, cell) = (station.life, station.first + Cell::from(delivered.memory.0));
        let (demand, request) = whose(delivered.request);
        let Some(asked) = self.demands.get_mut(demand as usize) else { return };
        let measured = asked.setup.use_of_pairs == PairUse::Measure;
        let axis =
            measured.then(|| [Axis::X, Axis::Y, Axis::Z][self.nodes[node as usize].stream.below(3) as usize]);
        let hold = asked.setup.hold;
        let claim = Claim {
            at: now,
            bell: delivered.bell,
            fidelity: delivered.estimate.probabilities()[0],
            axis,
            whose: Some((demand, request)),
        };
        self.holdings.claim(cell, claim, now);
        let (circuit, pair, memory) = (delivered.circuit, origin(delivered), delivered.memory);
        if hold.is_zero() {
            self.release(now, node, circuit, pair, memory);
        } else {
            self.kept.insert(cell, pair);
            let parcel = Parcel::Released { node: NodeId(node), circuit, pair, memory, life };
            self.post(self.sources.nodes[node as usize], now.saturating_add(hold), parcel);
        }
    }

    /// Something happens to a link or a node.
    pub(super) fn fault(&mut self, now: Time, kind: FaultKind) {
        match kind {
            FaultKind::Cut(link) | FaultKind::Mended(link) => {
                let cut = matches!(kind, FaultKind::Cut(_));
                self.let_all_begin(now, link.0);
                let wire = &mut self.wires[link.index()];
                wire.cut = cut;
                for pending in wire.hardware.set_up(!cut, now) {
                    self.pending(link.0, Some(pending));
                }
            }
            FaultKind::MessageLoss(link, probability) => {
                self.wires[link.index()].setup.message_loss = probability;
            }
            FaultKind::Crash(node) => self.crash(now, node),
            FaultKind::Restart(node) => self.restart(now, node),
        }
    }
    fn crash(&mut self, now: Time, node: NodeId) {
        let station = &mut self.nodes[node.index()];
        station.machine = None;
        station.woken = Time::MAX;
        self.tell_programs(super::ProgramEvent::Crashed(node));
        let station = &self.nodes[node.index()];
        let cells = station.first..station.first + Cell::from(station.memories);
        for cell in cells {
            let place @ Place { link, end, slot } = self.places[cell as usize];
            self.let_begin(now, place);
            self.holdings.disclaim(cell);
            self.reset(now, cell);
            _ = self.wires[link as usize].hardware.arm(end.into(), slot, None, now);
            self.end_turn(now, cell);
        }
    }
}

/// A reply as whoever reads its bytes has it.
fn read_again(reply: &MidpointReply) -> Option<MidpointReply> {
    MidpointReply::decode(&reply.encode()).ok()
}

/// In which basis a half is measured, of those that are asked for.
fn drawn(choice: BasisChoice, stream: &mut Stream) -> (MeasuredBasis, Axis) {
    let BasisChoice { set, probabilities, rotations } = choice;
    let draw = stream.below(255) as u16;
    let [first, second] = probabilities.map(u16::from);
    match set {
        BasisSet::Rotated => (MeasuredBasis::Z, turned(rotations)),
        BasisSet::Xz if draw < first => (MeasuredBasis::X, Axis::X),
        BasisSet::Xz => (MeasuredBasis::Z, Axis::Z),
        BasisSet::Xyz if draw < first => (MeasuredBasis::X, Axis::X),
        BasisSet::Xyz if draw < first + second => (MeasuredBasis::Y, Axis::Y),
        BasisSet::Xyz => (MeasuredBasis::Z, Axis::Z),
        BasisSet::Chsh if draw < first => (MeasuredBasis::ZPlusX, Axis::between_z_and_x(TAU / 8.0)),
        BasisSet::Chsh => (MeasuredBasis::ZMinusX, Axis::between_z_and_x(-TAU / 8.0)),
    }
}

/// The axis that rotations about X, Y and X again turn onto Z.
fn turned(rotations: [u8; 3]) -> Axis {
    let [first, second, third] = rotations.map(|n| TAU * f64::from(n) / 256.0);
    // Turned back from Z: about X by -third, about Y by -second, about X by -first.
    let about_x = |[x, y, z]: [f64; 3], angle: f64| {
        let (sin, cos) = libm::sincos(angle);
        [x, y * cos - z * sin, y * sin + z * cos]
    };
    let about_y = |[x, y, z]: [f64; 3], angle: f64| {
        let (sin, cos) = libm::sincos(angle);
        [x * cos + z * sin, y, z * cos - x * sin]
    };
    let axis = about_x(about_y(about_x([0.0, 0.0, 1.0], -third), -second), -first);
    let length = libm::sqrt(axis.iter().map(|c| c * c).sum());
    Axis::new(axis.map(|c| c / length)).unwrap_or(Axis::Z)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_protocol::entanglement::link::TestBasis;

    /// Rotations of test rounds are the three axes: a quarter turn about Y brings +X or -X onto Z, and so on.
    #[test]
    fn rotations_of_test_rounds_are_axes() {
        for (basis, axis) in TestBasis::ALL.into_iter().zip([Axis::X, Axis::Y, Axis::Z]) {
            let turned = turned(basis.choice().rotations).components();
            let along: f64 = turned.iter().zip(axis.components()).map(|(a, b)| a * b).sum();
            assert!((along.abs() - 1.0).abs() < 1e-9, "{basis:?}: {turned:?}");
        }
    }
}
