//! Demands and requests: what a node's applications want, in which order it is tried, and what became of it.
//!
//! A request waits until the pools of a route can serve it or its patience ends. Higher priorities are tried
//! first, and a request that cannot be served holds back all later ones to the same destination, so that small
//! ones do not starve it. One that is content with less than it asks for gets half, a quarter or an eighth of it if
//! the pools hold no more, and after a while less still, down to its least.

use super::api::{Demand, Event, Failure, KeyId, LinkCondition, Refusal, Request, RequestId};
use super::disjoint::disjoint_routes;
use super::link_end::LinkEnd;
use super::node::{KeyNode, Timer, Turn};
use super::routing::cheapest_route;
use super::source::TOKEN_BITS;
use super::statistics::RequestStatistics;
use super::tag::TAG_BITS;
use super::wire::MAX_SHARES;
use bellwether_units::{DemandId, Duration, LinkId, NodeId, Time};
use core::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// How long a request waits for key before it takes less than an eighth of what it asks for: every key costs messages
/// and writing, and what little there is may soon be more.
const HASTE: Duration = Duration::from_milliseconds(20);
/// The shortest interval of a demand.
const LEAST_INTERVAL: Duration = Duration::from_microseconds(1);

#[derive(Default)]
pub(super) struct Queue {
    all: BTreeMap<u64, Waiting>,
    /// Those not in flight: the highest priority first, then the oldest.
    order: BTreeSet<(Reverse<u8>, u64)>,
    next_serial: u64,
    demands: BTreeMap<DemandId, Active>,
    routes: BTreeMap<NodeId, (Time, Vec<LinkId>)>,
    /// Whether so many routes lead to a node, whatever their state.
    linked: BTreeMap<(NodeId, u8), bool>,
    /// How many looks at the waiting requests in a row served none.
    fruitless: u32,
    pub(super) statistics: RequestStatistics,
}

/// A request that is not answered yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) request: RequestId,
    pub(super) demand: Option<DemandId>,
    pub(super) to: NodeId,
    /// How many bits are asked for.
    asked: u32,
    /// With how many it is content.
    least: u32,
    /// How many are, or are to be, under way.
    pub(super) bits: u32,
    priority: u8,
    paths: u8,
    pub(super) since: Time,
    until: Time,
    attempts: u32,
    failure: Option<Failure>,
    in_flight: bool,
}

impl Waiting {
    /// From when on it takes less than an eighth of what it asks for; none if it never does.
    fn hasty_from(&self) -> Option<Time> {
        (self.least < self.asked / 8).then(|| self.since.saturating_add(HASTE))
    }
}

struct Active {
    demand: Demand,
    made: u64,
    running: bool,
    statistics: RequestStatistics,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }
    pub(super) fn demand_statistics(&self, demand: DemandId) -> Option<RequestStatistics> {
        self.demands.get(&demand).map(|active| active.statistics)
    }
    fn count(&mut self, demand: Option<DemandId>, change: impl Fn(&mut RequestStatistics)) {
        change(&mut self.statistics);
        if let Some(active) = demand.and_then(|d| self.demands.get_mut(&d)) {
            change(&mut active.statistics);
        }
    }
    /// A request is served: takes it off and counts it.
    pub(super) fn deliver(&mut self, serial: u64, now: Time) -> Option<Waiting> {
        let done = self.all.remove(&serial)?;
        let latency = now.since(done.since);
        self.count(done.demand, |s| {
            s.delivered += 1;
            s.delivered_bits += u64::from(done.bits);
            s.total_latency += u128::from(latency.picoseconds());
            s.greatest_latency = s.greatest_latency.max(latency);
        });
        Some(done)
    }
}

impl KeyNode {
    pub(super) fn start_demand(&mut self, turn: &mut Turn<'_>, demand: Demand) {
        let old = self.queue.demands.remove(&demand.id);
        let (made, statistics) = old.map_or((0, RequestStatistics::default()), |a| (a.made, a.statistics));
        self.queue.demands.insert(demand.id, Active { demand, made, running: true, statistics });
        self.demand_due(turn, demand.id);
    }

    pub(super) fn end_demand(&mut self, demand: DemandId) {
        if let Some(active) = self.queue.demands.get_mut(&demand) {
            active.running = false;
        }
        self.timers.cancel(Timer::Demand(demand));
    }

    pub(super) fn demand_due(&mut self, turn: &mut Turn<'_>, id: DemandId) {
        let Some(active) = self.queue.demands.get_mut(&id) else { return };
        if !active.running || active.demand.total.is_some_and(|total| active.made >= total) {
            return;
        }
        let Demand { to, bits, priority, patience, paths, .. } = active.demand;
        let least_bits = bits;
        let request = Request { id: RequestId(active.made), to, bits, least_bits, priority, patience, paths };
        active.made += 1;
        let next = turn.now.saturating_add(active.demand.interval.max(LEAST_INTERVAL));
        self.timers.set(Timer::Demand(id), next);
        self.request(turn, request, Some(id));
    }

