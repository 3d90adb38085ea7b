//! A node on the way of a key: it sees the key, and hands it on under the next link's pad.

use super::api::{BurnCause, Event, Failure, KeyId, LinkCondition};
use super::node::{KeyNode, Then, Turn};
use super::pool::Stretch;
use super::record::Step;
use super::source::TOKEN_BITS;
use super::tag::{TAG_BITS, tag};
use super::wire::{Control, Frame, Transfer, Verdict, append_tag, split_tag};
use bellwether_bits::{BitString, SecretBits};
use bellwether_units::{LinkId, NodeId, Time};
use std::collections::{BTreeMap, VecDeque};
use subtle::ConstantTimeEq;

/// The transfers that passed not long ago. No key is kept: a frame to be sent again is encrypted already.
#[derive(Default)]
pub(super) struct Relay {
    passing: BTreeMap<(KeyId, u8), Passing>,
    /// When each is forgotten, in order.
    order: VecDeque<(Time, KeyId, u8)>,
}

struct Passing {
    from: NodeId,
    to: NodeId,
    arrived_by: LinkId,
    left_by: LinkId,
    next: NodeId,
    frame: Vec<u8>,
    sent: bool,
    stretches: Vec<Stretch>,
}

impl Relay {
    /// How many transfers are remembered.
    pub(super) fn under_way(&self) -> usize {
        self.passing.len().max(self.order.len())
    }
}

impl KeyNode {
    pub(super) fn hear_transfer(
        &mut self,
        turn: &mut Turn<'_>,
        peer: NodeId,
        transfer: Transfer,
        bytes: &[u8],
    ) {
        let hop = usize::from(transfer.hop);
        let Some(nodes) = self.topology.nodes_on(transfer.from, &transfer.route) else { return };
        if nodes.get(hop) != Some(&peer) || nodes.get(hop + 1) != Some(&self.node) || has_double(&nodes) {
            return;
        }
        let (link, name) = (transfer.route[hop], (transfer.key, transfer.share));
        if let Some(passing) = self.relay.passing.get(&name) {
            if passing.sent && passing.arrived_by == link {
                turn.send_bytes(passing.next, passing.frame.clone());
            }
            return;
        }
        if self.already_held(turn, &transfer) {
            return;
        }
        let travelled = &transfer.route[..=hop];
        match self.condition(link) {
            LinkCondition::Up => {}
            LinkCondition::Cut => {
                return self.say_failed(turn, name, travelled, Some(link), Failure::LinkCut);
            }
            LinkCondition::Alarmed => {
                return self.say_failed(turn, name, travelled, Some(link), Failure::LinkAlarmed);
            }
        }
        let last = hop + 1 == transfer.route.len();
        let busy = if last {
            !self.may_hold(&transfer)
        } else {
            self.relay.passing.len() >= self.settings.transfer_limit || !self.topology.may_relay(self.node)
        };
        if busy {
            return self.say_failed(turn, name, travelled, Some(link), Failure::NodeBusy);
        }
        let Some(payload) = self.unlock(turn, link, &transfer, bytes) else { return };
        let received = Step::Received { link, stretches: transfer.stretches.clone() };
        self.note_level(turn, link);
        if last {
            self.hold(turn, transfer, payload, received);
        } else {
            let next = nodes[hop + 2];
            self.hand_on(turn, transfer, payload, received, (next, nodes[nodes.len() - 1]));
        }
    }

    /// Takes the pad of a transfer out of the pool and gives its payload, if the tag is right.
    fn unlock(
        &mut self,
        turn: &mut Turn<'_>,
        link: LinkId,
        transfer: &Transfer,
        bytes: &[u8],
    ) -> Option<SecretBits> {
        let name = (transfer.key, transfer.share);
        let travelled = &transfer.route[..=usize::from(transfer.hop)];
        let length = transfer.bits as usize + 2 * TOKEN_BITS;
        let total: u64 = transfer.stretches.iter().map(|s| u64::from(s.length)).sum();
        if total != length as u64 + u64::from(TAG_BITS) {
            return None;
        }
        let end = self.link_mut(link)?;
        let Some((pad, hash_key)) = end.pool.look(&transfer.stretches) else {
            // Not here, passed over, or used by a transfer from before a restart. What is here twice was
            // recognised before.
            self.compare(turn, link, true);
            self.say_failed(turn, name, travelled, Some(link), Failure::PoolMismatch);
            return None;
        };
        let (message, claimed) = split_tag(bytes);
        let mut tag_pad = zeroize::Zeroizing::new(BitString::with_capacity(64));
        tag_pad.extend_from_range(&pad, length..length + TAG_BITS as usize);
        let right = tag(hash_key, tag_pad.words()[0], message);
        if !bool::from(right.to_le_bytes().ct_eq(&claimed.to_le_bytes())) {
            turn.event(Event::Forged { link });
            self.say_failed(turn, name, travelled, Some(link), Failure::PoolMismatch);
            return None;
        }
        let mut payload = BitString::with_capacity(length);
        payload.extend_from_range(&pad, 0..length);
        if !transfer.ciphertext.is_empty() {
            payload.xor_with(&transfer.ciphertext);
        }
        for stretch in &transfer.stretches {
            end.pool.receive(stretch);
        }
        Some(SecretBits::new(payload))
    }

