//! How good and how fast a whole route is.
//!
//! The time a pair is that of the slowest link of all, each of which makes one pair anew, stretched at each node by what its
//! cutoff costs two links alone; that is exact for two links and an estimate beyond. Within the route a pair waits for its
//! neighbour, which the law of the two links gives; at the ends it waits for all links and for the other end's word.

use super::law::{Meeting, mean_of_greatest};
use super::offer::Offer;
use super::plan::{Assurance, CutoffRule, Plan, PlannedHop, RoutePolicy};
use super::view::NetworkView;
use bellwether_quantum::MemoryNoise;
use bellwether_quantum::bell::BellDiagonal;
use bellwether_units::{Duration, NodeId};

/// An offer of one link of a route, with the memories and the share of the link that there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chosen {
    offer: Offer,
    rate: f64,
}

impl Chosen {
    /// Mean seconds a pair.
    fn seconds(&self) -> f64 {
        1.0 / self.rate + self.offer.latency
    }
}

/// The fastest offer of a link with at least this fidelity.
pub(super) fn fastest(view: &NetworkView, offers: &[Vec<Offer>], link: u32, fidelity: f64) -> Option<Chosen> {
    let at = &view.links()[link as usize];
    let offers = &offers[at.kind as usize];
    let memories = at.memories[0].min(at.memories[1]);
    let from = offers.partition_point(|offer| offer.fidelity() < fidelity);
    let mut best: Option<Chosen> = None;
    for offer in offers[from..].iter().filter(|offer| offer.memories() <= memories) {
        let attempts = f64::from(memories + 1 - offer.memories());
        let rate = attempts * (1.0 - at.promised) / offer.seconds;
        let chosen = Chosen { offer: *offer, rate };
        if rate > 0.0 && best.is_none_or(|best| chosen.seconds() < best.seconds()) {
            best = Some(chosen);
        }
    }
    best
}

/// What a link costs in a sum over a route: seconds a pair of this fidelity.
pub(super) fn seconds(view: &NetworkView, offers: &[Vec<Offer>], link: u32, fidelity: f64) -> Option<f64> {
    fastest(view, offers, link, fidelity).map(|chosen| chosen.seconds())
}

/// The highest fidelity that a link offers with what memories it has.
pub(super) fn best_fidelity(view: &NetworkView, offers: &[Vec<Offer>], link: u32) -> Option<f64> {
    let at = &view.links()[link as usize];
    let memories = at.memories[0].min(at.memories[1]);
    let usable = at.promised < 1.0;
    let mut offers = offers[at.kind as usize].iter().rev();
    offers.find(|offer| usable && offer.memories() <= memories).map(Offer::fidelity)
}

/// When `memory` has taken this share of the fidelity of a pair of `fidelity`, one half of which waits.
fn time_of_loss(memory: &MemoryNoise, fidelity: f64, share: f64) -> Option<Duration> {
    let pair = BellDiagonal::werner(fidelity).ok()?;
    let lost = |time: Duration| {
        pair.shrunk(memory.decay(Duration::ZERO, time).factors()).fidelity() < fidelity * (1.0 - share)
    };
    let mut high = Duration::from_nanoseconds(1);
    while !lost(high) {
        high = high.saturating_mul(4);
        if high > Duration::from_whole_seconds(1_000_000) {
            return None;
        }
    }
    let mut low = Duration::from_picoseconds(high.picoseconds() / 4);
    for _ in 0..20 {
        let middle = Duration::from_picoseconds(low.picoseconds().midpoint(high.picoseconds()));
        if lost(middle) { high = middle } else { low = middle }
    }
    Some(low)
}

fn cutoff(view: &NetworkView, nodes: &[u32], chosen: &[Chosen], rule: CutoffRule) -> Option<Duration> {
    if chosen.len() < 2 {
        return None;
    }
    match rule {
        CutoffRule::Never => None,
        CutoffRule::After(time) => Some(time),
        CutoffRule::Quantile(share) => {
            let slowest = chosen.iter().map(|c| c.rate).fold(f64::INFINITY, f64::min);
            Duration::from_seconds(-libm::log1p(-share.clamp(0.0, 1.0)) / slowest).ok()
        }
        CutoffRule::Loss(share) => {
            let least = chosen.iter().map(|c| c.offer.fidelity()).fold(1.0, f64::min);
            // The worst memory is the one that keeps least for as long as the slowest link takes.
            let slowest = chosen.iter().map(Chosen::seconds).fold(0.0, f64::max);
            let probe = Duration::from_seconds(slowest).ok()?;
            let keeps = |node: u32| -> f64 {
                view.nodes()[node as usize].memory.decay(Duration::ZERO, probe).factors().iter().sum()
            };
            let inner = &nodes[1..nodes.len() - 1];
            let worst = inner.iter().copied().min_by(|a, b| keeps(*a).total_cmp(&keeps(*b)))?;
            time_of_loss(&view.nodes()[worst as usize].memory, least, share)
        }
    }
}

