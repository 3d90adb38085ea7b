//! Entangling links, circuits and demands for pairs, beyond single values and mistakes.

use crate::{parse, with};
use bellwether_network::{Cutoff, Network, Problem, Scheme, StatedPair};
use bellwether_units::{Duration, LinkId, NodeId};
use std::sync::Arc;

/// A chain of two links in which all is well.
pub(crate) const CHAIN: &str = r#"
format = 1
network.name = "chain"
[defaults.entangling]
scheme = { kind = "stated", success = 0.01, fidelity = 0.98 }
fibre = { length = "10 km", loss_per_length = "0.2 dB/km" }
[node.A]
role = "end-node"
[node.R]
role = "repeater"
[node.B]
role = "end-node"
[entangling.A-R]
ends = ["A", "R"]
[entangling.R-B]
ends = ["R", "B"]
[pair_demand.d]
from = "A"
to = "B"
"#;

fn chain(more: &str) -> Network {
    parse(&format!("{CHAIN}{more}")).unwrap_or_else(|errors| panic!("{errors}"))
}

fn problem(text: &str) -> Problem {
    let mut errors = parse(text).map(|_| ()).unwrap_err();
    assert_eq!(errors.count, 1, "{errors}");
    errors.mistakes.remove(0).problem
}

#[test]
fn a_network_may_entangle_and_make_no_key() {
    let network = chain("");
    assert!(network.links.is_empty() && network.demands.is_empty() && network.circuits.is_empty());
    let link = network.entangling_link(network.find_entangling_link("R-B").unwrap());
    assert_eq!((link.ends, link.memories, link.station.at), ([NodeId(1), NodeId(2)], [1, 1], 0.5));
    assert_eq!(*link.scheme, Scheme::Stated { success: 0.01, pair: StatedPair::Werner(0.98) });
    assert!(network.nodes.iter().all(|node| node.platform.is_none()));
    let demand = &network.pair_demands[0];
    assert_eq!((demand.fidelity, demand.pairs, demand.rate, demand.circuit), (0.5, None, None, None));
}

#[test]
fn keys_go_by_links_that_make_key_alone() {
    let text = format!("{CHAIN}[demand.k]\nfrom = \"A\"\nto = \"B\"\nrate = \"1 /s\"\n");
    let unreachable = Problem::Unreachable { from: "A".to_owned(), to: "B".to_owned() };
    assert_eq!(problem(&text), unreachable);
    // A repeater is trusted with no key.
    let link = |a: &str, b: &str| {
        format!(
            "[link.{a}{b}]\nends = [\"{a}\", \"{b}\"]\nfibre = {{ length = \"1 km\", total_loss = \"1 dB\" }}\n\
             transmitter = \"generic-decoy-1ghz\"\nreceiver = \"generic-snspd\"\n"
        )
    };
    let keyed = format!("{text}{}{}", link("A", "R"), link("R", "B"));
    assert_eq!(problem(&keyed), unreachable);
    assert!(parse(&keyed.replace("role = \"repeater\"", "")).is_ok(), "a trusted node is");
}

#[test]
fn pairs_go_over_repeaters_and_not_over_end_nodes() {
    let ends = CHAIN.replace("role = \"repeater\"", "role = \"end-node\"");
    let none = Problem::NoEntanglingPath { from: "A".to_owned(), to: "B".to_owned() };
    assert_eq!(problem(&ends), none);
    assert!(parse(&CHAIN.replace("role = \"repeater\"", "")).is_ok(), "a trusted node swaps as well");
    assert!(parse(&ends.replace("to = \"B\"", "to = \"R\"")).is_ok(), "a link needs nobody between");
}

#[test]
fn a_name_is_of_one_link_of_either_kind() {
    let text = format!(
        "{CHAIN}[link.A-R]\nends = [\"A\", \"R\"]\nfibre = {{ length = \"1 km\", total_loss = \"1 dB\" }}\n\
         transmitter = \"generic-decoy-1ghz\"\nreceiver = \"generic-snspd\"\n"
    );
    assert_eq!(problem(&text), Problem::Duplicate { name: "A-R".to_owned() });
    let both = parse(&text.replace("[link.A-R]", "[link.key]")).unwrap();
    assert_eq!((both.links.len(), both.entangling_links.len()), (1, 2));
    assert_eq!((both.find_link("key"), both.find_link("A-R")), (Some(LinkId(0)), None));
}

