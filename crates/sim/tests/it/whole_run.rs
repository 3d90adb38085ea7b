//! Whole runs of small networks.

use crate::support::one_link;
use bellwether_sim::run::{Options, Unobserved, simulate};
use bellwether_sim::summary::Summary;

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
