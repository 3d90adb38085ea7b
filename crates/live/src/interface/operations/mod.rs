//! What operators see of a node: metrics, health, status and events, over HTTP and read-only.
//!
//! | path | answer |
//! |---|---|
//! | `GET /metrics` | figures for Prometheus (OpenMetrics text) |
//! | `GET /health` | 200 while the process lives |
//! | `GET /ready` | 200 once the node can serve, 503 with the reason while it cannot |
//! | `GET /api/v1/status` | [`Status`] as JSON |
//! | `GET /api/v1/events` | [`News`] as server-sent events; `?events=alarm,lost` chooses kinds, `Last-Event-ID` resumes |
//!
//! On a loopback address it is plain HTTP. On any other it is TLS 1.3 with the nodes' authority, and only
//! [`OPERATOR`](crate::state::OPERATOR) may call. No key is in any answer.

pub mod client;
pub mod events;
mod gather;
mod measured;
mod metrics;
mod news;
mod observer;
pub mod status;
mod stream;
pub(super) mod words;

pub use measured::{Measured, Measures};
pub use news::{Kind, Kinds, News};
pub use observer::Observer;
pub use status::Status;

use super::http::Handler;
use super::{etsi014, listener};
use crate::node::keys::Keys;
use crate::store::Store;
use crate::transport::Transport;
use crate::webhook::Webhooks;
use bellwether_network::Network;
use bellwether_protocol::keys::delivery::SaeName;
use bellwether_units::NodeId;
use core::convert::Infallible;
use events::Place;
use gather::Probe;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::time::Instant;

/// The most readers of the event stream.
const SUBSCRIBERS: usize = 64;

/// The parts of a node that are looked at.
pub struct Parts {
    /// The network.
    pub network: Arc<Network>,
    /// Which of its nodes.
    pub node: NodeId,
    /// Its key machines.
    pub keys: Keys,
    /// Its connections.
    pub transport: Arc<Transport>,
    /// Where its state is kept.
    pub store: Arc<dyn Store>,
    /// What was seen.
    pub observer: Arc<Observer>,
    /// Who else is told.
    pub webhooks: Arc<Webhooks>,
    /// What applications were answered.
    pub measures: Measures,
    /// What their interface counted.
    pub etsi014: Arc<etsi014::Counters>,
    /// What the sockets of its interfaces counted, by name.
    pub listeners: Vec<(&'static str, Arc<listener::Counters>)>,
    /// Where applications ask for keys.
    pub key_manager: SocketAddr,
    /// Turns true when the node stops: streams then end.
    pub stop: watch::Receiver<bool>,
    /// Whether requests must name this machine by its address or as `localhost`: on a socket without TLS, so that no
    /// page in a browser can read it under a name of its own.
    pub local_only: bool,
}

/// The interface.
pub struct Operations {
    parts: Parts,
    started: Instant,
    subscribers: Arc<Semaphore>,
    probe: Mutex<Option<Probe>>,
}

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

impl Operations {
    /// The interface of a node that starts now.
    pub fn new(parts: Parts) -> Self {
        let subscribers = Arc::new(Semaphore::new(SUBSCRIBERS));
        Self { parts, started: Instant::now(), subscribers, probe: Mutex::default() }
    }

    async fn events(&self, request: &Request<Incoming>) -> Answer {
        let mut wanted = Kinds::ALL;
        for part in request.uri().query().unwrap_or_default().split('&').filter(|part| !part.is_empty()) {
            let chosen = match part.split_once('=') {
                Some(("events", names)) => Kinds::parse(&names.replace("%2C", ",")),
                _ => Err(part.to_owned()),
            };
            match chosen {
                Ok(kinds) => wanted = kinds,
                Err(word) => {
                    let known: Vec<_> = Kind::ALL.into_iter().map(Kind::name).collect();
                    let message = format!("`{word}` is not known; events are {}", known.join(", "));
                    return refuse(StatusCode::BAD_REQUEST, &message);
                }
            }
        }
        let last = match request.headers().get("last-event-id").map(|id| id.to_str().unwrap_or("?")) {
            None | Some("") => None,
            Some(id) => match Place::parse(id) {
                Some(place) => Some(place),
                None => return refuse(StatusCode::BAD_REQUEST, "Last-Event-ID is no id of an event"),
            },
        };
        let Ok(permit) = Arc::clone(&self.subscribers).try_acquire_owned() else {
            return refuse(StatusCode::SERVICE_UNAVAILABLE, "too many read the event stream");
        };
        let observer = Arc::clone(&self.parts.observer);
        let body = stream::start(observer, last, wanted, self.parts.stop.clone(), permit);
        respond(StatusCode::OK, "text/event-stream", body.boxed_unsync())
    }

    async fn route(&self, request: &Request<Incoming>) -> Answer {
        const PATHS: [&str; 5] = ["/metrics", "/health", "/ready", "/api/v1/status", "/api/v1/events"];
        let path = request.uri().path();
        if !PATHS.contains(&path) {
            return refuse(StatusCode::NOT_FOUND, &format!("there is {}", PATHS.join(", ")));
        }
        if request.method() != Method::GET {
            let mut answer = refuse(StatusCode::METHOD_NOT_ALLOWED, "this interface is read-only: use GET");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
            return answer;
        }
        if self.parts.local_only && !is_local(request) {
            let message = "without TLS, ask for this machine by its address or as localhost";
            return refuse(StatusCode::FORBIDDEN, message);
        }
        match path {
            "/health" => text("alive\n"),
            "/ready" => match self.not_ready().await {
                None => text("ready\n"),
                Some(why) => refuse(StatusCode::SERVICE_UNAVAILABLE, &why),
            },
            "/metrics" => {
                let text = self.metrics().await;
                respond(StatusCode::OK, metrics::CONTENT_TYPE, whole(text))
            }
            "/api/v1/status" => {
                // A status is plain data, which can always be written.
                let status = serde_json::to_string(&self.status().await.0).unwrap_or_default();
                respond(StatusCode::OK, "application/json", whole(status))
            }
            _ => self.events(request).await,
        }
    }
}

impl Handler for Operations {
    type Body = UnsyncBoxBody<Bytes, Infallible>;

    async fn answer(&self, _: &SaeName, request: Request<Incoming>) -> Answer {
        self.route(&request).await
    }

    fn busy(&self) -> Answer {
        refuse(StatusCode::SERVICE_UNAVAILABLE, "too many requests are under way")
    }
}

/// Whether a request names this machine by an address or as `localhost`.
fn is_local(request: &Request<Incoming>) -> bool {
    let named = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let authority = named.and_then(|host| host.parse::<hyper::http::uri::Authority>().ok());
    authority.is_some_and(|authority| {
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok()
    })
}

fn whole(text: impl Into<Bytes>) -> UnsyncBoxBody<Bytes, Infallible> {
    Full::new(text.into()).boxed_unsync()
}

fn text(text: &'static str) -> Answer {
    respond(StatusCode::OK, "text/plain; charset=utf-8", whole(text))
}

fn refuse(status: StatusCode, message: &str) -> Answer {
    let mut answer = respond(status, "application/json", whole(json!({ "message": message }).to_string()));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    answer
}

fn respond(status: StatusCode, kind: &'static str, body: UnsyncBoxBody<Bytes, Infallible>) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
