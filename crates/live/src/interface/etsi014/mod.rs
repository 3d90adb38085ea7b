//! ETSI GS QKD 014 V1.1.1 (2019-02): keys for applications over HTTPS.
//!
//! [`Etsi014`] answers one request at a time for a caller whose certificate was verified; the listener does TLS and
//! tells who calls. What the standard leaves open is settled thus:
//!
//! - every answer other than 200 has the Error body, 401 too; 404, 405, 408 and 413 are used beside the standard's
//!   400, 401 and 503 where HTTP itself asks for them;
//! - all or nothing: `dec_keys` with one unknown ID spends none of the others, and `enc_keys` never gives fewer
//!   keys than asked for (503 with `Retry-After` and the count that is there);
//! - a key is given to each side once. A client whose answer was lost must ask for another key;
//! - an unknown pair is answered like a forbidden one (401), so that nobody learns who is there;
//! - unknown members and parameters are passed over and counted, `null` is absence, an empty body is `{}`.

mod body;
mod container;
mod extension;
mod path;
mod refusal;

#[cfg(test)]
mod tests;

use super::listener::REFUSAL_PAUSE;
use super::service::{DecKeysWanted, EncKeysWanted, KeyService};
use bellwether_network::Network;
use bellwether_protocol::keys::delivery::SaeName;
use body::{KeyIds, KeyRequest};
use core::time::Duration;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use path::Call;
use refusal::Refusal;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use zeroize::Zeroizing;

/// How the interface differs from the letter of the standard, for clients in the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compatibility {
    /// Answer 404 instead of 400 for a key that is not there, as some servers do and some clients expect.
    pub unknown_key_is_404: bool,
    /// The longest body in bytes.
    pub body_limit: usize,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// Of key streams: see [`StreamCompatibility`](super::etsi004::StreamCompatibility::absent_peer_is_success).
    pub absent_peer_is_success: bool,
}

impl Default for Compatibility {
    fn default() -> Self {
        Self {
            unknown_key_is_404: false,
            body_limit: 64 << 10,
            body_timeout: Duration::from_secs(5),
            absent_peer_is_success: false,
        }
    }
}

impl Compatibility {
    /// What the file of a network says, and the usual for all else.
    pub fn of(network: &Network) -> Self {
        let live = &network.live;
        Self {
            unknown_key_is_404: live.unknown_key_is_404,
            absent_peer_is_success: live.absent_peer_is_success,
            ..Self::default()
        }
    }
}

/// What the interface counts.
#[derive(Debug, Default)]
pub struct Counters {
    /// Members and parameters of requests that the standard does not name.
    pub unknown_members: AtomicU64,
    /// Answers by the first digit of their status: 2xx, 4xx, 5xx.
    pub answers: [AtomicU64; 3],
}

/// The interface, over any key manager.
pub struct Etsi014<S> {
    service: Arc<S>,
    compatibility: Compatibility,
    counters: Arc<Counters>,
}

impl<S: KeyService> Etsi014<S> {
    /// The interface of a key manager.
    pub fn new(service: Arc<S>, compatibility: Compatibility) -> Self {
        Self { service, compatibility, counters: Arc::default() }
    }

    /// What was counted so far.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Answers one request of `caller`. It never fails: what is wrong is in the answer.
    pub async fn answer<B>(&self, caller: &SaeName, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body,
        B::Data: Send,
        B::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
    {
        let answer = self.try_answer(caller, request).await;
        let class = match &answer {
            Ok(_) => 0,
            Err(refusal) if refusal.status.is_client_error() => 1,
            Err(_) => 2,
        };
        self.counters.answers[class].fetch_add(1, Ordering::Relaxed);
        match answer {
            Ok(body) => respond(StatusCode::OK, body),
            Err(refusal) => {
                if refusal.status == StatusCode::SERVICE_UNAVAILABLE {
                    tokio::time::sleep(REFUSAL_PAUSE).await;
                }
                refuse(&refusal)
            }
        }
    }

    /// The answer to a caller who has too many requests under way.
    pub fn busy_answer(&self) -> Response<Full<Bytes>> {
        self.counters.answers[2].fetch_add(1, Ordering::Relaxed);
        refuse(&Refusal::unavailable("too many requests of this SAE are under way".to_owned(), 1))
    }

    async fn try_answer<B>(
        &self,
        caller: &SaeName,
        request: Request<B>,
    ) -> Result<Zeroizing<Vec<u8>>, Refusal>
    where
        B: Body,
        B::Data: Send,
        B::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        let call = path::call_of(&head.method, head.uri.path())?;
        let query = (head.method == Method::GET).then(|| head.uri.query().unwrap_or_default().to_owned());
        let body = match query {
            Some(_) => Bytes::new(),
            None => self.read(body).await?,
        };
        match call {
            Call::Description => Ok(Zeroizing::new(include_bytes!("openapi.json").to_vec())),
            Call::Status(slave) => {
                let status = self.service.status(caller, &slave).await;
                let status = status.map_err(|e| self.refusal(&e))?;
                Ok(Zeroizing::new(container::status(&status, caller, &slave, &*self.service)))
            }
            Call::EncKeys(slave) => {
                let request = match &query {
                    Some(query) => KeyRequest::from_query(query)?,
                    None => KeyRequest::from_body(&body)?,
                };
                self.enc_keys(caller, slave, request).await
            }
            Call::DecKeys(master) => {
                let ids = match &query {
                    Some(query) => KeyIds::from_query(query)?,
                    None => KeyIds::from_body(&body)?,
                };
                self.dec_keys(caller, master, ids).await
            }
        }
    }

