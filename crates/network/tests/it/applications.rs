//! Applications, their pairs and where a network listens, beyond single values and mistakes.

use crate::{SMALL, parse, with};
use bellwether_network::{Listener, Mistake, Network, Problem, Requirement, Size};
use bellwether_units::{Duration, NodeId};
use std::collections::BTreeSet;

const BANKS: &str = "[sae.bank-a]\nnode = \"A\"\n[sae.bank-b]\nnode = \"B\"\n";

fn small(more: &str) -> Network {
    parse(&format!("{SMALL}{BANKS}{more}")).unwrap_or_else(|errors| panic!("{errors}"))
}

fn problems(more: &str) -> Vec<Problem> {
    let errors = parse(&format!("{SMALL}{BANKS}{more}")).unwrap_err();
    errors.mistakes.into_iter().map(|mistake| mistake.problem).collect()
}

fn pair(master: &str, slave: &str, more: &str) -> String {
    format!("[[pair]]\nmaster = \"{master}\"\nslave = \"{slave}\"\n{more}\n")
}

#[test]
fn a_network_without_applications_has_none() {
    let network = parse(SMALL).unwrap();
    assert!(network.saes.is_empty() && network.pairs.is_empty() && network.live.listeners.is_empty());
    assert_eq!(network.live.head_start, Duration::from_whole_seconds(600));
    assert_eq!(network.live.key_size, Size::from_bits(256));
    assert_eq!(network.physical_layer().unwrap().to_string(), "127.0.0.1:4436");
}

#[test]
fn each_listener_has_a_port_of_its_own_by_default() {
    let network = parse(SMALL).unwrap();
    let all = (0..2).flat_map(|node| Listener::ALL.map(|l| network.listener(NodeId(node), l))).flatten();
    let ports: Vec<_> = all.chain(network.physical_layer()).map(|address| address.port()).collect();
    // Behind three a node and the light's stand those for key streams.
    assert_eq!(ports, [4430, 4431, 4432, 4437, 4433, 4434, 4435, 4438, 4436]);
}

#[test]
fn nodes_that_keep_memories_have_a_port_for_programs() {
    let entangling = "[node.C]\n[defaults.entangling]\nfibre.loss_per_length = \"0.2 dB/km\"\n\
                      [entangling.B-C]\nends = [\"B\", \"C\"]\nfibre.length = \"1 km\"\n\
                      scheme = { kind = \"stated\", success = 0.01, fidelity = 0.98 }\n";
    let read = |more: &str| parse(&format!("{SMALL}{entangling}{more}"));
    let network = read("").unwrap_or_else(|errors| panic!("{errors}"));
    let port = |node| network.listener(NodeId(node), Listener::Programs).map(|address| address.port());
    // Behind three a node, the light's and those of key streams; A keeps no memories.
    assert_eq!([port(0), port(1), port(2)], [None, Some(4444), Some(4445)]);
    let told = read("[live.node.A]\nkey_manager = \"127.0.0.1:4444\"\n").unwrap_err().to_string();
    assert!(told.contains("`programs` of node `B`, by default"), "{told}");
    let beside = "[live.node.B]\noperations = \"0.0.0.0:4444\"\n";
    assert!(read(beside).unwrap_err().to_string().contains("`programs` of node `B`"));
    // Without entangling links nobody has that port.
    small("[node.C]\n[live.node.A]\nkey_manager = \"127.0.0.1:4444\"\n");
    let away = "programs = \"127.0.0.1:9\"\n";
    let network = read(&format!("[live.node.C]\n{away}")).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(network.listener(NodeId(2), Listener::Programs).unwrap().to_string(), "127.0.0.1:9");
}

#[test]
fn a_pair_is_both_ways_unless_it_says_otherwise() {
    let network = small(&pair("bank-a", "bank-b", ""));
    let ways = |network: &Network| -> BTreeSet<_> {
        network.pairs.iter().map(|pair| (pair.master.0, pair.slave.0)).collect()
    };
    assert_eq!(ways(&network), [(0, 1), (1, 0)].into());
    assert!(network.pairs.iter().all(|pair| pair.requirement == Requirement::Both));
    assert_eq!(ways(&small(&pair("bank-a", "bank-b", "both_ways = false"))), [(0, 1)].into());
    assert_eq!(ways(&small(&pair("bank-a", "bank-a", ""))), [(0, 0)].into());
}

