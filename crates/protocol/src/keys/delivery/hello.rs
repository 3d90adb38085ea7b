//! Meeting: after a start, two key managers compare what they remember before either uses anything.
//!
//! Each start is a life with a random name, and all frames but the hello name both lives, so that no frame of an
//! earlier life counts. A hello carries a challenge; one that gives the receiver's own challenge back is fresh, and
//! only a fresh one is believed. Each side's memory is the witness against a rolled back store of the other: who is
//! told that more of its announcements were heard than it remembers making, or that announcements it does not
//! remember were acknowledged, was rolled back.

use super::api::{BurnedCause, Event, LostCause};
use super::manager::{KeyManager, Then, Timer, Turn};
use super::record::Entry;
use super::wire::{Body, Hello, Life, Word};
use crate::keys::KeyId;
use bellwether_units::NodeId;
use std::collections::BTreeSet;

impl KeyManager {
    pub(super) fn greet_all(&mut self, turn: &mut Turn<'_>) {
        for node in self.peers.keys().copied().collect::<Vec<_>>() {
            let Some(peer) = self.peers.get_mut(&node) else { continue };
            if !peer.met {
                peer.hellos = 0;
                self.say_hello(turn, node);
                self.timers.set(Timer::Hello(node), turn.now + self.settings.resend);
            }
        }
    }