    pub(super) fn request(&mut self, turn: &mut Turn<'_>, request: Request, demand: Option<DemandId>) {
        self.queue.count(demand, |s| s.requested += 1);
        let Request { id, to, bits, least_bits, priority, patience, paths } = request;
        let settings = &self.settings;
        let sizes = settings.min_key_bits.max(64)..=settings.max_key_bits.min(1 << 20);
        let reason = if to == self.node || to.index() >= self.topology.node_count() {
            Some(Refusal::UnknownNode)
        } else if ![bits, least_bits].iter().all(|size| sizes.contains(size) && size.is_multiple_of(8))
            || least_bits > bits
            || paths > MAX_SHARES
        {
            Some(Refusal::Size)
        } else if self.queue.len() >= settings.queue_limit {
            Some(Refusal::QueueFull)
        } else {
            None
        };
        let until = turn.now.saturating_add(patience);
        let waiting = Waiting {
            request: id,
            demand,
            to,
            asked: bits,
            least: least_bits,
            bits,
            priority,
            paths: paths.max(1),
            since: turn.now,
            until,
            attempts: 0,
            failure: None,
            in_flight: false,
        };
        if let Some(reason) = reason {
            return self.tell_refused(turn, &waiting, reason);
        }
        let serial = self.queue.next_serial;
        self.queue.next_serial += 1;
        self.queue.all.insert(serial, waiting);
        self.queue.order.insert((Reverse(priority), serial));
        self.timers.set(Timer::Patience(serial), until);
        turn.serve = true;
    }

    fn tell_refused(&mut self, turn: &mut Turn<'_>, waiting: &Waiting, reason: Refusal) {
        self.queue.count(waiting.demand, |s| s.refused[reason.index()] += 1);
        turn.event(Event::Refused {
            request: waiting.request,
            demand: waiting.demand,
            to: waiting.to,
            reason,
            waited: turn.now.since(waiting.since),
        });
    }

    fn refuse(&mut self, turn: &mut Turn<'_>, serial: u64, reason: Refusal) {
        let Some(waiting) = self.queue.all.remove(&serial) else { return };
        self.queue.order.remove(&(Reverse(waiting.priority), serial));
        self.timers.cancel(Timer::Patience(serial));
        self.tell_refused(turn, &waiting, reason);
    }

    pub(super) fn patience_ended(&mut self, turn: &mut Turn<'_>, serial: u64) {
        match self.queue.all.get(&serial) {
            Some(waiting) if !waiting.in_flight => {
                let reason = self.reason_now(waiting);
                self.refuse(turn, serial, reason);
            }
            // What is in flight is not called back: it may have arrived.
            _ => {}
        }
    }

    /// A key did not get through: its request waits again, or is refused.
    pub(super) fn retry(
        &mut self,
        turn: &mut Turn<'_>,
        serial: u64,
        key: KeyId,
        link: Option<LinkId>,
        failure: Failure,
    ) {
        let most = self.settings.max_attempts;
        let Some(waiting) = self.queue.all.get_mut(&serial) else { return };
        waiting.in_flight = false;
        waiting.attempts += 1;
        waiting.failure = Some(failure);
        let Waiting { request, demand, priority, until, attempts, .. } = *waiting;
        let copy = *waiting;
        if until <= turn.now || attempts >= most {
            let reason = self.reason_now(&copy);
            return self.refuse(turn, serial, reason);
        }
        self.queue.order.insert((Reverse(priority), serial));
        self.queue.count(demand, |s| s.rerouted += 1);
        turn.event(Event::Rerouted { request, demand, key, link, failure });
        turn.serve = true;
    }

    /// Why a request that has waited in vain cannot be served.
    fn reason_now(&self, waiting: &Waiting) -> Refusal {
        let Waiting { to, paths, .. } = *waiting;
        let reach = |worst: LinkCondition| {
            self.routes_exist(to, paths, |condition| {
                condition == LinkCondition::Up
                    || condition == LinkCondition::Alarmed && worst != LinkCondition::Up
                    || worst == LinkCondition::Cut
            })
        };
        if reach(LinkCondition::Up) {
            match waiting.failure {
                Some(Failure::Silence | Failure::NodeBusy | Failure::PoolMismatch) => Refusal::Unreachable,
                Some(Failure::LinkCut) => Refusal::LinkCut,
                Some(Failure::LinkAlarmed) => Refusal::LinkAlarmed,
                Some(Failure::PoolEmpty) | None => Refusal::PoolsEmpty,
            }
        } else if reach(LinkCondition::Alarmed) {
            Refusal::LinkAlarmed
        } else if reach(LinkCondition::Cut) {
            Refusal::LinkCut
        } else {
            Refusal::NoRoute
        }
    }

    fn routes_exist(&self, to: NodeId, paths: u8, usable: impl Fn(LinkCondition) -> bool) -> bool {
        let cost = |link, _| usable(self.condition(link)).then_some(1);
        if paths <= 1 {
            cheapest_route(&self.topology, self.node, to, cost)
                .is_some_and(|r| r.links.len() <= self.settings.max_hops)
        } else {
            disjoint_routes(&self.topology, self.node, to, usize::from(paths), cost).len()
                == usize::from(paths)
        }
    }

