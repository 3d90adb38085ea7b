//! What is expected of entangled pairs, on the terminal.

use super::{ROWS, WIDTH, heading, more};
use crate::table::{Align, Table, wrap};
use crate::words;
use Align::{Left, Right};
use bellwether_sim::entanglement::expect::{DemandExpectation, LinkPairExpectation, PairExpectations};

/// Links at each of their brightnesses, demands with their planned way, and the bounds that hold for it.
pub fn pair_expectations(found: &PairExpectations, styled: bool) -> String {
    let mut text = heading("Entangling links: expected, not sampled", styled);
    text.push_str(&links(&found.links, styled));
    if !found.demands.is_empty() {
        text.push_str(&heading("Pairs by plan", styled));
        text.push_str(&demands(&found.demands, styled));
        text.push_str(&heading("Bounds", styled));
        text.push_str(&bounds(&found.demands, styled));
    }
    for assumption in &found.assumptions {
        text.push_str(&format!("  {}\n", wrap(&format!("assumed: {assumption}"), WIDTH - 4, 4)));
    }
    text
}

fn links(links: &[LinkPairExpectation], styled: bool) -> String {
    let mut table = Table::new([
        ("link", Left),
        ("length", Right),
        ("loss", Right),
        ("memories", Right),
        ("cycle", Right),
        ("bright", Right),
        ("success", Right),
        ("fidelity", Right),
        ("at most", Right),
        ("bound/use", Right),
    ]);
    for link in links.iter().take(ROWS) {
        for (place, level) in link.levels.iter().enumerate() {
            let first = |text: String| if place == 0 { text } else { String::new() };
            let [one, other] = link.memories;
            table.row([
                first(words::cut(&link.name, 18)),
                first(words::kilometres(link.length_km)),
                first(words::decibels(link.loss_db)),
                first(if one == other { one.to_string() } else { format!("{one}/{other}") }),
                first(words::seconds(link.cycle_s)),
                words::plain(level.brightness),
                format!("{:.2e}", level.success),
                format!("{:.4}", level.fidelity),
                per_second(level.rate_per_s),
                first(per_use(link.bound_per_use)),
            ]);
        }
    }
    table.render(styled) + &more(links.len(), ROWS, "links")
}

fn demands(demands: &[DemandExpectation], styled: bool) -> String {
    let mut table = Table::new([
        ("demand", Left),
        ("way", Left),
        ("wanted", Right),
        ("fidelity", Right),
        ("a pair in", Right),
        ("slowest link", Right),
        ("cutoff", Right),
    ]);
    let ways = demands.iter().filter_map(|demand| Some((demand, demand.way.as_ref()?)));
    for (demand, way) in ways.take(ROWS) {
        table.row([
            words::cut(&demand.name, 18),
            words::cut(&way.path.join("-"), 24),
            words::plain(demand.wanted_fidelity),
            format!("{:.4}", way.fidelity),
            words::seconds(way.seconds_per_pair),
            way.slowest_link_s.map_or_else(dash, words::seconds),
            way.cutoff_s.map_or_else(dash, words::seconds),
        ]);
    }
    let mut text = table.render(styled);
    text.push_str(
        "  a pair in: the plan's estimate, if links begin anew for each pair; slowest link: the exact mean\n",
    );
    text.push_str("  until the last of equal links that begin together has a pair, if none is given up\n");
    for demand in demands.iter().take(ROWS) {
        if let Some(why) = &demand.refused {
            let line = format!("{}: {why}", demand.name);
            text.push_str(&format!("  {}\n", wrap(&line, WIDTH - 4, 4)));
        }
    }
    text + &more(demands.len(), ROWS, "demands")
}

fn bounds(demands: &[DemandExpectation], styled: bool) -> String {
    let mut table = Table::new([
        ("demand", Left),
        ("fibre", Right),
        ("loss", Right),
        ("none/use", Right),
        ("none", Right),
        ("these/use", Right),
        ("these", Right),
        ("equal/use", Right),
    ]);
    let ways = demands.iter().filter_map(|demand| Some((demand, demand.way.as_ref()?)));
    for (demand, way) in ways.take(ROWS) {
        table.row([
            words::cut(&demand.name, 18),
            words::kilometres(way.length_km),
            words::decibels(way.loss_db),
            per_use(way.repeaterless_bound_per_use),
            way.repeaterless_bound_per_s.map_or_else(dash, per_second),
            per_use(way.repeater_bound_per_use),
            way.repeater_bound_per_s.map_or_else(dash, per_second),
            per_use(way.equal_spans_bound_per_use),
        ]);
    }
    let mut text = table.render(styled);
    text.push_str("  Pairs a use of an optical mode, and a second at the modes that attempts send: without repeaters,\n");
    text.push_str(
        "  −log2(1 − η) of all the fibre (Pirandola et al. 2017); with these repeaters, the least of the\n",
    );
    text.push_str("  spans; with as many at equal distances, −log2(1 − η^(1/(N+1))) (Pirandola 2019).\n");
    text
}

fn per_use(bound: Option<f64>) -> String {
    bound.map_or_else(|| "∞".to_owned(), |bound| format!("{bound:.2e}").replace('-', "−"))
}

fn per_second(rate: f64) -> String {
    format!("{} /s", words::plain(rate))
}

fn dash() -> String {
    "–".to_owned()
}
