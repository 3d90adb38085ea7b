//! From a reply of the heralding station to a pair, and from a pair to none.

use super::LinkEnd;
use super::errands::ErrandKind;
use super::queue::Role;
use super::slots::{NOWHERE, SlotState};
use super::timers::Timer;
use crate::entanglement::link::effect::{AttemptTag, LinkEffect, QueueNumber};
use crate::entanglement::link::message::SequenceRange;
use crate::entanglement::link::midpoint::{MidpointOutcome, MidpointReply};
use crate::entanglement::link::pair::LinkPair;
use crate::entanglement::link::request::{MeasuredBasis, PairKind};
use crate::entanglement::link::sequence::Heard;
use crate::entanglement::{MemoryId, PairId};
use bellwether_quantum::bell::BellIndex;
use bellwether_units::Time;

/// A pair that was made not long ago and has not been given up.
#[derive(Clone, Copy, Default)]
pub(super) struct Recent {
    /// Its place is taken.
    there: bool,
    /// The layer above knows of it.
    told: bool,
    epoch: u32,
    sequence: u64,
    number: QueueNumber,
}

impl LinkEnd {
    /// The heralding station says what came of an attempt.
    pub fn heard_midpoint(&mut self, now: Time, reply: &MidpointReply, out: &mut Vec<LinkEffect>) {
        if reply.link != self.place.link {
            return;
        }
        let MidpointOutcome::Heralded(bell) = reply.outcome else {
            // The device goes on by itself. What the count tells is no less true.
            return self.count_reached(now, reply.epoch, reply.sequence, out);
        };
        let (epoch, sequence) = (reply.epoch, reply.sequence);
        let before = self.heralds.newest();
        match self.heralds.hear_pair(epoch, sequence) {
            Heard::Next => {}
            Heard::After(gap) => self.expire_both(now, gap, out),
            Heard::Old => {
                // The device has stopped for it, but nobody can say any more what it holds.
                if let Some(at) = self.armed(&reply.own) {
                    self.discard(now, at, out);
                }
                return;
            }
        }
        self.note_change(now);
        if epoch > before.0 {
            self.leave_epoch(now, before, out);
        } else if epoch < before.0 {
            let expected = self.heralds.expected(epoch);
            self.run_errand(now, ErrandKind::Sync { epoch, expected }, out);
        }
        let given_up = self.heralds.is_given_up(epoch, sequence);
        let armed = self.armed(&reply.own);
        let matches = |peer: &AttemptTag| peer.life == self.peer && peer.item == reply.own.item;
        match armed {
            Some(at) if !given_up && reply.peer.as_ref().is_some_and(matches) => {
                self.take_in(now, at, reply, bell, out);
            }
            _ => {
                if !given_up {
                    self.expire_both(now, SequenceRange { epoch, low: sequence, high: sequence + 1 }, out);
                }
                // Giving up may have armed the slot for something else.
                if let Some(at) = self.armed(&reply.own) {
                    self.discard(now, at, out);
                }
            }
        }
    }

    /// The slot that attempts with this tag.
    #[inline]
    fn armed(&self, tag: &AttemptTag) -> Option<usize> {
        let at = usize::from(tag.slot);
        let slot = self.slots.get(at)?;
        let is = matches!(slot.state, SlotState::Armed)
            && slot.arming == tag.arming
            && slot.number == tag.item
            && tag.life == self.place.life;
        is.then_some(at)
    }

