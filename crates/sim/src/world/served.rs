//! What was served to whom: the account of every demand, from what the nodes say.

use crate::summary::{Count, DemandSummary};
use crate::trace::{TraceEvent, TraceRecord};
use bellwether_network::Network;
use bellwether_protocol::keys::{DeliveredKey, Event, KeyEnd, KeyId, SecretBits};
use bellwether_units::{DemandId, Duration, NodeId, Time};
use std::collections::{BTreeMap, VecDeque};

/// Of how many keys that stay at one end alone the bits are kept to be compared: a key reaches its other end soon
/// or, mostly, is reported as lost.
const HALF: usize = 1 << 14;
/// How many routes of one demand are told apart.
const ROUTES: usize = 1024;

/// The account of all demands.
pub(crate) struct Served {
    demands: Vec<Account>,
    /// Keys that were handed out at one end and not yet at the other.
    half: BTreeMap<KeyId, SecretBits>,
    /// The keys that were put there, the oldest first.
    order: VecDeque<KeyId>,
    mismatched: u64,
}

#[derive(Default)]
struct Account {
    delivered: u64,
    refused: BTreeMap<String, u64>,
    rerouted: u64,
    latency: u128,
    longest: Duration,
    routes: BTreeMap<Vec<NodeId>, u64>,
    /// Keys by still other routes.
    other_routes: u64,
    last_route: Vec<NodeId>,
}

impl Served {
    pub(super) fn new(network: &Network) -> Self {
        let demands = network.demands.iter().map(|_| Account::default()).collect();
        Self { demands, half: BTreeMap::new(), order: VecDeque::new(), mismatched: 0 }
    }

    /// Requests of a demand that were answered one way or the other.
    pub(super) fn requested(&self, demand: DemandId) -> u64 {
        let account = &self.demands[demand.index()];
        account.delivered + account.refused.values().sum::<u64>()
    }

    /// Keys of which the two ends were handed different bits: always zero, and counted to show it.
    pub(crate) fn mismatched(&self) -> u64 {
        self.mismatched
    }

    /// How many keys were handed out at one end alone so far.
    #[cfg(test)]
    pub(super) fn half_delivered(&self) -> usize {
        self.half.len()
    }

    /// Takes note of what the key manager of `node` says.
    pub(super) fn note(
        &mut self,
        now: Time,
        node: NodeId,
        event: Event,
        network: &Network,
        trace: &mut Vec<TraceRecord>,
    ) {
        let mut record = |event| trace.push(TraceRecord { at_ps: now.picoseconds(), event });
        let names = |route: &[NodeId]| route.iter().map(|&id| network.node(id).name.clone()).collect();
        let _ = node;
        match event {
            Event::Delivered(key) => {
                if let (KeyEnd::Source, Some(demand)) = (key.end, key.demand) {
                    let account = &mut self.demands[demand.index()];
                    let latency = now.since(key.since);
                    account.delivered += 1;
                    account.latency += u128::from(latency.picoseconds());
                    account.longest = account.longest.max(latency);
                    if let Some(count) = account.routes.get_mut(&key.nodes) {
                        *count += 1;
                    } else if account.routes.len() < ROUTES {
                        account.routes.insert(key.nodes.clone(), 1);
                    } else {
                        account.other_routes += 1;
                    }
                    let name = network.demands[demand.index()].name.clone();
                    if account.last_route != key.nodes {
                        if !account.last_route.is_empty() {
                            record(TraceEvent::Rerouted { demand: name.clone(), route: names(&key.nodes) });
                        }
                        account.last_route.clone_from(&key.nodes);
                    }
                    record(TraceEvent::KeyDelivered {
                        demand: name,
                        key_id: key.id.to_string(),
                        bits: key.key.len() as u64,
                        route: names(&key.nodes),
                        latency_ps: latency.picoseconds(),
                    });
                }
                self.compare(*key);
            }
            Event::Refused { demand: Some(demand), reason, .. } => {
                let reason = reason.to_string();
                let account = &mut self.demands[demand.index()];
                *account.refused.entry(reason.clone()).or_default() += 1;
                record(TraceEvent::KeyRefused {
                    demand: network.demands[demand.index()].name.clone(),
                    reason,
                });
            }
            Event::Rerouted { demand: Some(demand), .. } => self.demands[demand.index()].rerouted += 1,
            Event::Lost { key, .. } => {
                self.half.remove(&key);
            }
            _ => {}
        }
    }

    fn compare(&mut self, key: DeliveredKey) {
        match self.half.remove(&key.id) {
            Some(other) => self.mismatched += u64::from(other != key.key),
            None => {
                self.half.insert(key.id, key.key);
                self.order.push_back(key.id);
                if self.order.len() > HALF
                    && let Some(oldest) = self.order.pop_front()
                {
                    self.half.remove(&oldest);
                }
            }
        }
    }

    /// The account as the summary shows it; `until` is how far the run has come.
    pub(crate) fn summaries(&self, network: &Network, until: Time) -> Vec<DemandSummary> {
        network
            .demands
            .iter()
            .zip(&self.demands)
            .map(|(demand, account)| {
                let answered = account.delivered + account.refused.values().sum::<u64>();
                let asked = asked_until(demand, until).max(answered);
                let mean = account.latency as f64 / account.delivered as f64 * 1e-12;
                let name = |&id: &NodeId| network.node(id).name.as_str();
                let mut routes: Vec<Count> = account
                    .routes
                    .iter()
                    .map(|(route, &count)| Count {
                        what: route.iter().map(name).collect::<Vec<_>>().join("-"),
                        count,
                    })
                    .collect();
                if account.other_routes > 0 {
                    routes.push(Count { what: "other routes".to_owned(), count: account.other_routes });
                }
                routes.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.what.cmp(&b.what)));
                DemandSummary {
                    name: demand.name.clone(),
                    from: network.node(demand.from).name.clone(),
                    to: network.node(demand.to).name.clone(),
                    key_bits: demand.key_size.bits(),
                    requested: asked,
                    delivered: account.delivered,
                    refused: account
                        .refused
                        .iter()
                        .map(|(what, &count)| Count { what: what.clone(), count })
                        .collect(),
                    pending: asked - answered,
                    mean_latency_s: (account.delivered > 0).then_some(mean),
                    max_latency_s: (account.delivered > 0).then(|| account.longest.seconds()),
                    routes,
                }
            })
            .collect()
    }
}

/// How many keys a demand has asked for before `until`: one at its start and one each interval after.
fn asked_until(demand: &bellwether_network::Demand, until: Time) -> u64 {
    let end = demand.stop.map_or(until, |stop| stop.min(until));
    let asked = libm::ceil(end.since(demand.start).seconds() * demand.rate.per_second()) as u64;
    demand.total.map_or(asked, |total| asked.min(total))
}
