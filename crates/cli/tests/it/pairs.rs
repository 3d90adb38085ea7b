//! Entangled pairs by the command: what cannot run says why, and nothing is told of keys that nobody makes.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Four nodes, three links that are stated outright, a demand that is met and one that cannot be.
const CHAIN: &str = r#"
format = 1
network.name = "chain"
run = { duration = "2 s", seed = 4 }
[defaults.entangling]
scheme = { kind = "stated", success = 0.01, fidelity = 0.95 }
fibre = { length = "10 km", loss_per_length = "0.2 dB/km" }
cycle = "100 us"
[node.A]
[node.R]
[node.S]
[node.B]
[entangling.A-R]
ends = ["A", "R"]
[entangling.R-S]
ends = ["R", "S"]
[entangling.S-B]
ends = ["S", "B"]
[pair_demand.near]
from = "A"
to = "R"
fidelity = 0.9
[pair_demand.far]
from = "A"
to = "B"
fidelity = 0.9
"#;

fn bellwether(line: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bellwether")).args(line).output().expect("the command can be started")
}

fn written(directory: &Path, text: &str) -> PathBuf {
    let file = directory.join("pairs.toml");
    fs::write(&file, text).expect("the directory can be written");
    file
}

fn shown(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_network_without_key_links_tells_nothing_of_keys() {
    let place = tempfile::tempdir().expect("there is room for a directory");
    let file = written(place.path(), CHAIN);
    let file = file.to_str().expect("a path of letters");
    for line in [vec!["simulate", file], vec!["simulate", file, "--runs", "3"]] {
        let text = shown(&bellwether(&line));
        for word in ["keys", "key ", "QBER", "sifted", "Alarms", "authentication"] {
            assert!(!text.contains(word), "`{word}` in {line:?}:\n{text}");
        }
        assert!(text.contains("near") && text.contains("are emulated"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }
    let runs: Value =
        serde_json::from_slice(&bellwether(&["simulate", file, "--runs", "3", "--json"]).stdout)
            .expect("the command prints JSON");
    let near = &runs["pair_demands"][0];
    assert!(near["pairs"]["mean"].as_f64().is_some_and(|pairs| pairs > 50.0), "{near}");
    assert!((near["fidelity"]["mean"].as_f64().unwrap_or(0.0) - 0.95).abs() < 0.01, "{near}");
}

#[test]
fn what_is_refused_is_told_by_the_names_of_the_file() {
    let place = tempfile::tempdir().expect("there is room for a directory");
    let file = written(place.path(), CHAIN);
    let text = shown(&bellwether(&["simulate", file.to_str().expect("a path of letters")]));
    let refused = text.split("Refused").nth(1).expect("one demand is refused");
    assert!(refused.contains("far: a fidelity of 0.9 cannot be had: the best is 0.8598 at"), "{refused}");
    assert!(refused.contains("A-R-S-B"), "{refused}");
}

#[test]
fn hardware_without_a_figure_is_refused_with_the_remedy() {
    let place = tempfile::tempdir().expect("there is room for a directory");
    // A register of which nobody has told what its qubits do.
    let file = written(place.path(), &CHAIN.replace("[node.A]", "[node.A]\nplatform = \"calcium-register\""));
    let output = bellwether(&["simulate", file.to_str().expect("a path of letters")]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    for part in
        ["error: ", "pairs.toml: ", "node `A`", "a qubit that entangles with light", "write `communication`"]
    {
        assert!(told.contains(part), "`{part}` is missing: {told}");
    }
    assert!(output.stdout.is_empty());
}

#[test]
fn what_is_expected_of_pairs_keeps_below_the_bounds() {
    let chain = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../networks/repeater-chain.toml");
    let chain = chain.to_str().expect("a path of letters");
    let text = shown(&bellwether(&["rate", chain]));
    assert!(text.lines().all(|line| line.chars().count() <= 100 && !line.ends_with(' ')), "{text}");
    assert!(text.contains("A-R1-R2-R3-B"), "{text}");
    let found: Value = serde_json::from_slice(&bellwether(&["rate", chain, "--json"]).stdout)
        .expect("the command prints JSON");
    let way = &found["demands"][0]["way"];
    let figure = |name: &str| way[name].as_f64().unwrap_or_else(|| panic!("{name} in {way}"));
    // 100 km of 0.2 dB/km: eta 0.01, and four spans of 5 dB.
    assert!((figure("repeaterless_bound_per_use") + (1.0f64 - 0.01).log2()).abs() < 1e-9, "{way}");
    let span = -(1.0 - 10f64.powf(-0.5)).log2();
    for bound in ["repeater_bound_per_use", "equal_spans_bound_per_use"] {
        assert!((figure(bound) - span).abs() < 1e-9, "{bound} in {way}");
    }
    let rate = 1.0 / figure("seconds_per_pair");
    assert!(rate < figure("repeater_bound_per_s"), "{way}");
    // The slowest of four takes longer than one and not as long as all in turn.
    let one_s = 1.0 / found["links"][0]["levels"][0]["rate_per_s"].as_f64().expect("a rate");
    let slowest_s = figure("slowest_link_s");
    assert!(slowest_s > one_s && slowest_s < 4.0 * one_s, "{slowest_s} s, {one_s} s for one");
    let output = bellwether(&["rate", chain, "--sweep", "fibre.length=1km..2km"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_refusal_is_told_before_anything_runs() {
    let place = tempfile::tempdir().expect("there is room for a directory");
    let file = written(place.path(), CHAIN);
    let text = shown(&bellwether(&["rate", file.to_str().expect("a path of letters")]));
    assert!(text.contains("far: a fidelity of 0.9 cannot be had: the best is 0.8598 at"), "{text}");
}
