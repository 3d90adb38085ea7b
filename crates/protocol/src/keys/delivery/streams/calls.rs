//! OPEN_CONNECT, GET_KEY and CLOSE.

use super::api::{CloseStream, GetChunk, KeyStreamId, OpenStream, StreamError, StreamQos, StreamReply};
use super::state::{KeyStream, MASTER, SLAVE, StreamWord};
use crate::keys::delivery::allocate::secret_bits;
use crate::keys::delivery::api::{ApplicationKey, Audit, Event, LostCause, Ticket};
use crate::keys::delivery::directory::PairPolicy;
use crate::keys::delivery::manager::{KeyManager, Then, Timer, Turn};
use crate::keys::delivery::name::SaeName;
use crate::keys::delivery::record::{Change, Entry, put_ids};
use bellwether_units::Duration;

/// A call that waits.
pub(in crate::keys::delivery) enum Call {
    Open(OpenStream),
    Get(GetChunk),
}

/// How it stands with a chunk that an application asks for.
enum Standing {
    /// It can be handed out to this end.
    Ready(usize),
    /// It may come; the end that waits.
    Later(usize),
    Never(StreamError),
}

impl KeyManager {
    pub(in crate::keys::delivery) fn open_stream(&mut self, turn: &mut Turn<'_>, ask: OpenStream) {
        let party = ask.caller == ask.source || ask.caller == ask.destination;
        if !party || ask.source == ask.destination || !self.local.contains(&ask.caller) {
            self.deny(turn, &ask.caller, &ask.destination);
            return stream_answer(turn, ask.ticket, Err(StreamError::NotAllowed));
        }
        if self.open_questions() >= self.settings.waiting_limit {
            return stream_answer(turn, ask.ticket, Err(StreamError::Busy));
        }
        match ask.stream.filter(|id| self.streams.contains_key(id)) {
            Some(id) => self.join_stream(turn, id, &ask),
            None if ask.stream.is_some() && ask.caller == ask.destination => {
                // The name is the source's to use: this end waits for the news of it.
                let wait = self.call_timeout(ask.qos.timeout_ms);
                self.await_stream(turn, ask.stream.unwrap_or(KeyStreamId(0)), Call::Open(ask), wait);
            }
            None => self.begin_stream(turn, &ask),
        }
    }

    /// Opens a stream that is known, at the caller's end.
    fn join_stream(&mut self, turn: &mut Turn<'_>, id: KeyStreamId, ask: &OpenStream) {
        let timeout_ms = self.granted_timeout(ask.qos.timeout_ms);
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let other = if ask.caller == ask.source { &ask.destination } else { &ask.source };
        let end = stream.end_of(&ask.caller).filter(|end| stream.names[1 - end] == *other);
        let Some(end) = end.filter(|&end| !stream.ends[end].opened && !stream.ends[end].closed) else {
            return stream_answer(turn, ask.ticket, Err(StreamError::InUse));
        };
        if ask.qos.chunk_bytes != 0 && ask.qos.chunk_bytes != stream.qos.chunk_bytes {
            return stream_answer(turn, ask.ticket, Err(StreamError::Quality(stream.qos)));
        }
        stream.ends[end].opened = true;
        stream.ends[end].timeout_ms = timeout_ms;
        stream.ends[end].called = turn.now;
        let reply = StreamReply::Opened {
            stream: id,
            qos: StreamQos { timeout_ms, ..stream.qos },
            peer_connected: stream.joined(end) && !stream.ends[1 - end].closed,
        };
        let (mut changes, mut then) = (Vec::new(), vec![Then::StreamDone(ask.ticket, reply)]);
        self.say_window(id, &mut changes, &mut then);
        if let Some(stream) = self.streams.get(&id) {
            changes.push(stream.put(id));
        }
        self.answering += 1;
        self.persist(turn, changes, then);
        self.feed_stream(turn, id);
        self.poke_stream(turn, id);
    }

