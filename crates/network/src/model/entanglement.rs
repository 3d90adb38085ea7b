//! Links that entangle memories, circuits over them, and who wants pairs.

use crate::{Evidence, Fibre, Fitted};
use bellwether_units::{Angle, Duration, Frequency, Length, LinkId, Loss, NodeId, Rate, Time};
use std::sync::Arc;

/// A link that entangles a memory at one end with one at the other.
#[derive(Clone, Debug, PartialEq)]
pub struct EntanglingLink {
    /// The link's name, unique in the network, over links of either kind.
    pub name: String,
    /// The nodes that it joins, two different ones; the first numbers requests.
    pub ends: [NodeId; 2],
    /// How many qubits each end gives to this link: 1 to 4096.
    pub memories: [u16; 2],
    /// Which qubits of each end make the link's pairs and keep them.
    pub qubits: [QubitUse; 2],
    /// The whole way from one end to the other. What it loses is shared among the arms as its length is.
    pub fibre: Fibre,
    /// Where the photons meet, and what they meet there.
    pub station: Station,
    /// How an attempt entangles. Links made from one template share it.
    pub scheme: Arc<Scheme>,
    /// From one attempt of a qubit to its next, above zero. `None`: as geometry, preparation and processing give, or one
    /// period of a pair source's clock.
    pub cycle: Option<Duration>,
    /// What an attempt needs before its photons leave. `None`: the longer attempt time of the ends' platforms.
    pub preparation: Option<Duration>,
    /// What an attempt needs after its last photon has come.
    pub processing: Duration,
    /// How long a classical message takes from one end to the other.
    pub message_delay: Duration,
    /// When the ends can attempt at all. `None`: always.
    pub availability: Option<Box<Availability>>,
    /// The share of pairs that is measured to estimate the rest: 0 or more, below 1.
    pub test_share: f64,
    /// What is published of it, to be set beside what is simulated.
    pub published: Option<Box<PublishedPairs>>,
    /// Anything worth saying.
    pub note: String,
}

/// Which qubits of a node make and keep a link's pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QubitUse {
    /// Communication qubits of the link's own, as many as it has memories.
    #[default]
    Own,
    /// The node's one communication qubit makes a pair and keeps it: other links that use it wait meanwhile.
    Communication,
    /// The node's one communication qubit makes a pair, which is moved to a storage qubit at the herald.
    Storage,
}

/// Where the photons of a link meet, and what they meet there. What is `None` here, the ends' platforms tell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Station {
    /// Where it stands, as a share of the fibre's length from the first end: 0 is in the first end, 1 in the second.
    pub at: f64,
    /// How often a detector clicks in the dark. With the window it takes the place of a platform's dark probability.
    pub dark_count_rate: Option<Rate>,
    /// How long detectors listen in an attempt.
    pub window: Option<Duration>,
    /// The probability that a detector clicks in the dark within the window of an attempt.
    pub dark_probability: Option<f64>,
    /// The visibility of two-photon interference; of a pair source, that of its pairs, 1 if `None`.
    pub visibility: Option<f64>,
    /// The standard deviation of the optical phase between the ends. Matters to single clicks alone.
    pub phase: Option<Angle>,
    /// The probability that an attempt excites an emitter twice. Matters to single clicks alone.
    pub double_excitation: Option<f64>,
    /// What is left of the coherence after everything that is not modelled.
    pub unmodelled_coherence: f64,
    /// What the probability of a click is multiplied by beside what the platforms tell.
    pub detector_efficiency: f64,
}

/// How an attempt entangles.
#[derive(Clone, Debug, PartialEq)]
pub enum Scheme {
    /// One photon, of either end.
    SingleClick {
        /// The probabilities of the bright state on offer, of the brighter end; the other's balances the arms. At least
        /// one, in the order of the file.
        brightness: Vec<f64>,
        /// Whether the detectors see two photons as such, and do not herald then.
        counts_photons: bool,
    },
    /// Two photons, one of each end.
    DoubleClick,
    /// A source of photon pairs at the station, each half caught by a memory.
    PairSource {
        /// The mean number of pairs in a pulse: above 0.
        mean_pairs: f64,
        /// How many pulses it gives in a second.
        clock: Frequency,
        /// The probability that each end's memory catches a photon that reaches it, and says so.
        absorption: [f64; 2],
    },
    /// A pulse that is reflected from the first end and then from the second, where it is measured. There is no station.
    Reflection {
        /// The mean number of photons in the pulse that meets the first end: above 0.
        mean_photons: f64,
        /// What each end passes on of a photon that meets it; the second's with its detectors.
        reflectance: [f64; 2],
        /// What imperfect reflection leaves of the pair's coherence.
        contrast: f64,
    },
    /// Ensembles that write photon and spin wave together, as the ends' platforms tell.
    Ensemble,
    /// Nothing of hardware: what a herald comes to is stated.
    Stated {
        /// The probability that an attempt is heralded: above 0.
        success: f64,
        /// What the memories hold then.
        pair: StatedPair,
    },
}

/// A pair that is stated outright.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StatedPair {
    /// A Werner state of this fidelity to Phi+: 0.25 to 1.
    Werner(f64),
    /// The probabilities of Phi+, Phi-, Psi+ and Psi-, which sum to one.
    BellDiagonal([f64; 4]),
}

/// When the ends of a link can attempt at all.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Availability {
    /// A check before each block of attempts.
    pub charge_check: Option<ChargeCheck>,
    /// Times at which nothing else is done.
    pub calibration: Option<Calibration>,
}

