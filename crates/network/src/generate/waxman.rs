//! Random graphs whose links get rarer with distance (Waxman, IEEE JSAC 6, 1617 (1988)).
//!
//! Nodes are scattered evenly over a square in which each has `spacing`² of its own. Two at distance d are
//! linked with probability `strength * exp(-d / reach)`; the strength is such that a node away from the border
//! has `mean_degree` links on average. What is then still apart is joined by one link for each piece.

use super::{Components, Graph, Plan};
use core::f64::consts::TAU;

/// Beyond so many times the reach no links are made. Of a node's links, (1 + 20) exp(-20) = 4e-8 would be.
const FARTHEST: f64 = 20.0;

/// The probability that two nodes at one place are linked. On a plane with one node to each `spacing`², a node
/// has `strength * 2 pi (reach / spacing)²` links, which is to be `mean_degree`.
pub(super) fn strength(plan: &Plan) -> f64 {
    let density = 1.0 / (plan.spacing * plan.spacing);
    plan.mean_degree / (TAU * plan.reach * plan.reach * density)
}

/// The least reach with which the strength is a probability, in kilometres.
pub(super) fn least_reach(plan: &Plan) -> f64 {
    plan.spacing * libm::sqrt(plan.mean_degree / TAU)
}

pub(super) fn waxman(plan: &Plan) -> Graph {
    let side = plan.spacing * libm::sqrt(f64::from(plan.nodes));
    let mut scatter = plan.stream("waxman places");
    let places: Vec<(f64, f64)> =
        (0..plan.nodes).map(|_| (scatter.uniform() * side, scatter.uniform() * side)).collect();
    let cells = Cells::new(&places, side, 2.0 * plan.reach.max(plan.spacing));
    let mut links = links(plan, &places, &cells);
    join(&mut links, &cells, plan.nodes);
    Graph { places, links, as_laid_out: true }
}

/// The square cut into cells, so that far pairs are passed over together.
struct Cells {
    /// Cells in a row, and rows.
    across: usize,
    /// The width of a cell.
    width: f64,
    /// The nodes of all cells, one cell after the other.
    nodes: Vec<u32>,
    /// Where each cell begins in `nodes`; one more than there are cells.
    starts: Vec<usize>,
}

impl Cells {
    fn new(places: &[(f64, f64)], side: f64, width: f64) -> Self {
        let across = (libm::ceil(side / width) as usize).max(1);
        let cell = |&(x, y): &(f64, f64)| {
            let column = ((x / width) as usize).min(across - 1);
            let row = ((y / width) as usize).min(across - 1);
            row * across + column
        };
        let mut starts = vec![0; across * across + 1];
        for place in places {
            starts[cell(place) + 1] += 1;
        }
        for index in 1..starts.len() {
            starts[index] += starts[index - 1];
        }
        let mut next = starts.clone();
        let mut nodes = vec![0; places.len()];
        for (node, place) in places.iter().enumerate() {
            let slot = &mut next[cell(place)];
            nodes[*slot] = node as u32;
            *slot += 1;
        }
        Self { across, width, nodes, starts }
    }

    fn nodes(&self, cell: usize) -> &[u32] {
        &self.nodes[self.starts[cell]..self.starts[cell + 1]]
    }
}

fn links(plan: &Plan, places: &[(f64, f64)], cells: &Cells) -> Vec<(u32, u32)> {
    let mut stream = plan.stream("waxman links");
    let strength = strength(plan);
    let far = libm::ceil(FARTHEST * plan.reach / cells.width) as isize;
    let mut links = Vec::new();
    for cell in 0..cells.across * cells.across {
        let here = cells.nodes(cell);
        if here.is_empty() {
            continue;
        }
        let (column, row) = ((cell % cells.across) as isize, (cell / cells.across) as isize);
        for down in 0..=far {
            // Each pair of cells is met once: those to the right in this row, all in the rows below.
            for right in if down == 0 { 0..=far } else { -far..=far } {
                let (other_column, other_row) = (column + right, row + down);
                if !(0..cells.across as isize).contains(&other_column) || other_row >= cells.across as isize {
                    continue;
                }
                let there = cells.nodes(other_row as usize * cells.across + other_column as usize);
                let gap = |steps: isize| (steps.unsigned_abs() as f64 - 1.0).max(0.0) * cells.width;
                let nearest = libm::hypot(gap(right), gap(down));
                let most = strength * libm::exp(-nearest / plan.reach);
                // Pairs are passed over with the greatest chance that any of them has, and those met are
                // kept with what is left of their own.
                let pairs = here.len() as u64 * there.len() as u64;
                let mut pair = skip(&mut stream, most);
                while pair < pairs {
                    let a = here[(pair / there.len() as u64) as usize];
                    let b = there[(pair % there.len() as u64) as usize];
                    if a < b || (right, down) != (0, 0) {
                        let ((ax, ay), (bx, by)) = (places[a as usize], places[b as usize]);
                        let distance = libm::hypot(ax - bx, ay - by);
                        if stream.chance(strength / most * libm::exp(-distance / plan.reach)) {
                            links.push((a.min(b), a.max(b)));
                        }
                    }
                    pair = pair.saturating_add(1).saturating_add(skip(&mut stream, most));
                }
            }
        }
    }
    links
}

