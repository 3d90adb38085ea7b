//! A master asks for keys: what it may have is taken from stock, announced, and answered once all that is durable.

use super::api::{ApplicationKey, Audit, DeliveryError, Drought, EncKeys, Event, Protection, Ticket};
use super::combine::{Context, Role};
use super::directory::Requirement;
use super::manager::{KeyManager, Then, Timer, Turn};
use super::name::SaeName;
use super::record::{Change, Entry, Pending, put_ids};
use super::stock::Provenance;
use super::wire::{AnnouncedKey, Announcement, Word};
use crate::keys::KeyId;
use bellwether_bits::{BitString, SecretBits};
use bellwether_units::NodeId;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Where the keys of a request go.
pub(super) struct Plan {
    /// In the order asked for, each once.
    slaves: Vec<SaeName>,
    /// Slaves of this node.
    here: Vec<SaeName>,
    /// Other nodes in the order of their first slave.
    nodes: Vec<(NodeId, Requirement)>,
}

/// A key that was taken: its name, its bytes and where they have been.
pub(super) type Made = (KeyId, Zeroizing<Vec<u8>>, Provenance);

pub(super) fn secret_bits(bytes: &[u8]) -> SecretBits {
    SecretBits::new(BitString::from_bytes(bytes, 8 * bytes.len()))
}

/// What keys rest on that are only as good as each of these.
fn weaker(a: Protection, b: Protection) -> Protection {
    let strength = |p| match p {
        Protection::PostQuantumOnly => 0,
        Protection::QuantumOnly => 1,
        Protection::Hybrid => 2,
        Protection::Local => 3,
    };
    if strength(a) < strength(b) { a } else { b }
}

impl KeyManager {
    pub(super) fn enc_keys(&mut self, turn: &mut Turn<'_>, ask: EncKeys) {
        let plan = match self.plan(turn, &ask) {
            Ok(plan) => plan,
            Err(error) => {
                if error == DeliveryError::NotAllowed {
                    self.deny(turn, &ask.caller, &ask.slave);
                }
                return answer(turn, ask.ticket, Err(error));
            }
        };
        let Err(error) = self.allocate(turn, &ask, &plan) else { return };
        let may_wait = matches!(error, DeliveryError::Insufficient { .. } | DeliveryError::PeerUnreachable);
        if !may_wait || self.open_questions() >= self.settings.waiting_limit {
            return answer(turn, ask.ticket, Err(error));
        }
        let serial = self.next_serial();
        self.timers.set(Timer::Asking(serial), turn.now + self.settings.patience);
        let bits = u64::from(ask.number) * u64::from(ask.bits);
        self.asking.insert(serial, ask);
        for (node, _) in plan.nodes {
            if let Some(peer) = self.peers.get_mut(&node) {
                peer.wanted += bits;
            }
            self.restock(turn, node);
        }
    }

    /// Checks a request.
    fn plan(&self, turn: &Turn<'_>, ask: &EncKeys) -> Result<Plan, DeliveryError> {
        let s = &self.settings;
        if !self.local.contains(&ask.caller) {
            return Err(DeliveryError::NotAllowed);
        }
        let most = s.max_additional_slaves;
        if ask.additional.len() > most as usize {
            return Err(DeliveryError::TooManySlaves { asked: ask.additional.len() as u32, max: most });
        }
        let mut plan = Plan { slaves: Vec::new(), here: Vec::new(), nodes: Vec::new() };
        let mut first_policy = None;
        for slave in core::iter::once(&ask.slave).chain(&ask.additional) {
            if plan.slaves.contains(slave) {
                continue;
            }
            let policy = self.directory.policy(ask.caller.as_str(), slave.as_str());
            let node = self.directory.node_of(slave.as_str());
            let (Some(policy), Some(node)) = (policy, node) else { return Err(DeliveryError::NotAllowed) };
            first_policy.get_or_insert(policy);
            plan.slaves.push(slave.clone());
            if node == self.node {
                plan.here.push(slave.clone());
            } else if let Some((_, wish)) = plan.nodes.iter_mut().find(|(n, _)| *n == node) {
                *wish = wish.and(policy.requirement);
            } else {
                plan.nodes.push((node, policy.requirement));
            }
        }
        if !ask.bits.is_multiple_of(8) || !(s.min_key_bits..=s.max_key_bits).contains(&ask.bits) {
            let (min, max) = (s.min_key_bits, s.max_key_bits);
            return Err(DeliveryError::Size { asked: ask.bits, min, max });
        }
        let max = (s.max_request_bits / u64::from(ask.bits)).min(s.max_keys_per_request.into()) as u32;
        if ask.number == 0 || ask.number > max {
            return Err(DeliveryError::Number { asked: ask.number, max });
        }
        let policy = first_policy.unwrap_or_default();
        self.rates.check(turn.now, &self.directory, policy, ask)?;
        Ok(plan)
    }

