//! One node of a network, running: its links, its key manager, and the interface for applications.

use super::callers;
use super::entanglement;
use super::keys::{Keys, KeysError, KeysSettings};
use super::link::Clock;
use super::links::{self, LinkError, LinkNews, Shared};
use super::policy::{self, ReloadError};
use super::records::{self, StorePlace};
pub use super::settings::NodeSettings;
use super::standby::StandbySettings;
use crate::audit::{self, AuditError, AuditLog, Found};
use crate::directory::{self, LiveNetworkError};
use crate::emulation::Dialler;
use crate::identity::{IdentityFileError, Role, TlsError};
use crate::interface::etsi004::{Etsi004, KeyStreams, StreamCompatibility};
use crate::interface::etsi014::Etsi014;
use crate::interface::http::Http;
use crate::interface::listener::{self, Bounds, Listener, Security};
use crate::interface::operations::{Measured, Measures, News, Observer, Operations, Parts};
use crate::memories;
use crate::process::descriptors;
use crate::programs::server::Entrance;
use crate::random::SystemRandom;
use crate::state::StateError;
use crate::store::StoreError;
use crate::transport::{self, Channel, Transport, TransportError};
use crate::webhook::{WebhookError, Webhooks};
use bellwether_network::Network;
use bellwether_protocol::keys;
use bellwether_sim::entanglement::{BuildError, SetupError};
use bellwether_sim::nodes;
use bellwether_units::{LinkId, NodeId};
use rand_core::Rng;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, broadcast, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

