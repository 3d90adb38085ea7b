//! Circuits and demands for pairs.

use super::demand::time;
use super::entangling::published;
use super::{AnyLink, Names};
use crate::generate::Components;
use crate::reader::{Layers, Path, Reader};
use crate::record::circuit::{CIRCUIT, PAIR_DEMAND};
use crate::sink::Sink;
use crate::text::clip;
use crate::{
    Circuit, Cutoff, EntanglingLink, Node, PairDemand, PairUse, Problem, PurificationRound, Role, WaitingPair,
};
use bellwether_units::{Duration, LinkId, NodeId, Rate};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use toml::Spanned;
use toml::de::DeValue;

/// Which nodes can share pairs: those that nodes which swap join.
#[derive(Debug)]
pub(super) struct PairReach<'n> {
    nodes: &'n [Node],
    links: &'n [EntanglingLink],
    /// The representative of the component of nodes that swap, by node.
    components: Vec<u32>,
    /// For each node that swaps for nobody, the nodes it is linked to.
    beside: BTreeMap<u32, Vec<u32>>,
}

impl<'n> PairReach<'n> {
    pub(super) fn new(nodes: &'n [Node], links: &'n [EntanglingLink]) -> Self {
        let swaps = |node: NodeId| nodes[node.index()].role != Role::EndNode;
        let mut components = Components::new(nodes.len() as u32);
        let mut beside: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for link in links {
            let [a, b] = link.ends;
            if swaps(a) && swaps(b) {
                components.join(a.0, b.0);
            }
            for (node, other) in [(a, b), (b, a)] {
                if !swaps(node) {
                    beside.entry(node.0).or_default().push(other.0);
                }
            }
        }
        let components = (0..nodes.len() as u32).map(|node| components.find(node)).collect();
        Self { nodes, links, components, beside }
    }

    fn swaps(&self, node: u32) -> bool {
        self.nodes[node as usize].role != Role::EndNode
    }

    /// The components of nodes that swap which a node is in or next to.
    fn around(&self, node: NodeId) -> BTreeSet<u32> {
        if self.swaps(node.0) {
            return BTreeSet::from([self.components[node.index()]]);
        }
        let beside = self.beside.get(&node.0).into_iter().flatten();
        beside.filter(|&&other| self.swaps(other)).map(|&other| self.components[other as usize]).collect()
    }

    /// Whether pairs can be had between two nodes.
    fn joins(&self, from: NodeId, to: NodeId) -> bool {
        self.beside.get(&from.0).is_some_and(|beside| beside.contains(&to.0))
            || !self.around(from).is_disjoint(&self.around(to))
    }
}

/// What a circuit is beside its way.
#[derive(Clone, Debug)]
pub(crate) struct CircuitBody {
    cutoff: Cutoff,
    link_fidelity: Option<f64>,
    weight: u16,
    choice: WaitingPair,
    purification: Vec<PurificationRound>,
}

impl CircuitBody {
    /// The circuit with these ends, routed.
    pub(crate) fn between(self, name: String, from: NodeId, to: NodeId) -> Circuit {
        let Self { cutoff, link_fidelity, weight, choice, purification } = self;
        let (path, note) = (None, String::new());
        Circuit { name, from, to, path, cutoff, link_fidelity, weight, choice, purification, note }
    }
}

/// Reads what a circuit is beside its way.
pub(crate) fn circuit_body(reader: &Reader<'_, '_, '_>, sink: &mut Sink<'_>) -> Option<CircuitBody> {
    let cutoff = match reader.quantity_or::<Duration>("cutoff", sink) {
        None => Cutoff::Planned,
        Some(None) => Cutoff::Never,
        Some(Some(age)) if age.is_zero() => {
            let span = reader.value("cutoff").map_or(0..0, Spanned::span);
            let problem = Problem::Condition {
                what: "`cutoff`".to_owned(),
                condition: "must be above zero, or \"none\"".to_owned(),
            };
            reader.tell(sink, span, "cutoff", problem);
            Cutoff::Planned
        }
        Some(Some(age)) => Cutoff::After(age),
    };
    let link_fidelity = reader.number("link_fidelity", sink);
    let weight = reader.integer("weight", sink);
    let choice = reader.choice("choice", sink);
    let round = |_: &_, value, sink: &mut Sink<'_>| reader.choice_of("purification", value, sink);
    let purification = reader.several("purification", sink, round).unwrap_or_default();
    Some(CircuitBody { cutoff, link_fidelity, weight: weight? as u16, choice: choice?, purification })
}

