//! The load: connections that ask for one key after the other, and what they saw.

use crate::{Failure, processor};
use bellwether_live::directory;
use bellwether_live::identity::{Role, tls};
use bellwether_live::state::State;
use bellwether_network::Network;
use bellwether_units::NodeId;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

/// What to do.
pub(crate) struct Load {
    pub(crate) connections: usize,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
    pub(crate) number: u32,
    pub(crate) collect: bool,
    /// Keys that must be there before it begins.
    pub(crate) enough: u64,
}

/// What one connection saw while it was measured.
#[derive(Default)]
struct Seen {
    latencies: Vec<Duration>,
    answers: BTreeMap<StatusCode, u64>,
    names: Vec<String>,
    /// The first refusal, in the key manager's words.
    refusal: Option<String>,
}

/// Measures and prints.
pub(crate) async fn run(
    network: &Network,
    state: &State,
    load: Load,
    sites: [u32; 2],
) -> Result<(), Failure> {
    let connector = |name: &str| -> Result<TlsConnector, Failure> {
        let layout = state.identities();
        let identity = layout.load(Role::Application, name)?;
        let config = tls::application_client(&identity, layout.roots(Role::KeyManager)?, None)?;
        Ok(TlsConnector::from(Arc::new(config)))
    };
    let address = |node| directory::node_addresses(network, NodeId(node)).map(|listens| listens.key_manager);
    let master = Application { address: address(0)?, tls: connector("sae-A")? };
    let slave = Application { address: address(1)?, tls: connector("sae-B")? };
    wait_for_stock(&master, load.enough).await?;

    let begin = Instant::now() + load.warm_up;
    let end = begin + load.measured;
    let load = Arc::new(load);
    let mut connections = Vec::new();
    for _ in 0..load.connections {
        let (master, slave, load) = (master.clone(), slave.clone(), Arc::clone(&load));
        connections.push(tokio::spawn(async move { ask(&master, &slave, &load, [begin, end]).await }));
    }
    tokio::time::sleep_until(begin).await;
    let processes = [0, sites[0], sites[1]];
    let before = processes.map(processor::seconds);
    tokio::time::sleep_until(end).await;
    let after = processes.map(processor::seconds);

    let mut seen = Seen::default();
    for connection in connections {
        let one = connection.await??;
        seen.latencies.extend(one.latencies);
        seen.names.extend(one.names);
        seen.refusal = seen.refusal.or(one.refusal);
        for (status, count) in one.answers {
            *seen.answers.entry(status).or_default() += count;
        }
    }
    let asked = seen.latencies.len();
    seen.latencies.sort_unstable();
    let quantile = |part: f64| {
        let place = ((asked as f64 * part) as usize).min(asked.saturating_sub(1));
        seen.latencies.get(place).copied().unwrap_or_default().as_secs_f64() * 1e3
    };
    let distinct: BTreeSet<&String> = seen.names.iter().collect();
    println!("connections        {:>10}", load.connections);
    println!("requests a second  {:>10.0}", asked as f64 / load.measured.as_secs_f64());
    println!("keys a second      {:>10.0}", seen.names.len() as f64 / load.measured.as_secs_f64());
    println!("p50 / p99 / p99.9  {:.2} / {:.2} / {:.2} ms", quantile(0.5), quantile(0.99), quantile(0.999));
    for (status, count) in &seen.answers {
        println!("answers {status}     {count:>10}");
    }
    if let Some(refusal) = &seen.refusal {
        println!("refused with       {refusal}");
    }
    println!("keys, distinct     {:>10} {:>10}", seen.names.len(), distinct.len());
    for ((who, before), after) in ["load", "site A", "site B"].iter().zip(before).zip(after) {
        let used = after? - before?;
        let each = used * 1e6 / asked.max(1) as f64;
        println!("processor {who:<7}  {used:>10.2} s, {each:.1} us a request");
    }
    if distinct.len() != seen.names.len() {
        return Err("a key was given twice".into());
    }
    Ok(())
}

#[derive(Clone)]
struct Application {
    address: SocketAddr,
    tls: TlsConnector,
}

impl Application {
    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Failure> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let stream = self.tls.connect(ServerName::IpAddress(self.address.ip().into()), stream).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn post(
        &self,
        sender: &mut SendRequest<Full<Bytes>>,
        path: &str,
        body: String,
    ) -> Result<(StatusCode, Bytes), Failure> {
        sender.ready().await?;
        let request = Request::post(path)
            .header(HOST, self.address.to_string())
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let (head, body) = sender.send_request(request).await?.into_parts();
        Ok((head.status, body.collect().await?.to_bytes()))
    }
}

async fn wait_for_stock(master: &Application, enough: u64) -> Result<(), Failure> {
    let mut sender = master.connect().await?;
    let waiting = Instant::now();
    loop {
        sender.ready().await?;
        let request = Request::get("/api/v1/keys/sae-B/status").header(HOST, master.address.to_string());
        let answer = sender.send_request(request.body(Full::default())?).await?;
        let status: serde_json::Value =
            serde_json::from_slice(&answer.into_body().collect().await?.to_bytes())?;
        if status["stored_key_count"].as_u64().is_some_and(|count| count >= enough) {
            return Ok(());
        }
        if waiting.elapsed() > Duration::from_secs(600) {
            return Err(format!("no stock of keys after ten minutes: {status}").into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn ask(
    master: &Application,
    slave: &Application,
    load: &Load,
    [begin, end]: [Instant; 2],
) -> Result<Seen, Failure> {
    let mut seen = Seen::default();
    let mut sender = master.connect().await?;
    let mut collector = match load.collect {
        true => Some(slave.connect().await?),
        false => None,
    };
    let wish = format!("{{\"number\":{}}}", load.number);
    loop {
        let asked = Instant::now();
        if asked >= end {
            return Ok(seen);
        }
        let (status, body) = master.post(&mut sender, "/api/v1/keys/sae-B/enc_keys", wish.clone()).await?;
        let latency = asked.elapsed();
        let names = names(&body);
        if let (Some(collector), false) = (&mut collector, names.is_empty()) {
            let ids: Vec<_> = names.iter().map(|name| format!("{{\"key_ID\":\"{name}\"}}")).collect();
            let body = format!("{{\"key_IDs\":[{}]}}", ids.join(","));
            let (status, _) = slave.post(collector, "/api/v1/keys/sae-A/dec_keys", body).await?;
            if status != StatusCode::OK {
                return Err(format!("a key could not be collected: {status}").into());
            }
        }
        if asked >= begin {
            seen.latencies.push(latency);
            *seen.answers.entry(status).or_default() += 1;
            if status != StatusCode::OK && seen.refusal.is_none() {
                seen.refusal = Some(String::from_utf8_lossy(&body).into_owned());
            }
            seen.names.extend(names);
        }
    }
}

/// The names of the keys in an answer.
fn names(body: &[u8]) -> Vec<String> {
    const MARK: &str = "\"key_ID\":\"";
    let text = String::from_utf8_lossy(body);
    text.match_indices(MARK)
        .filter_map(|(at, _)| text.get(at + MARK.len()..)?.get(..36).map(str::to_owned))
        .collect()
}