#[test]
fn the_two_ways_of_a_pair_may_differ_and_neither_be_given_twice() {
    let (there, back) = (pair("bank-a", "bank-b", "both_ways = false"), pair("bank-b", "bank-a", ""));
    let only_back = pair("bank-b", "bank-a", "both_ways = false\nrequirement = \"quantum-only\"");
    let network = small(&format!("{there}{only_back}"));
    assert_eq!(
        network.pairs.iter().map(|p| p.requirement).collect::<Vec<_>>(),
        [Requirement::Both, Requirement::QuantumOnly]
    );
    let twice = Problem::DuplicatePair { master: "bank-a".to_owned(), slave: "bank-b".to_owned() };
    assert_eq!(problems(&format!("{there}{back}")), std::slice::from_ref(&twice));
    assert_eq!(problems(&format!("{there}{there}")), [twice]);
}

#[test]
fn a_mistake_in_an_application_is_not_told_again_of_its_pairs() {
    let found = problems(&format!("[sae.c]\nnode = \"X\"\n{}", pair("bank-a", "c", "")));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(matches!(&found[0], Problem::NoSuch { what: "node", .. }));
}

#[test]
fn what_is_said_of_certificates_is_pointed_at_where_it_is_wrong() {
    // What the file has at each mistake, and what is said of it.
    let told = |more: &str| -> Vec<(String, String)> {
        let text = format!("{SMALL}{more}");
        let errors = parse(&text).unwrap_err();
        let at = |mistake: &Mistake| text[mistake.place.as_ref().unwrap().span.clone()].to_owned();
        errors.mistakes.iter().map(|mistake| (at(mistake), mistake.problem.to_string())).collect()
    };
    let key = "ab".repeat(32);
    let sae = |name: &str, keys: &str| format!("[sae.{name}]\nnode = \"A\"\npublic_keys = [{keys}]\n");
    for wrong in ["abc", &key[1..], &format!("{key}00"), &key.replace('a', "g")] {
        let [(at, problem)] = &told(&sae("bank-a", &format!("\"{key}\", \"{wrong}\"")))[..] else {
            panic!("{wrong}")
        };
        assert!(at == &format!("\"{wrong}\"") && problem.contains("64 hexadecimal digits"), "{at} {problem}");
    }
    let twice = sae("bank-a", &format!("\"{key}\"")) + &sae("bank-b", &format!("\"{}\"", key.to_uppercase()));
    let [(at, problem)] = &told(&twice)[..] else { panic!("{:?}", told(&twice)) };
    assert!(at.contains("ABAB") && problem.contains("`bank-a`"), "{at} {problem}");
    for wrong in ["[]", "[\"uri\", \"uri\"]"] {
        let [(at, problem)] = &told(&format!("[live]\ncertificate_names = {wrong}\n"))[..] else {
            panic!("{wrong}")
        };
        assert!(at == wrong && problem.contains("at least one field"), "{at} {problem}");
    }
    let [(at, _)] = &told("[live]\ncertificate_names = [\"dns\", \"cn\"]\n")[..] else {
        panic!("no such field")
    };
    assert_eq!(at, "\"cn\"");
    let [(at, _)] = &told("[live]\ntls_1_2 = 1\n")[..] else { panic!("no flag") };
    assert_eq!(at, "1");
}

#[test]
fn only_what_needs_quantum_key_needs_a_route() {
    let apart = "[node.C]\n[sae.c]\nnode = \"C\"\n[sae.d]\nnode = \"C\"\n";
    for (requirement, fine) in
        [("both", false), ("quantum-only", false), ("post-quantum-while-down", true), ("refuse", true)]
    {
        let more = format!("{apart}{}", pair("bank-a", "c", &format!("requirement = \"{requirement}\"")));
        assert_eq!(parse(&format!("{SMALL}{BANKS}{more}")).is_ok(), fine, "{requirement}");
    }
    small(&format!("{apart}{}", pair("c", "d", "requirement = \"quantum-only\"")));
}

