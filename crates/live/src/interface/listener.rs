//! The accept loop of an interface, and the bounds on what callers can take up.
//!
//! It does TLS, tells who calls and hands the connection to a [`Service`]: HTTP ([`Http`](super::http::Http)), or
//! another way to talk. On loopback addresses an interface may go without TLS ([`Security::Plain`]); all who call
//! are then one caller.
//!
//! | what | bound (default) | what happens beyond |
//! |---|---|---|
//! | TLS handshakes under way | 512 | the oldest from where most of them come is closed |
//! | a TLS handshake | 5 s | the connection is closed |
//! | connections in all | 16,384 | the connection is closed at once |
//! | connections of one caller | 256 | the connection is closed after its handshake |
//! | the head of a request, also on a connection kept alive | 10 s | the connection is closed |
//! | the head of a request | 16 KiB, 64 fields | 431 |
//! | a caller's requests under way | 128 | 503, `Retry-After: 1`, after 100 ms |
//!
//! Fewer connections in all if the system lets the process have few sockets open: see [`Bounds::within`].
//!
//! A handshake alone, a slow caller or a caller with thousands of connections so takes nothing from others.

use crate::handshakes::{Handshake, Handshakes, Unfinished};
use bellwether_protocol::keys::delivery::SaeName;
use core::time::Duration;
use rustls::pki_types::CertificateDer;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

/// Connections that may wait to be accepted; the system may allow fewer (`net.core.somaxconn`).
const BACKLOG: u32 = 16_384;

/// How long a caller who asks too much waits for the answer that says so: at once, the answer would be one more reason to
/// ask again, and whoever does so on hundreds of connections would take the processor from others.
pub const REFUSAL_PAUSE: Duration = Duration::from_millis(100);

/// The bounds of a listener; see the [module](self).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// TLS handshakes under way.
    pub handshakes: usize,
    /// How long one may take.
    pub handshake_timeout: Duration,
    /// Connections in all.
    pub connections: usize,
    /// Connections of one caller.
    pub connections_per_caller: usize,
    /// How long the head of a request may take; a connection kept alive is closed after so long without one.
    pub head_timeout: Duration,
    /// Requests of one caller under way.
    pub requests_per_caller: usize,
}

impl Bounds {
    /// The same with no more connections in all than so many per cent of a process's `descriptors` (files and sockets
    /// that it may have open), so that callers never take up those of its store and its logs.
    #[must_use]
    pub fn within(self, descriptors: u64, per_cent: u64) -> Self {
        let most = usize::try_from(descriptors.saturating_mul(per_cent) / 100).unwrap_or(usize::MAX);
        Self { connections: self.connections.min(most), ..self }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            handshakes: 512,
            handshake_timeout: Duration::from_secs(5),
            connections: 16_384,
            connections_per_caller: 256,
            head_timeout: Duration::from_secs(10),
            requests_per_caller: 128,
        }
    }
}

/// What a listener counts.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections open.
    pub open: AtomicUsize,
    /// Connections accepted so far.
    pub accepted: AtomicU64,
    /// Connections closed because of a bound.
    pub turned_away: AtomicU64,
    /// Handshakes that failed or took too long.
    pub handshakes_failed: AtomicU64,
    /// Callers whose certificate names nobody.
    pub unknown_callers: AtomicU64,
}

/// Reads the caller's name off its verified certificate.
pub type Identify = dyn Fn(&CertificateDer<'_>) -> Option<SaeName> + Send + Sync;

/// How callers are known.
#[derive(Clone)]
pub enum Security {
    /// By their certificates.
    Tls {
        /// TLS as this says; client certificates are required.
        config: Arc<rustls::ServerConfig>,
        /// Whose certificate it is. Whoever is nobody is turned away.
        identify: Arc<Identify>,
    },
    /// Not at all: everybody who reaches the socket is this caller. For loopback addresses.
    Plain(SaeName),
}

/// Why a caller was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refused {
    /// No TLS handshake: no certificate that the authority signed, another protocol, or too slow.
    Handshake,
    /// The certificate names nobody who may call.
    Unknown,
}

impl Refused {
    /// A word for logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Unknown => "unknown-caller",
        }
    }
}

/// Told of every caller who is not let in. Must not block.
pub type OnRefusal = dyn Fn(IpAddr, Refused) + Send + Sync;

/// What serves a connection once it is known who calls.
pub trait Service: Send + Sync + 'static {
    /// Serves a connection to its end; when `stop` turns true, it answers what is under way and ends.
    fn serve<T>(
        &self,
        stream: T,
        caller: &Caller,
        bounds: &Bounds,
        stop: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static;
}

/// Who calls, and what it takes up.
pub struct Caller {
    name: SaeName,
    taken: Arc<Taken>,
    most_requests: usize,
}

#[derive(Default)]
struct Taken {
    connections: AtomicUsize,
    requests: AtomicUsize,
}

impl Caller {
    /// The caller's name.
    pub fn name(&self) -> &SaeName {
        &self.name
    }

    /// Counts a request as under way while what it gives lives; `None`, after a [pause](REFUSAL_PAUSE), if the caller has
    /// too many.
    pub async fn request(&self) -> Option<UnderWay> {
        let request = UnderWay::enter(&self.taken, |taken| &taken.requests);
        if self.taken.requests.load(Ordering::Relaxed) <= self.most_requests {
            return Some(request);
        }
        drop(request);
        tokio::time::sleep(REFUSAL_PAUSE).await;
        None
    }
}