    #[inline]
    fn take_in(
        &mut self,
        now: Time,
        at: usize,
        reply: &MidpointReply,
        bell: BellIndex,
        out: &mut Vec<LinkEffect>,
    ) {
        let test = self.test_basis(reply.epoch, reply.sequence);
        let slot = &mut self.slots[at];
        let index = slot.index as usize;
        let Some(item) = self.items.get_mut(index) else { return };
        let since = self.settings.cycle.saturating_mul(reply.cycle);
        let id = PairId { link: reply.link, epoch: reply.epoch, sequence: reply.sequence };
        let pair = LinkPair {
            id,
            memory: slot.memory,
            bell,
            made: self.settings.first_cycle.saturating_add(since),
            goodness: item.goodness,
            user: item.demand.user,
        };
        let told = item.role == Role::Keep && item.demand.consecutive;
        if item.demand.kind == PairKind::Keep
            && told
            && let Some(basis) = test
        {
            slot.state = SlotState::Testing(Some(pair));
            out.push(LinkEffect::Measure { memory: slot.memory, pair: id, basis: basis.choice() });
            return self.less_available(now);
        }
        item.made += u32::from(item.demand.number.is_some());
        match item.role {
            Role::Keep if told => {
                slot.state = SlotState::Held(pair);
                out.push(LinkEffect::Pair(pair));
            }
            Role::Keep => slot.state = SlotState::Withheld(pair),
            Role::Measure(basis) => {
                item.measuring += 1;
                slot.state = SlotState::Measuring(Some(pair));
                out.push(LinkEffect::Measure { memory: slot.memory, pair: id, basis });
            }
        }
        let number = slot.number;
        let complete = item.complete();
        if self.recent.is_empty() {
            let places = (4 * self.slots.len()).next_power_of_two().max(16);
            self.recent = vec![Recent::default(); places].into_boxed_slice();
        }
        let place = reply.sequence as usize & (self.recent.len() - 1);
        self.recent[place] =
            Recent { there: true, told, epoch: reply.epoch, sequence: reply.sequence, number };
        self.less_available(now);
        if complete {
            self.completed(now, index, out);
        }
    }

    /// The half that was to be measured gave this outcome (whether it is -1).
    pub fn measured(
        &mut self,
        now: Time,
        memory: MemoryId,
        basis: MeasuredBasis,
        outcome: bool,
        out: &mut Vec<LinkEffect>,
    ) {
        let Some(at) = self.slot_of(memory) else { return };
        let pair = match self.slots[at].state {
            SlotState::Measuring(pair) => pair,
            SlotState::Testing(pair) => return self.tested(now, memory, at, pair, outcome, out),
            _ => return,
        };
        let index = self.slots[at].index as usize;
        self.slots[at].state = SlotState::Idle;
        let mut done = false;
        if let Some(pair) = pair {
            let effect = LinkEffect::Measured { pair, basis, outcome };
            match self.items.get_mut(index) {
                Some(item) if !item.demand.consecutive => item.outcomes.push(effect),
                _ => {
                    self.note_told(pair.id);
                    out.push(effect);
                }
            }
        }
        if let Some(item) = self.items.get_mut(index) {
            item.measuring -= 1;
            done = item.complete() && item.measuring == 0;
        }
        self.more_available(now, out);
        if done {
            self.completed(now, index, out);
        }
        self.serve(now, at, out);
        if matches!(self.slots[at].state, SlotState::Idle) {
            out.push(LinkEffect::Free { memory });
        }
    }

    /// The memory is out of order for a while (a check of charge or resonance): what it held is lost. It comes back by
    /// [`memory_free`](Self::memory_free).
    pub fn failed(&mut self, now: Time, memory: MemoryId, out: &mut Vec<LinkEffect>) {
        let Some(at) = self.slot_of(memory) else { return };
        if let SlotState::Held(pair) | SlotState::Withheld(pair) | SlotState::Measuring(Some(pair)) =
            self.slots[at].state
        {
            let (epoch, low) = (pair.id.epoch, pair.id.sequence);
            self.expire_both(now, SequenceRange { epoch, low, high: low + 1 }, out);
        }
        match self.slots[at].state {
            SlotState::Away | SlotState::Held(_) | SlotState::Withheld(_) | SlotState::Testing(_) => {}
            SlotState::Idle => self.less_available(now),
            SlotState::Armed => {
                self.less_available(now);
                out.push(LinkEffect::Disarm { memory });
            }
            SlotState::Measuring(_) => {
                if let Some(item) = self.items.get_mut(self.slots[at].index as usize) {
                    item.measuring -= 1;
                }
            }
        }
        self.slots[at].state = SlotState::Away;
    }

    fn recent(&mut self, id: PairId) -> Option<&mut Recent> {
        let place = id.sequence as usize & self.recent.len().checked_sub(1)?;
        let recent = &mut self.recent[place];
        let is = recent.there && recent.epoch == id.epoch && recent.sequence == id.sequence;
        is.then_some(recent)
    }
    /// The layer above is being told of the pair.
    pub(super) fn note_told(&mut self, id: PairId) {
        if let Some(recent) = self.recent(id) {
            recent.told = true;
        }
    }

    #[inline]
    fn note_change(&mut self, now: Time) {
        self.changed = now;
        if !self.timers.is_set(Timer::Settle) {
            self.set_late(Timer::Settle, now.saturating_add(self.settings.settle));
        }
    }