/// How the route of these nodes and links goes with the fastest offers of at least `fidelity` on each link.
pub(super) fn plan(
    view: &NetworkView,
    offers: &[Vec<Offer>],
    (nodes, links): (&[u32], &[u32]),
    fidelity: f64,
    policy: &RoutePolicy,
) -> Option<Plan> {
    let chosen = links.iter().map(|link| fastest(view, offers, *link, fidelity));
    let chosen = chosen.collect::<Option<Vec<_>>>()?;
    let delay = |link: &u32| view.kind_of(*link).delay;
    let one_way = links.iter().map(delay).fold(Duration::ZERO, |sum, delay| sum + delay);
    let cutoff = cutoff(view, nodes, &chosen, policy.cutoff);
    let cut = cutoff.map(Duration::seconds);

    let rates: Vec<_> = chosen.iter().map(|c| c.rate).collect();
    let all = mean_of_greatest(&rates);
    let mut seconds = all + chosen.iter().map(|c| c.offer.latency).fold(0.0, f64::max);
    let mut pair = chosen.first()?.offer.pair;
    for ((node, before), after) in nodes[1..].iter().zip(&chosen).zip(&chosen[1..]) {
        let node = &view.nodes()[*node as usize];
        let meeting = Meeting { rates: [before.rate, after.rate], cutoff: cut };
        seconds *= meeting.slower() / node.swap_success;
        let factors = match (policy.assurance, cutoff) {
            (Assurance::Worst, Some(cutoff)) => node.memory.decay(Duration::ZERO, cutoff).factors(),
            _ => meeting.factors(&node.memory),
        };
        pair = pair.swap(&after.offer.pair, &node.swap).shrunk(factors);
    }
    // The cutoffs within bound how far any two pairs of the route are apart.
    let bound = cut.map_or(f64::INFINITY, |cut| cut * (links.len() - 1) as f64);
    for (node, link) in [(nodes.first()?, chosen.first()?), (nodes.last()?, chosen.last()?)] {
        let wait = match policy.assurance {
            Assurance::Worst if cut.is_some() => bound,
            _ => f64::min(bound, f64::max(0.0, all - 1.0 / link.rate)),
        };
        let wait = Duration::from_seconds(wait).ok()? + one_way;
        let memory = &view.nodes()[*node as usize].memory;
        pair = pair.shrunk(memory.decay(Duration::ZERO, wait).factors());
    }
    if !seconds.is_finite() {
        return None;
    }
    let hop = |((chosen, link), to): ((&Chosen, &u32), &u32)| {
        let level = usize::from(chosen.offer.level);
        PlannedHop {
            link: view.links()[*link as usize].id,
            to: NodeId(*to),
            level,
            link_fidelity: view.kind_of(*link).table.levels()[level].fidelity,
            rounds: chosen.offer.rounds,
            fidelity: chosen.offer.fidelity(),
            seconds: chosen.seconds(),
        }
    };
    Some(Plan {
        nodes: nodes.iter().map(|node| NodeId(*node)).collect(),
        hops: chosen.iter().zip(links).zip(&nodes[1..]).map(hop).collect(),
        cutoff,
        seconds_per_pair: seconds,
        fidelity: pair.fidelity(),
        round_trip: one_way.saturating_mul(2),
        end_memories: [nodes.first()?, nodes.last()?].map(|node| view.nodes()[*node as usize].memory),
    })
}

/// The fastest plan of this route that promises at least `wanted`; otherwise the one that promises most.
pub(super) fn best_plan(
    view: &NetworkView,
    offers: &[Vec<Offer>],
    route: (&[u32], &[u32]),
    wanted: f64,
    policy: &RoutePolicy,
) -> Option<Plan> {
    let mut targets: Vec<f64> = Vec::new();
    for link in route.1 {
        targets.extend(offers[view.links()[*link as usize].kind as usize].iter().map(Offer::fidelity));
    }
    targets.sort_by(f64::total_cmp);
    targets.dedup();
    // Better pairs take longer, so the first target that suffices is the fastest: found by halving, and if waiting spoils
    // that order, by looking at all.
    let at = |target: usize| plan(view, offers, route, targets[target], policy);
    let (mut low, mut high) = (0, targets.len());
    let mut found = None;
    while low < high {
        let middle = usize::midpoint(low, high);
        match at(middle) {
            Some(plan) if plan.fidelity >= wanted => {
                high = middle;
                found = Some(plan);
            }
            // Too good to be had of each link.
            None => high = middle,
            Some(_) => low = middle + 1,
        }
    }
    if found.is_some() {
        return found;
    }
    let all: Vec<_> = (0..targets.len()).map_while(at).collect();
    let enough = all.iter().filter(|plan| plan.fidelity >= wanted);
    let fastest = enough.min_by(|a, b| a.seconds_per_pair.total_cmp(&b.seconds_per_pair));
    let best = || all.iter().max_by(|a, b| a.fidelity.total_cmp(&b.fidelity));
    fastest.or_else(best).cloned()
}
