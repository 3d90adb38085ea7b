//! The key manager of one node: its state, its store, and who deals with which input.

use super::api::{Alarm, BurnedCause, Command, DecKeys, EncKeys, Event, LostCause, PairStatus, Ticket};
use super::api::{ApplicationKey, Audit, DeliveryError};
use super::directory::Directory;
use super::name::SaeName;
use super::peer::Peer;
use super::rate::Rates;
use super::record::{Change, Entry, Pending, Record};
use super::settings::Settings;
use super::stock::Block;
use super::streams::{Call, KeyStream, KeyStreamId, StreamReply};
use super::wire::{Body, Frame, Life};
use crate::keys::{KeyId, RequestId};
use crate::machine::{Input, Output, Protocol};
use crate::timers::Timers;
use bellwether_units::{NodeId, Time};
use core::convert::Infallible;
use core::fmt;
use rand_core::Rng;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// How many names of lost keys one event carries.
const LOST_TOGETHER: usize = 1024;

/// Whether what a store holds can be trusted to be the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// The driver vouches that every record that had become durable is in it.
    Current,
    /// It may be older than what was done: a backup, a snapshot, a disk that lied. All stock that this node owns is
    /// burned and all keys that wait to be collected are lost, since they may have been used.
    /// If the machine stops again before its first record is durable, its store is still doubtful.
    Doubtful,
}

pub(super) type ManagerOutput = Output<NodeId, Event, Record, Infallible>;

/// The key manager of one node. See the [module](super).
///
/// Its peers are the nodes with which its [`Directory`] has pairs in common; it sends to no one else, and drops
/// frames of anyone else. What waits, the rates and the directory do not survive a restart.
pub struct KeyManager {
    pub(super) node: NodeId,
    pub(super) directory: Arc<Directory>,
    pub(super) local: BTreeSet<SaeName>,
    pub(super) settings: Settings,
    pub(super) life: Life,
    pub(super) peers: BTreeMap<NodeId, Peer>,
    pub(super) pending: BTreeMap<KeyId, Pending>,
    pub(super) pending_of: BTreeMap<NodeId, usize>,
    pub(super) expiry: VecDeque<(Time, KeyId)>,
    pub(super) asking: BTreeMap<u64, EncKeys>,
    pub(super) collecting: BTreeMap<u64, DecKeys>,
    /// Collections by the first of their keys that is not known.
    pub(super) awaited: BTreeMap<KeyId, BTreeSet<u64>>,
    pub(super) answering: usize,
    pub(super) streams: BTreeMap<KeyStreamId, KeyStream>,
    /// Streams that stock did not have enough for.
    pub(super) short_streams: BTreeSet<KeyStreamId>,
    /// Calls about streams that wait, and which wait for what stream.
    pub(super) calling: BTreeMap<u64, Call>,
    pub(super) awaited_streams: BTreeMap<KeyStreamId, BTreeSet<u64>>,
    pub(super) rates: Rates,
    pub(super) requests: BTreeMap<RequestId, (NodeId, u32, Time)>,
    pub(super) serial: u64,
    pub(super) timers: Timers<Timer>,
    journal: Journal,
    pub(super) restored: Option<Restored>,
}

/// What a key manager waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// It has not spoken since it started.
    Start,
    /// A peer has not answered.
    Hello(NodeId),
    /// A block is not accepted.
    Offer(NodeId, KeyId),
    /// The quantum key of an offered block did not arrive.
    Offered(NodeId, KeyId),
    /// An accepted block is not confirmed.
    Accepted(NodeId, KeyId),
    /// Announcements have waited long enough for company.
    Flush(NodeId),
    /// Announcements are not acknowledged.
    Resend(NodeId),
    /// Look at a stock again.
    Stock(NodeId),
    /// A request's patience ends.
    Asking(u64),
    /// A collection's patience ends.
    Collecting(u64),
    /// The oldest key expires.
    Expire,
    /// Notes for the store have waited long enough.
    Notes,
    /// Something of a stream ends.
    Stream(KeyStreamId),
    /// A stream may be given more.
    Feed(KeyStreamId),
    /// The patience of a call about a stream ends.
    Calling(u64),
}

