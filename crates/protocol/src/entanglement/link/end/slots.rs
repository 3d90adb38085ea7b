//! The memories of an end, and which request each serves.

use super::LinkEnd;
use super::queue::Item;
use super::timers::Timer;
use crate::entanglement::MemoryId;
use crate::entanglement::link::effect::{AttemptTag, LinkEffect, QueueNumber};
use crate::entanglement::link::pair::LinkPair;
use crate::entanglement::link::schedule::{Candidate, choose};
use bellwether_units::Time;

/// No item.
pub(super) const NOWHERE: u32 = u32::MAX;

pub(super) struct Slot {
    pub(super) memory: MemoryId,
    /// Counts the orders to attempt.
    pub(super) arming: u32,
    pub(super) state: SlotState,
    /// The request that it is armed for, or whose pair it holds.
    pub(super) number: QueueNumber,
    /// Where this request is among the items, if it is there.
    pub(super) index: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum SlotState {
    /// Not at the link's disposal.
    Away,
    /// At its disposal, and not attempting.
    Idle,
    /// Attempting.
    Armed,
    /// A pair is in the hands of the user.
    Held(LinkPair),
    /// A pair that is handed over with the others of its request.
    Withheld(LinkPair),
    /// A pair is being measured; `None` if it has been given up meanwhile.
    Measuring(Option<LinkPair>),
    /// A pair is being measured to learn how good others are; likewise.
    Testing(Option<LinkPair>),
}

impl Slot {
    pub(super) const fn new(memory: MemoryId) -> Self {
        Self {
            memory,
            arming: 0,
            state: SlotState::Away,
            number: QueueNumber { life: 0, count: 0 },
            index: NOWHERE,
        }
    }
}

impl LinkEnd {
    pub(super) fn slot_of(&self, memory: MemoryId) -> Option<usize> {
        // Most links number their memories without gaps, by slot.
        let guess = usize::from(memory.0.checked_sub(self.by_memory.first()?.0.0)?);
        let place = match self.by_memory.get(guess) {
            Some(entry) if entry.0 == memory => guess,
            _ => self.by_memory.binary_search_by_key(&memory, |entry| entry.0).ok()?,
        };
        Some(usize::from(self.by_memory[place].1))
    }

    /// The memory is at the link's disposal: its user is done with the pair, the device is ready, or the node lends it.
    pub fn memory_free(&mut self, now: Time, memory: MemoryId, out: &mut Vec<LinkEffect>) {
        let Some(at) = self.slot_of(memory) else { return };
        if matches!(self.slots[at].state, SlotState::Away | SlotState::Held(_)) {
            self.slots[at].state = SlotState::Idle;
            self.more_available(now, out);
            self.serve(now, at, out);
        }
    }

    /// The node wants the memory for something else, which is granted unless it holds a pair of the link's: then nothing
    /// happens, and `false` is said.
    pub fn memory_taken(&mut self, now: Time, memory: MemoryId, out: &mut Vec<LinkEffect>) -> bool {
        let Some(at) = self.slot_of(memory) else { return true };
        match self.slots[at].state {
            SlotState::Away => true,
            SlotState::Idle | SlotState::Armed => {
                if matches!(self.slots[at].state, SlotState::Armed) {
                    out.push(LinkEffect::Disarm { memory });
                }
                self.slots[at].state = SlotState::Away;
                self.less_available(now);
                true
            }
            _ => false,
        }
    }

    /// No reply came to an attempt with this memory in the time that replies take. What it holds is unknown, and it attempts
    /// again. If a pair was lost with the reply, the ends find out by its number.
    pub fn unanswered(&mut self, now: Time, memory: MemoryId, out: &mut Vec<LinkEffect>) {
        if let Some(at) = self.slot_of(memory)
            && matches!(self.slots[at].state, SlotState::Armed)
        {
            self.discard(now, at, out);
        }
    }

