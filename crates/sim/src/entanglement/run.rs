//! The entanglement of a network file in virtual time, from its first request to its summary.

use super::build::{Admission, BuildError, Built, build};
use super::parts::Parts;
use super::setup::SetupError;
use super::summary::{
    DemandPairs, EntanglementSummary, LatencySummary, LinkLevel, LinkPairs, Measured, NodeMemories, Planned,
    PublishedPairs, Share,
};
use super::world::WorldOptions;
use super::{Source, account::DemandTally};
use bellwether_network::Network;
use bellwether_units::{Duration, Time};

/// Why the entanglement of a network file cannot run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EntanglementError {
    /// Its hardware cannot be modelled.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// There is too much of something.
    #[error(transparent)]
    Setup(#[from] SetupError),
}

/// The entanglement of a network file, running.
pub struct EntanglementRun {
    built: Built,
    parts: Parts,
}

impl EntanglementRun {
    /// The entanglement of `network` at time zero; `None` if it has no entangling links. Memories are counted so often.
    ///
    /// # Errors
    /// The hardware of a link or node lacks figures, or has some that cannot be.
    pub fn new(network: &Network, seed: u64, count: Duration) -> Result<Option<Self>, EntanglementError> {
        if network.entangling_links.is_empty() {
            return Ok(None);
        }
        let built = build(network)?;
        let options = WorldOptions { seed, sampling: Some(count), ..WorldOptions::default() };
        let parts = Parts::new(&built.setup, options)?;
        Ok(Some(Self { built, parts }))
    }

    /// Runs up to `end` on so many threads, which changes no result.
    pub fn run_until(&mut self, end: Time, threads: usize) {
        self.parts.run_until(end, threads);
    }

    /// What was found until `now`.
    pub fn summary(&self, network: &Network, now: Time) -> EntanglementSummary {
        let simulated = now.since(Time::ZERO).seconds();
        let mut summary = EntanglementSummary {
            parts: self.parts.len(),
            assumptions: self.built.assumptions.iter().map(|what| (*what).to_owned()).collect(),
            links: self.links(network, simulated),
            demands: self.demands(network),
            ..EntanglementSummary::default()
        };
        for part in self.parts.iter() {
            let work = part.world.work();
            summary.machine_inputs += work.inputs;
            summary.messages += work.messages;
            summary.swaps += work.swaps;
            summary.events += work.events;
            for (node, (memories, occupied)) in part.nodes.iter().zip(part.world.occupancy()) {
                let name = network.node(*node).name.clone();
                summary.nodes.push(NodeMemories { name, memories, mean_occupied: occupied.unwrap_or(0.0) });
            }
            // All parts are counted at the same instants.
            for (place, (at, held)) in part.world.samples().iter().enumerate() {
                if summary.occupied.len() <= place {
                    summary.occupied.push((at.seconds(), 0));
                }
                summary.occupied[place].1 += held;
            }
        }
        let order = |node: &NodeMemories| network.find_node(&node.name);
        if summary.nodes.len() <= 1000 {
            summary.nodes.sort_by_key(order);
        } else {
            // Of so many, nobody reads a list.
            summary.nodes.clear();
        }
        summary
    }

    fn links(&self, network: &Network, simulated: f64) -> Vec<LinkPairs> {
        let mut pairs = vec![(0, 0); network.entangling_links.len()];
        for part in self.parts.iter() {
            for (link, tally) in part.links.iter().zip(part.world.links()) {
                pairs[link.index()] = (tally.pairs, tally.attempts);
            }
        }
        let told = network.entangling_links.iter().zip(&self.built.setup.links).zip(pairs);
        told.map(|((link, setup), (pairs, attempts))| {
            let slots = f64::from(setup.memories[0].min(setup.memories[1]));
            let level = |level: &super::Brightness| LinkLevel {
                brightness: level.brightness,
                success: level.success(),
                fidelity: level.fidelity(),
                rate_per_s: slots * level.success() / setup.model.cycle.seconds(),
            };
            let mut levels: Vec<_> = setup.model.levels.iter().map(level).collect();
            levels.sort_by(|a, b| b.brightness.total_cmp(&a.brightness));
            LinkPairs {
                name: link.name.clone(),
                ends: link.ends.map(|end| network.node(end).name.clone()),
                length_km: link.fibre.length.kilometres(),
                memories: link.memories,
                cycle_s: setup.model.cycle.seconds(),
                levels,
                pairs,
                attempts,
                rate_per_s: if simulated > 0.0 { pairs as f64 / simulated } else { 0.0 },
                published: link.published.as_deref().map(PublishedPairs::of),
            }
        })
        .collect()
    }

