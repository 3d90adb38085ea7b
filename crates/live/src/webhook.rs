//! Webhooks: a node posts what happens to it to whoever its network file names.
//!
//! A post is one event as JSON, the same as in the event stream, with these headers:
//!
//! | header | value |
//! |---|---|
//! | `Bellwether-Event` | its kind |
//! | `Bellwether-Delivery` | its id: the same when it is posted again |
//! | `Bellwether-Timestamp` | when it is posted, in seconds since 1970 |
//! | `Bellwether-Signature` | `sha256=` and the hexadecimal HMAC-SHA-256 (RFC 2104) of the timestamp, a full stop and the body |
//! | `Bellwether-Missed` | how many events before it were lost because the receiver was away too long, if any |
//!
//! A post that is not answered by 2xx is tried again, after 1 s at first and up to a minute, for an hour; one that is
//! answered by a refusal (4xx but 408, 425 and 429) is not. Each webhook reads the node's bounded events at its own
//! pace, so that one that is away costs nothing and holds nobody up.

use crate::hex;
use crate::identity::TlsError;
use crate::identity::tls;
use crate::interface::operations::events::{Event, Next, Place};
use crate::interface::operations::{Kind, Kinds, Observer};
use crate::random::SystemRandom;
use crate::request;
use crate::state::{State, StateError};
use bellwether_network::{Webhook, WebhookEvent};
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use rand_core::Rng;
use rustls::pki_types::ServerName;
use sha2::Sha256;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

/// How long a post may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause before the second attempt; doubles each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// For how long an event is tried.
const GIVE_UP: Duration = Duration::from_secs(3600);
/// How much of an answer is read, in bytes.
const ANSWER_LIMIT: usize = 64 << 10;

/// Why a webhook cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// Its secret.
    #[error(transparent)]
    Secret(#[from] StateError),
    /// TLS.
    #[error("webhook `{name}`: {source}")]
    Tls {
        /// Which.
        name: String,
        /// What is wrong.
        source: TlsError,
    },
    /// Its URL.
    #[error("webhook `{name}`: `{url}` is no URL to post to")]
    Url {
        /// Which.
        name: String,
        /// What stands there.
        url: String,
    },
}

/// What was posted to a webhook.
#[derive(Debug, Default)]
pub struct Posts {
    /// Events that were taken.
    pub delivered: AtomicU64,
    /// Attempts that failed.
    pub failed: AtomicU64,
    /// Events that were given up, or lost before their turn.
    pub lost: AtomicU64,
}

struct Running {
    webhook: Webhook,
    posts: Arc<Posts>,
    task: JoinHandle<()>,
}

/// The webhooks of a node.
pub struct Webhooks {
    observer: Arc<Observer>,
    state: State,
    running: Mutex<BTreeMap<String, Running>>,
    finish: watch::Sender<bool>,
}

/// One webhook, ready to be posted to.
struct Target {
    name: String,
    uri: Uri,
    secret: Zeroizing<Vec<u8>>,
    tls: Option<TlsConnector>,
    wanted: Kinds,
    posts: Arc<Posts>,
}

fn kind(event: WebhookEvent) -> Kind {
    match event {
        WebhookEvent::Alarm => Kind::Alarm,
        WebhookEvent::Condition => Kind::Condition,
        WebhookEvent::Block => Kind::Block,
        WebhookEvent::Lost => Kind::Lost,
        WebhookEvent::Burned => Kind::Burned,
        WebhookEvent::Downgraded => Kind::Downgraded,
        WebhookEvent::Denied => Kind::Denied,
        WebhookEvent::Refused => Kind::Refused,
        WebhookEvent::Policy => Kind::Policy,
        WebhookEvent::Started => Kind::Started,
        WebhookEvent::Stopped => Kind::Stopped,
    }
}

impl Webhooks {
    /// None yet.
    pub fn new(observer: Arc<Observer>, state: State) -> Self {
        Self { observer, state, running: Mutex::default(), finish: watch::Sender::new(false) }
    }

    /// These and no others from now on. Those that stay as they were go on; new ones are told what happened since
    /// the node started, as far as it is kept.
    ///
    /// # Errors
    /// If one of them cannot be set up; then all stay as they were.
    pub fn set(&self, webhooks: &[Webhook]) -> Result<(), WebhookError> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let stays =
            |webhook: &Webhook| running.get(&webhook.name).is_some_and(|running| running.webhook == *webhook);
        let fresh: Vec<_> = webhooks.iter().filter(|webhook| !stays(webhook)).collect();
        let targets: Vec<_> = fresh
            .into_iter()
            .map(|webhook| Ok((webhook, self.target(webhook)?)))
            .collect::<Result<_, WebhookError>>()?;
        running.retain(|_, old| {
            let stays = webhooks.contains(&old.webhook);
            if !stays {
                old.task.abort();
            }
            stays
        });
        for (webhook, target) in targets {
            let posts = Arc::clone(&target.posts);
            let task = target.run(Arc::clone(&self.observer), self.finish.subscribe());
            let task = tokio::spawn(task);
            running.insert(webhook.name.clone(), Running { webhook: webhook.clone(), posts, task });
        }
        Ok(())
    }

    /// What was posted so far, by name.
    pub fn posts(&self) -> Vec<(String, Arc<Posts>)> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.iter().map(|(name, running)| (name.clone(), Arc::clone(&running.posts))).collect()
    }

    /// Posts what waits, for so long at most, and ends.
    pub async fn finish(&self, patience: Duration) {
        self.finish.send_replace(true);
        let running = core::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner));
        let end = Instant::now() + patience;
        for (_, mut running) in running {
            if tokio::time::timeout_at(end, &mut running.task).await.is_err() {
                running.task.abort();
            }
        }
    }

    fn target(&self, webhook: &Webhook) -> Result<Target, WebhookError> {
        let Webhook { name, url, events } = webhook;
        let wrong = || WebhookError::Url { name: name.clone(), url: url.clone() };
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        if uri.host().is_none() {
            return Err(wrong());
        }
        let tls = match uri.scheme_str() {
            Some("https") => {
                let config =
                    tls::web_client().map_err(|source| WebhookError::Tls { name: name.clone(), source })?;
                Some(TlsConnector::from(Arc::new(config)))
            }
            Some("http") => None,
            _ => return Err(wrong()),
        };
        Ok(Target {
            name: name.clone(),
            uri,
            secret: self.state.webhook_secret(name)?,
            tls,
            wanted: events.iter().fold(Kinds::NONE, |kinds, event| kinds.with(kind(*event))),
            posts: Arc::default(),
        })
    }
}

