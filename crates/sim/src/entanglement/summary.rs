//! What a run found of entanglement, as part of the record that `summary.json` holds.

use serde::Serialize;

/// All that a run found of entanglement.
#[derive(Clone, Debug, Default, Serialize)]
pub struct EntanglementSummary {
    /// The entangling links, in the order of the network file.
    pub links: Vec<LinkPairs>,
    /// Who wanted pairs, in the order of the network file.
    pub demands: Vec<DemandPairs>,
    /// The memories of nodes that circuits pass, in the order of the network file; left out beyond a thousand nodes.
    pub nodes: Vec<NodeMemories>,
    /// When memories were counted, in seconds, and how many of all held something.
    pub occupied: Vec<(f64, u64)>,
    /// In how many parts that have nothing to do with each other the network fell.
    pub parts: usize,
    /// What machines of nodes were told.
    pub machine_inputs: u64,
    /// Messages between nodes.
    pub messages: u64,
    /// Swaps.
    pub swaps: u64,
    /// Events of the kernel.
    pub events: u64,
    /// What had to be assumed, for want of figures.
    pub assumptions: Vec<String>,
}

/// An entangling link and its pairs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LinkPairs {
    /// Its name.
    pub name: String,
    /// The nodes that it joins.
    pub ends: [String; 2],
    /// The fibre's length.
    pub length_km: f64,
    /// How many memories each end gives to it.
    pub memories: [u16; 2],
    /// From one attempt to the next.
    pub cycle_s: f64,
    /// The ways to run it, the brightest first.
    pub levels: Vec<LinkLevel>,
    /// Pairs that it made.
    pub pairs: u64,
    /// Attempts that this took.
    pub attempts: u64,
    /// Pairs a second of simulated time.
    pub rate_per_s: f64,
    /// Published figures, where the network file states them.
    pub published: Option<PublishedPairs>,
}

/// One way to run a link.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LinkLevel {
    /// How bright emitters shine: the probability of the bright state, where that can be chosen.
    pub brightness: f64,
    /// The probability that an attempt is heralded.
    pub success: f64,
    /// The fidelity of a new pair.
    pub fidelity: f64,
    /// Pairs a second while all memories do nothing but attempt, without what checks and calibration take.
    pub rate_per_s: f64,
}

/// Who wanted pairs, and what came of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DemandPairs {
    /// The demand's name.
    pub name: String,
    /// The node that asks.
    pub from: String,
    /// The node it shares pairs with.
    pub to: String,
    /// The fidelity that it wanted.
    pub wanted_fidelity: f64,
    /// Why it was refused, with the best that could be had.
    pub refused: Option<String>,
    /// How it is served.
    pub planned: Option<Planned>,
    /// Requests made.
    pub requests: u64,
    /// Requests that got all their pairs.
    pub completed: u64,
    /// Requests that ran out of time.
    pub timed_out: u64,
    /// Pairs that both ends used.
    pub pairs: u64,
    /// Pairs a second between the first and the last.
    pub rate_per_s: Option<f64>,
    /// The true fidelity of pairs to the Bell state that was told.
    pub fidelity: Option<Measured>,
    /// The fidelity that was claimed of them.
    pub claimed_fidelity: Option<Measured>,
    /// The fidelity that measured pairs show.
    pub measured_fidelity: Option<Measured>,
    /// From a request, or the pair before, to a pair.
    pub latency: Option<LatencySummary>,
    /// The mean age of a pair's oldest link pair at its delivery.
    pub age_s: Option<f64>,
    /// The mean time from a pair's youngest link pair to its delivery: swaps and messages.
    pub settling_s: Option<f64>,
    /// What fidelity was lost to.
    pub losses: Vec<Share>,
    /// Pairs of which the ends were told different Bell states.
    pub disagreements: u64,
    /// Pairs that were handed out and came to nothing.
    pub revoked: u64,
    /// Published figures, where the network file states them.
    pub published: Option<PublishedPairs>,
}

/// How a demand is served.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Planned {
    /// Its nodes.
    pub path: Vec<String>,
    /// Mean seconds a pair, by estimate, if links begin anew for each.
    pub seconds_per_pair: f64,
    /// The fidelity that is promised, by estimate.
    pub fidelity: f64,
    /// How old a half may become at a repeater.
    pub cutoff_s: Option<f64>,
}

/// A mean and how sure it is.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Measured {
    /// The mean.
    pub mean: f64,
    /// Its standard error; absent of fewer than two.
    pub standard_error: Option<f64>,
}

/// How long pairs took.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LatencySummary {
    /// On average.
    pub mean_s: f64,
    /// At most, half of them; to a quarter.
    pub median_s: f64,
    /// At most, nine of ten.
    pub p90_s: f64,
    /// At most, 99 of 100.
    pub p99_s: f64,
    /// The longest.
    pub longest_s: f64,
    /// Where each bin ends, and how many pairs it holds.
    pub bins: Vec<(f64, u64)>,
}

/// What one source took of the fidelity.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Share {
    /// Which source.
    pub source: String,
    /// The mean fall of ln w of a pair, w = (4F - 1)/3.
    pub loss_per_pair: f64,
    /// Its share of all falls.
    pub share: f64,
}

/// What a node's memories held.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NodeMemories {
    /// The node.
    pub name: String,
    /// How many memories it has.
    pub memories: u16,
    /// How many of them held something on average.
    pub mean_occupied: f64,
}

/// What is published of pairs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PublishedPairs {
    /// Pairs a second.
    pub rate_per_s: Option<f64>,
    /// Their fidelity.
    pub fidelity: Option<f64>,
    /// The fidelity's standard deviation.
    pub fidelity_deviation: Option<f64>,
    /// Where that stands.
    pub source: String,
    /// How sure it is.
    pub evidence: String,
    /// Which parameter was chosen to meet a figure, which is then no check.
    pub fitted: Option<String>,
}

impl PublishedPairs {
    /// From the network file.
    pub(super) fn of(published: &bellwether_network::PublishedPairs) -> Self {
        Self {
            rate_per_s: published.rate.map(|rate| rate.per_second()),
            fidelity: published.fidelity,
            fidelity_deviation: published.fidelity_deviation,
            source: published.source.clone(),
            evidence: published.evidence.name().to_owned(),
            fitted: published.fitted.as_ref().map(|fitted| fitted.parameter.clone()),
        }
    }
}
