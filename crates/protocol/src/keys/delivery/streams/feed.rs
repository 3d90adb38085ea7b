//! The master's node takes chunks from its stock and announces them.

use super::api::KeyStreamId;
use super::state::{Chunk, KeyStream, MASTER, SLAVE};
use crate::keys::delivery::api::{DeliveryError, EncKeys, Protection, Ticket};
use crate::keys::delivery::manager::{KeyManager, Then, Timer, Turn};
use crate::keys::delivery::wire::{Announcement, Word};
use bellwether_units::{Duration, NodeId};
use core::cmp::Reverse;
use std::sync::Arc;

/// How many chunks are announced together.
const TOGETHER: u64 = 64;
const SECOND: Duration = Duration::from_whole_seconds(1);

impl KeyManager {
    /// An application has called: takes what its stream may have now. Nothing else leads to more being taken, so
    /// that a stream that nobody uses costs no key, however short its chunks live.
    pub(super) fn feed_stream(&mut self, turn: &mut Turn<'_>, id: KeyStreamId) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.goal = stream.may_take_to();
        }
        self.go_on_feeding(turn, id, u64::MAX);
    }

    /// Takes what is wanting, at most so many chunks; what stock does not have is asked for.
    pub(in crate::keys::delivery) fn go_on_feeding(
        &mut self,
        turn: &mut Turn<'_>,
        id: KeyStreamId,
        most: u64,
    ) {
        let Some(stream) = self.streams.get(&id).filter(|stream| stream.owner) else { return };
        let [master, slave] = stream.names.clone();
        let peer = stream.peer;
        let bits = stream.bits();
        let policy = self.directory.policy(master.as_str(), slave.as_str());
        let wanted = stream.goal.min(stream.may_take_to()).saturating_sub(stream.next);
        let (Some(policy), 1..) = (policy, wanted) else {
            return self.set_short(id, 0);
        };
        let mut number = wanted.min(most).min(TOGETHER);
        if stream.qos.max_bps > 0 {
            if let Some(wait) = stream.bucket.wait(turn.now, SECOND) {
                self.timers.set_by(Timer::Feed(id), turn.now + wait);
                return;
            }
            number = number.min(u64::from(stream.qos.max_bps / bits).max(1));
        }
        let mut ask = EncKeys {
            ticket: Ticket(0),
            caller: master,
            slave,
            additional: Vec::new(),
            number: number as u32,
            bits,
        };
        if let Err(error) = self.rates.check(turn.now, &self.directory, policy, &ask) {
            if let DeliveryError::RateLimited { retry_after } = error {
                self.timers.set_by(Timer::Feed(id), turn.now + retry_after);
            }
            return;
        }
        let source = match peer {
            None => Ok(Protection::Local),
            Some(node) => self.source(node, policy.requirement, &ask).or_else(|_| {
                let there = self.stock_bits(node) / u64::from(bits);
                ask.number = there.clamp(1, number) as u32;
                self.source(node, policy.requirement, &ask)
            }),
        };
        let Ok(combined) = source else {
            self.set_short(id, wanted * u64::from(bits));
            if let Some(node) = peer {
                self.restock(turn, node);
            }
            return;
        };
        self.rates.charge(turn.now, &self.directory, policy, &ask);
        self.take_chunks(turn, id, peer, &ask, combined);
        let rest = wanted.saturating_sub(ask.number.into());
        let short = if u64::from(ask.number) < number { rest * u64::from(bits) } else { 0 };
        self.set_short(id, short);
        if let Some(node) = peer {
            if let Some(peer) = self.peers.get_mut(&node) {
                peer.recent.add(turn.now, u64::from(ask.number) * u64::from(bits));
            }
            self.restock(turn, node);
        }
        if rest > 0 && short == 0 {
            // The rate, the share or the size of an announcement bounds it: go on as soon as may be.
            self.timers.set_by(Timer::Feed(id), turn.now + Duration::from_milliseconds(1));
        }
    }

    /// Takes the chunks and announces them, in one record.
    fn take_chunks(
        &mut self,
        turn: &mut Turn<'_>,
        id: KeyStreamId,
        peer: Option<NodeId>,
        ask: &EncKeys,
        combined: Protection,
    ) {
        let (keys, announced) = self.take_keys(turn, ask, peer.map(|node| (node, combined)));
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let first = stream.next;
        stream.next += keys.len() as u64;
        stream.fed = turn.now;
        if stream.qos.max_bps > 0 {
            let bits = keys.len() as u64 * u64::from(ask.bits);
            stream.bucket.take(turn.now, bits, stream.qos.max_bps.into(), SECOND);
        }
        let until = turn.now + Duration::from_whole_seconds(stream.qos.ttl_seconds.into());
        let mut changes = vec![stream.put(id)];
        let count = keys.len() as u32;
        for (place, (key_id, key, provenance)) in keys.into_iter().enumerate() {
            let chunk = Chunk {
                id: key_id,
                key,
                protection: combined,
                provenance: Arc::new(provenance),
                waiting: stream.here(),
                ready: false,
                agreed: peer.is_none(),
                until,
            };
            let index = first as u32 + place as u32;
            changes.push(chunk.put(id, index));
            stream.chunks.insert(index, chunk);
        }
        let mut then = vec![Then::ChunksHere(id, first as u32, count)];
        if let Some(node) = peer {
            self.write_taking(node, &mut changes, &mut then, |number| {
                Word::Keys(Announcement {
                    number,
                    stream: Some((id, first as u32)),
                    master: ask.caller.clone(),
                    slaves: vec![ask.slave.clone()],
                    bits: ask.bits,
                    combined,
                    protection: combined,
                    nodes: Vec::new(),
                    keys: announced,
                })
            });
        }
        self.persist(turn, changes, then);
    }

    /// Counts what a stream lacks among what is wanted of its peer.
    pub(super) fn set_short(&mut self, id: KeyStreamId, bits: u64) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let old = core::mem::replace(&mut stream.short, bits);
        if let Some(peer) = stream.peer.and_then(|node| self.peers.get_mut(&node)) {
            peer.wanted = peer.wanted.saturating_sub(old).saturating_add(bits);
        }
        if bits > 0 {
            self.short_streams.insert(id);
        } else {
            self.short_streams.remove(&id);
        }
    }

    /// Serves the streams that stock did not have enough for: those of the highest priority first, and among equals
    /// whoever waits longest, each its share.
    pub(in crate::keys::delivery) fn feed_short_streams(&mut self, turn: &mut Turn<'_>) {
        let rank = |(id, stream): (KeyStreamId, &KeyStream)| {
            (Reverse(stream.qos.priority), stream.fed, id, stream.peer, stream.bits())
        };
        let mut short: Vec<_> = self
            .short_streams
            .iter()
            .filter_map(|id| self.streams.get(id).map(|stream| rank((*id, stream))))
            .collect();
        short.sort_unstable();
        for place in 0..short.len() {
            let (priority, _, id, peer, bits) = short[place];
            let equals = short[place..].iter().filter(|s| s.0 == priority && s.3 == peer).count() as u64;
            let there = peer.map_or(0, |node| self.stock_bits(node)) / u64::from(bits);
            self.go_on_feeding(turn, id, (there / equals.max(1)).max(1));
        }
    }

    /// Chunks are durable here.
    pub(in crate::keys::delivery) fn chunks_here(
        &mut self,
        turn: &mut Turn<'_>,
        id: KeyStreamId,
        first: u32,
        count: u32,
    ) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        for (_, chunk) in stream.chunks.range_mut(first..=first.saturating_add(count.saturating_sub(1))) {
            chunk.ready = true;
        }
        self.watch_stream(turn, id);
        self.poke_stream(turn, id);
    }

    /// The peer has applied an announcement of chunks, durably, but for the `missing` ones.
    pub(in crate::keys::delivery) fn chunks_agreed(
        &mut self,
        turn: &mut Turn<'_>,
        said: &Announcement,
        missing: &[crate::keys::KeyId],
    ) {
        let Some((id, first)) = said.stream else { return };
        let Some(stream) = self.streams.get_mut(&id).filter(|stream| stream.owner) else { return };
        let mut changes = Vec::new();
        for (place, key) in said.keys.iter().enumerate() {
            let index = first.saturating_add(place as u32);
            let Some(chunk) = stream.chunks.get_mut(&index).filter(|chunk| chunk.id == key.id) else {
                continue;
            };
            if missing.contains(&key.id) {
                stream.chunks.remove(&index);
                changes.push(crate::keys::delivery::record::Entry::Chunk(id, index).delete());
            } else {
                chunk.agreed = true;
            }
        }
        if !changes.is_empty() {
            self.persist(turn, changes, Vec::new());
        }
        self.poke_stream(turn, id);
    }

    /// The names of a stream's ends, for checks.
    pub(super) fn is_stream_of(&self, id: KeyStreamId, node: NodeId, said: &Announcement) -> bool {
        self.streams.get(&id).is_some_and(|stream| {
            stream.peer == Some(node)
                && !stream.owner
                && !stream.ends[SLAVE].closed
                && stream.bits() == said.bits
                && stream.names[MASTER] == said.master
                && said.slaves == [stream.names[SLAVE].clone()]
        })
    }
}