    fn is_linked(&mut self, to: NodeId, paths: u8) -> bool {
        if let Some(&linked) = self.queue.linked.get(&(to, paths)) {
            return linked;
        }
        let linked = self.routes_exist(to, paths, |_| true);
        if self.queue.linked.len() < self.settings.queue_limit {
            self.queue.linked.insert((to, paths), linked);
        }
        linked
    }

    /// Tries the waiting requests in their order.
    pub(super) fn serve(&mut self, turn: &mut Turn<'_>) {
        self.view.forget_suspicions(turn.now);
        let mut blocked: BTreeSet<NodeId> = BTreeSet::new();
        let order: Vec<_> = self.queue.order.iter().copied().collect();
        self.queue.fruitless = self.queue.fruitless.saturating_add(1);
        for (priority, serial) in order {
            let Some(&waiting) = self.queue.all.get(&serial) else { continue };
            if blocked.contains(&waiting.to) {
                continue;
            }
            if let Some(bits) = self.launch_what_there_is(turn, serial, waiting) {
                self.queue.fruitless = 0;
                self.queue.order.remove(&(priority, serial));
                if let Some(waiting) = self.queue.all.get_mut(&serial) {
                    waiting.bits = bits;
                    waiting.in_flight = true;
                }
            } else if !self.is_linked(waiting.to, waiting.paths) {
                self.refuse(turn, serial, Refusal::NoRoute);
            } else {
                let need = u64::from(waiting.asked) + 2 * TOKEN_BITS as u64 + u64::from(TAG_BITS);
                let dry = |end: &&LinkEnd| end.pool.outgoing() < need;
                let links: Vec<_> = self.links.iter().filter(dry).map(|end| end.link).collect();
                for link in links {
                    self.borrow(turn, link);
                    self.compare(turn, link, false);
                }
                blocked.insert(waiting.to);
            }
        }
        if self.queue.order.is_empty() {
            self.timers.cancel(Timer::Retry);
        } else {
            let wait = self.settings.retry.saturating_mul(1 << self.queue.fruitless.min(4));
            let waiting = self.queue.order.iter().filter_map(|(_, serial)| self.queue.all.get(serial));
            let hasty = waiting.filter_map(Waiting::hasty_from).filter(|from| *from > turn.now).min();
            let next = turn.now.saturating_add(wait);
            self.timers.set(Timer::Retry, hasty.map_or(next, |hasty| hasty.min(next)));
        }
    }

    /// Sends a request off over routes whose pools hold what it asks for, or else as much as they do. How many bits
    /// are under way then; none if they hold less than it is content with.
    fn launch_what_there_is(
        &mut self,
        turn: &mut Turn<'_>,
        serial: u64,
        mut waiting: Waiting,
    ) -> Option<u32> {
        let in_haste = waiting.hasty_from().is_none_or(|from| from <= turn.now);
        let least = if in_haste { waiting.least } else { (waiting.asked / 8).next_multiple_of(8) };
        waiting.bits = waiting.asked;
        loop {
            let routes = self.routes_for(turn.now, &waiting);
            if let Some(routes) = routes
                && self.launch(turn, serial, &waiting, routes)
            {
                return Some(waiting.bits);
            }
            if waiting.bits <= least {
                return None;
            }
            waiting.bits = (waiting.bits / 16 * 8).max(least);
        }
    }

    fn routes_for(&mut self, now: Time, waiting: &Waiting) -> Option<Vec<Vec<LinkId>>> {
        let need = waiting.bits + 2 * TOKEN_BITS as u32 + TAG_BITS;
        let cost = |link, at| self.cost(now, need, link, at);
        let short = |route: &Vec<LinkId>| route.len() <= self.settings.max_hops;
        if waiting.paths > 1 {
            let count = usize::from(waiting.paths);
            let routes = disjoint_routes(&self.topology, self.node, waiting.to, count, cost);
            let links: Vec<_> = routes.into_iter().map(|r| r.links).collect();
            return (links.len() == count && links.iter().all(short)).then_some(links);
        }
        if let Some((computed, route)) = self.queue.routes.get(&waiting.to)
            && now < computed.saturating_add(self.settings.route_lifetime)
            && self.still_good(route, cost)
        {
            return Some(vec![route.clone()]);
        }
        let route = cheapest_route(&self.topology, self.node, waiting.to, cost)?.links;
        if !short(&route) {
            return None;
        }
        self.queue.routes.insert(waiting.to, (now, route.clone()));
        Some(vec![route])
    }

    fn still_good(&self, route: &[LinkId], cost: impl Fn(LinkId, NodeId) -> Option<u32>) -> bool {
        let mut at = self.node;
        route.iter().all(|&link| {
            let passable = cost(link, at).is_some() && !self.view.is_suspected(link);
            at = self.topology.other_end(link, at).unwrap_or(at);
            passable
        })
    }
}
