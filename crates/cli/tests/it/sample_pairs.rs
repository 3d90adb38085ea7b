//! A made-up run of entangled pairs with everything in it: levels, losses, a refusal, figures of an experiment.

use crate::sample;
use bellwether_sim::entanglement::summary::{
    DemandPairs, EntanglementSummary, LatencySummary, LinkLevel, LinkPairs, Measured, NodeMemories, Planned,
    PublishedPairs, Share,
};
use bellwether_sim::summary::{EventSummary, Summary};

/// The made-up run of keys with entangling links between its nodes.
pub(crate) fn with_keys() -> Summary {
    Summary { entanglement: Some(found()), ..sample::summary() }
}

/// Pairs alone: no link makes key.
pub(crate) fn alone() -> Summary {
    let mut summary = with_keys();
    summary.links.clear();
    summary.demands.clear();
    summary.alarms.clear();
    summary.totals = bellwether_sim::summary::Totals::default();
    summary.events = vec![EventSummary {
        at_s: 3600.0,
        until_s: Some(7200.0),
        target: "erd-gud".to_owned(),
        kind: "cut".to_owned(),
        text: "the fibre is cut".to_owned(),
    }];
    summary
}

fn found() -> EntanglementSummary {
    let names = ["SIE", "ERD", "GUD", "BREIT"];
    EntanglementSummary {
        links: vec![
            link("sie-erd", ["SIE", "ERD"], None),
            link("erd-gud", ["ERD", "GUD"], Some(published("published", None))),
            link("gud-breit", ["GUD", "BREIT"], Some(published("from-memory", Some("station.visibility")))),
        ],
        demands: vec![
            demand("across", "SIE", "BREIT", 41_000),
            demand("rare", "SIE", "ERD", 3),
            DemandPairs {
                name: "too good".to_owned(),
                from: "SIE".to_owned(),
                to: "BREIT".to_owned(),
                wanted_fidelity: 0.99,
                refused: Some("a fidelity of 0.99 cannot be had: the best is 0.81".to_owned()),
                ..DemandPairs::default()
            },
        ],
        nodes: names
            .map(|name| NodeMemories { name: name.to_owned(), memories: 4, mean_occupied: 1.7 })
            .to_vec(),
        occupied: (1..=200u64).map(|n| (432.0 * n as f64, 6 + n % 5)).collect(),
        parts: 1,
        machine_inputs: 1_000_000,
        messages: 500_000,
        swaps: 82_000,
        events: 3_000_000,
        assumptions: vec!["a readout that a platform tells no errors of errs never".to_owned()],
    }
}

fn link(name: &str, ends: [&str; 2], published: Option<PublishedPairs>) -> LinkPairs {
    let level = |brightness: f64| LinkLevel {
        brightness,
        success: 1e-3 * brightness,
        fidelity: 1.0 - brightness / 2.0,
        rate_per_s: 40.0 * brightness,
    };
    LinkPairs {
        name: name.to_owned(),
        ends: ends.map(str::to_owned),
        length_km: 12.5,
        memories: [2, 4],
        cycle_s: 1e-4,
        levels: vec![level(0.3), level(0.1)],
        pairs: 48_000,
        attempts: 160_000_000,
        rate_per_s: 0.55,
        published,
    }
}

fn published(evidence: &str, fitted: Option<&str>) -> PublishedPairs {
    PublishedPairs {
        rate_per_s: Some(9.2),
        fidelity: Some(0.82),
        fidelity_deviation: Some(0.01),
        source: "an experiment <of somebody>".to_owned(),
        evidence: evidence.to_owned(),
        fitted: fitted.map(str::to_owned),
    }
}

fn demand(name: &str, from: &str, to: &str, pairs: u64) -> DemandPairs {
    let measured = |mean| Some(Measured { mean, standard_error: (pairs > 10).then_some(0.001) });
    let share =
        |source: &str, share: f64| Share { source: source.to_owned(), loss_per_pair: 0.5 * share, share };
    DemandPairs {
        name: name.to_owned(),
        from: from.to_owned(),
        to: to.to_owned(),
        wanted_fidelity: 0.6,
        planned: Some(Planned {
            path: vec![from.to_owned(), to.to_owned()],
            seconds_per_pair: 2.1,
            fidelity: 0.69,
            cutoff_s: Some(0.5),
        }),
        requests: 4,
        completed: 3,
        timed_out: 1,
        pairs,
        rate_per_s: Some(pairs as f64 / 86_400.0),
        fidelity: measured(0.702),
        claimed_fidelity: measured(0.69),
        measured_fidelity: measured(0.699),
        latency: Some(LatencySummary {
            mean_s: 2.1,
            median_s: 1.5,
            p90_s: 4.8,
            p99_s: 9.6,
            longest_s: 22.0,
            bins: [0.25, 0.5, 1.0, 1.25, 1.5, 2.0, 4.0, 8.0, 32.0]
                .map(|end_s| (end_s, pairs / 9 + 1))
                .to_vec(),
        }),
        age_s: Some(1.1),
        settling_s: Some(0.01),
        losses: vec![share("link", 0.3), share("memory", 0.6), share("swap", 0.1)],
        published: (name == "across").then(|| published("published", None)),
        ..DemandPairs::default()
    }
}