    /// As holder, lets more chunks come, if the application has gone on far enough.
    pub(super) fn say_window(&mut self, id: KeyStreamId, changes: &mut Vec<Change>, then: &mut Vec<Then>) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let Some(peer) = stream.peer.filter(|_| !stream.owner && stream.ends[SLAVE].opened) else { return };
        let limit = stream.ceiling(SLAVE);
        if limit < stream.limit + stream.window() / 2 {
            return;
        }
        stream.limit = limit;
        self.say_of_stream(peer, id, StreamWord::Window(limit), changes, then);
    }

    /// A new stream, of which the caller is the master.
    fn begin_stream(&mut self, turn: &mut Turn<'_>, ask: &OpenStream) {
        let other = if ask.caller == ask.source { &ask.destination } else { &ask.source };
        let policy = self.directory.policy(ask.caller.as_str(), other.as_str());
        let node = self.directory.node_of(other.as_str());
        let (Some(policy), Some(node)) = (policy, node) else {
            self.deny(turn, &ask.caller, other);
            return stream_answer(turn, ask.ticket, Err(StreamError::NotAllowed));
        };
        let peer = Some(node).filter(|node| *node != self.node);
        let answer = match self.granted(policy, ask.qos) {
            _ if self.streams_of(&ask.caller) >= self.settings.streams_per_application => {
                Err(StreamError::Busy)
            }
            _ if peer.is_some_and(|peer| !self.has_met(peer)) => Err(StreamError::NoConnection),
            _ if peer.is_some_and(|peer| self.is_behind(peer)) => Err(StreamError::Busy),
            answer => answer,
        };
        let qos = match answer {
            Ok(qos) => qos,
            Err(error) => return stream_answer(turn, ask.ticket, Err(error)),
        };
        let id = ask.stream.unwrap_or_else(|| KeyStreamId::random(turn.rng));
        let mut stream = KeyStream::new([ask.caller.clone(), other.clone()], peer, true, qos);
        stream.waits_for_peer = ask.waits_for_peer;
        stream.ends[MASTER].opened = true;
        stream.ends[MASTER].timeout_ms = qos.timeout_ms;
        stream.ends[MASTER].called = turn.now;
        stream.ends[SLAVE].called = turn.now;
        let word = StreamWord::Opened { master: ask.caller.clone(), slave: other.clone(), qos };
        let reply = StreamReply::Opened { stream: id, qos, peer_connected: false };
        let mut changes = vec![stream.put(id)];
        let mut then = vec![Then::StreamDone(ask.ticket, reply)];
        self.streams.insert(id, stream);
        if let Some(peer) = peer {
            self.say_of_stream(peer, id, word, &mut changes, &mut then);
        }
        self.answering += 1;
        self.persist(turn, changes, then);
        self.watch_stream(turn, id);
        self.feed_stream(turn, id);
        self.poke_stream(turn, id);
    }

    /// What is granted of what is asked; or what could be.
    fn granted(&self, policy: PairPolicy, asked: StreamQos) -> Result<StreamQos, StreamError> {
        let s = &self.settings;
        let or = |value: u32, usual: u32| if value == 0 { usual } else { value };
        let mut qos = asked;
        qos.chunk_bytes = or(asked.chunk_bytes, s.key_bits / 8).clamp(s.min_key_bits / 8, s.max_key_bits / 8);
        let chunk_bits = u64::from(qos.chunk_bytes) * 8;
        let by_keys = policy.keys_per_second.map(|keys| u64::from(keys) * chunk_bits);
        let by_bits = policy.bits_per_day.map(|bits| bits / 86_400);
        let most = by_keys.into_iter().chain(by_bits).min();
        let most = most.map(|most| most.min(u32::MAX.into()) as u32);
        if let Some(most) = most {
            qos.max_bps = or(asked.max_bps, most).min(most);
        }
        if qos.max_bps != 0 || most.is_some() {
            qos.min_bps = asked.min_bps.min(qos.max_bps);
        }
        let longest = (s.lifetime.picoseconds() / 1_000_000_000_000).clamp(1, u32::MAX.into()) as u32;
        qos.ttl_seconds = or(asked.ttl_seconds, longest).min(longest);
        qos.timeout_ms = self.granted_timeout(asked.timeout_ms);
        let kept = |asked: u32, granted: u32| asked == 0 || asked == granted;
        let met = kept(asked.chunk_bytes, qos.chunk_bytes)
            && qos.min_bps == asked.min_bps
            && kept(asked.ttl_seconds, qos.ttl_seconds)
            && kept(asked.timeout_ms, qos.timeout_ms);
        if met { Ok(qos) } else { Err(StreamError::Quality(qos)) }
    }

    fn granted_timeout(&self, asked_ms: u32) -> u32 {
        let milliseconds = |d: Duration| (d.picoseconds() / 1_000_000_000).clamp(1, u32::MAX.into()) as u32;
        let usual = milliseconds(self.settings.patience);
        let longest = milliseconds(self.settings.longest_call).max(usual);
        if asked_ms == 0 { usual } else { asked_ms.min(longest) }
    }

    fn call_timeout(&self, asked_ms: u32) -> Duration {
        Duration::from_milliseconds(self.granted_timeout(asked_ms).into())
    }

    /// How many streams an application of this node has.
    pub(super) fn streams_of(&self, name: &SaeName) -> usize {
        self.streams.values().filter(|stream| stream.end_of(name).is_some()).count()
    }

    pub(in crate::keys::delivery) fn get_chunk(&mut self, turn: &mut Turn<'_>, ask: GetChunk) {
        if let Some(stream) = self.streams.get_mut(&ask.stream)
            && let Some(end) = stream.open_end_of(&ask.caller)
        {
            stream.ends[end].called = turn.now;
        }
        match self.standing(&ask) {
            Standing::Never(error) => stream_answer(turn, ask.ticket, Err(error)),
            _ if self.open_questions() >= self.settings.waiting_limit => {
                stream_answer(turn, ask.ticket, Err(StreamError::Busy));
            }
            Standing::Ready(end) => self.give_chunk(turn, &ask, end),
            Standing::Later(end) => {
                let timeout = self.streams.get(&ask.stream).map_or(0, |s| s.ends[end].timeout_ms);
                let wait = self.call_timeout(timeout);
                let id = ask.stream;
                self.await_stream(turn, id, Call::Get(ask), wait);
                // The news that more may come did not go when nobody asked for more.
                let (mut changes, mut then) = (Vec::new(), Vec::new());
                self.say_window(id, &mut changes, &mut then);
                if let Some(stream) = self.streams.get(&id).filter(|_| !changes.is_empty()) {
                    changes.push(stream.put(id));
                    self.persist(turn, changes, then);
                }
                self.feed_stream(turn, id);
            }
        }
    }

    fn standing(&self, ask: &GetChunk) -> Standing {
        let stream = self.streams.get(&ask.stream);
        let end = stream.and_then(|stream| stream.open_end_of(&ask.caller));
        let (Some(stream), Some(end)) = (stream, end) else { return Standing::Never(StreamError::Unknown) };
        let index = u64::from(ask.index);
        if index >= stream.ceiling(end) {
            return Standing::Never(StreamError::Insufficient);
        }
        match stream.chunks.get(&ask.index) {
            Some(chunk) if !chunk.waiting[end] => Standing::Never(StreamError::Insufficient),
            Some(chunk) if chunk.ready && chunk.agreed && (stream.joined(end) || !stream.waits_for_peer) => {
                Standing::Ready(end)
            }
            Some(_) => Standing::Later(end),
            None if index < stream.next => Standing::Never(StreamError::Insufficient),
            None if stream.ends[1 - end].closed => Standing::Never(StreamError::PeerNotConnected),
            None => Standing::Later(end),
        }
    }

    /// Hands a chunk out once it is durable that this end has it.
    fn give_chunk(&mut self, turn: &mut Turn<'_>, ask: &GetChunk, end: usize) {
        let doubt = self.next_serial();
        let Some(stream) = self.streams.get_mut(&ask.stream) else { return };
        let Some(chunk) = stream.chunks.get_mut(&ask.index) else { return };
        chunk.waiting[end] = false;
        let key = ApplicationKey {
            id: chunk.id,
            key: secret_bits(&chunk.key),
            protection: chunk.protection,
            routes: chunk.provenance.routes.clone(),
            nodes: chunk.provenance.nodes.clone(),
        };
        let (name, other) = (stream.names[end].clone(), stream.names[1 - end].clone());
        let (keys, nodes) = (vec![key.id], vec![key.nodes.clone()]);
        let audit = if end == MASTER {
            let protection = chunk.protection;
            let bits = stream.bits();
            let (master, slaves) = (name, vec![other]);
            Audit::Issued { keys, nodes, master, slaves, bits, protection }
        } else {
            Audit::Collected { keys, nodes, slave: name, master: other }
        };
        let mut changes = vec![put_ids(Entry::Doubt(doubt), &[key.id])];
        stream.ends[end].top = stream.ends[end].top.max(u64::from(ask.index) + 1);
        // Who has gone on that far will not come back for these.
        let behind = stream.ends[end].top.saturating_sub(stream.window());
        let (mut touched, mut lost) = (vec![ask.index], Vec::new());
        for (&index, chunk) in stream.chunks.range_mut(..u32::try_from(behind).unwrap_or(u32::MAX)) {
            if chunk.waiting[end] {
                chunk.waiting[end] = false;
                touched.push(index);
                lost.push(chunk.id);
            }
        }
        for index in touched {
            let Some(chunk) = stream.chunks.get(&index) else { continue };
            if chunk.waiting.contains(&true) {
                changes.push(chunk.put(ask.stream, index));
            } else {
                stream.chunks.remove(&index);
                changes.push(Entry::Chunk(ask.stream, index).delete());
            }
        }
        let mut then = vec![Then::Chunk(ask.ticket, ask.index, Box::new(key), doubt, audit)];
        self.say_window(ask.stream, &mut changes, &mut then);
        if let Some(stream) = self.streams.get(&ask.stream) {
            changes.push(stream.put(ask.stream));
        }
        self.answering += 1;
        self.persist(turn, changes, then);
        self.report_lost(turn, &lost, LostCause::Expired);
        self.feed_stream(turn, ask.stream);
    }

    /// The chunk is durably this end's: it leaves.
    pub(in crate::keys::delivery) fn chunk_out(
        &mut self,
        turn: &mut Turn<'_>,
        (ticket, index): (Ticket, u32),
        key: ApplicationKey,
        doubt: u64,
        audit: Audit,
    ) {
        self.answering -= 1;
        self.note(turn.now, Entry::Doubt(doubt).delete());
        stream_answer(turn, ticket, Ok(StreamReply::Chunk { index, key }));
        turn.event(Event::Audit(audit));
    }

    pub(in crate::keys::delivery) fn stream_done(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        reply: StreamReply,
    ) {
        self.answering -= 1;
        stream_answer(turn, ticket, Ok(reply));
    }

    pub(in crate::keys::delivery) fn close_stream(&mut self, turn: &mut Turn<'_>, ask: &CloseStream) {
        let end = self.streams.get(&ask.stream).and_then(|stream| stream.open_end_of(&ask.caller));
        let Some(end) = end else { return stream_answer(turn, ask.ticket, Ok(StreamReply::Closed)) };
        let (mut changes, mut then) = (Vec::new(), vec![Then::StreamDone(ask.ticket, StreamReply::Closed)]);
        self.shut_end(ask.stream, end, &mut changes, &mut then);
        self.answering += 1;
        self.persist(turn, changes, then);
        self.poke_stream(turn, ask.stream);
    }

    fn await_stream(&mut self, turn: &mut Turn<'_>, id: KeyStreamId, call: Call, wait: Duration) {
        let serial = self.next_serial();
        self.timers.set(Timer::Calling(serial), turn.now + wait);
        self.calling.insert(serial, call);
        self.awaited_streams.entry(id).or_default().insert(serial);
    }

    /// Looks again at the calls that wait for something of a stream.
    pub(super) fn poke_stream(&mut self, turn: &mut Turn<'_>, id: KeyStreamId) {
        for serial in self.awaited_streams.get(&id).cloned().unwrap_or_default() {
            let standing = match self.calling.get(&serial) {
                Some(Call::Get(ask)) => self.standing(ask),
                Some(Call::Open(_)) if !self.streams.contains_key(&id) => continue,
                _ => Standing::Ready(SLAVE),
            };
            if matches!(standing, Standing::Later(_)) {
                continue;
            }
            match (self.take_call(serial), standing) {
                (Some(Call::Get(ask)), Standing::Ready(end)) => self.give_chunk(turn, &ask, end),
                (Some(Call::Get(ask)), Standing::Never(error)) => {
                    stream_answer(turn, ask.ticket, Err(error));
                }
                (Some(Call::Open(ask)), _) => self.join_stream(turn, id, &ask),
                _ => {}
            }
        }
    }

    fn take_call(&mut self, serial: u64) -> Option<Call> {
        let call = self.calling.remove(&serial)?;
        self.timers.cancel(Timer::Calling(serial));
        let id = match &call {
            Call::Get(ask) => ask.stream,
            Call::Open(ask) => ask.stream?,
        };
        if let Some(serials) = self.awaited_streams.get_mut(&id) {
            serials.remove(&serial);
            if serials.is_empty() {
                self.awaited_streams.remove(&id);
            }
        }
        Some(call)
    }

    /// A call's time has run out.
    pub(in crate::keys::delivery) fn calling_due(&mut self, turn: &mut Turn<'_>, serial: u64) {
        let Some(call) = self.take_call(serial) else { return };
        let (ticket, error) = match call {
            Call::Open(ask) => (ask.ticket, StreamError::Timeout),
            Call::Get(ask) => {
                let stream = self.streams.get(&ask.stream);
                let end = stream.and_then(|stream| stream.open_end_of(&ask.caller));
                let error = match (stream, end) {
                    (Some(s), _) if s.peer.is_some_and(|peer| !self.has_met(peer)) => {
                        StreamError::NoConnection
                    }
                    (Some(s), Some(end)) if !s.joined(end) || s.ends[1 - end].closed => {
                        StreamError::PeerNotConnected
                    }
                    (Some(s), _) if s.short > 0 => StreamError::Insufficient,
                    _ => StreamError::Timeout,
                };
                (ask.ticket, error)
            }
        };
        stream_answer(turn, ticket, Err(error));
    }
}

pub(super) fn stream_answer(turn: &mut Turn<'_>, ticket: Ticket, result: Result<StreamReply, StreamError>) {
    turn.event(Event::StreamAnswer { ticket, result });
}
