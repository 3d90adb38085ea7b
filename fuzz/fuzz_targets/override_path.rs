//! `--set path=value`, parsed and applied.
//!
//! Lines of arbitrary text, and lines whose path is put together from names that files know, are applied to a
//! published network, to one with a generated graph, and to one that is all inline. Each is refused by itself,
//! or the file with it is read or refused with a report of bounded length.
#![no_main]

use arbitrary::Arbitrary;
use bellwether_fuzz::mutation::Rest;
use bellwether_fuzz::{files, read_network};
use bellwether_network::Override;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    file: u8,
    lines: Rest<Line<'a>, 16>,
}

#[derive(Arbitrary, Debug)]
enum Line<'a> {
    Text(&'a str),
    Path(Vec<u8>, Value<'a>),
}

#[derive(Arbitrary, Debug)]
enum Value<'a> {
    Text(&'a str),
    Known(u8),
    Integer(i64),
    Number(f64),
    Nested(u16),
}

/// Names of which paths are made.
const NAMES: &[&str] = &[
    "*",
    "0",
    "1",
    "network",
    "name",
    "run",
    "duration",
    "detail",
    "seed",
    "window",
    "report_interval",
    "defaults",
    "node",
    "Alice",
    "Bob",
    "SIE",
    "ERD",
    "A",
    "B",
    "role",
    "position",
    "pool_capacity",
    "link",
    "Alice-Bob",
    "SIE-ERD",
    "A-B",
    "ends",
    "fibre",
    "length",
    "loss_per_length",
    "total_loss",
    "extra_loss",
    "misalignment",
    "drift",
    "background",
    "classical",
    "transmitter",
    "receiver",
    "profile",
    "source",
    "intensities",
    "mean_photons",
    "probability",
    "efficiency",
    "dark_counts",
    "dead_time",
    "afterpulsing",
    "jitter",
    "gate",
    "key_basis",
    "protocol",
    "block_size",
    "bound",
    "reconciliation",
    "cascade",
    "tags",
    "demand",
    "office",
    "from",
    "to",
    "key_size",
    "rate",
    "priority",
    "paths",
    "event",
    "at",
    "until",
    "kind",
    "attack",
    "fraction",
    "basis",
    "generate",
    "nodes",
    "spacing",
    "mean_degree",
    "reach",
    "columns",
    "branching",
    "links_per_node",
    "count",
    "published",
    "format",
    "",
    " ",
    "\"",
    "é",
];

/// Values that some key takes.
const VALUES: &[&str] = &[
    "80 km",
    "0 km",
    "-1 km",
    "1e9 km",
    "0.2 dB/km",
    "3 dB",
    "1 GHz",
    "50 ns",
    "100 /s",
    "1 h",
    "213 d",
    "blocks",
    "bits",
    "\"blocks\"",
    "true",
    "[]",
    "{}",
    "[1, 2]",
    "{ length = \"1 km\" }",
    "[{}]",
    "0.5",
    "1",
    "0",
    "nan",
    "inf",
    "-0.0",
    "ring",
    "grid",
    "waxman",
    "scale-free",
    "star",
    "tree",
    "line",
    "generic-snspd",
    "generic-decoy-1ghz",
    "Alice",
    "Bob",
    "[\"Alice\", \"Bob\"]",
    "256 bit",
    "1e18 bit",
    "cut",
    "attack",
    "intercept-resend",
    "random",
    "1979-05-27T07:32:00Z",
    "0x7fffffffffffffff",
    "18446744073709551615",
    "\"\"\"",
    "'",
    "[",
    "{",
    "\"",
    "# no",
    "a = 1",
    "\u{202e}",
];

fuzz_target!(|input: Input<'_>| {
    let overrides: Vec<Override> =
        input.lines.iter().filter_map(|line| Override::parse(&text(line)).ok()).collect();
    for one in &overrides {
        assert_eq!(Override::parse(one.text()).as_ref(), Ok(one));
        assert!(!one.path().is_empty());
    }
    let files = files();
    if let Some(network) = read_network(files[usize::from(input.file) % files.len()].as_bytes(), &overrides) {
        assert_eq!(network.identity.overrides.len(), overrides.len());
    }
});

fn text(line: &Line<'_>) -> String {
    match line {
        Line::Text(text) => (*text).to_owned(),
        Line::Path(names, value) => {
            let names: Vec<&str> =
                names.iter().take(12).map(|&name| NAMES[usize::from(name) % NAMES.len()]).collect();
            let path = names.join(".");
            // A graph of a million nodes is right, and slow.
            let size = |n: i64| if path.contains("generate") { n % 2000 } else { n };
            match value {
                Value::Text(value) if !path.contains("generate") => format!("{path}={value}"),
                Value::Text(_) => format!("{path}=7"),
                Value::Known(value) => match VALUES[usize::from(*value) % VALUES.len()] {
                    "18446744073709551615" | "0x7fffffffffffffff" if path.contains("generate") => {
                        format!("{path}=9")
                    }
                    value => format!("{path}={value}"),
                },
                Value::Integer(value) => format!("{path}={}", size(*value)),
                Value::Number(value) => format!("{path}={value:?}"),
                Value::Nested(depth) => {
                    format!("{path}={}1{}", "[".repeat(usize::from(*depth)), "]".repeat(usize::from(*depth)))
                }
            }
        }
    }
}
