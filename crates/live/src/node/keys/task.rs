//! The task that owns both machines.

use super::journal::{Journal, Kept};
use super::{
    CallReply, KeysError, KeysEvent, KeysSettings, KeysState, LinkKeys, PeerStock, Reply, StatusReply,
};
use crate::interface::service::{DecKeysWanted, EncKeysWanted};
use crate::node::link::Clock;
use crate::store::Space;
use crate::transport::{Arrived, Channel};
use bellwether_bits::SecretBits;
use bellwether_protocol::keys::delivery::{
    self, DecKeys, Directory, EncKeys, KeyManager, Memory, SaeName, Ticket,
};
use bellwether_protocol::keys::{self, DeliveredKey, KeyEnd, KeyNode, LinkCondition, Topology};
use bellwether_protocol::machine::{Input, Output, Protocol};
use bellwether_units::{BlockId, LinkId, NodeId};
use core::convert::Infallible;
use rand_core::Rng;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::poll_fn;
use std::mem::take;
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

/// How much is dealt with before what it wants durable is committed.
const TOGETHER: usize = 1024;

/// What the handles ask of the task.
pub(super) enum Order {
    Store { link: LinkId, block: BlockId, key: SecretBits },
    Condition(LinkId, LinkCondition),
    Directory(Arc<Directory>),
    State(oneshot::Sender<KeysState>),
    Enc { wanted: EncKeysWanted, bits: u32, reply: Reply },
    Dec { wanted: DecKeysWanted, reply: Reply },
    Status { caller: SaeName, slave: SaeName, reply: StatusReply },
    Stream { call: Box<dyn FnOnce(Ticket) -> delivery::Command + Send>, reply: CallReply },
}

/// What a machine is told next.
enum Told {
    Relay(keys::Command),
    Delivery(delivery::Command),
}

pub(super) struct Task {
    node: KeyNode,
    manager: KeyManager,
    topology: Arc<Topology>,
    directory: Arc<Directory>,
    conditions: BTreeMap<LinkId, LinkCondition>,
    clock: Clock,
    random: Box<dyn Rng + Send>,
    send: Box<dyn Fn(NodeId, Channel, Vec<u8>) + Send>,
    journal: Journal,
    events: broadcast::Sender<Arc<KeysEvent>>,
    /// Who waits for the answer to which question.
    waiting: BTreeMap<Ticket, Reply>,
    calling: BTreeMap<Ticket, CallReply>,
    next_ticket: u64,
    told: VecDeque<Told>,
    relay_out: Vec<Output<NodeId, keys::Event, keys::Record, Infallible>>,
    delivery_out: Vec<Output<NodeId, delivery::Event, delivery::Record, Infallible>>,
}

impl Task {
    /// The machines as the store has them.
    pub(super) async fn load(
        settings: KeysSettings,
        events: broadcast::Sender<Arc<KeysEvent>>,
    ) -> Result<Self, KeysError> {
        let KeysSettings { node, topology, relay, delivery, directory, store, memory, clock, .. } = settings;
        let (mut random, send) = (settings.random, settings.send);
        let records = store.load(Space::Relay).await?;
        let entries = store.load(Space::Delivery).await?;
        let (mut journal, records) = Journal::read(store, &records)?;
        let mut machine = if records.is_empty() {
            KeyNode::new(node, Arc::clone(&topology), relay)
        } else {
            KeyNode::restore(node, Arc::clone(&topology), relay, &records)
        };
        drop(records);
        let manager = if entries.is_empty() && memory == Memory::Current {
            KeyManager::new(node, Arc::clone(&directory), delivery, &mut *random)
        } else {
            KeyManager::restore(node, Arc::clone(&directory), delivery, entries, memory, &mut *random)?
        };
        if memory == Memory::Doubtful {
            let bits = machine.burn_pools();
            journal.replace(&machine);
            journal.commit();
            poll_fn(|context| journal.poll_kept(context)).await?;
            // Without a listener there is nobody to tell.
            let _ = events.send(Arc::new(KeysEvent::PoolsBurned(bits)));
        }
        Ok(Self {
            node: machine,
            manager,
            topology,
            directory,
            conditions: BTreeMap::new(),
            clock,
            random,
            send,
            journal,
            events,
            waiting: BTreeMap::new(),
            calling: BTreeMap::new(),
            next_ticket: 0,
            told: VecDeque::new(),
            relay_out: Vec::new(),
            delivery_out: Vec::new(),
        })
    }