/// Reads the file's circuits behind those generated.
pub(super) fn circuits<'a>(
    file: &Reader<'a, '_, '_>,
    nodes: &Names<'_, NodeId>,
    links: &Names<'_, AnyLink>,
    reach: Option<&PairReach<'_>>,
    circuits: &mut Vec<Circuit>,
    names: &mut Names<'a, u32>,
    sink: &mut Sink<'_>,
) {
    let tables = file.named("circuit", sink);
    let written = |table: &super::NamedTable<'_, '_>| table.layer.table.contains_key("path");
    let by_ends = reach.filter(|_| tables.iter().any(written)).map(ByEnds::new);
    for table in tables {
        if names.contains_key(table.name) {
            let problem = Problem::Duplicate { name: table.name.to_owned() };
            sink.tell(table.span, || "generated before".to_owned(), problem);
            continue;
        }
        names.insert(Cow::Borrowed(table.name), circuits.len() as u32);
        let within = Path::top("circuit");
        let path = within.below(table.name);
        let reader = Reader::new(Layers::one(Some(table.layer)), &CIRCUIT, path, table.span);
        reader.check(sink);
        let ends = ends(&reader, "circuit", nodes, reach, sink);
        let body = circuit_body(&reader, sink);
        let note = reader.text("note", sink).unwrap_or_default();
        let way = way(&reader, nodes, links, sink);
        if let (Some((from, to)), Some(body)) = (ends, body) {
            let mut circuit = body.between(table.name.to_owned(), from, to);
            circuit.note = note;
            if let (Some(way), Some(reach)) = (way, reach) {
                circuit.path = along(&reader, &way, [from, to], reach, by_ends.as_ref(), sink);
                tell_purification(&reader, &circuit, reach, sink);
            }
            circuits.push(circuit);
        }
    }
}

/// A way as it is written.
enum Way {
    Nodes(Vec<NodeId>),
    Links(Vec<LinkId>),
}

fn way<'a, 'i>(
    reader: &Reader<'a, 'i, '_>,
    nodes: &Names<'_, NodeId>,
    links: &Names<'_, AnyLink>,
    sink: &mut Sink<'_>,
) -> Option<Way> {
    if let (Some(_), Some(value)) = (reader.value("path"), reader.value("links")) {
        reader.tell(sink, value.span(), "links", Problem::Both { first: "path", second: "links" });
        return None;
    }
    let node = |_: &_, value, sink: &mut Sink<'_>| reader.named_by("path", value, "node", nodes, sink);
    let link = |_: &_, value: &'a Spanned<DeValue<'i>>, sink: &mut Sink<'_>| match reader
        .named_by("links", value, "link", links, sink)?
    {
        AnyLink::Entangling(link) => Some(link),
        AnyLink::Key(_) => {
            let name = reader.text_of("links", value, sink).map_or_else(String::new, clip);
            let condition = "makes key and entangles nothing: name a link of `[entangling.NAME]`".to_owned();
            reader.tell(
                sink,
                value.span(),
                "links",
                Problem::Condition { what: format!("`{name}`"), condition },
            );
            None
        }
    };
    let by_nodes = reader.several("path", sink, node).map(Way::Nodes);
    by_nodes.or(reader.several("links", sink, link).map(Way::Links))
}

/// The entangling links by their ends, the lower first: the first of them, and how many there are.
struct ByEnds(BTreeMap<(u32, u32), (LinkId, usize)>);

impl ByEnds {
    fn new(reach: &PairReach<'_>) -> Self {
        let mut links: BTreeMap<(u32, u32), (LinkId, usize)> = BTreeMap::new();
        for (link, place) in reach.links.iter().zip(0..) {
            links.entry(key(link.ends)).or_insert((LinkId(place), 0)).1 += 1;
        }
        Self(links)
    }
}

fn key([a, b]: [NodeId; 2]) -> (u32, u32) {
    (a.0.min(b.0), a.0.max(b.0))
}

