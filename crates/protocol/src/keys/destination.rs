//! The destination of keys: it holds them until the source has decided, and hands them out.

use super::api::{DeliveredKey, Event, KeyEnd, KeyId, LossCause};
use super::node::{KeyNode, Then, Timer, Turn};
use super::record::{HeldShare, Step};
use super::source::{add_share, same_token, seen_by, tokens, void_token};
use super::wire::{Control, Transfer, Verdict};
use bellwether_bits::SecretBits;
use bellwether_units::{LinkId, Time};
use std::collections::{BTreeMap, VecDeque};

/// How many keys a node remembers that are over.
const SETTLED_LIMIT: usize = 1 << 16;

#[derive(Default)]
pub(super) struct Destination {
    pub(super) held: BTreeMap<KeyId, Held>,
    /// Keys that are over, at either end: whether they stand.
    settled: BTreeMap<KeyId, bool>,
    order: VecDeque<KeyId>,
}

/// A key that is here, or a part of it.
pub(super) struct Held {
    shares: Vec<Option<(HeldShare, bool)>>,
    since: Time,
    queries: u32,
    /// The source said that it stands; that is not durable yet, or in doubt after a restart.
    delivering: bool,
}

impl Held {
    fn first(&self) -> Option<&HeldShare> {
        self.shares.iter().flatten().map(|(share, _)| share).next()
    }
    /// The key and the tokens that it stands and that it is void, if all shares are here.
    fn whole(&self) -> Option<(SecretBits, u64, u64)> {
        let (mut sum, mut commit) = (None, 0);
        for slot in &self.shares {
            let (share, _) = slot.as_ref()?;
            let (payload, bits) = (share.payload.expose(), share.bits as usize);
            commit ^= tokens(payload, bits).1;
            sum = Some(add_share(sum, payload, bits));
        }
        let key = sum?;
        let void = void_token(&key);
        Some((key, commit, void))
    }
}

impl Destination {
    pub(super) fn replay(&mut self, step: &Step) {
        match step {
            Step::Held { key, share } => self.insert(*key, share.duplicate(), true, Time::ZERO),
            Step::Delivered { key } => {
                if let Some(held) = self.held.get_mut(key) {
                    held.delivering = true;
                }
            }
            Step::HandedOut { key } => {
                self.held.remove(key);
                self.settle(*key, true);
            }
            Step::Ended { key } if self.held.remove(key).is_some() => self.settle(*key, false),
            Step::Over { keys, stand } => keys.iter().for_each(|&key| self.settle(key, *stand)),
            _ => {}
        }
    }

    /// The steps that stand for all that was replayed.
    pub(super) fn snapshot(&self, steps: &mut Vec<Step>) {
        let stands = |key: &KeyId| self.settled.get(key).copied().unwrap_or_default();
        let order: Vec<KeyId> = self.order.iter().copied().collect();
        for keys in order.chunk_by(|a, b| stands(a) == stands(b)) {
            steps.push(Step::Over { keys: keys.to_vec(), stand: keys.first().is_some_and(stands) });
        }
        for (&key, held) in &self.held {
            let shares = held.shares.iter().flatten();
            steps.extend(shares.map(|(share, _)| Step::Held { key, share: share.duplicate() }));
            if held.delivering {
                steps.push(Step::Delivered { key });
            }
        }
    }

    /// Whether a key is remembered as over.
    pub(super) fn is_over(&self, key: &KeyId) -> bool {
        self.settled.contains_key(key)
    }

    fn insert(&mut self, key: KeyId, share: HeldShare, durable: bool, since: Time) {
        let held = self.held.entry(key).or_insert_with(|| Held {
            shares: (0..share.shares).map(|_| None).collect(),
            since,
            queries: 0,
            delivering: false,
        });
        let place = usize::from(share.share);
        if let Some(slot) = held.shares.get_mut(place) {
            *slot = Some((share, durable));
        }
    }

    /// Remembers that a key is over.
    pub(super) fn settle(&mut self, key: KeyId, stands: bool) {
        if self.settled.insert(key, stands).is_none() {
            self.order.push_back(key);
            if self.order.len() > SETTLED_LIMIT
                && let Some(oldest) = self.order.pop_front()
            {
                self.settled.remove(&oldest);
            }
        }
    }
}

