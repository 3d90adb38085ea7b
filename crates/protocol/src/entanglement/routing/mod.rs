//! Routing: which way a circuit goes, how its links are run, and what it will give.
//!
//! All of it is a pure function of a [view](NetworkView) of the network, a demand and a policy. No additive metric is exact,
//! since links wait for each other; so candidates are found by one (Dijkstra, Yen) and looked at as a whole
//! afterwards: the slowest of all links, what waiting does to pairs, cutoffs, imperfect swaps, rounds of purification. The
//! fidelity that a link must give depends on how many links there are, so that the search is repeated with what the
//! candidates of the last one needed.
//!
//! A refusal tells the best that could be had, and that is found again when it is asked for.

mod estimate;
mod flow;
mod law;
mod offer;
mod plan;
mod search;
mod slotted;
#[cfg(test)]
mod test_views;
mod view;

pub use flow::{greatest_flow, widest_route};
pub use offer::{LinkKind, LinkPurification, PurificationLimit};
pub use plan::{
    Assurance, CutoffRule, PairDemand, Plan, PlannedHop, Refusal, Route, RouteMetric, RoutePolicy,
};
pub use slotted::{Recovery, SlottedLimits, SlottedNetwork, SlottedRoute, expected_throughput};
pub use view::{NetworkView, ViewError, ViewLink, ViewNode};

use bellwether_units::NodeId;
use offer::Offer;
use search::{Search, Way};

/// How many times the fidelity that links must give is found anew.
const REPEATS: usize = 3;
/// More attempts at once than that are not told apart when routes are compared by throughput.
const MOST_ATTEMPTS: u32 = 16;
/// Beyond so many links, the route that loses the least fidelity is the only one that is looked at for its fidelity: others
/// lose more, and a route so long loses nearly all.
const LONG: usize = 32;

/// The best route for one demand; see [`Router::best_route`], which is to be preferred for many.
///
/// # Errors
/// If there is none, with the best that could be had.
pub fn best_route(view: &NetworkView, demand: &PairDemand, policy: &RoutePolicy) -> Result<Plan, Refusal> {
    Router::new(view, *policy).best_route(demand)
}

/// Finds routes in one network by one policy, with arrays that are made once.
#[derive(Debug)]
pub struct Router<'a> {
    view: &'a NetworkView,
    policy: RoutePolicy,
    offers: Vec<Vec<Offer>>,
    /// The highest fidelity that any link offers.
    best_link: f64,
    search: Search,
}

impl<'a> Router<'a> {
    /// For routes in `view` by `policy`.
    pub fn new(view: &'a NetworkView, policy: RoutePolicy) -> Self {
        let offers = view.offers(policy.purification);
        let best_link = offers.iter().flatten().map(Offer::fidelity).fold(0.0, f64::max);
        Self { view, policy, offers, best_link, search: Search::new(view.nodes().len()) }
    }

    /// The route that gives pairs of the wanted fidelity in the least time among the candidates of the policy.
    ///
    /// # Errors
    /// If there is none, or it is too slow, with the best that could be had.
    pub fn best_route(&mut self, demand: &PairDemand) -> Result<Plan, Refusal> {
        self.check(demand)?;
        let ends = (demand.from.0, demand.to.0);
        let mut best = self.by_metric(ends, demand.fidelity);
        if best.as_ref().is_none_or(|plan| plan.fidelity < demand.fidelity) {
            // What these routes can do does not depend on what is wanted: a refused caller gets it by asking for it.
            best = self.by_fidelity(ends, demand.fidelity).or(best);
        }
        let Some(plan) = best else { return Err(self.why_none(demand)) };
        let route = || Route(plan.nodes.clone());
        if plan.fidelity < demand.fidelity {
            let (best, seconds) = (plan.fidelity, plan.seconds_per_pair);
            return Err(Refusal::Fidelity { wanted: demand.fidelity, best, seconds, route: route() });
        }
        if let Some(wanted) = demand.rate.filter(|rate| rate * plan.seconds_per_pair > 1.0) {
            return Err(Refusal::Rate { wanted, best: 1.0 / plan.seconds_per_pair, route: route() });
        }
        if let Some((pairs, within)) = demand.within {
            let (wanted, least) = (within.seconds(), plan.seconds_for(pairs));
            if least > wanted {
                return Err(Refusal::Deadline { pairs, wanted, least, route: route() });
            }
        }
        Ok(plan)
    }

