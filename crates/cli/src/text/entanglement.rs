//! Entangled pairs on the terminal.

use super::{ROWS, WIDTH, heading, interval, more};
use crate::table::{Align, Table, wrap};
use crate::words;
use Align::{Left, Right};
use bellwether_sim::entanglement::summary::{
    DemandPairs, EntanglementSummary, LinkLevel, LinkPairs, Measured, PublishedPairs,
};
use bellwether_sim::summary::{Interval, PairReplication};

/// Links, demands, what fidelity was lost to, and what is published.
pub(super) fn tables(found: &EntanglementSummary, styled: bool) -> String {
    let mut text = heading("Entangling links", styled);
    text.push_str(&links(&found.links, styled));
    text.push_str(&heading("Entangled pairs", styled));
    text.push_str(&demands(&found.demands, styled));
    let lossy: Vec<_> = found.demands.iter().filter(|demand| !demand.losses.is_empty()).collect();
    if !lossy.is_empty() {
        text.push_str(&heading("What fidelity was lost to", styled));
        text.push_str(&losses(&lossy, styled));
    }
    let published = published(found, styled);
    if !published.is_empty() {
        text.push_str(&heading("Published, and simulated", styled));
        text.push_str(&published);
    }
    let refused = found.demands.iter().filter_map(|demand| Some((demand, demand.refused.as_ref()?)));
    for (place, (demand, why)) in refused.enumerate().take(ROWS) {
        if place == 0 {
            text.push_str(&heading("Refused", styled));
        }
        let line = format!("{}: {why}", demand.name);
        text.push_str(&format!("  {}\n", wrap(&line, WIDTH - 4, 4)));
    }
    let disagreements: u64 = found.demands.iter().map(|demand| demand.disagreements).sum();
    if disagreements > 0 {
        let count = words::count(disagreements);
        text.push_str(&format!("  the ends of {count} pairs were told different Bell states\n"));
    }
    for assumption in &found.assumptions {
        text.push_str(&format!("  {}\n", wrap(&format!("assumed: {assumption}"), WIDTH - 4, 4)));
    }
    text
}

/// Means over independent runs; nothing without demands for pairs.
pub(super) fn replications(demands: &[PairReplication], styled: bool) -> String {
    if demands.is_empty() {
        return String::new();
    }
    let mut table = Table::new([
        ("entangled pairs", Left),
        ("pairs", Right),
        ("rate", Right),
        ("fidelity", Right),
        ("late", Right),
    ]);
    for demand in demands.iter().take(ROWS) {
        let or_dash = |value: &Option<Interval>, show: &dyn Fn(f64) -> String| {
            value.as_ref().map_or_else(|| "–".to_owned(), |value| interval(value, show))
        };
        table.row([
            words::cut(&demand.name, 30),
            interval(&demand.pairs, &words::plain),
            or_dash(&demand.rate_per_s, &|rate| format!("{} /s", words::plain(rate))),
            or_dash(&demand.fidelity, &|fidelity| format!("{fidelity:.4}")),
            interval(&demand.timed_out, &words::plain),
        ]);
    }
    table.render(styled) + &more(demands.len(), ROWS, "demands")
}

fn links(links: &[LinkPairs], styled: bool) -> String {
    let mut table = Table::new([
        ("link", Left),
        ("length", Right),
        ("memories", Right),
        ("cycle", Right),
        ("success", Right),
        ("fidelity", Right),
        ("at most", Right),
        ("pairs", Right),
        ("rate", Right),
    ]);
    for link in links.iter().take(ROWS) {
        let [first, second] = link.memories;
        let all = |figure: &dyn Fn(&LinkLevel) -> String| match (link.levels.first(), link.levels.last()) {
            (Some(first), Some(last)) if link.levels.len() > 1 => {
                format!("{}..{}", figure(first), figure(last))
            }
            (Some(only), _) => figure(only),
            _ => String::new(),
        };
        table.row([
            words::cut(&link.name, 18),
            format!("{} km", words::plain(link.length_km)),
            if first == second { first.to_string() } else { format!("{first}/{second}") },
            words::seconds(link.cycle_s),
            all(&|level| format!("{:.2e}", level.success)),
            all(&|level| format!("{:.3}", level.fidelity)),
            all(&|level| words::plain(level.rate_per_s)) + " /s",
            words::count(link.pairs),
            format!("{} /s", words::plain(link.rate_per_s)),
        ]);
    }
    table.render(styled) + &more(links.len(), ROWS, "links")
}

