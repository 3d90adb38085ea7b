//! Generated networks, as a file asks for them.

use crate::{parse, with};
use bellwether_network::{Network, Role};

const GENERATED: &str = r#"
format = 1
network.name = "generated"
[defaults]
transmitter = "generic-decoy-1ghz"
receiver = "generic-snspd"
fibre = { loss_per_length = "0.2 dB/km" }
[generate]
kind = "ring"
nodes = 12
spacing = "40 km"
[generate.demand]
count = 30
rate = "1 /s"
"#;

fn generated(overrides: &[&str]) -> Network {
    with(GENERATED, overrides).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn a_ring_has_its_nodes_links_and_demands() {
    let ring = generated(&[]);
    assert_eq!((ring.nodes.len(), ring.links.len(), ring.demands.len()), (12, 12, 30));
    assert!(ring.links.iter().all(|link| link.fibre.length.kilometres() == 40.0));
    assert!(ring.links.iter().all(|link| link.transmitter_at < link.receiver_at));
    assert!(ring.demands.iter().all(|demand| demand.from != demand.to));
    assert_eq!(ring.links[11].name, "n0-n11");
    assert!(ring.nodes.iter().all(|node| node.role == Role::TrustedNode && node.position.is_some()));
}

#[test]
fn equal_seeds_give_equal_networks_and_others_give_others() {
    for kind in ["waxman", "scale-free"] {
        let kind = format!("generate.kind={kind}");
        let (one, again) = (generated(&[&kind]), generated(&[&kind]));
        assert_eq!(one, again);
        let other = generated(&[&kind, "generate.seed=2"]);
        assert_ne!(one.links, other.links);
    }
    let (one, other) = (generated(&[]), generated(&["generate.seed=2"]));
    assert_eq!(one.links, other.links, "a ring has no chance");
    assert_ne!(one.demands, other.demands);
}

#[test]
fn waxman_links_are_as_long_as_their_nodes_lie_apart() {
    let network = generated(&["generate.kind=waxman", "generate.nodes=100"]);
    for link in &network.links {
        let at = |node| network.node(node).position.unwrap();
        let apart = at(link.transmitter_at).distance(at(link.receiver_at)).kilometres();
        let length = link.fibre.length.kilometres();
        // The plane is laid on the equator, so distances on the globe are a little shorter.
        assert!((apart / length - 1.0).abs() < 0.01, "{apart} km, {length} km of fibre");
    }
    let fixed = generated(&["generate.kind=waxman", "generate.link.fibre.length=7 km"]);
    assert!(fixed.links.iter().all(|link| link.fibre.length.kilometres() == 7.0));
}

#[test]
fn what_is_written_out_joins_what_is_generated() {
    let text = format!(
        "{GENERATED}\n[node.X]\nrole = \"end-node\"\n[link.X-n3]\nends = [\"X\", \"n3\"]\n\
         fibre.length = \"5 km\"\n[demand.x]\nfrom = \"X\"\nto = \"n9\"\nrate = \"1 /s\"\n\
         [[event]]\nat = \"1 s\"\nkind = \"cut\"\nlink = \"n0-n1\"\n"
    );
    let network = parse(&text).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!((network.nodes.len(), network.links.len(), network.demands.len()), (13, 13, 31));
    assert_eq!(network.find_link("X-n3").unwrap().index(), 12);
    let twice = format!("{GENERATED}\n[node.n3]\n");
    assert!(parse(&twice).unwrap_err().to_string().contains("`n3` is given twice"));
}

#[test]
fn one_file_can_ask_for_every_shape() {
    for (kind, links) in [("line", 11), ("ring", 12), ("star", 11), ("grid", 17), ("tree", 11)] {
        let network = generated(&[&format!("generate.kind={kind}")]);
        assert_eq!(network.links.len(), links, "{kind}");
    }
    assert_eq!(generated(&["generate.kind=grid", "generate.columns=6"]).links.len(), 16);
    assert_eq!(generated(&["generate.kind=scale-free", "generate.links_per_node=3"]).links.len(), 6 + 8 * 3);
}
