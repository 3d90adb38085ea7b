//! The emulated physical layer as a daemon: the devices of a network behind a TLS listener.
//!
//! Nodes dial it with their own certificates, and each is given the devices at its own ends of links and no others.
//! Keys that come of emulated light are for tests and development; combined with a post-quantum secret, as they are
//! unless a policy says otherwise, they are no weaker than that.

use crate::directory::{self, LiveNetworkError};
use crate::handshakes::Handshakes;
use crate::hardware::client;
use crate::hardware::server::{LayerError, Options, PhysicalLayer};
use crate::hardware::{LinkHardware, Side};
use crate::identity::tls::{self, TlsError};
use crate::identity::{Identity, Role};
use crate::memories;
use crate::memories::client::Memories;
use crate::random::SystemRandom;
use crate::state::{OPERATOR, PHYSICAL_LAYER, State, StateError};
use bellwether_network::Network;
use bellwether_units::Duration;
use rand_core::Rng;
use rustls::RootCertStore;
use rustls::pki_types::ServerName;
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration as Span;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// How long a handshake may take.
const HANDSHAKE: Span = Span::from_secs(10);
/// Handshakes under way; beyond, the oldest from where most come is closed.
const HANDSHAKES: usize = 256;

/// Why the physical layer cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum EmulationError {
    /// The devices of the network cannot be started.
    #[error(transparent)]
    Devices(#[from] LayerError),
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// What the network file says of it.
    #[error(transparent)]
    Network(#[from] LiveNetworkError),
    /// The socket.
    #[error("the physical layer cannot listen at {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
}

impl From<crate::identity::IdentityFileError> for EmulationError {
    fn from(error: crate::identity::IdentityFileError) -> Self {
        Self::State(error.into())
    }
}

/// Starts the devices of all links and serves them at `address`, with so much light behind them; gives where it
/// listens, and a future that serves until it is dropped. The clicks follow from the operating system's generator.
///
/// # Errors
/// See [`EmulationError`].
pub async fn serve(
    network: &Network,
    state: &State,
    address: SocketAddr,
    head_start: Duration,
) -> Result<(SocketAddr, impl Future<Output = ()> + Send + 'static), EmulationError> {
    let mut random = SystemRandom::new();
    let controllers = BTreeSet::from([OPERATOR.to_owned()]);
    let options = Options { head_start, controllers, ..Options::new(random.next_u64(), random.next_u64()) };
    let layout = state.identities();
    let identity = layout.load(Role::Node, PHYSICAL_LAYER)?;
    let acceptor = TlsAcceptor::from(Arc::new(tls::node_server(&identity, layout.roots(Role::Node)?)?));
    let listen = |source| EmulationError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let layer = PhysicalLayer::start(network, &options)?;
    Ok((address, accept(listener, acceptor, layer)))
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, layer: PhysicalLayer) {
    let handshakes = Handshakes::new(HANDSHAKES);
    // Dropped with this future: so end all connections.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "the physical layer could not accept a connection");
                tokio::time::sleep(Span::from_millis(50)).await;
                continue;
            }
        };
        let (handshake, _) = handshakes.begin(address.ip());
        let (acceptor, layer) = (acceptor.clone(), layer.clone());
        connections.spawn(async move {
            let _ = stream.set_nodelay(true);
            let Ok(stream) = handshake.done(HANDSHAKE, acceptor.accept(stream)).await else { return };
            match tls::peer_node(stream.get_ref().1.peer_certificates()) {
                Ok(peer) => match layer.serve(stream, &peer).await {
                    Ok(()) => tracing::debug!(peer, "left the physical layer"),
                    Err(error) => tracing::warn!(peer, %error, "left the physical layer"),
                },
                Err(error) => tracing::warn!(%error, "a caller of the physical layer is nobody"),
            }
        });
    }
}

/// Reaches the physical layer with one identity.
#[derive(Clone)]
pub struct Dialler {
    address: SocketAddr,
    connector: TlsConnector,
}

impl Dialler {
    /// Of the node (or the operator) that `identity` says.
    ///
    /// # Errors
    /// If TLS cannot be set up with it.
    pub fn new(address: SocketAddr, identity: &Identity, nodes: RootCertStore) -> Result<Self, TlsError> {
        let config = tls::node_client(identity, nodes, PHYSICAL_LAYER)?;
        Ok(Self { address, connector: TlsConnector::from(Arc::new(config)) })
    }

    /// Of the operator, whose identity the state directory has.
    ///
    /// # Errors
    /// If it has not, or the network file does not say where the light is served.
    pub fn of_operator(network: &Network, state: &State) -> Result<Self, EmulationError> {
        let layout = state.identities();
        let identity = layout.load(Role::Node, OPERATOR)?;
        let address = directory::physical_layer_address(network)?;
        Ok(Self::new(address, &identity, layout.roots(Role::Node)?)?)
    }

    /// A connection.
    ///
    /// # Errors
    /// If there is none to be had, or somebody else answers.
    pub async fn dial(&self) -> io::Result<TlsStream<TcpStream>> {
        let connect = async {
            let stream = TcpStream::connect(self.address).await?;
            stream.set_nodelay(true)?;
            let name = ServerName::from(self.address.ip());
            self.connector.connect(name, stream).await
        };
        timeout(HANDSHAKE, connect).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    /// The devices at one side of a link; they are dialled again whenever the connection is lost.
    pub fn devices(&self, side: Side, link: &str) -> LinkHardware {
        let this = self.clone();
        client::devices(side, link.to_owned(), move || {
            let this = this.clone();
            async move { this.dial().await }
        })
    }

    /// The devices of this node that entangle, as long as the connection lasts.
    ///
    /// # Errors
    /// If the layer is away, or has none for this node.
    pub async fn memories(&self) -> Result<Memories, client::ClientError> {
        memories::client::attach(self.dial().await?).await
    }

    /// The means to make things happen to a link's light, for the operator.
    ///
    /// # Errors
    /// If the layer is away, or this identity may not.
    pub async fn control(
        &self,
        link: &str,
    ) -> Result<client::Control<TlsStream<TcpStream>>, client::ClientError> {
        client::Control::open(self.dial().await?, link).await
    }
}
