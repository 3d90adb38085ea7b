//! How quantum key becomes stock: offer, answer, proof.

use super::api::{Alarm, Audit, BurnedCause, Event};
use super::combine::{PROOF_BYTES, proof, transcript};
use super::kem::{Opener, Sealed, seal};
use super::manager::{KeyManager, Then, Timer, Turn};
use super::peer::{Fresh, Offer, Offered};
use super::record::Entry;
use super::stock::{Block, HeldBlock, Provenance};
use super::wire::{Body, CIPHERTEXT, ENCAPSULATION_KEY};
use crate::keys::{DeliveredKey, KeyEnd, KeyId};
use bellwether_units::NodeId;
use std::sync::Arc;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// How many offers and arrivals of a peer are kept that wait for one another.
const WAITING_OFFERS: usize = 64;

impl KeyManager {
    /// The key node handed out a key.
    pub(super) fn quantum_key(&mut self, turn: &mut Turn<'_>, key: DeliveredKey) {
        let source = key.end == KeyEnd::Source;
        let node = if source { key.to } else { key.from };
        if source {
            self.quantum_came(turn, key.request, node);
        }
        let Some(peer) = self.peers.get_mut(&node) else { return };
        let bits = key.key.len();
        if !bits.is_multiple_of(8) || bits / 8 <= PROOF_BYTES || bits > 1 << 20 {
            return;
        }
        let fresh = Fresh {
            id: key.id,
            quantum: Zeroizing::new(key.key.expose().to_bytes()),
            provenance: Arc::new(Provenance { routes: key.routes, nodes: key.nodes }),
        };
        if source {
            if peer.fresh.len() < WAITING_OFFERS {
                peer.fresh.push_back(fresh);
            }
            self.offer_fresh(turn, node);
            self.restock(turn, node);
            return;
        }
        let id = fresh.id;
        if peer.held.blocks.contains_key(&id) {
            return;
        }
        while peer.arrivals.len() >= WAITING_OFFERS {
            // The owner will hear that its offer is refused.
            if let Some(oldest) = peer.arrivals.pop_front() {
                peer.arrived.remove(&oldest);
            }
        }
        peer.arrivals.push_back(id);
        peer.arrived.insert(id, fresh);
        if let Some(offered) = peer.offered.remove(&id) {
            self.timers.cancel(Timer::Offered(node, id));
            self.consider(turn, node, id, offered);
        }
    }

    pub(super) fn quantum_lost(&mut self, turn: &mut Turn<'_>, key: KeyId) {
        // Stock was proved to be the same at both ends; only what is not yet stock is in doubt.
        let nodes: Vec<_> = self.peers.keys().copied().collect();
        for node in nodes {
            let Some(peer) = self.peers.get_mut(&node) else { continue };
            peer.fresh.retain(|fresh| fresh.id != key);
            peer.arrived.remove(&key);
            peer.arrivals.retain(|id| *id != key);
            if peer.offers.contains_key(&key) {
                self.give_up(turn, node, key);
                self.restock(turn, node);
            }
        }
    }

    pub(super) fn offer_fresh(&mut self, turn: &mut Turn<'_>, node: NodeId) {
        loop {
            let Some(peer) = self.peers.get_mut(&node) else { return };
            if !peer.met {
                return;
            }
            let Some(fresh) = peer.fresh.pop_front() else { return };
            self.offer(turn, node, fresh);
        }
    }

    pub(super) fn offer(&mut self, turn: &mut Turn<'_>, node: NodeId, fresh: Fresh) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        let (opener, public) = Opener::generate(turn.rng);
        let id = fresh.id;
        peer.offers.insert(id, Offer { fresh, opener, public, sendings: 0 });
        self.offer_due(turn, node, id);
    }

    pub(super) fn offer_due(&mut self, turn: &mut Turn<'_>, node: NodeId, id: KeyId) {
        let Some(offer) = self.peers.get_mut(&node).and_then(|p| p.offers.get_mut(&id)) else { return };
        if offer.sendings >= self.settings.offers {
            self.give_up(turn, node, id);
            self.restock(turn, node);
            return;
        }
        let body = Body::Offer {
            block: id,
            quantum_bits: 8 * offer.fresh.quantum.len() as u32,
            encapsulation_key: offer.public.clone(),
        };
        let wait = self.settings.backoff(self.settings.resend, offer.sendings);
        offer.sendings += 1;
        self.send(turn, node, body);
        self.timers.set(Timer::Offer(node, id), turn.now + wait);
    }

