//! The nodes of a described network as the key nodes of `protocol` want to know them, in virtual time and live.

use bellwether_network::{Network, Role};
use bellwether_protocol::keys::{Settings, Topology};
use bellwether_units::NodeId;

/// Which links join which nodes, and which nodes relay nothing for others.
///
/// ```
/// use bellwether_network::Network;
///
/// let text = "format = 1\n[network]\nname = \"empty\"\n[run]\nduration = \"1 s\"\n[node.A]\n[node.B]\n";
/// let network = Network::parse(text, "empty.toml", &[]).map_err(|errors| errors.to_string())?;
/// assert_eq!(bellwether_sim::nodes::topology(&network).node_count(), 2);
/// # Ok::<(), String>(())
/// ```
pub fn topology(network: &Network) -> Topology {
    let ends: Vec<_> = network.links.iter().map(|link| (link.transmitter_at, link.receiver_at)).collect();
    let relays_not = network.nodes.iter().enumerate().filter(|(_, node)| node.role != Role::TrustedNode);
    Topology::new(network.nodes.len() as u32, &ends)
        .expect("a network's links join two of its nodes")
        .without_relay(relays_not.map(|(place, _)| NodeId(place as u32)))
}

/// `usual`, with what the file says of this node.
pub fn key_settings(network: &Network, node: NodeId, usual: Settings) -> Settings {
    match network.node(node).pool_capacity {
        Some(capacity) => Settings { pool_capacity: capacity.bits(), ..usual },
        None => usual,
    }
}