    /// Why the network gives no quantum key for keys with a node at present; none while it gives some, or was not asked.
    pub fn drought(&self, peer: NodeId) -> Option<Drought> {
        let reason = self.peers.get(&peer)?.down?;
        Some(Drought { reason, paths: self.settings.paths })
    }

    /// From what stock a node's keys would come, if there is enough.
    pub(super) fn source(
        &self,
        node: NodeId,
        wish: Requirement,
        ask: &EncKeys,
    ) -> Result<Protection, DeliveryError> {
        let Some(peer) = self.peers.get(&node).filter(|p| p.met) else {
            return Err(DeliveryError::PeerUnreachable);
        };
        if self.is_behind(node) {
            return Err(DeliveryError::Busy);
        }
        let bytes = ask.number as usize * (ask.bits / 8) as usize;
        if peer.owned.left() >= bytes {
            let alone = wish == Requirement::QuantumOnly;
            return Ok(if alone { Protection::QuantumOnly } else { Protection::Hybrid });
        }
        let uses = peer.owned.uses_left(self.settings.post_quantum_uses);
        if wish == Requirement::PostQuantumWhileDown && peer.down.is_some() && uses >= ask.number.into() {
            return Ok(Protection::PostQuantumOnly);
        }
        let available = 8 * peer.owned.left() as u64;
        Err(DeliveryError::Insufficient { available, drought: self.drought(node) })
    }

    /// Takes what is asked for, all or nothing.
    fn allocate(&mut self, turn: &mut Turn<'_>, ask: &EncKeys, plan: &Plan) -> Result<(), DeliveryError> {
        let mut sources = Vec::with_capacity(plan.nodes.len());
        for (node, wish) in &plan.nodes {
            sources.push((*node, self.source(*node, *wish, ask)?));
        }
        let waiting = self.pending_of.get(&self.node).copied().unwrap_or(0);
        let room = self.settings.pending_limit.saturating_sub(waiting) >= ask.number as usize;
        if (!room && !plan.here.is_empty()) || self.answering >= self.settings.waiting_limit {
            return Err(DeliveryError::Busy);
        }
        let policy = self.directory.policy(ask.caller.as_str(), ask.slave.as_str()).unwrap_or_default();
        self.rates.charge(turn.now, &self.directory, policy, ask);

        let protection = sources.iter().fold(Protection::Local, |all, (_, one)| weaker(all, *one));
        let mut announced: Vec<Vec<AnnouncedKey>> = sources.iter().map(|_| Vec::new()).collect();
        let mut keys = Vec::with_capacity(ask.number as usize);
        for _ in 0..ask.number {
            let id = KeyId::random(turn.rng);
            let (bytes, provenance) = self.make_key(turn, id, ask, plan, &sources, &mut announced);
            keys.push((id, bytes, Arc::new(provenance)));
        }
        self.commit(turn, ask, plan, protection, &sources, announced, keys);
        for (node, _) in sources {
            let bits = u64::from(ask.number) * u64::from(ask.bits);
            if let Some(peer) = self.peers.get_mut(&node) {
                peer.recent.add(turn.now, bits);
            }
            self.restock(turn, node);
        }
        Ok(())
    }

