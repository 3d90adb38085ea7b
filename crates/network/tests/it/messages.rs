//! What a person is told about each mistake.

use crate::entanglement::CHAIN;
use crate::{SMALL, parse, with};
use insta::assert_snapshot;

/// The report on the small file with one text replaced by another.
fn report(from: &str, to: &str) -> String {
    assert!(SMALL.contains(from), "{from}");
    parse(&SMALL.replacen(from, to, 1)).unwrap_err().to_string()
}

macro_rules! told {
    ($($name:ident: $from:expr => $to:expr;)+) => {
        $(
            #[test]
            fn $name() {
                assert_snapshot!(report($from, $to));
            }
        )+
    };
}

told! {
    an_unknown_key: "length =" => "lenght =";
    an_unknown_table: "[demand.d]" => "[demmand.d]";
    a_missing_unit: "\"50 km\"" => "\"50\"";
    a_number_in_place_of_a_quantity: "\"50 km\"" => "50";
    a_wrong_unit: "\"50 km\"" => "\"50 miles\"";
    a_negative_length: "\"50 km\"" => "\"-50 km\"";
    no_number: "\"50 km\"" => "\"far\"";
    a_link_to_a_missing_node: "ends = [\"A\", \"B\"]" => "ends = [\"A\", \"BB\"]";
    a_link_of_one_end: "ends = [\"A\", \"B\"]" => "ends = [\"A\"]";
    a_link_without_ends: "ends = [\"A\", \"B\"]" => "";
    a_link_with_both_kinds_of_ends: "ends = [\"A\", \"B\"]" => "ends = [\"A\", \"B\"]\nreceiver_at = \"B\"";
    a_link_to_itself: "ends = [\"A\", \"B\"]" => "ends = [\"A\", \"A\"]";
    an_impossible_probability: "length = \"50 km\"" => "length = \"50 km\", misalignment = 1.5";
    a_duplicate_node: "[node.B]" => "[node.A]\n[node.B]";
    a_duplicate_key: "name = \"small\"" => "name = \"small\"\nname = \"large\"";
    a_name_with_a_blank: "[node.B]" => "[node.B]\n[node.\"C D\"]";
    a_missing_length: "length = \"50 km\", " => "";
    a_missing_loss: ", loss_per_length = \"0.2 dB/km\"" => "";
    two_losses: "length = \"50 km\"" => "length = \"50 km\", total_loss = \"10 dB\"";
    a_missing_transmitter: "transmitter = \"generic-decoy-1ghz\"" => "";
    a_missing_profile: "\"generic-decoy-1ghz\"" => "\"generic-decoy-2ghz\"";
    a_missing_format: "format = 1" => "";
    another_format: "format = 1" => "format = 2";
    no_toml: "[node.A]" => "[node.A\n";
    a_text_without_quotes: "name = \"small\"" => "name = small";
    too_long_a_run: "[node.A]" => "[run]\nduration = \"214 d\"\n[node.A]";
    a_run_of_no_time: "[node.A]" => "[run]\nduration = \"0 s\"\n[node.A]";
    too_great_a_seed: "[node.A]" => "[run]\nseed = 18446744073709551616\n[node.A]";
    an_unknown_word: "[node.A]" => "[node.A]\nrole = \"trusted\"";
    no_such_pole: "[node.A]" => "[node.A]\nposition = [\"91 deg\", \"0 deg\"]";
    a_position_of_numbers: "[node.A]" => "[node.A]\nposition = [48.2, 16.4]";
    an_unknown_reconciliation: "receiver =" => "protocol = { reconciliation = \"grouped\" }\nreceiver =";
    a_demand_of_one_node: "to = \"B\"" => "to = \"A\"";
    a_demand_to_a_missing_node: "to = \"B\"" => "to = \"C\"";
    an_unreachable_demand: "[demand.d]\nfrom = \"A\"" => "[node.C]\n[demand.d]\nfrom = \"C\"";
    a_demand_that_stops_before_it_starts: "rate =" => "start = \"2 h\"\nstop = \"1 h\"\nrate =";
    a_demand_for_nothing: "rate = \"1 /s\"" => "rate = \"0 /s\"";
    a_bound_that_does_not_fit: "receiver =" => "protocol = { bound = \"lim-2014\" }\nreceiver =";
    a_block_too_small: "receiver =" => "protocol = { block_size = \"10 bit\" }\nreceiver =";
    a_gate_longer_than_the_clock: "receiver = \"generic-snspd\"" =>
        "receiver = { profile = \"generic-snspd\", detector = { gate = \"2 ns\" } }";
    a_recording_of_one_end: "transmitter = \"generic-decoy-1ghz\"" =>
        "transmitter = { profile = \"generic-decoy-1ghz\", hardware = { replay = \"alice.bin\" } }";
    a_recording_in_one_file: "transmitter = \"generic-decoy-1ghz\"\nreceiver = \"generic-snspd\"" =>
        "transmitter = { profile = \"generic-decoy-1ghz\", hardware = { replay = \"a.bin\" } }\n\
         receiver = { profile = \"generic-snspd\", hardware = { replay = \"a.bin\" } }";
    hardware_of_no_kind: "receiver = \"generic-snspd\"" =>
        "receiver = { profile = \"generic-snspd\", hardware = { reply = \"bob.bin\" } }";
    hardware_of_all_links: "[node.A]" =>
        "[defaults]\nreceiver = { profile = \"generic-snspd\", hardware = { replay = \"bob.bin\" } }\n[node.A]";
    something_else_than_a_profile: "receiver = \"generic-snspd\"" => "receiver = 3";
    an_event_on_a_missing_link: "[demand.d]" =>
        "[[event]]\nat = \"1 h\"\nkind = \"cut\"\nlink = \"AB\"\n[demand.d]";
    an_event_of_no_kind: "[demand.d]" => "[[event]]\nat = \"1 h\"\nlink = \"A-B\"\n[demand.d]";
    a_key_of_another_event: "[demand.d]" =>
        "[[event]]\nat = \"1 h\"\nkind = \"cut\"\nlink = \"A-B\"\nfraction = 0.3\n[demand.d]";
    an_event_that_ends_before_it_begins: "[demand.d]" =>
        "[[event]]\nat = \"1 h\"\nuntil = \"1 min\"\nkind = \"cut\"\nlink = \"A-B\"\n[demand.d]";
    a_parameter_that_is_none: "[demand.d]" =>
        "[link.A-B.published]\nsource = \"x\"\nevidence = \"published\"\n\
         fitted = { parameter = \"fibre.misallignment\", reason = \"y\" }\n[demand.d]";
    too_large_a_graph: "[node.A]" =>
        "[defaults]\ntransmitter = \"generic-decoy-1ghz\"\nreceiver = \"generic-snspd\"\n\
         fibre.loss_per_length = \"0.2 dB/km\"\n[generate]\nkind = \"scale-free\"\nnodes = 1000000\nspacing = \"1 km\"\nlinks_per_node = 9\n[node.A]";
    too_short_a_reach: "[node.A]" =>
        "[defaults]\ntransmitter = \"generic-decoy-1ghz\"\nreceiver = \"generic-snspd\"\n\
         fibre.loss_per_length = \"0.2 dB/km\"\n[generate]\nkind = \"waxman\"\nnodes = 10\nspacing = \"10 km\"\nreach = \"1 km\"\n[node.A]";
}

