//! The driver of a node's keys: one task that owns the key node and the key manager above it.
//!
//! Distilled blocks, frames of other nodes and questions of applications go in; keys for applications come out. What
//! either machine wants durable is committed in the order in which it was wanted, several records in a commit and
//! several commits under way, while the machines go on: no key leaves, and no frame that relies on a record, before
//! the record is durable. The task decides nothing itself but when the relay's journal is replaced by a snapshot.

mod journal;
mod service;
mod task;

use super::link::Clock;
use crate::store::{Store, StoreError};
use crate::transport::{Arrived, Channel};
use bellwether_bits::SecretBits;
use bellwether_protocol::keys::delivery::{
    self, ApplicationKey, DeliveryError, Directory, Drought, Memory, PairStatus,
};
use bellwether_protocol::keys::{
    self, KeyEnd, KeyId, LinkCondition, PoolAccount, RequestStatistics, Topology,
};
use bellwether_units::{BlockId, LinkId, NodeId};
use rand_core::Rng;
use std::sync::{Arc, Mutex, PoisonError};
use task::{Order, Task};
use tokio::sync::{broadcast, mpsc, oneshot};

/// How many orders (questions of applications, blocks, conditions) may wait for the task.
const ORDER_LIMIT: usize = 4096;
/// How many events a listener may lag behind before it misses some.
const EVENT_LIMIT: usize = 32_768;
/// Above so many bytes that wait to become durable, questions of applications are turned away.
const BACKLOG_LIMIT: usize = 4 << 20;

/// What the driver of a node's keys is made of.
pub struct KeysSettings {
    /// Which node.
    pub node: NodeId,
    /// The network.
    pub topology: Arc<Topology>,
    /// Of the key node: pools and relay.
    pub relay: keys::Settings,
    /// Of the key manager.
    pub delivery: delivery::Settings,
    /// Which applications there are, and which may share keys.
    pub directory: Arc<Directory>,
    /// Where both machines' state is kept.
    pub store: Arc<dyn Store>,
    /// [`Memory::Doubtful`] if the store may be older than what was done: all key that it holds is burned.
    pub memory: Memory,
    /// The machines' time.
    pub clock: Clock,
    /// For secrets: [`SystemRandom`](crate::random::SystemRandom), but in tests.
    pub random: Box<dyn Rng + Send>,
    /// Sends a frame to another node. Must not block; frames may get lost.
    pub send: Box<dyn Fn(NodeId, Channel, Vec<u8>) + Send>,
    /// The names of the nodes, in the order of their numbers.
    pub names: Arc<[String]>,
}

/// Why a node's keys cannot be driven, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// Something could not be made durable or be read. Nothing goes on without.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record of the relay's journal is none.
    #[error("record {number} of the relay's journal cannot be read: {why}")]
    Journal {
        /// The record's number, or its key if that is none.
        number: String,
        /// What is wrong.
        why: String,
    },
    /// An entry of the key manager's store is none.
    #[error("an entry of the key manager's store cannot be read: {0}")]
    Delivery(#[from] delivery::DecodeError),
}

/// What either machine tells, for audit, operators and metrics. No key is in it.
#[derive(Debug)]
pub enum KeysEvent {
    /// From the key node; never `Delivered`, which becomes [`Self::QuantumKey`].
    Relay(keys::Event),
    /// The key node handed a key to the key manager.
    QuantumKey {
        /// Its name.
        id: KeyId,
        /// Which end this node is.
        end: KeyEnd,
        /// The other end.
        peer: NodeId,
        /// How long it is.
        bits: usize,
        /// The links that its shares passed.
        routes: Vec<Vec<LinkId>>,
        /// The nodes that have seen it or a share of it.
        nodes: Vec<NodeId>,
    },
    /// From the key manager; never `Answer` or `WantQuantum`.
    Delivery(delivery::Event),
    /// The store was doubtful, and so many bits of the pools were burned.
    PoolsBurned(u64),
}

/// How the keys of a node do.
#[derive(Clone, Debug, Default)]
pub struct KeysState {
    /// The node's own links.
    pub links: Vec<LinkKeys>,
    /// The nodes with which applications here may share keys.
    pub peers: Vec<PeerStock>,
    /// Keys that wait to be collected here.
    pub pending: usize,
    /// Questions of applications that wait or are being written.
    pub open_questions: usize,
    /// What became of the key manager's requests to the network, made at this node.
    pub requests: RequestStatistics,
    /// Such requests that wait or are in flight.
    pub requests_pending: usize,
    /// Keys that are held as their destination, undecided.
    pub undecided: usize,
    /// Commits that are under way.
    pub commits: usize,
    /// Commits that became durable since the start.
    pub committed: u64,
    /// The size of the relay's journal, in bytes of memory.
    pub journal_size: usize,
}

