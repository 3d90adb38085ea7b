//! Networks to test with.

use crate::link_file::LinkFile;
use bellwether_network::Network;
use bellwether_sim::run::{Observer, Options, simulate};
use bellwether_sim::summary::{LinkSummary, Summary};
use bellwether_sim::trace::{TraceEvent, TraceRecord};
use bellwether_units::Time;
use std::collections::BTreeSet;

/// Two nodes, one link of one decoy state at detail `detail`, with `more` appended to the file.
pub(crate) fn one_link(detail: &str, more: &str) -> Network {
    let file = LinkFile { length: "50 km", clock: "100 MHz", block: "1 Mbit", ..LinkFile::default() };
    let link = file.text();
    let text = format!(
        r#"
format = 1
[network]
name = "one link"
[run]
duration = "10 s"
detail = "{detail}"
seed = 1
window = "10 ms"
[node.A]
[node.B]
{link}
{more}
"#
    );
    parse(&text)
}

/// Three nodes in a row, with a demand from end to end, an eavesdropper on the first link and a crash.
pub(crate) fn chain_of_three() -> Network {
    let link = |name, ends| {
        LinkFile { name, ends, length: "20 km", clock: "20 MHz", block: "1 Mbit", ..LinkFile::default() }
            .text()
    };
    let head = r#"
format = 1
[network]
name = "three in a row"
[run]
duration = "60 s"
detail = "blocks"
seed = 3
window = "10 ms"
[node.A]
[node.B]
[node.C]
[demand.ends]
from = "A"
to = "C"
key_size = "256 bit"
rate = "2 /s"
[[event]]
at = "20 s"
until = "30 s"
link = "A-B"
kind = "attack"
attack = "intercept-resend"
fraction = 0.5
[[event]]
at = "40 s"
until = "45 s"
node = "C"
kind = "node-crash"
"#;
    let text = format!("{head}{}{}", link("A-B", ["A", "B"]), link("B-C", ["B", "C"]));
    parse(&text)
}

/// The network of a text that must be right.
pub(crate) fn parse(text: &str) -> Network {
    Network::parse(text, "test.toml", &[]).unwrap_or_else(|errors| panic!("{errors}"))
}

/// A link that makes a block of 200 kbit in 0.58 s, to be changed where a test wants another.
#[derive(Clone, Debug)]
pub(crate) struct Small {
    pub(crate) detail: &'static str,
    pub(crate) seconds: u32,
    pub(crate) block: &'static str,
    pub(crate) clock: &'static str,
    pub(crate) length: &'static str,
    pub(crate) seed: u64,
    pub(crate) key_basis: f64,
    /// Whether the receiver watches the bias current of its detectors.
    pub(crate) monitor: bool,
    /// Further lines of `[link.A-B.receiver.detector]`.
    pub(crate) detector: &'static str,
    /// Further lines of `[link.A-B.protocol]`.
    pub(crate) protocol: &'static str,
    /// What is appended to the file.
    pub(crate) more: String,
}

impl Small {
    pub(crate) fn new(detail: &'static str, seconds: u32) -> Self {
        Self {
            detail,
            seconds,
            block: "200 kbit",
            clock: "10 MHz",
            length: "25 km",
            seed: 1,
            key_basis: 0.7,
            monitor: true,
            detector: r#"dead_time = "30 ns""#,
            protocol: "",
            more: String::new(),
        }
    }

    /// Something that happens to the link `A-B`, or to `node`, from `at` to `until` in seconds.
    pub(crate) fn event(mut self, at: f64, until: Option<f64>, what: &str) -> Self {
        let target = if what.contains("node = ") { "" } else { "link = \"A-B\"\n" };
        let until = until.map(|until| format!("until = \"{until} s\"\n")).unwrap_or_default();
        self.more.push_str(&format!("[[event]]\nat = \"{at} s\"\n{until}{target}{what}\n"));
        self
    }

    /// Keys that `A` wants to share with `B`.
    pub(crate) fn demand(mut self, keys_per_second: u32) -> Self {
        self.more.push_str(&format!(
            "[demand.keys]\nfrom = \"A\"\nto = \"B\"\nkey_size = \"256 bit\"\nrate = \"{keys_per_second} /s\"\n"
        ));
        self
    }

