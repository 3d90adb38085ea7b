//! Valid network files with values and keys replaced.
//!
//! Lines of the published networks, and of generated graphs of every kind, are given other values, other keys,
//! are dropped, doubled and moved, so that what is read after the grammar is reached. Whatever it is, the file
//! is read or refused with a report of bounded length; a network that is read is one that can be: its links and
//! demands join nodes that are there. Absurd sizes of generated graphs are refused by the library itself.
#![no_main]

use arbitrary::Arbitrary;
use bellwether_fuzz::mutation::Rest;
use bellwether_fuzz::{files, read_network};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    file: u8,
    graph: Option<Graph>,
    changes: Rest<Change<'a>, 24>,
}

#[derive(Arbitrary, Debug)]
struct Graph {
    kind: u8,
    nodes: u64,
    absurd: bool,
    spacing: f64,
    numbers: [u16; 4],
    demands: Option<u16>,
    seed: u64,
}

#[derive(Arbitrary, Debug)]
enum Change<'a> {
    /// The value of a line becomes another's, of this file or one made up.
    ValueOf(u16, u16),
    Known(u16, u8),
    Number(u16, f64, u8),
    Value(u16, &'a str),
    Key(u16, u16),
    KeyText(u16, &'a str),
    Drop(u16),
    Double(u16, u16),
    Swap(u16, u16),
    Insert(u16, &'a str),
    Bracket(u16),
    Quote(u16),
}

const UNITS: &[&str] = &[
    "km", "m", "dB", "dB/km", "GHz", "MHz", "Hz", "ns", "us", "s", "h", "d", "/s", "bit", "Mbit", "deg",
    "mW", "nm", "pA", "", "parsec",
];

const VALUES: &[&str] = &[
    "0",
    "1",
    "-1",
    "0.5",
    "1.0",
    "nan",
    "inf",
    "true",
    "\"\"",
    "[]",
    "{}",
    "[[]]",
    "[{}]",
    "\"0 km\"",
    "\"1e9 m\"",
    "\"1e300 km\"",
    "\"-3 dB\"",
    "\"1000 dB\"",
    "\"213 d\"",
    "\"1 ps\"",
    "\"100 GHz\"",
    "\"ring\"",
    "\"grid\"",
    "\"waxman\"",
    "\"scale-free\"",
    "\"bits\"",
    "\"blocks\"",
    "\"rusca-2018\"",
    "\"lim-2014\"",
    "\"single-photon\"",
    "\"heralded\"",
    "\"weak-coherent\"",
    "\"photon-number-splitting\"",
    "\"intercept-resend\"",
    "\"blinding\"",
    "\"cut\"",
    "\"repair\"",
    "\"crash\"",
    "\"generic-snspd\"",
    "\"generic-decoy-1ghz\"",
    "\"trusted-node\"",
    "\"end-node\"",
    "9223372036854775807",
    "1e308",
    "5e-324",
    "[0.5, 0.5]",
    "[\"Alice\", \"Alice\"]",
    "1979-05-27",
    "\"\"\"\n\"\"\"",
    "[\"\", 1]",
];

fuzz_target!(|input: Input<'_>| {
    let files = files();
    let mut text = match &input.graph {
        Some(graph) => written(graph),
        None => files[usize::from(input.file) % files.len()].to_owned(),
    };
    if let Some(graph) = &input.graph
        && graph.absurd
        && input.changes.is_empty()
    {
        assert!(read_network(text.as_bytes(), &[]).is_none(), "a graph of absurd size is made");
    }
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for change in input.changes.iter() {
        apply(change, &mut lines);
    }
    text = lines.join("\n");
    let graph_is_small = !has_large_number(&text);
    if !graph_is_small && input.graph.as_ref().is_none_or(|graph| !graph.absurd) && text.contains("generate")
    {
        return;
    }
    if let Some(network) = read_network(text.as_bytes(), &[]) {
        let nodes = network.nodes.len();
        assert!(nodes > 0);
        assert!(
            network
                .links
                .iter()
                .all(|link| link.transmitter_at.index() < nodes && link.receiver_at.index() < nodes)
        );
        assert!(
            network.demands.iter().all(|demand| demand.from.index() < nodes && demand.to.index() < nodes)
        );
        assert!(network.demands.iter().all(|demand| demand.from != demand.to));
        assert!(network.links.iter().all(|link| link.fibre.loss().decibels() >= 0.0));
        assert!(network.events.is_sorted_by_key(|event| event.at));
    }
});

/// Whether a count stands in the text with which a graph would be large, and right.
fn has_large_number(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_digit() && c != '_').any(|digits| digits.len() > 4)
}