    /// Keys for one slave, with what is to be announced of them; `from` says whose stock has enough for them, and
    /// how it is combined. Whoever takes them makes that durable.
    pub(super) fn take_keys(
        &mut self,
        turn: &mut Turn<'_>,
        ask: &EncKeys,
        from: Option<(NodeId, Protection)>,
    ) -> (Vec<Made>, Vec<AnnouncedKey>) {
        let plan = Plan { slaves: vec![ask.slave.clone()], here: Vec::new(), nodes: Vec::new() };
        let sources: Vec<_> = from.into_iter().collect();
        let mut announced: Vec<Vec<AnnouncedKey>> = sources.iter().map(|_| Vec::new()).collect();
        let mut keys = Vec::with_capacity(ask.number as usize);
        for _ in 0..ask.number {
            let id = KeyId::random(turn.rng);
            let (bytes, provenance) = self.make_key(turn, id, ask, &plan, &sources, &mut announced);
            keys.push((id, bytes, provenance));
        }
        (keys, announced.pop().unwrap_or_default())
    }

    /// One key: what the first node's stock gives, or random bits; under a pad from the stock of every further node.
    fn make_key(
        &mut self,
        turn: &mut Turn<'_>,
        id: KeyId,
        ask: &EncKeys,
        plan: &Plan,
        sources: &[(NodeId, Protection)],
        announced: &mut [Vec<AnnouncedKey>],
    ) -> (Zeroizing<Vec<u8>>, Provenance) {
        let mut provenance = Provenance::default();
        let mut key: Option<Zeroizing<Vec<u8>>> = None;
        let uses = self.settings.post_quantum_uses;
        for ((node, combined), list) in sources.iter().zip(announced) {
            let taken = self.peers.get_mut(node).and_then(|peer| match combined {
                Protection::PostQuantumOnly => peer.owned.take_secret(uses),
                _ => peer.owned.take((ask.bits / 8) as usize),
            });
            let taken = taken.expect("the sources were found to hold enough for all keys");
            taken.add_provenance(&mut provenance);
            let context = Context {
                protection: *combined,
                role: if key.is_none() { Role::Key } else { Role::Pad },
                id,
                bits: ask.bits,
                master: &ask.caller,
                slaves: &plan.slaves,
            };
            let made = taken.derive(&context);
            let padded = match &key {
                None => Vec::new(),
                Some(key) => key.iter().zip(made.iter()).map(|(a, b)| a ^ b).collect(),
            };
            key.get_or_insert(made);
            list.push(AnnouncedKey { id, pieces: taken.pieces(), padded });
        }
        let key = key.unwrap_or_else(|| {
            let mut bytes = Zeroizing::new(vec![0; (ask.bits / 8) as usize]);
            turn.rng.fill_bytes(&mut bytes);
            bytes
        });
        (key, provenance)
    }

    /// Makes the taking, the announcements and the keys for applications of this node durable, in one record.
    #[expect(clippy::too_many_arguments, reason = "the parts of one request, which is over after this")]
    fn commit(
        &mut self,
        turn: &mut Turn<'_>,
        ask: &EncKeys,
        plan: &Plan,
        protection: Protection,
        sources: &[(NodeId, Protection)],
        announced: Vec<Vec<AnnouncedKey>>,
        keys: Vec<(KeyId, Zeroizing<Vec<u8>>, Arc<Provenance>)>,
    ) {
        let ids: Vec<_> = keys.iter().map(|(id, ..)| *id).collect();
        let (mut changes, mut then) = (Vec::new(), Vec::new());
        let mut nodes = Provenance::default();
        if sources.len() > 1 {
            keys.iter().for_each(|(_, _, provenance)| nodes.add_nodes(&provenance.nodes));
        }
        for ((node, combined), keys) in sources.iter().zip(announced) {
            self.write_taking(*node, &mut changes, &mut then, |number| {
                Word::Keys(Announcement {
                    number,
                    stream: None,
                    master: ask.caller.clone(),
                    slaves: plan.slaves.clone(),
                    bits: ask.bits,
                    combined: *combined,
                    protection,
                    nodes: nodes.nodes.clone(),
                    keys,
                })
            });
        }
        if !plan.here.is_empty() {
            for (id, bytes, provenance) in &keys {
                let pending = Pending {
                    serial: self.next_serial(),
                    key: bytes.clone(),
                    master: ask.caller.clone(),
                    waiting: plan.here.clone(),
                    collected: Vec::new(),
                    protection,
                    provenance: Arc::clone(provenance),
                    origin: self.node,
                    ready: false,
                };
                changes.push(pending.put(*id));
                self.pending.insert(*id, pending);
                *self.pending_of.entry(self.node).or_default() += 1;
            }
            then.push(Then::Ready(ids.clone()));
        }
        let doubt = self.next_serial();
        changes.push(put_ids(Entry::Doubt(doubt), &ids));
        let seen_by = keys.iter().map(|(_, _, provenance)| provenance.nodes.clone()).collect();
        let keys = keys
            .into_iter()
            .map(|(id, bytes, provenance)| ApplicationKey {
                id,
                key: secret_bits(&bytes),
                protection,
                routes: provenance.routes.clone(),
                nodes: provenance.nodes.clone(),
            })
            .collect();
        let audit = Audit::Issued {
            keys: ids,
            nodes: seen_by,
            master: ask.caller.clone(),
            slaves: plan.slaves.clone(),
            bits: ask.bits,
            protection,
        };
        then.push(Then::Answer(ask.ticket, keys, doubt, audit));
        self.answering += 1;
        self.persist(turn, changes, then);
    }