impl Drop for Webhooks {
    fn drop(&mut self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.values().for_each(|running| running.task.abort());
    }
}

impl Target {
    async fn run(self, observer: Arc<Observer>, mut finish: watch::Receiver<bool>) {
        let events = observer.events();
        let (mut newest, mut place): (_, Place) = (events.newest(), events.start());
        let mut missed = 0;
        loop {
            newest.mark_unchanged();
            match events.next(&mut place, self.wanted) {
                Next::Event(event) => {
                    self.deliver(&event, missed).await;
                    missed = 0;
                }
                Next::Missed(events) => {
                    missed += events;
                    self.posts.lost.fetch_add(events, Ordering::Relaxed);
                }
                Next::Nothing if *finish.borrow() => return,
                Next::Nothing => tokio::select! {
                    changed = newest.changed() => if changed.is_err() { return },
                    _ = finish.changed() => {}
                },
            }
        }
    }

    /// Posts an event until it is taken, refused or too old.
    async fn deliver(&self, event: &Event, missed: u64) {
        let (since, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            let posted = match timeout(PATIENCE, self.post(event, missed)).await {
                Ok(posted) => posted,
                Err(_) => Err("no answer in time".to_owned()),
            };
            let again = match posted {
                Ok(status) if status.is_success() => {
                    self.posts.delivered.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Ok(status) => {
                    tracing::warn!(webhook = self.name, %status, "a post was not taken");
                    let later = [408, 425, 429].contains(&status.as_u16());
                    later || !status.is_client_error()
                }
                Err(problem) => {
                    tracing::warn!(webhook = self.name, problem, "a post did not get through");
                    true
                }
            };
            self.posts.failed.fetch_add(1, Ordering::Relaxed);
            if !again || since.elapsed() + pause > GIVE_UP {
                self.posts.lost.fetch_add(1, Ordering::Relaxed);
                return;
            }
            // Shortened at random by up to half, so that nodes do not come all at once.
            let half = u64::try_from(pause.as_millis() / 2).unwrap_or(0);
            sleep(pause - Duration::from_millis(SystemRandom::new().next_u64() % (half + 1))).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn post(&self, event: &Event, missed: u64) -> Result<StatusCode, String> {
        let host = self.uri.host().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = self.uri.port_u16().unwrap_or(if self.tls.is_some() { 443 } else { 80 });
        let stream = TcpStream::connect((bare.as_str(), port)).await.map_err(|error| error.to_string())?;
        let timestamp = time::OffsetDateTime::now_utc().unix_timestamp();
        let mut request = Request::post(self.uri.path_and_query().map_or("/", |path| path.as_str()))
            .header(HOST, self.uri.authority().map_or(host, |authority| authority.as_str()))
            .header(USER_AGENT, concat!("bellwether/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/json")
            .header("Bellwether-Event", event.kind.name())
            .header("Bellwether-Delivery", event.after.to_string())
            .header("Bellwether-Timestamp", timestamp)
            .header("Bellwether-Signature", signature(&self.secret, timestamp, &event.json));
        if missed > 0 {
            request = request.header("Bellwether-Missed", missed);
        }
        let request = request.body(Full::new(Bytes::from(event.json.clone())));
        let request = request.map_err(|error| error.to_string())?;
        match &self.tls {
            None => deliver(stream, request).await,
            Some(tls) => {
                let name = ServerName::try_from(bare).map_err(|error| error.to_string())?;
                deliver(tls.connect(name, stream).await.map_err(|error| error.to_string())?, request).await
            }
        }
    }
}

/// The value of `Bellwether-Signature`.
fn signature(secret: &[u8], timestamp: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(format!("{timestamp}.").as_bytes());
    mac.update(body.as_bytes());
    format!("sha256={}", hex::encode(&mac.finalize().into_bytes()))
}

async fn deliver<T>(stream: T, request: Request<Full<Bytes>>) -> Result<StatusCode, String>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answer = request::send(stream, request).await.map_err(|error| error.to_string())?;
    let status = answer.status();
    // Read to its end, so that the receiver is not cut off within its answer; what it says is of no use.
    let _ = Limited::new(answer.into_body(), ANSWER_LIMIT).collect().await;
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_is_signed_as_any_hmac_would() {
        // echo -n '1700000000.{"event":"alarm"}' | openssl dgst -sha256 -hmac 0123456789abcdef
        let signed = signature(b"0123456789abcdef", 1_700_000_000, r#"{"event":"alarm"}"#);
        assert_eq!(signed, "sha256=5c2849c4c9a3422752e7b29e8de1e6f36d0764aed8a8eaf8fb50b6993a2d22c9");
    }
}