    fn give_up(&mut self, turn: &mut Turn<'_>, node: NodeId, id: KeyId) {
        self.timers.cancel(Timer::Offer(node, id));
        if let Some(offer) = self.peers.get_mut(&node).and_then(|p| p.offers.remove(&id)) {
            let bits = 8 * offer.fresh.quantum.len() as u64;
            if bits > 0 {
                turn.event(Event::Burned { peer: node, bits, cause: BurnedCause::NotAccepted });
            }
        }
    }

    /// The other end starts anew, and knows nothing of what it was offered.
    pub(super) fn abandon_offers(&mut self, turn: &mut Turn<'_>, node: NodeId) {
        let Some(peer) = self.peers.get(&node) else { return };
        for id in peer.offers.keys().copied().collect::<Vec<_>>() {
            self.give_up(turn, node, id);
        }
    }

    pub(super) fn hear_offer(
        &mut self,
        turn: &mut Turn<'_>,
        node: NodeId,
        id: KeyId,
        quantum_bits: u32,
        public: Box<[u8; ENCAPSULATION_KEY]>,
    ) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        if let Some(held) = peer.held.blocks.get(&id) {
            // Offered again: the answer was lost, or is being written.
            if let (true, Some(accept)) = (held.durable, held.accept.clone()) {
                self.send(turn, node, accept);
            }
            return;
        }
        let known = peer.arrived.contains_key(&id) || quantum_bits == 0;
        let offered = Offered { quantum_bits, public };
        if known {
            self.consider(turn, node, id, offered);
        } else if peer.offered.len() < WAITING_OFFERS || peer.offered.contains_key(&id) {
            peer.offered.insert(id, offered);
            self.timers.set_by(Timer::Offered(node, id), turn.now + self.settings.quantum_patience);
        } else {
            self.send(turn, node, Body::Refuse { block: id });
        }
    }

    pub(super) fn offered_due(&mut self, turn: &mut Turn<'_>, node: NodeId, id: KeyId) {
        if self.peers.get_mut(&node).and_then(|p| p.offered.remove(&id)).is_some() {
            self.send(turn, node, Body::Refuse { block: id });
        }
    }

    /// Both the offer and its quantum key, if it has one, are here.
    fn consider(&mut self, turn: &mut Turn<'_>, node: NodeId, id: KeyId, offered: Offered) {
        let this = self.node;
        let limit = self.settings.block_limit;
        let Some(peer) = self.peers.get_mut(&node) else { return };
        let downgrade = peer.neighbourhood.may_be_downgraded;
        let fresh = if offered.quantum_bits == 0 {
            let nothing = Fresh { id, quantum: Zeroizing::default(), provenance: Arc::default() };
            downgrade.then_some(nothing)
        } else {
            peer.arrivals.retain(|arrived| *arrived != id);
            peer.arrived.remove(&id).filter(|f| 8 * f.quantum.len() as u64 == u64::from(offered.quantum_bits))
        };
        let sealed = seal(&offered.public, turn.rng);
        let (Some(fresh), Some(Sealed { ciphertext, secret }), true) =
            (fresh, sealed, peer.held.blocks.len() < limit)
        else {
            self.send(turn, node, Body::Refuse { block: id });
            return;
        };
        let transcript =
            transcript((node, this), id, offered.quantum_bits, &offered.public[..], &ciphertext[..]);
        let proof = proof(&transcript, &fresh.quantum, &secret);
        let block = Block::new(id, fresh.quantum, secret, transcript, fresh.provenance);
        let change = Entry::Held(node, id).put_block(0, &block);
        let accept = Some(Body::Accept { block: id, ciphertext, proof });
        let held = HeldBlock { block, durable: false, confirmed: false, accept, repeats: 0 };
        peer.held.blocks.insert(id, held);
        self.persist(turn, vec![change], vec![Then::Holding(node, id)]);
    }

    /// A block of the peer's is here, durably.
    pub(super) fn holding(&mut self, turn: &mut Turn<'_>, node: NodeId, id: KeyId) {
        if let Some(held) = self.peers.get_mut(&node).and_then(|p| p.held.blocks.get_mut(&id)) {
            held.durable = true;
            self.accepted_due(turn, node, id);
        }
    }

    /// Says that a block is held until the owner confirms that it is owned.
    pub(super) fn accepted_due(&mut self, turn: &mut Turn<'_>, node: NodeId, id: KeyId) {
        let Some(held) = self.peers.get_mut(&node).and_then(|p| p.held.blocks.get_mut(&id)) else { return };
        if held.confirmed {
            held.accept = None;
            return;
        }
        let Some(accept) = held.accept.clone() else { return };
        let wait = self.settings.backoff(self.settings.resend, held.repeats);
        held.repeats += 1;
        self.send(turn, node, accept);
        self.timers.set(Timer::Accepted(node, id), turn.now + wait);
    }

    pub(super) fn hear_accept(
        &mut self,
        turn: &mut Turn<'_>,
        node: NodeId,
        id: KeyId,
        ciphertext: &[u8; CIPHERTEXT],
        claimed: &[u8; 32],
    ) {
        let this = self.node;
        let behind = self.is_behind(node);
        let Some(peer) = self.peers.get_mut(&node) else { return };
        let Some(offer) = peer.offers.remove(&id) else {
            if peer.owned.contains(id) {
                self.send(turn, node, Body::Confirm { block: id });
            } else if !peer.accepting.contains(&id) && !behind {
                // Given up, or spent long ago: either way the holder may forget it, after all that was said before.
                self.release(turn, node, vec![id], Vec::new());
            }
            return;
        };
        self.timers.cancel(Timer::Offer(node, id));
        let Offer { fresh, opener, public, .. } = offer;
        let secret = opener.open(ciphertext);
        let bits = 8 * fresh.quantum.len() as u32;
        let transcript = transcript((this, node), id, bits, &public[..], ciphertext);
        let good = proof(&transcript, &fresh.quantum, &secret).ct_eq(claimed);
        if !bool::from(good) {
            turn.event(Event::Alarm(Alarm::Mismatch { peer: node, block: id }));
            turn.event(Event::Burned { peer: node, bits: bits.into(), cause: BurnedCause::Mismatch });
            self.release(turn, node, vec![id], Vec::new());
            self.restock(turn, node);
            return;
        }
        peer.accepting.insert(id);
        let block = Block::new(id, fresh.quantum, secret, transcript, fresh.provenance);
        let serial = self.next_serial();
        let change = Entry::Owned(node, id).put_block(serial, &block);
        self.persist(turn, vec![change], vec![Then::Stocked(node, Box::new(block))]);
    }

    /// A block is in stock, durably.
    pub(super) fn stocked(&mut self, turn: &mut Turn<'_>, node: NodeId, block: Block) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        let (id, bits) = (block.id, 8 * block.left() as u64);
        if !peer.accepting.remove(&id) {
            self.note(turn.now, Entry::Owned(node, id).delete());
            turn.event(Event::Burned { peer: node, bits, cause: BurnedCause::PeerMissing });
            self.restock(turn, node);
            return;
        }
        peer.owned.insert(block);
        turn.event(Event::Audit(Audit::Stocked { peer: node, block: id, bits }));
        self.send(turn, node, Body::Confirm { block: id });
        self.restock(turn, node);
        self.serve(turn);
    }

    pub(super) fn hear_confirm(&mut self, node: NodeId, id: KeyId) {
        if let Some(held) = self.peers.get_mut(&node).and_then(|p| p.held.blocks.get_mut(&id)) {
            held.confirmed = true;
            held.accept = None;
            self.timers.cancel(Timer::Accepted(node, id));
        }
    }

    pub(super) fn hear_refuse(&mut self, turn: &mut Turn<'_>, node: NodeId, id: KeyId) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        if peer.offers.contains_key(&id) {
            peer.refusals += 1;
            peer.wait_until = turn.now + self.settings.backoff(self.settings.first_wait, peer.refusals);
            self.give_up(turn, node, id);
            self.restock(turn, node);
        }
    }

    pub(super) fn next_serial(&mut self) -> u64 {
        let serial = self.serial;
        self.serial += 1;
        serial
    }
}