/// The report on the small file with two applications and one more text.
fn report_live(more: &str) -> String {
    const TWO: &str = "[sae.bank-a]\nnode = \"A\"\n[sae.bank-b]\nnode = \"B\"\n";
    const PAIR: &str = "[[pair]]\nmaster = \"bank-a\"\nslave = \"bank-b\"\n";
    let well = format!("{SMALL}{TWO}{PAIR}");
    parse(&well).unwrap_or_else(|errors| panic!("{errors}"));
    parse(&format!("{well}{more}")).unwrap_err().to_string()
}

macro_rules! told_live {
    ($($name:ident: $more:expr;)+) => {
        $(
            #[test]
            fn $name() {
                assert_snapshot!(report_live($more));
            }
        )+
    };
}

told_live! {
    an_application_at_a_missing_node: "[sae.c]\nnode = \"AA\"\n";
    an_application_with_a_blank: "[sae.\"bank c\"]\nnode = \"A\"\n";
    an_application_without_a_node: "[sae.c]\n";
    an_application_that_may_have_nothing: "[sae.c]\nnode = \"A\"\nkeys_per_second = 0\n";
    a_pair_with_a_missing_application: "[[pair]]\nmaster = \"bank-a\"\nslave = \"bank-bb\"\n";
    a_pair_twice: "[[pair]]\nmaster = \"bank-b\"\nslave = \"bank-a\"\nboth_ways = false\n";
    a_pair_of_unknown_requirement:
        "[[pair]]\nmaster = \"bank-b\"\nslave = \"bank-b\"\nrequirement = \"quantum\"\n";
    a_pair_that_no_route_serves:
        "[node.C]\n[sae.c]\nnode = \"C\"\n[[pair]]\nmaster = \"bank-a\"\nslave = \"c\"\n";
    a_name_in_place_of_an_address: "[live.node.A]\nkey_manager = \"localhost:443\"\n";
    a_number_in_place_of_an_address: "[live.node.A]\nkey_manager = 443\n";
    an_address_that_nobody_can_connect_to: "[live.node.A]\nnode_to_node = \"0.0.0.0:4430\"\n";
    an_address_of_a_missing_node: "[live.node.AB]\nkey_manager = \"127.0.0.1:443\"\n";
    two_listeners_at_one_address:
        "[live.node.A]\nkey_manager = \"[::1]:443\"\n[live.node.B]\noperations = \"[::1]:443\"\n";
    a_listener_at_a_port_that_another_has_by_default: "[live.node.A]\nkey_manager = \"127.0.0.1:4435\"\n";
    a_listener_at_the_port_of_the_light: "[live.node.A]\nkey_manager = \"127.0.0.1:4436\"\n";
    two_listeners_of_a_node_on_one_port:
        "[live.node.A]\nnode_to_node = \"192.0.2.7:443\"\nkey_manager = \"0.0.0.0:443\"\n";
    a_webhook_without_tls: "[live.webhook.pager]\nurl = \"http://example.org/told\"\n";
    a_webhook_of_unknown_events:
        "[live.webhook.pager]\nurl = \"https://example.org\"\nevents = [\"alarms\"]\n";
    too_low_a_first_port: "[live]\nfirst_port = 443\n";
    too_long_a_head_start: "[live]\nhead_start = \"31 d\"\n";
    keys_of_no_whole_bytes: "[live]\nkey_size = \"100 bit\"\n";
}

