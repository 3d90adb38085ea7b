//! The networks that ship with the program.

use bellwether_network::{Evidence, Network};
use std::path::Path;

/// Name and text of every file in `networks/`.
pub(crate) fn files() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../networks");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

fn network(wanted: &str) -> Network {
    let (name, text) = files().into_iter().find(|(name, _)| name == wanted).unwrap();
    Network::parse(&text, &name, &[]).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn every_file_is_a_network() {
    for (name, text) in files() {
        let network = Network::parse(&text, &name, &[]).unwrap_or_else(|errors| panic!("{errors}"));
        assert!(!network.description.is_empty() && !network.sources.is_empty(), "{name}");
        for link in &network.links {
            if let Some(published) = &link.published {
                assert!(!published.source.is_empty(), "{name}, {}", link.name);
            }
        }
        let of_links = network.entangling_links.iter().filter_map(|link| link.published.as_deref());
        let of_demands = network.pair_demands.iter().filter_map(|demand| demand.published.as_deref());
        for published in of_links.chain(of_demands) {
            assert!(!published.source.is_empty() && published.evidence == Evidence::FromMemory, "{name}");
        }
    }
}

#[test]
fn the_vienna_network_is_what_was_built() {
    let vienna = network("secoqc-2008");
    assert_eq!((vienna.nodes.len(), vienna.links.len()), (6, 8));
    let length: f64 = vienna.links.iter().map(|link| link.fibre.length.kilometres()).sum();
    assert!((length - 200.0).abs() < 5.0, "about 200 km of fibre, {length}");
    for link in &vienna.links {
        let published = link.published.as_ref().unwrap();
        assert_eq!(published.evidence, Evidence::FromMemory, "{}: not looked up again", link.name);
        let protocol_ran_there = ["SIE-BREIT", "ERD-FRM"].contains(&link.name.as_str());
        assert!(protocol_ran_there != link.note.contains("Stand-in"), "{}", link.name);
        // The rate of a link is a check only where nothing was fitted to it.
        let fitted = published.fitted.as_ref().map(|fitted| fitted.parameter.as_str());
        assert!([None, Some("fibre.misalignment"), Some("transmitter.clock")].contains(&fitted));
    }
    // Sites lie as far apart as the map says: St. Poelten some 55 km west of Vienna.
    let at = |name| vienna.node(vienna.find_node(name).unwrap()).position.unwrap();
    assert!((at("STP").distance(at("SIE")).kilometres() - 59.0).abs() < 2.0);
}

#[test]
fn the_record_file_has_the_five_distances() {
    let record = network("bb84-421km");
    let losses: Vec<_> = record.links.iter().map(|link| link.fibre.loss().decibels()).collect();
    assert_eq!(losses, [42.7, 51.3, 60.6, 69.3, 71.9]);
    assert_eq!(record.links.iter().filter(|l| l.published.as_ref().unwrap().fitted.is_some()).count(), 1);
}

#[test]
fn the_applications_of_the_vienna_network_change_nothing_else() {
    let with = network("secoqc-2008");
    let (_, text) = files().into_iter().find(|(name, _)| name == "secoqc-2008").unwrap();
    let (before, _) = text.split_once("[sae.").unwrap();
    let without = Network::parse(before, "secoqc-2008", &[]).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!((with.saes.len(), with.pairs.len(), without.saes.len()), (2, 2, 0));
    let identity = with.identity.clone();
    assert_eq!(Network { saes: with.saes.clone(), pairs: with.pairs.clone(), identity, ..without }, with);
}

#[test]
fn no_experiment_of_pairs_has_more_than_one_fitted_parameter() {
    for (name, fitted) in [
        ("humphreys-2018", Some("station.unmodelled_coherence")),
        ("oxford-ions", Some("station.visibility")),
        ("delft-3-node-2021", Some("scheme.brightness")),
        // Its links are not what was measured; the note of the demand tells that the share of time without attempts is fitted.
        ("innsbruck-repeater-2023", None),
        ("repeater-chain", None),
    ] {
        let network = network(name);
        let published = network.entangling_links.iter().filter_map(|link| link.published.as_deref());
        let found: Vec<_> = published.filter_map(|published| published.fitted.as_ref()).collect();
        assert_eq!(found.iter().map(|fitted| fitted.parameter.as_str()).next(), fitted, "{name}");
        assert!(found.len() <= 1, "{name}");
    }
}

#[test]
fn the_networks_of_pairs_are_what_they_say() {
    let city = network("metro-100-entanglement");
    assert_eq!((city.nodes.len(), city.entangling_links.len(), city.pair_demands.len()), (100, 100, 20));
    let hubs = city.nodes.iter().filter(|node| node.role == bellwether_network::Role::Repeater).count();
    assert_eq!(hubs, 5);
    // A fibre is a third longer than the straight line.
    for link in &city.entangling_links {
        let [a, b] = link.ends.map(|end| city.node(end).position.unwrap());
        let longer = link.fibre.length.kilometres() / a.distance(b).kilometres();
        assert!((longer - 1.33).abs() < 0.1, "{}: {longer}", link.name);
    }
    let large = network("generated-100000");
    assert_eq!((large.nodes.len(), large.pair_demands.len()), (100_000, 10_000));
    assert!(large.entangling_links.len() > 190_000, "{}", large.entangling_links.len());
    let chain = network("repeater-chain");
    assert_eq!(chain.circuits[0].path.as_ref().unwrap().len(), 4);
}
