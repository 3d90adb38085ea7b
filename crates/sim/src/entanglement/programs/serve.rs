//! What seats want, done: requests of the network layer, operations, and messages that take the quickest way.

use super::{Due, Programs, lab};
use bellwether_protocol::application::{EprError, MessageError, Seat, SeatEffect, Wish};
use bellwether_protocol::entanglement::network::Delivered;
use bellwether_units::{NodeId, Time};

impl Programs {
    /// Tells a seat something, and does what it wants.
    pub(super) fn tell(&mut self, node: NodeId, act: impl FnOnce(&mut Seat, Time, &mut Vec<SeatEffect>)) {
        let now = self.world.now();
        let Some(place) = self.places.get_mut(&node) else { return };
        let mut out = Vec::new();
        act(&mut place.seat, now, &mut out);
        let reminder = place.seat.deadline().filter(|at| *at < place.reminded);
        if let Some(at) = reminder {
            place.reminded = at;
            self.at(node, at, Due::Reminder);
        }
        for effect in out {
            self.carry_out(node, effect);
        }
    }
    /// Tells a seat what its program wishes.
    pub(super) fn serve(&mut self, node: NodeId, wish: Wish) {
        let peer = match &wish {
            Wish::Pair { peer, .. } | Wish::MeasuredPairs { peer, .. } => Some(*peer),
            _ => None,
        };
        let barred = peer.and_then(|peer| {
            if !self.world.is_up(node) {
                Some(EprError::NodeDown)
            } else if self.world.own_link_is_cut(node, peer) {
                Some(EprError::LinkDown(peer))
            } else {
                None
            }
        });
        self.tell(node, |seat, now, out| seat.wish(now, wish, |_| barred, out));
    }

    fn carry_out(&mut self, node: NodeId, effect: SeatEffect) {
        match effect {
            SeatEffect::Request(circuit, request) => self.world.request_for_program(node, circuit, request),
            SeatEffect::Withdraw(circuit, request) => {
                self.world.withdraw_for_program(circuit, request);
            }
            SeatEffect::Release { pair, memory, .. } => {
                self.world.release_for_program(node, pair, memory);
            }
            SeatEffect::Processor(command) => self.world.process(node, &command),
            SeatEffect::Send { to, bytes, answer } => answer.fulfil(match self.arrival(node, to) {
                Some(at) => {
                    self.at(to, at, Due::Message { from: node, bytes });
                    Ok(())
                }
                None => Err(MessageError::Unreachable(to)),
            }),
            SeatEffect::Over { calls } => {
                let others: Vec<_> = self.places.keys().copied().filter(|other| *other != node).collect();
                for other in others {
                    if let Some(at) = self.arrival(node, other) {
                        self.at(other, at, Due::Ended { from: node, calls: calls.clone() });
                    }
                }
            }
            SeatEffect::Special(wish) => {
                if let Ok(look) = wish.downcast::<lab::Look>() {
                    self.show(node, *look);
                }
            }
        }
    }

    /// When a message that is sent now arrives: after those that were sent before.
    fn arrival(&mut self, from: NodeId, to: NodeId) -> Option<Time> {
        if to.index() >= self.world.node_count() {
            return None;
        }
        let delay = self.world.message_delay(from, to)?;
        let (last, under_way) = self.ways.entry((from, to)).or_insert((Time::ZERO, 0));
        *last = self.world.now().saturating_add(delay).max(*last);
        *under_way += 1;
        Some(*last)
    }
    fn arrived(&mut self, from: NodeId, to: NodeId) {
        if let Some((_, under_way)) = self.ways.get_mut(&(from, to)) {
            *under_way -= 1;
        }
    }

    pub(super) fn fall_due(&mut self, node: NodeId, due: Due) {
        match due {
            Due::Message { from, bytes } => {
                self.arrived(from, node);
                self.tell(node, |seat, now, _| seat.message(now, from, bytes));
            }
            Due::Ended { from, calls } => {
                self.arrived(from, node);
                self.tell(node, |seat, now, out| seat.peer_over(now, from, &calls, out));
            }
            Due::Reminder => {
                let now = self.world.now();
                if let Some(place) = self.places.get_mut(&node).filter(|place| place.reminded <= now) {
                    place.reminded = Time::MAX;
                }
                self.tell(node, Seat::timeout);
            }
        }
    }
    pub(super) fn delivered(&mut self, node: NodeId, pair: &Delivered) {
        if self.places.contains_key(&node) {
            self.tell(node, |seat, now, out| seat.delivered(now, pair, out));
        } else {
            self.world.release_for_program(node, pair.own_pair(), pair.memory);
        }
    }
}