/// The report on a chain of entangling links with one text replaced by another, or with one more behind.
fn report_pairs(from: &str, to: &str) -> String {
    let text = if from.is_empty() { format!("{CHAIN}{to}") } else { CHAIN.replacen(from, to, 1) };
    assert!(CHAIN.contains(from), "{from}");
    parse(&text).unwrap_err().to_string()
}

macro_rules! told_pairs {
    ($($name:ident: $from:expr => $to:expr;)+) => {
        $(
            #[test]
            fn $name() {
                assert_snapshot!(report_pairs($from, $to));
            }
        )+
    };
}

told_pairs! {
    entanglement_of_no_scheme: "scheme = {" => "schema = {";
    a_scheme_of_an_unknown_kind: "kind = \"stated\"" => "kind = \"stately\"";
    a_key_of_another_scheme: "success = 0.01" => "success = 0.01, brightness = [0.1]";
    no_brightness_at_all: "kind = \"stated\", success = 0.01, fidelity = 0.98" =>
        "kind = \"single-click\", brightness = []";
    one_brightness_that_is_no_list: "kind = \"stated\", success = 0.01, fidelity = 0.98" =>
        "kind = \"single-click\", brightness = 0.1";
    a_pair_stated_twice: "fidelity = 0.98" => "fidelity = 0.98, bell_diagonal = [1, 0, 0, 0]";
    a_pair_not_stated: ", fidelity = 0.98" => "";
    a_pair_whose_probabilities_do_not_sum_to_one: "fidelity = 0.98" => "bell_diagonal = [0.9, 0.1, 0.1, 0]";
    a_pair_of_three_states: "fidelity = 0.98" => "bell_diagonal = [0.9, 0.1, 0]";
    too_many_memories: "ends = [\"A\", \"R\"]" => "ends = [\"A\", \"R\"]\nmemories = [1, 5000]";
    memories_of_three_ends: "ends = [\"A\", \"R\"]" => "ends = [\"A\", \"R\"]\nmemories = [1, 2, 3]";
    more_memories_than_the_one_qubit: "ends = [\"A\", \"R\"]" =>
        "ends = [\"A\", \"R\"]\nmemories = 2\nqubits = [\"own\", \"communication\"]";
    a_station_outside: "ends = [\"A\", \"R\"]" => "ends = [\"A\", \"R\"]\nstation.at = 1.5";
    a_station_told_twice: "ends = [\"A\", \"R\"]" =>
        "ends = [\"A\", \"R\"]\nstation = { at = 0.5, arms = [\"5 km\", \"5 km\"] }";
    arms_that_do_not_make_the_length: "ends = [\"A\", \"R\"]" =>
        "ends = [\"A\", \"R\"]\nstation.arms = [\"5 km\", \"6 km\"]";
    a_calibration_without_end: "ends = [\"A\", \"R\"]" =>
        "ends = [\"A\", \"R\"]\navailability.calibration = { period = \"1 h\", length = \"1 h\" }";
    an_entangling_link_to_itself: "ends = [\"A\", \"R\"]" => "ends = [\"A\", \"A\"]";
    an_entangling_link_to_nowhere: "ends = [\"A\", \"R\"]" => "ends = [\"A\", \"RR\"]";
    a_platform_that_is_not_there: "[node.B]" => "[node.B]\nplatform = \"calcium-cavty\"";
    a_platform_that_tells_one_thing_twice: "[node.B]" =>
        "[node.B]\nplatform = { profile = \"calcium-cavity\", communication = { gate_fidelity = 0.9, gate_depolarising = 0.1 } }";
    a_platform_without_its_kind: "[node.B]" => "[node.B]\nplatform = { wavelength = \"1550 nm\", interface = {} }";
    a_fitted_parameter_that_is_none: "ends = [\"A\", \"R\"]" =>
        "ends = [\"A\", \"R\"]\npublished = { source = \"x\", evidence = \"published\", fitted = { parameter = \"station.visbility\", reason = \"y\" } }";
    pairs_from_nowhere: "[pair_demand.d]\nfrom = \"A\"" => "[node.C]\n[pair_demand.d]\nfrom = \"C\"";
    pairs_of_one_node: "to = \"B\"" => "to = \"A\"";
    pairs_that_are_of_no_use: "to = \"B\"" => "to = \"B\"\nfidelity = 0.3";
    pairs_within_no_time: "to = \"B\"" => "to = \"B\"\nwithin = \"0 s\"";
    pairs_at_no_rate: "to = \"B\"" => "to = \"B\"\nrate = \"0 /s\"";
    pairs_by_a_missing_circuit: "to = \"B\"" => "to = \"B\"\ncircuit = \"c\"";
    a_circuit_with_a_cutoff_that_is_none: "" => "[circuit.c]\nfrom = \"A\"\nto = \"B\"\ncutoff = \"never\"\n";
    a_circuit_with_two_ways: "" =>
        "[circuit.c]\nfrom = \"A\"\nto = \"B\"\npath = [\"A\", \"R\", \"B\"]\nlinks = [\"A-R\", \"R-B\"]\n";
    a_circuit_purified_by_an_unknown_rule: "" =>
        "[circuit.c]\nfrom = \"A\"\nto = \"B\"\npurification = [\"bbpssw\", \"dejmp\"]\n";
    an_attack_on_a_link_that_entangles: "" =>
        "[[event]]\nat = \"1 s\"\nkind = \"attack\"\nattack = \"beam-splitting\"\nlink = \"A-R\"\n";
    a_graph_of_both_kinds_of_links: "" =>
        "[generate]\nkind = \"ring\"\nnodes = 5\nspacing = \"1 km\"\nlink = {}\nentangling = {}\n";
    generated_pairs_without_links_that_entangle: "" =>
        "[defaults]\ntransmitter = \"generic-decoy-1ghz\"\nreceiver = \"generic-snspd\"\nfibre.loss_per_length = \"0.2 dB/km\"\n\
         [generate]\nkind = \"ring\"\nnodes = 5\nspacing = \"1 km\"\npair_demand = { count = 3 }\n";
    generated_circuits_without_demands: "" =>
        "[generate]\nkind = \"ring\"\nnodes = 5\nspacing = \"1 km\"\nentangling = {}\ncircuit = {}\n";
    generated_links_without_what_they_need: "" =>
        "[generate]\nkind = \"ring\"\nnodes = 5\nspacing = \"1 km\"\nentangling.scheme = { kind = \"double-click\" }\n";
    walks_without_end: "" =>
        "[generate]\nkind = \"ring\"\nnodes = 5\nspacing = \"1 km\"\nentangling = {}\npair_demand = { count = 1_000_000, reach = 100 }\n";
}

