//! What happens to a network at a given time.

use bellwether_units::{Current, Duration, LinkId, Loss, NodeId, Time};

/// Something that happens to a link or a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When it begins.
    pub at: Time,
    /// When it is undone: the attack stops, the cut is mended, the node restarts. `None`: it stays. Later
    /// than `at`.
    pub until: Option<Time>,
    /// What happens to whom.
    pub kind: EventKind,
    /// Anything worth saying.
    pub note: String,
}

/// What happens to whom.
#[derive(Clone, Debug, PartialEq)]
pub enum EventKind {
    /// Something happens to a link that makes key.
    Link(LinkId, LinkEvent),
    /// Something happens to an entangling link: a cut, a repair, or a loss of messages.
    EntanglingLink(LinkId, LinkEvent),
    /// Something happens to a node.
    Node(NodeId, NodeEvent),
}

/// What happens to a link.
#[derive(Clone, Debug, PartialEq)]
pub enum LinkEvent {
    /// An eavesdropper is at work.
    Attack(Attack),
    /// The fibre is cut: no light and no message passes.
    Cut,
    /// All cuts and loss steps so far are mended.
    Repair,
    /// The fibre loses so much more.
    LossStep {
        /// The loss added.
        loss: Loss,
    },
    /// The misalignment goes to another value.
    Misalignment {
        /// The new [`Fibre::misalignment`](crate::Fibre::misalignment): 0 to 0.5.
        value: f64,
        /// The time in which it goes there, evenly; zero for a step.
        over: Duration,
    },
    /// The receiver's clock is off, so that the gate misses part of the pulse.
    ClockOffset {
        /// By how much, early or late.
        offset: Duration,
    },
    /// Classical messages get lost.
    MessageLoss {
        /// The probability for each: 0 to 1.
        probability: f64,
    },
    /// Classical messages take longer.
    MessageDelay {
        /// By so much, each.
        delay: Duration,
        /// And by up to so much more, each by chance.
        jitter: Duration,
    },
    /// Classical messages arrive twice.
    MessageDuplication {
        /// The probability for each: 0 to 1.
        probability: f64,
    },
    /// Classical messages overtake one another.
    MessageReordering {
        /// The probability that a message is held back until after the next: 0 to 1.
        probability: f64,
    },
}

/// What happens to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeEvent {
    /// It stops and loses whatever is not durable.
    Crash,
    /// It starts again from what is durable.
    Restart,
}

/// What an eavesdropper does on a link.
#[derive(Clone, Debug, PartialEq)]
pub enum Attack {
    /// Measures pulses and sends on what she saw.
    InterceptResend {
        /// The fraction of pulses she measures: 0 to 1.
        fraction: f64,
        /// In which basis.
        basis: EavesdropperBasis,
    },
    /// Counts the photons of each pulse, keeps one of several, blocks single ones, and sends the rest over a
    /// line without loss, so that the receiver counts as many clicks as before.
    PhotonNumberSplitting {
        /// The fraction of pulses she treats so: 0 to 1.
        fraction: f64,
    },
    /// Puts a line without loss in the fibre's place and keeps the light that it would have lost.
    BeamSplitting,
    /// Blinds the detectors with bright light and makes them click as she measured.
    Blinding {
        /// The current that the bright light drives through the detectors' bias.
        bias_current: Current,
    },
    /// Sits in the classical channel.
    ManInTheMiddle {
        /// What she does to a message.
        tampering: Tampering,
        /// The probability that she does it to a given message: 0 to 1.
        probability: f64,
    },
}

/// The basis in which an eavesdropper measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EavesdropperBasis {
    /// The key or the check basis, each half the time.
    #[default]
    Random,
    /// Always the key basis.
    Key,
    /// Always the check basis.
    Check,
    /// The basis half way between the two (Breidbart).
    Breidbart,
}

/// What a man in the middle does to a classical message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tampering {
    /// Changes a bit of it.
    Modify,
    /// Sends an earlier message in its place.
    Replay,
    /// Sends a message of her own in its place.
    Forge,
}
