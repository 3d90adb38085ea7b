//! Why demands are refused, in the names of the network file.

use bellwether_network::Network;
use bellwether_protocol::entanglement::routing::{Refusal, Route};
use bellwether_units::{LinkId, NodeId};

/// Why a demand is refused, with the best that could be had. Protocols number nodes and links; whoever reads this named them.
pub fn refusal(network: &Network, refusal: &Refusal) -> String {
    let node = |id: &NodeId| {
        network.nodes.get(id.index()).map_or_else(|| id.to_string(), |node| format!("`{}`", node.name))
    };
    let link = |id: &LinkId| {
        let named = network.entangling_links.get(id.index());
        named.map_or_else(|| id.to_string(), |link| format!("`{}`", link.name))
    };
    match refusal {
        Refusal::UnknownNode { .. } | Refusal::Senseless { .. } => refusal.to_string(),
        Refusal::ToItself { node: at } => format!("{} needs no circuit to itself", node(at)),
        Refusal::NoRoute { from, to } => {
            format!("no entangling links lead from {} to {}", node(from), node(to))
        }
        Refusal::NoMemory { node: at, link: lacking } => {
            format!(
                "{} has too few memories free for {}, and no route goes round it",
                node(at),
                link(lacking)
            )
        }
        Refusal::NoCapacity { link: full } => {
            format!("all of {} is promised to others, and no route goes round it", link(full))
        }
        Refusal::Fidelity { wanted, best, seconds, route } => format!(
            "a fidelity of {wanted} cannot be had: the best is {best:.4} at {seconds:.3e} s a pair, by {}",
            self::route(network, route)
        ),
        Refusal::Rate { wanted, best, route } => format!(
            "{wanted} pairs a second cannot be had: the best is {best:.4}, by {}",
            self::route(network, route)
        ),
        Refusal::Deadline { pairs, wanted, least, route } => format!(
            "{pairs} {} in {wanted} s cannot be had: {} {least:.4} s at least, by {}",
            if *pairs == 1 { "pair" } else { "pairs" },
            if *pairs == 1 { "it takes" } else { "they take" },
            self::route(network, route)
        ),
    }
}

fn route(network: &Network, route: &Route) -> String {
    let name =
        |id: &NodeId| network.nodes.get(id.index()).map_or_else(|| id.to_string(), |node| node.name.clone());
    route.0.iter().map(name).collect::<Vec<_>>().join("-")
}
