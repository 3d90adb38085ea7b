//! The TLS accept loop of an interface, and the bounds on what callers can take up.
//!
//! | what | bound (default) | what happens beyond |
//! |---|---|---|
//! | TLS handshakes under way | 512 | the connection is closed at once |
//! | a TLS handshake | 5 s | the connection is closed |
//! | connections in all | 16,384 | the connection is closed at once |
//! | connections of one caller | 256 | the connection is closed after its handshake |
//! | the head of a request, also on a connection kept alive | 10 s | the connection is closed |
//! | the head of a request | 16 KiB, 64 fields | 431 |
//! | a caller's requests under way | 128 | 503, `Retry-After: 1` |
//!
//! A handshake alone, a slow caller or a caller with thousands of connections so takes nothing from others.

use bellwether_protocol::keys::delivery::SaeName;
use core::time::Duration;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::CertificateDer;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

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
    /// Connections closed at once because of a bound.
    pub turned_away: AtomicU64,
    /// Handshakes that failed or took too long.
    pub handshakes_failed: AtomicU64,
    /// Callers whose certificate names nobody.
    pub unknown_callers: AtomicU64,
}

/// Reads the caller's name off its verified certificate.
pub type Identify = dyn Fn(&CertificateDer<'_>) -> Option<SaeName> + Send + Sync;

/// What answers the requests of a listener.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request of `caller`.
    fn answer(
        &self,
        caller: &SaeName,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Full<Bytes>>> + Send;
    /// Answers a request beyond the bound on those under way.
    fn busy(&self) -> Response<Full<Bytes>>;
}

/// One interface's socket.
pub struct Listener<H> {
    acceptor: TlsAcceptor,
    identify: Arc<Identify>,
    handler: Arc<H>,
    bounds: Bounds,
    counters: Arc<Counters>,
    callers: Mutex<BTreeMap<SaeName, Arc<Caller>>>,
}

#[derive(Default)]
struct Caller {
    connections: AtomicUsize,
    requests: AtomicUsize,
}

impl<H: Handler> Listener<H> {
    /// A listener that speaks TLS as `tls` says (client certificates required) and hands requests to `handler`.
    pub fn new(
        tls: Arc<rustls::ServerConfig>,
        identify: Arc<Identify>,
        handler: Arc<H>,
        bounds: Bounds,
    ) -> Arc<Self> {
        Arc::new(Self {
            acceptor: TlsAcceptor::from(tls),
            identify,
            handler,
            bounds,
            counters: Arc::default(),
            callers: Mutex::default(),
        })
    }

    /// What was counted so far.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Accepts connections until `stop` turns true; requests under way are then answered, for at most 5 seconds.
    pub async fn serve(self: Arc<Self>, socket: TcpListener, mut stop: watch::Receiver<bool>) {
        let handshakes = Arc::new(Semaphore::new(self.bounds.handshakes));
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
            let handshake = Arc::clone(&handshakes).try_acquire_owned();
            let connection = Arc::clone(&open).try_acquire_owned();
            let (Ok(handshake), Ok(connection)) = (handshake, connection) else {
                self.counters.turned_away.fetch_add(1, Ordering::Relaxed);
                continue;
            };
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
        self: &Arc<Self>,
        stream: TcpStream,
        address: SocketAddr,
        handshake: tokio::sync::OwnedSemaphorePermit,
        mut stop: watch::Receiver<bool>,
    ) {
        let _ = stream.set_nodelay(true);
        let tls = tokio::time::timeout(self.bounds.handshake_timeout, self.acceptor.accept(stream)).await;
        drop(handshake);
        let Ok(Ok(tls)) = tls else {
            self.counters.handshakes_failed.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(%address, "no TLS handshake");
            return;
        };
        let certificate = tls.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let Some(name) = certificate.and_then(|certificate| (self.identify)(certificate)) else {
            self.counters.unknown_callers.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%address, "the certificate names no SAE");
            return;
        };
        let caller = self.caller(&name);
        let _guard = Count::enter(&caller.connections);
        if caller.connections.load(Ordering::Relaxed) > self.bounds.connections_per_caller {
            self.counters.turned_away.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let service = service_fn(|request| {
            let (this, name, caller) = (Arc::clone(self), &name, &caller);
            async move {
                let _guard = Count::enter(&caller.requests);
                if caller.requests.load(Ordering::Relaxed) > this.bounds.requests_per_caller {
                    return Ok(this.handler.busy());
                }
                Ok::<_, core::convert::Infallible>(this.handler.answer(name, request).await)
            }
        });
        let mut connection = core::pin::pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(self.bounds.head_timeout)
                .max_headers(64)
                .max_buf_size(16 << 10)
                .serve_connection(TokioIo::new(tls), service)
        );
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stopped(&mut stop) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(caller = name.as_str(), %error, "a connection broke off");
        }
    }

    fn caller(&self, name: &SaeName) -> Arc<Caller> {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if callers.len() > 4096 {
            callers.retain(|_, caller| Arc::strong_count(caller) > 1);
        }
        Arc::clone(callers.entry(name.clone()).or_default())
    }
}

/// Waits until `stop` turns true, or nobody is left who could turn it.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Counts one more while it lives.
struct Count<'a>(&'a AtomicUsize);

impl<'a> Count<'a> {
    fn enter(counter: &'a AtomicUsize) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for Count<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<S: super::service::KeyService> Handler for super::etsi014::Etsi014<S> {
    async fn answer(&self, caller: &SaeName, request: Request<Incoming>) -> Response<Full<Bytes>> {
        super::etsi014::Etsi014::answer(self, caller, request).await
    }
    fn busy(&self) -> Response<Full<Bytes>> {
        self.busy_answer()
    }
}
