//! What the terminal shows, as a person reads it.

use crate::sample;
use bellwether_cli::text;
use bellwether_sim::summary::{DemandReplication, Interval, LinkReplication, Replications};

fn assert_fits(text: &str) {
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{} columns: {line}", line.chars().count());
        assert!(!line.ends_with(' '), "trailing space: {line:?}");
    }
    assert!(!text.contains('\x1b'), "colour codes");
}

#[test]
fn a_run_on_the_terminal() {
    let shown = text::summary(&sample::summary(), false);
    assert_fits(&shown);
    insta::assert_snapshot!(shown);
}

#[test]
fn replications_on_the_terminal() {
    let interval = |mean: f64, half: f64| Interval { mean, low: mean - half, high: mean + half };
    let shown = text::replications(
        &Replications {
            run: sample::summary().run,
            runs: 20,
            links: vec![LinkReplication {
                name: "A-B".to_owned(),
                sifted_rate_per_s: interval(12_345.0, 67.0),
                qber_key: Some(interval(0.0213, 0.0004)),
                secret_rate_per_s: interval(3210.0, 45.0),
                alarms: interval(0.0, 0.0),
            }],
            demands: vec![DemandReplication {
                name: "bank".to_owned(),
                delivered: interval(1440.0, 0.0),
                refused: interval(0.0, 0.0),
            }],
            ..Replications::default()
        },
        false,
    );
    assert_fits(&shown);
    insta::assert_snapshot!(shown);
}

#[test]
fn a_sweep_on_the_terminal() {
    let (_, rows) = sample::sweep();
    let shown = text::expectations("A-B", &rows[..30], Some("fibre.length"), false);
    assert_fits(&shown);
    insta::assert_snapshot!(shown);
}