    /// The next pair of an epoch has at least this number.
    pub(super) fn count_reached(&mut self, now: Time, epoch: u32, next: u64, out: &mut Vec<LinkEffect>) {
        let before = self.heralds.newest();
        if (epoch, next) == before {
            return;
        }
        if let Some(gap) = self.heralds.hear_count(epoch, next) {
            self.note_change(now);
            self.expire_both(now, gap, out);
        }
        if self.heralds.newest().0 != before.0 {
            self.leave_epoch(now, before, out);
        }
    }

    /// The station has begun a new epoch: the other end is told what was heard of the old one, as no later number will.
    fn leave_epoch(&mut self, now: Time, (epoch, expected): (u32, u64), out: &mut Vec<LinkEffect>) {
        if expected > 0 && (epoch, expected) != self.synced {
            self.run_errand(now, ErrandKind::Sync { epoch, expected }, out);
        }
    }

    /// These pairs are none, at either end.
    pub(super) fn expire_both(&mut self, now: Time, range: SequenceRange, out: &mut Vec<LinkEffect>) {
        self.run_errand(now, ErrandKind::Expire(range), out);
        self.expire_here(now, range, out);
    }

    /// All pairs are none.
    pub(super) fn expire_all(&mut self, now: Time, out: &mut Vec<LinkEffect>) {
        self.expire_where(now, |_, _| true, out);
    }

    pub(super) fn expire_here(&mut self, now: Time, range: SequenceRange, out: &mut Vec<LinkEffect>) {
        self.expire_where(now, |epoch, sequence| range.contains(epoch, sequence), out);
    }

    fn expire_where(&mut self, now: Time, lost: impl Fn(u32, u64) -> bool, out: &mut Vec<LinkEffect>) {
        let mut freed = Vec::new();
        let mut any = false;
        for at in 0..self.slots.len() {
            let slot = &mut self.slots[at];
            if let SlotState::Testing(Some(pair)) = slot.state
                && lost(pair.id.epoch, pair.id.sequence)
            {
                slot.state = SlotState::Testing(None);
                continue;
            }
            let (SlotState::Held(pair) | SlotState::Withheld(pair) | SlotState::Measuring(Some(pair))) =
                slot.state
            else {
                continue;
            };
            if !lost(pair.id.epoch, pair.id.sequence) {
                continue;
            }
            any = true;
            match slot.state {
                // The memory stays the user's.
                SlotState::Held(_) => {
                    slot.state = SlotState::Away;
                    out.push(LinkEffect::Expired { pair: pair.id });
                }
                SlotState::Withheld(_) => {
                    slot.state = SlotState::Idle;
                    freed.push(at);
                }
                _ => slot.state = SlotState::Measuring(None),
            }
            if let Some(recent) = self.recent(pair.id) {
                recent.there = false;
            }
            let index = self.slots[at].index;
            if index != NOWHERE
                && let Some(item) = self.items.get_mut(index as usize)
                && item.number == Some(self.slots[at].number)
            {
                item.made = item.made.saturating_sub(1);
            }
        }
        for place in 0..self.recent.len() {
            let Recent { there, told, epoch, sequence, number } = self.recent[place];
            if !there || !lost(epoch, sequence) {
                continue;
            }
            any = true;
            self.recent[place].there = false;
            let pair = PairId { link: self.place.link, epoch, sequence };
            // What was measured and not told is counted below.
            if told {
                out.push(LinkEffect::Expired { pair });
                if let Some(index) = self.index_of(number) {
                    self.items[index].made = self.items[index].made.saturating_sub(1);
                }
            }
        }
        for item in self.items.iter_mut().filter(|item| !item.outcomes.is_empty()) {
            let before = item.outcomes.len();
            item.outcomes.retain(|outcome| {
                !matches!(outcome, LinkEffect::Measured { pair, .. } if lost(pair.id.epoch, pair.id.sequence))
            });
            let gone = before - item.outcomes.len();
            item.made = item.made.saturating_sub(gone as u32);
            any |= gone > 0;
        }
        for _ in &freed {
            self.more_available(now, out);
        }
        if any {
            self.requeue(now, out);
        }
        for at in freed {
            if matches!(self.slots[at].state, SlotState::Idle) {
                out.push(LinkEffect::Free { memory: self.slots[at].memory });
            }
        }
    }
}