impl KeyNode {
    /// Whether the share came before; if it is durable, it is acknowledged again.
    pub(super) fn already_held(&mut self, turn: &mut Turn<'_>, transfer: &Transfer) -> bool {
        if self.destination.settled.contains_key(&transfer.key) {
            return true;
        }
        let place = usize::from(transfer.share);
        match self.destination.held.get(&transfer.key).and_then(|held| held.shares.get(place)) {
            Some(Some((_, durable))) => {
                if *durable {
                    self.acknowledge(turn, transfer.key, transfer.share);
                }
                true
            }
            _ => false,
        }
    }

    /// Whether there is room for the share, and it agrees with those that came before.
    pub(super) fn may_hold(&self, transfer: &Transfer) -> bool {
        match self.destination.held.get(&transfer.key) {
            Some(held) => held.first().is_none_or(|first| {
                (first.from, first.shares, first.bits, first.request, first.demand)
                    == (transfer.from, transfer.shares, transfer.bits, transfer.request, transfer.demand)
            }),
            None => self.destination.held.len() < self.settings.transfer_limit,
        }
    }

    pub(super) fn hold(&mut self, turn: &mut Turn<'_>, t: Transfer, payload: SecretBits, received: Step) {
        let (key, place) = (t.key, t.share);
        let share = HeldShare {
            share: t.share,
            shares: t.shares,
            from: t.from,
            bits: t.bits,
            request: t.request,
            demand: t.demand,
            route: t.route,
            payload,
        };
        let steps = vec![received, Step::Held { key, share: share.duplicate() }];
        self.destination.insert(key, share, false, turn.now);
        self.persist(turn, steps, Then::Acknowledge(key, place));
        self.timers.set_by(Timer::Held(key), turn.now.saturating_add(self.settings.query));
    }

    /// The share is durable: the source may know.
    pub(super) fn acknowledge(&mut self, turn: &mut Turn<'_>, key: KeyId, place: u8) {
        let Some(held) = self.destination.held.get_mut(&key) else { return };
        let Some(Some((share, durable))) = held.shares.get_mut(usize::from(place)) else { return };
        *durable = true;
        let token = tokens(share.payload.expose(), share.bits as usize).0;
        let path = share.route.iter().rev().copied().collect();
        self.say(turn, key, place, Verdict::Received, token, path);
    }

    pub(super) fn hear_commit(&mut self, turn: &mut Turn<'_>, control: &Control, back: Vec<LinkId>) {
        let key = control.key;
        let Some(held) = self.destination.held.get_mut(&key) else {
            let answer = match self.destination.settled.get(&key) {
                Some(true) => Verdict::Done,
                _ => Verdict::Lost,
            };
            return self.say(turn, key, 0, answer, 0, back);
        };
        if held.delivering || held.first().is_none_or(|first| first.from != control.from) {
            return;
        }
        match held.whole() {
            Some((_, commit, _)) if same_token(commit, control.token) => {
                held.delivering = true;
                self.timers.cancel(Timer::Held(key));
                self.persist(turn, vec![Step::Delivered { key }], Then::Deliver(key));
            }
            _ => self.forged(turn, control),
        }
    }

    fn forged(&self, turn: &mut Turn<'_>, control: &Control) {
        if let Some(&link) = control.path.last() {
            turn.event(Event::Forged { link });
        }
    }

    /// It is durable that the key stands: it is the application's.
    pub(super) fn deliver(&mut self, turn: &mut Turn<'_>, key: KeyId) {
        let Some(mut held) = self.destination.held.remove(&key) else { return };
        let Some((bits, _, _)) = held.whole() else { return };
        let (mut routes, mut about) = (Vec::new(), None);
        for (share, _) in held.shares.iter_mut().flatten() {
            routes.push(core::mem::take(&mut share.route));
            about = Some((share.from, share.request, share.demand));
        }
        let Some((from, request, demand)) = about else { return };
        let nodes = seen_by(&self.topology, from, self.node, &routes);
        let back = routes.first().map(|r| r.iter().rev().copied().collect()).unwrap_or_default();
        turn.event(Event::Delivered(Box::new(DeliveredKey {
            id: key,
            end: KeyEnd::Destination,
            from,
            to: self.node,
            key: bits,
            routes,
            nodes,
            demand,
            request,
            since: held.since,
        })));
        self.note(turn.now, Step::HandedOut { key });
        self.destination.settle(key, true);
        self.say(turn, key, 0, Verdict::Done, 0, back);
    }