/// How long a node that stops waits until what happened last is written down and posted.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Why a node cannot run.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The network has no such node.
    #[error("the network has no node `{0}`")]
    Unknown(String),
    /// The network file does not say where to listen.
    #[error(transparent)]
    Network(#[from] LiveNetworkError),
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// A certificate or private key.
    #[error(transparent)]
    Identity(#[from] IdentityFileError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The sockets between nodes.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The key manager.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// A link.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// What entangles lacks figures, or has some that cannot be.
    #[error(transparent)]
    Entangling(#[from] BuildError),
    /// There is more that entangles than can be numbered.
    #[error(transparent)]
    TooMany(#[from] SetupError),
    /// The audit log.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// A webhook.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// A socket.
    #[error("node `{node}` cannot listen at {address}: {source}")]
    Listen {
        /// Which node.
        node: String,
        /// Where.
        address: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
    /// A part of it ended without saying why.
    #[error("a part of node `{0}` stopped")]
    Stopped(String),
}

/// A running node. Dropping it stops it as a crash would; [`stop`](Self::stop) lets it finish what it answers.
pub struct Node {
    name: String,
    key_manager: SocketAddr,
    key_streams: SocketAddr,
    operations: SocketAddr,
    keys: Keys,
    transport: Arc<Transport>,
    news: broadcast::Sender<(LinkId, LinkNews)>,
    observer: Arc<Observer>,
    webhooks: Arc<Webhooks>,
    callers: Arc<callers::Names>,
    /// Where programs attach, if the node has memories.
    entrance: Option<Entrance>,
    /// The network as its file was last read.
    network: Mutex<Arc<Network>>,
    stop: watch::Sender<bool>,
    /// Turns true when all else has stopped.
    last: watch::Sender<bool>,
    listeners: Vec<JoinHandle<()>>,
    observing: JoinHandle<()>,
    parts: JoinSet<Result<(), NodeError>>,
}

impl Node {
    /// Starts a node on the current tokio runtime.
    ///
    /// # Errors
    /// See [`NodeError`].
    pub async fn start(settings: NodeSettings) -> Result<Self, NodeError> {
        let NodeSettings {
            network,
            node,
            directory,
            state,
            records,
            addresses,
            physical_layer,
            folder,
            compatibility,
            older_tls,
        } = settings;
        let (network, node) = (&network, &node);
        let described = network.nodes.get(node.index());
        let name = described.ok_or_else(|| NodeError::Unknown(node.to_string()))?.name.clone();
        let listen = |address| {
            let listening = listener::listen(address);
            listening.map_err(|source| NodeError::Listen { node: name.clone(), address, source })
        };
        let layout = state.identities();
        let identity = layout.load(Role::Node, &name)?;
        let callers = callers::Names::of(network);
        let security = callers::applications(&layout, &name, older_tls, Arc::clone(&callers))?;
        let folder_here = state.node(&name)?;
        // Who stands by takes no socket from whoever leads.
        let opened = match &records.place {
            StorePlace::Embedded => None,
            StorePlace::Postgres(database) => {
                let operators =
                    callers::operators(addresses.operations, &identity, layout.roots(Role::Node)?)?;
                let standby = StandbySettings {
                    node: name.clone(),
                    addresses,
                    applications: security.clone(),
                    operators,
                };
                let store = records::store_name(network, &name);
                Some(records.open_database(database, &store, &folder_here, standby).await?)
            }
        };
        let roots = layout.roots(Role::Node)?;
        let devices = Dialler::new(physical_layer, &identity, roots.clone())?;
        let hardware = links::all_hardware(network, *node, &folder, &devices)?;
        // Sockets before the store is opened: of all that can fail, a taken port is the likeliest.
        let nodes_socket = listen(addresses.node_to_node)?;
        let applications_socket = listen(addresses.key_manager)?;
        let key_manager = applications_socket.local_addr().unwrap_or(addresses.key_manager);
        let streams_socket = listen(addresses.key_streams)?;
        let key_streams = streams_socket.local_addr().unwrap_or(addresses.key_streams);
        let operations_socket = listen(addresses.operations)?;
        let operations = operations_socket.local_addr().unwrap_or(addresses.operations);
        let programs_socket = addresses.programs.map(listen).transpose()?;

        let (store, memory) = match opened {
            Some(opened) => opened,
            None => records.open_embedded(folder_here.clone(), &name).await?,
        };
        let observer = observe(network, &name, folder_here).await?;
        let operations_security = callers::operators(operations, &identity, roots.clone())?;
        let webhooks = Arc::new(Webhooks::new(Arc::clone(&observer), state.clone()));
        webhooks.set(&network.live.webhooks)?;
        let transport = Arc::new(Transport::start(
            nodes_socket,
            transport::Settings {
                identity,
                roots,
                peers: peers_of(network, *node)?,
                queue_bytes: transport::QUEUE_BYTES,
                timing: transport::Timing::default(),
            },
        )?);

        let clock = Clock::start();
        let sender = Arc::clone(&transport);
        let names: Arc<[String]> = network.nodes.iter().map(|node| node.name.clone()).collect();
        let (keys, keys_task) = Keys::start(
            KeysSettings {
                node: *node,
                topology: Arc::new(nodes::topology(network)),
                relay: nodes::key_settings(network, *node, keys::Settings::default()),
                delivery: directory::delivery_settings(network),
                directory: Arc::clone(&directory),
                store: Arc::clone(&store),
                memory,
                clock,
                random: Box::new(SystemRandom::new()),
                send: Box::new(move |to, channel, bytes| {
                    // Whoever is away gets it again: the machines send until they are heard.
                    let _ = sender.send(to, channel, bytes);
                }),
                names: Arc::clone(&names),
            },
            transport.register(Channel::Relay),
            transport.register(Channel::Delivery),
        )
        .await?;

        let (news, links_told) = broadcast::channel(1024);
        let (last, ends) = watch::channel(false);
        let observing = Arc::clone(&observer).run(keys.subscribe_from_start(), links_told, ends);
        let observing = tokio::spawn(observing);
        let mut parts = JoinSet::new();
        parts.spawn(async move { keys_task.await.map_err(NodeError::from) });
        let lost = store.lost();
        parts.spawn(async move { Err(lost.await.into()) });
        let shared = Shared {
            network: Arc::clone(network),
            node: *node,
            state: state.clone(),
            store: Arc::clone(&store),
            transport: Arc::clone(&transport),
            keys: keys.clone(),
            clock,
            news: news.clone(),
        };
        let entrance = match programs_socket {
            Some(socket) => {
                let (entrance, programs) = Entrance::closed(*node, names.to_vec(), directory);
                let settings = entanglement::Settings {
                    node: *node,
                    setup: memories::setup(network)?,
                    devices,
                    transport: Arc::clone(&transport),
                    entrance: entrance.clone(),
                    programs,
                };
                parts.spawn(async move { entanglement::run(settings).await.map_err(NodeError::from) });
                Some((entrance, socket))
            }
            None => None,
        };
        for (link, hardware) in hardware {
            let shared = shared.clone();
            parts.spawn(async move { links::run(shared, link, hardware).await.map_err(NodeError::from) });
        }

        let (stop, stopped) = watch::channel(false);
        let measures = Measures::default();
        let service =
            Measured { service: keys.clone(), measures: measures.clone(), observer: Arc::clone(&observer) };
        let absent_peer_is_success = compatibility.absent_peer_is_success;
        let interface = Etsi014::new(Arc::new(service), compatibility);
        let counted = interface.counters();
        let refused = |interface| {
            let observer = Arc::clone(&observer);
            Arc::new(move |address, why| observer.refused(interface, address, why))
        };
        let compatibility = StreamCompatibility { absent_peer_is_success, ..StreamCompatibility::default() };
        let streams = KeyStreams(Arc::new(Etsi004::new(Arc::new(keys.clone()), compatibility)));
        let descriptors = descriptors::limit();
        let bounds = Bounds::default().within(descriptors, 40);
        let mut listeners = Vec::new();
        let mut counted_listeners = Vec::new();
        let entrance = entrance.map(|(entrance, socket)| {
            let (listener, counters) =
                entrance.listen(socket, security.clone(), bounds, refused("programs"), stopped.clone());
            listeners.push(listener);
            counted_listeners.push(("programs", counters));
            entrance
        });
        let streams = Listener::new(security.clone(), streams, bounds).on_refusal(refused("key-streams"));
        let applications =
            Listener::new(security, Http(Arc::new(interface)), bounds).on_refusal(refused("key-manager"));
        counted_listeners
            .extend([("key-manager", applications.counters()), ("key-streams", streams.counters())]);
        let local_only = matches!(operations_security, Security::Plain(_));
        let interface = Operations::new(Parts {
            network: Arc::clone(network),
            node: *node,
            keys: keys.clone(),
            transport: Arc::clone(&transport),
            store,
            observer: Arc::clone(&observer),
            webhooks: Arc::clone(&webhooks),
            measures,
            etsi014: counted,
            listeners: counted_listeners,
            key_manager,
            stop: stopped.clone(),
            local_only,
        });
        let bounds = Bounds { connections: 1024, ..Bounds::default() }.within(descriptors, 10);
        let operators = Listener::new(operations_security, Http(Arc::new(interface)), bounds)
            .on_refusal(refused("operations"));
        listeners.extend([
            tokio::spawn(Arc::new(applications).serve(applications_socket, stopped.clone())),
            tokio::spawn(Arc::new(streams).serve(streams_socket, stopped.clone())),
            tokio::spawn(Arc::new(operators).serve(operations_socket, stopped)),
        ]);
        observer.tell(News::Started { software: env!("CARGO_PKG_VERSION") });
        tracing::info!(node = name, %key_manager, %operations, "running");
        Ok(Self {
            name,
            key_manager,
            key_streams,
            operations,
            keys,
            transport,
            news,
            observer,
            webhooks,
            callers,
            entrance,
            network: Mutex::new(Arc::clone(network)),
            stop,
            last,
            listeners,
            observing,
            parts,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// Where applications ask for keys.
    pub fn key_manager(&self) -> SocketAddr {
        self.key_manager
    }
    /// Where applications take key streams.
    pub fn key_streams(&self) -> SocketAddr {
        self.key_streams
    }
    /// Where operators see how it does.
    pub fn operations(&self) -> SocketAddr {
        self.operations
    }
    /// Its key manager.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }
    /// What its connections to other nodes carried.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }
    /// What its links tell from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<(LinkId, LinkNews)> {
        self.news.subscribe()
    }

    /// Applications, pairs and webhooks are from now on as in `network`, which may differ in nothing else. Gives what
    /// changed, in words.
    ///
    /// # Errors
    /// See [`ReloadError`]; then all stays as it was.
    pub async fn reload(&self, network: Arc<Network>) -> Result<Vec<String>, ReloadError> {
        let mut current = self.network.lock().await;
        let policy::Difference { directory, changes } = policy::difference(&current, &network)?;
        self.webhooks.set(&network.live.webhooks)?;
        if let Some(directory) = directory {
            if let Some(entrance) = &self.entrance {
                entrance.set_directory(Arc::clone(&directory));
            }
            self.keys.set_directory(directory).await;
        }
        self.callers.set(&network);
        if !changes.is_empty() {
            tracing::info!(node = self.name, changes = changes.join("; "), "the policy was read anew");
            self.observer.tell(News::Policy { changes: changes.clone() });
        }
        *current = network;
        Ok(changes)
    }

    /// Waits until a part of the node fails, and says why; a node all of whose parts run waits for ever.
    pub async fn failed(&mut self) -> NodeError {
        match self.parts.join_next().await {
            Some(Ok(Err(error))) => error,
            _ => NodeError::Stopped(self.name.clone()),
        }
    }

    /// Stops: requests under way are answered, then everything ends. All that was promised is durable.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        for listener in &mut self.listeners {
            let _ = listener.await;
        }
        self.parts.shutdown().await;
        let _ = self.last.send(true);
        // A disk that takes no more must not keep the node from stopping.
        let _ = timeout(LAST_WORDS, &mut self.observing).await;
        self.observer.tell(News::Stopped);
        let written = self.observer.audit().flush();
        let _ = tokio::join!(self.webhooks.finish(LAST_WORDS), timeout(LAST_WORDS, written));
        tracing::info!(node = self.name, "stopped");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.listeners.iter().for_each(JoinHandle::abort);
        self.observing.abort();
    }
}

/// Opens the audit log and begins to gather what happens.
async fn observe(network: &Network, name: &str, folder: PathBuf) -> Result<Arc<Observer>, NodeError> {
    let opened = tokio::task::spawn_blocking(move || AuditLog::open(&folder, audit::FILE_LIMIT));
    let (log, found) = opened.await.map_err(|_| NodeError::Stopped(name.to_owned()))??;
    let observer = Observer::new(network, name, SystemRandom::new().next_u64(), log);
    let (kind, text) = match found {
        Found::Nothing | Found::Whole => return Ok(Arc::new(observer)),
        Found::Cut(bytes) => {
            ("audit-cut", format!("the audit log ended within an entry, of which {bytes} bytes were cut off"))
        }
        Found::Broken { kept_as, why } => {
            let path = kept_as.display();
            (
                "audit-broken",
                format!("the chain of the audit log does not hold ({why}): it is kept as {path}"),
            )
        }
    };
    tracing::warn!(node = name, "{text}");
    observer.tell(News::node_alarm(kind, text));
    Ok(Arc::new(observer))
}

fn peers_of(network: &Network, node: NodeId) -> Result<Vec<transport::Peer>, NodeError> {
    let others = (0..network.nodes.len() as u32).map(NodeId).filter(|other| *other != node);
    others
        .map(|other| {
            let address = directory::node_addresses(network, other)?.node_to_node.to_string();
            Ok(transport::Peer { node: other, name: network.node(other).name.clone(), address })
        })
        .collect()
}
