//! One link in virtual time: two ends, their devices and users, and the heralding station, with every fault that a driver
//! can make, and the checks that hold whatever happens.

mod books;
mod station;

use bellwether_protocol::entanglement::link::{
    AttemptTag, BasisChoice, FidelityLevel, FidelityTable, LinkEffect, LinkEnd, LinkError, LinkMessage,
    LinkPair, LinkPlace, LinkRequest, LinkSettings, LinkUser, MeasuredBasis, Midpoint, MidpointOutcome,
    MidpointReply, RequestId,
};
use bellwether_protocol::entanglement::{MemoryId, PairId};
use bellwether_quantum::bell::BellIndex;
use bellwether_units::{Duration, EntityId, LinkId, Purpose, Stream, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(crate) const LINK: LinkId = LinkId(4);

pub(crate) fn us(n: u64) -> Duration {
    Duration::from_microseconds(n)
}

/// Brighter levels herald more often and promise less.
pub(crate) fn table() -> FidelityTable {
    let level =
        |brightness: f64| FidelityLevel { brightness, fidelity: 1.0 - brightness, success: 0.2 * brightness };
    FidelityTable::new([0.1, 0.2, 0.3].map(level).to_vec()).unwrap()
}

pub(crate) fn settings() -> LinkSettings {
    LinkSettings::new(table(), us(10), us(100))
}

/// How messages and replies fare.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    pub(crate) loss: f64,
    pub(crate) duplication: f64,
    /// Messages take from 50 µs to this long.
    pub(crate) longest_delay_us: u64,
    /// How probable it is that a memory fails when it is armed.
    pub(crate) failure: f64,
}

impl Weather {
    pub(crate) const FAIR: Self = Self { loss: 0.0, duplication: 0.0, longest_delay_us: 50, failure: 0.0 };
}

#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Message {
        to: usize,
        bytes: Vec<u8>,
    },
    Reply {
        to: usize,
        bytes: Vec<u8>,
    },
    Timeout(usize),
    /// The attempts of a slot succeed, if nothing has changed since.
    Success {
        slot: usize,
        orders: [u32; 2],
    },
    /// No reply came to the successful attempt.
    Unanswered {
        side: usize,
        slot: usize,
        order: u32,
    },
    Measured {
        side: usize,
        slot: usize,
        life: u32,
        pair: PairId,
        basis: BasisChoice,
    },
    /// The user is done with a pair.
    Release {
        side: usize,
        slot: usize,
        life: u32,
        hold: u64,
    },
    Failure {
        side: usize,
        slot: usize,
        order: u32,
    },
    Repair {
        side: usize,
        slot: usize,
        life: u32,
    },
    Create(usize, LinkRequest),
    Withdraw(usize, RequestId),
    Refuse(usize, LinkUser),
    Admit(usize, LinkUser),
    Crash(usize),
    Restart(usize),
    Fault(usize),
    Repaired(usize),
    CrashMidpoint,
    RestartMidpoint,
}

/// A memory as its device sees it.
#[derive(Clone, Copy, Default)]
struct Device {
    armed: Option<AttemptTag>,
    /// Counts orders, so that what was planned for an old one is known.
    order: u32,
    qubit: Option<PairId>,
}

/// What the user of an end has in a memory.
#[derive(Clone, Copy)]
enum InUse {
    Pair { pair: LinkPair, expired: bool, hold: u64 },
    Broken,
}

pub(crate) struct Side {
    pub(crate) end: Option<LinkEnd>,
    pub(crate) life: u32,
    devices: Vec<Device>,
    in_use: Vec<Option<InUse>>,
    asked: Option<Time>,
    pub(crate) measured: BTreeMap<PairId, LinkPair>,
    /// All pairs ever handed over, and those revoked of them.
    pub(crate) delivered: Vec<LinkPair>,
    pub(crate) expired: BTreeSet<PairId>,
    /// Pairs that this end had when it crashed.
    lost: BTreeSet<PairId>,
    pub(crate) finished: BTreeMap<RequestId, Result<(), LinkError>>,
}