    pub(super) fn hear_void(&mut self, turn: &mut Turn<'_>, control: &Control, back: Vec<LinkId>) {
        let key = control.key;
        if let Some(held) = self.destination.held.get(&key) {
            if held.delivering || held.first().is_none_or(|first| first.from != control.from) {
                return;
            }
            // A key of which a share is missing can never stand, so that its end needs no proof.
            if let Some((_, _, void)) = held.whole()
                && !same_token(void, control.token)
            {
                return self.forged(turn, control);
            }
            self.drop_held(turn, key);
        }
        self.say(turn, key, 0, Verdict::Done, 0, back);
    }

    fn drop_held(&mut self, turn: &mut Turn<'_>, key: KeyId) {
        self.destination.held.remove(&key);
        self.destination.settle(key, false);
        self.timers.cancel(Timer::Held(key));
        self.note(turn.now, Step::Ended { key });
    }

    pub(super) fn hear_lost(&mut self, turn: &mut Turn<'_>, control: &Control, back: Vec<LinkId>) {
        let (key, peer, cause) = (control.key, control.from, LossCause::PeerLost);
        if !self.lost_at_destination(turn, control) {
            match self.destination.held.get(&key) {
                Some(held) if held.first().is_none_or(|first| first.from != peer) => return,
                Some(_) => {
                    self.drop_held(turn, key);
                    turn.event(Event::Lost { key, peer, handed_out: false, cause });
                }
                None if self.destination.settled.get(&key) == Some(&true) => {
                    self.destination.settle(key, false);
                    turn.event(Event::Lost { key, peer, handed_out: true, cause });
                }
                None => {}
            }
        }
        self.say(turn, key, 0, Verdict::Done, 0, back);
    }

    /// Asks the source about a key that it has not decided, and gives it up in the end.
    pub(super) fn held_due(&mut self, turn: &mut Turn<'_>, key: KeyId) {
        let Some(held) = self.destination.held.get_mut(&key) else { return };
        if held.delivering {
            return;
        }
        let Some((peer, route)) = held.first().map(|first| (first.from, first.route.clone())) else { return };
        if turn.now >= held.since.saturating_add(self.settings.doubt_limit) {
            self.drop_held(turn, key);
            return turn.event(Event::Lost { key, peer, handed_out: false, cause: LossCause::Doubt });
        }
        held.queries += 1;
        let queries = held.queries;
        let wait = self.settings.query.saturating_mul(1 << queries.min(5));
        let mut path: Vec<_> = route.iter().rev().copied().collect();
        if queries > 2 {
            path = self.other_path(peer).unwrap_or(path);
        }
        self.say(turn, key, 0, Verdict::Query, 0, path);
        self.timers.set(Timer::Held(key), turn.now.saturating_add(wait));
    }

    pub(super) fn restart_destination(&mut self, turn: &mut Turn<'_>) {
        let keys: Vec<_> = self.destination.held.keys().copied().collect();
        for key in keys {
            let Some(held) = self.destination.held.get_mut(&key) else { continue };
            held.since = turn.now;
            if !held.delivering {
                self.held_due(turn, key);
                continue;
            }
            // The key may be out or not. It is burned, and the source is told.
            let Some((peer, route)) = held.first().map(|f| (f.from, f.route.clone())) else { continue };
            self.drop_held(turn, key);
            turn.event(Event::Lost { key, peer, handed_out: true, cause: LossCause::Crash });
            let path = route.into_iter().rev().collect();
            self.decide(turn, key, peer, path, Verdict::Lost, 0);
        }
    }
}
