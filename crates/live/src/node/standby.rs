//! A replica of a node that stands by while another leads.
//!
//! It holds no link, dials nobody and is dialled by no other node. On the sockets for operators and for applications it
//! says that it is not ready (503 with `Retry-After`), so that a balancer that asks for `/ready` passes it by; `/health`
//! says that it lives. Key streams it does not listen for at all.

use super::daemon::NodeError;
use crate::directory::NodeAddresses;
use crate::interface::http::{Handler, Http};
use crate::interface::listener::{self, Bounds, Listener, Security};
use crate::process::descriptors;
use bellwether_protocol::keys::delivery::SaeName;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What callers are told.
const STANDS_BY: &str = r#"{"message":"this replica stands by: another one leads"}"#;

/// What a replica needs to stand by.
pub(super) struct StandbySettings {
    /// The node's name.
    pub(super) node: String,
    /// Where it listens.
    pub(super) addresses: NodeAddresses,
    /// How applications are known.
    pub(super) applications: Security,
    /// How operators are known.
    pub(super) operators: Security,
}

/// A replica that stands by. Dropping it frees its sockets.
pub(super) struct Standby {
    stop: watch::Sender<bool>,
    listeners: Vec<JoinHandle<()>>,
}

impl Standby {
    /// Begins to say that another leads.
    pub(super) async fn start(settings: StandbySettings) -> Result<Self, NodeError> {
        let StandbySettings { node, addresses, applications, operators } = settings;
        let (stop, stopped) = watch::channel(false);
        let mut listeners = Vec::new();
        let bounds = Bounds::default().within(descriptors::limit(), 40);
        for (address, security, lives) in
            [(addresses.key_manager, applications, false), (addresses.operations, operators, true)]
        {
            let socket = listener::listen(address);
            let socket =
                socket.map_err(|source| NodeError::Listen { node: node.clone(), address, source })?;
            let handler = Http(Arc::new(StandingBy { lives }));
            let listener = Arc::new(Listener::new(security, handler, bounds));
            listeners.push(tokio::spawn(listener.serve(socket, stopped.clone())));
        }
        tracing::info!(node, "stands by: another replica leads");
        Ok(Self { stop, listeners })
    }

    /// Answers what is under way, and frees the sockets.
    pub(super) async fn end(mut self) {
        let _ = self.stop.send(true);
        for listener in &mut self.listeners {
            let _ = listener.await;
        }
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        self.listeners.iter().for_each(JoinHandle::abort);
    }
}

struct StandingBy {
    /// Whether `/health` says that the process lives.
    lives: bool,
}

impl Handler for StandingBy {
    type Body = Full<Bytes>;

    async fn answer(&self, _: &SaeName, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if self.lives && request.method() == Method::GET && request.uri().path() == "/health" {
            return respond(StatusCode::OK, "text/plain; charset=utf-8", "alive\n");
        }
        self.busy()
    }

    fn busy(&self) -> Response<Full<Bytes>> {
        let mut answer = respond(StatusCode::SERVICE_UNAVAILABLE, "application/json", STANDS_BY);
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        answer
    }
}

fn respond(status: StatusCode, kind: &'static str, text: &'static str) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
