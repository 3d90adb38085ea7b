//! The machine of one end.

use super::api::{PurificationEffect, PurifierSettings, PurifyingPair};
use super::frames::compared;
use super::message::{Check, PairName, PurificationMessage};
use crate::entanglement::MemoryId;
use crate::timers::Timers;
use bellwether_units::{Duration, Time};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Idle,
    Comparing,
    /// At the leader: the other end has been told.
    Checking {
        tries: u32,
    },
}

#[derive(Clone, Debug)]
struct Held<Id> {
    pair: PurifyingPair<Id>,
    level: u8,
    state: State,
    /// Which pairs were sacrificed for it. If one of them is revoked, it is worthless.
    history: Vec<Id>,
    revoked: bool,
}

/// What became of a pair that is no longer held.
#[derive(Clone, Debug)]
enum Fate<Id> {
    Gone,
    /// It was handed on.
    Passed {
        history: Vec<Id>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer<Id> {
    /// An idle pair has waited too long.
    Hold(Id),
    /// A check of this pair is told again.
    Again(Id),
    /// What became of a pair is forgotten.
    Forget(Id),
    /// A check of a pair that is not known is refused.
    Unknown(Id),
}

/// One end of a purification.
#[derive(Debug)]
pub struct Purifier<Id: PairName> {
    settings: PurifierSettings,
    held: BTreeMap<Id, Held<Id>>,
    /// By token: what is being compared; at the other end, with what the leader said.
    comparing: BTreeMap<u64, (Check<Id>, bool)>,
    /// At the leader: the checks that wait for their verdicts, by the pair to keep.
    checks: BTreeMap<Id, Check<Id>>,
    /// At the other end: checks of pairs that are not known yet.
    parked: BTreeMap<Id, Check<Id>>,
    fates: BTreeMap<Id, Fate<Id>>,
    timers: Timers<Timer<Id>>,
    next_token: u64,
}

/// For how many waits for a verdict it is remembered what became of a pair.
const REMEMBERED: u64 = 32;

impl<Id: PairName> Purifier<Id> {
    /// An end without pairs.
    pub fn new(settings: PurifierSettings) -> Self {
        Self {
            settings,
            held: BTreeMap::new(),
            comparing: BTreeMap::new(),
            checks: BTreeMap::new(),
            parked: BTreeMap::new(),
            fates: BTreeMap::new(),
            timers: Timers::new(),
            next_token: 0,
        }
    }

    /// There is a new pair.
    pub fn pair(&mut self, now: Time, pair: PurifyingPair<Id>, out: &mut Vec<PurificationEffect<Id>>) {
        let id = pair.id;
        if self.held.contains_key(&id) || self.fates.contains_key(&id) {
            // The other end has given it up already.
            return out.push(PurificationEffect::Free(pair.memory));
        }
        if self.settings.program.rounds().is_empty() {
            return self.pass(now, pair, Vec::new(), out);
        }
        let held = Held { pair, level: 0, state: State::Idle, history: Vec::new(), revoked: false };
        self.held.insert(id, held);
        self.hold(now, id);
        let waiting = self.parked.values().find(|check| check.kept == id || check.sacrificed == id);
        if let Some(check) = waiting.copied() {
            self.checked(now, check, out);
        }
        self.advance(now, out);
    }

    /// The leader takes what can be compared, what is furthest first.
    fn advance(&mut self, now: Time, out: &mut Vec<PurificationEffect<Id>>) {
        if !self.settings.leads {
            return;
        }
        let program = Arc::clone(&self.settings.program);
        let count = program.rounds().len();
        'again: loop {
            for (level, round) in program.rounds().iter().enumerate().rev() {
                // The oldest come first: names are given in the order of creation.
                let idle = |wanted: usize| {
                    let of = move |held: &&Held<Id>| {
                        held.state == State::Idle && usize::from(held.level) == wanted
                    };
                    self.held.values().filter(of).map(|held| held.pair.id)
                };
                let Some(kept) = idle(level).next() else { continue };
                let other = idle(round.sacrificed.into()).find(|id| *id != kept);
                let Some(sacrificed) = other else { continue };
                let check = Check {
                    kept,
                    level: level as u8,
                    sacrificed,
                    sacrificed_level: round.sacrificed,
                    how: round.how,
                    last: level + 1 == count,
                    outcome: false,
                };
                self.compare(now, check, out);
                continue 'again;
            }
            return;
        }
    }

    /// Has the hardware compare two halves.
    fn compare(&mut self, now: Time, check: Check<Id>, out: &mut Vec<PurificationEffect<Id>>) {
        let mut memories = [MemoryId(0); 2];
        for (id, memory) in [check.kept, check.sacrificed].into_iter().zip(&mut memories) {
            self.timers.cancel(Timer::Hold(id));
            if let Some(held) = self.held.get_mut(&id) {
                held.state = State::Comparing;
                // As it is now: the comparison takes the pairs as they have become.
                let age = now.since(held.pair.made);
                let factors = self.settings.memory.decay(Duration::ZERO, age).factors();
                held.pair.estimate = held.pair.estimate.shrunk(factors.map(|f| f * f));
                held.pair.made = now;
                *memory = held.pair.memory;
            }
        }
        let token = self.next_token;
        self.next_token += 1;
        self.comparing.insert(token, (check, self.settings.leads));
        let [kept, sacrificed] = memories;
        out.push(PurificationEffect::Compare { token, kept, sacrificed, how: check.how });
    }

    /// The hardware has compared two halves: what the sacrificed one gave; without an outcome, both are lost.
    pub fn compared(
        &mut self,
        now: Time,
        token: u64,
        outcome: Option<bool>,
        out: &mut Vec<PurificationEffect<Id>>,
    ) {
        let Some((check, leads)) = self.comparing.remove(&token) else { return };
        let sacrificed = self.held.remove(&check.sacrificed);
        if let Some(sacrificed) = &sacrificed {
            out.push(PurificationEffect::Free(sacrificed.pair.memory));
        }
        self.bury(now, check.sacrificed, Fate::Gone);
        let mut sound = outcome.is_some();
        let (Some(kept), Some(sacrificed)) = (self.held.get_mut(&check.kept), sacrificed) else { return };
        sound &= !kept.revoked && !sacrificed.revoked;
        kept.history.push(check.sacrificed);
        kept.history.extend(&sacrificed.history);
        let (differ, frame) = compared(kept.pair.bell, sacrificed.pair.bell, check.how);
        let (of, with) = (kept.pair.estimate, sacrificed.pair.estimate);
        let outcome = outcome.unwrap_or_default();
        // Whether outcomes agree is known where both are.
        let agreed = leads || (outcome ^ check.outcome) == differ;
        if !sound || !agreed {
            self.give_up(now, check.kept, out);
            let verdict =
                PurificationMessage::Verdict { kept: check.kept, level: check.level, agreed: false };
            let abandon = PurificationMessage::Abandon { pair: check.kept };
            out.push(PurificationEffect::Send(if leads { abandon } else { verdict }));
            if leads {
                let pair = check.sacrificed;
                out.push(PurificationEffect::Send(PurificationMessage::Abandon { pair }));
            }
            return self.advance(now, out);
        }
        kept.pair.bell = frame;
        kept.pair.estimate = of.purify(&with, check.how, &self.settings.quality).kept;
        kept.pair.made = now;
        if leads {
            let check = Check { outcome, ..check };
            kept.state = State::Checking { tries: self.settings.tries.saturating_sub(1) };
            self.checks.insert(check.kept, check);
            self.timers.set(Timer::Again(check.kept), now.saturating_add(self.settings.patience));
            out.push(PurificationEffect::Send(PurificationMessage::Check(check)));
            self.advance(now, out);
        } else {
            let verdict = PurificationMessage::Verdict { kept: check.kept, level: check.level, agreed: true };
            out.push(PurificationEffect::Send(verdict));
            self.rise(now, check, out);
        }
    }

    /// A pair is through a round at both ends.
    fn rise(&mut self, now: Time, check: Check<Id>, out: &mut Vec<PurificationEffect<Id>>) {
        let Some(held) = self.held.get_mut(&check.kept) else { return };
        held.level = check.level + 1;
        held.state = State::Idle;
        if check.last {
            if let Some(Held { pair, history, .. }) = self.held.remove(&check.kept) {
                self.pass(now, pair, history, out);
            }
        } else {
            self.hold(now, check.kept);
        }
    }

    /// An idle pair is waited with for so long, at the end that follows a little longer: the leader's word may be under way.
    fn hold(&mut self, now: Time, id: Id) {
        let late = self.settings.patience.saturating_mul(if self.settings.leads { 0 } else { 2 });
        self.timers.set(Timer::Hold(id), now.saturating_add(self.settings.hold).saturating_add(late));
    }

    fn pass(
        &mut self,
        now: Time,
        pair: PurifyingPair<Id>,
        history: Vec<Id>,
        out: &mut Vec<PurificationEffect<Id>>,
    ) {
        self.bury(now, pair.id, Fate::Passed { history });
        out.push(PurificationEffect::Ready(pair));
    }

    fn bury(&mut self, now: Time, id: Id, fate: Fate<Id>) {
        self.fates.insert(id, fate);
        self.timers.cancel(Timer::Hold(id));
        self.timers.cancel(Timer::Again(id));
        let patience = self.settings.patience.saturating_mul(REMEMBERED);
        let span = patience.max(self.settings.hold.saturating_mul(2));
        self.timers.set(Timer::Forget(id), now.saturating_add(span));
    }

    /// A pair comes to nothing at this end.
    fn give_up(&mut self, now: Time, id: Id, out: &mut Vec<PurificationEffect<Id>>) {
        if let Some(held) = self.held.remove(&id) {
            out.push(PurificationEffect::Free(held.pair.memory));
        }
        self.checks.remove(&id);
        self.bury(now, id, Fate::Gone);
    }

    /// The other end said something. What makes no sense here is ignored.
    pub fn hear(
        &mut self,
        now: Time,
        message: &PurificationMessage<Id>,
        out: &mut Vec<PurificationEffect<Id>>,
    ) {
        match *message {
            PurificationMessage::Check(check) if !self.settings.leads => self.checked(now, check, out),
            PurificationMessage::Verdict { kept, level, agreed } => {
                let Some(check) = self.checks.get(&kept).copied().filter(|check| check.level == level) else {
                    return;
                };
                self.checks.remove(&kept);
                self.timers.cancel(Timer::Again(kept));
                if agreed {
                    self.rise(now, check, out);
                } else {
                    self.give_up(now, kept, out);
                }
                self.advance(now, out);
            }
            PurificationMessage::Abandon { pair } => self.revoked(now, pair, out),
            PurificationMessage::Check(_) => {}
        }
    }

    /// The leader has compared two pairs.
    fn checked(&mut self, now: Time, check: Check<Id>, out: &mut Vec<PurificationEffect<Id>>) {
        let verdict = |agreed| {
            let Check { kept, level, .. } = check;
            PurificationEffect::Send(PurificationMessage::Verdict { kept, level, agreed })
        };
        // The same check may come again, and late: then what was said is said again.
        match (self.fates.get(&check.kept), self.held.get(&check.kept)) {
            (Some(Fate::Passed { .. }), _) => return out.push(verdict(true)),
            (Some(Fate::Gone), _) => {
                out.push(verdict(false));
                return self.revoked(now, check.sacrificed, out);
            }
            (None, Some(held)) if held.level > check.level => return out.push(verdict(true)),
            (None, Some(held)) if held.state == State::Comparing => return,
            _ => {}
        }
        let level = |id: Id| self.held.get(&id).map(|held| (held.level, held.state));
        let gone = self.fates.contains_key(&check.sacrificed);
        match (level(check.kept), level(check.sacrificed)) {
            (Some((a, State::Idle)), Some((b, State::Idle)))
                if (a, b) == (check.level, check.sacrificed_level) =>
            {
                self.unpark(check.kept);
                self.compare(now, check, out);
            }
            (kept, sacrificed) if !gone && (kept.is_none() || sacrificed.is_none()) => {
                // The herald may be later than the leader's word.
                if self.parked.insert(check.kept, check).is_none() {
                    let until = now.saturating_add(self.settings.patience);
                    self.timers.set(Timer::Unknown(check.kept), until);
                }
            }
            _ => {
                self.unpark(check.kept);
                out.push(verdict(false));
                self.give_up(now, check.kept, out);
                self.revoked(now, check.sacrificed, out);
            }
        }
    }

    fn unpark(&mut self, kept: Id) {
        if self.parked.remove(&kept).is_some() {
            self.timers.cancel(Timer::Unknown(kept));
        }
    }

    /// The link has taken a pair back, of whichever of its users.
    pub fn link_revoked(&mut self, now: Time, id: Id, out: &mut Vec<PurificationEffect<Id>>) {
        let made_with = |history: &Vec<Id>| history.contains(&id);
        let concerned = self.held.iter().any(|(of, held)| *of == id || made_with(&held.history))
            || self.fates.iter().any(|(of, fate)| match fate {
                Fate::Passed { history } => *of == id || made_with(history),
                Fate::Gone => false,
            });
        if concerned {
            self.revoked(now, id, out);
        }
    }

    /// A pair is none any more: the link has taken it back, or the other end has given it up. What was made with it is
    /// worthless.
    pub fn revoked(&mut self, now: Time, id: Id, out: &mut Vec<PurificationEffect<Id>>) {
        match self.fates.get(&id) {
            Some(Fate::Passed { .. }) => {
                self.bury(now, id, Fate::Gone);
                out.push(PurificationEffect::Revoked(id));
            }
            Some(Fate::Gone) | None => {}
        }
        if let Some(held) = self.held.get_mut(&id) {
            if held.state == State::Comparing {
                held.revoked = true;
            } else {
                self.lose(now, id, out);
            }
        } else if !self.fates.contains_key(&id) {
            self.bury(now, id, Fate::Gone);
        }
        // What it was sacrificed for.
        let made_with: Vec<_> =
            self.held.values().filter(|held| held.history.contains(&id)).map(|held| held.pair.id).collect();
        for other in made_with {
            match self.held.get_mut(&other) {
                Some(held) if held.state == State::Comparing => held.revoked = true,
                _ => self.lose(now, other, out),
            }
        }
        let passed_with = |(other, fate): (&Id, &Fate<Id>)| match fate {
            Fate::Passed { history } if history.contains(&id) => Some(*other),
            _ => None,
        };
        let passed: Vec<_> = self.fates.iter().filter_map(passed_with).collect();
        for other in passed {
            self.bury(now, other, Fate::Gone);
            out.push(PurificationEffect::Revoked(other));
            out.push(PurificationEffect::Send(PurificationMessage::Abandon { pair: other }));
        }
    }

    /// Gives a pair up, and says so.
    fn lose(&mut self, now: Time, id: Id, out: &mut Vec<PurificationEffect<Id>>) {
        self.give_up(now, id, out);
        out.push(PurificationEffect::Send(PurificationMessage::Abandon { pair: id }));
    }

    /// When [`timeout`](Self::timeout) is wanted next.
    pub fn deadline(&self) -> Option<Time> {
        self.timers.next()
    }

    /// Does what is due.
    pub fn timeout(&mut self, now: Time, out: &mut Vec<PurificationEffect<Id>>) {
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::Hold(id) => self.lose(now, id, out),
                Timer::Forget(id) => _ = self.fates.remove(&id),
                Timer::Unknown(kept) => {
                    if let Some(check) = self.parked.remove(&kept) {
                        let Check { level, sacrificed, .. } = check;
                        let verdict = PurificationMessage::Verdict { kept, level, agreed: false };
                        out.push(PurificationEffect::Send(verdict));
                        self.give_up(now, kept, out);
                        self.revoked(now, sacrificed, out);
                    }
                }
                Timer::Again(kept) => {
                    let Some(check) = self.checks.get(&kept).copied() else { continue };
                    match self.held.get_mut(&kept).map(|held| &mut held.state) {
                        Some(State::Checking { tries }) if *tries > 0 => {
                            *tries -= 1;
                            out.push(PurificationEffect::Send(PurificationMessage::Check(check)));
                            self.timers.set(timer, now.saturating_add(self.settings.patience));
                        }
                        // The other end may have kept it; nobody knows.
                        _ => self.lose(now, kept, out),
                    }
                }
            }
        }
        self.advance(now, out);
    }

    /// Gives up all pairs that are not handed on, but those that the hardware has in hand.
    pub fn flush(&mut self, now: Time, out: &mut Vec<PurificationEffect<Id>>) {
        let all: Vec<_> = self.held.keys().copied().collect();
        for id in all {
            match self.held.get_mut(&id) {
                Some(held) if held.state == State::Comparing => held.revoked = true,
                _ => self.lose(now, id, out),
            }
        }
    }

    /// How many pairs are held, and of how many it is remembered what became of them.
    pub fn held(&self) -> (usize, usize) {
        (self.held.len(), self.fates.len())
    }
}
