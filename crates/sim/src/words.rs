//! What happens in a run, in words and as trace events.

use crate::link::BlockRecord;
use crate::trace::TraceEvent;
use bellwether_network::{
    Attack, EavesdropperBasis, Event, EventKind, LinkEvent, Network, NodeEvent, Role, Tampering,
};
use bellwether_protocol::hardware::Basis;

/// The name of the link or node that something happens to.
pub(crate) fn target(network: &Network, event: &Event) -> String {
    match &event.kind {
        EventKind::Link(id, _) => network.link(*id).name.clone(),
        EventKind::EntanglingLink(id, _) => network.entangling_link(*id).name.clone(),
        EventKind::Node(id, _) => network.node(*id).name.clone(),
    }
}

/// What happens, in words.
pub(crate) fn event(event: &Event) -> String {
    let percent = |p: f64| format!("{} %", (p * 1e6).round() / 1e4);
    match &event.kind {
        EventKind::Node(_, NodeEvent::Crash) => "the node crashes".into(),
        EventKind::Node(_, NodeEvent::Restart) => "the node restarts".into(),
        EventKind::Link(_, what) | EventKind::EntanglingLink(_, what) => match what {
            LinkEvent::Attack(attack) => self::attack(attack),
            LinkEvent::Cut => "the fibre is cut".into(),
            LinkEvent::Repair => "the fibre is repaired".into(),
            LinkEvent::LossStep { loss } => format!("the fibre loses {loss} more"),
            LinkEvent::Misalignment { value, over } if over.is_zero() => {
                format!("the misalignment steps to {}", percent(*value))
            }
            LinkEvent::Misalignment { value, over } => {
                format!("the misalignment goes to {} within {over}", percent(*value))
            }
            LinkEvent::ClockOffset { offset } => format!("the receiver's clock is off by {offset}"),
            LinkEvent::MessageLoss { probability } => {
                format!("{} of the messages get lost", percent(*probability))
            }
            LinkEvent::MessageDelay { delay, jitter } => {
                format!("messages take {delay} longer, and up to {jitter} more by chance")
            }
            LinkEvent::MessageDuplication { probability } => {
                format!("{} of the messages arrive twice", percent(*probability))
            }
            LinkEvent::MessageReordering { probability } => {
                format!("{} of the messages are overtaken by later ones", percent(*probability))
            }
        },
    }
}

fn attack(attack: &Attack) -> String {
    let percent = |p: f64| format!("{} %", (p * 1e6).round() / 1e4);
    match attack {
        Attack::InterceptResend { fraction, basis } => {
            let basis = match basis {
                EavesdropperBasis::Random => "either basis by chance",
                EavesdropperBasis::Key => "the key basis",
                EavesdropperBasis::Check => "the check basis",
                EavesdropperBasis::Breidbart => "the Breidbart basis",
            };
            format!("an eavesdropper intercepts and resends {} of the pulses in {basis}", percent(*fraction))
        }
        Attack::PhotonNumberSplitting { fraction } => {
            format!("an eavesdropper splits the photon numbers of {} of the pulses", percent(*fraction))
        }
        Attack::BeamSplitting => "an eavesdropper splits the beam before a line without loss".into(),
        Attack::Blinding { .. } => "an eavesdropper blinds the detectors and forces their clicks".into(),
        Attack::ManInTheMiddle { tampering, probability } => {
            let what = match tampering {
                Tampering::Modify => "changes",
                Tampering::Replay => "replays",
                Tampering::Forge => "forges",
            };
            format!("a man in the middle {what} {} of the messages", percent(*probability))
        }
    }
}

/// A block's end as a trace event.
pub(crate) fn block(link: &str, record: &BlockRecord) -> TraceEvent {
    let key = record.statistics.total(Basis::Key);
    let check = record.statistics.total(Basis::Check);
    match (&record.certificate, &record.discarded) {
        (Some(certificate), None) => TraceEvent::BlockDistilled {
            link: link.to_owned(),
            block: record.block.0,
            opened_ps: record.opened.picoseconds(),
            sifted_bits: key.sifted,
            errors: key.errors,
            check_bits: check.sifted,
            check_errors: check.errors,
            leaked_bits: record.leaked_bits,
            single_photon_bits: certificate.single_photons,
            phase_error: certificate.phase_error,
            secret_bits: certificate.key_bits - record.set_aside_bits,
        },
        (_, why) => TraceEvent::BlockDiscarded {
            link: link.to_owned(),
            block: record.block.0,
            sifted_bits: key.sifted,
            reason: why.as_ref().map_or_else(|| "unknown".to_owned(), |(_, text)| text.clone()),
        },
    }
}

/// A role as it stands in files and reports.
pub(crate) const fn role(role: Role) -> &'static str {
    match role {
        Role::TrustedNode => "trusted-node",
        Role::Repeater => "repeater",
        Role::EndNode => "end-node",
    }
}

/// What is emulated, and under which assumptions keys are secret and pairs are what they are told to be.
pub(crate) fn assumptions(network: &Network) -> Vec<String> {
    const OF_KEYS: [&str; 4] = [
        "The quantum channel is emulated: these keys are for study and test, never for use.",
        "Security bounds hold for devices that match their models: phase-randomised pulses, detection \
         independent of the basis, no side channels.",
        "Both ends share an authentication secret before the first block.",
        "Relay nodes are trusted with the keys that pass them.",
    ];
    const OF_PAIRS: [&str; 2] = [
        "Light, memories and gates of entangled pairs are emulated: they do what their models say with the \
         figures of the network file, and nothing drifts.",
        "Nodes tell each other the truth, and nobody else can speak in their name.",
    ];
    let keys = (!network.links.is_empty() || network.entangling_links.is_empty()).then_some(OF_KEYS);
    let pairs = (!network.entangling_links.is_empty()).then_some(OF_PAIRS);
    keys.iter().flatten().chain(pairs.iter().flatten()).map(|&text| text.to_owned()).collect()
}