/// A check that an emitter is in the right charge state and on resonance, repeated until it passes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChargeCheck {
    /// The probability that it passes: above 0.
    pub pass: f64,
    /// How long one takes; above zero.
    pub time: Duration,
    /// After how long a block of attempts the next is due; above zero.
    pub every: Duration,
}

/// Calibration: at the beginning of every period but the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calibration {
    /// From one to the next.
    pub period: Duration,
    /// How long one takes: above zero, below the period.
    pub length: Duration,
}

/// What is published of pairs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PublishedPairs {
    /// How many pairs a second.
    pub rate: Option<Rate>,
    /// The rate's standard deviation.
    pub rate_deviation: Option<Rate>,
    /// Their fidelity.
    pub fidelity: Option<f64>,
    /// The fidelity's standard deviation.
    pub fidelity_deviation: Option<f64>,
    /// Where that stands.
    pub source: String,
    /// How sure the figures are.
    pub evidence: Evidence,
    /// The one parameter of the link that was chosen to meet a published figure, if any.
    pub fitted: Option<Fitted>,
}

/// A way over entangling links along which pairs are swapped together.
#[derive(Clone, Debug, PartialEq)]
pub struct Circuit {
    /// The circuit's name, unique in the network.
    pub name: String,
    /// Its head, where pairs are asked for.
    pub from: NodeId,
    /// Its tail; another node.
    pub to: NodeId,
    /// The entangling links from head to tail; no node is passed twice. `None`: it is routed.
    pub path: Option<Vec<LinkId>>,
    /// How old a half may become between the ends before it is given up.
    pub cutoff: Cutoff,
    /// The least fidelity that its links are to promise: 0.5 to 1. `None`: as planned.
    pub link_fidelity: Option<f64>,
    /// Its share of each link, relative to other circuits: 1 or more.
    pub weight: u16,
    /// Which of several waiting pairs is swapped first.
    pub choice: WaitingPair,
    /// By which rounds the pairs of each link are purified before they are swapped, in this order.
    pub purification: Vec<PurificationRound>,
    /// Anything worth saying.
    pub note: String,
}

/// How old a half of a pair may become between the ends of a circuit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cutoff {
    /// As is planned from the links and memories.
    #[default]
    Planned,
    /// As old as it likes.
    Never,
    /// So old; above zero.
    After(Duration),
}

/// Which of several waiting pairs is swapped first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WaitingPair {
    /// The oldest: none is wasted.
    #[default]
    Oldest,
    /// The youngest: of the best fidelity.
    Youngest,
}

/// What is done to two pairs before they are compared and one is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PurificationRound {
    /// Nothing: bit errors show (Bennett et al., Phys. Rev. Lett. 76, 722 (1996), without its twirl).
    Bbpssw,
    /// Rotations, so that the next round finds the kept pair's phase errors (Deutsch et al., Phys. Rev. Lett. 77, 2818
    /// (1996)).
    Dejmps,
    /// Hadamards before and after: phase errors show.
    Phase,
}

/// A wish for pairs that two nodes share.
#[derive(Clone, Debug, PartialEq)]
pub struct PairDemand {
    /// The demand's name, unique among these.
    pub name: String,
    /// The node that asks.
    pub from: NodeId,
    /// The node it wants to share pairs with: another, and reachable over entangling links.
    pub to: NodeId,
    /// The least fidelity of use: 0.5 to 1.
    pub fidelity: f64,
    /// How many pairs are asked for in all. `None`: without end.
    pub pairs: Option<u64>,
    /// How many pairs are asked for in a second, at regular times; above zero. `None`: all at once.
    pub rate: Option<Rate>,
    /// What becomes of a pair.
    pub kind: PairUse,
    /// When the first pair is asked for.
    pub start: Time,
    /// How long after asking a pair is still of use; above zero. `None`: always.
    pub within: Option<Duration>,
    /// The circuit that serves it, by its place in [`Network::circuits`](crate::Network::circuits); its ends are those of
    /// the demand. `None`: one is made for it.
    pub circuit: Option<u32>,
    /// How long an application keeps a pair before it gives the memory back.
    pub hold: Duration,
    /// What is published of it, to be set beside what is simulated.
    pub published: Option<Box<PublishedPairs>>,
    /// Anything worth saying.
    pub note: String,
}

/// What becomes of a pair that was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PairUse {
    /// It is kept until both ends know of it.
    #[default]
    Keep,
    /// Each half is measured as soon as it is there.
    Measure,
    /// The head's half is handed out before the tail has confirmed it, and may be taken back.
    Early,
}

impl EntanglingLink {
    /// The lengths of the ways from the ends to the station.
    pub fn arm_lengths(&self) -> [Length; 2] {
        self.shares().map(|share| Length::from_kilometres(self.fibre.length.kilometres() * share))
    }

    /// What is lost on the ways from the ends to the station.
    pub fn arm_losses(&self) -> [Loss; 2] {
        self.shares().map(|share| Loss::from_decibels(self.fibre.loss().decibels() * share))
    }

    /// How long light takes from the ends to the station.
    pub fn arm_delays(&self) -> [Duration; 2] {
        let whole = self.fibre.delay().picoseconds();
        let first = libm::round(whole as f64 * self.station.at) as u64;
        [first, whole.saturating_sub(first)].map(Duration::from_picoseconds)
    }

    /// The ways from the ends to the station as fibres of their own, with all else as that of the whole.
    pub fn arms(&self) -> [Fibre; 2] {
        self.shares().map(|share| self.fibre.share(share))
    }

    fn shares(&self) -> [f64; 2] {
        [self.station.at, 1.0 - self.station.at]
    }
}
