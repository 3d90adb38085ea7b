//! The queue of requests that both ends share (the distributed queue protocol).
//!
//! One end numbers the requests of both. The end that is asked tells the other until it answers; a request may be served once
//! it has its number, the answer is there, and the time has come that both ends know. The end that asked takes a request
//! out of the queue; the other end stops by itself when it has all pairs, but goes on if some turn out to be none.

use super::LinkEnd;
use super::errands::{ADD_WINDOW, ErrandKind};
use super::slots::SlotState;
use super::timers::Timer;
use crate::entanglement::link::LinkUser;
use crate::entanglement::link::effect::{LinkEffect, QueueNumber};
use crate::entanglement::link::message::{LinkBody, Refusal, SequenceRange};
use crate::entanglement::link::request::{
    BasisChoice, LinkError, LinkRequest, PairDemand, PairKind, RequestId,
};
use bellwether_units::Time;

/// So many requests that the other end has taken back are remembered, lest a late message bring them back.
const REMOVED: usize = 256;

/// What this end does with its halves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Role {
    /// Hands them over.
    Keep,
    /// Measures them.
    Measure(BasisChoice),
}

/// A request in the queue.
pub(super) struct Item {
    /// The request of this end; `None` if the other end asks.
    pub(super) request: Option<RequestId>,
    /// Its name between the ends, of those that the same end asked for.
    pub(super) serial: u32,
    pub(super) number: Option<QueueNumber>,
    /// Both ends have it.
    pub(super) confirmed: bool,
    /// The other end is being told, or has been.
    pub(super) told: bool,
    pub(super) ready: Time,
    pub(super) expiry: Time,
    pub(super) demand: PairDemand,
    pub(super) role: Role,
    pub(super) brightness: f64,
    pub(super) goodness: f64,
    /// How many of its pairs have been made and not been given up.
    pub(super) made: u32,
    /// How many of its halves are being measured.
    pub(super) measuring: u32,
    /// Outcomes that are told with the others at the end.
    pub(super) outcomes: Vec<LinkEffect>,
    /// The other end has taken it out of the queue, but outcomes of this end are missing.
    pub(super) removed: bool,
}

impl Item {
    pub(super) fn complete(&self) -> bool {
        self.demand.number.is_some_and(|number| self.made >= number)
    }
    /// Pairs are wanted for it, be it that it is not ready.
    pub(super) fn wanted(&self) -> bool {
        self.confirmed && self.number.is_some() && !self.complete()
    }
    /// It holds memories until it has all its pairs.
    pub(super) fn collects(&self) -> bool {
        !self.demand.consecutive && self.role == Role::Keep
    }
}

impl LinkEnd {
    fn item(&self, request: Option<RequestId>, serial: u32, demand: PairDemand) -> Option<Item> {
        let level = self.settings.table.choose(demand.fidelity)?;
        let role = match (demand.kind, request) {
            (PairKind::Keep, _) | (PairKind::Prepare { .. }, None) => Role::Keep,
            (PairKind::Measure { here, .. } | PairKind::Prepare { here }, Some(_)) => Role::Measure(here),
            (PairKind::Measure { there, .. }, None) => Role::Measure(there),
        };
        Some(Item {
            request,
            serial,
            number: None,
            confirmed: false,
            told: false,
            ready: Time::ZERO,
            expiry: Time::MAX,
            demand,
            role,
            brightness: level.brightness,
            goodness: level.fidelity,
            made: 0,
            measuring: 0,
            outcomes: Vec::new(),
            removed: false,
        })
    }

    /// Asks for pairs (CREATE). What cannot be is [`Finished`](LinkEffect::Finished) at once.
    pub fn create(&mut self, now: Time, request: LinkRequest, out: &mut Vec<LinkEffect>) {
        if let Err(error) = self.try_create(now, &request) {
            return out.push(LinkEffect::Finished { request: request.id, result: Err(error) });
        }
        self.tell_items(now, out);
        self.requests_due(now, out);
    }