    /// At most `k` routes that share no link, each with pairs of the wanted fidelity, for demands that one route does not
    /// serve or that are to outlive a link; the fastest first.
    ///
    /// As many as can be found together: routes of the least sum of seconds a pair at the fidelity that the best single
    /// route needs. Rate and deadline are not looked at.
    ///
    /// # Errors
    /// If there is not even one, with the best that could be had.
    pub fn disjoint_routes(&mut self, demand: &PairDemand, k: usize) -> Result<Vec<Plan>, Refusal> {
        let demand = PairDemand { rate: None, within: None, ..*demand };
        let best = self.best_route(&demand)?;
        let target = best.hops.iter().map(|hop| hop.fidelity).fold(1.0, f64::min);
        let (view, offers) = (self.view, &self.offers);
        for count in (2..=k).rev() {
            let ends = (demand.from.0, demand.to.0);
            let ways = flow::disjoint_ways(view, ends, count, |link| match self.policy.metric {
                RouteMetric::Hops => estimate::best_fidelity(view, offers, link).map(|_| 1.0),
                RouteMetric::SecondsPerPair | RouteMetric::Throughput { .. } => {
                    estimate::seconds(view, offers, link, target)
                }
            });
            let plan = |way: &Way| {
                let route = (&way.nodes[..], &way.links[..]);
                estimate::best_plan(view, offers, route, demand.fidelity, &self.policy)
            };
            let plans = ways.iter().map(plan).collect::<Option<Vec<_>>>().unwrap_or_default();
            if plans.len() >= 2 && plans.iter().all(|plan| plan.fidelity >= demand.fidelity) {
                let mut plans = plans;
                plans.sort_by(|a, b| a.seconds_per_pair.total_cmp(&b.seconds_per_pair));
                return Ok(plans);
            }
        }
        Ok(vec![best])
    }

    fn check(&self, demand: &PairDemand) -> Result<(), Refusal> {
        let nodes = self.view.nodes().len();
        for node in [demand.from, demand.to] {
            if node.index() >= nodes {
                return Err(Refusal::UnknownNode { node, nodes });
            }
        }
        if demand.from == demand.to {
            return Err(Refusal::ToItself { node: demand.from });
        }
        if !(0.0..=1.0).contains(&demand.fidelity) {
            return Err(Refusal::Senseless { what: "a fidelity", value: demand.fidelity });
        }
        if let Some(value) = demand.rate.filter(|rate| !(*rate >= 0.0 && rate.is_finite())) {
            return Err(Refusal::Senseless { what: "a rate", value });
        }
        Ok(())
    }

    /// How many links a route may have whose pairs are to have this fidelity, swaps and memories left aside.
    fn most_links(&self, fidelity: f64) -> u32 {
        let parameter = |fidelity: f64| (4.0 * fidelity - 1.0) / 3.0;
        let (link, wanted) = (parameter(self.best_link), parameter(fidelity));
        let all = self.view.nodes().len() as u32;
        if wanted <= 0.0 || link >= 1.0 {
            return all;
        }
        if link <= 0.0 {
            return 1;
        }
        let most = libm::floor(libm::log(wanted) / libm::log(link) + 1e-9);
        most.clamp(1.0, f64::from(all)) as u32
    }

