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

const ENTANGLED: &str = r#"
format = 1
network.name = "generated"
[generate]
kind = "waxman"
nodes = 400
spacing = "20 km"
seed = 3
platform = "calcium-cavity"
entangling = { scheme = { kind = "double-click" }, fibre.loss_per_length = "0.2 dB/km", memories = 2 }
pair_demand = { count = 200, reach = 3, fidelity = 0.6, rate = "2 /s", pairs = 10, within = "1 s" }
circuit = { cutoff = "10 ms", purification = ["dejmps"] }
"#;

fn entangled(overrides: &[&str]) -> Network {
    with(ENTANGLED, overrides).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn a_graph_may_be_of_links_that_entangle() {
    let network = entangled(&[]);
    assert!(network.links.is_empty() && network.demands.is_empty());
    let sizes = (network.nodes.len(), network.circuits.len(), network.pair_demands.len());
    assert_eq!(sizes, (400, 200, 200));
    for link in &network.entangling_links {
        let [a, b] = link.ends.map(|end| network.node(end));
        let apart = a.position.unwrap().distance(b.position.unwrap()).kilometres();
        assert!((apart / link.fibre.length.kilometres() - 1.0).abs() < 0.01, "{}", link.name);
        assert_eq!(link.message_delay, link.fibre.delay());
        assert!(
            std::sync::Arc::ptr_eq(&link.scheme, &network.entangling_links[0].scheme),
            "one scheme for all"
        );
        assert!(std::sync::Arc::ptr_eq(a.platform.as_ref().unwrap(), b.platform.as_ref().unwrap()));
    }
    for (place, demand) in network.pair_demands.iter().enumerate() {
        let circuit = &network.circuits[demand.circuit.unwrap() as usize];
        assert_eq!((circuit.from, circuit.to), (demand.from, demand.to));
        assert_eq!((demand.name.as_str(), demand.pairs), (format!("p{place}").as_str(), Some(10)));
    }
    let key = with(GENERATED, &[]).unwrap();
    let shape = |kind: &str| {
        entangled(&[&format!("generate.kind={kind}"), "generate.nodes=12"]).entangling_links.len()
    };
    assert_eq!(shape("ring"), key.links.len(), "the same graph");
    let longer = entangled(&["generate.entangling.fibre.length=7 km"]);
    assert!(longer.entangling_links.iter().all(|link| link.fibre.length.kilometres() == 7.0));
    let starred = entangled(&["entangling.*.memories=[3, 5]"]);
    assert!(starred.entangling_links.iter().all(|link| link.memories == [3, 5]));
    let single = entangled(&["generate.pair_demand={ count = 5 }", "generate.circuit={}"]);
    assert_eq!(single.pair_demands.len(), 5);
}

/// How many links lie between two nodes.
fn hops(network: &Network, from: usize, to: usize) -> usize {
    let mut beside = vec![Vec::new(); network.nodes.len()];
    for link in &network.entangling_links {
        let [a, b] = link.ends.map(|end| end.index());
        beside[a].push(b);
        beside[b].push(a);
    }
    let mut far = vec![usize::MAX; network.nodes.len()];
    far[from] = 0;
    let mut queue = std::collections::VecDeque::from([from]);
    while let Some(node) = queue.pop_front() {
        for &next in &beside[node] {
            if far[next] == usize::MAX {
                far[next] = far[node] + 1;
                queue.push_back(next);
            }
        }
    }
    far[to]
}

#[test]
fn generated_pairs_are_wanted_from_nodes_within_reach() {
    for kind in ["waxman", "star", "line", "scale-free"] {
        let network = entangled(&[&format!("generate.kind={kind}")]);
        let mut seen = [0; 4];
        for demand in &network.pair_demands {
            assert_ne!(demand.from, demand.to);
            let hops = hops(&network, demand.from.index(), demand.to.index());
            assert!((1..=3).contains(&hops), "{kind}: {hops} links");
            seen[hops] += 1;
        }
        // On a line a walk of each length is as likely, but for the few that meet an end.
        if kind == "line" {
            assert!(seen[1..].iter().all(|&count| count > 40), "{seen:?}");
        }
    }
    let (one, again) = (entangled(&[]), entangled(&[]));
    assert_eq!(one, again);
    assert_ne!(one.pair_demands, entangled(&["generate.seed=4"]).pair_demands);
    let anywhere = entangled(&["generate.pair_demand={ count = 200 }"]);
    let far = anywhere.pair_demands.iter().filter(|d| hops(&anywhere, d.from.index(), d.to.index()) > 3);
    assert!(far.count() > 100);
}
