//! Asks the parts of a node how they do.

use super::measured::{Method, RESULTS};
use super::metrics::{self, Besides};
use super::observer::Seen;
use super::status::{
    AuditStatus, Blocks, LastBlock, LinkStatus, OpenBlock, PeerStatus, Pool, Requests, Status,
    TransportStatus, VERSION,
};
use super::{Operations, SUBSCRIBERS, words};
use crate::node::keys::{KeysState, LinkKeys};
use crate::node::link::Progress;
use crate::store::{Change, Space};
use crate::{hex, wall_clock};
use bellwether_protocol::keys::Refusal;
use bellwether_units::NodeId;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use zeroize::Zeroizing;

/// How long a part may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// For how long an answer about readiness is good.
const FRESH: Duration = Duration::from_secs(1);
/// The record that is written to see whether the store writes.
const PROBE: &[u8] = b"operations/probe";

/// Whether the node could serve, and when it was asked.
pub(super) struct Probe {
    at: Instant,
    not_ready: Option<String>,
}

impl Operations {
    /// Why the node cannot serve; `None` if it can. Asked of the parts once a second at most.
    pub(super) async fn not_ready(&self) -> Option<String> {
        let mut probe = self.probe.lock().await;
        if let Some(last) = probe.as_ref().filter(|last| last.at.elapsed() < FRESH) {
            return last.not_ready.clone();
        }
        let not_ready = self.ask_parts().await.err();
        *probe = Some(Probe { at: Instant::now(), not_ready: not_ready.clone() });
        not_ready
    }

