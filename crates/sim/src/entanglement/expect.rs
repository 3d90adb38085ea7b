//! What formulas and plans expect of entangled pairs: no sampling.

use super::build::{Admission, build};
use super::run::EntanglementError;
use super::summary::LinkLevel;
use bellwether_network::{EntanglingLink, Network, Scheme};
use bellwether_physics::{bounds, waiting};
use bellwether_protocol::entanglement::routing::Plan;
use bellwether_units::{Duration, Loss};
use serde::Serialize;

/// What is expected of the entanglement of a network.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PairExpectations {
    /// The entangling links, in the order of the network file.
    pub links: Vec<LinkPairExpectation>,
    /// Who wants pairs, in the order of the network file.
    pub demands: Vec<DemandExpectation>,
    /// What had to be assumed, for want of figures.
    pub assumptions: Vec<String>,
}

/// What is expected of one link.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LinkPairExpectation {
    /// Its name.
    pub name: String,
    /// The fibre's length.
    pub length_km: f64,
    /// The fibre's loss from node to node.
    pub loss_db: f64,
    /// How many memories each end gives to it.
    pub memories: [u16; 2],
    /// From one attempt to the next.
    pub cycle_s: f64,
    /// The ways to run it, the brightest first.
    pub levels: Vec<LinkLevel>,
    /// -log2(1 - eta) pairs a use of one optical mode over the fibre from node to node: the most that any protocol gives
    /// (Pirandola et al., Nat. Commun. 8, 15043 (2017)). Absent of a fibre without loss, which sets no bound.
    pub bound_per_use: Option<f64>,
    /// Modes that attempts send in a second; absent where the scheme does not tell.
    pub uses_per_s: Option<f64>,
}

/// What is expected of one demand.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DemandExpectation {
    /// Its name.
    pub name: String,
    /// The node that asks.
    pub from: String,
    /// The node it shares pairs with.
    pub to: String,
    /// The fidelity that it wants.
    pub wanted_fidelity: f64,
    /// Why it is refused, with the best that could be had.
    pub refused: Option<String>,
    /// How it is served.
    pub way: Option<WayExpectation>,
}

/// What is expected of a planned way.
#[derive(Clone, Debug, Default, Serialize)]
pub struct WayExpectation {
    /// Its nodes.
    pub path: Vec<String>,
    /// The length of its fibres together.
    pub length_km: f64,
    /// The loss of its fibres together.
    pub loss_db: f64,
    /// Mean seconds a pair, by the plan's estimate, if links begin anew for each.
    pub seconds_per_pair: f64,
    /// The fidelity that the plan promises.
    pub fidelity: f64,
    /// How old a half may become at a repeater.
    pub cutoff_s: Option<f64>,
    /// Mean seconds until the slowest of equal links has a pair if all begin together and none is given up: exact, for
    /// hardware that heralds with one probability in every cycle. Absent where links differ or a round purifies.
    pub slowest_link_s: Option<f64>,
    /// -log2(1 - eta) pairs a use, eta of all its fibres in one: what cannot be exceeded without repeaters (Pirandola et al.,
    /// Nat. Commun. 8, 15043 (2017)). Absent without loss.
    pub repeaterless_bound_per_use: Option<f64>,
    /// The least -log2(1 - eta) of its links, eta of each one's fibre: what cannot be exceeded with repeaters where they
    /// stand (Pirandola, Commun. Phys. 2, 51 (2019)). Absent without loss.
    pub repeater_bound_per_use: Option<f64>,
    /// The same with as many repeaters at equal distances: -log2(1 - eta^(1/(N+1))).
    pub equal_spans_bound_per_use: Option<f64>,
    /// The bound without repeaters a second, at as many uses as the link with the fewest makes.
    pub repeaterless_bound_per_s: Option<f64>,
    /// The bound with repeaters a second: the least of its links, each at its own uses a second.
    pub repeater_bound_per_s: Option<f64>,
}