/// Something of a caller that is under way while this lives.
pub struct UnderWay {
    taken: Arc<Taken>,
    which: fn(&Taken) -> &AtomicUsize,
}

impl UnderWay {
    fn enter(taken: &Arc<Taken>, which: fn(&Taken) -> &AtomicUsize) -> Self {
        which(taken).fetch_add(1, Ordering::Relaxed);
        Self { taken: Arc::clone(taken), which }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        (self.which)(&self.taken).fetch_sub(1, Ordering::Relaxed);
    }
}

/// One interface's socket.
pub struct Listener<S> {
    security: Security,
    service: S,
    bounds: Bounds,
    counters: Arc<Counters>,
    on_refusal: Option<Arc<OnRefusal>>,
    callers: Mutex<BTreeMap<SaeName, Arc<Taken>>>,
}

impl<S: Service> Listener<S> {
    /// A listener that knows its callers by `security` and hands their connections to `service`.
    pub fn new(security: Security, service: S, bounds: Bounds) -> Self {
        let counters = Arc::default();
        Self { security, service, bounds, counters, on_refusal: None, callers: Mutex::default() }
    }

    /// Tells `hear` of every caller who is not let in.
    #[must_use]
    pub fn on_refusal(mut self, hear: Arc<OnRefusal>) -> Self {
        self.on_refusal = Some(hear);
        self
    }

    /// What was counted so far.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Accepts connections until `stop` turns true; requests under way are then answered, for at most 5 seconds.
    pub async fn serve(self: Arc<Self>, socket: TcpListener, mut stop: watch::Receiver<bool>) {
        let handshakes = Handshakes::new(self.bounds.handshakes);
        let open = Arc::new(Semaphore::new(self.bounds.connections));
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                () = stopped(&mut stop) => break,
            };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: others must close first.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let Ok(connection) = Arc::clone(&open).try_acquire_owned() else {
                self.counters.turned_away.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            let (handshake, pushes_out) = handshakes.begin(address.ip());
            if pushes_out {
                self.counters.turned_away.fetch_add(1, Ordering::Relaxed);
            }
            self.counters.accepted.fetch_add(1, Ordering::Relaxed);
            let (this, stop) = (Arc::clone(&self), stop.clone());
            tokio::spawn(async move {
                this.counters.open.fetch_add(1, Ordering::Relaxed);
                this.connection(stream, address, handshake, stop).await;
                this.counters.open.fetch_sub(1, Ordering::Relaxed);
                drop(connection);
            });
        }
        let all = self.bounds.connections as u32;
        let _ = tokio::time::timeout(Duration::from_secs(5), open.acquire_many(all)).await;
    }

    async fn connection(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        handshake: Handshake,
        stop: watch::Receiver<bool>,
    ) {
        let _ = stream.set_nodelay(true);
        let (config, identify) = match &self.security {
            Security::Plain(everybody) => {
                drop(handshake);
                return self.call(stream, everybody.clone(), stop).await;
            }
            Security::Tls { config, identify } => (config, identify),
        };
        let acceptor = TlsAcceptor::from(Arc::clone(config));
        let tls = match handshake.done(self.bounds.handshake_timeout, acceptor.accept(stream)).await {
            Ok(tls) => tls,
            // Nobody is told of these: there would be as many as there are newcomers.
            Err(Unfinished::PushedOut) => return,
            Err(error) => {
                self.counters.handshakes_failed.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(%address, %error, "no TLS handshake");
                return self.refused(address, Refused::Handshake);
            }
        };
        let certificate = tls.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let Some(name) = certificate.and_then(|certificate| identify(certificate)) else {
            self.counters.unknown_callers.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%address, "the certificate names nobody who may call");
            return self.refused(address, Refused::Unknown);
        };
        self.call(tls, name, stop).await;
    }

    /// Serves a caller whose name is known.
    async fn call<T>(&self, stream: T, name: SaeName, stop: watch::Receiver<bool>)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let taken = self.taken(&name);
        let _open = UnderWay::enter(&taken, |taken| &taken.connections);
        if taken.connections.load(Ordering::Relaxed) > self.bounds.connections_per_caller {
            self.counters.turned_away.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let caller = Caller { name, taken, most_requests: self.bounds.requests_per_caller };
        self.service.serve(stream, &caller, &self.bounds, stop).await;
    }

    fn refused(&self, address: SocketAddr, why: Refused) {
        if let Some(hear) = &self.on_refusal {
            hear(address.ip(), why);
        }
    }

    fn taken(&self, name: &SaeName) -> Arc<Taken> {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if callers.len() > 4096 {
            callers.retain(|_, taken| Arc::strong_count(taken) > 1);
        }
        Arc::clone(callers.entry(name.clone()).or_default())
    }
}

/// Listens at an address. So many connections may wait to be accepted that a burst of thousands delays nobody: whoever
/// finds no room there tries again after a second only.
///
/// # Errors
/// What the operating system answers.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // So that a node that starts again gets its address although old connections have not ended.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Waits until `stop` turns true, or nobody is left who could turn it.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