/// How many trials of chance `p` fail before one succeeds: geometric, by inversion.
fn skip(stream: &mut bellwether_units::Stream, p: f64) -> u64 {
    if p >= 1.0 {
        return 0;
    }
    // 1 - u lies in (0, 1]; a quotient beyond 2^64 becomes the greatest number.
    (libm::log(1.0 - stream.uniform()) / libm::log1p(-p)) as u64
}

/// Joins what is apart, each piece to one that lies near: the nodes are walked cell by cell, to and fro.
fn join(links: &mut Vec<(u32, u32)>, cells: &Cells, nodes: u32) {
    let mut components = Components::new(nodes);
    for &(a, b) in links.iter() {
        components.join(a, b);
    }
    let mut before: Option<u32> = None;
    for row in 0..cells.across {
        for column in 0..cells.across {
            let column = if row % 2 == 0 { column } else { cells.across - 1 - column };
            for &node in cells.nodes(row * cells.across + column) {
                if let Some(before) = before
                    && components.join(before, node)
                {
                    links.push((before.min(node), before.max(node)));
                }
                before = Some(node);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::tests::plan;
    use crate::record::generate::GraphKind;

    /// Against every pair drawn by itself, in the mean over seeds.
    #[test]
    fn links_are_as_many_and_as_long_as_pair_by_pair() {
        let (mut expected, mut expected_length) = (0.0, 0.0);
        let (mut found, mut found_length) = (0.0, 0.0);
        for seed in 0..40 {
            let plan = Plan { seed, ..plan(GraphKind::Waxman, 400) };
            let graph = waxman(&plan);
            let cells = Cells::new(&graph.places, 1000.0, 100.0);
            let distance = |a: u32, b: u32| {
                let ((ax, ay), (bx, by)) = (graph.places[a as usize], graph.places[b as usize]);
                libm::hypot(ax - bx, ay - by)
            };
            for &(a, b) in &links(&plan, &graph.places, &cells) {
                found += 1.0;
                found_length += distance(a, b);
            }
            for b in 0..400 {
                for a in 0..b {
                    let p = strength(&plan) * (-distance(a, b) / plan.reach).exp();
                    expected += p;
                    expected_length += p * distance(a, b);
                }
            }
        }
        // A sum of independent trials of small chance has at most the deviation of a Poisson count.
        assert!((found - expected).abs() < 4.0 * f64::sqrt(expected), "{found} links, not {expected}");
        assert!((found_length / expected_length - 1.0).abs() < 0.03, "{found_length} {expected_length}");
    }

    #[test]
    fn the_mean_degree_is_met_away_from_the_border() {
        let plan = Plan { mean_degree: 3.0, ..plan(GraphKind::Waxman, 40_000) };
        let graph = waxman(&plan);
        let side = 50.0 * 200.0;
        let inner = |node: u32| {
            let (x, y) = graph.places[node as usize];
            let border = 10.0 * plan.reach;
            (border..side - border).contains(&x) && (border..side - border).contains(&y)
        };
        let cells = Cells::new(&graph.places, side, 100.0);
        let ends: usize = links(&plan, &graph.places, &cells)
            .iter()
            .map(|&(a, b)| usize::from(inner(a)) + usize::from(inner(b)))
            .sum();
        let nodes = (0..40_000).filter(|&node| inner(node)).count();
        let degree = ends as f64 / nodes as f64;
        assert!((degree - 3.0).abs() < 0.06, "{degree} over {nodes} nodes");
    }
}
