//! From a file's table to a network that cannot be wrong.

mod application;
mod circuit;
mod demand;
mod device;
mod entangling;
mod event;
pub(crate) mod hardware;
mod link;
mod live;
pub(crate) mod needs;
mod node;
pub(crate) mod platform;

use crate::check::check_keys;
use crate::generate::{self, Generated};
use crate::reader::{Layer, Layers, Path, Reader};
use crate::record::network::FILE;
use crate::record::{Field, Kind, Record, is_name, is_sae_name};
use crate::sink::Sink;
use crate::text::clip;
use crate::{Circuit, EntanglingLink, Identity, Network, Problem, Run, SaeId, nearest_of_all};
use bellwether_units::{Duration, LinkId, NodeId, Quantity, QuantityError};
use core::ops::Range;
use platform::Platforms;
use std::borrow::Cow;
use std::collections::BTreeMap;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub(crate) use circuit::{CircuitBody, PairWish, circuit_body, pair_wish};
pub(crate) use demand::wish;
pub(crate) use device::Devices;
pub(crate) use entangling::{EntanglingBody, entangling_body};
pub(crate) use link::{Defaults, LinkBody, MOST_CHANNELS, link_body, too_many_channels};

/// Names of things by what they are called.
pub(crate) type Names<'a, Id> = BTreeMap<Cow<'a, str>, Id>;

/// The network of a file, if it could be read so far that nothing is missing of it. Mistakes are in `sink`.
pub(crate) fn lower(table: &DeTable<'_>, identity: Identity, sink: &mut Sink<'_>) -> Option<Network> {
    let path = Path::FILE;
    let layer = Layer { table, start: 0, end: 0 };
    let layers = Layers::one(Some(layer));
    let file = Reader::new(layers, &FILE, path, 0..0);
    if !format(&file, sink) {
        return None;
    }
    check_keys(layer, &layers, &FILE, &path, sink);

    let (name, description, sources) = heading(&file, sink);
    let run = run(&file, sink);
    let devices = Devices::new(&file, sink);
    let defaults = Defaults::new(&file, run.as_ref().map(|run| run.detail).unwrap_or_default(), sink);
    let platforms = Platforms::new(&file, defaults.platform, sink);
    let generated = generate::generate(&file, &defaults, &devices, &platforms, sink).unwrap_or_default();

    let Generated { mut nodes, mut links, mut entangling_links, mut demands, .. } = generated;
    let (mut circuits, mut pair_demands) = (generated.circuits, generated.pair_demands);
    let mut node_names: Names<'_, NodeId> = names(nodes.iter().map(|node| &node.name), NodeId);
    node::nodes(&file, &platforms, &mut nodes, &mut node_names, sink);
    // What is generated is of one kind, so that no name is met twice.
    let mut link_names = match entangling_links.is_empty() {
        true => names(links.iter().map(|link| &link.name), |place| AnyLink::Key(LinkId(place))),
        false => {
            let all = entangling_links.iter().map(|link: &EntanglingLink| &link.name);
            names(all, |place| AnyLink::Entangling(LinkId(place)))
        }
    };
    link::links(&file, &defaults, &devices, &node_names, &mut links, &mut link_names, sink);
    entangling::links(&file, &defaults, &nodes, &node_names, &mut entangling_links, &mut link_names, sink);
    let mut sae_names: Names<'_, SaeId> = Names::new();
    let saes = application::saes(&file, &node_names, &mut sae_names, sink);
    let live = live::live(&file, &nodes, &node_names, !entangling_links.is_empty(), sink);
    let events = event::events(&file, &node_names, &link_names, sink);
    if nodes.is_empty() && sink.is_clean() {
        let problem = Problem::Condition {
            what: "the network".to_owned(),
            condition: "has no nodes: write [node.NAME] for each, or [generate]".to_owned(),
        };
        sink.tell(0..0, String::new, problem);
    }
    // Whether a demand or a pair can be served is only known of a network that is otherwise right.
    let reach = sink.is_clean().then(|| demand::Reach::new(&nodes, &links));
    let pair_reach = sink.is_clean().then(|| circuit::PairReach::new(&nodes, &entangling_links));
    demand::demands(&file, &node_names, reach.as_ref(), &mut demands, sink);
    let mut circuit_names = names(circuits.iter().map(|circuit: &Circuit| &circuit.name), |place| place);
    circuit::circuits(
        &file,
        &node_names,
        &link_names,
        pair_reach.as_ref(),
        &mut circuits,
        &mut circuit_names,
        sink,
    );
    circuit::pair_demands(
        &file,
        &node_names,
        (&circuits, &circuit_names),
        pair_reach.as_ref(),
        &mut pair_demands,
        sink,
    );
    let pairs = application::pairs(&file, &saes, &sae_names, reach.as_ref(), sink);

    Some(Network {
        name: name?,
        description: description?,
        sources: sources?,
        run: run?,
        nodes,
        links,
        entangling_links,
        circuits,
        demands,
        pair_demands,
        saes,
        pairs,
        live: live?,
        events,
        identity,
    })
}