    /// One memory more is at the link's disposal.
    pub(super) fn more_available(&mut self, now: Time, out: &mut Vec<LinkEffect>) {
        self.available += 1;
        self.starved_since = None;
        if !self.told_memory {
            self.advertise(now, true, out);
        }
    }
    /// One less.
    #[inline]
    pub(super) fn less_available(&mut self, now: Time) {
        self.available -= 1;
        if self.available == 0 {
            self.starved_since = Some(now);
            if !self.timers.is_set(Timer::Starved) {
                self.set_late(Timer::Starved, now.saturating_add(self.settings.starvation));
            }
        }
    }
    pub(super) fn starved(&mut self, now: Time, out: &mut Vec<LinkEffect>) {
        let Some(since) = self.starved_since else { return };
        let at = since.saturating_add(self.settings.starvation);
        if at > now {
            self.set_late(Timer::Starved, at);
        } else if self.told_memory {
            self.advertise(now, false, out);
        }
    }

    /// What the slot holds is of no use. It is at the link's disposal, and counted so.
    pub(super) fn discard(&mut self, now: Time, at: usize, out: &mut Vec<LinkEffect>) {
        self.slots[at].state = SlotState::Idle;
        self.serve(now, at, out);
        if matches!(self.slots[at].state, SlotState::Idle) {
            out.push(LinkEffect::Free { memory: self.slots[at].memory });
        }
    }

    /// Lets an idle or attempting slot attempt for what it should.
    #[inline]
    pub(super) fn serve(&mut self, now: Time, at: usize, out: &mut Vec<LinkEffect>) {
        let armed = match self.slots[at].state {
            SlotState::Idle => false,
            SlotState::Armed => true,
            _ => return,
        };
        let chosen = match self.active[..] {
            [] => None,
            [only] => Some(only),
            _ => {
                let window = now.picoseconds() / self.settings.window.picoseconds().max(1);
                choose(&self.settings.policy, &self.candidates, at as u16, window).map(|i| self.active[i])
            }
        };
        let slot = &mut self.slots[at];
        let Some(index) = chosen else {
            if armed {
                slot.state = SlotState::Idle;
                out.push(LinkEffect::Disarm { memory: slot.memory });
            }
            return;
        };
        let item = &self.items[index as usize];
        let Some(number) = item.number else { return };
        if armed && slot.number == number {
            return;
        }
        slot.state = SlotState::Armed;
        slot.arming = slot.arming.wrapping_add(1);
        (slot.number, slot.index) = (number, index);
        let tag = AttemptTag { item: number, slot: at as u16, life: self.place.life, arming: slot.arming };
        out.push(LinkEffect::Arm { memory: slot.memory, tag, brightness: item.brightness });
    }

    /// The queue has changed, or the time window: finds out what may be served, and serves it.
    pub(super) fn requeue(&mut self, now: Time, out: &mut Vec<LinkEffect>) {
        self.active.clear();
        self.candidates.clear();
        self.timers.clear(Timer::Ready);
        self.timers.clear(Timer::Window);
        for item in self.items.iter().filter(|item| item.ready > now && item.wanted()) {
            self.timers.set_by(Timer::Ready, item.ready);
        }
        if !self.is_blocked() {
            let items = &self.items;
            let ready = |item: &Item| item.ready <= now && item.wanted();
            self.active.extend((0..).zip(items).filter(|(_, item)| ready(item)).map(|(index, _)| index));
            self.active.sort_unstable_by_key(|&index| items[index as usize].number);
            // Requests that collect pairs must not wait for one another's memories.
            let mut collecting = false;
            self.active.retain(|&index| {
                !(items[index as usize].collects() && core::mem::replace(&mut collecting, true))
            });
            self.candidates.extend(self.active.iter().map(|&index| {
                let demand = &items[index as usize].demand;
                Candidate { priority: demand.priority, weight: demand.weight, atomic: demand.atomic }
            }));
        }
        if self.active.len() > 1 && self.settings.policy.by_window && !self.candidates[0].atomic {
            let window = self.settings.window.picoseconds().max(1);
            let next = (now.picoseconds() / window + 1).saturating_mul(window);
            self.timers.set(Timer::Window, Time::from_picoseconds(next));
        }
        for at in 0..self.slots.len() {
            let index = self.index_of(self.slots[at].number);
            self.slots[at].index = index.map_or(NOWHERE, |index| index as u32);
            self.serve(now, at, out);
        }
    }
}
