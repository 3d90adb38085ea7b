//! The other end of the link: how it is met, and what it says.

use super::LinkEnd;
use super::errands::ErrandKind;
use super::slots::SlotState;
use super::timers::Timer;
use crate::entanglement::link::effect::LinkEffect;
use crate::entanglement::link::message::{LinkBody, LinkMessage};
use bellwether_units::Time;

impl LinkEnd {
    pub(super) fn say_hello(&mut self, now: Time, out: &mut Vec<LinkEffect>) {
        self.send(LinkBody::Hello, out);
        let wait = self.settings.patience().saturating_mul(1 << self.hellos.min(8));
        self.hellos += 1;
        self.timers.set(Timer::Hello, now.saturating_add(wait));
    }

    /// A message came that is said to be of the other end.
    pub fn hear(&mut self, now: Time, message: &LinkMessage, out: &mut Vec<LinkEffect>) {
        let LinkMessage { from, to, body } = *message;
        if from == 0 || from < self.peer {
            return;
        }
        // Who knows this life of ours has met us in it. Who says hello need not.
        if to == self.place.life || body == LinkBody::Hello {
            self.meet(now, from, out);
        }
        if body == LinkBody::Hello {
            return self.send(LinkBody::Welcome, out);
        }
        if to != self.place.life {
            return;
        }
        match body {
            LinkBody::Hello | LinkBody::Welcome => {}
            LinkBody::Add { serial, numbered, demand } => self.hear_add(now, serial, numbered, demand, out),
            LinkBody::Accept { serial, number, ready } => self.hear_accept(now, serial, number, ready, out),
            LinkBody::Reject { serial, refusal } => self.hear_reject(now, serial, refusal, out),
            LinkBody::Remove { by_origin, serial, fault } => {
                self.hear_remove(now, by_origin, serial, fault, out);
            }
            LinkBody::Removed { by_origin, serial } => {
                for fault in [false, true] {
                    self.end_errand(now, &ErrandKind::Remove { by_origin, serial, fault }, out);
                }
            }
            LinkBody::Expire(range) => {
                if let Some(gap) = self.heralds.give_up(range) {
                    self.expire_both(now, gap, out);
                }
                self.expire_here(now, range, out);
                self.send(LinkBody::Expired(range), out);
            }
            LinkBody::Expired(range) => self.end_errand(now, &ErrandKind::Expire(range), out),
            LinkBody::Sync { epoch, expected } => {
                self.hear_sync(now, epoch, expected);
                self.send(LinkBody::Synced { epoch, expected }, out);
            }
            LinkBody::Synced { epoch, expected } => {
                self.end_errand(now, &ErrandKind::Sync { epoch, expected }, out);
            }
            LinkBody::Outcome { epoch, sequence, outcome } => self.hear_outcome(epoch, sequence, outcome),
            LinkBody::Memory { stamp, any } => {
                self.send(LinkBody::MemoryHeard { stamp }, out);
                if stamp > self.peer_stamp {
                    self.peer_stamp = stamp;
                    self.peer_has_memory = any;
                    self.requeue(now, out);
                }
            }
            LinkBody::MemoryHeard { stamp } => {
                for any in [false, true] {
                    self.end_errand(now, &ErrandKind::Memory { stamp, any }, out);
                }
            }
        }
    }

    /// The other end lives, in this life of its.
    fn meet(&mut self, now: Time, life: u32, out: &mut Vec<LinkEffect>) {
        self.timers.clear(Timer::Hello);
        if life == self.peer {
            return;
        }
        let born_again = self.peer != 0;
        self.peer = life;
        (self.peer_has_memory, self.peer_stamp) = (true, 0);
        self.told_memory = true;
        if born_again {
            self.lose_peer(now, out);
        }
        self.synced = (0, 0);
        if self.heralds.newest().1 > 0 {
            self.set_late(Timer::Settle, now.saturating_add(self.settings.settle));
        }
        if self.available == 0 && self.starved_since.is_some() && !self.timers.is_set(Timer::Starved) {
            self.set_late(Timer::Starved, now.saturating_add(self.settings.starvation));
        }
        self.tell_items(now, out);
        self.requeue(now, out);
    }

    /// The other end has forgotten everything: its halves are gone, and its requests. Those of this end begin again with
    /// what is missing.
    fn lose_peer(&mut self, now: Time, out: &mut Vec<LinkEffect>) {
        self.errands.clear();
        self.removed.clear();
        self.timers.clear(Timer::Errand);
        self.doubts.clear();
        self.timers.clear(Timer::Doubt);
        self.heralds.forget_given_up();
        self.tests.forget_waiting();
        self.expire_all(now, out);
        self.items.retain(|item| item.request.is_some());
        for item in &mut self.items {
            // What was told of them was numbered in the queue that is gone.
            (item.number, item.confirmed, item.told) = (None, false, false);
            if let Some(number) = &mut item.demand.number {
                *number -= item.made.min(*number - 1);
            }
            (item.made, item.measuring) = (0, 0);
        }
        for slot in &mut self.slots {
            debug_assert!(!matches!(slot.state, SlotState::Withheld(_)), "collected pairs are given up");
            slot.number = Default::default();
        }
    }
}
