//! Why demands are refused, in the names of the network file.

use bellwether_network::Network;
use bellwether_protocol::entanglement::routing::{Refusal, Route};
use bellwether_protocol::entanglement::signalling::CircuitRefusal;
use bellwether_units::{LinkId, NodeId};

/// Why a demand is refused, with the best that could be had. Protocols number nodes and links; whoever reads this named them.
pub fn refusal(network: &Network, refusal: &Refusal) -> String {
    let (node, link) = (|id: &NodeId| node(network, *id), |id: &LinkId| link(network, *id));
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

/// Why the circuit of a demand is refused by a node of its way, with the best that all of the way can promise.
pub(super) fn no_circuit(network: &Network, refusal: &CircuitRefusal) -> String {
    match refusal {
        CircuitRefusal::Rate { node: at, link: full, best } => format!(
            "{} cannot promise the rate at {} beside what it has promised: all links of the way can promise {:.4} pairs a second",
            link(network, *full),
            node(network, *at),
            best.rate
        ),
        CircuitRefusal::Fidelity { node: at, link: poor, best } => format!(
            "{} cannot promise the fidelity at {}: all links of the way can promise {:.4}",
            link(network, *poor),
            node(network, *at),
            best.fidelity
        ),
        CircuitRefusal::Memories { node: at, link: lacking, .. } => {
            format!("{} has too few memories free for {}", node(network, *at), link(network, *lacking))
        }
        CircuitRefusal::NoLink { node: at, link: none } => {
            format!("{} has no {} to where the way leads", node(network, *at), link(network, *none))
        }
        CircuitRefusal::Full { node: at } => format!("{} takes no more circuits", node(network, *at)),
        CircuitRefusal::Silent => refusal.to_string(),
    }
}

fn node(network: &Network, id: NodeId) -> String {
    network.nodes.get(id.index()).map_or_else(|| id.to_string(), |node| format!("`{}`", node.name))
}
fn link(network: &Network, id: LinkId) -> String {
    let named = network.entangling_links.get(id.index());
    named.map_or_else(|| id.to_string(), |link| format!("`{}`", link.name))
}
fn route(network: &Network, route: &Route) -> String {
    let name =
        |id: &NodeId| network.nodes.get(id.index()).map_or_else(|| id.to_string(), |node| node.name.clone());
    route.0.iter().map(name).collect::<Vec<_>>().join("-")
}
