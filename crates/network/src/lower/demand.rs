//! Demands, and whether a route can serve them.

use super::Names;
use crate::reader::{Layers, Path, Reader};
use crate::record::network::DEMAND;
use crate::sink::Sink;
use crate::{Demand, Link, Node, Problem, Role, Size};
use bellwether_units::{Duration, NodeId, Rate, Time};
use std::collections::BTreeSet;
use toml::Spanned;

/// Which nodes can reach one another over trusted nodes.
#[derive(Debug)]
pub(super) struct Reach<'n> {
    nodes: &'n [Node],
    /// The representative of each trusted node's component (union-find, by halving).
    parent: Vec<u32>,
    /// For each node, the nodes it is linked to.
    neighbours: Vec<Vec<u32>>,
}

impl<'n> Reach<'n> {
    pub(super) fn new(nodes: &'n [Node], links: &[Link]) -> Self {
        let mut reach = Self {
            nodes,
            parent: (0..nodes.len() as u32).collect(),
            neighbours: vec![Vec::new(); nodes.len()],
        };
        for link in links {
            let (a, b) = (link.transmitter_at, link.receiver_at);
            reach.neighbours[a.index()].push(b.0);
            reach.neighbours[b.index()].push(a.0);
            if reach.relays(a.0) && reach.relays(b.0) {
                let (a, b) = (reach.find(a.0), reach.find(b.0));
                reach.parent[a.max(b) as usize] = a.min(b);
            }
        }
        for node in 0..nodes.len() as u32 {
            reach.parent[node as usize] = reach.find(node);
        }
        reach
    }

    fn relays(&self, node: u32) -> bool {
        self.nodes[node as usize].role == Role::TrustedNode
    }

    fn find(&mut self, mut node: u32) -> u32 {
        while self.parent[node as usize] != node {
            let above = self.parent[node as usize];
            self.parent[node as usize] = self.parent[above as usize];
            node = self.parent[node as usize];
        }
        node
    }

    /// The components of trusted nodes that a node is in or next to.
    fn components(&self, node: NodeId) -> BTreeSet<u32> {
        if self.relays(node.0) {
            return BTreeSet::from([self.parent[node.index()]]);
        }
        let beside = self.neighbours[node.index()].iter().filter(|&&neighbour| self.relays(neighbour));
        beside.map(|&neighbour| self.parent[neighbour as usize]).collect()
    }

    /// Whether keys can get from one node to another.
    pub(super) fn joins(&self, from: NodeId, to: NodeId) -> bool {
        self.neighbours[from.index()].contains(&to.0)
            || !self.components(from).is_disjoint(&self.components(to))
    }
}

/// Reads the file's demands behind those generated.
pub(super) fn demands(
    file: &Reader<'_, '_, '_>,
    nodes: &Names<'_, NodeId>,
    reach: Option<&Reach<'_>>,
    demands: &mut Vec<Demand>,
    sink: &mut Sink<'_>,
) {
    let generated: BTreeSet<String> = demands.iter().map(|demand| demand.name.clone()).collect();
    for table in file.named("demand", sink) {
        if generated.contains(table.name) {
            let problem = Problem::Duplicate { name: table.name.to_owned() };
            sink.tell(table.span, || "generated before".to_owned(), problem);
            continue;
        }
        let within = Path::top("demand");
        let path = within.below(table.name);
        let reader = Reader::new(Layers::one(Some(table.layer)), &DEMAND, path, table.span);
        reader.check(sink);
        let ends = ends(&reader, nodes, reach, sink);
        let wish = wish(&reader, sink);
        let start = reader.quantity("start", sink).map(time);
        let stop = reader.quantity("stop", sink).map(time);
        let total = reader.value("total").and_then(|_| reader.integer("total", sink));
        if let (Some(start), Some(stop), Some(value)) = (start, stop, reader.value("stop"))
            && stop <= start
        {
            let problem = Problem::Condition {
                what: "`stop`".to_owned(),
                condition: format!("must be later than `start`, {start}"),
            };
            reader.tell(sink, value.span(), "stop", problem);
        }
        if let (Some((from, to)), Some(wish), Some(start)) = (ends, wish, start) {
            let Wish { key_size, rate, priority, paths } = wish;
            let name = table.name.to_owned();
            demands.push(Demand { name, from, to, key_size, rate, priority, start, stop, total, paths });
        }
    }
}

/// What a demand asks for, whoever asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    pub(crate) key_size: Size,
    pub(crate) rate: Rate,
    pub(crate) priority: u8,
    pub(crate) paths: u8,
}

/// Reads what a demand asks for.
pub(crate) fn wish(reader: &Reader<'_, '_, '_>, sink: &mut Sink<'_>) -> Option<Wish> {
    let key_size: Option<Size> = reader.quantity("key_size", sink);
    let rate: Option<Rate> = reader.quantity("rate", sink);
    let too_little = [
        ("key_size", key_size.is_some_and(|size| size.bits() == 0)),
        ("rate", rate.is_some_and(|rate| rate.per_second() == 0.0)),
    ];
    for (key, zero) in too_little {
        if let Some(value) = reader.value(key).filter(|_| zero) {
            let condition = "must be above zero".to_owned();
            let problem = Problem::Condition { what: format!("`{key}`"), condition };
            reader.tell(sink, value.span(), key, problem);
        }
    }
    let priority = reader.integer("priority", sink);
    let paths = reader.integer("paths", sink);
    Some(Wish {
        key_size: key_size?,
        rate: rate?,
        priority: u8::try_from(priority?).ok()?,
        paths: u8::try_from(paths?).ok()?,
    })
}

fn ends(
    demand: &Reader<'_, '_, '_>,
    nodes: &Names<'_, NodeId>,
    reach: Option<&Reach<'_>>,
    sink: &mut Sink<'_>,
) -> Option<(NodeId, NodeId)> {
    let from = demand.reference("from", "node", nodes, sink);
    let to = demand.reference("to", "node", nodes, sink);
    let (from, to) = (from?, to?);
    let span = demand.value("to").map_or(0..0, Spanned::span);
    let name = |key| match demand.value(key).map(Spanned::get_ref) {
        Some(toml::de::DeValue::String(name)) => name.to_string(),
        _ => String::new(),
    };
    if from == to {
        demand.tell(sink, span, "to", Problem::SameEnds { what: "demand", node: name("to") });
        return None;
    }
    if reach.is_some_and(|reach| !reach.joins(from, to)) {
        let problem = Problem::Unreachable { from: name("from"), to: name("to") };
        demand.tell(sink, span, "to", problem);
        return None;
    }
    Some((from, to))
}

/// A span since the start of the run as an instant.
pub(super) fn time(span: Duration) -> Time {
    Time::from_picoseconds(span.picoseconds())
}
