//! Nodes.

use super::Names;
use super::platform::Platforms;
use crate::reader::{Layers, Path, Reader, parse_quantity};
use crate::record::network::NODE;
use crate::sink::Sink;
use crate::{Node, Position, Problem};
use bellwether_units::{Angle, NodeId};
use std::borrow::Cow;
use toml::de::DeValue;

/// Reads the file's nodes behind those generated.
pub(super) fn nodes<'a, 'i>(
    file: &Reader<'a, 'i, '_>,
    platforms: &Platforms<'a, 'i>,
    nodes: &mut Vec<Node>,
    names: &mut Names<'a, NodeId>,
    sink: &mut Sink<'_>,
) {
    let tables = file.named("node", sink);
    nodes.reserve(tables.len());
    for table in tables {
        if names.contains_key(table.name) {
            let problem = Problem::Duplicate { name: table.name.to_owned() };
            sink.tell(table.span, || "generated before".to_owned(), problem);
            continue;
        }
        names.insert(Cow::Borrowed(table.name), NodeId(nodes.len() as u32));
        let within = Path::top("node");
        let path = within.below(table.name);
        let reader = Reader::new(Layers::one(Some(table.layer)), &NODE, path, table.span);
        reader.check(sink);
        let role = reader.choice("role", sink);
        nodes.push(Node {
            name: table.name.to_owned(),
            position: position(&reader, sink),
            role: role.unwrap_or_default(),
            pool_capacity: reader.quantity("pool_capacity", sink),
            platform: platforms.of(&reader, sink),
            note: reader.text("note", sink).unwrap_or_default(),
        });
    }
}

fn position(node: &Reader<'_, '_, '_>, sink: &mut Sink<'_>) -> Option<Position> {
    let value = node.value("position")?;
    let DeValue::Array(items) = value.get_ref() else {
        node.wrong_type(sink, "position", value);
        return None;
    };
    let [latitude, longitude] = items.as_ref() else {
        node.wrong_type(sink, "position", value);
        return None;
    };
    let mut angle = |item, most_degrees: f64, condition: &str| {
        let text = node.text_of("position", item, sink)?;
        match parse_quantity::<Angle>(text) {
            // Degrees become radians by one rounding each, so that the pole itself may come out above it.
            Ok(angle) if libm::fabs(angle.radians().to_degrees()) <= most_degrees + 1e-9 => Some(angle),
            Ok(angle) => {
                let problem = Problem::Condition {
                    what: format!("{} deg", libm::round(angle.radians().to_degrees() * 1e6) / 1e6),
                    condition: condition.to_owned(),
                };
                node.tell(sink, item.span(), "position", problem);
                None
            }
            Err(error) => {
                node.tell(sink, item.span(), "position", Problem::Quantity(error));
                None
            }
        }
    };
    let latitude = angle(latitude, 90.0, "is no latitude: it must be -90 deg to 90 deg");
    let longitude = angle(longitude, 180.0, "is no longitude: it must be -180 deg to 180 deg");
    Some(Position { latitude: latitude?, longitude: longitude? })
}