#[test]
fn addresses_clash_only_where_they_are_the_same_for_certain() {
    let clashes =
        |more: &str| problems(more).iter().filter(|p| matches!(p, Problem::SamePort { .. })).count();
    let node = |node: &str, key: &str, address: &str| format!("live.node.{node}.{key} = \"{address}\"\n");
    // Dotted keys stand at the top of a file.
    let at_top = |keys: &[String]| format!("{}{SMALL}", keys.concat());
    for (first, second) in
        [("0.0.0.0:443", "0.0.0.0:443"), ("127.0.0.1:443", "127.0.0.2:443"), ("[::1]:443", "127.0.0.1:443")]
    {
        let text = at_top(&[node("A", "key_manager", first), node("B", "key_manager", second)]);
        parse(&text).unwrap_or_else(|errors| panic!("{errors}"));
    }
    // A port that is another's by default is free once that one is elsewhere.
    let moved = [node("A", "key_manager", "127.0.0.1:4435"), node("B", "operations", "127.0.0.1:443")];
    parse(&at_top(&moved)).unwrap_or_else(|errors| panic!("{errors}"));
    parse(&at_top(&[node("A", "key_manager", "127.0.0.1:4431")])).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(clashes("[live.node.A]\nkey_manager = \"0.0.0.0:4430\"\n"), 1, "its own by default");
    assert_eq!(clashes("[live.node.A]\nkey_manager = \"0.0.0.0:80\"\noperations = \"[::]:80\"\n"), 1);
    assert_eq!(clashes("[live]\nphysical_layer = \"127.0.0.1:4430\"\n"), 1);
    assert_eq!(clashes("[live.node.A]\nkey_manager = \"127.0.0.1:4438\"\n"), 1, "B's key streams");
}

#[test]
fn there_must_be_ports_enough_if_the_first_is_written() {
    let text = |nodes: usize, first: u16| {
        let mut text = format!("{SMALL}[live]\nfirst_port = {first}\n");
        for node in 2..nodes {
            text.push_str(&format!("[node.n{node}]\n"));
        }
        text
    };
    // 133 nodes have 532 ports, and the light one: 65 000 to 65 532; of 134 the last would be 65 536.
    assert!(parse(&text(133, 65_000)).is_ok());
    let told = parse(&text(134, 65_000)).unwrap_err().to_string();
    assert!(told.contains("leaves too few ports for 134 nodes: it must be at most 64999"), "{told}");
    assert!(parse(&text(134, 64_999)).is_ok());
    // With programs there is one more a node: 107 nodes have 535 ports and the light one.
    let pairs = "[entangling.pairs]\nends = [\"A\", \"B\"]\nfibre = { length = \"1 km\", total_loss = \"1 dB\" }\n\
                 scheme = { kind = \"stated\", success = 0.01, fidelity = 0.98 }\n";
    assert!(parse(&(text(107, 65_000) + pairs)).is_ok());
    let told = parse(&(text(108, 65_000) + pairs)).unwrap_err().to_string();
    assert!(told.contains("leaves too few ports for 108 nodes: it must be at most 64995"), "{told}");
    let told = parse(&text(30_000, 2000)).unwrap_err().to_string();
    assert!(told.contains("write addresses in [live.node.NAME]"), "{told}");
    let unwritten = parse(&text(30_000, 2000).replace("first_port = 2000", "")).unwrap();
    assert_eq!(unwritten.listener(NodeId(29_999), Listener::KeyManager), None);
    assert_eq!(unwritten.physical_layer(), None);
}

#[test]
fn applications_and_addresses_are_overridden() {
    let text = format!("{SMALL}{BANKS}{}", pair("bank-a", "bank-b", ""));
    let network = with(
        &text,
        &[
            "sae.bank-a.keys_per_second=7",
            "pair.0.requirement=quantum-only",
            "live.first_port=6000",
            "live.node.A.operations=\"[::1]:99\"",
            "live.node.B.operations=127.0.0.1:99",
        ],
    )
    .unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(network.saes[0].keys_per_second, Some(7));
    assert_eq!(network.pairs[1].requirement, Requirement::QuantumOnly);
    assert_eq!(network.listener(NodeId(0), Listener::KeyManager).unwrap().port(), 6001);
    assert_eq!(network.listener(NodeId(0), Listener::Operations).unwrap().to_string(), "[::1]:99");
    assert_eq!(network.listener(NodeId(1), Listener::Operations).unwrap().to_string(), "127.0.0.1:99");
    let told = with(&text, &["sae.bank-c.node=A"]).unwrap_err().to_string();
    assert!(told.contains("the file has no sae `bank-c`; the nearest is `bank-a`"), "{told}");
}
