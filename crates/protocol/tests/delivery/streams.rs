//! Key streams: what applications do with them, and the checks that hold whatever happens.

use crate::world::{Happening, World, ms, name};
use bellwether_protocol::keys::KeyId;
use bellwether_protocol::keys::delivery::{
    CloseStream, Command, GetChunk, KeyManager, KeyStreamId, OpenStream, SaeName, StreamError, StreamQos,
    StreamReply, Ticket,
};
use bellwether_units::{Duration, Time};
use std::collections::{BTreeMap, BTreeSet};

/// How many chunks more are asked for in the end: some may have been taken in vain while there was trouble.
const GOES_ON: u32 = 80;

/// A call of an application.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    Open { caller: SaeName, other: SaeName, stream: Option<KeyStreamId>, qos: StreamQos, plan: Option<Plan> },
    Get { caller: SaeName, stream: KeyStreamId, index: u32, again: u32 },
    Close { caller: SaeName, stream: KeyStreamId },
}

/// What both applications of a stream do once it is open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    chunks: u32,
    closes: bool,
}

/// What the applications saw of streams.
#[derive(Default)]
pub(crate) struct Streams {
    asked: BTreeMap<Ticket, Asked>,
    /// The names of both ends, when it was opened, and how many chunks are taken of it; no name once one closed it.
    pub(crate) open: BTreeMap<KeyStreamId, (SaeName, SaeName, Time, u32)>,
    pub(crate) joined: BTreeSet<KeyStreamId>,
    pub(crate) chunks: BTreeMap<(KeyStreamId, u32), (KeyId, Vec<u8>)>,
    pub(crate) taken: BTreeSet<(KeyStreamId, u32, SaeName)>,
    pub(crate) answers: Vec<Result<Option<KeyStreamId>, StreamError>>,
    /// Of the streams opened last, as granted.
    pub(crate) granted: Option<StreamQos>,
    pub(crate) peer_connected: Option<bool>,
}

impl World {
    pub(crate) fn plan_stream(
        &mut self,
        at_ms: u64,
        master: &str,
        slave: &str,
        qos: StreamQos,
        chunks: u32,
        closes: bool,
    ) {
        let (caller, other) = (name(master), name(slave));
        let plan = Some(Plan { chunks, closes });
        self.at_ms(at_ms, Happening::Stream(Asked::Open { caller, other, stream: None, qos, plan }));
    }

    /// What a call is to the key manager of the caller's node.
    pub(crate) fn stream_command(&mut self, asked: Asked) -> (usize, Command) {
        let ticket = Ticket(self.counter);
        self.counter += 1;
        self.streams.asked.insert(ticket, asked.clone());
        match asked {
            Asked::Open { caller, other, stream, qos, .. } => {
                let node = self.node_of(&caller);
                // The slave calls with the source that its master is.
                let joins = stream.is_some_and(|id| self.streams.open.contains_key(&id));
                let (source, destination) =
                    if joins { (other, caller.clone()) } else { (caller.clone(), other) };
                let ask =
                    OpenStream { ticket, caller, source, destination, stream, qos, waits_for_peer: true };
                (node, Command::OpenStream(ask))
            }
            Asked::Get { caller, stream, index, .. } => {
                (self.node_of(&caller), Command::GetChunk(GetChunk { ticket, caller, stream, index }))
            }
            Asked::Close { caller, stream } => {
                // From now on it may be closed, whether or not the answer comes.
                self.streams.open.remove(&stream);
                (self.node_of(&caller), Command::CloseStream(CloseStream { ticket, caller, stream }))
            }
        }
    }

    pub(crate) fn stream_answer(&mut self, ticket: Ticket, result: Result<StreamReply, StreamError>) {
        let asked = self.streams.asked.remove(&ticket).expect("an answer to a call, and one");
        self.streams.answers.push(match &result {
            Ok(StreamReply::Opened { stream, .. }) => Ok(Some(*stream)),
            Ok(_) => Ok(None),
            Err(error) => Err(*error),
        });
        match (asked, result) {
            (
                Asked::Open { caller, other, stream, plan, .. },
                Ok(StreamReply::Opened { stream: id, qos, peer_connected }),
            ) => {
                self.streams.granted = Some(qos);
                self.streams.peer_connected = Some(peer_connected);
                let joins = stream.is_some_and(|id| self.streams.open.contains_key(&id));
                if joins {
                    self.streams.joined.insert(id);
                } else {
                    let chunks = plan.map_or(0, |plan| plan.chunks);
                    self.streams.open.insert(id, (caller.clone(), other.clone(), self.now, chunks));
                }
                self.go_on(joins, id, caller, other, plan);
            }
            (Asked::Get { caller, stream, index, .. }, Ok(StreamReply::Chunk { index: given, key })) => {
                assert_eq!(index, given);
                let bytes = key.key.expose().to_bytes();
                match self.streams.chunks.get(&(stream, index)) {
                    Some((id, first)) => {
                        assert_eq!(*id, key.id);
                        assert!(*first == bytes, "the two copies of chunk {index} of {stream} differ");
                    }
                    None => {
                        for window in bytes.windows(8) {
                            let window = window.try_into().unwrap();
                            assert!(self.windows.insert(window), "bits of a chunk were in a key before");
                        }
                        self.streams.chunks.insert((stream, index), (key.id, bytes));
                    }
                }
                let news = self.streams.taken.insert((stream, index, caller.clone()));
                assert!(news, "chunk {index} of {stream} went to {caller} twice");
            }
            (Asked::Close { .. }, Ok(StreamReply::Closed)) => {}
            (Asked::Get { caller, stream, index, again }, Err(_)) if again > 0 => {
                let again = again - 1;
                let at = self.now + ms(200);
                self.at(at, Happening::Stream(Asked::Get { caller, stream, index, again }));
            }
            (Asked::Open { caller, other, stream: Some(id), qos, plan }, Err(error))
                if plan.is_some()
                    && error != StreamError::InUse
                    && self.streams.open.contains_key(&id)
                    && self.now < Time::ZERO + Duration::from_whole_seconds(20) =>
            {
                let asked = Asked::Open { caller, other, stream: Some(id), qos, plan };
                self.at(self.now + ms(200), Happening::Stream(asked));
            }
            (_, Err(_)) => {}
            (asked, Ok(reply)) => panic!("{reply:?} to {asked:?}"),
        }
    }

