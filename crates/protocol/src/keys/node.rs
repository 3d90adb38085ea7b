//! The key manager of one node: its state, its journal, and who deals with which input.

use super::api::{Command, Event, KeyId};
use super::destination::Destination;
use super::flood::View;
use super::link_end::LinkEnd;
use super::queue::Queue;
use super::record::{Record, Step};
use super::relay::Relay;
use super::settings::Settings;
use super::source::Source;
use super::statistics::{PoolAccount, RequestStatistics};
use super::topology::Topology;
use super::wire::Frame;
use crate::machine::{Input, Output, Protocol};
use crate::timers::Timers;
use bellwether_units::{BlockId, DemandId, LinkId, NodeId, Time};
use core::convert::Infallible;
use core::fmt;
use rand_core::Rng;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a key node wants done.
pub(super) type KeyOutput = Output<NodeId, Event, Record, Infallible>;

/// The key manager of one node. See the [module](super).
///
/// Its peers are its direct neighbours in the topology: it sends to no one else, and drops frames of anyone
/// else. Demands, requests and the conditions of links do not survive a restart: whoever
/// [restores](Self::restore) a node tells it again.
pub struct KeyNode {
    pub(super) node: NodeId,
    pub(super) topology: Arc<Topology>,
    pub(super) settings: Settings,
    /// In the order of their numbers.
    pub(super) links: Vec<LinkEnd>,
    pub(super) view: View,
    pub(super) queue: Queue,
    pub(super) source: Source,
    pub(super) relay: Relay,
    pub(super) destination: Destination,
    pub(super) timers: Timers<Timer>,
    journal: Journal,
}

/// What a node waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The node was restored and has not spoken yet.
    Restart,
    /// Look at the waiting requests again.
    Retry,
    /// A request's patience ends.
    Patience(u64),
    /// A demand makes its next request.
    Demand(DemandId),
    /// A transfer was not acknowledged.
    Flight(KeyId),
    /// A decision was not heard.
    Decision(KeyId),
    /// A held key is not decided.
    Held(KeyId),
    /// Blocks of a link are not confirmed.
    Announce(LinkId),
    /// A neighbour did not say that it heard of a cut or an alarm.
    Unheard(NodeId),
    /// A link's level may be told again.
    Level(LinkId),
    /// Notes for the journal have waited long enough.
    Notes,
}

/// What follows when a record is durable.
#[derive(Debug)]
pub(super) enum Then {
    Nothing,
    Announce(LinkId, BlockId),
    SendTransfer(KeyId),
    HandOut(KeyId),
    Forward(KeyId, u8),
    Acknowledge(KeyId, u8),
    Deliver(KeyId),
    SendLoan(LinkId, u64),
}

#[derive(Default)]
struct Journal {
    next: u64,
    then: BTreeMap<u64, Then>,
    /// Steps that may wait for the next record.
    notes: Vec<Step>,
}

/// One call of `handle`: the time, the generator, and where effects go.
pub(super) struct Turn<'a> {
    pub(super) now: Time,
    pub(super) rng: &'a mut dyn Rng,
    pub(super) out: &'a mut Vec<KeyOutput>,
    /// Waiting requests are worth another look.
    pub(super) serve: bool,
}

impl Turn<'_> {
    pub(super) fn event(&mut self, event: Event) {
        self.out.push(Output::Event(event));
    }
    pub(super) fn send(&mut self, to: NodeId, frame: &Frame) {
        self.send_bytes(to, frame.encode());
    }
    pub(super) fn send_bytes(&mut self, to: NodeId, bytes: Vec<u8>) {
        self.out.push(Output::Send { to, bytes });
    }
}

impl KeyNode {
    /// A node that starts for the first time.
    pub fn new(node: NodeId, topology: Arc<Topology>, settings: Settings) -> Self {
        let settings = settings.made_sound();
        let mut links: Vec<_> = topology
            .links_of(node)
            .filter_map(|(link, peer)| {
                let side = topology.side(link, node)?;
                Some(LinkEnd::new(link, peer, side, settings.pool_capacity))
            })
            .collect();
        links.sort_by_key(|end| end.link);
        Self {
            node,
            topology,
            settings,
            links,
            view: View::default(),
            queue: Queue::default(),
            source: Source::default(),
            relay: Relay::default(),
            destination: Destination::default(),
            timers: Timers::new(),
            journal: Journal::default(),
        }
    }

