//! Frames between nodes over TLS 1.3.
//!
//! Each node dials a peer for its own sending direction only, when it first has something to send, and reads from
//! the connections that peers open to it. Best effort: a frame may be lost with a connection or dropped from a full
//! queue, and comes at most once, in order as long as the connection lasts; the machines retransmit. A peer that is away, silent or slow costs a
//! bounded queue and delays nobody else.

pub mod frame;
mod incoming;
mod outgoing;

pub use frame::{Channel, FrameError};

use crate::identity::tls::{self, TlsError};
use crate::identity::{Identity, name_in_role};
use crate::identity::{NameError, Role};
use bellwether_units::NodeId;
use incoming::{Inbound, Registration};
use outgoing::{Outgoing, Queue};
use rustls::RootCertStore;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// Frames that may wait for a channel's machines, besides the limit by bytes.
const ARRIVED_LIMIT: usize = 4096;

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Before dialling again for the first time; doubles each time.
    pub first_pause: Duration,
    /// The longest pause before dialling again.
    pub longest_pause: Duration,
    /// For connecting and the handshake together.
    pub handshake: Duration,
    /// How often a connection that is open shows that it is alive.
    pub keep_alive: Duration,
    /// A connection on which nothing moves for so long is closed.
    pub stall: Duration,
    /// How long an arrived frame waits for room with its machines before it is dropped.
    pub hand_over: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_secs(5),
            handshake: Duration::from_secs(10),
            keep_alive: Duration::from_secs(3),
            stall: Duration::from_secs(10),
            hand_over: Duration::from_secs(1),
        }
    }
}

/// Another node.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its number, as the machines know it.
    pub node: NodeId,
    /// Its name, as its certificate says.
    pub name: String,
    /// Where it listens: `host:port`.
    pub address: String,
}

/// What a transport needs.
pub struct Settings {
    /// This node's certificate and key.
    pub identity: Identity,
    /// The authorities that sign nodes' certificates.
    pub roots: RootCertStore,
    /// Everybody this node talks to; nobody else is let in.
    pub peers: Vec<Peer>,
    /// How many bytes may wait for one peer, and for the machines of one channel; at least one frame of the
    /// largest size.
    pub queue_bytes: usize,
    /// How long things may take.
    pub timing: Timing,
}

/// The default of [`Settings::queue_bytes`].
pub const QUEUE_BYTES: usize = 64 << 20;

/// Why a transport could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// Two peers with one name or one number.
    #[error("the peer `{0}` is named twice")]
    Twice(String),
    /// The node's own certificate is not a node's.
    #[error("this node's own certificate cannot be used: {0}")]
    OwnCertificate(#[from] NameError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A queue too small for one frame.
    #[error("a queue of {0} bytes cannot hold the largest frame")]
    Queue(usize),
    /// The listener's address cannot be read.
    #[error("the listener cannot be used: {0}")]
    Listener(#[from] io::Error),
}

/// Why a frame was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No such peer.
    #[error("{0} is no peer of this node")]
    UnknownPeer(NodeId),
    /// Too long.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// A frame that a peer sent.
#[derive(Debug)]
pub struct Arrived {
    /// Who, by its certificate.
    pub from: NodeId,
    /// For which machines.
    pub channel: Channel,
    /// What.
    pub bytes: Vec<u8>,
    /// Its share of the channel's room, given back when the frame is dropped.
    _room: Option<OwnedSemaphorePermit>,
}

impl Arrived {
    /// A frame that came some other way than over a [`Transport`], within one process; it takes no room.
    pub fn within_process(from: NodeId, channel: Channel, bytes: Vec<u8>) -> Self {
        Self { from, channel, bytes, _room: None }
    }
}

/// What was counted for one peer since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerStatistics {
    /// Whether the sending direction is connected now.
    pub connected: bool,
    /// Connections made to it.
    pub connections: u64,
    /// Attempts to connect that failed, and connections that broke.
    pub failures: u64,
    /// Frames written.
    pub sent: u64,
    /// Bytes written, with heads, inside TLS.
    pub sent_bytes: u64,
    /// Frames dropped from the full queue or lost with a connection.
    pub dropped: u64,
    /// Frames handed to machines.
    pub received: u64,
    /// Bytes of those, with heads.
    pub received_bytes: u64,
    /// Frames that no machine took, or not in time.
    pub unclaimed: u64,
    /// Connections closed because of a malformed frame.
    pub malformed: u64,
}

#[derive(Default)]
struct Counters {
    connected: AtomicBool,
    connections: AtomicU64,
    failures: AtomicU64,
    sent: AtomicU64,
    sent_bytes: AtomicU64,
    dropped: AtomicU64,
    received: AtomicU64,
    received_bytes: AtomicU64,
    unclaimed: AtomicU64,
    malformed: AtomicU64,
}

/// All peers, each at its place in three lists.
struct Peers {
    all: Vec<Arc<Outgoing>>,
    nodes: Vec<NodeId>,
    by_node: BTreeMap<NodeId, usize>,
    by_name: BTreeMap<String, usize>,
}

