//! Applications, and the pairs of them that may share keys.

use super::Names;
use super::demand::Reach;
use crate::reader::{Layers, Path, Reader};
use crate::record::live::{PAIR, SAE};
use crate::sink::Sink;
use crate::text::clip;
use crate::{Pair, Problem, Requirement, Sae, SaeId};
use bellwether_units::NodeId;
use std::borrow::Cow;
use std::collections::BTreeMap;
use toml::Spanned;

/// Reads the file's applications.
pub(super) fn saes<'a>(
    file: &Reader<'a, '_, '_>,
    nodes: &Names<'_, NodeId>,
    names: &mut Names<'a, SaeId>,
    sink: &mut Sink<'_>,
) -> Vec<Sae> {
    let tables = file.named("sae", sink);
    let mut saes = Vec::with_capacity(tables.len());
    for table in tables {
        // An application with a mistake is known all the same, so that its pairs are not told as mistakes too;
        // identifiers are only right of a file without any.
        names.insert(Cow::Borrowed(table.name), SaeId(saes.len() as u32));
        let within = Path::top("sae");
        let path = within.below(table.name);
        let reader = Reader::new(Layers::one(Some(table.layer)), &SAE, path, table.span);
        reader.check(sink);
        let node = reader.reference("node", "node", nodes, sink);
        let keys_per_second = keys_per_second(&reader, sink);
        if let Some(node) = node {
            saes.push(Sae { name: table.name.to_owned(), node, keys_per_second });
        }
    }
    saes
}

/// Reads the file's pairs, each way of a pair apart. Whether keys can get from one end to the other is only looked
/// at if `reach` is known.
pub(super) fn pairs(
    file: &Reader<'_, '_, '_>,
    saes: &[Sae],
    names: &Names<'_, SaeId>,
    reach: Option<&Reach<'_>>,
    sink: &mut Sink<'_>,
) -> Vec<Pair> {
    let mut pairs = Vec::new();
    // Where each way was given.
    let mut given: BTreeMap<(SaeId, SaeId), usize> = BTreeMap::new();
    for (place, reader) in file.list("pair", &PAIR, sink).iter().enumerate() {
        reader.check(sink);
        let master = reader.reference("master", "SAE", names, sink);
        let slave = reader.reference("slave", "SAE", names, sink);
        let requirement: Option<Requirement> = reader.choice("requirement", sink);
        let keys_per_second = keys_per_second(reader, sink);
        let bits_per_day = reader.value("bits_per_day").and_then(|_| reader.integer("bits_per_day", sink));
        let both_ways = reader.flag("both_ways", sink);
        let (Some(master), Some(slave), Some(requirement), Some(both_ways)) =
            (master, slave, requirement, both_ways)
        else {
            continue;
        };
        let span = reader.value("slave").map_or(0..0, Spanned::span);
        let name = |sae: SaeId| saes.get(sae.0 as usize).map_or_else(String::new, |sae| clip(&sae.name));
        let there_and_back = [(master, slave), (slave, master)];
        // An application with itself has one way only.
        let ways = &there_and_back[..if both_ways && master != slave { 2 } else { 1 }];
        if let Some((way, before)) = ways.iter().find_map(|way| given.get(way).map(|before| (*way, *before)))
        {
            let problem = Problem::DuplicatePair { master: name(way.0), slave: name(way.1) };
            sink.tell(span, || format!("pair.{before} has it already"), problem);
            continue;
        }
        if let (Some(reach), Some(a), Some(b)) =
            (reach, saes.get(master.0 as usize), saes.get(slave.0 as usize))
            && a.node != b.node
            && !requirement.goes_without_a_route()
            && !reach.joins(a.node, b.node)
        {
            let problem = Problem::Unreachable { from: name(master), to: name(slave) };
            reader.tell(sink, span, "slave", problem);
            continue;
        }
        for &(master, slave) in ways {
            given.insert((master, slave), place);
            pairs.push(Pair { master, slave, requirement, keys_per_second, bits_per_day });
        }
    }
    pairs
}

fn keys_per_second(reader: &Reader<'_, '_, '_>, sink: &mut Sink<'_>) -> Option<u32> {
    reader.value("keys_per_second")?;
    u32::try_from(reader.integer("keys_per_second", sink)?).ok()
}
