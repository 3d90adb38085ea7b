//! Whole runs of small networks.

use crate::support::{chain_of_three, one_link};
use bellwether_sim::expect::expectation;
use bellwether_sim::run::{Observer, Options, Unobserved, replicate, simulate};
use bellwether_sim::summary::Summary;
use bellwether_sim::trace::TraceRecord;
use bellwether_units::{LinkId, Time};

fn run(detail: &str, more: &str) -> Summary {
    simulate(&one_link(detail, more), &Options::default(), &mut Unobserved).unwrap().summary
}

#[test]
fn blocks_make_the_rate_that_the_formulas_expect() {
    let link = &run("blocks", "").links[0];
    let expected = link.expected.as_ref().unwrap();
    let sampled = (link.sifted_rate_per_s, link.secret_rate_per_s, link.qber_key.unwrap());
    // 1.1e7 sifted bits: 5 standard errors are 0.15 %. A run of 10 s finishes 10 of 11.3 blocks.
    assert!((sampled.0 / expected.sifted_rate_per_s - 1.0).abs() < 0.0015, "{sampled:?} {expected:?}");
    let finished = link.blocks as f64 * expected.block_s / 10.0;
    assert!(
        (sampled.1 / expected.secret_rate_per_s / finished - 1.0).abs() < 0.03,
        "{sampled:?} {expected:?}"
    );
    assert!((sampled.2 / expected.qber_key - 1.0).abs() < 0.02, "{sampled:?} {expected:?}");
    let parts: f64 = link.error_budget.iter().map(|part| part.amount).sum();
    assert!((parts / expected.qber_key - 1.0).abs() < 1e-9, "the error budget adds up");
    let bits: f64 = link.key_budget.iter().map(|part| part.amount).sum();
    assert!((bits / link.clicks as f64 - 1.0).abs() < 1e-9, "the key budget adds up to the clicks");
}

#[test]
fn an_eavesdropper_shows_within_a_block_and_a_cut_at_once() {
    let events = r#"
[[event]]
at = "3 s"
until = "5 s"
link = "A-B"
kind = "attack"
attack = "intercept-resend"
fraction = 1.0
[[event]]
at = "7 s"
link = "A-B"
kind = "cut"
"#;
    let summary = run("blocks", events);
    let link = &summary.links[0];
    let first = |kind: &str| summary.alarms.iter().find(|alarm| alarm.kind == kind).map(|alarm| alarm.at_s);
    let block = link.expected.as_ref().unwrap().block_s;
    let seen = first("qber-high").expect("an intercepted block raises an alarm");
    assert!((3.0..3.0 + 2.0 * block).contains(&seen), "{seen} {block}");
    assert!(first("no-key").is_some());
    let dark = first("counts-low").expect("a dark fibre raises an alarm");
    assert!((7.0..7.2).contains(&dark), "{dark}");
}

#[test]
fn threads_and_repetition_change_nothing() {
    let chain = chain_of_three();
    let run = |threads| {
        let options = Options { threads, ..Options::default() };
        let mut lines = Lines::default();
        let summary = simulate(&chain, &options, &mut lines).unwrap().summary;
        (serde_json::to_string(&summary).unwrap(), lines.0)
    };
    let (summary, trace) = run(1);
    assert!(trace.lines().count() > 100, "the trace tells what happened");
    for threads in [1, 2, 4] {
        let again = run(threads);
        assert!(again.0 == summary, "the summary differs at {threads} threads");
        assert!(again.1 == trace, "the trace differs at {threads} threads");
    }
}

#[test]
fn the_trace_goes_forward_in_time() {
    let mut lines = Lines::default();
    simulate(&chain_of_three(), &Options::default(), &mut lines).unwrap();
    let times: Vec<u64> = lines
        .0
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["at_ps"].as_u64().unwrap())
        .collect();
    assert!(times.is_sorted());
}