    pub(super) fn hello_due(&mut self, turn: &mut Turn<'_>, node: NodeId) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        if peer.met {
            return;
        }
        peer.hellos += 1;
        let wait = self.settings.backoff(self.settings.resend, peer.hellos);
        self.say_hello(turn, node);
        self.timers.set(Timer::Hello(node), turn.now + wait);
    }

    /// Says hello once what it says is durable.
    fn say_hello(&mut self, turn: &mut Turn<'_>, node: NodeId) {
        self.after_writing(turn, Then::Hello(node));
    }

    pub(super) fn send_hello(&mut self, turn: &mut Turn<'_>, node: NodeId) {
        let Some(peer) = self.peers.get(&node) else { return };
        let durable = peer.held.blocks.iter().filter(|(_, held)| held.durable);
        let hello = Hello {
            challenge: peer.challenge,
            answer: peer.seen_challenge,
            met: peer.met,
            base: peer.base(),
            heard: peer.heard,
            said: peer.said,
            forgot: peer.doubtful,
            held: durable.map(|(id, _)| *id).collect(),
        };
        self.send(turn, node, Body::Hello(hello));
    }

    pub(super) fn hear_hello(
        &mut self,
        turn: &mut Turn<'_>,
        node: NodeId,
        (from, to): (Life, Life),
        hello: &Hello,
    ) {
        let (life, resend) = (self.life, self.settings.resend);
        let Some(peer) = self.peers.get_mut(&node) else { return };
        let fresh = to == life && hello.answer == peer.challenge;
        if peer.met && from == peer.life {
            // It asks again; what it says of itself may be old news, and is not looked at.
            peer.seen_challenge = hello.challenge;
            if !hello.met {
                if peer.doubtful {
                    // It will hear once more that all was forgotten, and take back once more.
                    peer.applied = peer.applied.max(hello.said.min(u64::MAX >> 1));
                    peer.heard = peer.applied;
                    let numbers = self.numbers(node);
                    self.persist(turn, vec![numbers], Vec::new());
                }
                self.say_hello(turn, node);
            } else if to == life && peer.doubtful {
                // It has believed a hello of this life, and with it that the store is old.
                peer.doubtful = false;
                let numbers = self.numbers(node);
                self.note(turn.now, numbers);
            }
            return;
        }
        peer.seen_life = from;
        peer.seen_challenge = hello.challenge;
        if !fresh {
            if peer.met {
                peer.met = false;
                peer.challenge = turn.rng.next_u64() | 1;
                peer.hellos = 0;
                self.abandon_offers(turn, node);
                self.timers.set(Timer::Hello(node), turn.now + resend);
            }
            self.say_hello(turn, node);
            return;
        }
        if !self.believe(turn, node, hello) {
            return;
        }
        let Some(peer) = self.peers.get_mut(&node) else { return };
        peer.met = true;
        peer.life = from;
        // A challenge serves once: a late hello of an earlier life must not pass for a fresh one.
        peer.challenge = turn.rng.next_u64() | 1;
        peer.sent = peer.base() - 1;
        peer.resends = 0;
        self.timers.cancel(Timer::Hello(node));
        if !hello.met || hello.forgot {
            self.say_hello(turn, node);
        }
        self.release_unknown(turn, node, hello);
        self.flush(turn, node);
        self.offer_fresh(turn, node);
        self.restock(turn, node);
        self.serve(turn);
    }

    /// Compares numbers. False, if this node was rolled back, and all begins anew.
    fn believe(&mut self, turn: &mut Turn<'_>, node: NodeId, hello: &Hello) -> bool {
        let Some(peer) = self.peers.get_mut(&node) else { return false };
        let forgot_saying = hello.heard > peer.said;
        let forgot_hearing = hello.base > peer.applied.saturating_add(1);
        if (forgot_saying || forgot_hearing) && !peer.doubtful {
            self.forget(turn, Some(node));
            return false;
        }
        if !forgot_saying && !peer.doubtful && !hello.forgot {
            return true;
        }
        let (mut lost, mut changes, mut then) = (Vec::new(), Vec::new(), Vec::new());
        peer.said = peer.said.max(hello.heard.min(u64::MAX >> 1));
        peer.durable = peer.said;
        if peer.doubtful {
            // What it has announced it takes back when it hears that this was forgotten here: these keys may have
            // been collected before. It says nothing new until then; if it has met this life, it has heard.
            let taken_back = if hello.met { hello.base.saturating_sub(1) } else { hello.said };
            peer.applied = peer.applied.max(taken_back.min(u64::MAX >> 1));
            peer.heard = peer.applied;
        }
        if hello.forgot {
            for (number, word) in core::mem::take(&mut peer.words) {
                changes.push(Entry::Word(node, number).delete());
                if let Word::Keys(said) = word
                    && said.stream.is_none()
                {
                    lost.extend(said.keys.iter().map(|key| key.id));
                }
            }
        }
        if hello.forgot {
            self.peer_forgot_streams(node, &mut changes, &mut then);
        }
        changes.push(self.numbers(node));
        self.persist(turn, changes, then);
        self.report_lost(turn, &lost, LostCause::PeerMissing);
        true
    }

    /// Burns the blocks that the holder does not hold, and releases those that this node does not own.
    fn release_unknown(&mut self, turn: &mut Turn<'_>, node: NodeId, hello: &Hello) {
        let held: BTreeSet<KeyId> = hello.held.iter().copied().collect();
        let Some(peer) = self.peers.get_mut(&node) else { return };
        peer.accepting.retain(|id| held.contains(id));
        let (burned, bits) = peer.owned.burn(|id| held.contains(&id));
        let released: Vec<_> =
            held.into_iter().filter(|id| !peer.owned.contains(*id) && !peer.accepting.contains(id)).collect();
        let mut changes = Vec::new();
        for id in burned {
            changes.push(Entry::Owned(node, id).delete());
            changes.push(Entry::OwnedUse(node, id).delete());
        }
        if bits > 0 {
            turn.event(Event::Burned { peer: node, bits, cause: BurnedCause::PeerMissing });
        }
        if !released.is_empty() {
            self.release(turn, node, released, changes);
        } else if !changes.is_empty() {
            self.persist(turn, changes, Vec::new());
        }
    }

    /// Tells the holder, in order, that nothing more will be taken from these blocks.
    pub(super) fn release(
        &mut self,
        turn: &mut Turn<'_>,
        node: NodeId,
        blocks: Vec<KeyId>,
        mut changes: Vec<super::record::Change>,
    ) {
        let Some(number) = self.next_word(node) else { return };
        changes.push(self.say(node, Word::Released(number, blocks)));
        changes.push(self.numbers(node));
        self.persist(turn, changes, vec![Then::Announce(node, number)]);
    }
}
