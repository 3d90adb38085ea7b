//! The record of an event.

use super::quantities::{CURRENT, DURATION, LOSS};
use super::{Field, Kind, Only, Range, Record, words};
use crate::record::Choice;
use crate::{Attack, EavesdropperBasis, EventKind, LinkEvent, NodeEvent, Tampering};

/// What an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventWord {
    Attack,
    Cut,
    Repair,
    LossStep,
    Misalignment,
    ClockOffset,
    MessageLoss,
    MessageDelay,
    MessageDuplication,
    MessageReordering,
    NodeCrash,
    NodeRestart,
}

words! { pub(crate) EventWord {
    "attack" => Attack: "an eavesdropper is at work on a link; `attack` says how",
    "cut" => Cut: "a link's fibre is cut: no light and no message passes",
    "repair" => Repair: "all cuts and loss steps of a link so far are mended",
    "loss-step" => LossStep: "a link's fibre loses `loss` more",
    "misalignment" => Misalignment: "a link's misalignment goes to `value`",
    "clock-offset" => ClockOffset: "the receiver's clock is off by `offset`",
    "message-loss" => MessageLoss: "classical messages of a link get lost",
    "message-delay" => MessageDelay: "classical messages of a link take longer",
    "message-duplication" => MessageDuplication: "classical messages of a link arrive twice",
    "message-reordering" => MessageReordering: "classical messages of a link overtake one another",
    "node-crash" => NodeCrash: "a node stops and loses whatever is not durable",
    "node-restart" => NodeRestart: "a node starts again from what is durable",
} }

/// What an eavesdropper does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttackWord {
    InterceptResend,
    PhotonNumberSplitting,
    BeamSplitting,
    Blinding,
    ManInTheMiddle,
}

words! { pub(crate) AttackWord {
    "intercept-resend" => InterceptResend: "measures pulses and sends on what she saw",
    "photon-number-splitting" => PhotonNumberSplitting:
        "keeps one photon of several, blocks single ones, and sends the rest over a line without loss",
    "beam-splitting" => BeamSplitting: "keeps the light that the fibre would have lost",
    "blinding" => Blinding: "blinds the detectors and makes them click as she measured",
    "man-in-the-middle" => ManInTheMiddle: "changes messages on the classical channel",
} }

words! { pub EavesdropperBasis {
    "random" => Random: "the key or the check basis, each half the time",
    "key" => Key: "always the key basis",
    "check" => Check: "always the check basis",
    "breidbart" => Breidbart: "the basis half way between the two",
} }

words! { pub Tampering {
    "modify" => Modify: "changes a bit of a message",
    "replay" => Replay: "sends an earlier message in its place",
    "forge" => Forge: "sends a message of her own in its place",
} }

impl EventKind {
    /// The `kind` of the event as it stands in network files and reports.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Link(_, event) | Self::EntanglingLink(_, event) => event.name(),
            Self::Node(_, NodeEvent::Crash) => EventWord::NodeCrash.name(),
            Self::Node(_, NodeEvent::Restart) => EventWord::NodeRestart.name(),
        }
    }
}

impl LinkEvent {
    /// The `kind` of the event as it stands in network files and reports.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Attack(_) => EventWord::Attack.name(),
            Self::Cut => EventWord::Cut.name(),
            Self::Repair => EventWord::Repair.name(),
            Self::LossStep { .. } => EventWord::LossStep.name(),
            Self::Misalignment { .. } => EventWord::Misalignment.name(),
            Self::ClockOffset { .. } => EventWord::ClockOffset.name(),
            Self::MessageLoss { .. } => EventWord::MessageLoss.name(),
            Self::MessageDelay { .. } => EventWord::MessageDelay.name(),
            Self::MessageDuplication { .. } => EventWord::MessageDuplication.name(),
            Self::MessageReordering { .. } => EventWord::MessageReordering.name(),
        }
    }
}

impl Attack {
    /// The `attack` of the event as it stands in network files and reports.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::InterceptResend { .. } => AttackWord::InterceptResend.name(),
            Self::PhotonNumberSplitting { .. } => AttackWord::PhotonNumberSplitting.name(),
            Self::BeamSplitting => AttackWord::BeamSplitting.name(),
            Self::Blinding { .. } => AttackWord::Blinding.name(),
            Self::ManInTheMiddle { .. } => AttackWord::ManInTheMiddle.name(),
        }
    }
}

