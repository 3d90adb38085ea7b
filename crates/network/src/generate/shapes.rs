//! Graphs without chance: lines, rings, stars, grids and trees.

use super::{Graph, Plan};
use core::f64::consts::TAU;

pub(super) fn line(plan: &Plan) -> Graph {
    Graph {
        places: (0..plan.nodes).map(|node| (f64::from(node) * plan.spacing, 0.0)).collect(),
        links: (1..plan.nodes).map(|node| (node - 1, node)).collect(),
        as_laid_out: false,
    }
}

pub(super) fn ring(plan: &Plan) -> Graph {
    let radius = plan.spacing * f64::from(plan.nodes) / TAU;
    let mut links: Vec<_> = (1..plan.nodes).map(|node| (node - 1, node)).collect();
    if plan.nodes > 2 {
        links.push((0, plan.nodes - 1));
    }
    Graph { places: circle(plan.nodes, radius), links, as_laid_out: false }
}

pub(super) fn star(plan: &Plan) -> Graph {
    let mut places = vec![(0.0, 0.0)];
    places.extend(circle(plan.nodes - 1, plan.spacing));
    Graph { places, links: (1..plan.nodes).map(|node| (0, node)).collect(), as_laid_out: false }
}

pub(super) fn grid(plan: &Plan) -> Graph {
    let square = libm::ceil(libm::sqrt(f64::from(plan.nodes))) as u32;
    let columns = plan.columns.unwrap_or(square).clamp(1, plan.nodes);
    let mut graph = Graph::default();
    for node in 0..plan.nodes {
        let (column, row) = (node % columns, node / columns);
        graph.places.push((f64::from(column) * plan.spacing, -f64::from(row) * plan.spacing));
        if column + 1 < columns && node + 1 < plan.nodes {
            graph.links.push((node, node + 1));
        }
        if let Some(below) = node.checked_add(columns).filter(|&below| below < plan.nodes) {
            graph.links.push((node, below));
        }
    }
    graph
}

pub(super) fn tree(plan: &Plan) -> Graph {
    let mut graph = Graph::default();
    // A level holds `branching` times the nodes of the one above; nodes are numbered level by level.
    let (mut level, mut first, mut width) = (0, 0u64, 1u64);
    for node in 0..u64::from(plan.nodes) {
        if node == first + width {
            first += width;
            width *= u64::from(plan.branching);
            level += 1;
        }
        let across = ((node - first) as f64 + 0.5) / width as f64 - 0.5;
        let down = f64::from(level) * plan.spacing;
        graph.places.push((across * plan.spacing * libm::sqrt(f64::from(plan.nodes)), -down));
        if node > 0 {
            let above = (node - 1) / u64::from(plan.branching);
            graph.links.push((above as u32, node as u32));
        }
    }
    graph
}

fn circle(nodes: u32, radius: f64) -> Vec<(f64, f64)> {
    (0..nodes)
        .map(|node| {
            let turn = TAU * f64::from(node) / f64::from(nodes);
            (radius * libm::sin(turn), radius * libm::cos(turn))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::tests::plan;
    use crate::record::generate::GraphKind;

    fn degree(graph: &Graph, node: u32) -> usize {
        graph.links.iter().filter(|&&(a, b)| a == node || b == node).count()
    }

    #[test]
    fn shapes_have_the_links_they_should() {
        assert_eq!(line(&plan(GraphKind::Line, 10)).links.len(), 9);
        let ring = ring(&plan(GraphKind::Ring, 10));
        assert!((0..10).all(|node| degree(&ring, node) == 2));
        assert_eq!(degree(&star(&plan(GraphKind::Star, 10)), 0), 9);
        let square = grid(&plan(GraphKind::Grid, 100));
        assert_eq!(square.links.len(), 2 * 10 * 9);
        assert_eq!(degree(&square, 0), 2);
        assert_eq!(degree(&square, 55), 4);
        let narrow = grid(&Plan { columns: Some(3), ..plan(GraphKind::Grid, 8) });
        assert_eq!(narrow.links.len(), 2 + 2 + 1 + 3 + 2, "rows of 3, 3 and 2");
        let tree = tree(&Plan { branching: 3, ..plan(GraphKind::Tree, 13) });
        assert_eq!(degree(&tree, 0), 3);
        assert_eq!(degree(&tree, 1), 4);
        assert_eq!(degree(&tree, 12), 1);
    }

    #[test]
    fn neighbours_on_a_large_ring_lie_a_spacing_apart() {
        let ring = ring(&plan(GraphKind::Ring, 1000));
        let (a, b) = (ring.places[0], ring.places[1]);
        assert!((libm::hypot(a.0 - b.0, a.1 - b.1) - 50.0).abs() < 0.01);
    }
}