/// The links of a way, if it leads from one end to the other and through no node twice.
fn along(
    reader: &Reader<'_, '_, '_>,
    way: &Way,
    [from, to]: [NodeId; 2],
    reach: &PairReach<'_>,
    by_ends: Option<&ByEnds>,
    sink: &mut Sink<'_>,
) -> Option<Vec<LinkId>> {
    let name = |node: NodeId| reach.nodes[node.index()].name.as_str();
    let key_of_way = if matches!(way, Way::Nodes(_)) { "path" } else { "links" };
    let span = reader.value(key_of_way).map_or(0..0, Spanned::span);
    let mut refuse = |what: String, condition: String| {
        reader.tell(sink, span.clone(), key_of_way, Problem::Condition { what, condition });
    };
    let mut found = Vec::new();
    let mut passed = vec![from];
    match way {
        Way::Nodes(nodes) => {
            if nodes.first() != Some(&from) {
                refuse("`path`".to_owned(), format!("must begin at `from`, `{}`", name(from)));
                return None;
            }
            for pair in nodes.windows(2) {
                match by_ends.and_then(|links| links.0.get(&key([pair[0], pair[1]]))) {
                    Some(&(link, 1)) => found.push(link),
                    Some((_, count)) => {
                        let what = format!("`{}` and `{}`", name(pair[0]), name(pair[1]));
                        refuse(
                            what,
                            format!("are joined by {count} entangling links: write `links` instead"),
                        );
                        return None;
                    }
                    None => {
                        let what = format!("`{}` and `{}`", name(pair[0]), name(pair[1]));
                        refuse(what, "are joined by no entangling link".to_owned());
                        return None;
                    }
                }
                passed.push(pair[1]);
            }
        }
        Way::Links(links) => {
            let mut at = from;
            for &link in links {
                let ends = reach.links[link.index()].ends;
                let Some(side) = ends.iter().position(|&end| end == at) else {
                    let what = format!("the link `{}`", reach.links[link.index()].name);
                    refuse(what, format!("does not go on from `{}`, where the way has come", name(at)));
                    return None;
                };
                at = ends[1 - side];
                passed.push(at);
                found.push(link);
            }
        }
    }
    if passed.last() != Some(&to) {
        refuse(format!("`{key_of_way}`"), format!("must end at `to`, `{}`", name(to)));
        return None;
    }
    let mut seen = BTreeSet::new();
    for (place, &node) in passed.iter().enumerate() {
        if !seen.insert(node) {
            refuse(format!("`{key_of_way}`"), format!("passes `{}` twice", name(node)));
            return None;
        }
        let within = place > 0 && place + 1 < passed.len();
        if within && !reach.swaps(node.0) {
            let what = format!("`{}`, on the way,", name(node));
            refuse(what, "is of role \"end-node\" and swaps for nobody".to_owned());
            return None;
        }
    }
    Some(found)
}

/// Tells if a link of a circuit that purifies has an end with one memory.
fn tell_purification(
    reader: &Reader<'_, '_, '_>,
    circuit: &Circuit,
    reach: &PairReach<'_>,
    sink: &mut Sink<'_>,
) {
    let Some(value) = reader.value("purification").filter(|_| !circuit.purification.is_empty()) else {
        return;
    };
    for link in circuit.path.iter().flatten() {
        let link = &reach.links[link.index()];
        if link.memories.contains(&1) {
            let problem = Problem::Condition {
                what: format!("the link `{}`", link.name),
                condition: "has an end with one memory, and purification needs two: write `memories = 2`"
                    .to_owned(),
            };
            reader.tell(sink, value.span(), "purification", problem);
        }
    }
}

/// What a demand for pairs asks for, whoever asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PairWish {
    pub(crate) fidelity: f64,
    pub(crate) pairs: Option<u64>,
    pub(crate) rate: Option<Rate>,
    pub(crate) kind: PairUse,
    pub(crate) within: Option<Duration>,
    pub(crate) hold: Duration,
}