/// What follows when a record is durable.
pub(super) enum Then {
    Answer(Ticket, Vec<ApplicationKey>, u64, Audit),
    Announce(NodeId, u64),
    Acknowledge(NodeId, u64),
    Ready(Vec<KeyId>),
    Stocked(NodeId, Box<Block>),
    Holding(NodeId, KeyId),
    Hello(NodeId),
    StreamDone(Ticket, StreamReply),
    /// A chunk leaves: for whom, its number, and the rest as of an answer.
    Chunk(Ticket, u32, Box<ApplicationKey>, u64, Audit),
    /// So many chunks of a stream, from this one on, are here.
    ChunksHere(KeyStreamId, u32, u32),
    StreamHeard(KeyStreamId),
}

/// What a restored machine looks at before anything else.
pub(super) struct Restored {
    pub(super) memory: Memory,
    /// Keys whose answer may not have left, by the number of the answer.
    pub(super) doubts: Vec<(u64, Vec<KeyId>)>,
}

#[derive(Default)]
struct Journal {
    next: u64,
    then: VecDeque<(u64, Vec<Then>)>,
    /// Changes that may wait for the next record.
    notes: Vec<Change>,
}

/// One call of `handle`: the time, the generator, and where effects go.
pub(super) struct Turn<'a> {
    pub(super) now: Time,
    pub(super) rng: &'a mut dyn Rng,
    pub(super) out: &'a mut Vec<ManagerOutput>,
}

impl Turn<'_> {
    pub(super) fn event(&mut self, event: Event) {
        self.out.push(Output::Event(event));
    }
}

impl KeyManager {
    /// A key manager that starts for the first time.
    pub fn new(node: NodeId, directory: Arc<Directory>, settings: Settings, rng: &mut dyn Rng) -> Self {
        let mut timers = Timers::new();
        timers.set(Timer::Start, Time::ZERO);
        let mut this = Self {
            node,
            local: directory.local(node),
            directory,
            settings: settings.made_sound(),
            life: Life(rng.next_u64() | 1),
            peers: BTreeMap::new(),
            pending: BTreeMap::new(),
            pending_of: BTreeMap::new(),
            expiry: VecDeque::new(),
            asking: BTreeMap::new(),
            collecting: BTreeMap::new(),
            awaited: BTreeMap::new(),
            answering: 0,
            streams: BTreeMap::new(),
            short_streams: BTreeSet::new(),
            calling: BTreeMap::new(),
            awaited_streams: BTreeMap::new(),
            rates: Rates::default(),
            requests: BTreeMap::new(),
            serial: 0,
            timers,
            journal: Journal::default(),
            restored: None,
        };
        this.find_peers(rng);
        this
    }

    /// Which node this is.
    pub fn id(&self) -> NodeId {
        self.node
    }
    /// How many bits of quantum key this node may take for keys with `peer`.
    pub fn stock_bits(&self, peer: NodeId) -> u64 {
        self.peers.get(&peer).map_or(0, |p| 8 * p.owned.left() as u64)
    }
    /// Whether this key manager and that of `peer` have heard each other since they started.
    pub fn has_met(&self, peer: NodeId) -> bool {
        self.peers.get(&peer).is_some_and(|p| p.met)
    }
    /// How many keys wait to be collected here.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }
    /// How many questions wait or are being written.
    pub fn open_questions(&self) -> usize {
        self.asking.len() + self.collecting.len() + self.calling.len() + self.answering
    }

