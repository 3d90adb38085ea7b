//! Whatever is done to a file, the answer is a network or a report, never a panic.

use crate::{SMALL, everything};
use bellwether_network::{Network, Override, profiles};
use proptest::prelude::*;

/// Things that a value could be replaced by.
const VALUES: &[&str] = &[
    "1",
    "-1",
    "0",
    "1e400",
    "nan",
    "-inf",
    "9223372036854775808",
    "0x7f",
    "true",
    "[]",
    "{}",
    "[[]]",
    "\"\"",
    "\"-1 km\"",
    "\"1e308 km\"",
    "\"300 d\"",
    "\"0 s\"",
    "\"5\"",
    "\"bank-a\"",
    "\"127.0.0.1:5008\"",
    "\"[::]:443\"",
    "\"é\"",
    "'\u{202e}'",
    "1979-05-27",
    "[1, 2]",
    "{ a = 1 }",
    "\"A\"",
    "\"A-B\"",
    "\"generic-snspd\"",
    "\"rusca-2018\"",
    "0.3",
    "1.0",
    "\"1 dB\"",
    "\"NaN dB\"",
    "[{}]",
    "{ profile = \"mine\" }",
    "\"weak-coherent\"",
    "1000000",
    "\"none\"",
    "\"storage\"",
    "[\"A\", \"C\", \"B\"]",
    "[\"c-b\", \"a-c\"]",
    "[0.5, 0.5, 0, 0]",
    "[\"1 km\", \"0 km\"]",
    "\"calcium-cavity\"",
    "\"stated\"",
    "\"reflection\"",
];

fn report(text: &str) {
    if let Err(errors) = Network::parse(text, "net.toml", &[]) {
        assert!(!errors.mistakes.is_empty());
        assert!(errors.to_string().starts_with("error: "));
        errors.render(true);
    }
}

fn files() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just(SMALL), Just(everything::FILE)]
}

/// The lines of a file that give a value.
fn assignments(text: &str) -> Vec<usize> {
    text.lines().enumerate().filter(|(_, line)| line.contains(" = ")).map(|(place, _)| place).collect()
}

proptest! {
    #[test]
    fn bytes_are_taken_away(file in files(), at in any::<prop::sample::Index>(), count in 1usize..40) {
        let mut bytes = file.as_bytes().to_vec();
        let start = at.index(bytes.len());
        bytes.drain(start..(start + count).min(file.len()));
        let _ = Network::parse_bytes(&bytes, "net.toml", &[]).map_err(|errors| errors.to_string());
    }

    #[test]
    fn bytes_are_changed(file in files(), at in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = file.as_bytes().to_vec();
        let place = at.index(bytes.len());
        bytes[place] = byte;
        let _ = Network::parse_bytes(&bytes, "net.toml", &[]).map_err(|errors| errors.to_string());
    }

    #[test]
    fn values_are_replaced(
        file in files(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(VALUES)), 1..4),
    ) {
        let places = assignments(file);
        let mut lines: Vec<String> = file.lines().map(str::to_owned).collect();
        for (place, value) in changes {
            let place = places[place.index(places.len())];
            if let Some((key, _)) = lines[place].clone().split_once(" = ") {
                lines[place] = format!("{key} = {value}");
            }
        }
        report(&lines.join("\n"));
    }

    #[test]
    fn lines_change_places_or_go(
        file in files(),
        swaps in prop::collection::vec(any::<(prop::sample::Index, prop::sample::Index)>(), 1..6),
        gone in any::<prop::sample::Index>(),
    ) {
        let mut lines: Vec<&str> = file.lines().collect();
        for (a, b) in swaps {
            let (a, b) = (a.index(lines.len()), b.index(lines.len()));
            lines.swap(a, b);
        }
        lines.remove(gone.index(lines.len()));
        report(&lines.join("\n"));
    }

    #[test]
    fn anything_is_overridden(path in "[a-z.*A-B0-9_]{1,40}", value in ".{1,30}") {
        if let Ok(one) = Override::parse(&format!("{path}={value}"))
            && let Err(errors) = Network::parse(everything::FILE, "net.toml", &[one])
        {
            assert!(!errors.to_string().is_empty());
        }
    }

    #[test]
    fn known_values_are_overridden(
        path in prop::sample::select(&[
            "format", "network", "network.name", "run.duration", "run", "node.A", "node.A.position", "node.*.role",
            "link.A-B.ends", "link.A-B.fibre", "link.*.fibre.drift.over", "link.A-B.transmitter", "defaults",
            "link.A-B.transmitter.source.intensities.0.probability", "link.C-A.transmitter.profile", "event.3",
            "link.A-B.fibre.classical_channels.1.power", "demand.keys.to", "event.0.link", "event.*.at", "generate",
            "generate.nodes", "sae.bank-a.node", "sae.*.keys_per_second", "sae", "pair.0.slave", "pair.*.master", "pair",
            "live.first_port", "live.node.B.operations", "live.node.*.key_manager", "live.key_size", "live", "transmitter.mine.source", "receiver.own.detector.gate", "link.A-B.published.fitted",
            "entangling.a-c.ends", "entangling.*.memories", "entangling.c-b.qubits", "entangling.a-c.scheme", "entangling.a-c.scheme.kind",
            "entangling.a-c.scheme.brightness", "entangling.a-c.station", "entangling.a-c.station.at", "entangling.a-c.station.arms",
            "entangling.*.fibre", "entangling.source.scheme.absorption", "entangling.atoms.scheme.bell_diagonal", "entangling.a-c.availability",
            "entangling.a-c.published", "circuit.middle.path", "circuit.middle.links", "circuit.*.cutoff", "circuit.middle.purification",
            "circuit.middle.purification.0", "pair_demand.pairs.to", "pair_demand.*.circuit", "pair_demand.pairs.fidelity", "pair_demand.pairs.published.fitted",
            "defaults.entangling", "defaults.platform", "node.C.platform", "node.C.platform.profile", "node.B.platform.interface.modes", "platform.own.kind",
            "generate.entangling", "generate.pair_demand", "generate.circuit",
        ][..]),
        value in prop::sample::select(VALUES),
    ) {
        let one = Override::parse(&format!("{path}={value}")).unwrap();
        if let Err(errors) = Network::parse(everything::FILE, "net.toml", &[one]) {
            assert!(errors.to_string().starts_with("error: "));
        }
    }

    #[test]
    fn any_profile_meets_any_other(
        transmitter in any::<prop::sample::Index>(),
        receiver in any::<prop::sample::Index>(),
    ) {
        let (all, name) = (profiles(), |p: &prop::sample::Index| profiles()[p.index(profiles().len())].name.clone());
        prop_assert!(all.len() > 10);
        let text = SMALL
            .replace("generic-decoy-1ghz", &name(&transmitter))
            .replace("generic-snspd", &name(&receiver));
        report(&text);
    }
}