    /// A node that starts again after a stop or a crash, from every record that had become durable, in the
    /// order of their numbers, or from the last [snapshot](Self::snapshot) and those after it. Its records are
    /// numbered anew, from how many it was given: the order is the driver's to keep. Its [`deadline`](Protocol::deadline) is the start of time, so that it speaks
    /// first: it burns what is in doubt, and says so.
    pub fn restore<'r>(
        node: NodeId,
        topology: Arc<Topology>,
        settings: Settings,
        records: impl IntoIterator<Item = &'r Record>,
    ) -> Self {
        let mut this = Self::new(node, topology, settings);
        this.links.iter_mut().for_each(|end| end.pool.set_capacity(u64::MAX));
        for record in records {
            this.journal.next += 1;
            record.steps.iter().for_each(|step| this.replay(step));
        }
        let capacity = this.settings.pool_capacity;
        this.links.iter_mut().for_each(|end| end.pool.set_capacity(capacity));
        this.timers.set(Timer::Restart, Time::ZERO);
        this
    }

    /// All that is to survive, as one record in place of every record so far, whether durable yet or not: it
    /// takes its place in their order, and once it is durable, all before it may be erased. Key that was used
    /// or burned is not in it.
    ///
    /// It is bounded: by the capacity of the pools, by what may be in flight or undecided
    /// ([`Settings::queue_limit`], [`Settings::transfer_limit`]), and by the 2^16 keys that are remembered as over.
    /// [`Compaction`](super::Compaction) tells when it is worth its cost.
    pub fn snapshot(&self) -> Record {
        let mut steps: Vec<_> = self.links.iter().map(LinkEnd::snapshot).collect();
        self.destination.snapshot(&mut steps);
        self.source.snapshot(|key| self.destination.is_over(key), &mut steps);
        Record { steps }
    }

    /// Burns all key in the pools; gives how many bits. For a node that was just [restored](Self::restore) from
    /// records that may be older than what it did, since key in them may have been used. Its next
    /// [snapshot](Self::snapshot) must be durable before the node is told anything; its neighbours then hear what it
    /// holds no more.
    pub fn burn_pools(&mut self) -> u64 {
        self.links.iter_mut().map(LinkEnd::forget_key).sum()
    }

    fn replay(&mut self, step: &Step) {
        match step {
            Step::Stored { link, .. }
            | Step::Taken { link, .. }
            | Step::Received { link, .. }
            | Step::Given { link, .. }
            | Step::Gained { link, .. }
            | Step::Link { link, .. } => {
                if let Some(end) = self.link_mut(*link) {
                    end.replay(step);
                }
            }
            Step::Started { .. } | Step::Committed { .. } => self.source.replay(step),
            Step::Held { .. } | Step::Delivered { .. } | Step::Over { .. } => self.destination.replay(step),
            Step::HandedOut { .. } | Step::Ended { .. } => {
                self.source.replay(step);
                self.destination.replay(step);
            }
        }
    }

    fn restart(&mut self, turn: &mut Turn<'_>) {
        self.ask_states(turn);
        self.restart_links(turn);
        self.restart_source(turn);
        self.restart_destination(turn);
    }

    /// Which node this is.
    pub fn id(&self) -> NodeId {
        self.node
    }
    /// Where the key of a link's pool went; `None` if the link does not end here.
    pub fn pool(&self, link: LinkId) -> Option<PoolAccount> {
        self.link(link).map(|end| end.pool.account())
    }
    /// What became of a demand's requests.
    pub fn demand_statistics(&self, demand: DemandId) -> Option<RequestStatistics> {
        self.queue.demand_statistics(demand)
    }
    /// What became of all requests made at this node.
    pub fn statistics(&self) -> RequestStatistics {
        self.queue.statistics
    }
    /// How many requests wait or are in flight.
    pub fn pending(&self) -> usize {
        self.queue.len()
    }
    /// How many things this node has under way: requests, transfers, decisions, times to wake at, records that
    /// are not durable. All of them end by themselves, so that this stays small however long a node runs.
    pub fn under_way(&self) -> usize {
        let journal = self.journal.then.len() + self.journal.notes.len();
        self.pending()
            + self.undecided()
            + self.source.under_way()
            + self.relay.under_way()
            + self.timers.len()
            + journal
    }
    /// How many keys this node holds as their destination, undecided.
    pub fn undecided(&self) -> usize {
        self.destination.held.len()
    }

    pub(super) fn link(&self, link: LinkId) -> Option<&LinkEnd> {
        let i = self.links.binary_search_by_key(&link, |end| end.link).ok()?;
        self.links.get(i)
    }
    pub(super) fn link_mut(&mut self, link: LinkId) -> Option<&mut LinkEnd> {
        let i = self.links.binary_search_by_key(&link, |end| end.link).ok()?;
        self.links.get_mut(i)
    }

    /// Asks for the steps, and what was noted before, to be made durable.
    pub(super) fn persist(&mut self, turn: &mut Turn<'_>, mut steps: Vec<Step>, then: Then) {
        steps.append(&mut self.journal.notes);
        self.timers.cancel(Timer::Notes);
        let number = self.journal.next;
        self.journal.next += 1;
        if !matches!(then, Then::Nothing) {
            self.journal.then.insert(number, then);
        }
        turn.out.push(Output::Persist(number, Record { steps }));
    }
    /// Notes a step that goes with the next record.
    pub(super) fn note(&mut self, now: Time, step: Step) {
        self.journal.notes.push(step);
        self.timers.set_by(Timer::Notes, now.saturating_add(self.settings.note_interval));
    }

    fn command(&mut self, turn: &mut Turn<'_>, command: Command) {
        match command {
            Command::Store { link, block, key } => self.store(turn, link, block, &key),
            Command::LinkState { link, condition } => self.link_condition(turn, link, condition),
            Command::Demand(demand) => self.start_demand(turn, demand),
            Command::EndDemand(demand) => self.end_demand(demand),
            Command::Request(request) => self.request(turn, request, None),
            Command::View(view) => {
                self.view.set_base(turn.now, view);
                self.give_up_broken_routes(turn);
            }
        }
    }

    fn frame(&mut self, turn: &mut Turn<'_>, from: NodeId, bytes: &[u8]) {
        if self.links.iter().all(|end| end.peer != from) {
            return;
        }
        let Ok(frame) = Frame::decode(bytes) else { return };
        match frame {
            Frame::Announce { link, word, floor, blocks } => {
                self.hear_announcement(turn, from, link, word, floor, &blocks);
            }
            Frame::Transfer(transfer) => self.hear_transfer(turn, from, transfer, bytes),
            Frame::Control(control) => self.hear_control(turn, from, control),
            Frame::Borrow { link, last, wanted } => self.lend(turn, from, link, last, wanted),
            Frame::Lend { link, number, lent, pad } => {
                self.gain(turn, from, link, number, &lent, &pad, bytes);
            }
            Frame::Inventory { link, answer, loan, inventory } => {
                self.hear_inventory(turn, from, link, (answer, loan), &inventory);
            }
            Frame::States { answer, states } => self.hear_states(turn, from, answer, states),
            Frame::StatesHeard(heard) => self.states_heard(from, &heard),
            Frame::AskStates => self.tell_states(turn, from),
        }
    }

    fn durable(&mut self, turn: &mut Turn<'_>, number: u64) {
        match self.journal.then.remove(&number) {
            None | Some(Then::Nothing) => {}
            Some(Then::Announce(link, block)) => self.announce(turn, link, block),
            Some(Then::SendTransfer(key)) => self.send_transfer(turn, key),
            Some(Then::HandOut(key)) => self.hand_out(turn, key),
            Some(Then::Forward(key, share)) => self.forward(turn, key, share),
            Some(Then::Acknowledge(key, share)) => self.acknowledge(turn, key, share),
            Some(Then::Deliver(key)) => self.deliver(turn, key),
            Some(Then::SendLoan(link, number)) => self.send_loan(turn, link, number),
        }
    }

    fn timer(&mut self, turn: &mut Turn<'_>, timer: Timer) {
        match timer {
            Timer::Restart => self.restart(turn),
            Timer::Retry => turn.serve = true,
            Timer::Patience(serial) => self.patience_ended(turn, serial),
            Timer::Demand(demand) => self.demand_due(turn, demand),
            Timer::Flight(key) => self.flight_due(turn, key),
            Timer::Decision(key) => self.decision_due(turn, key),
            Timer::Held(key) => self.held_due(turn, key),
            Timer::Announce(link) => self.announce_due(turn, link),
            Timer::Unheard(peer) => self.unheard_due(turn, peer),
            Timer::Level(link) => self.note_level(turn, link),
            Timer::Notes => self.persist(turn, Vec::new(), Then::Nothing),
        }
    }
}

impl Protocol for KeyNode {
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
        out: &mut Vec<KeyOutput>,
    ) {
        let mut turn = Turn { now, rng, out, serve: false };
        self.forget_old_transfers(now);
        match input {
            Input::Command(command) => self.command(&mut turn, command),
            Input::Frame { from, bytes } => self.frame(&mut turn, from, bytes),
            Input::Persisted(number) => self.durable(&mut turn, number),
            Input::Computed(nothing) => match nothing {},
            Input::Timeout => {}
        }
        while let Some(timer) = self.timers.pop(now) {
            self.timer(&mut turn, timer);
        }
        if turn.serve {
            self.serve(&mut turn);
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.timers.next()
    }
}

impl fmt::Debug for KeyNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyNode")
            .field("node", &self.node)
            .field("links", &self.links.len())
            .field("pending", &self.pending())
            .finish_non_exhaustive()
    }
}
