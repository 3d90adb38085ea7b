//! The way to the other end: TCP, with TLS where there are certificates, and frames on it.
//!
//! A frame is its length in four bytes, the least first, and then its bytes.

use crate::identity::tls;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(20);
/// Between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(100);
/// Small frames are gathered to writes of about this many bytes.
const WRITE: usize = 256 << 10;
/// Callers that may be in a handshake at once.
const MOST_SHAKING: usize = 16;
/// Bytes that may always wait to be sent, before what an honest end has under way.
const SEND_AHEAD: usize = 64 << 20;
/// Bytes of arrived frames that wait to be handled; beyond them the other end has to wait.
const READ_AHEAD: usize = 32 << 20;

/// Who speaks at this end and who is expected at the other: certificates of nodes, as `bellwether pki` makes them.
pub struct Certified {
    /// This end's certificate and key.
    pub identity: crate::identity::Identity,
    /// The authority of the other's.
    pub roots: rustls::RootCertStore,
    /// The other's name.
    pub peer: String,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The address cannot be listened at.
    #[error("cannot listen at {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// Nobody answers.
    #[error("cannot connect to {address}: {source}; is the other end listening there?")]
    Connect {
        /// The address.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    /// The connection came to nothing.
    #[error("the connection with {with} failed: {source}")]
    Handshake {
        /// The other end's address.
        with: String,
        /// What went wrong.
        source: io::Error,
    },
    /// The certificate is another's.
    #[error("the certificate of the other end is that of `{found}`, not of `{expected}`")]
    Stranger {
        /// Whose it is.
        found: String,
        /// Who was expected.
        expected: String,
    },
}

/// A connection to the other end.
pub struct Line {
    read: Box<dyn AsyncRead + Send + Unpin>,
    write: Box<dyn AsyncWrite + Send + Unpin>,
    /// Whether it is TLS.
    pub encrypted: bool,
}

/// Waits for the other end at an address; `ready` is told which it is, once it can be connected to. With certificates
/// `refused` is told of callers that are not the other end, and the wait goes on; without them whoever calls first is
/// taken for it.
///
/// # Errors
/// See [`LineError`].
pub async fn listen(
    address: &str,
    certified: Option<Certified>,
    ready: impl FnOnce(SocketAddr),
    mut refused: impl FnMut(&LineError),
) -> Result<Line, LineError> {
    let cannot = |source| LineError::Listen { address: address.to_owned(), source };
    let config = match &certified {
        Some(certified) => {
            let config = tls::node_server(&certified.identity, certified.roots.clone())?;
            Some(Arc::new(tls::distillation_server(config)))
        }
        None => None,
    };
    let listener = TcpListener::bind(address).await.map_err(cannot)?;
    ready(listener.local_addr().map_err(cannot)?);
    let (Some(config), Some(certified)) = (config, certified) else {
        let (stream, from) = listener.accept().await.map_err(cannot)?;
        let failed = |source| LineError::Handshake { with: from.to_string(), source };
        stream.set_nodelay(true).map_err(failed)?;
        return Ok(plain(stream));
    };
    let mut shaking = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if shaking.len() < MOST_SHAKING => {
                let (stream, from) = accepted.map_err(cannot)?;
                shaking.spawn(shake(stream, from, TlsAcceptor::from(Arc::clone(&config)), certified.peer.clone()));
            }
            Some(shaken) = shaking.join_next() => match shaken {
                Ok(Ok(line)) => return Ok(line),
                Ok(Err(error)) => refused(&error),
                Err(error) => return Err(cannot(io::Error::other(error))),
            },
        }
    }
}