    fn hand_on(
        &mut self,
        turn: &mut Turn<'_>,
        mut transfer: Transfer,
        payload: SecretBits,
        received: Step,
        (next, to): (NodeId, NodeId),
    ) {
        let name = (transfer.key, transfer.share);
        let hop = usize::from(transfer.hop);
        let (arrived_by, left_by) = (transfer.route[hop], transfer.route[hop + 1]);
        let need = payload.len() as u32 + TAG_BITS;
        let failure = match self.condition(left_by) {
            LinkCondition::Cut => Some(Failure::LinkCut),
            LinkCondition::Alarmed => Some(Failure::LinkAlarmed),
            LinkCondition::Up => None,
        };
        self.borrow(turn, left_by);
        let taken = match failure {
            None => self.link_mut(left_by).and_then(|end| end.pool.take(need)),
            Some(_) => None,
        };
        let Some(taken) = taken else {
            let failure = failure.unwrap_or(Failure::PoolEmpty);
            self.compare(turn, left_by, false);
            return self.say_failed(turn, name, &transfer.route[..=hop], Some(left_by), failure);
        };
        transfer.hop += 1;
        let (frame, from) = (seal(&mut transfer, Some(&payload), &taken), transfer.from);
        let stretches = taken.stretches.clone();
        let passing = Passing { from, to, arrived_by, left_by, next, frame, sent: false, stretches };
        self.relay.passing.insert(name, passing);
        let hold = self.settings.retransmit.saturating_mul(4 << self.settings.sendings.min(16));
        self.relay.order.push_back((turn.now.saturating_add(hold), name.0, name.1));
        let steps = vec![received, Step::Taken { link: left_by, stretches: taken.stretches }];
        self.persist(turn, steps, Then::Forward(name.0, name.1));
        self.note_level(turn, left_by);
    }

    /// The pads of a transfer are durably taken: it may leave.
    pub(super) fn forward(&mut self, turn: &mut Turn<'_>, key: KeyId, share: u8) {
        let Some(passing) = self.relay.passing.get_mut(&(key, share)) else { return };
        passing.sent = true;
        turn.send_bytes(passing.next, passing.frame.clone());
        let Passing { from, to, arrived_by, left_by, .. } = *passing;
        turn.event(Event::Relayed { key, from, to, arrived_by, left_by });
    }

    /// A control message passes: what it says of a transfer that passed is to be taken note of.
    pub(super) fn notice_passing(&mut self, turn: &mut Turn<'_>, control: &Control) {
        let name = (control.key, control.share);
        match control.verdict {
            Verdict::Commit | Verdict::Received => {}
            Verdict::Failed(link, failure) => {
                let Some(passing) = self.relay.passing.remove(&name) else { return };
                let Some(end) = self.link_mut(passing.left_by) else { return };
                end.pool.settle(&passing.stretches);
                let burned = end.pool.write_off(&passing.stretches);
                self.tell_burned(turn, passing.left_by, burned, BurnCause::TransferFailed);
                if failure == Failure::PoolMismatch && link == Some(passing.left_by) {
                    self.burn_mismatch(turn, passing.left_by, &passing.stretches);
                }
                return;
            }
            _ => return,
        }
        if let Some(passing) = self.relay.passing.get_mut(&name)
            && !passing.stretches.is_empty()
        {
            // It arrived: nothing below needs to be kept for it at the other end.
            let (link, stretches) = (passing.left_by, core::mem::take(&mut passing.stretches));
            if let Some(end) = self.link_mut(link) {
                end.pool.settle(&stretches);
            }
        }
    }

    /// The peer does not hold what this end took from: the blocks are not to be used again.
    pub(super) fn burn_mismatch(&mut self, turn: &mut Turn<'_>, link: LinkId, stretches: &[Stretch]) {
        let Some(end) = self.link_mut(link) else { return };
        let burned = stretches.iter().map(|s| end.pool.burn(s.block)).sum();
        self.tell_burned(turn, link, burned, BurnCause::Mismatch);
        self.compare(turn, link, true);
    }

    pub(super) fn forget_old_transfers(&mut self, now: Time) {
        while let Some(&(until, key, share)) = self.relay.order.front() {
            if until > now {
                break;
            }
            self.relay.order.pop_front();
            if let Some(passing) = self.relay.passing.remove(&(key, share))
                && let Some(end) = self.link_mut(passing.left_by)
            {
                end.pool.settle(&passing.stretches);
            }
        }
    }
}

/// The bytes of one hop: payload plus pad (or nothing where the pad is the payload), and the tag.
pub(super) fn seal(
    transfer: &mut Transfer,
    payload: Option<&SecretBits>,
    taken: &super::pool::Taken,
) -> Vec<u8> {
    let length = taken.bits.len() - TAG_BITS as usize;
    transfer.stretches = taken.stretches.clone();
    transfer.ciphertext = match payload {
        Some(payload) => {
            let mut text = taken.bits.slice(0..length);
            text.xor_with(payload.expose());
            text
        }
        None => BitString::default(),
    };
    let pad = zeroize::Zeroizing::new(taken.bits.slice(length..taken.bits.len()));
    let frame = Frame::Transfer(transfer.clone());
    let mut bytes = frame.encode();
    let tag = tag(taken.hash_key, pad.words().first().copied().unwrap_or(0), &bytes);
    append_tag(&mut bytes, tag);
    bytes
}

fn has_double(nodes: &[NodeId]) -> bool {
    let mut sorted = nodes.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).any(|pair| pair[0] == pair[1])
}
