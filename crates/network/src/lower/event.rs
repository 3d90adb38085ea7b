//! Events.

use super::demand::time;
use super::{AnyLink, Names};
use crate::reader::Reader;
use crate::record::events::{AttackWord, EVENT, EventWord};
use crate::sink::Sink;
use crate::{Attack, Event, EventKind, LinkEvent, NodeEvent, Problem};
use bellwether_units::NodeId;
use toml::Spanned;

/// Reads the file's events, and puts them in the order of time.
pub(super) fn events(
    file: &Reader<'_, '_, '_>,
    nodes: &Names<'_, NodeId>,
    links: &Names<'_, AnyLink>,
    sink: &mut Sink<'_>,
) -> Vec<Event> {
    let readers = file.list("event", &EVENT, sink);
    let mut events: Vec<Event> =
        readers.iter().filter_map(|reader| event(reader, nodes, links, sink)).collect();
    // The sort is stable: events at one instant keep the order of the file.
    events.sort_by_key(|event| event.at);
    events
}

fn event(
    reader: &Reader<'_, '_, '_>,
    nodes: &Names<'_, NodeId>,
    links: &Names<'_, AnyLink>,
    sink: &mut Sink<'_>,
) -> Option<Event> {
    reader.check(sink);
    let at = reader.quantity("at", sink).map(time);
    let until = reader.quantity("until", sink).map(time);
    if let (Some(at), Some(until), Some(value)) = (at, until, reader.value("until"))
        && until <= at
    {
        let problem =
            Problem::Condition { what: "`until`".to_owned(), condition: format!("must be later than {at}") };
        reader.tell(sink, value.span(), "until", problem);
    }
    let note = reader.text("note", sink);
    let word: EventWord = reader.choice("kind", sink)?;
    let kind = match word {
        EventWord::NodeCrash | EventWord::NodeRestart => {
            let node = reader.reference("node", "node", nodes, sink)?;
            let crash = word == EventWord::NodeCrash;
            EventKind::Node(node, if crash { NodeEvent::Crash } else { NodeEvent::Restart })
        }
        _ => {
            let link = reader.reference("link", "link", links, sink);
            let what = link_event(reader, word, sink);
            match (link?, what?) {
                (AnyLink::Key(link), what) => EventKind::Link(link, what),
                (AnyLink::Entangling(link), what) if happens_to_entangling(&what) => {
                    EventKind::EntanglingLink(link, what)
                }
                (AnyLink::Entangling(_), what) => {
                    let condition =
                        "is for links that make key, and this link entangles: \"cut\", \"repair\" and \
                                     \"message-loss\" are for both"
                            .to_owned();
                    let span = reader.value("link").map_or(0..0, Spanned::span);
                    let problem = Problem::Condition { what: format!("\"{}\"", what.name()), condition };
                    reader.tell(sink, span, "link", problem);
                    return None;
                }
            }
        }
    };
    Some(Event { at: at?, until, kind, note: note? })
}

/// Whether an entangling link can be what it happens to.
fn happens_to_entangling(what: &LinkEvent) -> bool {
    matches!(what, LinkEvent::Cut | LinkEvent::Repair | LinkEvent::MessageLoss { .. })
}

fn link_event(reader: &Reader<'_, '_, '_>, word: EventWord, sink: &mut Sink<'_>) -> Option<LinkEvent> {
    Some(match word {
        EventWord::Attack => LinkEvent::Attack(attack(reader, sink)?),
        EventWord::Cut => LinkEvent::Cut,
        EventWord::Repair => LinkEvent::Repair,
        EventWord::LossStep => LinkEvent::LossStep { loss: reader.quantity("loss", sink)? },
        EventWord::Misalignment => {
            let value = reader.number("value", sink);
            let over = reader.quantity("over", sink);
            LinkEvent::Misalignment { value: value?, over: over? }
        }
        EventWord::ClockOffset => LinkEvent::ClockOffset { offset: reader.quantity("offset", sink)? },
        EventWord::MessageLoss => LinkEvent::MessageLoss { probability: reader.number("probability", sink)? },
        EventWord::MessageDelay => {
            let delay = reader.quantity("delay", sink);
            let jitter = reader.quantity("jitter", sink);
            LinkEvent::MessageDelay { delay: delay?, jitter: jitter? }
        }
        EventWord::MessageDuplication => {
            LinkEvent::MessageDuplication { probability: reader.number("probability", sink)? }
        }
        EventWord::MessageReordering => {
            LinkEvent::MessageReordering { probability: reader.number("probability", sink)? }
        }
        EventWord::NodeCrash | EventWord::NodeRestart => return None,
    })
}

fn attack(reader: &Reader<'_, '_, '_>, sink: &mut Sink<'_>) -> Option<Attack> {
    Some(match reader.choice::<AttackWord>("attack", sink)? {
        AttackWord::InterceptResend => {
            let fraction = reader.number("fraction", sink);
            let basis = reader.choice("basis", sink);
            Attack::InterceptResend { fraction: fraction?, basis: basis? }
        }
        AttackWord::PhotonNumberSplitting => {
            Attack::PhotonNumberSplitting { fraction: reader.number("fraction", sink)? }
        }
        AttackWord::BeamSplitting => Attack::BeamSplitting,
        AttackWord::Blinding => Attack::Blinding { bias_current: reader.quantity("bias_current", sink)? },
        AttackWord::ManInTheMiddle => {
            let tampering = reader.choice("tampering", sink);
            let probability = reader.number("probability", sink);
            Attack::ManInTheMiddle { tampering: tampering?, probability: probability? }
        }
    })
}