/// The line to a caller, if it is `peer`.
async fn shake(
    stream: TcpStream,
    from: SocketAddr,
    acceptor: TlsAcceptor,
    peer: String,
) -> Result<Line, LineError> {
    let failed = |source| LineError::Handshake { with: from.to_string(), source };
    stream.set_nodelay(true).map_err(failed)?;
    let shaken = timeout(HANDSHAKE, acceptor.accept(stream)).await;
    let stream = shaken.map_err(|_| failed(io::ErrorKind::TimedOut.into()))?.map_err(failed)?;
    let name = tls::peer_node(stream.get_ref().1.peer_certificates());
    let found = name.map_err(|error| failed(io::Error::other(error)))?;
    if found != peer {
        return Err(LineError::Stranger { found, expected: peer });
    }
    let (read, write) = tokio::io::split(stream);
    Ok(Line { read: Box::new(read), write: Box::new(write), encrypted: true })
}

/// Connects to the other end, trying for as long as `patience` while nobody listens there.
///
/// # Errors
/// See [`LineError`].
pub async fn connect(
    address: &str,
    certified: Option<Certified>,
    patience: Duration,
) -> Result<Line, LineError> {
    let config: Option<Arc<ClientConfig>> = match &certified {
        Some(certified) => {
            let (identity, roots) = (&certified.identity, certified.roots.clone());
            let config = tls::node_client(identity, roots, &certified.peer)?;
            Some(Arc::new(tls::distillation_client(config)))
        }
        None => None,
    };
    let until = Instant::now() + patience;
    let stream = loop {
        match TcpStream::connect(address).await {
            Ok(stream) => break stream,
            Err(source) if Instant::now() >= until => {
                return Err(LineError::Connect { address: address.to_owned(), source });
            }
            Err(_) => sleep(PAUSE).await,
        }
    };
    let failed = |source| LineError::Handshake { with: address.to_owned(), source };
    stream.set_nodelay(true).map_err(failed)?;
    let Some(config) = config else { return Ok(plain(stream)) };
    // The certificate names a node and no host: what stands here is not looked at.
    let host = ServerName::try_from("bellwether").map_err(|error| failed(io::Error::other(error)))?;
    let shaken = timeout(HANDSHAKE, TlsConnector::from(config).connect(host, stream)).await;
    let stream = shaken.map_err(|_| failed(io::ErrorKind::TimedOut.into()))?.map_err(failed)?;
    let (read, write) = tokio::io::split(stream);
    Ok(Line { read: Box::new(read), write: Box::new(write), encrypted: true })
}

fn plain(stream: TcpStream) -> Line {
    let (read, write) = stream.into_split();
    Line { read: Box::new(read), write: Box::new(write), encrypted: false }
}

/// Waits for `work` unless `stopped` says, before it is done, that nobody wants it any more.
pub async fn unless_stopped<T>(stopped: impl Fn() -> bool, work: impl Future<Output = T>) -> Option<T> {
    let stop = async {
        while !stopped() {
            sleep(PAUSE).await;
        }
    };
    tokio::select! {
        done = work => Some(done),
        () = stop => None,
    }
}

/// What arrives.
pub(super) enum Arrived<J> {
    Frame(Vec<u8>),
    /// A computation is done.
    Computed(J),
    /// A little time has gone by.
    Tick,
    /// Nothing more will arrive.
    Closed(io::Error),
}

/// The way out. Frames leave in their order, as fast as the other end takes them.
pub(super) struct Outgoing {
    frames: mpsc::UnboundedSender<Vec<u8>>,
    /// Bytes that wait.
    waiting: Arc<AtomicUsize>,
    most: usize,
}

impl Outgoing {
    pub(super) fn send(&self, frame: Vec<u8>) {
        self.waiting.fetch_add(frame.len(), Ordering::Relaxed);
        // If the writer is gone, the reader says so.
        drop(self.frames.send(frame));
    }

    /// Whether more waits than an honest other end, which takes what it asks for, lets wait: it is time to hang up.
    pub(super) fn is_flooded(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > self.most
    }
}