/// Whether the file is of this format; otherwise nothing else of it can be understood.
fn format(file: &Reader<'_, '_, '_>, sink: &mut Sink<'_>) -> bool {
    let Some(value) = file.value("format") else {
        file.missing(sink, "format");
        return true;
    };
    let found = match value.get_ref() {
        DeValue::Integer(integer) if integer.as_str() == "1" => return true,
        DeValue::Integer(integer) => clip(integer.as_str()),
        other => other.type_str().to_owned(),
    };
    file.tell(sink, value.span(), "format", Problem::Format { found });
    false
}

type Heading = (Option<String>, Option<String>, Option<Vec<String>>);

fn heading(file: &Reader<'_, '_, '_>, sink: &mut Sink<'_>) -> Heading {
    let Kind::Table(record) = FILE.field("network").map_or(&Kind::Text, |field| &field.kind) else {
        return (None, None, None);
    };
    let Some(network) = file.table("network", record, sink) else { return (None, None, None) };
    network.check(sink);
    (network.text("name", sink), network.text("description", sink), network.texts("sources", sink))
}

fn run(file: &Reader<'_, '_, '_>, sink: &mut Sink<'_>) -> Option<Run> {
    let Kind::Table(record) = FILE.field("run")?.kind else { return None };
    let empty = DeTable::new();
    let absent = Layers::one(Some(Layer { table: &empty, start: 0, end: 0 }));
    let path = Path::top("run");
    let run = match file.value("run") {
        Some(_) => file.table("run", record, sink)?,
        None => Reader::new(absent, record, path, 0..0),
    };
    run.check(sink);
    let duration = run.positive_duration("duration", sink);
    if let (Some(duration), Some(value)) = (duration, run.value("duration")) {
        const LONGEST: Duration = Duration::from_whole_seconds(213 * 86_400);
        if duration > LONGEST {
            let error = QuantityError::OutOfRange {
                text: duration.to_string(),
                kind: Duration::KIND,
                range: "above 0 s, to 213 d",
            };
            run.tell(sink, value.span(), "duration", Problem::Quantity(error));
        }
    }
    let detail = run.choice("detail", sink);
    let seed = run.integer("seed", sink);
    let window = run.positive_duration("window", sink);
    if let (Some(window), Some(value)) = (window, run.value("window"))
        && window < Run::SHORTEST_WINDOW
    {
        let condition = format!("must be {} or more", Run::SHORTEST_WINDOW);
        let problem = Problem::Condition { what: "`window`".to_owned(), condition };
        run.tell(sink, value.span(), "window", problem);
    }
    let report_interval = run.positive_duration("report_interval", sink);
    Some(Run { duration: duration?, detail: detail?, seed: seed?, window: window?, report_interval })
}