/// A node's connections to its peers. Dropping it closes them soon after; [`Transport::close`] waits for that.
pub struct Transport {
    peers: Arc<Peers>,
    inbound: Arc<Inbound>,
    address: SocketAddr,
    queue_bytes: usize,
    tasks: Vec<JoinHandle<()>>,
}

impl Transport {
    /// Starts to listen; dials nobody yet. Runs in the current tokio runtime.
    ///
    /// # Errors
    /// See [`TransportError`].
    pub fn start(listener: TcpListener, settings: Settings) -> Result<Self, TransportError> {
        let Settings { identity, roots, peers, queue_bytes, timing } = settings;
        if queue_bytes < frame::HEAD + frame::PAYLOAD_LIMIT {
            return Err(TransportError::Queue(queue_bytes));
        }
        name_in_role(Role::Node, identity.chain.first().ok_or(NameError::NoCertificate)?)?;
        let mut table =
            Peers { all: Vec::new(), nodes: Vec::new(), by_node: BTreeMap::new(), by_name: BTreeMap::new() };
        for Peer { node, name, address } in peers {
            let place = table.all.len();
            let twice = table.by_node.insert(node, place).is_some()
                || table.by_name.insert(name.clone(), place).is_some();
            if twice {
                return Err(TransportError::Twice(name));
            }
            let tls = Arc::new(tls::node_client(&identity, roots.clone(), &name)?);
            table.nodes.push(node);
            table.all.push(Arc::new(Outgoing {
                name,
                address: Mutex::new(address),
                queue: Queue::new(queue_bytes),
                counters: Counters::default(),
                tls,
                timing,
            }));
        }
        let peers = Arc::new(table);
        let acceptor = TlsAcceptor::from(Arc::new(tls::node_server(&identity, roots)?));
        let address = listener.local_addr()?;
        let inbound = Arc::new(Inbound {
            peers: Arc::clone(&peers),
            channels: RwLock::new(BTreeMap::new()),
            newest: Mutex::new(BTreeMap::new()),
            timing,
            handshake_limit: 2 * peers.all.len() + 16,
        });
        let mut tasks = vec![tokio::spawn(Arc::clone(&inbound).run(listener, acceptor))];
        for peer in &peers.all {
            let peer = Arc::clone(peer);
            tasks.push(tokio::spawn(async move { peer.run().await }));
        }
        Ok(Self { peers, inbound, address, queue_bytes, tasks })
    }

    /// Where this node listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Queues a frame for a peer; never waits.
    ///
    /// # Errors
    /// See [`SendError`]. A full queue is none: it drops the oldest frames of this peer and counts them.
    pub fn send(&self, peer: NodeId, channel: Channel, bytes: Vec<u8>) -> Result<(), SendError> {
        let place = self.peers.by_node.get(&peer).ok_or(SendError::UnknownPeer(peer))?;
        Ok(self.peers.all[*place].send(channel, bytes)?)
    }

    /// Everything that arrives on a channel from now on; an earlier registration ends.
    pub fn register(&self, channel: Channel) -> mpsc::Receiver<Arrived> {
        let (queue, arrived) = mpsc::channel(ARRIVED_LIMIT);
        let room = Arc::new(Semaphore::new(self.queue_bytes.min(Semaphore::MAX_PERMITS)));
        let mut channels = self.inbound.channels.write().unwrap_or_else(PoisonError::into_inner);
        channels.insert(channel, Registration { queue, room });
        arrived
    }

    /// Dials a peer at another address from its next connection on.
    ///
    /// # Errors
    /// [`SendError::UnknownPeer`].
    pub fn set_address(&self, peer: NodeId, address: String) -> Result<(), SendError> {
        let place = self.peers.by_node.get(&peer).ok_or(SendError::UnknownPeer(peer))?;
        *self.peers.all[*place].address.lock().unwrap_or_else(PoisonError::into_inner) = address;
        Ok(())
    }

    /// Closes the listener and all connections. What still waits in queues is lost.
    pub async fn close(mut self) {
        for task in self.tasks.drain(..) {
            task.abort();
            // It ends as aborted, which is what was asked.
            let _ = task.await;
        }
    }

    /// What was counted for each peer, ordered by number.
    pub fn statistics(&self) -> Vec<(NodeId, PeerStatistics)> {
        let of = |(node, place): (&NodeId, &usize)| (*node, self.peers.all[*place].counters.snapshot());
        self.peers.by_node.iter().map(of).collect()
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Counters {
    fn snapshot(&self) -> PeerStatistics {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        PeerStatistics {
            connected: self.connected.load(Ordering::Relaxed),
            connections: count(&self.connections),
            failures: count(&self.failures),
            sent: count(&self.sent),
            sent_bytes: count(&self.sent_bytes),
            dropped: count(&self.dropped),
            received: count(&self.received),
            received_bytes: count(&self.received_bytes),
            unclaimed: count(&self.unclaimed),
            malformed: count(&self.malformed),
        }
    }
}
