//! Networks made from a seed.

mod pairs;
mod scale_free;
mod shapes;
mod waxman;

use crate::lower::hardware::refuse_in;
use crate::lower::platform::Platforms;
use crate::lower::{
    Defaults, Devices, EntanglingBody, LinkBody, MOST_CHANNELS, entangling_body, link_body, needs,
    too_many_channels, wish,
};
use crate::reader::{Layer, Layers, Reader};
use crate::record::generate::{GENERATE, GraphKind, MOST_LINKS};
use crate::record::link::TEMPLATE;
use crate::record::{Kind, Record, entangling};
use crate::sink::Sink;
use crate::{Circuit, Demand, EntanglingLink, Link, Node, PairDemand, Platform, Position, Problem, Role};
use bellwether_units::{Angle, EntityId, Length, NodeId, Purpose, Stream, Time};
use std::sync::Arc;
use toml::Spanned;

/// What `[generate]` made.
#[derive(Debug, Default)]
pub(crate) struct Generated {
    pub(crate) nodes: Vec<Node>,
    pub(crate) links: Vec<Link>,
    pub(crate) entangling_links: Vec<EntanglingLink>,
    pub(crate) circuits: Vec<Circuit>,
    pub(crate) demands: Vec<Demand>,
    pub(crate) pair_demands: Vec<PairDemand>,
}

/// What all links of a graph have in common.
#[derive(Debug)]
enum Body {
    Key(LinkBody),
    Entangling(EntanglingBody),
}

/// A graph laid out on a plane.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Graph {
    /// Where each node lies, in kilometres.
    pub(crate) places: Vec<(f64, f64)>,
    /// The links, the lower node first, each once.
    pub(crate) links: Vec<(u32, u32)>,
    /// Whether a link is as long as its nodes lie apart; otherwise it has the spacing's length.
    pub(crate) as_laid_out: bool,
}

impl Graph {
    /// How long a link is, if links are as long as their nodes lie apart.
    fn length(&self, a: u32, b: u32) -> Option<Length> {
        let ((ax, ay), (bx, by)) = (self.places[a as usize], self.places[b as usize]);
        self.as_laid_out.then(|| Length::from_kilometres(libm::hypot(ax - bx, ay - by)))
    }
}

/// What a graph is made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) kind: GraphKind,
    pub(crate) nodes: u32,
    /// In kilometres.
    pub(crate) spacing: f64,
    pub(crate) seed: u64,
    pub(crate) columns: Option<u32>,
    pub(crate) branching: u32,
    pub(crate) mean_degree: f64,
    /// In kilometres.
    pub(crate) reach: f64,
    pub(crate) links_per_node: u32,
}

impl Plan {
    /// The random stream of this plan for one purpose.
    pub(crate) fn stream(&self, purpose: &str) -> Stream {
        Stream::new(self.seed, EntityId(0), Purpose::named(purpose))
    }

    /// About how many links it gives.
    fn expected_links(&self) -> f64 {
        let nodes = f64::from(self.nodes);
        match self.kind {
            GraphKind::Line | GraphKind::Ring | GraphKind::Star | GraphKind::Tree => nodes,
            GraphKind::Grid => 2.0 * nodes,
            GraphKind::Waxman => nodes * (1.0 + self.mean_degree / 2.0),
            GraphKind::ScaleFree => nodes * f64::from(self.links_per_node),
        }
    }

    /// The graph.
    pub(crate) fn graph(&self) -> Graph {
        match self.kind {
            GraphKind::Line => shapes::line(self),
            GraphKind::Ring => shapes::ring(self),
            GraphKind::Star => shapes::star(self),
            GraphKind::Grid => shapes::grid(self),
            GraphKind::Tree => shapes::tree(self),
            GraphKind::Waxman => waxman::waxman(self),
            GraphKind::ScaleFree => scale_free::scale_free(self),
        }
    }
}

