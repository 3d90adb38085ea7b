//! The source of keys: it takes them from its own links, sends them off, decides whether they stand, and hands
//! them out.

use super::api::{BurnCause, DeliveredKey, Event, Failure, KeyEnd, KeyId, LinkCondition, LossCause};
use super::node::{KeyNode, Then, Timer, Turn};
use super::pool::Stretch;
use super::queue::Waiting;
use super::record::Step;
use super::relay::seal;
use super::tag::TAG_BITS;
use super::wire::{Control, Transfer, Verdict};
use bellwether_bits::{BitString, SecretBits};
use bellwether_units::{Duration, LinkId, NodeId, Time};
use std::collections::{BTreeMap, BTreeSet};
use subtle::ConstantTimeEq;

/// The bits of each of the two tokens that travel with a share.
pub(super) const TOKEN_BITS: usize = 64;
/// The longest wait between two sendings of a decision.
const LONGEST_WAIT: Duration = Duration::from_whole_seconds(60);

#[derive(Default)]
pub(super) struct Source {
    flights: BTreeMap<KeyId, Flight>,
    decisions: BTreeMap<KeyId, Decision>,
    /// Restored keys of which it is not known whether they were handed out.
    doubtful: BTreeSet<KeyId>,
}

/// A key under way.
struct Flight {
    serial: u64,
    to: NodeId,
    shares: Vec<Share>,
    key: SecretBits,
    /// What tells the destination that the key stands.
    commit: u64,
    sendings: u32,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The taking is not durable yet.
    Taking,
    Sent,
    /// All shares are there; the decision is not durable yet.
    Committing,
}

struct Share {
    route: Vec<LinkId>,
    stretches: Vec<Stretch>,
    frame: Vec<u8>,
    token: u64,
    received: bool,
}

/// What a source, or a destination that lost a key, says of it until it is heard.
struct Decision {
    to: NodeId,
    path: Vec<LinkId>,
    verdict: Verdict,
    token: u64,
    sendings: u32,
    until: Time,
}

fn word(bits: &BitString, offset: usize) -> u64 {
    bits.slice(offset..offset + TOKEN_BITS).words().first().copied().unwrap_or(0)
}

/// The parts of a share's payload: the token that it arrived, and its part of the token that the key stands.
pub(super) fn tokens(payload: &BitString, bits: usize) -> (u64, u64) {
    (word(payload, bits), word(payload, bits + TOKEN_BITS))
}
/// The token that a key is void: it is burned then, and its first bits are free to be told.
pub(super) fn void_token(key: &SecretBits) -> u64 {
    word(key.expose(), 0)
}
/// Adds one share's key to the sum of the others.
pub(super) fn add_share(sum: Option<SecretBits>, payload: &BitString, bits: usize) -> SecretBits {
    let mut share = payload.slice(0..bits);
    if let Some(sum) = sum {
        share.xor_with(sum.expose());
    }
    SecretBits::new(share)
}
pub(super) fn same_token(a: u64, b: u64) -> bool {
    a.to_le_bytes().ct_eq(&b.to_le_bytes()).into()
}

impl Source {
    pub(super) fn replay(&mut self, step: &Step) {
        let until = Time::ZERO;
        match step {
            Step::Started { key, to, path, void_token } => {
                let (path, verdict) = (path.clone(), Verdict::Void);
                let decision = Decision { to: *to, path, verdict, token: *void_token, sendings: 0, until };
                self.decisions.insert(*key, decision);
            }
            Step::Committed { key, to, path, token } => {
                let (path, verdict) = (path.clone(), Verdict::Commit);
                self.decisions
                    .insert(*key, Decision { to: *to, path, verdict, token: *token, sendings: 0, until });
                self.doubtful.insert(*key);
            }
            Step::HandedOut { key } => drop(self.doubtful.remove(key)),
            Step::Ended { key } => {
                self.decisions.remove(key);
                self.doubtful.remove(key);
            }
            _ => {}
        }
    }

    /// How many keys are under way, and how many decisions are not heard.
    pub(super) fn under_way(&self) -> usize {
        self.flights.len() + self.decisions.len() + self.doubtful.len()
    }