    /// The best plan among the candidates of the metric.
    fn by_metric(&mut self, ends: (u32, u32), wanted: f64) -> Option<Plan> {
        let limits = (self.policy.candidates.max(1), self.most_links(wanted));
        let (view, offers) = (self.view, &self.offers);
        let mut seen: Vec<Way> = Vec::new();
        let mut best = None;
        // A pair is never better than the links that it is made of.
        let mut target = wanted;
        for _ in 0..REPEATS {
            let ways = match self.policy.metric {
                RouteMetric::Hops => self.search.ways(view, ends, limits, |link| {
                    estimate::best_fidelity(view, offers, link).map(|_| 1.0)
                }),
                RouteMetric::SecondsPerPair => {
                    self.search.ways(view, ends, limits, |link| estimate::seconds(view, offers, link, target))
                }
                RouteMetric::Throughput { slot } => {
                    SlottedNetwork::of(view, slot, target).best_way(ends, MOST_ATTEMPTS).into_iter().collect()
                }
            };
            let mut needed = f64::INFINITY;
            for way in ways {
                if seen.iter().any(|old| old.links == way.links) {
                    continue;
                }
                let plan = estimate::best_plan(view, offers, (&way.nodes, &way.links), wanted, &self.policy);
                if let Some(plan) = &plan {
                    let least = plan.hops.iter().map(|hop| hop.fidelity).fold(1.0, f64::min);
                    needed = needed.min(least);
                }
                best = better(best, plan, wanted);
                seen.push(way);
            }
            // Counting links, nothing changes with the target.
            if needed <= target || !needed.is_finite() || self.policy.metric == RouteMetric::Hops {
                break;
            }
            target = needed;
        }
        best
    }

    /// The best plan among the routes that lose the least fidelity.
    fn by_fidelity(&mut self, ends: (u32, u32), wanted: f64) -> Option<Plan> {
        let (view, offers) = (self.view, &self.offers);
        let loss = |link: u32| {
            let fidelity = estimate::best_fidelity(view, offers, link)?;
            let parameter = (4.0 * fidelity - 1.0) / 3.0;
            let swap = view.links()[link as usize].ends.map(|end| view.swap_loss(end.0));
            // Half of what the swaps at both ends lose: each node of a route has two links.
            let loss = -libm::log(parameter.max(1e-300)) + 0.5 * (swap[0] + swap[1]);
            // Adding zeros, routes could go round for nothing.
            Some(loss.max(0.0) + 1e-12)
        };
        let mut ways = self.search.ways(view, ends, (1, u32::MAX), loss);
        if self.policy.candidates > 1 && ways.first().is_some_and(|way| way.links.len() <= LONG) {
            ways = self.search.ways(view, ends, (self.policy.candidates, u32::MAX), loss);
        }
        let plan =
            |way: &Way| estimate::best_plan(view, offers, (&way.nodes, &way.links), wanted, &self.policy);
        ways.iter().map(plan).fold(None, |best, plan| better(best, plan, wanted))
    }

    /// Why no route has links that could serve.
    fn why_none(&mut self, demand: &PairDemand) -> Refusal {
        let PairDemand { from, to, .. } = *demand;
        let view = self.view;
        let ways = self.search.ways(view, (from.0, to.0), (1, u32::MAX), |_| Some(1.0));
        let Some(way) = ways.first() else { return Refusal::NoRoute { from, to } };
        for (place, nodes) in way.links.iter().zip(way.nodes.windows(2)) {
            let link = &view.links()[*place as usize];
            let offers = &self.offers[link.kind as usize];
            let needed = offers.iter().map(Offer::memories).min().unwrap_or(1);
            for node in nodes.iter().map(|node| NodeId(*node)) {
                let side = usize::from(link.ends[1] == node);
                if link.memories[side] < needed {
                    return Refusal::NoMemory { node, link: link.id };
                }
            }
            if estimate::best_fidelity(view, &self.offers, *place).is_none() {
                return Refusal::NoCapacity { link: link.id };
            }
        }
        // Every link serves, but not all in finite time.
        Refusal::NoRoute { from, to }
    }
}

/// The better of two plans: the faster of those that suffice, else the one of the higher fidelity; the first on a tie.
fn better(old: Option<Plan>, new: Option<Plan>, wanted: f64) -> Option<Plan> {
    let (Some(a), Some(b)) = (&old, &new) else { return old.or(new) };
    let new_wins = match (a.fidelity >= wanted, b.fidelity >= wanted) {
        (true, true) => b.seconds_per_pair < a.seconds_per_pair,
        (false, false) => b.fidelity > a.fidelity,
        (a, b) => b && !a,
    };
    if new_wins { new } else { old }
}