/// Makes what the file's `[generate]` says, if it has one.
pub(crate) fn generate<'a, 'i>(
    file: &Reader<'a, 'i, '_>,
    defaults: &Defaults<'a, 'i>,
    devices: &Devices<'a, 'i>,
    platforms: &Platforms<'a, 'i>,
    sink: &mut Sink<'_>,
) -> Option<Generated> {
    file.value("generate")?;
    let reader = file.table("generate", &GENERATE, sink)?;
    reader.check(sink);
    let plan = plan(&reader, sink);
    let body = template(&reader, defaults, devices, plan.as_ref(), sink);
    let demands = demands(&reader, plan.as_ref(), sink);
    let platform = platforms.of(&reader, sink);
    let wishes = pairs::wishes(&reader, sink);
    let (plan, body) = (plan?, body?);
    let graph = plan.graph();
    let fibre = match &body {
        Body::Key(body) => &body.fibre,
        Body::Entangling(body) => &body.fibre,
    };
    if fibre.classical_channels.len() * graph.links.len() > MOST_CHANNELS {
        reader.tell(sink, reader.span.clone(), "link", too_many_channels());
        return None;
    }
    let nodes = nodes(&graph, platform.as_ref());
    let (mut links, mut entangling_links) = (Vec::new(), Vec::new());
    match &body {
        Body::Key(body) => links.extend(graph.links.iter().map(|&(a, b)| link(&graph, body, a, b))),
        Body::Entangling(body) => {
            entangling_links.extend(graph.links.iter().map(|&(a, b)| entangling_link(&graph, body, a, b)));
        }
    }
    // All nodes and links are alike, and what is lacking of one is lacking of all.
    if let Some(problem) = entangling_links.first().and_then(|link| needs::lacking(link, &nodes)) {
        let span = reader.value("entangling").map_or_else(|| reader.span.clone(), Spanned::span);
        reader.tell(sink, span, "entangling", problem);
    }
    let (circuits, pair_demands) = wishes.map_or_else(Default::default, |wishes| wishes.draw(&plan, &graph));
    Some(Generated { nodes, links, entangling_links, circuits, demands: demands?, pair_demands })
}

fn plan(reader: &Reader<'_, '_, '_>, sink: &mut Sink<'_>) -> Option<Plan> {
    let kind = reader.choice("kind", sink);
    let nodes = reader.integer("nodes", sink);
    let spacing: Option<Length> = reader.quantity("spacing", sink);
    let seed = reader.integer("seed", sink);
    let columns = reader.integer("columns", sink);
    let branching = reader.integer("branching", sink);
    let mean_degree = reader.number("mean_degree", sink);
    let reach: Option<Length> = reader.quantity("reach", sink);
    let links_per_node = reader.integer("links_per_node", sink);
    let spacing = spacing?;
    let plan = Plan {
        kind: kind?,
        nodes: nodes? as u32,
        spacing: spacing.kilometres(),
        seed: seed?,
        columns: columns.map(|columns| columns as u32),
        branching: branching? as u32,
        mean_degree: mean_degree?,
        reach: reach.unwrap_or(spacing).kilometres(),
        links_per_node: links_per_node? as u32,
    };
    let mut refuse = |key: &'static str, what: &str, condition: String| {
        let span = reader.value(key).map_or_else(|| reader.span.clone(), Spanned::span);
        reader.tell(sink, span, key, Problem::Condition { what: what.to_owned(), condition });
        None
    };
    if plan.spacing <= 0.0 {
        return refuse("spacing", "`spacing`", "must be above zero".to_owned());
    }
    if plan.reach <= 0.0 {
        return refuse("reach", "`reach`", "must be above zero".to_owned());
    }
    if plan.expected_links() > MOST_LINKS as f64 {
        let condition = format!("of more than {MOST_LINKS} links is not made");
        return refuse("nodes", &format!("a network of kind \"{}\"", plan.kind.name()), condition);
    }
    if plan.kind == GraphKind::Waxman && waxman::strength(&plan) > 1.0 {
        let least = Length::from_kilometres(waxman::least_reach(&plan));
        let condition = format!(
            "is too short for a mean degree of {}: it must be at least {least:.3}, or the degree less",
            plan.mean_degree
        );
        return refuse("reach", "`reach`", condition);
    }
    Some(plan)
}

