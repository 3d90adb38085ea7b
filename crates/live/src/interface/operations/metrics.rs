//! A node's figures as Prometheus reads them: OpenMetrics 1.0 text.
//!
//! Labels are the names of links and nodes in the network file and the words of a few short lists, so that the
//! number of series follows from the network.

use super::measured::Measures;
use super::status::Status;
use crate::interface::{etsi014, listener};
use crate::webhook::Posts;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The media type of what [`text`] gives.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Figures that are not in [`Status`].
pub(super) struct Besides<'a> {
    pub(super) measures: &'a Measures,
    /// Counters of sockets by the interface's name.
    pub(super) listeners: &'a [(&'static str, &'a listener::Counters)],
    /// Of the interface for keys.
    pub(super) etsi014: &'a etsi014::Counters,
    /// Bytes that wait to become durable.
    pub(super) store_backlog: usize,
    /// Commits that became durable.
    pub(super) store_commits: u64,
    /// The key manager's requests to the network: made, delivered, tried again, and refused by why.
    pub(super) quantum_requests: [u64; 3],
    pub(super) quantum_refused: &'a [(&'static str, u64)],
    pub(super) quantum_pending: usize,
    /// Attempts to write the audit log that failed.
    pub(super) audit_failures: u64,
    /// Entries that events and audit log missed.
    pub(super) missed: u64,
    /// What was posted to webhooks, by name.
    pub(super) webhooks: &'a [(String, Arc<Posts>)],
    /// Subscribers of the event stream.
    pub(super) subscribers: usize,
}

