//! The JSON Schema against the files that ship and files that are wrong.

use crate::entanglement::CHAIN;
use crate::{SMALL, everything, published};
use bellwether_network::{reference_markdown, schema};
use serde_json::Value;

fn json(text: &str) -> Value {
    toml::from_str(text).unwrap()
}

#[test]
fn every_file_that_ships_is_valid() {
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    let mut files = published::files();
    files.push(("small".to_owned(), SMALL.to_owned()));
    files.push(("everything".to_owned(), everything::FILE.to_owned()));
    for (name, text) in files {
        let instance = json(&text);
        let mistakes: Vec<_> =
            validator.iter_errors(&instance).map(|e| format!("{e} at {}", e.instance_path())).collect();
        assert!(mistakes.is_empty(), "{name}: {mistakes:?}");
    }
}

#[test]
fn what_is_wrong_in_itself_is_invalid() {
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    for (from, to) in [
        ("format = 1", "format = 2"),
        ("format = 1", ""),
        ("name = \"small\"", "name = 3"),
        ("length = \"50 km\"", "lenght = \"50 km\""),
        ("length = \"50 km\"", "length = \"50\""),
        ("length = \"50 km\"", "length = \"-50 km\""),
        ("length = \"50 km\"", "length = 50"),
        ("length = \"50 km\"", "length = \"50 dB\""),
        ("length = \"50 km\"", "length = \"50 km\", misalignment = 0.6"),
        ("length = \"50 km\"", "length = \"50 km\", total_loss = \"1 dB\""),
        ("[node.B]", "[node.B]\nrole = \"boss\""),
        ("[node.B]", "[node.\"B!\"]"),
        ("ends = [\"A\", \"B\"]", "ends = [\"A\", \"A\"]"),
        ("ends = [\"A\", \"B\"]", "transmitter_at = \"A\""),
        ("rate = \"1 /s\"", ""),
        ("rate = \"1 /s\"", "rate = \"1 /s\"\npaths = 9"),
        ("rate = \"1 /s\"", "rate = \"1 /s\"\n[[event]]\nat = \"1 s\"\nkind = \"cut\""),
        (
            "rate = \"1 /s\"",
            "rate = \"1 /s\"\n[[event]]\nat = \"1 s\"\nkind = \"cut\"\nlink = \"A-B\"\nfraction = 0.1",
        ),
        ("rate = \"1 /s\"", "rate = \"1 /s\"\n[sae.\"a b\"]\nnode = \"A\""),
        ("rate = \"1 /s\"", "rate = \"1 /s\"\n[sae.a]\nkeys_per_second = 1"),
        ("rate = \"1 /s\"", "rate = \"1 /s\"\n[sae.a]\nnode = \"A\"\n[[pair]]\nmaster = \"a\""),
        ("rate = \"1 /s\"", "rate = \"1 /s\"\n[live]\nfirst_port = 80"),
        ("rate = \"1 /s\"", "rate = \"1 /s\"\n[live.node.A]\nkey_manager = \"localhost:443\""),
    ] {
        assert!(SMALL.contains(from));
        let broken = SMALL.replacen(from, to, 1);
        assert!(!validator.is_valid(&json(&broken)), "{to}");
        assert!(crate::parse(&broken).is_err(), "{to}");
    }
}

#[test]
fn what_is_wrong_of_entanglement_is_invalid() {
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    assert!(validator.is_valid(&json(CHAIN)));
    for (from, to) in [
        ("kind = \"stated\"", "kind = \"stately\""),
        ("success = 0.01", "success = 0"),
        ("success = 0.01", "success = 0.01, bell_diagonal = [1, 0, 0, 0]"),
        ("fidelity = 0.98", "bell_diagonal = [1, 0, 0]"),
        ("success = 0.01", "success = 0.01, brightness = [0.1]"),
        ("ends = [\"A\", \"R\"]", "memories = 1"),
        ("ends = [\"A\", \"R\"]", "ends = [\"A\", \"R\"]\nmemories = 0"),
        ("ends = [\"A\", \"R\"]", "ends = [\"A\", \"R\"]\nmemories = [1, 2, 3]"),
        ("ends = [\"A\", \"R\"]", "ends = [\"A\", \"R\"]\nqubits = [\"own\", \"mine\"]"),
        (
            "ends = [\"A\", \"R\"]",
            "ends = [\"A\", \"R\"]\nstation = { at = 0.5, arms = [\"5 km\", \"5 km\"] }",
        ),
        ("to = \"B\"", "to = \"B\"\nfidelity = 0.4"),
        ("to = \"B\"", "to = \"B\"\n[circuit.c]\nfrom = \"A\"\nto = \"B\"\ncutoff = \"never\""),
        ("to = \"B\"", "to = \"B\"\n[circuit.c]\nfrom = \"A\"\nto = \"B\"\npath = [\"A\"]"),
        ("[node.B]", "[node.B]\nplatform = 3"),
        ("[node.B]", "[node.B]\nplatform = { profile = \"calcium-cavity\", gates = {} }"),
        (
            "to = \"B\"",
            "to = \"B\"\n[generate]\nkind = \"ring\"\nnodes = 5\nspacing = \"1 km\"\nlink = {}\nentangling = {}",
        ),
    ] {
        assert!(CHAIN.contains(from));
        let broken = CHAIN.replacen(from, to, 1);
        assert!(!validator.is_valid(&json(&broken)), "{to}");
        assert!(crate::parse(&broken).is_err(), "{to}");
    }
    let whole = CHAIN.to_owned() + "[circuit.c]\nfrom = \"A\"\nto = \"B\"\ncutoff = \"none\"\n";
    assert!(validator.is_valid(&json(&whole)) && crate::parse(&whole).is_ok());
}

#[test]
fn the_reference_tells_every_table_once() {
    let chapter = reference_markdown();
    for heading in [
        "[network]",
        "[node.NAME]",
        "[link.NAME.protocol]",
        "[[event]]",
        "[sae.NAME]",
        "[[pair]]",
        "[live.node.NAME]",
        "[generate.link]",
        "[node.NAME.platform]",
        "[node.NAME.platform.communication]",
        "[entangling.NAME]",
        "[entangling.NAME.station]",
        "[circuit.NAME]",
        "[pair_demand.NAME]",
        "[generate.pair_demand]",
    ] {
        assert_eq!(chapter.matches(&format!("### `{heading}`\n")).count(), 1, "{heading}");
    }
    for key in ["`misalignment`", "`\"intercept-resend\"`", "`0.2 dB/km`", "`dB/m`", "mean_degree"] {
        assert!(chapter.contains(key), "{key}");
    }
}
