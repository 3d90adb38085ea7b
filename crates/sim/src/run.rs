//! The runner: a network in virtual time, from its first pulse to its summary.
//!
//! Links are advanced apart from each other, on as many threads as there are, over one slice of time; what
//! they say is put in order, and the nodes are advanced over the same slice. Nothing runs back from nodes to
//! links, so slices and threads change speed and never results.

use crate::entanglement::summary::DemandPairs;
use crate::entanglement::{EntanglementError, EntanglementRun};
use crate::interval::confidence_interval;
use crate::ledger::Ledger;
use crate::link::{LinkProcess, LinkRecord};
use crate::summary::{DemandReplication, LinkReplication, PairReplication, Replications, Summary};
use crate::trace::TraceRecord;
use crate::world::World;
use bellwether_network::{Detail, Network};
use bellwether_units::{Duration, LinkId, Time};

/// How to run, beyond what the network file says.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How long, instead of the file's duration.
    pub duration: Option<Duration>,
    /// The seed, instead of the file's.
    pub seed: Option<u64>,
    /// How many threads may be used; 0 and 1 both mean one. Never changes results.
    pub threads: usize,
}

/// Watches a run and may stop it.
pub trait Observer {
    /// Told after each slice of virtual time; `false` ends the run with what there is.
    fn progress(&mut self, now: Time, end: Time) -> bool;
    /// Given the trace in the order of time, slice by slice.
    fn trace(&mut self, records: &[TraceRecord]);
}

/// An observer that looks away.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn progress(&mut self, _now: Time, _end: Time) -> bool {
        true
    }
    fn trace(&mut self, _records: &[TraceRecord]) {}
}

/// Why a network cannot be run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RunError {
    /// A link's devices do not make a link.
    #[error("link `{link}`: {reason}")]
    Link {
        /// The link.
        link: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// The entanglement of the network cannot run.
    #[error(transparent)]
    Entanglement(Box<EntanglementError>),
}

impl From<EntanglementError> for RunError {
    fn from(error: EntanglementError) -> Self {
        Self::Entanglement(Box::new(error))
    }
}

/// What a run gives.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What it found.
    pub summary: Summary,
}

/// How many slices a run has at least.
const SLICES: u64 = 200;
/// Clicks of all links in a slice, at most: a fraction of a second of work.
const CLICKS_IN_A_SLICE: f64 = 5e6;
/// How many clicks a block at detail `blocks` takes as long as.
const CLICKS_A_BLOCK: f64 = 1_500.0;
/// Keys that all demands ask for in a slice, at most: the trace of a slice is held in memory.
const KEYS_IN_A_SLICE: f64 = 10_000.0;