type Labels = Vec<(&'static str, String)>;

/// A registry that is filled and told at once.
struct Sheet(Registry);

impl Sheet {
    fn gauge(&mut self, name: &str, help: &str, rows: impl IntoIterator<Item = (Labels, f64)>) {
        let family = Family::<Labels, Gauge<f64, AtomicU64>>::default();
        for (labels, value) in rows {
            family.get_or_create(&labels).set(value);
        }
        self.0.register(name, help, family);
    }

    /// `_total` comes behind the name.
    fn counter(&mut self, name: &str, help: &str, rows: impl IntoIterator<Item = (Labels, u64)>) {
        let family = Family::<Labels, Counter>::default();
        for (labels, value) in rows {
            family.get_or_create(&labels).inc_by(value);
        }
        self.0.register(name, help, family);
    }
}

fn label(name: &'static str, value: &str) -> Labels {
    vec![(name, value.to_owned())]
}

fn labels<const N: usize>(pairs: [(&'static str, &str); N]) -> Labels {
    pairs.map(|(name, value)| (name, value.to_owned())).to_vec()
}

fn flag(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

/// The figures of a node.
pub(super) fn text(status: &Status, besides: &Besides<'_>) -> String {
    let mut sheet = Sheet(Registry::with_prefix("bellwether"));
    node(&mut sheet, status, besides);
    links(&mut sheet, status);
    keys(&mut sheet, status, besides);
    transport(&mut sheet, status, besides);
    let mut text = String::new();
    // Writing to a text cannot fail.
    let _ = encode(&mut text, &sheet.0);
    text
}

fn node(sheet: &mut Sheet, status: &Status, besides: &Besides<'_>) {
    let build = labels([("version", &status.software), ("network", &status.network), ("node", &status.node)]);
    sheet.gauge("build_info", "1; the labels say which program runs which node", [(build, 1.0)]);
    let none = Labels::new;
    sheet.gauge("uptime_seconds", "Since the node started", [(none(), status.uptime_seconds)]);
    sheet.gauge("ready", "Whether the node can serve", [(none(), flag(status.not_ready.is_none()))]);
    let backlog = [(none(), besides.store_backlog as f64)];
    sheet.gauge("store_backlog_bytes", "Bytes that wait to become durable", backlog);
    let commits = [(none(), besides.store_commits)];
    sheet.counter("store_commits", "Commits of the key machines that became durable", commits);
    sheet.counter("audit_entries", "Entries of the audit log's chain", [(none(), status.audit.entries)]);
    sheet.gauge("audit_waiting", "Entries that wait to be written", [(none(), status.audit.waiting as f64)]);
    let failures = [(none(), besides.audit_failures)];
    sheet.counter("audit_write_failures", "Attempts to write the audit log that failed", failures);
    sheet.counter("events_missed", "Events missing from stream and audit log", [(none(), besides.missed)]);
    let posts = besides.webhooks.iter().flat_map(|(name, posts)| {
        let of = |result: &str, count: &AtomicU64| {
            (labels([("webhook", name), ("result", result)]), count.load(Ordering::Relaxed))
        };
        [of("delivered", &posts.delivered), of("failed", &posts.failed), of("lost", &posts.lost)]
    });
    sheet.counter("webhook_posts", "Events taken by webhooks, attempts that failed, events lost", posts);
    let subscribers = [(none(), besides.subscribers as f64)];
    sheet.gauge("event_subscribers", "Readers of the event stream", subscribers);
}

fn links(sheet: &mut Sheet, status: &Status) {
    let each = |figure: fn(&super::status::LinkStatus) -> Option<f64>| {
        let rows =
            status.links.iter().filter_map(move |link| Some((label("link", &link.link), figure(link)?)));
        rows.collect::<Vec<_>>()
    };
    let conditions = status.links.iter().flat_map(|link| {
        let one = |word: &'static str| {
            (labels([("link", &link.link), ("condition", word)]), flag(link.condition == word))
        };
        ["up", "cut", "alarmed"].map(one)
    });
    sheet.gauge("link_condition", "1 for the condition that the link has", conditions);
    let session = each(|link| Some(flag(link.session.is_some())));
    sheet.gauge("link_session_open", "Whether a session with the other end is open", session);
    sheet.gauge("link_light", "Whether the other end's light is seen", each(|link| link.light.map(flag)));
    sheet.gauge("link_devices", "Whether the link's devices answer", each(|link| Some(flag(link.devices))));
    let qber = status.links.iter().flat_map(|link| {
        let last = link.last_block.as_ref();
        let one = |basis: &'static str, qber: Option<f64>| {
            Some((labels([("link", &link.link), ("basis", basis)]), qber?))
        };
        [one("key", last.and_then(|last| last.qber_key)), one("check", last.and_then(|last| last.qber_check))]
    });
    sheet.gauge("link_qber_ratio", "The error rate of the last block", qber.flatten());
    let blocks = status.links.iter().flat_map(|link| {
        let of = |outcome: &str, count| (labels([("link", &link.link), ("outcome", outcome)]), count);
        let mut rows = vec![of("key", link.blocks.distilled)];
        rows.extend(link.blocks.discarded.iter().map(|(why, count)| of(why, *count)));
        rows
    });
    sheet.counter("link_blocks", "Blocks that ended, by what became of them", blocks);
    let alarms = status.links.iter().flat_map(|link| {
        link.alarms.iter().map(|(kind, count)| (labels([("link", &link.link), ("kind", kind)]), *count))
    });
    sheet.counter("link_alarms", "Alarms", alarms);
    let open =
        each(|link| link.open_block.map(|block| block.sifted_bits as f64 / block.of_bits.max(1) as f64));
    sheet.gauge("link_open_block_ratio", "How far the block is that is being gathered", open);
    let count = |figure: fn(&super::status::LinkStatus) -> u64| {
        status.links.iter().map(|link| (label("link", &link.link), figure(link))).collect::<Vec<_>>()
    };
    sheet.counter("link_secret_bits", "Secret bits distilled", count(|link| link.secret_bits));
    sheet.counter("link_windows_lost", "Windows of detections not taken in time", count(|l| l.lost_windows));
    let now = status.links.iter().flat_map(|link| {
        let of = |part: &str, bits: u64| (labels([("link", &link.link), ("part", part)]), bits as f64);
        let pool = &link.pool;
        [of("outgoing", pool.outgoing), of("incoming", pool.incoming), of("unconfirmed", pool.unconfirmed)]
    });
    sheet.gauge("pool_bits", "Key held in common with a neighbour", now);
    let went = status.links.iter().flat_map(|link| {
        let of = |to: &str, bits: u64| (labels([("link", &link.link), ("account", to)]), bits);
        let pool = &link.pool;
        [
            of("stored", pool.stored),
            of("overflow", pool.overflow),
            of("hashing", pool.hashing),
            of("taken", pool.taken),
            of("received", pool.received),
            of("burned", pool.burned),
        ]
    });
    sheet.counter("pool_account_bits", "What came into a pool and where it went", went);
}

fn keys(sheet: &mut Sheet, status: &Status, besides: &Besides<'_>) {
    let requests = &status.requests;
    let answers = requests.answers.iter().flat_map(|(method, answers)| {
        answers.iter().map(move |(result, count)| (labels([("method", method), ("result", result)]), *count))
    });
    sheet.counter("key_requests", "Answers to applications", answers);
    let help = "Time to the answer of the key manager";
    sheet.0.register("key_request_seconds", help, besides.measures.latencies.clone());
    let help = "Members and parameters of requests that ETSI GS QKD 014 does not name";
    let unknown = besides.etsi014.unknown_members.load(Ordering::Relaxed);
    sheet.counter("unknown_members", help, [(Labels::new(), unknown)]);
    let classes = ["2xx", "4xx", "5xx"].iter().zip(&besides.etsi014.answers);
    let classes = classes.map(|(class, count)| (label("class", class), count.load(Ordering::Relaxed)));
    sheet.counter("http_answers", "Answers of the interface for keys, by class of their status", classes);
    let by = |name: &'static str, counts: &std::collections::BTreeMap<String, u64>| {
        counts.iter().map(|(word, count)| (label(name, word), *count)).collect::<Vec<_>>()
    };
    sheet.counter("keys_issued", "Keys given to masters", by("protection", &requests.issued));
    sheet.counter("keys_collected", "Keys given to slaves", [(Labels::new(), requests.collected)]);
    sheet.counter("keys_lost", "Keys that must not be used", by("cause", &requests.lost));
    sheet.counter("stock_burned_bits", "Stock that was burned", by("cause", &requests.stock_burned));
    sheet.counter("requests_denied", "Questions denied", [(Labels::new(), requests.denied)]);
    let pending = [(Labels::new(), requests.pending as f64)];
    sheet.gauge("keys_pending", "Keys that wait to be collected", pending);
    let open = [(Labels::new(), requests.open as f64)];
    sheet.gauge("key_requests_open", "Questions of applications under way", open);
    let peers = |figure: fn(&super::status::PeerStatus) -> f64| {
        status.peers.iter().map(|peer| (label("peer", &peer.peer), figure(peer))).collect::<Vec<_>>()
    };
    let stock = peers(|peer| peer.stock_bits as f64);
    sheet.gauge("stock_bits", "Quantum key in stock that this node may take", stock);
    let met = peers(|peer| flag(peer.met));
    sheet.gauge("peer_met", "Whether the key managers have heard each other", met);
    let drought = peers(|peer| flag(peer.drought.is_some()));
    sheet.gauge("peer_drought", "Whether the network gives no quantum key for keys with a node", drought);
    let downgraded = peers(|peer| flag(peer.downgraded.is_some()));
    sheet.gauge("peer_downgraded", "Whether keys with a node have no quantum part now", downgraded);
    let outcomes = ["made", "delivered", "repeated"].iter().zip(besides.quantum_requests);
    let outcomes = outcomes.map(|(outcome, count)| (label("outcome", outcome), count));
    sheet.counter("quantum_requests", "Requests of the key manager to the network", outcomes);
    let refused = besides.quantum_refused.iter().map(|(why, count)| (label("reason", why), *count));
    sheet.counter("quantum_requests_refused", "Requests that the network refused", refused);
    let pending = [(Labels::new(), besides.quantum_pending as f64)];
    sheet.gauge("quantum_requests_pending", "Requests to the network under way", pending);
}

fn transport(sheet: &mut Sheet, status: &Status, besides: &Besides<'_>) {
    let both = |out: fn(&super::status::TransportStatus) -> u64,
                into: fn(&super::status::TransportStatus) -> u64| {
        let rows = status.transport.iter().flat_map(move |peer| {
            let of = |way: &str, count| (labels([("peer", &peer.peer), ("direction", way)]), count);
            [of("sent", out(peer)), of("received", into(peer))]
        });
        rows.collect::<Vec<_>>()
    };
    let frames = both(|peer| peer.frames_sent, |peer| peer.frames_received);
    sheet.counter("transport_frames", "Frames between nodes", frames);
    let bytes = both(|peer| peer.bytes_sent, |peer| peer.bytes_received);
    sheet.counter("transport_bytes", "Bytes between nodes, inside TLS", bytes);
    let count = |figure: fn(&super::status::TransportStatus) -> u64| {
        status.transport.iter().map(|peer| (label("peer", &peer.peer), figure(peer))).collect::<Vec<_>>()
    };
    sheet.counter("transport_dropped", "Frames dropped", count(|peer| peer.frames_dropped));
    sheet.counter("transport_connections", "Connections made to a node", count(|peer| peer.connections));
    let failures = count(|peer| peer.failures);
    sheet.counter("transport_failures", "Attempts that failed and connections that broke", failures);
    let connected = status.transport.iter().map(|peer| (label("peer", &peer.peer), flag(peer.connected)));
    sheet.gauge("transport_connected", "Whether the sending direction is connected", connected);
    let open = besides
        .listeners
        .iter()
        .map(|(name, counters)| (label("interface", name), counters.open.load(Ordering::Relaxed) as f64));
    sheet.gauge("listener_open", "Connections open", open);
    let events = besides.listeners.iter().flat_map(|(name, counters)| {
        let of = |event: &str, counter: &AtomicU64| {
            (labels([("interface", name), ("event", event)]), counter.load(Ordering::Relaxed))
        };
        [
            of("accepted", &counters.accepted),
            of("turned-away", &counters.turned_away),
            of("handshake-failed", &counters.handshakes_failed),
            of("unknown-caller", &counters.unknown_callers),
        ]
    });
    sheet.counter("listener_connections", "What became of connections", events);
}