fn inner(key: &str) -> Option<&'static Record> {
    match GENERATE.field(key)?.kind {
        Kind::Table(inner) => Some(inner),
        _ => None,
    }
}

/// What all links have in common.
fn template<'a, 'i>(
    reader: &Reader<'a, 'i, '_>,
    defaults: &Defaults<'a, 'i>,
    devices: &Devices<'a, 'i>,
    plan: Option<&Plan>,
    sink: &mut Sink<'_>,
) -> Option<Body> {
    let spacing = Length::from_kilometres(plan.map_or(1.0, |plan| plan.spacing));
    if let Some(value) = reader.value("entangling") {
        if let Some(other) = reader.value("link") {
            let problem = Problem::Both { first: "entangling", second: "link" };
            reader.tell(sink, other.span(), "link", problem);
            return None;
        }
        let Some(own) = Layer::of(value) else {
            reader.wrong_type(sink, "entangling", value);
            return None;
        };
        let mut layers = Layers::one(Some(own));
        layers.push(defaults.entangling);
        let path = reader.path.below("entangling");
        let template = Reader::new(layers, &entangling::TEMPLATE, path, value.span());
        template.check(sink);
        return entangling_body(&template, defaults, Some(spacing), sink).map(Body::Entangling);
    }
    let template = match reader.value("link") {
        Some(_) => reader.table("link", &TEMPLATE, sink)?,
        None => {
            let path = reader.path.below("link");
            Reader::new(Layers::default(), &TEMPLATE, path, reader.span.clone())
        }
    };
    template.check(sink);
    refuse_in(&template, sink);
    link_body(&template, defaults, devices, Some(spacing), sink).map(Body::Key)
}

fn demands(reader: &Reader<'_, '_, '_>, plan: Option<&Plan>, sink: &mut Sink<'_>) -> Option<Vec<Demand>> {
    let Some(demand) = inner("demand").and_then(|record| reader.table("demand", record, sink)) else {
        return Some(Vec::new());
    };
    demand.check(sink);
    let count = demand.integer("count", sink);
    let wish = wish(&demand, sink);
    let (plan, count, wish) = (plan?, count?, wish?);
    let mut stream = plan.stream("generated demands");
    let nodes = u64::from(plan.nodes);
    let between = |place: u64| {
        let from = stream.below(nodes);
        // Of the other nodes each is as likely; counting past `from` leaves it out.
        let other = stream.below(nodes - 1);
        let to = if other >= from { other + 1 } else { other };
        Demand {
            name: format!("d{place}"),
            from: NodeId(from as u32),
            to: NodeId(to as u32),
            key_size: wish.key_size,
            rate: wish.rate,
            priority: wish.priority,
            start: Time::ZERO,
            stop: None,
            total: None,
            paths: wish.paths,
        }
    };
    Some((0..count).map(between).collect())
}

fn link(graph: &Graph, body: &LinkBody, a: u32, b: u32) -> Link {
    let mut body = body.clone();
    if let Some(length) = graph.length(a, b).filter(|_| !body.has_length) {
        body.fibre.length = length;
    }
    body.between(format!("n{a}-n{b}"), NodeId(a), NodeId(b))
}

fn entangling_link(graph: &Graph, body: &EntanglingBody, a: u32, b: u32) -> EntanglingLink {
    let mut body = body.clone();
    if let Some(length) = graph.length(a, b).filter(|_| !body.has_length) {
        body.fibre.length = length;
    }
    body.between(format!("n{a}-n{b}"), [NodeId(a), NodeId(b)])
}