/// The key held in common with a neighbour.
#[derive(Clone, Copy, Debug)]
pub struct LinkKeys {
    /// Over which link.
    pub link: LinkId,
    /// With whom.
    pub peer: NodeId,
    /// Its condition, as last told.
    pub condition: LinkCondition,
    /// Where the key went, in bits.
    pub account: PoolAccount,
}

/// The stock of key for applications at another node.
#[derive(Clone, Copy, Debug)]
pub struct PeerStock {
    /// Which node.
    pub peer: NodeId,
    /// How many bits of quantum key this node may take for keys with it.
    pub bits: u64,
    /// Whether the two key managers have heard each other since they started.
    pub met: bool,
    /// Why the network gives no quantum key for keys with it now.
    pub drought: Option<Drought>,
}

/// A handle of the task. When all are dropped, the task ends once all that it wanted durable is.
#[derive(Clone)]
pub struct Keys {
    orders: mpsc::Sender<Order>,
    events: broadcast::Sender<Arc<KeysEvent>>,
    first: Arc<Mutex<Option<broadcast::Receiver<Arc<KeysEvent>>>>>,
    store: Arc<dyn Store>,
    names: Arc<[String]>,
    /// How long a key is if nobody says, in bits.
    key_bits: u32,
}

/// The answer that an application waits for.
type Reply = oneshot::Sender<Result<Vec<ApplicationKey>, DeliveryError>>;
/// The answer to a call about a stream.
type CallReply = oneshot::Sender<Result<delivery::StreamReply, delivery::StreamError>>;
type StatusReply = oneshot::Sender<Result<PairStatus, DeliveryError>>;

impl Keys {
    /// Reads the store and gives the task that is to run: for the first time if the store is empty. The conditions of
    /// links do not survive a restart and are to be told again. Dropping the task stops it as a crash would.
    ///
    /// # Errors
    /// If the store cannot be read, or, when it is doubtful, not be written.
    pub async fn start(
        settings: KeysSettings,
        relay_frames: mpsc::Receiver<Arrived>,
        delivery_frames: mpsc::Receiver<Arrived>,
    ) -> Result<(Self, impl Future<Output = Result<(), KeysError>> + Send + use<>), KeysError> {
        let (orders, to_do) = mpsc::channel(ORDER_LIMIT);
        let (events, first) = broadcast::channel(EVENT_LIMIT);
        let handle = Self {
            orders,
            events: events.clone(),
            first: Arc::new(Mutex::new(Some(first))),
            store: Arc::clone(&settings.store),
            names: Arc::clone(&settings.names),
            key_bits: settings.delivery.key_bits,
        };
        let task = Task::load(settings, events).await?;
        Ok((handle, task.run(to_do, relay_frames, delivery_frames)))
    }

    /// A block of distilled key; waits while much is waiting already.
    pub async fn store_block(&self, link: LinkId, block: BlockId, key: SecretBits) {
        self.order(Order::Store { link, block, key }).await;
    }

    /// How a link of this node does from now on.
    pub async fn link_condition(&self, link: LinkId, condition: LinkCondition) {
        self.order(Order::Condition(link, condition)).await;
    }

    /// Which applications there are from now on, and which may share keys.
    pub async fn set_directory(&self, directory: Arc<Directory>) {
        self.order(Order::Directory(directory)).await;
    }

    /// What both machines tell from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<KeysEvent>> {
        self.events.subscribe()
    }

    /// What both machines told since the start, for whoever asks first; later askers get what comes from then on.
    pub fn subscribe_from_start(&self) -> broadcast::Receiver<Arc<KeysEvent>> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        first.unwrap_or_else(|| self.subscribe())
    }

    /// Whether the task takes orders: it ends when something cannot be made durable.
    pub fn is_running(&self) -> bool {
        !self.orders.is_closed()
    }

    /// How the keys do; empty once the task has stopped.
    pub async fn state(&self) -> KeysState {
        let (reply, answer) = oneshot::channel();
        self.order(Order::State(reply)).await;
        answer.await.unwrap_or_default()
    }

    /// A task that has stopped takes no orders: whoever joins it learns why.
    async fn order(&self, order: Order) {
        let _ = self.orders.send(order).await;
    }
}
