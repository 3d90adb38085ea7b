//! What the other node announces of streams.

use super::api::KeyStreamId;
use super::state::{Chunk, KeyStream, MASTER, SLAVE, StreamWord};
use crate::keys::KeyId;
use crate::keys::delivery::manager::{KeyManager, Then, Turn};
use crate::keys::delivery::record::Change;
use crate::keys::delivery::wire::{Announcement, Word};
use bellwether_units::{Duration, NodeId};

impl KeyManager {
    /// Announces something of a stream.
    pub(super) fn say_of_stream(
        &mut self,
        node: NodeId,
        id: KeyStreamId,
        word: StreamWord,
        changes: &mut Vec<Change>,
        then: &mut Vec<Then>,
    ) {
        let Some(number) = self.next_word(node) else { return };
        changes.push(self.say(node, Word::Stream(number, id, word)));
        changes.push(self.numbers(node));
        then.push(Then::Announce(node, number));
    }

    /// Applies what a peer announces of a stream; calls that wait for it are looked at afterwards.
    pub(in crate::keys::delivery) fn hear_stream(
        &mut self,
        turn: &mut Turn<'_>,
        node: NodeId,
        id: KeyStreamId,
        word: StreamWord,
        (changes, then): (&mut Vec<Change>, &mut Vec<Then>),
    ) {
        match word {
            StreamWord::Opened { master, slave, qos } => {
                let stream = KeyStream::new([master, slave], Some(node), false, qos);
                self.hear_opened(turn, node, id, stream, changes, then);
            }
            StreamWord::Window(limit) => {
                let stream = self.streams.get_mut(&id).filter(|s| s.owner && s.peer == Some(node));
                if let Some(stream) = stream {
                    // No peer makes this node hold more than what both applications may be ahead.
                    stream.limit = stream.limit.max(limit);
                    stream.ends[SLAVE].opened = true;
                    changes.push(stream.put(id));
                }
            }
            StreamWord::Closed { owner } => {
                let stream = self.streams.get(&id);
                if stream.is_some_and(|s| s.peer == Some(node) && s.owner != owner) {
                    self.far_end_closed(id, changes, then);
                } else if owner && stream.is_none() {
                    // It is waiting to hear that this end is closed, too.
                    self.say_of_stream(node, id, StreamWord::Closed { owner: false }, changes, then);
                }
            }
        }
        then.push(Then::StreamHeard(id));
    }

    /// What was heard of a stream is durable.
    pub(in crate::keys::delivery) fn stream_heard(&mut self, turn: &mut Turn<'_>, id: KeyStreamId) {
        self.watch_stream(turn, id);
        self.feed_stream(turn, id);
        self.poke_stream(turn, id);
    }

    fn hear_opened(
        &mut self,
        turn: &mut Turn<'_>,
        node: NodeId,
        id: KeyStreamId,
        mut stream: KeyStream,
        changes: &mut Vec<Change>,
        then: &mut Vec<Then>,
    ) {
        let [master, slave] = &stream.names;
        // The owner speaks for its own applications alone, and for pairs that may share keys.
        let allowed = self.directory.node_of(master.as_str()) == Some(node)
            && self.local.contains(slave)
            && self.directory.policy(master.as_str(), slave.as_str()).is_some();
        let room = self.streams_of(slave) < 2 * self.settings.streams_per_application;
        let old = self.streams.get(&id);
        let replaced = match old {
            None => true,
            // It has begun anew at its node, which has forgotten, or given up, what was.
            Some(old) if old.peer == Some(node) && !old.owner => true,
            Some(old) if old.peer == Some(node) && old.ends[SLAVE].closed => true,
            // Both chose this name at a time: that of the first node stays.
            Some(old) if old.peer == Some(node) && self.node < node => return,
            Some(old) => old.peer == Some(node),
        };
        if !allowed || !room || !replaced {
            if old.is_none_or(|old| old.peer != Some(node)) {
                self.say_of_stream(node, id, StreamWord::Closed { owner: false }, changes, then);
            }
            return;
        }
        if let Some(old) = self.forget_stream(id, changes) {
            // An application that had opened its own stream of this name has opened this one.
            if old.owner && old.ends[MASTER].opened && !old.ends[MASTER].closed && !old.ends[SLAVE].closed {
                stream.ends[SLAVE] = old.ends[MASTER];
                stream.ends[SLAVE].top = 0;
            }
        }
        stream.ends[MASTER].opened = true;
        stream.ends[SLAVE].called = turn.now;
        changes.push(stream.put(id));
        self.streams.insert(id, stream);
        self.say_window(id, changes, then);
        if let Some(stream) = self.streams.get(&id) {
            changes.push(stream.put(id));
        }
    }

    /// Makes the chunks of an announcement, or counts them as missing.
    pub(in crate::keys::delivery) fn hear_chunks(
        &mut self,
        turn: &mut Turn<'_>,
        node: NodeId,
        said: &Announcement,
        (changes, then): (&mut Vec<Change>, &mut Vec<Then>),
    ) -> Vec<KeyId> {
        let mut missing: Vec<KeyId> = Vec::new();
        let Some((id, first)) = said.stream else { return missing };
        let known = self.is_stream_of(id, node, said);
        for (place, key) in said.keys.iter().enumerate() {
            let index = u64::from(first) + place as u64;
            let expected =
                known && self.streams.get(&id).is_some_and(|s| index >= s.next && index < s.may_hold_to());
            let made = if expected { self.make(node, said, key, changes) } else { None };
            if expected && let Some(stream) = self.streams.get_mut(&id) {
                stream.next = index + 1;
            }
            let stream = self.streams.get_mut(&id);
            let (Some((bytes, provenance)), Some(stream)) = (made, stream) else {
                missing.push(key.id);
                continue;
            };
            let chunk = Chunk {
                id: key.id,
                key: bytes,
                protection: said.protection,
                provenance,
                waiting: stream.here(),
                ready: false,
                agreed: true,
                until: turn.now + Duration::from_whole_seconds(stream.qos.ttl_seconds.into()),
            };
            changes.push(chunk.put(id, index as u32));
            stream.chunks.insert(index as u32, chunk);
        }
        if known && !missing.is_empty() {
            // What cannot be had must not stand in the way of what can.
            self.say_window(id, changes, then);
        }
        if known {
            changes.extend(self.streams.get(&id).map(|stream| stream.put(id)));
        }
        then.push(Then::ChunksHere(id, first, said.keys.len() as u32));
        missing
    }
}
