//! What distillation costs, as tables that a reviewer can read.

use crate::light::Light;
use crate::pair::{End, Faults, Pair};
use bellwether_protocol::qkd::security::{Bound, SecurityParameters};
use bellwether_protocol::qkd::session::{LinkSettings, TagPolicy};
use bellwether_units::{Duration, LinkId, binary_entropy};
use std::fmt::Write;

const SECOND: Duration = Duration::from_whole_seconds(1);

fn link(misalignment: f64, seed: u64) -> Pair {
    let mut light = Light::decoy(seed, 0.5);
    light.key_basis = 0.75;
    light.misalignment = misalignment;
    let mut settings = LinkSettings::new(LinkId(0), light.source.clone(), Bound::OneDecoyRusca);
    settings.block_bits = 300_000;
    settings.security = SecurityParameters { secrecy: 1e-9, correctness: 1e-15 };
    settings.authentication.target_pads = 7990;
    let mut pair = Pair::with_pads(settings, light, seed, 8000);
    pair.window_pulses = 500_000;
    pair.window_every = Duration::from_milliseconds(400);
    pair.delay = Duration::from_microseconds(250);
    pair
}

/// One line: what the first blocks at the receiver came to.
fn line(table: &mut String, name: &str, pair: &mut Pair, blocks: usize) {
    while pair.blocks[End::Receiver as usize].len() < blocks {
        pair.run(SECOND);
        assert!(pair.now.seconds() < 200.0, "{name}: no blocks");
    }
    let reports = &pair.blocks[End::Receiver as usize][..blocks];
    let sum = |f: &dyn Fn(&_) -> f64| reports.iter().map(f).sum::<f64>();
    let bits = sum(&|r: &bellwether_protocol::qkd::session::BlockReport| {
        r.statistics.key.iter().map(|class| class.sifted as f64).sum()
    });
    let errors = sum(&|r| r.statistics.key.iter().map(|class| class.errors as f64).sum());
    let mean = |total: f64| total / blocks as f64;
    let leak = sum(&|r| r.leaked_bits as f64);
    let entropy = bits * binary_entropy(errors / bits);
    writeln!(
        table,
        "{name:<34} {:>7.0} {:>6.2} {:>6.3} {:>7.1} {:>5.1} {:>8.0} {:>9.0}",
        mean(bits),
        100.0 * errors / bits,
        if entropy > 0.0 { leak / entropy } else { 0.0 },
        mean(sum(&|r| r.round_trips as f64)),
        mean(sum(&|r| r.pads_used as f64)),
        mean(sum(&|r| r.set_aside_bits as f64)),
        mean(sum(&|r| r.key_bits as f64)),
    )
    .unwrap();
}

fn heading() -> String {
    format!(
        "{:<34} {:>7} {:>6} {:>6} {:>7} {:>5} {:>8} {:>9}\n",
        "means of a block", "sifted", "QBER %", "f", "rounds", "pads", "aside", "key"
    )
}

#[test]
fn what_a_block_costs() {
    let mut table = heading();
    for percent in [0.5, 1.0, 2.0, 4.0] {
        let mut pair = link(percent / 100.0, 21);
        line(&mut table, &format!("{percent} % misaligned"), &mut pair, 2);
    }
    for loss in [0.02, 0.1] {
        let mut pair = link(0.01, 22);
        pair.faults = Faults { loss, ..Faults::default() };
        line(&mut table, &format!("1 %, {} % of frames lost", loss * 100.0), &mut pair, 2);
    }
    let mut pair = link(0.01, 23);
    pair.faults = Faults { duplication: 0.2, hold: Duration::from_milliseconds(5), loss: 0.0 };
    line(&mut table, "1 %, frames doubled and reordered", &mut pair, 2);
    let mut pair = link(0.01, 24);
    pair.light.intercepted = 0.1;
    line(&mut table, "1 %, 10 % intercepted", &mut pair, 2);
    insta::assert_snapshot!("what_a_block_costs", table);
}

#[test]
fn what_a_tag_a_message_costs() {
    let mut table = heading();
    for (name, tags) in
        [("a tag a block", TagPolicy::EveryBlock), ("a tag a message", TagPolicy::EveryMessage)]
    {
        let mut pair = link(0.01, 25);
        pair.settings.tags = tags;
        pair.crash(End::Transmitter);
        pair.crash(End::Receiver);
        line(&mut table, name, &mut pair, 2);
    }
    insta::assert_snapshot!("what_a_tag_a_message_costs", table);
}