#[test]
fn a_stopped_run_keeps_what_it_has() {
    struct Stop;
    impl Observer for Stop {
        fn progress(&mut self, now: Time, end: Time) -> bool {
            now.seconds() < end.seconds() / 2.0
        }
        fn trace(&mut self, _: &[TraceRecord]) {}
    }
    let summary = simulate(&chain_of_three(), &Options::default(), &mut Stop).unwrap().summary;
    assert!(summary.run.partial);
    assert!((summary.run.simulated_s / summary.run.duration_s - 0.5).abs() < 0.01);
    assert!(summary.totals.secret_bits > 0);
}

#[test]
fn runs_with_other_seeds_scatter_about_one_mean() {
    let network = one_link("blocks", "");
    let options = Options { threads: 2, ..Options::default() };
    let (replications, summaries) = replicate(&network, &options, 6, &mut Unobserved).unwrap();
    assert_eq!((replications.runs, summaries.len()), (6, 6));
    let sifted = &replications.links[0].sifted_rate_per_s;
    assert!(sifted.low < sifted.mean && sifted.mean < sifted.high);
    let expected = summaries[0].links[0].expected.as_ref().unwrap().sifted_rate_per_s;
    assert!((sifted.mean / expected - 1.0).abs() < 1e-3);
    assert_ne!(summaries[0].links[0].clicks, summaries[1].links[0].clicks);
}

/// What users get is what the formulas promise them, with authentication's share taken off on both sides.
#[test]
fn authentication_takes_the_share_that_the_formulas_expect() {
    let set = |detail: &str, tags: &str| {
        let more = format!("authentication_key = \"1 Mbit\"\nauthentication = \"{tags}\"");
        one_link(detail, &more)
    };
    // A tag a message takes as many pads as there are messages, by a law with a spread of some 5 % a block; in
    // both cases the refill of a block may fall into the next.
    for (detail, tags, tolerance) in
        [("bits", "every-block", 0.11), ("blocks", "every-block", 0.11), ("blocks", "every-message", 0.15)]
    {
        let network = set(detail, tags);
        let link = &simulate(&network, &Options::default(), &mut Unobserved).unwrap().summary.links[0];
        let rate = expectation(&network, LinkId(0)).unwrap();
        let a_block = link.set_aside_bits as f64 / link.blocks as f64;
        let expected = rate.set_aside_bits_per_block as f64;
        assert!((a_block / expected - 1.0).abs() < tolerance, "{detail}, {tags}: {a_block} {expected}");
        let net = link.secret_bits as f64 / link.blocks as f64;
        assert!((net / rate.secret_bits_per_block as f64 - 1.0).abs() < 0.03, "{detail}, {tags}: {net}");
        assert!(rate.secret_rate_per_s < rate.gross_secret_rate_per_s);
        assert!(link.secret_rate_per_s < link.gross_secret_rate_per_s);
        assert!(link.pool_bits <= link.secret_bits, "what is set aside is in no pool");
    }
}

/// The trace as JSON lines.
#[derive(Default)]
struct Lines(String);

impl Observer for Lines {
    fn progress(&mut self, _: Time, _: Time) -> bool {
        true
    }
    fn trace(&mut self, records: &[TraceRecord]) {
        for record in records {
            self.0.push_str(&serde_json::to_string(record).unwrap());
            self.0.push('\n');
        }
    }
}

#[test]
fn bits_make_the_rate_that_the_formulas_expect() {
    let link = &run("bits", "").links[0];
    let expected = link.expected.as_ref().unwrap();
    // 1.1e7 sifted bits and 1.1e5 errors: 5 standard errors are 0.15 % and 1.5 %.
    assert!((link.sifted_rate_per_s / expected.sifted_rate_per_s - 1.0).abs() < 0.0015);
    assert!((link.qber_key.unwrap() / expected.qber_key - 1.0).abs() < 0.015);
    let planned = expected.secret_rate_per_s * expected.block_s;
    assert!((link.secret_bits as f64 / link.blocks as f64 / planned - 1.0).abs() < 0.03);
    let bits: f64 = link.key_budget.iter().map(|part| part.amount).sum();
    assert!((bits - link.clicks as f64).abs() < 1e-3, "the key budget adds up to the clicks");
}