pub(crate) struct World {
    pub(crate) settings: Arc<LinkSettings>,
    pub(crate) weather: Weather,
    pub(crate) sides: [Side; 2],
    pub(crate) midpoint: Option<Midpoint>,
    epoch: u32,
    /// In which Bell state each pair was heralded.
    truth: BTreeMap<PairId, BellIndex>,
    pub(crate) now: Time,
    queue: BTreeMap<(Time, u64), Happening>,
    counter: u64,
    holds: u64,
    fate: Stream,
    /// The mean time from arming to success.
    pub(crate) success_us: u64,
    /// Users keep pairs from nothing to this long; for ever if `None`.
    pub(crate) hold_us: Option<u64>,
    /// The log of all that the ends did, to compare runs.
    pub(crate) effects: u64,
    pub(crate) hash: u64,
    pub(crate) messages: u64,
    /// The next reply of the heralding station does not reach this end.
    pub(crate) lose_reply_to: Option<usize>,
    /// The next reply of the heralding station takes two milliseconds more to this end.
    pub(crate) delay_reply_to: Option<usize>,
    /// How probable it is that the outcomes of a pair are wrong, in every basis.
    pub(crate) error: f64,
    /// How probable it is that an attempt that fails is told before one that succeeds.
    pub(crate) strays: f64,
    /// How many such replies were sent, by what they said.
    pub(crate) stray_replies: [u32; 4],
}

impl World {
    pub(crate) fn new(memories: [usize; 2], settings: LinkSettings, weather: Weather, seed: u64) -> Self {
        let side = |count: usize| Side {
            end: None,
            life: 0,
            devices: vec![Device::default(); count],
            in_use: vec![None; count],
            asked: None,
            measured: BTreeMap::new(),
            delivered: Vec::new(),
            expired: BTreeSet::new(),
            lost: BTreeSet::new(),
            finished: BTreeMap::new(),
        };
        let mut world = Self {
            settings: Arc::new(settings),
            weather,
            sides: memories.map(side),
            midpoint: Some(Midpoint::new(LINK, 1)),
            epoch: 1,
            truth: BTreeMap::new(),
            now: Time::ZERO,
            queue: BTreeMap::new(),
            counter: 0,
            holds: 0,
            fate: Stream::new(seed, EntityId(0), Purpose::named("fate")),
            success_us: 300,
            hold_us: Some(500),
            effects: 0,
            hash: 0,
            messages: 0,
            lose_reply_to: None,
            delay_reply_to: None,
            error: 0.0,
            strays: 0.0,
            stray_replies: [0; 4],
        };
        world.restart(0);
        world.restart(1);
        world
    }

    /// Memories are numbered differently at the two ends, and backwards at one.
    fn memory(side: usize, slot: usize) -> MemoryId {
        MemoryId(if side == 0 { 3 + slot as u16 } else { 40 - slot as u16 })
    }
    fn slot(side: usize, memory: MemoryId) -> usize {
        usize::from(if side == 0 { memory.0 - 3 } else { 40 - memory.0 })
    }

    pub(crate) fn at(&mut self, time: Time, happening: Happening) {
        self.queue.insert((time, self.counter), happening);
        self.counter += 1;
    }
    pub(crate) fn at_us(&mut self, time: u64, happening: Happening) {
        self.at(Time::ZERO + us(time), happening);
    }
    fn later(&mut self, longest_us: u64) -> Time {
        self.now + us(1 + self.fate.below(longest_us.max(1)))
    }
    pub(crate) fn create(&mut self, side: usize, request: LinkRequest) {
        self.happen(Happening::Create(side, request));
    }
    pub(crate) fn do_now(&mut self, happening: Happening) {
        self.happen(happening);
    }

