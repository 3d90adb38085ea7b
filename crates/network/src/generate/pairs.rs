//! Demands for pairs between nodes of a graph, and their circuits.

use super::{Graph, Plan, inner};
use crate::lower::{CircuitBody, PairWish, circuit_body, pair_wish};
use crate::reader::Reader;
use crate::sink::Sink;
use crate::{Circuit, PairDemand, Problem};
use bellwether_units::{NodeId, Stream, Time};
use toml::Spanned;

/// What demands for pairs are drawn from.
#[derive(Debug)]
pub(super) struct Wishes {
    count: u64,
    reach: Option<u64>,
    wish: PairWish,
    circuit: Option<CircuitBody>,
}

/// Reads `generate.pair_demand` and `generate.circuit`.
pub(super) fn wishes(reader: &Reader<'_, '_, '_>, sink: &mut Sink<'_>) -> Option<Wishes> {
    for key in ["pair_demand", "circuit"] {
        if let Some(value) = reader.value(key)
            && reader.value("entangling").is_none()
        {
            let what = format!("`{key}`");
            let condition = "needs links that entangle: write `entangling` as well".to_owned();
            reader.tell(sink, value.span(), key, Problem::Condition { what, condition });
            return None;
        }
    }
    let circuit =
        inner("circuit").and_then(|record| reader.table("circuit", record, sink)).and_then(|table| {
            table.check(sink);
            circuit_body(&table, sink)
        });
    let Some(table) = inner("pair_demand").and_then(|record| reader.table("pair_demand", record, sink))
    else {
        if let Some(value) = reader.value("circuit").filter(|_| reader.value("pair_demand").is_none()) {
            let what = "`circuit`".to_owned();
            let condition = "has no demands to serve: write `pair_demand` as well".to_owned();
            reader.tell(sink, value.span(), "circuit", Problem::Condition { what, condition });
        }
        return None;
    };
    table.check(sink);
    let count = table.integer("count", sink);
    let reach = table.integer("reach", sink);
    let wish = pair_wish(&table, sink);
    tell_excess(&table, count, reach, sink)?;
    Some(Wishes { count: count?, reach, wish: wish?, circuit })
}

/// Tells if drawing the demands would take too many steps.
fn tell_excess(
    table: &Reader<'_, '_, '_>,
    count: Option<u64>,
    reach: Option<u64>,
    sink: &mut Sink<'_>,
) -> Option<()> {
    const MOST_STEPS: u64 = 20_000_000;
    let steps = count.zip(reach).map_or(0, |(count, reach)| count.saturating_mul(reach));
    if steps <= MOST_STEPS {
        return Some(());
    }
    let span = table.value("reach").map_or(0..0, Spanned::span);
    let what = "`count` times `reach`".to_owned();
    let condition = format!("must be at most {MOST_STEPS}");
    table.tell(sink, span, "reach", Problem::Condition { what, condition });
    None
}

impl Wishes {
    /// Draws the demands, and makes a circuit for each if there are circuits.
    pub(super) fn draw(self, plan: &Plan, graph: &Graph) -> (Vec<Circuit>, Vec<PairDemand>) {
        let mut stream = plan.stream("generated demands for pairs");
        let nodes = u64::from(plan.nodes);
        let neighbours = self.reach.map(|_| Neighbours::new(plan.nodes, &graph.links));
        let mut walk = Vec::new();
        let (mut circuits, mut demands) = (Vec::new(), Vec::new());
        for place in 0..self.count {
            let from = stream.below(nodes) as u32;
            let to = match (self.reach, &neighbours) {
                (Some(reach), Some(neighbours)) => neighbours.walk(from, reach, &mut walk, &mut stream),
                // Of the other nodes each is as likely; counting past `from` leaves it out.
                _ => {
                    let other = stream.below(nodes - 1) as u32;
                    if other >= from { other + 1 } else { other }
                }
            };
            let (from, to) = (NodeId(from), NodeId(to));
            let circuit = self.circuit.as_ref().map(|body| {
                circuits.push(body.clone().between(format!("c{place}"), from, to));
                place as u32
            });
            let PairWish { fidelity, pairs, rate, kind, within, hold } = self.wish;
            demands.push(PairDemand {
                name: format!("p{place}"),
                from,
                to,
                fidelity,
                pairs,
                rate,
                kind,
                start: Time::ZERO,
                within,
                circuit,
                hold,
                published: None,
                note: String::new(),
            });
        }
        (circuits, demands)
    }
}

/// The neighbours of all nodes.
struct Neighbours {
    /// Where those of each node begin in `nodes`; one more than there are nodes.
    starts: Vec<u32>,
    nodes: Vec<u32>,
}

impl Neighbours {
    fn new(nodes: u32, links: &[(u32, u32)]) -> Self {
        let mut starts = vec![0; nodes as usize + 1];
        for &(a, b) in links {
            starts[a as usize + 1] += 1;
            starts[b as usize + 1] += 1;
        }
        for index in 1..starts.len() {
            starts[index] += starts[index - 1];
        }
        let mut next = starts.clone();
        let mut neighbours = vec![0; 2 * links.len()];
        for &(a, b) in links {
            for (node, other) in [(a, b), (b, a)] {
                neighbours[next[node as usize] as usize] = other;
                next[node as usize] += 1;
            }
        }
        Self { starts, nodes: neighbours }
    }

    fn of(&self, node: u32) -> &[u32] {
        &self.nodes[self.starts[node as usize] as usize..self.starts[node as usize + 1] as usize]
    }

    /// Where a walk of 1 to `reach` steps ends that passes no node twice; `passed` is room for its nodes. Every node has a
    /// neighbour, for the graph hangs together.
    fn walk(&self, from: u32, reach: u64, passed: &mut Vec<u32>, stream: &mut Stream) -> u32 {
        /// How often a step is drawn again that would lead back; then the walk ends early.
        const TRIES: u32 = 8;
        let steps = 1 + stream.below(reach);
        passed.clear();
        passed.push(from);
        let mut at = from;
        for _ in 0..steps {
            let beside = self.of(at);
            let fresh = (0..TRIES).find_map(|_| {
                let next = beside[stream.below(beside.len() as u64) as usize];
                (!passed.contains(&next)).then_some(next)
            });
            let Some(next) = fresh else { break };
            passed.push(next);
            at = next;
        }
        at
    }
}
