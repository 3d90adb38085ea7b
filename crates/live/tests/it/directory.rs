//! What daemons take from the network file.

use bellwether_live::directory::{
    LiveNetworkError, MOST_NODES_BY_DEFAULT, applications, delivery_settings, node_addresses,
    physical_layer_address,
};
use bellwether_network::Network;
use bellwether_protocol::keys::delivery::{PairPolicy, Requirement, SaeName, Settings};
use bellwether_units::NodeId;

fn nodes(names: &[&str], more: &str) -> String {
    let nodes: String = names.iter().map(|name| format!("[node.{name}]\n")).collect();
    format!("format = 1\nnetwork.name = \"n\"\n{nodes}{more}")
}

fn network(text: &str) -> Network {
    Network::parse(text, "net.toml", &[]).unwrap_or_else(|errors| panic!("{errors}"))
}

const LINKED: &str = r#"
[link.A-B]
ends = ["A", "B"]
fibre = { length = "10 km", total_loss = "2 dB" }
transmitter = "generic-decoy-1ghz"
receiver = "generic-snspd"
"#;

#[test]
fn the_directory_is_what_the_file_says() {
    let applied = applications(&network(&nodes(
        &["A", "B"],
        &format!(
            r#"{LINKED}
            [sae.bank-a]
            node = "A"
            keys_per_second = 9
            [sae."urn:b"]
            node = "B"
            [[pair]]
            master = "bank-a"
            slave = "urn:b"
            requirement = "post-quantum-while-down"
            keys_per_second = 5
            bits_per_day = 4096
            [[pair]]
            master = "urn:b"
            slave = "urn:b"
            requirement = "quantum-only"
            "#
        ),
    )))
    .unwrap();
    let directory = &applied.directory;
    assert!(!applied.by_default);
    assert_eq!((directory.node_of("bank-a"), directory.node_of("urn:b")), (Some(NodeId(0)), Some(NodeId(1))));
    assert_eq!((directory.keys_per_second("bank-a"), directory.keys_per_second("urn:b")), (Some(9), None));
    let limited = PairPolicy {
        requirement: Requirement::PostQuantumWhileDown,
        keys_per_second: Some(5),
        bits_per_day: Some(4096),
    };
    assert_eq!(directory.policy("bank-a", "urn:b"), Some(limited));
    assert_eq!(directory.policy("urn:b", "bank-a"), Some(limited));
    let alone = PairPolicy { requirement: Requirement::QuantumOnly, ..PairPolicy::default() };
    assert_eq!(directory.policy("urn:b", "urn:b"), Some(alone));
    assert_eq!(directory.policy("bank-a", "bank-a"), None, "what is not listed is denied");
    assert_eq!(directory.pairs().count(), 3);
}

#[test]
fn each_requirement_means_the_same_on_both_sides() {
    for (word, wanted) in [
        ("both", Some(Requirement::Both)),
        ("quantum-only", Some(Requirement::QuantumOnly)),
        ("post-quantum-while-down", Some(Requirement::PostQuantumWhileDown)),
        ("refuse", None),
    ] {
        let text = format!(
            "[sae.a]\nnode = \"A\"\n[[pair]]\nmaster = \"a\"\nslave = \"a\"\nrequirement = \"{word}\"\n"
        );
        let directory = applications(&network(&nodes(&["A"], &text))).unwrap().directory;
        assert_eq!(directory.policy("a", "a").map(|policy| policy.requirement), wanted, "{word}");
    }
}

#[test]
fn without_applications_each_node_has_one_and_all_share_keys() {
    let applied = applications(&network(&nodes(&["A", "B", "C"], ""))).unwrap();
    assert!(applied.by_default);
    let names: Vec<_> =
        applied.directory.applications().map(|(name, node)| (name.as_str(), node.0)).collect();
    assert_eq!(names, [("sae-A", 0), ("sae-B", 1), ("sae-C", 2)]);
    let pairs: Vec<_> = applied.directory.pairs().collect();
    assert_eq!(pairs.len(), 6);
    assert!(pairs.iter().all(|(master, slave, policy)| master != slave && *policy == PairPolicy::default()));
}