    fn try_create(&mut self, now: Time, request: &LinkRequest) -> Result<(), LinkError> {
        if self.faulty {
            return Err(LinkError::HardwareFault);
        }
        if self.items.iter().any(|item| item.request == Some(request.id)) {
            return Err(LinkError::Malformed("a request of this name is being served; names are used once"));
        }
        request.check(&self.settings.table, self.slots.len(), self.settings.cycle)?;
        let ours = self.items.iter().filter(|item| item.request.is_some()).count();
        if self.refused.contains(&request.demand.user) || ours >= self.settings.queue_limit {
            return Err(LinkError::Rejected);
        }
        let mut item = self
            .item(Some(request.id), self.next_serial, request.demand)
            .ok_or(LinkError::Malformed("no level promises the fidelity"))?;
        item.expiry = request.within.map_or(Time::MAX, |within| now.saturating_add(within));
        self.next_serial = self.next_serial.wrapping_add(1);
        self.add_item(item);
        Ok(())
    }

    /// Most links serve one request, and items are large: room is made for one, and then for twice as many each time.
    fn add_item(&mut self, item: Item) {
        if self.items.len() == self.items.capacity() {
            self.items.reserve_exact(self.items.len().max(1));
        }
        self.items.push(item);
    }

    /// Takes a request of this end back. Nothing more is said of it; pairs that were handed over stay.
    pub fn withdraw(&mut self, now: Time, request: RequestId, out: &mut Vec<LinkEffect>) {
        if let Some(index) = self.items.iter().position(|item| item.request == Some(request)) {
            self.retract(now, index, false, out);
            self.requeue(now, out);
        }
    }

    /// From now on this end does not serve the user (STOP_RECV); requests of the other end for it are rejected.
    pub fn refuse(&mut self, now: Time, user: LinkUser, out: &mut Vec<LinkEffect>) {
        if !self.refused.contains(&user) {
            self.refused.push(user);
        }
        while let Some(index) = self.items.iter().position(|i| i.request.is_none() && i.demand.user == user) {
            self.retract(now, index, false, out);
        }
        self.requeue(now, out);
    }
    /// It serves the user again (RECV).
    pub fn admit(&mut self, user: LinkUser) {
        self.refused.retain(|refused| *refused != user);
    }

    /// The hardware is out of order: all requests of both ends end with [`LinkError::HardwareFault`], and none is taken
    /// until [`repaired`](Self::repaired).
    pub fn fault(&mut self, now: Time, out: &mut Vec<LinkEffect>) {
        self.faulty = true;
        while let Some(item) = self.items.first() {
            let request = item.request;
            self.retract(now, 0, true, out);
            if let Some(request) = request {
                out.push(LinkEffect::Finished { request, result: Err(LinkError::HardwareFault) });
            }
        }
        self.requeue(now, out);
    }
    /// The hardware is in order again.
    pub fn repaired(&mut self) {
        self.faulty = false;
    }

    /// Takes an item out of the queue at both ends; the caller serves anew.
    fn retract(&mut self, now: Time, index: usize, fault: bool, out: &mut Vec<LinkEffect>) {
        let (by_origin, serial, told) =
            (self.items[index].request.is_some(), self.items[index].serial, self.items[index].told);
        self.drop_item(now, index, out);
        if told || !by_origin {
            self.run_errand(now, ErrandKind::Remove { by_origin, serial, fault }, out);
        }
        self.tell_items(now, out);
    }

    /// Takes an item out of this end's queue. Pairs that it has collected are given up at both ends.
    fn drop_item(&mut self, now: Time, index: usize, out: &mut Vec<LinkEffect>) {
        let item = self.items.remove(index);
        if item.request.is_some() {
            self.errands.retain(|errand| errand.kind != ErrandKind::Add { serial: item.serial });
        }
        let mut lost: Vec<_> = item
            .outcomes
            .iter()
            .filter_map(|o| if let LinkEffect::Measured { pair, .. } = o { Some(pair.id) } else { None })
            .collect();
        for slot in self.slots.iter().filter(|slot| Some(slot.number) == item.number) {
            if let SlotState::Withheld(pair) = slot.state {
                lost.push(pair.id);
            }
        }
        for id in lost {
            let range = SequenceRange { epoch: id.epoch, low: id.sequence, high: id.sequence + 1 };
            self.expire_both(now, range, out);
        }
    }