    async fn ask_parts(&self) -> Result<(), String> {
        let parts = &self.parts;
        if *parts.stop.borrow() {
            return Err("the node is stopping".to_owned());
        }
        let answered = timeout(PATIENCE, parts.keys.state()).await.is_ok();
        if !parts.keys.is_running() {
            return Err("the key manager has stopped".to_owned());
        }
        if !answered {
            return Err("the key manager does not answer".to_owned());
        }
        let (key, value) = (PROBE.to_vec(), Zeroizing::new(vec![1]));
        let commit = parts.store.commit(vec![Change::Put { space: Space::Meta, key, value }]);
        match timeout(PATIENCE, commit).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err("the store does not write".to_owned()),
        }
        match parts.observer.is_behind() {
            true => Err("the audit log cannot be written, or not fast enough".to_owned()),
            false => Ok(()),
        }
    }

    /// How the node does.
    pub(super) async fn status(&self) -> (Status, KeysState) {
        let parts = &self.parts;
        let not_ready = self.not_ready().await;
        let state = timeout(PATIENCE, parts.keys.state()).await.unwrap_or_default();
        let seen = parts.observer.seen();
        let head = parts.observer.audit().head();
        let status = Status {
            version: VERSION,
            network: parts.network.name.clone(),
            node: self.node(parts.node),
            software: env!("CARGO_PKG_VERSION").to_owned(),
            time: wall_clock::now(),
            uptime_seconds: self.started.elapsed().as_secs_f64(),
            not_ready,
            key_manager: parts.key_manager.to_string(),
            links: state.links.iter().map(|link| self.link(link, &seen)).collect(),
            peers: state
                .peers
                .iter()
                .map(|stock| PeerStatus {
                    peer: self.node(stock.peer),
                    met: stock.met,
                    stock_bits: stock.bits,
                    drought: stock.drought.map(|drought| drought.to_string()),
                    downgraded: seen.downgraded.get(&stock.peer).cloned(),
                })
                .collect(),
            alarms: seen.alarms.iter().filter_map(|event| serde_json::from_str(&event.json).ok()).collect(),
            requests: self.requests(&state, &seen),
            transport: self.transport(),
            audit: AuditStatus {
                entries: head.next,
                hash: hex::encode(&head.hash),
                waiting: parts.observer.audit().waiting(),
            },
        };
        drop(seen);
        (status, state)
    }

    fn node(&self, node: NodeId) -> String {
        self.parts.network.nodes.get(node.index()).map_or_else(|| node.to_string(), |node| node.name.clone())
    }

    fn link(&self, held: &LinkKeys, seen: &Seen) -> LinkStatus {
        let link = seen.links.get(&held.link).cloned().unwrap_or_default();
        let account = held.account;
        LinkStatus {
            link: self.parts.network.link(held.link).name.clone(),
            peer: self.node(held.peer),
            condition: words::condition(link.condition).to_owned(),
            session: link.session,
            light: link.light,
            devices: link.devices,
            lost_windows: link.lost_windows,
            secret_bits: link.secret_bits,
            secret_bits_per_second: link.rate(),
            blocks: Blocks { distilled: link.blocks, discarded: owned(&link.discarded) },
            open_block: link
                .progress
                .map(|Progress { sifted_bits, of_bits }| OpenBlock { sifted_bits, of_bits }),
            last_block: link.last.map(|last| LastBlock {
                block: last.block,
                qber_key: last.qber_key,
                qber_check: last.qber_check,
                key_bits: last.key_bits,
            }),
            alarms: owned(&link.alarms),
            pool: Pool {
                outgoing: account.outgoing,
                incoming: account.incoming,
                unconfirmed: account.unconfirmed,
                stored: account.stored,
                overflow: account.overflow,
                hashing: account.hashing,
                taken: account.taken,
                received: account.received,
                burned: account.burned,
            },
        }
    }

    fn requests(&self, state: &KeysState, seen: &Seen) -> Requests {
        let answers = |method| {
            let counts = self.parts.measures.answered(method);
            let counts = RESULTS.iter().zip(counts).filter(|(_, count)| *count > 0);
            counts.map(|(result, count)| ((*result).to_owned(), count)).collect()
        };
        let answers = Method::ALL.map(|method| (method.name().to_owned(), answers(method)));
        Requests {
            answers: answers.into(),
            open: state.open_questions,
            issued: owned(&seen.issued),
            collected: seen.collected,
            pending: state.pending,
            lost: owned(&seen.keys_lost),
            stock_burned: owned(&seen.stock_burned),
            denied: seen.denied,
        }
    }

    fn transport(&self) -> Vec<TransportStatus> {
        let of = |(peer, counted): (NodeId, crate::transport::PeerStatistics)| TransportStatus {
            peer: self.node(peer),
            connected: counted.connected,
            connections: counted.connections,
            failures: counted.failures,
            frames_sent: counted.sent,
            bytes_sent: counted.sent_bytes,
            frames_received: counted.received,
            bytes_received: counted.received_bytes,
            frames_dropped: counted.dropped,
        };
        self.parts.transport.statistics().into_iter().map(of).collect()
    }

    /// The figures for Prometheus.
    pub(super) async fn metrics(&self) -> String {
        let (status, state) = self.status().await;
        let parts = &self.parts;
        let refused: Vec<_> = Refusal::ALL
            .iter()
            .map(|why| (words::refusal(*why), state.requests.refused[why.index()]))
            .filter(|(_, count)| *count > 0)
            .collect();
        let listeners: Vec<_> =
            parts.listeners.iter().map(|(name, counters)| (*name, counters.as_ref())).collect();
        let made = &state.requests;
        let webhooks = parts.webhooks.posts();
        let besides = Besides {
            measures: &parts.measures,
            listeners: &listeners,
            etsi014: &parts.etsi014,
            store_backlog: parts.store.backlog(),
            store_commits: state.committed,
            quantum_requests: [made.requested, made.delivered, made.rerouted],
            quantum_refused: &refused,
            quantum_pending: state.requests_pending,
            audit_failures: parts.observer.audit().failures(),
            missed: parts.observer.seen().missed,
            webhooks: &webhooks,
            subscribers: SUBSCRIBERS - self.subscribers.available_permits(),
        };
        metrics::text(&status, &besides)
    }
}

fn owned(counts: &BTreeMap<&'static str, u64>) -> BTreeMap<String, u64> {
    counts.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect()
}
