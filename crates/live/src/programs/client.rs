//! The program's side: a program's process attaches to its node, and the program runs as if it were there.

use super::carrier::{Carrier, ProgramClock};
use super::wire::{Ask, Tell};
use crate::hardware::wire::{FRAME_LIMIT, FrameError, read_frame, write_frame};
use crate::identity::Identity;
use crate::identity::tls::{self, TlsError};
use crate::random::SystemRandom;
use bellwether_protocol::application::{Node, Port};
use bellwether_units::NodeId;
use core::future::poll_fn;
use core::time::Duration;
use rand_core::Rng;
use rustls::RootCertStore;
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How long a node may take to let a program in.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a program is not, or no longer, attached.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The node cannot be reached, or does not accept the application's certificate.
    #[error("cannot attach to node `{node}` at {address}: {source}; does it run, and does it keep memories?")]
    Connect {
        /// Which node.
        node: String,
        /// Where.
        address: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
    /// The connection failed, or carried no frames.
    #[error("the connection to the node is lost: {0}")]
    Frame(#[from] FrameError),
    /// The node refuses the program, or has ended it.
    #[error("the node refuses: {0}")]
    Refused(String),
    /// The node says something that makes no sense here.
    #[error("the node answers out of turn")]
    Unexpected,
    /// Nothing is heard of the node.
    #[error("the node does not answer")]
    Silent,
    /// The program wishes for more than a frame carries.
    #[error("the program hands over {0} at once: the most is {most}", most = super::wire::MOST_AT_ONCE)]
    TooMuch(&'static str),
}

impl From<io::Error> for AttachError {
    fn from(error: io::Error) -> Self {
        Self::Frame(error.into())
    }
}

/// The names and numbers of a network's nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names(Arc<[String]>);

impl Names {
    /// The number of the node called `name`.
    pub fn find(&self, name: &str) -> Option<NodeId> {
        self.0.iter().position(|other| other == name).map(|place| NodeId(place as u32))
    }
    /// The name of a node.
    pub fn name(&self, node: NodeId) -> Option<&str> {
        self.0.get(node.index()).map(String::as_str)
    }
    /// All names, in the order of their numbers.
    pub fn all(&self) -> &[String] {
        &self.0
    }
}

/// A program's connection to its node, before the program runs.
pub struct Attachment<S> {
    node: Node,
    names: Names,
    port: Arc<Port>,
    clock: ProgramClock,
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
}

/// Attaches to the node called `node` at `address`, as the application that `identity` names. The node shows a certificate
/// of `key_managers` for that address and name.
///
/// # Errors
/// If the node cannot be reached or refuses the program.
pub async fn attach(
    address: SocketAddr,
    node: &str,
    identity: &Identity,
    key_managers: RootCertStore,
) -> Result<Attachment<TlsStream<TcpStream>>, AttachError> {
    let connector = TlsConnector::from(Arc::new(tls::program_client(identity, key_managers, node)?));
    let connect = async {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        connector.connect(ServerName::from(address.ip()), stream).await
    };
    let stream = match timeout(PATIENCE, connect).await {
        Ok(Ok(stream)) => stream,
        failed => {
            let source = match failed {
                Ok(Err(source)) => source,
                _ => io::ErrorKind::TimedOut.into(),
            };
            return Err(AttachError::Connect { node: node.to_owned(), address, source });
        }
    };
    Attachment::over(stream).await
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Attachment<S> {
    /// Attaches over a stream whose other end is the node's.
    ///
    /// # Errors
    /// If the node refuses the program, or the stream carries something else.
    pub async fn over(stream: S) -> Result<Self, AttachError> {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let asked = Instant::now();
        let greet = async {
            write_frame(&mut writer, &Ask::Hello.encode()).await?;
            read_frame(&mut reader, FRAME_LIMIT).await
        };
        let frame = timeout(PATIENCE, greet).await.map_err(|_| AttachError::Silent)??;
        let (id, now, names) = match Tell::decode(&frame).map_err(FrameError::from)? {
            Tell::Welcome { node, now, names } => (node, now, names),
            Tell::Refused(why) => return Err(AttachError::Refused(why)),
            _ => return Err(AttachError::Unexpected),
        };
        let mut random = SystemRandom::new();
        let (node, port) = Port::open(id, Box::new(move || random.next_u64()));
        port.set_now(now);
        let clock = ProgramClock { asked, told: now };
        Ok(Self { node, names: Names(names.into()), port: Arc::new(port), clock, reader, writer })
    }

    /// The node.
    pub fn node(&self) -> &Node {
        &self.node
    }
    /// The nodes of the network.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Runs a program to its end, and tells the node that it has ended. Gives what the program gave, and how the connection
    /// did: if that is lost, what the program waits for fails, and what it wishes from then on.
    ///
    /// The connection is served by a task of its own; the program is polled by who awaits this.
    pub async fn run<F: Future>(
        self,
        program: impl FnOnce(Node, Names) -> F,
    ) -> (F::Output, Result<(), AttachError>) {
        let Self { node, names, port, clock, reader, writer } = self;
        let (leave, left) = watch::channel(false);
        let carrier = Carrier::new(Arc::clone(&port), clock);
        let carrying = Guarded(tokio::spawn(carrier.run(reader, writer, left)));
        let output = {
            let program = program(node, names);
            tokio::pin!(program);
            poll_fn(|context| {
                port.set_now(clock.now());
                program.as_mut().poll(context)
            })
            .await
        };
        // The program is dropped, and what it still held is given back before the node hears of its end.
        drop(leave);
        let mut carrying = carrying;
        let ended = (&mut carrying.0).await.unwrap_or(Err(AttachError::Unexpected));
        (output, ended)
    }
}

/// A task that ends with whoever started it.
struct Guarded<T>(JoinHandle<T>);

impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