    pub(crate) fn run_us(&mut self, span: u64) {
        let end = self.now + us(span);
        while let Some((&(time, _), _)) = self.queue.first_key_value() {
            if time > end {
                break;
            }
            let Some((_, happening)) = self.queue.pop_first() else { break };
            self.now = time;
            self.happen(happening);
        }
        self.now = end;
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Message { to, bytes } => {
                let message = LinkMessage::decode(&bytes).unwrap();
                self.with(to, |end, now, out| end.hear(now, &message, out));
            }
            Happening::Reply { to, bytes } => {
                let reply = MidpointReply::decode(&bytes).unwrap();
                let device = &mut self.sides[to].devices[usize::from(reply.own.slot)];
                // The device has its answer, and stops.
                if matches!(reply.outcome, MidpointOutcome::Heralded(_)) && device.armed == Some(reply.own) {
                    device.armed = None;
                }
                self.with(to, |end, now, out| end.heard_midpoint(now, &reply, out));
            }
            Happening::Timeout(side) => {
                if self.sides[side].asked.is_some_and(|at| at <= self.now) {
                    self.sides[side].asked = None;
                    self.with(side, LinkEnd::timeout);
                    let deadline = self.sides[side].end.as_ref().and_then(LinkEnd::deadline);
                    assert!(
                        deadline.is_none_or(|at| at > self.now),
                        "it wants to be woken at once, and spins"
                    );
                }
            }
            Happening::Success { slot, orders } => self.succeed(slot, orders),
            Happening::Unanswered { side, slot, order } => {
                let device = &mut self.sides[side].devices[slot];
                if device.order == order && device.armed.is_some() {
                    device.qubit = None;
                    self.with(side, |end, now, out| end.unanswered(now, Self::memory(side, slot), out));
                }
            }
            Happening::Measured { side, slot, life, pair, basis } => {
                if self.sides[side].life == life && self.sides[side].end.is_some() {
                    self.sides[side].devices[slot].qubit = None;
                    let outcome = self.outcome(side, pair, basis);
                    let memory = Self::memory(side, slot);
                    let basis = MeasuredBasis::Z;
                    self.with(side, |end, now, out| end.measured(now, memory, basis, outcome, out));
                }
            }
            Happening::Release { side, slot, life, hold } => {
                let here = self.sides[side].life == life;
                if here
                    && matches!(self.sides[side].in_use[slot], Some(InUse::Pair { hold: h, .. }) if h == hold)
                {
                    self.release(side, slot);
                }
            }
            Happening::Failure { side, slot, order } => {
                if self.sides[side].devices[slot].order == order && self.sides[side].end.is_some() {
                    let memory = Self::memory(side, slot);
                    self.with(side, |end, now, out| end.failed(now, memory, out));
                    self.sides[side].devices[slot].qubit = None;
                    self.sides[side].in_use[slot] = Some(InUse::Broken);
                    let (at, life) = (self.later(2000), self.sides[side].life);
                    self.at(at, Happening::Repair { side, slot, life });
                }
            }
            Happening::Repair { side, slot, life } => {
                if self.sides[side].life == life {
                    self.release(side, slot);
                }
            }
            Happening::Create(side, request) => {
                self.with(side, |end, now, out| end.create(now, request, out))
            }
            Happening::Withdraw(side, id) => self.with(side, |end, now, out| end.withdraw(now, id, out)),
            Happening::Refuse(side, user) => self.with(side, |end, now, out| end.refuse(now, user, out)),
            Happening::Admit(side, user) => self.with(side, |end, _, _| end.admit(user)),
            Happening::Fault(side) => self.with(side, LinkEnd::fault),
            Happening::Repaired(side) => self.with(side, |end, _, _| end.repaired()),
            Happening::Crash(side) => {
                let side = &mut self.sides[side];
                side.end = None;
                side.asked = None;
                for in_use in side.in_use.iter().flatten() {
                    if let InUse::Pair { pair, .. } = in_use {
                        side.lost.insert(pair.id);
                    }
                }
                for device in &mut side.devices {
                    *device = Device { order: device.order + 1, ..Device::default() };
                }
                side.in_use.fill(None);
            }
            Happening::Restart(side) => self.restart(side),
            Happening::CrashMidpoint => self.midpoint = None,
            Happening::RestartMidpoint => {
                if self.midpoint.is_none() {
                    self.epoch += 1;
                    self.midpoint = Some(Midpoint::new(LINK, self.epoch));
                    (0..self.slots()).for_each(|slot| self.attempt(slot));
                }
            }
        }
    }

    fn restart(&mut self, side: usize) {
        if self.sides[side].end.is_some() {
            return;
        }
        self.sides[side].life += 1;
        let memories = (0..self.sides[side].devices.len()).map(|slot| Self::memory(side, slot)).collect();
        let place = LinkPlace { link: LINK, numbers: side == 0, life: self.sides[side].life, memories };
        self.sides[side].end = Some(LinkEnd::new(place, Arc::clone(&self.settings)));
        self.with(side, LinkEnd::start);
        for slot in 0..self.sides[side].devices.len() {
            self.with(side, |end, now, out| end.memory_free(now, Self::memory(side, slot), out));
        }
    }

    fn release(&mut self, side: usize, slot: usize) {
        self.sides[side].in_use[slot] = None;
        self.sides[side].devices[slot].qubit = None;
        self.with(side, |end, now, out| end.memory_free(now, Self::memory(side, slot), out));
    }

    /// The users of an end give back all that they have.
    pub(crate) fn release_side(&mut self, side: usize) {
        for slot in 0..self.sides[side].devices.len() {
            if matches!(self.sides[side].in_use[slot], Some(InUse::Pair { .. })) {
                self.release(side, slot);
            }
        }
    }

    /// An end begins a new life with other settings.
    pub(crate) fn replace_settings(&mut self, side: usize, settings: LinkSettings) {
        let old = core::mem::replace(&mut self.settings, Arc::new(settings));
        self.do_now(Happening::Crash(side));
        self.do_now(Happening::Restart(side));
        self.settings = old;
    }

    fn with(&mut self, side: usize, act: impl FnOnce(&mut LinkEnd, Time, &mut Vec<LinkEffect>)) {
        let Some(end) = self.sides[side].end.as_mut() else { return };
        let mut out = Vec::new();
        act(end, self.now, &mut out);
        if let Some(at) = end.deadline() {
            assert!(at >= self.now);
            if self.sides[side].asked.is_none_or(|old| at < old) {
                self.sides[side].asked = Some(at);
                self.at(at, Happening::Timeout(side));
            }
        }
        for effect in out {
            self.carry_out(side, effect);
        }
    }

    fn order(&mut self, side: usize, memory: MemoryId, armed: Option<AttemptTag>) {
        let slot = Self::slot(side, memory);
        assert!(self.sides[side].in_use[slot].is_none(), "{memory} is not the link's");
        let device = &mut self.sides[side].devices[slot];
        *device = Device { armed, order: device.order + 1, qubit: None };
        if armed.is_some() {
            let order = device.order;
            self.attempt(slot);
            if self.fate.chance(self.weather.failure) {
                let at = self.later(self.success_us);
                self.at(at, Happening::Failure { side, slot, order });
            }
        }
    }

    fn carry_out(&mut self, side: usize, effect: LinkEffect) {
        self.effects += 1;
        for byte in format!("{side}{effect:?}{}", self.now.picoseconds()).bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
        match effect {
            LinkEffect::Send(message) => {
                let bytes = message.encode();
                self.transmit(|bytes| Happening::Message { to: 1 - side, bytes }, bytes);
            }
            LinkEffect::Arm { memory, tag, .. } => self.order(side, memory, Some(tag)),
            LinkEffect::Disarm { memory } => {
                let slot = Self::slot(side, memory);
                // A memory that has failed is disarmed by an end that has yet to be told.
                if self.sides[side].in_use[slot].is_none() {
                    self.order(side, memory, None);
                }
            }
            LinkEffect::Free { memory } => self.order(side, memory, None),
            LinkEffect::Pair(pair) => self.pair(side, pair),
            LinkEffect::Measure { memory, pair, basis } => {
                let slot = Self::slot(side, memory);
                assert_eq!(
                    self.sides[side].devices[slot].qubit,
                    Some(pair),
                    "the half to measure is not there"
                );
                let (at, life) = (self.later(50), self.sides[side].life);
                self.at(at, Happening::Measured { side, slot, life, pair, basis });
            }
            LinkEffect::Measured { pair, .. } => {
                assert_eq!(self.truth[&pair.id], pair.bell);
                let old = self.sides[side].measured.insert(pair.id, pair);
                assert!(old.is_none(), "{} is measured twice", pair.id);
                self.compare(&pair, self.sides[1 - side].measured.get(&pair.id).copied());
            }
            LinkEffect::Expired { pair } => {
                let here = &mut self.sides[side];
                assert!(here.expired.insert(pair), "{pair} expires twice");
                here.measured.remove(&pair);
                for place in here.in_use.iter_mut().flatten() {
                    if let InUse::Pair { pair: held, expired, .. } = place
                        && held.id == pair
                    {
                        *expired = true;
                    }
                }
            }
            LinkEffect::Finished { request, result } => {
                let old = self.sides[side].finished.insert(request, result);
                assert!(old.is_none(), "{request} ends twice");
            }
        }
    }
}
