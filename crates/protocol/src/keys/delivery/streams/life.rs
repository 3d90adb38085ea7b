//! How streams and chunks end, and how they come back after a restart.

use super::api::{KeyStreamId, StreamError};
use super::calls::{Call, stream_answer};
use super::state::{Chunk, KeyStream, StreamWord};
use crate::keys::KeyId;
use crate::keys::delivery::api::LostCause;
use crate::keys::delivery::codec::DecodeError;
use crate::keys::delivery::manager::{KeyManager, Then, Timer, Turn};
use crate::keys::delivery::record::{Change, Entry};
use crate::keys::delivery::wire::Word;
use bellwether_units::{Duration, NodeId, Time};
use std::collections::BTreeSet;

impl KeyManager {
    /// Ends a stream at one of this node's ends: chunks that only this end could take are erased, and nothing more
    /// is taken for it.
    pub(super) fn shut_end(
        &mut self,
        id: KeyStreamId,
        end: usize,
        changes: &mut Vec<Change>,
        then: &mut Vec<Then>,
    ) {
        self.set_short(id, 0);
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.ends[end].closed = true;
        stream.chunks.retain(|index, chunk| {
            chunk.waiting[end] = false;
            let kept = chunk.waiting.contains(&true);
            changes.push(if kept { chunk.put(id, *index) } else { Entry::Chunk(id, *index).delete() });
            kept
        });
        let (peer, owner, over) = (stream.peer, stream.owner, stream.ends.iter().all(|end| end.closed));
        // Of two ends here, one that was never opened has nobody who would close it.
        let alone = peer.is_none() && !stream.ends[1 - end].opened;
        changes.push(stream.put(id));
        if let Some(node) = peer {
            self.say_of_stream(node, id, StreamWord::Closed { owner }, changes, then);
        }
        if over || alone {
            self.forget_stream(id, changes);
        }
    }

    /// The other node says that its end is closed.
    pub(super) fn far_end_closed(
        &mut self,
        id: KeyStreamId,
        changes: &mut Vec<Change>,
        then: &mut Vec<Then>,
    ) {
        self.set_short(id, 0);
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let Some(node) = stream.peer else { return };
        let owner = stream.owner;
        let far = usize::from(owner);
        stream.ends[far].closed = true;
        changes.push(stream.put(id));
        let near = stream.ends[1 - far];
        if !near.opened {
            self.say_of_stream(node, id, StreamWord::Closed { owner }, changes, then);
        }
        if near.closed || !near.opened {
            self.forget_stream(id, changes);
        }
    }

    /// Erases all that is known of a stream.
    pub(super) fn forget_stream(&mut self, id: KeyStreamId, changes: &mut Vec<Change>) -> Option<KeyStream> {
        self.set_short(id, 0);
        let stream = self.streams.remove(&id)?;
        changes.extend(stream.chunks.keys().map(|index| Entry::Chunk(id, *index).delete()));
        changes.push(Entry::Stream(id).delete());
        self.timers.cancel(Timer::Stream(id));
        self.timers.cancel(Timer::Feed(id));
        Some(stream)
    }

    /// Sets the time at which a stream is to be looked at again.
    pub(super) fn watch_stream(&mut self, turn: &mut Turn<'_>, id: KeyStreamId) {
        let Some(stream) = self.streams.get(&id) else { return };
        let idle = self.settings.stream_idle;
        let ends = stream.ends.iter().zip(stream.here());
        let idle = ends.filter(|(end, here)| *here && !end.closed).map(|(end, _)| end.called + idle);
        let when = stream.chunks.values().map(|chunk| chunk.until).chain(idle).min();
        if let Some(when) = when {
            self.timers.set(Timer::Stream(id), when.max(turn.now + Duration::from_milliseconds(1)));
        }
    }

    /// Chunks whose time is over are erased; an end that nobody uses is closed.
    pub(in crate::keys::delivery) fn stream_due(&mut self, turn: &mut Turn<'_>, id: KeyStreamId) {
        let idle = self.settings.stream_idle;
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let (mut lost, mut changes, mut then) = (Vec::new(), Vec::new(), Vec::new());
        stream.chunks.retain(|index, chunk| {
            let kept = chunk.until > turn.now;
            if !kept {
                lost.push(chunk.id);
                changes.push(Entry::Chunk(id, *index).delete());
            }
            kept
        });
        for end in 0..2 {
            let Some(stream) = self.streams.get(&id) else { break };
            let [near, far] = [stream.ends[end], stream.ends[1 - end]];
            // Nobody takes from it; or nothing is left, and nothing more will come.
            let over = near.called + idle <= turn.now || (far.closed && stream.chunks.is_empty());
            if stream.here()[end] && !near.closed && over {
                self.shut_end(id, end, &mut changes, &mut then);
            }
        }
        if !changes.is_empty() {
            self.persist(turn, changes, then);
        }
        self.report_lost(turn, &lost, LostCause::Expired);
        self.watch_stream(turn, id);
        self.poke_stream(turn, id);
        // What has expired is replaced only when somebody asks.
        if self.awaited_streams.contains_key(&id) {
            self.feed_stream(turn, id);
        }
    }

