//! A link, and what is published of it.

use crate::{Detail, Fibre, ProtocolSettings, Receiver, Transmitter};
use bellwether_units::{Duration, Loss, NodeId, Rate};
use std::path::PathBuf;

/// A quantum channel from a transmitter to a receiver with the classical channel beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// The link's name, unique in the network.
    pub name: String,
    /// The node that has the transmitter.
    pub transmitter_at: NodeId,
    /// The node that has the receiver; another one.
    pub receiver_at: NodeId,
    /// The fibre between them.
    pub fibre: Fibre,
    /// What sends.
    pub transmitter: Transmitter,
    /// What receives.
    pub receiver: Receiver,
    /// How key is made of the clicks.
    pub protocol: ProtocolSettings,
    /// What stands in for its devices when the network runs live; `None`: emulated light. A simulation takes no
    /// notice of it.
    pub recording: Option<Box<Recording>>,
    /// How closely the link is simulated.
    pub detail: Detail,
    /// How long a classical message takes from one end to the other.
    pub message_delay: Duration,
    /// What is published of it, to be set beside what is simulated.
    pub published: Option<Published>,
    /// Anything worth saying, such as what the link stands in for.
    pub note: String,
}

/// The two detection files of a recording, as the network file names them: a path that is not absolute is found from
/// that file's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// What was prepared; played by the node that has the transmitter.
    pub transmitter: PathBuf,
    /// What was detected; played by the node that has the receiver.
    pub receiver: PathBuf,
}

/// What is published of a link.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Published {
    /// The secret key rate.
    pub secret_rate: Option<Rate>,
    /// The sifted key rate.
    pub sifted_rate: Option<Rate>,
    /// The quantum bit error rate.
    pub qber: Option<f64>,
    /// Where that stands.
    pub source: String,
    /// How sure the figures are.
    pub evidence: Evidence,
    /// The one parameter of the link that was chosen to meet a published figure, if any.
    pub fitted: Option<Fitted>,
}

/// How sure a figure is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Evidence {
    /// It stands in the source.
    Published,
    /// It was told from memory of the source and not looked up again: never to be shown as published.
    #[default]
    FromMemory,
    /// It was made up to complete the picture.
    Reconstructed,
}

/// A parameter that was chosen to meet a published figure. That figure is then no check of the simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fitted {
    /// Which one, by its path within the link: `fibre.misalignment`.
    pub parameter: String,
    /// To meet what, and why.
    pub reason: String,
}

impl Link {
    /// All loss from the transmitter's output to the detectors' input: the fibre's and the receiver's.
    pub fn loss_to_detectors(&self) -> Loss {
        self.fibre.loss() + self.receiver.internal_loss
    }

    /// How many pulses are sent in a second, bursts averaged.
    pub fn mean_pulse_rate(&self) -> f64 {
        self.transmitter.clock.hertz() * self.transmitter.duty_cycle
    }

    /// How long the detectors listen at each pulse: the gate, or the period of the clock.
    pub fn gate(&self) -> Duration {
        let period = libm::round(self.transmitter.clock.period_picoseconds()) as u64;
        self.receiver.detector.gate.unwrap_or(Duration::from_picoseconds(period))
    }

    /// The probability that a given detector clicks in the dark at a given pulse: 1 - exp(-rate * gate).
    pub fn dark_count_probability(&self) -> f64 {
        -libm::expm1(-self.receiver.detector.dark_count_rate.per_second() * self.gate().seconds())
    }
}
