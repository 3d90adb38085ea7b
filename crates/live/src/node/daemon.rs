//! One node of a network, running: its links, its key manager, and the interface for applications.

use super::keys::{Keys, KeysError, KeysSettings};
use super::link::Clock;
use super::links::{self, LinkError, LinkNews, Shared};
use crate::directory::{self, LiveNetworkError, NodeAddresses};
use crate::emulation::Dialler;
use crate::identity::{IdentityFileError, NameRule, OlderTls, Role, TlsError, tls};
use crate::interface::etsi014::{Compatibility, Etsi014};
use crate::interface::http::Http;
use crate::interface::listener::{Bounds, Listener, Security};
use crate::random::SystemRandom;
use crate::state::{State, StateError};
use crate::store::{EmbeddedStore, MasterKey, Rollback, Store, StoreError};
use crate::transport::{self, Channel, Transport, TransportError};
use bellwether_network::Network;
use bellwether_protocol::keys;
use bellwether_protocol::keys::delivery::{Directory, Memory, SaeName};
use bellwether_sim::nodes;
use bellwether_units::{LinkId, NodeId};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;

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

/// What a node needs to run.
pub struct NodeSettings {
    /// The network.
    pub network: Arc<Network>,
    /// Which of its nodes.
    pub node: NodeId,
    /// Who may ask for which keys: [`directory::applications`] of the network.
    pub directory: Arc<Directory>,
    /// Where its state is.
    pub state: State,
    /// What opens its store; without it, the key in the node's folder, which is made on first use.
    pub master: Option<MasterKey>,
    /// What to do if the store is older than its witness.
    pub rollback: Rollback,
    /// Where it listens.
    pub addresses: NodeAddresses,
    /// Where the emulated light is served.
    pub physical_layer: SocketAddr,
    /// For clients in the field.
    pub compatibility: Compatibility,
    /// Whether applications may speak TLS 1.2.
    pub older_tls: OlderTls,
}

/// A running node. Dropping it stops it as a crash would; [`stop`](Self::stop) lets it finish what it answers.
pub struct Node {
    name: String,
    key_manager: SocketAddr,
    keys: Keys,
    transport: Arc<Transport>,
    news: broadcast::Sender<(LinkId, LinkNews)>,
    stop: watch::Sender<bool>,
    listener: tokio::task::JoinHandle<()>,
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
            master,
            rollback,
            addresses,
            physical_layer,
            compatibility,
            older_tls,
        } = settings;
        let (network, node) = (&network, &node);
        let described = network.nodes.get(node.index());
        let name = described.ok_or_else(|| NodeError::Unknown(node.to_string()))?.name.clone();
        let listen = |address| {
            let node = name.clone();
            async move {
                let socket = TcpListener::bind(address).await;
                socket.map_err(|source| NodeError::Listen { node, address, source })
            }
        };
        // Sockets first: of all that can fail, a taken port is the likeliest.
        let nodes_socket = listen(addresses.node_to_node).await?;
        let applications_socket = listen(addresses.key_manager).await?;
        let key_manager = applications_socket.local_addr().unwrap_or(addresses.key_manager);

        let (store, memory) = open_store(state.node(&name)?, master, rollback).await?;
        let layout = state.identities();
        let identity = layout.load(Role::Node, &name)?;
        let roots = layout.roots(Role::Node)?;
        let devices = Dialler::new(physical_layer, &identity, roots.clone())?;
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
                directory,
                store: Arc::clone(&store),
                memory,
                clock,
                random: Box::new(SystemRandom::new()),
                send: Box::new(move |to, channel, bytes| {
                    // Whoever is away gets it again: the machines send until they are heard.
                    let _ = sender.send(to, channel, bytes);
                }),
                names,
            },
            transport.register(Channel::Relay),
            transport.register(Channel::Delivery),
        )
        .await?;

        let (news, _) = broadcast::channel(1024);
        let mut parts = JoinSet::new();
        let part = name.clone();
        parts.spawn(async move {
            keys_task.await.map_err(|_| NodeError::Stopped(part))?.map_err(NodeError::from)
        });
        let shared = Shared {
            network: Arc::clone(network),
            node: *node,
            state: state.clone(),
            store,
            transport: Arc::clone(&transport),
            keys: keys.clone(),
            clock,
            news: news.clone(),
        };
        for (place, link) in network.links.iter().enumerate() {
            if [link.transmitter_at, link.receiver_at].contains(node) {
                let (shared, devices) = (shared.clone(), devices.clone());
                parts.spawn(async move {
                    links::run(shared, LinkId(place as u32), devices).await.map_err(NodeError::from)
                });
            }
        }

        let server = layout.load(Role::KeyManager, &name)?;
        let server = tls::key_manager_server(&server, layout.roots(Role::Application)?, older_tls)?;
        let rule = NameRule::applications();
        let (stop, stopped) = watch::channel(false);
        let interface = Etsi014::new(Arc::new(keys.clone()), compatibility);
        let security = Security::Tls {
            config: Arc::new(server),
            identify: Arc::new(move |certificate| SaeName::new(&rule.name(certificate).ok()?).ok()),
        };
        let listener = Listener::new(security, Http(Arc::new(interface)), Bounds::default());
        let listener = tokio::spawn(Arc::new(listener).serve(applications_socket, stopped));
        tracing::info!(node = name, %key_manager, "running");
        Ok(Self { name, key_manager, keys, transport, news, stop, listener, parts })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// Where applications ask for keys.
    pub fn key_manager(&self) -> SocketAddr {
        self.key_manager
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
        let _ = (&mut self.listener).await;
        self.parts.shutdown().await;
        tracing::info!(node = self.name, "stopped");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn open_store(
    folder: PathBuf,
    master: Option<MasterKey>,
    rollback: Rollback,
) -> Result<(Arc<dyn Store>, Memory), NodeError> {
    let opened = tokio::task::spawn_blocking(move || {
        let master = match master {
            Some(master) => master,
            None => MasterKey::create_file(&folder.join("master.key"))?,
        };
        EmbeddedStore::open(&folder.join("store.redb"), &folder.join("witness"), &master, rollback)
    });
    let store = opened.await.map_err(|_| StoreError::Closed)??;
    let memory = if store.rolled_back() { Memory::Doubtful } else { Memory::Current };
    Ok((Arc::new(store), memory))
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
