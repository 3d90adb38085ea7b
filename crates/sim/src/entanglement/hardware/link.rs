//! The attempts of a link: between two armed memories, until a herald comes or one is armed anew.

use super::model::{LinkModel, NextHerald, QubitRole};
use bellwether_protocol::entanglement::link::{Arrival, AttemptTag, Midpoint, MidpointReply};
use bellwether_quantum::pair::PairState;
use bellwether_units::{Stream, Time};
use std::sync::Arc;

/// A link as its hardware knows it.
pub(crate) struct LinkHardware {
    pub(crate) model: Arc<LinkModel>,
    midpoint: Midpoint,
    stream: Stream,
    slots: Vec<Slot>,
    /// Whether light gets through.
    up: bool,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    ends: [SlotEnd; 2],
    /// Counts what made a pending attempt void.
    generation: u32,
    /// The attempt that will be heralded.
    next: Option<NextHerald>,
    /// Since when both ends attempt.
    since: Time,
    /// The cycle from which on attempts count: those before are over.
    not_before: Time,
}

#[derive(Clone, Copy, Default)]
struct SlotEnd {
    armed: Option<(AttemptTag, f64)>,
    /// Its communication qubit is busy elsewhere.
    withheld: bool,
}

/// An attempt will be heralded, and the nearer end can be told, unless something comes between.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    pub(crate) at: Time,
    pub(crate) slot: u16,
    pub(crate) generation: u32,
}

/// A pair was made.
pub(crate) struct Made {
    /// When the attempt began.
    pub(crate) began: Time,
    pub(crate) state: PairState,
    pub(crate) replies: [Option<MidpointReply>; 2],
    /// How many attempts that took since both ends began.
    pub(crate) attempts: u64,
}

impl LinkHardware {
    pub(crate) fn new(model: Arc<LinkModel>, midpoint: Midpoint, stream: Stream, slots: u16) -> Self {
        Self { model, midpoint, stream, slots: vec![Slot::default(); slots.into()], up: true }
    }

    /// An end attempts with a slot from now on, or no longer.
    pub(crate) fn arm(
        &mut self,
        end: usize,
        slot: u16,
        armed: Option<(AttemptTag, f64)>,
        now: Time,
    ) -> Option<Pending> {
        self.slots.get_mut(usize::from(slot))?.ends[end].armed = armed;
        self.renew(slot, now)
    }
    /// An end's communication qubit is busy elsewhere, or no longer.
    pub(crate) fn withhold(&mut self, end: usize, slot: u16, withheld: bool, now: Time) -> Option<Pending> {
        let state = &mut self.slots.get_mut(usize::from(slot))?.ends[end];
        if state.withheld == withheld {
            return None;
        }
        state.withheld = withheld;
        self.renew(slot, now)
    }
    /// Light gets through from now on, or no longer.
    pub(crate) fn set_up(&mut self, up: bool, now: Time) -> Vec<Pending> {
        self.up = up;
        (0..self.slots.len() as u16).filter_map(|slot| self.renew(slot, now)).collect()
    }
    pub(crate) fn heralded(&self) -> u64 {
        self.midpoint.heralded()
    }

    /// How many attempts a slot has made since both ends began, at `now`: for what they do to neighbouring memories.
    pub(crate) fn attempts_until(&self, slot: u16, now: Time) -> u64 {
        let attempting = self.slots.get(usize::from(slot)).filter(|slot| slot.next.is_some());
        attempting.map_or(0, |slot| now.since(slot.since) / self.model.cycle)
    }

    fn renew(&mut self, slot: u16, now: Time) -> Option<Pending> {
        let Self { model, stream, slots, up, .. } = self;
        let state = &mut slots[usize::from(slot)];
        state.generation = state.generation.wrapping_add(1);
        state.next = None;
        if !*up || state.ends.iter().any(|end| end.withheld) {
            return None;
        }
        let [(a, brightness), (b, _)] = [state.ends[0].armed?, state.ends[1].armed?];
        // Photons of different requests tell nothing; the ends agree before long.
        if a.item != b.item || a.slot != b.slot {
            return None;
        }
        let level = model.levels.iter().find(|level| level.brightness == brightness)?;
        let next = model.next(level, now.max(state.not_before), stream)?;
        state.next = Some(next);
        state.since = now;
        let told = model.herald[0].min(model.herald[1]);
        let at = model.begins(next.cycle).saturating_add(told);
        Some(Pending { at, slot, generation: state.generation })
    }