    /// The steps that stand for all that was replayed. `over` tells of a key that nothing is in doubt of.
    pub(super) fn snapshot(&self, over: impl Fn(&KeyId) -> bool, steps: &mut Vec<Step>) {
        for (&key, flight) in &self.flights {
            let (to, path) = (flight.to, flight.shares.first().map(|s| s.route.clone()).unwrap_or_default());
            steps.push(match flight.phase {
                Phase::Committing => Step::Committed { key, to, path, token: flight.commit },
                Phase::Taking | Phase::Sent => {
                    Step::Started { key, to, path, void_token: void_token(&flight.key) }
                }
            });
        }
        for (&key, decision) in &self.decisions {
            let Decision { to, ref path, verdict, token, .. } = *decision;
            let path = path.clone();
            match verdict {
                Verdict::Void => steps.push(Step::Started { key, to, path, void_token: token }),
                // What this node as a destination says of a key that it lost.
                Verdict::Lost if over(&key) => {}
                _ => {
                    steps.push(Step::Committed { key, to, path, token });
                    if verdict == Verdict::Commit && !self.doubtful.contains(&key) {
                        steps.push(Step::HandedOut { key });
                    }
                }
            }
        }
    }
}

impl KeyNode {
    /// Takes key for a waiting request and sends it off over these routes, one share each. `false` if a first
    /// link holds too little.
    pub(super) fn launch(
        &mut self,
        turn: &mut Turn<'_>,
        serial: u64,
        waiting: &Waiting,
        routes: Vec<Vec<LinkId>>,
    ) -> bool {
        let need = waiting.bits + 2 * TOKEN_BITS as u32 + TAG_BITS;
        let first = |route: &Vec<LinkId>| route.first().copied();
        if !routes
            .iter()
            .all(|r| first(r).and_then(|link| self.link(link)).is_some_and(|end| end.pool.can_take(need)))
        {
            routes.iter().filter_map(first).for_each(|link| self.borrow(turn, link));
            return false;
        }
        let key = KeyId::random(turn.rng);
        let (mut shares, mut steps, mut commit, mut sum) = (Vec::new(), Vec::new(), 0, None);
        let count = routes.len() as u8;
        for (i, route) in routes.into_iter().enumerate() {
            let Some(link) = first(&route) else { continue };
            let Some(taken) = self.link_mut(link).and_then(|end| end.pool.take(need)) else { continue };
            let bits = waiting.bits as usize;
            let (token, part) = tokens(&taken.bits, bits);
            commit ^= part;
            sum = Some(add_share(sum, &taken.bits, bits));
            let mut transfer = Transfer {
                key,
                share: i as u8,
                shares: count,
                from: self.node,
                bits: waiting.bits,
                request: waiting.request,
                demand: waiting.demand,
                route,
                hop: 0,
                stretches: Vec::new(),
                ciphertext: BitString::default(),
            };
            let frame = seal(&mut transfer, None, &taken);
            steps.push(Step::Taken { link, stretches: taken.stretches.clone() });
            let (route, stretches) = (transfer.route, taken.stretches);
            shares.push(Share { route, stretches, frame, token, received: false });
            self.note_level(turn, link);
            self.borrow(turn, link);
        }
        let sum = sum.unwrap_or_default();
        let path = shares.first().map(|s| s.route.clone()).unwrap_or_default();
        steps.push(Step::Started { key, to: waiting.to, path, void_token: void_token(&sum) });
        let flight =
            Flight { serial, to: waiting.to, shares, key: sum, commit, sendings: 0, phase: Phase::Taking };
        self.source.flights.insert(key, flight);
        self.persist(turn, steps, Then::SendTransfer(key));
        true
    }

    /// Sends what is not acknowledged, for the first time or again.
    pub(super) fn send_transfer(&mut self, turn: &mut Turn<'_>, key: KeyId) {
        let Some(flight) = self.source.flights.get_mut(&key) else { return };
        flight.phase = Phase::Sent;
        flight.sendings += 1;
        let mut hops = 0;
        for share in flight.shares.iter().filter(|s| !s.received) {
            hops = hops.max(share.route.len() as u64);
            if let Some(to) = share.route.first().and_then(|&l| self.topology.other_end(l, self.node)) {
                turn.send_bytes(to, share.frame.clone());
            }
        }
        let wait = self.settings.retransmit.saturating_mul(7 + hops) / 8;
        let wait = wait.saturating_mul(1 << (flight.sendings - 1).min(16));
        self.timers.set(Timer::Flight(key), turn.now.saturating_add(wait));
    }

    pub(super) fn flight_due(&mut self, turn: &mut Turn<'_>, key: KeyId) {
        match self.source.flights.get(&key) {
            Some(flight) if flight.phase != Phase::Sent => {}
            Some(flight) if flight.sendings < self.settings.sendings => self.send_transfer(turn, key),
            Some(_) => self.give_up(turn, key, None, Failure::Silence),
            None => {}
        }
    }