/// The report on the small file with a source of its own.
fn source(source: &str) -> String {
    let inline = format!("transmitter = {{ clock = \"1 GHz\", source = {source} }}");
    report("transmitter = \"generic-decoy-1ghz\"", &inline)
}

#[test]
fn probabilities_that_do_not_sum_to_one() {
    assert_snapshot!(source(
        "{ kind = \"weak-coherent\", intensities = [{ mean_photons = 0.5, probability = 0.7 }, \
         { mean_photons = 0.1, probability = 0.2 }] }"
    ));
}

#[test]
fn intensities_out_of_order() {
    assert_snapshot!(source(
        "{ kind = \"weak-coherent\", intensities = [{ mean_photons = 0.1, probability = 0.7 }, \
         { mean_photons = 0.5, probability = 0.3 }] }"
    ));
}

#[test]
fn decoys_too_strong_for_the_bound() {
    assert_snapshot!(source(
        "{ kind = \"weak-coherent\", intensities = [{ mean_photons = 0.5, probability = 0.6 }, \
         { mean_photons = 0.3, probability = 0.2 }, { mean_photons = 0.2, probability = 0.2 }] }"
    ));
}

#[test]
fn a_source_without_decoys() {
    assert_snapshot!(source(
        "{ kind = \"weak-coherent\", intensities = [{ mean_photons = 0.1, probability = 1.0 }] }"
    ));
}