    /// What `caller` may ask for with `slave`.
    ///
    /// # Errors
    /// [`DeliveryError::NotAllowed`], if the pair is not in the directory or the caller does not live here.
    pub fn status(&self, caller: &SaeName, slave: &SaeName) -> Result<PairStatus, DeliveryError> {
        let allowed = self.directory.policy(caller.as_str(), slave.as_str()).is_some();
        let target = self.directory.node_of(slave.as_str()).ok_or(DeliveryError::NotAllowed)?;
        if !allowed || !self.local.contains(caller) {
            return Err(DeliveryError::NotAllowed);
        }
        let s = &self.settings;
        let max_key_count = s.max_stock_bits / u64::from(s.key_bits);
        let stored =
            if target == self.node { max_key_count } else { self.stock_bits(target) / u64::from(s.key_bits) };
        Ok(PairStatus {
            key_size: s.key_bits,
            stored_key_count: stored.min(max_key_count),
            max_key_count,
            max_key_per_request: s.max_keys_per_request,
            max_key_size: s.max_key_bits,
            min_key_size: s.min_key_bits,
            max_sae_id_count: s.max_additional_slaves,
            source: self.node,
            target,
        })
    }

    pub(super) fn peer_state(&mut self, node: NodeId) -> &mut Peer {
        let block_bits = self.settings.min_block_bits.max(4096).min(self.settings.max_block_bits);
        self.peers.entry(node).or_insert_with(|| Peer { block_bits, ..Peer::default() })
    }

    fn find_peers(&mut self, rng: &mut dyn Rng) {
        let neighbours = self.directory.peers_of(self.node);
        for peer in self.peers.values_mut() {
            peer.neighbourhood = super::directory::Neighbourhood::default();
        }
        for (node, neighbourhood) in neighbours {
            let peer = self.peer_state(node);
            peer.neighbourhood = neighbourhood;
            if peer.challenge == 0 {
                peer.challenge = rng.next_u64() | 1;
            }
        }
    }

    fn start(&mut self, turn: &mut Turn<'_>) {
        if let Some(Restored { memory, doubts }) = self.restored.take() {
            for peer in self.peers.values_mut() {
                if peer.challenge == 0 {
                    peer.challenge = turn.rng.next_u64() | 1;
                }
            }
            for (serial, keys) in doubts {
                self.note(turn.now, Entry::Doubt(serial).delete());
                turn.event(Event::Lost { keys, cause: LostCause::InDoubt });
            }
            if memory == Memory::Doubtful {
                self.forget(turn, None);
            }
        }
        self.greet_all(turn);
    }

    /// The store is older than what was done: nothing is used that may have been used, and all is agreed anew.
    pub(super) fn forget(&mut self, turn: &mut Turn<'_>, witness: Option<NodeId>) {
        turn.event(Event::Alarm(Alarm::RolledBack { witness }));
        let mut changes = Vec::new();
        for (&node, peer) in &mut self.peers {
            let (ids, bits) = peer.owned.burn(|_| false);
            for id in ids {
                changes.push(Entry::Owned(node, id).delete());
                changes.push(Entry::OwnedUse(node, id).delete());
            }
            if bits > 0 {
                turn.event(Event::Burned { peer: node, bits, cause: BurnedCause::RolledBack });
            }
            peer.met = false;
            peer.doubtful = true;
            peer.challenge = turn.rng.next_u64() | 1;
            peer.offers.clear();
            peer.accepting.clear();
        }
        let pending = core::mem::take(&mut self.pending);
        self.pending_of.clear();
        changes.extend(pending.values().map(Pending::delete));
        let mut lost: Vec<_> = pending.into_keys().collect();
        lost.extend(self.forget_streams(turn, &mut changes));
        self.report_lost(turn, &lost, LostCause::RolledBack);
        self.life = Life(turn.rng.next_u64() | 1);
        let nodes: Vec<_> = self.peers.keys().copied().collect();
        changes.extend(nodes.into_iter().map(|node| self.numbers(node)));
        self.persist(turn, changes, Vec::new());
        self.greet_all(turn);
    }

    pub(super) fn report_lost(&mut self, turn: &mut Turn<'_>, keys: &[KeyId], cause: LostCause) {
        for keys in keys.chunks(LOST_TOGETHER) {
            turn.event(Event::Lost { keys: keys.to_vec(), cause });
        }
    }

