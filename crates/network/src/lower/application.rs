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
use toml::de::DeValue;

/// Reads the file's applications.
pub(super) fn saes<'a>(
    file: &Reader<'a, '_, '_>,
    nodes: &Names<'_, NodeId>,
    names: &mut Names<'a, SaeId>,
    sink: &mut Sink<'_>,
) -> Vec<Sae> {
    let tables = file.named("sae", sink);
    let mut saes = Vec::with_capacity(tables.len());
    let mut pinned = BTreeMap::new();
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
        let public_keys = public_keys(&reader, &mut pinned, table.name, sink);
        if let Some(node) = node {
            saes.push(Sae { name: table.name.to_owned(), node, keys_per_second, public_keys });
        }
    }
    saes
}

/// Reads the digests of an application's public keys; `pinned` tells whose those before are.
fn public_keys<'a>(
    reader: &Reader<'a, '_, '_>,
    pinned: &mut BTreeMap<[u8; 32], &'a str>,
    name: &'a str,
    sink: &mut Sink<'_>,
) -> Vec<[u8; 32]> {
    const KEY: &str = "public_keys";
    let texts = reader.texts(KEY, sink).unwrap_or_default();
    let items = match reader.value(KEY).map(Spanned::get_ref) {
        Some(DeValue::Array(items)) => items.iter().map(Spanned::span).collect(),
        _ => Vec::new(),
    };
    let mut keys = Vec::with_capacity(texts.len());
    for (text, span) in texts.iter().zip(items) {
        let condition = match digest(text) {
            None => "must be the SHA-256 of a public key in 64 hexadecimal digits".to_owned(),
            Some(key) => match pinned.insert(key, name) {
                None => {
                    keys.push(key);
                    continue;
                }
                Some(other) => format!("is already a key of `{}`", clip(other)),
            },
        };
        let problem = Problem::Condition { what: format!("`{}`", clip(text)), condition };
        reader.tell(sink, span, KEY, problem);
    }
    keys
}

/// 32 bytes in hexadecimal digits, with or without colons between them.
fn digest(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> =
        text.chars().filter(|&c| c != ':').map(|c| c.to_digit(16).map(|d| d as u8)).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    (digits.len() == 64).then(|| bytes.try_into().ok())?
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
