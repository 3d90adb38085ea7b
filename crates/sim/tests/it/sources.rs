//! Sources other than attenuated lasers.

use crate::link_file::LinkFile;
use crate::support::parse;
use bellwether_network::Network;
use bellwether_sim::run::{Options, Unobserved, simulate};

fn with_source(detail: &str, clock: &str, source: &str) -> Network {
    let link = LinkFile {
        length: "10 km",
        clock,
        source,
        block: "300 kbit",
        key_basis: 0.8,
        protocol: "bound = \"tomamichel-2012\"",
        ..LinkFile::default()
    };
    parse(&format!(
        r#"
format = 1
[network]
name = "a source"
[run]
duration = "10 s"
detail = "{detail}"
seed = 5
window = "50 ms"
[node.A]
[node.B]
{}
"#,
        link.text()
    ))
}

#[test]
fn a_quantum_dot_and_a_heralded_source_make_key_at_both_details() {
    let dot = |g2: f64| format!(r#"{{ kind = "single-photon", brightness = 0.3, g2 = {g2} }}"#);
    let heralded = r#"{ kind = "heralded", mean_pairs = 0.01, modes = 1, herald_efficiency = 0.6, herald_dark_probability = 1e-7, coupling = 0.6 }"#;
    for (clock, source) in [("10 MHz", dot(0.0)), ("10 MHz", dot(0.02)), ("76 MHz", heralded.to_owned())] {
        let mut rates = Vec::new();
        for detail in ["blocks", "bits"] {
            let network = with_source(detail, clock, &source);
            let summary = simulate(&network, &Options::default(), &mut Unobserved).unwrap().summary;
            let link = &summary.links[0];
            let expected = link.expected.as_ref().unwrap();
            assert!(link.blocks > 0, "{source} {detail}: {:?}", link.discarded);
            // Sifted counts of 10^5 and more: 1 % is more than 3 standard errors.
            assert!(
                (link.sifted_rate_per_s / expected.sifted_rate_per_s - 1.0).abs() < 0.01,
                "{source} {detail}"
            );
            assert!(summary.alarms.is_empty(), "{source} {detail}: {:?}", summary.alarms);
            rates.push(link.secret_bits as f64 / link.blocks as f64);
        }
        assert!((rates[1] / rates[0] - 1.0).abs() < 0.05, "{source}: {rates:?} secret bits a block");
    }
}

#[test]
fn photons_that_come_in_pairs_cost_key() {
    let secret = |g2: f64| {
        let source = format!(r#"{{ kind = "single-photon", brightness = 0.3, g2 = {g2} }}"#);
        let network = with_source("blocks", "10 MHz", &source);
        simulate(&network, &Options::default(), &mut Unobserved).unwrap().summary.links[0].secret_bits
    };
    let [perfect, good, poor] = [0.0, 0.02, 0.3].map(secret);
    assert!(perfect > good && good > poor, "{perfect} {good} {poor}");
}