fn written(graph: &Graph) -> String {
    let kind = ["line", "ring", "star", "grid", "tree", "waxman", "scale-free"][usize::from(graph.kind % 7)];
    let nodes = if graph.absurd { graph.nodes.max(1_000_001) & i64::MAX as u64 } else { graph.nodes % 600 };
    let [a, b, c, d] = graph.numbers;
    let spacing = if graph.absurd { 50.0 } else { graph.spacing };
    let own = match kind {
        "grid" => format!("columns = {a}\n"),
        "tree" => format!("branching = {a}\n"),
        "waxman" => format!("mean_degree = {}\nreach = \"{b} km\"\n", f64::from(c % 256) / 8.0),
        "scale-free" => format!("links_per_node = {}\n", d % 8),
        _ => String::new(),
    };
    let demand = graph.demands.map_or_else(String::new, |count| {
        format!("[generate.demand]\ncount = {}\nkey_size = \"256 bit\"\nrate = \"1 /s\"\n", count % 600)
    });
    format!(
        "format = 1\n[network]\nname = \"g\"\n[defaults]\ntransmitter = \"generic-decoy-1ghz\"\n\
         receiver = \"generic-snspd\"\n[generate]\nkind = \"{kind}\"\nnodes = {nodes}\nspacing = \"{spacing} km\"\n\
         seed = {}\n{own}link = {{ fibre = {{ loss_per_length = \"0.2 dB/km\" }} }}\n{demand}",
        graph.seed & i64::MAX as u64
    )
}

fn apply(change: &Change<'_>, lines: &mut Vec<String>) {
    let count = lines.len();
    if count == 0 {
        return;
    }
    let place = |which: &u16| usize::from(*which) % count;
    let split = |line: &str| line.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    let mut put = |at: usize, value: &str| {
        if let Some((key, _)) = split(&lines[at]) {
            lines[at] = format!("{key}= {value}");
        }
    };
    match change {
        Change::ValueOf(at, from) => {
            let other = split(&lines[place(from)]);
            if let (Some((key, _)), Some((_, value))) = (split(&lines[place(at)]), other) {
                lines[place(at)] = format!("{key}={value}");
            }
        }
        Change::Known(at, value) => put(place(at), VALUES[usize::from(*value) % VALUES.len()]),
        Change::Number(at, number, unit) => match UNITS[usize::from(*unit) % UNITS.len()] {
            "" => put(place(at), &format!("{number:?}")),
            unit => put(place(at), &format!("\"{number:?} {unit}\"")),
        },
        Change::Value(at, value) => put(place(at), value),
        Change::Key(at, from) => {
            let other = split(&lines[place(from)]);
            if let (Some((_, value)), Some((key, _))) = (split(&lines[place(at)]), other) {
                lines[place(at)] = format!("{key}={value}");
            }
        }
        Change::KeyText(at, key) => {
            if let Some((_, value)) = split(&lines[place(at)]) {
                lines[place(at)] = format!("{key} ={value}");
            }
        }
        Change::Drop(at) => drop(lines.remove(place(at))),
        Change::Double(at, to) => lines.insert(place(to), lines[place(at)].clone()),
        Change::Swap(a, b) => lines.swap(place(a), place(b)),
        Change::Insert(at, text) => lines.insert(place(at), (*text).to_owned()),
        Change::Bracket(at) => lines[place(at)].push(']'),
        Change::Quote(at) => lines[place(at)].push('"'),
    }
}
