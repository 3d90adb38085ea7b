//! The owner's announcements to the holder of what it took, numbered, applied in order and once.

use super::api::{Event, LostCause, Protection};
use super::combine::{Context, Role};
use super::manager::{KeyManager, Then, Timer, Turn};
use super::record::{Change, Entry, Pending, put_ids};
use super::stock::Provenance;
use super::wire::{AnnouncedKey, Announcement, Body, FULL_FRAME, MAX_ENTRIES, Word};
use crate::keys::KeyId;
use bellwether_units::NodeId;
use std::sync::Arc;

impl KeyManager {
    /// The number of the next announcement to a peer.
    pub(super) fn next_word(&mut self, node: NodeId) -> Option<u64> {
        let peer = self.peers.get_mut(&node)?;
        peer.said += 1;
        Some(peer.said)
    }

    /// Remembers an announcement; whoever says it makes the change durable.
    pub(super) fn say(&mut self, node: NodeId, word: Word) -> Change {
        let change = Entry::Word(node, word.number()).put(|w| word.write(w));
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.words.insert(word.number(), word);
        }
        change
    }

    /// An announcement is durable.
    pub(super) fn announce(&mut self, turn: &mut Turn<'_>, node: NodeId, number: u64) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        peer.durable = peer.durable.max(number);
        self.timers.set_by(Timer::Flush(node), turn.now + self.settings.batch);
    }

    /// Sends what was not sent since the two met.
    pub(super) fn flush(&mut self, turn: &mut Turn<'_>, node: NodeId) {
        while self.send_words(turn, node) {}
        let Some(peer) = self.peers.get(&node) else { return };
        if peer.met && peer.base() <= peer.durable {
            self.timers.set_by(Timer::Resend(node), turn.now + self.settings.resend);
        }
    }

    /// Sends one frame of announcements; whether more are to be sent.
    fn send_words(&mut self, turn: &mut Turn<'_>, node: NodeId) -> bool {
        let Some(peer) = self.peers.get_mut(&node) else { return false };
        if !peer.met || peer.sent >= peer.durable {
            return false;
        }
        let (mut words, mut size) = (Vec::new(), 0);
        for (_, word) in peer.words.range(peer.sent + 1..=peer.durable) {
            if size > FULL_FRAME || words.len() == MAX_ENTRIES {
                break;
            }
            size += word.size();
            words.push(word.clone());
        }
        // Numbers that are skipped belong to announcements that are acknowledged.
        peer.sent = words.last().map_or(peer.durable, Word::number);
        let (base, more) = (peer.base(), peer.sent < peer.durable);
        if !words.is_empty() {
            self.send(turn, node, Body::Announce { base, words });
        }
        more
    }

    pub(super) fn resend_due(&mut self, turn: &mut Turn<'_>, node: NodeId) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        let base = peer.base();
        if !peer.met || base > peer.durable {
            return;
        }
        // One frame, until something is acknowledged.
        peer.sent = base - 1;
        peer.resends += 1;
        let wait = self.settings.backoff(self.settings.resend, peer.resends);
        self.send_words(turn, node);
        self.timers.set(Timer::Resend(node), turn.now + wait);
    }

    pub(super) fn hear_ack(
        &mut self,
        turn: &mut Turn<'_>,
        node: NodeId,
        heard: u64,
        missing: Vec<(u64, Vec<KeyId>)>,
    ) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        if heard > peer.durable {
            return;
        }
        let (mut lost, mut not_there) = (Vec::new(), Vec::new());
        for (number, keys) in missing {
            if let Some(Word::Keys(said)) = peer.words.get(&number).filter(|_| number <= heard) {
                // Chunks of streams are handed out only now, so that nobody has one that the other end lacks.
                let list = if said.stream.is_some() { &mut not_there } else { &mut lost };
                list.extend(keys.into_iter().filter(|key| said.keys.iter().any(|k| k.id == *key)));
            }
        }
        let waiting = peer.words.split_off(&heard.saturating_add(1));
        let acknowledged = core::mem::replace(&mut peer.words, waiting);
        if acknowledged.is_empty() {
            return;
        }
        peer.resends = 0;
        peer.sent = peer.sent.max(heard);
        let more = peer.base() <= peer.durable;
        for (number, word) in acknowledged {
            self.note(turn.now, Entry::Word(node, number).delete());
            if let Word::Keys(said) = &word {
                self.chunks_agreed(turn, said, &not_there);
            }
        }
        self.report_lost(turn, &lost, LostCause::PeerMissing);
        self.timers.cancel(Timer::Resend(node));
        if more {
            self.flush(turn, node);
        }
        self.serve(turn);
    }

    pub(super) fn hear_announcements(
        &mut self,
        turn: &mut Turn<'_>,
        node: NodeId,
        base: u64,
        words: Vec<Word>,
    ) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        let kept = peer.missing.split_off(&base);
        let over = core::mem::replace(&mut peer.missing, kept);
        for number in over.into_keys() {
            self.note(turn.now, Entry::Missing(node, number).delete());
        }
        let (mut changes, mut new, mut applied, mut then) = (Vec::new(), Vec::new(), 0, Vec::new());
        let Some(peer) = self.peers.get_mut(&node) else { return };
        if base > peer.applied.saturating_add(1) && base <= u64::MAX >> 1 {
            // What this node forgot was taken back, and so was what the other said before it heard of that.
            peer.applied = base - 1;
            applied = peer.applied;
        }
        for word in words {
            let Some(peer) = self.peers.get_mut(&node) else { return };
            if word.number() <= peer.applied {
                continue;
            }
            let waiting = self.pending_of.get(&node).copied().unwrap_or(0);
            // News of a stream may have to be answered: whoever hears no answers sends no more of them.
            let answers = 2 * self.settings.announcement_limit.max(MAX_ENTRIES);
            let full = match word {
                Word::Stream(..) => peer.words.len() >= answers,
                _ => waiting >= self.settings.pending_limit || peer.missing.len() >= MAX_ENTRIES,
            };
            if word.number() != peer.applied + 1 || full {
                break;
            }
            peer.applied += 1;
            applied = peer.applied;
            match word {
                Word::Keys(said) if said.stream.is_some() => {
                    let missing = self.hear_chunks(turn, node, &said, (&mut changes, &mut then));
                    self.count_missing(node, said.number, missing, &mut changes);
                }
                Word::Keys(announcement) => self.apply(node, &announcement, &mut changes, &mut new),
                Word::Stream(_, id, word) => {
                    self.hear_stream(turn, node, id, word, (&mut changes, &mut then));
                }
                Word::Released(_, blocks) => {
                    for id in blocks {
                        if let Some(peer) = self.peers.get_mut(&node)
                            && peer.held.blocks.remove(&id).is_some()
                        {
                            self.timers.cancel(Timer::Accepted(node, id));
                            changes.push(Entry::Held(node, id).delete());
                            changes.push(Entry::HeldUse(node, id).delete());
                        }
                    }
                }
            }
        }
        if applied > 0 {
            changes.push(self.numbers(node));
            then.extend([Then::Ready(new), Then::Acknowledge(node, applied)]);
            self.persist(turn, changes, then);
        } else {
            self.send_ack(turn, node);
        }
    }

    /// Makes the keys of an announcement, or counts them as missing.
    fn apply(&mut self, node: NodeId, said: &Announcement, changes: &mut Vec<Change>, new: &mut Vec<KeyId>) {
        // The owner speaks for its own applications alone.
        let known = self.directory.node_of(said.master.as_str()) == Some(node);
        let here: Vec<_> = said.slaves.iter().filter(|name| self.local.contains(*name)).cloned().collect();
        let mut missing = Vec::new();
        for key in &said.keys {
            let made = if known && !here.is_empty() && !self.pending.contains_key(&key.id) {
                self.make(node, said, key, changes)
            } else {
                None
            };
            let Some((bytes, provenance)) = made else {
                missing.push(key.id);
                continue;
            };
            let pending = Pending {
                serial: self.next_serial(),
                key: bytes,
                master: said.master.clone(),
                waiting: here.clone(),
                collected: Vec::new(),
                protection: said.protection,
                provenance,
                origin: node,
                ready: false,
            };
            changes.push(pending.put(key.id));
            self.pending.insert(key.id, pending);
            *self.pending_of.entry(node).or_default() += 1;
            new.push(key.id);
        }
        self.count_missing(node, said.number, missing, changes);
    }

    /// Keys of an announcement could not be made here: its owner will hear.
    fn count_missing(&mut self, node: NodeId, number: u64, missing: Vec<KeyId>, changes: &mut Vec<Change>) {
        if !missing.is_empty() {
            changes.push(put_ids(Entry::Missing(node, number), &missing));
            if let Some(peer) = self.peers.get_mut(&node) {
                peer.missing.insert(number, missing);
            }
        }
    }

    pub(super) fn make(
        &mut self,
        node: NodeId,
        said: &Announcement,
        key: &AnnouncedKey,
        changes: &mut Vec<Change>,
    ) -> Option<(zeroize::Zeroizing<Vec<u8>>, Arc<Provenance>)> {
        let quantum = key.pieces.iter().all(|p| p.length > 0);
        if said.combined == Protection::Local || quantum == (said.combined == Protection::PostQuantumOnly) {
            return None;
        }
        let peer = self.peers.get_mut(&node)?;
        let taken = peer.held.take(&key.pieces, (said.bits / 8) as usize)?;
        for piece in &key.pieces {
            let used = peer.held.blocks.get(&piece.block)?.block.used;
            changes.push(Entry::HeldUse(node, piece.block).put(|w| {
                w.u32(used);
            }));
        }
        let role = if key.padded.is_empty() { Role::Key } else { Role::Pad };
        let context = Context {
            protection: said.combined,
            role,
            id: key.id,
            bits: said.bits,
            master: &said.master,
            slaves: &said.slaves,
        };
        let mut bytes = taken.derive(&context);
        bytes.iter_mut().zip(&key.padded).for_each(|(byte, padded)| *byte ^= padded);
        let mut provenance = Provenance::default();
        taken.add_provenance(&mut provenance);
        provenance.add_nodes(&said.nodes);
        Some((bytes, Arc::new(provenance)))
    }

    /// Announcements up to this one are applied durably.
    pub(super) fn acknowledge(&mut self, turn: &mut Turn<'_>, node: NodeId, number: u64) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        peer.heard = peer.heard.max(number);
        self.send_ack(turn, node);
    }

    fn send_ack(&mut self, turn: &mut Turn<'_>, node: NodeId) {
        let Some(peer) = self.peers.get(&node) else { return };
        let heard = peer.heard;
        let mut keys = 0;
        let missing = peer
            .missing
            .range(..=heard)
            .take_while(|(_, ids)| {
                keys += ids.len();
                keys <= 1 << 15
            })
            .map(|(number, ids)| (*number, ids.clone()))
            .collect();
        self.send(turn, node, Body::Ack { heard, missing });
    }

    /// Keys are here, durably: they may be collected.
    pub(super) fn ready(&mut self, turn: &mut Turn<'_>, keys: &[KeyId]) {
        for id in keys {
            let Some(pending) = self.pending.get_mut(id) else { continue };
            pending.ready = true;
            self.expiry.push_back((turn.now + self.settings.lifetime, *id));
            for serial in self.awaited.remove(id).unwrap_or_default() {
                self.collect_again(turn, serial);
            }
        }
        self.set_expiry();
    }

    /// Keys that nobody collected in time are lost.
    pub(super) fn expire(&mut self, turn: &mut Turn<'_>) {
        let (mut lost, mut changes) = (Vec::new(), Vec::new());
        while let Some(&(time, id)) = self.expiry.front()
            && time <= turn.now
            && lost.len() < 4096
        {
            self.expiry.pop_front();
            if let Some(erased) = self.forget_pending(id) {
                lost.push(id);
                changes.push(erased);
            }
        }
        if !changes.is_empty() {
            self.persist(turn, changes, Vec::new());
            self.report_lost(turn, &lost, LostCause::Expired);
        }
        self.set_expiry();
    }

    pub(super) fn set_expiry(&mut self) {
        if let Some(&(time, _)) = self.expiry.front() {
            self.timers.set(super::manager::Timer::Expire, time);
        }
    }

    /// Erases a key that waits to be collected, if there is one; gives what is to be done to the store.
    pub(super) fn forget_pending(&mut self, id: KeyId) -> Option<Change> {
        let pending = self.pending.remove(&id)?;
        if let Some(count) = self.pending_of.get_mut(&pending.origin) {
            *count = count.saturating_sub(1);
        }
        Some(pending.delete())
    }

    /// Whether too much waits to be acknowledged by a peer.
    pub(super) fn is_behind(&self, node: NodeId) -> bool {
        self.peers.get(&node).is_none_or(|p| p.words.len() >= self.settings.announcement_limit)
    }

    pub(super) fn deny(&self, turn: &mut Turn<'_>, caller: &super::SaeName, other: &super::SaeName) {
        let audit = super::api::Audit::Denied { caller: caller.clone(), other: other.clone() };
        turn.event(Event::Audit(audit));
    }
}