#[test]
fn a_circuit_goes_by_nodes_or_by_links() {
    const ENDS: &str = "from = \"A\"\nto = \"B\"\n";
    let path = |way: &str| chain(&format!("[circuit.c]\n{ENDS}{way}\n")).circuits[0].path.clone();
    assert_eq!(path("path = [\"A\", \"R\", \"B\"]"), Some(vec![LinkId(0), LinkId(1)]));
    assert_eq!(path("links = [\"A-R\", \"R-B\"]"), Some(vec![LinkId(0), LinkId(1)]));
    assert_eq!(path(""), None);
    let backwards =
        chain("[circuit.c]\nfrom = \"B\"\nto = \"A\"\npath = [\"B\", \"R\", \"A\"]\ncutoff = \"none\"\n");
    assert_eq!(backwards.circuits[0].path, Some(vec![LinkId(1), LinkId(0)]));
    assert_eq!(backwards.circuits[0].cutoff, Cutoff::Never);

    let parallel = "[entangling.other]\nends = [\"R\", \"A\"]\n";
    let told = |way: &str| {
        let text = format!("{CHAIN}{parallel}[circuit.c]\n{ENDS}{way}\n");
        problem(&text).to_string()
    };
    for (way, why) in [
        ("path = [\"A\", \"R\", \"B\"]", "are joined by 2 entangling links: write `links` instead"),
        ("path = [\"A\", \"B\"]", "are joined by no entangling link"),
        ("path = [\"R\", \"B\"]", "must begin at `from`, `A`"),
        ("links = [\"R-B\", \"A-R\"]", "does not go on from `A`, where the way has come"),
        ("links = [\"other\"]", "must end at `to`, `B`"),
        ("links = [\"A-R\", \"other\", \"A-R\", \"R-B\"]", "passes `A` twice"),
        ("links = []", "must have 1 to 4096 values, and this has 0"),
    ] {
        assert!(told(way).contains(why), "{way}: {}", told(way));
    }
    let purified =
        format!("{CHAIN}[circuit.c]\n{ENDS}path = [\"A\", \"R\", \"B\"]\npurification = [\"dejmps\"]\n");
    let errors = with(&purified, &["entangling.R-B.memories=2"]).unwrap_err();
    assert_eq!(errors.count, 1, "{errors}");
    let told = errors.to_string();
    assert!(told.contains("the link `A-R` has an end with one memory, and purification needs two"), "{told}");
    assert!(with(&purified, &["entangling.*.memories=2"]).is_ok());
}

#[test]
fn a_demand_and_its_circuit_have_the_same_ends() {
    let circuit =
        "[circuit.c]\nfrom = \"B\"\nto = \"A\"\n[pair_demand.e]\nfrom = \"A\"\nto = \"B\"\ncircuit = \"c\"\n";
    let told = problem(&format!("{CHAIN}{circuit}")).to_string();
    assert!(told.contains("the circuit `c` must have the `from` and the `to` of the demand"), "{told}");
}

#[test]
fn links_need_platforms_that_tell_enough() {
    let kind = |kind: &str, platform: &str, station: &str| {
        format!(
            "format = 1\nnetwork.name = \"x\"\n[defaults]\n{platform}\n[node.A]\n[node.B]\n[entangling.e]\n\
             ends = [\"A\", \"B\"]\nfibre = {{ length = \"1 km\", total_loss = \"1 dB\" }}\n{station}\nscheme = {{ {kind} }}\n"
        )
    };
    let click = "kind = \"double-click\"";
    let of = |name: &str| format!("platform = \"{name}\"");
    let told =
        |kind_of: &str, platform: &str, station: &str| problem(&kind(kind_of, platform, station)).to_string();
    assert!(
        told(click, "", "").contains("`A`, at an end of a link of kind \"double-click\", needs a `platform`")
    );
    assert!(
        told(click, &of("siv-cavity"), "")
            .contains("needs a click probability above 0, which its platform does not tell")
    );
    assert!(told(click, &of("strontium-calcium"), "").contains("needs a visibility"));
    let visible = "station = { visibility = 0.96 }";
    assert!(told(click, &of("strontium-calcium"), visible).contains("needs a dark count"));
    let dark = "station = { visibility = 0.96, dark_count_rate = \"10 /s\" }";
    assert!(
        told(click, &of("strontium-calcium"), dark).contains("needs a dark count"),
        "a rate needs a window"
    );
    let whole = "station = { visibility = 0.96, dark_count_rate = \"10 /s\", window = \"20 ns\" }";
    parse(&kind(click, &of("strontium-calcium"), whole)).unwrap();
    parse(&kind(click, &of("calcium-cavity"), "")).unwrap();
    let storage = "qubits = \"storage\"";
    assert!(told(click, &of("calcium-cavity"), storage).contains("needs a platform with `storage`"));
    assert!(told("kind = \"ensemble\"", &of("rubidium-ensemble"), "").contains("click probability"));
    assert!(
        told("kind = \"reflection\", mean_photons = 0.1, reflectance = 0.1", &of("siv-cavity"), "")
            .contains("dark count")
    );
    let still = kind("kind = \"stated\", success = 0.1, fidelity = 0.9", "", "").replace("1 km", "0 km");
    assert!(problem(&still).to_string().contains("takes no time: write `cycle`"));
    parse(&still.replace("scheme", "cycle = \"1 us\"\nscheme")).unwrap();
}