    /// How far a peer's blocks are used now, and the announcement of it.
    pub(super) fn write_taking(
        &mut self,
        node: NodeId,
        changes: &mut Vec<Change>,
        then: &mut Vec<Then>,
        word: impl FnOnce(u64) -> Word,
    ) {
        let touched = self.peers.get_mut(&node).map(|p| p.owned.touched()).unwrap_or_default();
        let mut released = Vec::new();
        for (id, used) in touched {
            if let Some(used) = used {
                changes.push(Entry::OwnedUse(node, id).put(|w| {
                    w.u32(used);
                }));
            } else {
                changes.push(Entry::Owned(node, id).delete());
                changes.push(Entry::OwnedUse(node, id).delete());
                released.push(id);
            }
        }
        if let Some(number) = self.next_word(node) {
            changes.push(self.say(node, word(number)));
            then.push(Then::Announce(node, number));
        }
        if !released.is_empty()
            && let Some(number) = self.next_word(node)
        {
            changes.push(self.say(node, Word::Released(number, released)));
            then.push(Then::Announce(node, number));
        }
        changes.push(self.numbers(node));
    }

    /// The keys are durable: they leave.
    pub(super) fn hand_out(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        keys: Vec<ApplicationKey>,
        doubt: u64,
        audit: Audit,
    ) {
        self.answering -= 1;
        self.note(turn.now, Entry::Doubt(doubt).delete());
        answer(turn, ticket, Ok(keys));
        turn.event(Event::Audit(audit));
    }

    /// Tries the waiting requests again, the oldest first.
    pub(super) fn serve(&mut self, turn: &mut Turn<'_>) {
        for serial in self.asking.keys().copied().collect::<Vec<_>>() {
            self.ask_again(turn, serial, false);
        }
        self.feed_short_streams(turn);
    }

    pub(super) fn asking_due(&mut self, turn: &mut Turn<'_>, serial: u64) {
        self.ask_again(turn, serial, true);
    }

    fn ask_again(&mut self, turn: &mut Turn<'_>, serial: u64, last: bool) {
        let Some(ask) = self.asking.remove(&serial) else { return };
        let result = self.plan(turn, &ask).and_then(|plan| self.allocate(turn, &ask, &plan));
        let over = match &result {
            Err(DeliveryError::Insufficient { .. } | DeliveryError::PeerUnreachable) => last,
            _ => true,
        };
        if !over {
            self.asking.insert(serial, ask);
            return;
        }
        self.timers.cancel(Timer::Asking(serial));
        let bits = u64::from(ask.number) * u64::from(ask.bits);
        let mut nodes = Vec::new();
        for slave in core::iter::once(&ask.slave).chain(&ask.additional) {
            let node = self.directory.node_of(slave.as_str());
            if let Some(node) = node.filter(|n| !nodes.contains(n)) {
                nodes.push(node);
                if let Some(peer) = self.peers.get_mut(&node) {
                    peer.wanted = peer.wanted.saturating_sub(bits);
                }
            }
        }
        if let Err(error) = result {
            answer(turn, ask.ticket, Err(error));
        }
    }
}

pub(super) fn answer(
    turn: &mut Turn<'_>,
    ticket: Ticket,
    result: Result<Vec<ApplicationKey>, DeliveryError>,
) {
    turn.event(Event::Answer { ticket, result });
}
