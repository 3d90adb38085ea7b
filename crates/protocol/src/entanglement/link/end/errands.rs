//! What is told to the other end until it answers, and what this end waits to hear before it believes it lost.

use super::LinkEnd;
use super::timers::Timer;
use crate::entanglement::link::effect::LinkEffect;
use crate::entanglement::link::message::{LinkBody, SequenceRange};
use bellwether_units::Time;

/// So many requests may be unanswered at a time.
pub(super) const ADD_WINDOW: usize = 64;
/// So often a request is told before the other end is taken for gone.
const ADD_TRIES: u32 = 3;
/// With so many revocations unanswered no more pairs are made, so that what the other end has to be told stays bounded.
const EXPIRE_LIMIT: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum ErrandKind {
    Add { serial: u32 },
    Remove { by_origin: bool, serial: u32, fault: bool },
    Expire(SequenceRange),
    Sync { epoch: u32, expected: u64 },
    Memory { stamp: u32, any: bool },
}

pub(super) struct Errand {
    pub(super) kind: ErrandKind,
    tries: u32,
    due: Time,
}

/// The other end has heard of pairs that this end has not.
pub(super) struct Doubt {
    epoch: u32,
    expected: u64,
    due: Time,
}

impl LinkEnd {
    /// Tells the other end, now and until it answers. An end that was never heard has nothing to be told.
    pub(super) fn run_errand(&mut self, now: Time, kind: ErrandKind, out: &mut Vec<LinkEffect>) {
        if self.peer == 0 || self.errands.iter().any(|errand| errand.kind == kind) {
            return;
        }
        // Newer words of the same thing replace older ones.
        let replaces = |old: &ErrandKind| match (old, &kind) {
            (ErrandKind::Sync { epoch: a, .. }, ErrandKind::Sync { epoch: b, .. }) => a == b,
            (ErrandKind::Memory { .. }, ErrandKind::Memory { .. }) => true,
            _ => false,
        };
        self.errands.retain(|errand| !replaces(&errand.kind));
        let due = now.saturating_add(self.settings.patience());
        self.errands.push(Errand { kind, tries: 1, due });
        self.timers.set_by(Timer::Errand, due);
        self.tell(kind, out);
        if matches!(kind, ErrandKind::Expire(_)) && self.is_blocked() && !self.active.is_empty() {
            self.requeue(now, out);
        }
    }

    fn tell(&self, kind: ErrandKind, out: &mut Vec<LinkEffect>) {
        let body = match kind {
            ErrandKind::Add { serial } => {
                let ours = self.items.iter().find(|item| item.request.is_some() && item.serial == serial);
                let Some(item) = ours else { return };
                let numbered = item.number.map(|number| (number, item.ready));
                LinkBody::Add { serial, numbered, demand: item.demand }
            }
            ErrandKind::Remove { by_origin, serial, fault } => LinkBody::Remove { by_origin, serial, fault },
            ErrandKind::Expire(range) => LinkBody::Expire(range),
            ErrandKind::Sync { epoch, expected } => LinkBody::Sync { epoch, expected },
            ErrandKind::Memory { stamp, any } => LinkBody::Memory { stamp, any },
        };
        self.send(body, out);
    }

    /// The other end has answered.
    pub(super) fn end_errand(&mut self, now: Time, kind: &ErrandKind, out: &mut Vec<LinkEffect>) {
        let was_blocked = self.is_blocked();
        self.errands.retain(|errand| errand.kind != *kind);
        if self.errands.is_empty() {
            self.timers.clear(Timer::Errand);
        }
        if was_blocked && !self.is_blocked() {
            self.requeue(now, out);
        }
    }

    /// Repeats what was not answered, ever less often; requests are given up after some times.
    pub(super) fn errands_due(&mut self, now: Time, out: &mut Vec<LinkEffect>) {
        let patience = self.settings.patience();
        let mut gone = Vec::new();
        for at in 0..self.errands.len() {
            let errand = &mut self.errands[at];
            if errand.due > now {
                continue;
            }
            let kind = errand.kind;
            if let ErrandKind::Add { serial } = kind {
                errand.due = now.saturating_add(patience);
                if errand.tries >= ADD_TRIES {
                    gone.push(serial);
                    continue;
                }
            } else {
                errand.due = now.saturating_add(patience.saturating_mul(1 << errand.tries.min(6)));
            }
            errand.tries += 1;
            self.tell(kind, out);
        }
        for serial in gone {
            self.give_request_up(now, serial, out);
        }
        self.timers.clear(Timer::Errand);
        for errand in &self.errands {
            self.timers.set_by(Timer::Errand, errand.due);
        }
    }

    /// Whether no pairs are to be made for now, whatever is asked for.
    pub(super) fn is_blocked(&self) -> bool {
        let expiring = |errand: &&Errand| matches!(errand.kind, ErrandKind::Expire(_));
        self.peer == 0
            || !self.peer_has_memory
            || self.faulty
            || self.errands.len() >= EXPIRE_LIMIT
                && self.errands.iter().filter(expiring).count() >= EXPIRE_LIMIT
    }

    /// The other end has heard of all pairs below `expected`. Replies that are under way are waited for.
    pub(super) fn hear_sync(&mut self, now: Time, epoch: u32, expected: u64) {
        if expected <= self.heralds.expected(epoch) {
            return;
        }
        let due = now.saturating_add(self.settings.patience());
        match self.doubts.iter_mut().find(|doubt| doubt.epoch == epoch) {
            Some(doubt) => doubt.expected = doubt.expected.max(expected),
            None => {
                self.doubts.push(Doubt { epoch, expected, due });
                self.timers.set_by(Timer::Doubt, due);
            }
        }
    }

    pub(super) fn doubts_due(&mut self, now: Time, out: &mut Vec<LinkEffect>) {
        while let Some(at) = self.doubts.iter().position(|doubt| doubt.due <= now) {
            let Doubt { epoch, expected, .. } = self.doubts.remove(at);
            self.count_reached(now, epoch, expected, out);
        }
        self.timers.clear(Timer::Doubt);
        for doubt in &self.doubts {
            self.timers.set_by(Timer::Doubt, doubt.due);
        }
    }

    /// No pair came for a while: the other end is told which were heard of.
    pub(super) fn settle(&mut self, now: Time, out: &mut Vec<LinkEffect>) {
        let at = self.changed.saturating_add(self.settings.settle);
        if at > now {
            self.set_late(Timer::Settle, at);
            return;
        }
        let newest = self.heralds.newest();
        if newest != self.synced && newest.1 > 0 && self.peer != 0 {
            self.synced = newest;
            let (epoch, expected) = newest;
            self.run_errand(now, ErrandKind::Sync { epoch, expected }, out);
        }
    }

    /// Tells the other end whether there is any memory for the link.
    pub(super) fn advertise(&mut self, now: Time, any: bool, out: &mut Vec<LinkEffect>) {
        if self.peer == 0 {
            return;
        }
        self.told_memory = any;
        self.stamp = self.stamp.wrapping_add(1);
        let stamp = self.stamp;
        self.run_errand(now, ErrandKind::Memory { stamp, any }, out);
    }
}
