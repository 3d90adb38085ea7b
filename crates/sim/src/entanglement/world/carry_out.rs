//! What nodes want done: by their devices, by their neighbours, and for applications.

use super::circuits::place_of;
use super::parcels::Parcel;
use super::{World, whose};
use crate::entanglement::hardware::Claim;
use crate::entanglement::setup::{FaultKind, PairUse};
use bellwether_protocol::entanglement::NodeEffect;
use bellwether_protocol::entanglement::network::{Delivered, NetworkEvent, RequestEnd};
use bellwether_quantum::density::Axis;
use bellwether_units::{NodeId, Time};

impl World {
    /// Carries out what a node wants; `which` of all that is wanted. It is read where it lies, since it is large.
    #[inline]
    pub(super) fn carry_out(&mut self, now: Time, node: u32, which: usize) {
        match self.nodes.wanted.out.effects[which] {
            NodeEffect::Send { to, link, ref message } => {
                self.nodes.work.messages += 1;
                if self.devices.lets_pass(link) {
                    let from = NodeId(node);
                    let parcel = if self.as_bytes {
                        Parcel::Bytes { from, to, link, bytes: message.encode() }
                    } else {
                        // All but the rare ones are copied.
                        Parcel::Message { from, to, link, message: message.clone() }
                    };
                    let at = now.saturating_add(self.setup.links[link.index()].settings.delay);
                    self.nodes.post_from(from, at, parcel);
                }
            }
            NodeEffect::Hardware(command) => {
                self.devices.carry_out(now, NodeId(node), &command, &mut self.nodes);
            }
            NodeEffect::Event(event) => self.told(now, node, event),
            NodeEffect::Circuit(event) => self.signalled(now, node, event),
            // Pairs for applications at the ends of a link are theirs to ask for, and nobody here does; what became of a
            // circuit's pairs the network layer has been told. A starved circuit is asked for again later.
            NodeEffect::Link(..) | NodeEffect::CircuitStarved { .. } => {}
        }
    }

    /// What applications and operators are told.
    fn told(&mut self, now: Time, node: u32, event: NetworkEvent) {
        if let NetworkEvent::RequestOver { circuit, request, delivered, end } = event
            && self.asks_again(now, circuit, (request, delivered), end)
        {
            return;
        }
        if self.nodes.programs.is_some() && self.tell_of(node, &event) {
            return;
        }
        match event {
            NetworkEvent::Delivered(delivered) => self.delivered(now, node, &delivered),
            NetworkEvent::Early { memory, request, .. } => {
                let cell = self.cell(NodeId(node), memory);
                let bell = bellwether_quantum::bell::BellIndex::PHI_PLUS;
                let claim = Claim { at: now, bell, fidelity: 0.0, axis: None, whose: Some(whose(request)) };
                self.devices.holdings_mut().claim(cell, claim, now);
            }
            NetworkEvent::Revoked { circuit, origin, memory, .. } => {
                let cell = self.cell(NodeId(node), memory);
                if let Some(demand) =
                    self.nodes.demands.iter_mut().find(|asked| asked.setup.circuit == place_of(circuit))
                {
                    demand.tally.revoked += 1;
                }
                self.devices.holdings_mut().disclaim(cell);
                self.release(now, node, circuit, origin, memory);
            }
            NetworkEvent::RequestOver { request, end, .. } => {
                let (demand, request) = whose(request);
                if let Some(asked) = self.nodes.demands.get_mut(demand as usize) {
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
        let life = self.nodes.nodes[node as usize].life;
        let cell = self.cell(NodeId(node), delivered.memory);
        let (demand, request) = whose(delivered.request);
        let Some(asked) = self.nodes.demands.get_mut(demand as usize) else { return };
        let measured = asked.setup.use_of_pairs == PairUse::Measure;
        let axis = measured
            .then(|| [Axis::X, Axis::Y, Axis::Z][self.devices.stream(NodeId(node)).below(3) as usize]);
        let hold = asked.setup.hold;
        let claim = Claim {
            at: now,
            bell: delivered.bell,
            fidelity: delivered.estimate.probabilities()[0],
            axis,
            whose: Some((demand, request)),
        };
        self.devices.holdings_mut().claim(cell, claim, now);
        let (circuit, pair, memory) = (delivered.circuit, delivered.own_pair(), delivered.memory);
        if hold.is_zero() {
            self.release(now, node, circuit, pair, memory);
        } else {
            self.kept.insert(cell, pair);
            let parcel = Parcel::Released { node: NodeId(node), circuit, pair, memory, life };
            self.nodes.post_from(NodeId(node), now.saturating_add(hold), parcel);
        }
    }

    /// Something happens to a link or a node.
    pub(super) fn fault(&mut self, now: Time, kind: FaultKind) {
        match kind {
            FaultKind::Cut(link) | FaultKind::Mended(link) => {
                let cut = matches!(kind, FaultKind::Cut(_));
                self.devices.cut(now, link, cut, &mut self.nodes);
                self.forget_delays();
            }
            FaultKind::MessageLoss(link, probability) => self.devices.set_message_loss(link, probability),
            FaultKind::Crash(node) => {
                self.nodes.nodes[node.index()].stop();
                self.forget_requests(node);
                self.tell_programs(super::ProgramEvent::Crashed(node));
                self.devices.crash(now, node, &mut self.nodes);
            }
            FaultKind::Restart(node) => self.restart(now, node),
        }
    }
}