/// Runs `network` from its first pulse to its end, or until the observer stops it.
///
/// ```
/// use bellwether_network::Network;
/// use bellwether_sim::run::{Options, Unobserved, simulate};
///
/// let text = include_str!("../../../networks/single-link.toml");
/// let network = Network::parse(text, "single-link.toml", &[])?;
/// let options = Options { duration: Some("10 s".parse_duration()), ..Options::default() };
/// # trait P { fn parse_duration(&self) -> bellwether_units::Duration; }
/// # impl P for &str { fn parse_duration(&self) -> bellwether_units::Duration {
/// #     <bellwether_units::Duration as bellwether_units::Quantity>::parse(self).unwrap() } }
/// let outcome = simulate(&network, &options, &mut Unobserved)?;
/// assert!(outcome.summary.links[0].sifted_bits > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the devices of a link do not make a link.
pub fn simulate(
    network: &Network,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Outcome, RunError> {
    let seed = options.seed.unwrap_or(network.run.seed);
    let duration = options.duration.unwrap_or(network.run.duration);
    let end = Time::ZERO.saturating_add(duration);
    let mut links = Vec::with_capacity(network.links.len());
    for place in 0..network.links.len() {
        links.push(LinkProcess::new(network, LinkId(place as u32), seed, end)?);
    }
    let slice = slice_of(network, duration);
    let mut ledger = Ledger::new(network, seed, duration)?;
    let mut world = World::new(network, seed);
    let count = (duration / SLICES).max(Duration::from_picoseconds(1));
    let mut entanglement = EntanglementRun::new(network, seed, count)?;
    let mut records = Vec::new();
    ledger.begin(&mut records);
    let mut now = Time::ZERO;
    let mut partial = false;
    while now < end && !partial {
        now = now.saturating_add(slice).min(end);
        let said = advance_links(&mut links, now, options.threads)?;
        ledger.enter(said, &mut world, &mut records);
        ledger.advance(&mut world, now, &mut records);
        if let Some(entanglement) = &mut entanglement {
            entanglement.run_until(now, options.threads);
        }
        records.sort_by_key(|record| record.at_ps);
        observer.trace(&records);
        records.clear();
        partial = !observer.progress(now, end) && now < end;
    }
    ledger.end(now, partial, &mut records);
    observer.trace(&records);
    let tallies: Vec<_> = links.iter().map(LinkProcess::tally).collect();
    let mut summary = ledger.summary(&world, &tallies, now, partial)?;
    summary.entanglement = entanglement.map(|entanglement| entanglement.summary(network, now));
    Ok(Outcome { summary })
}

/// Runs `network` `runs` times with the seeds `seed`, `seed + 1`, ... and gives means with their 95 %
/// confidence intervals, beside the summary of every run that was begun before the observer said stop.
///
/// # Errors
/// As [`simulate`].
pub fn replicate(
    network: &Network,
    options: &Options,
    runs: u64,
    observer: &mut (dyn Observer + Send),
) -> Result<(Replications, Vec<Summary>), RunError> {
    let first = options.seed.unwrap_or(network.run.seed);
    let threads = options.threads.max(1) as u64;
    let mut summaries = Vec::new();
    let mut at = 0;
    while at < runs {
        let batch: Vec<u64> = (at..runs.min(at + threads)).collect();
        at += batch.len() as u64;
        let results: Vec<Result<Outcome, RunError>> = std::thread::scope(|scope| {
            let workers: Vec<_> = batch
                .iter()
                .map(|&n| {
                    let options =
                        Options { seed: Some(first.wrapping_add(n)), threads: 1, duration: options.duration };
                    scope.spawn(move || simulate(network, &options, &mut Unobserved))
                })
                .collect();
            workers
                .into_iter()
                .map(|worker| match worker.join() {
                    Ok(result) => result,
                    Err(panic) => std::panic::resume_unwind(panic),
                })
                .collect()
        });
        for result in results {
            summaries.push(result?.summary);
        }
        let done = Duration::from_whole_seconds(at);
        let all = Duration::from_whole_seconds(runs);
        if !observer.progress(Time::ZERO + done, Time::ZERO + all) {
            break;
        }
    }
    Ok((means(&summaries), summaries))
}

fn means(summaries: &[Summary]) -> Replications {
    let Some(first) = summaries.first() else { return Replications::default() };
    let over =
        |of: &dyn Fn(&Summary) -> f64| confidence_interval(&summaries.iter().map(of).collect::<Vec<_>>());
    Replications {
        schema: crate::summary::SCHEMA.to_owned(),
        run: first.run.clone(),
        runs: summaries.len() as u64,
        links: (0..first.links.len())
            .map(|i| {
                let qbers: Vec<f64> = summaries.iter().filter_map(|s| s.links[i].qber_key).collect();
                let name = first.links[i].name.clone();
                // Counted in integers: the empty sum of floats is -0.
                let alarms = |s: &Summary| {
                    let of_link = s.alarms.iter().filter(|alarm| alarm.link == name);
                    of_link.map(|alarm| alarm.count).sum::<u64>() as f64
                };
                LinkReplication {
                    sifted_rate_per_s: over(&|s| s.links[i].sifted_rate_per_s),
                    qber_key: (!qbers.is_empty()).then(|| confidence_interval(&qbers)),
                    secret_rate_per_s: over(&|s| s.links[i].secret_rate_per_s),
                    alarms: over(&alarms),
                    name: name.clone(),
                }
            })
            .collect(),
        demands: (0..first.demands.len())
            .map(|i| DemandReplication {
                name: first.demands[i].name.clone(),
                delivered: over(&|s| s.demands[i].delivered as f64),
                refused: over(&|s| s.demands[i].refused.iter().map(|count| count.count).sum::<u64>() as f64),
            })
            .collect(),
        pair_demands: pair_means(summaries),
    }
}

fn pair_means(summaries: &[Summary]) -> Vec<PairReplication> {
    let runs: Vec<&[DemandPairs]> =
        summaries.iter().filter_map(|run| Some(run.entanglement.as_ref()?.demands.as_slice())).collect();
    let Some(first) = runs.first() else { return Vec::new() };
    (0..first.len())
        .map(|place| {
            let all = |of: &dyn Fn(&DemandPairs) -> f64| {
                confidence_interval(&runs.iter().map(|run| of(&run[place])).collect::<Vec<_>>())
            };
            let told = |of: &dyn Fn(&DemandPairs) -> Option<f64>| {
                let values: Vec<_> = runs.iter().filter_map(|run| of(&run[place])).collect();
                (!values.is_empty()).then(|| confidence_interval(&values))
            };
            PairReplication {
                name: first[place].name.clone(),
                pairs: all(&|demand| demand.pairs as f64),
                rate_per_s: told(&|demand| demand.rate_per_s),
                fidelity: told(&|demand| Some(demand.fidelity.as_ref()?.mean)),
                timed_out: all(&|demand| demand.timed_out as f64),
            }
        })
        .collect()
}

/// A two-hundredth of the run, or less where the links would make it long to wait for or the demands would make
/// much to tell.
fn slice_of(network: &Network, duration: Duration) -> Duration {
    let clicks: f64 = network
        .links
        .iter()
        .filter_map(|link| crate::expect::honest_model(link).ok().map(|model| (link, model)))
        .map(|(link, model)| {
            let cost = match link.detail {
                Detail::Bits => model.click_rate().per_second(),
                Detail::Blocks => {
                    let sifted = model.sifted_rate(bellwether_physics::Basis::Key).per_second();
                    CLICKS_A_BLOCK * sifted / link.protocol.block_size.bits() as f64
                }
            };
            cost * link.transmitter.duty_cycle
        })
        .sum();
    let by_parts = duration / SLICES;
    let by_work = Duration::from_seconds(CLICKS_IN_A_SLICE / clicks).unwrap_or(Duration::MAX);
    let keys: f64 = network.demands.iter().map(|demand| demand.rate.per_second()).sum();
    let by_keys = Duration::from_seconds(KEYS_IN_A_SLICE / keys).unwrap_or(Duration::MAX);
    by_parts.min(by_work).min(by_keys).max(Duration::from_milliseconds(1)).min(duration)
}

/// Lets every link happen up to `now`, and gives what they said in order of (time, link, the link's order).
fn advance_links(
    links: &mut [LinkProcess],
    now: Time,
    threads: usize,
) -> Result<Vec<(LinkId, LinkRecord)>, RunError> {
    let advance = |first: usize, links: &mut [LinkProcess]| -> Result<Vec<(LinkId, LinkRecord)>, RunError> {
        let mut said = Vec::new();
        let mut out = Vec::new();
        for (place, link) in links.iter_mut().enumerate() {
            link.advance(now, &mut out)?;
            said.extend(out.drain(..).map(|record| (LinkId((first + place) as u32), record)));
        }
        Ok(said)
    };
    let threads = threads.clamp(1, links.len().max(1));
    let mut said = if threads == 1 {
        advance(0, links)?
    } else {
        let share = links.len().div_ceil(threads);
        let parts: Vec<Result<_, _>> = std::thread::scope(|scope| {
            let workers: Vec<_> = links
                .chunks_mut(share)
                .enumerate()
                .map(|(n, part)| scope.spawn(move || advance(n * share, part)))
                .collect();
            workers
                .into_iter()
                .map(|worker| match worker.join() {
                    Ok(part) => part,
                    Err(panic) => std::panic::resume_unwind(panic),
                })
                .collect()
        });
        let mut all = Vec::new();
        for part in parts {
            all.extend(part?);
        }
        all
    };
    // Stable: what one link says at one instant keeps its order.
    said.sort_by_key(|(link, record)| (record.at, *link));
    Ok(said)
}
