//! The networks that ship with Bellwether against the figures that their files state.

use bellwether_network::{Evidence, Network};
use bellwether_sim::run::{Options, Unobserved, simulate};

#[test]
fn secoqc_keeps_the_stated_order_and_comes_within_a_factor_of_two() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../networks/secoqc-2008.toml");
    let network = Network::read(path, &[]).unwrap_or_else(|errors| panic!("{errors}"));
    let summary = simulate(&network, &Options::default(), &mut Unobserved).unwrap().summary;
    let rates: Vec<(&str, f64, f64)> = summary
        .links
        .iter()
        .filter_map(|link| {
            let stated = link.published.as_ref()?.secret_rate_per_s?;
            Some((link.name.as_str(), stated, link.secret_rate_per_s))
        })
        .collect();
    assert_eq!(rates.len(), 8, "every link states a rate");
    for (name, stated, simulated) in &rates {
        let factor = simulated / stated;
        assert!((0.5..=2.0).contains(&factor), "{name}: {simulated} bit/s where {stated} bit/s are stated");
    }
    for (faster, stated, simulated) in &rates {
        for (slower, less, other) in &rates {
            assert!(stated <= less || simulated > other, "{faster} is stated above {slower}: {rates:?}");
        }
    }
    for link in &network.links {
        let published = link.published.as_ref().expect("every link states figures");
        assert_eq!(published.evidence, Evidence::FromMemory, "{}: it must not be quoted", link.name);
    }
}