    pub(super) fn send(&self, turn: &mut Turn<'_>, to: NodeId, body: Body) {
        let Some(peer) = self.peers.get(&to) else { return };
        let life = if matches!(body, Body::Hello(_)) { peer.seen_life } else { peer.life };
        if peer.met || matches!(body, Body::Hello(_)) {
            let bytes = Frame { from: self.life, to: life, body }.encode();
            turn.out.push(Output::Send { to, bytes });
        }
    }

    /// The entry with the numbers of the exchange with a peer as they are now.
    pub(super) fn numbers(&self, node: NodeId) -> Change {
        let numbers = self.peers.get(&node).map(|p| (p.said, p.applied, p.doubtful));
        let (said, applied, doubtful) = numbers.unwrap_or_default();
        Entry::Peer(node).put(|w| {
            w.u64(said).u64(applied).u8(doubtful.into());
        })
    }

    /// Asks for the changes, and what was noted before, to be made durable.
    pub(super) fn persist(&mut self, turn: &mut Turn<'_>, mut changes: Vec<Change>, then: Vec<Then>) {
        // Notes come first: a later change of the same entry must prevail.
        let mut all = core::mem::take(&mut self.journal.notes);
        all.append(&mut changes);
        self.timers.cancel(Timer::Notes);
        let number = self.journal.next;
        self.journal.next += 1;
        self.journal.then.push_back((number, then));
        turn.out.push(Output::Persist(number, Record { changes: all }));
    }
    /// Notes a change that goes with the next record.
    pub(super) fn note(&mut self, now: Time, change: Change) {
        self.journal.notes.push(change);
        self.timers.set_by(Timer::Notes, now.saturating_add(self.settings.note_interval));
    }
    /// Does something once all that is being written is durable; at once, if nothing is.
    pub(super) fn after_writing(&mut self, turn: &mut Turn<'_>, then: Then) {
        match self.journal.then.back_mut() {
            Some((_, last)) => last.push(then),
            None => self.then(turn, then),
        }
    }

    fn durable(&mut self, turn: &mut Turn<'_>, number: u64) {
        while self.journal.then.front().is_some_and(|(n, _)| *n <= number) {
            let Some((_, all)) = self.journal.then.pop_front() else { break };
            for then in all {
                self.then(turn, then);
            }
        }
    }

    fn then(&mut self, turn: &mut Turn<'_>, then: Then) {
        match then {
            Then::Answer(ticket, keys, doubt, audit) => self.hand_out(turn, ticket, keys, doubt, audit),
            Then::Announce(peer, number) => self.announce(turn, peer, number),
            Then::Acknowledge(peer, number) => self.acknowledge(turn, peer, number),
            Then::Ready(keys) => self.ready(turn, &keys),
            Then::Stocked(peer, block) => self.stocked(turn, peer, *block),
            Then::Holding(peer, block) => self.holding(turn, peer, block),
            Then::Hello(peer) => self.send_hello(turn, peer),
            Then::StreamDone(ticket, reply) => self.stream_done(turn, ticket, reply),
            Then::Chunk(ticket, index, key, doubt, audit) => {
                self.chunk_out(turn, (ticket, index), *key, doubt, audit);
            }
            Then::ChunksHere(stream, first, count) => self.chunks_here(turn, stream, first, count),
            Then::StreamHeard(stream) => self.stream_heard(turn, stream),
        }
    }

    fn command(&mut self, turn: &mut Turn<'_>, command: Command) {
        match command {
            Command::Directory(directory) => {
                self.local = directory.local(self.node);
                self.rates.retain(&directory);
                self.directory = directory;
                let before: Vec<_> =
                    self.peers.iter().map(|(node, peer)| (*node, peer.downgraded())).collect();
                self.find_peers(turn.rng);
                self.tell_downgrades(turn, &before);
                self.greet_all(turn);
                for node in self.peers.keys().copied().collect::<Vec<_>>() {
                    self.restock(turn, node);
                }
                self.check_streams(turn);
            }
            Command::EncKeys(ask) => self.enc_keys(turn, ask),
            Command::DecKeys(ask) => self.dec_keys(turn, ask),
            Command::OpenStream(ask) => self.open_stream(turn, ask),
            Command::GetChunk(ask) => self.get_chunk(turn, ask),
            Command::CloseStream(ask) => self.close_stream(turn, &ask),
            Command::QuantumKey(key) => self.quantum_key(turn, *key),
            Command::QuantumRefused { request, reason } => self.quantum_refused(turn, request, reason),
            Command::QuantumLost { key } => self.quantum_lost(turn, key),
        }
    }

