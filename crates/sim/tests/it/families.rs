//! Every family of reconciliation that a network file may name makes key.

use crate::support::{Run, Small};

/// What a link comes to at detail `bits` that is told to reconcile so.
fn run(line: &'static str) -> Run {
    let link = Small { block: "300 kbit", protocol: line, ..Small::new("bits", 9) };
    let run = link.run();
    assert!(run.link().secret_bits > 0, "{line}: no key");
    assert_eq!(run.summary.totals.keys_mismatched, 0, "{line}");
    assert_eq!(run.discarded("reconciliation") + run.discarded("verification"), 0, "{line}");
    run
}

fn efficiency(run: &Run) -> f64 {
    run.link().reconciliation_efficiency.unwrap()
}

fn round_trips(run: &Run) -> f64 {
    run.link().round_trips_per_block.unwrap()
}

#[test]
fn grouped_cascade_leaks_less_and_codes_wait_less() {
    let default = run("");
    let cascade = run("reconciliation = \"cascade-option-8\"");
    let links = |run: &Run| serde_json::to_string(&run.summary.links).unwrap();
    assert_eq!(links(&default), links(&cascade), "that is what a file that says nothing means");
    let quick = run("reconciliation = \"grouped-quick\"");
    let thorough = run("reconciliation = \"grouped-thorough\"");
    let code = run("reconciliation = \"ldpc\"");
    let of = [&cascade, &quick, &thorough, &code].map(|run| (efficiency(run), round_trips(run)));
    println!("{of:?}");
    // As measured of blocks of that size at some 1.5 % errors; the error rate of the first block is guessed.
    assert!(efficiency(&quick) < efficiency(&cascade) - 0.005, "{of:?}");
    assert!(efficiency(&thorough) < efficiency(&cascade) - 0.005, "{of:?}");
    assert!(thorough.link().secret_bits > cascade.link().secret_bits, "{of:?}");
    assert!((1.07..1.25).contains(&efficiency(&code)), "{of:?}");
    assert!(round_trips(&code) < 6.0 && round_trips(&cascade) > 100.0, "{of:?}");
}

#[test]
fn plans_set_aside_what_the_round_trips_of_the_family_take() {
    let [code, cascade, quick, thorough] = [
        "authentication = \"every-message\"\nreconciliation = \"ldpc\"",
        "authentication = \"every-message\"\nreconciliation = \"cascade-option-8\"",
        "authentication = \"every-message\"\nreconciliation = \"grouped-quick\"",
        "authentication = \"every-message\"\nreconciliation = \"grouped-thorough\"",
    ]
    .map(|protocol| {
        let run = Small { protocol, block: "4 Mbit", clock: "100 MHz", ..Small::new("blocks", 4) }.run();
        let expected = run.link().expected.clone().unwrap();
        // In pads of 128 bits at both ends.
        (expected.gross_secret_rate_per_s - expected.secret_rate_per_s) * expected.block_s / 256.0
    });
    println!("{code} {cascade} {quick} {thorough}");
    assert!(cascade - code > 150.0 && quick - cascade > 150.0 && thorough - quick > 150.0);
}
