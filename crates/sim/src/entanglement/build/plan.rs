//! Which way circuits go, how their links are run, and which demands can be met.

use super::BuildError;
use crate::entanglement::setup::{CircuitSetup, DemandSetup, PairUse, Setup};
use crate::entanglement::stack;
use bellwether_network::{Cutoff, Network, PurificationRound, WaitingPair};
use bellwether_protocol::entanglement::network::PairChoice;
use bellwether_protocol::entanglement::purification::Recurrence;
use bellwether_protocol::entanglement::routing::{
    CutoffRule, LinkPurification, NetworkView, PairDemand, Plan, Refusal, RoutePolicy, Router, ViewLink,
    ViewNode,
};
use bellwether_protocol::entanglement::signalling::MOST_HOPS;
use bellwether_quantum::bell::Purification;
use bellwether_units::{Duration, EntityId, LinkId};

/// What became of a demand before anything ran.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedDemand {
    /// Its name in the file.
    pub name: String,
    /// Whether it is served.
    pub admission: Admission,
}

/// Whether a demand is served.
#[derive(Clone, Debug, PartialEq)]
pub enum Admission {
    /// By the demand of the setup at this place, as planned.
    Admitted {
        /// Which demand of the setup.
        demand: usize,
        /// What the way promises.
        plan: Plan,
    },
    /// It cannot be met; the reason tells the best that could be had.
    Refused(Refusal),
}

/// Adds circuits and demands to a setup that has nodes and links.
pub(super) fn plan(network: &Network, setup: &mut Setup) -> Result<Vec<PlannedDemand>, BuildError> {
    let view = view(setup)?;
    let mut router = Router::new(&view, RoutePolicy::SECONDS_PER_PAIR);
    let mut planned = Vec::with_capacity(network.pair_demands.len());
    // By circuit of the file: its place among the circuits of the setup.
    let mut placed: Vec<Option<usize>> = vec![None; network.circuits.len()];
    for demand in &network.pair_demands {
        let wanted = PairDemand {
            rate: demand.rate.map(|rate| rate.per_second()),
            within: within(demand),
            ..PairDemand::new(demand.from, demand.to, demand.fidelity)
        };
        let stated = demand.circuit.map(|place| &network.circuits[place as usize]);
        let found = match stated {
            Some(circuit) => along(&view, circuit, &wanted)?,
            None => router.best_route(&wanted),
        };
        let plan = match found {
            Ok(plan) => plan,
            Err(refusal) => {
                let admission = Admission::Refused(refusal);
                planned.push(PlannedDemand { name: demand.name.clone(), admission });
                continue;
            }
        };
        let at = demand.circuit.and_then(|place| placed[place as usize]);
        let at = at.unwrap_or_else(|| {
            setup.circuits.push(circuit_of(&plan, stated));
            setup.circuits.len() - 1
        });
        if let Some(place) = demand.circuit {
            placed[place as usize] = Some(at);
        }
        setup.circuits[at].rate += demand.rate.map_or(0.0, |rate| rate.per_second());
        let entity = EntityId(planned.len() as u32);
        setup.demands.push(demand_of(demand, entity, at));
        let admission = Admission::Admitted { demand: setup.demands.len() - 1, plan };
        planned.push(PlannedDemand { name: demand.name.clone(), admission });
    }
    Ok(planned)
}

/// A deadline is met if a pair comes in time on average, where one is asked for at a time.
fn within(demand: &bellwether_network::PairDemand) -> Option<(u64, Duration)> {
    let pairs = if demand.rate.is_some() { 1 } else { demand.pairs? };
    demand.within.map(|within| (pairs, within))
}

fn view(setup: &Setup) -> Result<NetworkView, BuildError> {
    let node = |node: &crate::entanglement::NodeSetup| ViewNode {
        swap: node.claimed.swap,
        swap_success: node.model.swap_success,
        memory: node.claimed.memory,
    };
    let mut kinds = Vec::with_capacity(setup.links.len());
    let links = setup.links.iter().enumerate().map(|(place, link)| {
        let kind = place as u32;
        kinds.push(stack::kind(setup, LinkId(kind)));
        ViewLink { id: LinkId(kind), ends: link.ends, kind, memories: link.memories, promised: 0.0 }
    });
    let links = links.collect();
    Ok(NetworkView::new(setup.nodes.iter().map(node).collect(), kinds, links)?)
}

/// The plan of the only route in a network of that route's links, or of the best one if the file leaves it open.
fn along(
    view: &NetworkView,
    circuit: &bellwether_network::Circuit,
    wanted: &PairDemand,
) -> Result<Result<Plan, Refusal>, BuildError> {
    let cutoff = match circuit.cutoff {
        Cutoff::Planned => RoutePolicy::SECONDS_PER_PAIR.cutoff,
        Cutoff::Never => CutoffRule::Never,
        Cutoff::After(cutoff) => CutoffRule::After(cutoff),
    };
    let purification = LinkPurification::Exactly(recurrence(circuit));
    let policy = RoutePolicy { cutoff, purification, ..RoutePolicy::SECONDS_PER_PAIR };
    let Some(path) = &circuit.path else { return Ok(Router::new(view, policy).best_route(wanted)) };
    let links = path.iter().map(|link| view.links()[link.index()]).collect();
    let narrow = NetworkView::new(view.nodes().to_vec(), view.kinds().to_vec(), links)?;
    Ok(Router::new(&narrow, policy).best_route(wanted))
}

/// The rounds of purification of a circuit. The file allows no more than there can be.
fn recurrence(circuit: &bellwether_network::Circuit) -> Recurrence {
    let rounds = circuit.purification.iter().map(|round| match round {
        PurificationRound::Bbpssw => Purification::Bbpssw,
        PurificationRound::Dejmps => Purification::Dejmps,
        PurificationRound::Phase => Purification::Phase,
    });
    Recurrence::of(&rounds.collect::<Vec<_>>()).unwrap_or_default()
}

fn circuit_of(plan: &Plan, stated: Option<&bellwether_network::Circuit>) -> CircuitSetup {
    let least = stated.and_then(|circuit| circuit.link_fidelity);
    CircuitSetup {
        nodes: plan.nodes.clone(),
        links: plan.hops.iter().map(|hop| hop.link).collect(),
        link_fidelities: plan.hops.iter().map(|hop| least.unwrap_or(hop.link_fidelity)).collect(),
        cutoff: plan.cutoff,
        weight: stated.map_or(1, |circuit| circuit.weight),
        choice: match stated.map(|circuit| circuit.choice) {
            Some(WaitingPair::Youngest) => PairChoice::Youngest,
            Some(WaitingPair::Oldest) | None => PairChoice::Oldest,
        },
        purification: stated.map(recurrence).unwrap_or_default(),
        signalled: plan.hops.len() <= MOST_HOPS,
        rate: 0.0,
    }
}

fn demand_of(demand: &bellwether_network::PairDemand, entity: EntityId, circuit: usize) -> DemandSetup {
    let every = demand.rate.and_then(|rate| Duration::from_seconds(1.0 / rate.per_second()).ok());
    DemandSetup {
        entity,
        circuit,
        start: demand.start,
        stop: None,
        every,
        requests: every.and(demand.pairs),
        pairs: if every.is_some() { Some(1) } else { demand.pairs },
        within: demand.within,
        use_of_pairs: match demand.kind {
            bellwether_network::PairUse::Keep => PairUse::Keep,
            bellwether_network::PairUse::Measure => PairUse::Measure,
            bellwether_network::PairUse::Early => PairUse::Early,
        },
        hold: demand.hold,
        correct: false,
    }
}
