//! HTTP/1.1 over a connection whose caller is known.

use super::listener::{Bounds, Caller, Service, stopped};
use bellwether_protocol::keys::delivery::SaeName;
use core::convert::Infallible;
use http_body_util::Full;
use hyper::body::{Body, Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

/// What answers the requests of an interface.
pub trait Handler: Send + Sync + 'static {
    /// What its answers are made of.
    type Body: Body<Data = Bytes, Error = Infallible> + Send + 'static;
    /// Answers one request of `caller`.
    fn answer(
        &self,
        caller: &SaeName,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Self::Body>> + Send;
    /// Answers a request beyond the bound on those under way.
    fn busy(&self) -> Response<Self::Body>;
}

/// Serves HTTP/1.1 with the answers of a handler. A request counts as under way until its answer begins.
pub struct Http<H>(pub Arc<H>);

impl<H: Handler> Service for Http<H> {
    async fn serve<T>(&self, stream: T, caller: &Caller, bounds: &Bounds, mut stop: watch::Receiver<bool>)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = service_fn(|request| async move {
            let answer = match caller.request().await {
                Some(_under_way) => self.0.answer(caller.name(), request).await,
                None => self.0.busy(),
            };
            Ok::<_, Infallible>(answer)
        });
        let mut connection = core::pin::pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(bounds.head_timeout)
                .max_headers(64)
                .max_buf_size(16 << 10)
                .serve_connection(TokioIo::new(stream), service)
        );
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stopped(&mut stop) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(caller = caller.name().as_str(), %error, "a connection broke off");
        }
    }
}

impl<S: super::service::KeyService> Handler for super::etsi014::Etsi014<S> {
    type Body = Full<Bytes>;

    async fn answer(&self, caller: &SaeName, request: Request<Incoming>) -> Response<Full<Bytes>> {
        super::etsi014::Etsi014::answer(self, caller, request).await
    }
    fn busy(&self) -> Response<Full<Bytes>> {
        self.busy_answer()
    }
}