/// The nodes, with the plane laid on the equator; a plane too large for the map is drawn smaller.
fn nodes(graph: &Graph, platform: Option<&Arc<Platform>>) -> Vec<Node> {
    const KILOMETRES_PER_DEGREE: f64 = 111.195;
    let range = |coordinate: fn(&(f64, f64)) -> f64| {
        let all = graph.places.iter().map(coordinate);
        let least = all.clone().fold(f64::INFINITY, f64::min);
        let most = all.fold(f64::NEG_INFINITY, f64::max);
        (least, most)
    };
    let (left, right) = range(|place| place.0);
    let (bottom, top) = range(|place| place.1);
    let widest = ((right - left) / 340.0).max((top - bottom) / 120.0) / KILOMETRES_PER_DEGREE;
    let degrees = 1.0 / KILOMETRES_PER_DEGREE / widest.max(1.0);
    let angle = |offset: f64| Angle::from_radians((offset * degrees).to_radians());
    let node = |(index, (x, y)): (usize, &(f64, f64))| Node {
        name: format!("n{index}"),
        position: Some(Position {
            latitude: angle(y - (bottom + top) / 2.0),
            longitude: angle(x - (left + right) / 2.0),
        }),
        role: Role::TrustedNode,
        pool_capacity: None,
        platform: platform.cloned(),
        note: String::new(),
    };
    graph.places.iter().enumerate().map(node).collect()
}

/// Which nodes hang together (union-find, by halving).
#[derive(Debug)]
pub(crate) struct Components(Vec<u32>);

impl Components {
    /// Each node by itself.
    pub(crate) fn new(nodes: u32) -> Self {
        Self((0..nodes).collect())
    }

    pub(crate) fn find(&mut self, mut node: u32) -> u32 {
        while self.0[node as usize] != node {
            let above = self.0[self.0[node as usize] as usize];
            self.0[node as usize] = above;
            node = above;
        }
        node
    }

    /// Joins the components of two nodes; whether they were apart.
    pub(crate) fn join(&mut self, a: u32, b: u32) -> bool {
        let (a, b) = (self.find(a), self.find(b));
        self.0[a.max(b) as usize] = a.min(b);
        a != b
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn plan(kind: GraphKind, nodes: u32) -> Plan {
        Plan {
            kind,
            nodes,
            spacing: 50.0,
            seed: 1,
            columns: None,
            branching: 2,
            mean_degree: 4.0,
            reach: 50.0,
            links_per_node: 2,
        }
    }

    pub(crate) fn is_sound(graph: &Graph, nodes: u32) {
        assert_eq!(graph.places.len(), nodes as usize);
        let mut links = graph.links.clone();
        assert!(links.iter().all(|&(a, b)| a < b && b < nodes), "the lower node comes first");
        links.sort_unstable();
        links.dedup();
        assert_eq!(links.len(), graph.links.len(), "each link is there once");
        let mut components = Components::new(nodes);
        let joined = graph.links.iter().filter(|&&(a, b)| components.join(a, b)).count();
        assert_eq!(joined, nodes as usize - 1, "the graph hangs together");
    }

    #[test]
    fn every_shape_hangs_together_and_follows_its_seed() {
        for &kind in <GraphKind as crate::record::Choice>::VALUES {
            for nodes in [2, 3, 7, 10, 100, 1000] {
                let graph = plan(kind, nodes).graph();
                is_sound(&graph, nodes);
                assert_eq!(graph, plan(kind, nodes).graph());
            }
            if matches!(kind, GraphKind::Waxman | GraphKind::ScaleFree) {
                let other = Plan { seed: 2, ..plan(kind, 100) };
                assert_ne!(other.graph(), plan(kind, 100).graph());
            }
        }
    }

    #[test]
    fn a_large_plane_still_fits_the_map() {
        let line = plan(GraphKind::Line, 100_000).graph();
        for node in nodes(&line, None) {
            let position = node.position.unwrap();
            assert!(position.longitude.radians().to_degrees().abs() <= 170.1);
        }
    }
}