#[test]
fn keys_of_another_source() {
    assert_snapshot!(source("{ kind = \"single-photon\", brightness = 0.2, modes = 3 }"));
}

#[test]
fn several_mistakes_at_once() {
    let text = SMALL
        .replace("length = \"50 km\"", "length = \"50\", misalignment = 2")
        .replace("rate = \"1 /s\"", "rte = \"1 /s\"");
    assert_snapshot!(parse(&text).unwrap_err().to_string());
}

#[test]
fn an_override_of_an_unknown_key() {
    assert_snapshot!(with(SMALL, &["run.sed=7"]).unwrap_err().to_string());
}

#[test]
fn an_override_of_a_missing_link() {
    assert_snapshot!(with(SMALL, &["link.A-C.fibre.length=80 km"]).unwrap_err().to_string());
}

#[test]
fn an_override_with_a_wrong_value() {
    assert_snapshot!(with(SMALL, &["link.A-B.fibre.length=80"]).unwrap_err().to_string());
}

#[test]
fn an_override_that_is_no_toml() {
    assert_snapshot!(with(SMALL, &["link.A-B.fibre={length=\"1 km\""]).unwrap_err().to_string());
}

#[test]
fn an_override_below_a_value() {
    assert_snapshot!(with(SMALL, &["network.name.first=x"]).unwrap_err().to_string());
}

#[test]
fn colours_are_for_terminals_only() {
    let errors = parse(&SMALL.replace("50 km", "50")).unwrap_err();
    assert!(errors.render(true).contains("\u{1b}["));
    assert!(!errors.render(false).contains('\u{1b}'));
}
