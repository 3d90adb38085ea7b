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
