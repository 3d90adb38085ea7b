//! Turns what the parts of a node tell into news, and keeps the figures that operators ask for.
//!
//! One task listens to the links and to the key machines. It never holds them up: if it falls behind, no new keys
//! are given until it has caught up ([`Observer::is_behind`]), so that no key leaves without an entry in the audit
//! log.

use super::events::Events;
use super::news::News;
use super::words;
use crate::audit::AuditLog;
use crate::interface::listener::{Refused, stopped};
use crate::node::keys::KeysEvent;
use crate::node::{link::Progress, links::LinkNews};
use bellwether_network::Network;
use bellwether_protocol::hardware::Basis;
use bellwether_protocol::keys::delivery::{self, Audit};
use bellwether_protocol::keys::{self, KeyId, LinkCondition};
use bellwether_protocol::qkd::session::BlockReport;
use bellwether_units::{LinkId, NodeId};
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// With so many events of the key machines waiting, no new keys are given.
const BEHIND: usize = 16_384;
/// How many alarms are kept for status.
const ALARMS: usize = 100;
/// How many different callers that were turned away are told apart within a second.
const TURNED_AWAY: usize = 256;
/// The time over which the rate of secret bits is told.
pub(super) const RATE_OVER: Duration = Duration::from_secs(60);

/// What was seen of a link since the node started.
#[derive(Clone, Debug, Default)]
pub(super) struct LinkSeen {
    pub(super) condition: LinkCondition,
    pub(super) session: Option<u64>,
    /// `None` before it is known.
    pub(super) light: Option<bool>,
    pub(super) devices: bool,
    /// Windows lost because they were not taken in time.
    pub(super) lost_windows: u64,
    pub(super) progress: Option<Progress>,
    /// Blocks that gave key.
    pub(super) blocks: u64,
    /// Blocks that gave none, by why.
    pub(super) discarded: BTreeMap<&'static str, u64>,
    pub(super) alarms: BTreeMap<&'static str, u64>,
    pub(super) secret_bits: u64,
    pub(super) last: Option<LastBlock>,
    /// Secret bits lately, and when.
    recent: VecDeque<(Instant, u64)>,
}

/// The last block of a link.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastBlock {
    pub(super) block: u64,
    pub(super) qber_key: Option<f64>,
    pub(super) qber_check: Option<f64>,
    pub(super) key_bits: u64,
}

impl LinkSeen {
    /// Secret bits a second over the last minute.
    pub(super) fn rate(&self) -> f64 {
        let bits: u64 =
            self.recent.iter().filter(|(at, _)| at.elapsed() <= RATE_OVER).map(|(_, bits)| bits).sum();
        bits as f64 / RATE_OVER.as_secs_f64()
    }

    fn block(&mut self, report: &BlockReport) {
        self.last = Some(LastBlock {
            block: report.block.0,
            qber_key: qber(report, Basis::Key),
            qber_check: qber(report, Basis::Check),
            key_bits: report.key_bits,
        });
        match &report.discarded {
            None => self.blocks += 1,
            Some(why) => *self.discarded.entry(why.name()).or_default() += 1,
        }
        self.secret_bits += report.key_bits;
        while self.recent.front().is_some_and(|(at, _)| at.elapsed() > RATE_OVER) {
            self.recent.pop_front();
        }
        self.recent.push_back((Instant::now(), report.key_bits));
    }
}

fn qber(report: &BlockReport, basis: Basis) -> Option<f64> {
    let known = basis == Basis::Check || report.corrected;
    report.statistics.error_rate(basis).filter(|_| known)
}

/// What was seen of a node since it started.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) links: BTreeMap<LinkId, LinkSeen>,
    /// The last alarms as their events' JSON, the newest last.
    pub(super) alarms: VecDeque<Arc<super::events::Event>>,
    /// Peers with which keys have no quantum part now.
    pub(super) downgraded: BTreeMap<NodeId, String>,
    /// Bits of stock burned, by why.
    pub(super) stock_burned: BTreeMap<&'static str, u64>,
    /// Keys for applications lost, by why.
    pub(super) keys_lost: BTreeMap<&'static str, u64>,
    /// Keys handed out to masters, by what they rest on.
    pub(super) issued: BTreeMap<&'static str, u64>,
    /// Keys handed out to slaves.
    pub(super) collected: u64,
    /// Questions denied.
    pub(super) denied: u64,
    /// Entries that this observer missed.
    pub(super) missed: u64,
}

