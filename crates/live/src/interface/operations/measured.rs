//! A key service whose answers are counted and timed, and which gives no key that could not be written down.

use super::observer::Observer;
use crate::interface::service::{DecKeysWanted, EncKeysWanted, KeyService};
use bellwether_protocol::keys::delivery::{ApplicationKey, DeliveryError, PairStatus, SaeName};
use bellwether_units::NodeId;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use std::sync::Arc;
use tokio::time::Instant;

/// What applications ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    EncKeys,
    DecKeys,
    Status,
}

impl Method {
    pub(super) const ALL: [Self; 3] = [Self::EncKeys, Self::DecKeys, Self::Status];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::EncKeys => "enc_keys",
            Self::DecKeys => "dec_keys",
            Self::Status => "status",
        }
    }
}

/// What they are told.
pub(super) const RESULTS: [&str; 8] = [
    "ok",
    "not-allowed",
    "bad-request",
    "insufficient",
    "not-found",
    "busy",
    "rate-limited",
    "peer-unreachable",
];

fn result_of<T>(answer: &Result<T, DeliveryError>) -> usize {
    match answer {
        Ok(_) => 0,
        Err(DeliveryError::NotAllowed) => 1,
        Err(
            DeliveryError::Size { .. } | DeliveryError::Number { .. } | DeliveryError::TooManySlaves { .. },
        ) => 2,
        Err(DeliveryError::Insufficient { .. }) => 3,
        Err(DeliveryError::NotFound) => 4,
        Err(DeliveryError::RateLimited { .. }) => 6,
        Err(DeliveryError::PeerUnreachable) => 7,
        Err(_) => 5,
    }
}

/// Histograms by method.
pub(super) type Latencies = Family<[(&'static str, &'static str); 1], Histogram, fn() -> Histogram>;

/// Counts and times of a key service, by method.
#[derive(Clone, Debug)]
pub struct Measures {
    /// Answers, by [`RESULTS`].
    answers: [[Counter; RESULTS.len()]; 3],
    /// Times to the answer, in seconds.
    latency: [Histogram; 3],
    /// The same, to be told.
    pub(super) latencies: Latencies,
}

/// From what memory alone takes to what patience allows, in seconds.
fn histogram() -> Histogram {
    Histogram::new([0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0])
}

impl Default for Measures {
    fn default() -> Self {
        let latencies = Latencies::new_with_constructor(histogram);
        let latency = Method::ALL.map(|method| latencies.get_or_create(&[("method", method.name())]).clone());
        Self { answers: Default::default(), latency, latencies }
    }
}

impl Measures {
    fn count<T>(&self, method: Method, since: Instant, answer: &Result<T, DeliveryError>) {
        self.answers[method as usize][result_of(answer)].inc();
        self.latency[method as usize].observe(since.elapsed().as_secs_f64());
    }

    /// Answers of a method by [`RESULTS`] so far.
    pub(super) fn answered(&self, method: Method) -> [u64; RESULTS.len()] {
        core::array::from_fn(|result| self.answers[method as usize][result].get())
    }
}

/// A key service whose answers are counted and timed, and which gives no key that could not be written down.
#[derive(Clone)]
pub struct Measured<S> {
    /// What is measured.
    pub service: S,
    /// What was counted.
    pub measures: Measures,
    /// Who writes down which keys were given.
    pub observer: Arc<Observer>,
}

impl<S: KeyService> KeyService for Measured<S> {
    async fn enc_keys(&self, wanted: EncKeysWanted) -> Result<Vec<ApplicationKey>, DeliveryError> {
        let since = Instant::now();
        let answer = match self.observer.is_behind() {
            true => Err(DeliveryError::Busy),
            false => self.service.enc_keys(wanted).await,
        };
        self.measures.count(Method::EncKeys, since, &answer);
        answer
    }

    async fn dec_keys(&self, wanted: DecKeysWanted) -> Result<Vec<ApplicationKey>, DeliveryError> {
        let since = Instant::now();
        let answer = match self.observer.is_behind() {
            true => Err(DeliveryError::Busy),
            false => self.service.dec_keys(wanted).await,
        };
        self.measures.count(Method::DecKeys, since, &answer);
        answer
    }

    async fn status(&self, caller: &SaeName, slave: &SaeName) -> Result<PairStatus, DeliveryError> {
        let since = Instant::now();
        let answer = self.service.status(caller, slave).await;
        self.measures.count(Method::Status, since, &answer);
        answer
    }

    fn node_name(&self, node: NodeId) -> String {
        self.service.node_name(node)
    }
}