    /// Tells the other end of requests that it has not been told of, but not of too many at once.
    pub(super) fn tell_items(&mut self, now: Time, out: &mut Vec<LinkEffect>) {
        if self.peer == 0 {
            return;
        }
        let waiting = |kind: &ErrandKind| matches!(kind, ErrandKind::Add { .. });
        let mut under_way = self.errands.iter().filter(|errand| waiting(&errand.kind)).count();
        for index in 0..self.items.len() {
            let (item, numbers) = (&mut self.items[index], self.place.numbers);
            if item.told || item.request.is_none() {
                continue;
            }
            if under_way >= ADD_WINDOW {
                return;
            }
            item.told = true;
            let serial = item.serial;
            if numbers {
                // The answer is back by then.
                let ready = now.saturating_add(self.settings.delay.saturating_mul(2));
                (item.number, item.ready) =
                    (Some(QueueNumber { life: self.place.life, count: self.next_count }), ready);
                self.next_count = self.next_count.wrapping_add(1);
            }
            self.run_errand(now, ErrandKind::Add { serial }, out);
            under_way += 1;
        }
    }

    pub(super) fn hear_add(
        &mut self,
        now: Time,
        serial: u32,
        numbered: Option<(QueueNumber, Time)>,
        demand: PairDemand,
        out: &mut Vec<LinkEffect>,
    ) {
        if numbered.is_some() == self.place.numbers {
            return;
        }
        if self.removed.contains(&serial) {
            return;
        }
        let theirs = |item: &&Item| item.request.is_none() && item.serial == serial;
        if self.items.iter().find(theirs).is_none() {
            let count = self.items.iter().filter(|item| item.request.is_none()).count();
            let refusal = match demand.check(&self.settings.table, self.slots.len()) {
                _ if self.faulty => Some(Refusal::Fault),
                _ if self.refused.contains(&demand.user) || count >= self.settings.queue_limit => {
                    Some(Refusal::Rejected)
                }
                Err(LinkError::Memories { memories, .. }) => Some(Refusal::Memories(memories as u16)),
                Err(_) => Some(Refusal::Fidelity(self.settings.table.best())),
                Ok(()) => None,
            };
            let item = self.item(None, serial, demand);
            let (None, Some(mut item)) = (refusal, item) else {
                let refusal = refusal.unwrap_or(Refusal::Rejected);
                return self.send(LinkBody::Reject { serial, refusal }, out);
            };
            let (number, ready) = numbered.unwrap_or_else(|| {
                let number = QueueNumber { life: self.place.life, count: self.next_count };
                (number, now.saturating_add(self.settings.delay))
            });
            if numbered.is_none() {
                self.next_count = self.next_count.wrapping_add(1);
            }
            (item.number, item.ready, item.confirmed, item.told) = (Some(number), ready, true, true);
            self.add_item(item);
            self.requeue(now, out);
        }
        if let Some(Item { number: Some(number), ready, .. }) = self.items.iter().find(theirs) {
            self.send(LinkBody::Accept { serial, number: *number, ready: *ready }, out);
        }
    }

    fn ours(&self, serial: u32) -> Option<usize> {
        self.items.iter().position(|item| item.request.is_some() && item.serial == serial)
    }

    pub(super) fn hear_accept(
        &mut self,
        now: Time,
        serial: u32,
        number: QueueNumber,
        ready: Time,
        out: &mut Vec<LinkEffect>,
    ) {
        let Some(index) = self.ours(serial) else {
            // It was taken back before the other end took it in.
            return self.run_errand(now, ErrandKind::Remove { by_origin: true, serial, fault: false }, out);
        };
        self.end_errand(now, &ErrandKind::Add { serial }, out);
        let item = &mut self.items[index];
        if item.confirmed || !item.told {
            return;
        }
        item.confirmed = true;
        if !self.place.numbers {
            (item.number, item.ready) = (Some(number), ready);
        }
        self.tell_items(now, out);
        self.requeue(now, out);
    }

