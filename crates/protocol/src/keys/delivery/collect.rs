//! A slave collects keys: each once, all of a request or none.

use super::allocate::{answer, secret_bits};
use super::api::{ApplicationKey, Audit, DecKeys, DeliveryError};
use super::manager::{KeyManager, Then, Timer, Turn};
use super::record::{Entry, put_ids};
use crate::keys::KeyId;
use std::collections::BTreeSet;

/// What stands in the way of a collection.
enum Obstacle {
    Error(DeliveryError),
    /// This key is not known, or not yet.
    Unknown(KeyId),
}

impl KeyManager {
    pub(super) fn dec_keys(&mut self, turn: &mut Turn<'_>, ask: DecKeys) {
        let allowed = self.directory.policy(ask.master.as_str(), ask.caller.as_str()).is_some();
        if !allowed || !self.local.contains(&ask.caller) {
            self.deny(turn, &ask.caller, &ask.master);
            return answer(turn, ask.ticket, Err(DeliveryError::NotAllowed));
        }
        let max = self.settings.max_keys_per_request;
        let different = ask.ids.iter().collect::<BTreeSet<_>>().len();
        if ask.ids.is_empty() || ask.ids.len() > max as usize || different < ask.ids.len() {
            let asked = ask.ids.len() as u32;
            return answer(turn, ask.ticket, Err(DeliveryError::Number { asked, max }));
        }
        if self.answering >= self.settings.waiting_limit {
            return answer(turn, ask.ticket, Err(DeliveryError::Busy));
        }
        match self.obstacle(&ask) {
            None => self.collect(turn, &ask),
            Some(Obstacle::Unknown(id)) if self.open_questions() < self.settings.waiting_limit => {
                let serial = self.next_serial();
                self.timers.set(Timer::Collecting(serial), turn.now + self.settings.collect_patience);
                self.awaited.entry(id).or_default().insert(serial);
                self.collecting.insert(serial, ask);
            }
            Some(Obstacle::Unknown(_)) => answer(turn, ask.ticket, Err(DeliveryError::NotFound)),
            Some(Obstacle::Error(error)) => self.refuse(turn, &ask, error),
        }
    }

    fn refuse(&mut self, turn: &mut Turn<'_>, ask: &DecKeys, error: DeliveryError) {
        if error == DeliveryError::NotAllowed {
            self.deny(turn, &ask.caller, &ask.master);
        }
        answer(turn, ask.ticket, Err(error));
    }

    fn obstacle(&self, ask: &DecKeys) -> Option<Obstacle> {
        let (mut unknown, mut gone) = (None, false);
        for id in &ask.ids {
            match self.pending.get(id) {
                Some(key) if key.master != ask.master => gone = true,
                Some(key) if key.collected.contains(&ask.caller) => gone = true,
                Some(key) if !key.waiting.contains(&ask.caller) => {
                    return Some(Obstacle::Error(DeliveryError::NotAllowed));
                }
                Some(key) if key.ready => {}
                _ => unknown = unknown.or(Some(*id)),
            }
        }
        if gone {
            return Some(Obstacle::Error(DeliveryError::NotFound));
        }
        unknown.map(Obstacle::Unknown)
    }

    /// A key that a collection waits for is here.
    pub(super) fn collect_again(&mut self, turn: &mut Turn<'_>, serial: u64) {
        let Some(ask) = self.collecting.get(&serial) else { return };
        match self.obstacle(ask) {
            Some(Obstacle::Unknown(id)) => {
                self.awaited.entry(id).or_default().insert(serial);
            }
            obstacle => {
                let Some(ask) = self.collecting.remove(&serial) else { return };
                self.timers.cancel(Timer::Collecting(serial));
                match obstacle {
                    Some(Obstacle::Error(error)) => self.refuse(turn, &ask, error),
                    _ => self.collect(turn, &ask),
                }
            }
        }
    }

    pub(super) fn collecting_due(&mut self, turn: &mut Turn<'_>, serial: u64) {
        let Some(ask) = self.collecting.remove(&serial) else { return };
        for id in &ask.ids {
            if let Some(serials) = self.awaited.get_mut(id) {
                serials.remove(&serial);
                if serials.is_empty() {
                    self.awaited.remove(id);
                }
            }
        }
        answer(turn, ask.ticket, Err(DeliveryError::NotFound));
    }

    /// Hands out the keys once it is durable that they are collected.
    fn collect(&mut self, turn: &mut Turn<'_>, ask: &DecKeys) {
        let doubt = self.next_serial();
        let (mut keys, mut changes) = (Vec::with_capacity(ask.ids.len()), Vec::new());
        changes.push(put_ids(Entry::Doubt(doubt), &ask.ids));
        for id in &ask.ids {
            let Some(pending) = self.pending.get_mut(id) else { continue };
            pending.waiting.retain(|name| *name != ask.caller);
            pending.collected.push(ask.caller.clone());
            keys.push(ApplicationKey {
                id: *id,
                key: secret_bits(&pending.key),
                protection: pending.protection,
                routes: pending.provenance.routes.clone(),
                nodes: pending.provenance.nodes.clone(),
            });
            if pending.waiting.is_empty() {
                changes.extend(self.forget_pending(*id));
            } else {
                changes.push(pending.put(*id));
            }
        }
        let audit = Audit::Collected {
            keys: ask.ids.clone(),
            nodes: keys.iter().map(|key| key.nodes.clone()).collect(),
            slave: ask.caller.clone(),
            master: ask.master.clone(),
        };
        self.answering += 1;
        self.persist(turn, changes, vec![Then::Answer(ask.ticket, keys, doubt, audit)]);
    }
}