/// The kinds of event that happen to a link.
const LINK_KINDS: &[&str] = &[
    "attack",
    "cut",
    "repair",
    "loss-step",
    "misalignment",
    "clock-offset",
    "message-loss",
    "message-delay",
    "message-duplication",
    "message-reordering",
];
/// The kinds of event that can be undone.
const LASTING_KINDS: &[&str] = &[
    "attack",
    "cut",
    "loss-step",
    "misalignment",
    "clock-offset",
    "message-loss",
    "message-delay",
    "message-duplication",
    "message-reordering",
    "node-crash",
];
const ATTACK: Only = Only { key: "kind", values: &["attack"] };

/// An event.
pub(crate) static EVENT: Record = Record {
    name: "event",
    doc: "Something that happens to a link or a node.",
    layered: false,
    fields: &[
        Field::required("at", Kind::Quantity(&DURATION), "When it begins, since the start of the run."),
        Field::optional("until", Kind::Quantity(&DURATION), "When it is undone. Without it, it stays.")
            .only(&[Only { key: "kind", values: LASTING_KINDS }]),
        Field::required("kind", Kind::Choice(EventWord::WORDS), "What happens."),
        Field::required("link", Kind::Name, "The link it happens to.")
            .only(&[Only { key: "kind", values: LINK_KINDS }]),
        Field::required("node", Kind::Name, "The node it happens to.")
            .only(&[Only { key: "kind", values: &["node-crash", "node-restart"] }]),
        Field::required("attack", Kind::Choice(AttackWord::WORDS), "What the eavesdropper does.")
            .only(&[ATTACK]),
        Field::default(
            "fraction",
            Kind::Number(Range { what: "a fraction of pulses", example: "0.3", ..Range::PROBABILITY }),
            "1",
            "The fraction of pulses she attacks.",
        )
        .only(&[ATTACK, Only { key: "attack", values: &["intercept-resend", "photon-number-splitting"] }]),
        Field::default(
            "basis",
            Kind::Choice(EavesdropperBasis::WORDS),
            "random",
            "The basis in which she measures.",
        )
        .only(&[ATTACK, Only { key: "attack", values: &["intercept-resend"] }]),
        Field::default(
            "bias_current",
            Kind::Quantity(&CURRENT),
            "1 mA",
            "The current that the bright light drives through the detectors' bias.",
        )
        .only(&[ATTACK, Only { key: "attack", values: &["blinding"] }]),
        Field::default("tampering", Kind::Choice(Tampering::WORDS), "modify", "What she does to a message.")
            .only(&[ATTACK, Only { key: "attack", values: &["man-in-the-middle"] }]),
        Field::default(
            "probability",
            Kind::Number(Range::PROBABILITY),
            "1",
            "The probability that it happens to a given message.",
        )
        .only(&[
            Only {
                key: "kind",
                values: &["attack", "message-loss", "message-duplication", "message-reordering"],
            },
            Only { key: "attack", values: &["man-in-the-middle"] },
        ]),
        Field::required("loss", Kind::Quantity(&LOSS), "The loss added.")
            .only(&[Only { key: "kind", values: &["loss-step"] }]),
        Field::required("value", Kind::Number(Range::ERROR), "The new misalignment.")
            .only(&[Only { key: "kind", values: &["misalignment"] }]),
        Field::default(
            "over",
            Kind::Quantity(&DURATION),
            "0 s",
            "The time in which the misalignment goes there, evenly; zero for a step.",
        )
        .only(&[Only { key: "kind", values: &["misalignment"] }]),
        Field::required("offset", Kind::Quantity(&DURATION), "By how much the clock is off.")
            .only(&[Only { key: "kind", values: &["clock-offset"] }]),
        Field::required("delay", Kind::Quantity(&DURATION), "How much longer each message takes.")
            .only(&[Only { key: "kind", values: &["message-delay"] }]),
        Field::default("jitter", Kind::Quantity(&DURATION), "0 s", "By up to how much more, each by chance.")
            .only(&[Only { key: "kind", values: &["message-delay"] }]),
        Field::default("note", Kind::Text, "", "Anything worth saying."),
    ],
};