    pub(super) fn hear_reject(
        &mut self,
        now: Time,
        serial: u32,
        refusal: Refusal,
        out: &mut Vec<LinkEffect>,
    ) {
        let Some(index) = self.ours(serial).filter(|&index| !self.items[index].confirmed) else { return };
        let demand = &self.items[index].demand;
        let error = match refusal {
            Refusal::Rejected => LinkError::Rejected,
            Refusal::Fidelity(best) => LinkError::Fidelity { wanted: demand.fidelity, best },
            Refusal::Memories(memories) => {
                LinkError::Memories { wanted: demand.number.unwrap_or(0), memories: memories.into() }
            }
            Refusal::Fault => LinkError::HardwareFault,
        };
        self.finish(now, index, Err(error), out);
        self.tell_items(now, out);
    }

    pub(super) fn hear_remove(
        &mut self,
        now: Time,
        by_origin: bool,
        serial: u32,
        fault: bool,
        out: &mut Vec<LinkEffect>,
    ) {
        self.send(LinkBody::Removed { by_origin, serial }, out);
        if by_origin && !self.removed.contains(&serial) {
            if self.removed.len() == REMOVED {
                self.removed.pop_front();
            }
            self.removed.push_back(serial);
        }
        let named = |item: &Item| item.serial == serial && item.request.is_none() == by_origin;
        let Some(index) = self.items.iter().position(named) else { return };
        if !by_origin {
            let error = if fault { LinkError::HardwareFault } else { LinkError::Rejected };
            return self.finish(now, index, Err(error), out);
        }
        let item = &mut self.items[index];
        if item.complete() && item.measuring > 0 {
            item.removed = true;
            return;
        }
        self.drop_item(now, index, out);
        self.requeue(now, out);
    }

    /// A request of this end is over; the other end knows, or never took it in.
    fn finish(&mut self, now: Time, index: usize, result: Result<(), LinkError>, out: &mut Vec<LinkEffect>) {
        let request = self.items[index].request;
        self.drop_item(now, index, out);
        if let Some(request) = request {
            out.push(LinkEffect::Finished { request, result });
        }
        self.requeue(now, out);
    }

    /// The other end does not answer to a request.
    pub(super) fn give_request_up(&mut self, now: Time, serial: u32, out: &mut Vec<LinkEffect>) {
        let Some(index) = self.ours(serial) else { return };
        let request = self.items[index].request;
        self.retract(now, index, false, out);
        if let Some(request) = request {
            out.push(LinkEffect::Finished { request, result: Err(LinkError::PeerGone) });
        }
        self.requeue(now, out);
    }

    /// Ends requests whose time is over, and notes when the next one's is.
    pub(super) fn requests_due(&mut self, now: Time, out: &mut Vec<LinkEffect>) {
        let mut ended = false;
        while let Some(index) = self.items.iter().position(|item| item.expiry <= now) {
            let request = self.items[index].request;
            self.retract(now, index, false, out);
            if let Some(request) = request {
                out.push(LinkEffect::Finished { request, result: Err(LinkError::Timeout) });
            }
            ended = true;
        }
        self.timers.clear(Timer::Expiry);
        for item in &self.items {
            self.timers.set_by(Timer::Expiry, item.expiry);
        }
        if ended {
            self.requeue(now, out);
        }
    }

    /// An item has all its pairs: hands over what was collected, and ends the request once nothing is being measured.
    pub(super) fn completed(&mut self, now: Time, index: usize, out: &mut Vec<LinkEffect>) {
        let number = self.items[index].number;
        for at in 0..self.slots.len() {
            if let SlotState::Withheld(pair) = self.slots[at].state
                && Some(self.slots[at].number) == number
            {
                self.slots[at].state = SlotState::Held(pair);
                self.note_told(pair.id);
                out.push(LinkEffect::Pair(pair));
            }
        }
        let item = &mut self.items[index];
        if item.measuring == 0 {
            let outcomes = core::mem::take(&mut item.outcomes);
            let (request, removed) = (item.request, item.removed);
            for outcome in outcomes {
                if let LinkEffect::Measured { pair, .. } = outcome {
                    self.note_told(pair.id);
                }
                out.push(outcome);
            }
            if let Some(request) = request {
                self.retract(now, index, false, out);
                out.push(LinkEffect::Finished { request, result: Ok(()) });
            } else if removed {
                self.items.remove(index);
            }
        }
        self.requeue(now, out);
    }
}