#[test]
fn nodes_that_name_a_platform_share_it() {
    let text = CHAIN
        .replace("[defaults.entangling]", "[defaults]\nplatform = \"calcium-cavity\"\n[defaults.entangling]");
    let network = parse(&text).unwrap();
    let platform = |node: usize| network.nodes[node].platform.as_ref().unwrap();
    assert!(Arc::ptr_eq(platform(0), platform(1)) && Arc::ptr_eq(platform(1), platform(2)));
    let own = with(&text, &["node.R.platform.communication.t2=100 ms"]).unwrap();
    let t2 = |node: usize| own.nodes[node].platform.as_ref().unwrap().communication.unwrap().t2;
    assert_eq!(
        (t2(0), t2(1)),
        (Some(Duration::from_milliseconds(85)), Some(Duration::from_milliseconds(100)))
    );
    let profile = with(&text, &["node.R.platform=nv-carbon", "node.R.platform.storage.t1=1 h"]).unwrap();
    let carbon = profile.nodes[1].platform.as_ref().unwrap();
    assert_eq!(carbon.profile.as_deref(), Some("nv-carbon"));
    assert_eq!(carbon.storage.unwrap().t1, Some(Duration::from_whole_seconds(3600)));
}

#[test]
fn defaults_of_another_scheme_say_nothing_of_a_link() {
    let network = with(
        CHAIN,
        &[
            "entangling.A-R.scheme.kind=pair-source",
            "entangling.A-R.scheme.mean_pairs=0.1",
            "entangling.A-R.scheme.clock=1 MHz",
            "entangling.A-R.station.dark_probability=0",
            "node.A.platform=praseodymium-comb",
            "node.R.platform=praseodymium-comb",
            "entangling.R-B.scheme.bell_diagonal=[1, 0, 0, 0]",
        ],
    )
    .unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(network.entangling_links[0].scheme.name(), "pair-source");
    // The nearer of two that exclude each other decides, and the rest is the defaults'.
    let pair = StatedPair::BellDiagonal([1.0, 0.0, 0.0, 0.0]);
    assert_eq!(*network.entangling_links[1].scheme, Scheme::Stated { success: 0.01, pair });
}

#[test]
fn what_no_model_takes_notice_of_is_refused() {
    let told = |fibre: &str| {
        problem(&CHAIN.replace("length = \"10 km\",", &format!("length = \"10 km\", {fibre},"))).to_string()
    };
    let drift = told("drift = { angle = \"1 deg\", over = \"1 h\" }");
    assert!(drift.contains("`drift` has no model on a link that entangles"), "{drift}");
    let misaligned = told("misalignment = 0.02");
    assert!(misaligned.contains("write the `visibility` of its `station`"), "{misaligned}");
    let channels = told("classical_channels = [{ power = \"0 dBm\" }]");
    assert!(channels.contains("in its dark clicks"), "{channels}");
    let none = CHAIN.replace("length = \"10 km\",", "length = \"10 km\", classical_channels = [],");
    assert!(parse(&none).is_ok());
}

#[test]
fn events_of_light_that_makes_key_do_not_happen_to_links_that_entangle() {
    let event = |kind: &str| format!("[[event]]\nat = \"1 s\"\nlink = \"A-R\"\nkind = {kind}\n");
    for kind in ["\"cut\"", "\"repair\"", "\"message-loss\"\nprobability = 0.1"] {
        assert_eq!(chain(&event(kind)).events.len(), 1, "{kind}");
    }
    for kind in [
        "\"attack\"\nattack = \"beam-splitting\"",
        "\"loss-step\"\nloss = \"1 dB\"",
        "\"clock-offset\"\noffset = \"1 ns\"",
    ] {
        let told = problem(&format!("{CHAIN}{}", event(kind))).to_string();
        assert!(told.contains("is for links that make key, and this link entangles"), "{told}");
    }
}
