//! Graphs that grow by preferential attachment (Barabási & Albert, Science 286, 509 (1999)).

use super::{Graph, Plan};

/// The first `links_per_node + 1` nodes are all linked; every later one is linked to `links_per_node` earlier
/// ones, each chosen with a chance in proportion to the links it has.
pub(super) fn scale_free(plan: &Plan) -> Graph {
    let mut stream = plan.stream("scale-free graph");
    let core = (plan.links_per_node + 1).min(plan.nodes);
    let mut links = Vec::new();
    // Every link stands here with both its nodes, so a place drawn evenly is a node drawn by its links.
    let mut ends: Vec<u32> = Vec::new();
    for b in 1..core {
        for a in 0..b {
            links.push((a, b));
            ends.extend([a, b]);
        }
    }
    let mut chosen: Vec<u32> = Vec::new();
    for node in core..plan.nodes {
        chosen.clear();
        let wanted = plan.links_per_node as usize;
        // Drawing again what was drawn before ends soon; the bound is only so that it surely ends.
        for _ in 0..64 * wanted {
            if chosen.len() == wanted {
                break;
            }
            let drawn = ends[stream.below(ends.len() as u64) as usize];
            if !chosen.contains(&drawn) {
                chosen.push(drawn);
            }
        }
        for other in 0..node {
            if chosen.len() == wanted {
                break;
            }
            if !chosen.contains(&other) {
                chosen.push(other);
            }
        }
        for &other in &chosen {
            links.push((other, node));
            ends.extend([other, node]);
        }
    }
    let side = plan.spacing * libm::sqrt(f64::from(plan.nodes));
    let mut scatter = plan.stream("scale-free places");
    let places = (0..plan.nodes).map(|_| (scatter.uniform() * side, scatter.uniform() * side)).collect();
    Graph { places, links, as_laid_out: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::tests::{is_sound, plan};
    use crate::record::generate::GraphKind;

    #[test]
    fn each_new_node_brings_its_links() {
        let graph = scale_free(&Plan { links_per_node: 3, ..plan(GraphKind::ScaleFree, 1000) });
        assert_eq!(graph.links.len(), 6 + 996 * 3);
        is_sound(&graph, 1000);
    }

    /// The share of nodes with k links falls as 2 m (m + 1) / (k (k + 1) (k + 2)) (Bollobás et al., Random
    /// Struct. Alg. 18, 279 (2001)).
    #[test]
    fn the_degrees_follow_the_power_law() {
        let nodes = 100_000;
        let graph = scale_free(&plan(GraphKind::ScaleFree, nodes));
        let mut degree = vec![0usize; nodes as usize];
        for &(a, b) in &graph.links {
            degree[a as usize] += 1;
            degree[b as usize] += 1;
        }
        for k in [2usize, 3, 5, 10] {
            let share = 12.0 / (k * (k + 1) * (k + 2)) as f64;
            let expected = share * f64::from(nodes);
            let found = degree.iter().filter(|&&d| d == k).count() as f64;
            // Four standard deviations of a binomial count.
            assert!(
                (found - expected).abs() < 4.0 * expected.sqrt(),
                "{found} of degree {k}, not {expected}"
            );
        }
        assert!(degree.iter().max() > Some(&300), "hubs arise");
    }
}