    fn demands(&self, network: &Network) -> Vec<DemandPairs> {
        let mut tallies: Vec<Option<&DemandTally>> = vec![None; self.built.setup.demands.len()];
        let mut refused = vec![None; tallies.len()];
        for part in self.parts.iter() {
            for (demand, tally) in part.demands.iter().zip(part.world.demands()) {
                tallies[*demand] = Some(tally);
            }
            for (place, demand) in part.demands.iter().enumerate() {
                refused[*demand] = part.world.refused(place).map(|why| part.named(why));
            }
        }
        let told = network.pair_demands.iter().zip(&self.built.demands);
        told.map(|(demand, planned)| {
            let mut told = DemandPairs {
                name: demand.name.clone(),
                from: network.node(demand.from).name.clone(),
                to: network.node(demand.to).name.clone(),
                wanted_fidelity: demand.fidelity,
                published: demand.published.as_deref().map(PublishedPairs::of),
                ..DemandPairs::default()
            };
            match &planned.admission {
                Admission::Refused(refusal) => told.refused = Some(super::refusal(network, refusal)),
                Admission::Admitted { demand, plan } => {
                    told.planned = Some(Planned {
                        path: plan.nodes.iter().map(|node| network.node(*node).name.clone()).collect(),
                        seconds_per_pair: plan.seconds_per_pair,
                        fidelity: plan.fidelity,
                        cutoff_s: plan.cutoff.map(Duration::seconds),
                    });
                    if let Some(tally) = tallies.get(*demand).copied().flatten() {
                        tell(&mut told, tally);
                    }
                    told.refused =
                        refused[*demand].as_ref().map(|why| super::words::no_circuit(network, why));
                }
            }
            told
        })
        .collect()
    }
}

fn tell(told: &mut DemandPairs, tally: &DemandTally) {
    told.requests = tally.requests;
    told.completed = tally.completed;
    told.timed_out = tally.timed_out;
    told.pairs = tally.pairs;
    told.disagreements = tally.disagreements;
    told.revoked = tally.revoked;
    told.rate_per_s = tally.rate();
    let measured = |moments: &super::account::Moments| {
        Some(Measured { mean: moments.mean()?, standard_error: moments.standard_error() })
    };
    told.fidelity = measured(&tally.fidelity);
    told.claimed_fidelity = measured(&tally.claimed);
    told.measured_fidelity =
        tally.measured_fidelity().map(|(mean, error)| Measured { mean, standard_error: Some(error) });
    told.age_s = tally.age.mean();
    told.settling_s = tally.settling.mean();
    let latency = &tally.latency;
    told.latency = latency.mean().map(|mean_s| LatencySummary {
        mean_s,
        median_s: latency.quantile(0.5).unwrap_or(0.0),
        p90_s: latency.quantile(0.9).unwrap_or(0.0),
        p99_s: latency.quantile(0.99).unwrap_or(0.0),
        longest_s: latency.longest().seconds(),
        bins: latency.bins().collect(),
    });
    let lost = tally.losses.iter().zip(tally.shares()).zip(Source::ALL);
    told.losses = lost
        .filter(|((loss, _), _)| loss.abs() > 1e-12 * tally.pairs as f64)
        .map(|((loss, share), source)| Share {
            source: source.word().to_owned(),
            loss_per_pair: loss / tally.pairs.max(1) as f64,
            share,
        })
        .collect();
}