impl<'a, 'i> Reader<'a, 'i, '_> {
    /// Checks the keys of the nearest layer; the others are checked where they stand.
    pub(crate) fn check(&self, sink: &mut Sink<'_>) {
        if let Some(nearest) = self.layers.iter().next() {
            check_keys(nearest, &self.layers, self.record, &self.path, sink);
        }
    }

    /// A duration above zero.
    pub(crate) fn positive_duration(&self, key: &'static str, sink: &mut Sink<'_>) -> Option<Duration> {
        let duration: Duration = self.quantity(key, sink)?;
        if duration.is_zero() {
            let span = self.value(key).map_or(0..0, Spanned::span);
            let problem =
                Problem::Condition { what: format!("`{key}`"), condition: "must be above zero".to_owned() };
            self.tell(sink, span, key, problem);
            return None;
        }
        Some(duration)
    }

    /// The named tables of a key, in the order in which they were written; a table whose name cannot be one
    /// is told and left out.
    pub(crate) fn named(&self, key: &'static str, sink: &mut Sink<'_>) -> Vec<NamedTable<'a, 'i>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let DeValue::Table(table) = value.get_ref() else {
            self.wrong_type(sink, key, value);
            return Vec::new();
        };
        let of_saes = matches!(self.record.field(key), Some(Field { kind: Kind::NamedSaes(_), .. }));
        let mut tables = Vec::with_capacity(table.len());
        for (name, inner) in table {
            let span = name.span();
            let name: &str = name.get_ref();
            let problem = if of_saes {
                (!is_sae_name(name)).then(|| Problem::BadSaeName { name: clip(name) })
            } else {
                (!is_name(name)).then(|| Problem::BadName { name: clip(name) })
            };
            if let Some(problem) = problem {
                self.tell(sink, span, key, problem);
                continue;
            }
            match Layer::of(inner) {
                Some(layer) => tables.push(NamedTable { name, span, layer }),
                None => {
                    let problem = Problem::Condition {
                        what: format!("`{key}.{name}`"),
                        condition: "must be a table".to_owned(),
                    };
                    self.tell(sink, inner.span(), key, problem);
                }
            }
        }
        tables.sort_by_key(|table| table.span.start);
        tables
    }

    /// The thing that the name under a key names.
    pub(crate) fn reference<Id: Copy>(
        &self,
        key: &'static str,
        what: &'static str,
        names: &Names<'_, Id>,
        sink: &mut Sink<'_>,
    ) -> Option<Id> {
        let Some(value) = self.value(key) else {
            self.missing(sink, key);
            return None;
        };
        self.named_by(key, value, what, names, sink)
    }

    /// The thing that a value names.
    pub(crate) fn named_by<Id: Copy>(
        &self,
        key: &'static str,
        value: &'a Spanned<DeValue<'i>>,
        what: &'static str,
        names: &Names<'_, Id>,
        sink: &mut Sink<'_>,
    ) -> Option<Id> {
        let name = self.text_of(key, value, sink)?;
        let found = names.get(name).copied();
        if found.is_none() && sink.has_room() {
            let nearest = nearest_of_all(name, names.keys().map(AsRef::as_ref)).map(str::to_owned);
            self.tell(sink, value.span(), key, Problem::NoSuch { what, name: clip(name), nearest });
        } else if found.is_none() {
            self.tell(sink, value.span(), key, Problem::NoSuch { what, name: clip(name), nearest: None });
        }
        found
    }
}

/// A reader of what the layers say of a key's table.
fn below<'a, 'i, 'p>(
    above: &'p Reader<'a, 'i, '_>,
    key: &'static str,
    record: &'static Record,
    layers: Layers<'a, 'i>,
) -> Reader<'a, 'i, 'p> {
    let path = above.path.below(key);
    let span = above.value(key).map_or_else(|| above.span.clone(), Spanned::span);
    Reader::new(layers, record, path, span)
}

/// The record of a key's table or tables.
fn inner(record: &'static Record, key: &str) -> Option<&'static Record> {
    match record.field(key)?.kind {
        Kind::Table(inner) | Kind::List(inner) => Some(inner),
        _ => None,
    }
}

/// Reads every table of a list, so that the mistakes of all are told; `None` if one cannot be read.
fn each<'a, 'i, 'p, T>(
    tables: &[Reader<'a, 'i, 'p>],
    sink: &mut Sink<'_>,
    read: impl Fn(&Reader<'a, 'i, 'p>, &mut Sink<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let read: Vec<_> = tables
        .iter()
        .map(|table| {
            table.check(sink);
            read(table, sink)
        })
        .collect();
    read.into_iter().collect()
}

/// A table with its name.
#[derive(Clone, Debug)]
pub(crate) struct NamedTable<'a, 'i> {
    pub(crate) name: &'a str,
    pub(crate) span: Range<usize>,
    pub(crate) layer: Layer<'a, 'i>,
}

/// A table of names, numbered in their order.
fn names<'a, 'n, Id>(list: impl Iterator<Item = &'n String>, id: impl Fn(u32) -> Id) -> Names<'a, Id> {
    list.zip(0..).map(|(name, place)| (Cow::Owned(name.clone()), id(place))).collect()
}

/// A link of either kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum AnyLink {
    /// One that makes key.
    Key(LinkId),
    /// One that entangles.
    Entangling(LinkId),
}