/// What is expected of the entanglement of `network`; `None` if it has no entangling links.
///
/// # Errors
/// The hardware of a link or node lacks figures, or has some that cannot be.
pub fn pair_expectations(network: &Network) -> Result<Option<PairExpectations>, EntanglementError> {
    if network.entangling_links.is_empty() {
        return Ok(None);
    }
    let built = build(network)?;
    let links: Vec<LinkPairExpectation> = network
        .entangling_links
        .iter()
        .zip(&built.setup.links)
        .map(|(link, setup)| {
            let slots = f64::from(setup.memories[0].min(setup.memories[1]));
            let cycle_s = setup.model.cycle.seconds();
            let level = |level: &super::Brightness| LinkLevel {
                brightness: level.brightness,
                success: level.success(),
                fidelity: level.fidelity(),
                rate_per_s: slots * level.success() / cycle_s,
            };
            let mut levels: Vec<_> = setup.model.levels.iter().map(level).collect();
            levels.sort_by(|a, b| b.brightness.total_cmp(&a.brightness));
            LinkPairExpectation {
                name: link.name.clone(),
                length_km: link.fibre.length.kilometres(),
                loss_db: link.fibre.loss().decibels(),
                memories: link.memories,
                cycle_s,
                levels,
                bound_per_use: finite(bounds::repeaterless(link.fibre.loss())),
                uses_per_s: modes_per_second(network, link, slots / cycle_s),
            }
        })
        .collect();
    let told = network.pair_demands.iter().zip(&built.demands);
    let demands = told
        .map(|(demand, planned)| {
            let mut told = DemandExpectation {
                name: demand.name.clone(),
                from: network.node(demand.from).name.clone(),
                to: network.node(demand.to).name.clone(),
                wanted_fidelity: demand.fidelity,
                ..DemandExpectation::default()
            };
            match &planned.admission {
                Admission::Refused(refusal) => told.refused = Some(super::refusal(network, refusal)),
                Admission::Admitted { plan, .. } => told.way = Some(way(network, &links, plan)),
            }
            told
        })
        .collect();
    let assumptions = built.assumptions.iter().map(|what| (*what).to_owned()).collect();
    Ok(Some(PairExpectations { links, demands, assumptions }))
}

fn way(network: &Network, links: &[LinkPairExpectation], plan: &Plan) -> WayExpectation {
    let on_way = || plan.hops.iter().map(|hop| &links[hop.link.index()]);
    let loss_db: f64 = on_way().map(|link| link.loss_db).sum();
    let repeaters = plan.hops.len().saturating_sub(1) as u32;
    let loss = Loss::from_decibels(loss_db);
    let repeaterless = finite(bounds::repeaterless(loss));
    let least = |values: Vec<Option<f64>>| -> Option<f64> {
        // One that is not known leaves the least unknown.
        values.into_iter().try_fold(f64::INFINITY, |least, value| Some(f64::min(least, value?)))
    };
    let uses = least(on_way().map(|link| link.uses_per_s).collect());
    let bound_per_s = |link: &LinkPairExpectation| Some(link.bound_per_use? * link.uses_per_s?);
    WayExpectation {
        path: plan.nodes.iter().map(|node| network.node(*node).name.clone()).collect(),
        length_km: on_way().map(|link| link.length_km).sum(),
        loss_db,
        seconds_per_pair: plan.seconds_per_pair,
        fidelity: plan.fidelity,
        cutoff_s: plan.cutoff.map(Duration::seconds),
        slowest_link_s: slowest(links, plan),
        repeaterless_bound_per_use: repeaterless,
        repeater_bound_per_use: finite(
            on_way().filter_map(|link| link.bound_per_use).fold(f64::INFINITY, f64::min),
        ),
        equal_spans_bound_per_use: finite(bounds::with_repeaters(loss, repeaters)),
        repeaterless_bound_per_s: repeaterless.zip(uses).map(|(bound, uses)| bound * uses),
        repeater_bound_per_s: least(on_way().map(bound_per_s).collect()).and_then(finite),
    }
}

/// The mean of the largest of as many geometric variables as there are links, if these are equal.
fn slowest(links: &[LinkPairExpectation], plan: &Plan) -> Option<f64> {
    let first = plan.hops.first()?;
    let cycle_s = links[first.link.index()].cycle_s;
    let is_equal = |hop: &bellwether_protocol::entanglement::routing::PlannedHop| {
        let link = &links[hop.link.index()];
        hop.rounds == 0
            && (link.cycle_s - cycle_s).abs() <= 1e-9 * cycle_s
            && (hop.seconds - first.seconds).abs() <= 1e-9 * first.seconds
    };
    let success = cycle_s / first.seconds;
    if !(plan.hops.iter().all(is_equal) && success > 0.0 && success <= 1.0) {
        return None;
    }
    let attempts = waiting::maximum_of_geometrics(plan.hops.len() as u32, success).ok()?;
    finite(attempts * cycle_s)
}

/// How many optical modes a link's attempts send in a second: what a bound in uses of a mode is multiplied by.
fn modes_per_second(network: &Network, link: &EntanglingLink, attempts_per_s: f64) -> Option<f64> {
    match &*link.scheme {
        // Number of photons in one mode.
        Scheme::SingleClick { .. } => Some(attempts_per_s),
        // One photon in one of two modes.
        Scheme::DoubleClick | Scheme::Reflection { .. } => Some(2.0 * attempts_per_s),
        Scheme::PairSource { clock, .. } => Some(2.0 * clock.hertz()),
        Scheme::Ensemble => {
            let platform = network.node(link.ends[0]).platform.as_deref()?;
            Some(f64::from(platform.interface.modes) * attempts_per_s)
        }
        Scheme::Stated { .. } => None,
    }
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}