    pub(super) fn share_received(&mut self, turn: &mut Turn<'_>, control: &Control) {
        let Some(flight) = self.source.flights.get_mut(&control.key) else { return };
        let Some(share) = flight.shares.get_mut(usize::from(control.share)) else { return };
        if control.from != flight.to || share.received || flight.phase != Phase::Sent {
            return;
        }
        let first = share.route[0];
        if !same_token(share.token, control.token) {
            return turn.event(Event::Forged { link: first });
        }
        share.received = true;
        let stretches = share.stretches.clone();
        let whole = flight.shares.iter().all(|s| s.received);
        if whole {
            flight.phase = Phase::Committing;
            let path = flight.shares[0].route.clone();
            let step = Step::Committed { key: control.key, to: flight.to, path, token: flight.commit };
            self.timers.cancel(Timer::Flight(control.key));
            self.persist(turn, vec![step], Then::HandOut(control.key));
        }
        if let Some(end) = self.link_mut(first) {
            end.pool.settle(&stretches);
        }
    }

    /// The decision is durable: the key is the application's, and the destination is told.
    pub(super) fn hand_out(&mut self, turn: &mut Turn<'_>, key: KeyId) {
        let Some(flight) = self.source.flights.remove(&key) else { return };
        let Some(done) = self.queue.deliver(flight.serial, turn.now) else { return };
        self.timers.cancel(Timer::Patience(flight.serial));
        let routes: Vec<_> = flight.shares.into_iter().map(|s| s.route).collect();
        let nodes = seen_by(&self.topology, self.node, flight.to, &routes);
        let path = routes.first().cloned().unwrap_or_default();
        turn.event(Event::Delivered(Box::new(DeliveredKey {
            id: key,
            end: KeyEnd::Source,
            from: self.node,
            to: flight.to,
            key: flight.key,
            routes,
            nodes,
            demand: done.demand,
            request: done.request,
            since: done.since,
        })));
        self.note(turn.now, Step::HandedOut { key });
        self.decide(turn, key, flight.to, path, Verdict::Commit, flight.commit);
    }

    pub(super) fn share_failed(
        &mut self,
        turn: &mut Turn<'_>,
        control: &Control,
        link: Option<LinkId>,
        failure: Failure,
    ) {
        if self.source.flights.get(&control.key).is_some_and(|f| f.phase == Phase::Sent) {
            self.give_up(turn, control.key, link, failure);
        }
    }

    /// Burns a key under way, and lets its request be tried again.
    fn give_up(&mut self, turn: &mut Turn<'_>, key: KeyId, link: Option<LinkId>, failure: Failure) {
        let Some(flight) = self.source.flights.remove(&key) else { return };
        self.timers.cancel(Timer::Flight(key));
        let until = turn.now.saturating_add(self.settings.penalty);
        let blamed: Vec<LinkId> = match link {
            Some(link) => vec![link],
            None => flight.shares.iter().filter(|s| !s.received).flat_map(|s| s.route.clone()).collect(),
        };
        blamed.into_iter().for_each(|link| self.view.avoid(link, until, failure));
        for share in &flight.shares {
            let first = share.route[0];
            let Some(end) = self.link_mut(first) else { continue };
            if !share.received {
                end.pool.settle(&share.stretches);
            }
            let burned = end.pool.write_off(&share.stretches);
            self.tell_burned(turn, first, burned, BurnCause::TransferFailed);
            if failure == Failure::PoolMismatch && link == Some(first) {
                self.burn_mismatch(turn, first, &share.stretches);
            }
        }
        let path = flight.shares.first().map(|s| s.route.clone()).unwrap_or_default();
        if flight.phase == Phase::Taking {
            // Nothing was sent: nobody else has heard of this key.
            self.note(turn.now, Step::Ended { key });
        } else {
            self.decide(turn, key, flight.to, path, Verdict::Void, void_token(&flight.key));
        }
        self.retry(turn, flight.serial, key, link, failure);
    }

    /// Gives up the keys under way that can no longer arrive.
    pub(super) fn give_up_broken_routes(&mut self, turn: &mut Turn<'_>) {
        let broken: Vec<_> = self
            .source
            .flights
            .iter()
            .filter(|(_, flight)| flight.phase != Phase::Committing)
            .filter_map(|(&key, flight)| {
                let open = flight.shares.iter().filter(|s| !s.received).flat_map(|s| &s.route);
                let mut bad = open.map(|&link| (link, self.condition(link)));
                bad.find(|&(_, condition)| condition != LinkCondition::Up).map(|(link, c)| (key, link, c))
            })
            .collect();
        for (key, link, condition) in broken {
            let failure =
                if condition == LinkCondition::Cut { Failure::LinkCut } else { Failure::LinkAlarmed };
            self.give_up(turn, key, Some(link), failure);
        }
    }