    fn frame(&mut self, turn: &mut Turn<'_>, from: NodeId, bytes: &[u8]) {
        if !self.peers.contains_key(&from) {
            return;
        }
        let Ok(frame) = Frame::decode(bytes) else { return };
        if let Body::Hello(hello) = frame.body {
            self.hear_hello(turn, from, (frame.from, frame.to), &hello);
            return;
        }
        let current = self.peers.get(&from).is_some_and(|p| p.met && p.life == frame.from);
        if !current || frame.to != self.life {
            return;
        }
        match frame.body {
            Body::Hello(_) => {}
            Body::Offer { block, quantum_bits, encapsulation_key } => {
                self.hear_offer(turn, from, block, quantum_bits, encapsulation_key);
            }
            Body::Accept { block, ciphertext, proof } => {
                self.hear_accept(turn, from, block, &ciphertext, &proof);
            }
            Body::Confirm { block } => self.hear_confirm(from, block),
            Body::Refuse { block } => self.hear_refuse(turn, from, block),
            Body::Announce { base, words } => self.hear_announcements(turn, from, base, words),
            Body::Ack { heard, missing } => self.hear_ack(turn, from, heard, missing),
        }
    }

    fn run_timers(&mut self, turn: &mut Turn<'_>) {
        while let Some(timer) = self.timers.pop(turn.now) {
            self.timer(turn, timer);
        }
    }

    fn timer(&mut self, turn: &mut Turn<'_>, timer: Timer) {
        match timer {
            Timer::Start => self.start(turn),
            Timer::Hello(peer) => self.hello_due(turn, peer),
            Timer::Offer(peer, block) => self.offer_due(turn, peer, block),
            Timer::Offered(peer, block) => self.offered_due(turn, peer, block),
            Timer::Accepted(peer, block) => self.accepted_due(turn, peer, block),
            Timer::Flush(peer) => self.flush(turn, peer),
            Timer::Resend(peer) => self.resend_due(turn, peer),
            Timer::Stock(peer) => self.restock(turn, peer),
            Timer::Asking(serial) => self.asking_due(turn, serial),
            Timer::Collecting(serial) => self.collecting_due(turn, serial),
            Timer::Expire => self.expire(turn),
            Timer::Notes => self.persist(turn, Vec::new(), Vec::new()),
            Timer::Stream(stream) => self.stream_due(turn, stream),
            Timer::Feed(stream) => self.go_on_feeding(turn, stream, u64::MAX),
            Timer::Calling(serial) => self.calling_due(turn, serial),
        }
    }
}

impl Protocol for KeyManager {
    type Peer = NodeId;
    type Command = Command;
    type Event = Event;
    type Record = Record;
    type Job = Infallible;
    type JobResult = Infallible;

    fn handle(
        &mut self,
        now: Time,
        rng: &mut dyn Rng,
        input: Input<'_, NodeId, Command, Infallible>,
        out: &mut Vec<ManagerOutput>,
    ) {
        let mut turn = Turn { now, rng, out };
        // What is due comes first: a restored machine looks at its own state before it deals with anything.
        self.run_timers(&mut turn);
        match input {
            Input::Command(command) => self.command(&mut turn, command),
            Input::Frame { from, bytes } => self.frame(&mut turn, from, bytes),
            Input::Persisted(number) => self.durable(&mut turn, number),
            Input::Computed(nothing) => match nothing {},
            Input::Timeout => {}
        }
        self.run_timers(&mut turn);
    }

    fn deadline(&self) -> Option<Time> {
        self.timers.next()
    }
}

impl fmt::Debug for KeyManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyManager")
            .field("node", &self.node)
            .field("peers", &self.peers.len())
            .field("pending", &self.pending.len())
            .finish_non_exhaustive()
    }
}