    pub(crate) fn network(&self) -> Network {
        let Self {
            detail,
            seconds,
            block,
            clock,
            length,
            seed,
            key_basis,
            monitor,
            detector,
            protocol,
            more,
        } = self;
        let detector = format!("bias_current_monitor = {monitor}\n{detector}");
        let file = LinkFile {
            length,
            clock,
            detector: &detector,
            block,
            key_basis: *key_basis,
            protocol,
            ..LinkFile::default()
        };
        let link = file.text();
        parse(&format!(
            r#"
format = 1
[network]
name = "a small link"
[run]
duration = "{seconds} s"
detail = "{detail}"
seed = {seed}
window = "10 ms"
[node.A]
[node.B]
{link}
{more}
"#
        ))
    }

    pub(crate) fn run(&self) -> Run {
        Run::of(&self.network(), 1)
    }
}

/// A run with its trace.
pub(crate) struct Run {
    pub(crate) summary: Summary,
    pub(crate) trace: Vec<TraceRecord>,
}

/// A block that gave key, as the trace tells it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Distilled {
    pub(crate) number: u64,
    pub(crate) opened: f64,
    pub(crate) ended: f64,
    pub(crate) sifted: f64,
    pub(crate) errors: f64,
    pub(crate) check: f64,
    pub(crate) check_errors: f64,
    pub(crate) leaked: f64,
    pub(crate) secret: f64,
}

impl Run {
    pub(crate) fn of(network: &Network, threads: usize) -> Self {
        let options = Options { threads, ..Options::default() };
        let mut trace = Recorder::default();
        let summary = simulate(network, &options, &mut trace).unwrap().summary;
        Self { summary, trace: trace.0 }
    }

    pub(crate) fn link(&self) -> &LinkSummary {
        &self.summary.links[0]
    }

    /// The blocks with key, by number.
    pub(crate) fn distilled(&self) -> Vec<Distilled> {
        let mut blocks: Vec<_> = self.trace.iter().filter_map(distilled).collect();
        blocks.sort_by_key(|block| block.number);
        blocks
    }

    /// Blocks with key that were opened and ended between these seconds.
    pub(crate) fn keys_between(&self, from: f64, to: f64) -> usize {
        self.distilled().iter().filter(|block| block.opened >= from && block.ended <= to).count()
    }

    /// When alarms of a kind were raised, in seconds.
    pub(crate) fn alarms(&self, kind: &str) -> Vec<f64> {
        let of_kind = |record: &TraceRecord| match &record.event {
            TraceEvent::Alarm { kind: this, .. } if this == kind => Some(record.at_ps as f64 * 1e-12),
            _ => None,
        };
        self.trace.iter().filter_map(of_kind).collect()
    }

    /// The kinds of alarms raised.
    pub(crate) fn alarm_kinds(&self) -> BTreeSet<String> {
        self.summary.alarms.iter().map(|alarm| alarm.kind.clone()).collect()
    }

    /// How many blocks were discarded for `reason`.
    pub(crate) fn discarded(&self, reason: &str) -> u64 {
        self.link().discarded.iter().filter(|count| count.what == reason).map(|count| count.count).sum()
    }

    /// The summary and the trace as a run leaves them.
    pub(crate) fn written(&self) -> String {
        let trace = self.trace.iter().map(|record| serde_json::to_string(record).unwrap() + "\n");
        serde_json::to_string(&self.summary).unwrap() + "\n" + &trace.collect::<String>()
    }
}

fn distilled(record: &TraceRecord) -> Option<Distilled> {
    let TraceEvent::BlockDistilled {
        block,
        opened_ps,
        sifted_bits,
        errors,
        check_bits,
        check_errors,
        leaked_bits,
        secret_bits,
        ..
    } = &record.event
    else {
        return None;
    };
    Some(Distilled {
        number: *block,
        opened: *opened_ps as f64 * 1e-12,
        ended: record.at_ps as f64 * 1e-12,
        sifted: *sifted_bits as f64,
        errors: *errors as f64,
        check: *check_bits as f64,
        check_errors: *check_errors as f64,
        leaked: *leaked_bits as f64,
        secret: *secret_bits as f64,
    })
}

/// Keeps the trace.
#[derive(Default)]
struct Recorder(Vec<TraceRecord>);

impl Observer for Recorder {
    fn progress(&mut self, _: Time, _: Time) -> bool {
        true
    }
    fn trace(&mut self, records: &[TraceRecord]) {
        self.0.extend_from_slice(records);
    }
}