/// Those who were turned away since they were last told of.
#[derive(Default)]
struct TurnedAway {
    denied: BTreeMap<(String, String), u64>,
    refused: BTreeMap<(&'static str, IpAddr, Refused), u64>,
}

/// What a node tells its operators, gathered.
pub struct Observer {
    nodes: Arc<[String]>,
    links: Vec<String>,
    events: Events,
    audit: AuditLog,
    seen: Mutex<Seen>,
    turned_away: Mutex<TurnedAway>,
    behind: AtomicBool,
}

impl Observer {
    /// Of the node of this name; `run` tells this run of it from others.
    pub fn new(network: &Network, node: &str, run: u64, audit: AuditLog) -> Self {
        Self {
            nodes: network.nodes.iter().map(|node| node.name.clone()).collect(),
            links: network.links.iter().map(|link| link.name.clone()).collect(),
            events: Events::new(node.to_owned(), run),
            audit,
            seen: Mutex::default(),
            turned_away: Mutex::default(),
            behind: AtomicBool::new(false),
        }
    }

    /// What happens.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// The audit log.
    pub fn audit(&self) -> &AuditLog {
        &self.audit
    }

    /// Whether so much waits to be written down that no more keys should be given.
    pub fn is_behind(&self) -> bool {
        self.behind.load(Ordering::Relaxed) || self.audit.is_behind()
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells everybody.
    pub fn tell(&self, news: News) {
        let event = self.events.add(&news);
        if event.kind.is_audited() {
            self.audit.append(Arc::clone(&event));
        }
        if matches!(news, News::Alarm { .. }) {
            let mut seen = self.seen();
            if seen.alarms.len() == ALARMS {
                seen.alarms.pop_front();
            }
            seen.alarms.push_back(event);
        }
    }

    /// A caller was not let in by an interface. Told within a second, with others like it.
    pub fn refused(&self, interface: &'static str, address: IpAddr, why: Refused) {
        let mut turned_away = self.turned_away.lock().unwrap_or_else(PoisonError::into_inner);
        count(&mut turned_away.refused, (interface, address, why));
    }

    /// Listens until `ends` turns true, and takes what came before.
    pub async fn run(
        self: Arc<Self>,
        mut keys: broadcast::Receiver<Arc<KeysEvent>>,
        mut links: broadcast::Receiver<(LinkId, LinkNews)>,
        mut ends: watch::Receiver<bool>,
    ) {
        let mut tick = interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut links_gone = false;
        loop {
            tokio::select! {
                event = keys.recv() => match event {
                    Ok(event) => self.keys_event(&event),
                    Err(RecvError::Lagged(entries)) => self.missed(entries),
                    Err(RecvError::Closed) => break,
                },
                news = links.recv(), if !links_gone => match news {
                    Ok((link, news)) => self.link_news(link, news),
                    Err(RecvError::Lagged(entries)) => self.missed(entries),
                    Err(RecvError::Closed) => links_gone = true,
                },
                _ = tick.tick() => self.tell_turned_away(),
                () = stopped(&mut ends) => break,
            }
            self.behind.store(keys.len() > BEHIND, Ordering::Relaxed);
            // Rather behind than without an entry: what follows waits in the machines' channel meanwhile.
            while self.audit.is_behind() {
                tokio::time::sleep(Duration::from_millis(10)).await;
                self.behind.store(keys.len() > BEHIND, Ordering::Relaxed);
            }
        }
        while let Ok((link, news)) = links.try_recv() {
            self.link_news(link, news);
        }
        while let Ok(event) = keys.try_recv() {
            self.keys_event(&event);
        }
        self.tell_turned_away();
    }

    fn missed(&self, entries: u64) {
        self.seen().missed += entries;
        self.tell(News::Missed { entries });
    }

    fn tell_turned_away(&self) {
        let mut turned_away = self.turned_away.lock().unwrap_or_else(PoisonError::into_inner);
        let TurnedAway { denied, refused } = core::mem::take(&mut *turned_away);
        drop(turned_away);
        for ((caller, other), times) in denied {
            self.tell(News::Denied { caller, other, times });
        }
        for ((interface, address, why), times) in refused {
            let address = address.to_string();
            self.tell(News::Refused { interface, address, why: why.name(), times });
        }
    }

    fn node(&self, node: NodeId) -> String {
        self.nodes.get(node.index()).cloned().unwrap_or_else(|| node.to_string())
    }

    fn link(&self, link: LinkId) -> String {
        self.links.get(link.0 as usize).cloned().unwrap_or_else(|| link.to_string())
    }

    fn nodes(&self, nodes: &[NodeId]) -> Vec<String> {
        nodes.iter().map(|node| self.node(*node)).collect()
    }

    fn link_news(&self, id: LinkId, news: LinkNews) {
        let link = self.link(id);
        let mut seen = self.seen();
        let of = seen.links.entry(id).or_default();
        let news = match news {
            LinkNews::Block(report) => {
                of.block(&report);
                News::Block {
                    link,
                    block: report.block.0,
                    pulses: report.pulses,
                    clicks: report.clicks,
                    qber_key: qber(&report, Basis::Key),
                    qber_check: qber(&report, Basis::Check),
                    leaked_bits: report.leaked_bits,
                    key_bits: report.key_bits,
                    discarded: report.discarded.as_ref().map(|why| why.name()),
                }
            }
            LinkNews::Alarm(alarm) => {
                *of.alarms.entry(alarm.kind.name()).or_default() += 1;
                News::Alarm {
                    link: Some(link),
                    peer: None,
                    kind: alarm.kind.name(),
                    text: alarm.kind.to_string(),
                    block: alarm.block.map(|block| block.0.to_string()),
                    seen: Some(alarm.seen.to_string()),
                    expected: Some(alarm.expected.to_string()),
                    p_value: alarm.p_value,
                }
            }
            LinkNews::Condition(condition) => {
                of.condition = condition;
                News::Condition { link, condition: words::condition(condition) }
            }
            LinkNews::Lost(windows) => {
                of.lost_windows = windows;
                return;
            }
            LinkNews::Progress(progress) => {
                of.progress = Some(progress);
                return;
            }
            LinkNews::Session(session) => {
                of.session = session;
                News::Session { link, session }
            }
            LinkNews::Light(seen) => {
                of.light = Some(seen);
                News::Light { link, seen }
            }
            LinkNews::Devices(answer) => {
                of.devices = answer;
                News::Devices { link, answer }
            }
        };
        drop(seen);
        self.tell(news);
    }

    fn keys_event(&self, event: &KeysEvent) {
        match event {
            KeysEvent::Relay(event) => self.relay_event(event),
            KeysEvent::QuantumKey { id, peer, bits, routes, nodes, .. } => self.tell(News::QuantumKey {
                key: id.to_string(),
                peer: self.node(*peer),
                bits: *bits,
                routes: routes
                    .iter()
                    .map(|route| route.iter().map(|link| self.link(*link)).collect())
                    .collect(),
                nodes: self.nodes(nodes),
            }),
            KeysEvent::Delivery(event) => self.delivery_event(event),
            KeysEvent::PoolsBurned(bits) => {
                self.tell(News::Burned { link: None, peer: None, bits: *bits, cause: "rolled-back" });
            }
        }
    }

    fn relay_event(&self, event: &keys::Event) {
        let news = match event {
            keys::Event::Rerouted { key, link, failure, .. } => News::Rerouted {
                key: key.to_string(),
                link: link.map(|link| self.link(link)),
                failure: words::failure(*failure),
            },
            keys::Event::Relayed { key, from, to, arrived_by, left_by } => News::Relayed {
                key: key.to_string(),
                from: self.node(*from),
                to: self.node(*to),
                arrived_by: self.link(*arrived_by),
                left_by: self.link(*left_by),
            },
            keys::Event::Burned { link, bits, cause } => News::Burned {
                link: Some(self.link(*link)),
                peer: None,
                bits: *bits,
                cause: words::burn_cause(*cause),
            },
            keys::Event::Lost { key, cause, .. } => {
                News::Lost { keys: vec![key.to_string()], cause: words::loss_cause(*cause) }
            }
            keys::Event::Forged { link } => News::Alarm {
                link: Some(self.link(*link)),
                peer: None,
                kind: "forged-frame",
                text: "a frame of the relay carried a wrong tag".to_owned(),
                block: None,
                seen: None,
                expected: None,
                p_value: None,
            },
            keys::Event::Delivered(_) | keys::Event::Refused { .. } | keys::Event::PoolLevel { .. } => return,
        };
        self.tell(news);
    }

    fn delivery_event(&self, event: &delivery::Event) {
        match event {
            delivery::Event::Audit(audit) => self.audited(audit),
            delivery::Event::Lost { keys, cause } => {
                let cause = words::lost_cause(*cause);
                *self.seen().keys_lost.entry(cause).or_default() += keys.len() as u64;
                self.tell(News::Lost { keys: names(keys), cause });
            }
            delivery::Event::Burned { peer, bits, cause } => {
                let cause = words::burned_cause(*cause);
                *self.seen().stock_burned.entry(cause).or_default() += bits;
                self.tell(News::Burned { link: None, peer: Some(self.node(*peer)), bits: *bits, cause });
            }
            delivery::Event::Alarm(alarm) => {
                let (kind, peer, text) = words::delivery_alarm(alarm);
                self.tell(News::Alarm {
                    link: None,
                    peer: peer.map(|peer| self.node(peer)),
                    kind,
                    text,
                    block: None,
                    seen: None,
                    expected: None,
                    p_value: None,
                });
            }
            delivery::Event::Downgraded { peer, reason } => {
                let mut seen = self.seen();
                match reason {
                    Some(reason) => seen.downgraded.insert(*peer, reason.to_string()),
                    None => seen.downgraded.remove(peer),
                };
                drop(seen);
                let (name, reason) = (self.node(*peer), reason.map(|reason| reason.to_string()));
                if let Some(reason) = &reason {
                    let text = format!(
                        "the quantum channel to {name} is down ({reason}): keys whose policy allows it rest on \
                         post-quantum cryptography alone, and are marked"
                    );
                    self.tell(News::node_alarm("downgraded", text));
                }
                self.tell(News::Downgraded { peer: name, reason });
            }
            // Answers go to who asked, and what is wanted of the network to the network.
            _ => {}
        }
    }

    fn audited(&self, audit: &Audit) {
        match audit {
            Audit::Issued { keys, nodes, master, slaves, bits, protection } => {
                let protection = words::protection(*protection);
                *self.seen().issued.entry(protection).or_default() += keys.len() as u64;
                for (keys, nodes) in alike(keys, nodes) {
                    self.tell(News::Issued {
                        keys: names(keys),
                        master: master.to_string(),
                        slaves: slaves.iter().map(ToString::to_string).collect(),
                        bits: *bits,
                        protection,
                        nodes: self.nodes(nodes),
                    });
                }
            }
            Audit::Collected { keys, nodes, slave, master } => {
                self.seen().collected += keys.len() as u64;
                for (keys, nodes) in alike(keys, nodes) {
                    self.tell(News::Collected {
                        keys: names(keys),
                        master: master.to_string(),
                        slave: slave.to_string(),
                        nodes: self.nodes(nodes),
                    });
                }
            }
            Audit::Denied { caller, other } => {
                self.seen().denied += 1;
                let mut turned_away = self.turned_away.lock().unwrap_or_else(PoisonError::into_inner);
                count(&mut turned_away.denied, (caller.to_string(), other.to_string()));
            }
            // What blocks are made of was told as quantum keys.
            _ => {}
        }
    }
}

fn names(keys: &[KeyId]) -> Vec<String> {
    keys.iter().map(ToString::to_string).collect()
}

/// Keys that follow one another and have been at the same nodes.
fn alike<'a>(
    keys: &'a [KeyId],
    nodes: &'a [Vec<NodeId>],
) -> impl Iterator<Item = (&'a [KeyId], &'a [NodeId])> {
    let mut from = 0;
    nodes.chunk_by(|a, b| a == b).filter_map(move |group| {
        let range = from..from + group.len();
        from = range.end;
        Some((keys.get(range)?, group.first()?.as_slice()))
    })
}

/// Counts one more, unless there are too many different ones.
fn count<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K) {
    if counts.len() < TURNED_AWAY || counts.contains_key(&key) {
        *counts.entry(key).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_one_way_are_told_together() {
        let keys: Vec<_> = (0..5).map(KeyId).collect();
        let (near, far) = (vec![NodeId(0), NodeId(1)], vec![NodeId(0), NodeId(2), NodeId(1)]);
        let nodes = [near.clone(), near.clone(), far.clone(), near.clone(), near];
        let groups: Vec<_> = alike(&keys, &nodes).map(|(keys, nodes)| (keys.len(), nodes.len())).collect();
        assert_eq!(groups, [(2, 2), (1, 3), (2, 2)]);
    }
}
