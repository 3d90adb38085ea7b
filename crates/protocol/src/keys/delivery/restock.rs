//! How much quantum key is asked of the network, and what is done while there is none.

use super::api::Event;
use super::manager::{KeyManager, Timer, Turn};
use super::peer::{Fresh, Peer};
use crate::keys::{KeyId, Refusal, Request, RequestId};
use bellwether_units::{Duration, NodeId};
use std::sync::Arc;
use zeroize::Zeroizing;

/// How long after a request's own patience the key node must have answered it.
const GRACE: Duration = Duration::from_whole_seconds(60);

impl KeyManager {
    /// Asks for more, if a peer's stock is below what it should be.
    pub(super) fn restock(&mut self, turn: &mut Turn<'_>, node: NodeId) {
        let s = &self.settings;
        let Some(peer) = self.peers.get_mut(&node) else { return };
        if !peer.met || !peer.neighbourhood.masters_here {
            return;
        }
        if turn.now < peer.wait_until {
            self.timers.set_by(Timer::Stock(node), peer.wait_until);
            return;
        }
        forget_old_requests(peer, &mut self.requests, node, turn);
        let lately = peer.recent.bits(turn.now).saturating_mul(2);
        let want = s.idle_stock_bits.saturating_add(lately).saturating_add(peer.wanted).min(s.max_stock_bits);
        while peer.coming() < want
            && peer.requested < s.requests_in_flight
            && peer.owned.len() + peer.offers.len() + peer.requested < s.block_limit
        {
            let id = RequestId(self.serial);
            self.serial += 1;
            let bits = peer.block_bits / 8 * 8;
            peer.requested += 1;
            peer.requested_bits += u64::from(bits);
            let answered_by = turn.now + s.quantum_patience + GRACE;
            self.requests.insert(id, (node, bits, answered_by));
            self.timers.set_by(Timer::Stock(node), answered_by);
            turn.event(Event::WantQuantum(Request {
                id,
                to: node,
                bits,
                least_bits: bits.min(s.min_block_bits),
                priority: s.priority,
                patience: s.quantum_patience,
                paths: s.paths,
            }));
        }
        let offering = peer.offers.values().any(|offer| offer.fresh.quantum.is_empty());
        let few = peer.owned.uses_left(s.post_quantum_uses) < u64::from(s.post_quantum_uses.div_ceil(2));
        if peer.downgraded().is_some() && few && !offering {
            let id = KeyId::random(turn.rng);
            let fresh = Fresh { id, quantum: Zeroizing::default(), provenance: Arc::default() };
            self.offer(turn, node, fresh);
        }
    }

    /// The key node gave what was asked for.
    pub(super) fn quantum_came(&mut self, turn: &mut Turn<'_>, request: RequestId, node: NodeId) {
        let Some((_, bits, _)) = self.requests.remove(&request) else { return };
        let most = self.settings.max_block_bits;
        let Some(peer) = self.peers.get_mut(&node) else { return };
        peer.requested = peer.requested.saturating_sub(1);
        peer.requested_bits = peer.requested_bits.saturating_sub(bits.into());
        peer.refusals = 0;
        peer.starved = None;
        peer.wait_until = turn.now;
        peer.block_bits = bits.saturating_mul(2).max(peer.block_bits).min(most);
        let downgraded = peer.downgraded().is_some();
        peer.down = None;
        if downgraded {
            turn.event(Event::Downgraded { peer: node, reason: None });
        }
    }

    pub(super) fn quantum_refused(&mut self, turn: &mut Turn<'_>, request: RequestId, reason: Refusal) {
        let Some((node, bits, _)) = self.requests.remove(&request) else { return };
        let (least, first) = (self.settings.min_block_bits, self.settings.first_wait);
        let Some(peer) = self.peers.get_mut(&node) else { return };
        peer.requested = peer.requested.saturating_sub(1);
        peer.requested_bits = peer.requested_bits.saturating_sub(bits.into());
        let down = match reason {
            Refusal::PoolsEmpty | Refusal::Size => {
                peer.block_bits = (bits / 2).min(peer.block_bits).max(least);
                // A line that is jammed by loss raises no alarm that closes it: it only makes no key any more.
                let since = *peer.starved.get_or_insert(turn.now);
                turn.now >= since.saturating_add(self.settings.starved_after)
            }
            Refusal::LinkCut | Refusal::LinkAlarmed | Refusal::NoRoute | Refusal::Unreachable => true,
            Refusal::UnknownNode | Refusal::QueueFull | Refusal::Withdrawn => false,
        };
        if down {
            let news = peer.down.replace(reason).is_none();
            if news && peer.neighbourhood.may_downgrade {
                turn.event(Event::Downgraded { peer: node, reason: Some(reason) });
            }
        }
        // Where the pools are empty, it is the request that waits for key.
        let empty = reason == Refusal::PoolsEmpty;
        peer.refusals += u32::from(!empty);
        let refusals = if empty { 0 } else { peer.refusals };
        peer.wait_until = turn.now + self.settings.backoff(first, refusals);
        let when = peer.wait_until;
        self.timers.set_by(Timer::Stock(node), when);
        // A post-quantum secret need not wait for the next try.
        self.downgrade(turn, node);
    }

    /// After the policies have changed: with whom keys may have no quantum part now, or no longer.
    pub(super) fn tell_downgrades(&self, turn: &mut Turn<'_>, before: &[(NodeId, Option<Refusal>)]) {
        for &(node, before) in before {
            let reason = self.peers.get(&node).and_then(Peer::downgraded);
            if reason.is_some() != before.is_some() {
                turn.event(Event::Downgraded { peer: node, reason });
            }
        }
    }

    /// Offers a post-quantum secret at once, if that is what keys will rest on now.
    fn downgrade(&mut self, turn: &mut Turn<'_>, node: NodeId) {
        let Some(peer) = self.peers.get(&node) else { return };
        let wanted = peer.downgraded().is_some() && peer.met;
        let offering = peer.offers.values().any(|offer| offer.fresh.quantum.is_empty());
        if wanted && !offering && peer.owned.uses_left(self.settings.post_quantum_uses) == 0 {
            let id = KeyId::random(turn.rng);
            let fresh = Fresh { id, quantum: Zeroizing::default(), provenance: Arc::default() };
            self.offer(turn, node, fresh);
        }
    }
}

fn forget_old_requests(
    peer: &mut Peer,
    requests: &mut std::collections::BTreeMap<RequestId, (NodeId, u32, bellwether_units::Time)>,
    node: NodeId,
    turn: &Turn<'_>,
) {
    if peer.requested == 0 {
        return;
    }
    requests.retain(|_, (of, bits, answered_by)| {
        let old = *of == node && *answered_by <= turn.now;
        if old {
            peer.requested = peer.requested.saturating_sub(1);
            peer.requested_bits = peer.requested_bits.saturating_sub((*bits).into());
        }
        !old
    });
}