/// Reads what a demand for pairs asks for.
pub(crate) fn pair_wish(reader: &Reader<'_, '_, '_>, sink: &mut Sink<'_>) -> Option<PairWish> {
    let fidelity = reader.number("fidelity", sink);
    let pairs = reader.integer("pairs", sink);
    let rate: Option<Rate> = reader.quantity("rate", sink);
    if let (Some(0.0), Some(value)) = (rate.map(Rate::per_second), reader.value("rate")) {
        let condition = "must be above zero".to_owned();
        reader.tell(sink, value.span(), "rate", Problem::Condition { what: "`rate`".to_owned(), condition });
    }
    let kind = reader.choice("kind", sink);
    let within = reader.positive_duration("within", sink);
    let hold = reader.quantity("hold", sink);
    Some(PairWish { fidelity: fidelity?, pairs, rate, kind: kind?, within, hold: hold? })
}

/// Reads the file's demands for pairs behind those generated.
pub(super) fn pair_demands(
    file: &Reader<'_, '_, '_>,
    nodes: &Names<'_, NodeId>,
    circuits: (&[Circuit], &Names<'_, u32>),
    reach: Option<&PairReach<'_>>,
    demands: &mut Vec<PairDemand>,
    sink: &mut Sink<'_>,
) {
    let tables = file.named("pair_demand", sink);
    let generated: BTreeSet<String> = match tables.is_empty() {
        true => BTreeSet::new(),
        false => demands.iter().map(|demand| demand.name.clone()).collect(),
    };
    for table in tables {
        if generated.contains(table.name) {
            let problem = Problem::Duplicate { name: table.name.to_owned() };
            sink.tell(table.span, || "generated before".to_owned(), problem);
            continue;
        }
        let within = Path::top("pair_demand");
        let path = within.below(table.name);
        let reader = Reader::new(Layers::one(Some(table.layer)), &PAIR_DEMAND, path, table.span);
        reader.check(sink);
        let ends = ends(&reader, "demand for pairs", nodes, reach, sink);
        let wish = pair_wish(&reader, sink);
        let start = reader.quantity("start", sink).map(time);
        let circuit = reader
            .value("circuit")
            .and_then(|value| reader.named_by("circuit", value, "circuit", circuits.1, sink));
        let published = published(&reader, sink);
        let note = reader.text("note", sink).unwrap_or_default();
        if let (Some(value), Some(_)) =
            (reader.value("published"), published.as_ref().and_then(|p| p.fitted.as_ref()))
        {
            let condition = "belongs to a link: a demand has no parameter to fit".to_owned();
            let problem = Problem::Condition { what: "`fitted`".to_owned(), condition };
            reader.tell(sink, value.span(), "published", problem);
        }
        if let (Some((from, to)), Some(wish), Some(start)) = (ends, wish, start) {
            let served = circuit.and_then(|place| circuits.0.get(place as usize));
            if let (Some(served), Some(value)) = (served, reader.value("circuit"))
                && (served.from, served.to) != (from, to)
                && reach.is_some()
            {
                let what = format!("the circuit `{}`", served.name);
                let condition = "must have the `from` and the `to` of the demand".to_owned();
                reader.tell(sink, value.span(), "circuit", Problem::Condition { what, condition });
            }
            let PairWish { fidelity, pairs, rate, kind, within, hold } = wish;
            demands.push(PairDemand {
                name: table.name.to_owned(),
                from,
                to,
                fidelity,
                pairs,
                rate,
                kind,
                start,
                within,
                circuit,
                hold,
                published: published.map(Box::new),
                note,
            });
        }
    }
}

fn ends(
    reader: &Reader<'_, '_, '_>,
    what: &'static str,
    nodes: &Names<'_, NodeId>,
    reach: Option<&PairReach<'_>>,
    sink: &mut Sink<'_>,
) -> Option<(NodeId, NodeId)> {
    let from = reader.reference("from", "node", nodes, sink);
    let to = reader.reference("to", "node", nodes, sink);
    let (from, to) = (from?, to?);
    let span = reader.value("to").map_or(0..0, Spanned::span);
    let name = |key| match reader.value(key).map(Spanned::get_ref) {
        Some(DeValue::String(name)) => name.to_string(),
        _ => String::new(),
    };
    if from == to {
        reader.tell(sink, span, "to", Problem::SameEnds { what, node: name("to") });
        return None;
    }
    if reach.is_some_and(|reach| !reach.joins(from, to)) {
        let problem = Problem::NoEntanglingPath { from: name("from"), to: name("to") };
        reader.tell(sink, span, "to", problem);
        return None;
    }
    Some((from, to))
}