fn demands(demands: &[DemandPairs], styled: bool) -> String {
    let mut table = Table::new([
        ("demand", Left),
        ("from-to", Left),
        ("pairs", Right),
        ("rate", Right),
        ("fidelity", Right),
        ("claimed", Right),
        ("median wait", Right),
        ("late", Right),
    ]);
    for demand in demands.iter().filter(|demand| demand.refused.is_none()).take(ROWS) {
        let none = || "–".to_owned();
        table.row([
            words::cut(&demand.name, 18),
            words::cut(&format!("{}-{}", demand.from, demand.to), 16),
            words::count(demand.pairs),
            demand.rate_per_s.map_or_else(none, |rate| format!("{} /s", words::plain(rate))),
            demand.fidelity.as_ref().map_or_else(none, measured),
            demand.claimed_fidelity.as_ref().map_or_else(none, |claimed| format!("{:.4}", claimed.mean)),
            demand.latency.as_ref().map_or_else(none, |latency| words::seconds(latency.median_s)),
            words::count(demand.timed_out),
        ]);
    }
    table.render(styled) + &more(demands.len(), ROWS, "demands")
}

fn measured(value: &Measured) -> String {
    match value.standard_error {
        // The interval of 95 %.
        Some(error) => format!("{:.4} ± {:.4}", value.mean, 1.96 * error),
        None => format!("{:.4}", value.mean),
    }
}

fn losses(demands: &[&DemandPairs], styled: bool) -> String {
    let mut table = Table::new([("demand", Left), ("source", Left), ("ln w", Right), ("share", Right)]);
    for demand in demands.iter().take(ROWS) {
        for (place, share) in demand.losses.iter().enumerate() {
            table.row([
                if place == 0 { words::cut(&demand.name, 18) } else { String::new() },
                share.source.clone(),
                format!("{:.4}", share.loss_per_pair),
                words::percent(share.share),
            ]);
        }
    }
    table.render(styled) + &more(demands.len(), ROWS, "demands")
}

fn published(found: &EntanglementSummary, styled: bool) -> String {
    let links = found.links.iter().filter_map(|link| {
        // What is published of a link is what it can do, not what it was asked for: at its brightest.
        let level = link.levels.first()?;
        Some((&link.name, link.published.as_ref()?, Some(level.rate_per_s), Some(level.fidelity)))
    });
    let demands = found.demands.iter().filter_map(|demand| {
        let fidelity = demand.fidelity.as_ref().map(|fidelity| fidelity.mean);
        Some((&demand.name, demand.published.as_ref()?, demand.rate_per_s, fidelity))
    });
    let mut table = Table::new([
        ("", Left),
        ("rate", Right),
        ("published", Right),
        ("fidelity", Right),
        ("published", Right),
        ("evidence", Left),
        ("fitted", Left),
    ]);
    let mut some = false;
    for (name, published, rate, fidelity) in links.chain(demands) {
        some = true;
        let none = || "–".to_owned();
        let per_second = |rate: f64| format!("{} /s", words::plain(rate));
        let PublishedPairs { rate_per_s, fidelity: told, fidelity_deviation, evidence, fitted, .. } =
            published;
        let told = told.map_or_else(none, |fidelity| match fidelity_deviation {
            Some(deviation) => format!("{fidelity:.3} ± {deviation:.3}"),
            None => format!("{fidelity:.3}"),
        });
        table.row([
            words::cut(name, 18),
            rate.map_or_else(none, per_second),
            rate_per_s.map_or_else(none, per_second),
            fidelity.map_or_else(none, |fidelity| format!("{fidelity:.3}")),
            told,
            evidence.clone(),
            fitted.clone().unwrap_or_default(),
        ]);
    }
    if some { table.render(styled) } else { String::new() }
}