#[test]
fn what_the_default_cannot_name_or_bear_is_told() {
    let long = "n".repeat(64);
    for name in ["Zürich", long.as_str()] {
        let text = nodes(&["A"], &format!("[node.\"{name}\"]\n"));
        let error = applications(&network(&text)).unwrap_err();
        assert!(matches!(&error, LiveNetworkError::Name { node, .. } if node == name), "{error}");
        assert!(error.to_string().contains("write [sae.NAME]"), "{error}");
        let named = format!("{text}[sae.a]\nnode = \"{name}\"\n");
        assert!(applications(&network(&named)).is_ok());
    }
    let many = |count: usize| {
        let names: Vec<_> = (0..count).map(|node| format!("n{node}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        applications(&network(&nodes(&names, ""))).map(|applied| applied.directory.pairs().count())
    };
    let most = MOST_NODES_BY_DEFAULT;
    assert_eq!(many(most), Ok(most * (most - 1)));
    assert_eq!(many(most + 1), Err(LiveNetworkError::TooManyNodes { nodes: most + 1 }));
}

#[test]
fn the_file_and_the_protocol_have_one_rule_for_names() {
    let long = |count: usize| "n".repeat(count);
    let characters = (0x21..=0x2ff).filter_map(char::from_u32).filter(|c| !c.is_control());
    let mut names: Vec<String> = characters.map(|c| format!("a{c}b")).collect();
    names.extend([" ".to_owned(), long(64), long(65), format!("{}é", long(62))]);
    let mut allowed = 0;
    for name in names {
        let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
        let text = nodes(&["A"], &format!("[sae.\"{quoted}\"]\nnode = \"A\"\n"));
        let read = Network::parse(&text, "net.toml", &[]).is_ok();
        assert_eq!(read, SaeName::new(&name).is_ok(), "{name}");
        allowed += usize::from(read);
    }
    // 62 letters and digits, 4 other unreserved characters, 18 reserved ones, the percent sign; the long name.
    assert_eq!(allowed, 62 + 4 + 18 + 1 + 1);
}

#[test]
fn the_size_of_a_key_is_one_that_key_managers_deliver() {
    let sized = |bits: u32| {
        let text = nodes(&["A"], &format!("[live]\nkey_size = \"{bits} bit\"\n"));
        Network::parse(&text, "net.toml", &[]).map(|network| delivery_settings(&network))
    };
    let usual = Settings::default();
    assert_eq!(delivery_settings(&network(&nodes(&["A"], ""))).key_bits, 256);
    for bits in [usual.min_key_bits, 128, usual.max_key_bits] {
        assert_eq!(sized(bits).unwrap(), Settings { key_bits: bits, ..usual.clone() });
    }
    for bits in [usual.min_key_bits - 8, 100, usual.max_key_bits + 8] {
        assert!(sized(bits).is_err(), "{bits}");
    }
}

#[test]
fn nodes_listen_where_the_file_says_or_else_in_their_order() {
    let network = network(&nodes(
        &["A", "B"],
        "[live]\nfirst_port = 7000\n[live.node.B]\nkey_manager = \"192.0.2.7:443\"\n",
    ));
    let at = |node| {
        let addresses = node_addresses(&network, NodeId(node)).unwrap();
        [addresses.node_to_node, addresses.key_manager, addresses.operations].map(|a| a.to_string())
    };
    assert_eq!(at(0), ["127.0.0.1:7000", "127.0.0.1:7001", "127.0.0.1:7002"]);
    assert_eq!(at(1), ["127.0.0.1:7003", "192.0.2.7:443", "127.0.0.1:7005"]);
    assert_eq!(physical_layer_address(&network).unwrap().to_string(), "127.0.0.1:7006");
}

#[test]
fn nodes_that_keep_memories_listen_for_programs() {
    let entangling = "[entangling.B-C]\nends = [\"B\", \"C\"]\nfibre = { length = \"1 km\", total_loss = \"1 dB\" }\n\
                      scheme = { kind = \"stated\", success = 0.01, fidelity = 0.98 }\n\
                      [live]\nfirst_port = 7000\n[live.node.C]\nprograms = \"0.0.0.0:99\"\n";
    let network = network(&nodes(&["A", "B", "C"], entangling));
    let programs = |node| {
        let addresses = node_addresses(&network, NodeId(node)).unwrap();
        addresses.reached_programs().map(|address| address.to_string())
    };
    assert_eq!(programs(0), None);
    assert_eq!(programs(1).as_deref(), Some("127.0.0.1:7014"));
    assert_eq!(programs(2).as_deref(), Some("127.0.0.1:99"), "where it is reached from its own machine");
}

#[test]
fn a_lack_of_ports_is_told() {
    let names: Vec<_> = (0..15_300).map(|node| format!("n{node}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let network = network(&nodes(&names, ""));
    let last = (0..15_300).find(|&node| node_addresses(&network, NodeId(node)).is_err()).unwrap();
    // 4430 + 3 * 15 300 is the light's, and the key streams of that node would be at 65 536.
    assert_eq!(last, 15_205);
    let error = node_addresses(&network, NodeId(last)).unwrap_err();
    assert_eq!(error, LiveNetworkError::NoPort { node: "n15205".to_owned(), listener: "key_streams" });
    assert!(physical_layer_address(&network).is_ok());
}