    /// The directory has changed: streams of pairs that may share keys no more are closed.
    pub(in crate::keys::delivery) fn check_streams(&mut self, turn: &mut Turn<'_>) {
        for id in self.streams.keys().copied().collect::<Vec<_>>() {
            let Some(stream) = self.streams.get(&id) else { continue };
            let [master, slave] = &stream.names;
            let nodes = [master, slave].map(|name| self.directory.node_of(name.as_str()));
            let expected = match (stream.peer, stream.owner) {
                (None, _) => [Some(self.node); 2],
                (Some(peer), true) => [Some(self.node), Some(peer)],
                (Some(peer), false) => [Some(peer), Some(self.node)],
            };
            let allowed = self.directory.policy(master.as_str(), slave.as_str()).is_some();
            if allowed && nodes == expected {
                continue;
            }
            let (mut changes, mut then) = (Vec::new(), Vec::new());
            for (end, here) in stream.here().into_iter().enumerate() {
                if here && self.streams.get(&id).is_some_and(|s| !s.ends[end].closed) {
                    self.shut_end(id, end, &mut changes, &mut then);
                }
            }
            self.persist(turn, changes, then);
            self.poke_stream(turn, id);
        }
    }

    /// A peer's store was found to be old: what it knew of streams is gone.
    pub(in crate::keys::delivery) fn peer_forgot_streams(
        &mut self,
        node: NodeId,
        changes: &mut Vec<Change>,
        then: &mut Vec<Then>,
    ) {
        let of_peer = self.streams.iter().filter(|(_, stream)| stream.peer == Some(node));
        for id in of_peer.map(|(id, _)| *id).collect::<Vec<_>>() {
            if let Some(stream) = self.streams.get_mut(&id) {
                stream.chunks.retain(|index, chunk| {
                    if !chunk.agreed {
                        changes.push(Entry::Chunk(id, *index).delete());
                    }
                    chunk.agreed
                });
            }
            self.far_end_closed(id, changes, then);
            if self.streams.get(&id).is_some_and(|stream| stream.owner) {
                // It may have heard of the stream since.
                self.say_of_stream(node, id, StreamWord::Closed { owner: true }, changes, then);
            }
            then.push(Then::StreamHeard(id));
        }
    }

    /// The store of this node is old: no stream goes on. The names of the chunks that were here.
    pub(in crate::keys::delivery) fn forget_streams(
        &mut self,
        turn: &mut Turn<'_>,
        changes: &mut Vec<Change>,
    ) -> Vec<KeyId> {
        let mut lost = Vec::new();
        for id in self.streams.keys().copied().collect::<Vec<_>>() {
            if let Some(stream) = self.forget_stream(id, changes) {
                lost.extend(stream.chunks.into_values().map(|chunk| chunk.id));
            }
        }
        for (serial, call) in core::mem::take(&mut self.calling) {
            self.timers.cancel(Timer::Calling(serial));
            let ticket = match call {
                Call::Get(ask) => ask.ticket,
                Call::Open(ask) => ask.ticket,
            };
            stream_answer(turn, ticket, Err(StreamError::NoConnection));
        }
        self.awaited_streams.clear();
        lost
    }

    /// Puts streams and chunks as they were in the store together, once all other entries are read.
    pub(in crate::keys::delivery) fn restore_streams(
        &mut self,
        streams: Vec<(KeyStreamId, KeyStream)>,
        chunks: Vec<(KeyStreamId, u32, Chunk)>,
    ) -> Result<(), DecodeError> {
        self.streams.extend(streams);
        let waiting = |word: &Word| match word {
            Word::Keys(said) if said.stream.is_some() => said.keys.iter().map(|key| key.id).collect(),
            _ => Vec::new(),
        };
        let words = self.peers.values().flat_map(|peer| peer.words.values());
        let not_agreed: BTreeSet<KeyId> = words.flat_map(waiting).collect();
        for (id, index, mut chunk) in chunks {
            let stream =
                self.streams.get_mut(&id).ok_or(DecodeError::Value("the stream of a chunk of key"))?;
            chunk.until = Time::ZERO + Duration::from_whole_seconds(stream.qos.ttl_seconds.into());
            chunk.agreed = !not_agreed.contains(&chunk.id);
            stream.chunks.insert(index, chunk);
        }
        for id in self.streams.keys() {
            // Soon after the start all are looked at, and those that may go on do.
            self.timers.set(Timer::Stream(*id), Time::ZERO + Duration::from_milliseconds(1));
        }
        Ok(())
    }

    /// How many key streams have an end at this node.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }
}