    /// Says a decision, and remembers it until it is heard.
    pub(super) fn decide(
        &mut self,
        turn: &mut Turn<'_>,
        key: KeyId,
        to: NodeId,
        path: Vec<LinkId>,
        verdict: Verdict,
        token: u64,
    ) {
        let until = turn.now.saturating_add(self.settings.doubt_limit);
        self.source.decisions.insert(key, Decision { to, path, verdict, token, sendings: 0, until });
        self.decision_due(turn, key);
    }

    pub(super) fn decision_due(&mut self, turn: &mut Turn<'_>, key: KeyId) {
        let Some(decision) = self.source.decisions.get_mut(&key) else { return };
        if decision.until <= turn.now {
            let (peer, stood) = (decision.to, decision.verdict == Verdict::Commit);
            self.source.decisions.remove(&key);
            self.note(turn.now, Step::Ended { key });
            if stood {
                self.destination.settle(key, false);
                turn.event(Event::Lost { key, peer, handed_out: true, cause: LossCause::Doubt });
            }
            return;
        }
        // A key that is void was mostly never heard of: its destination asks if it was.
        let once = decision.verdict == Verdict::Void && decision.sendings > 0;
        decision.sendings += 1;
        let wait = self.settings.retransmit.saturating_mul(2 << decision.sendings.min(16)).min(LONGEST_WAIT);
        let next = if once || decision.verdict == Verdict::Void {
            decision.until
        } else {
            turn.now.saturating_add(wait)
        };
        let next = next.min(decision.until);
        let (to, verdict, token, sendings) =
            (decision.to, decision.verdict, decision.token, decision.sendings);
        let mut path = decision.path.clone();
        if !once {
            if sendings > 2 {
                path = self.other_path(to).unwrap_or(path);
            }
            self.say(turn, key, 0, verdict, token, path);
        }
        self.timers.set(Timer::Decision(key), next);
    }

    pub(super) fn answer_query(&mut self, turn: &mut Turn<'_>, control: &Control, back: Vec<LinkId>) {
        let key = control.key;
        if self.source.flights.contains_key(&key) {
            return;
        }
        let (verdict, token) = match self.source.decisions.get(&key) {
            Some(decision) if decision.to != control.from => return,
            Some(decision) => (decision.verdict, decision.token),
            None => (Verdict::Lost, 0),
        };
        self.say(turn, key, 0, verdict, token, back);
    }

    pub(super) fn decision_heard(&mut self, turn: &mut Turn<'_>, control: &Control) {
        let Some(decision) = self.source.decisions.get(&control.key) else { return };
        if decision.to == control.from {
            if decision.verdict == Verdict::Commit {
                self.destination.settle(control.key, true);
            }
            self.source.decisions.remove(&control.key);
            self.timers.cancel(Timer::Decision(control.key));
            self.note(turn.now, Step::Ended { key: control.key });
        }
    }

    /// The destination does not have, or no longer has, a key that stands.
    pub(super) fn lost_at_destination(&mut self, turn: &mut Turn<'_>, control: &Control) -> bool {
        let key = control.key;
        let Some(decision) = self.source.decisions.get(&key).filter(|d| d.to == control.from) else {
            return self.source.flights.contains_key(&key);
        };
        let stood = decision.verdict == Verdict::Commit;
        self.source.decisions.remove(&key);
        self.timers.cancel(Timer::Decision(key));
        self.note(turn.now, Step::Ended { key });
        if stood {
            self.destination.settle(key, false);
            let (peer, cause) = (control.from, LossCause::PeerLost);
            turn.event(Event::Lost { key, peer, handed_out: true, cause });
        }
        true
    }

    pub(super) fn restart_source(&mut self, turn: &mut Turn<'_>) {
        let keys: Vec<_> = self.source.decisions.keys().copied().collect();
        let doubtful = core::mem::take(&mut self.source.doubtful);
        for key in keys {
            let until = turn.now.saturating_add(self.settings.doubt_limit);
            let Some(decision) = self.source.decisions.get_mut(&key) else { continue };
            decision.until = until;
            if doubtful.contains(&key) {
                // The key may be out or not. It is burned, and the other end is told.
                decision.verdict = Verdict::Lost;
                let peer = decision.to;
                turn.event(Event::Lost { key, peer, handed_out: true, cause: LossCause::Crash });
            }
            self.decision_due(turn, key);
        }
    }
}

/// All nodes that have seen part of a key.
pub(super) fn seen_by(
    topology: &super::Topology,
    from: NodeId,
    to: NodeId,
    routes: &[Vec<LinkId>],
) -> Vec<NodeId> {
    let mut nodes = vec![from];
    for route in routes {
        let along = topology.nodes_on(from, route).unwrap_or_default();
        nodes.extend(along.into_iter().filter(|&n| n != from && n != to));
    }
    nodes.push(to);
    nodes
}