    /// What an application does once it has opened a stream.
    fn go_on(&mut self, joins: bool, id: KeyStreamId, caller: SaeName, other: SaeName, plan: Option<Plan>) {
        let Some(plan) = plan else { return };
        if !joins {
            let at = self.now + ms(self.fate.below(500));
            let (caller, other) = (other, caller.clone());
            let (stream, qos) = (Some(id), StreamQos::default());
            let asked = Asked::Open { caller, other, stream, qos, plan: Some(plan) };
            self.at(at, Happening::Stream(asked));
        }
        let mut at = self.now;
        for index in 0..plan.chunks {
            at += ms(self.fate.below(100));
            for _ in 0..1 + self.fate.below(2) {
                // Some twice: it must not get them again.
                let late = at + ms(self.fate.below(300));
                let (caller, stream, again) = (caller.clone(), id, 10);
                self.at(late, Happening::Stream(Asked::Get { caller, stream, index, again }));
            }
        }
        if plan.closes && !joins {
            let at = at + ms(self.fate.below(1000));
            self.at(at, Happening::Stream(Asked::Close { caller, stream: id }));
        }
    }

    /// Asks once more for all chunks of streams that both ends have open, and for one more. A chunk that one has
    /// and the other does not get must have been reported, or a store rolled back.
    pub(crate) fn check_streams(&mut self) {
        let open: Vec<_> = self
            .streams
            .open
            .iter()
            .filter(|(id, _)| self.streams.joined.contains(id))
            .map(|(id, (master, slave, at, chunks))| (*id, master.clone(), slave.clone(), *at, *chunks))
            .collect();
        for _ in 0..8 {
            for (stream, master, slave, _, chunks) in &open {
                for index in 0..chunks + GOES_ON {
                    for caller in [master, slave] {
                        if !self.streams.taken.contains(&(*stream, index, caller.clone())) {
                            let (caller, stream) = (caller.clone(), *stream);
                            let get = Asked::Get { caller, stream, index, again: 0 };
                            self.at(self.now, Happening::Stream(get));
                        }
                    }
                }
            }
            self.run_ms(5000);
        }
        for (stream, master, slave, at, chunks) in open {
            let ends = [&master, &slave];
            let rolled = ends.iter().any(|sae| self.rolled[self.node_of(sae)] >= Some(at));
            // Whoever forgot says so until it is known to be heard, which may end a stream that was opened since;
            // and where chunks live for seconds, those that are asked for here are gone, and known to be.
            let forgot = ends.iter().any(|sae| self.rolled[self.node_of(sae)].is_some());
            let mut goes_on = forgot || self.settings.lifetime < Duration::from_whole_seconds(100);
            for index in 0..chunks + GOES_ON {
                let has = ends.map(|sae| self.streams.taken.contains(&(stream, index, sae.clone())));
                let id = self.streams.chunks.get(&(stream, index)).map(|(id, _)| *id);
                let lost = id.is_some_and(|id| self.lost.contains_key(&id));
                assert!(
                    has[0] == has[1] || lost || rolled,
                    "chunk {index} of {stream}: {master} and {slave} have it: {has:?}, and nobody says so"
                );
                goes_on |= index >= chunks && has == [true; 2];
            }
            assert!(goes_on, "{stream} of {master} and {slave} does not go on");
        }
    }

    pub(crate) fn call(&mut self, asked: Asked) -> Result<Option<KeyStreamId>, StreamError> {
        let before = self.streams.answers.len();
        self.at(self.now, Happening::Stream(asked));
        for _ in 0..20_000 {
            self.run_ms(1);
            if self.streams.answers.len() > before {
                break;
            }
        }
        assert_eq!(self.streams.answers.len(), before + 1, "one answer to one call");
        *self.streams.answers.last().unwrap()
    }

    pub(crate) fn open(
        &mut self,
        caller: &str,
        other: &str,
        stream: Option<KeyStreamId>,
        qos: StreamQos,
    ) -> Result<KeyStreamId, StreamError> {
        let (caller, other) = (name(caller), name(other));
        self.call(Asked::Open { caller, other, stream, qos, plan: None }).map(|id| id.expect("a name"))
    }

    pub(crate) fn get(&mut self, caller: &str, stream: KeyStreamId, index: u32) -> Result<(), StreamError> {
        self.call(Asked::Get { caller: name(caller), stream, index, again: 0 }).map(drop)
    }

    pub(crate) fn close(&mut self, caller: &str, stream: KeyStreamId) -> Result<(), StreamError> {
        self.call(Asked::Close { caller: name(caller), stream }).map(drop)
    }

    pub(crate) fn manager(&self, node: usize) -> &KeyManager {
        self.managers[node].as_ref().unwrap()
    }
}
