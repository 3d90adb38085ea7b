//! What stands in for the devices of a link when the network runs live.

use super::below;
use crate::reader::{Layer, Layers, Path, Reader};
use crate::record::Record;
use crate::record::devices::{HARDWARE, RECEIVER, TRANSMITTER};
use crate::sink::Sink;
use crate::{Problem, Recording};
use core::ops::Range;
use std::path::PathBuf;
use toml::Spanned;

/// The devices of a link, the transmitter first.
const DEVICES: [(&str, &Record); 2] = [("transmitter", &TRANSMITTER), ("receiver", &RECEIVER)];

/// The recording that stands in for a link's devices, if the link names one.
pub(super) fn recording(link: &Reader<'_, '_, '_>, sink: &mut Sink<'_>) -> Option<Recording> {
    let [transmitter, receiver] = DEVICES.map(|(key, record)| replay(link, key, record, sink));
    let lacking = |key| format!("the {key} of this link");
    let (span, key, problem) = match (transmitter, receiver) {
        (None, None) => return None,
        (Some((transmitter, _)), Some((receiver, span))) => {
            let (transmitter, receiver) = (PathBuf::from(transmitter), PathBuf::from(receiver));
            if transmitter != receiver {
                return Some(Recording { transmitter, receiver });
            }
            let condition = "must name another file than the transmitter: each end has its own".to_owned();
            (span, "receiver", Problem::Condition { what: lacking("receiver"), condition })
        }
        (Some((_, span)), None) => (span, "transmitter", half(lacking("receiver"))),
        (None, Some((_, span))) => (span, "receiver", half(lacking("transmitter"))),
    };
    let path = link.path.below(key);
    sink.tell(span, || path.of("hardware"), problem);
    None
}

fn half(what: String) -> Problem {
    let condition = "must name `hardware` as well: emulated light is not the light of a recording".to_owned();
    Problem::Condition { what, condition }
}

/// The file that is to be played in the place of one of a link's devices, and where that is said.
fn replay(
    link: &Reader<'_, '_, '_>,
    key: &'static str,
    record: &'static Record,
    sink: &mut Sink<'_>,
) -> Option<(String, Range<usize>)> {
    let own = Layer::of(link.value(key)?)?;
    let device = below(link, key, record, Layers::one(Some(own)));
    let span = device.value("hardware")?.span();
    let hardware = device.table("hardware", &HARDWARE, sink)?;
    hardware.check(sink);
    let file = hardware.text("replay", sink)?;
    if file.is_empty() {
        let span = hardware.value("replay").map_or_else(|| span.clone(), Spanned::span);
        let condition = "must name a file".to_owned();
        hardware.tell(sink, span, "replay", Problem::Condition { what: "`replay`".to_owned(), condition });
    }
    Some((file, span))
}

/// Refuses `hardware` in the devices of a table that speaks of many links.
pub(crate) fn refuse_in(table: &Reader<'_, '_, '_>, sink: &mut Sink<'_>) {
    for (key, _) in DEVICES {
        if let Some(device) = table.value(key).and_then(Layer::of) {
            refuse(device, &table.path.below(key), sink);
        }
    }
}

/// Refuses `hardware` in a device of many links.
pub(super) fn refuse(device: Layer<'_, '_>, path: &Path<'_>, sink: &mut Sink<'_>) {
    if let Some(value) = device.table.get("hardware") {
        let problem = Problem::Condition {
            what: "`hardware`".to_owned(),
            condition:
                "must stand in the `transmitter` and `receiver` of a link itself: a recording is of one link"
                    .to_owned(),
        };
        sink.tell(value.span(), || path.of("hardware"), problem);
    }
}