    /// Drives the machines until nobody has a handle or no frame can come any more.
    pub(super) async fn run(
        mut self,
        mut orders: mpsc::Receiver<Order>,
        mut relay_frames: mpsc::Receiver<Arrived>,
        mut delivery_frames: mpsc::Receiver<Arrived>,
    ) -> Result<(), KeysError> {
        let ended = loop {
            self.settle();
            let due = [self.node.deadline(), self.manager.deadline()].into_iter().flatten().min();
            let due = due.map(|due| self.clock.instant(due));
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.order(order),
                    None => break Ok(()),
                },
                frame = relay_frames.recv() => match frame {
                    Some(frame) => self.relay_frame(&frame),
                    None => break Ok(()),
                },
                frame = delivery_frames.recv() => match frame {
                    Some(frame) => self.delivery_frame(&frame),
                    None => break Ok(()),
                },
                kept = poll_fn(|context| self.journal.poll_kept(context)) => self.kept(kept?),
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.timeouts(),
            }
            // What came together is made durable together.
            for _ in 0..TOGETHER {
                let mut more = false;
                if let Ok(order) = orders.try_recv() {
                    self.order(order);
                    more = true;
                }
                if let Ok(frame) = relay_frames.try_recv() {
                    self.relay_frame(&frame);
                    more = true;
                }
                if let Ok(frame) = delivery_frames.try_recv() {
                    self.delivery_frame(&frame);
                    more = true;
                }
                if !more {
                    break;
                }
            }
            // The machines run what is due with any input; one that got none waits for nothing longer than this.
            self.timeouts();
        };
        while self.journal.open() > 0 {
            self.journal.commit();
            let kept = poll_fn(|context| self.journal.poll_kept(context)).await?;
            self.kept(kept);
        }
        ended
    }

    /// What was gathered is committed.
    fn settle(&mut self) {
        self.journal.compact(&self.node);
        self.journal.commit();
    }

    fn order(&mut self, order: Order) {
        match order {
            Order::Store { link, block, key } => {
                self.tell_relay(Input::Command(keys::Command::Store { link, block, key: key.into() }));
            }
            Order::Condition(link, condition) => {
                self.conditions.insert(link, condition);
                self.tell_relay(Input::Command(keys::Command::LinkState { link, condition }));
            }
            Order::Directory(directory) => {
                self.directory = Arc::clone(&directory);
                self.tell_delivery(Input::Command(delivery::Command::Directory(directory)));
            }
            Order::State(reply) => {
                // Whoever asked may have gone, here and below.
                let _ = reply.send(self.state());
            }
            Order::Status { caller, slave, reply } => {
                let _ = reply.send(self.manager.status(&caller, &slave));
            }
            Order::Enc { wanted, bits, reply } => {
                if reply.is_closed() {
                    return;
                }
                let ticket = self.ticket(reply);
                let EncKeysWanted { caller, slave, additional, number, .. } = wanted;
                let ask = EncKeys { ticket, caller, slave, additional, number, bits };
                self.tell_delivery(Input::Command(delivery::Command::EncKeys(ask)));
            }
            Order::Stream { call, reply } => {
                if reply.is_closed() {
                    return;
                }
                let ticket = self.next_ticket();
                self.calling.insert(ticket, reply);
                self.tell_delivery(Input::Command(call(ticket)));
            }
            Order::Dec { wanted, reply } => {
                if reply.is_closed() {
                    return;
                }
                let ticket = self.ticket(reply);
                let DecKeysWanted { caller, master, ids } = wanted;
                self.tell_delivery(Input::Command(delivery::Command::DecKeys(DecKeys {
                    ticket,
                    caller,
                    master,
                    ids,
                })));
            }
        }
    }

    fn next_ticket(&mut self) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        ticket
    }

    fn ticket(&mut self, reply: Reply) -> Ticket {
        let ticket = self.next_ticket();
        self.waiting.insert(ticket, reply);
        ticket
    }

    fn relay_frame(&mut self, frame: &Arrived) {
        self.tell_relay(Input::Frame { from: frame.from, bytes: &frame.bytes });
    }

    fn delivery_frame(&mut self, frame: &Arrived) {
        self.tell_delivery(Input::Frame { from: frame.from, bytes: &frame.bytes });
    }

    fn kept(&mut self, numbers: Vec<Kept>) {
        for kept in numbers {
            match kept {
                Kept::Relay(number) => self.tell_relay(Input::Persisted(number)),
                Kept::Delivery(number) => self.tell_delivery(Input::Persisted(number)),
                Kept::Snapshot => {}
            }
        }
    }

    fn timeouts(&mut self) {
        let now = self.clock.now();
        if self.node.deadline().is_some_and(|due| due <= now) {
            self.tell_relay(Input::Timeout);
        }
        if self.manager.deadline().is_some_and(|due| due <= now) {
            self.tell_delivery(Input::Timeout);
        }
    }

    fn tell_relay(&mut self, input: Input<'_, NodeId, keys::Command, Infallible>) {
        self.relay(input);
        self.pass_on();
    }

    fn tell_delivery(&mut self, input: Input<'_, NodeId, delivery::Command, Infallible>) {
        self.delivery(input);
        self.pass_on();
    }

    /// Tells each machine what the other wants of it, until neither wants anything.
    fn pass_on(&mut self) {
        while let Some(told) = self.told.pop_front() {
            match told {
                Told::Relay(command) => self.relay(Input::Command(command)),
                Told::Delivery(command) => self.delivery(Input::Command(command)),
            }
        }
    }

    fn relay(&mut self, input: Input<'_, NodeId, keys::Command, Infallible>) {
        let mut out = take(&mut self.relay_out);
        self.node.handle(self.clock.now(), &mut *self.random, input, &mut out);
        for output in out.drain(..) {
            match output {
                Output::Send { to, bytes } => (self.send)(to, Channel::Relay, bytes),
                Output::Persist(number, record) => self.journal.relay(number, &record),
                Output::Event(event) => self.relay_event(event),
                Output::Compute(never) => match never {},
            }
        }
        self.relay_out = out;
    }

    fn delivery(&mut self, input: Input<'_, NodeId, delivery::Command, Infallible>) {
        let mut out = take(&mut self.delivery_out);
        self.manager.handle(self.clock.now(), &mut *self.random, input, &mut out);
        for output in out.drain(..) {
            match output {
                Output::Send { to, bytes } => (self.send)(to, Channel::Delivery, bytes),
                Output::Persist(number, record) => self.journal.delivery(number, record),
                Output::Event(event) => self.delivery_event(event),
                Output::Compute(never) => match never {},
            }
        }
        self.delivery_out = out;
    }

    fn relay_event(&mut self, event: keys::Event) {
        let command = match event {
            keys::Event::Delivered(key) => {
                self.tell(KeysEvent::from(&*key));
                self.told.push_back(Told::Delivery(delivery::Command::QuantumKey(key)));
                return;
            }
            // Demands are nobody's here: every request is the key manager's.
            keys::Event::Refused { request, reason, .. } => {
                delivery::Command::QuantumRefused { request, reason }
            }
            keys::Event::Lost { key, .. } => delivery::Command::QuantumLost { key },
            other => return self.tell(KeysEvent::Relay(other)),
        };
        self.told.push_back(Told::Delivery(command));
        self.tell(KeysEvent::Relay(event));
    }

    fn delivery_event(&mut self, event: delivery::Event) {
        match event {
            delivery::Event::WantQuantum(request) => {
                self.told.push_back(Told::Relay(keys::Command::Request(request)));
            }
            delivery::Event::Answer { ticket, result } => {
                if let Some(reply) = self.waiting.remove(&ticket) {
                    // Keys that nobody waits for any more are spent all the same.
                    let _ = reply.send(result);
                }
            }
            delivery::Event::StreamAnswer { ticket, result } => {
                if let Some(reply) = self.calling.remove(&ticket) {
                    // As above.
                    let _ = reply.send(result);
                }
            }
            other => self.tell(KeysEvent::Delivery(other)),
        }
    }

    fn tell(&self, event: KeysEvent) {
        // Without a listener there is nobody to tell.
        let _ = self.events.send(Arc::new(event));
    }

    fn state(&self) -> KeysState {
        let mut links: Vec<_> = self
            .topology
            .links_of(self.manager.id())
            .map(|(link, peer)| LinkKeys {
                link,
                peer,
                condition: self.conditions.get(&link).copied().unwrap_or_default(),
                account: self.node.pool(link).unwrap_or_default(),
            })
            .collect();
        links.sort_by_key(|held| held.link);
        let here = self.manager.id();
        let mut peers = BTreeSet::new();
        for (master, slave, _) in self.directory.pairs() {
            let ends = [master, slave].map(|name| self.directory.node_of(name.as_str()));
            if ends.contains(&Some(here)) {
                peers.extend(ends.into_iter().flatten().filter(|&node| node != here));
            }
        }
        let stock = |peer| PeerStock {
            peer,
            bits: self.manager.stock_bits(peer),
            met: self.manager.has_met(peer),
            drought: self.manager.drought(peer),
        };
        KeysState {
            links,
            peers: peers.into_iter().map(stock).collect(),
            pending: self.manager.pending(),
            open_questions: self.manager.open_questions(),
            requests: self.node.statistics(),
            requests_pending: self.node.pending(),
            undecided: self.node.undecided(),
            commits: self.journal.open(),
            committed: self.journal.committed(),
            journal_size: self.journal.size(),
        }
    }
}

impl From<&DeliveredKey> for KeysEvent {
    fn from(key: &DeliveredKey) -> Self {
        Self::QuantumKey {
            id: key.id,
            end: key.end,
            peer: if key.end == KeyEnd::Source { key.to } else { key.from },
            bits: key.key.len(),
            routes: key.routes.clone(),
            nodes: key.nodes.clone(),
        }
    }
}