    /// Whether the heralded attempt of a slot has begun, though nobody has been told yet.
    #[inline]
    pub(crate) fn has_begun(&self, slot: u16, now: Time) -> bool {
        let next = self.slots.get(usize::from(slot)).and_then(|slot| slot.next);
        next.is_some_and(|next| self.model.begins(next.cycle) <= now)
    }
    /// The heralded attempts of all slots that have begun, in the order in which they did: what happens to their memories
    /// from now on does not undo them.
    pub(crate) fn begun(&mut self, now: Time) -> Vec<(u16, Made)> {
        let mut begun: Vec<_> = (0..self.slots.len() as u16)
            .filter(|slot| self.has_begun(*slot, now))
            .filter_map(|slot| Some((self.slots[usize::from(slot)].next?.cycle, slot)))
            .collect();
        begun.sort_unstable();
        let made = |(_, slot): (u64, u16)| Some((slot, self.make(slot)?));
        begun.into_iter().filter_map(made).collect()
    }

    /// The first end can be told of a heralded attempt, unless it has been void since.
    pub(crate) fn attempt(&mut self, slot: u16, generation: u32) -> Option<Made> {
        if self.slots[usize::from(slot)].generation != generation {
            return None;
        }
        self.make(slot)
    }
    /// The devices of both ends have stopped for the reply to a heralded attempt.
    fn make(&mut self, slot: u16) -> Option<Made> {
        let state = &mut self.slots[usize::from(slot)];
        let next = state.next.take()?;
        state.generation = state.generation.wrapping_add(1);
        let [(a, brightness), (b, _)] = [state.ends[0].armed.take()?, state.ends[1].armed.take()?];
        state.not_before = self.model.begins(next.cycle + 1);
        let level = self.model.levels.iter().find(|level| level.brightness == brightness)?;
        let (pair, bell) = level.herald(next.port);
        let arrivals = [a, b].map(|tag| Arrival::Announced { tag, cycle: next.cycle });
        let replies = self.midpoint.attempt(arrivals, Some(*bell));
        let began = self.model.begins(next.cycle);
        Some(Made { began, state: pair.clone(), replies, attempts: next.attempts })
    }
}

/// A node's one communication qubit, which its links take in turns.
pub(crate) struct CommunicationQubit {
    /// Who has it.
    owner: Option<Turn>,
    /// Who would like it: those whose pairs move on to storage go first, then in the order of asking.
    waiting: Vec<Turn>,
}

/// A slot of a link's end that uses a communication qubit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) link: u32,
    pub(crate) end: u8,
    pub(crate) slot: u16,
    pub(crate) role: QubitRole,
}

/// Who may use the qubit from now on, and who not any more.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Exchange {
    pub(crate) withheld: Option<Turn>,
    pub(crate) granted: Option<Turn>,
}

impl CommunicationQubit {
    pub(crate) const fn new() -> Self {
        Self { owner: None, waiting: Vec::new() }
    }

    /// A slot wants to attempt. It is withheld at first if somebody else has the qubit.
    pub(crate) fn ask(&mut self, turn: Turn, owner_attempts: bool) -> Exchange {
        match self.owner {
            Some(owner) if owner == turn => self.give_way(owner_attempts),
            None => {
                self.waiting.retain(|other| *other != turn);
                self.owner = Some(turn);
                Exchange { withheld: None, granted: Some(turn) }
            }
            Some(_) => {
                if !self.waiting.contains(&turn) {
                    self.waiting.push(turn);
                }
                let exchange = self.give_way(owner_attempts);
                if exchange.granted == Some(turn) {
                    exchange
                } else {
                    Exchange { withheld: Some(turn), granted: None }
                }
            }
        }
    }
    /// An owner whose pair would stay in the qubit gives way to one whose pair moves on, while it has no pair.
    fn give_way(&mut self, owner_attempts: bool) -> Exchange {
        let storing = self.waiting.iter().position(|turn| turn.role == QubitRole::Storage);
        match (self.owner, storing) {
            (Some(owner), Some(place)) if owner.role == QubitRole::Communication && owner_attempts => {
                let turn = self.waiting.remove(place);
                self.waiting.push(owner);
                self.owner = Some(turn);
                Exchange { withheld: Some(owner), granted: Some(turn) }
            }
            _ => Exchange::default(),
        }
    }
    /// A slot needs the qubit no longer.
    pub(crate) fn done(&mut self, turn: Turn) -> Exchange {
        self.waiting.retain(|other| *other != turn);
        if self.owner != Some(turn) {
            return Exchange::default();
        }
        self.owner = None;
        if self.waiting.is_empty() {
            return Exchange::default();
        }
        let place = self.waiting.iter().position(|turn| turn.role == QubitRole::Storage).unwrap_or(0);
        let next = self.waiting.remove(place);
        self.owner = Some(next);
        Exchange { withheld: None, granted: Some(next) }
    }
    /// Who has it.
    pub(crate) const fn owner(&self) -> Option<Turn> {
        self.owner
    }
}