impl Line {
    /// Reads frames of up to `longest` bytes and writes those that are given, until either ends; an honest other end lets no
    /// more than `under_way` bytes of answers wait. When the way out is dropped and all is sent, the task ends.
    pub(super) fn start<J: Send + 'static>(
        self,
        longest: usize,
        under_way: usize,
        arrived: mpsc::Sender<Arrived<J>>,
    ) -> (Outgoing, tokio::task::JoinHandle<io::Result<()>>) {
        let (sender, frames) = mpsc::unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let outgoing = Outgoing {
            frames: sender,
            waiting: Arc::clone(&waiting),
            most: SEND_AHEAD.saturating_add(under_way),
        };
        let Self { read, write, .. } = self;
        tokio::spawn(async move {
            let error = match read_frames(read, longest, &arrived).await {
                Ok(()) => io::ErrorKind::UnexpectedEof.into(),
                Err(error) => error,
            };
            // If nobody listens any more, the run is over.
            let _ = arrived.send(Arrived::Closed(error)).await;
        });
        (outgoing, tokio::spawn(write_frames(write, frames, waiting)))
    }
}

/// How many frames may wait to be handled.
pub(super) fn frames_ahead(longest: usize) -> usize {
    (READ_AHEAD / longest.max(1)).clamp(16, 4096)
}

async fn read_frames<J>(
    read: Box<dyn AsyncRead + Send + Unpin>,
    longest: usize,
    to: &mpsc::Sender<Arrived<J>>,
) -> io::Result<()> {
    let mut read = BufReader::with_capacity(WRITE, read);
    loop {
        let len = match read.read_u32_le().await {
            Ok(len) => len as usize,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        };
        if len > longest {
            let text = format!("a frame of {len} bytes, where {longest} are the most");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let mut frame = Vec::new();
        // Memory grows with what arrives, not with what the length promises.
        let got = (&mut read).take(len as u64).read_to_end(&mut frame).await?;
        if got < len {
            return Ok(());
        }
        if to.send(Arrived::Frame(frame)).await.is_err() {
            return Ok(());
        }
    }
}

async fn write_frames(
    mut write: Box<dyn AsyncWrite + Send + Unpin>,
    mut frames: mpsc::UnboundedReceiver<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(2 * WRITE);
    while let Some(frame) = frames.recv().await {
        append(&mut buffer, &frame);
        let mut taken = frame.len();
        while buffer.len() < WRITE
            && let Ok(frame) = frames.try_recv()
        {
            append(&mut buffer, &frame);
            taken += frame.len();
        }
        write.write_all(&buffer).await?;
        write.flush().await?;
        waiting.fetch_sub(taken, Ordering::Relaxed);
        buffer.clear();
    }
    write.shutdown().await
}

fn append(buffer: &mut Vec<u8>, frame: &[u8]) {
    buffer.extend_from_slice(&(frame.len() as u32).to_le_bytes());
    buffer.extend_from_slice(frame);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line to an end of a pipe in memory that holds so many bytes.
    fn pipe(bytes: usize) -> (Line, tokio::io::DuplexStream) {
        let (here, there) = tokio::io::duplex(bytes);
        let (read, write) = tokio::io::split(here);
        (Line { read: Box::new(read), write: Box::new(write), encrypted: false }, there)
    }

    #[tokio::test]
    async fn what_is_not_taken_is_noticed_before_it_fills_the_memory() {
        let (line, mut there) = pipe(1 << 16);
        let (arriving, _arrived) = mpsc::channel::<Arrived<()>>(1);
        let (sending, written) = line.start(1 << 20, 1 << 20, arriving);
        for _ in 0..64 {
            sending.send(vec![0; 1 << 20]);
        }
        assert!(!sending.is_flooded(), "that much may wait");
        for _ in 0..4 {
            sending.send(vec![0; 1 << 20]);
        }
        assert!(sending.is_flooded());
        let mut taken = vec![0; 68 * ((1 << 20) + 4)];
        there.read_exact(&mut taken).await.expect("it is all sent");
        // The writer counts when it has written.
        while sending.is_flooded() {
            tokio::task::yield_now().await;
        }
        drop(sending);
        written.await.expect("the writer ends").expect("nothing failed");
    }
}