    async fn enc_keys(
        &self,
        caller: &SaeName,
        slave: SaeName,
        request: KeyRequest,
    ) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        self.count_unknown(request.unknown);
        request.extensions.check()?;
        if request.size.is_some_and(|size| !size.is_multiple_of(8)) {
            return Err(Refusal::bad_request("size shall be a multiple of 8".to_owned()));
        }
        let extended = request.extensions.any();
        let wanted = EncKeysWanted {
            caller: caller.clone(),
            slave,
            additional: request.additional,
            number: request.number.unwrap_or(1),
            bits: request.size,
        };
        let keys = self.service.enc_keys(wanted).await.map_err(|e| self.refusal(&e))?;
        Ok(container::container(&keys, extended, &*self.service))
    }

    async fn dec_keys(
        &self,
        caller: &SaeName,
        master: SaeName,
        ids: KeyIds,
    ) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        self.count_unknown(ids.unknown);
        let wanted = DecKeysWanted { caller: caller.clone(), master, ids: ids.ids };
        let keys = self.service.dec_keys(wanted).await.map_err(|e| self.refusal(&e))?;
        Ok(container::container(&keys, ids.extended, &*self.service))
    }

    async fn read<B>(&self, body: B) -> Result<Bytes, Refusal>
    where
        B: Body,
        B::Data: Send,
        B::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
    {
        let limit = self.compatibility.body_limit;
        let whole = Limited::new(body, limit).collect();
        match tokio::time::timeout(self.compatibility.body_timeout, whole).await {
            Ok(Ok(whole)) => Ok(whole.to_bytes()),
            Ok(Err(e)) if e.is::<LengthLimitError>() => Err(Refusal::too_large(limit)),
            Ok(Err(e)) => Err(Refusal::bad_request(format!("the body broke off: {e}"))),
            Err(_) => Err(Refusal::too_slow()),
        }
    }

    fn refusal(&self, error: &bellwether_protocol::keys::delivery::DeliveryError) -> Refusal {
        let unknown = match self.compatibility.unknown_key_is_404 {
            true => StatusCode::NOT_FOUND,
            false => StatusCode::BAD_REQUEST,
        };
        Refusal::of_delivery(error, unknown)
    }

    fn count_unknown(&self, unknown: u64) {
        self.counters.unknown_members.fetch_add(unknown, Ordering::Relaxed);
    }
}

/// An answer in JSON, whose body is wiped when it has left.
pub(super) fn respond(status: StatusCode, body: Zeroizing<Vec<u8>>) -> Response<Full<Bytes>> {
    // The bytes own the wiping buffer, so that key is wiped when the answer has left.
    let mut response = Response::new(Full::new(Bytes::from_owner(Wiped(body))));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

struct Wiped(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn refuse(refusal: &Refusal) -> Response<Full<Bytes>> {
    let mut response = respond(refusal.status, Zeroizing::new(refusal.body()));
    if let Some(seconds) = refusal.retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if !refusal.allowed.is_empty() {
        let names: Vec<&str> = refusal.allowed.iter().map(Method::as_str).collect();
        if let Ok(value) = HeaderValue::from_str(&names.join(", ")) {
            response.headers_mut().insert(ALLOW, value);
        }
    }
    response
}
